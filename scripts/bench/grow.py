"""Make a large data root in seconds: real seals and ledger lines with right digests, written in a loop, never synced.

    python scripts/bench/grow.py FOLDER [--experiments 3] [--runs 20]

What it makes is a lab like any other: `labctl verify` finds it clean. The pages are written by one `refresh`.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from lab.cli.surroundings import run_program
from lab.core import canonical, event, ids, layout
from lab.core.manifest import Manifest
from lab.core.record import encode, page
from lab.core.run import SUCCESS
from lab.core.seal import Anchor, Seal, SealedFile
from lab.core.world import World, stamp
from lab.scheduler import create, refresh
from lab.store import ledger
from lab.store.files import Files
from lab.store.root import Root

if TYPE_CHECKING:
    from collections.abc import Sequence

SPEC = """\
id: {id}
goal: find the learning rate of a small model
metric: loss
metric_direction: minimize
cadence: 30m
max_iterations_total: 1000000
time_budget: 5m
durability: {durability}
"""
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
ROLE = "explorer"
_FLUSH_LINES = 1_000


def open_root(place: str, *, durable: bool) -> Root:
    """A data root with the real clock."""
    world = World(now=lambda: datetime.now(UTC), rng=random.Random(1), run=run_program, environ=dict(os.environ))
    return Root(place, world, files=Files(durable=durable))


def grown(place: str, plan: Sequence[tuple[str, int]], *, durability: str = "fast") -> Root:
    """The data root at `place` with these experiments and so many runs in each; made unless it is there already."""
    root = open_root(place, durable=False)
    ready = f"{place}.ready"
    if os.path.exists(ready):
        return root
    create.make_lab(root)
    chain = Chain(root)
    for name, runs in plan:
        experiment(root, chain, name, durability)
        for _ in range(runs):
            _bundle(root, chain, name)
    chain.flush()
    refresh.everything(root)
    with open(ready, "w", encoding="utf-8") as file:
        file.write("whole\n")
    return root


def manifest(experiment: str, number: int, moment: datetime) -> Manifest:
    """The last manifest of a run that went well."""
    began = stamp(moment)
    return Manifest(
        run_id=ids.new_run_id(moment, ROLE),
        experiment=experiment,
        status=SUCCESS,
        iteration=number,
        generation=number,
        role=ROLE,
        executor="command",
        lease_id=f"{experiment}.{number}",
        metric="loss",
        metric_direction="minimize",
        time_budget_s=300.0,
        started_at=began,
        completed_at=began,
        wall_s=1.5,
        value=round(2.0 / (1.0 + number % 997), 6),
    )


def contents(made: Manifest) -> dict[str, bytes]:
    """The files of a run as `cycle` leaves them, but for the seal."""
    value = made.value
    metrics: dict[str, object] = {"loss": value, "steps": 100, "metric": "loss", "value": value}
    return {
        layout.MANIFEST: page(made),
        layout.PLAN: f"# Plan of {made.run_id}\n\n- metric: loss, minimize\n- budget: 300s\n".encode(),
        layout.PARAMS: canonical.page({"lr": 0.001, "momentum": 0.9, "batch": 64}),
        layout.RESULT: f"# {made.run_id}\n\nOutcome: success\nloss: {value!r}\n".encode(),
        layout.METRICS: canonical.page({**metrics, "iteration": made.iteration}),
    }


class Chain:
    """The ledger's end, and lines that are not in the file yet."""

    def __init__(self, root: Root) -> None:
        self._path = root.layout.events
        newest = ledger.newest(root, durable=False)
        self.anchor = Anchor(seq=newest.seq, sha256=newest.sha256)
        self.runs = 0
        self._lines: list[bytes] = []

    def add(self, told: event.Event) -> None:
        """One more line."""
        line = encode(event.Line(seq=self.anchor.seq + 1, prev=self.anchor.sha256, event=told))
        self.anchor = Anchor(seq=self.anchor.seq + 1, sha256=canonical.digest(line[:-1]))
        self._lines.append(line)
        if len(self._lines) >= _FLUSH_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        with open(self._path, "ab") as file:
            file.write(b"".join(self._lines))
        self._lines.clear()


def experiment(root: Root, chain: Chain, name: str, durability: str) -> None:
    data = SPEC.format(id=name, durability=durability).encode()
    os.makedirs(root.layout.runs(name))
    _write(root.layout.spec(name), data, 0o644)
    spec = canonical.digest(data)
    chain.add(
        event.Event(
            type=event.EXPERIMENT_CREATED,
            ts=stamp(BEGINNING),
            experiment=name,
            actor="bench",
            tier="default",
            spec=spec,
        )
    )


def _bundle(root: Root, chain: Chain, name: str) -> None:
    chain.runs += 1
    made = manifest(name, chain.runs, BEGINNING + timedelta(seconds=chain.runs))
    path = root.layout.run(name, made.run_id)
    os.mkdir(path)
    sealed: dict[str, SealedFile] = {}
    for file, data in sorted(contents(made).items()):
        _write(f"{path}/{file}", data, 0o444)
        sealed[file] = SealedFile(sha256=canonical.digest(data), size=len(data))
    seal = Seal(
        run=made.run(),
        generation=made.generation,
        anchor=chain.anchor,
        sealed_at=made.completed_at,
        sealed_by="bench",
        durability="fast",
        files=sealed,
    )
    data = page(seal)
    _write(f"{path}/{layout.SEAL}", data, 0o444)
    chain.add(
        event.Event(
            type=event.RUN_SEALED,
            ts=seal.sealed_at,
            experiment=name,
            run_id=made.run_id,
            seal=canonical.digest(data),
            generation=made.generation,
            actor="bench",
            facts={"outcome": made.status, "value": made.value},
        )
    )


def _write(path: str, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    os.write(descriptor, data)
    os.close(descriptor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--experiments", type=int, default=3)
    parser.add_argument("--runs", type=int, default=20, help="runs in each experiment")
    options = parser.parse_args()
    plan = [(f"exp-{number:04d}", options.runs) for number in range(options.experiments)]
    grown(os.path.abspath(options.folder), plan)
    print(f"made {options.folder}: {options.experiments} experiments, {options.runs} runs each")


if __name__ == "__main__":
    main()
