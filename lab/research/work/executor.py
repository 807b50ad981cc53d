"""The executor of research projects: a run is one phase, done by this labctl in a process of its own.

What a run is worth is read from its files alone: exit code 0 and every output as the phase must leave it, or it has
failed. What the process says of itself is told to people, and decides nothing.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.errors import BadInput, Corrupt, NotFound
from lab.core.launch import Program
from lab.core.record import parse
from lab.core.run import FAILED, SUCCESS
from lab.executors import metrics, outcome
from lab.executors.metrics import Found
from lab.research import declared, order, worker
from lab.research import project as projects
from lab.research.project import RESEARCH
from lab.research.work import contract, noted, worked
from lab.research.work.out import Out
from lab.research.work.worked import DONE, Worked
from lab.store import program, reading

if TYPE_CHECKING:
    from lab.core.ended import Ended
    from lab.core.launch import Exit, Foreseen, Launch
    from lab.core.manifest import Manifest
    from lab.research.order import Order

_MOST_BYTES = 1 << 20
_SHOWN = 5  # problems that a reason names
_REFUSAL = re.compile(r"error\[[a-z-]+\]: ")  # how labctl begins to say why not: where and what to do follow


class Research:
    def prepare(self, launch: Launch) -> Program:
        """`labctl research work`, in the run's folder. Which run it is, it is told by its variables."""
        _require(launch.foreseen)
        return Program(
            argv=(*program.same(), RESEARCH, "work"),
            cwd=launch.path,
            environ=launch.environ,
            secrets=launch.secrets,
        )

    def require(self, foreseen: Foreseen) -> None:
        """Refuse a project whose folder or file is not there, and a worker that no package offers, before a claim."""
        _require(foreseen)

    def read(self, path: str, manifest: Manifest, ended: Exit) -> Ended:
        """Whether the phase is done, by what lies in the run's folder."""
        how, why = outcome.trouble(manifest, ended)
        found = metrics.read(path, DONE)
        wrong = () if how else _wrong(path)
        said = _said(path)
        if how == FAILED and not ended.stopped and ended.started:
            why = _first((said.problems if said is not None else ()) or _last_words(path), why)
        elif not how and wrong:
            how, why = FAILED, f"it says that it is done, and {'; '.join(wrong[:_SHOWN])}"
        elif not how and (said is None or said.problems or found.value != 1):
            how, why = FAILED, "it ended well, and does not say that the phase is done"
        told = Found(
            value=None if how else 1.0,
            metrics=found.metrics,
            note=_note(path, said, how),
            cost=found.cost,
            remarks=found.remarks,
        )
        return outcome.told(path, manifest, ended, told, (how or SUCCESS, why))


def _require(foreseen: Foreseen) -> None:
    place = f"{foreseen.workspace}/{projects.FILE}"
    if not foreseen.workspace:
        raise BadInput(f"{foreseen.spec.id} names no folder", fix="name the project's folder as workspace_root")
    if not os.path.isdir(foreseen.workspace) or not reading.is_file(place):
        fix = "put it back, or say in SPEC.yaml where it is now: workspace_root"
        raise NotFound("the project's file is not there", where=place, fix=fix)
    if foreseen.names and not {"phase", "worker"} <= set(foreseen.names):
        what = f"{foreseen.spec.id} is a research project: what its runs do follows from it, and not from parameters"
        raise BadInput(what, fix=f"labctl research run {foreseen.spec.id} --phase PHASE does one again")
    for phase in declared.planned(projects.parse(reading.read(place) or b"", place)):
        worker.find(phase.executor)


def _wrong(path: str) -> tuple[str, ...]:
    """What the outputs of a run lack, judged of the disk alone."""
    told = _order(path)
    if told is None:
        return (f"{layout.PARAMS} is no order",)
    phase = next((each for each in declared.phases() if each.name == told.phase), None)
    if phase is None:
        return (f"there is no phase {told.phase}",)
    return contract.problems(phase, told, Out(f"{path}/{layout.ARTIFACTS}"))


def _order(path: str) -> Order | None:
    place = f"{path}/{layout.PARAMS}"
    return order.read_bytes(reading.read_head(place, _MOST_BYTES) or b"") if reading.is_file(place) else None


def _said(path: str) -> Worked | None:
    place = f"{path}/{worked.FILE}"
    data = reading.read_head(place, _MOST_BYTES) if reading.is_file(place) else None
    try:
        return None if data is None else parse(Worked, data, place)
    except Corrupt:
        return None


def _last_words(path: str) -> tuple[str, ...]:
    """What it printed of its failure: a refusal as labctl words it, or the last line of whatever else happened."""
    lines = [line.strip() for line in outcome.tail(f"{path}/{layout.STDERR}") if line.strip()]
    began = max((at for at, line in enumerate(lines) if _REFUSAL.match(line)), default=len(lines) - 1)
    return ("; ".join(_REFUSAL.sub("", line) for line in lines[began:]),) if lines else ()


def _first(words: tuple[str, ...], why: str) -> str:
    return f"{'; '.join(words[:_SHOWN])} ({why.removeprefix('it ')})" if words else why


def _note(path: str, said: Worked | None, how: str) -> str:
    """Who did it, and what it came to; of one that is not done only the first."""
    if said is None:
        return ""
    idea = f", round {said.round}: {said.idea}" if said.idea else ""
    came_to = "" if how else noted.of(said.phase, Out(f"{path}/{layout.ARTIFACTS}"))
    return f"{said.phase} by {said.worker}{idea}" + (f"; {came_to}" if came_to else "")
