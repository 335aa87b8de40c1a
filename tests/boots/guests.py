"""Guests to boot: kernels, firmware and busybox from Debian's packages, unpacked into a cache and never installed.

Apt's own configuration says where packages come from. Nothing on the machine is changed: packages are downloaded and
unpacked below ``$XDG_CACHE_HOME/vmdev/guests``, and the lists of another architecture are kept there, too. What is in
the cache needs no network.
"""

from __future__ import annotations

import gzip
import lzma
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

APT_TIMEOUT_S: Final = 300

KERNEL: Final = "6.12."
"""The long-term kernel that Debian 12 has in its backports, and Debian 13 by itself."""


class UnavailableError(Exception):
    """A guest cannot be had here; the message says why."""


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "vmdev" / "guests"


# Packages


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=APT_TIMEOUT_S,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except FileNotFoundError:
        raise UnavailableError(f"{command[0]}: no such program; guests come from Debian's packages") from None
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{command[0]} {command[1]}: no answer within {APT_TIMEOUT_S} s") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("E:")] or done.stderr.splitlines()
        raise UnavailableError(f"{' '.join(map(str, command))}: {said[-1] if said else done.returncode}")
    return done.stdout


@cache
def _apt_options(architecture: str) -> tuple[str, ...]:
    """Options with which apt knows the packages of `architecture`."""
    common = ("-q", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3")
    if architecture == _run("dpkg", "--print-architecture").strip():
        return common
    state = _cache() / f"apt-{architecture}"
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    options = (
        *common,
        *("-o", f"APT::Architecture={architecture}"),
        *("-o", f"APT::Architectures={architecture}"),
        *("-o", f"Dir::State={state}"),
        *("-o", f"Dir::State::status={state}/status"),
        *("-o", f"Dir::Cache={state}/cache"),
        *("-o", "Acquire::Languages=none"),
    )
    _run("apt-get", *options, "update")
    return options


def _choose(name: str, architecture: str) -> str:
    """The version of `name` to take: of kernels `KERNEL`, else what apt prefers."""
    listed = _run("apt-cache", *_apt_options(architecture), "madison", name)
    versions = [line.split("|")[1].strip() for line in listed.splitlines() if line.endswith(" Packages")]
    if not versions:
        raise UnavailableError(f"apt offers no {name} for {architecture}; try apt-get update")
    return next((version for version in versions if version.startswith(KERNEL)), versions[0])


def package(name: str, architecture: str = "amd64") -> Path:
    """The files of a package, unpacked. A meta package of a kernel gives the kernel that it stands for.

    Raises:
        UnavailableError: there is no apt, no network, or no such package.
    """
    place = _cache() / architecture / name
    if place.is_dir():
        return place
    options = _apt_options(architecture)
    wanted = f"{name}={_choose(name, architecture)}"
    if name.startswith("linux-image-"):
        depends = re.search(r"^Depends:.*?(linux-image-[^ ,]+)(?: \(= ([^)]+)\))?", _show(options, wanted), re.M)
        if depends:
            wanted = f"{depends[1]}={depends[2]}" if depends[2] else depends[1]
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        _run("apt-get", *options, "download", wanted, cwd=Path(scratch))
        (archive,) = Path(scratch).glob("*.deb")
        unpacked = Path(scratch, "unpacked")
        _run("dpkg-deb", "-x", archive, unpacked)
        unpacked.rename(place)
    return place


def _show(options: Iterable[str], wanted: str) -> str:
    return _run("apt-cache", *options, "show", wanted)


def firmware(package_name: str, path: str) -> Path:
    """A file of a package of firmware, which is the same for every architecture of the host."""
    file = package(package_name) / path
    if not file.is_file():
        raise UnavailableError(f"{package_name} of this Debian has no {path}")
    return file


# Linux

BUSYBOX_INIT: Final = """\
#!/bin/busybox sh
# Reads what there is, names the end it comes to, and ends: "end=poweroff" or "end=reboot" on the command line.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module; done
[ -s /modules/order ] && sleep 5 # buses are probed in the background
echo "cpus: $(grep -c '^processor' /proc/cpuinfo)"
cat /proc/ioports /proc/iomem /proc/interrupts
[ -c /dev/rtc0 ] && hwclock -u -r -f /dev/rtc0
for function in /sys/bus/pci/devices/*; do
    [ -e $function/config ] || continue
    echo "${function##*/}" $(cat $function/vendor $function/device) \\
        $(dd if=$function/config bs=64 count=1 2>/dev/null | md5sum)
done
for disk in /sys/block/sd* /sys/block/vd* /sys/block/nvme* /sys/block/mmcblk*; do
    disk=/dev/${disk##*/}
    [ -b $disk ] || continue
    echo "disk $disk" | dd of=$disk bs=512 seek=3 conv=sync,fsync 2>/dev/null
    echo 3 >/proc/sys/vm/drop_caches
    echo "$disk: $(dd if=$disk bs=512 skip=3 count=1 2>/dev/null)"
done
for interface in /sys/class/net/eth*; do
    [ -e $interface ] && ip link set ${interface##*/} up
done
[ -c /dev/hwrng ] && dd if=/dev/hwrng bs=16 count=1 of=/dev/null 2>/dev/null
case $(cat /proc/cmdline) in
*end=reboot*) echo "guest ends: reboot" && reboot -f ;;
*) echo "guest ends: poweroff" && poweroff -f ;;
esac
"""


def kernel(flavour: str = "cloud-amd64", architecture: str = "amd64") -> Path:
    """The kernel image of Debian's package ``linux-image-<flavour>``."""
    images = list((package(f"linux-image-{flavour}", architecture) / "boot").glob("vmlinuz-*"))
    if len(images) != 1:
        raise UnavailableError(f"linux-image-{flavour} of this Debian has {len(images)} kernels")
    return images[0]


def initramfs(
    directory: Path,
    flavour: str = "cloud-amd64",
    architecture: str = "amd64",
    modules: Iterable[str] = (),
    init: str = BUSYBOX_INIT,
) -> Path:
    """Build an initramfs: busybox, `init`, and these modules with all that they need, in /modules/order."""
    files: list[tuple[str, int, bytes]] = [
        ("init", 0o100755, init.encode()),
        ("bin/busybox", 0o100755, _busybox(architecture).read_bytes()),
    ]
    order: list[str] = []
    for name, content in _with_dependencies(package(f"linux-image-{flavour}", architecture), modules):
        order.append(f"{name}.ko")
        files.append((f"modules/{name}.ko", 0o100644, content))
    files.append(("modules/order", 0o100644, "".join(f"{name}\n" for name in order).encode()))
    directories = [(name, 0o040755, b"") for name in ("bin", "dev", "modules", "proc", "sys")]
    path = directory / f"initramfs-{flavour}.gz"
    path.write_bytes(gzip.compress(_cpio([*directories, *files]), compresslevel=1, mtime=0))
    return path


def _busybox(architecture: str) -> Path:
    root = package("busybox-static", architecture)
    return next(path for path in (root / "bin/busybox", root / "usr/bin/busybox") if path.is_file())


def _with_dependencies(root: Path, modules: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """The modules by name, each after those that it needs. What is built into the kernel is left out."""
    found: dict[str, Path] = {}
    builtin: set[str] = set()
    for library in (root / "lib", root / "usr/lib"):
        found |= {_module_name(path.name): path for path in library.glob("modules/*/kernel/**/*.ko*")}
        for listing in library.glob("modules/*/modules.builtin"):
            builtin |= {_module_name(Path(line).name) for line in listing.read_text().split()}
    done: set[str] = set()

    def load(name: str) -> Iterator[tuple[str, bytes]]:
        if name in done or name in builtin:
            return
        done.add(name)
        if name not in found:
            raise UnavailableError(f"this kernel has no module {name}")
        content = _module(found[name])
        needs = re.search(rb"\0depends=([^\0]*)\0", content)
        for needed in needs[1].decode().split(",") if needs else ():
            if needed:
                yield from load(_module_name(needed))
        yield name, content

    for name in modules:
        yield from load(name)


def _module_name(file: str) -> str:
    return file.split(".ko")[0].replace("-", "_")


def _module(path: Path) -> bytes:
    content = path.read_bytes()
    return lzma.decompress(content) if path.suffix == ".xz" else content


def _cpio(entries: Iterable[tuple[str, int, bytes]]) -> bytes:
    """An archive of the format "newc", which the kernel unpacks (Documentation/driver-api/early-userspace)."""
    archive = bytearray()
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        archive += b"070701" + b"".join(b"%08X" % value for value in fields) + name.encode() + b"\0"
        archive += b"\0" * (-len(archive) % 4) + content
        archive += b"\0" * (-len(archive) % 4)
    return bytes(archive)


def empty_disk(directory: Path, name: str, megabytes: int = 4) -> Path:
    """A raw disk image full of zeros."""
    path = directory / f"{name}.img"
    with path.open("wb") as file:
        file.truncate(megabytes << 20)
    return path
