"""Minimizing: the smallest trace, and the shortest test, that still show a divergence."""

from __future__ import annotations

from .minimizer import Bench, Minimized, Minimizer, Signature
from .reproducer import BoardSource, Reproducer
from .slices import Slice, Source

__all__ = ["Bench", "BoardSource", "Minimized", "Minimizer", "Reproducer", "Signature", "Slice", "Source"]
