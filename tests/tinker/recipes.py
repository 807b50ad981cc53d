"""Recipes for tests. As a program it is one that the lab starts: RECIPE says which.

`Plain` learns four sequences made of chance; its params make it do what a test needs at a step:
    nan_at=S      its metric is no number
    raise_at=S    it stumbles
    gate_at=S     it makes the file `at-gate` beside its order, and waits until somebody reads from the pipe `gate`
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from lab.tinker import recipe

if TYPE_CHECKING:
    from lab.tinker.recipe import Datum, Job, Sample

PROMPT = [5, 6]
LENGTH, BATCH = 6, 4


def cost(data: list[Datum], logprobs: list[list[float]]) -> float:
    """Nats a learned token."""
    pairs = [
        (w, lp)
        for datum, each in zip(data, logprobs, strict=True)
        for w, lp in zip(datum.weights or [], each, strict=True)
    ]
    return -sum(w * lp for w, lp in pairs) / sum(w for w, _ in pairs)


class Plain(recipe.Recipe):
    metric = "nll"
    rank = 4

    def batch(self, job: Job, step: int) -> list[Datum]:
        chance = job.chance(step)
        return [recipe.supervised(PROMPT, [chance.randrange(3, 40) for _ in range(LENGTH)]) for _ in range(BATCH)]

    def step(self, job: Job, step: int) -> dict[str, float]:
        if step == job.whole("gate_at", -1):
            folder = os.path.dirname(os.environ["LAB_CHUNK_PATH"])
            for name in ("at-gate", "gate"):
                with open(f"{folder}/{name}", "wb"):
                    pass
        if step == job.whole("raise_at", -1):
            raise RuntimeError("the recipe stumbled")
        data = self.batch(job, step)
        told = job.train(data, learning_rate=job.number("learning_rate", 0.005))
        if step == job.whole("nan_at", -1):
            return {"nll": math.nan, "rate": 0.005}
        return {"nll": cost(data, told.logprobs)}

    def tokens(self, job: Job, step: int) -> recipe.Tokens:
        return recipe.Tokens(trained=BATCH * (len(PROMPT) + LENGTH - 1))


class Measured(Plain):
    """Held out is what no step of a test comes to."""

    metric = "held_out"

    def measure(self, job: Job) -> dict[str, float]:
        data = self.batch(job, 10_000)
        return {"held_out": cost(data, job.forward(data).logprobs)}

    def measured_tokens(self, job: Job) -> recipe.Tokens:
        return recipe.Tokens(prefilled=self.tokens(job, 10_000).trained)


class Held(Plain):
    """Looks at the model that stood still before step 0."""

    fixed = ("reference",)

    def fix(self, job: Job) -> dict[str, str]:
        return {"reference": job.snapshot("reference")}

    def step(self, job: Job, step: int) -> dict[str, float]:
        told = super().step(job, step)
        there = job.sampler(job.fixed["reference"]).logprobs([*PROMPT, 7, 8, 9])
        return {**told, "reference": sum(there), "kl": 0.01 * step}


class Rollouts(Plain):
    """Samples from itself, and likes small tokens."""

    metric = "reward"

    def step(self, job: Job, step: int) -> dict[str, float]:
        samples = self.drawn(job, step)
        rewards = [sum(token < 100 for token in sample.tokens) / len(sample.tokens) for sample in samples]
        mean = sum(rewards) / len(rewards)
        data = [recipe.rollout(PROMPT, s, r - mean) for s, r in zip(samples, rewards, strict=True) if r != mean]
        data = data or [recipe.rollout(PROMPT, samples[0], 0.0)]
        job.train(data, "importance_sampling", learning_rate=0.02)
        return {"reward": mean}

    def drawn(self, job: Job, step: int) -> list[Sample]:
        return job.sampler().sample(PROMPT, 4, max_tokens=3, seed=job.seed_of(step))


class Follower(Plain):
    """Begins with what an earlier tier left."""

    def origin(self, job: Job) -> str:
        return job.earlier["sft"].state_path


class Short(Plain):
    def length(self, job: Job) -> int:
        return 3


RECIPES = {kind.__name__: kind for kind in (Plain, Measured, Held, Rollouts, Follower, Short)}

if __name__ == "__main__":
    raise SystemExit(recipe.main(RECIPES[os.environ.get("RECIPE", "Plain")]()))
