"""What is known of PCI cards beyond their identities and BARs: revisions, capabilities, registers of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from .pci import Function
    from .pci_functions import MsixPlace

Build = Callable[["Function", "MsixPlace | None"], None]


class Card(NamedTuple):
    """A kind of function."""

    build: Build
    """Completes a function's configuration space; takes where its MSI-X table is, if it has one."""
    is_express: bool = False
    """Whether it has 4096 bytes of configuration space."""


CARDS: Final[dict[tuple[int, int], Card]] = {}
"""By vendor and device identification."""
