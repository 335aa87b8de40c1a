"""Comparing two recordings: what differs between them, by device, register and bit."""

from __future__ import annotations

from .comparison import Comparison
from .finding import Recording, compare
from .gathering import gather
from .places import Places
from .streams import Streams

__all__ = ["Comparison", "Places", "Recording", "Streams", "compare", "gather"]
