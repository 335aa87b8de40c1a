"""NE2000: an Ethernet card around the DP8390, as Novell's on ISA and as Realtek's RTL8029 on PCI.

Source: National Semiconductor DP8390D/NS32490D data sheet (July 1995), chapters 10 "Internal Registers" and 12 "Remote
DMA"; the card's ports, memory and PROM as in Novell's NE2000.

Modelled: the registers in their pages; remote DMA to the card's memory in bytes, words and double words; the PROM; the
interrupt as a level; the reset port. A frame is sent as soon as it is asked for, without collisions.

Not modelled: frames on the wire, multicast and address filters. What is received is input from outside: `assume` learns
of it from ISR, RSR and CURR, and the bytes between the old and the new CURR are taken from the recording when they are
read. Loopback, monitor mode, the FIFO and the counters have no effect.

Follows QEMU where the guest can see a difference from the data sheet:
- A reset of the machine leaves the card alone. Reading the reset port sets ISR.RST and writes the PROM anew, from what
  is in it: its unused bytes change the second time.
- The memory wraps from PSTOP to PSTART in remote DMA. PSTART, PSTOP, BNRY and CURR refuse addresses beyond the memory.
- Page 0 tells the RTL8029's identification, page 3 its configuration, on ISA, too; most of page 2 reads 0.
- Ports without a register, and registers in other sizes than bytes, read all ones.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device, Unknown
from ..irq import Line
from ..registers import Field, Register, RegisterMap, bit

PAGES: Final = ("page 0", "page 1", "page 2", "page 3")
DATA, RESET = 0x10, 0x1F
MEMORY_START, MEMORY_END = 0x4000, 0xC000
PROM_SIZE: Final = 32
PROM_MARK: Final = 0x57
MASK_32: Final = 0xFFFF_FFFF

CR_STP, CR_TXP, CR_RD0, CR_RD1 = 0x01, 0x04, 0x08, 0x10
ISR_PRX, ISR_PTX, ISR_RDC, ISR_RST = 0x01, 0x02, 0x40, 0x80
DCR_WTS, TSR_PTX, RSR_PRX, RSR_PHY = 0x01, 0x01, 0x01, 0x20
BNRY, TSR, ISR, CRDA0, CRDA1, RSR, CURR = 3, 4, 7, 8, 9, 12, 0x17
PAR, MAR = 0x11, 0x18

_CR: Final = (
    bit("STP", 0), bit("STA", 1), bit("TXP", 2), Field("RD", 5, 3), Field("PS", 7, 6),
)  # fmt: skip
_ISR: Final = (
    bit("PRX", 0), bit("PTX", 1), bit("RXE", 2), bit("TXE", 3), bit("OVW", 4), bit("CNT", 5), bit("RDC", 6),
    bit("RST", 7),
)  # fmt: skip
_RSR: Final = (
    bit("PRX", 0), bit("CRC", 1), bit("FAE", 2), bit("FO", 3), bit("MPA", 4), bit("PHY", 5), bit("DIS", 6),
    bit("DFR", 7),
)  # fmt: skip
_TSR: Final = (bit("PTX", 0), bit("COL", 2), bit("ABT", 3), bit("CRS", 4), bit("FU", 5), bit("CDH", 6), bit("OWC", 7))


def _page(
    number: int, *rows: tuple[int, str, str, str] | tuple[int, str, str, str, tuple[Field, ...]]
) -> list[Register]:
    return [
        Register(row[1], row[2], row[0], row[3], row[4] if len(row) == 5 else (), PAGES[number])  # type: ignore[arg-type]
        for row in rows
    ]


REGISTERS: Final = RegisterMap(
    Register("CR", "Command", 0, "rw", _CR),
    Register("DATA", "Remote DMA", DATA, "rw", width=16),
    Register("RESET", "Reading resets", RESET, "rw"),
    *_page(
        0,
        (1, "CLDA0", "Current local DMA address, low", "r"), (1, "PSTART", "Page start", "w"),
        (2, "CLDA1", "Current local DMA address, high", "r"), (2, "PSTOP", "Page stop", "w"),
        (3, "BNRY", "Boundary", "rw"),
        (4, "TSR", "Transmit status", "r", _TSR), (4, "TPSR", "Transmit page start", "w"),
        (5, "NCR", "Number of collisions", "r"), (5, "TBCR0", "Transmit byte count, low", "w"),
        (6, "FIFO", "FIFO", "r"), (6, "TBCR1", "Transmit byte count, high", "w"),
        (7, "ISR", "Interrupt status", "rw", _ISR),
        (8, "CRDA0", "Current remote DMA address, low", "r"), (8, "RSAR0", "Remote start address, low", "w"),
        (9, "CRDA1", "Current remote DMA address, high", "r"), (9, "RSAR1", "Remote start address, high", "w"),
        (10, "8029ID0", "RTL8029 identification, low", "r"), (10, "RBCR0", "Remote byte count, low", "w"),
        (11, "8029ID1", "RTL8029 identification, high", "r"), (11, "RBCR1", "Remote byte count, high", "w"),
        (12, "RSR", "Receive status", "r", _RSR), (12, "RCR", "Receive configuration", "w"),
        (13, "CNTR0", "Frame alignment errors", "r"), (13, "TCR", "Transmit configuration", "w"),
        (14, "CNTR1", "CRC errors", "r"), (14, "DCR", "Data configuration", "w"),
        (15, "CNTR2", "Missed packets", "r"), (15, "IMR", "Interrupt mask", "w", _ISR[:7]),
    ),
    *_page(
        1,
        *((1 + n, f"PAR{n}", "Physical address", "rw") for n in range(6)),
        (7, "CURR", "Current page", "rw"),
        *((8 + n, f"MAR{n}", "Multicast address", "rw") for n in range(8)),
    ),
    *_page(
        2,
        (1, "PSTART", "Page start", "r"), (1, "CLDA0", "Current local DMA address, low", "w"),
        (2, "PSTOP", "Page stop", "r"), (2, "CLDA1", "Current local DMA address, high", "w"),
        (3, "RNPP", "Remote next packet pointer", "rw"), (4, "TPSR", "Transmit page start", "r"),
        (5, "LNPP", "Local next packet pointer", "rw"), (6, "AC1", "Address counter, upper", "rw"),
        (7, "AC0", "Address counter, lower", "rw"), (12, "RCR", "Receive configuration", "r"),
        (13, "TCR", "Transmit configuration", "r"), (14, "DCR", "Data configuration", "r"),
        (15, "IMR", "Interrupt mask", "r"),
    ),
    *_page(
        3,
        (3, "CONFIG0", "RTL8029 configuration 0", "r"), (4, "CONFIG1", "RTL8029 configuration 1", "r"),
        (5, "CONFIG2", "RTL8029 configuration 2", "r"), (6, "CONFIG3", "RTL8029 configuration 3", "r"),
    ),
    banks=PAGES,
)  # fmt: skip

FIXED: Final = {0x0A: 0x50, 0x0B: 0x43, 0x35: 0x40, 0x36: 0x40}
"""Registers that always read the same."""


class Ne2000(Device):
    """One card.

    Args:
        irq: the interrupt, a level.
        mac: the MAC address, as a number of six bytes.
    """

    title = "Ethernet card NE2000 (DP8390)"
    registers = REGISTERS
    kept_by_reset = ("*",)
    width = 4

    def __init__(self, irq: Line, mac: int = 0x5254_0012_3456) -> None:
        self._irq = irq
        self._mac = mac.to_bytes(6, "big")
        self._memory = bytearray(MEMORY_END)
        self._unseen = bytearray(MEMORY_END)
        """Ones at received bytes that only the recording knows."""
        self._registers = [0] * 0x40
        """What is read back, by page << 4 | offset."""
        self._command = self._isr = self._mask = self._dcr = 0
        self._start = self._stop = self._remote = self._remaining = 0
        self._bank = PAGES[0]
        self._has_listened = False
        self._writers: dict[int, Callable[[int], None]] = {
            1: self._write_pstart, 2: self._write_pstop, BNRY: self._write_bnry, ISR: self._write_isr,
            8: self._write_rsar0, 9: self._write_rsar1, 10: self._write_rbcr0, 11: self._write_rbcr1,
            14: self._write_dcr, 15: self._write_imr, CURR: self._write_curr,
        }  # fmt: skip
        self._reset_card()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(Line())

    def reset(self) -> None:
        """See `Device.reset`: QEMU's card has none."""

    def state(self) -> Mapping[str, int]:
        """See `Device.state`. Of the memory it has a checksum."""
        return {
            "cr": self._command, "isr": self._isr, "imr": self._mask, "dcr": self._dcr, "pstart": self._start >> 8,
            "pstop": self._stop >> 8, "crda": self._remote, "rbcr": self._remaining,
            "has_listened": int(self._has_listened), "memory_crc": zlib.crc32(self._memory),
            "unseen_bytes": sum(self._unseen),
            **{f"register{at:02x}": value for at, value in enumerate(self._registers) if value},
        }  # fmt: skip

    def bank(self, offset: int) -> str | None:
        """See `Device.bank`: the page that CR selected when the last register was accessed."""
        return self._bank

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if offset & size - 1:
            return 0  # QEMU refuses the access
        if offset < DATA and size == 1:
            return self._read_register(offset)
        if offset == DATA:
            return self._read_data(size)
        if offset == RESET and size == 1:
            self._reset_card()
            return 0
        return (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if offset & size - 1:
            return
        if offset == DATA:
            self._write_data(size, value)
        elif offset < DATA and size == 1:
            self._write_register(offset, value)

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`: frames that came while the card listened (10.3)."""
        if size != 1 or offset >= DATA or not self._has_listened:
            return False
        at = self._command >> 2 & 0x30 | offset
        if at == ISR and hw ^ model == ISR_PRX and hw & ISR_PRX:
            self._isr |= ISR_PRX
            self._update_irq()
            return True
        if at == RSR and hw in (RSR_PRX, RSR_PRX | RSR_PHY):
            self._registers[RSR] = hw
            return True
        if at == CURR and self._start <= hw << 8 < self._stop:
            self._receive_up_to(hw)
            return True
        return False

    # Registers

    def _read_register(self, offset: int) -> int:
        if not offset:
            return self._command
        at = self._command >> 2 & 0x30 | offset
        self._bank = PAGES[at >> 4]
        if at == ISR:
            return self._isr
        if at in (CRDA0, CRDA1):
            return self._remote >> 8 * (at - CRDA0) & 0xFF
        if at in (0x21, 0x22):
            return (self._start, self._stop)[at - 0x21] >> 8
        fixed = FIXED.get(at)
        return self._registers[at] if fixed is None else fixed

    def _write_register(self, offset: int, value: int) -> None:
        if not offset:
            self._write_command(value)
            return
        at = self._command >> 2 & 0x30 | offset
        self._bank = PAGES[at >> 4]
        write = self._writers.get(at)
        if write is not None:
            write(value)
        elif PAR <= at < CURR or MAR <= at < MAR + 8:
            self._registers[at] = value

    def _write_command(self, value: int) -> None:
        """CR (10.3): a frame is sent at once; remote DMA of no bytes is complete at once."""
        self._command = value
        if value & CR_STP:
            return
        self._has_listened = True
        self._isr &= ~ISR_RST
        if value & (CR_RD0 | CR_RD1) and not self._remaining:
            self._isr |= ISR_RDC
            self._update_irq()
        if value & CR_TXP:
            self._registers[TSR] = TSR_PTX
            self._isr |= ISR_PTX
            self._command &= ~CR_TXP
            self._update_irq()

    def _write_pstart(self, value: int) -> None:
        if value << 8 <= MEMORY_END:
            self._start = value << 8

    def _write_pstop(self, value: int) -> None:
        if value << 8 <= MEMORY_END:
            self._stop = value << 8

    def _write_bnry(self, value: int) -> None:
        if value << 8 < MEMORY_END:
            self._registers[BNRY] = value

    def _write_isr(self, value: int) -> None:
        self._isr &= ~(value & ~ISR_RST)
        self._update_irq()

    def _write_rsar0(self, value: int) -> None:
        self._remote = self._remote & 0xFF00 | value

    def _write_rsar1(self, value: int) -> None:
        self._remote = self._remote & 0x00FF | value << 8

    def _write_rbcr0(self, value: int) -> None:
        self._remaining = self._remaining & 0xFF00 | value

    def _write_rbcr1(self, value: int) -> None:
        self._remaining = self._remaining & 0x00FF | value << 8

    def _write_dcr(self, value: int) -> None:
        self._dcr = value

    def _write_imr(self, value: int) -> None:
        self._mask = value
        self._update_irq()

    def _write_curr(self, value: int) -> None:
        if value << 8 < MEMORY_END:
            self._registers[CURR] = value

    # Remote DMA (12.0)

    def _read_data(self, size: int) -> int:
        width = 4 if size == 4 else 2 if self._dcr & DCR_WTS else 1
        at = self._remote & ~1 if width > 1 else self._remote
        full = (1 << 8 * size) - 1
        answer = self._read_memory(at, min(width, size)) if self._is_there(at, width) else full
        self._advance(width)
        return answer

    def _read_memory(self, at: int, count: int) -> int:
        value = int.from_bytes(self._memory[at : at + count], "little")
        if 1 not in self._unseen[at : at + count]:
            return value
        mask = int.from_bytes(bytes(0xFF * seen for seen in self._unseen[at : at + count]), "little")

        def learn(bits: int) -> None:
            self._memory[at : at + count] = (value & ~mask | bits).to_bytes(count, "little")
            self._unseen[at : at + count] = bytes(count)

        return Unknown(value & ~mask, mask, learn, "assumed")

    def _write_data(self, size: int, value: int) -> None:
        if not self._remaining:
            return
        width = 4 if size == 4 else 2 if self._dcr & DCR_WTS else 1
        at = self._remote & ~1 if width > 1 else self._remote
        if self._is_there(at, width):
            self._memory[at : at + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
            self._unseen[at : at + width] = bytes(width)
        self._advance(width)

    @staticmethod
    def _is_there(at: int, width: int) -> bool:
        return at < PROM_SIZE or MEMORY_START <= at <= MEMORY_END - width

    def _advance(self, width: int) -> None:
        self._remote = self._remote + width & MASK_32
        if self._remote == self._stop:
            self._remote = self._start
        if self._remaining <= width:
            self._remaining = 0
            self._isr |= ISR_RDC
            self._update_irq()
        else:
            self._remaining -= width

    # Reset, reception, interrupt

    def _reset_card(self) -> None:
        """The PROM holds each byte of the address twice (QEMU)."""
        self._isr = ISR_RST
        memory = self._memory
        memory[:6] = self._mac
        memory[14:16] = bytes((PROM_MARK, PROM_MARK))
        for at in range(15, -1, -1):
            memory[2 * at] = memory[2 * at + 1] = memory[at]

    def _receive_up_to(self, page: int) -> None:
        """Frames fill the ring from CURR up to the new CURR; only the recording knows what with."""
        at, end = self._registers[CURR] << 8, page << 8
        while at != end:
            if at >= self._stop or at < self._start:
                at = self._start
                if at == end:
                    break
            self._unseen[at : at + 256] = b"\1" * 256
            at += 256
        self._registers[CURR] = page

    def _update_irq(self) -> None:
        self._irq.set(self._isr & self._mask & 0x7F != 0)
