"""Intel 82574L gigabit Ethernet controller, QEMU's e1000e.

Source: Intel 82574 GbE Controller Family Datasheet, revision 3.4, chapter 10.

Modelled: the register file with its reset values, aliases, read-only and clear-on-read registers; interrupts by INTx,
MSI and MSI-X with throttling; the NVM by EERD and EEWR; the PHY behind MDIC with its pages and auto-negotiation; both
transmit rings as far as registers show them; the system time; the reset by CTRL; registers through IOADDR and IODATA.

Not modelled: packets, which pass through the guest's memory. A transmission is over as soon as the tail is written;
that its descriptors ask for a report (TXDW), and let it not wait (TIDV, TADV), is taken for granted until ICR says
otherwise. What is received, the statistics, and a cable that is pulled or put in are input from outside, which `assume`
takes from the recording. Flash, wakeup, management and flow control are registers without effect.

Follows QEMU where the guest can see a difference from the data sheet:
- ICS reads as ICR. EEPROM bits of EECD do nothing; TIDV, FWSM, SW_FW_SYNC and the counts of timer expirations read 0.
- Counters of octets are cleared by reading their high half; some counters are never cleared.
- A narrow access reaches the whole register: see `WholeRegisterDevice`. Unaligned accesses to ports fail.
- The tables of the flexible filters have no gaps. VET is 0 after a reset by CTRL.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Self

from ..clock import Clock
from ..contracts import Contract
from ..irq import Line
from . import e1000_registers as r
from . import e1000e_registers as e
from .e1000_controller import GigabitController
from .e1000_eeprom import WORDS, content
from .e1000_identities import I82574L
from .e1000e_interrupts import ASSERTED, OTHER, RXQ0, RXQ1, TXQ0, TXQ1, Interrupts, Messages, NoMessages
from .e1000e_phy import IDENTITY, PagedPhy

EEPROM: Final = (
    0, 0, 0, 0x0420, 0xF746, 0x2010, 0xFFFF, 0xFFFF, 0, 0, 0x026B, 0, 0x8086, 0, 0, 0x8058, 0, 0x2001, 0x7E7C, 0xFFFF,
    0x1000, 0x00C8, 0, 0x2704, 0x6CC9, 0x3150, 0x070E, 0x460B, 0x2D84, 0x0100, 0xF000, 0x0706, 0x6000, 0x0080, 0x0F04,
    0x7FFF, 0x4F01, 0xC600, 0, 0x20FF, 0x0028, 0x0003, 0, 0, 0, 0x0003, 0, 0xFFFF, 0x0100, 0xC000, 0x121C, 0xC007,
    *(0xFFFF,) * 8, 0, 0x0120, 0xFFFF, 0,
)  # fmt: skip
"""QEMU's board, without MAC address, device identification and checksum."""

CTRL_GIO_MASTER_DISABLE, CTRL_FRCSPD, CTRL_FRCDPX, CTRL_RST, CTRL_FLOW, CTRL_PHY_RST = (
    1 << 2, 1 << 11, 1 << 12, 1 << 26, 3 << 27, 1 << 31,
)  # fmt: skip
STATUS_FD, STATUS_1000, STATUS_PHYRA, STATUS_GIO_MASTER = 1, 0x80, 1 << 10, 1 << 19
EXT_SELF_CLEARING, EXT_SPD_BYPS = 0x3000, 1 << 15
EECD_READ_ONLY: Final = 0x7B00
GCR_READ_ONLY: Final = 0x0680_0000
RCTL_DTYP: Final = 0xC00
TARC_ENABLE, TARC_BITS = 1 << 10, 0x7800_07FF
RECEIVE_CAUSES: Final = r.ICR_RXT0 | r.ICR_RXDMT0 | r.ICR_RXO | 1 << 16 | 1 << 17 | RXQ0 | RXQ1
SEND_CAUSES: Final = r.ICR_TXDW | r.ICR_TXQE | TXQ0 | TXQ1
RINGS: Final = ((e.TARC0, r.TDH, r.TDT, r.TDLEN, TXQ0), (e.TARC1, e.TDH1, e.TDT1, e.TDLEN1, TXQ1))
ABSENT: Final = (r.IMC, r.TIDV, e.CTRL_DUP)
IO_LIMIT: Final = 0x1_FFFF
SIGN_64: Final = 1 << 63


HOST_CLOCK: Final = (
    Contract("SYSTIML", "mask", "with the host's clock a recording has the time of an access to milliseconds only"),
    Contract("SYSTIMH", "time", "with the host's clock the time comes late by milliseconds", ticks=4096),
)
"""Contracts for recordings with the host's clock: the time runs over in less than the uncertainty of an access."""


class E1000e(GigabitController):
    """One controller: its memory at offset 0, its I/O ports at `IO_AT`.

    Args:
        clock: for auto-negotiation, throttling and the system time.
        irq: INTx, a level.
        messages: MSI and MSI-X of the function.
        mac: the MAC address, as a number of six bytes.
        has_vet: whether VET has its value after a reset; not so on old machines of QEMU's.
    """

    title = "Gigabit Ethernet controller 82574L"
    registers = e.registers()
    kept_by_reset = ("throttle_shown*", "eeprom", "ioaddr", "time_offset")  # QEMU has no reset for them

    def __init__(
        self, clock: Clock, irq: Line, messages: Messages | None = None, mac: int = 0x5254_0012_3456, *,
        has_vet: bool = True,
    ) -> None:  # fmt: skip
        self._clock = clock
        self._mac = mac.to_bytes(6, "big")
        self._has_vet = has_vet
        self._eeprom = list(content(EEPROM, I82574L, mac))
        self._ioaddr = self._time_offset = 0
        self._values = defaultdict(int)
        self._value = self._values.__getitem__
        self._messages = messages or NoMessages()
        self._interrupts = Interrupts(clock, irq, self._messages, self._values)
        self._phy = PagedPhy(clock, IDENTITY, self._link_changed, self._negotiated)
        interrupts = self._interrupts
        self._readers: dict[int, Callable[[], int]] = {
            at: partial(self._read_and_clear, at)
            for at in (*r.STATISTIC_AT.values(), e.IAC)
            if at not in r.KEPT_COUNTERS
        }  # fmt: skip
        self._readers |= dict.fromkeys(ABSENT, _zero)
        self._readers |= {
            r.ICR: interrupts.read_icr, r.STATUS: self._read_status, r.SWSM: self._read_swsm,
            e.SYSTIML: self._read_systiml, e.RXSATRH: partial(self._read_stamp, e.RXSATRH, e.TSYNCRXCTL),
            e.TXSTMPH: partial(self._read_stamp, e.TXSTMPH, e.TSYNCTXCTL),
            e.TARC0: partial(self._read_tarc, e.TARC0), e.TARC1: partial(self._read_tarc, e.TARC1),
        }  # fmt: skip
        self._writers: dict[int, Callable[[int], None]] = {
            r.CTRL: self._write_ctrl, e.CTRL_DUP: self._write_ctrl, r.STATUS: self._write_status,
            r.EECD: self._write_eecd, r.EERD: self._write_eerd, e.EEWR: self._write_eewr,
            e.CTRL_EXT: self._write_ctrl_ext, r.MDIC: self._write_mdic, r.ICR: interrupts.write_icr,
            r.ICS: interrupts.cause, r.IMS: interrupts.write_ims, r.IMC: interrupts.write_imc, r.RCTL: self._write_rctl,
            r.TCTL: self._write_tctl, r.TDT: partial(self._write_tdt, 0), e.TDT1: partial(self._write_tdt, 1),
            r.RDTR: partial(self._write_word, r.RDTR), r.TIDV: partial(self._write_word, r.TIDV),
            r.RXDCTL: self._write_rxdctl, e.PSRCTL: self._write_psrctl, e.GCR: self._write_gcr,
            e.TIMINCA: self._write_timinca, e.TIMADJH: self._write_timadjh,
        }  # fmt: skip
        for number, at in enumerate((r.ITR, *range(e.EITR, e.EITR + 4 * e.VECTORS, 4))):
            self._readers[at] = partial(interrupts.shown.__getitem__, number)
            self._writers[at] = partial(interrupts.write_rate, number)
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(clock, Line())

    def reset(self) -> None:
        """See `Device.reset`."""
        self._reset(())
        if self._has_vet:
            self._values[r.VET] = 0x8100

    def _reset(self, kept: tuple[int, ...]) -> None:
        values = self._values
        kept_values = {at: values[at] for at in kept}
        self._interrupts.reset()
        self._phy.reset()
        values.clear()
        values |= e.RESETS | kept_values
        values[r.RAL0] = int.from_bytes(self._mac[:4], "little")
        values[r.RAH0] = int.from_bytes(self._mac[4:], "little") | r.RAH_AV
        self._has_sent = self._has_listened = False
        self._reports = True

    def state(self) -> Mapping[str, int]:
        """See `Device.state`: registers that are not 0, by offset, and what is behind them."""
        return {
            **{f"{at:#07x}": value for at, value in sorted(self._values.items()) if value},
            **dict(self._phy.state()), **dict(self._interrupts.state()), "ioaddr": self._ioaddr,
            "time_offset": self._time_offset, "eeprom": sum(word << 16 * n for n, word in enumerate(self._eeprom)),
            "has_sent": int(self._has_sent), "has_listened": int(self._has_listened), "reports": int(self._reports),
        }  # fmt: skip

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if offset >= e.IO_AT:
            return self._read_port(offset - e.IO_AT) & (1 << 8 * size) - 1
        at = offset & ~3
        at = e.ALIASES.get(at, at)
        read = self._readers.get(at)
        value = self._values[at] if read is None else read()
        return value & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if offset >= e.IO_AT:
            self._write_port(offset - e.IO_AT, value)
            return
        at = offset & ~3
        at = e.ALIASES.get(at, at)
        mask = e.STORED.get(at)
        if mask is not None:
            self._values[at] = value & mask
            return
        write = self._writers.get(at)
        if write is not None:
            write(value)

    def read_any(self, offset: int, size: int) -> int:
        """See `Device.read_any`."""
        return 0 if offset >= e.IO_AT and offset & size - 1 else super().read_any(offset, size)

    def write_any(self, offset: int, size: int, value: int) -> None:
        """See `Device.write_any`."""
        if offset < e.IO_AT or not offset & size - 1:
            super().write_any(offset, size, value)

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        """See `Device.reader`."""
        if size == 4 and not offset & 3 and offset < e.IO_AT:
            at = e.ALIASES.get(offset, offset)
            return self._readers.get(at) or partial(self._value, at)
        return super().reader(offset, size)

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`: packets that came, statistics of those that came and went, the cable."""
        if offset == e.IO_AT + 4:
            offset = self._ioaddr
        if size != 4:
            return False
        at = e.ALIASES.get(offset, offset)
        if at in (r.ICR, r.ICS):
            return self._assume_causes(at, hw, model)
        for head, length in ((r.RDH, r.RDLEN), (e.RDH1, e.RDLEN1)):
            if at == head and self._has_listened and hw < max(self._values[length] // 16, 1):
                self._values[head] = hw
                return True
        listened = self._has_listened and (at in r.RECEIVED or at == e.IAC)
        if (listened or (at in r.SENT and self._has_sent)) and hw > model:
            if at in r.KEPT_COUNTERS:
                self._values[at] = hw
            return True
        if at == r.STATUS and hw ^ model == r.STATUS_LU and not self._phy.is_negotiating:
            self._phy.set_link(bool(hw & r.STATUS_LU))
            return True
        return False

    # I/O ports (10.1.1.4)

    def _read_port(self, port: int) -> int:
        if port == 0:
            return self._ioaddr
        return self.read(self._ioaddr, 4) if port == 4 and self._ioaddr < IO_LIMIT else 0

    def _write_port(self, port: int, value: int) -> None:
        if port == 0:
            self._ioaddr = value
        elif port == 4 and self._ioaddr < IO_LIMIT:
            self.write(self._ioaddr, 4, value)

    # Registers, in the order of their offsets

    def _write_ctrl(self, value: int) -> None:
        """CTRL (10.2.2.1): RST resets all but the packet buffers' sizes."""
        self._values[r.CTRL] = value & ~CTRL_RST
        if value & CTRL_RST:
            self._reset(e.KEPT_BY_SOFTWARE)
        if value & CTRL_PHY_RST:
            self._values[r.STATUS] |= STATUS_PHYRA

    def _read_status(self) -> int:
        """STATUS (10.2.2.2): speed and duplex are what CTRL forces, else the best."""
        status, control = self._values[r.STATUS], self._values[r.CTRL]
        if not control & CTRL_GIO_MASTER_DISABLE:
            status |= STATUS_GIO_MASTER
        status |= control & STATUS_FD if control & CTRL_FRCDPX else STATUS_FD
        if control & CTRL_FRCSPD or self._values[e.CTRL_EXT] & EXT_SPD_BYPS:
            speed = control >> 8 & 3
            return status | (speed << 6 if speed < 2 else STATUS_1000)
        return status | STATUS_1000

    def _write_status(self, value: int) -> None:
        if not value & STATUS_PHYRA:
            self._values[r.STATUS] &= ~STATUS_PHYRA

    def _write_eecd(self, value: int) -> None:
        self._values[r.EECD] = self._values[r.EECD] & EECD_READ_ONLY | value & ~EECD_READ_ONLY

    def _write_eerd(self, value: int) -> None:
        """EERD (10.2.2.4): with START it reads the word at once."""
        number = value >> 2 & 0x3FFF
        done = number < WORDS and value & 1
        self._values[r.EERD] = number << 2 | (self._eeprom[number] << 16 | 2 if done else 0)

    def _write_eewr(self, value: int) -> None:
        """EEWR (10.2.2.11): with START it writes the word at once; EERD shows the result."""
        number = value >> 2 & 0x3FFF
        done = number < WORDS and value & 1
        if done:
            self._eeprom[number] = value >> 16
        self._values[r.EERD] = value & 0xFFFF_0000 | number << 2 | (2 if done else 0)

    def _write_ctrl_ext(self, value: int) -> None:
        self._values[e.CTRL_EXT] = value & ~EXT_SELF_CLEARING

    def _write_tctl(self, value: int) -> None:
        self._values[r.TCTL] = value
        for ring in (0, 1):
            self._transmit(ring)

    def _write_psrctl(self, value: int) -> None:
        """PSRCTL (10.2.5.4): the first two buffers cannot have no size while they are used."""
        if not self._values[r.RCTL] & RCTL_DTYP or (value & 0x7F and value & 0x3F00):
            self._values[e.PSRCTL] = value

    def _write_rxdctl(self, value: int) -> None:
        self._values[r.RXDCTL] = self._values[e.RXDCTL1] = value

    def _write_tdt(self, ring: int, value: int) -> None:
        self._values[RINGS[ring][2]] = value & 0xFFFF
        self._transmit(ring)

    def _write_word(self, at: int, value: int) -> None:
        self._values[at] = value & 0xFFFF

    def _read_tarc(self, at: int) -> int:
        return self._values[at] & TARC_BITS

    def _write_gcr(self, value: int) -> None:
        self._values[e.GCR] = self._values[e.GCR] & GCR_READ_ONLY | value & ~GCR_READ_ONLY

    def _read_swsm(self) -> int:
        """SWSM (10.2.2.18): reading takes the semaphore."""
        value = self._values[r.SWSM]
        self._values[r.SWSM] = value | 1
        return value

    # Time (10.2.10)

    def _read_systiml(self) -> int:
        """SYSTIML latches SYSTIMH."""
        increment, period = _increments(self._values[e.TIMINCA])
        time = self._time_offset + self._clock.now_ns * increment // (16 * period)
        self._values[e.SYSTIMH] = time >> 32 & 0xFFFF_FFFF
        return time & 0xFFFF_FFFF

    def _write_timinca(self, value: int) -> None:
        """The time goes on from where it is; in QEMU only if that was no later than it would be by the new value."""
        old_increment, old_period = _increments(self._values[e.TIMINCA])
        increment, period = _increments(value)
        now_ns = self._clock.now_ns
        gained = now_ns * increment // period - now_ns * old_increment // old_period
        self._values[e.TIMINCA] = value
        self._move_time(gained % (2 * SIGN_64) // 16)

    def _write_timadjh(self, value: int) -> None:
        self._values[e.TIMADJH] = value
        self._move_time(value << 32 | self._values[e.TIMADJL])

    def _move_time(self, by: int) -> None:
        self._time_offset = (self._time_offset + by + SIGN_64) % (2 * SIGN_64) - SIGN_64

    def _read_stamp(self, at: int, control: int) -> int:
        """Reading the last part of a time stamp makes room for the next one."""
        self._values[control] &= ~1
        return self._values[at]

    # Transmission and link

    def _transmit(self, ring: int) -> None:
        """Send what is in a ring (7.2). QEMU raises TXQE even if there was nothing."""
        values = self._values
        arbitration, head, tail, length, queue_cause = RINGS[ring]
        if not values[arbitration] & TARC_ENABLE or not values[r.TCTL] & r.TCTL_EN:
            return
        causes = r.ICR_TXQE
        if values[head] != values[tail] and values[tail] < values[length] // 16:
            values[head] = values[tail]
            self._has_sent = True
            if self._reports:
                causes |= queue_cause if self._messages.msix_enabled() else r.ICR_TXDW
        self._interrupts.cause(causes)

    def _cause(self, causes: int) -> None:
        self._interrupts.cause(causes)

    def _negotiated(self) -> None:
        """The partner agrees to flow control, too."""
        self._values[r.CTRL] |= CTRL_FLOW
        self._interrupts.cause(r.ICR_LSC)

    # Input from outside

    def _assume_causes(self, at: int, hw: int, model: int) -> bool:
        """Packets came; or descriptors that were sent asked for a report, or did not, or let it wait."""
        allowed = 0
        if self._has_listened:
            allowed |= RECEIVE_CAUSES
        if self._has_sent:
            allowed |= SEND_CAUSES
        if not self._phy.is_negotiating:
            allowed |= r.ICR_LSC
        if allowed:
            allowed |= ASSERTED | OTHER
        lacking, surplus = hw & ~model, model & ~hw
        if lacking & ~allowed or surplus & ~(SEND_CAUSES | ASSERTED):
            return False
        if (lacking | surplus) & (r.ICR_TXDW | TXQ0 | TXQ1):
            self._reports = bool(hw & (r.ICR_TXDW | TXQ0 | TXQ1))
        self._values[r.ICR] = self._values[r.ICS] = hw
        if at == r.ICR:
            self._interrupts.acknowledge()
        return True


def _increments(attributes: int) -> tuple[int, int]:
    """Increment value and period of TIMINCA."""
    return attributes & 0xFF_FFFF, max(attributes >> 24, 1)


def _zero() -> int:
    """A register that cannot be read."""
    return 0
