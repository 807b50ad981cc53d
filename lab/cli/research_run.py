"""`labctl research run`: phase after phase, up to the end, to a gate, or to where something fails.

The same runs are made by `labctl run-once` (cron) and `labctl burst`; phases that are done are not done again. --phase
does one again, alone; of training and evaluation what is sealed counts, and they measure what is missing. After three
failures that may be a phase before the one that failed. Up to a phase that is done nothing is run. Ctrl-C ends the
phase under way and seals it as cancelled; the next `run` does it anew.

Exit code 0: every phase is done, or a person is asked, or it is as far as was wanted. A project that was ended or
stopped before its end is 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import DONE, FAILED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from lab.cli.session import Session
    from lab.core.errors import LabError
    from lab.core.spec import Spec
    from lab.research.projects.overview import Overview
    from lab.scheduler.cycle import Errand
    from lab.scheduler.search.burst import Burst
    from lab.scheduler.step import Step
    from lab.store.root import Root

SHARED = ("runs_at_most", "until")
TARGET = "the project"
TARGET_FIX = "labctl research new NAME --mode A begins one"
_REASON_CHARS = 400


def arguments(parser: argparse._ArgumentGroup) -> None:
    """How far."""
    parser.add_argument(
        "--phase", default="", metavar="PHASE", help="run: do this one again, alone, also where it is done"
    )


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Drive it, and tell where it stands."""
    from lab.core.errors import BadInput
    from lab.research.projects import opened

    if args.phase and (args.until or args.runs_at_most):
        raise BadInput("--phase does one phase alone", fix="leave --until and -n out")
    root = session.root()
    found = opened.spec(root, args.target)
    for named in (args.phase, args.until):
        require_phase(found, named)
    return go(session, args.target, runs=args.runs_at_most, until=args.until, phase=args.phase)


def require_phase(spec: Spec, named: str) -> None:
    """Refuse a phase that the project does not have."""
    from lab.core.errors import BadInput

    if named and named not in spec.fidelity_tiers:
        fix = f"its phases are {', '.join(spec.fidelity_tiers)}"
        raise BadInput(f"{spec.id} has no phase {named[:40]!r}", fix=fix)


def go(session: Session, name: str, *, runs: int = 0, until: str = "", phase: str = "") -> Answer:
    """What `run` and `resume` have in common."""
    from lab.cli.signals import Signals
    from lab.core.errors import Interrupted
    from lab.core.view import AWAITING, COMPLETED, OPEN_PHASES
    from lab.research.project import RESEARCH
    from lab.research.projects import journey, overview
    from lab.scheduler.search.burst import Burst, Order
    from lab.scheduler.search.plan import Wanted

    root = session.root()
    seen = overview.of(root, name, strict=True)
    if phase:
        _open(session, root, seen, phase)
    elif seen.standing in (AWAITING, COMPLETED) or is_done(seen, until):
        return told(seen, None, until=until)
    signals = Signals()
    order = Order(experiment=name, runs=1 if phase else runs or overview.most(root, name))
    burst = Burst(root, order, Wanted(), tell=_teller(session), interrupted=signals.came, worker=RESEARCH)
    if seen.standing in OPEN_PHASES or phase:
        burst.prepare()
    errand = _again(burst, root, phase) if phase else None
    with signals:
        journey.go(burst, until=until, errand=errand)
    if signals.came():
        done = len(journey.ran(burst))
        fix = f"labctl research resume {name} goes on where it stopped"
        raise Interrupted(f"stopped by {signals.came()} with {done} behind it", fix=fix)
    seen = overview.of(root, name)
    if phase and not journey.ran(burst) and journey.trouble(burst) is None:
        raise _undone(burst, seen, phase)
    return told(seen, burst)


def is_done(seen: Overview, phase: str) -> bool:
    """Whether this phase, and all before it, have nothing left to do."""
    from lab.research.projects.overview import DONE as BEHIND

    return any(each.phase == phase and each.state == BEHIND for each in seen.stages)


def _open(session: Session, root: Root, seen: Overview, phase: str) -> None:
    """Let one phase be done again where nothing else comes, or where what waits is a release and no gate.

    Where failures stopped it, a phase before the one that failed: what is to be mended may be what that one left.
    """
    from lab.core.errors import BadInput
    from lab.core.view import AWAITING, COMPLETED
    from lab.scheduler import decisions

    name = seen.experiment
    is_stopped = seen.standing == AWAITING and not seen.gate
    if seen.standing == COMPLETED or (is_stopped and (seen.release or is_done(seen, phase))):
        refuse_limited(root, seen)
        decisions.resume(root, name, reason=f"{phase} is to be done again", actor=session.actor)
    elif seen.standing == AWAITING and seen.gate:  # opening it would be the word that the gate waits for
        fix = f"labctl research approve {name}, then again"
        raise BadInput(f"{name} waits for a person's word before {seen.gate}", fix=fix)
    elif is_stopped:
        raise BadInput(f"{name} was stopped: {seen.reason}", fix=f"labctl research resume {name}")


def refuse_limited(root: Root, seen: Overview) -> None:
    """Refuse to open what its next turn would end again: opening it would change nothing, however often."""
    from lab.core.errors import BadInput

    if seen.limit:
        where = root.layout.spec(seen.experiment)
        raise BadInput(f"it would end at once: {seen.limit}", where=where, fix=f"raise {seen.limit_key} there")


def _undone(burst: Burst, seen: Overview, phase: str) -> LabError:
    """Why the one phase that was asked for was not done."""
    from lab.core.errors import Busy, LabError
    from lab.scheduler.step import HELD

    why = f" ({seen.reason})" if seen.reason else ""
    what = f"{phase} was not done again: {seen.experiment} is {seen.standing}{why}"
    if any(each.kind == HELD for each in burst.turn.steps):
        fix = f"labctl research run {seen.experiment} --phase {phase}"
        return Busy(f"{what}; somebody else was at it until then", fix=fix)
    return LabError(what, fix=next(iter(seen.next), ""))


def _again(burst: Burst, root: Root, phase: str) -> Errand | None:
    """That one phase, as the burst found the project."""
    from lab.research.walk import sequel

    if burst.view is None or burst.spec is None:
        return None
    return sequel.again(root, burst.view, burst.spec, phase)


def told(seen: Overview, burst: Burst | None, *, until: str = "") -> Answer:
    """Where it stands after it. `until`: nothing was run, and where this phase is done, it says so."""
    from msgspec import to_builtins

    from lab.cli.research_status import lines
    from lab.core.view import OPEN_PHASES
    from lab.research.projects import journey

    done = journey.ran(burst) if burst is not None else []
    wrong = journey.trouble(burst) if burst is not None else None
    is_as_wanted = burst is None and is_done(seen, until)
    halted = "" if is_as_wanted else _halted(seen)
    data: dict[str, object] = {
        "experiment": seen.experiment,
        "ran": len(done),
        "failed": wrong is not None or bool(halted),
        "stopped": burst.stopped if burst is not None else "",
        "steps": [to_builtins(each) for each in burst.turn.steps] if burst is not None else [],
        "standing": to_builtins(seen),
    }
    warnings = burst.turn.warnings if burst is not None else ()
    is_open = burst is not None and seen.standing in OPEN_PHASES and wrong is None
    text = [*lines(seen), *([f"stopped: {burst.stopped}"] if is_open and burst is not None and burst.stopped else [])]
    text += [halted] if halted else []
    text += [f"{until} is done"] if is_as_wanted else []
    code = FAILED if wrong is not None or halted else DONE
    return Answer(data, text, warnings=warnings, then=seen.next, exit_code=code)


def _halted(seen: Overview) -> str:
    """Why it does not go on although there is something to do, and nobody is asked; else nothing."""
    from lab.core.view import AWAITING, OPEN_PHASES
    from lab.research.projects.overview import DUE, FAILED, WAITING

    left = [each.phase for each in seen.stages if each.state in (DUE, FAILED, WAITING)]
    is_asked = seen.standing == AWAITING and bool(seen.gate or seen.release)
    if seen.standing in OPEN_PHASES or is_asked or not left:
        return ""
    return f"it does not go on: it is {seen.standing}, and {left[0]} is not done"


def _teller(session: Session) -> Callable[[Step], None]:
    """A line for each phase as it ends, and for whatever else is to be known."""

    def tell(step: Step) -> None:
        from lab.cli.burst_words import length
        from lab.projections import text
        from lab.scheduler.step import ASKING, MOVED, PROBLEM, RAN, SETTLING, WAITING

        what = text.line(step.what, _REASON_CHARS)
        if step.kind == RAN:
            ended = "done" if step.outcome == "success" else step.outcome
            why = f": {what}" if what else ""
            session.terminal.line(f"{step.tier:<15} {ended} in {length(step.wall_s)}  {step.run_id}{why}")
        elif step.kind == ASKING:
            session.terminal.narrate(f"asking {what} ...")
        elif step.kind == SETTLING:
            session.terminal.narrate(f"{step.kind} {step.experiment}: {what}")
        elif step.kind == PROBLEM:
            fix = f" - {text.line(step.fix, _REASON_CHARS)}" if step.fix else ""
            session.terminal.line(f"{step.kind} {step.experiment}: {what}{fix}")
        elif step.kind not in (MOVED, WAITING):  # where it stands is told at the end
            session.terminal.say(f"{step.kind} {step.experiment}: {what}")

    return tell
