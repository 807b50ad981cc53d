"""What a study lacks, for who asks before anything runs: another tier, a beginning, a library of its executor."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core import assignment, layout
from lab.core.errors import LabError
from lab.core.launch import Foreseen
from lab.core.run import SUCCESS
from lab.core.space import Space
from lab.executors import door, environment
from lab.executors.command import Command
from lab.research import declared, study
from lab.research.project import IMPLEMENTATION, TRAINING
from lab.research.studies import lent, sealed
from lab.research.study import CHAIN, SEARCH
from lab.research.worker import Lack
from lab.scheduler import cycle, doubts, engines, places, work
from lab.scheduler.loop import scripts
from lab.store import experiments, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.spec import Spec
    from lab.research.worker import Place

STUDY = "study"  # who does the implementation with the study as it was given
ONLY_MEASURED = "skip: [training, iteration]"  # what an experiment has is evaluated, and nothing is added to it
_MOST_BYTES = 1 << 20


def of(place: Place) -> Iterator[Lack]:
    """Everything that speaks against running the project's study here."""
    try:
        spec, tier = _spec(place)
    except LabError as wrong:
        yield Lack(what=f"its study cannot be read: {wrong.what}", fix=wrong.fix)
        return
    if spec is None:
        where = place.project.proceed_from or f"{place.folder}/{place.project.study}"
        yield Lack(what=f"there is no study in {where}", fix="`study:` in project.yaml names a folder with a SPEC.yaml")
        return
    for what, fix in study.problems(spec, tier, place.project.evaluation.tier):
        yield Lack(what=f"{spec.id}: {what}", fix=fix)
    yield from _closed(place)
    yield from _aimless(spec)
    yield from _executor(place, spec, tier)


def _closed(place: Place) -> Iterator[Lack]:
    """Of an experiment that the project goes on from: that nobody makes runs of it now. Not told once they are made."""
    name, own = place.project.proceed_from, place.spec.id if place.spec is not None else ""
    if not name:
        return
    if own and any(each.run.outcome == SUCCESS for each in sealed.rows(place.root, own, place.phase.name)):
        return
    if place.phase.name != TRAINING:
        found = lent.closed(place.root, name, own, measured=True)
        more = ""
    else:
        found = lent.closed(place.root, name, own)
        more = f"; or `{ONLY_MEASURED}` in project.yaml measures what it has"
    if found is not None:
        yield Lack(what=found[0], fix=found[1] + more)


def _spec(place: Place) -> tuple[Spec | None, str]:
    """The SPEC of the study, and the tier that it would choose in."""
    name = place.project.proceed_from
    if name:
        experiments.require(place.root, name)
        with place.root.section(name):
            view, loaded = cycle.observe(place.root, name)
        return cycle.usable(loaded), view.tier
    path = f"{place.folder}/{place.project.study}/{layout.SPEC}"
    data = reading.read_head(path, _MOST_BYTES) if reading.is_file(path) else None
    if data is None:
        return None, ""
    spec = experiments.parse_spec(data, path)
    return spec, spec.initial_fidelity_tier


def strategy(place: Place) -> str:
    """The strategy that the runs of a project's study are chosen by; empty where nothing is searched.

    That of the study's own SPEC comes first, and then the project's is nobody's.
    """
    wanted = place.project.training.strategy
    try:
        spec, _ = _spec(place)
    except LabError:  # told by `of`
        return wanted
    if spec is None:
        return wanted
    return (spec.strategy or wanted) if study.kind(spec) == SEARCH else ""


def _aimless(spec: Spec) -> Iterator[Lack]:
    """A search without defaults: a gain over nothing is no gain."""
    space = spec.search_space
    if study.kind(spec) == SEARCH and isinstance(space, Space) and assignment.beginning(space) is None:
        fix = "write a `default:` for what is done without this project"
        yield Lack(what=f"{spec.id}: its search_space has no defaults, so there is no baseline", fix=fix)


def _executor(place: Place, spec: Spec, tier: str) -> Iterator[Lack]:
    """What its executor lacks, with the command that brings it. Where an engine runs it, nobody can see it here."""
    try:
        if any(engines.chosen(place.root, spec.for_tier(each)) for each in spec.fidelity_tiers):
            return
        door.require_python(spec, place.root.world.environ)
        for each in dict.fromkeys((tier, study.reported(spec, place.project.evaluation.tier))):
            if each in spec.fidelity_tiers:
                _require_program(place, spec.for_tier(each))
    except LabError as missing:
        yield Lack(what=f"{spec.id}: {missing.what}", fix=missing.fix)


def _require_program(place: Place, spec: Spec) -> None:
    """Refuse a study whose program is not in it, as its executor would once a run is claimed.

    A study that somebody else is to write may lack it yet; of a code loop its own look before each run tells.
    """
    project, environ = place.project, place.root.world.environ
    by = next((each.executor for each in declared.planned(project) if each.name == IMPLEMENTATION), "")
    if scripts.is_loop(spec) or (by != STUDY and not project.proceed_from):
        return
    if project.proceed_from:
        with place.root.section(spec.id):
            view, _ = cycle.observe(place.root, spec.id)
        workspace, folders = places.workspace(place.root, spec, view), places.folders(place.root, view)
    else:
        folders = (f"{place.folder}/{project.study}",)
        workspace = doubts.workspace_at(spec, folders[0])
    environment.require(spec, environ)
    told = work.with_command(environ, spec, with_params=study.kind(spec) == SEARCH)
    foreseen = Foreseen(
        spec=told, workspace=workspace, folders=folders, environ=environment.given(spec, environ),
        data_root=place.root.layout.root,
    )  # fmt: skip
    door.require(foreseen)
    if isinstance(executor := door.find(told.executor), Command):
        executor.require_program(foreseen)


def of_repeats(place: Place) -> Iterator[Lack]:
    """What is in the way of measuring again: that is done here, one run after another, and each run is a whole one."""
    try:
        spec, _ = _spec(place)
    except LabError:  # told by `of`
        return
    if spec is None:
        return
    if study.kind(spec) == CHAIN:
        fix = "write `strategy:` into its SPEC: then each run is a whole training, and can be made again"
        yield Lack(
            what=f"{spec.id}: its runs are chunks of one training, and none can be measured again alone", fix=fix
        )
    report = study.reported(spec, place.project.evaluation.tier)
    with suppress(LabError):
        if report in spec.fidelity_tiers and engines.chosen(place.root, spec.for_tier(report)) is not None:
            fix = f"give that tier a class that engines.yaml leaves here, such as `{report}_executor_class: default`"
            yield Lack(what=f"{spec.id}: an engine has the class of {report}, and repeats are made here", fix=fix)
