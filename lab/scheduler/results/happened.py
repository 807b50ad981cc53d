"""What happened, in a line each: the same words on the live page, in `labctl watch` and in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import event as kinds
from lab.core import layout
from lab.core.candidate import DISCARD
from lab.core.errors import LabError
from lab.projections import text
from lab.projections.picture import stairs
from lab.projections.picture import words as called
from lab.projections.picture.given import Given
from lab.scheduler.results import table
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.event import Event
    from lab.core.run import Run
    from lab.core.view import View
    from lab.scheduler.results.happening import Heard
    from lab.store.root import Root

REASON_CHARS = 160
BEYOND, WITHIN, UNKNOWN, FIRST = "beyond noise", "within noise", "noise unknown", "first value"
NOT_JUDGED = "not judged"  # against the noise, because all runs would have to be read for it
_BEST = {
    BEYOND: "new best, beyond the noise", WITHIN: "new best, within the noise",
    UNKNOWN: "new best (nothing is known of the noise)", FIRST: "the first value",
    NOT_JUDGED: "new best",
}  # fmt: skip


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened.

    `what` is the kind of the ledger's event, or a word of who watches: run_started, ledger_shrank.
    `best` is empty where the run is no new best, and also where that is not known: its pages could not be read.
    """

    at: str
    what: str
    says: str
    experiment: str = ""
    run: str = ""
    outcome: str = ""
    value: float | None = None
    best: str = ""
    verdict: str = ""
    proposal: str = ""
    sha256: str = ""
    phase: str = ""
    tier: str = ""
    actor: str = ""
    reason: str = ""


def sentence(told: Told) -> str:
    """Of whom, and what."""
    return f"{told.experiment or 'the lab'}: {told.says}"


def of(root: Root, heard: Heard, most_bytes: int | None = None) -> list[Told]:
    """Each event of an experiment. A new best is held against the noise by all runs before it.

    Where their table is longer than `most_bytes` that it is a new best is all that is said: that is known for nothing.
    """
    view = heard.state.view if heard.state is not None else None
    bests = _bests(root, heard, most_bytes) if heard.is_current else {}
    return [_ended(event, view, bests) if event.type == kinds.RUN_SEALED else _decided(event) for event in heard.events]


def _run_in(view: View, run_id: str) -> Run | None:
    """A run that a view still knows: one of the last, or the best."""
    return next((run for run in (view.last, *view.recent, view.best) if run and run.run_id == run_id), None)


def _bests(root: Root, heard: Heard, most_bytes: int | None) -> dict[str, str]:
    """Which of these runs were new bests. The table, which may be long, is read only where one of them may be."""
    sealed = {event.run_id for event in heard.events if event.type == kinds.RUN_SEALED}
    if heard.state is None or not sealed:
        return {}
    view = heard.state.view
    now = {run.run_id for run in view.bests.values()}
    if not sealed & now:
        return {}  # of several new bests the last is still the best
    if most_bytes is not None and reading.size_of(root.layout.page(heard.experiment, layout.METRICS_LOG)) > most_bytes:
        return dict.fromkeys(sealed & now, NOT_JUDGED)
    try:
        made = table.read(root, heard.experiment)
    except (LabError, OSError):
        return {}
    given = Given(view=made.view, spec=made.spec, lines=made.lines)
    found: dict[str, str] = {}
    for tier in {line.tier for line in given.lines if line.run_id in sealed}:
        judged = stairs.judge(given, tier)
        for number, (place, within) in enumerate(judged.steps):
            run_id = judged.lines[place].run_id
            if run_id in sealed:
                known = UNKNOWN if judged.band is None else BEYOND
                found[run_id] = FIRST if number == 0 else WITHIN if within else known
    return found


def _ended(event: Event, view: View | None, bests: Mapping[str, str]) -> Told:
    outcome, value = _outcome(event)
    run = _run_in(view, event.run_id) if view is not None else None
    best = bests.get(event.run_id, "")
    verdict = run.verdict if run is not None else ""
    was_run = value is not None or verdict != DISCARD  # what a code loop discards unmeasured is sealed as failed
    words = [
        (outcome if was_run else called.of(stairs.UNMEASURED)) or "sealed",
        *([f"{value:.6g}"] if value is not None else []),
    ]
    words += [each for each in (called.of(verdict), _BEST.get(best, "")) if each]
    if value is None and run is not None and run.reason:
        words.append(text.line(run.reason, REASON_CHARS))
    run_id = text.line(event.run_id)
    return Told(
        at=text.line(event.ts), what=event.type, says=f"{run_id} ended: {', '.join(words)}",
        experiment=text.line(event.experiment), run=run_id, outcome=outcome, value=value, best=best, verdict=verdict,
        tier=text.line(run.tier) if run is not None else "",
    )  # fmt: skip


def _outcome(event: Event) -> tuple[str, float | None]:
    value = event.facts.get("value")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return text.line(str(event.facts.get("outcome", ""))), float(value) if is_number and value is not None else None


def _decided(event: Event) -> Told:
    by = f" by {text.line(event.actor, 60)}" if event.actor else ""
    reason = text.line(event.reason, REASON_CHARS)
    proposal = text.line(event.name) if event.type.startswith("proposal_") else ""
    return Told(
        at=text.line(event.ts), what=text.line(event.type), says=f"{_deed(event)}{by}{f': {reason}' if reason else ''}",
        experiment=text.line(event.experiment), run=text.line(event.run_id), proposal=proposal,
        sha256=text.line(str(event.facts.get("sha256", ""))) if proposal else "", phase=text.line(event.phase),
        tier=text.line(event.tier), actor=text.line(event.actor), reason=reason,
    )  # fmt: skip


def _deed(event: Event) -> str:
    """What somebody did, in words."""
    name, kind = text.line(event.name, 80), text.line(str(event.facts.get("kind", "")), 40)
    told = {
        kinds.PHASE_CHANGED: f"is {event.phase} now",
        kinds.TIER_CHANGED: f"is in the tier {event.tier} now",
        kinds.PROPOSAL_MADE: f"proposal {name} made ({kind})",
        kinds.PROPOSAL_APPROVED: f"proposal {name} approved",
        kinds.PROPOSAL_REJECTED: f"proposal {name} rejected",
    }.get(event.type)
    if told is not None:
        return text.line(told)
    more = event.run_id or event.name or event.phase
    return text.line(f"{event.type.replace('_', ' ')}{f' ({more})' if more else ''}")
