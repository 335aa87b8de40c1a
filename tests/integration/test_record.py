"""Recording real guests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bare_metal import X86, build
from vmdev.cli.qemu import verify
from vmdev.cli.qemu.command import DEFAULT_GUEST
from vmdev.cli.qemu.ops_events import EVENTS, LOG_ITEMS, Access, compare, parse_events
from vmdev.replay.trace.reader import TraceReader

Vmdev = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.integration


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def record(vmdev: Vmdev, path: Path, *options: str) -> Path:
    done = vmdev("record", "-o", path, *options)
    assert done.returncode == 0, done.stderr
    return path


def test_recording_is_closed_and_accounts_for_every_access(recorded: Path) -> None:
    with TraceReader(recorded) as trace:
        meta = trace.meta
        assert trace.closed
        assert meta["exits"] == trace.exit_count > 10_000
        assert meta["dropped"] == 0
        assert meta["exits"] == sum(
            int(meta[f"{kind}_{space}"]) for kind in ("reads", "writes") for space in ("pio", "mmio")
        )
        assert meta["machine"] == "pc"
        assert meta["clock_source"] == "qemu_clock_get_ns"
        assert [(event.seq, event.kind) for event in trace.events()] == [(0, "reset")]


def test_console_output_passes_through(vmdev: Vmdev, tmp_path: Path) -> None:
    done = vmdev("record", "-o", tmp_path / "t.db")
    assert "SeaBIOS (version" in done.stdout
    assert "No bootable device." in done.stdout


def test_two_recordings_are_equal(vmdev: Vmdev, recorded: Path, tmp_path: Path) -> None:
    again = record(vmdev, tmp_path / "again.db")
    for table in ("access", "site", "event", "interrupt", "region", "pci_function"):
        query = f"SELECT * FROM {table}"
        assert rows(again, query) == rows(recorded, query), table


def test_fast_and_full_see_the_same(vmdev: Vmdev, recorded: Path, tmp_path: Path) -> None:
    full = record(vmdev, tmp_path / "full.db", "--mmio", "full")
    assert rows(full, "SELECT * FROM access") == rows(recorded, "SELECT * FROM access")
    assert rows(full, "SELECT value FROM meta WHERE key = 'mmio_fast_misses'") == [(0,)]


def test_mmio_off_records_the_ports_alone(vmdev: Vmdev, recorded: Path, tmp_path: Path) -> None:
    ports = record(vmdev, tmp_path / "ports.db", "--mmio", "off")
    columns = "t_ns, pc, direction, address, size, value"
    query = f"SELECT {columns} FROM access WHERE space = 'pio' ORDER BY seq"
    assert rows(ports, query) == rows(recorded, query)
    assert rows(ports, "SELECT count(*) FROM access WHERE space = 'mmio'") == [(0,)]


def test_verify_finds_that_qemus_own_events_agree(vmdev: Vmdev, tmp_path: Path) -> None:
    """Nearly all as they are; vga-lowmem takes bytes, and fw_cfg's DMA address register is big-endian."""
    path = tmp_path / "t.db"
    done = vmdev("record", "-o", path, "--verify")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "verified: QEMU's own trace events tell of the same accesses"
    with TraceReader(path) as trace:
        verified = json.loads(str(trace.meta["verified"]))
        count = trace.exit_count
    assert verified["complete"]
    assert sum(verified["rules"].values()) == count
    assert verified["rules"].keys() == {"exact", "split", "swapped"}
    assert verified["rules"]["exact"] > 0.5 * count
    assert 0 < verified["rules"]["swapped"] <= len(rows(path, "SELECT 1 FROM access WHERE region = 'fwcfg.dma'"))


def test_verify_finds_each_lost_access(vmdev: Vmdev, tmp_path: Path) -> None:
    """A trace from which one access was taken, of each region in turn, held against the log of its run."""
    path, log = tmp_path / "t.db", tmp_path / "events.log"
    tracing = [word for event in EVENTS for word in ("-trace", event)]
    record(vmdev, path, "--", "qemu-system-x86_64", *DEFAULT_GUEST, *tracing, "-d", LOG_ITEMS, "-D", str(log))
    with TraceReader(path) as trace, log.open() as lines:
        accesses = list(verify.accesses(trace))
        events = list(parse_events(lines))
    assert compare(accesses, events).complete
    last_of = {access.region: number for number, access in enumerate(accesses) if isinstance(access, Access)}
    assert len(last_of) > 20
    for region, number in last_of.items():
        agreement = compare(accesses[:number] + accesses[number + 1 :], events)
        assert not agreement.complete, region
        assert len(agreement.lost) + len(agreement.unexplained) <= 8, region


def test_pinned_recordings_are_equal(vmdev: Vmdev, tmp_path: Path) -> None:
    """SeaBIOS looks for a boot sector on three drives, whose data comes when the host likes."""
    guest = ["qemu-system-x86_64", *DEFAULT_GUEST]
    for name in ("virtio", "ide", "none"):
        image = tmp_path / f"{name}.img"
        image.write_bytes(bytes(1 << 20))
        guest += ["-drive", f"file={image},format=raw,if={name},id={name}"]
    guest += ["-device", "ide-cd,drive=none,bus=ide.1", "-netdev", "user,id=n", "-device", "e1000,netdev=n,romfile="]
    pin = tmp_path / "guest.pin"
    first, second = (record(vmdev, tmp_path / f"{n}.db", "--pin", str(pin), "--", *guest) for n in (1, 2))
    query = "SELECT * FROM access"
    assert rows(first, query) == rows(second, query)
    assert rows(first, "SELECT 1 FROM access WHERE region LIKE 'virtio-pci-common%'")
    with TraceReader(first) as trace:
        meta = trace.meta
    assert meta["end_reason"] == "pin"
    assert json.loads(str(meta["async_sources"])) == []
    assert json.loads(str(meta["pin"]))["name"] == "guest.pin"


def test_ends_after_the_given_number_of_accesses(vmdev: Vmdev, recorded: Path, tmp_path: Path) -> None:
    short = record(vmdev, tmp_path / "short.db", "--exits", "1000")
    columns = "seq, t_ns, pc, address, value"
    assert rows(short, f"SELECT {columns} FROM access") == rows(recorded, f"SELECT {columns} FROM access LIMIT 1000")
    assert rows(short, "SELECT value FROM meta WHERE key IN ('closed', 'end_reason') ORDER BY key") == [
        (1,),
        ("exits",),
    ]


def test_ends_at_the_given_time_of_the_guest(vmdev: Vmdev, recorded: Path, tmp_path: Path) -> None:
    short = record(vmdev, tmp_path / "short.db", "--duration", "10ms")
    assert rows(short, "SELECT count(*) FROM exit") == rows(
        recorded, "SELECT count(*) FROM access WHERE t_ns < 10000000"
    )


def test_ends_at_the_given_time_of_a_guest_that_is_quiet(vmdev: Vmdev, tmp_path: Path) -> None:
    """Its only access comes first; then it runs in a circle."""
    path = tmp_path / "t.db"
    guest = build("quiet.S", tmp_path, X86)
    command = ("qemu-system-x86_64", "-M", "pc", "-nodefaults", "-display", "none", "-bios", str(guest.image))
    done = vmdev("record", "-o", path, "--duration", "100ms", "--", *command, timeout=60)
    assert done.returncode == 0, done.stderr
    assert rows(path, "SELECT address, value FROM access") == [("0x80", "0x10")]
    assert rows(path, "SELECT value FROM meta WHERE key IN ('closed', 'end_reason') ORDER BY key") == [
        (1,),
        ("duration",),
    ]


def test_a_killed_qemu_leaves_a_readable_unclosed_trace(recorded: Path, tmp_path: Path) -> None:
    """QEMU is killed when SeaBIOS has given up: without a reboot-timeout it halts for ever."""
    path, pid = tmp_path / "killed.db", tmp_path / "pid"
    wrapper = tmp_path / "qemu-system-x86_64"
    wrapper.write_text(f'#!/bin/sh\necho $$ > {pid}\nexec qemu-system-x86_64 "$@"\n')
    wrapper.chmod(0o755)
    guest = DEFAULT_GUEST[: DEFAULT_GUEST.index("-boot")]
    with subprocess.Popen(
        [Path(sys.executable).with_name("vmdev"), "record", "-o", path, "--qemu", wrapper, "--", *guest],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert any("No bootable device" in line for line in process.stdout)
        os.kill(int(pid.read_text()), signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "the recording was cut off" in errors
    with TraceReader(path) as trace:
        assert not trace.closed
        kept = [row for chunk in trace.exits() for row in chunk]
    assert len(kept) == trace.exit_count
    with TraceReader(recorded) as trace:
        whole = next(trace.exits(0, None, 1000))
    assert kept[:1000] == whole[: len(kept)]


# Bad input


def check_refused(vmdev: Vmdev, message: str, *arguments: str | Path) -> None:
    done = vmdev("record", *arguments)
    assert done.returncode == 2, done.stderr
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("Error: "), done.stderr
    assert message in lines[-1]


def test_refuses_to_overwrite(vmdev: Vmdev, tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    path.write_bytes(b"precious")
    check_refused(vmdev, "--force", "-o", path)
    assert path.read_bytes() == b"precious"


def test_force_overwrites(vmdev: Vmdev, tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    path.write_bytes(b"rubbish")
    record(vmdev, path, "--force", "--exits", "10")
    assert rows(path, "SELECT count(*) FROM exit") == [(10,)]


def test_says_that_the_folder_is_missing(vmdev: Vmdev, tmp_path: Path) -> None:
    check_refused(vmdev, "there is no folder", "-o", tmp_path / "none" / "t.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_says_that_the_folder_cannot_be_written(vmdev: Vmdev, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    check_refused(vmdev, "Permission denied", "-o", tmp_path / "t.db")


def test_says_that_qemu_is_missing(vmdev: Vmdev, tmp_path: Path) -> None:
    check_refused(vmdev, "no such program", "-o", tmp_path / "t.db", "--qemu", "qemu-system-none")


def fake_qemu(tmp_path: Path, version: str, help_text: str) -> Path:
    path = tmp_path / "qemu-system-x86_64"
    path.write_text(
        f'#!/bin/sh\ncase "$1" in --version) echo "{version}";; -help) printf "{help_text}";; *) exit 3;; esac\n'
    )
    path.chmod(0o755)
    return path


def test_says_that_qemu_is_too_old(vmdev: Vmdev, tmp_path: Path) -> None:
    qemu = fake_qemu(tmp_path, "QEMU emulator version 7.2.11 (Debian 1:7.2+dfsg-7+deb12u6)", "\\n-plugin x\\n")
    check_refused(vmdev, "9.2 or newer", "-o", tmp_path / "t.db", "--qemu", qemu)


def test_says_that_qemu_has_no_plugins(vmdev: Vmdev, tmp_path: Path) -> None:
    qemu = fake_qemu(tmp_path, "QEMU emulator version 10.0.2", "\\n-name x\\n")
    check_refused(vmdev, "--enable-plugins", "-o", tmp_path / "t.db", "--qemu", qemu)


def test_shows_qemus_own_error_and_leaves_no_file(vmdev: Vmdev, tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    check_refused(vmdev, "unsupported machine type", "-o", path, "--", "qemu-system-x86_64", "-M", "nonsense")
    assert not path.exists()


def test_refuses_kvm(vmdev: Vmdev, tmp_path: Path) -> None:
    check_refused(vmdev, "only TCG", "-o", tmp_path / "t.db", "--", "qemu-system-x86_64", "-accel", "kvm")


def test_refuses_icount_with_several_cpus(vmdev: Vmdev, tmp_path: Path) -> None:
    check_refused(
        vmdev, "broken", "-o", tmp_path / "t.db", "--", "qemu-system-x86_64", "-icount", "shift=5", "-smp", "2"
    )
