"""What ``vmdev record`` is to record, where that is not everything: some addresses, some devices, some time."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import click

from vmdev.replay.errors import RecordError
from vmdev.replay.guest import Region
from vmdev.replay.selection import AddressRange

_TARGETS_WITH_PORTS: Final = ("i386", "x86_64", "amd64")
_ENDS: Final = {"pio": 1 << 16, "mmio": 1 << 64}

_RANGE: Final = re.compile(r"(?:(pio|mmio):)?(0x[0-9a-f]+|[0-9]+)(?:([-+])(0x[0-9a-f]+|[0-9]+))?", re.IGNORECASE)

_BACKGROUND: Final = ("pio", "io")
"""The region that QEMU shows where no device has the port."""

_NO_NAME: Final = "(null)"

_PLACES_MAX: Final = 256
"""What the recorder has room for: FILTER_PLACES_MAX."""

_NEAR: Final = 5
"""Names that are shown to who asked for one that does not exist."""


@dataclass(frozen=True, slots=True)
class Filters:
    """All of it. What is in one of the addresses or of one of the devices is recorded, if its time has come."""

    addresses: Sequence[AddressRange] = ()
    devices: Sequence[str] = ()
    from_ns: int | None = None

    def for_target(self, target: str, mmio: str, duration_ns: int | None) -> Filters:
        """The filters with every space known.

        Raises:
            RecordError: the guest's architecture, ``--mmio`` or ``--duration`` exclude one of them.
        """
        has_ports = target in _TARGETS_WITH_PORTS
        addresses = []
        for given in self.addresses:
            address = AddressRange(given.space or ("pio" if has_ports else "mmio"), given.first, given.last)
            if address.space == "pio" and not has_ports:
                raise RecordError(f"--address {address}: {target} has no ports; write mmio: before the range")
            if address.space == "mmio" and mmio == "off":
                raise RecordError(f"--address {address}: needs --mmio fast or full, not off")
            if address.last >= _ENDS[address.space]:
                what = "ports end at 0xffff" if address.space == "pio" else "addresses have 64 bits"
                hint = "; write mmio: before the range if it is memory" if not given.space else ""
                raise RecordError(f"--address {address}: {what}{hint}")
            addresses.append(address)
        if self.from_ns is not None and duration_ns is not None and self.from_ns >= duration_ns:
            raise RecordError(
                f"--from {self.from_ns / 1e9:g}s is not before the recording's end, --duration {duration_ns / 1e9:g}s"
            )
        return Filters(addresses, tuple(dict.fromkeys(self.devices)), self.from_ns)

    def check_names(self, regions: Sequence[Region], known: Collection[str]) -> None:
        """Raise `RecordError` if the machine has no region of one of the names.

        Args:
            regions: its flat view.
            known: names of other regions that it has, mapped or not.
        """
        mapped = {region.name for region in regions if _is_device(region)}
        names = mapped | set(known)
        for name in self.devices:
            if name not in names:
                near = difflib.get_close_matches(name, names, _NEAR, 0.5)
                hint = f"near it: {', '.join(near)}" if near else f"it has {', '.join(sorted(mapped))}"
                raise RecordError(f"--device {name}: this machine has no region of that name; {hint}")

    def places(self, regions: Sequence[Region]) -> str:
        """Where the devices are, as the recorder takes it.

        Raises:
            RecordError: at more places than the recorder has room for.
        """
        places: list[AddressRange] = []
        for region in sorted(regions, key=lambda region: (region.space, region.first)):
            if region.name not in self.devices or not _is_device(region):
                continue
            if places and (places[-1].space, places[-1].last + 1) == (region.space, region.first):
                places[-1] = AddressRange(region.space, places[-1].first, region.last)
            else:
                places.append(AddressRange(region.space, region.first, region.last))
        if len(places) > _PLACES_MAX:
            raise RecordError(
                f"--device {', '.join(self.devices)}: they are at {len(places)} places, and the recorder has room for "
                f"{_PLACES_MAX}; use --address"
            )
        return ",".join(map(str, places))

    def plugin_options(self) -> list[str]:
        """The recorder's options."""
        options = [f"address={address}" for address in self.addresses]
        options += [f"device={name}".replace(",", ",,") for name in self.devices]
        if self.from_ns is not None:
            options.append(f"from={self.from_ns}")
        return options

    @property
    def facts(self) -> dict[str, dict[str, object]]:
        """What the trace's table `meta` is to say."""
        asked: dict[str, object] = {}
        if self.addresses:
            asked["address"] = [str(address) for address in self.addresses]
        if self.devices:
            asked["device"] = list(self.devices)
        if self.from_ns is not None:
            asked["from_ns"] = self.from_ns
        return {"filter": asked} if asked else {}


def _is_device(region: Region) -> bool:
    return region.kind != "ram" and (region.space, region.name) != _BACKGROUND and region.name != _NO_NAME


class AddressType(click.ParamType[AddressRange]):
    """RANGE: one address, FIRST-LAST or FIRST+LENGTH, behind pio: or mmio: if need be."""

    name = "range"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> AddressRange:
        """Read an option's value."""
        if isinstance(value, AddressRange):
            return value
        found = _RANGE.fullmatch(str(value))
        if found is None:
            self.fail(
                f"must be a range like 0x70-0x71, 0x3f8+8, 0x80 or mmio:0xfed00000+0x400, not {value!r}", param, ctx
            )
        space, first, sign, other = (found[1] or "").lower(), _number(found[2]), found[3], found[4]
        last = first if sign is None else _number(other) if sign == "-" else first + _number(other) - 1
        if last < first:
            self.fail(f"{value}: ends before it begins" if sign == "-" else f"{value}: is empty", param, ctx)
        return AddressRange(space, first, last)


def _number(text: str) -> int:
    return int(text, 16 if text[:2] in ("0x", "0X") else 10)
