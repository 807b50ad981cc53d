"""Stage 1 of 3: learn to answer at all, from demonstrations.jsonl. Some of these answers are good, some are not.

What comes of it is where the policy of stage 3 begins, and whom that policy has to beat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.tinker import dataset, datums, recipe, schedule

if TYPE_CHECKING:
    from lab.tinker.recipe import Datum, Job

FILE = "demonstrations.jsonl"


class Sft(recipe.Recipe):
    """Cross entropy on the answers."""

    metric = "nll"

    def prepare(self, job: Job) -> None:
        """Read the file. What is wrong with it is told here, before anything is paid."""
        limits = datums.Limits(
            where=job.file(FILE), max_tokens=job.whole("max_tokens", 512), chat=job.flag("chat", default=False)
        )
        rows = dataset.read(job.file(FILE), dataset.Demonstration)
        self.data = datums.demonstrations(job.tokenizer, rows, limits)

    def length(self, job: Job) -> int:
        """The steps of this stage."""
        return job.whole("sft_steps", 60)

    def batch(self, job: Job, step: int) -> list[Datum]:
        """What a step trains on."""
        chosen = schedule.batch(step, job.whole("sft_batch", 8), len(self.data), job.order.seed)
        return [self.data[index] for index in chosen]

    def step(self, job: Job, step: int) -> dict[str, float]:
        """One optimizer step."""
        batch = self.batch(job, step)
        told = job.train(batch, learning_rate=job.number("sft_learning_rate", 0.005))
        return {"nll": datums.nll(batch, told.logprobs)}

    def tokens(self, job: Job, step: int) -> recipe.Tokens:
        """What the step will use."""
        return recipe.Tokens(trained=sum(len(datum.tokens) for datum in self.batch(job, step)))


if __name__ == "__main__":
    raise SystemExit(recipe.main(Sft()))
