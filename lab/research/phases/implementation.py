"""The study that tests an idea: narrowed to it, laid out, made an experiment of, its evaluator frozen, and run once."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, ids
from lab.core.errors import BadInput, LabError
from lab.core.layout import SPEC
from lab.core.record import page, parse
from lab.research import built as records
from lab.research import idea
from lab.research.built import Built
from lab.research.studies import bundled, frozen, laid, narrowed, outside, smoke, study
from lab.research.worker import Lack
from lab.scheduler import fencing
from lab.scheduler.loop import scripts
from lab.scheduler.results import located
from lab.store import experiments, reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lab.core.spec import Spec
    from lab.research.idea import Idea
    from lab.research.order import Order
    from lab.research.studies.study import Study as Found
    from lab.research.work.out import Out
    from lab.research.worker import Place, Task

IDEAS = "ideation/ideas/"
OF_DATA = "folder:data/"
BY = "study"
_UNNAMED = "study"  # of a project that skips the ideas
_CHANGED = "what measures is not what it was when the study was made: {}"


class Study:
    """The built-in: the study as it was given, and nothing of it but its parameters is changed."""

    def lacks(self, place: Place) -> Iterable[Lack]:
        """What speaks against the study before anything was run."""
        yield from lacking(place)

    def work(self, task: Task) -> Mapping[str, float]:
        """Lay it out, run it once, and write down what measures."""
        return build(task, given_study(task), by=BY)


def lacking(place: Place, *, by_others: bool = False) -> Iterator[Lack]:
    """What is wrong with the study of a project; `by_others` where somebody is to change it."""
    try:
        found = study.on_disk(os.path.join(place.folder, place.project.study))
        study.require(found, place.project.evaluation.tier)
        if found.space is not None:
            narrowed.baseline(found.space, f"{found.where}/{SPEC}")
        if by_others:
            require_mutable(found)
    except LabError as wrong:
        yield Lack(what=f"{wrong.where}: {wrong.what}" if wrong.where else wrong.what, fix=wrong.fix)


def require_mutable(found: Found) -> None:
    """Refuse to have a study changed that names nothing to change."""
    if not found.spec.mutable_paths:
        fix = "write mutable_paths into the study's SPEC.yaml, or let the built-in `study` do the implementation"
        raise BadInput("the study names nothing that may be changed", where=f"{found.where}/{SPEC}", fix=fix)


def given_study(task: Task) -> Found:
    """The user's study, with the user's data in it.

    Data that the project names take the place of the study's `data.csv` (or of its `data.` and their ending), and of a
    file of their own name; else they are put beside the programs.
    """
    found = study.of_given(task.given, task.project.study)
    data: dict[str, bytes] = {}
    sizes = [reading.size_of(each.path) for each in task.given.pieces() if each.name.startswith(OF_DATA)]
    study.require_size(sizes, task.project.data, "the data have")
    for name in task.given.names(OF_DATA):
        own = name.removeprefix(OF_DATA)
        usual = f"data{os.path.splitext(own)[1]}"
        data[usual if usual in found.files else own] = task.given.read(name)
    if not data:
        return found
    task.say(f"the data of the project are {', '.join(sorted(data))} of the study")
    return study.of_files({**found.files, **data}, found.where, found.programs)


def build(task: Task, found: Found, *, by: str) -> Mapping[str, float]:
    """All that follows, whoever wrote the study."""
    study.require(found, task.project.evaluation.tier)
    wanted, digest = chosen(task)
    left = None
    if wanted is not None and wanted.space:
        if found.space is None:
            fix = "take `space` out of the idea, or give the study a search_space"
            raise BadInput(f"the idea {wanted.name} moves parameters, and the study has none", fix=fix)
        left = narrowed.space(found.space, wanted.space, f"the idea {wanted.name}")
    elif found.space is not None:
        narrowed.baseline(found.space, f"{found.where}/{SPEC}")
    name = wanted.name if wanted is not None else _UNNAMED
    beside = outside.Outside(task, found.spec, f"{task.folder}/{laid.FOLDER}/{name}")
    found = msgspec.structs.replace(found, elsewhere=beside.held)
    made = laid.out(task.root, task.spec.id, task.folder, found, name, left, fenced=by != BY)
    for inside, data in made.files.items():
        task.out.write(f"{records.STUDY}{inside}", data)
    task.out.write(records.DIFF, laid.diff(study.of_given(task.given).files, made.files).encode() or b"\n")
    spec = experiments.parse_spec(made.files[SPEC], f"{made.folder}/{SPEC}")
    is_fenced, fence = fencing.said(made.folder) if spec.fenced or scripts.is_loop(spec) else (False, "")
    if by != BY and not is_fenced:
        task.say(f"nothing keeps the runs of {made.experiment} from writing elsewhere: {fence}")
    told = Built(
        idea=name,
        idea_sha256=digest,
        experiment=made.experiment,
        folder=made.folder,
        metric=spec.metric,
        direction=spec.metric_direction,
        tiers=spec.fidelity_tiers,
        mutable=mutable(spec),
        frozen=frozen.taken(made.files, mutable(spec)),
        is_shipped=bundled.is_program(made.files),
        made_up_rows=bundled.made_up_rows(made.files),
        asks=_asked(spec),
        by=by,
        is_by_others=by != BY,
        is_fenced=is_fenced,
        fence=fence,
    )
    told = _shown(task, told, beside)
    task.out.write(records.FILE, page(told))
    return {"files": len(made.files), "smoke_value": told.smoke_value or 0.0, "smoke_wall_s": told.smoke_wall_s}


def _shown(task: Task, told: Built, beside: outside.Outside) -> Built:
    """The same with its first run, which changed nothing that measures."""
    written: tuple[str, ...] = ()
    try:
        run = smoke.run(task, told.experiment)
    finally:
        written = beside.looked_again()
    told = msgspec.structs.replace(
        told, outside=beside.held, written=written,
        smoke_run=run.run_id, smoke_value=run.value, smoke_wall_s=run.wall_s,
    )  # fmt: skip
    wrong = frozen.changed(told, task.root)
    if wrong:
        fix = "what a run writes goes to its own folder: $LAB_RUN_DIR"
        raise LabError(f"the first run changed what measures: {', '.join(wrong)}", where=told.folder, fix=fix)
    if written:
        task.say(f"not frozen, as the first run wrote to it: {', '.join(written)}")
    return told


def _asked(spec: Spec) -> str:
    """Whom the runs of the study may ask, as its SPEC names them: the agent of a code loop, a model of the search."""
    if scripts.is_loop(spec) and spec.agent_provider:
        return spec.agent_provider
    return "" if spec.llm is None else spec.llm.model


def mutable(spec: Spec) -> tuple[str, ...]:
    """What of the study may change from now on: that of a code loop. Runs of others get copies, or parameters alone."""
    return spec.mutable_paths if scripts.is_loop(spec) else ()


def chosen(task: Task) -> tuple[Idea | None, str]:
    """The idea that the order is about, and the digest of its file; the first, where the order names none."""
    names = task.given.names(IDEAS)
    found = [(idea.parse(data, name), canonical.digest(data)) for name in names for data in (task.given.read(name),)]
    if not found:
        return None, ""
    if not task.order.idea:
        return found[0]
    meant = next((each for each in found if each[0].name == task.order.idea), None)
    if meant is None:
        known = ", ".join(each.name for each, _ in found)
        raise BadInput(f"there is no idea {task.order.idea}", fix=f"the ideas are {known}")
    return meant


def problems(order: Order, out: Out, task: Task | None) -> Iterable[str]:
    """What is wrong with a study that was made: with its own words, and, in the lab, with what they are about."""
    told = parse(Built, out.read(records.FILE) or b"", f"artifacts/{records.FILE}")
    files = {name.removeprefix(records.STUDY): out.read(name) or b"" for name in out.names(records.STUDY)}
    wrong = tuple(_of_record(order, told, files))
    yield from wrong
    if task is not None and not wrong:
        yield from _of_lab(task, told)


def _of_record(order: Order, told: Built, files: Mapping[str, bytes]) -> Iterator[str]:
    if SPEC not in files:
        yield f"artifacts/{records.STUDY} has no {SPEC}"
        return
    spec = experiments.parse_spec(files[SPEC], f"artifacts/{records.STUDY}{SPEC}")
    if spec.id != told.experiment:
        yield f"the study is of {spec.id}, and {records.FILE} says {told.experiment}"
    if order.idea and told.idea != order.idea:
        yield f"it is about the idea {told.idea}, and {order.idea} was ordered"
    meant = (spec.metric, spec.metric_direction, spec.fidelity_tiers, mutable(spec))
    if (told.metric, told.direction, told.tiers, told.mutable) != meant:
        yield f"{records.FILE} says of metric, direction, tiers or mutable paths what the SPEC does not"
    if told.frozen != frozen.taken(files, mutable(spec)):
        yield f"the frozen digests are not those of artifacts/{records.STUDY}"
    if told.smoke_value is None or not math.isfinite(told.smoke_value):
        yield "the first run left no number"
    try:
        ids.run_id(told.smoke_run)
    except BadInput:
        yield "it names no first run"


def _of_lab(task: Task, told: Built) -> Iterator[str]:
    wanted, digest = chosen(task)
    if wanted is not None and (told.idea, told.idea_sha256) != (wanted.name, digest):
        yield f"it is not about the idea {wanted.name} as that was written down"
    spec = experiments.parse_spec(task.out.read(f"{records.STUDY}{SPEC}") or b"", f"artifacts/{records.STUDY}{SPEC}")
    wrong = outside.problem(task, spec, told.folder, told.outside, told.written)
    if wrong:
        yield wrong
    changed = frozen.changed(told, task.root)
    if changed:
        yield _CHANGED.format(", ".join(changed))
    run = located.sealed(task.root, told.smoke_run)[1].run
    if run.experiment != told.experiment:
        yield f"{run.run_id} is a run of {run.experiment}, not of {told.experiment}"
    wrong = smoke.problem(run, task.project.training.min_run_s)
    if wrong:
        yield wrong
    elif (run.value, run.wall_s) != (told.smoke_value, told.smoke_wall_s):
        yield f"{run.run_id} came to {run.value}, and {records.FILE} says {told.smoke_value}"
