#!/bin/sh
# Records traces/linux-microvm.db: Debian's cloud kernel on microvm with a drive on virtio-mmio, until it finds no root file
# system, and reboots.
#
#   traces/linux-microvm.sh [VMLINUZ]
#
# The drive answers at the host's pace, so that no two recordings are equal.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. ./kernel.sh
truncate -s 4M "$work/disk"
../.venv/bin/vmdev record --force -o linux-microvm.db -- qemu-system-x86_64 -M microvm -nodefaults -display none -m 128 \
    -serial stdio -no-reboot -icount shift=4,sleep=off -kernel "$(kernel_for "$@")" \
    -append "console=ttyS0 nokaslr panic=-1 quiet" \
    -drive "if=none,id=d0,format=raw,snapshot=on,file=$work/disk" -device virtio-blk-device,drive=d0 </dev/null
