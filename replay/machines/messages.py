"""How a PCI function interrupts: what its guest has enabled of INTx, MSI and MSI-X.

Source: PCI Local Bus Specification 3.0, 6.7 "Capabilities List" and 6.8.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..devices.pci_config import CAPABILITIES_POINTER, PciConfig
from .pci import Function

CAP_MSI, CAP_MSIX = 0x05, 0x11
MSI_ENABLE, MSIX_ENABLE = 0x0001, 0x8000
MOST_CAPABILITIES: Final = 48


class FunctionMessages:
    """MSI and MSI-X of a function, for its device."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._config = function.config
        self._msi: int | None = None
        self._msix: int | None = None

    def msix_enabled(self) -> bool:
        """Whether MSI-X is on."""
        if self._msix is None:
            self._msix = find_capability(self._config, CAP_MSIX)
        return self._msix is not None and bool(self._config.peek(self._msix + 2, 2) & MSIX_ENABLE)

    def msi_enabled(self) -> bool:
        """Whether MSI is on."""
        if self._msi is None:
            self._msi = find_capability(self._config, CAP_MSI)
        return self._msi is not None and bool(self._config.peek(self._msi + 2, 2) & MSI_ENABLE)

    def notify(self, vector: int) -> None:
        """Send the message of an MSI-X vector."""
        if self._function.msix is not None:
            self._function.msix.notify(vector)


def find_capability(config: PciConfig, identity: int) -> int | None:
    """Where a capability is; None if the function has none, or if no guest has read yet that it has one."""
    return next(capabilities(config, identity), None)


def capabilities(config: PciConfig, identity: int) -> Iterator[int]:
    """Where the capabilities of one identity are, in the order of the list."""
    at = config.peek(CAPABILITIES_POINTER, 1)
    for _ in range(MOST_CAPABILITIES):
        if not at:
            break
        if config.peek(at, 1) == identity:
            yield at
        at = config.peek(at + 1, 1)
