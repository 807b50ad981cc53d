"""One thing that a turn did, or found that it could not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.origin import Origin  # msgspec resolves annotations
from lab.core.policy import Escalate, Finish, Pause, Promote, Wait
from lab.core.run import FAILURES
from lab.core.view import ACTIVE, OPEN_PHASES, to_open
from lab.core.world import stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab.core.chunk import Chunk
    from lab.core.run import Run
    from lab.core.view import View

RAN, MOVED, SETTLED, ANSWERED, HELD, PROBLEM, WAITING, NOTED, ASKING, ASKED, QUEUED, SETTLING = (
    "ran", "moved", "settled", "answered", "busy", "problem", "waiting", "noted", "asking", "asked", "queued",
    "settling",
)  # fmt: skip
_TOLD = 5
PASSING = (ASKING, SETTLING)  # for whoever watches; what comes of it is a step


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`kind` is one of the words above; `what` is for people."""

    kind: str
    experiment: str
    run_id: str = ""
    tier: str = ""
    role: str = ""
    outcome: str = ""
    verdict: str = ""  # of a code loop
    value: float | None = None
    wall_s: float = 0.0
    what: str = ""
    fix: str = ""
    origin: Origin | None = None  # of a run: who chose its parameters
    params: dict[str, object] | None = None
    chunk: str = ""  # of a training in chunks: which one it was, and how far it went
    metric: str = ""  # of such a chunk
    engine: str = ""  # of a run that was handed over: to which one
    number: str = ""  # and what it calls the job
    closed: str = ""  # where nothing more is to be handed over now: `ENGINE`, or `ENGINE CLASS`


def ran(run: Run, params: Mapping[str, object] | None = None) -> Step:
    """A run that was sealed."""
    return Step(
        kind=RAN, experiment=run.experiment, run_id=run.run_id, tier=run.tier, role=run.role, outcome=run.outcome,
        verdict=run.verdict,
        value=run.value, wall_s=run.wall_s, what=run.reason, origin=run.origin,
        params=None if params is None else dict(params),
        chunk=_chunk(run.chunk), metric=run.metric if run.chunk else "",
    )  # fmt: skip


def _chunk(did: Chunk | None) -> str:
    if did is None or not did.number:  # a whole training is told by its parameters, as other runs of a search are
        return ""
    steps = f"steps {did.first_step} to {did.next_step}" if did.state_path else "no step saved"
    return f"chunk {did.number}, {steps}"


def moved(view: View, move: Pause | Escalate | Promote | Finish) -> Step:
    """What the policy decided, and the reason."""
    what = f"to tier {view.tier}" if isinstance(move, Promote) else view.phase
    return Step(kind=MOVED, experiment=view.experiment, tier=view.tier, what=f"{what} ({move.reason})")


def to_tier(view: View) -> Step:
    """That it was moved to the tier of its next run; why is the last decision of the view."""
    why = view.decisions[-1].reason if view.decisions else ""
    what = f"to tier {view.tier}" + (f" ({why})" if why else "")
    return Step(kind=MOVED, experiment=view.experiment, tier=view.tier, what=what)


def failure(steps: Iterable[Step]) -> str:
    """What went wrong, in a line; empty where nothing did. What went wrong more than once is told once."""
    told: dict[tuple[str, str], list[Step]] = {}
    for each in _bad(steps):
        told.setdefault((each.experiment, " ".join(each.what.split()) or each.outcome), []).append(each)
    lines: list[str] = []
    for (experiment, what), alike in list(told.items())[:_TOLD]:
        where = f"{experiment} {alike[-1].run_id}".strip()
        lines.append(f"{where}: {what}" + (f" ({len(alike)} times)" if len(alike) > 1 else ""))
    lines += [f"and {len(told) - _TOLD} more"] if len(told) > _TOLD else []
    return "; ".join(lines)


def remedy(steps: Iterable[Step]) -> str:
    """What to do about the first thing that went wrong; empty where none of them says."""
    return next((each.fix for each in _bad(steps) if each.fix), "")


def _bad(steps: Iterable[Step]) -> list[Step]:
    return [each for each in steps if each.kind == PROBLEM or (each.kind == RAN and each.outcome in FAILURES)]


def rested(steps: Iterable[Step]) -> str:
    """Why no run was made, where an experiment moved or waits instead; empty where one was, or nothing says why."""
    told = list(steps)
    if any(each.kind in (RAN, QUEUED) for each in told):
        return ""
    why = {f"{each.experiment}: {' '.join(each.what.split())}": None for each in told if each.kind in (MOVED, WAITING)}
    return "; ".join(why)


def waiting(name: str, move: Wait, phase: str = ACTIVE) -> Step:
    """Why an experiment that was asked for by name does not run now."""
    until = f" (due {stamp(move.until)})" if move.until else ""
    fix = f"labctl run-once --experiment {name} --now" if move.until else f"labctl show {name}"
    fix = fix if phase in OPEN_PHASES else to_open(name, phase)
    return Step(kind=WAITING, experiment=name, what=f"{move.reason}{until}", fix=fix)
