"""The version of the installed vmdev."""

from __future__ import annotations


def vmdev_version() -> str:
    """The installed version, ``0.1.0``; "unknown" if vmdev is used without being installed."""
    from importlib.metadata import PackageNotFoundError, version  # takes longer than the rest of a start

    try:
        return version("vmdev")
    except PackageNotFoundError:
        return "unknown"
