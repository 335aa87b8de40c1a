"""Registers from a SystemRDL file, compiled by systemrdl-compiler.

Source: SystemRDL 2.0, Accellera Systems Initiative, January 2018; chapter 9 on fields and their software access.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

from ..errors import DescriptionError
from ..registers import Field
from .behaviour import Behaviour
from .descriptions import MOST_REGISTERS, MOST_VALUES, Described, checked

MOST_BYTES: Final = 4 << 20
"""Of a file; what it includes is not counted."""

_WRITES: Final = {
    "woclr": "ones_clear", "woset": "ones_set", "wot": "ones_toggle", "wzc": "zeros_clear", "wzs": "zeros_set",
    "wclr": "writes_clear", "wset": "writes_set",
}  # fmt: skip
"""Rules by `onwrite`; of wzt and wuser there is none."""

_READS: Final = {"rclr": "reads_clear", "rset": "reads_set"}
"""Rules by `onread`."""

_ACCESS: Final[dict[tuple[bool, bool], Literal["r", "w", "rw"]]] = {
    (True, True): "rw",
    (True, False): "r",
    (False, True): "w",
}


def read_rdl(path: Path, name: str | None = None) -> list[Described]:
    """The registers of an address map or register file: of the top one, or of one in it.

    Raises:
        DescriptionError: the file cannot be used, it has no such part, or systemrdl-compiler is not installed.
    """
    try:
        from systemrdl.compiler import RDLCompiler
        from systemrdl.messages import MessagePrinter, RDLCompileError
    except ImportError:
        raise DescriptionError("reading SystemRDL needs systemrdl-compiler: pip install 'vmdev[registers]'") from None
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise DescriptionError(f"{path}: is larger than {MOST_BYTES >> 20} MiB")
    if b"<%" in data:
        raise DescriptionError(f"{path}: has Perl in it, which is not run")
    said: list[str] = []

    class Printer(MessagePrinter):
        """Keeps what the compiler says."""

        def print_message(self, severity: Any, text: str, src_ref: Any) -> None:
            said.append(f"{severity.name.lower()}: {text}")

    try:
        compiler = RDLCompiler(message_printer=Printer())
        compiler.compile_file(str(path))
        top = compiler.elaborate().top
        node = top if name is None or name == top.inst_name else top.find_by_path(name)
        if node is None or not hasattr(node, "registers"):
            parts = [each.inst_name for each in top.children() if hasattr(each, "registers")]
            raise DescriptionError(f"it has no {name!r}; it has {', '.join([top.inst_name, *parts])}")
        registers = list(_registers(node))
    except DescriptionError as error:
        raise DescriptionError(f"{path}: {error}") from None
    except RDLCompileError:
        what = next((line for line in said if line.startswith(("error", "fatal"))), "it does not compile")
        raise DescriptionError(f"{path}: {what}") from None
    except Exception as error:  # whatever the compiler makes of what is no SystemRDL
        text = (str(error) or type(error).__name__).splitlines()[0]
        raise DescriptionError(f"{path}: cannot be compiled: {text}") from error
    return checked(registers, str(path))


def _registers(node: Any) -> Iterator[Described]:
    for count, (register, offset, name) in enumerate(_unrolled(node)):
        if count >= MOST_REGISTERS:
            raise DescriptionError(f"it has more than {MOST_REGISTERS:,} registers")
        yield _register(register, offset, name)


def _unrolled(node: Any, base: int = 0, prefix: str = "") -> Iterator[tuple[Any, int, str]]:
    """The registers below a node, with offsets and names: arrays element by element, as they may be of any size."""
    from systemrdl.node import AddressableNode, RegNode

    for child in node.children():
        if not isinstance(child, AddressableNode):
            continue  # a signal
        for number in range(child.n_elements if child.is_array else 1):
            offset = base + child.raw_address_offset + number * (child.array_stride or 0)
            name = f"{prefix}{child.inst_name}{f'[{number}]' if child.is_array else ''}"
            if isinstance(child, RegNode):
                yield child, offset, name
            else:
                yield from _unrolled(child, offset, f"{name}.")


def _register(register: Any, offset: int, name: str) -> Described:
    size = register.get_property("regwidth") // 8
    if size not in (1, 2, 4, 8):
        raise DescriptionError(f"{name} has {8 * size} bits")
    behaviour = Behaviour()
    fields: list[Field] = []
    reads = writes = False
    reset = 0
    for node in register.fields():
        values = node.get_property("encode", default=None)
        names = {int(each.value): str(each.rdl_name or each.name) for each in list(values or ())[:MOST_VALUES]}
        field = Field(node.inst_name, node.high, node.low, names or None)
        fields.append(field)
        reads |= node.is_sw_readable
        writes |= node.is_sw_writable
        rules = []
        if node.is_sw_writable:
            action = node.get_property("onwrite")
            rules.append("kept" if action is None else _WRITES.get(action.name, ""))
        if node.is_sw_readable and node.get_property("onread") is not None:
            rules.append(_READS.get(node.get_property("onread").name, ""))
        for rule in filter(None, rules):
            behaviour = replace(behaviour, **{rule: getattr(behaviour, rule) | field.mask})
        value = node.get_property("reset")
        if isinstance(value, int):
            reset |= value << field.lsb & field.mask
    access = _ACCESS.get((reads, writes), "rw")
    title = register.get_property("desc", default=None) or register.get_property("name")
    return Described(name, str(title), offset, size, access, tuple(fields), replace(behaviour, reset=reset))
