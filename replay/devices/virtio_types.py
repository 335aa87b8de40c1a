"""The types of virtio devices: their configuration spaces, and which of their queues answer by themselves.

Source: Virtual I/O Device (VIRTIO) Version 1.2, chapter 5 "Device Types"; numbers below are its sections.

Follows QEMU in what a device does with a write to its configuration space, and in what its reset restores.
"""

from __future__ import annotations

from typing import Final

from ..registers import Register, bit
from .virtio_device import F_VERSION_1, LEGACY_FEATURES, Setup, VirtioDevice

BLK_F_FLUSH, BLK_F_CONFIG_WCE = 1 << 9, 1 << 11
BLK_WRITEBACK: Final = 32
NET_F_GSO, NET_F_CTRL_MAC_ADDR = 1 << 6, 1 << 23
NET_MAC, NET_STATUS, MAC_BYTES = 0, 6, 6
BALLOON_NUM_PAGES, BALLOON_ACTUAL, BALLOON_POISON = 0, 4, 12
BALLOON_F_PAGE_POISON: Final = 1 << 4
SCSI_SENSE_SIZE, SCSI_CDB_SIZE = 20, 24
CONSOLE_EMERG_WR, CONSOLE_CONTROL_OUT = 8, 3
GPU_EVENTS_READ, GPU_EVENTS_CLEAR = 0, 4
INPUT_DATA, INPUT_SPAN = 2, 136


def _config(*rows: tuple[str, str, int, int] | tuple[str, str, int, int, str]) -> tuple[Register, ...]:
    """Fields as registers: name, title, offset, bits, and how they are accessed if not read-only."""
    return tuple(
        Register(row[0], row[1], row[2], row[4] if len(row) == 5 else "r", width=row[3])  # type: ignore[arg-type]
        for row in rows
    )


class VirtioBlk(VirtioDevice):
    """Block device (5.2). A driver that cannot switch the write cache gets the one that it asked for."""

    name = "virtio-blk"
    device_id = 2
    writable = ((BLK_WRITEBACK, 1),)
    config_registers = _config(
        ("capacity", "Number of sectors of 512 bytes", 0, 64),
        ("size_max", "Longest segment", 8, 32),
        ("seg_max", "Most segments of a request", 12, 32),
        ("geometry.cylinders", "Cylinders", 16, 16),
        ("geometry.heads", "Heads", 18, 8),
        ("geometry.sectors", "Sectors of a track", 19, 8),
        ("blk_size", "Block size in bytes", 20, 32),
        ("topology.physical_block_exp", "Logical blocks of a physical block, log 2", 24, 8),
        ("topology.alignment_offset", "First aligned logical block", 25, 8),
        ("topology.min_io_size", "Suggested least I/O size in blocks", 26, 16),
        ("topology.opt_io_size", "Suggested largest I/O size in blocks", 28, 32),
        ("writeback", "Write cache: 0 write-through, 1 write-back", 32, 8, "rw"),
        ("num_queues", "Number of queues", 34, 16),
        ("max_discard_sectors", "Longest discard", 36, 32),
        ("max_discard_seg", "Most segments of a discard", 40, 32),
        ("discard_sector_alignment", "Alignment of discards", 44, 32),
        ("max_write_zeroes_sectors", "Longest write of zeroes", 48, 32),
        ("max_write_zeroes_seg", "Most segments of a write of zeroes", 52, 32),
        ("write_zeroes_may_unmap", "Whether it may deallocate", 56, 8),
    )

    def driver_is_ready(self) -> None:
        """See `VirtioDevice.driver_is_ready`."""
        if not self.driver_features & BLK_F_CONFIG_WCE:
            self._set_write_cache(bool(self.driver_features & BLK_F_FLUSH))

    def config_written(self) -> None:
        """See `VirtioDevice.config_written`: any value but 0 switches the cache on."""
        self._set_write_cache(self.config[BLK_WRITEBACK] != 0)

    def reset(self) -> None:
        """See `VirtioDevice.reset`: the write cache is as it was configured."""
        super().reset()
        self._set_write_cache(self.setup.config[BLK_WRITEBACK : BLK_WRITEBACK + 1] == b"\1")

    def _set_write_cache(self, on: bool) -> None:
        if len(self.config) > BLK_WRITEBACK:
            self.config[BLK_WRITEBACK] = on


class VirtioNet(VirtioDevice):
    """Network device (5.1)."""

    name = "virtio-net"
    device_id = 1
    legacy_features = LEGACY_FEATURES | NET_F_GSO
    config_registers = (
        *_config(("mac", "MAC address", NET_MAC, 48, "rw")),
        Register("status", "Status", NET_STATUS, "r", (bit("LINK_UP", 0), bit("ANNOUNCE", 1)), width=16),
        *_config(
            ("max_virtqueue_pairs", "Most pairs of queues", 8, 16),
            ("mtu", "Maximum MTU", 10, 16),
            ("speed", "Speed in Mbit/s", 12, 32),
            ("duplex", "Duplex: 0 half, 1 full, 0xff unknown", 16, 8),
            ("rss_max_key_size", "Longest hash key", 17, 8),
            ("rss_max_indirection_table_length", "Longest indirection table", 18, 16),
            ("supported_hash_types", "Hash types", 20, 32),
        ),
    )
    # Each even queue receives; the last one is the control queue, which answers.
    waiting_queues = frozenset(range(0, 128, 2))

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.control_queue = len(setup.queues or ()) - 1
        self.waiting_queues = VirtioNet.waiting_queues - {self.control_queue}

    def write_config(self, offset: int, size: int, value: int) -> None:
        """See `VirtioDevice.write_config`: only legacy drivers set the MAC address here (5.1.4.1)."""
        super().write_config(offset, size, value)
        if not self.driver_features & (NET_F_CTRL_MAC_ADDR | F_VERSION_1) and offset + size <= len(self.config):
            self.take_config(NET_MAC, MAC_BYTES)

    def reset(self) -> None:
        """See `VirtioDevice.reset`: the MAC address is as it was configured."""
        super().reset()
        self.config[:MAC_BYTES] = self.setup.config[:MAC_BYTES]
        self._unknown_config.update({at: self.setup.unknown_config[at] for at in range(MAC_BYTES)
                                     if at in self.setup.unknown_config})  # fmt: skip

    def assume_config(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `VirtioDevice.assume_config`: a MAC address set through the control queue, a cable pulled or put in."""
        end = offset + size
        is_mac = end <= MAC_BYTES and self.notified and bool(self.driver_features & NET_F_CTRL_MAC_ADDR)
        is_link = offset >= NET_STATUS and end <= NET_STATUS + 2
        if is_mac or is_link:
            self._take(offset, size, hw)
        return is_mac or is_link


class VirtioRng(VirtioDevice):
    """Entropy device (5.4): no configuration space."""

    name = "virtio-rng"
    device_id = 4


class VirtioBalloon(VirtioDevice):
    """Memory balloon (5.5). How large it shall be comes from outside."""

    name = "virtio-balloon"
    device_id = 5
    writable = ((BALLOON_ACTUAL, 4), (BALLOON_POISON, 4))
    waiting_queues = frozenset((2,))  # statistics
    config_registers = _config(
        ("num_pages", "Pages that the device wants", BALLOON_NUM_PAGES, 32),
        ("actual", "Pages that the driver has given", BALLOON_ACTUAL, 32, "rw"),
        ("free_page_hint_cmd_id", "Free page hinting: command", 8, 32),
        ("poison_val", "What the driver fills free pages with", BALLOON_POISON, 32, "rw"),
    )

    def config_written(self) -> None:
        """See `VirtioDevice.config_written`."""
        if not self.driver_features & BALLOON_F_PAGE_POISON:
            self._forget_poison()

    def reset(self) -> None:
        """See `VirtioDevice.reset`: what the driver gave stays given."""
        super().reset()
        self._forget_poison()

    def _forget_poison(self) -> None:
        end = len(self.config)
        if end > BALLOON_POISON:
            self._take(BALLOON_POISON, end - BALLOON_POISON, 0)

    def assume_config(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `VirtioDevice.assume_config`."""
        is_target = offset + size <= BALLOON_ACTUAL
        if is_target:
            self._take(offset, size, hw)
        return is_target


class VirtioConsole(VirtioDevice):
    """Console, or serial ports (5.3). An emergency write leaves at once."""

    name = "virtio-serial"
    device_id = 3
    # Each even queue receives, among them the control queue.
    waiting_queues = frozenset(range(0, 1024, 2))
    config_registers = _config(
        ("cols", "Columns", 0, 16),
        ("rows", "Rows", 2, 16),
        ("max_nr_ports", "Most ports", 4, 32),
        ("emerg_wr", "Emergency write", CONSOLE_EMERG_WR, 32, "rw"),
    )

    def look_at_queues(self) -> None:
        """See `VirtioDevice.look_at_queues`: a look at the driver's control queue interrupts even if it is empty."""
        super().look_at_queues()
        self.notify(CONSOLE_CONTROL_OUT)


class VirtioScsi(VirtioDevice):
    """SCSI host (5.6)."""

    name = "virtio-scsi"
    device_id = 8
    writable = ((SCSI_SENSE_SIZE, 4), (SCSI_CDB_SIZE, 4))
    waiting_queues = frozenset((1,))  # events
    config_registers = _config(
        ("num_queues", "Request queues", 0, 32),
        ("seg_max", "Most segments of a request", 4, 32),
        ("max_sectors", "Longest transfer in sectors", 8, 32),
        ("cmd_per_lun", "Most commands to a unit at once", 12, 32),
        ("event_info_size", "Bytes of an event", 16, 32),
        ("sense_size", "Bytes of sense data", SCSI_SENSE_SIZE, 32, "rw"),
        ("cdb_size", "Bytes of a command", SCSI_CDB_SIZE, 32, "rw"),
        ("max_channel", "Highest channel", 28, 16),
        ("max_target", "Highest target", 30, 16),
        ("max_lun", "Highest unit", 32, 32),
    )

    def write_config(self, offset: int, size: int, value: int) -> None:
        """See `VirtioDevice.write_config`: sizes that are too large break the device."""
        before = self.config[SCSI_SENSE_SIZE : SCSI_CDB_SIZE + 4]
        super().write_config(offset, size, value)
        sense = int.from_bytes(self.config[SCSI_SENSE_SIZE : SCSI_SENSE_SIZE + 4], "little")
        cdb = int.from_bytes(self.config[SCSI_CDB_SIZE : SCSI_CDB_SIZE + 4], "little")
        if sense >= 65536 or cdb >= 256:
            self.config[SCSI_SENSE_SIZE : SCSI_CDB_SIZE + 4] = before
            self.fail()

    def reset(self) -> None:
        """See `VirtioDevice.reset`."""
        super().reset()
        self.config[SCSI_SENSE_SIZE : SCSI_CDB_SIZE + 4] = self.setup.config[SCSI_SENSE_SIZE : SCSI_CDB_SIZE + 4]


class VirtioGpu(VirtioDevice):
    """GPU (5.7). Events come from outside: the display's size."""

    name = "virtio-gpu"
    device_id = 16
    config_registers = _config(
        ("events_read", "Pending events", GPU_EVENTS_READ, 32),
        ("events_clear", "Events to clear", GPU_EVENTS_CLEAR, 32, "rw"),
        ("num_scanouts", "Scanouts", 8, 32),
        ("num_capsets", "Capability sets", 12, 32),
    )

    def write_config(self, offset: int, size: int, value: int) -> None:
        """See `VirtioDevice.write_config`: what is written to events_clear leaves events_read."""
        super().write_config(offset, size, value)
        for at in range(GPU_EVENTS_CLEAR):
            self.config[at] &= ~self._buffer[GPU_EVENTS_CLEAR + at]

    def assume_config(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `VirtioDevice.assume_config`."""
        is_event = offset + size <= GPU_EVENTS_CLEAR
        if is_event:
            self._take(offset, size, hw)
        return is_event


class VirtioInput(VirtioDevice):
    """Input device (5.8): the driver selects what the rest of the configuration space shows."""

    name = "virtio-input"
    device_id = 18
    waiting_queues = frozenset((0,))  # events
    writable = ((0, INPUT_DATA),)
    config_registers = (
        *_config(("select", "What is shown", 0, 8, "rw"), ("subsel", "Which of them", 1, 8, "rw")),
        Register("size", "Bytes of data that are shown", 2, "r"),
        *_config(*((f"data[{at}]", "Data", 8 + at, 8) for at in range(128))),
    )

    def __init__(self, setup: Setup) -> None:
        self._shown: dict[int, tuple[bytearray, dict[int, int]]] = {}
        super().__init__(setup)
        self._show()

    def config_written(self) -> None:
        """See `VirtioDevice.config_written`. QEMU tells the driver that its own write changed the configuration."""
        self._show()
        self.config_changed()

    def _show(self) -> None:
        """What there is to a selection only a recording knows; it is the same each time."""
        selection = self.config[0] | self.config[1] << 8
        if selection not in self._shown:
            unknown = dict.fromkeys(range(INPUT_DATA, len(self.config)), 0xFF)
            self._shown[selection] = (bytearray(self.config), unknown)
        self.config, self._unknown_config = self._shown[selection]
        self.config[:INPUT_DATA] = selection.to_bytes(INPUT_DATA, "little")
