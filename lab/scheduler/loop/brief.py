"""What the proposer of a candidate reads first: what is wanted, what it may touch, where things stand, what was tried.

For a command it is a file (LAB_BRIEF_PATH), for an agent it is the prompt. What earlier proposers wrote is in it as
data. Its length does not grow with history, nor does the time that it takes to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from lab.core.frontier import Start
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.scheduler.loop.ideas import Idea
    from lab.store.root import Root

FILE = "brief.md"
DOCUMENT = "autoresearch.md"
MOST_CHARS = 16_000


class Crashed(msgspec.Struct, frozen=True, kw_only=True):
    """The crash that is to be repaired or debugged: its kind, one line, and the end of what was printed."""

    kind: str
    what: str = ""
    tail: str = ""
    repair: bool = False  # the change lies in the tree as it is: it is mended, not begun anew


def text(  # the parts of a brief
    root: Root,
    spec: Spec,
    view: View,
    start: Start,
    *,
    workspace: str = "",
    crash: Crashed | None = None,
    idea: Idea | None = None,
) -> str:
    """The brief: at most `MOST_CHARS` characters. `workspace` is where the person's autoresearch.md and ideas lie."""
    raise NotImplementedError


def write(root: Root, artifacts: str, brief: str) -> str:
    """Put it into the run's artifacts. Returns its path, for LAB_BRIEF_PATH."""
    raise NotImplementedError


def document(root: Root, spec: Spec, view: View, workspace: str = "") -> bytes:
    """autoresearch.md kept up to date: the person's text as it is, and below it, between marks, the lab's section."""
    raise NotImplementedError
