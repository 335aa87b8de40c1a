"""The guests of the boot matrix: which QEMU with which machine and devices boots what, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import guests

Command = Callable[[Path], Sequence[str]]
"""Given a directory for images, words of a QEMU command; raises `guests.UnavailableError`."""


@dataclass(frozen=True, slots=True)
class Boot:
    """One guest.

    Args:
        name: the test's name.
        command: the QEMU command.
        says: what its console shows when it has come as far as it should.
        limits: options of ``vmdev record`` that end a guest which does not end by itself.
        regions: the least number of different regions that it accesses.
        quick: part of the default test run.
    """

    name: str
    command: Command
    says: str
    limits: tuple[str, ...] = ()
    regions: int = 1
    quick: bool = False

    @property
    def ends(self) -> bool:
        """Whether the guest ends by itself."""
        return not self.limits


def _words(text: str) -> list[str]:
    return text.split()


_BARE: Final = "-nodefaults -display none -serial stdio -no-reboot"

# Firmware


def _seabios(program: str, machine: str) -> Command:
    """SeaBIOS with nothing to boot from tells the debug console so, and resets, which ends QEMU."""
    return lambda _: _words(
        f"{program} -M {machine} -nodefaults -display none -no-reboot -vga std -serial null -boot reboot-timeout=1 "
        "-chardev stdio,id=debug -device isa-debugcon,iobase=0x402,chardev=debug"
    )


def _uboot(program: str, machine: str, file: str, role: str = "-bios") -> Command:
    """U-Boot looks for something to boot, and ends at its prompt, which polls the serial port for ever."""
    return lambda _: [
        *_words(f"{program} -M {machine} {_BARE} -icount shift=8,sleep=off"),
        *(role, str(guests.firmware("u-boot-qemu", f"usr/lib/u-boot/{file}"))),
    ]


def _uboot_on_opensbi(_: Path) -> Sequence[str]:
    sbi = guests.firmware("opensbi", "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin")
    uboot = _uboot("qemu-system-riscv64", "virt", "qemu-riscv64_smode/u-boot.bin", "-kernel")
    return [*uboot(Path()), "-bios", str(sbi)]


def _uefi(_: Path) -> Sequence[str]:
    """OVMF looks for something to boot, finds its own shell, and ends at its prompt."""
    return [
        *_words(f"qemu-system-x86_64 -M q35 -m 128 {_BARE} -icount shift=8,sleep=off -bios"),
        str(guests.firmware("ovmf", "usr/share/ovmf/OVMF.fd")),
    ]


# Linux

APPEND: Final = "nokaslr quiet panic=-1 mitigations=off cryptomgr.notests init_on_alloc=0"
"""The same addresses in every run, no chatter, and less of what is slow and touches no device."""


def _linux(
    machine: str,
    *,
    program: str = "qemu-system-x86_64",
    flavour: str = "cloud-amd64",
    console: str = "ttyS0",
    modules: str = "",
    end: str = "reboot",
    devices: Command = lambda _: (),
) -> Command:
    architecture = flavour.rsplit("-", 1)[-1]

    def command(directory: Path) -> Sequence[str]:
        return [
            *_words(f"{program} -M {machine} {_BARE}"),
            *("-kernel", str(guests.kernel(flavour, architecture))),
            *("-initrd", str(guests.initramfs(directory, flavour, architecture, modules.split()))),
            *("-append", f"console={console} {APPEND} end={end}"),
            *devices(directory),
        ]

    return command


# Devices

NETWORK: Final = "-netdev user,restrict=on,id="


def drives(directory: Path, count: int) -> list[str]:
    """Drives d0, d1 … without a device. The images stay as they are."""
    words: list[str] = []
    for number in range(count):
        image = guests.empty_disk(directory, f"d{number}")
        words += ["-drive", f"if=none,id=d{number},format=raw,snapshot=on,file={image}"]
    return words


def _q35_devices(directory: Path) -> Sequence[str]:
    return [
        *drives(directory, 8),
        *_words(
            f"""
            -device ide-hd,drive=d0 -device virtio-blk-pci,drive=d1 -device nvme,drive=d2,serial=1
            -device virtio-scsi-pci,id=vs -device scsi-hd,bus=vs.0,drive=d3
            -device megasas,id=ms -device scsi-hd,bus=ms.0,drive=d4
            -device lsi53c895a,id=lsi -device scsi-hd,bus=lsi.0,drive=d5
            -device sdhci-pci -device sd-card,drive=d6
            -device qemu-xhci,id=xhci -device usb-tablet,bus=xhci.0 -device usb-kbd,bus=xhci.0
            -device usb-storage,bus=xhci.0,drive=d7 -device ich9-usb-ehci1
            {NETWORK}n0 -device virtio-net-pci,netdev=n0 {NETWORK}n1 -device e1000e,netdev=n1
            -device virtio-rng-pci -device virtio-balloon-pci -device virtio-gpu-pci -device virtio-serial-pci
            -device virtio-tablet-pci -device VGA
            -audiodev none,id=a0 -device ich9-intel-hda -device hda-duplex,audiodev=a0
            -device i82801b11-bridge,id=b1 -device pci-bridge,id=b2,bus=b1,chassis_nr=1
            {NETWORK}n2 -device rtl8139,bus=b2,netdev=n2,addr=1
            -device pcie-root-port,id=r1,chassis=2,slot=1 {NETWORK}n3 -device igb,bus=r1,netdev=n3
            -device pcie-root-port,id=r2,chassis=3,slot=2 -device virtio-keyboard-pci,bus=r2
            -device pci-serial -device i6300esb -device edu -device pci-testdev
            """
        ),
    ]


def _pc_devices(directory: Path) -> Sequence[str]:
    return [
        *drives(directory, 7),
        *_words(
            f"""
            -device ide-hd,drive=d0,bus=ide.0 -device ide-cd,bus=ide.1 -device virtio-blk-pci,drive=d1
            -device nvme,drive=d2,serial=1 -device virtio-scsi-pci,id=vs -device scsi-hd,bus=vs.0,drive=d3
            -device lsi53c895a,id=lsi -device scsi-hd,bus=lsi.0,drive=d4
            -device megasas,id=ms -device scsi-hd,bus=ms.0,drive=d5
            -device qemu-xhci,id=xhci -device usb-storage,bus=xhci.0,drive=d6 -device usb-kbd,bus=xhci.0
            -device piix3-usb-uhci,id=uhci -device usb-tablet,bus=uhci.0 -device ich9-usb-ehci1
            {NETWORK}n0 -device e1000,netdev=n0 {NETWORK}n1 -device virtio-net-pci,netdev=n1
            {NETWORK}n2 -device ne2k_pci,netdev=n2 -device pci-bridge,id=b1,chassis_nr=1
            {NETWORK}n3 -device i82557b,netdev=n3,bus=b1,addr=1
            -device virtio-rng-pci -device virtio-balloon-pci -device virtio-serial-pci -device AC97,audiodev=a0
            -audiodev none,id=a0 -device pci-serial -device i6300esb -device floppy
            """
        ),
    ]


def _virt_devices(directory: Path) -> Sequence[str]:
    """For the machine "virt" of every architecture: half of it on virtio-mmio, half on PCI."""
    return [
        *drives(directory, 6),
        *_words(
            """
            -global virtio-mmio.force-legacy=false
            -device virtio-blk-device,drive=d0 -device virtio-blk-device,drive=d1
            -device virtio-scsi-device,id=vs -device scsi-hd,bus=vs.0,drive=d2
            -device virtio-rng-device -device virtio-balloon-device
            -device virtio-serial-device -device virtio-tablet-device
            -device virtio-blk-pci,drive=d3 -device nvme,drive=d4,serial=1
            -device virtio-rng-pci -device virtio-keyboard-pci -device virtio-serial-pci -device virtio-gpu-pci
            -device qemu-xhci,id=xhci -device usb-storage,bus=xhci.0,drive=d5 -device usb-kbd,bus=xhci.0
            -device pcie-root-port,id=r1,chassis=1,slot=1 -device pci-serial -device edu
            """
        ),
    ]


def _virt_devices_and_networks(directory: Path) -> Sequence[str]:
    """U-Boot gets none of these networks: it would ask them for ever."""
    return [
        *_virt_devices(directory),
        *_words(
            f"""
            {NETWORK}n0 -device virtio-net-device,netdev=n0 {NETWORK}n1 -device virtio-net-pci,netdev=n1
            {NETWORK}n2 -device e1000,netdev=n2 {NETWORK}n3 -device virtio-net-pci,netdev=n3,bus=r1
            """
        ),
    ]


def _with(command: Command, devices: Command) -> Command:
    return lambda directory: [*command(directory), *devices(directory)]


_Q35_MODULES: Final = (
    "ahci sd_mod virtio_pci virtio_blk nvme virtio_scsi megaraid_sas sym53c8xx sdhci_pci mmc_block xhci_pci ehci_pci "
    "usbhid usb_storage virtio_net e1000e igb 8139cp virtio_rng virtio_balloon virtio_gpu virtio_console virtio_input "
    "bochs snd_hda_intel 8250_pci i6300esb lpc_ich iTCO_wdt i2c_i801"
)
_VIRT_MODULES: Final = "virtio_mmio virtio_pci virtio_blk virtio_scsi sd_mod virtio_net nvme virtio_rng virtio_balloon"

# The matrix

_LINUX_PC: Final = _linux("pc -m 128 -icount shift=5,sleep=off")
_PROMPT: Final = ("--exits", "20000")
_UBOOT_ARM64: Final = _uboot("qemu-system-aarch64", "virt -cpu cortex-a57", "qemu_arm64/u-boot.bin")

# All end by a reset, at which QEMU stops the vCPU within the access that asks for it. After a power-off the guest runs
# on until QEMU's main loop stops it, so that the last few accesses differ from run to run
# (system/runstate.c: qemu_system_reset_request() calls cpu_stop_current(), qemu_system_shutdown_request() does not).
REPRODUCIBLE: Final = (
    Boot("seabios-pc", _seabios("qemu-system-x86_64", "pc"), "No bootable device"),
    Boot("seabios-q35", _seabios("qemu-system-x86_64", "q35"), "No bootable device"),
    Boot("seabios-i386", _seabios("qemu-system-i386", "pc"), "No bootable device"),
    Boot("uefi-q35", _uefi, "Shell>", ("--duration", "260s")),
    Boot("linux-pc", _LINUX_PC, "guest ends: reboot"),
    Boot("linux-pc-early", _LINUX_PC, "", ("--exits", "20000"), quick=True),
    Boot("linux-microvm", _linux("microvm -m 128 -icount shift=5,sleep=off"), "guest ends: reboot"),
    Boot(
        "linux-arm64-virt",
        _linux(
            "virt -cpu cortex-a57 -m 256 -icount shift=6,sleep=off",
            program="qemu-system-aarch64",
            flavour="cloud-arm64",
            console="ttyAMA0",
        ),
        "guest ends: reboot",
    ),
    Boot("uboot-arm64", _UBOOT_ARM64, "=> ", _PROMPT, quick=True),
    Boot("uboot-arm", _uboot("qemu-system-arm", "virt -cpu cortex-a15", "qemu_arm/u-boot.bin"), "=> ", _PROMPT),
    Boot("uboot-i386", _uboot("qemu-system-i386", "pc", "qemu-x86/u-boot.rom"), "Hit any key", _PROMPT),
    Boot("uboot-riscv64", _uboot_on_opensbi, "=> ", _PROMPT, quick=True),
)
"""Guests to which nothing comes from the host at its own pace, and so the same in every run."""

DEVICES: Final = (
    Boot(
        "linux-q35-devices",
        _linux(
            "q35 -m 256 -icount shift=5,sleep=off",
            flavour="amd64",
            modules=_Q35_MODULES,
            devices=_q35_devices,
            end="poweroff",
        ),
        "guest ends: poweroff",
        regions=60,
    ),
    Boot(
        "linux-arm64-devices",
        _linux(
            "virt -cpu cortex-a57 -m 256 -icount shift=6,sleep=off",
            program="qemu-system-aarch64",
            flavour="cloud-arm64",
            console="ttyAMA0",
            modules=_VIRT_MODULES,
            devices=_virt_devices_and_networks,
            end="poweroff",
        ),
        "guest ends: poweroff",
        regions=20,
    ),
    Boot(
        "seabios-pc-devices",
        _with(_seabios("qemu-system-x86_64", "pc -icount shift=7,sleep=off"), _pc_devices),
        "No bootable device",
        regions=40,
    ),
    # has drivers for all of it, clears its screen, and then asks each network for something to boot
    Boot("uefi-q35-devices", _with(_uefi, _q35_devices), "\x1b[01;01H", ("--duration", "300s"), 40),
    Boot("uboot-riscv64-devices", _with(_uboot_on_opensbi, _virt_devices), "=> ", ("--exits", "60000"), 8),
    Boot("uboot-arm64-devices", _with(_UBOOT_ARM64, _virt_devices), "=> ", ("--exits", "60000"), 8),
)
"""Guests with disks, networks and many devices, which answer when the host has time."""

SMP: Final = tuple(
    Boot(
        f"linux-{machine}-{cpus}-cpus",
        _linux(f"{machine} -m 256 -smp {cpus}"),
        f"cpus: {cpus}",
    )
    for machine, cpus in (("pc", 2), ("q35", 4))
)
"""Guests with several CPUs, whose clock is the host's."""

ALL: Final = (*REPRODUCIBLE, *DEVICES, *SMP)
