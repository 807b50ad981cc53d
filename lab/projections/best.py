"""best.md: the run with the best number, its parameters, what it said, and whether another is rather to be taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.projections import data, pursued, text
from lab.projections.attention import opening
from lab.projections.context import excerpt
from lab.projections.summary import lucky, tally

if TYPE_CHECKING:
    from lab.core.run import Run
    from lab.core.subject import Subject

PARAMS_CHARS = 16_384


def best_page(subject: Subject) -> bytes:
    """The bytes of best.md."""
    view = subject.view
    best = view.best
    lines = opening(subject, "best")
    if pursued.is_project(subject.spec):
        return text.page([*lines, *pursued.no_best(text.md(view.experiment))])
    if best is None:
        lines.append(_none(subject))
    else:
        lines += _best(subject, best)
    others = [
        (text.md(tier), text.number(run.value), text.md(run.run_id), text.moment(run.ended_at))
        for tier, run in view.bests.items()
        if tier != view.tier
    ]
    if others:
        lines += ["", "## Other tiers", "", "Values of two tiers are not compared.", ""]
        lines += text.table(("tier", "best", "run", "ended"), others)
    return text.page(lines)


def _best(subject: Subject, best: Run) -> list[str]:
    luck = lucky(subject)
    return [
        *([luck, ""] if luck else []),
        f"- {text.md(best.metric) or 'Value'}: **{text.number(best.value)}** ({subject.view.direction})",
        f"- Run: {text.md(best.run_id)}, {text.moment(best.ended_at)}, iteration {best.iteration}",
        f"- Tier: {text.md(best.tier)}",
        *([f"- Note: {text.md(best.note)}"] if best.note else []),
        "",
        "## Parameters of the best number seen" if luck else "## Parameters",
        "",
        *_params(subject, best),
        "",
        "## What it found",
        "",
        *excerpt(subject.results.get(best.run_id, "")),
    ]


def _params(subject: Subject, best: Run) -> list[str]:
    if subject.best_params is None:
        return ["It was given none."]
    written = msgspec.json.format(data.encode(subject.best_params), indent=2).decode()
    if len(written) > PARAMS_CHARS:
        return [f"Too long for a page: runs/{text.md(best.run_id)}/params.json"]
    return text.fenced(text.UNSEEN.sub(lambda found: _said(found[0]), written), "json")


def _said(character: str) -> str:
    """A character by its numbers: the block still reads back as it was, and nothing in it is unseen."""
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _none(subject: Subject) -> str:
    """Why there is no best."""
    view = subject.view
    tier = view.tiers.get(view.tier)
    if not view.runs:
        return "There is no best yet: no run has been made."
    if tier is None or not tier.runs:
        made = text.count(view.runs, "run")
        return f"There is no best in the tier {text.md(view.tier)} yet: no run was made in it ({made} in other tiers)."
    made = text.count(tier.runs, "run")
    if not tier.successes:
        told = tally(view.outcomes, view.unmeasured, view.claimed)
        return f"There is no best yet: {made}, none succeeded ({told} over all tiers)."
    return f"There is no best yet: {made}, {tier.successes} succeeded, but none had a value."
