"""An order: a command that was dropped into control/inbox, as a JSON file. Pure.

The records that hermes-lab wrote there read the same. Fields that nobody knows are let pass at the top, where other
programs put theirs; under `parameters` they are refused: a misspelt parameter must not be a command without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, ids
from lab.core.errors import BadInput, nearest
from lab.core.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 1 << 20
YOUNG_S = 5.0
_MAX_CHARS = 200
_TEXT_CHARS = 2_000

# What a target is: nothing, an experiment, a proposal, a run or an experiment, a day.
NOTHING, EXPERIMENT, PROPOSAL, RUN, DAY = "nothing", "experiment", "proposal", "run", "day"


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What one kind of order needs: its target, and the parameters that it knows (those that it must have first)."""

    target: str
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ("reason",)


INTENTS: Mapping[str, Intent] = {
    "pause": Intent(target=EXPERIMENT),
    "resume": Intent(target=EXPERIMENT),
    "complete": Intent(target=EXPERIMENT),
    "archive": Intent(target=EXPERIMENT),
    "restore": Intent(target=EXPERIMENT),
    "set-fidelity": Intent(target=EXPERIMENT, needs=("tier",)),
    "approve": Intent(target=PROPOSAL, takes=("reason", "hash", "params")),
    "reject": Intent(target=PROPOSAL, needs=("why",), takes=()),
    "propose": Intent(target=EXPERIMENT, takes=("reason", "params", "tier")),
    "cancel": Intent(target=RUN),
    "steer": Intent(target=EXPERIMENT, takes=("text", "for", "clear")),
    "create": Intent(target=NOTHING, needs=("spec",), takes=("id",)),
    "digest": Intent(target=DAY, takes=()),
    "refresh": Intent(target=NOTHING, takes=()),
}
ALIASES = {"add-task": "create"}
# Other spellings of a parameter: hermes-lab's, and those that a person would guess.
_SPELT = {
    "set-fidelity": {"fidelity_tier": "tier"},
    "reject": {"reason": "why"},
    "create": {"source_spec": "spec", "spec_path": "spec"},
}
_OBJECTS = ("params",)
_NUMBERS = ("for",)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order that can be carried out, as far as it can be told without looking at the lab."""

    intent: str
    target: str = ""
    parameters: dict[str, object] = {}
    idempotency_key: str = ""
    command_id: str = ""
    actor: str = ""

    def text(self, name: str) -> str:
        """A parameter that is text; empty where it was not given."""
        value = self.parameters.get(name, "")
        return value if isinstance(value, str) else ""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why an order was refused."""

    kind: str
    message: str
    where: str = ""
    fix: str = ""


class Reply(Record, frozen=True, kw_only=True):
    """What control/outbox says about an order. Made once: the same key is never carried out again."""

    ok: bool
    idempotency_key: str
    answered_at: str
    intent: str = ""
    target: str = ""
    command_id: str = ""
    request: str = ""  # the name of the file that held it
    sha256: str = ""  # of that file
    data: dict[str, object] | None = None
    error: Problem | None = None


DONE, REFUSED, REPEATED, LEFT = "done", "refused", "repeated", "left"


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one file. `state` is done, refused, repeated (its key was answered before), or left for later."""

    file: str
    state: str
    intent: str = ""
    target: str = ""
    what: str = ""


def half(data: bytes) -> bool:
    """Whether these bytes could be the beginning of an order that somebody still writes."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return True
    return False


def fields(data: bytes) -> dict[str, object]:
    """The object in these bytes, or `BadInput`."""
    fix = f'write one JSON object: {{"intent": "pause", "target": "lr-sweep"}}; intents: {", ".join(INTENTS)}'
    try:
        found = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"this is not JSON: {error}", fix=fix) from error
    if not isinstance(found, dict):
        raise BadInput("an order is a JSON object", fix=fix)
    return found


def key(found: Mapping[str, object], sha256: str) -> str:
    """What an order is known by: the key that it gives, else the digest of its file."""
    given = found.get("idempotency_key")
    return given if isinstance(given, str) and given.strip() and len(given) <= _MAX_CHARS else sha256


def place(name: str) -> str:
    """The name of an answer's file for a key, which may be any text."""
    try:
        return ids.name(name, "key")
    except BadInput:
        return canonical.digest(canonical.plain(name).encode())[:32]


def parse(found: Mapping[str, object], name: str) -> Order:
    """The order that an object tells, or `BadInput` with the intents and parameters that there are."""
    word = _text(found, "intent").strip().lower().replace("_", "-")
    word = ALIASES.get(word, word)
    intent = INTENTS.get(word)
    if intent is None:
        close = nearest(word[:_MAX_CHARS], tuple(INTENTS))
        hint = f"did you mean {close}? " if close else ""
        what = f"there is no intent {word[:_MAX_CHARS]!r}" if word else "an order needs an intent"
        raise BadInput(what, fix=f"{hint}intents: {', '.join(INTENTS)}")
    _text(found, "idempotency_key")
    parameters = _parameters(word, intent, found.get("parameters"))
    target = _text(found, "target")
    if intent.target == EXPERIMENT:
        ids.experiment_id(target.removeprefix("experiment:"))
        target = target.removeprefix("experiment:")
    elif intent.target in (PROPOSAL, RUN) and not target:
        raise BadInput(f"{word} needs a target: {'a proposal' if intent.target == PROPOSAL else 'a run'}")
    return Order(
        intent=word,
        target=target,
        parameters=parameters,
        idempotency_key=name,
        command_id=_text(found, "command_id"),
        actor=canonical.plain(_text(found, "actor")) or "inbox",
    )


def _parameters(word: str, intent: Intent, given: object) -> dict[str, object]:
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise BadInput("parameters must be an object", fix=f"{word} takes: {_known(intent)}")
    spelt = _SPELT.get(word, {})
    known = (*intent.needs, *intent.takes)
    found: dict[str, object] = {}
    for name, value in given.items():
        meant = spelt.get(name, name) if name not in known else name
        if meant not in known:
            close = nearest(str(name)[:_MAX_CHARS], known)
            hint = f"did you mean {close}? " if close else ""
            raise BadInput(f"{word} has no parameter {name[:_MAX_CHARS]!r}", fix=f"{hint}it takes: {_known(intent)}")
        if value is None:
            continue
        if meant in _NUMBERS and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)  # noqa: PLW2901  # as a program writes it
        if meant in _OBJECTS and not isinstance(value, dict):
            raise BadInput(f"the parameter {meant} must be an object")
        if meant not in _OBJECTS and not isinstance(value, str):
            raise BadInput(f"the parameter {meant} must be text")
        if isinstance(value, str) and meant != "spec" and len(value) > _TEXT_CHARS:
            raise BadInput(f"the parameter {meant} has more than {_TEXT_CHARS} characters")
        found[meant] = canonical.plain(value) if isinstance(value, str) else value
    missing = [name for name in intent.needs if not str(found.get(name, "")).strip()]
    if missing:
        raise BadInput(f"{word} needs the parameter {missing[0]}", fix=f"it takes: {_known(intent)}")
    return found


def _known(intent: Intent) -> str:
    return ", ".join((*intent.needs, *intent.takes)) or "nothing"


def _text(found: Mapping[str, object], name: str) -> str:
    """A field at the top, as text; nothing where it was left out, as hermes-lab wrote `null`."""
    value = found.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _MAX_CHARS:
        raise BadInput(f"{name} must be a text of at most {_MAX_CHARS} characters")
    return value
