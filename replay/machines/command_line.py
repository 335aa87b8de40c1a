"""QEMU's options in their order, for what depends on it, and the images that they name.

Source: QEMU's manual, "Invocation".
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from ..guest import Guest
from .command import arguments, properties

FLAGS: Final = frozenset(
    "S s snapshot nodefaults nographic no-reboot no-shutdown no-user-config no-acpi no-hpet enable-kvm daemonize "
    "preconfig only-migratable usb full-screen win2k-hack no-fd-bootchk".split()
)
"""Options without a value."""


class CommandLine:
    """The options of the guest's QEMU, and what is known of the images that it was given."""

    def __init__(self, guest: Guest) -> None:
        self.options = list(_options(arguments(guest)))
        """(name, value); the value is empty if there was none."""
        images = [image for image in _json(guest.meta.get("images")) if isinstance(image, dict)]
        names = [image.get("name") for image in images]
        self._images = {image.get("name"): image for image in images if names.count(image.get("name")) == 1}

    def has(self, name: str) -> bool:
        """Whether an option is given."""
        return any(option == name for option, _ in self.options)

    def devices(self, drivers: Collection[str]) -> list[dict[str, str]]:
        """The properties of each -device with one of these drivers, the driver among them."""
        found = [properties(value, "driver") for option, value in self.options if option == "device"]
        return [device for device in found if device.get("driver") in drivers]

    def image(self, path: str) -> tuple[int | None, str]:
        """Size in bytes and SHA-256 of an image; None and "" if the trace does not know the one, or the other."""
        image = self._images.get(path.rpartition("/")[2], {})
        size, digest = image.get("size"), image.get("sha256")
        return size if isinstance(size, int) else None, digest if isinstance(digest, str) else ""

    def named(self, name: str, above: Collection[str] = ()) -> dict[str, str]:
        """The options of the -drive or -blockdev of that name, and of the one that it is `above`."""
        for option, value in self.options:
            if option in ("drive", "blockdev"):
                options = properties(value, "file")
                if name and name in (options.get("id"), options.get("node-name")):
                    below = options.get("file", "") if option == "blockdev" and name not in above else ""
                    return (self.named(below, (*above, name)) if below else {}) | options
        return {}


def _json(text: object) -> list[object]:
    try:
        value = json.loads(str(text))
    except (ValueError, RecursionError):
        return []
    return value if isinstance(value, list) else []


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Options with their values. A word that belongs to none is an image to boot from."""
    name = ""
    for word in words:
        if word.startswith("-") and len(word) > 1:
            if name:
                yield name, ""
            name = word.lstrip("-")
            if name in FLAGS:
                yield name, ""
                name = ""
        elif name:
            yield name, word
            name = ""
        else:
            yield "hda", word
    if name:
        yield name, ""
