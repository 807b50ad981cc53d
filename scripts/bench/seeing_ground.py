"""Make one experiment with many runs in seconds, for what shows them: reports, the live page, pictures.

    python scripts/bench/seeing_ground.py FOLDER [--runs 1000] [--kind search | loop] [--bundles] [--wordy]

The pages and the ledger are those that labctl itself would write for these runs. Without bundles there is nothing else,
which is all that a picture reads; with them every run is sealed, and `labctl verify` finds the lab clean. A wordy one
has a dozen parameters, and notes, plans, changes and logs as long as people and models write them.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

import msgspec

from lab.core import canonical, event, history, ids, layout
from lab.core.candidate import BASELINE, DISCARD, IMPROVE, KEEP, Candidate
from lab.core.manifest import Manifest
from lab.core.origin import Origin
from lab.core.record import page
from lab.core.run import CRASH, FAILED, MINIMIZE, SUCCESS, TIMEOUT
from lab.core.seal import Anchor, Seal, SealedFile
from lab.core.subject import Place, Subject
from lab.core.world import stamp
from lab.projections import index, lab_status, pages, runbook, tables
from lab.scheduler import create, refresh, rows
from lab.store import experiments
from scripts.bench import grow, seeing_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.core.run import Run
    from lab.store.root import Root

SEARCH, LOOP = "search", "loop"
NAME = "seen"
SPECS = {
    SEARCH: """\
id: {name}
goal: find the learning rate and the shape of a small model
metric: loss
metric_direction: minimize
cadence: 0
max_iterations_total: 1000000
time_budget: 5m
max_parallel: 4
durability: fast
noise: true
strategy: portfolio
search_space:
  lr: {{low: 0.0001, high: 0.1, type: float, log: true}}
  depth: {{low: 2, high: 12, type: int}}
  momentum: {{low: 0.5, high: 0.99, type: float}}
  optimizer: {{choices: [sgd, adam, lion]}}
""",
    LOOP: """\
id: {name}
goal: make the attention of a small model faster
executor: reference
metric: loss
metric_direction: minimize
workspace_root: {workspace}
mutation_command: "true"
validation_command: echo 1
mutable_paths: [train.py]
cadence: 0
durability: fast
max_iterations_total: 1000000
""",
}
ARMS = ("bayesian", "evolution", "perturb", "tree")
WORKERS = ("alder", "birch", "cedar", "doubt")
IDEAS = (
    "use rotary embeddings", "fuse the two layer norms", "warm the learning rate up for 200 steps instead of 500",
    "drop the bias of the last layer", "halve the batch", "clip gradients at 0.5", "share the embedding with the head",
)  # fmt: skip
NOTES = {
    "bayesian": "expected improvement",
    "evolution": "a child of two",
    "perturb": "near the best",
    "tree": "a leaf",
}
NOISE = 0.01


def a_lab(path: str, runs: int, *, kind: str = SEARCH, bundles: bool = False, wordy: bool = False) -> Root:
    """A data root at `path`, which is not there yet, with the experiment NAME and so many runs; the same each time."""
    root = grow.open_root(path, durable=False)
    create.make_lab(root)
    chain = grow.Chain(root)
    workspace = f"{root.layout.root}.workspace"
    os.makedirs(root.layout.runs(NAME))
    space = seeing_words.SPACE if wordy and kind == SEARCH else ""
    spec = (SPECS[kind].format(name=NAME, workspace=workspace) + space).encode()
    _write(root.layout.spec(NAME), spec)
    if kind == LOOP:
        os.makedirs(workspace, exist_ok=True)
        _write(f"{workspace}/train.py", b"STEPS = 200\n")
    began = stamp(grow.BEGINNING)
    created = event.Event(
        type=event.EXPERIMENT_CREATED, ts=began, experiment=NAME, actor="bench", tier="default",
        spec=canonical.digest(spec),
    )  # fmt: skip
    chain.add(created)
    plain = ((manifest.run(), params) for manifest, params in made(kind, runs))
    made_runs = map(_wordy, plain) if wordy else plain
    told = [_sealed(root, chain, *each, bundled=bundles, wordy=wordy) for each in made_runs]
    chain.flush()
    if bundles:
        refresh.everything(root)
    else:
        _pages(root, chain.anchor, told, spec)
    return root


def _wordy(plain: tuple[Run, dict[str, object]]) -> tuple[Run, dict[str, object]]:
    """The same run, of which more is said."""
    run, params = plain
    more = seeing_words.params(run.iteration) if params else {}
    return msgspec.structs.replace(run, note=seeing_words.note(run.iteration)), {**params, **more}


def _sealed(
    root: Root, chain: grow.Chain, run: Run, params: Mapping[str, object], *, bundled: bool, wordy: bool
) -> rows.Read:
    """A run at its place in history; with its bundle, where that is wanted."""
    if bundled:
        _bundle(root, chain, run, params, wordy=wordy)
    key = (chain.anchor.seq, 1, run.run_id)
    line, packed = tables.metrics_line(run, _metrics(run), params or None), msgspec.json.encode(run)
    return rows.Read(key=key, ts=run.ended_at, generation=run.iteration, packed=packed, line=line, measured=b"{}")


def _metrics(run: Run) -> dict[str, object]:
    return {} if run.value is None else {run.metric: run.value, "metric": run.metric, "value": run.value, "steps": 100}


def made(kind: str, runs: int, name: str = NAME) -> Iterator[tuple[Manifest, dict[str, object]]]:
    """The runs by their last manifests, in the order of history, and their parameters."""
    luck = random.Random(20260101)  # the same lab each time
    maker = Search(luck) if kind == SEARCH else Loop(luck)
    for number in range(1, runs + 1):
        # Four at once, and nothing at all during every fiftieth gap.
        began = grow.BEGINNING + timedelta(seconds=15 * number + 600 * (number // 50))
        wall_s = round(luck.uniform(20, 58), 3)
        manifest = Manifest(
            run_id=ids.new_run_id(began, grow.ROLE), experiment=name, executor="command", metric="loss",
            metric_direction=MINIMIZE, iteration=number, generation=number, role=grow.ROLE, time_budget_s=300.0,
            started_at=stamp(began), completed_at=stamp(began + timedelta(seconds=wall_s)), wall_s=wall_s,
            worker=WORKERS[number % len(WORKERS)],
        )  # fmt: skip
        manifest, params = maker.made(manifest, number)
        yield manifest, params


class Search:
    """A portfolio of four on a valley with noise; a few runs crash, or take too long."""

    def __init__(self, luck: random.Random) -> None:
        self._luck = luck
        self._best: tuple[float, str, dict[str, object]] = (math.inf, "", {})

    def made(self, manifest: Manifest, number: int) -> tuple[Manifest, dict[str, object]]:
        luck = self._luck
        arm = luck.choice(ARMS)
        best, parent, params = self._best
        near = bool(parent) and arm in {"perturb", "evolution", "tree"}
        lr = float(str(params["lr"])) * math.exp(luck.gauss(0, 0.4)) if near else 10 ** luck.uniform(-4, -1)
        lr = min(0.1, max(0.0001, lr))
        depth, momentum = luck.randint(2, 12), round(luck.uniform(0.5, 0.99), 4)
        params = {"lr": lr, "depth": depth, "momentum": momentum, "optimizer": luck.choice(("sgd", "adam", "lion"))}
        note = NOTES[arm] if near or arm == "bayesian" else "evenly spread"
        origin = Origin(
            strategy="portfolio",
            arm=arm,
            seed=number,
            number=number,
            seen=number - 1,
            parents=(parent,) if near else (),
            note=note,
        )
        said = {"origin": origin, "cost": round(manifest.wall_s / 3600 * 1.8, 6), "note": note}
        if number % 19 == 0:
            what = "CUDA out of memory at depth 12" if number % 2 else "loss is not a number"
            words = f"it ended with exit code 1: {what}"
            return msgspec.structs.replace(manifest, status=CRASH, reason=words, **said), params
        if number % 53 == 0:
            return msgspec.structs.replace(manifest, status=TIMEOUT, reason="it ran past 300 s", **said), params
        value = 0.2 + 0.1 * (math.log10(lr) + 2.4) ** 2 + 0.01 * abs(depth - 8) + luck.gauss(0, NOISE)
        if value < best:
            self._best = (value, manifest.run_id, params)
        return msgspec.structs.replace(manifest, status=SUCCESS, value=value, **said), params


class Loop:
    """Changes to code that gain less and less; each keep was measured beside the one before."""

    def __init__(self, luck: random.Random) -> None:
        self._luck = luck
        self._best = ("", 3.0)
        self._kept: list[str] = []

    def made(self, manifest: Manifest, number: int) -> tuple[Manifest, dict[str, object]]:
        luck = self._luck
        parent, best = self._best
        commit = canonical.digest(str(number).encode())[:40]
        if number == 1:
            values = tuple(best + luck.gauss(0, NOISE) for _ in range(3))
            value = sum(values) / len(values)
            self._best = (manifest.run_id, value)
            self._kept.append(manifest.run_id)
            about = Candidate(kind=BASELINE, base=commit, commit=commit, values=values)
            return _ended(manifest, value=value, verdict=KEEP, candidate=about), {}
        if luck.random() < 0.2:  # noqa: PLR2004  # a fifth begins at an older keep
            parent = luck.choice(self._kept[-5:])
        idea = f"{luck.choice(IDEAS)} ({number})"
        about = Candidate(
            kind=IMPROVE, parent=parent, base=commit, commit=commit, diff=commit, added=number % 17, removed=number % 5,
            files=1, tokens=0 if number % 7 == 0 else luck.randint(2_000, 30_000), alpha=0.02,
        )  # fmt: skip
        if luck.random() < 0.12:  # noqa: PLR2004  # about one in eight crashes
            why = "measure ended with exit code 1: NameError: name 'rope' is not defined"
            about = msgspec.structs.replace(about, crash="other", why=why)
            return msgspec.structs.replace(
                manifest, status=FAILED, verdict="crash", reason=why, note=idea, candidate=about
            ), {}
        if number % 19 == 0:
            why = "nothing was changed" if number % 2 else f"the same change was tried in {self._kept[-1]}"
            about = msgspec.structs.replace(about, diff="" if number % 2 else about.diff, why=why)
            return msgspec.structs.replace(
                manifest, status=FAILED, verdict=DISCARD, reason=why, note=idea, candidate=about
            ), {}
        gain = luck.gauss(-0.02, 0.03) * (best / 3.0)
        keeps = gain > 2 * NOISE
        values, against = (best - gain, best - gain + luck.gauss(0, NOISE)), (best + luck.gauss(0, NOISE),)
        tested = bool(number % 3)
        about = msgspec.structs.replace(
            about, values=values, against=against if tested else (), gain=gain, p=0.004 if tested else None,
            rule="improve", why="better than the noise" if keeps else "no better than the incumbent",
        )  # fmt: skip
        if keeps:
            self._best = (manifest.run_id, best - gain)
            self._kept.append(manifest.run_id)
        return _ended(manifest, value=best - gain, verdict=KEEP if keeps else DISCARD, candidate=about, note=idea), {}


def _ended(manifest: Manifest, *, value: float, verdict: str, candidate: Candidate, note: str = "baseline") -> Manifest:
    return msgspec.structs.replace(
        manifest, status=SUCCESS, value=value, verdict=verdict, candidate=candidate, note=note, reason=candidate.why
    )


def _bundle(root: Root, chain: grow.Chain, run: Run, params: Mapping[str, object], *, wordy: bool) -> None:
    path = root.layout.run(NAME, run.run_id)
    os.makedirs(f"{path}/{layout.ARTIFACTS}")
    told = {
        layout.PLAN: f"# Plan of {run.run_id}\n\n- metric: {run.metric}, {run.direction}\n".encode(),
        layout.RESULT: f"# {run.run_id}\n\nOutcome: {run.outcome}\n".encode(),
        layout.METRICS: canonical.page(_metrics(run)),
        layout.STDOUT: b"".join(b"step %d\n" % number for number in range(20)),
    }
    if params:
        told[layout.PARAMS] = canonical.page(dict(params))
    if run.candidate is not None and run.candidate.kind != BASELINE:
        told[f"{layout.ARTIFACTS}/diff.patch"] = (
            "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n"
            f"-STEPS = 200\n+STEPS = {200 + run.iteration}\n"
        ).encode()
    if wordy:
        told[layout.PLAN], told[layout.STDOUT] = seeing_words.plan(run.iteration), seeing_words.log(run.iteration)
        if f"{layout.ARTIFACTS}/diff.patch" in told:
            told[f"{layout.ARTIFACTS}/diff.patch"] = seeing_words.diff(run.iteration)
    for file, data in told.items():
        _write(f"{path}/{file}", data)
    files = {file: SealedFile(sha256=canonical.digest(data), size=len(data)) for file, data in sorted(told.items())}
    seal = Seal(
        run=run, generation=run.iteration, anchor=chain.anchor, sealed_at=run.ended_at, sealed_by="bench",
        durability="fast", files=files,
    )  # fmt: skip
    data = page(seal)
    _write(f"{path}/{layout.SEAL}", data)
    chain.add(
        event.Event(
            type=event.RUN_SEALED, ts=run.ended_at, experiment=NAME, run_id=run.run_id, seal=canonical.digest(data),
            generation=run.iteration, actor="bench", facts={"outcome": run.outcome, "value": run.value},
        )
    )  # fmt: skip


def _pages(root: Root, anchor: Anchor, told: list[rows.Read], spec: bytes) -> None:
    """What `refresh` would write, from these runs instead of from bundles."""
    loaded = experiments.load(root, NAME)
    place = Place(seq=anchor.seq, sha256=anchor.sha256, end=os.path.getsize(root.layout.events))
    created = event.Event(
        type=event.EXPERIMENT_CREATED, ts=stamp(grow.BEGINNING), experiment=NAME, actor="bench", tier="default",
        spec=canonical.digest(spec),
    )  # fmt: skip
    begun = history.begin(NAME, direction=MINIMIZE, tier="default", spec=loaded.sha256)
    first = history.of_line(event.Line(seq=anchor.seq, prev="", event=created))
    view = history.fold(begun, [*([first] if first else []), *(each.item for each in told)])
    tables_told = rows.tables_of(loaded.spec, begun, told)
    subject = Subject(view=view, spec=loaded.spec, place=place, table_bytes=tuple(map(len, tables_told)))
    texts = {**pages.render(subject), layout.RUNBOOK: runbook.runbook_page(subject)}
    for name, data in (*zip(layout.TABLES, tables_told, strict=False), *texts.items()):
        where = root.layout.page(NAME, name)
        os.makedirs(os.path.dirname(where), exist_ok=True)
        _write(where, data)
    index_told = index.of([index.row(subject)], ledger=place, alerts=())
    _write(root.layout.index, index.render(index_told))
    _write(root.layout.lab_status, lab_status.render(index_told))


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--kind", choices=(SEARCH, LOOP), default=SEARCH)
    parser.add_argument("--bundles", action="store_true", help="seal every run")
    parser.add_argument("--wordy", action="store_true", help="with much said of every run")
    options = parser.parse_args()
    a_lab(
        os.path.abspath(options.folder), options.runs, kind=options.kind, bundles=options.bundles, wordy=options.wordy
    )
    print(f"made {options.folder}: {options.runs} runs")


if __name__ == "__main__":
    main()
