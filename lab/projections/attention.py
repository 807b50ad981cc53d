"""What wants a person. It stands first on every page; nothing else on a page asks for anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import layout, policy
from lab.core.proposal import PROMOTE, RESUME, RUN
from lab.core.subject import Finding
from lab.core.view import AWAITING, PAUSED
from lab.projections import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.core.subject import Subject

SHOWN = 20
_ASKED = {RUN: "run with given parameters", PROMOTE: "move to the next tier"}


def wants(subject: Subject) -> tuple[Finding, ...]:
    """What is wrong first, then what waits for a decision. Empty when the experiment needs nobody."""
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
    is_losing = subject.spec is not None and policy.losing(view, subject.spec) is not None
    if view.phase == AWAITING:
        reason = view.phase_reason or "no reason was given"
        resume = next((each.proposal for each in view.waiting if each.kind == RESUME), "")
        fix = _approve(resume) if resume else f"labctl resume {name} (or: labctl complete {name})"
        found.append(Finding(what=f"waits for a person: {reason}", where=f"experiments/{name}", fix=fix))
    elif view.phase == PAUSED and (view.failure_streak or is_losing):
        reason = view.phase_reason or "no reason was given"
        what = f"paused: {reason}"
        if view.failure_streak:
            what += f" (failures in a row: {view.failure_streak})"
        where = f"experiments/{name}/{layout.CONTEXT}"
        found.append(Finding(what=what, where=where, fix=f"mend the cause, then: labctl resume {name}"))
    for each in view.waiting:
        if each.kind != RESUME or view.phase != AWAITING:
            what = f"asks to {_ASKED.get(each.kind, each.kind)}: {each.reason or 'no reason was given'}"
            found.append(
                Finding(what=what, where=f"control/approvals/{each.proposal}.json", fix=_approve(each.proposal))
            )
    return tuple(found)


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
