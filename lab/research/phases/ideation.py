"""Ideas: the user's own, or made from what the study can vary; and what was seen of the user's data."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core.errors import LabError
from lab.research import idea
from lab.research.ideas import accepted, hypothesis, summary, templated, written
from lab.research.studies import study
from lab.research.worker import Lack
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lab.research.order import Order
    from lab.research.work.out import Out
    from lab.research.worker import Place, Task

OF_DATA = "folder:data/"
_IDEA_BYTES = 1 << 20


class Ideas:
    """The built-in: no model is asked, and nothing is known but the study itself."""

    def lacks(self, place: Place) -> Iterable[Lack]:
        """A hypothesis that is not there or says too little, and a study that nothing could be expected of."""
        yield from lacking(place)

    def work(self, task: Task) -> Mapping[str, float]:
        """Look at the data, and write the ideas down."""
        look(task)
        found = study.of_given(task.given, task.project.study)
        own = hypothesis.of_given(task.given, found)
        ideas = (own,) if own is not None else templated.ideas(found, task.project)
        for number, each in enumerate(ideas, 1):
            task.out.write(written.name(number, each), written.page(each))
        task.say(f"{len(ideas)} ideas, by {ideas[0].by}: {', '.join(each.name for each in ideas)}")
        return {"ideas": len(ideas)}


def look(task: Task) -> None:
    """What is in the user's data, where there are any. `BadInput` for what nobody could look into."""
    pieces = [each for each in task.given.pieces() if each.name.startswith(OF_DATA)]
    if not pieces:
        return
    study.require_size([reading.size_of(each.path) for each in pieces], task.project.data, "the data have")
    seen = summary.of_files({each.name.removeprefix(OF_DATA): task.given.read(each.name) for each in pieces})
    task.out.write(idea.SUMMARY, summary.page(seen))


def lacking(place: Place) -> Iterator[Lack]:
    """Also asked by whoever has another have the ideas."""
    try:
        found = study.on_disk(os.path.join(place.folder, place.project.study))
        study.require(found, place.project.evaluation.tier)
        if place.project.hypothesis:
            path = os.path.join(place.folder, place.project.hypothesis)
            data = reading.read_head(path, _IDEA_BYTES) if reading.is_file(path) else None
            if data is None:
                yield Lack(what=f"there is no {path}", fix="write it, or correct `hypothesis:` in project.yaml")
            else:
                accepted.require(hypothesis.read(data, path, found), found)
    except LabError as wrong:
        yield Lack(what=f"{wrong.where}: {wrong.what}" if wrong.where else wrong.what, fix=wrong.fix)


def problems(order: Order, out: Out, task: Task | None) -> Iterable[str]:  # noqa: ARG001  # as all checks are asked
    """What is wrong with the ideas, whoever had them."""
    yield from accepted.problems(out, task)
