"""All hosts of a project, asked together: one that fails is told, and does not stop the others.

What each answered is kept below `lit/raw/`, by its digest, before anything is made of it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from lab.research import source
from lab.research.literature import checking
from lab.research.literature.asking import Asker
from lab.research.literature.entry import Entry, Unanswered
from lab.research.literature.hosts import HOSTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.research.literature.caching import Answer
    from lab.research.literature.checking import Checked
    from lab.research.literature.entry import Page, Route
    from lab.research.worker import Task

PATIENCE = 2  # failures in a row, after which a host is left alone
_SHARE = 0.7  # of the time for searches; the rest is for checks
_FEW = 2  # terms that are looked for where all of them together are in no paper


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A paper as a host told it, and where that stands."""

    entry: Entry
    host: str
    raw: str
    raw_sha256: str
    fetched_at: str


class Line(msgspec.Struct):
    """How it goes with one host."""

    asker: Asker
    answers: int = 0
    problems: list[str] = []
    in_a_row: int = 0

    @property
    def is_open(self) -> bool:
        return self.in_a_row < PATIENCE


class Desk:
    """`refused` are hosts that could not be asked at all."""

    def __init__(self, task: Task, until_s: float) -> None:
        self.lines: dict[str, Line] = {}
        self.refused: dict[str, str] = {}
        self._task = task
        self._until_s = until_s
        settings = task.project.literature
        for name in () if settings.offline else dict.fromkeys(settings.hosts):
            try:
                self.lines[name] = Line(asker=Asker(task.root, HOSTS[name], settings, task.interrupted))
            except Unanswered as wrong:
                self.refused[name] = f"{name}: {wrong.what}"

    def problems(self) -> dict[str, str]:
        """Hosts that failed -> the first thing that went wrong."""
        return {**self.refused, **{name: line.problems[0] for name, line in self.lines.items() if line.problems}}

    def silent(self) -> tuple[str, ...]:
        """Hosts that answered nothing."""
        return (*self.refused, *(name for name, line in self.lines.items() if line.problems and not line.answers))

    def search(self, queries: tuple[tuple[str, ...], ...], most: int) -> dict[tuple[str, tuple[str, ...]], list[Found]]:
        """What each host has for each query, the best first, at most so many."""
        found: dict[tuple[str, tuple[str, ...]], list[Found]] = {}
        began = time.monotonic()
        end_s = began + max(self._until_s - began, 0.0) * _SHARE
        for left, line in zip(range(len(self.lines), 0, -1), self.lines.values(), strict=True):
            now = time.monotonic()
            until_s = now + max(end_s - now, 0.0) / left
            for terms in queries:
                key = (line.asker.host.NAME, terms)
                found[key] = list(self._all(line, terms, most, until_s))
                if not found[key] and not line.in_a_row and len(terms) > _FEW:
                    found[key] = list(self._all(line, terms[:_FEW], most, until_s))
        return found

    def check(self, claim: Entry) -> tuple[Checked | None, Found | None, str]:
        """What hosts say of a claim, and what it was compared with. None where nobody who would know could be asked."""
        best: tuple[Checked, Found] | None = None
        asked: list[str] = []
        for line in self.lines.values():
            host = line.asker.host
            for route in host.look_up(claim):
                answer = self._page(line, route, "", self._until_s)
                if answer is None:
                    break
                found = answer[1]
                asked += [host.NAME] if host.covers(claim) and host.NAME not in asked else []
                checked = checking.check(claim, [each.entry for each in found])
                if checked.status == source.VERIFIED:
                    return checked, found[checked.index], ""
                if checked.status == source.MISMATCH and best is None:
                    best = checked, found[checked.index]
        if best is not None:
            return (*best, "")
        if asked:
            why = f"{' and '.join(asked)} were asked" if len(asked) > 1 else f"{asked[0]} was asked"
            return checking.Checked(status="not_found", why=f"{why}, and nothing that was found is this"), None, ""
        return None, None, self._why_nobody()

    def _why_nobody(self) -> str:
        wrong = self.problems()
        if wrong:
            return f"nobody could be asked: {'; '.join(wrong.values())}"
        if self.lines:
            return f"{' and '.join(self.lines)} would not know it: it has no number there"
        return "nobody was asked: offline"

    def _all(self, line: Line, terms: tuple[str, ...], most: int, until_s: float) -> Iterator[Found]:
        """Page after page, to the end or until there is enough."""
        host, at, seen = line.asker.host, "", 0
        most = min(most, host.MOST)
        told: set[str] = set()
        while seen < most:
            # Pages of one size: where the next one begins is counted in entries.
            answer = self._page(line, host.search(terms, at, min(most, host.PAGE)), at, until_s)
            if answer is None:
                return
            page, found = answer
            fresh = [each for each in found if each.entry.title and each.entry.title + each.entry.url not in told]
            told |= {each.entry.title + each.entry.url for each in fresh}
            yield from fresh[: most - seen]
            seen += len(found)
            if not page.following or not fresh:  # one that shows the same again would do so for ever
                return
            at = page.following

    def _page(self, line: Line, route: Route, at: str, until_s: float) -> tuple[Page, list[Found]] | None:
        if not line.is_open:
            return None
        try:
            page, answer, body = line.asker.ask(route, at, until_s)
        except Unanswered as wrong:
            line.in_a_row += 1
            line.problems.append(f"{wrong.what} ({wrong.where})")
            self._task.say(f"{wrong.what} ({wrong.where})")
            return None
        line.answers += 1
        line.in_a_row = 0
        return page, self._kept(line, page, answer, body)

    def _kept(self, line: Line, page: Page, answer: Answer, body: bytes) -> list[Found]:
        host = line.asker.host
        raw = f"{source.RAW}{host.NAME}-{answer.sha256[:16]}.{host.SUFFIX}"
        if page.entries:
            self._task.out.write(raw, body)
        return [
            Found(entry=each, host=host.NAME, raw=raw, raw_sha256=answer.sha256, fetched_at=answer.fetched_at)
            for each in page.entries
        ]
