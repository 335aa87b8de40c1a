#!/bin/sh
# Records traces/seabios-pc-devices.db: SeaBIOS on pc with drives on IDE, virtio and the floppy controller, an e1000 and
# a parallel port, all empty. Drives answer at the host's pace, so that no two recordings are equal.
set -eu
cd "$(dirname "$0")"
disk=$(mktemp)
trap 'rm -f "$disk"' EXIT
truncate -s 4M "$disk"
../.venv/bin/vmdev record --force -o seabios-pc-devices.db -- qemu-system-x86_64 -M pc -nodefaults -display none -m 64 \
    -no-reboot -icount shift=6,sleep=off -boot reboot-timeout=1 -parallel null -device floppy \
    -drive "if=none,id=d0,format=raw,snapshot=on,file=$disk" -device ide-hd,drive=d0,bus=ide.0 -device ide-cd,bus=ide.1 \
    -drive "if=none,id=d1,format=raw,snapshot=on,file=$disk" -device virtio-blk-pci,drive=d1 \
    -netdev user,restrict=on,id=n0 -device e1000,netdev=n0,romfile= </dev/null
