"""The AT's keyboard controller, DMA controllers and coprocessor port, and QEMU's kvmvapic port beside them.

Source: IBM PC AT Technical Reference, system board I/O map and interrupts.
"""

from __future__ import annotations

from typing import Final

from ..devices.i8042 import I8042
from ..devices.i8237 import PAGE_CHANNELS, PAGES, SECOND, SECOND_PAGES, I8237Pair
from ..devices.kvmvapic import KvmVapic
from ..devices.port_f0 import PortF0
from .wiring import Wiring

KBD_DATA, KBD_COMMAND = 0x60, 0x64
IRQ_KBD, IRQ_AUX, IRQ_COPROCESSOR = 1, 12, 13
DMA_1, DMA_2, DMA_PAGES_1, DMA_PAGES_2 = 0x00, 0xC0, 0x80, 0x88
PORT_F0: Final = 0xF0
KVMVAPIC: Final = 0x7E

REGIONS: Final = {
    "i8042-data": (KBD_DATA,),
    "i8042-cmd": (KBD_COMMAND,),
    "dma-chan": (DMA_1, DMA_2),
    "dma-page": tuple(base + n for base in (DMA_PAGES_1, DMA_PAGES_2) for n in PAGE_CHANNELS),
    "ioportF0": (PORT_F0,),
}
"""QEMU's regions of an AT compatible, by name, with their first ports."""


def add_keyboard(wiring: Wiring) -> None:
    """The 8042 with keyboard and mouse."""
    if KBD_DATA in wiring.places("i8042-data") and KBD_COMMAND in wiring.places("i8042-cmd"):
        keyboard = I8042(wiring.irq(IRQ_KBD), wiring.irq(IRQ_AUX), outside=wiring.guest.has_typed_input)
        wiring.board.add("i8042", keyboard, pio=[(KBD_DATA, 1, 0), (KBD_COMMAND, 1, 1)])


def add_dma(wiring: Wiring) -> None:
    """The 8237A pair with its page registers."""
    if not {DMA_1, DMA_2} <= set(wiring.places("dma-chan")):
        return
    pages = [(DMA_PAGES_1 + n, 1, PAGES + n) for n in PAGE_CHANNELS]
    pages += [(DMA_PAGES_2 + n, 1, SECOND_PAGES + n) for n in PAGE_CHANNELS]
    wiring.board.add("dma", I8237Pair(), pio=[(DMA_1, 16), (DMA_2, 32, SECOND), *pages])


def add_coprocessor(wiring: Wiring) -> None:
    """The coprocessor port, and kvmvapic's."""
    if PORT_F0 in wiring.places("ioportF0"):
        wiring.board.add("portf0", PortF0(wiring.irq(IRQ_COPROCESSOR)), pio=[(PORT_F0, 1)])
    if KVMVAPIC in wiring.places("kvmvapic"):
        wiring.board.add("kvmvapic", KvmVapic(), pio=[(KVMVAPIC, 2)])
