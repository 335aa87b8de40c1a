# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Address ranges, buses and the `IoManager`: a port of rust-vmm/vm-device 0.1.0.

Licensed Apache-2.0 OR BSD-3-Clause as vm-device is (`resources`: Apache-2.0); each module names its origin and its
copyright holders. The rules are vm-device's: ranges do not overlap, and an access fits one range or is refused.
What differs on purpose, and what was added for replay, is in `io_manager`.
"""

from .address import BusAddress, MmioAddress, MmioAddressOffset, PioAddress, PioAddressOffset
from .bus import Bus, MmioBus, PioBus
from .device import DeviceMmio, DevicePio, DevicePioMmio, MutDeviceMmio, MutDevicePio, Mutex, ReadBuffer, WriteBuffer
from .errors import (
    AddressOverflowError,
    DeviceManagerError,
    DeviceNotFoundError,
    DeviceOverlapError,
    DeviceReentryError,
    InvalidAccessLengthError,
    InvalidRangeError,
    PoisonError,
)
from .io_manager import IoManager, MmioManager, PioManager, Route
from .range import BusRange, MmioRange, PioRange
from .resources import (
    DeviceResources,
    GenericIrqConstraint,
    KvmMemSlot,
    KvmMemSlotConstraint,
    LegacyIrq,
    LegacyIrqConstraint,
    MacAddress,
    MmioAddressConstraint,
    MmioAddressRange,
    MsiIrq,
    MsiIrqType,
    PciMsiIrqConstraint,
    PciMsixIrqConstraint,
    PioAddressConstraint,
    PioAddressRange,
    Resource,
    ResourceConstraint,
)

__all__ = [
    "AddressOverflowError",
    "Bus",
    "BusAddress",
    "BusRange",
    "DeviceManagerError",
    "DeviceMmio",
    "DeviceNotFoundError",
    "DeviceOverlapError",
    "DevicePio",
    "DevicePioMmio",
    "DeviceReentryError",
    "DeviceResources",
    "GenericIrqConstraint",
    "InvalidAccessLengthError",
    "InvalidRangeError",
    "IoManager",
    "KvmMemSlot",
    "KvmMemSlotConstraint",
    "LegacyIrq",
    "LegacyIrqConstraint",
    "MacAddress",
    "MmioAddress",
    "MmioAddressConstraint",
    "MmioAddressOffset",
    "MmioAddressRange",
    "MmioBus",
    "MmioManager",
    "MmioRange",
    "MsiIrq",
    "MsiIrqType",
    "MutDeviceMmio",
    "MutDevicePio",
    "Mutex",
    "PciMsiIrqConstraint",
    "PciMsixIrqConstraint",
    "PioAddress",
    "PioAddressConstraint",
    "PioAddressOffset",
    "PioAddressRange",
    "PioBus",
    "PioManager",
    "PioRange",
    "PoisonError",
    "ReadBuffer",
    "Resource",
    "ResourceConstraint",
    "Route",
    "WriteBuffer",
]
