"""PC16550D universal asynchronous receiver/transmitter with FIFOs, the PC's serial port: eight registers.

Source: National Semiconductor PC16550D data sheet (June 1995); "8.5" below is one of its sections.

Modelled: all registers in both DLAB banks; the receiver FIFO with trigger levels, overrun and character timeout; the
priority and encoding of IIR; the edges of the THR-empty interrupt; loopback of data and modem lines; INTR as a level.

Not modelled: the bits on the wire. A character leaves as soon as it is written, so THRE and TEMT are set again before
the guest can look; word length, parity and break change nothing but the character time; there are no framing and
parity errors; DMA mode and the RXRDY and TXRDY pins have no effect.

Follows QEMU where the guest can see a difference from the data sheet:
- After reset MCR is 0x08 (OUT2), MSR is 0xB0 (a modem that is ready) and the divisor is 12 (9600 baud); OUT2 does not
  gate the interrupt, as it does on a PC's adapter card.
- A change of ETBEI from 0 to 1 raises the THR-empty interrupt again when THRE is set; so does a transmitter FIFO reset.
- A character written in loopback is received at once. In loopback MSR shows MCR's outputs, but its delta bits stay 0
  and do not interrupt.
- IIR shows the character timeout before received data. ERBFI masks both.
- RBR reads 0 when the FIFO is empty; without FIFO it reads the last character again.
- BI is also cleared when the last character is read; resetting the receiver FIFO clears BI, but not OE.
- An outside character can be a break, but has no other error.

Input from outside that no event of the recording tells of is inferred, in `assume`, from reads that nothing else
explains: received characters and breaks (never while in loopback); a transmitter that a full pipe or terminal behind
the port holds up; and, for ports on a real serial line, modem lines.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Mapping
from typing import Final, Self

from ..clock import NANOSECONDS_PER_SECOND, Clock
from ..device import Device, Unknown
from ..irq import Line
from ..registers import Field, Register, RegisterMap, bit

DLAB_0, DLAB_1 = "DLAB=0", "DLAB=1"

IIR_IDS: Final = {
    0x1: "none", 0x6: "receiver line status", 0x4: "received data available", 0xC: "character timeout",
    0x2: "THR empty", 0x0: "modem status",
}  # fmt: skip
WORD_LENGTHS: Final = {0: "5 bits", 1: "6 bits", 2: "7 bits", 3: "8 bits"}
TRIGGER_LEVELS: Final = {0: "1 byte", 1: "4 bytes", 2: "8 bytes", 3: "14 bytes"}


def _bits(*names: str, outside: int = 0) -> tuple[Field, ...]:
    """Fields of one bit, from bit 0 on; those in the mask `outside` show input from outside."""
    return tuple(bit(name, at, nature="outside" if outside >> at & 1 else None) for at, name in enumerate(names))


_IIR: Final = (Field("ID", 3, 0, IIR_IDS, "interrupt"), Field("FIFOs enabled", 7, 6, {0: "no", 3: "yes"}))
_FCR: Final = (
    *_bits("FIFO enable", "RCVR FIFO reset", "XMIT FIFO reset", "DMA mode"), Field("RCVR trigger", 7, 6, TRIGGER_LEVELS)
)  # fmt: skip
_LCR_BITS: Final = (bit("STB", 2), bit("PEN", 3), bit("EPS", 4), bit("Stick parity", 5), bit("Set break", 6))
_LCR: Final = (Field("WLS", 1, 0, WORD_LENGTHS), *_LCR_BITS, bit("DLAB", 7))
_MCR: Final = _bits("DTR", "RTS", "OUT1", "OUT2", "LOOP")
_LSR: Final = _bits("DR", "OE", "PE", "FE", "BI", "THRE", "TEMT", "Error in RCVR FIFO", outside=0x9F)
_MSR: Final = _bits("DCTS", "DDSR", "TERI", "DDCD", "CTS", "DSR", "RI", "DCD", outside=0xFF)

REGISTERS: Final = RegisterMap(
    Register("RBR", "Receiver buffer", 0, "r", (), DLAB_0, source="8.0", nature="outside"),
    Register("THR", "Transmitter holding", 0, "w", (), DLAB_0, source="8.0"),
    Register("DLL", "Divisor latch, low", 0, "rw", (), DLAB_1, 0x0C, source="8.2; reset: QEMU"),
    Register("IER", "Interrupt enable", 1, "rw", _bits("ERBFI", "ETBEI", "ELSI", "EDSSI"), DLAB_0, 0x00, source="8.6"),
    Register("DLM", "Divisor latch, high", 1, "rw", (), DLAB_1, 0x00, source="8.2; reset: QEMU"),
    Register("IIR", "Interrupt identification", 2, "r", _IIR, None, 0x01, source="8.5"),
    Register("FCR", "FIFO control", 2, "w", _FCR, source="8.4"),
    Register("LCR", "Line control", 3, "rw", _LCR, None, 0x00, source="8.1"),
    Register("MCR", "Modem control", 4, "rw", _MCR, None, 0x08, source="8.7; reset: QEMU"),
    Register("LSR", "Line status; writes are ignored", 5, "rw", _LSR, None, 0x60, source="8.3"),
    Register("MSR", "Modem status; writes are ignored", 6, "rw", _MSR, None, 0xB0, source="8.8; reset: QEMU"),
    Register("SCR", "Scratchpad", 7, "rw", (), None, 0x00, source="8.9; reset: QEMU", part="scratchpad"),
    banks=(DLAB_0, DLAB_1),
)

RBR_THR_DLL, IER_DLM, IIR_FCR, LCR, MCR, LSR, MSR, SCR = range(8)

IER_ERBFI, IER_ETBEI, IER_ELSI, IER_EDSSI = 0x01, 0x02, 0x04, 0x08
IER_MASK: Final = 0x0F
IIR_MODEM_STATUS, IIR_NONE, IIR_THR_EMPTY, IIR_RX_DATA, IIR_LINE_STATUS, IIR_TIMEOUT = 0x0, 0x1, 0x2, 0x4, 0x6, 0xC
IIR_ID, IIR_FIFOS = 0x0F, 0xC0
FCR_ENABLE, FCR_RX_RESET, FCR_TX_RESET = 0x01, 0x02, 0x04
FCR_KEPT: Final = 0xC9  # the resets clear themselves
LCR_WLS, LCR_STB, LCR_PEN, LCR_DLAB = 0x03, 0x04, 0x08, 0x80
MCR_DTR, MCR_RTS, MCR_OUT1, MCR_OUT2, MCR_LOOP = 0x01, 0x02, 0x04, 0x08, 0x10
MCR_MASK: Final = 0x1F
LSR_DR, LSR_OE, LSR_PE, LSR_FE, LSR_BI, LSR_THRE, LSR_TEMT = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40
LSR_ERRORS: Final = LSR_OE | LSR_PE | LSR_FE | LSR_BI
LSR_IDLE: Final = LSR_THRE | LSR_TEMT
MSR_TERI, MSR_CTS, MSR_DSR, MSR_RI, MSR_DCD = 0x04, 0x10, 0x20, 0x40, 0x80
MSR_LINES: Final = 0xF0
MSR_RESET: Final = MSR_DCD | MSR_DSR | MSR_CTS

FIFO_BYTES: Final = 16
TRIGGER_BYTES: Final = (1, 4, 8, 14)
TIMEOUT_CHARACTERS: Final = 4
MAX_BAUD: Final = 115_200
DIVISOR_0_BAUD: Final = 3_500
"""QEMU's; the data sheet forbids the divisor 0 (8.2)."""
RESET_DIVISOR: Final = 12
RESET_CHARACTER_NS: Final = NANOSECONDS_PER_SECOND // 9600 * 10
"""QEMU's value for 9600 baud and ten bits, although LCR says five data bits after reset."""

SINGLE_PRECISION: Final = struct.Struct("f")

UNSEEN: Final = -1
"""A received character that no read has shown yet."""

URGENCY: Final = {
    IIR_NONE: 0, IIR_MODEM_STATUS: 1, IIR_THR_EMPTY: 2, IIR_RX_DATA: 3, IIR_TIMEOUT: 4, IIR_LINE_STATUS: 5,
}  # fmt: skip
"""Of two sources the more urgent one shows (8.5, table IV)."""


class Uart16550(Device):
    """One serial port.

    Args:
        clock: for the character timeout.
        irq: INTR, a level.
        modem_lines: what the port was connected to has modem lines of its own, which can change: a serial port of the
            host or an emulated serial mouse. Files, terminals, pipes, sockets and the like leave MSR alone.
        outside: anything can come from outside at all. If not, nothing is assumed.
    """

    title = "Serial port (UART) with FIFOs"
    registers = REGISTERS

    def __init__(self, clock: Clock, irq: Line, *, modem_lines: bool = False, outside: bool = True) -> None:
        self._clock = clock
        self._irq = irq
        self._modem_lines = modem_lines
        self._outside = outside
        self._timeout = clock.timer(self._on_timeout)
        self._rx: deque[int] = deque()
        self._readers = (self._read_rbr_dll, self._read_ier_dlm, self._read_iir, self._read_lcr,
                         self._read_mcr, self._read_lsr, self._read_msr, self._read_scr)  # fmt: skip
        self._writers = (self._write_thr_dll, self._write_ier_dlm, self._write_fcr, self._write_lcr,
                         self._write_mcr, self._ignore, self._ignore, self._write_scr)  # fmt: skip
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(clock, Line())

    def reset(self) -> None:
        """See `Device.reset`: table I of the data sheet, except for MCR, MSR, SCR and the divisor."""
        self._ier = self._fcr = self._lcr = self._scr = 0
        self._mcr = MCR_OUT2
        self._lsr = LSR_IDLE
        self._msr = MSR_RESET
        self._divisor = RESET_DIVISOR
        self._character_ns = RESET_CHARACTER_NS
        self._rx.clear()
        self._rbr = 0
        self._thre_pending = False
        self._timeout_pending = False
        self._timeout.cancel()
        # Inferred from reads, or remembered for it
        self._sent = self._sent_before_read = 0
        """Characters that no read has shown to have left; how many of them before the last read."""
        self._held = False
        self._msr_changed = False
        self._msr_seen = self._msr_was_seen = False
        self._rbr_was_empty = True
        self._thre_was_taken = False
        self._update_irq()

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`. RBR is `Unknown` for an outside character that is read for the first time."""
        return self._readers[offset]()

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        self._writers[offset](value)

    def bank(self, offset: int) -> str | None:
        """See `Device.bank`: DLAB, which no access to a banked register changes."""
        return DLAB_1 if self._lcr & LCR_DLAB else DLAB_0

    def state(self) -> Mapping[str, int]:
        """See `Device.state`. `rbr` and `rx_next` are -1 for a character that only the recording knows."""
        return {
            "ier": self._ier,
            "iir": self._iir,
            "fcr": self._fcr,
            "lcr": self._lcr,
            "mcr": self._mcr,
            "lsr": self._lsr,
            "msr": self._msr,
            "scr": self._scr,
            "divisor": self._divisor,
            "character_ns": self._character_ns,
            "rbr": self._rbr,
            "rx_count": len(self._rx),
            "rx_next": self._rx[0] if self._rx else 0,
            "thre_pending": int(self._thre_pending),
            "timeout_pending": int(self._timeout_pending),
            "timeout_ns": self._timeout.deadline_ns,
            "tx_held": int(self._held),
        }

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`. Nothing is assumed in loopback: there the outside is cut off (8.7)."""
        if size != 1 or self._mcr & MCR_LOOP or not self._outside:
            return False
        if offset == RBR_THR_DLL:
            return self._assume_rbr(hw)
        if offset == IIR_FCR:
            return self._assume_iir(hw, model)
        return self._assume_lsr(hw, model) if offset == LSR else offset == MSR and self._assume_msr(hw, model)

    # Registers, in the order of their offsets

    def _read_rbr_dll(self) -> int:
        if self._lcr & LCR_DLAB:
            return self._divisor & 0xFF
        rx = self._rx
        if self._fcr & FCR_ENABLE:
            self._rbr_was_empty = not rx
            value = rx.popleft() if rx else 0
            if not rx:
                self._lsr &= ~(LSR_DR | LSR_BI)
            elif UNSEEN not in rx:
                self._start_timeout()
            self._timeout_pending = False
        else:
            self._rbr_was_empty = not self._lsr & LSR_DR
            value = self._rbr
            self._lsr &= ~(LSR_DR | LSR_BI)
        self._update_irq()
        return Unknown(0, 0xFF, self._learn_rbr, "assumed") if value == UNSEEN else value

    def _write_thr_dll(self, value: int) -> None:
        if self._lcr & LCR_DLAB:
            self._divisor = self._divisor & 0xFF00 | value
            self._update_character_time()
            return
        # The write ends the THR-empty interrupt, and the character's leaving makes a new one (8.10): INTR drops for a
        # moment, which an edge-triggered interrupt controller needs to see. Without ETBEI, neither shows.
        self._thre_pending = False
        shows = self._ier & IER_ETBEI
        if shows:
            self._update_irq()
        if self._mcr & MCR_LOOP:
            self._thre_pending = True
            self.receive(value)
            return
        self._sent += 1
        self._thre_pending = not self._held
        if self._held:
            self._lsr &= ~LSR_IDLE
        if shows:
            self._update_irq()

    def _read_ier_dlm(self) -> int:
        return self._divisor >> 8 if self._lcr & LCR_DLAB else self._ier

    def _write_ier_dlm(self, value: int) -> None:
        if self._lcr & LCR_DLAB:
            self._divisor = value << 8 | self._divisor & 0xFF
            self._update_character_time()
            return
        changed = (self._ier ^ value) & IER_MASK
        self._ier = value & IER_MASK
        if changed & IER_ETBEI:
            self._thre_pending = bool(value & IER_ETBEI and self._lsr & LSR_THRE)
        self._update_irq()

    def _read_iir(self) -> int:
        """8.5: reading IIR ends the THR-empty interrupt if that is what it shows, and no other."""
        iir = self._iir
        self._thre_was_taken = iir & IIR_ID == IIR_THR_EMPTY
        self._sent_before_read = self._sent
        if self._thre_was_taken:
            self._thre_pending = False
            self._sent = min(self._sent, 1)  # what is left, if anything, is in the shift register
            self._update_irq()
        return iir

    def _write_fcr(self, value: int) -> None:
        if (value ^ self._fcr) & FCR_ENABLE:
            value |= FCR_RX_RESET | FCR_TX_RESET  # 8.4: changing the mode clears the FIFOs
        if value & FCR_RX_RESET:
            self._rx.clear()
            self._lsr &= ~(LSR_DR | LSR_BI)
            self._timeout.cancel()
            self._timeout_pending = False
        if value & FCR_TX_RESET:
            self._lsr |= LSR_THRE
            self._thre_pending = True
        self._fcr = value & FCR_KEPT
        self._update_irq()

    def _read_lcr(self) -> int:
        return self._lcr

    def _write_lcr(self, value: int) -> None:
        self._lcr = value
        self._update_character_time()

    def _read_mcr(self) -> int:
        return self._mcr

    def _write_mcr(self, value: int) -> None:
        self._mcr = value & MCR_MASK

    def _read_lsr(self) -> int:
        lsr = self._lsr
        self._sent_before_read = self._sent
        self._sent = 0
        if lsr & LSR_ERRORS:
            self._lsr = lsr & ~LSR_ERRORS
            self._update_irq()
        return lsr

    def _read_msr(self) -> int:
        mcr = self._mcr
        if mcr & MCR_LOOP:
            # 8.7: the outputs are connected to the inputs: OUT2 to DCD, OUT1 to RI, DTR to DSR, RTS to CTS
            return (mcr & (MCR_OUT1 | MCR_OUT2)) << 4 | (mcr & MCR_RTS) << 3 | (mcr & MCR_DTR) << 5
        self._msr_was_seen = self._msr_seen
        self._msr_seen = True
        if self._msr_changed:
            self._msr_changed = False
            self._update_irq()
            return Unknown(0, 0xFF, self._learn_msr, "assumed")
        return self._msr

    def _read_scr(self) -> int:
        return self._scr

    def _write_scr(self, value: int) -> None:
        self._scr = value

    def _ignore(self, value: int) -> None:
        """8.3: writing LSR is for factory tests. QEMU ignores writes of LSR and MSR."""

    # Derived state

    def _update_irq(self) -> None:
        """The most urgent source that is pending and enabled (8.5, table IV), and INTR."""
        ier, lsr = self._ier, self._lsr
        identity = IIR_NONE
        if ier & IER_ELSI and lsr & LSR_ERRORS:
            identity = IIR_LINE_STATUS
        elif ier & IER_ERBFI and self._timeout_pending:
            identity = IIR_TIMEOUT
        elif ier & IER_ERBFI and lsr & LSR_DR and (not self._fcr & FCR_ENABLE or len(self._rx) >= self._trigger()):
            identity = IIR_RX_DATA
        elif ier & IER_ETBEI and self._thre_pending:
            identity = IIR_THR_EMPTY
        elif ier & IER_EDSSI and self._msr_changed:
            identity = IIR_MODEM_STATUS
        self._iir = identity | IIR_FIFOS if self._fcr & FCR_ENABLE else identity
        self._irq.set(identity != IIR_NONE)

    def _trigger(self) -> int:
        return TRIGGER_BYTES[self._fcr >> 6]

    def _update_character_time(self) -> None:
        """The time of one character, as QEMU rounds it: in single precision, then to whole nanoseconds."""
        frame_bits = 1 + 5 + (self._lcr & LCR_WLS) + (2 if self._lcr & LCR_STB else 1)
        if self._lcr & LCR_PEN:
            frame_bits += 1
        baud = _single(MAX_BAUD / self._divisor) if self._divisor else DIVISOR_0_BAUD
        self._character_ns = int(_single(_single(NANOSECONDS_PER_SECOND / baud) * frame_bits))

    # Receiver

    def receive(self, value: int) -> None:
        """Take a character that arrives now: in loopback, or from outside as an event of the recording tells."""
        if self._fcr & FCR_ENABLE:
            if len(self._rx) < FIFO_BYTES:
                self._rx.append(value)
            else:
                self._lsr |= LSR_OE  # 8.3: the FIFO keeps its content
            self._start_timeout()
        else:
            if self._lsr & LSR_DR:
                self._lsr |= LSR_OE
            self._rbr = value
        self._lsr |= LSR_DR
        self._update_irq()

    def _start_timeout(self) -> None:
        self._timeout.arm(self._clock.now_ns + TIMEOUT_CHARACTERS * self._character_ns)

    def _on_timeout(self) -> None:
        """8.10: characters wait, and none came or was read for the time of four."""
        if self._rx:
            self._timeout_pending = True
            self._update_irq()

    # Outside input

    def _arrive(self, value: int = UNSEEN) -> None:
        """An outside character was received some time ago; when its timeout falls due is not known."""
        if self._fcr & FCR_ENABLE:
            if len(self._rx) < FIFO_BYTES:
                self._rx.append(UNSEEN)
            self._timeout.cancel()
        else:
            self._rbr = value
        self._lsr |= LSR_DR

    def _learn_rbr(self, value: int) -> None:
        if not self._fcr & FCR_ENABLE:
            self._rbr = value

    def _learn_msr(self, value: int) -> None:
        self._msr = value & MSR_LINES

    def _assume_rbr(self, hw: int) -> bool:
        """The guest may read without asking LSR or IIR first, as an interrupt handler can."""
        if self._lcr & LCR_DLAB or not self._rbr_was_empty:
            return False
        self._learn_rbr(hw)
        return True

    def _assume_iir(self, hw: int, model: int) -> bool:
        if (hw ^ model) & ~IIR_ID:
            return False
        shown, ours = hw & IIR_ID, model & IIR_ID
        if URGENCY.get(shown, -1) > URGENCY[ours] and self._assume_source(shown):
            # If we answered THR empty: it did not show, so the read did not end it
            self._thre_pending = self._thre_pending or self._thre_was_taken
        elif ours == IIR_THR_EMPTY and shown == IIR_NONE and self._sent_before_read > 1 and not self._held:
            # The THR is not empty: the characters wait
            self._held = True
            self._lsr &= ~LSR_IDLE
        else:
            return False
        self._sent = self._sent_before_read
        self._update_irq()
        return True

    def _assume_source(self, shown: int) -> bool:
        """Let outside input bring about the interrupt that IIR showed; False if none can."""
        ier, fifo = self._ier, self._fcr & FCR_ENABLE
        if shown == IIR_LINE_STATUS and ier & IER_ELSI:
            self._arrive(0)  # of all line status errors, only a break comes from outside
            self._lsr |= LSR_BI
        elif shown == IIR_TIMEOUT and ier & IER_ERBFI and fifo:
            if not self._rx:
                self._arrive()
            self._timeout_pending = True
        elif shown == IIR_RX_DATA and ier & IER_ERBFI:
            for _ in range(self._trigger() - len(self._rx) if fifo else 1):
                self._arrive()
        elif shown == IIR_THR_EMPTY and ier & IER_ETBEI and self._held:
            self._lsr |= LSR_THRE
        elif shown == IIR_MODEM_STATUS and ier & IER_EDSSI and self._modem_lines:
            self._msr_changed = True
        else:
            return False
        return True

    def _assume_lsr(self, hw: int, model: int) -> bool:
        gained, lost = hw & ~model, model & ~hw
        if gained & ~(LSR_DR | LSR_OE | LSR_BI | LSR_IDLE) or lost & ~LSR_IDLE:
            return False
        if (gained & LSR_BI and not hw & LSR_DR) or (gained & LSR_OE and not gained & LSR_BI):
            return False  # a break is a character; no other is sent to a full receiver
        if hw & LSR_IDLE == LSR_TEMT or (lost if self._held else gained & LSR_IDLE):
            return False
        waiting = 2 if lost & LSR_THRE else 1 if lost & LSR_TEMT else 0  # in the shift register and behind it
        if self._sent_before_read < waiting:
            return False
        if gained & (LSR_DR | LSR_BI):
            self._arrive(0 if gained & LSR_BI else UNSEEN)
        if (gained | lost) & LSR_THRE:
            self._thre_pending = bool(hw & LSR_THRE)
        self._lsr = self._lsr & ~LSR_IDLE | hw & LSR_IDLE
        self._held = not hw & LSR_TEMT
        self._update_irq()
        return True

    def _assume_msr(self, hw: int, model: int) -> bool:
        """A line that changed since the last read or reset shows in its delta bit, RI only when it went off (8.8)."""
        if not self._modem_lines:
            return False
        changed = (hw ^ model) >> 4
        if hw & MSR_RI:
            changed &= ~MSR_TERI
        if changed & ~hw and self._msr_was_seen:
            return False
        self._learn_msr(hw)
        return True


def _single(value: float) -> float:
    """Round to IEEE single precision."""
    return float(SINGLE_PRECISION.unpack(SINGLE_PRECISION.pack(value))[0])
