"""A comparison as JSON, for programs. docs/compare.md has the keys.

They are public: a change of meaning changes `VERSION`; keys may be added.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Final

from .comparison import Comparison
from .proposals import proposals

VERSION: Final = 1


def render(comparison: Comparison, limit: int | None = None) -> str:
    """The comparison as JSON text that ends with a newline; of each list the first `limit` (None: all)."""
    text = json.dumps(as_dict(comparison, limit), indent=2)
    return text.replace("\x7f", "\\u007f") + "\n"  # the one control character that JSON lets pass


def as_dict(comparison: Comparison, limit: int | None = None) -> dict[str, Any]:
    """What `render` prints, as plain Python data."""
    return {
        "version": VERSION,
        "differs": comparison.differs,
        "a": asdict(comparison.a),
        "b": asdict(comparison.b),
        "made_differently": [asdict(fact) for fact in comparison.facts],
        "notes": comparison.notes,
        "selected": list(comparison.selected),
        "declared": comparison.declared,
        "devices": [asdict(device) for device in comparison.devices],
        "differences": [asdict(row) for row in comparison.differences[:limit]],
        "only_in_one": [asdict(row) for row in comparison.missing[:limit]],
        "moved": [asdict(row) for row in comparison.moved[:limit]],
        "repeated": [asdict(row) for row in comparison.repeats[:limit]],
        "contracts": [
            {"device": row.device, "register": contract.register, "bits": contract.bits, "rule": contract.rule,
             "reason": contract.reason}
            for row, contract in proposals(comparison)
        ],
    }  # fmt: skip
