"""The lab of a hundred thousand runs: real bundles, seals and ledger lines with right digests, written in a loop.

What is real: every bundle with its manifest, parameters, result, metrics and log; the seal over them; the ledger, a
chain. `labctl verify` and `recover` find nothing. What is not: nothing was computed in these runs, nothing was synced,
and the commits of the long loop are in no repository; a small loop beside it has one.

    python scripts/trial/hundred_ground.py FOLDER [--runs 100000]
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

if __name__ == "__main__":  # from the checkout, whatever is installed
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

import msgspec

from lab.core import canonical, event, layout
from lab.core.candidate import BASELINE
from lab.core.record import page
from lab.core.seal import Seal, SealedFile
from lab.core.world import stamp
from lab.scheduler import create, refresh
from scripts.bench import grow, seeing_ground
from scripts.bench.seeing_ground import LOOP, SEARCH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.manifest import Manifest
    from lab.store.root import Root

BIG, LONG, OLD, FEW = "big", "loop", "old", "few"
PROXY, FINAL = "proxy", "final"
FEW_RUNS = 100
SMALL, SMALL_RUNS = 40, 50  # others, and the runs of each
TIERS = f"executor_command: echo METRIC loss=0.5\nfidelity_tiers: [{PROXY}, {FINAL}]\n"
LOG = b"".join(b"step %d\n" % number for number in range(20))
PATCH = """\
diff --git a/train.py b/train.py
--- a/train.py
+++ b/train.py
@@ -1 +1 @@
-STEPS = 200
+STEPS = {}
"""


def plan(runs: int) -> dict[str, tuple[str, int]]:
    """The kind of each experiment, and how many runs it has: nine tenths in one, the rest in others."""
    rest = runs // 10
    others = {f"small-{number:02d}": (SEARCH, rest // 5 // SMALL) for number in range(SMALL)}
    taken = rest * 3 // 10 + rest // 2 + sum(each for _, each in others.values())
    return {
        OLD: (SEARCH, rest * 3 // 10 - FEW_RUNS),
        LONG: (LOOP, rest // 2),
        FEW: (SEARCH, FEW_RUNS),
        **others,
        BIG: (SEARCH, runs - taken),
    }


def grown(place: str, runs: int) -> Root:
    """The lab at `place`, which is not there yet, with its pages."""
    root = grow.open_root(place, durable=False)
    create.make_lab(root)
    chain = grow.Chain(root)
    for name, (kind, count) in plan(runs).items():
        _experiment(root, chain, name, kind)
        tier = PROXY if kind == SEARCH else "default"
        for number, (manifest, params) in enumerate(seeing_ground.made(kind, count, name)):
            if kind == SEARCH and number == count * 2 // 3:
                tier = FINAL
                _moved(chain, name, manifest.started_at)
            _sealed(root, chain, msgspec.structs.replace(manifest, fidelity_tier=tier), params)
    chain.flush()
    refresh.everything(root)
    return root


def _experiment(root: Root, chain: grow.Chain, name: str, kind: str) -> None:
    workspace = f"{root.layout.root}.workspace"
    text = seeing_ground.SPECS[kind].format(name=name, workspace=workspace)
    spec = (text + TIERS if kind == SEARCH else text).encode()
    os.makedirs(root.layout.runs(name))
    os.makedirs(workspace, exist_ok=True)
    with open(root.layout.spec(name), "wb") as file:
        file.write(spec)
    chain.add(
        event.Event(
            type=event.EXPERIMENT_CREATED, ts=stamp(grow.BEGINNING), experiment=name, actor="bench",
            tier=PROXY if kind == SEARCH else "default", spec=canonical.digest(spec),
        )
    )  # fmt: skip


def _moved(chain: grow.Chain, name: str, ts: str) -> None:
    chain.add(event.Event(type=event.TIER_CHANGED, ts=ts, experiment=name, tier=FINAL, reason="so far", actor="bench"))


def _sealed(root: Root, chain: grow.Chain, manifest: Manifest, params: Mapping[str, object]) -> None:
    path = root.layout.run(manifest.experiment, manifest.run_id)
    told = _contents(manifest, params)
    os.mkdir(path)
    if f"{layout.ARTIFACTS}/diff.patch" in told:
        os.mkdir(f"{path}/{layout.ARTIFACTS}")
    for name, data in told.items():
        _write(f"{path}/{name}", data)
    seal = Seal(
        run=manifest.run(), generation=manifest.generation, anchor=chain.anchor, sealed_at=manifest.completed_at,
        sealed_by="bench", durability="fast",
        files={name: SealedFile(sha256=canonical.digest(data), size=len(data)) for name, data in sorted(told.items())},
    )  # fmt: skip
    data = page(seal)
    _write(f"{path}/{layout.SEAL}", data)
    chain.add(
        event.Event(
            type=event.RUN_SEALED, ts=seal.sealed_at, experiment=manifest.experiment, run_id=manifest.run_id,
            seal=canonical.digest(data), generation=manifest.generation, actor="bench",
            facts={"outcome": manifest.status, "value": manifest.value},
        )
    )  # fmt: skip


def _contents(manifest: Manifest, params: Mapping[str, object]) -> dict[str, bytes]:
    value, run = manifest.value, manifest.run_id
    measured = {} if value is None else {"loss": value, "metric": "loss", "value": value, "steps": 100}
    told = {
        layout.MANIFEST: page(manifest),
        layout.PLAN: f"# Plan of {run}\n\n- metric: loss, minimize\n- budget: 300s\n".encode(),
        layout.RESULT: f"# {run}\n\nOutcome: {manifest.status}\n".encode(),
        layout.METRICS: canonical.page({**measured, "iteration": manifest.iteration}),
        layout.STDOUT: LOG,
    }
    if params:
        told[layout.PARAMS] = canonical.page(dict(params))
    if manifest.candidate is not None and manifest.candidate.kind != BASELINE:
        told[f"{layout.ARTIFACTS}/diff.patch"] = PATCH.format(200 + manifest.iteration).encode()
    return told


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
    os.write(descriptor, data)
    os.close(descriptor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--runs", type=int, default=100_000)
    options = parser.parse_args()
    root = grown(os.path.abspath(options.folder), options.runs)
    print(f"made {root.layout.root}: {options.runs:,} runs")


if __name__ == "__main__":
    main()
