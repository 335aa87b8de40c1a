"""The version of the installed vmdev."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def vmdev_version() -> str:
    """The installed version, ``0.1.0``; "unknown" if vmdev is used without being installed."""
    try:
        return version("vmdev")
    except PackageNotFoundError:
        return "unknown"
