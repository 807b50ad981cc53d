"""What a person says to a project: words for whoever does the next phase, or what the next iteration decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, event
from lab.core.errors import BadInput
from lab.core.pursuit import CLAIMED, RULED
from lab.core.view import ARCHIVED, Pursuit
from lab.research.decision import KEEP, PIVOT, REFINE, STOP
from lab.research.projects import opened
from lab.scheduler import decisions, refresh
from lab.store import leases

if TYPE_CHECKING:
    from lab.core.view import View
    from lab.store.root import Root

MOST_CHARS = 2_000
RULINGS = (KEEP, REFINE, PIVOT, STOP)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """`changed` is False where the same was said last, and no run has begun since."""

    experiment: str
    text: str
    ruled: str
    changed: bool


def say(root: Root, name: str, words: str, *, ruled: str = "", actor: str) -> Told:
    """Write it down. The phase that is under way does not hear of it; the next one does, and the next iteration."""
    said = canonical.plain(words).strip()
    if ruled and ruled not in RULINGS:
        raise BadInput(f"there is no decision {ruled[:40]!r}", fix=f"one of {', '.join(RULINGS)}")
    if not said:
        fix = (
            f"labctl research steer {name} --decide {ruled} --why TEXT"
            if ruled
            else "say it: labctl research steer ID TEXT"
        )
        raise BadInput("there are no words to say", fix=fix)
    if len(said) > MOST_CHARS:
        what = f"{len(said):,} characters are too many; {MOST_CHARS:,} are told"
        raise BadInput(what, fix="put what is long into a note of the project: literature.own in project.yaml")
    opened.spec(root, name)
    with root.section(name):
        view, loaded = refresh.current(root, name)
        view = decisions.notice_edit(root, name, view, loaded)
        if view.phase == ARCHIVED:
            raise BadInput(f"{name} is archived", fix=f"labctl archive {name} --restore")
        claimed = max(view.generation, leases.survey(root, name).highest)
        changed = not _is_said(view, said, ruled, claimed)
        if changed:
            facts: dict[str, str | int | float | bool | None] = {CLAIMED: claimed}
            if ruled:
                facts[RULED] = ruled
            told = event.Event(
                type=event.RESEARCH_STEERED, ts=root.now(), experiment=name, reason=said, actor=actor, facts=facts
            )
            decisions.write_down(root, told)
    if changed:
        refresh.lab_pages(root)
    return Told(experiment=name, text=said, ruled=ruled, changed=changed)


def _is_said(view: View, said: str, ruled: str, claimed: int) -> bool:
    """Whether that is what was said last: an order that was stopped before its answer comes again.

    What a run may have heard since is said anew: a second round is refined for the same reason as the first.
    """
    known = view.pursuit or Pursuit()
    last = known.ruling if ruled else known.said
    return last is not None and (last.text, last.ruled, last.after) == (said, ruled, claimed)
