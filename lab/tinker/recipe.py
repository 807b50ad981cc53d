"""The one import of a recipe file: what it says (`Recipe`), what it works with (`Job`), and how it is run (`main`).

from lab.tinker import recipe

class Sft(recipe.Recipe):
    metric = "nll"

    def step(self, job, step):
        told = job.train(batch_of(step), learning_rate=job.number("learning_rate", 1e-3))
        return {"nll": ...}

raise SystemExit(recipe.main(Sft()))
"""

from __future__ import annotations

from lab.tinker.data import Datum, Sample, Trained, rollout, supervised
from lab.tinker.job import Job, Sampler
from lab.tinker.training import Recipe

__all__ = ["Datum", "Job", "Recipe", "Sample", "Sampler", "Trained", "main", "rollout", "supervised"]


def main(recipe: Recipe) -> int:
    """Do the chunk that LAB_CHUNK_PATH orders: 75 more is to do, 0 the training is at its end, else it failed."""
    raise NotImplementedError
