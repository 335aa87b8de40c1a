"""A qtest server in this process: vmdev's own board behind QEMU's protocol."""

from __future__ import annotations

from vmdev.replay.bus import MmioAddress, PioAddress
from vmdev.replay.machines import Board
from vmdev.replay.routes import MMIO, WRITE

SIZES = {"b": 1, "w": 2, "l": 4, "q": 8}


class Server:
    """Answers commands as QEMU does. What only a recording can know reads as 0."""

    name = "a server"

    def __init__(self, board: Board, *, is_first_cpu: bool = True) -> None:
        self._board = board
        self.is_first_cpu = is_first_cpu
        self.heard: list[str] = []
        self.resets = 0
        self.can_be_fed = True
        self.wrong: dict[int, int] = {}
        """Values to answer instead, by number of the read."""
        self.reads = 0
        self._replies: list[bytes] = []

    def send(self, commands: bytes) -> None:
        assert commands.endswith(b"\n")
        for line in commands.decode().splitlines():
            assert line, "an empty line ends QEMU"
            self.heard.append(line)
            self._replies.append(self._reply(line.split(" ")).encode())

    def replies(self, count: int) -> list[bytes]:
        replies, self._replies = self._replies[:count], self._replies[count:]
        assert len(replies) == count
        return replies

    def reset(self) -> None:
        assert not self._replies, "what comes before has to be answered before"
        self.resets += 1
        self._board.reset()

    def feed(self, character: int) -> bool:
        assert not self._replies
        self.heard.append(f"feed {character:#x}")
        return self.can_be_fed

    def _reply(self, words: list[str]) -> str:
        verb = words[0]
        if verb == "clock_set":
            self._board.clock.advance(int(words[1]))
            return f"OK {words[1]}"
        size = SIZES[verb[-1]]
        address = int(words[1], 16)
        kind = MMIO if verb[:-1] in ("read", "write") else 0
        bus = self._board.io.mmio_bus if kind & MMIO else self._board.io.pio_bus
        kind |= WRITE if verb[:-1] in ("out", "write") else 0
        data = bytearray(b"\xff" * size)
        if kind & WRITE:
            data[:] = int(words[2], 0).to_bytes(size, "little")
        if bus.lookup(address, size) is not None:
            if kind & MMIO:
                (self._board.io.mmio_write if kind & WRITE else self._board.io.mmio_read)(MmioAddress(address), data)
            else:
                (self._board.io.pio_write if kind & WRITE else self._board.io.pio_read)(PioAddress(address), data)
        if kind & WRITE:
            return "OK"
        value = self.wrong.get(self.reads, int.from_bytes(data, "little"))
        self.reads += 1
        return f"OK {value:#06x}"
