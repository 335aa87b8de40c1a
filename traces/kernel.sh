# Sourced by the recipes of Linux traces. kernel_for ARGUMENT…: prints the path of the kernel that a recipe's caller names, or
# of Debian's newest cloud kernel, which it downloads into the directory $work and unpacks, without installing it.
kernel_for() {
    if [ $# -eq 0 ]; then
        package=$(apt-cache search --names-only '^linux-image-[0-9].*-cloud-amd64$' | cut -d ' ' -f 1 | sort -V | tail -n 1)
        (cd "$work" && apt-get -q download "$package" >&2 && dpkg-deb -x ./*.deb .)
        set -- "$(echo "$work"/boot/vmlinuz-*)"
    fi
    echo "$1"
}
