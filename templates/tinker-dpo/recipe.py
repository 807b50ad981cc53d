"""Direct preference optimization: like the better answer of each pair in train.jsonl more than the reference does.

The reference is the policy as it is before the first step; it is saved then, and every chunk compares with that one.
The gradient of the loss is computed here in closed form, and sent as the weights of a cross entropy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.tinker import dataset, datums, preference, recipe, schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.tinker.recipe import Datum, Job

    Both = tuple[Datum, Datum]  # the better answer, and the worse one


class Dpo(recipe.Recipe):
    """-log sigmoid(beta * (how much more the policy prefers the better answer than the reference does))."""

    metric = "heldout_loss"
    fixed = ("reference",)

    def prepare(self, job: Job) -> None:
        """Read both files. What is wrong with them is told here, before anything is paid."""
        rows = dataset.read(job.file("train.jsonl"), dataset.Pair)
        held_out = dataset.read(job.file("heldout.jsonl"), dataset.Pair)
        dataset.refuse_overlap(rows, held_out, job.file("heldout.jsonl"))
        self.pairs = self.encoded(job, rows, "train.jsonl")
        self.held_out = self.encoded(job, held_out, "heldout.jsonl")
        self.beta = job.number("beta", 0.1)

    def encoded(self, job: Job, rows: tuple[dataset.Pair, ...], name: str) -> list[Both]:
        """The rows as tokens, with a weight of 1 in an answer and 0 before it."""
        limits = datums.Limits(
            where=job.file(name),
            max_tokens=job.whole("max_tokens", 512),
            long=job.text("long", "refuse"),
            chat=job.flag("chat", default=False),
        )
        return datums.pairs(job.tokenizer, rows, limits)

    def fix(self, job: Job) -> dict[str, str]:
        """The reference, before step 0. Made anew later it would be what was learned so far, and no reference."""
        return {"reference": job.snapshot("reference")}

    def batch(self, job: Job, step: int) -> list[Both]:
        """Which pairs a step trains on."""
        chosen = schedule.batch(step, job.whole("batch", 4), len(self.pairs), job.order.seed)
        return [self.pairs[index] for index in chosen]

    def step(self, job: Job, step: int) -> dict[str, float]:
        """One optimizer step: a pass without a gradient tells the margins, then both answers are weighed by them."""
        batch = self.batch(job, step)
        told = self.compared(job, batch)
        better = [datums.weighed(pair[0], pull) for pair, pull in zip(batch, told.chosen, strict=True)]
        worse = [datums.weighed(pair[1], pull) for pair, pull in zip(batch, told.rejected, strict=True)]
        job.train([*better, *worse], learning_rate=job.number("learning_rate", 0.005))
        return {"loss": told.loss, "accuracy": told.accuracy, "margin": told.margin}

    def measure(self, job: Job) -> dict[str, float]:
        """The same loss on the held-out pairs; 0.693 is what the reference has."""
        told = self.compared(job, self.held_out)
        return {"heldout_loss": told.loss, "heldout_accuracy": told.accuracy}

    def compared(self, job: Job, pairs: Sequence[Both]) -> preference.Dpo:
        """The loss of these pairs, and the gradient."""
        data = [datum for pair in pairs for datum in pair]
        reference = job.sampler(job.fixed["reference"]).logprobs_each([datums.whole(datum) for datum in data])
        now = job.forward(data).logprobs
        gains = [
            datums.score(datum, one) - datums.score(datum, other)
            for datum, one, other in zip(data, now, reference, strict=True)
        ]
        return preference.dpo(gains[::2], gains[1::2], self.beta)

    def tokens(self, job: Job, step: int) -> recipe.Tokens:
        """What the step will use: the reference and the policy read each answer once, then it is trained on."""
        batch = self.batch(job, step)
        return recipe.Tokens(
            trained=sum(len(datum.tokens) for pair in batch for datum in pair), prefilled=self.read(batch)
        )

    def measured_tokens(self, job: Job) -> recipe.Tokens:
        """What `measure` will use."""
        return recipe.Tokens(prefilled=self.read(self.held_out))

    def read(self, pairs: Sequence[Both]) -> int:
        """The tokens of `compared`."""
        return sum(len(datum.tokens) + len(datums.whole(datum)) for pair in pairs for datum in pair)


if __name__ == "__main__":
    raise SystemExit(recipe.main(Dpo()))
