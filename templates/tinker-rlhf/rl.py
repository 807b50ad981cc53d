"""Stage 3 of 3: make those answers likelier that the judge prefers to others, from the weights of stage 1.

In each group everyone meets everyone, in both orders; an answer's reward is the share that it won. The mean of these
is a half whatever the answers are, so what is measured is another number: how often the judge prefers an answer of the
policy to one of stage 1's, which stands still.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge import Judge

from lab.tinker import advantage, dataset, datums, preference, recipe, schedule

if TYPE_CHECKING:
    from lab.tinker.recipe import Job, Sample, Sampler


MEASURED = 8  # answers to each held-out prompt, from either side


class Rlhf(recipe.Recipe):
    """Policy gradient on the judge's verdicts."""

    metric = "win_rate"
    fixed = ("judge", "sft")

    def prepare(self, job: Job) -> None:
        """Read both files. What is wrong with them is told here, before anything is paid."""
        self.judge = Judge(job.tokenizer)
        self.prompts, self.asked = self.encoded(job, "prompts.jsonl")
        self.held_out, self.held_out_asked = self.encoded(job, "heldout.jsonl")
        self.group = job.whole("group", 4)
        self.most = job.whole("answer_tokens", 8)

    def encoded(self, job: Job, name: str) -> tuple[list[str], list[list[int]]]:
        """The prompts of a file, as text for the judge and as tokens for the policy."""
        rows = dataset.read(job.file(name), dataset.Task if name == "prompts.jsonl" else dataset.Comparison)
        limits = datums.Limits(
            where=job.file(name), max_tokens=job.whole("max_tokens", 512), chat=job.flag("chat", default=False)
        )
        return [row.prompt for row in rows], datums.prompts(job.tokenizer, rows, limits)

    def length(self, job: Job) -> int:
        """The steps of this stage."""
        return job.whole("rl_steps", 30)

    def origin(self, job: Job) -> str:
        """The weights of stage 1."""
        return job.earlier["sft"].state_path

    def fix(self, job: Job) -> dict[str, str]:
        """Who judges, and who is to be beaten."""
        return {"judge": job.sampler_of("preference"), "sft": job.sampler_of("sft")}

    def batch(self, job: Job, step: int) -> list[int]:
        """Which prompts a step samples answers to."""
        return schedule.batch(step, job.whole("rl_batch", 4), len(self.asked), job.order.seed)

    def step(self, job: Job, step: int) -> dict[str, float]:
        """Sample, let the judge compare, learn: an answer is worth what it won, less what it is away from stage 1."""
        batch = self.batch(job, step)
        seeds = [job.seed_of(step, "sample", index) for index in range(len(batch))]
        asked = [self.asked[index] for index in batch]
        groups = job.sampler().sample_each(asked, self.group, max_tokens=self.most, seeds=seeds)
        wins = self.wins(job, [self.prompts[index] for index in batch], groups)
        away = self.away(job, asked, groups)
        weight = job.number("kl_weight", 0.1)
        data, learned = [], []
        for prompt, group, won, far in zip(asked, groups, wins, away, strict=True):
            worth = [share - weight * nats for share, nats in zip(won, far, strict=True)]
            for sample, gain in zip(group, advantage.advantages(worth), strict=True):
                data.append(recipe.rollout(prompt, sample, gain))
                learned.append(sample)
        peak = job.number("rl_learning_rate", 0.0006)  # reached slowly: the first steps of Adam are its wildest
        rate = schedule.learning_rate(step, peak=peak, steps=job.end, shape="linear", warmup=5)
        trained = job.train(data, "importance_sampling", learning_rate=rate)
        return {
            "kl_to_sft": sum(map(sum, away)) / len(data),
            "without_signal": sum(not advantage.has_signal(won) for won in wins) / len(wins),
            "kl": advantage.kl(learned, trained.logprobs),
        }

    def away(self, job: Job, asked: list[list[int]], groups: list[list[Sample]]) -> list[list[float]]:
        """By how many nats each answer is likelier than it was for stage 1: its mean is the KL of the two."""
        read = [[*prompt, *sample.tokens] for prompt, group in zip(asked, groups, strict=True) for sample in group]
        told = iter(job.sampler(job.fixed["sft"]).logprobs_each(read))
        return [[sum(one.logprobs) - sum(next(told)[-len(one.tokens) :]) for one in group] for group in groups]

    def wins(self, job: Job, prompts: list[str], groups: list[list[Sample]]) -> list[list[float]]:
        """The share of its comparisons that each answer of each group won."""
        meetings = list(preference.ordered_pairs(self.group))
        texts = [[job.tokenizer.decode(sample.tokens) for sample in group] for group in groups]
        questions = [
            self.judge.question(prompt, group[one], group[other])
            for prompt, group in zip(prompts, texts, strict=True)
            for one, other in meetings
        ]
        verdicts = iter(self.judge.verdicts(job.sampler(job.fixed["judge"]), questions))
        return [
            preference.win_rates(self.group, [(one, other, next(verdicts)) for one, other in meetings]) for _ in groups
        ]

    def measure(self, job: Job) -> dict[str, float]:
        """How often an answer of the policy beats one of stage 1's to the same held-out prompt. Level is a half."""
        ours, theirs = self.answers(job, job.sampler()), self.answers(job, job.sampler(job.fixed["sft"]))
        met = [
            (prompt, one, other)
            for prompt, some, others in zip(self.held_out, ours, theirs, strict=True)
            for one, other in zip(some, others, strict=True)
        ]
        questions = [self.judge.question(prompt, one, other) for prompt, one, other in met]
        questions += [self.judge.question(prompt, other, one) for prompt, one, other in met]
        verdicts = self.judge.verdicts(job.sampler(job.fixed["judge"]), questions)
        won = sum(verdicts[: len(met)]) + sum(1 - verdict for verdict in verdicts[len(met) :])
        return {"win_rate": won / len(questions)}

    def answers(self, job: Job, sampler: Sampler) -> list[list[str]]:
        """Some answers to each held-out prompt, drawn with the same seeds at every measurement."""
        seeds = [job.seed_of(0, "measure", index) for index in range(len(self.held_out))]
        found = sampler.sample_each(self.held_out_asked, MEASURED, max_tokens=self.most, seeds=seeds)
        return [[job.tokenizer.decode(sample.tokens) for sample in samples] for samples in found]

    def tokens(self, job: Job, step: int) -> recipe.Tokens:
        """What the step will use at most: each answer at its longest, and a signal in each group."""
        batch = self.batch(job, step)
        asked = sum(len(self.asked[index]) for index in batch)
        own = self.group * asked + len(batch) * self.group * self.most  # all answers with their prompts, once
        judged = self.judged([self.prompts[index] for index in batch], self.group * (self.group - 1))
        drawn = recipe.Tokens(sampled=len(batch) * self.group * self.most, prefilled=asked)
        return drawn + recipe.Tokens(trained=own, prefilled=own) + judged

    def measured_tokens(self, job: Job) -> recipe.Tokens:
        """What `measure` will use at most."""
        drawn = 2 * MEASURED * len(self.held_out) * self.most
        asked = 2 * sum(map(len, self.held_out_asked))
        return recipe.Tokens(sampled=drawn, prefilled=asked) + self.judged(self.held_out, 2 * MEASURED)

    def judged(self, prompts: list[str], times: int) -> recipe.Tokens:
        """What the judge takes for so many comparisons of answers to each prompt."""
        read = sum(len(self.judge.question(prompt, "", "")) + 2 * self.most for prompt in prompts)
        return recipe.Tokens(sampled=times * len(prompts), prefilled=times * read)


if __name__ == "__main__":
    raise SystemExit(recipe.main(Rlhf()))
