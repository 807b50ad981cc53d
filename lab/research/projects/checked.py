"""Whether everything is there that a project needs: every id that it names, and every requirement behind an id.

Nothing is run, asked or written. What is missing is told with the command that brings it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from lab.core import layout
from lab.core.errors import LabError
from lab.executors import door as executors
from lab.research import declared, worker
from lab.research.ideas import tables
from lab.research.project import RESEARCH, TRAINING, Project
from lab.research.projects import lacking, limits, opened
from lab.research.studies import bundled
from lab.research.studies import study as studies
from lab.research.work import inputs
from lab.research.worker import Place
from lab.scheduler import refresh
from lab.scheduler.agents import door as agents
from lab.store import experiments, reading
from lab.strategies import door as strategies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.core.spec import Spec
    from lab.store.root import Root

OK: Final = "ok"
WARNING: Final = "warning"
FAILED: Final = "failed"
ABSENT: Final = "absent"
AGENT = "agent"
_SPEC_BYTES = 1 << 20
_GIVEN = ("hypothesis", "data", "literature.own")


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. `absent`: the surroundings lack it; `warning`: it goes on with less."""

    name: str
    state: Literal["ok", "warning", "failed", "absent"]
    what: str
    fix: str = ""


def of_experiment(root: Root, name: str) -> Iterator[Look]:
    """Of a project of this lab."""
    try:
        found = opened.project(root, name)
    except LabError as wrong:
        yield _refused("project", wrong)
        return
    yield Look(name="project", state=OK, what=f"mode {found.project.mode}, {found.folder}")
    phases = declared.planned(found.project)
    for what, fix in limits.problems(found.project, phases, found.spec):
        yield Look(name="limits", state=FAILED, what=f"{root.layout.spec(name)}: {what}", fix=fix)
    yield from _met(root, found)
    yield from _given(found)
    yield from of_project(root, found.project, found.folder, found.spec)


def _met(root: Root, found: opened.Opened) -> Iterator[Look]:
    """A limit that has ended it, or will at its next turn."""
    with root.section(found.spec.id):
        view, _ = refresh.current(root, found.spec.id)
    limit = limits.met(view, found.spec, root.world.now())
    if limit is not None:
        what = f"{root.layout.spec(found.spec.id)}: {limit[0]}"
        yield Look(name="limits", state=FAILED, what=what, fix=f"raise {limit[1]} there, to go on")


def of_mode(root: Root, word: str) -> Iterator[Look]:
    """Of any project of a mode, on this machine: with the study that a project begins with, and with nobody's files."""
    mode = declared.mode(word)
    return of_project(root, Project(mode=mode.name), os.path.dirname(declared.place("study")))


def of_project(root: Root, project: Project, folder: str, spec: Spec | None = None) -> Iterator[Look]:
    """Of any project, also one that is not made yet: `folder` is where it would lie."""
    try:
        every, planned = declared.phases(), declared.planned(project)
        modes = declared.modes()
    except LabError as wrong:
        yield _refused("declarations", wrong)
        return
    yield Look(name="declarations", state=OK, what=f"{len(every)} phases, {len(modes)} modes")
    yield _named("executor", lambda: executors.find(RESEARCH), RESEARCH)
    yield from (_problem(each.name, each.what) for each in worker.problems())
    may = {each.name: (each.executor, *each.may) for each in every}
    begun = {each.name for each in planned}
    of_none = [(phase, named) for phase, named in project.routing.items() if phase not in begun]
    yield from (_routed(phase, named) for phase, named in of_none if named not in worker.names())
    is_absent = False
    for phase in planned:
        place = Place(root=root, project=project, folder=folder, phase=phase, spec=spec)
        for each in _phase(place, may[phase.name]):
            is_absent |= phase.executor == AGENT and each.state == ABSENT
            yield each
    if project.agent.provider or AGENT in project.routing.values():
        told = _agent(project, folder)
        if told.state != OK or not is_absent:  # that its name is known is no good news where it is not installed
            yield told
    training = [each for each in planned if each.name == TRAINING]
    yield from (_strategy(Place(root=root, project=project, folder=folder, phase=each)) for each in training)


def _phase(place: Place, may: tuple[str, ...]) -> Iterator[Look]:
    """Who does a phase, and what they lack."""
    phase = place.phase
    try:
        found = worker.find(phase.executor)
    except LabError as unknown:
        yield _refused(phase.name, unknown)
        return
    if phase.executor in worker.BUILT_IN and phase.executor not in may:
        fix = f"routing: {phase.name}: one of {', '.join(may)}"
        yield Look(name=phase.name, state=FAILED, what=f"{phase.executor} does another phase", fix=fix)
        return
    try:
        lacks = tuple(found.lacks(place))
    except LabError as wrong:
        yield _refused(phase.name, wrong)
        return
    for each in lacks:
        yield Look(name=phase.name, state=ABSENT if each.is_fatal else WARNING, what=each.what, fix=each.fix)
    if not any(each.is_fatal for each in lacks):
        yield Look(name=phase.name, state=OK, what=f"{phase.executor}: {phase.about}")


def _strategy(place: Place) -> Look:
    """Who would choose the runs of the study: its own SPEC may say it, and then nobody asks project.yaml."""
    chosen = lacking.strategy(place)
    if not chosen:
        return Look(name="strategy", state=OK, what="none: nothing is searched")
    return _named("strategy", lambda: strategies.find(chosen), chosen)


def _routed(phase: str, worker_id: str) -> Look:
    fix = f"known are {', '.join(worker.names())}"
    return Look(name=phase, state=FAILED, what=f"there is no worker {worker_id[:60]!r}", fix=fix)


def _agent(project: Project, folder: str) -> Look:
    if not project.agent.provider:
        fix = "agent: {provider: claude} in project.yaml; labctl doctor lists the agents of this machine"
        return Look(name=AGENT, state=FAILED, what="a phase is routed to an agent, and none is named", fix=fix)
    provider = project.agent.provider
    return _named(AGENT, lambda: agents.find(provider, project.agent.command, (folder,)), provider)


def _given(found: opened.Opened) -> Iterator[Look]:
    """The files that the project names, and the ids in the SPEC of its study."""
    project = found.project
    yield from _named_files(found)
    if project.proceed_from:
        return
    yield from _size(found)
    place = f"{found.folder}/{project.study}/{layout.SPEC}"
    try:
        data = reading.read_head(place, _SPEC_BYTES) if reading.is_file(place) else None
        if data is None:
            yield Look(name="study", state=FAILED, what=f"{place} is not there", fix="study: in project.yaml")
            return
        spec = experiments.parse_spec(data, place)
    except LabError as wrong:
        yield _refused("study", wrong)
        return
    yield _study(spec)
    if placeholder := bundled.said(project, f"{found.folder}/{project.study}"):
        yield Look(name="study", state=WARNING, what=placeholder, fix=bundled.FIX)


def _named_files(found: opened.Opened) -> Iterator[Look]:
    """Each file that the project names: whether it is where a phase would look for it, which is in its folder."""
    of_phases = (each for phase in declared.planned(found.project) for each in phase.inputs)
    keys = [each.removeprefix(declared.OF_FOLDER) for each in of_phases if each.startswith(declared.OF_FOLDER)]
    for key in dict.fromkeys((*_GIVEN, *keys)):
        value = inputs.value_of(found.project, key)
        if value and key not in keys:
            what = f"no phase that mode {found.project.mode} goes through reads {key}"
            yield Look(name=key, state=WARNING, what=what, fix=f"take {key} out of project.yaml")
        for name in value if isinstance(value, tuple) else (value,) if value else ():
            try:
                place = inputs.placed(found.folder, str(name), key)
            except LabError as wrong:
                yield _refused(key, wrong)
                continue
            if key != "study" and not (reading.is_file(place) or reading.is_folder(place)):
                fix = f"put it there, or change {key} in project.yaml"
                yield Look(name=key, state=FAILED, what=f"{place} is not there", fix=fix)


def _size(found: opened.Opened) -> Iterator[Look]:
    """What is too much for a study with its data in it; and data that none of its phases would take."""
    folder, data = f"{found.folder}/{found.project.study}", f"{found.folder}/{found.project.data}"
    is_there = bool(found.project.data) and reading.is_file(data)
    places = [*studies.places(folder), *([data] if is_there else [])]
    try:
        studies.require_size([reading.size_of(each) for each in places], data, "the study has, with the data,")
        if is_there:
            tables.require(data, folder)
    except LabError as wrong:
        yield _refused("data" if found.project.data else "study", wrong)


def _study(spec: Spec) -> Look:
    try:
        executors.find(spec.executor)
        if spec.strategy:
            strategies.find(spec.strategy)
    except LabError as unknown:
        return _refused("study", unknown)
    return Look(
        name="study", state=OK, what=f"{spec.metric}, {spec.metric_direction}; {', '.join(spec.fidelity_tiers)}"
    )


def _named(name: str, find: Callable[[], object], told: str) -> Look:
    """Whether an id leads to something."""
    try:
        find()
    except LabError as unknown:
        return _refused(name, unknown)
    return Look(name=name, state=OK, what=told)


def _problem(name: str, what: str) -> Look:
    return Look(name=name, state=WARNING, what=f"this plug-in cannot be used: {what}", fix="mend or remove it")


def _refused(name: str, error: LabError) -> Look:
    what = f"{error.where}: {error.what}" if error.where else error.what
    return Look(name=name, state=FAILED, what=what, fix=error.fix)
