"""The fidelity table: records every guest of traces/guests.toml anew, replays it into its machine, and counts.

The exit status is 0 if each guest agrees as the project promises, 1 if one does not, 2 if one could not be recorded.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import guests
from matrix import APPEND, drives
from runs import record

from vmdev.replay.machines import build
from vmdev.replay.replayer import Replayer
from vmdev.replay.trace.reader import TraceReader
from vmdev.replay.verdict import Verdict

ROOT: Final = Path(__file__).parents[2]
GUESTS: Final = ROOT / "traces" / "guests.toml"
README: Final = ROOT / "README.md"
MARKS: Final = ("<!-- made by script/fidelity -->", "<!-- end -->")

MIN_AGREEMENT: Final = 0.999
MAX_NOT_COMPUTED: Final = 0.05
"""Share of the reads that may be learned or assumed."""

COMMON: Final = "qemu-system-x86_64 -nodefaults -display none -no-reboot"
ICOUNT: Final = "-icount shift=5,sleep=off"
FIRMWARE: Final = "-boot reboot-timeout=1 -chardev stdio,id=debug -device isa-debugcon,iobase=0x402,chardev=debug"
"""A SeaBIOS that says what it does, and resets when it finds nothing to boot from."""
LINUX: Final = "-serial stdio"


@dataclass(frozen=True, slots=True)
class Row:
    """A guest and what its replay gave."""

    name: str
    verdict: Verdict

    @property
    def unclaimed(self) -> tuple[int, int]:
        """Reads where QEMU has no device, and where it has one that is not modelled."""
        nothing = sum(place.reads for place in self.verdict.unclaimed if not place.region)
        return nothing, self.verdict.totals.unclaimed_reads - nothing

    def shortcomings(self) -> Iterable[str]:
        """What falls short of the promise."""
        totals = self.verdict.totals
        if (totals.agreement or 0) < MIN_AGREEMENT:
            yield f"agreement {percent(totals.agreement)} is below {percent(MIN_AGREEMENT)}"
        if totals.roots:
            yield f"{totals.roots} root divergences"
        if totals.learned + totals.assumed > MAX_NOT_COMPUTED * totals.reads:
            yield f"{totals.learned + totals.assumed:,} of {totals.reads:,} reads are learned or assumed"
        if totals.unmodelled:
            yield f"{totals.unmodelled:,} reads are unmodelled"
        if self.unclaimed[1]:
            places = [place for place in self.verdict.unclaimed if place.region and place.reads]
            shown = ", ".join(f"{place.region} {place.reads:,}" for place in places[:5])
            yield f"{self.unclaimed[1]:,} reads of devices that are not modelled: {shown}"


def command(guest: Mapping[str, Any], directory: Path, clock: str) -> Sequence[str]:
    """The QEMU command of a guest; raises `guests.UnavailableError`."""
    words = f"{COMMON} {ICOUNT if clock == 'virtual' else ''} {guest['qemu']}".split()
    words += drives(directory, guest.get("disks", 0))
    if "firmware" in guest:
        words += ["-bios", str(guests.firmware(*guest["firmware"]))]
    elif "kernel" in guest:
        flavour = guest["kernel"]
        modules = guest.get("modules", "").split()
        words += [
            *LINUX.split(),
            "-kernel",
            str(guests.kernel(flavour)),
            "-append",
            f"console=ttyS0 {APPEND} end=reboot",
        ]
        words += ["-initrd", str(guests.initramfs(directory, flavour, modules=modules))]
    else:
        words += FIRMWARE.split()
    return words


def replay(path: Path) -> Verdict:
    """The verdict of a trace in the machine that it was recorded on."""
    with TraceReader(path) as trace:
        return Replayer(trace, build(trace.guest), name=path.name).run()


def percent(share: float | None) -> str:
    """Three decimals, never rounded up."""
    return "-" if share is None else f"{math.floor(share * 100_000) / 1000:.3f} %"


def table(rows: Sequence[Row]) -> str:
    """The table, in Markdown."""
    lines = [
        "| guest | reads | checked | matched | masked | learned | assumed | roots | unmodelled "
        "| unclaimed, QEMU has nothing there | unclaimed, others | agreement |",
        "|---|" + "---:|" * 11,
    ]
    for row in rows:
        totals = row.verdict.totals
        counts = (
            *(totals.reads, totals.checked, totals.matched, totals.masked, totals.learned, totals.assumed),
            *(totals.roots, totals.unmodelled, *row.unclaimed),
        )
        cells = (row.name, *(f"{count:,}" for count in counts), percent(totals.agreement))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def not_computed(rows: Sequence[Row]) -> str:
    """What was learned and assumed, by register, over all guests."""
    lines: list[str] = []
    for kind in ("learned", "assumed"):
        counts: dict[str, int] = {}
        for row in rows:
            for device in row.verdict.devices:
                for register, count in getattr(device, kind).items():
                    key = f"{device.name} {register}"
                    counts[key] = counts.get(key, 0) + count
        shown = ", ".join(f"{key} {count:,}" for key, count in sorted(counts.items(), key=lambda item: -item[1]))
        lines.append(f"{kind}: {shown or 'nothing'}")
    return "\n".join(lines)


def update_readme(text: str) -> None:
    """Put the table into the README, between its marks."""
    begin, end = MARKS
    readme = README.read_text()
    README.write_text(re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{text}\n{end}", readme, flags=re.DOTALL))


def run(name: str, guest: Mapping[str, Any], directory: Path, clock: str) -> Row:
    """Record and replay one guest."""
    trace = directory / f"{name}.db"
    limits = guest.get("record", "").split()
    clocks = ["--clock", clock]
    done = record("--force", "-o", trace, *clocks, *limits, "--", *command(guest, directory, clock))
    if done.returncode:
        raise guests.UnavailableError(f"{name}: {done.stderr.strip().splitlines()[-1:]}")
    return Row(name, replay(trace))


def main() -> int:
    """Make the table."""
    known = tomllib.loads(GUESTS.read_text())
    parser = argparse.ArgumentParser(prog="script/fidelity", description=__doc__)
    parser.add_argument("guests", nargs="*", metavar="GUEST", help=f"of {', '.join(known)}; all by default")
    parser.add_argument("--clock", choices=("virtual", "host"), default="virtual", help="the clock of the recordings")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="keep the traces there")
    parser.add_argument("--update-readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    unknown = [name for name in options.guests if name not in known]
    if unknown:
        parser.error(f"unknown guest {', '.join(unknown)}; known: {', '.join(known)}")
    rows: list[Row] = []
    troubles: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        directory = options.keep or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        for name in options.guests or known:
            print(f"recording and replaying {name}", file=sys.stderr, flush=True)
            try:
                rows.append(run(name, known[name], directory, options.clock))
            except guests.UnavailableError as why:
                troubles.append(str(why))
    text = table(rows)
    print(f"{text}\n\n{not_computed(rows)}")
    if options.update_readme:
        update_readme(text)
    shortcomings = [f"{row.name}: {what}" for row in rows for what in row.shortcomings()]
    for line in (*troubles, *shortcomings):
        print(line, file=sys.stderr)
    return 2 if troubles else 1 if shortcomings else 0


if __name__ == "__main__":
    sys.exit(main())
