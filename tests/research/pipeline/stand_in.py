"""A worker that stands in for every phase, as a plug-in: real processes find it through the door.

What it does is said by files below $STAND_IN: `lie-PHASE` leaves nothing, `hold-PHASE` is a pipe that it waits on after
it made `began-PHASE`, `dawdle-PHASE` keeps it until it is told to end, `spoil-PHASE` holds the path of a file that it
writes into, `link-PHASE` leaves links, `false-PHASE` false words, and `decide` has a decision a word.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lab.core.record import page
from lab.research import built, decision
from lab.research.decision import Decision
from lab.research.work import contract

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab.research.order import Order
    from lab.research.work.out import Out
    from lab.research.worker import Lack, Place, Task

IDEAS = ("fewer", "more")
IDEA = """\
name: {name}
hypothesis: {name} steps are better
metric: loss
direction: minimize
predicted_gain: 0.1
kill: {{gain_below: 0.0, after_runs: 2}}
"""
MEASURE = "print(1)\n"


def lies(_order: Order, out: Out, _task: Task | None) -> Iterable[str]:
    """What is wrong with a phase of the stand-in, in the place of what each phase looks for."""
    if b"lie" in (out.read("evaluation.json") or b""):
        yield "evaluation.json says what nobody measured"


CHECKS = dict.fromkeys(contract.CHECKS, f"{lies.__module__}:lies")


class StandIn:
    """Whoever is offered it, judges as it does: other processes by this, that of the tests by `projects.prepared`.

    The import alone must change nothing: it would leave every other test of that process without a judge.
    """

    def __init__(self) -> None:
        contract.CHECKS = CHECKS

    def lacks(self, _place: Place) -> Iterable[Lack]:
        return ()

    def work(self, task: Task) -> Mapping[str, float]:
        control, phase, order = Path(os.environ["STAND_IN"]), task.phase.name, task.order
        with (control / "log").open("a", encoding="utf-8") as log:
            log.write(f"{phase} {order.round} {order.idea or '-'} {order.step or '-'}\n")
        (control / f"told-{phase}").write_text(f"{task.ruled}|{task.steering}")
        (control / f"left-{phase}").write_text(repr(task.until_s - time.monotonic()))
        _wait(control, task)
        if (control / f"spoil-{phase}").exists():
            spoilt = Path((control / f"spoil-{phase}").read_text())
            spoilt.chmod(0o644)
            spoilt.write_bytes(spoilt.read_bytes() + b"\n# changed\n")
        if (control / f"lie-{phase}").exists():
            return {"claimed": 1.0}
        for name in task.phase.outputs:
            if (control / f"link-{phase}").exists():
                Path(task.out.path).mkdir(exist_ok=True)
                (Path(task.out.path) / name).symlink_to(__file__)
            elif not name.startswith("?"):
                _leave(control, task, name)
        return {"pieces": float(len(task.given.pieces()))}


def _wait(control: Path, task: Task) -> None:
    phase = task.phase.name
    (control / f"began-{phase}").touch()
    if (control / f"hold-{phase}").exists():
        (control / f"hold-{phase}").read_text()
    while (control / f"dawdle-{phase}").exists() and not task.interrupted():
        time.sleep(0.02)


def _leave(control: Path, task: Task, name: str) -> None:
    if name == "ideas/":
        for number, each in enumerate(IDEAS):
            task.out.write(f"ideas/{number}.yaml", IDEA.format(name=each).encode())
    elif name == built.FILE:
        task.out.write(name, page(_built(control, task)))
    elif name == decision.FILE:
        task.out.write(name, page(_decided(control, task)))
    elif (control / f"false-{task.phase.name}").exists():
        task.out.write(name, b"a lie\n")
    else:
        task.out.write(f"{name}one" if name.endswith("/") else name, f"{name} of {task.order.inputs}\n".encode())


def _decided(control: Path, task: Task) -> Decision:
    number = task.order.round
    words = (control / "decide").read_text().split() if (control / "decide").exists() else []
    how = task.ruled or (words[number - 1] if number <= len(words) else "keep")
    why = "human" if task.ruled else "goal_met"
    told = {"decision": how, "reason": why, "why": "so", "round": number, "idea": task.order.idea}
    return msgspec.convert(told, Decision)


def _built(control: Path, task: Task) -> built.Built:
    """A study whose one file measures."""
    study = control / "study"
    study.mkdir(exist_ok=True)
    (study / "measure.py").write_text(MEASURE)
    return built.Built(
        idea=task.order.idea, idea_sha256=task.order.inputs, experiment="proj-study", folder=str(study), metric="loss",
        direction="minimize", tiers=("choose", "report"),
        frozen={"measure.py": hashlib.sha256(MEASURE.encode()).hexdigest()},
    )  # fmt: skip
