"""Data sets to train on: one JSON object a line. Read whole, checked whole, and refused with everything that is wrong.

| kind | a line |
| --- | --- |
| `Demonstration` | {"prompt": "...", "completion": "..."}, or {"messages": [{"role": "user", "content": "..."}, ...]} |
| `Task` | {"prompt": "...", "answer": "..."} |
| `Pair` | {"prompt": "...", "chosen": "...", "rejected": "..."} |
| `Comparison` | {"prompt": "...", "a": "...", "b": "...", "better": "a"} |

Any line may have a `meta` of its own, which is not read. Whether the answers are right nobody checks.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, NoReturn, TypeVar

import msgspec

from lab.core.errors import BadInput, NotFound, nearest
from lab.core.parameter import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROLES = ("system", "user", "assistant")
META = "meta"
MAX_BYTES = 1 << 30
MAX_REPORTED = 20
_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")
_MAX_KEY_CHARS = 100


class Message(msgspec.Struct, frozen=True):
    """One turn of a dialogue."""

    role: str
    content: str


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """What every line has: its number, from 1, for whatever is to be said about it later."""

    line: int
    prompt: str = ""


class Demonstration(Example, frozen=True, kw_only=True):
    """What to answer: to `prompt`, or as the assistant of `messages`, of which the last is the assistant's."""

    completion: str = ""
    messages: tuple[Message, ...] = ()


class Task(Example, frozen=True, kw_only=True):
    """A question whose answers can be scored."""

    answer: str


class Pair(Example, frozen=True, kw_only=True):
    """Two answers, one better than the other."""

    chosen: str
    rejected: str


class Comparison(Example, frozen=True, kw_only=True):
    """The same, as a judge saw it: in one order, with its verdict."""

    a: str
    b: str
    better: str


R = TypeVar("R", bound=Example)
_FIELDS: dict[type[Example], tuple[str, ...]] = {
    Demonstration: ("prompt", "completion"),
    Task: ("prompt", "answer"),
    Pair: ("prompt", "chosen", "rejected"),
    Comparison: ("prompt", "a", "b", "better"),
}
_DIALOGUE = ("messages",)
_DIFFER = {Pair: ("chosen", "rejected"), Comparison: ("a", "b")}
_FIX = "mend these lines and try again; nothing was trained, and nothing was paid"


def read(path: str, kind: type[R]) -> tuple[R, ...]:
    """The rows of a file, or `BadInput` with all that is wrong."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                what = f"{size:,} bytes are more than a data set may have ({MAX_BYTES:,})"
                raise BadInput(what, where=path, fix="split it: a file for each stage of the training")
            data = file.read()
    except FileNotFoundError:
        fix = f"make it: each line like {_example(kind)}"
        raise NotFound("there is no such data set", where=path, fix=fix) from None
    except IsADirectoryError:
        raise BadInput("a data set is a file, and this is a folder", where=path, fix="name the .jsonl in it") from None
    except OSError as error:
        raise BadInput(f"the data set cannot be read: {error.strerror}", where=path) from error
    return parse(data, kind, path)


def parse(data: bytes, kind: type[R], where: str) -> tuple[R, ...]:
    """The rows in these bytes. A mark of UTF-8 at the beginning, CRLF and blank lines mean nothing."""
    _refuse_others(data, kind, where)
    rows: list[R] = []
    problems: list[str] = []
    for number, raw in enumerate(data.removeprefix(_BOM).split(b"\n"), 1):
        if not raw.strip():
            continue
        found = _row(raw, kind)
        if isinstance(found, list):
            problems += [f"line {number}: {problem}" for problem in found]
        else:
            rows.append(msgspec.convert({**found, "line": number}, kind))
    refuse(problems, where)
    if not rows:
        what = "the data set has no rows" if data else "the data set is empty"
        raise BadInput(what, where=where, fix=f"each line is one, like {_example(kind)}")
    return tuple(rows)


def refuse(problems: Sequence[str], where: str, fix: str = _FIX) -> None:
    """Raise what is wrong, if anything is: the first of it in words, and how much more there is."""
    if not problems:
        return
    count = len(problems)
    told = [f"  {problem}" for problem in problems[:MAX_REPORTED]]
    if count > MAX_REPORTED:
        told.append(f"  and {count - MAX_REPORTED:,} more")
    what = "\n".join((f"the data set has {count:,} problem{'s' if count > 1 else ''}:", *told))
    raise BadInput(what, where=where, fix=fix)


def refuse_too_long(lengths: Mapping[int, int], limit: int, where: str) -> None:
    """Raise where a line (the key) has more tokens (the value) than one sequence may have."""
    long = {line: length for line, length in lengths.items() if length > limit}
    problems = [f"line {line}: {length:,} tokens" for line, length in sorted(long.items())]
    longest = max(long.values(), default=0)
    fix = f"raise max_tokens to {longest}, shorten them, or set long to truncate: it cuts their ends off"
    refuse([f"{each}; max_tokens is {limit:,}" for each in problems], where, fix)


def refuse_overlap(rows: Sequence[Example], held_out: Sequence[Example], where: str) -> None:
    """Raise where a held-out row is one of those that are trained on: it would measure what was learned by heart."""
    seen = {_identity(row): row.line for row in rows}
    both = [(row.line, seen[_identity(row)]) for row in held_out if _identity(row) in seen]
    told = [f"line {held}: it is trained on as well, there in line {line}" for held, line in both]
    refuse(told, where, "take them out of one of the two files")


def _identity(row: Example) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(row, line=0))


def _refuse_others(data: bytes, kind: type[Example], where: str) -> None:
    """What is no file of lines at all is told once, and not once for each line."""
    if data.startswith(_OTHER_BOMS):
        raise BadInput("the data set is UTF-16, and must be UTF-8", where=where, fix="save it as UTF-8")
    if data.removeprefix(_BOM).lstrip().startswith(b"["):
        fix = f"write each of its objects on a line of its own, like {_example(kind)}"
        raise BadInput("the data set is one JSON list, and must be JSON lines", where=where, fix=fix)


def _row(raw: bytes, kind: type[Example]) -> dict[str, object] | list[str]:
    """The fields of a line, or what is wrong with it."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        return [f"not UTF-8: byte {error.start + 1} is 0x{raw[error.start]:02x}; save the file as UTF-8"]
    twice: list[str] = []
    try:
        value = json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, twice), parse_constant=_no_number)
    except json.JSONDecodeError as error:
        return [f"not JSON: {error.msg}, at column {error.colno}"]
    except (ValueError, RecursionError) as error:
        return [f"not JSON: {error}"]
    if not isinstance(value, dict):
        return [f"not an object but {_sort(value)}; write {_example(kind)}"]
    if twice:
        return [f"{_key(key)} stands twice in one object; keep one of them" for key in twice]
    return _problems(value, kind) or {key: each for key, each in value.items() if key != META}


def _problems(value: dict[str, object], kind: type[Example]) -> list[str]:
    is_dialogue = kind is Demonstration and "messages" in value
    wanted = _DIALOGUE if is_dialogue else _FIELDS[kind]
    missing = [name for name in wanted if name not in value]
    found: list[str] = []
    for key in value:
        if key in wanted or key == META:
            continue
        if is_dialogue and key in _FIELDS[kind]:
            found.append(f"{key} beside messages; keep one or the other")
            continue
        near = nearest(key[:_MAX_KEY_CHARS], tuple(missing) or wanted)
        if near in missing:
            missing.remove(near)
        hint = f"did you mean {near}?" if near else f"known are {', '.join(wanted)}; {META} is for your own"
        found.append(f"unknown field {_key(key)}; {hint}")
    found += [f"{name} is missing; a line is like {_example(kind)}" for name in missing]
    if is_dialogue:
        return found + _messages(value["messages"])
    found += [problem for name in wanted if name in value for problem in _text(name, value[name])]
    if not found and kind in _DIFFER:
        one, other = _DIFFER[kind]
        if value[one] == value[other]:
            found.append(f"{one} and {other} are the same; nothing can be learned from that")
    return found


def _text(name: str, value: object) -> list[str]:
    if not isinstance(value, str):
        quoted = f'; write "{value}"' if isinstance(value, (int, float)) and not isinstance(value, bool) else ""
        return [f"{name} must be text, not {_sort(value)}{quoted}"]
    if name == "better":
        return [] if value in {"a", "b"} else [f'better must be "a" or "b", not {shown(value)}']
    if not value.strip():
        return [f"{name} is blank"]
    if not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
        return [f"{name} holds half a character (\\ud800 to \\udfff), which no text can"]
    return []


def _messages(value: object) -> list[str]:
    if not isinstance(value, list) or not value:
        return [f"messages must be a list of turns, not {_sort(value) if value != [] else 'an empty one'}"]
    found: list[str] = []
    for number, each in enumerate(value, 1):
        at = f"message {number}"
        if not isinstance(each, dict):
            found.append(f"{at} must be an object with role and content, not {_sort(each)}")
            continue
        found += [f"{at}: unknown field {_key(key)}" for key in each if key not in {"role", "content"}]
        role = each.get("role")
        if role not in ROLES:
            near = nearest(role, ROLES) if isinstance(role, str) else ""
            hint = f"did you mean {near}?" if near else f"known are {', '.join(ROLES)}"
            found.append(f"{at}: role is {_key(role) if isinstance(role, str) else _sort(role)}; {hint}")
        if "content" not in each:
            found.append(f"{at}: content is missing")
        else:
            found += [f"{at}: {problem}" for problem in _text("content", each["content"])]
    if not found and value[-1]["role"] != "assistant":
        found.append(f"the last message is the {value[-1]['role']}'s; it must be the assistant's, for it is learned")
    return found


def _once(pairs: list[tuple[str, object]], twice: list[str]) -> dict[str, object]:
    """The object. The plain reader would keep the last of two and say nothing."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice += [name for name in found if names.count(name) > 1]
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _key(key: str) -> str:
    return repr(key[:_MAX_KEY_CHARS])


def _sort(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "an object"


def _example(kind: type[Example]) -> str:
    fields = {name: "a" if name == "better" else "..." for name in _FIELDS[kind]}
    return json.dumps(fields)
