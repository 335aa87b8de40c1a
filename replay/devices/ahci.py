"""AHCI host bus adapter, as in the ICH9: generic host control, six ports, and the index/data pair.

Source: AHCI 1.3.1 (Serial ATA Advanced Host Controller Interface), section 3 "HBA Memory Registers"; Intel ICH9 data
sheet (316972), 15.2.4 on the index and data registers.

Modelled: all registers of the HBA and of its ports; resets and the drives' signatures; PxCMD's engines; interrupts by
PxIS, PxIE and GHC.IE; commands as far as registers show them.

Not modelled: commands, FISes and data, which are in the guest's memory: no access shows them. Port multipliers,
FIS-based switching, device sleep, command completion coalescing, enclosure management: their registers read 0, as
QEMU's do.

Follows QEMU where the guest can see a difference from the standard:
- CAP tells six ports, 32 slots, 1.5 Gb/s, NCQ and 64-bit addresses; VS is 1.0; GHC.AE is always set.
- A drive that is there is active at once, PxSSTS is 113h; COMRESET ends when DET leaves 1.
- Also an empty port sends a first register FIS, with a signature of FFFF0101h.
- A write that is not aligned is ignored, a narrow one writes the whole register. IS follows the ports' interrupts.
- PxCI of a port without drive keeps what is written. A reset of the HBA keeps the addresses and PxCI.

Input from outside is inferred, in `assume`: what commands did, and when they ended. A port expects that a command ends
at once and well; reads of IS, PxIS, PxCI, PxSACT and PxTFD that show something else that a command can do are taken
over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..irq import Line
from ..registers import Field, Register, RegisterMap, bit
from .ahci_port import SSTS_ACTIVE_GEN_1, AhciPort

PORTS: Final = 6
SLOTS: Final = 32
PORT_BASE, PORT_SIZE = 0x100, 0x80
PAIR: Final = 0x1000
"""Where the register space has the I/O ports of the index/data pair (BAR 4)."""
PAIR_INDEX, PAIR_DATA = PAIR + 0x10, PAIR + 0x14
INDEX_MASK: Final = 0xFFC

CAP, GHC, IS, PI, VS = 0x00, 0x04, 0x08, 0x0C, 0x10
CLB, CLBU, FB, FBU, PXIS, PXIE, CMD = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18
TFD, SIG, SSTS, SCTL, SERR, SACT, CI = 0x20, 0x24, 0x28, 0x2C, 0x30, 0x34, 0x38

CAP_VALUE: Final = 0xC014_0000 | SLOTS - 1 << 8 | PORTS - 1
GHC_HR, GHC_IE, GHC_AE = 0x1, 0x2, 0x8000_0000
VS_1_0: Final = 0x0001_0000

_CAP: Final = (
    Field("NP", 4, 0), bit("SXS", 5), bit("EMS", 6), bit("CCCS", 7), Field("NCS", 12, 8), bit("PSC", 13),
    bit("SSC", 14), bit("PMD", 15), bit("FBSS", 16), bit("SPM", 17), bit("SAM", 18), Field("ISS", 23, 20),
    bit("SCLO", 24), bit("SAL", 25), bit("SALP", 26), bit("SSS", 27), bit("SMPS", 28), bit("SSNTF", 29),
    bit("SNCQ", 30), bit("S64A", 31),
)  # fmt: skip
_GHC: Final = (bit("HR", 0), bit("IE", 1), bit("MRSM", 2), bit("AE", 31))
_PORT_BITS: Final = tuple(bit(f"Port {number}", number) for number in range(PORTS))
_IS: Final = (
    bit("DHRS", 0), bit("PSS", 1), bit("DSS", 2), bit("SDBS", 3), bit("UFS", 4), bit("DPS", 5), bit("PCS", 6),
    bit("DMPS", 7), bit("PRCS", 22), bit("IPMS", 23), bit("OFS", 24), bit("INFS", 26), bit("IFS", 27), bit("HBDS", 28),
    bit("HBFS", 29), bit("TFES", 30), bit("CPDS", 31),
)  # fmt: skip
_CMD: Final = (
    bit("ST", 0), bit("SUD", 1), bit("POD", 2), bit("CLO", 3), bit("FRE", 4), Field("CCS", 12, 8), bit("MPSS", 13),
    bit("FR", 14), bit("CR", 15), bit("CPS", 16), bit("PMA", 17), bit("HPCP", 18), bit("MPSP", 19), bit("CPD", 20),
    bit("ESP", 21), bit("FBSCP", 22), bit("APSTE", 23), bit("ATAPI", 24), bit("DLAE", 25), bit("ALPE", 26),
    bit("ASP", 27), Field("ICC", 31, 28),
)  # fmt: skip
_TFD: Final = (
    bit("ERR", 0),
    bit("DRQ", 3),
    bit("DSC", 4),
    bit("DF", 5),
    bit("DRDY", 6),
    bit("BSY", 7),
    Field("Error", 15, 8),
)
_SSTS: Final = (Field("DET", 3, 0), Field("SPD", 7, 4), Field("IPM", 11, 8))


def _port_registers(number: int) -> list[Register]:
    at, name = PORT_BASE + PORT_SIZE * number, f"P{number}"
    return [
        Register(name + "CLB", "Command list base address", at + CLB, "rw", width=32, source="3.3.1"),
        Register(name + "CLBU", "Command list base address, upper", at + CLBU, "rw", width=32, source="3.3.2"),
        Register(name + "FB", "FIS base address", at + FB, "rw", width=32, source="3.3.3"),
        Register(name + "FBU", "FIS base address, upper", at + FBU, "rw", width=32, source="3.3.4"),
        Register(name + "IS", "Interrupt status; 1s clear", at + PXIS, "rw", _IS, None, 0, 32, "3.3.5"),
        Register(name + "IE", "Interrupt enable", at + PXIE, "rw", _IS, None, 0, 32, "3.3.6"),
        Register(name + "CMD", "Command and status", at + CMD, "rw", _CMD, None, 0x6, 32, "3.3.7"),
        Register(name + "TFD", "Task file data", at + TFD, "r", _TFD, None, 0x7F, 32, "3.3.8"),
        Register(name + "SIG", "Signature", at + SIG, "r", (), None, 0xFFFF_FFFF, 32, "3.3.9"),
        Register(name + "SSTS", "Serial ATA status", at + SSTS, "r", _SSTS, width=32, source="3.3.10"),
        Register(name + "SCTL", "Serial ATA control", at + SCTL, "rw", _SSTS, None, 0, 32, "3.3.11"),
        Register(name + "SERR", "Serial ATA error; 1s clear", at + SERR, "rw", (), None, 0, 32, "3.3.12"),
        Register(name + "SACT", "Serial ATA active; 1s set", at + SACT, "rw", (), None, 0, 32, "3.3.13"),
        Register(name + "CI", "Command issue; 1s set", at + CI, "rw", width=32, source="3.3.14"),
        Register(name + "SNTF", "Serial ATA notification", at + 0x3C, "r", (), None, 0, 32, "3.3.15"),
        Register(name + "FBS", "FIS-based switching control", at + 0x40, "r", (), None, 0, 32, "3.3.16"),
        Register(name + "DEVSLP", "Device sleep", at + 0x44, "r", (), None, 0, 32, "3.3.17"),
    ]


REGISTERS: Final = RegisterMap(
    Register("CAP", "HBA capabilities", CAP, "r", _CAP, None, CAP_VALUE, 32, "3.1.1"),
    Register("GHC", "Global HBA control", GHC, "rw", _GHC, None, GHC_AE, 32, "3.1.2"),
    Register("IS", "Interrupt status", IS, "rw", _PORT_BITS, None, 0, 32, "3.1.3"),
    Register("PI", "Ports implemented", PI, "r", _PORT_BITS, None, (1 << PORTS) - 1, 32, "3.1.4"),
    Register("VS", "AHCI version", VS, "r", (), None, VS_1_0, 32, "3.1.5"),
    Register("CCC_CTL", "Command completion coalescing control", 0x14, "r", (), None, 0, 32, "3.1.6"),
    Register("CCC_PORTS", "Command completion coalescing ports", 0x18, "r", (), None, 0, 32, "3.1.7"),
    Register("EM_LOC", "Enclosure management location", 0x1C, "r", (), None, 0, 32, "3.1.8"),
    Register("EM_CTL", "Enclosure management control", 0x20, "r", (), None, 0, 32, "3.1.9"),
    Register("CAP2", "HBA capabilities extended", 0x24, "r", (), None, 0, 32, "3.1.10"),
    Register("BOHC", "BIOS/OS handoff control and status", 0x28, "r", (), None, 0, 32, "3.1.11"),
    *(register for number in range(PORTS) for register in _port_registers(number)),
    Register("Index", "Index of the index/data pair", PAIR_INDEX, "rw", width=32, source="ICH9 15.2.4"),
    Register("Data", "What Index points at", PAIR_DATA, "rw", width=32, source="ICH9 15.2.4"),
)  # fmt: skip


class Ahci(Device):
    """The whole controller.

    Args:
        intx: its interrupt.
        drives: by port: None, or whether it is an ATAPI drive.
        foresees: see `AhciPort`.
    """

    title = "AHCI SATA controller (ICH9)"
    registers = REGISTERS
    width = 4
    kept_by_reset = ("index", "port?_clb", "port?_fb", "port?_ci")  # QEMU's reset leaves them alone

    def __init__(self, intx: Line, drives: Sequence[bool | None] = (), *, foresees: bool = False) -> None:
        self._intx = intx
        self._index = 0
        self._ghc = GHC_AE
        self._ports: tuple[AhciPort, ...] = ()
        kinds = [*drives, *(None,) * PORTS][:PORTS]
        self._ports = tuple(
            AhciPort(self._update, present=kind is not None, packet=bool(kind), foresees=foresees) for kind in kinds
        )
        self._readers: dict[int, Callable[[], int]] = {GHC: self._read_ghc, IS: self._read_is}
        self._writers: dict[int, Callable[[int], None]] = {GHC: self._write_ghc, IS: self._write_is}
        for offset, value in ((CAP, CAP_VALUE), (PI, (1 << PORTS) - 1), (VS, VS_1_0)):
            self._readers[offset] = partial(int, value)
        for number, port in enumerate(self._ports):
            self._add_port(PORT_BASE + PORT_SIZE * number, port)

    def _add_port(self, base: int, port: AhciPort) -> None:
        names = {CLB: "clb", CLBU: "clbu", FB: "fb", FBU: "fbu", PXIS: "interrupts", PXIE: "enabled", CMD: "cmd",
                 TFD: "tfd", SIG: "sig", SCTL: "sctl", SERR: "serr"}  # fmt: skip
        for offset, name in names.items():
            self._readers[base + offset] = partial(getattr, port, name)
        self._readers[base + SSTS] = partial(int, SSTS_ACTIVE_GEN_1 if port.present else 0)
        self._readers[base + SACT] = port.read_sact
        self._readers[base + CI] = port.read_ci
        for offset in (CLB, CLBU, FB, FBU):
            self._writers[base + offset] = partial(setattr, port, names[offset])
        self._writers[base + PXIS] = port.write_is
        self._writers[base + PXIE] = port.write_ie
        self._writers[base + CMD] = port.write_cmd
        self._writers[base + SCTL] = port.write_sctl
        self._writers[base + SERR] = port.write_serr
        self._writers[base + SACT] = port.write_sact
        self._writers[base + CI] = port.write_ci

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`. There is a disk at port 0 and a CD drive at port 2."""
        return cls(Line(), (False, None, True))

    def reset(self) -> None:
        """See `Device.reset`: as GHC.HR (10.4.3)."""
        self._ghc = GHC_AE
        for port in self._ports:
            port.reset()
        self._update()

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if offset >= PAIR:
            return self._read_pair(offset, size)
        into = offset & 3
        value = self._read_register(offset - into)
        if into + size > 4:
            value |= self._read_register(offset - into + 4) << 32
        return value >> 8 * into & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if offset == PAIR_INDEX:
            self._index = value & INDEX_MASK
        elif offset == PAIR_DATA:
            self._writers.get(self._index, _ignore)(value)
        else:
            self._writers.get(offset, _ignore)(value)

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        """See `Device.reader`."""
        known = self._readers.get(offset) if size == 4 else None
        return super().reader(offset, size) if known is None else known

    def writer(self, offset: int, size: int) -> Callable[[int], None]:
        """See `Device.writer`."""
        known = self._writers.get(offset) if size <= 4 else None
        return super().writer(offset, size) if known is None else known

    def state(self) -> Mapping[str, int]:
        """See `Device.state`. An open command is one that no read has shown to have ended."""
        state = {"ghc": self._ghc, "index": self._index, "intx": int(self._intx.level)}
        for number, port in enumerate(self._ports):
            state |= port.state(f"port{number}_")
        return state

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`."""
        if offset == PAIR_DATA:
            offset = self._index
        if size != 4:
            return False
        if offset == IS:
            return self._assume_is(hw ^ model, hw)
        number, register = divmod(offset - PORT_BASE, PORT_SIZE)
        if not 0 <= number < PORTS:
            return False
        port = self._ports[number]
        explain = {PXIS: port.assume_is, TFD: port.assume_tfd, SACT: port.assume_sact, CI: port.assume_ci}.get(register)
        return explain is not None and explain(hw)

    def _assume_is(self, different: int, hw: int) -> bool:
        """A port has, or has not, ended a command. Only one port can be explained at a time."""
        number = different.bit_length() - 1
        return different == 1 << number and number < PORTS and self._ports[number].assume_pending(bool(hw & different))

    # Registers

    def _read_register(self, offset: int) -> int:
        read = self._readers.get(offset)
        return 0 if read is None else read()

    def _read_ghc(self) -> int:
        return self._ghc

    def _write_ghc(self, value: int) -> None:
        """3.1.2: HR resets, and clears itself."""
        if value & GHC_HR:
            self.reset()
        else:
            self._ghc = value & GHC_IE | GHC_AE
            self._update()

    def _read_is(self) -> int:
        return sum(1 << number for number, port in enumerate(self._ports) if port.asks())

    def _write_is(self, value: int) -> None:
        """3.1.3: bits whose port still asks are set again at once."""

    def _read_pair(self, offset: int, size: int) -> int:
        if offset == PAIR_INDEX:
            return self._index & (1 << 8 * size) - 1
        return self.read(self._index, size) if offset == PAIR_DATA else 0

    def _update(self) -> None:
        self._intx.set(bool(self._ghc & GHC_IE) and any(port.asks() for port in self._ports))


def _ignore(value: int) -> None:
    """No such register, or a read-only one."""
