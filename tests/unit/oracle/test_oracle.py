"""Playing a trace to who speaks the qtest protocol, and what is made of the answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from served import Server
from vmdev.replay.bus import PioAddress, PioRange
from vmdev.replay.device import UNMODELLED, Device
from vmdev.replay.devices.acpi_pm_timer import AcpiPmTimer
from vmdev.replay.devices.apm import Apm
from vmdev.replay.devices.ata_channel import AtaChannel
from vmdev.replay.devices.fw_cfg import FwCfg
from vmdev.replay.devices.i8042 import I8042
from vmdev.replay.devices.i8259 import I8259Pair
from vmdev.replay.devices.ioapic import IoApic
from vmdev.replay.devices.local_apic import LocalApic
from vmdev.replay.devices.ne2000 import Ne2000
from vmdev.replay.devices.port92 import Port92
from vmdev.replay.devices.uart16550 import Uart16550
from vmdev.replay.errors import OracleError
from vmdev.replay.guest import Guest
from vmdev.replay.machines import Board, build
from vmdev.replay.oracle.oracle import Oracle
from vmdev.replay.oracle.reasons import DMA, DRIVE, INTERRUPTS, MASTERS, NETWORK, SMI, TYPED, Reasons
from vmdev.replay.oracle.stand_ins import NOWHERE, StandIns
from vmdev.replay.oracle.witnesses import Witnesses
from vmdev.replay.replayer import Replayer
from vmdev.replay.trace.reader import TraceReader
from vmdev.replay.trace.writer import TraceWriter
from vmdev.replay.verdict import Verdict

ROOT = Path(__file__).parents[3]
META = {"machine": "q35", "target": "x86_64", "clock": "virtual"}
Recording = Callable[..., Path]


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    """Writes a trace of accesses (t_ns, direction, address, value, perhaps region and size) and events' kinds."""

    def write(*exits: tuple[Any, ...] | str) -> Path:
        path = tmp_path / "trace.db"
        with TraceWriter(path, meta=META, overwrite=True) as writer:
            t_ns = 0
            for one in exits:
                if isinstance(one, str):
                    writer.add_event(one, t_ns=t_ns, vcpu=0)
                    continue
                t_ns, direction, address, value, region, size = (*one, *("", 1)[len(one) - 4 :])
                space = "mmio" if address > 0xFFFF else "pio"
                site = writer.add_site(address=address, direction=direction, space=space, region=region, size=size)
                writer.add_exit(t_ns, site, value)
        return path

    return write


def toy() -> Board:
    board = Board("toy")
    board.add("pic", I8259Pair(), pio=[(0x20, 2, 0), (0xA0, 2, 2)])
    board.add("port92", Port92(), pio=[(0x92, 1)])
    board.add("pmtimer", AcpiPmTimer(board.clock), pio=[(0x608, 4)])
    return board


def played(path: Path, server: Server, board: Board | None = None) -> tuple[Verdict, Oracle, StandIns]:
    with TraceReader(path) as reader:
        oracle = Oracle(reader, server)
        board = board or toy()
        stand_ins = StandIns(oracle, board)
        replayer = Replayer(oracle, board, stand_ins=stand_ins)
        stand_ins.position = replayer.seq
        return replayer.run(), oracle, stand_ins


def test_each_access_is_made_at_its_time_and_its_answer_is_judged(recording: Recording) -> None:
    path = recording((100, "w", 0x92, 2), (100, "r", 0x92, 2), (250, "w", 0x80, 7, "ioport80"), (250, "r", 0x90, 0xFF))
    server = Server(toy())
    verdict, oracle, _ = played(path, server)
    assert server.heard == ["clock_set 100", "outb 0x92 2", "inb 0x92", "clock_set 250", "outb 0x80 7", "inb 0x90"]
    assert verdict.agrees
    assert [(device.name, device.model, device.tally.exits) for device in verdict.devices] == [
        ("port92", "StandIn", 2), (NOWHERE, "StandInRegion", 1), ("ioport80", "StandInRegion", 1),
    ]  # fmt: skip
    assert (verdict.totals.matched, verdict.totals.unclaimed_reads, oracle.untimely) == (2, 0, 0)


def test_a_different_answer_is_named_by_the_models_registers(recording: Recording) -> None:
    path = recording((0, "w", 0x92, 2), (0, "r", 0x92, 2))
    server = Server(toy())
    server.wrong[0] = 0
    (root,) = played(path, server)[0].roots
    assert (root.device, root.register, root.hw, root.model) == ("port92", "Port A", 2, 0)
    assert root.state == {}


def test_models_that_are_wrong_or_fail_are_not_judged(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> int:
        raise ZeroDivisionError

    path = recording((0, "w", 0x92, 2), (10, "r", 0x92, 2), "reset", (20, "r", 0x92, 2))
    board = toy()
    port = board.devices["port92"]
    for name in ("read", "write", "reset"):
        monkeypatch.setattr(port, name, broken)
    board.clock.timer(lambda: broken()).arm(15)
    assert played(path, Server(toy()), board)[0].agrees
    for name in ("reader", "writer"):
        monkeypatch.setattr(port, name, broken)
    assert played(path, Server(toy()), board)[0].agrees


def test_at_a_reset_all_before_is_answered_first(recording: Recording) -> None:
    path = recording(
        (0, "w", 0x92, 3), "reset", "reset", (10, "r", 0x92, 2), (10, "w", 0x92, 5), "reset", (20, "r", 0x92, 4)
    )
    server = Server(toy())
    verdict, _, _ = played(path, server)
    assert [(one.seq, one.hw, one.model) for one in verdict.divergences] == []
    assert server.resets == 2


def test_the_first_reset_is_power_on(recording: Recording) -> None:
    server = Server(toy())
    played(recording("reset", (10, "r", 0x92, 0)), server)
    assert server.resets == 0


def test_before_an_interrupt_is_ended_it_is_acknowledged(recording: Recording) -> None:
    path = recording(
        (0, "w", 0x20, 0x20, "pic"), (0, "w", 0xA0, 0x64, "pic"), (0, "w", 0x20, 0x0B, "pic"),
        (0, "w", 0x20, 0x11, "pic"), (0, "w", 0x20, 0xC0, "pic"), (0, "w", 0x20, 0x20, "other"), (0, "r", 0x92, 0),
    )  # fmt: skip
    server = Server(toy())
    _, oracle, _ = played(path, server)
    assert server.heard[:6] == ["outb 0x20 12", "inb 0x20", "outb 0x20 32", "outb 0xa0 12", "inb 0xa0", "outb 0xa0 100"]
    assert len(server.heard) == 11
    assert oracle.acknowledged == 2


def test_what_only_a_running_cpu_can_access_is_not_played(recording: Recording) -> None:
    exits = (
        (0, "r", 0x5658, 0, "vmport"), (0, "w", 0x7E, 0, "kvmvapic"), (0, "r", 0xFEE00020, 0, "apic-msi"),
        (0, "w", 0xB2, 1, "apm"), (0, "r", 0x92, 0),
    )  # fmt: skip
    server = Server(toy())
    verdict, _, _ = played(recording(*exits), server)
    assert server.heard == ["readb 0xfee00020", "outb 0xb2 1", "inb 0x92"]
    assert verdict.totals.unmodelled == 1


def test_without_a_cpu_its_local_apic_and_smis_are_not_played_either(recording: Recording) -> None:
    server = Server(toy(), is_first_cpu=False)
    path = recording((0, "r", 0xFEE00020, 0, "apic-msi"), (0, "w", 0xB2, 1, "apm"), (0, "r", 0xB2, 0xFF, "apm"))
    played(path, server)
    assert server.heard == ["inb 0xb2"]


def test_reasons_are_told_where_there_are_some(recording: Recording) -> None:
    board = toy()
    board.add("fwcfg", FwCfg(), pio=[(0x510, 12)])
    path = recording(
        (0, "w", 0x20, 0x0B),
        (0, "r", 0x20, 1),
        (0, "r", 0x511, 9),
        (0, "w", 0x518, 0),
        (0, "r", 0x511, 9),
        (0, "r", 0x92, 8),
    )
    server = Server(toy())
    server.wrong = {1: 1, 2: 2, 3: 3}
    verdict, _, stand_ins = played(path, server, board)
    assert stand_ins.reasons.counts == {("pic", INTERRUPTS): 1, ("fwcfg", DMA): 1}
    causes = [(one.device, one.cause_class, one.explanation) for one in verdict.divergences]
    assert causes[0] == ("pic", *INTERRUPTS)
    assert causes[1][0] == "fwcfg"
    assert causes[1][1:] != DMA
    assert ("fwcfg", *DMA) in causes
    assert verdict.totals.diverged == 4


class Mute(Server):
    """Answers everything with one reply."""

    def __init__(self, reply: str) -> None:
        super().__init__(toy())
        self._always = reply

    def _reply(self, words: list[str]) -> str:
        return self._always


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [("FAIL Unknown command 'inb'", "a server answered exit 0 with"), ("OK", "exit 0"), ("OK zz", "'OK zz'")],
)
def test_an_answer_that_is_none_is_an_error(recording: Recording, reply: str, complaint: str) -> None:
    with pytest.raises(OracleError, match=complaint):
        played(recording((0, "r", 0x92, 0)), Mute(reply))


def test_a_refused_write_is_an_error_and_a_time_that_cannot_be_set_is_counted(recording: Recording) -> None:
    with pytest.raises(OracleError, match="refused"):
        played(recording((0, "w", 0x92, 0), (0, "r", 0x92, 0)), Mute("FAIL"))

    class Timeless(Server):
        def _reply(self, words: list[str]) -> str:
            return "FAIL 0" if words[0] == "clock_set" else super()._reply(words)

    _, oracle, _ = played(recording((5, "r", 0x92, 0), (6, "r", 0x92, 0)), Timeless(toy()))
    assert oracle.untimely == 2


def test_a_golden_trace_agrees_with_the_models_behind_the_protocol() -> None:
    """The recording's own board serves: nothing is lost on the way of commands and replies."""
    path = ROOT / "traces" / "linux-microvm.db"
    with TraceReader(path) as reader:
        server = Server(build(reader.guest))
        board = build(reader.guest)
    verdict, oracle, _ = played(path, server, board)
    assert verdict.totals.unclaimed_reads == 0
    assert verdict.totals.agreement is not None
    assert verdict.totals.agreement > 0.99
    assert {one.device for one in verdict.divergences} <= {"rtc", "fwcfg", "virtio-mmio@feb02e00", "lapic"}
    assert oracle.untimely == 0


# Three witnesses


def witnessed(path: Path, server: Server, board: Board) -> Witnesses:
    with TraceReader(path) as reader:
        oracle = Oracle(reader, server)
        witnesses = Witnesses(oracle)
        Replayer(oracle, board, hear=witnesses.hear).run()
        return witnesses


def test_the_one_that_is_alone_is_named(recording: Recording) -> None:
    path = recording(
        (0, "w", 0x92, 2),
        (1, "r", 0x92, 2),  # all alike
        (2, "r", 0x92, 2),  # QEMU: 0
        (3, "r", 0x92, 0),  # the recording
        (4, "r", 0x92, 1),  # each: 1, 2, 3
        (5, "r", 0x92, 2),
        (6, "r", 0x92, 0),  # the model: 2
    )
    server = Server(toy())
    server.wrong = {1: 0, 3: 3, 5: 0}
    witnesses = witnessed(path, server, toy())
    assert witnesses.alike == 2
    assert [(row.odd, row.reads, row.first_seq, row.recording, row.model, row.qemu) for row in witnesses.rows] == [
        ("qemu", 1, 2, 2, 2, 0), ("recording", 1, 3, 0, 2, 2), ("all", 1, 4, 1, 2, 3), ("model", 1, 6, 0, 2, 0),
    ]  # fmt: skip
    assert {(row.device, row.register) for row in witnesses.rows} == {("port92", "Port A")}


def test_where_the_model_asks_the_recording_it_does_not_speak_for_it(recording: Recording) -> None:
    board = Board("toy")
    board.add("fwcfg", FwCfg(), pio=[(0x510, 12)])
    board.add("port92", Port92(), pio=[(0x92, 1)])
    path = recording((0, "w", 0x510, 5, "", 2), (0, "r", 0x511, 7), (0, "r", 0x511, 9), (0, "r", 0x92, 0))
    server = Server(toy())
    server.wrong = {0: 7, 1: 8}
    witnesses = witnessed(path, server, board)
    assert witnesses.alike == 2
    assert [(row.odd, row.recording, row.qemu) for row in witnesses.rows] == [("undecided", 9, 8)]


class Plain:
    """On the bus, but no model: it has no registers."""

    def pio_read(self, base: object, offset: int, data: bytearray) -> None:
        data[:] = bytes(len(data))

    def pio_write(self, base: object, offset: int, data: bytes) -> None:
        pass


def test_about_what_nobody_answers_nothing_is_said(recording: Recording) -> None:
    class Holes(Device):
        registers = Port92.registers

        def read(self, offset: int, size: int) -> int:
            return UNMODELLED

    board = toy()
    board.add("holes", Holes(), pio=[(0x300, 1)])
    board.io.register_pio(PioRange(PioAddress(0x310), 1), Plain())
    path = recording((0, "r", 0x300, 1), (0, "r", 0x310, 5), (0, "r", 0x92, 0))
    server = Server(toy())
    witnesses = witnessed(path, server, board)
    assert (witnesses.alike, witnesses.unheard) == (1, 1)
    assert [(row.device, row.register, row.odd) for row in witnesses.rows] == [("Plain", "offset 0x0", "all")]


def with_input(path: Path) -> Path:
    with TraceWriter(path, meta=META, overwrite=True) as writer:
        site = writer.add_site(address=0x92, direction="r")
        writer.add_exit(10, site, 0)
        writer.add_event("serial-input", detail="serial0 41", t_ns=15)
        writer.add_event("serial-input", detail="serial0 2e", t_ns=15)
        writer.add_exit(20, site, 0)
    return path


def test_serial_input_is_fed_at_its_time_and_place(tmp_path: Path) -> None:
    server = Server(toy())
    _, oracle, _ = played(with_input(tmp_path / "t.db"), server)
    assert server.heard == [
        "clock_set 10", "inb 0x92", "clock_set 15", "feed 0x41", "feed 0x2e", "clock_set 20", "inb 0x92",
    ]  # fmt: skip
    assert oracle.is_fed


def test_input_for_which_there_is_no_port_is_told(tmp_path: Path) -> None:
    server = Server(toy())
    server.can_be_fed = False
    _, oracle, _ = played(with_input(tmp_path / "t.db"), server)
    assert not oracle.is_fed


def test_a_bus_master_without_a_model_has_a_reason_once_it_was_written_to(recording: Recording) -> None:
    path = recording(
        (0, "r", 0xFEB00064, 1, "ports"), (1, "w", 0xFEB00020, 1, "operational"), (2, "r", 0xFEB00064, 1, "ports"),
        (3, "r", 0x92, 0), (4, "r", 0x300, 1, "lsi-io"),
    )  # fmt: skip
    server = Server(toy())
    verdict, _, stand_ins = played(path, server)
    assert stand_ins.reasons.counts == {("ports", DMA): 1}
    assert [(one.seq, one.device) for one in verdict.divergences] == [(0, "ports"), (2, "ports"), (4, "lsi-io")]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (AtaChannel, DRIVE), (Ne2000, NETWORK), (Uart16550, TYPED), (I8042, TYPED), (Apm, SMI), (Port92, None),
        (I8259Pair, INTERRUPTS), (IoApic, INTERRUPTS), (LocalApic, INTERRUPTS),
    ],
)  # fmt: skip
def test_reasons_by_model(model: type[Device], reason: object) -> None:
    guest = Guest("q35", meta={"async_sources": '["typed input"]'})
    device = model.alone(Board("toy").clock)
    assert Reasons(guest, is_first_cpu=False).find(device) == reason
    refined = type("Mine", (model,), {"__module__": "mine"})
    assert Reasons(guest, is_first_cpu=False).find(refined.alone(Board("toy").clock)) == reason
    if reason in (TYPED, SMI):
        assert Reasons(Guest("q35", meta={"async_sources": "[]"}), is_first_cpu=True).find(device) is None


@pytest.mark.parametrize(
    ("kind", "starts", "does_not"),
    [
        ("ahci", 0x138, 0x38), ("piix_bmdma", 0, 2), ("e1000", 0x3818, 0), ("virtio_mmio", 0x50, 0x70),
        ("virtio_pci_legacy", 0x10, 0x12), ("fw_cfg", 8, 0),
    ],
)  # fmt: skip
def test_what_starts_a_bus_master(kind: str, starts: int, does_not: int) -> None:
    assert MASTERS[kind](starts)
    assert not MASTERS[kind](does_not)
    assert MASTERS["virtio_pci"](0)
