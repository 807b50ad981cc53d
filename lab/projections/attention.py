"""What wants a person. It stands first on every page; nothing else on a page asks for anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import failing, layout, policy
from lab.core.proposal import PROMOTE, RESUME, RUN
from lab.core.subject import Finding
from lab.core.view import AWAITING, COMPLETED, OPEN_PHASES, PAUSED
from lab.projections import data, text
from lab.projections.tier import spec_here

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lab.core.run import Run
    from lab.core.spec import Spec
    from lab.core.subject import Subject
    from lab.core.view import View

SHOWN = 20
NEARLY = 0.9  # of a budget: what is left of it is less than a tenth
_HOUR_S = 3600.0
_PARAMS_CHARS = 120
# `labctl status` reads the index alone, and knows by these beginnings what a later change of phase makes untrue.
WAITS, STOPPED, FAILING, ENDED, BUDGET = "waits for a person: ", "paused: ", "failing: ", "ended: ", "budget: "
UNMEASURED = "not measured: "
STUCK = "no run can be begun: "
_ASKED = {RUN: "run with given parameters", PROMOTE: "move to the next tier"}


def wants(subject: Subject) -> tuple[Finding, ...]:
    """What is wrong first, then what waits for a decision, then what is about to end. Empty when it needs nobody."""
    view = subject.view
    name = view.experiment
    found = list(subject.findings)
    if subject.spec is None and not found:
        where = f"experiments/{name}/{layout.SPEC}"
        found.append(Finding(what="the SPEC cannot be used", where=where, fix=f"labctl validate {name}"))
    if subject.spec is not None and view.tier not in subject.spec.fidelity_tiers:
        where = f"experiments/{name}/{layout.SPEC}"
        tiers = ", ".join(subject.spec.fidelity_tiers)
        what = f"it is in the tier {view.tier}, which its SPEC does not have ({tiers})"
        found.append(Finding(what=what, where=where, fix=f"labctl set-fidelity {name} TIER, or mend the SPEC"))
    if not subject.is_refused and (why := stuck(view, view.spec)) is not None:
        found.append(why)
    is_losing = subject.spec is not None and policy.losing(view, subject.spec) is not None
    if view.lent and view.phase not in OPEN_PHASES:
        pass  # a study that is closed: its project makes its runs, and tells what it wants
    elif view.phase == AWAITING:
        reason = view.phase_reason or "no reason was given"
        resume = next((each.proposal for each in view.waiting if each.kind == RESUME), "")
        fix = _approve(resume) if resume else f"labctl resume {name} (or: labctl complete {name})"
        waits = view.pursuit.unapproved if view.pursuit is not None else ""
        fix = f"labctl research approve {name} --release {waits}" if waits else fix
        last = view.last
        if last is not None and view.failure_streak and failing.streak(view) in reason:
            reason += f", {_last(last, failing.alike(view))}"
        found.append(Finding(what=f"{WAITS}{reason}", where=f"experiments/{name}", fix=fix))
    elif view.phase == PAUSED and (view.failure_streak or is_losing):
        reason = view.phase_reason or "no reason was given"
        what = f"{STOPPED}{reason}"
        if view.failure_streak and failing.streak(view) not in reason:
            what += f" ({failing.streak(view)})"
        where = f"experiments/{name}/{layout.CONTEXT}"
        found.append(Finding(what=what, where=where, fix=f"mend the cause, then: labctl resume {name}"))
    else:
        found += _failing(view)
    for each in view.waiting:
        if each.kind != RESUME or view.phase != AWAITING:
            params = _params(subject.proposed.get(each.proposal))
            what = f"asks to {_ASKED.get(each.kind, each.kind)}{params}: {each.reason or 'no reason was given'}"
            found.append(
                Finding(what=what, where=f"control/approvals/{each.proposal}.json", fix=_approve(each.proposal))
            )
    if view.phase in OPEN_PHASES:
        found += _budgets(view, spec_here(view, subject.spec))
    return tuple(found)


def stuck(view: View, spec: str) -> Finding | None:
    """Why the last turn could begin no run. None of another SPEC than this one, and of what is to run none."""
    why = view.stuck
    if why is None or why.spec != spec or view.phase not in OPEN_PHASES:
        return None
    name = view.experiment
    where = why.where or f"experiments/{name}/{layout.SPEC}"
    return Finding(what=f"{STUCK}{why.what}", where=where, fix=why.fix or f"labctl validate {name}")


def _params(given: Mapping[str, object] | None) -> str:
    """What a proposal asks for, as far as a line has room: `labctl approvals` shows all of it."""
    if not given:
        return ""
    told = ", ".join(f"{name}={data.encode(value).decode()}" for name, value in given.items())
    return f" ({text.line(told, _PARAMS_CHARS)})"


def _failing(view: View) -> Iterator[Finding]:
    """Failures that nothing has stopped yet, and those that ended it. One failure, or several apart, are no pattern."""
    name, last = view.experiment, failing.alike(view)
    where = f"experiments/{name}/{layout.CONTEXT}"
    if view.phase == COMPLETED and view.phase_reason == policy.FAILED_TOO_OFTEN and view.failure_streak:
        told = f"{ENDED}{view.phase_reason} ({view.failure_streak})"
        run = last or view.last
        what = f"{told}, {_last(run, last)}" if run else told
        fix = f"mend the cause, then: labctl resume {name} (or: labctl archive {name})"
        yield Finding(what=what, where=where, fix=fix)
    elif view.phase in OPEN_PHASES and last is not None:
        what = f"{FAILING}{text.count(view.failure_streak, 'failure')} in a row, {_last(last, last)}"
        if failing.unmeasured(last):
            reason = last.reason or "no reason was given"
            what = f"{UNMEASURED}the last {failing.ALIKE} changes were discarded before they were run: {reason}"
        yield Finding(what=what, where=where, fix=f"labctl show {last.run_id} (or: labctl pause {name})")


def _last(run: Run, alike: Run | None) -> str:
    which = f"the last {failing.ALIKE} alike" if alike else "the last"
    how = "not measured" if failing.unmeasured(run) else run.outcome
    return f"{which}: {how}: {run.reason or 'no reason was given'}"


def _budgets(view: View, here: Spec | None) -> Iterator[Finding]:
    """What is nearly used up. To have made the runs that were asked for is how an experiment ends: it wants nobody."""
    if here is None:
        return
    stop, model, loop = here.stop_conditions, here.llm, view.loop
    for are, used, most in (
        ("its hours are", view.wall_s / _HOUR_S, stop.budget_hours),
        ("its cost is", view.cost, stop.budget_cost),
        ("its tokens are", loop.tokens if loop else 0, stop.budget_tokens),
        ("the money for its models is", view.model.usd, model.max_usd if model else None),
        ("the calls of its models are", view.model.calls, model.max_calls if model else None),
    ):
        if most and used > NEARLY * most:
            what = f"{BUDGET}{int(100 * used / most)} % of {are} used ({used:.6g} of {most:.6g})"
            fix = f"labctl cost {view.experiment} (more of it: in its SPEC.yaml)"
            yield Finding(what=what, where=f"experiments/{view.experiment}/{layout.SPEC}", fix=fix)


def _approve(proposal: str) -> str:
    return f"labctl approve {proposal} (or: labctl reject {proposal} --why WHY)"


def bounded(findings: Iterable[Finding], limit: int = SHOWN, chars: int = text.LINE_CHARS) -> list[Finding]:
    """The same findings as data: each one once, no more than `limit`, each text one bounded line."""
    return [
        Finding(what=text.line(each.what, chars), where=text.line(each.where, chars), fix=text.line(each.fix, chars))
        for each in list(dict.fromkeys(findings))[:limit]
    ]


def item(finding: Finding, about: str = "") -> str:
    """One finding as a list item: what, where, and what to do next."""
    lead = f"**{text.md(about)}**: " if about else ""
    where = f" (in {text.md(finding.where)})" if finding.where else ""
    fix = f" - next: {text.md(finding.fix)}" if finding.fix else ""
    return f"- {lead}{text.md(finding.what)}{where}{fix}"


def section(findings: Sequence[Finding]) -> list[str]:
    """The lines that open a page, or none."""
    if not findings:
        return []
    lines = ["## What wants you", "", *(item(each) for each in findings[:SHOWN])]
    if len(findings) > SHOWN:
        lines.append(f"- and {len(findings) - SHOWN} more: labctl status")
    return [*lines, ""]


def opening(subject: Subject, title: str) -> list[str]:
    """The first lines of an experiment's page."""
    as_of = subject.view.as_of or "before anything happened"
    return [
        f"# {text.md(subject.view.experiment)}: {title}",
        "",
        f"As of: {text.md(as_of)}",
        "",
        *section(wants(subject)),
    ]
