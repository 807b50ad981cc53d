"""A lab that is killed before any step of a chunk: nothing that was saved is lost, and nothing is paid for twice."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core import chunk
from lab.core.chunk import Checkpoint
from lab.core.launch import Exit
from lab.executors.tinker import Tinker
from lab.scheduler import cycle, reclaim, refresh
from lab.scheduler.chaining.order import ordered
from lab.scheduler.cycle import Errand
from lab.store import bundles
from lab.store.verify import verify
from lab.testing.files import Crash, CrashingFiles
from lab.tinker import rows
from lab.tinker.rows import Row
from tests.scheduler.chaining.trainings import NAME, Training
from tests.scheduler.labs import a_copy, dead, me, reopened

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.claim import Owner
    from lab.core.run import Run
    from lab.core.view import View
    from lab.store.root import Root


def a_chunk_by_hand(root: Root, owner: Owner) -> None:
    """A chunk from its claim to its seal, in which what the recipe does is done here."""
    with root.section(NAME):
        view, loaded = cycle.observe(root, NAME)
        spec = cycle.usable(loaded)
        errand = ordered(root, view, spec, Errand())
        lease = cycle.claim(root, view, spec, owner=owner)
        running = cycle.opened(root, lease, view, spec, loaded.sha256, errand)
    assert running.order is not None
    first, after = running.order.first_step, running.order.first_step + running.order.steps
    told = [Row(step=step, trained=100, metrics={"nll": 1.0 / (1 + step)}) for step in range(first, after)]
    state = f"tinker://s{running.order.number}/weights/{after:06d}"
    os.makedirs(f"{running.path}/artifacts")
    for name, data in (
        (chunk.STEPS, b"".join(map(rows.encode, told))),
        (chunk.CHECKPOINTS, rows.encode_record(Checkpoint(name=f"{after:06d}", next_step=after, state_path=state))),
    ):
        with open(f"{running.path}/{name}", "wb") as file:
            file.write(data)
    how = Exit(run_id=running.manifest.run_id, code=chunk.MORE, wall_s=1.0)
    cycle.finish(root, running, Tinker().read(running.path, running.manifest, how))


def view_of(root: Root) -> View:
    with root.section(NAME):
        return refresh.current(root, NAME)[0]


def sealed(root: Root) -> list[Run]:
    paths = [root.layout.run(NAME, name) for name in bundles.names(root, NAME)]
    found = sorted((made[0] for path in paths if (made := bundles.load_seal(path))), key=lambda made: made.generation)
    return [made.run for made in found]


def test_a_lab_killed_before_any_step_of_a_chunk_goes_on_from_what_was_saved(tmp_path: Path) -> None:
    training = Training(tmp_path, tinker={"steps": 1000}, max_iterations_total=200)
    a_chunk_by_hand(training.root, me())
    lab, counted = training.root.layout.root, CrashingFiles()
    a_chunk_by_hand(a_copy(lab, "dry", counted), dead())
    ends = set()
    for at in range(1, counted.steps + 1):
        stopped = a_copy(lab, str(at), CrashingFiles(at=at))
        with suppress(Crash):
            a_chunk_by_hand(stopped, dead())
        root = reopened(stopped)
        reclaim.reclaim(root, NAME)
        a_chunk_by_hand(root, me())
        runs = sealed(root)
        chunks = [run.chunk for run in runs if run.chunk is not None]
        reached = 0
        for each in chunks:
            assert each.first_step == reached, at
            reached = each.next_step
        after = view_of(root)
        assert after.chain is not None
        assert (after.chain.next_step, after.tokens) == (reached, sum(each.tokens for each in chunks)), at
        assert verify(root).damage == (), at
        refresh.everything(root)
        assert view_of(root) == after, at
        ends.add(reached)
    assert ends == {20, 30}  # killed before a state was saved, and after
