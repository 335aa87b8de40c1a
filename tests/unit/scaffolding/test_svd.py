"""Registers from CMSIS-SVD."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmdev.replay.errors import DescriptionError
from vmdev.replay.registers import Field
from vmdev.replay.scaffolding import svd
from vmdev.replay.scaffolding.descriptions import Described
from vmdev.replay.scaffolding.svd import read_svd

pytest.importorskip("svd2py")

UART = """
<device schemaVersion="1.3">
  <name>Board</name>
  <size>32</size><access>read-write</access><resetValue>0</resetValue><resetMask>0xFFFFFFFF</resetMask>
  <peripherals>
    <peripheral>
      <name>UART0</name>
      <baseAddress>0x9000000</baseAddress>
      <registers>
        <register>
          <name>DR</name><description>Data</description><addressOffset>0</addressOffset>
          <readAction>modifyExternal</readAction>
        </register>
        <register>
          <name>RSR</name><description>Receive status</description><addressOffset>4</addressOffset>
          <access>read-only</access>
        </register>
        <register>
          <name>ECR</name><description>Error clear</description><addressOffset>4</addressOffset>
          <access>write-only</access><modifiedWriteValues>clear</modifiedWriteValues>
        </register>
        <register>
          <name>FR</name><description>Flags</description><addressOffset>0x18</addressOffset>
          <size>16</size><access>read-only</access><resetValue>0x90</resetValue>
          <fields>
            <field><name>TXFE</name><bitOffset>7</bitOffset><bitWidth>1</bitWidth>
              <enumeratedValues><name>empty</name>
                <enumeratedValue><name>no</name><value>0</value></enumeratedValue>
                <enumeratedValue><name>yes</name><value>#1</value></enumeratedValue>
              </enumeratedValues>
            </field>
            <field><name>RXFF</name><bitRange>[6:6]</bitRange></field>
            <field><name>RXFE</name><lsb>4</lsb><msb>4</msb><enumeratedValues derivedFrom="empty"/></field>
          </fields>
        </register>
        <register>
          <name>RIS</name><description>Raw interrupts</description><addressOffset>0x3C</addressOffset>
          <fields>
            <field><name>TX</name><bitOffset>5</bitOffset><modifiedWriteValues>oneToClear</modifiedWriteValues></field>
            <field><name>SEEN</name><bitOffset>0</bitOffset><bitWidth>2</bitWidth>
              <access>read-only</access><readAction>clear</readAction></field>
            <field><name>MASK</name><bitOffset>8</bitOffset><bitWidth>4</bitWidth>
              <enumeratedValues>
                <enumeratedValue><name>many</name><value>0b1xx0</value></enumeratedValue>
                <enumeratedValue><name>all</name><isDefault>true</isDefault></enumeratedValue>
              </enumeratedValues>
            </field>
          </fields>
        </register>
        <register>
          <dim>3</dim><dimIncrement>4</dimIncrement><dimIndex>A,B,C</dimIndex>
          <name>ID%s</name><addressOffset>0xFE0</addressOffset>
          <size>8</size><access>read-only</access><resetMask>0</resetMask>
        </register>
        <cluster>
          <dim>2</dim><dimIncrement>0x10</dimIncrement>
          <name>CH[%s]</name><addressOffset>0x100</addressOffset><resetValue>7</resetValue>
          <register><name>CTL</name><addressOffset>0</addressOffset>
            <fields><field><dim>2</dim><dimIncrement>4</dimIncrement><name>EN%s</name><bitOffset>0</bitOffset></field></fields>
          </register>
          <register derivedFrom="CTL"><name>CTL2</name><addressOffset>4</addressOffset></register>
        </cluster>
      </registers>
    </peripheral>
    <peripheral derivedFrom="UART0"><name>UART1</name><baseAddress>0x9001000</baseAddress></peripheral>
    <peripheral><name>NONE</name><baseAddress>0</baseAddress></peripheral>
  </peripherals>
</device>
"""


@pytest.fixture
def uart(tmp_path: Path) -> Path:
    path = tmp_path / "board.svd"
    path.write_text(UART)
    return path


def by_name(registers: list[Described]) -> dict[str, Described]:
    return {register.name: register for register in registers}


def test_registers_have_names_offsets_sizes_and_access(uart: Path) -> None:
    found = by_name(read_svd(uart, "UART0"))
    assert {name: (each.offset, each.size, each.access) for name, each in found.items()} == {
        "DR": (0, 4, "rw"),
        "RSR": (4, 4, "r"),
        "ECR": (4, 4, "w"),
        "FR": (0x18, 2, "r"),
        "RIS": (0x3C, 4, "rw"),
        "IDA": (0xFE0, 1, "r"),
        "IDB": (0xFE4, 1, "r"),
        "IDC": (0xFE8, 1, "r"),
        "CH0.CTL": (0x100, 4, "rw"),
        "CH0.CTL2": (0x104, 4, "rw"),
        "CH1.CTL": (0x110, 4, "rw"),
        "CH1.CTL2": (0x114, 4, "rw"),
    }
    assert found["FR"].title == "Flags"


def test_a_register_has_the_directions_of_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "flags.svd"
    path.write_text(UART.replace("<size>16</size><access>read-only</access>", "<size>16</size>").replace(
        "<name>RXFF</name>", "<name>RXFF</name><access>read-only</access>").replace(
        "<name>TXFE</name>", "<name>TXFE</name><access>read-only</access>").replace(
        "<name>RXFE</name>", "<name>RXFE</name><access>read-only</access>"))  # fmt: skip
    assert by_name(read_svd(path, "UART0"))["FR"].access == "r"


def test_fields_have_places_and_named_values(uart: Path) -> None:
    found = by_name(read_svd(uart, "UART0"))
    empty = {0: "no", 1: "yes"}
    assert found["FR"].fields == (Field("TXFE", 7, 7, empty), Field("RXFF", 6, 6), Field("RXFE", 4, 4, empty))
    assert [(field.name, field.msb, field.lsb) for field in found["CH1.CTL2"].fields] == [("EN0", 0, 0), ("EN1", 4, 4)]


def test_values_with_bits_that_do_not_matter_are_left_out(uart: Path) -> None:
    (mask,) = [field for field in by_name(read_svd(uart, "UART0"))["RIS"].fields if field.name == "MASK"]
    assert mask == Field("MASK", 11, 8)


def test_what_reads_and_writes_do_is_taken_over(uart: Path) -> None:
    found = by_name(read_svd(uart, "UART0"))
    assert dict(found["RIS"].behaviour.rules()) == {"ones_clear": 0x20, "reads_clear": 0x03, "kept": 0xF00}
    assert dict(found["ECR"].behaviour.rules()) == {"writes_clear": 0xFFFF_FFFF}
    assert dict(found["DR"].behaviour.rules()) == {"kept": 0xFFFF_FFFF}
    assert dict(found["FR"].behaviour.rules()) == {}


def test_reset_values_are_inherited_and_masked(uart: Path) -> None:
    found = by_name(read_svd(uart, "UART0"))
    assert found["FR"].behaviour.reset == 0x90
    assert found["CH1.CTL"].behaviour.reset == 7
    assert found["IDA"].behaviour.reset == 0


def test_a_derived_peripheral_has_the_registers_of_its_origin(uart: Path) -> None:
    assert by_name(read_svd(uart, "UART1")) == by_name(read_svd(uart, "UART0"))


def test_a_file_without_white_space_is_the_same(uart: Path) -> None:
    before = read_svd(uart, "UART0")
    uart.write_text("".join(line.strip() for line in UART.splitlines()))
    assert read_svd(uart, "UART0") == before


@pytest.mark.parametrize(
    ("text", "peripheral", "said"),
    [
        ("", "A", "is no XML"),
        ("<device>", "A", "is no XML"),
        ("<html/>", "A", "is no CMSIS-SVD"),
        (UART, "SPI", "has no peripheral 'SPI'; it has UART0, UART1, NONE"),
        (UART, "NONE", "has no registers"),
        (UART.replace("<dim>3</dim>", "<dim>3000000000</dim>"), "UART0", "is an array of 3,000,000,000"),
        (UART.replace("<dim>2</dim><dimIncrement>4<", "<dim>900</dim><dimIncrement>4<"), "UART0", "is an array of 900"),
        (UART.replace("<size>16</size>", "<size>9999999999</size>"), "UART0", "FR has 9,999,999,999 bits"),
        (UART.replace("<size>16</size>", "<size>0</size>"), "UART0", "FR has 0 bits"),
        (UART.replace("<addressOffset>0<", "<addressOffset>0xFFFFFFFFFFFFFFFFF<"), "UART0", "is at offset 0x1"),
        (UART.replace("<addressOffset>0x18<", "<addressOffset>twelve<"), "UART0", "cannot be read"),
        (UART.replace('derivedFrom="UART0"', 'derivedFrom="UART1"'), "UART1", "Circular"),
        (f'<!DOCTYPE d [<!ENTITY a "b">]>{UART}', "UART0", "declares entities"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_line(tmp_path: Path, text: str, peripheral: str, said: str) -> None:
    path = tmp_path / "bad.svd"
    path.write_text(text)
    with pytest.raises(DescriptionError, match=said) as caught:
        read_svd(path, peripheral)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_large_file_is_refused(uart: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svd, "MOST_BYTES", 100)
    with pytest.raises(DescriptionError, match="is larger than"):
        read_svd(uart, "UART0")


def test_copying_without_end_is_refused(uart: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svd, "MOST_COPIED", 10)
    with pytest.raises(DescriptionError, match="derives"):
        read_svd(uart, "UART0")


def test_clusters_in_clusters_end(tmp_path: Path) -> None:
    depth = 40
    inner = "<cluster><name>C</name><addressOffset>0</addressOffset>" * depth + "</cluster>" * depth
    path = tmp_path / "deep.svd"
    path.write_text(
        "<device><peripherals><peripheral><name>P</name><registers>"
        f"{inner}</registers></peripheral></peripherals></device>"
    )
    with pytest.raises(DescriptionError, match="nested too deeply"):
        read_svd(path, "P")
