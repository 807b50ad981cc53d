"""The executor of code loops. It starts nothing: the lab conducts its steps itself, and decides.

What is read here is the lab's own last word, artifacts/decision.json. So a run whose lab was killed after it had
decided is sealed as decided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import layout, verdict
from lab.core.decided import Decided
from lab.core.ended import Ended
from lab.core.errors import BadInput, Corrupt
from lab.core.record import parse
from lab.core.run import CRASH, SUCCESS
from lab.executors import outcome
from lab.store import reading

if TYPE_CHECKING:
    from lab.core.candidate import Candidate
    from lab.core.launch import Exit, Launch, Program
    from lab.core.manifest import Manifest

DECISION = f"{layout.ARTIFACTS}/decision.json"
_MOST_BYTES = 4 << 20
_SHOWN = 20


class Reference:
    def prepare(self, launch: Launch) -> Program | None:
        """Nothing: a code loop is several programs, and one that is started alone decides nothing."""
        fix = "run it in its lab: labctl run-once, burst, or try"
        raise BadInput(f"{launch.spec.id} is a code loop, which only its lab can conduct", fix=fix)

    def read(self, path: str, manifest: Manifest, ended: Exit) -> Ended:
        """As it was decided; a run without a decision is what its end says."""
        data = reading.read_head(f"{path}/{DECISION}", _MOST_BYTES)
        if data is not None:
            try:
                found = parse(Decided, data, f"{path}/{DECISION}")
            except Corrupt:
                found = None
            if found is not None and found.run_id == manifest.run_id:
                return as_ended(found)
        how, why = outcome.trouble(manifest, ended)
        return Ended(
            outcome=how or CRASH,
            reason=why or "it ended before anything was decided",
            wall_s=ended.wall_s,
            usage=ended.usage,
        )


def as_ended(found: Decided) -> Ended:
    """How the run ended, by what was decided."""
    return Ended(
        outcome=found.outcome,
        value=found.candidate_value if found.outcome == SUCCESS else None,
        verdict=found.verdict,
        reason=found.reason,
        note=found.note,
        wall_s=found.wall_s,
        cost=found.cost,
        signals=found.signals,
        result=page(found),
        metrics=dict(found.metrics),
        usage=found.usage,
        candidate=found.candidate,
    )


def page(found: Decided) -> str:
    """RESULT.md of a candidate."""
    one = found.candidate
    lines = [f"# {found.run_id}", "", f"Verdict: {found.verdict}"]
    if found.reason:
        lines.append(f"Why: {found.reason}")
    if found.candidate_value is not None:
        lines.append(f"{found.metric or 'value'}: {found.candidate_value!r}")
    if found.previous_best_value is not None:
        lines.append(f"Compared with: {found.previous_best_value!r}, the {found.reference_source}")
    if found.note:
        lines += ["", found.note]
    lines += ["", f"- kind: {one.kind}", *_measured(one)]
    if found.changed_files:
        shown = ", ".join(found.changed_files[:_SHOWN])
        more = len(found.changed_files) - _SHOWN
        lines.append(f"- changed: {shown}{f' and {more} more' if more > 0 else ''} (+{one.added} -{one.removed} lines)")
    if one.commit:
        lines.append(f"- commit: {one.commit}, begun at {one.base}")
    if one.guard:
        lines.append(f"- guarded by: {one.guard}")
    if found.remarks:
        lines += ["", "Noticed:", *(f"- {remark}" for remark in found.remarks)]
    return "\n".join(lines) + "\n"


def _measured(one: Candidate) -> list[str]:
    lines = []
    if one.values:
        lines.append(f"- measured: {', '.join(map(repr, one.values))}")
    if one.against:
        lines.append(f"- beside it: {', '.join(map(repr, one.against))}")
    if one.gain is not None:
        sure = "" if one.p is None else f", p = {one.p:.3g} where {one.alpha:.3g} was asked"
        lines.append(f"- gain: {one.gain:.6g}{sure}")
    if one.confidence is not None:
        words = verdict.confidence_words(one.confidence)
        lines.append(f"- confidence, as the peers count it: {one.confidence:.2f} ({words}, as they say)")
    if one.holdout is not None:
        lines.append(f"- hidden measurement: {one.holdout!r}")
    return lines
