"""Builders: a lab with trainings in chunks, whose chunks are made in a line, with no process and no service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import chunk
from lab.core.chunk import Chunk
from lab.core.ended import Ended
from lab.core.origin import REVIEWED, Origin
from lab.core.run import FAILED, SUCCESS
from lab.scheduler import cycle
from lab.scheduler.chaining import next_params
from lab.scheduler.chaining.order import ordered
from lab.scheduler.cycle import Errand
from lab.tinker import rows
from tests.scheduler.labs import a_lab, me

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.parameter import Scalar
    from lab.core.seal import Seal
    from lab.scheduler.cycle import Running
    from lab.store.root import Root
    from lab.tinker.rows import Pause, Row

TUNED = """\
executor: tinker
executor_command: recipe.py
tinker:
  base_model: tiny/qwen3
  steps: 20
  chunk_steps: 8
  usd_per_mtok_train: 10.0
  usd_per_mtok_sample: 20.0
  usd_per_mtok_prefill: 1.0
"""


def a_training(place: Path, *names: str, more: str = "") -> Root:
    """A lab with these trainings, of which nothing is done yet."""
    return a_lab(place, *(names or ("sft",)), more=TUNED + more)


def begun(
    root: Root, name: str = "sft", *, reviewed: dict[str, Scalar] | None = None, why: str = "", slots: int = 0
) -> Running:
    """The next chunk, claimed and open; with what a reviewer chose, where it is given. `slots` as a person said."""
    with root.section(name):
        view, loaded = cycle.observe(root, name)
        spec = cycle.usable(loaded)
        params = {"rank": 8} if spec.strategy else next_params.of(root, view, spec, view.tier).params
        origin = Origin(kind=REVIEWED, note=why) if reviewed else None
        errand = Errand(params={**(params or {}), **(reviewed or {})}, origin=origin)
        errand = ordered(root, view, spec, errand, slots=slots)
        lease = cycle.claim(root, view, spec, owner=me(), slots=slots)
        return cycle.opened(root, lease, view, spec, loaded.sha256, errand)


def wrote(root: Root, running: Running, *given: Row | Pause) -> None:
    """These rows and pauses, in the run's folder."""
    for name, kind in ((chunk.STEPS, rows.Row), (chunk.PAUSES, rows.Pause)):
        lines = [
            rows.encode(each) if isinstance(each, rows.Row) else rows.encode_record(each)
            for each in given
            if isinstance(each, kind)
        ]
        if lines:
            root.files.folder(f"{running.path}/artifacts")
            root.files.replace(f"{running.path}/{name}", b"".join(lines))


def row(step: int, loss: float, **more: object) -> Row:
    """A step of 100 tokens."""
    made = rows.Row(step=step, run="run:1", at=1.0, step_s=0.5, trained=100, metrics={"loss": loss})
    return msgspec.structs.replace(made, **more)


def over(
    root: Root,
    running: Running,
    value: float | None,
    *,
    saves: bool = True,
    steps: int = 0,
    unsaved: int = 0,
    model_run: str = "",
) -> Seal:
    """Its rows, what it saved, and its seal. It did what it was ordered, or fewer `steps`; `unsaved` more were lost.

    One of no steps measured the end again, and made nothing of it.
    """
    order = running.order
    assert order is not None
    end = min(order.first_step + (steps or order.steps), order.until)
    wrote(root, running, *(row(step, 3.0 - step / 10) for step in range(order.first_step, end + unsaved)))
    final, name = end == order.until and saves, f"{end:06}"
    made = f"tinker://run:{order.number}" if final and order.steps else ""
    trained = 100 * (end - order.first_step)
    done = Chunk(
        number=order.number, first_step=order.first_step, next_step=end if saves else order.first_step,
        parent=order.parent, model_run=model_run or f"run:{order.number}", base_model="tiny/qwen3", final=final,
        trained=trained,
        state_path=(f"tinker://run:{order.number}/weights/{name}" if order.steps else order.state_path) * saves,
        params=order.params, sampler_path=made and f"{made}/sampler_weights/final",
        external_path=made and f"{made}/external_weights/final",
    )  # fmt: skip
    ended = Ended(
        outcome=FAILED if value is None else SUCCESS, value=value, wall_s=1.5, chunk=done, cost=trained * 1e-5,
        reason="" if value is not None else "the service went away",
    )  # fmt: skip
    return cycle.finish(root, running, ended)


def a_chunk(root: Root, value: float | None, name: str = "sft", *, saves: bool = True, steps: int = 0) -> Seal:
    """One whole chunk."""
    return over(root, begun(root, name), value, saves=saves, steps=steps)
