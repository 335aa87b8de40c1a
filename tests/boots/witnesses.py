"""The logs of real kernels and of KVM, made in a guest, imported and replayed. script/witnesses runs it.

A guest of Debian's kernel, under TCG, has an IOMMU, an 82574L, and AMD's virtualization: a driver is watched by
mmiotrace, SeaBIOS boots under KVM, watched by ftrace and then by QEMU, and a third guest gets the card by vfio. What is
replayed of the card by mmiotrace and of KVM's machines has to agree, but for what time and interrupts change.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

import guests

from vmdev.replay.trace.reader import TraceReader

HERE: Final = Path(__file__).parent
VMDEV: Final = Path(sys.executable).with_name("vmdev")
TIMEOUT_S: Final = 1800
FLAVOUR: Final = "amd64"
MODULES: Final = (
    "virtio_pci virtio_blk crc32c_generic crc32c_intel ext4 ccp kvm_amd vfio_pci vfio_iommu_type1 e1000e".split()
)
"""The card's driver comes last; witness.sh loads it."""

INIT: Final = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do [ $module = e1000e.ko ] || insmod /modules/$module; done
mkdir /new
mount -t ext4 /dev/vda /new || poweroff -f
mkdir -p /new/modules
for place in proc sys dev modules; do mount --bind /$place /new/$place; done
cp /bin/busybox /new/busybox
mount -t tracefs tracing /new/sys/kernel/tracing
chroot /new /bin/bash /witness.sh
sync
poweroff -f
"""

LEFT_OUT: Final = (
    *("./proc/*", "./sys/*", "./dev/*", "./tmp/*", "./root", "./var/cache", "./var/lib/apt"),
    *("./usr/share/doc", "./usr/share/locale", "./usr/lib/chromium", "./usr/lib/gcc", "./usr/lib/gcc-cross"),
    *("./usr/lib/llvm*", "./vmdev/build", "./vmdev/tests", "./usr/bin/qemu-system-[a-w]*"),
)
"""Of the root, to keep the image small."""

GUEST: Final = (
    "qemu-system-x86_64 -M q35 -device intel-iommu -cpu max -m 2048 -accel tcg,tb-size=512 -nodefaults -display none "
    "-serial stdio -no-reboot -netdev user,id=n0,restrict=on -device e1000e,netdev=n0,addr=8"
).split()

NOT_TOLD: Final = {"card.log": {"SYSTIMH", "ICR"}}
"""What a log cannot tell the models: when the card's clock began to run, and when frames came."""

CARD: Final = "0000:00:08.0 BAR"

SAME: Final = (
    "qemu-system-x86_64 -M pc -m 128 -nodefaults -display none -no-reboot -vga std -serial null "
    "-boot reboot-timeout=1 -chardev null,id=debug -device isa-debugcon,iobase=0x402,chardev=debug"
).split()
"""KVM's machine, for the map of its devices."""


def run(*command: str | Path, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command, and end with its messages if it fails."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=TIMEOUT_S, **options
    )  # type: ignore[call-overload]
    if check and done.returncode:
        print(done.stdout, done.stderr, f"failed: {' '.join(map(str, command))}", sep="\n", file=sys.stderr)
        sys.exit(2)
    return done


def make_image(root: Path, path: Path) -> None:
    """A file system of the root's files, with the script that is run in it."""
    with tempfile.TemporaryDirectory(dir=path.parent) as copy:
        excluded = [f"--exclude={place}" for place in LEFT_OUT]
        archive = path.with_suffix(".tar")
        run("tar", "-C", root, "--one-file-system", "-cf", archive, *excluded, ".")
        run("tar", "-C", copy, "-xf", archive)
        archive.unlink()
        for place in ("proc", "sys", "dev", "tmp"):
            Path(copy, place).mkdir(exist_ok=True)
        Path(copy, "witness.sh").write_bytes((HERE / "witness.sh").read_bytes())
        run("mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d", copy, path, "2600M")


def boot(root: Path, directory: Path) -> None:
    """Let the guest make its logs, which are in `directory`/out afterwards."""
    image, logs = directory / "root.img", directory / "logs.img"
    make_image(root, image)
    with logs.open("wb") as file:
        file.truncate(256 << 20)
    drives = [
        word
        for name, path in (("d0", image), ("d1", logs))
        for word in ("-drive", f"if=none,id={name},format=raw,file={path}", "-device", f"virtio-blk-pci,drive={name}")
    ]
    initramfs = guests.initramfs(directory, FLAVOUR, modules=MODULES, init=INIT)
    kernel = ("-kernel", guests.kernel(FLAVOUR), "-initrd", initramfs)
    append = "console=ttyS0 quiet panic=-1 mitigations=off intel_iommu=on"
    print("booting; this takes a quarter of an hour", file=sys.stderr)
    console = run(*GUEST, *drives, *kernel, "-append", append).stdout
    image.unlink()
    try:
        with tarfile.open(logs) as archive:
            archive.extractall(directory, filter="data")
    except tarfile.TarError as error:
        console += str(error)
    if not (directory / "out").is_dir():
        print(console, "the guest left no logs", sep="\n", file=sys.stderr)
        sys.exit(2)
    logs.unlink()


def board_of_the_page() -> str:
    """The board file that docs/importing.md shows."""
    page = (HERE.parents[1] / "docs" / "importing.md").read_text()
    return page.partition("```python\n")[2].partition("```")[0]


def judge(directory: Path) -> bool:
    """Import and replay each log; prints what came of it, and tells whether it is as it should be."""
    out = directory / "out"
    same, board = out / "same.db", out / "my_card.py"
    run(VMDEV, "record", "-o", same, "--force", "--", *SAME)
    board.write_text(board_of_the_page())
    fine = True
    for log, imported, replayed in (
        ("card.log", ("--machine", "q35"), ("--board", board)),
        ("kvm.log", ("--like", same), ()),
        ("qemu.log", ("--like", same), ()),
    ):
        trace = (out / log).with_suffix(".db")
        print(f"\n{log}: {run(VMDEV, 'import', '-o', trace, '--force', *imported, out / log).stdout.splitlines()[0]}")
        verdict = json.loads(run(VMDEV, "replay", "--format", "json", trace, *replayed, check=False).stdout)
        registers = {found["register"] for found in verdict["divergences"] + verdict["consequences"]}
        totals = verdict["totals"]
        print(f"{totals['matched']:,} of {totals['checked']:,} checked reads match")
        print(f"differ: {', '.join(sorted(registers)) or 'nothing'}")
        fine = fine and registers <= NOT_TOLD.get(log, set())
    with TraceReader(out / "vfio.db") as trace:
        of_the_card = sum(region.name.startswith(CARD) for region in trace.guest.regions)
        print(f"\nvfio.db: {trace.exit_count:,} accesses; {of_the_card} regions of the card")
    print((out / "vfio.err").read_text())
    return fine and bool(of_the_card) and "verified" in (out / "vfio.err").read_text()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--qemu-root", type=Path, default=Path("build/qemu-root"))
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    if not (options.qemu_root / "vmdev/.venv").is_dir():
        parser.error(f"{options.qemu_root}: no root with QEMU and vmdev; script/test-qemu --root makes one")
    with tempfile.TemporaryDirectory() as scratch:
        directory = options.keep or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        try:
            boot(options.qemu_root, directory)
        except guests.UnavailableError as error:
            parser.error(str(error))
        sys.exit(0 if judge(directory) else 1)


if __name__ == "__main__":
    main()
