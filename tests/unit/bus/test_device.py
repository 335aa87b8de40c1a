"""Device protocols and the mutex: documentation examples D1 to D6 of vm-device, poisoning, re-entry."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from vmdev.replay.bus import (
    DeviceMmio,
    DevicePio,
    DeviceReentryError,
    IoManager,
    MmioAddress,
    MmioRange,
    Mutex,
    PioAddress,
    PioRange,
    PoisonError,
    ReadBuffer,
    WriteBuffer,
)
from vmdev.replay.device import Device, Window
from vmdev.replay.errors import BusError


class Dummy:
    """The device of vm-device's documentation: four bytes to read, one to write."""

    def __init__(self, config: int = 0x1234) -> None:
        self.config = config

    def pio_read(self, base: object, offset: int, data: ReadBuffer) -> None:
        if len(data) > 4:
            return
        for index in range(len(data)):
            data[index] = self.config >> 8 * index & 0xFF

    def pio_write(self, base: object, offset: int, data: WriteBuffer) -> None:
        self.config = data[0]

    mmio_read = pio_read
    mmio_write = pio_write


class Log:
    """Notes every write."""

    def __init__(self) -> None:
        self.writes: list[tuple[int, int, bytes]] = []

    def pio_read(self, base: PioAddress, offset: int, data: ReadBuffer) -> None:
        raise AssertionError("not read in these tests")

    def pio_write(self, base: PioAddress, offset: int, data: WriteBuffer) -> None:
        self.writes.append((base.value, offset, bytes(data)))


class Fragile:
    """Raises if told so by a written 0xFF."""

    def __init__(self) -> None:
        self.writes = 0

    def pio_read(self, base: object, offset: int, data: ReadBuffer) -> None:
        data[:] = bytes([self.writes]) * len(data)

    def pio_write(self, base: object, offset: int, data: WriteBuffer) -> None:
        self.writes += 1
        if data[0] == 0xFF:
            raise ValueError("the model is broken")

    mmio_read = pio_read
    mmio_write = pio_write


def on_both_buses(device: Mutex[Fragile]) -> IoManager:
    io = IoManager()
    io.register_pio(PioRange(PioAddress(0), 10), device)
    io.register_mmio(MmioRange(MmioAddress(0), 10), device)
    return io


def test_d1_log_device_in_a_mutex() -> None:
    log = Log()
    io = IoManager()
    io.register_pio(PioRange(PioAddress(0), 10), Mutex(log))
    io.pio_write(PioAddress(0), b"ok")
    assert log.writes == [(0, 0, b"ok")]


def test_d2_device_pio() -> None:
    device: DevicePio = Dummy()
    data = bytearray(4)
    device.pio_read(PioAddress(0), 0, data)
    assert data == b"\x34\x12\0\0"
    device.pio_write(PioAddress(0), 0, b"\x56\x78")
    device.pio_read(PioAddress(0), 0, data)
    assert data == b"\x56\0\0\0"


def test_d3_device_mmio() -> None:
    device: DeviceMmio = Dummy()
    data = bytearray(b"fives")
    device.mmio_read(MmioAddress(0), 0, data)
    assert data == b"fives"
    device.mmio_write(MmioAddress(0), 0, b"\x56")
    data = bytearray(1)
    device.mmio_read(MmioAddress(0), 0, data)
    assert data == b"\x56"


def test_d4_mut_device_pio() -> None:
    device: DevicePio = Mutex(Dummy())
    data = bytearray(2)
    device.pio_write(PioAddress(0), 0, b"\x56")
    device.pio_read(PioAddress(0), 0, data)
    assert data == b"\x56\0"


def test_d5_mut_device_mmio() -> None:
    device: DeviceMmio = Mutex(Dummy())
    data = bytearray(2)
    device.mmio_write(MmioAddress(0), 0, b"\x56")
    device.mmio_read(MmioAddress(0), 0, data)
    assert data == b"\x56\0"


def test_models_and_windows_are_devices_of_both_kinds() -> None:
    for device in (Device(), Window(Device(), 8), Mutex(Device())):
        assert isinstance(device, DevicePio)
        assert isinstance(device, DeviceMmio)
    assert isinstance(Log(), DevicePio)
    assert not isinstance(Log(), DeviceMmio)


def test_a_mutex_lends_the_device() -> None:
    mutex = Mutex(Dummy())
    with mutex.lock() as device:
        device.config = 7
    with mutex.lock() as device:
        assert device.config == 7


def test_an_exception_in_the_device_reaches_the_caller() -> None:
    io = on_both_buses(Mutex(Fragile()))
    with pytest.raises(ValueError, match="the model is broken"):
        io.pio_write(PioAddress(3), b"\xff")


def test_an_exception_in_the_device_poisons_the_mutex() -> None:
    mutex = Mutex(Fragile())
    io = on_both_buses(mutex)
    states = [mutex.is_poisoned]
    io.pio_write(PioAddress(3), b"\x01")
    states.append(mutex.is_poisoned)
    with pytest.raises(ValueError, match="broken") as broken:
        io.pio_write(PioAddress(3), b"\xff")
    states.append(mutex.is_poisoned)
    assert states == [False, False, True]
    data = bytearray(b"??")
    accesses: list[Callable[[], None]] = [
        lambda: io.pio_write(PioAddress(3), b"\x01"),
        lambda: io.pio_read(PioAddress(3), data),
        lambda: io.mmio_write(MmioAddress(3), b"\x01"),
        lambda: io.mmio_read(MmioAddress(3), data),
    ]
    for access in accesses:
        with pytest.raises(PoisonError, match=r"Fragile is poisoned: .* ValueError\('the model is broken'\)") as info:
            access()
        assert info.value.__cause__ is broken.value
        assert info.value.device == "Fragile"
        assert isinstance(info.value, BusError)
    assert data == b"??"


def test_a_poisoned_device_is_not_called_again() -> None:
    device = Fragile()
    io = on_both_buses(Mutex(device))
    with pytest.raises(ValueError, match="broken"):
        io.pio_write(PioAddress(0), b"\xff")
    with pytest.raises(PoisonError):
        io.pio_write(PioAddress(0), b"\x01")
    assert device.writes == 1


def test_an_exception_while_the_device_is_lent_poisons_too() -> None:
    mutex = Mutex(Dummy())
    with pytest.raises(KeyboardInterrupt), mutex.lock():
        raise KeyboardInterrupt
    with pytest.raises(PoisonError, match="KeyboardInterrupt"):
        mutex.mmio_write(MmioAddress(0), 0, b"\x01")


def test_a_refused_access_does_not_poison() -> None:
    mutex = Mutex(Fragile())
    io = on_both_buses(mutex)
    with pytest.raises(BusError):
        io.pio_write(PioAddress(9), b"\xff\xff")
    assert not mutex.is_poisoned


def test_a_device_that_accesses_itself_raises_instead_of_waiting_forever() -> None:
    class Ouroboros:
        def pio_read(self, base: PioAddress, offset: int, data: ReadBuffer) -> None:
            io.pio_read(base, data)

        def pio_write(self, base: PioAddress, offset: int, data: WriteBuffer) -> None: ...

    io = IoManager()
    mutex = Mutex(Ouroboros())
    io.register_pio(PioRange(PioAddress(0), 1), mutex)
    with pytest.raises(DeviceReentryError, match="Ouroboros was accessed again from within"):
        io.pio_read(PioAddress(0), bytearray(1))
    assert mutex.is_poisoned


def test_a_mutex_keeps_other_threads_out() -> None:
    mutex = Mutex(Dummy())
    order: list[str] = []
    started = threading.Event()

    def write() -> None:
        started.set()
        mutex.pio_write(PioAddress(0), 0, b"\x01")
        order.append("other thread")

    thread = threading.Thread(target=write)
    with mutex.lock() as device:
        thread.start()
        assert started.wait(10)
        thread.join(0.05)
        assert device.config == 0x1234
        order.append("this thread")
    thread.join(10)
    assert order == ["this thread", "other thread"]
    assert device.config == 1
