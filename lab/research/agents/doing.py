"""A phase done by somebody else: what they are given, what is taken, and what the lab makes of it.

What they say of the world is never believed: sources are looked up, ideas and papers judged, and a study is run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping  # msgspec resolves annotations
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, LabError
from lab.core.layout import SPEC
from lab.llm.agents.adapter import Adapter  # msgspec resolves annotations
from lab.research import idea, source
from lab.research.agents import asked, box, brief
from lab.research.agents.asked import Came, Wanted
from lab.research.agents.box import Box, Taken
from lab.research.ideas import accepted, hypothesis, written
from lab.research.literature import confirming, rows
from lab.research.paper import making
from lab.research.phases import ideation, implementation, writing
from lab.research.project import IDEATION, IMPLEMENTATION, LITERATURE, WRITING
from lab.research.studies import study
from lab.scheduler import change
from lab.scheduler.change import Rules

if TYPE_CHECKING:
    from lab.research.idea import Idea
    from lab.research.studies.study import Study
    from lab.research.worker import Task

STUDY, PAPER = "study/", "paper.md.j2"
TEMPLATE = "template/paper.md.j2"
_SUMMARY = "summary.json"  # of the data: what the lab saw in them
NAMES: Mapping[str, tuple[str, ...]] = {
    LITERATURE: (source.FILE, source.REVIEW),
    IDEATION: (idea.FOLDER,),
    IMPLEMENTATION: (STUDY,),
    WRITING: (PAPER,),
}
_NO_REVIEW = b"Whoever looked for these sources wrote no review.\n"
_SHOWN = 5


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """Who does it: `name` for people, and how their adapter is made for a box."""

    name: str
    adapter: Callable[[Box], Adapter]
    provider: str = ""
    model: str = ""
    effort: str = ""


def work(task: Task, who: Who) -> Mapping[str, float]:
    """All of it. `LabError` says in words why there is nothing."""
    phase = task.phase.name
    if phase not in NAMES:
        known = ", ".join(NAMES)
        raise BadInput(f"the phase {phase} is done by the lab itself", fix=f"nobody else does but {known}")
    about = None if phase in (LITERATURE, WRITING) else _study(task)
    wanted = _wanted(task, who, about)

    def judge(place: Box, taken: Taken) -> Taken:
        return taken if phase != IMPLEMENTATION or about is None else _of_study(place, taken, about)

    came = asked.run(task, who.adapter, wanted, judge)
    more = _FOLLOWS[phase](task, who, came)
    return {**more, **came.metrics()}


def _study(task: Task) -> Study:
    found = study.of_given(task.given, task.project.study) if task.phase.name == IDEATION else _prepared(task)
    study.require(found, task.project.evaluation.tier)
    return found


def _prepared(task: Task) -> Study:
    found = implementation.given_study(task)
    implementation.require_mutable(found)
    return found


def _wanted(task: Task, who: Who, about: Study | None) -> Wanted:
    copied, large = box.inputs(task)
    if task.phase.name == WRITING:
        copied[TEMPLATE] = making.shipped()
    if task.phase.name == IDEATION:
        ideation.look(task)
        seen = task.out.read(idea.SUMMARY)
        copied.update({_SUMMARY: seen} if seen is not None else {})
    begun: dict[str, bytes] = {}
    chosen: Idea | None = None
    if task.phase.name == IMPLEMENTATION and about is not None:
        begun = {f"{STUDY}{name}": data for name, data in about.files.items()}
        chosen = implementation.chosen(task)[0]
    sizes = {name: len(data) for name, data in sorted(copied.items())}
    return Wanted(
        who=who.name,
        provider=who.provider,
        model=who.model,
        effort=who.effort,
        brief=brief.text(task, sizes, large, about, chosen),
        inputs=copied,
        begun=begun,
        names=NAMES[task.phase.name],
    )


def _of_study(place: Box, taken: Taken, about: Study) -> Taken:
    """The study as they left it. `LabError` naming what they changed of it that nobody may."""
    before, after = place.changes(STUDY)
    rules = Rules(mutable=about.spec.mutable_paths, read_only=(SPEC, *about.spec.read_only_paths))
    changes = change.differences(before, after)
    if not changes:
        fix = "where parameters alone are to move, let the built-in `study` do the implementation"
        raise LabError("it changed nothing of the study", fix=fix)
    judged = change.judged(
        changes, workspace=f"{place.path}/{box.INPUT}/{STUDY}".rstrip("/"), box=f"{place.out}/{STUDY}".rstrip("/"),
        before=before, after=after, rules=rules,
    )  # fmt: skip
    refused = [f"{each.path}: {each.why}" for each in judged if each.why]
    if refused:
        more = f"; and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
        raise LabError(f"it changed what it may not: {'; '.join(refused[:_SHOWN])}{more}")
    return taken


# -- what the lab makes of it ----------------------------------------------------------------------------------------


def _literature(task: Task, who: Who, came: Came) -> Mapping[str, float]:
    """Their rows, as far as somebody knows them; every status is the lab's."""
    told = rows.read(came.files.get(source.FILE, b""), source.FILE)
    kept = confirming.confirm(task, told)
    rows.leave(task.out, kept)
    task.out.write(source.REVIEW, came.files.get(source.REVIEW, b"") or _NO_REVIEW)
    task.say(f"{who.name} named {len(told)} sources; {len(kept)} are kept")
    return {"sources": float(len(kept)), "left_out": float(len(told) - len(kept))}


def _ideation(task: Task, who: Who, came: Came) -> Mapping[str, float]:
    """Their ideas, behind the user's own, where there is one."""
    about = study.of_given(task.given, task.project.study)
    own = hypothesis.of_given(task.given, about)
    found = [own] if own is not None else []
    for name in sorted(came.files):
        parsed = msgspec.structs.replace(idea.parse(came.files[name], f"{box.OUT}/{name}"), by=who.name)
        accepted.require(parsed, about)
        if own is not None and parsed.name == own.name:
            task.say(f"{box.OUT}/{name} is the user's own hypothesis again, and is passed over")
        else:
            found.append(parsed)
    for number, each in enumerate(found, 1):
        task.out.write(written.name(number, each), written.page(each))
    return {"ideas": len(found)}


def _implementation(task: Task, who: Who, came: Came) -> Mapping[str, float]:
    """Their study, laid out, frozen and run by the lab like every other."""
    files = {name.removeprefix(STUDY): data for name, data in came.files.items()}
    about = implementation.given_study(task)
    return implementation.build(task, study.of_files(files, about.where, about.programs), by=who.name)


def _writing(task: Task, who: Who, came: Came) -> Mapping[str, float]:
    del who
    return writing.make(task, came.files[PAPER])


_FOLLOWS: Mapping[str, Callable[[Task, Who, Came], Mapping[str, float]]] = {
    LITERATURE: _literature,
    IDEATION: _ideation,
    IMPLEMENTATION: _implementation,
    WRITING: _writing,
}
