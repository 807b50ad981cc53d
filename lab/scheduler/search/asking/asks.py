"""What was asked of a model, and what came of it: `experiments/<id>/asks/ASK-000012.json`.

Created whole when the answer is there, and never changed: a crash between the answer and the run that comes of it loses
nothing, and the other candidates of the answer are there for later turns. A run has its exchange in its bundle too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.advice import Candidate  # msgspec resolves annotations
from lab.core.errors import Corrupt
from lab.core.record import Record, page, parse
from lab.llm.exchange import Attempt  # msgspec resolves annotations
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.store.root import Root

NEWEST = 8  # answers whose candidates may still be tried: what a model said before those, it said of another search
MOST_BYTES = 64 << 20
_WORDS = ("ASK", 6)
_ASKED_OF = ("seen", "seed", "transport", "model", "of", "template", "asked_at")


class Asked(Record, frozen=True, kw_only=True):
    """One question, from its first attempt to its last. `problem` is empty where it brought candidates."""

    ask: str
    experiment: str
    tier: str
    number: int  # the trial or the chunk that it was asked for
    about: str = ""  # the run that was reviewed; empty: it was asked for a search
    seen: int  # how many trials had ended
    seed: int | None
    of: str  # digest of the SPEC's `llm`: another model's failures are not this one's
    transport: str
    model: str  # as the SPEC names it
    answered_by: str = ""  # as the service names it
    template: str  # digest of the words around the facts
    asked_at: str
    answered_at: str
    problem: str = ""
    what: str = ""
    repairs: int = 0
    calls: int = 0
    usd: float | None = None
    sent: int | None = None  # tokens
    answered: int | None = None
    candidates: tuple[Candidate, ...] = ()
    refused: tuple[str, ...] = ()  # what was wrong with candidates that are not among them
    attempts: tuple[Attempt, ...] = ()


def name(number: int) -> str:
    """The name of question `number`."""
    word, digits = _WORDS
    return f"{word}-{number:0{digits}}"


def is_taken(root: Root, experiment: str, number: int) -> bool:
    return reading.is_file(root.layout.ask(experiment, name(number)))


def keep(root: Root, asked: Asked, *, durable: bool) -> bytes:
    """Publish it. Returns its bytes."""
    data = page(asked)
    root.files.folder(root.layout.asks(asked.experiment))
    root.files.create(root.layout.ask(asked.experiment, asked.ask), data, durable=durable, mode=0o444)
    return data


def read(root: Root, experiment: str, ask: str) -> Asked | None:
    """One of them; None while there is none. `Corrupt` when it is damaged."""
    path = root.layout.ask(experiment, ask)
    data = reading.read_head(path, MOST_BYTES)
    return None if data is None else parse(Asked, data, path)


class Asks:
    """The newest ones of an experiment, each read once."""

    def __init__(self, root: Root, experiment: str) -> None:
        self._root = root
        self._experiment = experiment
        self._read: dict[int, Asked] = {}

    def newest(self, highest: int, workers: int = 1) -> list[Asked]:
        """Those with an answer among the last few, the newest first. One that is damaged counts as none.

        So many workers may each have asked at the same time, and none of their answers is old.
        """
        found: dict[int, Asked] = {}
        for number in range(highest, max(0, highest - NEWEST - workers + 1), -1):
            known = self._read.get(number) or _readable(self._root, self._experiment, name(number))
            if known is not None:
                found[number] = known
        self._read = found
        return list(found.values())


def _readable(root: Root, experiment: str, ask: str) -> Asked | None:
    try:
        return read(root, experiment, ask)
    except Corrupt:  # `labctl verify` names it; a search goes on without it
        return None


def bundled(root: Root, experiment: str, ask: str) -> dict[str, bytes]:
    """The files of a bundle that tell of a question: what was sent, what came back, what it took.

    None of one that is gone or damaged, which `labctl verify` names: a run of the parameters it gave is made without.
    """
    asked = _readable(root, experiment, ask)
    if asked is None:
        return {}
    return {
        layout.MODEL_REQUEST: _page(
            asked,
            ("tier", "number", *(("about",) if asked.about else ()), *_ASKED_OF),
            requests=[{"structured": each.structured, "sent": _laid_out(each.request)} for each in asked.attempts],
        ),
        layout.MODEL_RESPONSE: _page(
            asked,
            ("answered_at", "problem", "what", "candidates", "refused", "repairs"),
            responses=[
                {
                    "status": each.status,
                    "problem": each.problem,
                    "what": each.what,
                    "model": each.model,
                    "came": _laid_out(each.response),
                }
                for each in asked.attempts
            ],
        ),
        layout.MODEL_USAGE: _page(
            asked,
            ("model", "answered_by", "calls", "repairs", "sent", "answered", "usd"),
            attempts=[{"took_s": each.took_s, "used": each.used} for each in asked.attempts],
        ),
    }


def _page(asked: Asked, names: tuple[str, ...], **more: object) -> bytes:
    told: Mapping[str, object] = {
        "format": asked.format,
        "ask": asked.ask,
        "experiment": asked.experiment,
        **{each: getattr(asked, each) for each in names},
        **more,
    }
    return msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n"


def _laid_out(text: str) -> msgspec.Raw | str:
    """A text of JSON as JSON, which is how people can read it; anything else as it is."""
    try:
        msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return text
    return msgspec.Raw(text.encode())
