"""The runs of an experiment as a table that can be filtered and sorted: 10,000 of them without a wait."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from lab.projections import text
from lab.web import asked
from lab.web.asked import Term

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.projections.tables import Line
    from lab.scheduler.results.present import Present
    from lab.web.columns import Columns
    from lab.web.live import Live

A_PAGE = 100
MOST_CHOICES = 50
_PARAMS_CHARS = 160
_SAYS_CHARS = 160
HEADS = (
    ("n", "#"), ("kind", "what it was"), ("tier", "tier"), ("value", "value"), ("by", "by"), ("took", "took"),
    ("cost", "cost"), ("worker", "worker"),
)  # fmt: skip
_UPWARDS = frozenset({"value", "tier", "by", "worker", "kind", "outcome"})  # what one wants first: the best, or "a"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What of the runs is asked for, as an address says it."""

    typed: str = ""
    outcome: str = ""
    tier: str = ""
    sort: str = ""  # a column; with a minus before it, the other way round
    page: int = 1

    @property
    def by(self) -> str:
        return self.sort.removeprefix("-")

    def address(self, **changed: str) -> str:
        """The query of the same question, with something changed."""
        given = {"q": self.typed, "outcome": self.outcome, "tier": self.tier, "sort": self.sort,
                 "page": str(self.page) if self.page > 1 else "", **changed}  # fmt: skip
        return "?" + urlencode({name: value for name, value in given.items() if value})


class ListedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `n` is that of the staircase of its tier."""

    n: int
    run_id: str
    kind: str
    outcome: str
    tier: str
    value: float | None
    by: str
    began: str
    took_s: float
    cost: float
    worker: str
    params: str
    says: str
    is_best: bool
    unsure: bool  # of a keep: no test told it from the noise


class ColumnHead(msgspec.Struct, frozen=True, kw_only=True):
    """The head of a column: where a click on it leads, and how the rows are sorted by it now."""

    name: str
    words: str
    address: str
    sorted: str = ""  # ascending or descending, as ARIA says it


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the table."""

    question: Question
    rows: tuple[ListedRun, ...]
    heads: tuple[ColumnHead, ...]
    total: int  # runs there are
    found: int  # of which so many are as asked
    pages: int
    problems: tuple[str, ...]
    outcomes: tuple[str, ...]
    tiers: tuple[str, ...]
    params: tuple[str, ...]
    has_cost: bool
    has_makers: bool
    sorts: tuple[tuple[str, str], ...]
    may_compare: bool = True
    missed_outcome: bool = False  # nothing was found, and an outcome was asked for


def question(query: Mapping[str, str]) -> Question:
    """From the fields of an address. A page number that is none is the first page."""
    page = query.get("page", "")
    number = int(page) if page.isascii() and page.isdigit() and len(page) < 8 else 1  # noqa: PLR2004  # pages, not more
    return Question(
        typed=query.get("q", "")[: 2 * asked.MOST_CHARS],
        outcome=text.line(query.get("outcome", ""), 40),
        tier=text.line(query.get("tier", ""), 64),
        sort=query.get("sort", "")[:200],
        page=max(1, number),
    )


def answer(live: Live, at: Present, wanted: Question) -> Answered:
    """The page that was asked for; of what was not understood, nothing but a word."""
    name = at.view.experiment
    table = live.table(name)
    with table.lock:
        table.renew(at.direction)
        if not table.judged(live.judged(name)):  # a run has ended since, or one was imported that comes before others
            told = live.judge(name)
            table.renew(at.direction)
            table.judged(told)
        return _answered(table, at, wanted)


def _answered(table: Columns, at: Present, wanted: Question) -> Answered:
    read = asked.parse(wanted.typed)
    chosen = (("outcome", wanted.outcome), ("tier", wanted.tier))
    terms = (*read.terms, *(Term(text=word, field=field, sign=":") for field, word in chosen if word))
    places, problems = table.chosen(terms, at.metric)
    by = wanted.by or "n"
    if not table.can_sort_by(by):
        problems.append(f"there is no column {text.line(by, 60)} to sort by")
        by = "n"
    upwards = (by in _UPWARDS) is not wanted.sort.startswith("-")
    tier = wanted.tier or at.view.tier
    places = table.ordered(places, by, upwards=upwards, tier=tier, direction=at.direction(tier))
    pages = max(1, -(-len(places) // A_PAGE))
    page = min(wanted.page, pages)
    best = at.view.best.run_id if at.view.best else ""
    shown, unsure = table.lines(places[(page - 1) * A_PAGE : page * A_PAGE]), table.unsure()
    return Answered(
        question=msgspec.structs.replace(wanted, page=page),
        rows=tuple(_row(table, place, line, best, unsure=unsure(place)) for place, line in shown),
        heads=tuple(_head(name, words, wanted, by, upwards=upwards) for name, words in HEADS),
        total=len(table),
        found=len(places),
        pages=pages,
        problems=(*read.problems, *problems),
        outcomes=_choices(table, "outcome"),
        tiers=_choices(table, "tier"),
        params=tuple(table.params)[:MOST_CHOICES],
        has_cost=any(table.numbers["cost"]),
        has_makers=any(table.words["by"]),
        sorts=_sorts(table, wanted),
        missed_outcome=not places and any(term.field == "outcome" and not term.negated for term in terms),
    )


def _choices(table: Columns, field: str) -> tuple[str, ...]:
    return tuple(sorted(set(table.words[field]))[:MOST_CHOICES])


def _sorts(table: Columns, wanted: Question) -> tuple[tuple[str, str], ...]:
    """What one can sort by: the columns, the parameters, and what it is sorted by now."""
    found = {"value": "best first", "-value": "worst first", "n": "oldest first", "-took": "longest first",
             "-cost": "dearest first"}  # fmt: skip
    for name in tuple(table.params)[:MOST_CHOICES]:
        found |= {f"param.{name}": f"{name}, upwards", f"-param.{name}": f"{name}, downwards"}
    if wanted.sort:
        found.setdefault(wanted.sort, wanted.sort)
    return tuple(found.items())


def plain_heads() -> tuple[ColumnHead, ...]:
    """The heads of a table that is not sorted by a click."""
    return tuple(ColumnHead(name=name, words=words, address="") for name, words in HEADS)


def _head(name: str, words: str, wanted: Question, by: str, *, upwards: bool) -> ColumnHead:
    """A click sorts by this column; on the one that is sorted by, the other way round."""
    is_here = name == by
    turned = "-" if is_here and not wanted.sort.startswith("-") else ""
    direction = ("ascending" if upwards else "descending") if is_here else ""
    return ColumnHead(name=name, words=words, address=wanted.address(sort=f"{turned}{name}", page=""), sorted=direction)


def _row(table: Columns, place: int, line: Line, best: str, *, unsure: bool) -> ListedRun:
    params = ", ".join(f"{name}={_given(value)}" for name, value in (line.params or {}).items())
    return ListedRun(
        n=int(table.numbers["n"][place]),
        run_id=line.run_id,
        kind=table.words["kind"][place],
        outcome=line.verdict or line.outcome,
        tier=line.tier,
        value=line.value if line.scored else None,
        by=text.line(line.maker, 40),
        began=line.ran.began or line.ts,
        took_s=line.ran.wall_s,
        cost=line.ran.cost,
        worker=text.line(line.ran.worker, 40),
        params=text.line(params, _PARAMS_CHARS),
        says=text.line(line.ran.said, _SAYS_CHARS),
        is_best=line.run_id == best,
        unsure=unsure,
    )


def _given(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else text.line(str(value), 60)
