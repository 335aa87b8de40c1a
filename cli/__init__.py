"""The command line. `main` is the entry point of the command ``vmdev``."""

from __future__ import annotations

from .main import main

__all__ = ["main"]
