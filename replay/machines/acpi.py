"""ACPI of the PCI machines and of microvm: power management ports, SMI command port, SMBus, hot-plug registers.

Source: QEMU's ``info mtree -f`` for where the fixed ones are; the moving ones are where the chipset has them.
"""

from __future__ import annotations

import re
from typing import Final

from ..devices import ich9_lpc, piix4_pm
from ..devices.acpi_cpu_hotplug import LEGACY_SIZE, AcpiCpuHotplug
from ..devices.acpi_ged import EVENT_SIZE, REGS, REGS_SIZE, AcpiGed
from ..devices.acpi_gpe import ICH9_SIZE, PIIX4_SIZE, AcpiGpe
from ..devices.acpi_pci_hotplug import SIZE as PCI_HOTPLUG_SIZE
from ..devices.acpi_pci_hotplug import AcpiPciHotplug
from ..devices.acpi_pm1 import CNT, SIZE_CONTROL, SIZE_EVENT, AcpiPm1
from ..devices.acpi_pm_timer import AcpiPmTimer
from ..devices.apm import Apm
from ..devices.ich9_lpc import Ich9Lpc
from ..devices.ich9_smi import SIZE as SMI_SIZE
from ..devices.ich9_smi import Ich9Smi
from ..devices.ich9_tco import SIZE as TCO_SIZE
from ..devices.ich9_tco import Ich9Tco
from ..devices.piix4_pm import Piix4Pm
from ..devices.smbus_host import SIZE as SMBUS_SIZE
from ..devices.smbus_host import SmbusHost
from ..guest import Guest
from ..irq import Line
from .flat_view import Ports
from .pci import Function
from .pci_facts import has_smm
from .peripherals import Peripherals, has_address, has_id, integer
from .wiring import Wiring

APM_PORTS: Final = 0xB2
SCI: Final = 9
PM_TIMER, GPE0, SMI, TCO = 0x08, 0x20, 0x30, 0x60
"""Offsets in the power management ports; the first is common, the others are the ICH9's."""

PIIX4_ENABLE, PIIX4_DISABLE, ICH9_ENABLE, ICH9_DISABLE = 0xF1, 0xF0, 0x02, 0x03
"""What firmware writes to the SMI command port to switch between ACPI and legacy mode."""

FIXED_CLASSES: Final = (0x03, 0x06)
"""Base classes of cards that QEMU does not let go: displays and bridges."""

ICH9_SMBUS_HOSTC, HOSTC_I2C_EN, HOSTC_SSRESET = 0x40, 0x04, 0x08


def add_acpi(wiring: Wiring) -> None:
    """The power management of the chipset, and what ACPI's byte code talks to."""
    for function in wiring.pci.functions.values():
        if isinstance(function.config, Piix4Pm):
            _add_piix4(wiring, function.config)
        elif isinstance(function.config, Ich9Lpc):
            _add_ich9(wiring, function.config)
    for function in wiring.pci.find(0x8086, 0x2930):
        _add_ich9_smbus(wiring, function)
    _add_hotplug(wiring)
    _add_ged(wiring)


def _add_apm(wiring: Wiring, pm1: AcpiPm1, enable: int, disable: int) -> None:
    def command(value: int) -> None:
        if value in (enable, disable):
            pm1.switch_sci(value == enable)

    wiring.board.add("apm", Apm(command), pio=[(APM_PORTS, 2)])


def _add_piix4(wiring: Wiring, config: Piix4Pm) -> None:
    board = wiring.board
    pm1 = board.add("acpi-pm1", AcpiPm1(board.clock, wiring.irq(SCI)))
    timer = board.add("pmtimer", AcpiPmTimer(board.clock))
    gpe = AcpiGpe(PIIX4_SIZE, pm1.update)
    board.add("acpi-gpe0", gpe, pio=[(port, PIIX4_SIZE) for port in wiring.places("acpi-gpe0")])
    pm1.has_event = gpe.has_event
    ports = Ports(wiring.pci.view, (0, SIZE_EVENT, pm1, 0), (CNT, SIZE_CONTROL, pm1, CNT), (PM_TIMER, 4, timer, 0))
    config.watch(piix4_pm.PMBA, 4, lambda: ports.move(config.pm_base))
    config.watch(piix4_pm.PMREGMISC, 1, lambda: ports.move(config.pm_base))
    smbus = board.add("smbus", SmbusHost(has_buffer=True))
    smbus_ports = Ports(wiring.pci.view, (0, SMBUS_SIZE, smbus, 0))
    config.watch(piix4_pm.SMBBA, 4, lambda: smbus_ports.move(config.smbus_base))
    config.watch(piix4_pm.SMBHSTCFG, 1, lambda: smbus_ports.move(config.smbus_base))
    smbus_ports.move(config.smbus_base)
    _add_apm(wiring, pm1, PIIX4_ENABLE, PIIX4_DISABLE)


def _add_ich9(wiring: Wiring, config: Ich9Lpc) -> None:
    board = wiring.board
    sci = Line()
    pm1 = board.add("acpi-pm1", AcpiPm1(board.clock, sci))
    timer = board.add("pmtimer", AcpiPmTimer(board.clock))
    gpe = board.add("acpi-gpe0", AcpiGpe(ICH9_SIZE, pm1.update))
    pm1.has_event = gpe.has_event
    tco = board.add("tco", Ich9Tco(board.clock))
    smi = board.add(
        "smi",
        Ich9Smi(
            board.clock,
            lambda: (config.peek(ich9_lpc.GEN_PMCON_1, 1) & 3, config.peek(ich9_lpc.GEN_PMCON_3, 1) >> 6),
            lambda: (config.is_smi_locked, tco.is_locked),
            has_smm=has_smm(wiring.guest),
        ),
    )
    ports = Ports(
        wiring.pci.view,
        (0, SIZE_EVENT, pm1, 0),
        (CNT, SIZE_CONTROL, pm1, CNT),
        (PM_TIMER, 4, timer, 0),
        (GPE0, ICH9_SIZE, gpe, 0),
        (SMI, SMI_SIZE, smi, 0),
        (TCO, TCO_SIZE, tco, 0),
    )
    config.watch(ich9_lpc.PMBASE, 5, lambda: ports.move(config.pm_base))
    router = wiring.pci.router

    def drive(level: bool) -> None:
        if router is not None:
            router.sci = config.sci, level
            router.update()

    sci.connect(drive)
    config.watch(ich9_lpc.ACPI_CNTL, 1, lambda: drive(sci.level))
    _add_apm(wiring, pm1, ICH9_ENABLE, ICH9_DISABLE)


def _add_ich9_smbus(wiring: Wiring, function: Function) -> None:
    host = wiring.board.add("smbus", SmbusHost(function.intx))
    function.show(4, host, size=SMBUS_SIZE)

    def configure() -> None:
        value = function.config.peek(ICH9_SMBUS_HOSTC, 1)
        host.is_i2c = bool(value & HOSTC_I2C_EN)
        if value & HOSTC_SSRESET:
            host.stop()
            function.config.poke(ICH9_SMBUS_HOSTC, 1, value & ~HOSTC_SSRESET)

    function.config.watch(ICH9_SMBUS_HOSTC, 1, configure)


def _add_hotplug(wiring: Wiring) -> None:
    board, guest = wiring.board, wiring.guest
    for number, port in enumerate(wiring.places("acpi-pci-hotplug")):
        fixed = {f.slot for f in guest.functions if f.bus == 0 and f.class_code >> 8 in FIXED_CLASSES}
        model = AcpiPciHotplug(sum(1 << slot for slot in fixed), _acpi_indices(guest))
        board.add(f"pci-hotplug{number or ''}", model, pio=[(port, PCI_HOTPLUG_SIZE)])
    sizes = {
        region.first: region.size
        for region in guest.regions
        if (region.space, region.name) == ("pio", "acpi-cpu-hotplug")
    }
    for number, port in enumerate(wiring.places("acpi-cpu-hotplug")):
        present = guest.meta.get("smp", 1)
        present = present if isinstance(present, int) else 1
        most = re.search(r"maxcpus=(\d+)", str(guest.meta.get("command", "")))
        cpus = AcpiCpuHotplug(present, int(most[1]) if most else present)
        board.add(f"cpu-hotplug{number or ''}", cpus, pio=[(port, sizes.get(port, LEGACY_SIZE))])


def _acpi_indices(guest: Guest) -> dict[int, int]:
    """The ACPI indices that the command line gives to cards on bus 0, by slot."""
    indices = {}
    for device in Peripherals(guest).devices:
        index = integer(device, "acpi-index", 0)
        for function in guest.functions if index else ():
            if function.bus == 0 and (has_id(device, function) or has_address(device, function)):
                indices[function.slot] = index
    return indices


def _add_ged(wiring: Wiring) -> None:
    events, registers = wiring.places("acpi-ged", "mmio"), wiring.places("acpi-ged-regs", "mmio")
    if events or registers:
        places = [(base, EVENT_SIZE, 0) for base in events] + [(base, REGS_SIZE, REGS) for base in registers]
        wiring.board.add("ged", AcpiGed(), mmio=places)
