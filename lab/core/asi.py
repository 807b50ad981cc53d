"""What the proposer of a candidate noted about it for whoever comes next. It outlives the change. Pure.

The keys are those of the peers (there they are called ASI). Others are let pass and kept. What came of it is said by
the lab: a proposer that could write its own result would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, json_text, secret
from lab.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FILE = "asi.json"
MOST_KEYS, VALUE_BYTES, MOST_BYTES = 32, 4_096, 16_384
_KEY_CHARS = 64
_NAMED = ("hypothesis", "change", "next_action_hint")
_OURS = ("result", "rollback_reason")
_FIX = 'write one JSON object, such as {"hypothesis": "...", "change": "...", "next_action_hint": "..."}'


class Asi(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The notes of one candidate. All may be empty."""

    hypothesis: str = ""
    change: str = ""
    result: str = ""  # the lab's word
    next_action_hint: str = ""
    rollback_reason: str = ""  # the lab's word; empty for what was kept
    more: dict[str, object] = {}

    @property
    def note(self) -> str:
        """One line for tables."""
        return " ".join((self.change or self.hypothesis).split())


def parse(text: str, where: str = "", *, own: bool = False) -> Asi:
    """The notes in a JSON object, or `BadInput` that says what is wrong with it.

    What it says of `result` and `rollback_reason` is a claim: kept as `claimed_result` and `claimed_rollback_reason`.
    With `own` it is a file that `told` filled, and they are the lab's own words.
    """
    if not own and len(text.encode(errors="replace")) > MOST_BYTES:
        raise BadInput(f"the notes have more than {MOST_BYTES:,} bytes", where=where, fix="leave logs out of them")
    try:
        found = json_text.parse(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the notes are not JSON: {error}", where=where, fix=_FIX) from error
    if not isinstance(found, dict):
        raise BadInput("the notes are not a JSON object", where=where, fix=_FIX)
    if not own and len(found) > MOST_KEYS:
        raise BadInput(f"the notes have {len(found)} keys; {MOST_KEYS} are kept", where=where, fix="say less")
    ours = {name: _said(name, found.pop(name, None), where) for name in (*_NAMED, *_OURS)}
    more = {canonical.plain(name): _kept(name, value, where, own=own) for name, value in found.items()}
    if not own:
        more |= {f"claimed_{name}": claim for name in _OURS if (claim := ours.pop(name))}
    return Asi(**ours, more=more)


def of(found: Mapping[str, object], where: str = "") -> Asi:
    """The same of an object that was given as one, such as with `labctl try --asi`."""
    try:
        return parse(canonical.encode(dict(found)).decode(), where)
    except ValueError as error:
        raise BadInput(f"the notes are not JSON: {error}", where=where, fix=_FIX) from error


def _said(name: str, value: object, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadInput(f"{name} of the notes must be text", where=where, fix=_FIX)
    return _bounded(name, canonical.plain(value).strip(), where)


def _kept(name: str, value: object, where: str, *, own: bool) -> object:
    if own:
        return value
    if not name.strip() or len(name) > _KEY_CHARS:
        what = f"{name[:_KEY_CHARS]!r} is no key for notes"
        raise BadInput(what, where=where, fix=f"a key has between 1 and {_KEY_CHARS} characters")
    if isinstance(value, str):
        return _bounded(name, canonical.plain(value), where)
    try:
        _bounded(name, canonical.encode(value).decode(), where)
    except ValueError as error:
        raise BadInput(f"{name} of the notes cannot be kept: {error}", where=where, fix=_FIX) from error
    return value


def _bounded(name: str, words: str, where: str) -> str:
    size = len(words.encode())
    if size > VALUE_BYTES:
        what = f"{name} of the notes has {size:,} bytes; {VALUE_BYTES:,} are kept"
        raise BadInput(what, where=where, fix="put what is long into a file of the run's artifacts")
    return words


def completed(notes: Asi, *, verdict: str, why: str, gain: float | None = None, metric: str = "") -> Asi:
    """The same with what came of it, as the lab decided."""
    measured = "" if gain is None else f", {metric or 'the metric'} better by {gain:.6g}"
    if gain is not None and gain <= 0:
        measured = f", {metric or 'the metric'} {f'worse by {-gain:.6g}' if gain < 0 else 'the same'}"
    result = f"{verdict}{measured}" + (f": {why}" if why else "")
    return msgspec.structs.replace(notes, result=result, rollback_reason="" if verdict == "keep" else why or verdict)


def redacted(notes: Asi, secrets: Iterable[str]) -> Asi:
    """The same with these values blotted out, in keys too."""
    spelt = {form.decode(errors="replace") for each in secrets for form in secret.forms(each)}
    if not spelt:
        return notes
    longest_first = sorted(spelt, key=lambda form: (-len(form), form))
    return msgspec.convert(_blotted(msgspec.to_builtins(notes), longest_first), Asi)


def _blotted(value: object, forms: list[str]) -> object:
    if isinstance(value, str):
        for form in forms:
            value = value.replace(form, secret.BLOT)
        return value
    if isinstance(value, list):
        return [_blotted(each, forms) for each in value]
    if isinstance(value, dict):
        return {_blotted(name, forms): _blotted(each, forms) for name, each in value.items()}
    return value


def told(notes: Asi) -> dict[str, object]:
    """As one flat object, for asi.json and for the peers' logs: what is empty is left out."""
    named = {name: getattr(notes, name) for name in ("hypothesis", "change", "result", "next_action_hint")}
    named["rollback_reason"] = notes.rollback_reason
    return {name: words for name, words in named.items() if words} | notes.more
