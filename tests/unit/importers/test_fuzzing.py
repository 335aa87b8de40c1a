"""Logs from strangers: whatever they hold, an import ends with a sound trace or with one error of ours.

``script/fuzz`` tries 100,000 logs of each format.
"""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import SAMPLES

from logs import run_import
from vmdev.replay.errors import ImportFailedError
from vmdev.replay.guest import PciFunction, Region
from vmdev.replay.importers import FORMATS, Import, guess, read_lines
from vmdev.replay.trace import TraceReader, TraceWriter, verify

FUZZ = int(os.environ.get("VMDEV_FUZZ", "0"))
MANY = 2000
EXAMPLES = max(150, FUZZ // 20)
"""Of hypothesis, which takes longer for each."""

U64 = 1 << 64

HOSTILE = [
    b"0x0", b"0xffffffffffffffff", b"0x10000000000000000", b"-1", b"0", b"9" * 30, b"9" * 5000, b"4294967296", b"1e9",
    b"\xd9\xa3", b"\x1b[31m", b"\x00", b"\xff\xfe", b"'", b"\r", b"\n", b" ", b"(null)", b"x" * 70_000,
]  # fmt: skip
"""Words to put in place of others. The tenth is a digit that Python takes for one, and is not ASCII."""


def damaged_line(form: str, chance: Random) -> bytes:
    """A line of the format of which some words are others, or some bytes, or the end is missing."""
    line = chance.choice(SAMPLES[form]).encode()
    for _ in range(chance.randint(0, 3)):
        match chance.randrange(4):
            case 0:
                words = line.split(b" ")
                new = chance.choice(HOSTILE) if chance.randrange(2) else some_bytes(chance, 0, 8)
                words[chance.randrange(len(words))] = new
                line = b" ".join(words)
            case 1:
                at = chance.randint(0, len(line))
                line = line[:at] + some_bytes(chance, 1, 4) + line[at + chance.randint(0, 4) :]
            case 2:
                line = line[: chance.randint(0, len(line))]
            case _:
                digits = [index for index, byte in enumerate(line) if chr(byte) in "0123456789abcdef"]
                if digits:
                    at = chance.choice(digits)
                    line = line[:at] + chance.choice([b"f", b"9", b"00000", b"-", b"8888"]) + line[at + 1 :]
    return line


def some_bytes(chance: Random, least: int, most: int) -> bytes:
    return bytes(chance.randrange(256) for _ in range(chance.randint(least, most)))


def damaged_log(form: str, chance: Random) -> bytes:
    """A log of the format, good and bad lines mixed, or anything at all."""
    if not chance.randrange(20):
        return some_bytes(chance, 0, 200)
    return b"\n".join(damaged_line(form, chance) for _ in range(chance.randint(1, 6)))


def logs(form: str) -> st.SearchStrategy[bytes]:
    """The same, of which hypothesis finds the shortest that fails."""
    return st.randoms(use_true_random=False).map(lambda chance: damaged_log(form, chance))


class CheckedSink:
    """Takes what a trace takes, and checks it as `TraceWriter` and SQLite do."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.now = 0

    def add_site(self, *, address: int, size: int, pc: int, vcpu: int, region: str, space: str, **_: Any) -> int:
        assert 0 <= address < U64
        assert 0 <= pc < U64
        assert 0 <= vcpu < 4096
        assert size in (1, 2, 4, 8)
        assert space != "pio" or address < 0x10000 or size > 1
        region.encode()
        self.sizes.append(size)
        return len(self.sizes) - 1

    def add_exit(self, t_ns: int, site: int, value: int) -> None:
        assert self.now <= t_ns < 1 << 63
        assert 0 <= value < 1 << 8 * self.sizes[site]
        self.now = t_ns

    def add_event(self, kind: str, detail: str, t_ns: int, vcpu: int | None) -> None:
        assert kind
        assert len(detail.encode()) < 10_000
        assert 0 <= t_ns < 1 << 63

    def add_regions(self, snapshot: int, seq: int, regions: list[Region]) -> None:
        for region in regions:
            assert 0 <= region.first <= region.last < U64
            region.name.encode()

    def add_pci_function(self, function: PciFunction, bars: list[dict[str, Any]]) -> None:
        assert max(function.bus, function.vendor_id, function.device_id) < 1 << 16
        assert all(0 < bar["size"] < 1 << 63 and 0 <= bar["address"] < 1 << 63 for bar in bars)

    def set_meta(self, key: str, value: object) -> None:
        assert key


def import_or_refuse(form: str, log: bytes) -> None:
    with suppress(ImportFailedError):
        Import(FORMATS[form](), cast(TraceWriter, CheckedSink())).run(read_lines(io.BytesIO(log)))


@pytest.mark.parametrize("form", FORMATS)
def test_many_logs_are_imported_or_refused(form: str) -> None:
    for number in range(max(MANY, FUZZ)):
        log = damaged_log(form, Random(number))  # what failed, fails again
        try:
            import_or_refuse(form, log)
        except Exception as error:
            raise AssertionError(f"log number {number}: {log!r}") from error


@pytest.mark.parametrize("form", FORMATS)
def test_any_log_is_imported_or_refused(form: str) -> None:
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
    @given(logs(form))
    def check(log: bytes) -> None:
        import_or_refuse(form, log)

    check()


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_imported_is_a_complete_trace(form: str, tmp_path: Path) -> None:
    @settings(max_examples=max(10, EXAMPLES // 100), suppress_health_check=list(HealthCheck))
    @given(logs(form))
    def check(log: bytes) -> None:
        try:
            run_import(tmp_path / "t.db", form, log)
        except ImportFailedError:
            return
        with TraceReader(tmp_path / "t.db") as trace:
            assert verify(trace).gaps == []

    check()


@settings(max_examples=EXAMPLES)
@given(st.one_of(*map(logs, FORMATS)))
def test_guessing_never_fails(log: bytes) -> None:
    guess(read_lines(io.BytesIO(log)))


@pytest.mark.parametrize("form", FORMATS)
def test_samples_are_recognised(form: str) -> None:
    assert guess(read_lines(io.BytesIO("\n".join(SAMPLES[form]).encode()))) is FORMATS[form]


@pytest.mark.parametrize("form", FORMATS)
def test_a_long_line_takes_no_time(form: str) -> None:
    """No pattern tries again and again: such a test hangs where one does."""
    for sample in SAMPLES[form]:
        for piece in (" ", "0", "a ", "x)", "[", "(", sample + " ", "memory_region_ops_read "):
            line = (sample[:20] + piece * 16_384)[:16_300]
            import_or_refuse(form, line.encode())
