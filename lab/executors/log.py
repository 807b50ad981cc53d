"""The log of a run, read as a stream for the numbers in it."""

from __future__ import annotations

import math
import os
import stat

from lab.executors import told as rules
from lab.executors.told import Told, Unusable

_DECIMAL = rules.DECIMAL.encode()


class Log:
    """A log, read in pieces of any size. What comes out does not depend on where it was cut."""

    __slots__ = (
        "_block", "_differing", "_in_block", "_known", "_last", "_lines", "_metric", "_rest", "_told", "_too_long",
    )  # fmt: skip

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._rest = b""
        self._too_long = False
        self._in_block = False
        self._last = b""
        self._lines: dict[str, float] = {}
        self._block: dict[str, float] = {}
        self._differing: dict[str, None] = {}
        self._known: dict[bytes, str] = {}  # names that were found to be names: a log repeats the same few
        self._told = Told()

    def feed(self, piece: bytes) -> None:
        """The next bytes of it."""
        if self._too_long:
            _, newline, piece = piece.partition(b"\n")
            if not newline:
                return
            self._pass_over()
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._rest) > rules.LONGEST_LINE_BYTES:
            self._rest, self._too_long = b"", True

    def end(self) -> Told:
        """There is no more: what it told."""
        if self._too_long:
            self._pass_over()
        elif self._rest:
            self._line(self._rest)
        self._rest = b""
        told = self._told
        told.metrics = {**self._block, **self._lines}
        for source in (self._lines, self._block):
            told.value = source.get(self._metric, source.get(rules.VALUE)) if self._metric else source.get(rules.VALUE)
            if told.value is not None:
                break
        else:
            self._last_line(told)
        told.differing = tuple(
            f"{name} was told with different values; the last one counts" for name in self._differing
        )
        for words in told.differing:
            told.remark(words)
        return told

    def _line(self, line: bytes) -> None:
        if len(line) > rules.LONGEST_LINE_BYTES:
            self._pass_over()
            return
        if b"\r" in line:  # what a terminal would show of a line that was written over
            line = line.rstrip(b"\r \t").rpartition(b"\r")[2]
        if line.startswith((b"METRIC ", b"METRIC\t")):
            self._last = line
            self._take(self._lines, line[6:], b"=")
            return
        bare = line.strip()
        if not bare:
            return
        self._last = bare
        if bare == b"---":
            self._in_block = True
        elif self._in_block:
            self._in_block = line[:1] not in (b" ", b"\t") and self._take(self._block, line, b":")

    def _pass_over(self) -> None:
        self._too_long, self._in_block, self._last = False, False, b""

    def _take(self, into: dict[str, float], line: bytes, sign: bytes) -> bool:
        """Keep `name=value`. Whether it had that form, whatever the value."""
        key, _, given = line.partition(sign)
        known = self._known.get(key)
        if known is not None and known in into and (plain := _plain(given.strip())) is not None:
            self._keep(into, known, plain)
            return True
        try:
            name, found, text = line.decode().partition(sign.decode())
        except UnicodeDecodeError:
            return False
        name, text = name.strip(), text.strip()
        if not found or not rules.is_form(name):
            return False
        number = rules.decimal_of(text)
        if not rules.is_name(name, self._metric):
            if number is not None:
                self._told.remark(f"{name} is a name that no metric may have, and was left out")
        elif number is None:
            if sign == b"=":
                self._told.remark(f"METRIC {name} is no decimal number: {text[: rules.SHOWN_CHARS]!r}")
        elif name in into or len(into) < rules.MOST_NAMES or name in (self._metric, rules.VALUE):
            if len(self._known) < rules.MOST_NAMES:
                self._known[key] = name
            self._keep(into, name, number)
        else:
            self._told.remark(f"of more than {rules.MOST_NAMES} metrics the rest was left out")
        return True

    def _keep(self, into: dict[str, float], name: str, number: float) -> None:
        before = into.get(name, number)
        if before != number and _differ(before, number) and len(self._differing) < rules.MOST_REMARKS:
            self._differing[name] = None
        into[name] = number

    def _last_line(self, told: Told) -> None:
        """A log whose last line is a number, or an object with one."""
        try:
            text = self._last.strip().decode()
        except UnicodeDecodeError:
            return
        if not text.startswith("{"):
            told.value = rules.decimal_of(text)
            if told.value is not None:
                told.metrics[self._metric or rules.VALUE] = told.value
            return
        try:
            object_told = rules.parse(self._last, self._metric)
        except Unusable:
            return
        told.value = object_told.value
        told.metrics = {**object_told.metrics, **told.metrics}
        told.note, told.cost, told.signals = object_told.note, object_told.cost, object_told.signals


def _plain(given: bytes) -> float | None:
    """A finite number in plain digits, read fast; None for what has to be looked at closely."""
    if not 0 < len(given) <= rules.SHOWN_CHARS or given.strip(_DECIMAL):
        return None
    try:
        number = float(given)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _differ(one: float, other: float) -> bool:
    """Two values that are no numbers are the same: a NaN that was told once was not told differently."""
    return one != other and not (math.isnan(one) and math.isnan(other))


def open_plain(path: str) -> int | None:
    """A file of the run, opened for reading. None for what is none: a link, a pipe, a folder, nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None
