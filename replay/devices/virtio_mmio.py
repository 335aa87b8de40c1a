"""virtio over MMIO: the transport registers of a device that sits in memory, modern or legacy.

Source: Virtual I/O Device (VIRTIO) Version 1.2, 4.2 "Virtio Over MMIO" and 4.2.4 "Legacy interface"; devices as in
`virtio_device`.

Modelled: all registers of both interfaces; a slot without a device; the configuration space; the interrupt as a level.

Not modelled: the rings and what happens in them; shared memory (there is none); QueueReset, which QEMU's transport has
not got. When the device interrupts is inferred, see `VirtioDevice`.

Follows QEMU where the specification leaves a choice: registers take 32-bit accesses only and read 0 otherwise;
write-only registers read 0; the selectors of features know 0 and 1; before QEMU 11, QueueNumMax is 1024 for every queue
that exists (seen with 10.0 and 11.1; versions between were not tried);
QueuePFN 0 resets the device; a reset by Status keeps what was written to the modern queue registers; SHMLen reads all
ones, on both interfaces, SHMBase 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Self

from ..clock import Clock
from ..device import Unknown
from ..irq import Line
from ..registers import Register, RegisterMap
from .aligned import AlignedDevice
from .virtio_device import (
    ISR_FIELDS,
    MAX_QUEUE_SIZE,
    MAX_QUEUES,
    S_DRIVER_OK,
    S_FEATURES_OK,
    STATUS_FIELDS,
    UNLEARNED,
    Setup,
    VirtioDevice,
)
from .virtio_types import VirtioBlk

MAGIC: Final = 0x7472_6976
VENDOR: Final = 0x554D_4551
CONFIG: Final = 0x100
SPAN: Final = 0x200

TRANSPORT: Final = tuple(
    Register(name, title, offset, access, fields, None, reset, 32)  # type: ignore[arg-type]
    for name, title, offset, access, reset, fields in (
        ("MagicValue", 'Magic value "virt"', 0x000, "r", MAGIC, ()),
        ("Version", "Version: 1 legacy, 2 modern", 0x004, "r", 2, ()),
        ("DeviceID", "Type of the device; 0: there is none", 0x008, "r", VirtioBlk.device_id, ()),
        ("VendorID", 'Vendor "QEMU"', 0x00C, "r", VENDOR, ()),
        ("DeviceFeatures", "Feature bits that the device offers, by DeviceFeaturesSel", 0x010, "r", None, ()),
        ("DeviceFeaturesSel", "Selects bits of DeviceFeatures", 0x014, "w", None, ()),
        ("DriverFeatures", "Feature bits that the driver wants, by DriverFeaturesSel", 0x020, "w", None, ()),
        ("DriverFeaturesSel", "Selects bits of DriverFeatures", 0x024, "w", None, ()),
        ("GuestPageSize", "Legacy: bytes of a page", 0x028, "w", None, ()),
        ("QueueSel", "Selects the queue of the registers below", 0x030, "w", None, ()),
        ("QueueNumMax", "Most buffers in the queue; 0: it does not exist", 0x034, "r", None, ()),
        ("QueueNum", "Buffers in the queue", 0x038, "w", None, ()),
        ("QueueAlign", "Legacy: alignment of the used ring", 0x03C, "w", None, ()),
        ("QueuePFN", "Legacy: page of the queue; 0 resets the device", 0x040, "rw", 0, ()),
        ("QueueReady", "Whether the queue is in use", 0x044, "rw", 0, ()),
        ("QueueNotify", "Number of a queue with new buffers", 0x050, "w", None, ()),
        ("InterruptStatus", "Why the device interrupts", 0x060, "r", 0, ISR_FIELDS),
        ("InterruptACK", "Bits of InterruptStatus to clear", 0x064, "w", None, ISR_FIELDS),
        ("Status", "Device status; 0 resets the device", 0x070, "rw", 0, STATUS_FIELDS),
        ("QueueDescLow", "Descriptor area, low half of the address", 0x080, "w", None, ()),
        ("QueueDescHigh", "Descriptor area, high half", 0x084, "w", None, ()),
        ("QueueDriverLow", "Driver area, low half of the address", 0x090, "w", None, ()),
        ("QueueDriverHigh", "Driver area, high half", 0x094, "w", None, ()),
        ("QueueDeviceLow", "Device area, low half of the address", 0x0A0, "w", None, ()),
        ("QueueDeviceHigh", "Device area, high half", 0x0A4, "w", None, ()),
        ("SHMSel", "Selects a shared memory region", 0x0AC, "w", None, ()),
        ("SHMLenLow", "Length of the region, low half; all ones: there is none", 0x0B0, "r", 0xFFFF_FFFF, ()),
        ("SHMLenHigh", "Length of the region, high half", 0x0B4, "r", 0xFFFF_FFFF, ()),
        ("SHMBaseLow", "Address of the region, low half", 0x0B8, "r", 0, ()),
        ("SHMBaseHigh", "Address of the region, high half", 0x0BC, "r", 0, ()),
        ("QueueReset", "Resets the queue; not in QEMU", 0x0C0, "rw", 0, ()),
        ("ConfigGeneration", "Counts changes of the configuration space", 0x0FC, "r", 0, ()),
    )
)

INTERRUPT_STATUS, CONFIG_GENERATION, STATUS = 0x060, 0x0FC, 0x070
QUEUE_ADDRESSES: Final = {0x080: 0, 0x084: 1, 0x090: 2, 0x094: 3, 0x0A0: 4, 0x0A4: 5}


def registers_for(device: type[VirtioDevice]) -> RegisterMap:
    """The transport's registers and a device's configuration space."""
    return RegisterMap(*TRANSPORT, *(replace(row, offset=CONFIG + row.offset) for row in device.config_registers))


class VirtioMmio(AlignedDevice):
    """One slot.

    Args:
        device: what sits in it; None if it is empty.
        irq: the interrupt, a level.
        legacy: whether it has the legacy interface.
        same_maximum: whether all queues have the same QueueNumMax.
    """

    title = "virtio device on MMIO"
    registers = registers_for(VirtioBlk)
    kept_by_reset = ("config_generation", "config_shown")  # it counts on, so that a driver sees every change
    width = 4

    def __init__(self, device: VirtioDevice | None, irq: Line, *, legacy: bool, same_maximum: bool = False) -> None:
        self._device = device
        self._same_maximum = same_maximum
        self._irq = irq
        self._legacy = legacy
        version = 1 if legacy else 2
        self._constants = {0x000: MAGIC, 0x004: version, 0x00C: VENDOR}
        if device is not None:
            self._constants |= {0x008: device.device_id, 0x0B0: 0xFFFF_FFFF, 0x0B4: 0xFFFF_FFFF}
            device.update_irq = self._update_irq
        self._readers = {
            0x010: self._read_device_features, 0x034: self._read_queue_num_max, 0x040: self._read_queue_pfn,
            0x044: self._read_queue_ready, 0x060: self._read_interrupt_status, 0x070: self._read_status,
            0x0FC: self._read_config_generation,
        }  # fmt: skip
        self._writers = {
            0x014: self._write_device_features_sel, 0x020: self._write_driver_features,
            0x024: self._write_driver_features_sel, 0x028: self._write_guest_page_size, 0x030: self._write_queue_sel,
            0x038: self._write_queue_num, 0x040: self._write_queue_pfn, 0x044: self._write_queue_ready,
            0x050: self._write_queue_notify, 0x064: self._write_interrupt_ack, 0x070: self._write_status,
        }  # fmt: skip
        self._page_shift = 0
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`: a small disk."""
        config = (0x2000).to_bytes(8, "little") + bytes(49)
        return cls(VirtioBlk(Setup(features=1 << 32, queues=(256,), config=config)), Line(), legacy=False)

    def reset(self) -> None:
        """See `Device.reset`."""
        self._device_features_sel = self._driver_features_sel = 0
        self._page_shift = 0
        self._driver_features = [0, 0]
        if self._device is not None:
            self._reset_device()
            for queue in self._device.queues.values():
                queue.selected_size = 0
                queue.unplaced = [0] * 6

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {
            "legacy": int(self._legacy), "device_features_sel": self._device_features_sel,
            "driver_features_sel": self._driver_features_sel, "driver_features_low": self._driver_features[0],
            "driver_features_high": self._driver_features[1], "page_shift": self._page_shift,
            **dict(self._device.state() if self._device else ()),
        }  # fmt: skip

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        device = self._device
        if device is None:
            return self._constants.get(offset, 0) & (1 << 8 * size) - 1
        if offset >= CONFIG:
            return device.read_config(offset - CONFIG, size)
        if size != 4:
            return 0
        value = self._constants.get(offset)
        if value is None:
            read = self._readers.get(offset)
            return 0 if read is None else read(device)
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        device = self._device
        if device is None:
            return
        if offset >= CONFIG:
            device.write_config(offset - CONFIG, size, value)
        elif size == 4:
            at = QUEUE_ADDRESSES.get(offset)
            if at is None:
                write = self._writers.get(offset)
                if write is not None:
                    write(device, value)
            elif not self._legacy:
                device.selected().unplaced[at] = value

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`: when the device used its buffers, and what changed its configuration."""
        device = self._device
        if device is None:
            return False
        if offset >= CONFIG:
            return device.assume_config(offset - CONFIG, size, hw, model)
        if offset == INTERRUPT_STATUS and device.assume_isr(hw, model):
            device.isr = hw
            self._update_irq()
            return True
        if offset == CONFIG_GENERATION and device.status & S_DRIVER_OK and not self._legacy and hw > model:
            device.generation = hw
            return True
        return False

    # Registers, in the order of their offsets

    def _read_device_features(self, device: VirtioDevice) -> int:
        selector = self._device_features_sel
        if self._legacy:
            return 0 if selector else device.offered(0, 0)
        return device.offered(selector, device.legacy_features)

    def _write_device_features_sel(self, device: VirtioDevice, value: int) -> None:
        self._device_features_sel = int(value != 0)

    def _write_driver_features(self, device: VirtioDevice, value: int) -> None:
        """A modern driver's bits are taken when it sets FEATURES_OK."""
        if not self._legacy:
            self._driver_features[self._driver_features_sel] = value
        elif not self._driver_features_sel:
            device.accept(value)

    def _write_driver_features_sel(self, device: VirtioDevice, value: int) -> None:
        self._driver_features_sel = int(value != 0)

    def _write_guest_page_size(self, device: VirtioDevice, value: int) -> None:
        if self._legacy:
            self._page_shift = (value & -value).bit_length() - 1 if value else 0

    def _write_queue_sel(self, device: VirtioDevice, value: int) -> None:
        if value < MAX_QUEUES:
            device.queue_sel = value

    def _read_queue_num_max(self, device: VirtioDevice) -> int:
        queue = device.selected()
        if queue.size != UNLEARNED:
            return MAX_QUEUE_SIZE if queue.size and self._same_maximum else queue.default

        def learn(size: int) -> None:
            queue.size = queue.default = size

        return Unknown(0, 0xFFFF_FFFF, learn)

    def _write_queue_num(self, device: VirtioDevice, value: int) -> None:
        queue = device.selected()
        device.resize(queue, value)
        if not self._legacy:
            queue.selected_size = value

    def _read_queue_pfn(self, device: VirtioDevice) -> int:
        return device.selected().ring >> self._page_shift & 0xFFFF_FFFF if self._legacy else 0

    def _write_queue_pfn(self, device: VirtioDevice, value: int) -> None:
        if not self._legacy:
            return
        if value:
            device.place(device.selected(), value << self._page_shift)
        else:
            self._reset_device()

    def _read_queue_ready(self, device: VirtioDevice) -> int:
        return 0 if self._legacy else device.selected().enabled

    def _write_queue_ready(self, device: VirtioDevice, value: int) -> None:
        if self._legacy:
            return
        queue = device.selected()
        queue.enabled = int(value != 0)
        if value:
            device.resize(queue, queue.selected_size)
            device.place(queue, queue.unplaced[1] << 32 | queue.unplaced[0])

    def _write_queue_notify(self, device: VirtioDevice, value: int) -> None:
        number = value & 0xFFFF
        if number < MAX_QUEUES and device.queue(number).size:
            device.notify(number)

    def _read_interrupt_status(self, device: VirtioDevice) -> int:
        return device.isr

    def _write_interrupt_ack(self, device: VirtioDevice, value: int) -> None:
        device.isr &= ~value
        self._update_irq()

    def _read_status(self, device: VirtioDevice) -> int:
        return device.status

    def _write_status(self, device: VirtioDevice, value: int) -> None:
        if not self._legacy and value & S_FEATURES_OK:
            device.accept(self._driver_features[1] << 32 | self._driver_features[0])
        device.set_status(value & 0xFF)
        if not device.status:
            self._reset_device()

    def _read_config_generation(self, device: VirtioDevice) -> int:
        return 0 if self._legacy else device.generation

    # Helpers

    def _reset_device(self) -> None:
        """A reset by the driver keeps what it wrote to the modern registers, but that queues are in use."""
        device = self._device
        assert device is not None
        device.reset()
        for queue in device.queues.values():
            queue.enabled = 0

    def _update_irq(self) -> None:
        if self._device is not None:
            self._irq.set(self._device.isr != 0)
