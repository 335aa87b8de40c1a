"""A QEMU whose vCPUs stand still: how it is started, spoken to, and what happens if it dies. QEMU here is a script."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vmdev.cli.qemu import qtest
from vmdev.cli.qemu.binary import find_qemu, find_standstill, has_qtest_accelerator, identify
from vmdev.cli.qemu.qtest import QtestQemu
from vmdev.replay.errors import PluginNotBuiltError, QemuFailedError, QemuUnsuitableError

FAKE = """#!{python} -I
import json, os, re, socket, sys, threading, time
words = sys.argv[1:]
if words == ["--version"]:
    print("QEMU emulator version {version}")
elif words == ["-help"]:
    print("options:\\n-plugin FILE")
elif words[:2] == ["-accel", "qtest"] and "stdio" in words:
    sys.exit("qtest" not in "{accelerators}")
else:
    mode = words[0]
    if mode == "refuses":
        sys.exit("fake: no such machine")
    fds = [int(word.rpartition("fd=")[2]) for word in words if word.startswith("socket,")]
    line, monitor = (socket.socket(fileno=fd) for fd in fds)
    def tell(message):
        monitor.sendall(json.dumps(message).encode() + b"\\n")
    state = {{"reset": mode == "resets-itself"}}
    def monitors():
        version = {{"qemu": {{"major": 10, "minor": 0, "micro": 0}}, "package": ""}}
        tell({{"QMP": {{"version": version, "capabilities": []}}}})
        while True:
            request = json.loads(monitor.recv(4096))  # one at a time, without a line's end
            if request["execute"] == "system_reset" and mode != "stubborn":
                state["reset"] = True
            if state["reset"] and request["execute"] != "qmp_capabilities":
                state["reset"] = False
                tell({{"event": "RESET", "data": {{"guest": False}}, "timestamp": {{"seconds": 1, "microseconds": 2}}}})
            tell({{"return": {{}}, **{{key: request[key] for key in request if key == "id"}}}})
    threading.Thread(target=monitors, daemon=True).start()
    count = 0
    for command in line.makefile("r"):
        count += 1
        if mode == "dies" and count == 3:
            sys.stderr.write("fake: out of order\\n")
            sys.stderr.flush()
            os._exit(3)
        if mode == "sleeps":
            time.sleep(60)
        line.sendall(f"OK {{len(command.rstrip())}} {{' '.join(words) if count == 1 else ''}}\\n".encode())
"""


def fake(directory: Path, version: str = "10.0.2", accelerators: str = "tcg") -> str:
    path = directory / "qemu-system-x86_64"
    path.write_text(FAKE.format(python=sys.executable, version=version, accelerators=accelerators))
    path.chmod(0o755)
    return str(path)


def test_commands_are_sent_and_their_replies_come_in_order(tmp_path: Path) -> None:
    with QtestQemu(find_qemu(fake(tmp_path)), ["works"], 7) as qemu:
        qemu.send(b"a\nbb\n")
        qemu.send(b"ccc\n")
        first, second = qemu.replies(2)
        assert first.startswith(b"OK 1 works ")
        assert second == b"OK 2 "
        assert qemu.replies(1) == [b"OK 3 "]
        assert qemu.replies(0) == []
        started = first.decode()
    assert "-accel tcg,thread=single -icount shift=7,sleep=off -plugin " in started
    assert "vmdev-qtest-api4.so" in started
    assert qemu.is_first_cpu
    assert qemu.name == "QEMU 10.0.2, TCG standing still"


def test_the_accelerator_is_used_where_there_is_one(tmp_path: Path) -> None:
    program = identify(fake(tmp_path, "11.0.0", "qtest"))
    assert has_qtest_accelerator(program)
    with QtestQemu(program, ["works"]) as qemu:
        qemu.send(b"a\n")
        (reply,) = qemu.replies(1)
    assert b" -accel qtest " in reply
    assert b"-plugin" not in reply
    assert b"-icount" not in reply
    assert not qemu.is_first_cpu
    assert qemu.name == "QEMU 11.0.0, accelerator qtest"
    assert find_standstill(program).name == "vmdev-qtest-api7.so"


def test_a_qemu_with_neither_is_refused_and_one_with_the_accelerator_may_be_old(tmp_path: Path) -> None:
    with pytest.raises(
        QemuUnsuitableError, match=r"too old; playing to a QEMU without the accelerator qtest needs 9\.2"
    ):
        QtestQemu(identify(fake(tmp_path, "8.2.0")), ["works"])
    with QtestQemu(identify(fake(tmp_path, "8.2.0", "qtest")), ["works"]) as qemu:
        qemu.reset()


def test_more_than_any_buffer_holds_does_not_hold_either_up(tmp_path: Path) -> None:
    count = 60_000
    with QtestQemu(find_qemu(fake(tmp_path)), ["works"]) as qemu:
        qemu.send(b"clock_set 1234567890\n" * count)
        assert qemu.replies(count)[-1] == b"OK 20 "


def test_a_qemu_that_does_not_start_is_told_in_its_words(tmp_path: Path) -> None:
    with pytest.raises(QemuFailedError, match=r"QEMU did not start \(status 1\): fake: no such machine"):
        QtestQemu(find_qemu(fake(tmp_path)), ["refuses"]).__enter__()


def test_a_qemu_that_dies_is_told(tmp_path: Path) -> None:
    with QtestQemu(find_qemu(fake(tmp_path)), ["dies"]) as qemu:
        qemu.send(b"a\nb\nc\nd\n")
        with pytest.raises(QemuFailedError, match=r"QEMU died \(status 3\): fake: out of order"):
            qemu.replies(4)
        qemu.send(b"a\n")
        with pytest.raises(QemuFailedError, match="QEMU died"):
            qemu.replies(1)
        with pytest.raises(QemuFailedError, match="query-status"):
            qemu.reset()


def test_a_qemu_that_is_silent_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = find_qemu(fake(tmp_path))
    with QtestQemu(program, ["works"]):
        pass
    monkeypatch.setattr(qtest, "PATIENCE_S", 1)
    with QtestQemu(program, ["sleeps"]) as qemu:
        qemu.send(b"a\n")
        with pytest.raises(QemuFailedError, match="did not answer for 1 s"):
            qemu.replies(1)
    with QtestQemu(program, ["sleeps"]) as qemu:
        qemu.send(b"a\n" * 1_000_000)
        with pytest.raises(QemuFailedError, match="did not take commands for 1 s"):
            qemu.replies(1_000_000)


@pytest.mark.parametrize("mode", ["works", "resets-itself"])
def test_a_reset_is_made_unless_the_machine_has_reset_itself(tmp_path: Path, mode: str) -> None:
    with QtestQemu(find_qemu(fake(tmp_path)), [mode]) as qemu:
        qemu.reset()
        qemu.send(b"a\n")
        assert len(qemu.replies(1)) == 1


def test_a_machine_that_does_not_reset_is_an_error(tmp_path: Path) -> None:
    with (
        QtestQemu(find_qemu(fake(tmp_path)), ["stubborn"]) as qemu,
        pytest.raises(QemuFailedError, match="does not reset its machine"),
    ):
        qemu.reset()


def test_a_module_that_was_not_built_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_file", lambda self: False)
    program = fake(tmp_path)
    with pytest.raises(PluginNotBuiltError, match="the qtest module is missing"):
        find_standstill(find_qemu(program))
