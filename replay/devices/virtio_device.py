"""What all virtio devices have, whatever the transport: status, features, queues, interrupts, configuration space.

Source: Virtual I/O Device (VIRTIO) Version 1.2, chapter 2 "Basic Facilities of a Virtio Device"; numbers below are its
sections.

The rings are in the guest's memory and are never seen. A device that has been notified of buffers is taken to have used
them at once and to have raised its interrupt, unless its driver is known to poll; both are corrected by `assume_isr`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from ..device import Unknown
from ..registers import Register, bit

S_ACKNOWLEDGE, S_DRIVER, S_DRIVER_OK, S_FEATURES_OK, S_NEEDS_RESET, S_FAILED = 0x01, 0x02, 0x04, 0x08, 0x40, 0x80
STATUS_FIELDS: Final = (
    bit("ACKNOWLEDGE", 0), bit("DRIVER", 1), bit("DRIVER_OK", 2), bit("FEATURES_OK", 3),
    bit("DEVICE_NEEDS_RESET", 6), bit("FAILED", 7),
)  # fmt: skip

ISR_QUEUE, ISR_CONFIG = 0x01, 0x02
ISR_FIELDS: Final = (bit("Queue", 0), bit("Configuration", 1))

F_NOTIFY_ON_EMPTY, F_ANY_LAYOUT, F_INDIRECT_DESC, F_EVENT_IDX, F_BAD_FEATURE = (
    1 << 24,
    1 << 27,
    1 << 28,
    1 << 29,
    1 << 30,
)
F_VERSION_1, F_ACCESS_PLATFORM, F_RING_PACKED, F_IN_ORDER, F_RING_RESET = 1 << 32, 1 << 33, 1 << 34, 1 << 35, 1 << 40
LEGACY_FEATURES: Final = F_NOTIFY_ON_EMPTY | F_ANY_LAYOUT | F_BAD_FEATURE
"""Bits of the legacy interface, which modern drivers are not shown."""

NO_VECTOR: Final = 0xFFFF
MAX_QUEUES: Final = 1024
MAX_QUEUE_SIZE: Final = 1024
UNLEARNED: Final = -1
"""The size of a queue that only the recording knows."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How a device was configured, as far as that is known."""

    features: int = 0
    """Feature bits that it offers (2.2)."""
    unknown_features: int = 0
    """Bits of which only a recording knows whether they are offered."""
    queues: tuple[int, ...] | None = ()
    """The largest size of each queue (2.6); None if only a recording knows them."""
    config: bytes = b""
    """The configuration space (2.5) after power-on."""
    unknown_config: Mapping[int, int] = field(default_factory=dict)
    """Which bits of it only a recording knows: masks by offset."""


class Queue:
    """A queue: what the device keeps of it and what the transport does."""

    __slots__ = ("default", "enabled", "ring", "selected_size", "size", "unplaced", "vector")

    def __init__(self, size: int) -> None:
        self.default = self.size = size
        self.vector = NO_VECTOR
        self.ring = 0
        """Where the descriptors are, as last given to the device; 0: nowhere, so that notifications go unheard."""
        self.enabled = 0
        self.selected_size = 0
        """The size that the driver wrote, which takes effect when the queue is enabled."""
        self.unplaced = [0] * 6
        """The addresses that the driver wrote: descriptors, driver area, device area; low half before high half."""

    def clear(self) -> None:
        """What a reset of the device or of this queue makes of the device's part."""
        self.size = self.default
        self.vector = NO_VECTOR
        self.ring = 0


class VirtioDevice:
    """A device behind a transport. This class is one of which nothing is known but what its setup says.

    Args:
        setup: how it was configured.
    """

    name: str = "virtio-device"
    """QEMU's name of it: in the names of its regions."""
    device_id: int = 0
    config_registers: ClassVar[tuple[Register, ...]] = ()
    """Its configuration space, from offset 0."""
    legacy_features: ClassVar[int] = LEGACY_FEATURES
    writable: ClassVar[tuple[tuple[int, int], ...]] = ()
    """Where the driver can write its configuration space: first offset and number of bytes."""
    waiting_queues: frozenset[int] = frozenset()
    """Queues whose buffers wait for something from outside, so that their notification is answered by nothing."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.features = setup.features
        self._unknown_features = setup.unknown_features
        self.queue_count = None if setup.queues is None else len(setup.queues)
        self.queues: dict[int, Queue] = {number: Queue(size) for number, size in enumerate(setup.queues or ())}
        self.config = bytearray(setup.config)
        self._buffer = bytearray(len(setup.config))
        """The configuration space as the driver last read and wrote it: what a write gives to the device."""
        self._unknown_config = dict(setup.unknown_config)
        self.generation = 0
        self.update_irq: Callable[[], None] = _nothing
        """The transport's; called when `isr` changed."""
        self.clear()

    def clear(self) -> None:
        """The driver's reset (2.4): everything but what is configured, and the generation of the configuration."""
        self.status = 0
        self.isr = 0
        self.queue_sel = 0
        self.driver_features = 0
        self.config_vector = NO_VECTOR
        self.broken = False
        self.notified = False
        self.polling = False
        for queue in self.queues.values():
            queue.clear()
        self.update_irq()

    def reset(self) -> None:
        """As `clear`; with what a reset does to this device's own parts."""
        self.clear()

    def state(self) -> Iterator[tuple[str, int]]:
        """Everything that matters, by name."""
        yield from (
            ("status", self.status), ("isr", self.isr), ("queue_sel", self.queue_sel), ("features", self.features),
            ("driver_features", self.driver_features), ("config_vector", self.config_vector),
            ("config_generation", self.generation), ("broken", int(self.broken)), ("notified", int(self.notified)),
            ("polling", int(self.polling)), ("config", int.from_bytes(self.config, "little")),
            ("config_shown", int.from_bytes(self._buffer, "little")),
        )  # fmt: skip
        for number, queue in sorted(self.queues.items()):
            if queue.size or queue.enabled or queue.selected_size or any(queue.unplaced):
                yield f"queue{number}.size", queue.size
                yield f"queue{number}.vector", queue.vector
                yield f"queue{number}.ring", queue.ring
                yield f"queue{number}.enabled", queue.enabled
                yield f"queue{number}.selected_size", queue.selected_size
                yield from ((f"queue{number}.address{at}", value) for at, value in enumerate(queue.unplaced))

    # Features (2.2)

    def offered(self, selector: int, hidden: int) -> int:
        """Feature bits 32*selector and up, without those that are `hidden` from the driver."""
        if selector > 1:
            return 0
        shift = 32 * selector
        unknown = (self._unknown_features & ~hidden) >> shift & 0xFFFF_FFFF
        value = (self.features & ~hidden) >> shift & 0xFFFF_FFFF
        if not unknown:
            return value

        def learn(bits: int) -> None:
            self.features = self.features & ~(unknown << shift) | bits << shift
            self._unknown_features &= ~(unknown << shift)

        return Unknown(value & ~unknown, unknown, learn)

    def accept(self, features: int) -> None:
        """The driver writes the bits that it wants; what is not offered is left out."""
        if not self.status & S_FEATURES_OK:
            self.driver_features = features & (self.features | self._unknown_features)

    # Status (2.1)

    def set_status(self, value: int) -> None:
        """The driver writes the status. Without F_ACCESS_PLATFORM, if it is offered, FEATURES_OK is refused."""
        accepts = self.driver_features & F_VERSION_1 and value & S_FEATURES_OK and not self.status & S_FEATURES_OK
        if accepts and self.features & ~self.driver_features & F_ACCESS_PLATFORM:
            return
        becomes_ready = value & S_DRIVER_OK and not self.status & S_DRIVER_OK
        self.status = value
        if value & S_DRIVER_OK:
            self.driver_is_ready()
        if becomes_ready:
            self.look_at_queues()

    def driver_is_ready(self) -> None:
        """DRIVER_OK was written. For devices that then do something."""

    def look_at_queues(self) -> None:
        """A driver has become ready: QEMU then looks at all queues, as if each had been notified."""
        self.notified = self.notified or any(queue.ring for queue in self.queues.values())

    def fail(self) -> None:
        """The driver did what no driver may: the device stops until it is reset (2.1.2)."""
        if self.driver_features & F_VERSION_1:
            self.status |= S_NEEDS_RESET
            self.config_changed()
        self.broken = True

    # Queues (2.6)

    def queue(self, number: int) -> Queue:
        """A queue, existing or not: those that do not exist have size 0."""
        queue = self.queues.get(number)
        if queue is None:
            size = UNLEARNED if self.queue_count is None else 0
            queue = self.queues[number] = Queue(size)
        return queue

    def selected(self) -> Queue:
        """The queue that the driver has selected."""
        return self.queue(self.queue_sel)

    def size_of(self, queue: Queue) -> int:
        """A queue's size, or `Unknown`."""
        if queue.size != UNLEARNED:
            return queue.size

        def learn(size: int) -> None:
            queue.size = queue.default = size

        return Unknown(0, 0xFFFF, learn)

    def count(self) -> int:
        """One more than the number of the last queue, or `Unknown`."""
        if self.queue_count is not None:
            return self.queue_count

        def learn(count: int) -> None:
            self.queue_count = count
            for number, queue in self.queues.items():
                if number >= count:
                    queue.size = queue.default = 0

        return Unknown(0, 0xFFFF, learn)

    def resize(self, queue: Queue, size: int) -> None:
        """The driver chooses a size. A queue cannot come into being or cease to be."""
        if size <= MAX_QUEUE_SIZE and bool(size) == bool(queue.size):
            queue.size = size

    def place(self, queue: Queue, address: int) -> None:
        """The driver says where the descriptors are."""
        if queue.size:
            queue.ring = address

    def notify(self, number: int) -> None:
        """The driver has made buffers available (2.9): the device uses them, unless they wait for something."""
        queue = self.queues.get(number)
        if queue is None or not queue.ring or self.broken:
            return
        self.notified = True
        if not self.polling and number not in self.waiting_queues:
            self.isr |= ISR_QUEUE
            self.update_irq()

    # Interrupts (2.3)

    def config_changed(self) -> None:
        """Tell the driver that the configuration has changed, if it listens. QEMU sets both bits."""
        if self.status & S_DRIVER_OK:
            self.generation = self.generation + 1 & 0xFFFF_FFFF
            self.isr |= ISR_QUEUE | ISR_CONFIG
            self.update_irq()

    def assume_isr(self, hw: int, model: int) -> bool:
        """Can the device's pace explain that `hw` was read where the model had `model`?

        Set, where it was clear: a buffer was used that waited, or of which several were used one by one; the
        configuration changed from outside. Clear, where it was set: the driver polls, and wants no interrupts.
        Whether it does is in its rings.
        """
        if (hw | model) & ~(ISR_QUEUE | ISR_CONFIG):
            return False
        if hw & ~model & ISR_CONFIG:
            if not hw & ISR_QUEUE or not self.status & S_DRIVER_OK:
                return False
            self.generation = self.generation + 1 & 0xFFFF_FFFF
        elif model & ~hw & ISR_CONFIG or not self.notified:
            return False
        self.polling = not hw & ISR_QUEUE
        return True

    # Configuration space (2.5)

    def read_config(self, offset: int, size: int) -> int:
        """Answer a read in the configuration space. QEMU reads all ones where it ends."""
        end = offset + size
        if end > len(self.config):
            return (1 << 8 * size) - 1
        self._buffer[:] = self.config
        value = int.from_bytes(self.config[offset:end], "little")
        if self._unknown_config:
            return self._with_unknown(offset, size, value)
        return value

    def _with_unknown(self, offset: int, size: int, value: int) -> int:
        mask = 0
        for at in range(size):
            mask |= self._unknown_config.get(offset + at, 0) << 8 * at
        if not mask:
            return value

        def learn(bits: int) -> None:
            for at in range(size):
                known = self._unknown_config.pop(offset + at, 0)
                self.config[offset + at] = self.config[offset + at] & ~known | bits >> 8 * at & known

        return Unknown(value & ~mask, mask, learn)

    def write_config(self, offset: int, size: int, value: int) -> None:
        """Take a write to the configuration space: what is writable of it.

        QEMU gives the device the whole of it as it was last read, with what was written since.
        """
        if offset + size > len(self.config):
            return
        self._buffer[offset : offset + size] = value.to_bytes(size, "little")
        for first, count in self.writable:
            self.take_config(first, count)
        self.config_written()

    def take_config(self, first: int, count: int) -> None:
        """Take a part of what the driver has written."""
        self.config[first : first + count] = self._buffer[first : first + count]
        for at in range(first, first + count):
            self._unknown_config.pop(at, None)

    def config_written(self) -> None:
        """The driver wrote its configuration space. For devices that then do something."""

    def assume_config(self, offset: int, size: int, hw: int, model: int) -> bool:
        """Can input from outside explain that the configuration space reads `hw` and not `model`? As `assume`."""
        return False

    def _take(self, offset: int, size: int, value: int) -> None:
        self.config[offset : offset + size] = value.to_bytes(size, "little")


def _nothing() -> None:
    """There is no transport."""
