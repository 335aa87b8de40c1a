"""Which snapshot of the memory map names a site."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmdev.replay.guest import Region
from vmdev.replay.trace.reader import TraceReader
from vmdev.replay.trace.writer import TraceWriter

BAR = 0xC000


def names(path: Path, sites_before: list[int] | None) -> list[str]:
    """One port, used first under snapshot 0 (nothing there), 1 (vga) and 2 (ide); it has gone in 3."""
    with TraceWriter(path) as writer:
        for snapshot, name in enumerate(["", "vga", "ide", ""]):
            writer.add_regions(snapshot, snapshot, [Region("pio", BAR, BAR + 7, name)] if name else [])
            if snapshot < 3:
                writer.add_exit(snapshot, writer.add_site(address=BAR, direction="r", pc=snapshot), 0)
        writer.resolve_regions(sites_before)
    with TraceReader(path) as reader:
        return [site.region for site in reader.sites]


def test_the_snapshot_in_force_at_the_first_use_names_it(tmp_path: Path) -> None:
    assert names(tmp_path / "t.db", [1, 2, 3])[1:] == ["vga", "ide"]


def test_where_nothing_was_mapped_then_the_next_one_names_it(tmp_path: Path) -> None:
    assert names(tmp_path / "t.db", [1, 2, 3])[0] == "vga"


@pytest.mark.parametrize("sites_before", [[3, 3, 3], [1, 3, 3]])
def test_a_later_snapshot_names_no_earlier_site_that_has_a_name(tmp_path: Path, sites_before: list[int]) -> None:
    assert set(names(tmp_path / "t.db", sites_before)) == {"vga"}


def test_without_their_numbers_the_latest_that_maps_it_names_it(tmp_path: Path) -> None:
    assert set(names(tmp_path / "t.db", None)) == {"ide"}
