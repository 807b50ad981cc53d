"""Supervised learning: give the answers of train.jsonl. Measured on those of heldout.jsonl, which are never trained on.

A page to be changed. The lab calls `step` for one optimizer step after the other, in chunks that end and go on
elsewhere: whatever depends on chance has to follow from the step's number alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.tinker import dataset, datums, recipe, schedule

if TYPE_CHECKING:
    from lab.tinker.recipe import Datum, Job


class Supervised(recipe.Recipe):
    """Cross entropy on the answers; what was asked is read, and not learned."""

    metric = "heldout_nll"

    def prepare(self, job: Job) -> None:
        """Read both files. What is wrong with them is told here, before anything is paid."""
        rows = dataset.read(job.file("train.jsonl"), dataset.Demonstration)
        held_out = dataset.read(job.file("heldout.jsonl"), dataset.Demonstration)
        dataset.refuse_overlap(rows, held_out, job.file("heldout.jsonl"))
        self.data = self.encoded(job, rows, "train.jsonl")
        self.held_out = self.encoded(job, held_out, "heldout.jsonl")

    def encoded(self, job: Job, rows: tuple[dataset.Demonstration, ...], name: str) -> list[Datum]:
        """The rows as tokens, each with its weight: 1 in an answer, 0 before it."""
        limits = datums.Limits(
            where=job.file(name),
            max_tokens=job.whole("max_tokens", 512),
            long=job.text("long", "refuse"),
            chat=job.flag("chat", default=False),
        )
        return datums.demonstrations(job.tokenizer, rows, limits)

    def batch(self, job: Job, step: int) -> list[Datum]:
        """What a step trains on: each example once in an epoch, in an order of that epoch's own."""
        chosen = schedule.batch(step, job.whole("batch", 8), len(self.data), job.order.seed)
        return [self.data[index] for index in chosen]

    def step(self, job: Job, step: int) -> dict[str, float]:
        """One optimizer step. The loss is a sum over tokens: with a larger batch take a smaller rate."""
        rate = schedule.learning_rate(
            step,
            peak=job.number("learning_rate", 0.005),
            steps=job.end,
            shape=job.text("schedule", "linear"),
            warmup=job.whole("warmup", 1),
        )
        batch = self.batch(job, step)
        told = job.train(batch, learning_rate=rate)
        return {"nll": datums.nll(batch, told.logprobs), "learning_rate": rate}

    def measure(self, job: Job) -> dict[str, float]:
        """Nats a token of the held-out answers, all of them."""
        return {"heldout_nll": datums.nll(self.held_out, job.forward(self.held_out).logprobs)}

    def tokens(self, job: Job, step: int) -> recipe.Tokens:
        """What the step will use."""
        return recipe.Tokens(trained=sum(len(datum.tokens) for datum in self.batch(job, step)))

    def measured_tokens(self, job: Job) -> recipe.Tokens:
        """What `measure` will use."""
        return recipe.Tokens(prefilled=sum(len(datum.tokens) for datum in self.held_out))


if __name__ == "__main__":
    raise SystemExit(recipe.main(Supervised()))
