"""The files of a rotated recording."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmdev.cli.parts import make_room, part_path, sites_before
from vmdev.cli.qemu.process import MapSnapshot
from vmdev.replay.errors import OutputExistsError


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        ("/tmp/trace.db", "/tmp/trace.1.db"),
        ("/tmp/a.b/trace", "/tmp/a.b/trace.1"),
        ("/tmp/boot.2026.db", "/tmp/boot.2026.1.db"),
        ("/tmp/.trace", "/tmp/.trace.1"),
        ("/tmp/.trace.db", "/tmp/.trace.1.db"),
        ("/tmp/trace.", "/tmp/trace.1."),
    ],
)
def test_the_number_stands_before_the_suffix(output: str, wanted: str) -> None:
    """tests/plugin/test_part_path.c has the same."""
    assert part_path(Path(output), 0) == Path(output)
    assert part_path(Path(output), 1) == Path(wanted)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Files that no part is called like."""
    names = ["trace.db", "trace.0.db", "trace.01.db", "trace.a.db", "trace1.db", "xtrace.1.db", "trace.1.db.bak"]
    for name in names:
        (tmp_path / name).write_text(name)
    return [tmp_path / name for name in names]


def test_parts_of_another_recording_are_not_overwritten(files: list[Path]) -> None:
    make_room(files[0], force=False)
    part = files[0].with_name("trace.17.db")
    part.write_text("precious")
    with pytest.raises(OutputExistsError, match=r"trace\.17\.db: exists, and --rotate may need the name"):
        make_room(files[0], force=False)
    assert part.exists()


def test_force_removes_them_and_nothing_else(files: list[Path]) -> None:
    parts = [files[0].with_name(name) for name in ("trace.1.db", "trace.17.db", "trace.17.db-journal")]
    for part in parts:
        part.write_text("rubbish")
    make_room(files[0], force=True)
    assert not any(part.exists() for part in parts)
    assert all(file.exists() for file in files)


def test_a_folder_in_the_way_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "trace.1.db").mkdir()
    with pytest.raises(OutputExistsError, match="not a regular file"):
        make_room(tmp_path / "trace.db", force=True)


def test_a_folder_that_is_missing_is_for_others_to_tell(tmp_path: Path) -> None:
    make_room(tmp_path / "none" / "trace.db", force=False)


def snapshot(seq: int, sites: int) -> MapSnapshot:
    return MapSnapshot(seq, sites, [])


def test_a_snapshot_counts_sites_of_the_file_that_was_written_to() -> None:
    """The recorder begins a file with the exit that no longer fits: after 10 of 10 it is still the one before."""
    maps = [snapshot(0, 0), snapshot(10, 7), snapshot(11, 1), snapshot(20, 4), snapshot(21, 1)]
    never = sites_before([snapshot(11, 0)], 0, 10)[0]
    assert never > 1 << 32
    assert sites_before(maps, 0, 10) == [0, 7, never, never, never]
    assert sites_before(maps, 1, 10) == [0, 0, 1, 4, never]
    assert sites_before(maps, 2, 10) == [0, 0, 0, 0, 1]
    assert sites_before(maps, 0, None) == [0, 7, 1, 4, 1]
