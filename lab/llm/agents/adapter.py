"""What an adapter is: a task in, a start out; and later the output in, an answer out. Pure, both ways.

An exit code of 0 is not believed: agents end so with nothing to show. An answer is what an adapter can point at.
"""

from __future__ import annotations

from collections.abc import Mapping  # msgspec resolves the annotations below
from typing import Protocol

import msgspec

from lab.llm.answer import Answer
from lab.llm.exchange import EMPTY, FAILING, LIMITED, REFUSED, Tokens

__all__ = [
    "ARGUMENT_BYTES",
    "ASK",
    "EDIT",
    "Adapter",
    "Answer",
    "Start",
    "Task",
    "by_status",
    "empty",
    "failed",
    "last_line",
    "plain",
]

ASK, EDIT = "ask", "edit"
ARGUMENT_BYTES = 100_000  # the system refuses an argument of 128 KiB, and starts nothing
_SHOWN_CHARS = 300
_BAD_REQUEST, _TOO_MANY, _SERVER = 400, 429, 500


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is to do. Every path is absolute."""

    prompt: str
    mode: str = ASK  # ask: answer, and change nothing; edit: change files below `folder`
    folder: str  # where it works
    own: str  # a folder beside it for what it is handed and hands back; no part of the work
    model: str = ""
    effort: str = ""
    instruction: str = ""  # what stands above every prompt
    base_url: str = ""
    background: bool = False
    max_usd: float | None = None  # for agents that hold to a budget themselves
    max_tokens: int | None = None  # the same, of one answer
    schema: dict[str, object] | None = None  # of the answer, for agents that take one
    paths: tuple[str, ...] = ()  # files to change, relative to `folder`, for agents that want them named
    extra_paths: tuple[str, ...] = ()  # what else it may read
    given: frozenset[str] = frozenset()  # names of the variables that it will be given

    def words(self) -> str:
        """The prompt below the instruction: what is written on standard input, where no other program can read it."""
        return f"{self.instruction.strip()}\n\n{self.prompt}" if self.instruction.strip() else self.prompt


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent is started. `argv[0]` is looked up on PATH; no shell ever sees this."""

    argv: tuple[str, ...]
    stdin: str = ""
    files: Mapping[str, str] = {}  # by name, to be written into `own` before
    reads: tuple[str, ...] = ()  # names in `own` that are handed to `read` afterwards
    environ: Mapping[str, str] = {}  # set for it


class Adapter(Protocol):
    """One agent, its program by the name that is looked up on PATH."""

    @property
    def program(self) -> str: ...

    @property
    def passed(self) -> tuple[str, ...]:
        """The variables of the surroundings that it needs besides those that every run sees."""
        ...

    def start(self, task: Task) -> Start | None:
        """How it is started; None for one that starts nothing. `BadInput` when it cannot do such a task."""
        ...

    def read(self, stdout: bytes, stderr: bytes, code: int | None, files: Mapping[str, bytes]) -> Answer:
        """What its output means. Whatever the bytes are, an answer comes. `code` is None when it was ended."""
        ...


def plain(stdout: bytes, stderr: bytes, code: int | None) -> Answer:
    """The answer of a program whose whole output is its answer."""
    text = stdout.decode(errors="replace").strip()
    if code != 0:
        return failed(stderr or stdout, code)
    return Answer(text=text) if text else empty(stderr)


def empty(stderr: bytes = b"", used: Tokens | None = None, model: str = "") -> Answer:
    """It ended as if all were well, and said nothing."""
    said = last_line(stderr)
    what = "it ended with 0 and gave no answer" + (f"; it said: {said}" if said else "")
    return Answer(problem=EMPTY, what=what, used=used or Tokens(), model=model)


def failed(said: bytes | str, code: int | None, used: Tokens | None = None, model: str = "") -> Answer:
    """It ended with another code than 0, or was ended."""
    words = last_line(said.encode() if isinstance(said, str) else said)
    how = "it was ended" if code is None else f"it ended with {code}"
    return Answer(problem=FAILING, what=how + (f": {words}" if words else ""), used=used or Tokens(), model=model)


def by_status(status: int | None) -> str:
    """The word for a status of HTTP that an agent passes on."""
    if status == _TOO_MANY:
        return LIMITED
    return REFUSED if status is not None and _BAD_REQUEST <= status < _SERVER else FAILING


def last_line(data: bytes) -> str:
    """The last thing said: of a long complaint the end tells most."""
    lines = data[-8192:].decode(errors="replace").strip().splitlines()
    shown = lines[-1].strip()[:_SHOWN_CHARS] if lines else ""
    return "".join(sign if sign.isprintable() else " " for sign in shown)
