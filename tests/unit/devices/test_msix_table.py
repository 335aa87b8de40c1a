"""MSI-X: PCI 3.0, section 6.8.2 and 6.8.3, and QEMU where it differs."""

from __future__ import annotations

from vmdev.replay.devices.msix_table import ENABLE, MASK_ALL, PENDING, MsixTable


class Function:
    def __init__(self, vectors: int = 3) -> None:
        self.sent: list[tuple[int, int]] = []
        self.table = MsixTable(vectors, lambda address, data: self.sent.append((address, data)))
        for vector in range(vectors):
            self.put(16 * vector, 0xFEE0_0000)
            self.put(16 * vector + 4, 1)
            self.put(16 * vector + 8, 0x40 + vector)

    def put(self, offset: int, value: int) -> None:
        self.table.write(offset, 4, value)

    def unmask(self, vector: int) -> None:
        self.put(16 * vector + 12, 0)

    @property
    def pending(self) -> int:
        return self.table.read(PENDING, 4)


def test_all_vectors_are_masked_after_a_reset() -> None:
    """6.8.2.9."""
    table = MsixTable(2)
    assert [table.read(offset, 4) for offset in (0, 4, 8, 12, 28)] == [0, 0, 0, 1, 1]


def test_an_unmasked_vector_sends_its_message() -> None:
    function = Function()
    function.unmask(1)
    function.table.control(ENABLE)
    function.table.notify(1)
    assert function.sent == [(0x1_FEE0_0000, 0x41)]
    assert function.pending == 0


def test_a_masked_vector_is_pending_until_it_is_unmasked() -> None:
    """6.8.2.4."""
    function = Function()
    function.table.control(ENABLE)
    function.table.notify(2)
    function.table.notify(0)
    assert (function.sent, function.pending) == ([], 0b101)
    function.unmask(2)
    assert (function.sent, function.pending) == ([(0x1_FEE0_0000, 0x42)], 0b001)


def test_the_function_mask_masks_all() -> None:
    function = Function()
    function.unmask(0)
    function.table.control(ENABLE | MASK_ALL)
    function.table.notify(0)
    assert function.pending == 1
    function.table.control(ENABLE)
    assert len(function.sent) == 1


def test_vectors_beyond_the_table_do_nothing() -> None:
    function = Function()
    function.table.notify(3)
    assert function.pending == 0


def test_pending_bits_come_in_quadwords() -> None:
    """6.8.2.10."""
    assert [MsixTable(vectors).pending_size for vectors in (1, 64, 65)] == [8, 8, 16]
    function = Function(65)
    function.table.notify(64)
    assert [function.table.read(PENDING + 4 * n, 4) for n in range(4)] == [0, 0, 1, 0]


def test_only_doublewords_count() -> None:
    """QEMU."""
    function = Function()
    function.table.write(8, 2, 0x99)
    function.table.write(9, 4, 0x99)
    assert function.table.read(8, 2) == function.table.read(9, 4) == 0
    assert function.table.read(8, 4) == 0x40
    assert function.table.read(0x1000, 4) == 0
    function.put(PENDING, 1)
    assert function.pending == 0


def test_a_reset_forgets_everything() -> None:
    function = Function()
    function.table.notify(1)
    function.table.reset()
    assert function.pending == 0
    assert function.table.read(8, 4) == 0
    assert function.table.state()["mask_1"] == 1
