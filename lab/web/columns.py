"""The table of runs of one experiment as columns, to filter and sort it: what was read once is not read again.

Only what is compared is kept. The runs of the page that is shown are read from the table itself, by their offsets.
"""

from __future__ import annotations

import os
import stat
from array import array
from math import isfinite, nan
from sys import intern
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from lab.core import layout
from lab.core.errors import LabError, Unavailable, nearest
from lab.core.run import MINIMIZE
from lab.projections import text
from lab.projections.picture.stairs import KEEP, Walk
from lab.projections.tables import parse_line
from lab.store import reading
from lab.web.asked import FIELD_NUMBERS, FIELD_WORDS, holds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lab.projections.tables import Line
    from lab.store.root import Root
    from lab.web.asked import Term

MOST_PARAMETERS = 64
UNSURE = "unconfirmed"  # as a kind that one can ask for
_BLOCK_BYTES = 1 << 20
_TEXT_CHARS = 400
_WORD_CHARS = 120
Cell = float | str | None


class Judged(NamedTuple):
    """What each run of an experiment is, how far the walks came that say so, and the `mark` of the last of them."""

    kinds: Sequence[str]
    walks: Mapping[str, Walk]
    mark: int


class Columns:
    """One experiment's runs. All of it is called with `lock` held.

    A parameter that is called as a field of ours is meant by `param.NAME`.
    """

    def __init__(self, root: Root, experiment: str) -> None:
        self._root = root
        self._path = root.layout.page(experiment, layout.METRICS_LOG)
        self._way: Callable[[str], str] = lambda _: MINIMIZE
        self.experiment = experiment
        self.lock = Lock()
        self._forget()

    def _forget(self) -> None:
        self._file = 0  # which file it is: a rebuild puts another one in its place
        self._end = 0
        self._last = b""
        self._direction = ""
        self.offsets = array("q")
        self._marks = array("q")  # of each run: which runs there are up to it
        self.texts: list[str] = []
        self.numbers = {name: array("d") for name in FIELD_NUMBERS}
        self.words: dict[str, list[str]] = {name: [] for name in FIELD_WORDS}
        self.params: dict[str, list[Cell]] = {}
        self.params_left_out = False
        self._walks: dict[str, Walk] = {}
        self._judged: Judged | None = None
        self._counts: dict[str, int] = {}  # of each tier, how many runs

    def __len__(self) -> int:
        return len(self.offsets)

    def renew(self, direction: Callable[[str], str]) -> None:
        """Read what was added since. `direction` says of a tier which way its metric goes."""
        told = direction("")
        self._way = direction
        try:
            seen = os.stat(self._path)
        except FileNotFoundError:
            self._forget()
            raise Unavailable("the table of runs is missing", where=self._path, fix="labctl refresh") from None
        if not stat.S_ISREG(seen.st_mode):
            self._forget()
            raise Unavailable("the table of runs is no file", where=self._path, fix="labctl refresh")
        if self._file and not self._goes_on(seen, told):
            self._forget()
        self._file, self._direction = seen.st_ino, told
        is_whole = False
        try:
            self._read_on()
            is_whole = True
        finally:
            if not is_whole:  # of a block with a damaged line some were added: what is left would not fit the table
                self._forget()

    def _read_on(self) -> None:
        for begin, data in reading.lines_from(self._path, self._end, _BLOCK_BYTES):
            position = 0
            while position < len(data):
                stop = data.index(b"\n", position)
                self._add(begin + position, data[position:stop])
                self._last = data[position:stop]
                position = stop + 1
            self._end = begin + len(data)

    def _goes_on(self, seen: os.stat_result, direction: str) -> bool:
        """Whether the table is the one that was read, with nothing but more at its end."""
        if seen.st_ino != self._file or seen.st_size < self._end or direction != self._direction:
            return False
        if seen.st_size == self._end or not self.offsets:
            return True
        return self._bytes(self.offsets[-1], len(self._last)) == self._last

    def _add(self, offset: int, raw: bytes) -> None:
        line = parse_line(raw, self._path)
        count = len(self.offsets)
        self.offsets.append(offset)
        self._marks.append(mark(line.run_id, self._marks[-1] if count else 0))
        number = self._counts[line.tier] = self._counts.get(line.tier, 0) + 1  # as in the staircase of its tier
        self.numbers["n"].append(number)
        self.numbers["value"].append(nan if line.value is None or not line.scored else line.value)
        self.numbers["took"].append(line.ran.wall_s)
        self.numbers["cost"].append(line.ran.cost)
        for name, word in _words(line):
            self.words[name].append(intern(word[:_WORD_CHARS]))
        self.words["kind"].append(self._walk(line.tier).kind(line))
        shown = []
        for name, given in (line.params or {}).items():
            cell = _cell(given)
            shown.append(f"{name}={cell}")
            column = self.params.get(name)
            if column is None:
                if len(self.params) >= MOST_PARAMETERS:
                    self.params_left_out = True
                    continue
                column = self.params[name] = [None] * count
            column.append(cell)
        for column in self.params.values():
            if len(column) <= count:
                column.append(None)
        said = f"{line.run_id} {line.ran.said} {line.source.note} {' '.join(shown)}"
        self.texts.append(text.line(said, _TEXT_CHARS).lower())

    def judged(self, told: Judged) -> bool:
        """Say of each run what was found of it, and go on from there: newer runs are held against the same noise.

        A tier that it did not have yet is judged as one of whose noise nothing is known. False, and nothing is said,
        where it was found of other runs: one that history puts first moves all others.
        """
        count = len(told.kinds)
        if told is self._judged:
            return True
        if count > len(self) or (count and self._marks[count - 1] != told.mark):
            return False
        self._judged, self._walks = told, {tier: walk.fork() for tier, walk in told.walks.items()}
        self.words["kind"][:count] = told.kinds
        for place, line in self.lines(range(count, len(self))):
            self.words["kind"][place] = self._walk(line.tier).kind(line)
        return True

    def _walk(self, tier: str) -> Walk:
        return self._walks.get(tier) or self._walks.setdefault(tier, Walk(self._way(tier), None))

    # -- asking ----------------------------------------------------------------------------------------------------

    def chosen(self, terms: Sequence[Term], metric: str) -> tuple[list[int], list[str]]:
        """The runs, by their place from 0, of which all terms are true; and what is wrong with terms left out."""
        kept = list(range(len(self)))
        problems = []
        for term in terms:
            try:
                test = self._test(term, metric)
            except LabError as error:
                problems.append(f"{error.what}: {error.fix}" if error.fix else error.what)
                continue
            kept = [place for place in kept if test(place) is not term.negated]
        return kept, problems

    def _test(self, term: Term, metric: str) -> Callable[[int], bool]:
        name, number = term.field, term.number
        if not name:
            texts, wanted, words = self.texts, term.text, tuple(self.words.values())
            return lambda place: wanted in texts[place] or any(each[place].lower() == wanted for each in words)
        if name == metric and name not in (*self.params, *FIELD_WORDS):
            name = "value"
        if name in self.numbers:
            if number is None:
                raise _no_number(term)
            column = self.numbers[name]
            return lambda place: isfinite(column[place]) and holds(term.sign, column[place], number)
        if name == "kind" and UNSURE in term.any_of:
            return self._kind(term)
        if name in FIELD_WORDS:
            return _among(term, self.words[name])
        cells = self.params.get(name.removeprefix("param."))
        if cells is None:
            raise self._unknown(name)
        if term.sign in (":", "=", "!=") and number is None:
            return _among(term, ["" if each is None else str(each) for each in cells])
        if number is None:
            raise _no_number(term)
        return lambda place: _holds(term.sign, cells[place], number)

    def _kind(self, term: Term) -> Callable[[int], bool]:
        """A keep that no test confirmed is a keep, and has a word of its own besides."""
        test, unlike, unsure = _among(term, self.words["kind"]), term.sign == "!=", self.unsure()
        return lambda place: ((test(place) is not unlike) or unsure(place)) is not unlike

    def unsure(self) -> Callable[[int], bool]:
        """Says of a run by its place whether it was kept and the noise may be all of it."""
        steps = {tier: {at for at, unsure in walk.steps if unsure} for tier, walk in self._walks.items()}
        tiers, kinds, numbers = self.words["tier"], self.words["kind"], self.numbers["n"]
        return lambda place: kinds[place] == KEEP and int(numbers[place]) - 1 in steps.get(tiers[place], ())

    def _unknown(self, name: str) -> LabError:
        known = (*FIELD_NUMBERS, *FIELD_WORDS, *self.params)
        near = nearest(name, known)
        more = f" (only the first {MOST_PARAMETERS} parameters can be compared)" if self.params_left_out else ""
        fix = f"did you mean {near}?{more}" if near else f"there are {', '.join(known[:16])}{more}"
        return LabError(f"no run has {text.line(name, 60)}", fix=text.line(fix, 300))

    def ordered(self, places: Iterable[int], by: str, *, upwards: bool, tier: str, direction: str) -> list[int]:
        """The same runs by a column. Those that have nothing there come last, whichever way.

        By `value`, `upwards` is from the best on; values of two tiers are not compared: those of `tier` come first.
        """
        if by == "n":  # of all tiers together: in the order of history
            return sorted(places, reverse=not upwards)
        if by in self.numbers:
            numbers = self.numbers[by]
            sign = -1.0 if by == "value" and direction != MINIMIZE else 1.0
            sign = sign if upwards else -sign
            tiers = self.words["tier"]
            if by == "value":
                return sorted(
                    places,
                    key=lambda place: (
                        tiers[place] != tier, tiers[place], not isfinite(numbers[place]), sign * numbers[place]
                        if isfinite(numbers[place]) else 0.0, place,
                    ),
                )  # fmt: skip
            return sorted(places, key=lambda place: (sign * numbers[place], place))
        cells: Sequence[Cell] = self.words.get(by) or self.params.get(by.removeprefix("param."), [])
        if not cells:
            return sorted(places, reverse=True)
        full = [place for place in places if cells[place] not in (None, "")]
        empty = [place for place in places if cells[place] in (None, "")]
        return [*sorted(full, key=lambda place: _order(cells[place]), reverse=not upwards), *empty]

    def can_sort_by(self, name: str) -> bool:
        return name in self.numbers or name in self.words or name.removeprefix("param.") in self.params

    def lines(self, places: Iterable[int]) -> list[tuple[int, Line]]:
        """These runs as the table has them, each with its place."""
        found = []
        for place in places:
            begin = self.offsets[place]
            stop = self.offsets[place + 1] if place + 1 < len(self) else self._end
            found.append((place, parse_line(self._bytes(begin, stop - begin), self._path)))
        return found

    def _bytes(self, begin: int, count: int) -> bytes:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return b""
        try:
            return os.pread(descriptor, count, begin)
        finally:
            os.close(descriptor)


def mark(run_id: str, before: int) -> int:
    """Of a run, given that of the run before it (0 for the first): the same only where all runs up to it are."""
    return hash((before, run_id))


def _words(line: Line) -> Iterable[tuple[str, str]]:
    return zip(
        FIELD_WORDS[:-1], (line.outcome, line.verdict, line.tier, line.role, line.maker, line.ran.worker), strict=True
    )


def _cell(given: object) -> Cell:
    if isinstance(given, bool) or given is None:
        return intern(str(given).lower())
    if isinstance(given, int | float):
        return float(given) if abs(given) < 1e300 else str(given)[:_WORD_CHARS]  # noqa: PLR2004  # beyond, no float
    return intern(text.line(str(given), _WORD_CHARS))


def _holds(sign: str, cell: Cell, number: float) -> bool:
    return isinstance(cell, float) and holds("=" if sign == ":" else sign, cell, number)


def _among(term: Term, column: Sequence[str]) -> Callable[[int], bool]:
    if term.sign not in (":", "=", "!="):
        raise LabError(f"{text.line(term.field, 60)} is not a number", fix=f"{text.line(term.field, 60)}:WORD")
    wanted, unlike = term.any_of, term.sign == "!="
    return lambda place: (column[place].lower() in wanted) is not unlike


def _order(cell: Cell) -> tuple[bool, float, str]:
    return (True, 0.0, cell.lower()) if isinstance(cell, str) else (False, cell or 0.0, "")


def _no_number(term: Term) -> LabError:
    name = text.line(term.field, 60)
    return LabError(f"{name} is a number, and {text.line(term.text, 60)} is none", fix=f"{name}<1")
