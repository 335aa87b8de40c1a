"""virtio over PCI: the modern interface in a memory BAR, as QEMU lays it out.

Source: Virtual I/O Device (VIRTIO) Version 1.2, 4.1 "Virtio Over PCI Bus"; devices as in `virtio_device`.

Modelled: all registers of the common configuration; ISR; the configuration space of the device; notifications at any
distance from each other; the vectors that MSI-X has for queues and configuration; the reset of a queue.

Not modelled: the rings and what happens in them. Interrupts are not sent and INTx is not driven: when they come is up
to the host. What ISR says of them is inferred, see `VirtioDevice`. Capabilities and the MSI-X table belong to the
function.

Follows QEMU where the specification leaves a choice: an access counts where it begins, so that the middle of a register
reads 0 and a wide access is one of the first register; selectors and the driver's feature bits survive resets; a queue
that does not exist keeps what is written to it, but for its size; a queue is enabled by 1 only, anything else breaks
the device; queue_notify_data reads 0; every address in ISR's page is ISR.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final, Self

from ..clock import Clock
from ..registers import Register, RegisterMap
from .aligned import AlignedDevice
from .virtio_device import (
    ISR_FIELDS,
    MAX_QUEUES,
    NO_VECTOR,
    S_DRIVER_OK,
    STATUS_FIELDS,
    Setup,
    VirtioDevice,
)
from .virtio_types import VirtioBlk

ISR, DEVICE_CONFIG, NOTIFY = 0x1000, 0x2000, 0x3000
CONFIG_GENERATION: Final = 0x15
MULTIPLIER: Final = 4
NAMED_NOTIFICATIONS: Final = 8
"""How many queues have a name for the place at which they are notified."""

COMMON: Final = tuple(
    Register(name, title, offset, access, fields, None, reset, width)  # type: ignore[arg-type]
    for name, title, offset, width, access, reset, fields in (
        ("device_feature_select", "Selects bits of device_feature", 0x00, 32, "rw", None, ()),
        ("device_feature", "Feature bits that the device offers", 0x04, 32, "r", None, ()),
        ("driver_feature_select", "Selects bits of driver_feature", 0x08, 32, "rw", None, ()),
        ("driver_feature", "Feature bits that the driver wants", 0x0C, 32, "rw", None, ()),
        ("config_msix_vector", "MSI-X vector for changes of the configuration", 0x10, 16, "rw", NO_VECTOR, ()),
        ("num_queues", "Number of queues", 0x12, 16, "r", 1, ()),
        ("device_status", "Device status; 0 resets the device", 0x14, 8, "rw", 0, STATUS_FIELDS),
        ("config_generation", "Counts changes of the configuration space", 0x15, 8, "r", 0, ()),
        ("queue_select", "Selects the queue of the registers below", 0x16, 16, "rw", 0, ()),
        ("queue_size", "Buffers in the queue; 0: it does not exist", 0x18, 16, "rw", 256, ()),
        ("queue_msix_vector", "MSI-X vector of the queue", 0x1A, 16, "rw", NO_VECTOR, ()),
        ("queue_enable", "Whether the queue is in use", 0x1C, 16, "rw", 0, ()),
        ("queue_notify_off", "Where it is notified, in multiples", 0x1E, 16, "r", 0, ()),
        ("queue_desc", "Address of the descriptor area", 0x20, 64, "rw", 0, ()),
        ("queue_driver", "Address of the driver area", 0x28, 64, "rw", 0, ()),
        ("queue_device", "Address of the device area", 0x30, 64, "rw", 0, ()),
        ("queue_notify_data", "What to notify it with; not in QEMU", 0x38, 16, "r", 0, ()),
        ("queue_reset", "Resets the queue", 0x3A, 16, "rw", 0, ()),
        ("ISR", "Why the device interrupts; cleared by reading", ISR, 8, "r", 0, ISR_FIELDS),
    )
)


def registers_for(device: type[VirtioDevice]) -> RegisterMap:
    """The transport's registers and a device's configuration space."""
    return RegisterMap(
        *COMMON,
        *(replace(row, offset=DEVICE_CONFIG + row.offset) for row in device.config_registers),
        *(
            Register(f"notify[{queue}]", "New buffers", NOTIFY + MULTIPLIER * queue, "w", width=16)
            for queue in range(NAMED_NOTIFICATIONS)
        ),
    )


class VirtioPci(AlignedDevice):
    """The modern interface of a device; the register space is the BAR.

    Args:
        device: the device behind it.
        vectors: MSI-X vectors that the function has.
        multiplier: bytes between the places at which neighbouring queues are notified.
    """

    title = "virtio device on PCI, modern"
    registers = registers_for(VirtioBlk)
    # QEMU; a driver must write them before use. The generation counts on, so that a driver sees every change.
    kept_by_reset = (
        "device_feature_select",
        "driver_feature_select",
        "driver_feature_*",
        "config_generation",
        "config_shown",
    )
    width = 4

    def __init__(self, device: VirtioDevice, vectors: int = 0, multiplier: int = MULTIPLIER) -> None:
        self._device = device
        self._vectors = vectors
        self._multiplier = multiplier
        self._device_feature_select = self._driver_feature_select = 0
        self._driver_feature = [0, 0]
        self._readers: dict[int, Callable[[], int]] = {
            0x00: lambda: self._device_feature_select, 0x04: self._read_device_feature,
            0x08: lambda: self._driver_feature_select, 0x0C: self._read_driver_feature,
            0x10: lambda: device.config_vector, 0x12: device.count, 0x14: lambda: device.status,
            0x15: lambda: device.generation, 0x16: lambda: device.queue_sel, 0x18: self._read_queue_size,
            0x1A: lambda: device.selected().vector, 0x1C: lambda: device.selected().enabled,
            0x1E: lambda: device.queue_sel, **{0x20 + 4 * n: partial(self._read_address, n) for n in range(6)},
        }  # fmt: skip
        self._writers: dict[int, Callable[[int], None]] = {
            0x00: self._write_device_feature_select, 0x08: self._write_driver_feature_select,
            0x0C: self._write_driver_feature, 0x10: self._write_config_msix_vector, 0x14: self._write_device_status,
            0x16: self._write_queue_select, 0x18: self._write_queue_size, 0x1A: self._write_queue_msix_vector,
            0x1C: self._write_queue_enable, **{0x20 + 4 * n: partial(self._write_address, n) for n in range(6)},
            0x3A: self._write_queue_reset,
        }  # fmt: skip
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`: a small disk."""
        config = (0x2000).to_bytes(8, "little") + bytes(49)
        return cls(VirtioBlk(Setup(features=1 << 32, queues=(256,), config=config)), 2)

    def reset(self) -> None:
        """See `Device.reset`."""
        reset(self._device)

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {
            "device_feature_select": self._device_feature_select,
            "driver_feature_select": self._driver_feature_select, "driver_feature_low": self._driver_feature[0],
            "driver_feature_high": self._driver_feature[1], **dict(self._device.state()),
        }  # fmt: skip

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if offset < ISR:
            read = self._readers.get(offset)
            if read is None:
                return 0
            answer = read()
            return answer if answer < 0 else answer & (1 << 8 * size) - 1  # `Unknown` is negative
        if offset >= NOTIFY:
            return 0
        device = self._device
        if offset >= DEVICE_CONFIG:
            return device.read_config(offset - DEVICE_CONFIG, size)
        isr = device.isr
        device.isr = 0
        return isr

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if offset >= NOTIFY:
            self._device.notify((offset - NOTIFY) // self._multiplier)
        elif offset >= DEVICE_CONFIG:
            self._device.write_config(offset - DEVICE_CONFIG, size, value)
        else:
            write = self._writers.get(offset)
            if write is not None:
                write(value)

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`: when the device used its buffers, and what changed its configuration."""
        device = self._device
        if offset >= NOTIFY:
            return False
        if offset >= DEVICE_CONFIG:
            return device.assume_config(offset - DEVICE_CONFIG, size, hw, model)
        if offset >= ISR:
            return device.assume_isr(hw, model)
        if offset == CONFIG_GENERATION and size == 1 and device.status & S_DRIVER_OK:
            device.generation += hw - model & 0xFF
            return True
        return False

    # Common configuration, in the order of offsets

    def _write_device_feature_select(self, value: int) -> None:
        self._device_feature_select = value

    def _read_device_feature(self) -> int:
        return self._device.offered(self._device_feature_select, self._device.legacy_features)

    def _write_driver_feature_select(self, value: int) -> None:
        self._driver_feature_select = value

    def _read_driver_feature(self) -> int:
        return self._driver_feature[self._driver_feature_select] if self._driver_feature_select < 2 else 0

    def _write_driver_feature(self, value: int) -> None:
        if self._driver_feature_select < 2:
            self._driver_feature[self._driver_feature_select] = value
            self._device.accept(self._driver_feature[1] << 32 | self._driver_feature[0])

    def _write_config_msix_vector(self, value: int) -> None:
        self._device.config_vector = value if value < self._vectors else NO_VECTOR

    def _write_device_status(self, value: int) -> None:
        self._device.set_status(value & 0xFF)
        if not self._device.status:
            reset(self._device)

    def _write_queue_select(self, value: int) -> None:
        if value < MAX_QUEUES:
            self._device.queue_sel = value

    def _read_queue_size(self) -> int:
        return self._device.size_of(self._device.selected())

    def _write_queue_size(self, value: int) -> None:
        queue = self._device.selected()
        queue.selected_size = value & 0xFFFF
        self._device.resize(queue, queue.selected_size)

    def _write_queue_msix_vector(self, value: int) -> None:
        self._device.selected().vector = value if value < self._vectors else NO_VECTOR

    def _write_queue_enable(self, value: int) -> None:
        device = self._device
        if value != 1:
            device.fail()
            return
        queue = device.selected()
        device.resize(queue, queue.selected_size)
        device.place(queue, queue.unplaced[1] << 32 | queue.unplaced[0])
        queue.enabled = 1

    def _read_address(self, at: int) -> int:
        return self._device.selected().unplaced[at]

    def _write_address(self, at: int, value: int) -> None:
        self._device.selected().unplaced[at] = value

    def _write_queue_reset(self, value: int) -> None:
        """It takes no time, so that queue_reset never reads 1."""
        if value == 1:
            queue = self._device.selected()
            queue.clear()
            queue.enabled = 0


def reset(device: VirtioDevice) -> None:
    """A reset by the driver or by the machine, through either interface."""
    device.reset()
    for queue in device.queues.values():
        queue.enabled = queue.selected_size = 0
        queue.unplaced = [0] * 6
