"""PCI host bridge's window to configuration space: mechanism #1 at CF8h-CFFh, ECAM, and reset control at CF9h.

Source: PCI Local Bus Specification 3.0, section 3.2.2.3.2 on mechanism #1; PCI Express Base Specification 3.0,
section 7.2.2 on ECAM; Intel 82371SB (290550) section 2.3.5.2 and Intel ICH9 (316972) section 13.7.5 on CF9h.

Modelled: CONFIG_ADDRESS, CONFIG_DATA in all sizes, ECAM, functions on the root bus and behind bridges as the bridges'
bus numbers say, all ones where there is none. A register of a function is named after the function: `00:01.1 COMMAND`;
each function is a part of its own.

Not modelled: the reset itself (the recording shows that the machine started again); Type 1 cycles that time out.

Follows QEMU where the guest can see a difference from the specifications:
- CONFIG_ADDRESS takes writes of four bytes only, and keeps all bits; a reset leaves it alone. A narrow read gives its
  low bits wherever it starts.
- Bits 1-0 of CONFIG_ADDRESS are or-ed to those of the port.
- Beyond a function's 256 bytes ECAM reads all ones.
- Only the bits of CF9h that choose the kind of reset read back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..registers import Direction, Field, Register, RegisterMap, bit
from .pci_bridge import BRIDGE_CONTROL, BUS_RESET, PRIMARY_BUS, SECONDARY_BUS, SUBORDINATE_BUS, PciBridge
from .pci_config import PciConfig

CONFIG_ADDRESS, RESET_CONTROL, CONFIG_DATA = 0, 1, 4
PORTS: Final = 8
ECAM: Final = 0x1000_0000
"""Where ECAM begins in the register space. It has 256 MiB."""

_ADDRESS_FIELDS: Final = (
    bit("CFGE", 31),
    Field("BUS", 23, 16),
    Field("DEV", 15, 11),
    Field("FN", 10, 8),
    Field("REG", 7, 2),
)

REGISTERS: Final = RegisterMap(
    Register("CONFIG_ADDRESS", "Configuration address", CONFIG_ADDRESS, "rw", _ADDRESS_FIELDS, width=32),
    Register(
        "RST_CNT", "Reset control", RESET_CONTROL, "rw",
        (bit("SRST", 1), bit("RCPU", 2), bit("FULL_RST", 3)), reset=0, source="316972, 13.7.5",
    ),
    Register("CONFIG_DATA", "Configuration data", CONFIG_DATA, "rw", width=32),
)  # fmt: skip

PIIX3_RESET_BITS, ICH9_RESET_BITS = 0x02, 0x0A
RESET_CPU: Final = 0x04
ENABLE: Final = 1 << 31
NOBODY: Final = object()


def function_name(bus: int, devfn: int) -> str:
    """As lspci writes it: ``00:01.1``."""
    return f"{bus:02x}:{devfn >> 3:02x}.{devfn & 7}"


class _Names(RegisterMap):
    """The host's own registers, and those of the functions behind them."""

    def __init__(self, host: PciHost) -> None:
        super().__init__(*REGISTERS)
        self._host = host

    def find(self, offset: int, direction: Direction, bank: str | None = None) -> Register | None:
        """See `RegisterMap.find`. The bank is that of `PciHost.bank`."""
        if bank is None:
            return super().find(offset, direction)
        name, _, number = bank.partition(" ")
        at = int(number, 16)
        config = self._host.function(int(name[:2], 16), int(name[3:5], 16) << 3 | int(name[6]))
        if config is None:
            return super().find(offset, direction)
        register = config.registers.find(at, direction)
        if register is not None:
            return replace(register, name=f"{name} {register.name}", offset=offset, part=name)
        first = max(at - 7, 0)
        for before in range(at - 1, first - 1, -1):  # the inside of a register has no name of its own
            covering = config.registers.find(before, direction)
            if covering is not None and before + covering.width // 8 > at:
                return None
        return Register(f"{name} {at:#04x}", "No register is declared there", offset, "rw", part=name)


class PciHost(Device):
    """Ports CF8h-CFFh at offset 0, and ECAM at offset `ECAM`.

    Args:
        reset_bits: what reads back of CF9h; 0 if there is no such register.
        functions: those on bus 0, by slot << 3 | function.
    """

    title = "PCI configuration access: mechanism #1, ECAM, reset control"
    registers = REGISTERS
    kept_by_reset = ("config_address",)
    width = 4

    def __init__(self, reset_bits: int = 0, functions: dict[int, PciConfig] | None = None) -> None:
        self.functions = {} if functions is None else functions
        self.extra_roots: dict[int, dict[int, PciConfig]] = {}
        """The functions on other root buses, by their fixed bus numbers."""
        self._reset_bits = reset_bits
        self._address = 0
        self._found: dict[int, PciConfig | None] = {}
        """Functions by bus << 8 | devfn, as long as no bridge is programmed anew."""
        self.registers = _Names(self)
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(ICH9_RESET_BITS)

    def attach(self, config: PciConfig, devfn: int, bridge: PciBridge | None = None, root: int = 0) -> None:
        """Put a function behind a bridge, or on root bus number `root`."""
        functions = self.extra_roots.setdefault(root, {}) if root else self.functions
        (functions if bridge is None else bridge.behind)[devfn] = config
        if isinstance(config, PciBridge):
            config.watch(PRIMARY_BUS, 3, self._found.clear)
            config.watch(BRIDGE_CONTROL, 2, self._found.clear)
        self._found.clear()

    def function(self, bus: int, devfn: int) -> PciConfig | None:
        """The function that configuration accesses reach there now."""
        key = bus << 8 | devfn
        found = self._found.get(key, NOBODY)
        if found is NOBODY:
            found = self._found[key] = self._on_any_bus(bus).get(devfn)
        return found  # type: ignore[return-value]

    def _on_any_bus(self, bus: int) -> dict[int, PciConfig]:
        """The functions on bus number `bus`."""
        if bus == 0:
            return self.functions
        if bus in self.extra_roots:
            return self.extra_roots[bus]
        found = (self._behind(functions, bus) for functions in (self.functions, *self.extra_roots.values()))
        return next((functions for functions in found if functions is not None), {})

    def _behind(self, functions: dict[int, PciConfig], bus: int) -> dict[int, PciConfig] | None:
        """The functions on bus number `bus`, if one of these bridges leads to it."""
        for config in reversed(functions.values()):  # QEMU asks the bridge that was made last first
            if not isinstance(config, PciBridge) or config.peek(BRIDGE_CONTROL, 2) & BUS_RESET:
                continue
            if config.peek(SECONDARY_BUS, 1) == bus:
                return config.behind
            if config.peek(SECONDARY_BUS, 1) < bus <= config.peek(SUBORDINATE_BUS, 1):
                return self._behind(config.behind, bus)
        return None

    def reset(self) -> None:
        """See `Device.reset`. CONFIG_ADDRESS stays."""
        self._reset_control = 0

    def bank(self, offset: int) -> str | None:
        """The function and, in hexadecimal, the place in it that `offset` reaches; None if it reaches none."""
        if offset >= ECAM:
            at, number = offset & 0xFFF, offset - ECAM >> 12
        elif offset >= CONFIG_DATA and self._address & ENABLE:
            at, number = (self._address | offset & 3) & 0xFF, self._address >> 8 & 0xFFFF
        else:
            return None
        bus, devfn = number >> 8, number & 0xFF
        return None if self.function(bus, devfn) is None else f"{function_name(bus, devfn)} {at:x}"

    # Accesses

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        """See `Device.reader`."""
        if size > 4 or offset + size > PORTS:
            return super().reader(offset, size)
        if offset >= CONFIG_DATA:
            return partial(self._read_data, offset & 3, size)
        return partial(self.read, offset, size)

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if offset >= ECAM:
            return self._read_ecam(offset - ECAM, size)
        if offset >= CONFIG_DATA:
            return self._read_data(offset & 3, size)
        if offset == RESET_CONTROL and self._reset_bits:
            return self._reset_control
        return self._address & (1 << 8 * size) - 1

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`: a function may show registers of its device."""
        if offset >= ECAM:
            at, number = offset & 0xFFF, offset - ECAM >> 12
        elif offset >= CONFIG_DATA and self._address & ENABLE:
            at, number = (self._address | offset & 3) & 0xFF, self._address >> 8 & 0xFFFF
        else:
            return False
        config = self.function(number >> 8, number & 0xFF)
        return config is not None and config.assume(at, size, hw, model)

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if offset >= ECAM:
            self._write_ecam(offset - ECAM, size, value)
        elif offset >= CONFIG_DATA:
            address = self._address | offset & 3
            if address & ENABLE:
                config = self.function(address >> 16 & 0xFF, address >> 8 & 0xFF)
                if config is not None:
                    config.write(address & 0xFF, size, value)
        elif offset == RESET_CONTROL and self._reset_bits:
            if not value & RESET_CPU:
                self._reset_control = value & self._reset_bits
        elif offset == CONFIG_ADDRESS and size == 4:
            self._address = value

    def _read_data(self, byte: int, size: int) -> int:
        address = self._address | byte
        if address & ENABLE:
            config = self._found.get(address >> 8 & 0xFFFF, NOBODY)
            if config is NOBODY:
                config = self.function(address >> 16 & 0xFF, address >> 8 & 0xFF)
            if config is not None:
                return config.read(address & 0xFF, size)  # type: ignore[attr-defined, no-any-return]
        return (1 << 8 * size) - 1

    def _read_ecam(self, offset: int, size: int) -> int:
        config = self.function(offset >> 20, offset >> 12 & 0xFF)
        if config is None or offset & 0xFFF >= config.size:
            return (1 << 8 * size) - 1
        return config.read(offset & 0xFFF, size)

    def _write_ecam(self, offset: int, size: int, value: int) -> None:
        config = self.function(offset >> 20 & 0xFF, offset >> 12 & 0xFF)
        if config is not None and offset & 0xFFF < config.size:
            config.write(offset & 0xFFF, size, value)

    def state(self) -> Mapping[str, int]:
        """See `Device.state`, with that of the function which CONFIG_ADDRESS names."""
        state = {"config_address": self._address, "rst_cnt": self._reset_control}
        config = self.function(self._address >> 16 & 0xFF, self._address >> 8 & 0xFF)
        if config is not None:
            state |= config.state()
        return state
