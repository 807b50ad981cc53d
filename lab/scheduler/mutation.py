"""Letting an agent change a workspace: it works on a copy, and of what it changed only what it may comes over.

Nothing that an agent does to its copy can hurt: not a commit, not a reset, not a link that leads out. What it does by
whole paths is found by digests and told; that it cannot do it at all is the promise of no supervisor.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping  # msgspec resolves the annotations below
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical
from lab.core.errors import BadInput, Interrupted
from lab.executors import sandbox
from lab.llm.agents import running
from lab.llm.agents.adapter import EDIT, Task
from lab.llm.exchange import BUDGET, EMPTY, INVALID, STOPPED, Tokens
from lab.scheduler import change, taking_over
from lab.scheduler.change import FILE, Change, Rules, Seen
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.llm.agents.adapter import Answer
    from lab.scheduler.agents.process import AgentProcess
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
    unheld: str = ""  # a limit that could not be held, in words
    broke_off: str = ""  # why only `changed` came over, and of `refused` the rest did not
    kept: str = ""  # where the copy lies that could not be taken over whole, or put back from
    wall_s: float = 0.0
    evaluators: Mapping[str, str] = {}  # the digests of the read-only files, before
    ran: running.Ran = running.Ran()


def mutate(root: Root, run: AgentProcess, order: Order, *, stop: Callable[[], bool]) -> Mutation:
    """Ask an agent for a change, judge it, and take over what is allowed. `BadInput` before anything is started."""
    if not os.path.isdir(order.workspace):
        raise BadInput("there is no such workspace", where=order.workspace, fix="name a folder that is there")
    agent = run.find(order.provider, order.command)
    apart = (root.layout.root, run.scratch)
    before = change.look(order.workspace, apart, stop=stop)
    left = tuple(taking_over.swept(root.files, order.workspace, before))
    guards = _Guards(root, order)
    root.files.folder(run.scratch)  # or it could not be told apart, and a copy would hold itself
    box, is_spent = run.fresh(), True
    try:
        sandbox.copy(root.files, order.workspace, box, apart_from=apart)
        copied = _without_git(root, box, change.look(box, stop=stop))
        ran = run(agent, _task(order, box, copied), until=time.monotonic() + order.timeout_s, stop=stop)
        said = running.answer_of(agent, ran)
        behind = (*left, *guards.put_back())
        try:
            past = change.differences(before, change.look(order.workspace, apart, known=before, stop=stop))
            found = _found(order, said, box, copied, run.secrets(agent), past, stop)
        except Interrupted as stopped:
            past, found = [], _nothing(said, STOPPED, stopped.what)
            behind = (*behind, "it was stopped before it was known whether anything was changed past the copy")
        is_spent = False
        back = taking_over.put_back(root.files, order.workspace, box, before, past, exclusive=order.exclusive)
        taken = taking_over.take_over(root.files, order.workspace, box, before, found.changed)
        is_spent = not (taken.why or back.failed)
        found = _as_taken(found, taken)
        kept = "" if is_spent else _set_aside(root, box, os.path.dirname(run.scratch))
    finally:
        if is_spent:
            with suppress(OSError, RecursionError):  # what was taken over is worth more than what is left
                root.files.discard_folder(box)
    return msgspec.structs.replace(
        found,
        behind=(*behind, *back.told),
        evaluators=change.watched(before, order.workspace, order.read_only),
        wall_s=ran.wall_s,
        ran=ran,
        kept=kept,
        unheld=_unheld(order, found, ran),
    )


def _as_taken(found: Mutation, taken: taking_over.Taken) -> Mutation:
    """What did not come over is told with the rest that did not."""
    whys = {each.path: _MEANWHILE for each in taken.missed} | {each.path: "" for each in taken.done}
    rest = [
        msgspec.structs.replace(each, why=whys.get(each.path, f"it did not come over: {taken.why}"))
        for each in found.changed
        if whys.get(each.path) != ""
    ]
    return msgspec.structs.replace(found, changed=taken.done, refused=(*found.refused, *rest), broke_off=taken.why)


def _set_aside(root: Root, box: str, folder: str) -> str:
    """Where the copy is kept: under a name that no later agent sweeps away."""
    kept = f"{folder}/kept-{os.urandom(4).hex()}"
    try:
        root.files.move(box, kept)
    except OSError:
        return box
    return kept


def _unheld(order: Order, found: Mutation, ran: running.Ran) -> str:
    if order.max_usd is None or found.used.usd is not None or not ran.argv or ran.problem:
        return ""
    return f"{order.provider} told no cost, so the limit of {order.max_usd:g} USD was not held"


def _without_git(root: Root, box: str, seen: dict[str, Seen]) -> dict[str, Seen]:
    """The copy of a linked worktree has a `.git` that leads to the real one, and a commit in it would be made there."""
    for path in [each for each in seen if each.rpartition("/")[2] in sandbox.LEFT_OUT]:
        root.files.discard(f"{box}/{path}")
        del seen[path]
    return seen


def _found(
    order: Order, said: Answer, box: str, copied: Mapping[str, Seen], secrets: tuple[str, ...], past: list[Change],
    stop: Callable[[], bool],
) -> Mutation:  # fmt: skip
    """The judgement of the copy. One that cannot be judged is refused whole."""
    rules = Rules(mutable=order.mutable, read_only=order.read_only, secrets=secrets)
    try:
        after = change.look(box, known=copied, stop=stop)
    except BadInput as too_many:
        return _nothing(said, INVALID, f"the agent left a folder that cannot be judged: {too_many.what}")
    changes = change.differences(copied, after)
    judged = change.judged(changes, workspace=order.workspace, box=box, before=copied, after=after, rules=rules)
    meanwhile = {each.path for each in past}
    judged = [msgspec.structs.replace(each, why=each.why or _MEANWHILE * (each.path in meanwhile)) for each in judged]
    return _verdict(order, judged, said, [each.path for each in past if _is_read_only(order, each.path)])


def _nothing(said: Answer, problem: str, what: str) -> Mutation:
    return Mutation(text=said.text, used=said.used, model=said.model, problem=problem, what=what)


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
            if not reading.is_file(path):  # a link or a folder in its place; a file is replaced in one rename
                self._remove(path)
            self._files.replace(path, data)
            yield f"{path} was changed and is put back"

    def _remove(self, path: str) -> None:
        is_folder = os.path.isdir(path) and not os.path.islink(path)
        (self._files.discard_folder if is_folder else self._files.discard)(path)


def told(mutation: Mutation) -> bytes:
    """What came of it, as it is kept: less what the agent printed, which lies beside it."""
    found = msgspec.to_builtins(mutation)
    found.pop("ran")
    return canonical.page(found)
