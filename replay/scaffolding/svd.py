"""Registers of a peripheral from a CMSIS-SVD file, parsed by svd2py.

Source: CMSIS-SVD, https://open-cmsis-pack.github.io/svd-spec/main/svd_Format_pg.html. What svd2py leaves to its user is
here: register properties that are inherited, arrays (`dim`), and files from strangers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal
from xml.etree import ElementTree
from xml.parsers import expat

from ..errors import DescriptionError
from ..registers import Field
from .behaviour import Behaviour
from .descriptions import MOST_BYTES, MOST_REGISTERS, MOST_VALUES, Described, checked

_PROPERTIES: Final = ("size", "access", "resetValue", "resetMask")
_DEFAULTS: Final = {"size": 32, "access": "read-write", "resetValue": 0, "resetMask": (1 << 64) - 1}

_ACCESS: Final[dict[str, Literal["r", "w", "rw"]]] = {
    "read-only": "r", "write-only": "w", "read-write": "rw", "writeOnce": "w", "read-writeOnce": "rw",
}  # fmt: skip

_BOTH: Final[dict[tuple[bool, bool], Literal["r", "w", "rw"]]] = {
    (True, True): "rw", (True, False): "r", (False, True): "w",
}  # fmt: skip

_WRITES: Final = {
    "oneToClear": "ones_clear", "oneToSet": "ones_set", "oneToToggle": "ones_toggle", "zeroToClear": "zeros_clear",
    "zeroToSet": "zeros_set", "clear": "writes_clear", "set": "writes_set", "modify": "kept",
}  # fmt: skip
"""Rules by `modifiedWriteValues`; of zeroToToggle there is none."""

_READS: Final = {"clear": "reads_clear", "set": "reads_set"}
"""Rules by `readAction`; what modify and modifyExternal do is not told."""

MOST_COPIED: Final = 20_000_000
"""Elements that deriving from others copies, at most."""

_DEEPEST: Final = 16
"""Clusters in clusters."""


def read_svd(path: Path, peripheral: str) -> list[Described]:
    """The registers of a peripheral.

    Raises:
        DescriptionError: the file cannot be used, it has no such peripheral, or svd2py is not installed.
    """
    try:
        from svd2py import SvdParser
    except ImportError:
        raise DescriptionError("reading CMSIS-SVD needs svd2py: pip install 'vmdev[registers]'") from None
    tree = _pruned(path, peripheral)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            small = Path(scratch, "pruned.svd")
            ElementTree.ElementTree(tree).write(small)
            device = SvdParser().convert(small)["device"]
        found = next(each for each in device["peripherals"]["peripheral"] if each["name"] == peripheral)
        properties = _inherited(_inherited(_DEFAULTS, device), found)
        registers = list(_registers(found.get("registers") or {}, properties, 0, "", 0))
    except DescriptionError as error:
        raise DescriptionError(f"{path}: {error}") from None
    except Exception as error:  # whatever svd2py makes of what is no SVD
        text = (str(error) or type(error).__name__).splitlines()[0]
        raise DescriptionError(f"{path}: {peripheral} cannot be read: {text}") from error
    return checked(registers, f"{path}: {peripheral}")


# The file


def _pruned(path: Path, peripheral: str) -> ElementTree.Element:
    """The file without the peripherals that this one does not need, and in the form that svd2py reads."""
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise DescriptionError(f"{path}: is larger than {MOST_BYTES >> 20} MiB")
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise DescriptionError(f"{path}: declares entities, which is no CMSIS-SVD")

    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
        root = ElementTree.fromstring(data)
    except (expat.ExpatError, ElementTree.ParseError, ValueError) as error:
        raise DescriptionError(f"{path}: is no XML: {error}") from None
    peripherals = root.find("peripherals")
    if root.tag != "device" or peripherals is None:
        raise DescriptionError(f"{path}: is no CMSIS-SVD: it has no device with peripherals")
    by_name = {each.findtext("name", ""): each for each in peripherals.findall("peripheral")}
    if peripheral not in by_name:
        known = ", ".join(list(by_name)[:50]) + (", ..." if len(by_name) > 50 else "")
        raise DescriptionError(f"{path}: has no peripheral {peripheral!r}; it has {known or 'none'}")
    needed = [peripheral]
    for name in needed:
        for element in by_name[name].iter():
            origin = element.get("derivedFrom", "").partition(".")[0]
            if origin in by_name and origin not in needed:
                needed.append(origin)
    for name, each in by_name.items():
        if name not in needed:
            peripherals.remove(each)
    derived = sum(1 for each in peripherals.iter() if "derivedFrom" in each.attrib)
    size = sum(1 for _ in peripherals.iter())
    if derived * size > MOST_COPIED:
        raise DescriptionError(f"{path}: {peripheral} derives {derived:,} times from parts of {size:,} elements")
    _resolve_values(peripherals)
    for parent in list(root.iter()):
        if len(parent) or "derivedFrom" in parent.attrib:
            parent.text = parent.text or " "  # svd2py passes over elements without text
        for child in list(parent):
            if child.tag == "enumeratedValue" and not _is_number(child.findtext("value")):
                parent.remove(child)  # a default, or a value with bits that do not matter
    return root


def _resolve_values(peripherals: ElementTree.Element) -> None:
    """Give fields the named values that they take from others, which svd2py does not find once they were copied."""
    for peripheral in peripherals.findall("peripheral"):
        named: dict[str, ElementTree.Element] = {}
        for where in (peripheral, peripherals):
            for field in where.iter("field"):
                for values in field.findall("enumeratedValues"):
                    name = values.findtext("name", "")
                    if "derivedFrom" not in values.attrib:
                        named.setdefault(name, values)
                        named.setdefault(f"{field.findtext('name', '')}.{name}", values)
        for values in peripheral.iter("enumeratedValues"):
            origin = values.attrib.pop("derivedFrom", None)
            if origin is not None:
                source = named.get(".".join(origin.split(".")[-2:]), named.get(origin.rpartition(".")[2]))
                values.extend(source.findall("enumeratedValue") if source is not None else ())


def _is_number(text: str | None) -> bool:
    try:
        int((text or "").strip().replace("#", "0b", 1), 0)
    except ValueError:
        return False
    return True


# Registers


def _inherited(properties: Mapping[str, Any], element: Mapping[str, Any]) -> dict[str, Any]:
    return {name: element.get(name, properties[name]) for name in _PROPERTIES}


def _registers(
    container: Mapping[str, Any], properties: Mapping[str, Any], base: int, prefix: str, depth: int
) -> Iterator[Described]:
    if depth > _DEEPEST:
        raise DescriptionError("clusters are nested too deeply")
    count = 0
    for cluster in container.get("cluster", ()):
        inherited = _inherited(properties, cluster)
        for name, offset in _instances(cluster):
            for register in _registers(cluster, inherited, base + offset, f"{prefix}{name}.", depth + 1):
                count += 1
                if count > MOST_REGISTERS:
                    raise DescriptionError(f"it has more than {MOST_REGISTERS:,} registers")
                yield register
    for register in container.get("register", ()):
        yield from _register(register, _inherited(properties, register), base, prefix)


def _instances(element: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Names and offsets of a register or a cluster, which may be an array."""
    name, offset, count = str(element["name"]), int(element["addressOffset"]), element.get("dim")
    if count is None:
        yield name, offset
        return
    if not 0 < count <= MOST_REGISTERS:
        raise DescriptionError(f"{name} is an array of {count:,}")
    indices = _indices(element.get("dimIndex"), count)
    for number, index in enumerate(indices):
        yield name.replace("[%s]", index).replace("%s", index), offset + number * int(element["dimIncrement"])


def _indices(text: str | None, count: int) -> list[str]:
    if text and "," in text:
        found = [index.strip() for index in text.split(",")]
    elif text and "-" in text:
        low, _, high = text.partition("-")
        if low.isdigit() and high.isdigit():
            found = [str(number) for number in range(int(low), min(int(high), int(low) + count - 1) + 1)]
        else:
            found = [chr(code) for code in range(ord(low[:1] or "A"), ord(high[:1] or "A") + 1)]
    else:
        found = []
    return found if len(found) == count else [str(number) for number in range(count)]


def _register(
    register: Mapping[str, Any], properties: Mapping[str, Any], base: int, prefix: str
) -> Iterator[Described]:
    bits = int(properties["size"])
    if not 0 < bits <= 64:
        raise DescriptionError(f"{register['name']} has {bits:,} bits")
    size = next(size for size in (1, 2, 4, 8) if bits <= 8 * size)
    full = (1 << 8 * size) - 1
    access = _ACCESS.get(str(properties["access"]), "rw")
    rules: list[tuple[str, int]] = []
    fields: list[Field] = []
    directions = ""
    for each, field in _fields(register, full):
        fields.append(field)
        own = _ACCESS.get(str(each.get("access", properties["access"])), "rw")
        directions += own
        rules += [(rule, field.mask) for rule in _rules(register, each, own)]
    if fields:
        access = _BOTH.get(("r" in directions, "w" in directions), access)
    else:
        rules = [(rule, full) for rule in _rules(register, {}, access)]
    masks: dict[str, int] = {}
    for rule, mask in rules:
        masks[rule] = masks.get(rule, 0) | mask
    known = int(properties["resetMask"]) & full
    behaviour = Behaviour(int(properties["resetValue"]) & known, **masks)
    title = str(register.get("description") or register.get("displayName") or register["name"])
    for name, offset in _instances(register):
        yield Described(f"{prefix}{name}", title, base + offset, size, access, tuple(fields), behaviour)


def _fields(register: Mapping[str, Any], full: int) -> Iterator[tuple[Mapping[str, Any], Field]]:
    """The fields of a register, each with its element; of two views of the same bits the first."""
    taken = 0
    for element in (register.get("fields") or {}).get("field", ()):
        for each, lsb, msb in _placed(element):
            if 0 <= lsb <= msb < full.bit_length():
                field = Field(str(each["name"]), msb, lsb, _values(each, msb - lsb + 1))
                if not taken & field.mask:
                    taken |= field.mask
                    yield each, field


def _rules(register: Mapping[str, Any], field: Mapping[str, Any], access: str) -> list[str]:
    """The rules of a field's bits."""
    writes = str(field.get("modifiedWriteValues") or register.get("modifiedWriteValues") or "modify")
    reads = str(field.get("readAction") or register.get("readAction") or "")
    found = [_WRITES[writes]] if "w" in access and writes in _WRITES else []
    return [*found, *([_READS[reads]] if "r" in access and reads in _READS else [])]


def _placed(field: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], int, int]]:
    """A field, or all of an array of fields: first and last bit."""
    if "bitRange" in field:
        high, _, low = str(field["bitRange"]).strip("[] ").partition(":")
        lsb, msb = int(low), int(high)
    elif "lsb" in field:
        lsb, msb = int(field["lsb"]), int(field["msb"])
    else:
        lsb = int(field["bitOffset"])
        msb = lsb + int(field.get("bitWidth", 1)) - 1
    count = field.get("dim")
    if count is None:
        yield field, lsb, msb
        return
    if not 0 < count <= 64:
        raise DescriptionError(f"{field['name']} is an array of {count:,}")
    for number, index in enumerate(_indices(field.get("dimIndex"), count)):
        shift = number * int(field["dimIncrement"])
        name = str(field["name"]).replace("[%s]", index).replace("%s", index)
        yield {**field, "name": name}, lsb + shift, msb + shift


def _values(field: Mapping[str, Any], width: int) -> dict[int, str] | None:
    """What its values mean."""
    found = field.get("enumeratedValues")
    names: dict[int, str] = {}
    for group in found if isinstance(found, list) else [found] if found else []:
        for each in group.get("enumeratedValue", ()):
            value = each.get("value")
            if isinstance(value, int) and 0 <= value < 1 << width and len(names) < MOST_VALUES:
                names.setdefault(value, str(each.get("name") or each.get("description") or value))
    return names or None
