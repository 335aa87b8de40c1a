"""``vmdev info``: what is in a trace, and whether it is complete."""

from __future__ import annotations

import json
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import click

from vmdev.replay.clock import NANOSECONDS_PER_SECOND
from vmdev.replay.printable import printable
from vmdev.replay.provenance import provenance
from vmdev.replay.trace import TraceReader, Verification, find_gaps, verify

from .output import table, to_json

FORMAT_VERSION: Final = 1
"""Of the JSON output."""

NOT_COMPLETE: Final = 1
"""Exit status of --check, as diff(1)'s."""

COMPLETE_SO_FAR: Final = "complete as far as the counters tell; --check looks at every row"

_NOWHERE: Final = "(nothing mapped)"


@dataclass(slots=True)
class Device:
    """Accesses to all regions of one name in one space. `region` is empty where nothing was mapped."""

    region: str
    space: str
    reads: int = 0
    writes: int = 0


@dataclass(slots=True)
class Contents:
    """What is in a trace; the names are those of the JSON output."""

    trace: str
    complete: bool
    """As far as the counters tell."""
    closed: bool
    gaps: list[str]
    """Why it is not complete."""
    notes: list[str]
    """What was left out on purpose."""
    first_exit: int
    """Number of the first exit; not 0 if only the last ones were kept."""
    exits: int
    sites: int
    first_ns: int | None
    """Time of the first exit."""
    last_ns: int | None
    file_bytes: int
    bytes_per_exit: float | None
    spaces: list[Device]
    """Totals of each space; their `region` is empty."""
    devices: list[Device]
    """The most frequent first."""
    events: dict[str, int]
    """Number of events by kind."""
    pci_functions: list[str]
    meta: dict[str, str | int]


@click.command()
@click.argument("trace", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Look at every row, and say only whether the trace is complete.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def info(context: click.Context, trace: Path, check: bool, form: str) -> None:
    """Show what is in a trace: guest, QEMU, devices, counts, completeness.

    With --check, every row and every page of the file is looked at, which takes tens of seconds for ten million exits.
    The exit status is then 0 if the trace is complete, 1 if it is not, and 2 in case of trouble.

    Example:

    \b
        vmdev info boot.db
        vmdev info boot.db --format json
        vmdev info boot.db --check
    """
    with (
        TraceReader(trace) as reader,
        click.progressbar(
            length=reader.exit_count,
            label="Checking" if check else "Counting",
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
        ) as bar,
    ):
        if check:
            verification = verify(reader, bar.update)
            verification.notes[:0] = _notes(reader)
        else:
            contents = summarise(reader, reader.count_by_site(bar.update))
    if check:
        complete = not verification.gaps
        facts = {"version": FORMAT_VERSION, "trace": str(trace), "complete": complete, **asdict(verification)}
        click.echo(to_json(facts, indent=2) if form == "json" else "\n".join(_verdict(trace, verification)))
        if not complete:
            context.exit(NOT_COMPLETE)
    elif form == "json":
        click.echo(to_json({"version": FORMAT_VERSION, **asdict(contents)}, indent=2))
    else:
        click.echo("\n".join(_lines(contents)))


def summarise(trace: TraceReader, counts: Sequence[int]) -> Contents:
    """What is in the trace. `counts` is the number of exits from each site."""
    spaces = {space: Device("", space) for space in ("pio", "mmio")}
    devices: dict[tuple[str, str], Device] = {}
    for site, count in zip(trace.sites, counts, strict=True):
        device = devices.setdefault((site.region, site.space), Device(site.region, site.space))
        for tally in (device, spaces[site.space]):
            if site.direction == "r":
                tally.reads += count
            else:
                tally.writes += count
    gaps = find_gaps(trace, counts)
    exits = trace.exit_count
    file_bytes = trace.path.stat().st_size
    return Contents(
        trace=str(trace.path),
        complete=not gaps,
        closed=trace.closed,
        gaps=gaps,
        notes=_notes(trace),
        first_exit=trace.first_exit,
        exits=exits,
        sites=len(trace.sites),
        first_ns=trace.exit(trace.first_exit)[1] if exits else None,
        last_ns=trace.exit(trace.end - 1)[1] if exits else None,
        file_bytes=file_bytes,
        bytes_per_exit=round(file_bytes / exits, 1) if exits else None,
        spaces=list(spaces.values()),
        devices=sorted(devices.values(), key=lambda d: (-d.reads - d.writes, d.space, d.region)),
        events=dict(Counter(event.kind for event in trace.events())),
        pci_functions=[
            f"{f.bus:02x}:{f.slot:02x}.{f.function:x} {f.vendor_id:04x}:{f.device_id:04x} class {f.class_code:04x}"
            for f in trace.guest.functions
        ],
        meta=trace.meta,
    )


def _lines(contents: Contents) -> Iterator[str]:
    """The text, line by line."""
    yield f"{printable(contents.trace)}: {COMPLETE_SO_FAR if contents.complete else 'NOT COMPLETE'}"
    for line in contents.gaps + contents.notes:
        yield f"  {printable(line)}"
    yield ""
    yield _table([fact for fact in _facts(contents) if fact[1]])
    yield ""
    yield _table([("space", "reads", "writes"), *map(_by_space, contents.spaces)], (1, 2))
    if contents.devices:
        yield ""
        yield _table([("device", "space", "reads", "writes"), *map(_by_device, contents.devices)], (2, 3))
    if contents.pci_functions:
        yield ""
        yield _table([("PCI",), *((function,) for function in contents.pci_functions)])


def _verdict(trace: Path, verification: Verification) -> Iterator[str]:
    """What --check prints, line by line."""
    yield f"{printable(str(trace))}: {'NOT COMPLETE' if verification.gaps else 'complete'}"
    for line in verification.gaps + verification.notes:
        yield f"  {printable(line)}"


def _notes(trace: TraceReader) -> list[str]:
    """What was left out on purpose, a line each."""
    notes: list[str] = []
    origin = provenance(trace.meta)
    if origin is not None:
        notes.append(f"imported from a {origin.title}, and complete as far as that went:")
        notes += [f"  {lack}" for lack in (*origin.losses, *origin.notes)]
    excluded = trace.meta.get("excluded", 0)
    if excluded or "filter" in trace.meta:
        notes.append(f"filtered: {excluded:,} accesses were left out; recorded was {trace.meta.get('filter', '?')}")
    if isinstance(trace.meta.get("part"), int):
        files = f"file {int(trace.meta['part']) + 1} of {trace.meta.get('parts', '?')}"
        notes.append(f"{files} of a rotated recording: exits from number {trace.first_exit:,} on")
    elif trace.first_exit:
        notes.append(f"exits before number {trace.first_exit:,} were not kept")
    return notes


def _facts(contents: Contents) -> Iterator[tuple[str, str]]:
    """What is said in a line each: its title, and the text, empty if the trace does not know it."""
    meta = {key: str(value) for key, value in contents.meta.items()}

    def known(text: str, key: str) -> str:
        return text.format(meta[key]) if key in meta else ""

    def listed(*texts: str) -> str:
        return ", ".join(text for text in texts if text)

    yield (
        "guest",
        listed(
            meta.get("machine", ""),
            known("{}", "machine_type"),
            known("{}", "target"),
            known("{} CPU" if meta.get("smp") == "1" else "{} CPUs", "smp"),
        ),
    )
    yield "QEMU", listed(meta.get("qemu", ""), known("plugin API {}", "plugin_api"))
    yield "recorded", listed(meta.get("started", ""), known("by vmdev {}", "vmdev"), known("MMIO {}", "mmio"))
    yield "ended by", meta.get("end_reason", "")
    yield (
        "clock",
        listed(
            meta.get("clock", ""),
            known("icount shift {}", "icount_shift"),
            known("RTC base {}", "rtc_base"),
            known("seed {}", "seed"),
        ),
    )
    yield "host input", _host_input(meta.get("async_sources"))
    for number, image in enumerate(_images(meta.get("images"))):
        yield "" if number else "images", image
    yield "command", _command(meta.get("command"))
    yield "exits", _exits(contents)
    yield "sites", f"{contents.sites:,}"
    yield "events", listed(*(f"{kind} {count:,}" for kind, count in contents.events.items()))
    yield (
        "file",
        f"{contents.file_bytes:,} bytes"
        + (f", {contents.bytes_per_exit} for each exit" if contents.bytes_per_exit is not None else ""),
    )


def _exits(contents: Contents) -> str:
    if contents.first_ns is None or contents.last_ns is None:
        return "0"
    if contents.meta.get("clock") == "none":
        return f"{contents.exits:,}, at unknown times"
    first, last = (ns / NANOSECONDS_PER_SECOND for ns in (contents.first_ns, contents.last_ns))
    return f"{contents.exits:,} in {last - first:.6f} s, from {first:.6f} s to {last:.6f} s"


def _host_input(sources: str | None) -> str:
    found = _json_list(sources)
    if found is None:
        return sources or ""
    return ", ".join(map(str, found)) + ": differs from run to run" if found else "none"


def _images(images: str | None) -> list[str]:
    found = _json_list(images)
    if found is None:
        return [images] if images else []
    return [_image(image) if isinstance(image, Mapping) else str(image) for image in found]


def _image(image: Mapping[str, object]) -> str:
    size = image.get("size")
    facts = [str(image.get("name", "")), f"{size:,} bytes" if isinstance(size, int) else ""]
    return ", ".join(fact for fact in [*facts, f"sha256 {image['sha256']}" if "sha256" in image else ""] if fact)


def _command(command: str | None) -> str:
    found = _json_list(command)
    return (command or "") if found is None else shlex.join(map(str, found))


def _json_list(text: str | None) -> list[object] | None:
    """The list that `text` is in JSON; None if it is none."""
    try:
        found = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _by_space(tally: Device) -> tuple[str, ...]:
    return tally.space, f"{tally.reads:,}", f"{tally.writes:,}"


def _by_device(device: Device) -> tuple[str, ...]:
    return device.region or _NOWHERE, device.space, f"{device.reads:,}", f"{device.writes:,}"


def _table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    return table(rows, right, indent="  ").rstrip("\n")
