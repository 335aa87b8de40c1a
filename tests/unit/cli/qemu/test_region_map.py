"""Reading QEMU's account of its machine."""

from __future__ import annotations

from vmdev.cli.qemu.region_map import hazards, parse_flat_view, parse_pci, parse_region_names
from vmdev.replay.guest import PciFunction, Region

FLAT_VIEW = """\
FlatView #0
 AS "cpu-smm-0", root: memory
 Root memory region: memory
  0000000000000000-000000000009ffff (prio 0, ram): smm.ram

FlatView #1
 AS "I/O", root: io
 Root memory region: io
  0000000000000070-0000000000000070 (prio 0, i/o): rtc-index
  0000000000000071-0000000000000071 (prio 0, i/o): rtc @0000000000000001
  0000000000000cf9-0000000000000cf9 (prio 1, i/o): piix-reset-control

FlatView #2
 AS "cpu-memory-0", root: system
 AS "memory", root: system
 Root memory region: system
  00000000ffc84000-00000000ffffffff (prio 0, romd): system.flash0
  00000000b0000000-00000000bfffffff (prio 0, i/o): pcie-mmcfg-mmio
  00000000fee00000-00000000feefffff (prio 4096, i/o): apic-msi
  00000000000c0000-00000000000dffff (prio -1, rom): a name with (brackets) and spaces

FlatView #3
 AS "piix3-ide", root: bus master container
 Root memory region: (none)
  No rendered FlatView
"""


def test_both_address_spaces_are_read_by_address() -> None:
    assert parse_flat_view(FLAT_VIEW, snapshot=3) == [
        Region("mmio", 0xC0000, 0xDFFFF, "a name with (brackets) and spaces", "rom", 0, 3, -1),
        Region("mmio", 0xB0000000, 0xBFFFFFFF, "pcie-mmcfg-mmio", "i/o", 0, 3, 0),
        Region("mmio", 0xFEE00000, 0xFEEFFFFF, "apic-msi", "i/o", 0, 3, 4096),
        Region("mmio", 0xFFC84000, 0xFFFFFFFF, "system.flash0", "romd", 0, 3, 0),
        Region("pio", 0x70, 0x70, "rtc-index", "i/o", 0, 3, 0),
        Region("pio", 0x71, 0x71, "rtc", "i/o", 1, 3, 0),
        Region("pio", 0xCF9, 0xCF9, "piix-reset-control", "i/o", 0, 3, 1),
    ]


def test_hazards_are_flash_and_configuration_space() -> None:
    assert hazards(parse_flat_view(FLAT_VIEW)) == "0xb0000000-0xbfffffff:0xffc84000-0xffffffff"
    assert hazards([]) == ""


def test_regions_are_known_before_they_are_mapped() -> None:
    tree = """\
/machine (pc-machine)
  /unattached (container)
    /\\x2from\\x40etc[0] (memory-region)
    /bochs dispi interface[0] (memory-region)
    /device[3] (e1000)
      /e1000-mmio[12] (memory-region)
      /iommu[0] (iommu-memory-region)
      /serial (isa-serial)
"""
    names = {"/rom@etc", "bochs dispi interface", "e1000-mmio", "iommu"}
    assert parse_region_names(tree) == parse_region_names(tree.replace("\n", "\r\n")) == names


def test_pci_functions_behind_bridges_are_found() -> None:
    def device(bus: int, slot: int, **more: object) -> dict[str, object]:
        return {
            "bus": bus, "slot": slot, "function": 0, "id": {"vendor": 0x8086, "device": 0x1234},
            "class_info": {"class": 0x0604}, "regions": [{"bar": 0}], **more,
        }  # fmt: skip

    bridge = device(0, 1, qdev_id="bridge", pci_bridge={"devices": [device(1, 2)]})
    found = list(parse_pci([{"bus": 0, "devices": [bridge]}]))
    assert found == [
        (PciFunction(0, 1, 0, 0x8086, 0x1234, 0x0604, "bridge"), [{"bar": 0}]),
        (PciFunction(1, 2, 0, 0x8086, 0x1234, 0x0604, ""), [{"bar": 0}]),
    ]
