"""What the proposer of a candidate reads first: what is wanted, what it may touch, where things stand, what was tried.

For a command it is a file (LAB_BRIEF_PATH), for an agent it is the prompt. What earlier proposers wrote is in it as
data. Its length does not grow with history, nor does the time that it takes to write.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.candidate import DEBUG, TRY
from lab.core.loop import Loop
from lab.projections import loop_brief as parts
from lab.projections import text as texts
from lab.scheduler.loop import ideas, tries
from lab.store import reading

if TYPE_CHECKING:
    from lab.core.frontier import Start
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.scheduler.loop.ideas import Idea
    from lab.store.root import Root

FILE = "brief.md"
DOCUMENT = "autoresearch.md"
MOST_CHARS = 16_000
MARK = "<!-- labctl: from here to the next mark the lab writes; what you write above or below it stays -->"
END = "<!-- labctl: end -->"
_THEIRS_CHARS, _TAIL_CHARS, _IDEAS_CHARS = 3_500, 2_000, 1_200
_DOCUMENT_BYTES = 64 << 10
_DOCUMENT_IDEAS = 100
_CLOSING = [
    "## When you are done",
    "",
    "Say in a sentence what you changed, and why it should help; the next proposer reads it.",
    "A program may instead leave JSON in the file that LAB_ASI_PATH names: hypothesis, change, next_action_hint, and",
    "whatever else is worth knowing. What came of it is added by the lab.",
]
_BY_HAND = [
    "## When you are done",
    "",
    "Hand it in, and say in a sentence what you changed and why it should help; the next proposer reads it. Notes may",
    "go with it as JSON (`labctl try {id} --description '...' --asi '{{...}}'`, or `asi` in what you submit):",
    "hypothesis, change, next_action_hint, and whatever else is worth knowing. What came of it is added by the lab.",
]


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
    loop = view.loop or Loop()
    open_ideas = [each.text for each in ideas.listed(root, spec, workspace) if each.is_open]
    before = [
        f"# The next change of {spec.id}",
        "",
        *parts.steered(view.steering, _page(root, spec)),
        *_theirs(spec, workspace),
        *parts.goal(spec),
        *parts.rules(spec),
        *parts.start(start, idea.text if idea else ""),
    ]
    crash = crash or _crash(root, spec, start)
    if crash is not None:
        before += parts.crashed(crash.kind, crash.what, crash.tail, repair=crash.repair, chars=_TAIL_CHARS)
    before += [*parts.standing(spec, loop), *parts.kept(loop)]
    closing = [line.format(id=spec.id) for line in _BY_HAND] if start.kind == TRY else _CLOSING
    after = [*parts.ideas(open_ideas, _IDEAS_CHARS), *closing]
    room = MOST_CHARS - len("\n".join([*before, *after])) - 2
    tried = parts.tried(tries.recent(root, spec.id, view.tier), room)
    return "\n".join([*before, *tried, *after])[: MOST_CHARS - 1] + "\n"


def _crash(root: Root, spec: Spec, start: Start) -> Crashed | None:
    """Of a candidate that begins at one that crashed: that crash."""
    found = tries.crash(root, spec.id, start.parent.run_id) if start.kind == DEBUG and start.parent else None
    return Crashed(kind=found[0], what=found[1], tail=found[2]) if found else None


def write(root: Root, artifacts: str, brief: str) -> str:
    """Put it into the run's artifacts, beside those that were given before. Returns its path, for LAB_BRIEF_PATH."""
    root.files.folder(artifacts)
    number, path = 1, f"{artifacts}/{FILE}"
    while True:
        try:
            root.files.create(path, brief.encode(errors="replace"), durable=False)
        except FileExistsError:
            number += 1
            path = f"{artifacts}/brief-{number}.md"
        else:
            return path


def put_document(root: Root, spec: Spec, view: View, workspace: str, tree: str, *, again: bool = False) -> None:
    """Write the project's autoresearch.md into a tree, with what is known by now. It is no part of the change.

    `again` where somebody works in the tree: what they wrote there besides stays.
    """
    place = f"{tree}/{DOCUMENT}"
    page_ = document(root, spec, view, workspace, place if again and reading.is_file(place) else "")
    with suppress(OSError):  # the code at this commit may have a folder there
        root.files.replace(place, page_)


def documents(workspace: str) -> tuple[str, ...]:
    """What of a tree the lab keeps up to date, and is no part of a change: the project's autoresearch.md, if any."""
    return (DOCUMENT,) if reading.is_file(f"{workspace}/{DOCUMENT}") else ()


def document(root: Root, spec: Spec, view: View, workspace: str = "", place: str = "") -> bytes:
    """autoresearch.md kept up to date: the person's text as it is, and in it, between marks, the lab's section.

    It is for the tree of a change. The person's own file is only read; `place` is another copy of it to go on from.
    """
    place = place or (f"{workspace}/{DOCUMENT}" if workspace else "")
    theirs = _read(place, _DOCUMENT_BYTES) if place else ""
    above, below = _around(theirs)
    loop = view.loop or Loop()
    ours = [MARK, "", *parts.steered(view.steering, _page(root, spec)), *parts.standing(spec, loop), *parts.kept(loop)]
    ours += parts.tried(tries.recent(root, spec.id, view.tier), MOST_CHARS // 2)
    listed = ideas.listed(root, spec, workspace)[:_DOCUMENT_IDEAS]
    if listed:
        ours += ["## Ideas", "", *(_ticked(each) for each in listed), ""]
    pieces = [above.rstrip("\n"), "\n".join([*ours, END]), below.strip("\n")]
    return ("\n\n".join(piece for piece in pieces if piece) + "\n").encode(errors="replace")


def _ticked(idea: Idea) -> str:
    tried = f" ({idea.run_id})" if idea.run_id else ""
    return f"- [{' ' if idea.is_open else 'x'}] {texts.line(idea.text)}{tried}"


def _around(theirs: str) -> tuple[str, str]:
    """What a person wrote before and after the lab's section. A mark without its end is the person's own text."""
    above, mark, rest = theirs.partition(MARK)
    _, end, below = rest.partition(END)
    return (above, below) if mark and end else (theirs, "")


def _page(root: Root, spec: Spec) -> str:
    """The experiment's steering.md, which a person may write and edit at any time."""
    return _read(root.layout.page(spec.id, layout.STEERING), _DOCUMENT_BYTES)


def _theirs(spec: Spec, workspace: str) -> list[str]:
    """What the person wrote for proposers: autoresearch.md, and the file that the SPEC names for agents."""
    if not workspace:
        return []
    above, below = _around(_read(f"{workspace}/{DOCUMENT}", _DOCUMENT_BYTES))
    named = os.path.expanduser(spec.agent_instruction_file)
    told = _read(os.path.join(workspace, named), _DOCUMENT_BYTES) if named else ""
    found = "\n\n".join(each.strip("\n") for each in (told, above, below) if each.strip())
    shown = texts.block(found, _THEIRS_CHARS, lines=1_000)
    return [*shown.split("\n"), ""] if shown else []


def _read(path: str, most: int) -> str:
    try:
        return (reading.read_head(path, most) or b"").decode(errors="replace")
    except OSError:  # one that nobody may read: the brief is written without it
        return ""
