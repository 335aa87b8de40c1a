"""Contracts and known divergences in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmdev.replay.contracts import Contract
from vmdev.replay.errors import ContractError
from vmdev.replay.judging import rulefiles
from vmdev.replay.judging.ledger import Known, Ledger
from vmdev.replay.registers import Register, RegisterMap


def written(directory: Path, text: str) -> Path:
    path = directory / "rules.toml"
    path.write_text(text)
    return path


def test_the_example_of_the_documentation_can_be_read(tmp_path: Path) -> None:
    text = "\n".join(line.strip() for line in (rulefiles.__doc__ or "").splitlines()[2:])
    contracts, known = text.split("# boot.known.toml")
    assert rulefiles.read_contracts(written(tmp_path, contracts)) == {
        "pmtimer": [Contract("PM_TMR", "time", "recorded with the host's clock", field="TMR_VAL", ticks=3)]
    }
    assert rulefiles.read_known(written(tmp_path, known)) == [
        Known("rtc", "Register C", "the periodic interrupt comes a tick late", 0x40, "https://example.org/issues/1")
    ]


def test_a_file_beside_the_trace_has_its_stem(tmp_path: Path) -> None:
    trace = tmp_path / "boot.db"
    assert rulefiles.beside(trace, rulefiles.KNOWN_SUFFIX) is None
    file = tmp_path / "boot.known.toml"
    file.touch()
    assert rulefiles.beside(trace, rulefiles.KNOWN_SUFFIX) == file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("contract = 1", r"contract must be written \[\[contract\]\]"),
        ("[[contracts]]", r"has contracts; all it can have is \[\[contract\]\]"),
        ("[[contract]]\ndevice = 'a'", "contract 1: lacks register, rule, reason"),
        ("[[contract]]\ndevice='a'\nregister='b'\nrule='mask'\nreason='c'\nbit=1", "contract 1: has bit; it can have"),
        ("[[contract]]\ndevice='a'\nregister='b'\nrule='mask'\nreason=1", "reason must be text, not 1"),
        ("[[contract]]\ndevice='a'\nregister='b'\nrule='mask'\nreason='c'\nbits='1'", "bits must be a whole number"),
        ("[[contract]]\ndevice='a'\nregister='b'\nrule='values'\nreason='c'\nvalues=[1.5]", "a list of whole numbers"),
        ("[[contract]]\ndevice='a'\nregister='b'\nrule='often'\nreason='c'", "contract 1: b: rule must be one of"),
        ("a = ", "is no TOML"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ContractError, match=message) as error:
        rulefiles.read_contracts(path)
    assert str(path) in str(error.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="cannot be read"):
        rulefiles.read_known(tmp_path / "none.toml")


MAP = RegisterMap(Register("STAT", "Status", 0, "r"), Register("DATA", "Data", 1, "r"))


def test_the_ledger_covers_a_difference_only_as_a_whole() -> None:
    ledger = Ledger([Known("dev", "STAT", "r", 0x0F), Known("dev", "STAT", "r", 0x80)], {"dev": MAP})
    assert not ledger.covers("dev", 1, [("STAT", 0x10)])
    assert not ledger.covers("dev", 1, [("STAT", 0x1F)])
    assert not ledger.covers("dev", 1, [("STAT", 0x01), ("DATA", 0x01)])
    assert [entry.reads for entry in ledger.entries] == [0, 0]
    assert ledger.covers("dev", 7, [("STAT", 0x81)])
    assert ledger.covers("dev", 9, [("STAT", 0x01)])
    assert [(entry.reads, entry.first_seq, entry.last_seq) for entry in ledger.entries] == [(2, 7, 9), (1, 7, 7)]


def test_an_entry_without_bits_covers_any() -> None:
    assert Ledger([Known("dev", "offset 0x5", "r")], {"dev": MAP}).covers("dev", 1, [("offset 0x5", 0xFF)])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (Known("def", "STAT", "r"), "the machine has no device 'def'; its devices: dev"),
        (Known("dev", "SATT", "r"), "dev has no register 'SATT'; it has STAT, DATA"),
        (Known("dev", "STAT", "r", 0x100), "dev.STAT has no bits 0x100"),
    ],
)
def test_an_entry_must_fit_the_machine(entry: Known, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        Ledger([entry], {"dev": MAP})
