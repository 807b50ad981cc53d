"""Measure the training template on a CPU, beside a plain step of the same design (scripts/bench/plain.py).

    python scripts/bench/train.py [--quick] [--only speed quality memory whole gpu] [--json | --markdown]

One thread, and CPU time: steps of both in turns, so that a slow minute is everybody's. `quality` trains both with equal
seeds for 250 steps of the builtin data and scores them on all held-out plays; `memory` holds the estimate against the
peak of a process of its own for each shape; `whole` is the default run with its start and its end. `gpu` tells what it
finds there, and nothing where there is none. It wants the extra `train`. Not a test; --quick takes a minute or two, the
whole some fifteen.
"""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import time
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from scripts.bench import gauge, program
from scripts.bench.gauge import CHECKOUT
from scripts.bench.table import QUICK, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from multiprocessing.connection import Connection
    from types import ModuleType

    from scripts.bench.program import Measure
    from scripts.bench.table import Size

TEMPLATE = os.path.join(CHECKOUT, "templates", "gpu-training")
STEPS, ROWS, LENGTH = 250, 16, 128
GOAL_SPEED, GOAL_BPB, GOAL_MEMORY, GOAL_S = 1.2, 2.30, 0.15, 60.0
CLAIMED = "reference claims 0.9979 on an H100, about 0.991 on an H200"
# Before torch is loaded: one thread, which sleeps when it waits, in this process and in all that it starts.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
SHAPES: Mapping[str, Mapping[str, object]] = {
    "depth 2, width 128": {},
    "depth 4, width 256": {"depth": 4, "width": 256},
    "depth 4, width 512, rows of 512": {"depth": 4, "width": 512, "context": 512, "batch_tokens": 2048},
    "depth 4, width 512, rows of 1,024": {"depth": 4, "width": 512, "context": 1024, "batch_tokens": 2048},
    "the same, checkpointed": {
        "depth": 4, "width": 512, "context": 1024, "batch_tokens": 2048, "checkpointing": "on"
    },
}  # fmt: skip


class Parts(NamedTuple):
    """The template's own modules, and torch. They are no package, and are loaded only where they are measured."""

    train: ModuleType
    machine: ModuleType
    harness: ModuleType
    prepare: ModuleType
    torch: ModuleType


@cache
def parts() -> Parts:
    os.environ.update(ONE_THREAD)
    sys.path.insert(1, TEMPLATE)
    named = importlib.util.spec_from_file_location("template_train", os.path.join(TEMPLATE, "train.py"))
    if named is None or named.loader is None:
        raise RuntimeError(f"{TEMPLATE}/train.py cannot be loaded")
    train = importlib.util.module_from_spec(named)
    sys.modules[named.name] = train  # this file is called train too
    named.loader.exec_module(train)
    machine, harness, prepare, torch = map(importlib.import_module, ("machine", "harness", "prepare", "torch"))
    return Parts(train, machine, harness, prepare, torch)


class Contender:
    """One of the two in a process of its own: what one does to the allocator is not the other's gain."""

    def __init__(self, name: str, steps: int, seed: int) -> None:
        os.environ.update(ONE_THREAD)
        at_home = multiprocessing.get_context("spawn")
        self._pipe, theirs = at_home.Pipe()
        self._process = at_home.Process(target=_serve, args=(theirs, name, steps, seed), daemon=True)
        self._process.start()
        theirs.close()  # or its end would never be heard

    def step(self) -> float:
        """The CPU seconds of the next step."""
        return self._asked("step")

    def score(self) -> float:
        """Bits per byte on all held-out text, and its end."""
        told = self._asked("score")
        self.end()
        return told

    def end(self) -> None:
        self._pipe.close()
        self._process.join()

    def _asked(self, word: str) -> float:
        self._pipe.send(word)
        return float(self._pipe.recv())


def _serve(pipe: Connection, name: str, steps: int, seed: int) -> None:
    step, logits = {"ours": ours, "plain": plain}[name](steps, seed)
    at = parts()
    try:
        while True:
            if pipe.recv() == "step":
                before = time.process_time()
                step()
                pipe.send(time.process_time() - before)
            else:
                told = at.prepare.evaluate(logits, at.prepare.ensure("builtin"), "val", device="cpu", batch_rows=64)
                pipe.send(told.bpb)
    except EOFError:
        return


def ours(steps: int, seed: int) -> tuple[Callable[[], object], object]:
    """A step of train.py as it stands, without its loop, and its model."""
    at = parts()
    config = at.train.Config(device="cpu", threads=1, seed=seed, budget=f"{steps}steps")
    run = at.train.Training(config, at.machine.detect(config), at.prepare.ensure("builtin"), at.harness.Bell())
    shares = iter(number / steps for number in range(steps))
    return lambda: float(run.step(next(shares))[0]), run.model.logits


def plain(steps: int, seed: int) -> tuple[Callable[[], object], object]:
    """The reference step on the same rows, and its model."""
    at = parts()
    at.torch.set_num_threads(1)
    at.torch.set_flush_denormal(True)
    data = at.prepare.ensure("builtin")
    rows = at.prepare.Rows(data, "train", LENGTH, seed=seed)
    trainer = importlib.import_module("scripts.bench.plain").Trainer(vocab=data.vocab_size, steps=steps, seed=seed)

    def step() -> object:
        taken = at.torch.from_numpy(rows.take(ROWS))
        return trainer.step([(taken[:, :-1], taken[:, 1:])])

    return step, trainer.model


def speed(_: str, __: str, size: Size) -> list[Row]:
    """Tokens a CPU second, in turns. The first steps only warm up."""
    count, warm = (12, 3) if size is QUICK else (40, 5)
    both = {name: Contender(name, count, 1) for name in ("ours", "plain")}
    taken = [{name: contender.step() for name, contender in both.items()} for _ in range(count)][warm:]
    for contender in both.values():
        contender.end()
    ratio = gauge.median(each["plain"] / each["ours"] for each in taken)
    own_s, plain_s = (gauge.median(each[name] for each in taken) for name in ("ours", "plain"))
    tokens = ROWS * LENGTH
    return [
        Row(what="a step, forward to optimizer: tokens a CPU second", ours=f"{tokens / own_s:,.0f}",
            floor=f"{tokens / plain_s:,.0f} (the reference step, plainly)", ratio=ratio, goal=f">= {GOAL_SPEED}x",
            met=ratio >= GOAL_SPEED, number=tokens / own_s),
    ]  # fmt: skip


def quality(_: str, __: str, size: Size) -> list[Row]:
    """Bits per byte after 250 steps. A seed is the same rows for both; the first weights are their own."""
    scores: dict[str, list[float]] = {"ours": [], "plain": []}
    for seed in (1,) if size is QUICK else (1, 2, 3):
        for name, told in scores.items():
            contender = Contender(name, STEPS, seed)
            for _step in range(STEPS):
                contender.step()
            told.append(contender.score())
            print(f"  seed {seed}, {name}: {told[-1]:.4f}", file=sys.stderr, flush=True)
    own, theirs = statistics.mean(scores["ours"]), statistics.mean(scores["plain"])
    what = f"val_bpb after {STEPS} steps, {len(scores['ours'])} seed(s)"
    return [
        Row(what=what, ours=_spread(scores["ours"]), floor=f"{_spread(scores['plain'])} (the reference step)",
            ratio=own / theirs, goal="<= 1.00x", met=own <= theirs, number=own),
        Row(what=what, ours=_spread(scores["ours"]), goal=f"<= {GOAL_BPB:.2f}", met=max(scores["ours"]) <= GOAL_BPB,
            number=own),
    ]  # fmt: skip


def _spread(values: Sequence[float]) -> str:
    if len(values) < 2:  # noqa: PLR2004  # one value has no spread
        return f"{values[0]:.4f}"
    return f"{statistics.mean(values):.4f} +- {statistics.stdev(values):.4f}"


_PEAK = """import json, sys
sys.path.insert(0, sys.argv[1])
import harness, machine, prepare, train
config = train.Config(device="cpu", threads=1, budget="2steps", **json.loads(sys.argv[2]))
device = machine.detect(config)
run = train.Training(config, device, prepare.ensure("builtin"), harness.Bell())
for number in range(2):
    run.step(number / 2)
with open("/proc/self/status", encoding="ascii") as file:  # not ru_maxrss: a child inherits its parent's
    peak = next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
print(run.plan.bytes + device.base, peak)
"""


def memory(_: str, __: str, size: Size) -> list[Row]:
    """What is estimated before a shape is tried, and the peak of a process that trained it for two steps."""
    rows = []
    for name, fields in list(SHAPES.items())[: 2 if size is QUICK else None]:
        command = [sys.executable, "-c", _PEAK, TEMPLATE, json.dumps(fields)]
        done = subprocess.run(command, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=True)
        estimate, peak = map(float, done.stdout.split()[-2:])
        rows.append(
            Row(what=f"peak memory, {name}", ours=f"{estimate / 1e6:,.0f} MB estimated",
                floor=f"{peak / 1e6:,.0f} MB measured", ratio=estimate / peak, goal=f"within {GOAL_MEMORY:.0%}",
                met=abs(estimate / peak - 1) <= GOAL_MEMORY, number=estimate / 1e6)
        )  # fmt: skip
    return rows


def whole(scratch: str, _: str, __: Size) -> list[Row]:
    """The default run as a user starts it, the check of the data and the evaluation with it. The data is there."""
    parts().prepare.ensure("builtin")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = _summary(os.path.join(scratch, "checkpoint.pt"), "--device", "cpu", "--threads", "1")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    what = f"python train.py, {told['num_steps']} steps, val_bpb {told['val_bpb']}"
    return [
        Row(
            what=what,
            ours=f"{used_s:.0f} CPU s",
            goal=f"about {GOAL_S:.0f} s",
            met=used_s <= GOAL_S * 1.1,
            number=used_s,
        )
    ]


def gpu(scratch: str, _: str, size: Size) -> list[Row]:
    """Five minutes on a GPU, as the reference has them; a minute with --quick."""
    if not parts().torch.cuda.is_available():
        return [Row(what="a GPU", ours="none here: unmeasured")]
    dataset, budget_s = os.environ.get("LAB_BENCH_DATASET", "climbmix"), 60 if size is QUICK else 300
    words = ("--dataset", dataset, "--budget", f"{budget_s}s", "--device", "cuda")
    told = _summary(os.path.join(scratch, "checkpoint.pt"), *words)
    about = f"{told['device']}, commit {told['commit']}, {dataset}, {told['precision']}, {told['attention']}"
    return [
        Row(what=f"val_bpb after {budget_s} s: {about}", ours=told["val_bpb"], floor=CLAIMED,
            number=float(told["val_bpb"])),
        Row(what="tokens a second", ours=told["tokens_per_second"], number=float(told["tokens_per_second"])),
        Row(what="MFU", ours=f"{told['mfu_percent']} %", floor="39.8 % (claimed, H100)"),
        Row(what="peak memory", ours=f"{told['estimate_mb']} MB estimated", floor=f"{told['peak_mb']} MB measured",
            ratio=float(told["estimate_mb"]) / float(told["peak_mb"]), goal=f"within {GOAL_MEMORY:.0%}",
            met=abs(float(told["estimate_mb"]) / float(told["peak_mb"]) - 1) <= GOAL_MEMORY),
    ]  # fmt: skip


def _summary(checkpoint: str, *flags: str) -> dict[str, str]:
    command = [sys.executable, os.path.join(TEMPLATE, "train.py"), "--checkpoint", checkpoint, *flags]
    done = subprocess.run(command, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"train.py ended with {done.returncode}: {done.stderr[-2000:]}")
    lines = done.stdout.rpartition("\n---\n")[2].splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines) if value}


MEASURES: Mapping[str, Measure] = {
    "speed": speed, "quality": quality, "memory": memory, "whole": whole, "gpu": gpu,
}  # fmt: skip


if __name__ == "__main__":
    program.run(__doc__, MEASURES)
