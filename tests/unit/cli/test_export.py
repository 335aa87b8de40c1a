from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from vmdev.replay.exporters import FORMATS

Run = Callable[..., Result]


def test_it_goes_to_the_standard_output_and_the_losses_to_the_other(run: Run, trace: Path) -> None:
    result = run("export", trace, "--format", "csv", "--device", "rtc", "--time", "1us:", "--address", "0x71")
    assert result.exit_code == 0
    assert [line.split(",")[0] for line in result.stdout.splitlines()] == ["seq", "3"]
    assert result.stderr == "note: csv has no place for events, interrupts and facts of the trace\n"


def test_a_file_is_written_and_not_overwritten(run: Run, trace: Path, tmp_path: Path) -> None:
    output = tmp_path / "boot.qtest"
    assert run("export", trace, "--format", "qtest", "-o", output).exit_code == 0
    text = output.read_text()
    assert text.startswith("endianness # trace.db: 6 exits; recorded by qemu-system-x86_64 -M pc -append a b; ")
    assert "outb 0x70 0x8f # 0 rtc-index\nclock_set 448\ninb 0x71 # 0x00 1 rtc\n" in text
    again = run("export", trace, "--format", "csv", "-o", output)
    assert (again.exit_code, output.read_text()) == (2, text)
    assert "exists; choose another name" in again.stderr
    assert run("export", trace, "--format", "csv", "-o", output, "--force").exit_code == 0
    assert output.read_text().startswith("seq,")
    itself = run("export", trace, "--format", "csv", "-o", trace, "--force")
    assert itself.exit_code == 2
    assert "is the trace itself" in itself.stderr


def test_what_is_left_out_is_counted(run: Run, trace: Path) -> None:
    result = run("export", trace, "--format", "qtest")
    assert "note: 1 accesses were left out\n" in result.stderr
    result = run("export", trace, "--format", "mmiotrace")
    assert "note: 5 accesses were left out\n" in result.stderr


def test_bad_input_is_one_line(run: Run, trace: Path, tmp_path: Path) -> None:
    for words, complaint in (
        (("export", trace, "--format", "csv", "--device", "uart"), "no region 'uart'"),
        (("export", tmp_path / "none.db", "--format", "csv"), "none.db"),
        (("export", trace, "--format", "xml"), "xml"),
        (("export", trace, "--format", "csv", "--seq", "9:1"), "seq"),
    ):
        result = run(*words)
        assert result.exit_code == 2
        assert complaint in result.stderr
        assert result.stdout == ""


def test_no_text_of_a_trace_reaches_the_terminal_raw(run: Run, hostile: Path) -> None:
    for form in FORMATS:
        result = run("export", hostile, "--format", form)
        assert result.exit_code == 0
        assert all(line.isprintable() for line in result.output.splitlines())


def test_a_recording_that_was_cut_off_is_told(run: Run, tmp_path: Path) -> None:
    from latches import write_trace

    path = write_trace(tmp_path / "open.db", closed=False)
    assert "was cut off" in run("export", path, "--format", "csv").stderr
