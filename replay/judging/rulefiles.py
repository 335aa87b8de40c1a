"""Files beside a trace: contracts and known divergences, in TOML.

# boot.contracts.toml
[[contract]]
device = "pmtimer"
register = "PM_TMR"
field = "TMR_VAL"            # or bits = 0xff; neither: the whole register
rule = "time"                # exact, mask, values, range, monotone, time
ticks = 3                    # or ns = 1_000; values = [1, 2]; low = 0, high = 9
reason = "recorded with the host's clock"

# boot.known.toml
[[known]]
device = "rtc"
register = "Register C"
bits = 0x40                  # none: any
reason = "the periodic interrupt comes a tick late"
link = "https://example.org/issues/1"
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from ..contracts import Contract
from ..errors import ContractError
from .ledger import Known

CONTRACTS_SUFFIX: Final = ".contracts.toml"
KNOWN_SUFFIX: Final = ".known.toml"
"""What the names of the files beside a trace end with, in place of the trace's own suffix."""

_KINDS: Final[Mapping[str, type]] = {
    "device": str, "register": str, "field": str, "rule": str, "reason": str, "link": str,
    "bits": int, "low": int, "high": int, "ticks": int, "ns": int, "values": list,
}  # fmt: skip
_NEEDED: Final = {"contract": ("device", "register", "rule", "reason"), "known": ("device", "register", "reason")}
_TAKEN: Final = {
    "contract": (*_NEEDED["contract"], "field", "bits", "values", "low", "high", "ticks", "ns"),
    "known": (*_NEEDED["known"], "bits", "link"),
}


def beside(trace: Path, suffix: str) -> Path | None:
    """The file of that kind beside a trace; None if there is none."""
    path = trace.with_name(trace.stem + suffix)
    return path if path.is_file() else None


def read_contracts(path: Path) -> dict[str, list[Contract]]:
    """The contracts of a file, by device.

    Raises:
        ContractError: it is no such file.
    """
    found: dict[str, list[Contract]] = {}
    for number, entry in _entries(path, "contract"):
        device = entry.pop("device")
        try:
            contract = Contract(**entry | {"values": tuple(entry.get("values", ()))})
        except ContractError as error:
            raise ContractError(f"{path}: contract {number}: {error}") from None
        found.setdefault(device, []).append(contract)
    return found


def read_known(path: Path) -> list[Known]:
    """The known divergences of a file.

    Raises:
        ContractError: it is no such file.
    """
    return [Known(**entry) for _, entry in _entries(path, "known")]


def _entries(path: Path, table: str) -> list[tuple[int, dict[str, Any]]]:
    import tomllib  # most traces have no such file

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ContractError(f"{path}: is no TOML: {error}") from None
    entries = content.pop(table, [])
    if content:
        raise ContractError(f"{path}: has {_list(content)}; all it can have is [[{table}]]")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ContractError(f"{path}: {table} must be written [[{table}]]")
    for number, entry in enumerate(entries, 1):
        _check(path, table, number, entry)
    return list(enumerate(entries, 1))


def _check(path: Path, table: str, number: int, entry: Mapping[str, object]) -> None:
    where = f"{path}: {table} {number}"
    missing = [name for name in _NEEDED[table] if name not in entry]
    if missing:
        raise ContractError(f"{where}: lacks {_list(missing)}")
    unknown = [name for name in entry if name not in _TAKEN[table]]
    if unknown:
        raise ContractError(f"{where}: has {_list(unknown)}; it can have {_list(_TAKEN[table])}")
    for name, value in entry.items():
        kind = _KINDS[name]
        if type(value) is not kind or (isinstance(value, list) and any(type(each) is not int for each in value)):
            what = {str: "text", int: "a whole number", list: "a list of whole numbers"}[kind]
            raise ContractError(f"{where}: {name} must be {what}, not {value!r}")


def _list(names: Collection[str]) -> str:
    return ", ".join(names)
