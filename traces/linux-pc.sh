#!/bin/sh
# Records traces/linux-pc.db: Debian's cloud kernel on pc until it finds no root file system, and reboots.
#
#   traces/linux-pc.sh [VMLINUZ]
#
# Without VMLINUZ it downloads the newest linux-image-*-cloud-amd64 that apt knows, and unpacks it without installing.
# No drive, whose resets would come at the host's pace, no display and no HPET: what is left of such a boot is mostly the 8254, the RTC, the ACPI timer, UART and 8259A.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. ./kernel.sh
../.venv/bin/vmdev record --force -o linux-pc.db -- -M pc,hpet=off -nodefaults -display none -m 128 \
    -serial stdio -no-reboot -icount shift=3,sleep=off -kernel "$(kernel_for "$@")" -append "console=ttyS0 nokaslr panic=-1 quiet" \
    </dev/null
