"""What one source told of a run: its numbers, the rules by which they count, and the words beside them."""

from __future__ import annotations

import json
import math
import re
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout

if TYPE_CHECKING:
    from collections.abc import Mapping

VALUE = "value"
NAME_CHARS = 64
LARGEST_METRICS_BYTES = 1 << 20
LONGEST_LINE_BYTES = 1 << 16  # a longer line of the log is passed over whole
MOST_NAMES = 256
MOST_SIGNALS = 16
NOTE_CHARS = 500
MOST_REMARKS = 8
SHOWN_CHARS = 60
_FIRST = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_µ")
DECIMAL = "0123456789+-.eE"
_NOT_FINITE = ("nan", "inf", "infinity")
# Columns of the tables that runs are listed in, and names that mean something else to a reader in JavaScript.
_COLUMNS = frozenset({
    "asi", "commit", "confidence", "cost", "description", "experiment", "iteration", "metric", "metrics", "note",
    "outcome", "run", "run_id", "segment", "signals", "status", "timestamp", "type", "verdict",
})  # fmt: skip
_PROTOTYPE = frozenset({
    "__proto__", "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "prototype",
    "toLocaleString", "toString", "valueOf",
})  # fmt: skip


class Told(msgspec.Struct, kw_only=True):
    """What one source told. A `value` of NaN is one that the run gave and that does not count."""

    value: float | None = None
    metrics: dict[str, float] = {}
    remarks: list[str] = []
    problem: str = ""
    note: str = ""
    cost: float = 0.0
    signals: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()  # remarks on what was told with different values: the last one counts

    def remark(self, text: str) -> None:
        if len(self.remarks) < MOST_REMARKS and text not in self.remarks:
            self.remarks.append(text)


class Unusable(ValueError):
    """Why metrics.json does not count, as the second half of a sentence."""


def parse(data: bytes, metric: str) -> Told:
    """What the text of a metrics.json tells."""
    try:
        read_as = json.loads(data.decode())
    except UnicodeDecodeError:
        raise Unusable("is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise Unusable(f"is not JSON ({error})") from None
    if not isinstance(read_as, dict):
        raise Unusable(f'holds {_kind(read_as)}, and no object such as {{"value": 0.5}}')
    told = Told()
    # The lab's own metrics.json says `value: null` for a run without one: it must read as it did the first time.
    has_no_value = VALUE in read_as and read_as[VALUE] is None
    named = None if has_no_value or not metric else _number(read_as.get(metric))
    key = VALUE if not metric or (VALUE in read_as and named is None) else metric
    given = read_as.get(key)
    if given is not None:
        told.value = _number(given)
        if told.value is None:
            raise Unusable(f"says {key}: {_kind(given)}, which is no number")
        told.metrics[metric or VALUE] = told.value
    for name, each in read_as.items():
        number = _number(each)
        if (
            number is not None
            and name not in (VALUE, metric)
            and is_name(name, metric)
            and len(told.metrics) < MOST_NAMES
        ):
            told.metrics[name] = number
            if not math.isfinite(number):
                told.remark(f"{name} is not a finite number, and was left out")
    other = _number(read_as.get(VALUE)) if key != VALUE else None
    if other is not None and other != told.value:
        told.remark(f"{layout.METRICS} says {metric} {told.value!r} and value {other!r}; {metric} counts")
    _about_the_run(read_as, told)
    return told


def _about_the_run(given: Mapping[str, object], told: Told) -> None:
    note = given.get("note") or given.get("description") or ""
    if isinstance(note, str):
        told.note = _one_line(note)
    else:
        told.remark(f"note is {_kind(note)}, and was left out")
    cost = given.get("cost")
    if cost is not None:
        number = _number(cost)
        if number is not None and math.isfinite(number) and number >= 0:
            told.cost = number
        else:
            told.remark("cost is no number of at least 0, and was left out")
    signals = given.get("signals")
    if signals is not None:
        words = signals if isinstance(signals, list) else []
        good = [word for word in words if isinstance(word, str) and _signal().fullmatch(word)]
        told.signals = tuple(dict.fromkeys(good))[:MOST_SIGNALS]
        if not isinstance(signals, list) or len(told.signals) != len(words):
            told.remark(f"of signals only the first {MOST_SIGNALS} different words count; the rest was left out")


def _number(given: object) -> float | None:
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        return None
    try:
        return float(given)
    except OverflowError:
        return math.inf


def _kind(given: object) -> str:
    kinds = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return kinds.get(type(given), "null")


def _one_line(text: str) -> str:
    plain = text[: NOTE_CHARS * 2].encode(errors="replace").decode()
    return " ".join("".join(each if each.isprintable() else " " for each in plain).split())[:NOTE_CHARS]


@cache
def _signal() -> re.Pattern[str]:
    return re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


def is_form(name: str) -> bool:
    """Whether it is spelt like the name of a metric. Not a regex: compiling one costs as much as reading a run."""
    if not 0 < len(name) <= NAME_CHARS or name[0] not in _FIRST:
        return False
    return all(each.isalnum() or each in "_./-" for each in name)


def is_name(name: str, metric: str) -> bool:
    """Whether a metric may be called so. The one that counts may have the name of a column: the SPEC says so."""
    return name not in _PROTOTYPE and (name == metric or name not in _COLUMNS) and is_form(name)


def decimal_of(text: str) -> float | None:
    """A number as people write it; NaN for one that is not finite; None for everything else, hex included."""
    if not text or len(text) > SHOWN_CHARS:
        return None
    if text.strip(DECIMAL):  # float() reads more than people write: 1_000, and digits of other scripts
        return math.nan if text.lower().lstrip("+-") in _NOT_FINITE else None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else math.nan
