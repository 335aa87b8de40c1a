"""What ``vmdev record`` itself puts into a recording: marks, and input for the guest's serial port."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from vmdev.replay.errors import RecordError

from .times import parse_time

_TARGETS_WITH_PORTS: Final = ("i386", "x86_64", "amd64")
_PORTS: Final = 1 << 16
_ADDRESSES: Final = 1 << 64


@dataclass(frozen=True, slots=True)
class Mark:
    """A text to stand in the trace before the first access at or after a time."""

    text: str
    t_ns: int


@dataclass(frozen=True, slots=True)
class MarkPort:
    """Where the guest writes texts that are to stand in the trace."""

    space: str
    """"pio" or "mmio"."""
    address: int

    def __str__(self) -> str:
        return f"{self.space}:{self.address:#x}"


@dataclass(frozen=True, slots=True)
class SerialInput:
    """A file whose bytes the guest receives at its serial port, from a time on."""

    path: Path
    t_ns: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Stimulus:
    """All of it."""

    marks: Sequence[Mark] = ()
    mark_port: MarkPort | None = None
    inputs: Sequence[SerialInput] = ()

    def check(self, target: str, mmio: str) -> None:
        """Raise `RecordError` if the guest's architecture or ``--mmio`` exclude it."""
        if self.mark_port is None:
            return
        if self.mark_port.space == "pio" and target not in _TARGETS_WITH_PORTS:
            raise RecordError(f"--mark-port {self.mark_port}: {target} has no ports; use mmio:ADDRESS")
        if self.mark_port.space == "mmio" and mmio == "off":
            raise RecordError(f"--mark-port {self.mark_port}: needs --mmio fast or full, not off")

    def plugin_options(self, chardev: str) -> list[str]:
        """The recorder's options; `chardev` is QEMU's name of what the serial port is connected to."""
        options = [f"mark={mark.t_ns}:{mark.text}" for mark in self.marks]
        if self.mark_port is not None:
            options.append(f"mark-port={self.mark_port}")
        if self.inputs:
            options.append(f"serial-chardev={chardev}")
        inputs = sorted(self.inputs, key=lambda each: each.t_ns)
        options += [f"serial-input={each.t_ns}:{each.path.resolve()}" for each in inputs]
        return [option.replace(",", ",,") for option in options]

    @property
    def facts(self) -> dict[str, str | list[dict[str, object]]]:
        """What the trace's table `meta` is to say."""
        facts: dict[str, str | list[dict[str, object]]] = {}
        if self.mark_port is not None:
            facts["mark_port"] = str(self.mark_port)
        if self.inputs:
            facts["serial_input"] = [
                {"name": each.path.name, "size": each.size, "sha256": each.sha256, "t_ns": each.t_ns}
                for each in sorted(self.inputs, key=lambda each: each.t_ns)
            ]
        return facts

    def notes(self, meta: Mapping[str, str | int]) -> list[str]:
        """What did not come to pass, by what the recorder says in `meta`."""
        notes = []
        marks_left = int(meta.get("marks_left", 0))
        if marks_left:
            marks = sorted(self.marks, key=lambda mark: mark.t_ns)
            notes += [
                f"--mark {mark.text[:40]!r}: the recording ended before {mark.t_ns / 1e9:g} s"
                for mark in marks
                if mark.t_ns >= marks[-min(marks_left, len(marks))].t_ns
            ]
        bytes_left = int(meta.get("serial_input_left", 0))
        if bytes_left:
            size = sum(each.size for each in self.inputs)
            notes.append(f"--serial-input: {bytes_left} of {size} bytes were not fed: the guest ended or took no more")
        return notes


class MarkType(click.ParamType[Mark]):
    """TEXT@TIME."""

    name = "text@time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Mark:
        """Read an option's value."""
        if isinstance(value, Mark):
            return value
        text, _, time = str(value).rpartition("@")
        try:
            t_ns = parse_time(time)
        except ValueError:
            self.fail(f"must be TEXT@TIME with a time like 1.5s, 500ms or 2min, not {value!r}", param, ctx)
        if not text:
            self.fail(f"the text before @ is missing in {value!r}", param, ctx)
        if not text.isprintable():
            self.fail(f"the text must be printable, not {text!r}", param, ctx)
        return Mark(text, t_ns)


class MarkPortType(click.ParamType[MarkPort]):
    """PORT or mmio:ADDRESS."""

    name = "port"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> MarkPort:
        """Read an option's value."""
        if isinstance(value, MarkPort):
            return value
        text = str(value)
        space = "mmio" if text.startswith("mmio:") else "pio"
        number = text.removeprefix("mmio:")
        found = re.fullmatch(r"0[xX][0-9a-fA-F]+|[0-9]+", number)
        if found is None:
            self.fail(f"must be a port like 0x2f0, or mmio:ADDRESS, not {value!r}", param, ctx)
        address = int(number, 0 if number[:2] in ("0x", "0X") else 10)
        if address >= (_PORTS if space == "pio" else _ADDRESSES):
            what = "a port is below 0x10000" if space == "pio" else "an address has 64 bits"
            self.fail(f"{number}: {what}; write mmio:ADDRESS for memory", param, ctx)
        return MarkPort(space, address)


class SerialInputType(click.ParamType[SerialInput]):
    """FILE[@TIME]."""

    name = "file[@time]"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> SerialInput:
        """Read an option's value."""
        if isinstance(value, SerialInput):
            return value
        name, at, time = str(value).rpartition("@")
        if not at:
            name, time = time, "0s"
        try:
            t_ns = parse_time(time)
        except ValueError:
            self.fail(
                f"must be FILE or FILE@TIME with a time like 1.5s, 500ms or 2min, not {value!r} "
                "(a file's name with an @ needs the time too: NAME@0s)",
                param,
                ctx,
            )
        path = Path(name)
        try:
            if path.exists() and not path.is_file():
                self.fail(f"{name}: not a regular file", param, ctx)
            data = path.read_bytes()
        except (OSError, ValueError) as error:
            self.fail(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}", param, ctx)
        return SerialInput(path, t_ns, len(data), hashlib.sha256(data).hexdigest())
