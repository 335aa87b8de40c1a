"""virtio over PCI: the legacy interface in an I/O BAR, which transitional devices have, too.

Source: Virtual I/O Device (VIRTIO) Version 1.2, 4.1.4.10 "Legacy Interfaces: A Note on PCI Device Layout"; devices as
in `virtio_device`.

Modelled: all registers; the two registers for MSI-X vectors, which are there while MSI-X is enabled and move the
device's configuration space by four bytes; the reset by a queue at page 0.

Not modelled: the rings and what happens in them, interrupts: as in `virtio_pci`.

Follows QEMU where the specification leaves a choice: an access counts where it begins; what is no register reads all
ones; an access that is not aligned reads 0; a driver that accepts the unused feature bit 30 gets none, or what the
first network drivers had; the status ACKNOWLEDGE and DRIVER makes the function a bus master.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..registers import Register, RegisterMap
from .virtio_device import (
    F_BAD_FEATURE,
    ISR_FIELDS,
    MAX_QUEUES,
    NO_VECTOR,
    S_ACKNOWLEDGE,
    S_DRIVER,
    STATUS_FIELDS,
    Setup,
    VirtioDevice,
)
from .virtio_pci import reset
from .virtio_types import VirtioBlk, VirtioNet

CONFIG, CONFIG_WITH_MSIX = 0x14, 0x18
ISR: Final = 0x13
PAGE_SHIFT: Final = 12
FIRST_NET_FEATURES: Final = 1 << 0 | 1 << 5 | 1 << 11 | 1 << 12 | 1 << 13
MSIX, NO_MSIX = "MSI-X enabled", "MSI-X disabled"

HEADER: Final = tuple(
    Register(name, title, offset, access, fields, bank, reset_value, width)  # type: ignore[arg-type]
    for name, title, offset, width, access, reset_value, fields, bank in (
        ("device_features", "Feature bits that the device offers", 0x00, 32, "r", None, (), None),
        ("driver_features", "Feature bits that the driver wants", 0x04, 32, "rw", 0, (), None),
        ("queue_address", "Page of the queue; 0 resets the device", 0x08, 32, "rw", 0, (), None),
        ("queue_size", "Buffers in the queue; 0: it does not exist", 0x0C, 16, "r", 256, (), None),
        ("queue_select", "Selects the queue", 0x0E, 16, "rw", 0, (), None),
        ("queue_notify", "Number of a queue with new buffers", 0x10, 16, "w", None, (), None),
        ("device_status", "Device status; 0 resets the device", 0x12, 8, "rw", 0, STATUS_FIELDS, None),
        ("isr_status", "Why the device interrupts; cleared by reading", ISR, 8, "r", 0, ISR_FIELDS, None),
        ("config_msix_vector", "MSI-X vector for changes of the configuration", 0x14, 16, "rw", None, (), MSIX),
        ("queue_msix_vector", "MSI-X vector of the queue", 0x16, 16, "rw", None, (), MSIX),
    )
)


def registers_for(device: type[VirtioDevice]) -> RegisterMap:
    """The transport's registers and a device's configuration space, in the two places where it can be."""
    return RegisterMap(
        *HEADER,
        *(
            replace(row, offset=at + row.offset, bank=bank)
            for at, bank in ((CONFIG, NO_MSIX), (CONFIG_WITH_MSIX, MSIX))
            for row in device.config_registers
        ),
        banks=(MSIX, NO_MSIX),
    )


class VirtioPciLegacy(Device):
    """The legacy interface of a device; the register space is the BAR.

    Args:
        device: the device behind it.
        vectors: MSI-X vectors that the function has.
        msix_enabled: asks the function whether MSI-X is enabled.
        become_master: makes the function a bus master.
    """

    title = "virtio device on PCI, legacy"
    registers = registers_for(VirtioBlk)
    kept_by_reset = ("config_generation", "config_shown")  # it counts on, so that a driver sees every change
    width = 4

    def __init__(
        self,
        device: VirtioDevice,
        vectors: int = 0,
        msix_enabled: Callable[[], bool] = lambda: False,
        become_master: Callable[[], None] = lambda: None,
    ) -> None:
        self._device = device
        self._vectors = vectors
        self._msix_enabled = msix_enabled
        self._become_master = become_master
        self._readers: dict[int, Callable[[], int]] = {
            0x00: lambda: device.offered(0, 0), 0x04: lambda: device.driver_features & 0xFFFF_FFFF,
            0x08: lambda: device.selected().ring >> PAGE_SHIFT & 0xFFFF_FFFF,
            0x0C: lambda: device.size_of(device.selected()), 0x0E: lambda: device.queue_sel,
            0x12: lambda: device.status, ISR: self._read_isr, 0x14: lambda: device.config_vector,
            0x16: lambda: device.selected().vector,
        }  # fmt: skip
        self._writers: dict[int, Callable[[int], None]] = {
            0x04: self._write_driver_features, 0x08: self._write_queue_address, 0x0E: self._write_queue_select,
            0x10: self._write_queue_notify, 0x12: self._write_device_status, 0x14: self._write_config_vector,
            0x16: self._write_queue_vector,
        }  # fmt: skip
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`: a small disk. MSI-X comes and goes with time, as if the guest switched it."""
        config = (0x2000).to_bytes(8, "little") + bytes(49)
        disk = VirtioBlk(Setup(queues=(256,), config=config))
        return cls(disk, 2, lambda: clock.now_ns >> 20 & 1 == 1)

    def reset(self) -> None:
        """See `Device.reset`."""
        reset(self._device)

    def bank(self, offset: int) -> str | None:
        """See `Device.bank`."""
        if offset < CONFIG:
            return None
        return MSIX if self._msix_enabled() else NO_MSIX

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return dict(self._device.state())

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if offset & size - 1:
            return 0
        if offset >= CONFIG:
            config = CONFIG_WITH_MSIX if self._msix_enabled() else CONFIG
            if offset >= config:
                return self._device.read_config(offset - config, size)
        read = self._readers.get(offset)
        if read is None:
            return (1 << 8 * size) - 1
        answer = read()
        return answer if answer < 0 else answer & (1 << 8 * size) - 1  # `Unknown` is negative

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if offset & size - 1:
            return
        if offset >= CONFIG:
            config = CONFIG_WITH_MSIX if self._msix_enabled() else CONFIG
            if offset >= config:
                self._device.write_config(offset - config, size, value)
                return
        write = self._writers.get(offset)
        if write is not None:
            write(value)

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`: when the device used its buffers, and what changed its configuration."""
        if offset == ISR and size == 1:
            return self._device.assume_isr(hw, model)
        config = CONFIG_WITH_MSIX if self._msix_enabled() else CONFIG
        return offset >= config and self._device.assume_config(offset - config, size, hw, model)

    # Registers, in the order of their offsets

    def _write_driver_features(self, value: int) -> None:
        if value & F_BAD_FEATURE:
            value = FIRST_NET_FEATURES if isinstance(self._device, VirtioNet) else 0
        self._device.accept(value)

    def _write_queue_address(self, value: int) -> None:
        if value:
            self._device.place(self._device.selected(), value << PAGE_SHIFT)
        else:
            reset(self._device)

    def _write_queue_select(self, value: int) -> None:
        if value < MAX_QUEUES:
            self._device.queue_sel = value

    def _write_queue_notify(self, value: int) -> None:
        number = value & 0xFFFF
        if number < MAX_QUEUES and self._device.queue(number).size:
            self._device.notify(number)

    def _write_device_status(self, value: int) -> None:
        self._device.set_status(value & 0xFF)
        if not self._device.status:
            reset(self._device)
        if value == S_ACKNOWLEDGE | S_DRIVER:
            self._become_master()

    def _read_isr(self) -> int:
        isr = self._device.isr
        self._device.isr = 0
        return isr

    def _write_config_vector(self, value: int) -> None:
        self._device.config_vector = value if value < self._vectors else NO_VECTOR

    def _write_queue_vector(self, value: int) -> None:
        self._device.selected().vector = value if value < self._vectors else NO_VECTOR
