"""Mutating: how good traces are as tests of a device model, told by models with one fault each."""

from __future__ import annotations

from .adequacy import Adequacy, TraceResult
from .mutator import Limits, mutate

__all__ = ["Adequacy", "Limits", "TraceResult", "mutate"]
