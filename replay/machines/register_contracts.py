"""Contracts for all registers of a board: what its machine knows of the recording, and no model can."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ..contracts import Contract
from ..device import Device
from ..registers import Register


def contracts_of(
    devices: Mapping[str, Device], of_register: Callable[[Register], Iterable[Contract]]
) -> dict[str, list[Contract]]:
    """By device: what `of_register` has for each of its registers that can be read. Each name is asked for once."""
    found: dict[str, list[Contract]] = {}
    for name, device in devices.items():
        readable: dict[str, Register] = {}
        for register in device.registers:
            if "r" in register.access:
                readable.setdefault(register.name, register)
        contracts = [contract for register in readable.values() for contract in of_register(register)]
        if contracts:
            found[name] = contracts
    return found
