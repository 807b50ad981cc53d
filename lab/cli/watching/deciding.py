"""A decision at the keyboard: the reason first, then a question that says all of it. Only `y` does it.

What is approved or rejected is what was shown, named by its hash: if it changed meanwhile, nothing is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.cli.watching import keys
from lab.core.errors import BadInput, LabError
from lab.core.view import to_open
from lab.projections import text
from lab.scheduler import decisions
from lab.scheduler.control import approvals, proposals
from lab.store.refusals import refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.cli.watching.rows import Row
    from lab.core.view import View
    from lab.scheduler.results.wanted import Proposed
    from lab.store.root import Root

APPROVE, REJECT, PAUSE, RESUME = "approve", "reject", decisions.TO_PAUSE, decisions.TO_RESUME
MOST_REASON = 500
_HASH_CHARS = 12
_YES = ("y", "Y")


class Asking(msgspec.Struct, kw_only=True):
    """A question that is open. `reason` is typed until Enter; then it is `sure` that is asked."""

    verb: str
    target: str  # a proposal, or an experiment
    what: str = ""
    sha256: str = ""
    reason: str = ""
    sure: bool = False
    said: str = ""  # why it does not go on yet


class Over(msgspec.Struct, frozen=True, kw_only=True):
    """The question is closed. `agreed` when it is to be done."""

    agreed: bool


def about(verb: str, proposed: Proposed) -> Asking:
    """To approve or reject what waits. `BadInput` for what cannot be approved as it lies there."""
    if verb == APPROVE and not proposed.may_approve:
        raise BadInput(f"{proposed.proposal_id} cannot be approved: {proposed.problem}", fix="r rejects it")
    params = ", ".join(f"{name}={value}" for name, value in proposed.params)
    what = "; ".join(part for part in (proposed.what, " ".join(proposed.reason.split()), params) if part)
    by = f"; asked by {text.line(proposed.asked_by, 60)}" if proposed.asked_by else ""
    return Asking(verb=verb, target=proposed.proposal_id, what=f"{what}{by}", sha256=proposed.sha256)


def phase(view: View) -> Asking:
    """To pause what goes on, or let go on what was paused or waits."""
    verb = decisions.offered(view.phase)
    if not verb:
        raise BadInput(f"{view.experiment} is {view.phase}", fix=to_open(view.experiment, view.phase))
    if verb == RESUME:
        return Asking(verb=RESUME, target=view.experiment, what="runs of it may start again")
    return Asking(verb=PAUSE, target=view.experiment, what="no more runs of it start; what is under way goes on")


def pressed(asking: Asking, key: str) -> Over | None:
    """Take a key. None while the question is open."""
    if key == keys.ESCAPE:
        return Over(agreed=False)
    if asking.sure:
        return Over(agreed=key in _YES)
    asking.said = ""
    if key == keys.ENTER:
        if asking.verb == REJECT and not asking.reason.strip():
            asking.said = "a rejection needs a reason; who proposed it may learn from it"
        else:
            asking.sure = True
    elif key == keys.RUB_OUT:
        asking.reason = asking.reason[:-1]
    elif key == keys.CLEAR:
        asking.reason = ""
    elif len(key) == 1 and len(asking.reason) < MOST_REASON:
        asking.reason += key
    return None


def rows(asking: Asking) -> list[Row]:
    """The question, for the foot of the screen. It is wrapped, never cut: what is approved is to be read whole."""
    named = f", sha256 {asking.sha256[:_HASH_CHARS]}" if asking.sha256 else ""
    head: Row = ((f"{asking.verb} {asking.target}{named}: ", "bold"), (asking.what, ""))
    if asking.sure:
        because = f', because "{text.line(asking.reason, MOST_REASON)}"' if asking.reason.strip() else ""
        return [head, ((f"{asking.verb} {asking.target}{because}? ", "bold"), ("y: yes, any other key: no", "reverse"))]
    optional = "" if asking.verb == REJECT else " (may be empty)"
    typed: Row = (
        (f"why{optional}: ", "bold"), (text.line(asking.reason, MOST_REASON), ""),
        (" " if asking.reason.endswith(" ") else "", ""), ("_", "blink"),
        ("  Enter goes on, Esc leaves" if not asking.said else f"  {asking.said}", "dim" if not asking.said else "red"),
    )  # fmt: skip
    return [head, typed]


def carry_out(root: Root, asking: Asking, actor: str) -> str:
    """Do it, and say what was done, or why not."""
    try:
        return _carry_out(root, asking, actor)
    except LabError as error:
        return text.line(f"not done: {error.what}{f'; {error.fix}' if error.fix else ''}", 400)
    except OSError as error:
        return text.line(f"not done: {refused(error).what}", 400)


def _carry_out(root: Root, asking: Asking, actor: str) -> str:
    name, reason = asking.target, asking.reason.strip()
    if asking.verb == APPROVE:
        approvals.approve(root, name, actor=actor, reason=reason, sha256=asking.sha256)
        return f"approved: {name}"
    if asking.verb == REJECT:
        loaded = proposals.load(root, name)
        if asking.sha256 and not isinstance(loaded, LabError) and loaded[1] != asking.sha256:
            raise BadInput(f"{name} is not what was shown any more", fix="look at it again")
        approvals.reject(root, name, why=reason, actor=actor)
        return f"rejected: {name}"
    made = (
        decisions.pause(root, name, reason=reason, actor=actor)
        if asking.verb == PAUSE
        else decisions.resume(root, name, reason=reason, actor=actor)
    )
    if not made.changed:
        return f"{name} is {made.phase} already"
    if asking.verb == PAUSE:
        return f"paused: {name}"
    foreseen = decisions.foreseen(root, name)
    return f"resumed: {name}{f'; {foreseen}' if foreseen else ''}"


def first(waiting: Sequence[Proposed], selected: str) -> Proposed:
    """The one that is selected, else the one that waits. `BadInput` where it is not clear which is meant."""
    chosen = next((each for each in waiting if each.proposal_id == selected), None)
    if chosen is not None:
        return chosen
    if len(waiting) == 1:
        return waiting[0]
    if waiting:
        raise BadInput("several things wait", fix="j and k select one")
    raise BadInput("nothing waits for a word here", fix="labctl approvals lists what waits in the whole lab")
