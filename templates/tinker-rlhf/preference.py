"""Stage 2 of 3: a judge that says which of two answers people prefer, learned from comparisons.jsonl.

It is supervised learning of one token, the label. Each comparison is shown in both orders, or the judge would learn
which place wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge import Judge

from lab.tinker import dataset, datums, recipe, schedule

if TYPE_CHECKING:
    from lab.tinker.recipe import Datum, Job

    Asked = tuple[list[int], float]  # a question, and what the first answer deserves


class Preference(recipe.Recipe):
    """Cross entropy on the label."""

    metric = "accuracy"

    def prepare(self, job: Job) -> None:
        """Read both files. What is wrong with them is told here, before anything is paid."""
        self.judge = Judge(job.tokenizer)
        rows = dataset.read(job.file("comparisons.jsonl"), dataset.Comparison)
        held_out = dataset.read(job.file("heldout.jsonl"), dataset.Comparison)
        dataset.refuse_overlap(rows, held_out, job.file("heldout.jsonl"))
        self.asked = self.both_orders(job, rows, "comparisons.jsonl")
        self.held_out = self.both_orders(job, held_out, "heldout.jsonl")

    def both_orders(self, job: Job, rows: tuple[dataset.Comparison, ...], name: str) -> list[Asked]:
        """Two questions of each row."""
        asked: list[Asked] = []
        for row in rows:
            deserved = float(row.better == "a")
            asked.append((self.judge.question(row.prompt, row.a, row.b), deserved))
            asked.append((self.judge.question(row.prompt, row.b, row.a), 1 - deserved))
        lengths = {row.line: len(asked[2 * index][0]) + 1 for index, row in enumerate(rows)}
        dataset.refuse_too_long(lengths, job.whole("max_tokens", 512), job.file(name))
        return asked

    def length(self, job: Job) -> int:
        """The steps of this stage."""
        return job.whole("preference_steps", 60)

    def batch(self, job: Job, step: int) -> list[Datum]:
        """What a step trains on: comparisons in both orders, with the right label behind each."""
        chosen = schedule.batch(step, job.whole("preference_batch", 8), len(self.asked) // 2, job.order.seed)
        first, second = self.judge.labels
        return [
            recipe.supervised(question, [first if deserved else second])
            for index in chosen
            for question, deserved in self.asked[2 * index : 2 * index + 2]
        ]

    def step(self, job: Job, step: int) -> dict[str, float]:
        """One optimizer step."""
        batch = self.batch(job, step)
        rate = schedule.learning_rate(
            step, peak=job.number("preference_learning_rate", 0.003), steps=job.end, shape="linear", warmup=5,
        )  # fmt: skip
        told = job.train(batch, learning_rate=rate)
        return {"label_nll": datums.nll(batch, told.logprobs)}

    def measure(self, job: Job) -> dict[str, float]:
        """How often the judge is right about comparisons that it was not trained on, in both orders."""
        verdicts = self.judge.verdicts(job.sampler(), [question for question, _ in self.held_out])
        right = [verdict == deserved for verdict, (_, deserved) in zip(verdicts, self.held_out, strict=True)]
        return {"accuracy": sum(right) / len(right)}

    def tokens(self, job: Job, step: int) -> recipe.Tokens:
        """What the step will use."""
        return recipe.Tokens(trained=sum(len(datum.tokens) for datum in self.batch(job, step)))

    def measured_tokens(self, job: Job) -> recipe.Tokens:
        """What `measure` will use: a label to each question."""
        return recipe.Tokens(sampled=len(self.held_out), prefilled=sum(len(question) for question, _ in self.held_out))


if __name__ == "__main__":
    raise SystemExit(recipe.main(Preference()))
