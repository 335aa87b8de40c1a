#!/bin/sh
# Records traces/linux-pc-apic.db: Debian's cloud kernel on pc until it finds no root file system, and reboots.
#
#   traces/linux-pc-apic.sh [VMLINUZ]
#
# As linux-pc.sh, but with an HPET: the kernel uses it, the APICs and PCI.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. ./kernel.sh
../.venv/bin/vmdev record --force -o linux-pc-apic.db -- -M pc -nodefaults -display none -m 128 \
    -serial stdio -no-reboot -icount shift=4,sleep=off -kernel "$(kernel_for "$@")" \
    -append "console=ttyS0 nokaslr panic=-1 quiet" </dev/null
