"""What the runs of a project left, read from their bundles once: for who decides what is next, and who tells of it."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from lab.core import layout
from lab.core.errors import Corrupt, Unavailable
from lab.core.record import Record, parse
from lab.core.run import SUCCESS
from lab.research import decision, idea, order
from lab.research.decision import Decision
from lab.research.project import IDEATION, ITERATION
from lab.research.walk import cited, vouched
from lab.research.work import inputs
from lab.research.work.digests import Digests
from lab.research.work.inputs import Done, Provided
from lab.store import bundles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.core.view import Said, View
    from lab.research.declared import Phase
    from lab.research.idea import Idea
    from lab.research.order import Order
    from lab.research.project import Project
    from lab.store.root import Root

R = TypeVar("R", bound=Record)
_FIX = "labctl verify names what was changed; a phase can be done again: labctl research run ID --phase PHASE"


class Shelf:
    """`lab.research.walk.pipeline.Lookup`, of one project as it is now."""

    def __init__(self, root: Root, experiment: str, project: Project, folder: str) -> None:
        self._project = project
        self._folder = folder
        self._experiment = experiment
        self._root = root
        self._doubts: dict[str, str] = {}
        self._digests = Digests(root, experiment)
        self.done_runs: list[Done] = []  # that succeeded, oldest first
        self._began: list[tuple[int, int]] = []  # of every sealed run: its round, and its generation
        self.disowned = dict(vouched.disowned(root, experiment))
        known = vouched.seals(root, experiment)
        for run_id in bundles.names(root, experiment):
            self._take_in(root.layout.run(experiment, run_id), known.get(run_id, ""))
        self.done_runs.sort(key=lambda done: done.seal.generation)  # names are by the clocks of their hosts

    def _take_in(self, path: str, recorded: str) -> None:
        found = vouched.seal(path, recorded)
        if found is None or os.path.lexists(f"{path}/{layout.SUPERSEDED}"):
            return
        seal = found[0]
        told = _order(path, recorded)
        if told is None:
            return  # nobody's order: such a run did no phase
        self._began.append((told.round, seal.generation))
        if seal.run.outcome == SUCCESS and seal.run.tier == told.phase:
            self.done_runs.append(Done(path=path, order=told, seal=seal))

    # -- what `Walk` asks ------------------------------------------------------------------------------------------

    def inputs(self, phase: Phase, order: Order, by_phase: Mapping[str, Done]) -> str:
        sends, digests = bool(order.step), self._digests
        pieces = inputs.of_phase(self._project, self._folder, phase, by_phase, sends=sends, digests=digests)
        digests.keep()
        return inputs.digest(self._project, phase, order, pieces)

    def done(self, order: Order) -> Done | None:
        wanted = (order.phase, order.inputs, order.step, order.release)
        alike = (each for each in reversed(self.done_runs) if _key(each.order) == wanted)
        return next((each for each in alike if not self.doubt(each)), None)

    def doubt(self, done: Done) -> str:
        """Why a phase is to be done again though nothing that it was given is new: runs that it tells of."""
        if done.run_id not in self._doubts:
            self._doubts[done.run_id] = cited.trouble(self._root, done)
        return self._doubts[done.run_id]

    def ideas(self, by_phase: Mapping[str, Done]) -> tuple[str, ...]:
        return tuple(each.name for each, _ in self.written_ideas(by_phase))

    def decision(self, done: Done) -> Decision:
        return record(done, decision.FILE, Decision)

    def begun(self, number: int, after: int) -> bool:
        return any(round_ >= number and generation <= after for round_, generation in self._began)

    # -- more --------------------------------------------------------------------------------------------------------

    def written_ideas(self, by_phase: Mapping[str, Done]) -> Iterator[tuple[Idea, str]]:
        """Each idea with the digest of its file, in the order of the names; the user's, where none was worked out."""
        pieces = inputs.of_ideas(self._project, self._folder, by_phase.get(IDEATION), self._digests)
        given = Provided(pieces, by_phase)
        for piece in pieces:
            yield idea.parse(given.read(piece.name), piece.path), piece.sha256

    def holds(self, said: Said, order: Order, generation: int) -> bool:
        """Whether a person's words are for this run: said before it was claimed, and heard by no earlier iteration.

        An iteration that was claimed after them was told them; they are for its round then, and for no later one.
        """
        return said.after < generation and not any(
            each.order.phase == ITERATION and each.order.round < order.round and each.seal.generation > said.after
            for each in self.done_runs
        )

    def require_all(self, view: View, phase: str) -> None:
        """Refuse to do a phase again whose runs are only put away: an archive has them, and here they are missing."""
        known = view.tiers.get(phase)
        there = sum(each.order.phase == phase for each in self.done_runs) + len(self.disowned)
        if known is not None and known.successes > there:
            what = f"{known.successes - there} of the runs that did the phase {phase} are not here"
            fix = "labctl prune --restore ARCHIVE brings runs back; labctl verify tells of what is missing"
            raise Unavailable(what, where=f"experiments/{self._experiment}", fix=fix)


def _key(order: Order) -> tuple[str, str, str, str]:
    return order.phase, order.inputs, order.step, order.release


def record(done: Done, name: str, kind: type[R]) -> R:
    """A record of a run, as it was sealed."""
    place = f"{layout.ARTIFACTS}/{name}"
    data = done.output(name)
    if data is None:
        raise Corrupt(f"{name} of {done.run_id} is not as it was sealed", where=f"{done.path}/{place}", fix=_FIX)
    return parse(kind, data, f"{done.path}/{place}")


def _order(path: str, recorded: str) -> Order | None:
    """The order of a run whose seal is the recorded one."""
    try:
        about = os.stat(f"{path}/{layout.PARAMS}")
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _read_order(path, recorded, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)


@lru_cache(maxsize=2_000)
def _read_order(path: str, recorded: str, *_looked: int) -> Order | None:
    found = vouched.seal(path, recorded)
    data = None if found is None else bundles.sealed_bytes(path, layout.PARAMS, found[0])
    return None if data is None else order.read_bytes(data)
