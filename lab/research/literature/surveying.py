"""A survey: search the hosts, look up what the user has, and write down what came of both."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Unavailable
from lab.research import declared, source
from lab.research.literature import own, phrase, review, rows, sourcing
from lab.research.literature.asking import FIX, OFFLINE
from lab.research.literature.searching import Desk
from lab.research.project import LITERATURE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.research.literature.searching import Found, Line
    from lab.research.source import Source
    from lab.research.worker import Task

MINIMAL = 5  # papers of each host, where it is only to be seen whether somebody did this before
_WORDS_OF_A_QUERY = 4
_RESERVE = 0.1  # of the time: for writing what was found
_RESERVE_S = 10.0


class Survey(msgspec.Struct, kw_only=True):
    """What is known so far."""

    desk: Desk
    shelf: sourcing.Shelf
    queries: tuple[tuple[str, ...], ...]
    most: int
    minimal: bool
    problems: list[str] = []


def survey(task: Task) -> Mapping[str, float]:
    """All of it. `Unavailable` where hosts were asked, every one failed, and the user has no source either."""
    settings = task.project.literature
    minimal = LITERATURE in declared.mode(task.project.mode).minimal
    job = Survey(
        desk=desk(task),
        shelf=sourcing.Shelf(task.out, phrase.stems(phrase.keywords(about(task), 40))),
        queries=queries(task),
        most=min(settings.most, MINIMAL) if minimal else settings.most,
        minimal=minimal,
    )
    found = _searched(task, job)
    mine = own.read(task)
    job.problems += mine.problems
    _shelve_own(task, job, mine)
    _shelve_found(job, found)
    refuse_silence(job.desk, job.shelf.rows)
    task.out.write(source.REVIEW, review.page(_told(task, job, found)))
    rows.leave(task.out, job.shelf.rows)
    return _metrics(job)


def desk(task: Task) -> Desk:
    """The hosts, with the time that the phase has for them."""
    left_s = max(task.until_s - time.monotonic(), 0.0)
    return Desk(task, task.until_s - min(left_s * _RESERVE, _RESERVE_S))


def refuse_silence(desk: Desk, found: Sequence[Source]) -> None:
    """Nothing was found, and every host that there is failed: that says nothing about what there is to find."""
    asked = (*desk.lines, *desk.refused)
    if not found and asked and set(asked) == set(desk.silent()):
        what = f"no host answered, and {OFFLINE} asks none"  # first: what is long is cut, and this is the cure
        raise Unavailable(f"{what}: {'; '.join(desk.problems().values())}", where=source.FILE, fix=FIX)


def about(task: Task) -> str:
    """The topic and the hypothesis, as they were written. Data, whatever is in them."""
    given = (task.given.read(name)[:20_000] for name in task.given.names("folder:hypothesis/"))
    return "\n".join([task.project.topic, *(each.decode(errors="replace") for each in given)])


def queries(task: Task) -> tuple[tuple[str, ...], ...]:
    """The terms that hosts are asked for: as the project says them, else what topic and hypothesis are about."""
    given = tuple(phrase.terms(each) for each in task.project.literature.queries)
    if any(given):
        return tuple(dict.fromkeys(each for each in given if each))
    texts = (task.project.topic, _hypothesis(about(task)))
    made = (phrase.keywords(each, _WORDS_OF_A_QUERY) for each in texts)
    return tuple(dict.fromkeys(each for each in made if each))


def _hypothesis(text: str) -> str:
    """Without the keys of its file, or `direction` would be what it is about."""
    lines = (
        line.partition(":")[2] if line.partition(":")[0].strip().isidentifier() else line for line in text.split("\n")
    )
    return "\n".join(lines)


def _searched(task: Task, job: Survey) -> dict[str, list[list[Found]]]:
    """By host, a list for each query."""
    found: dict[str, list[list[Found]]] = {name: [] for name in job.desk.lines}
    if job.desk.lines and job.queries:
        task.say(f"searching {', '.join(job.desk.lines)} for {'; '.join(' '.join(each) for each in job.queries)}")
    for (host, _), entries in job.desk.search(job.queries, job.most).items():
        found[host].append(entries)
    return found


def _shelve_own(task: Task, job: Survey, mine: own.Read) -> None:
    """The user's come first: their keys are theirs. One that is in two files is taken from the first."""
    asks = None if task.project.literature.offline else job.desk
    seen: list[Source] = []
    titles: dict[str, str] = {}
    for each in mine.sources:
        title = phrase.folded(each.claim.title) if each.is_claim else ""
        if title and title in titles:
            job.problems.append(f"{each.file}: {each.key} is the same as {titles[title]}, and left out")
            continue
        row, text = sourcing.of_own(each, asks)
        placed = job.shelf.place(row, text)
        titles[title] = placed.key
        if placed.key != each.key:
            job.problems.append(f"{each.file}: {each.key} is called {placed.key} here")
        seen.append(placed)
    if seen:
        task.say(f"{len(seen)} of your own sources were read")


def _shelve_found(job: Survey, found: dict[str, list[list[Found]]]) -> None:
    lists = [entries for each in found.values() for entries in each]
    known = [sourcing.claimed(each) for each in job.shelf.rows]
    for each in sourcing.merged(lists, known, job.most):
        job.shelf.place(sourcing.of_found(each), each.entry.abstract)


def _told(task: Task, job: Survey, found: dict[str, list[list[Found]]]) -> review.Told:
    wrong = job.desk.problems()
    asked = [_asked(name, line, found.get(name, ()), wrong.get(name, "")) for name, line in job.desk.lines.items()]
    asked += [review.Asked(host=name, problem=words) for name, words in job.desk.refused.items()]
    return review.Told(
        topic=task.project.topic,
        offline=task.project.literature.offline,
        minimal=job.minimal,
        queries=[" ".join(each) for each in job.queries],
        asked=asked,
        problems=job.problems,
        rows=job.shelf.rows,
    )


def _asked(name: str, line: Line, found: Sequence[Sequence[Found]], wrong: str) -> review.Asked:
    trouble = "; ".join(each for each in (line.asker.lack, wrong) if each)
    papers = sum(map(len, found))
    return review.Asked(host=name, requests=line.asker.asked, cached=line.asker.kept, found=papers, problem=trouble)


def _metrics(job: Survey) -> dict[str, float]:
    lines = job.desk.lines.values()
    return {
        "sources": float(len(job.shelf.rows)),
        **{status: float(number) for status, number in review.counts(job.shelf.rows).items()},
        "quotes": float(sum(len(each.quotes) for each in job.shelf.rows)),
        "hosts_asked": float(len(job.desk.lines) + len(job.desk.refused)),
        "hosts_failed": float(len(job.desk.problems())),
        "requests": float(sum(each.asker.asked for each in lines)),
        "answers_cached": float(sum(each.asker.kept for each in lines)),
    }
