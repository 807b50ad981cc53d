"""Letting an agent change a workspace: it works on a copy, and of what it changed only what it may comes over.

Nothing that an agent does to its copy can hurt: not a commit, not a reset, not a link that leads out. What it does by
whole paths is found by digests and told; that it cannot do it at all is the promise of no supervisor.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Mapping  # msgspec resolves the annotations below
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical
from lab.core.errors import BadInput
from lab.executors import sandbox
from lab.llm.agents import running
from lab.llm.agents.adapter import EDIT, Task
from lab.llm.exchange import BUDGET, EMPTY, INVALID, Tokens
from lab.scheduler import change
from lab.scheduler.change import FILE, REMOVED, Change, Rules, Seen
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.llm.agents.adapter import Answer
    from lab.scheduler.agent_process import AgentProcess
    from lab.store.root import Root

_GUARDED_BYTES = 8 << 20
_NAMED_PATHS = 50
_NOTHING = "nothing is taken over"
_MEANWHILE = "it was changed in the workspace meanwhile"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is asked to do, to which folder, and inside which limits."""

    workspace: str  # absolute: what may be changed comes over into it
    prompt: str
    provider: str
    command: str = ""
    model: str = ""
    effort: str = ""
    instruction: str = ""
    base_url: str = ""
    background: bool = False
    extra_paths: tuple[str, ...] = ()
    mutable: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    timeout_s: float = 600.0
    max_usd: float | None = None
    guarded: tuple[str, ...] = ()  # small files elsewhere that nobody may touch: the run's own
    watched: tuple[str, ...] = ()  # such as a person may touch meanwhile: told, and never put back
    exclusive: bool = False  # nobody else writes into the workspace meanwhile, so what is not as before is put back


class Mutation(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. With a `problem` nothing was taken over; `what` says it in a sentence."""

    changed: tuple[Change, ...] = ()
    refused: tuple[Change, ...] = ()
    behind: tuple[str, ...] = ()  # what was changed past the copy, and what became of it
    text: str = ""
    used: Tokens = Tokens()
    model: str = ""
    problem: str = ""
    what: str = ""
    wall_s: float = 0.0
    evaluators: Mapping[str, str] = {}  # the digests of the read-only files, before
    ran: running.Ran = running.Ran()


def mutate(root: Root, run: AgentProcess, order: Order, *, stop: Callable[[], bool]) -> Mutation:
    """Ask an agent for a change, judge it, and take over what is allowed. `BadInput` before anything is started."""
    if not os.path.isdir(order.workspace):
        raise BadInput("there is no such workspace", where=order.workspace, fix="name a folder that is there")
    agent = run.find(order.provider, order.command)
    apart = (root.layout.root, run.scratch)
    before = change.look(order.workspace, apart)
    guards = _Guards(root, order)
    root.files.folder(run.scratch)  # or it could not be told apart, and a copy would hold itself
    box = run.fresh()
    try:
        sandbox.copy(root.files, order.workspace, box, apart_from=apart)
        copied = _without_git(root, box, change.look(box))
        ran = run(agent, _task(order, box, copied), until=time.monotonic() + order.timeout_s, stop=stop)
        said = running.answer_of(agent, ran)
        past = change.differences(before, change.look(order.workspace, apart))
        behind = (*guards.put_back(), *_put_back(root, order, before, box, past))
        found = _found(order, said, box, copied, run.secrets(agent), past)
        _take_over(root, order.workspace, box, found.changed)
    finally:
        with suppress(OSError, RecursionError):  # what was taken over is worth more than what is left
            root.files.discard_folder(box)
    evaluators = change.watched(before, order.workspace, order.read_only)
    return msgspec.structs.replace(found, behind=behind, evaluators=evaluators, wall_s=ran.wall_s, ran=ran)


def _without_git(root: Root, box: str, seen: dict[str, Seen]) -> dict[str, Seen]:
    """The copy of a linked worktree has a `.git` that leads to the real one, and a commit in it would be made there."""
    for path in [each for each in seen if each.rpartition("/")[2] in sandbox.LEFT_OUT]:
        root.files.discard(f"{box}/{path}")
        del seen[path]
    return seen


def _found(
    order: Order, said: Answer, box: str, copied: Mapping[str, Seen], secrets: tuple[str, ...], past: list[Change]
) -> Mutation:
    """The judgement of the copy. One that cannot be judged is refused whole."""
    rules = Rules(mutable=order.mutable, read_only=order.read_only, secrets=secrets)
    try:
        after = change.look(box)
    except BadInput as too_many:
        what = f"the agent left a folder that cannot be judged: {too_many.what}"
        return Mutation(text=said.text, used=said.used, model=said.model, problem=INVALID, what=what)
    changes = change.differences(copied, after)
    judged = change.judged(changes, workspace=order.workspace, box=box, before=copied, after=after, rules=rules)
    meanwhile = {each.path for each in past}
    judged = [msgspec.structs.replace(each, why=each.why or _MEANWHILE * (each.path in meanwhile)) for each in judged]
    return _verdict(order, judged, said, [each.path for each in past if _is_read_only(order, each.path)])


def _is_read_only(order: Order, path: str) -> bool:
    return any(sandbox.matches(order.workspace, path, pattern) for pattern in order.read_only)


def _verdict(order: Order, judged: list[Change], said: Answer, tampered: list[str]) -> Mutation:
    """What comes over: all that is allowed, or nothing when the agent failed, or did what nobody can undo."""
    problem, what = said.problem, said.what
    if problem == EMPTY and not all(each.why for each in judged):
        problem = what = ""  # it let its work speak
    if tampered:
        problem, what = INVALID, f"{tampered[0]} is read-only, and was changed past the copy"
    elif not problem and order.max_usd is not None and (said.used.usd or 0.0) > order.max_usd:
        problem, what = BUDGET, f"it cost {said.used.usd:g} USD, more than its {order.max_usd:g}"
    if problem:
        judged = [msgspec.structs.replace(each, why=each.why or _NOTHING) for each in judged]
    return Mutation(
        changed=tuple(each for each in judged if not each.why),
        refused=tuple(each for each in judged if each.why),
        text=said.text,
        used=said.used,
        model=said.model,
        problem=problem,
        what=what,
    )


def _task(order: Order, box: str, seen: Mapping[str, Seen]) -> Task:
    files = [path for path, each in seen.items() if each.kind == FILE]
    named = [p for p in files if any(sandbox.matches(box, p, pattern, exactly=True) for pattern in order.mutable)]
    return Task(
        prompt=f"{order.prompt.strip()}\n\n{_terms(order)}".strip(),
        mode=EDIT,
        folder=box,
        own="",
        model=order.model,
        effort=order.effort,
        instruction=order.instruction,
        base_url=order.base_url,
        background=order.background,
        max_usd=order.max_usd,
        paths=tuple(named[:_NAMED_PATHS]),
        extra_paths=order.extra_paths,
    )


def _terms(order: Order) -> str:
    """What holds whatever is asked. The agent is told; nothing depends on whether it listens."""
    return "\n".join((
        "The folder you work in is a copy of the project. Change its files in place; they are judged when you end.",
        f"You may change: {', '.join(order.mutable) or 'anything that is not read-only'}.",
        f"You may not change: {', '.join(order.read_only) or 'nothing is read-only'}.",
        "Make no commits. Start nothing that goes on after you.",
        "When you are done, say in a few lines what you changed and what you expect of it.",
    ))  # fmt: skip


def _take_over(root: Root, workspace: str, box: str, changes: tuple[Change, ...]) -> None:
    """Removals first: what was a file may be a folder now."""
    files = root.files
    for each in sorted(changes, key=lambda each: (each.kind != REMOVED, each.path)):
        place = f"{workspace}/{each.path}"
        files.discard(place)
        if each.kind != REMOVED:
            files.copy(f"{box}/{each.path}", place, mode=stat.S_IMODE(os.lstat(f"{box}/{each.path}").st_mode) & 0o777)


class _Guards:
    """Files that no agent has any business with, held in memory while one works."""

    def __init__(self, root: Root, order: Order) -> None:
        self._files = root.files
        self._held = {path: reading.read_head(path, _GUARDED_BYTES) for path in (*order.guarded, *order.watched)}
        self._watched = order.watched

    def put_back(self) -> Iterator[str]:
        """Restore what is different, and say so."""
        for path, data in self._held.items():
            if data is None or (reading.is_file(path) and reading.read_head(path, _GUARDED_BYTES) == data):
                continue
            if path in self._watched:
                yield f"{path} was changed meanwhile, by whoever it was, and stays so"
                continue
            self._files.discard(path)
            self._files.replace(path, data)
            yield f"{path} was changed and is put back"


def _put_back(root: Root, order: Order, before: Mapping[str, Seen], box: str, past: list[Change]) -> Iterator[str]:
    """What is different in the workspace itself, where the agent had no business.

    Put back only where nobody else works in it, and while the copy still has the bytes: else it is told.
    """
    for each in past:
        place, old = f"{order.workspace}/{each.path}", before.get(each.path)
        if order.exclusive and old is None:
            root.files.discard(place)
            yield f"{canonical.plain(each.path)} was made past the copy, and is removed"
        elif order.exclusive and old is not None and _is_true(f"{box}/{each.path}", old):
            root.files.discard(place)
            root.files.copy(f"{box}/{each.path}", place, mode=old.mode)
            yield f"{canonical.plain(each.path)} was changed past the copy, and is put back"
        else:
            yield f"{canonical.plain(each.path)} was changed meanwhile, by whoever it was, and stays so"


def _is_true(path: str, old: Seen) -> bool:
    return old.kind == FILE and change.look_at(path).digest == old.digest


def told(mutation: Mutation) -> bytes:
    """What came of it, as it is kept: less what the agent printed, which lies beside it."""
    found = msgspec.to_builtins(mutation)
    found.pop("ran")
    return canonical.page(found)
