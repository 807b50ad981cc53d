"""Whether ideas may be tested: each says what would prove it wrong, of the study's metric and inside its space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import BadInput, LabError
from lab.research import idea, source
from lab.research.ideas import hypothesis, summary
from lab.research.literature import rows
from lab.research.studies import narrowed, study

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.research.idea import Idea
    from lab.research.ideas.summary import Summary
    from lab.research.studies.study import Study
    from lab.research.work.out import Out
    from lab.research.worker import Task

MOST = 20
SOURCES = f"literature/{source.FILE}"
OF_DATA = "folder:data/"


def require(found: Idea, about: Study) -> None:
    """Refuse an idea that this study cannot test."""
    spec = about.spec
    if (found.metric, found.direction) != (spec.metric, spec.metric_direction):
        what = f"the idea {found.name} is about {found.metric}, {found.direction}"
        raise BadInput(what, fix=f"the study measures {spec.metric}: {spec.metric_direction}")
    if found.space and about.space is None:
        fix = "take `space` out of it, or give the study a search_space"
        raise BadInput(f"the idea {found.name} moves parameters, and the study has none", fix=fix)
    if found.space and about.space is not None:
        narrowed.space(about.space, found.space, f"the idea {found.name}")


def problems(out: Out, task: Task | None) -> Iterator[str]:
    """What is wrong with the ideas of a phase. With the task, what they are about is asked too."""
    found: list[Idea] = []
    for name in out.names(idea.FOLDER):
        if not name.endswith((".yaml", ".yml")) or name.count("/") > 1:
            yield f"{name} is no idea: ideas are files such as {idea.FOLDER}01-NAME.yaml"
            continue
        try:
            found.append(idea.parse(out.read(name) or b"", name))
        except BadInput as wrong:
            yield f"{wrong.where}: {wrong.what}"
    if len(found) > MOST:
        yield f"there are {len(found)} ideas; at most {MOST} are taken"
    names = [each.name for each in found]
    yield from (f"two ideas are called {name}" for name in sorted({each for each in names if names.count(each) > 1}))
    if len({(each.metric, each.direction) for each in found}) > 1:
        yield "the ideas are not about one metric"
    data = out.read(idea.SUMMARY)
    seen = None if data is None else summary.read(data)
    if task is not None:
        yield from _of_study(task, found)
        yield from _of_data(task, seen)


def _of_study(task: Task, found: list[Idea]) -> Iterator[str]:
    about = study.of_given(task.given, task.project.study)
    known = sources(task)
    for each in found:
        try:
            require(each, about)
        except LabError as wrong:
            yield wrong.what + (f"; {wrong.fix}" if wrong.fix else "")
        for key in each.sources:
            if key not in known:
                yield f"the idea {each.name} rests on {key!r}, which is no source of this project"
    own = hypothesis.of_given(task.given, about)
    if own is not None and own not in found:
        yield f"the user's own hypothesis, {own.name}, is not among the ideas as it was given"


def _of_data(task: Task, seen: Summary | None) -> Iterator[str]:
    given = (each for each in task.given.pieces() if each.name.startswith(OF_DATA))
    wanted = {each.name.removeprefix(OF_DATA): each.sha256 for each in given}
    told = {} if seen is None else {each.name: each.sha256 for each in seen.files}
    if wanted != told:
        yield f"{idea.SUMMARY} is not of the data that were given"


def sources(task: Task) -> frozenset[str]:
    """The keys that may be cited."""
    return frozenset(each.key for each in rows.read(task.given.find(SOURCES) or b"", SOURCES))
