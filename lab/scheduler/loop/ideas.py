"""The list of ideas that a person (or an agent) keeps in the workspace: the next one that was not tried is proposed.

The file is theirs and is only read. An idea is known by the digest of its words, which its run's seal carries
(`Candidate.idea`): what was tried follows from the runs, and a reworded idea is another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from lab.core.spec import Spec
    from lab.store.root import Root

FILE = "autoresearch.ideas.md"  # looked for where the SPEC names no other


class Idea(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list. `run_id` is the run that tried it; `ticked` is what the list itself says."""

    text: str
    key: str
    ticked: bool = False
    run_id: str = ""

    @property
    def is_open(self) -> bool:
        return not (self.ticked or self.run_id)


def parse(text: str) -> tuple[Idea, ...]:
    """The ideas of a list: `- [ ] idea`, `- idea`, `1. idea`. What is no item of a list is no idea. Pure."""
    raise NotImplementedError


def listed(root: Root, spec: Spec, workspace: str) -> tuple[Idea, ...]:
    """Every idea, in the order of the list, with the run that tried it. Nothing where there is no such file."""
    raise NotImplementedError


def following(ideas: tuple[Idea, ...]) -> Idea | None:
    """The next one that was not tried."""
    return next((idea for idea in ideas if idea.is_open), None)
