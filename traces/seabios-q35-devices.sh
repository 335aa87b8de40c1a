#!/bin/sh
# Records traces/seabios-q35-devices.db: SeaBIOS on q35 with drives on AHCI and virtio, an e1000e and devices behind
# bridges, all empty. Drives answer at the host's pace, so that no two recordings are equal.
set -eu
cd "$(dirname "$0")"
disk=$(mktemp)
trap 'rm -f "$disk"' EXIT
truncate -s 4M "$disk"
../.venv/bin/vmdev record --force -o seabios-q35-devices.db -- qemu-system-x86_64 -M q35 -nodefaults -display none -m 64 \
    -no-reboot -icount shift=6,sleep=off -boot reboot-timeout=1 \
    -drive "if=none,id=d0,format=raw,snapshot=on,file=$disk" -device ide-hd,drive=d0 -device ide-cd,bus=ide.1 \
    -device pcie-root-port,id=r1,chassis=1,slot=1 \
    -drive "if=none,id=d1,format=raw,snapshot=on,file=$disk" -device virtio-blk-pci,drive=d1,bus=r1 \
    -netdev user,restrict=on,id=n0 -device e1000e,netdev=n0,romfile= </dev/null
