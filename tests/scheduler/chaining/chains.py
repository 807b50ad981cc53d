"""Builders: a training in chunks, and one chunk of it in a line, with no process started and no service asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lab.core import chunk
from lab.core.chunk import Chunk
from lab.core.ended import Ended
from lab.core.run import FAILED, SUCCESS
from lab.scheduler import cycle, refresh
from lab.scheduler.chaining import review
from lab.scheduler.cycle import Errand
from lab.scheduler.search.asking import asker
from lab.tinker import rows
from tests.scheduler.labs import a_lab, me

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lab.core.seal import Seal
    from lab.core.view import View
    from lab.scheduler.cycle import Running
    from lab.scheduler.step import Step
    from lab.store.root import Root

SPACE = """\
search_space:
  learning_rate: {low: 1.0e-5, high: 0.1, log: true, default: 0.001}
  batch: {low: 1, high: 64, type: int, default: 8}
  rank: {value: 16}
"""
FIRST = {"learning_rate": 0.001, "batch": 8, "rank": 16}
CHUNK = """\
executor: tinker
tinker: {{base_model: tiny/qwen3, steps: 100, chunk_steps: 10, review: {review}}}
"""


def a_chain(
    place: Path, url: str = "", *, review: bool = True, more: str = "", llm: Mapping[str, object] | None = None
) -> Root:
    """A lab with one training, whose reviewer is asked at this address."""
    model = json.dumps({"base_url": url or "http://127.0.0.1:9/v1", "model": "m", **(llm or {})})
    return a_lab(place, "train", more=f"{SPACE}{CHUNK.format(review=str(review).lower())}llm: {model}\n{more}")


def view_of(root: Root) -> View:
    with root.section("train"):
        return refresh.current(root, "train")[0]


def begun(root: Root) -> Running:
    """The next chunk, claimed and open; `Open` where its reviewer is to be asked first."""
    with root.section("train"):
        view, loaded = cycle.observe(root, "train")
        spec = cycle.usable(loaded)
        chain = view.chain
        params: dict[str, object] = dict(chain.params) if chain is not None and chain.params else dict(FIRST)
        errand = review.reviewed(root, view, spec, Errand(params=params))
        lease = cycle.claim(root, view, spec, owner=me())
        return cycle.opened(root, lease, view, spec, loaded.sha256, errand)


def asked_and_begun(root: Root, told: list[Step] | None = None) -> Running:
    return asker.advised(root, lambda: begun(root), interrupted=str, tell=([] if told is None else told).append)


def over(root: Root, running: Running, value: float | None = 1.0, *, saves: bool = True, said: str = "") -> Seal:
    """Ten steps more, and their end. With `saves=False` nothing was saved."""
    chain = view_of(root).chain
    first = chain.next_step if chain is not None else 0
    number = (chain.begun if chain is not None else 0) + 1
    root.files.folder(f"{running.path}/artifacts")
    lines = [
        rows.encode(
            rows.Row(step=step, run="run:1", at=1.0, trained=64, trouble=said, metrics={"loss": 3.0 - step / 50})
        )
        for step in range(first, first + 10)
    ]
    with open(f"{running.path}/{chunk.STEPS}", "wb") as file:
        file.write(b"".join(lines))
    done = Chunk(
        number=number, first_step=first, next_step=first + 10 if saves else first, base_model="tiny/qwen3",
        state_path=f"tinker://run:1/weights/{first + 10:06}" if saves else "", trained=640, trouble=said,
        params=dict(running.params or {}),  # type: ignore[arg-type]  # as they were given
    )  # fmt: skip
    outcome = FAILED if value is None else SUCCESS
    return cycle.finish(root, running, Ended(outcome=outcome, value=value, wall_s=0.5, chunk=done))


def a_chunk(root: Root, value: float | None = 1.0, **more: object) -> Seal:
    """One whole chunk, its reviewer asked where there is one."""
    return over(root, asked_and_begun(root), value, **more)  # type: ignore[arg-type]
