"""Where a code loop stands, as one bounded value for whoever makes the next change. Part of the briefing.

What proposers and people wrote is one line each, cut. The hidden measurement is not in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import verdict
from lab.core.loop import Node  # msgspec resolves annotations
from lab.projections import text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.projections.loop_brief import Tried

SAID_CHARS = 200
IDEAS = 10


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """What was tried, and what came of it. `note`, `hypothesis` and `hint` are its proposer's."""

    run_id: str
    verdict: str
    value: float | None
    gain: float | None
    p: float | None
    why: str
    note: str
    hypothesis: str
    hint: str


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be beaten, how sure a gain has to be, what was tried last, and what is said to proposers."""

    baseline: float | None
    best: float | None
    best_run: str
    best_commit: str
    rule: str
    sigma: float | None
    candidates: int
    kept: int
    discarded: int
    crashed: int
    failed_checks: int
    not_kept_in_a_row: int
    steering: str
    steering_for: int | None
    tried: tuple[Candidate, ...]
    ideas: tuple[str, ...]


def of(view: View, spec: Spec | None, tried: Sequence[Tried], ideas: Sequence[str]) -> Code | None:
    """The value; None for what is no code loop, or has no baseline yet."""
    loop = view.loop
    if loop is None or loop.base is None or spec is None:
        return None
    best = loop.best or Node(run_id="", commit="")
    return Code(
        baseline=loop.base.value,
        best=best.value,
        best_run=best.run_id,
        best_commit=best.commit,
        rule=verdict.rule_of(verdict.terms(spec), loop.noise),
        sigma=loop.noise.sigma,
        candidates=loop.candidates,
        kept=loop.kept,
        discarded=loop.discarded,
        crashed=loop.crashed,
        failed_checks=loop.failed_checks,
        not_kept_in_a_row=loop.unkept,
        steering=text.line(view.steering.text, SAID_CHARS) if view.steering else "",
        steering_for=view.steering.left if view.steering else None,
        tried=tuple(map(_candidate, tried)),
        ideas=tuple(text.line(each, SAID_CHARS) for each in ideas[:IDEAS]),
    )


def _candidate(each: Tried) -> Candidate:
    run, made, asi = each.run, each.run.candidate, each.asi
    return Candidate(
        run_id=text.line(run.run_id),
        verdict=run.verdict or run.outcome,
        value=run.value,
        gain=made.gain if made else None,
        p=made.p if made else None,
        why=text.line(made.why if made else run.reason, SAID_CHARS),
        note=text.line(run.note, SAID_CHARS),
        hypothesis=text.line(asi.hypothesis, SAID_CHARS),
        hint=text.line(asi.next_action_hint, SAID_CHARS),
    )


def lines(code: Code) -> Iterator[str]:
    """The facts, in the order in which they matter."""
    where = f"{code.best_run}, commit {code.best_commit[:12]}"
    yield f"To be beaten: {text.number(code.best)} ({where}); the baseline was {text.number(code.baseline)}"
    sigma = "not known" if code.sigma is None else "none" if code.sigma == 0 else f"{code.sigma:.3g} (one sigma)"
    yield f"Kept by the rule {code.rule}; noise of one measurement: {sigma}"
    yield (
        f"{text.count(code.candidates, 'candidate')}: {code.kept} kept, {code.discarded} discarded, "
        f"{code.crashed} crashed, {code.failed_checks} refused or failed their checks"
    )
    if code.not_kept_in_a_row:
        yield f"Not kept in a row: {code.not_kept_in_a_row}"
    if code.steering:
        left = "" if code.steering_for is None else f", for {text.count(code.steering_for, 'more candidate')}"
        yield f"A person says{left}: {_quoted(code.steering)}"


def tried(code: Code) -> Iterator[str]:
    """The last candidates, a line each, the newest first."""
    for each in code.tried:
        gain = "" if each.gain is None else f", gain {each.gain:.3g}"
        luck = "" if each.p is None else f" (p {each.p:.2g})"
        said = (("", each.note), ("why ", each.why), ("hypothesis ", each.hypothesis), ("next ", each.hint))
        quoted = "; ".join(f"{name}{_quoted(words)}" for name, words in said if words)
        yield f"{each.run_id} {each.verdict}{gain}{luck}" + (f": {quoted}" if quoted else "")


def ideas(code: Code) -> Iterator[str]:
    """Ideas on the list that nobody has tried."""
    return map(_quoted, code.ideas)


def _quoted(words: str) -> str:
    return msgspec.json.encode(words).decode()
