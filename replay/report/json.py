"""The verdict as JSON, for programs. The keys are public: a change of meaning changes `VERSION`.

Numbers are plain integers, addresses and values too; a missing value is null. `agreement` is a fraction of 1, or null
if nothing was checked. `devices` has every device with exits; the outcomes of each, and of `totals`, add up to `exits`.
"""

from __future__ import annotations

import json
from typing import Any, Final

from ..disassembly import disassemble
from ..verdict import Access, Divergence, Instruction, Tally, Unclaimed, Verdict

VERSION: Final = 1


def render(verdict: Verdict, limit: int | None = None) -> str:
    """The verdict as JSON text that ends with a newline; of the divergences the first `limit` (None: all there are)."""
    text = json.dumps(as_dict(verdict, limit), indent=2)
    return text.replace("\x7f", "\\u007f") + "\n"  # the one control character that JSON lets pass


def as_dict(verdict: Verdict, limit: int | None = None) -> dict[str, Any]:
    """What `render` prints, as plain Python data."""
    trace = verdict.trace
    return {
        "version": VERSION,
        "trace": {
            "name": trace.name,
            "machine": trace.machine,
            "target": trace.target,
            "clock": trace.clock,
            "exits": trace.exits,
            "closed": trace.closed,
        },
        "machine": verdict.machine,
        "selected": list(verdict.selected),
        "totals": _tally(verdict.totals),
        "devices": [{"name": device.name, "model": device.model, **_tally(device.tally)} for device in verdict.devices],
        "learned": {device.name: dict(device.learned) for device in verdict.devices if device.learned},
        "assumed": {device.name: dict(device.assumed) for device in verdict.devices if device.assumed},
        "unclaimed": [_unclaimed(row) for row in verdict.unclaimed],
        "divergences": [_divergence(divergence, trace.target) for divergence in verdict.divergences[:limit]],
    }


def _tally(tally: Tally) -> dict[str, int | float | None]:
    return {
        "exits": tally.exits,
        "reads": tally.reads,
        "writes": tally.writes,
        "matched": tally.matched,
        "masked": tally.masked,
        "learned": tally.learned,
        "assumed": tally.assumed,
        "diverged": tally.diverged,
        "roots": tally.roots,
        "consequences": tally.consequences,
        "unmodelled": tally.unmodelled,
        "unclaimed_reads": tally.unclaimed_reads,
        "delivered": tally.delivered,
        "unclaimed_writes": tally.unclaimed_writes,
        "excluded": tally.excluded,
        "checked": tally.checked,
        "agreement": tally.agreement,
    }


def _unclaimed(row: Unclaimed) -> dict[str, str | int]:
    return {
        "space": row.space,
        "region": row.region,
        "first": row.first,
        "last": row.last,
        "reads": row.reads,
        "writes": row.writes,
    }


def _divergence(divergence: Divergence, target: str) -> dict[str, Any]:
    instruction = divergence.instruction
    return {
        "seq": divergence.seq,
        "t_ns": divergence.t_ns,
        "vcpu": divergence.vcpu,
        "pc": instruction.pc if instruction else None,
        "device": divergence.device,
        "register": divergence.register,
        "space": divergence.space,
        "direction": divergence.direction,
        "offset": divergence.offset,
        "address": divergence.address,
        "size": divergence.size,
        "hw": divergence.hw,
        "model": divergence.model,
        "kind": divergence.kind,
        "cause": divergence.cause,
        "fields": [{"name": field.name, "hw": field.hw, "model": field.model} for field in divergence.fields],
        "instruction": _instruction(instruction, target) if instruction else None,
        "detail": divergence.detail,
        "state": dict(divergence.state),
        "context": [_access(access) for access in divergence.context],
    }


def _instruction(instruction: Instruction, target: str) -> dict[str, str]:
    code = instruction.code
    text = disassemble(code, instruction.pc, target, instruction.size, instruction.text)
    return {"bytes": code.hex(), "text": text}


def _access(access: Access) -> dict[str, str | int | None]:
    return {
        "seq": access.seq,
        "t_ns": access.t_ns,
        "direction": access.direction,
        "register": access.register,
        "offset": access.offset,
        "address": access.address,
        "size": access.size,
        "value": access.value,
    }
