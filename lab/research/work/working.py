"""A phase under way: the process that a run of a project starts. It finds what is asked for, does it, and judges it.

What it was given is proved before and after: files of sealed runs, the user's files, project.yaml, the declarations of
phases and modes, and what measures. Whoever changed one of them meanwhile, person or program, has made the run void.
"""

from __future__ import annotations

import os
import time
from datetime import datetime
from typing import TYPE_CHECKING

from lab.core import canonical, layout
from lab.core.errors import BadInput, Corrupt, Interrupted, LabError, NotFound
from lab.core.record import page, parse
from lab.core.view import Pursuit
from lab.research import built, declared, order, worker
from lab.research import project as projects
from lab.research.order import SEND
from lab.research.projects import opened
from lab.research.studies import frozen, lent
from lab.research.walk import vouched
from lab.research.walk.shelf import Shelf
from lab.research.work import contract, inputs, worked
from lab.research.work.digests import Digests
from lab.research.work.inputs import Done, Provided
from lab.research.work.out import Out
from lab.research.work.worked import DONE, Worked
from lab.scheduler import refresh
from lab.store import bundles, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.core.manifest import Manifest
    from lab.core.view import Said
    from lab.research.declared import Phase
    from lab.research.order import Order
    from lab.research.worker import Task
    from lab.store.root import Root

_GRACE_SHARE = 0.05  # of the budget, kept to judge and write down what was done
_MOST_GRACE_S = 30.0
_START_S = 2.0  # a process is no longer at its start; what else passed since the claim is a queue, or two clocks


class Void(LabError):
    """What the phase was given, or what judges it, is not what it was. Nothing that it left is counted."""


def perform(
    root: Root, experiment: str, run_id: str, *, say: Callable[[str], None], interrupted: Callable[[], str]
) -> Worked:
    """Do the phase of this run. A `LabError` says why it is not done; research.json of the run says it too."""
    path = root.layout.run(experiment, run_id)
    manifest, told = _ordered(path)
    try:
        measured = _Phase(root, manifest, told, path, say, interrupted).done()
    except Interrupted:
        raise
    except LabError as wrong:
        words = opened.addressed(_worded(wrong), experiment)
        _say(root, path, _worked(told, (words,), void=isinstance(wrong, Void)))
        raise
    done = _worked(told)
    _say(root, path, done)
    numbers = {name: number for name, number in measured.items() if name != DONE}
    root.files.replace(f"{path}/{layout.METRICS}", canonical.page({**numbers, DONE: 1}))
    return done


def _ordered(path: str) -> tuple[Manifest, Order]:
    """The run and its order. Refused for what is no run under way: the verb is the lab's own, and not for people."""
    manifest = bundles.load_manifest(path)
    data = reading.read(f"{path}/{layout.PARAMS}")
    told = order.read_bytes(data) if data is not None else None
    if manifest is None or told is None or os.path.lexists(f"{path}/{layout.SEAL}"):
        fix = "labctl research run ID does what is due"
        raise BadInput("there is no run of a project under way here", where=path, fix=fix)
    return manifest, told


class _Phase:
    """One run of a phase."""

    def __init__(  # what it is, where it is, and who hears of it
        self,
        root: Root,
        manifest: Manifest,
        told: Order,
        path: str,
        say: Callable[[str], None],
        interrupted: Callable[[], str],
    ) -> None:
        self._began_s = time.monotonic()
        self._root, self._manifest, self._order, self._path = root, manifest, told, path
        self._say, self._interrupted = say, interrupted
        found = opened.project(root, manifest.experiment)
        self._project, self._folder = found.project, found.folder
        self._spec = found.spec.for_tier(manifest.fidelity_tier)
        self._phase = self._its_phase()
        self._watched = _digests(found.folder)
        with root.section(manifest.experiment):
            self._view, _ = refresh.current(root, manifest.experiment)
        self._digests = Digests(root, manifest.experiment)
        self._by_phase = _builds_on(root, manifest.experiment, told)
        self._given = self._provided()

    def _its_phase(self) -> Phase:
        wanted = self._order.phase
        phase = next((each for each in declared.planned(self._project) if each.name == wanted), None)
        if phase is None or phase.executor != self._order.worker:
            fix = "the next run follows it as it is now"
            raise Void(f"{projects.FILE} was edited: it has another plan for the phase {wanted}", fix=fix)
        return phase

    def _provided(self) -> Provided:
        """What the order is about, which is what lies there; or it was changed after the order was given."""
        sends = self._order.step == SEND
        digests = self._digests
        pieces = inputs.of_phase(
            self._project, self._folder, self._phase, self._by_phase, sends=sends, digests=digests
        )  # fmt: skip
        if inputs.digest(self._project, self._phase, self._order, pieces) != self._order.inputs:
            fix = "the next run is given it as it is now"
            raise Void("what this phase is given was changed after it had been ordered", fix=fix)
        return Provided(pieces, self._by_phase)

    def done(self) -> Mapping[str, float]:
        """Do it, and look at what came of it."""
        self._prove("before it began")
        out = Out(f"{self._path}/{layout.ARTIFACTS}", self._root.files)
        task = self._task(out)
        self._say(f"{self._phase.name} by {self._order.worker}: {self._phase.about}")
        study = lent.take(task)
        try:
            measured = worker.find(self._order.worker).work(task)
        finally:
            lent.give_back(task, study)
        came = self._interrupted()
        if came:
            raise Interrupted(f"stopped by {came}")
        self._prove("while it ran")
        wrong = contract.problems(self._phase, self._order, out, task)
        if wrong:
            raise BadInput("; ".join(wrong), fix="the next run does it again")
        lent.give_back(task, lent.made(task))
        return measured

    def _task(self, out: Out) -> Task:
        words, ruling = self._heard()
        return worker.Task(
            root=self._root,
            spec=self._spec,
            view=self._view,
            run_id=self._manifest.run_id,
            project=self._project,
            folder=self._folder,
            phase=self._phase,
            order=self._order,
            given=self._given,
            out=out,
            until_s=self._until_s(),
            say=self._say,
            interrupted=self._interrupted,
            steering="\n".join(each.text for each in (ruling, words) if each is not None),
            ruled=ruling.ruled if ruling is not None else "",
        )

    def _heard(self) -> tuple[Said | None, Said | None]:
        """The words and the ruling that are for this run."""
        known = self._view.pursuit or Pursuit()
        if known.said is None and known.ruling is None:
            return None, None
        shelf = Shelf(self._root, self._manifest.experiment, self._project, self._folder)
        words, ruling = (
            each if each is not None and shelf.holds(each, self._order, self._manifest.generation) else None
            for each in (known.said, known.ruling)
        )
        return words, ruling

    def _until_s(self) -> float:
        """When it is to be done, by time.monotonic(): a little before the budget of the run ends it."""
        budget_s = self._manifest.time_budget_s
        try:
            began = datetime.fromisoformat(self._manifest.started_at)
            passed_s = max(0.0, (self._root.world.now() - began).total_seconds())
        except ValueError:
            passed_s = 0.0
        passed_s = min(passed_s, time.monotonic() - self._began_s + _START_S)
        return time.monotonic() + budget_s - passed_s - min(budget_s * _GRACE_SHARE, _MOST_GRACE_S)

    def _prove(self, when: str) -> None:
        """`Void` where something that it rests on is not what it was."""
        for place, sha256 in self._watched.items():
            if _digest(place) != sha256:
                fix = "the next run follows it as it is now"
                raise Void(f"{os.path.basename(place)} was changed {when}", where=place, fix=fix)
        try:
            self._given.prove()
        except Corrupt as wrong:
            self._digests.forget()  # whether the file was changed, or what was kept of it: it is read anew
            raise Void(f"{wrong.what} (changed {when})", where=wrong.where, fix=wrong.fix) from None
        self._prove_seals(when)
        data = self._given.find(f"{projects.IMPLEMENTATION}/{built.FILE}")
        if data is not None:
            other = frozen.changed(parse(built.Built, data, built.FILE), self._root)
            if other:
                fix = "put it back, or begin again: labctl research run ID --phase implementation"
                raise Void(f"what measures is not what it was: {'; '.join(other[:5])} (changed {when})", fix=fix)

    def _prove_seals(self, when: str) -> None:
        """Seals are what the ledger says of them: whoever edits a bundle might edit its seal as well."""
        known = vouched.seals(self._root, self._manifest.experiment) if self._by_phase else {}
        for done in self._by_phase.values():
            if done.run_id not in known:
                fix = f"labctl verify {self._manifest.experiment} tells what is missing"
                raise Void(f"{done.run_id} is not in the ledger ({when})", where=done.path, fix=fix)
            if _digest(f"{done.path}/{layout.SEAL}") != known[done.run_id]:
                fix = "labctl verify names what was changed"
                raise Void(f"the seal of {done.run_id} was changed {when}", where=done.path, fix=fix)


def _builds_on(root: Root, experiment: str, told: Order) -> dict[str, Done]:
    """The runs that the order names."""
    found: dict[str, Done] = {}
    for key, run_id in told.given.items():
        path = root.layout.run(experiment, run_id)
        sealed = bundles.load_seal(path)
        data = None if sealed is None else bundles.sealed_bytes(path, layout.PARAMS, sealed[0])
        its = order.read_bytes(data) if data is not None else None
        if sealed is None or its is None:
            raise NotFound(f"{run_id}, which this phase builds on, is not there as it was sealed", where=path)
        found[key] = Done(path=path, order=its, seal=sealed[0])
    return found


def _digests(folder: str) -> dict[str, str]:
    """The files that say what a project is, and what a phase must leave."""
    places = (f"{folder}/{projects.FILE}", declared.place("phases.yaml"), declared.place("modes.yaml"))
    return {place: _digest(place) for place in places}


def _digest(place: str) -> str:
    data = reading.read(place) if reading.is_file(place) else None
    return "" if data is None else canonical.digest(data)


def _worked(told: Order, problems: tuple[str, ...] = (), *, void: bool = False) -> Worked:
    return Worked(
        phase=told.phase, worker=told.worker, round=told.round, idea=told.idea, problems=problems, void=void
    )  # fmt: skip


def _worded(wrong: LabError) -> str:
    where = f" ({wrong.where})" if wrong.where else ""
    return f"{wrong.what}{where}" + (f"; {wrong.fix}" if wrong.fix else "")


def _say(root: Root, path: str, done: Worked) -> None:
    root.files.replace(f"{path}/{worked.FILE}", page(done))
