"""The verdict as JSON, for programs. docs/verdict-json.md has the keys; `verdict.schema.json` is their schema.

The keys are public: a change of meaning changes `VERSION`; keys may be added. Numbers are plain integers, addresses and
values too; a missing value is null.
"""

from __future__ import annotations

import json
from typing import Any, Final

from ..disassembly import disassemble
from ..verdict import Access, Against, ContractUse, Divergence, Fold, Instruction, KnownUse, Tally, Unclaimed, Verdict

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
            **({"imported": trace.imported} if trace.imported else {}),
        },
        "machine": verdict.machine,
        "selected": list(verdict.selected),
        "totals": _tally(verdict.totals),
        "devices": [{"name": device.name, "model": device.model, **_tally(device.tally)} for device in verdict.devices],
        "agrees": verdict.agrees,
        "strict": verdict.strict,
        "selection": list(verdict.selection),
        "learned": {device.name: dict(device.learned) for device in verdict.devices if device.learned},
        "assumed": {device.name: dict(device.assumed) for device in verdict.devices if device.assumed},
        "unclaimed": [_unclaimed(row, verdict.totals.reads) for row in verdict.unclaimed],
        "contracts": [_contract(use) for use in verdict.contracts],
        "known": [_known(use) for use in verdict.known],
        "divergences": [_divergence(divergence, trace.target) for divergence in verdict.divergences[:limit]],
        "consequences": [_fold(fold) for fold in verdict.folds],
        **({"against": _against(verdict.against)} if verdict.against else {}),
    }


def _against(against: Against) -> dict[str, Any]:
    found: dict[str, Any] = {"name": against.name, "notes": list(against.notes)}
    if against.witnesses is None:
        return found | {
            "explained": [
                {"device": one.device, "class": one.cause_class, "reason": one.reason, "reads": one.reads}
                for one in against.explained
            ]
        }
    return found | {
        "alike": against.alike,
        "unheard": against.unheard,
        "witnesses": [
            {
                "device": row.device,
                "register": row.register,
                "odd": row.odd,
                "reads": row.reads,
                "size": row.size,
                "first_seq": row.first_seq,
                "recording": row.recording,
                "model": row.model,
                "qemu": row.qemu,
            }
            for row in against.witnesses
        ],
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
        "known": tally.known,
        "checked": tally.checked,
        "agreement": tally.agreement,
    }


def _unclaimed(row: Unclaimed, all_reads: int) -> dict[str, str | int | float]:
    return {
        "space": row.space,
        "region": row.region,
        "first": row.first,
        "last": row.last,
        "reads": row.reads,
        "writes": row.writes,
        "share": round(row.reads / all_reads, 6) if all_reads else 0.0,
    }


def _contract(use: ContractUse) -> dict[str, str | int]:
    return {
        "device": use.device,
        "register": use.register,
        "rule": use.rule,
        "covers": use.covers,
        "reason": use.reason,
        "reads": use.reads,
        "bits": use.bits,
    }


def _known(use: KnownUse) -> dict[str, str | int | None]:
    return {
        "device": use.device,
        "register": use.register,
        "bits": use.bits,
        "reason": use.reason,
        "link": use.link,
        "reads": use.reads,
        "first_seq": use.first_seq,
        "last_seq": use.last_seq,
        "stale": use.stale,
    }


def _fold(fold: Fold) -> dict[str, Any]:
    return {
        "root_seq": fold.root_seq,
        "device": fold.device,
        "register": fold.register,
        "fields": list(fold.fields),
        "bits": fold.bits,
        "cause": fold.cause,
        "count": fold.count,
        "first_seq": fold.first_seq,
        "first_t_ns": fold.first_t_ns,
        "last_seq": fold.last_seq,
        "last_t_ns": fold.last_t_ns,
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
        "class": divergence.cause_class,
        "explanation": divergence.explanation,
        "root_seq": divergence.root_seq,
        "fields": [{"name": field.name, "hw": field.hw, "model": field.model} for field in divergence.fields],
        "side_by_side": [
            {"name": field.name, "hw": field.hw, "model": field.model, "differs": field.differs}
            for field in divergence.side_by_side
        ],
        "instruction": _instruction(instruction, target) if instruction else None,
        "detail": divergence.detail,
        "state": dict(divergence.state),
        "context": [_access(access, target) for access in divergence.context],
    }


def _instruction(instruction: Instruction, target: str) -> dict[str, str]:
    code = instruction.code
    text = disassemble(code, instruction.pc, target, instruction.size, instruction.text)
    return {"bytes": code.hex(), "text": text}


def _access(access: Access, target: str) -> dict[str, Any]:
    return {
        "seq": access.seq,
        "t_ns": access.t_ns,
        "direction": access.direction,
        "register": access.register,
        "offset": access.offset,
        "address": access.address,
        "size": access.size,
        "value": access.value,
        "decoded": access.decoded,
        "instruction": _instruction(access.instruction, target) if access.instruction else None,
    }
