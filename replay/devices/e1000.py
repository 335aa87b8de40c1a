"""Intel 82540EM gigabit Ethernet controller, QEMU's e1000, and its kin 82544GC and 82545EM.

Source: Intel PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual, revision 4.0, chapter 13.

Modelled: the register file with its reset values, read-only and clear-on-read registers; the interrupt causes with
mask and throttling; the EEPROM by EECD and by EERD; the PHY behind MDIC with auto-negotiation; the transmit ring as far
as registers show it.

Not modelled: packets, which pass through the guest's memory. A transmission is over as soon as the tail is written;
whether its descriptors ask for a report (TXDW) is taken for granted until ICR says otherwise. What is received, the
statistics, and a cable that is pulled or put in are input from outside, which `assume` takes from the recording.
Wakeup, management, flow control and packet buffers are registers without effect.

Follows QEMU where the guest can see a difference from the manual:
- CTRL.RST resets nothing. ICS reads as ICR. Bit 31 of ICR is not set.
- CTRL_EXT, flow control, TIPG, RXDCTL and some others read 0 and ignore writes; so do the I/O ports.
- Counters of octets are cleared by reading their high half; some counters are never cleared.
- A narrow access reaches the whole register: see `WholeRegisterDevice`. Unaligned accesses to ports fail.
- The tables of the flexible filters have no gaps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Self

from ..clock import Clock
from ..irq import Line
from ..registers import Register, RegisterMap
from . import e1000_registers as r
from .e1000_controller import GigabitController
from .e1000_eeprom import CHECKSUM_WORD, Microwire, content
from .e1000_identities import EM82540, PHY_IDENTITIES
from .e1000_phy import Phy

SPAN: Final = 0x2_0000
IO_AT, IO_SPAN = 0x2_0000, 0x40
"""Where the I/O ports are in the register space."""
PBM: Final = 0x1_0000

EEPROM: Final = (
    0, 0, 0, 0, 0xFFFF, 0, 0, 0, 0x3000, 0x1000, 0x6403, 0, 0x8086, 0, 0x8086, 0x3040, 0x0008, 0x2000, 0x7E14, 0x0048,
    0x1000, 0x00D8, 0, 0x2700, 0x6CC9, 0x3150, 0x0722, 0x040B, 0x0984, 0, 0xC000, 0x0706, 0x1008, 0, 0x0F04, 0x7FFF,
    0x4D01, *(0xFFFF,) * 11, 0x0100, 0x4000, 0x121C, *(0xFFFF,) * 12, 0,
)  # fmt: skip
"""QEMU's board, without MAC address, device identification and checksum."""

RESETS: Final = {
    r.CTRL: 0x0014_0240, r.STATUS: 0x8008_0783, r.VET: 0x8100, r.LEDCTL: 0x602, r.PBA: 0x0010_0030,
    r.MANC: 0x0022_2300,
}  # fmt: skip

TABLES: Final = ((r.FFMT, 255), (r.FFVT, 255), (r.MTA, 128), (r.RAL0, 32), (r.VFTA, 128), (r.WUPM, 32), (PBM, 0x4000),
                 (r.IP6AT, 4), (r.IP4AT, 7))  # fmt: skip
"""First offset and number of words of what can be written and read back."""

ABSENT: Final = frozenset(
    (0x018, 0x01C, r.FCAL, r.FCAH, r.FCT, r.FCTTV, 0x410, 0x2160, 0x2168, r.RXDCTL, r.TIDV, 0x2C00, 0x5000, 0x5900)
)
"""Registers that QEMU has not got."""

MASKS: Final = (
    {at: 0xFFFF for at in (r.RDTR, r.RADV, r.TADV, r.ITR, r.TDH, r.RDH, r.RDT, r.AIT)}
    | {at: 0xF_FF80 for at in (r.TDLEN, r.RDLEN)}
    | {at: 0x7FF for at in (r.TDFH, r.TDFT, *range(r.FFLT, r.FFLT + 28, 4))}
    | {at: 0x1FFF for at in (r.TDFHS, r.TDFTS, r.TDFPC, r.RDFH, r.RDFT, r.RDFHS, r.RDFTS, r.RDFPC)}
    | {at: 0xF for at in range(r.FFMT, r.FFMT + 4 * 255, 4)}
)
"""Bits that a write keeps, where it does not keep all."""

WHOLE: Final = (
    r.PBA, r.EERD, r.SWSM, r.WUFC, r.TDBAL, r.TDBAH, r.TXDCTL, r.RDBAH, r.RDBAL, r.LEDCTL, r.VET, r.IPAV, r.WUC, r.WUS,
    r.STATISTIC_AT["FCRUC"],
)  # fmt: skip

STORED: Final = (
    dict.fromkeys(WHOLE, 0xFFFF_FFFF)
    | {at: 0xFFFF_FFFF for first, words in TABLES for at in range(first, first + 4 * words, 4)}
    | MASKS
)
"""Registers that do nothing but keep these bits of what is written to them."""

THROTTLE_NS: Final = 256
LEAST_THROTTLE: Final = 500
SENDING_CAUSES: Final = r.ICR_TXDW | r.ICR_TXQE
RECEIVE_CAUSES: Final = r.ICR_RXT0 | r.ICR_RXDMT0 | r.ICR_RXO

REGISTERS: Final = RegisterMap(
    *r.common(RESETS | {r.RAL0: 0x1200_5452, r.RAH0: 0x8000_5634}),
    Register("PBM", "Packet buffer memory, first word of 16384", PBM, "rw", reset=0, width=32),
    Register("IOADDR", "I/O address; not in QEMU", IO_AT, "rw", reset=0, width=32),
    Register("IODATA", "I/O data; not in QEMU", IO_AT + 4, "rw", reset=0, width=32),
)


class E1000(GigabitController):
    """One controller: its memory at offset 0, its I/O ports at `IO_AT`.

    Args:
        clock: for auto-negotiation and throttling.
        irq: the interrupt, a level.
        mac: the MAC address, as a number of six bytes.
        device_id: which of the family it is.
        has_vet: whether VET has its value after a reset; not so on old machines of QEMU's.
        foresees: whether a CPU may be recorded to see an interrupt before another one's access that caused it.
    """

    title = "Gigabit Ethernet controller 82540EM"
    registers = REGISTERS
    kept_by_reset = ("eecd*",)  # QEMU: the EEPROM has no reset

    def __init__(
        self, clock: Clock, irq: Line, mac: int = 0x5254_0012_3456, device_id: int = EM82540, *,
        has_vet: bool = True, foresees: bool = False,
    ) -> None:  # fmt: skip
        self._clock = clock
        self._irq = irq
        self._mac = mac.to_bytes(6, "big")
        self._has_vet = has_vet
        self._foresees = foresees
        self._eeprom = Microwire(content(EEPROM, device_id, mac))
        self._phy = Phy(clock, PHY_IDENTITIES.get(device_id, 0x0C20), self._link_changed, self._negotiated)
        self._throttle = clock.timer(self._end_throttle)
        self._values = defaultdict(int)
        self._value = self._values.__getitem__
        self._readers: dict[int, Callable[[], int]] = {
            at: partial(self._read_and_clear, at)
            for at in r.STATISTIC_AT.values()
            if at not in r.KEPT_COUNTERS
        }  # fmt: skip
        self._readers |= {r.ICR: self._read_icr, r.EECD: self._eeprom.read, r.EERD: self._read_eerd}
        self._readers |= dict.fromkeys((r.IMC, *ABSENT), _zero)
        self._writers: dict[int, Callable[[int], None]] = {
            r.CTRL: self._write_ctrl, r.EECD: self._eeprom.write, r.MDIC: self._write_mdic, r.ICR: self._write_icr,
            r.ICS: self._write_ics, r.IMS: self._write_ims, r.IMC: self._write_imc, r.RCTL: self._write_rctl,
            r.TCTL: self._write_tctl, r.TDT: self._write_tdt,
        }  # fmt: skip
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(clock, Line())

    def reset(self) -> None:
        """See `Device.reset`."""
        self._throttle.cancel()
        self._is_throttled = self._is_raised = False
        self._phy.reset()
        self._values.clear()
        self._values |= RESETS
        if not self._has_vet:
            self._values[r.VET] = 0
        self._values[r.RAL0] = int.from_bytes(self._mac[:4], "little")
        self._values[r.RAH0] = int.from_bytes(self._mac[4:], "little") | r.RAH_AV
        self._has_sent = self._has_listened = False
        self._reports = True
        self._foreseen = 0
        """Causes that a CPU saw before the access that caused them."""
        self._irq.set(False)

    def state(self) -> Mapping[str, int]:
        """See `Device.state`: registers that are not 0, by offset, and what is behind them."""
        eeprom = self._eeprom
        return {
            **{f"{at:#07x}": value for at, value in sorted(self._values.items()) if value},
            **dict(self._phy.state()), "eecd": eeprom.pins, "eecd_value": eeprom.value, "eecd_in": eeprom.bits_in,
            "eecd_out": eeprom.bits_out, "eecd_reading": eeprom.reading, "irq": int(self._is_raised),
            "throttled_ns": self._throttle.deadline_ns, "has_sent": int(self._has_sent),
            "has_listened": int(self._has_listened), "reports": int(self._reports),
            "foreseen": self._foreseen,
        }  # fmt: skip

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        at = offset & ~3
        if at >= IO_AT:
            return 0
        read = self._readers.get(at)
        value = self._values[at] if read is None else read()
        return value & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        at = offset & ~3
        mask = STORED.get(at)
        if mask is not None:
            self._values[at] = value & mask
            return
        write = self._writers.get(at)
        if write is not None:
            write(value)

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        """See `Device.reader`."""
        if size == 4 and not offset & 3 and offset < IO_AT:
            return self._readers.get(offset) or partial(self._value, offset)
        return super().reader(offset, size)

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`: packets that came, statistics of those that came and went, the cable."""
        if size != 4:
            return False
        if offset in (r.ICR, r.ICS):
            return self._assume_causes(offset, hw, model)
        if offset == r.RDH and self._has_listened and hw < max(self._values[r.RDLEN] // 16, 1):
            self._values[r.RDH] = hw
            return True
        counted = (offset in r.RECEIVED and self._has_listened) or (offset in r.SENT and self._has_sent)
        if counted and hw > model:
            if offset in r.KEPT_COUNTERS:
                self._values[offset] = hw
            return True
        if offset == r.STATUS and hw ^ model == r.STATUS_LU and not self._phy.is_negotiating:
            self._phy.set_link(bool(hw & r.STATUS_LU))
            return True
        return False

    # Registers, in the order of their offsets

    def _write_ctrl(self, value: int) -> None:
        self._values[r.CTRL] = value & ~(1 << 26)

    def _read_eerd(self) -> int:
        """EERD (13.4.4): with START it reads the word at once."""
        value = self._values[r.EERD]
        if not value & 1:
            return value
        value &= ~1
        word = value >> 8
        data = self._eeprom.words[word] << 16 if word <= CHECKSUM_WORD else 0
        return data | 0x10 | value

    def _read_icr(self) -> int:
        value = self._values[r.ICR]
        self._set_causes(0)
        return value

    def _write_icr(self, value: int) -> None:
        self._set_causes(self._values[r.ICR] & ~value)

    def _write_ics(self, value: int) -> None:
        self._cause(value)

    def _write_ims(self, value: int) -> None:
        self._values[r.IMS] = self._values[r.IMS] | value
        self._cause(0)

    def _write_imc(self, value: int) -> None:
        self._values[r.IMS] = self._values[r.IMS] & ~value
        self._cause(0)

    def _write_tctl(self, value: int) -> None:
        self._values[r.TCTL] = value
        self._transmit()

    def _write_tdt(self, value: int) -> None:
        self._values[r.TDT] = value & 0xFFFF
        self._transmit()

    # Transmission, link and interrupts

    def _transmit(self) -> None:
        """Send what is in the ring (3.4). QEMU raises TXQE even if there was nothing."""
        values = self._values
        if not values[r.TCTL] & r.TCTL_EN:
            return
        head, tail = values[r.TDH], values[r.TDT]
        cause = r.ICR_TXQE
        if head != tail:
            count = values[r.TDLEN] // 16
            if head >= count:  # a head beyond the ring gets back into it
                values[r.TDH] = 0
            elif tail < count:  # a tail beyond it is never reached, so that the head comes round
                values[r.TDH] = tail
            self._has_sent = True
            if self._reports:
                cause |= r.ICR_TXDW
        cause &= ~self._foreseen
        self._foreseen = 0
        self._cause(cause)

    def _negotiated(self) -> None:
        self._cause(r.ICR_LSC)

    def _cause(self, causes: int) -> None:
        self._set_causes(self._values[r.ICR] | causes)

    def _set_causes(self, causes: int) -> None:
        """Take the causes and drive the interrupt (13.4.17 to 13.4.21): after one the next has to wait a while."""
        values = self._values
        values[r.ICR] = values[r.ICS] = causes
        pending = causes & values[r.IMS]
        if pending and not self._is_raised:
            if self._is_throttled:
                return
            delays = [values[r.ITR]]
            if pending & SENDING_CAUSES and self._has_sent:
                delays.append(4 * values[r.TADV])
            if pending & r.ICR_RXT0 and values[r.RDTR]:
                delays.append(4 * values[r.RADV])
            delay = max(min((d for d in delays if d), default=0), LEAST_THROTTLE)
            self._is_throttled = True
            self._throttle.arm(self._clock.now_ns + delay * THROTTLE_NS)
        self._is_raised = pending != 0
        self._irq.set(self._is_raised)

    def _end_throttle(self) -> None:
        self._is_throttled = False
        self._set_causes(self._values[r.ICR])

    # Input from outside

    def _assume_causes(self, offset: int, hw: int, model: int) -> bool:
        """Packets came; or descriptors that were sent asked for a report, or did not."""
        allowed = 0
        if self._has_listened:
            allowed |= RECEIVE_CAUSES
        if self._has_sent:
            allowed |= SENDING_CAUSES
        if self._foresees and self._values[r.TCTL] & r.TCTL_EN:
            allowed |= SENDING_CAUSES
        if not self._phy.is_negotiating:
            allowed |= r.ICR_LSC
        lacking, surplus = hw & ~model, model & ~hw
        if lacking & ~allowed or surplus & ~r.ICR_TXDW:
            return False
        if (lacking | surplus) & r.ICR_TXDW:
            self._reports = bool(hw & r.ICR_TXDW)
        if self._foresees:
            self._foreseen |= lacking & SENDING_CAUSES
        if offset == r.ICS:
            self._set_causes(hw)
        return True


def _zero() -> int:
    """A register that is not there."""
    return 0
