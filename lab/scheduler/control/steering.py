"""What a person says to the proposers of a code loop, between one candidate and the next.

The words are an event, like every decision, so that none is lost when the next ones come. What holds now is folded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, event
from lab.core.errors import BadInput
from lab.core.view import ARCHIVED, Steering
from lab.scheduler import decisions, refresh
from lab.scheduler.loop import scripts
from lab.store import experiments

if TYPE_CHECKING:
    from lab.core.view import View
    from lab.store.root import Root

MOST_CHARS = 2_000
MOST_CANDIDATES = 1_000_000
UNTIL_CHANGED = "until changed"


class Steered(msgspec.Struct, frozen=True, kw_only=True):
    """What is said to the next proposers. `changed` is False when it was so before: then nothing was written."""

    experiment: str
    steering: Steering | None
    changed: bool = False

    def told(self) -> dict[str, object] | None:
        """As a plain object; None where nothing is said."""
        said = self.steering
        return {"text": said.text, "actor": said.actor, "ts": said.ts, "left": said.left} if said else None


def count(words: str) -> int | None:
    """For how many candidates, as a person writes it; None is until it is changed."""
    if words.strip() in ("", UNTIL_CHANGED):
        return None
    if not words.strip().isdecimal():
        raise BadInput(f"{words[:80]!r} is no number of candidates", fix=f"a number from 1 on, or {UNTIL_CHANGED!r}")
    return int(words.strip()[:12])


def steer(root: Root, experiment: str, words: str, *, candidates: int | None, actor: str) -> Steered:
    """Say this to the proposers of the candidates that begin from now on. It replaces what was said before."""
    said = canonical.plain(words).strip()
    if not said:
        raise BadInput("there are no words to say", fix="labctl steer ID 'leave the learning rate alone'; or --clear")
    if len(said) > MOST_CHARS:
        what = f"{len(said):,} characters are too many; {MOST_CHARS:,} are told"
        fix = f"write what is long into experiments/{experiment}/steering.md, which every brief shows too"
        raise BadInput(what, fix=fix)
    if candidates is not None and not 1 <= candidates <= MOST_CANDIDATES:
        raise BadInput(f"{candidates} is no number of candidates", fix=f"from 1 to {MOST_CANDIDATES:,}, or none")
    return _decide(root, experiment, said, candidates, actor)


def take_back(root: Root, experiment: str, *, actor: str) -> Steered:
    """Say nothing to them any more."""
    return _decide(root, experiment, "", None, actor)


def shown(root: Root, experiment: str) -> Steered:
    """What is said to them now. Decides nothing."""
    experiments.require(root, experiment)
    with root.section(experiment):
        view, _ = refresh.current(root, experiment)
    return Steered(experiment=experiment, steering=view.steering)


def _decide(root: Root, experiment: str, said: str, candidates: int | None, actor: str) -> Steered:
    experiments.require(root, experiment)
    with root.section(experiment):
        view, loaded = refresh.current(root, experiment)
        view = decisions.notice_edit(root, experiment, view, loaded)
        if view.phase == ARCHIVED:
            raise BadInput(f"{experiment} is archived", fix=f"labctl archive {experiment} --restore")
        if said and loaded.spec is None and loaded.problem is not None:
            raise loaded.problem
        if said and (loaded.spec is None or not scripts.is_loop(loaded.spec)):
            what = f"{experiment} is no code loop: nobody would read it"
            raise BadInput(what, fix=f"labctl pause {experiment}, then edit its SPEC.yaml")
        if _is_said(view, said, candidates):
            return Steered(experiment=experiment, steering=view.steering)
        facts: dict[str, str | int | float | bool | None] = {"candidates": candidates} if candidates else {}
        told = event.Event(
            type=event.LOOP_STEERED, ts=root.now(), experiment=experiment, reason=said, actor=actor, facts=facts
        )
        after = decisions.write_down(root, told).view
    refresh.lab_pages(root)
    return Steered(experiment=experiment, steering=after.steering, changed=True)


def _is_said(view: View, said: str, candidates: int | None) -> bool:
    """Whether that is what holds already: an order that was stopped before its answer comes again."""
    if view.steering is None:
        return not said
    return (view.steering.text, view.steering.left) == (said, candidates)
