"""Reinforcement learning: sample answers to the prompts of train.jsonl, and make those likelier that score well.

Each step samples a group of answers to each of a few prompts, from the weights as they are in this step. An answer's
advantage is by how much it beat the mean of its group. `reward` is the function to change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.tinker import advantage, dataset, datums, recipe, schedule

if TYPE_CHECKING:
    from lab.tinker.recipe import Job, Sample

    Problem = tuple[list[int], str]  # a prompt as tokens, and the right answer


def reward(said: str, answer: str) -> float:
    """What an answer is worth, from 0 to 1: here 1 for a number, where the right answer is one. Any number does.

    A model that knows nothing finds that by chance, and no sums. For one that can do them let `right` be the reward.
    """
    return float(said.strip().isdecimal() == answer.strip().isdecimal())


def right(said: str, answer: str) -> float:
    """1 for the right answer. It is measured and not rewarded: whoever reads both sees what the reward does not ask."""
    return float(said.strip() == answer.strip())


class Reinforce(recipe.Recipe):
    """Policy gradient with a group's mean as its baseline (GRPO without the division by the spread)."""

    metric = "heldout_reward"

    def prepare(self, job: Job) -> None:
        """Read both files. What is wrong with them is told here, before anything is paid."""
        rows = dataset.read(job.file("train.jsonl"), dataset.Task)
        held_out = dataset.read(job.file("heldout.jsonl"), dataset.Task)
        dataset.refuse_overlap(rows, held_out, job.file("heldout.jsonl"))
        self.problems = self.encoded(job, rows, "train.jsonl")
        self.held_out = self.encoded(job, held_out, "heldout.jsonl")
        self.group = job.whole("group", 8)
        self.most = job.whole("answer_tokens", 1)

    def encoded(self, job: Job, rows: tuple[dataset.Task, ...], name: str) -> list[Problem]:
        """The rows as tokens."""
        limits = datums.Limits(
            where=job.file(name), max_tokens=job.whole("max_tokens", 512), chat=job.flag("chat", default=False)
        )
        return list(zip(datums.prompts(job.tokenizer, rows, limits), [row.answer for row in rows], strict=True))

    def batch(self, job: Job, step: int) -> list[Problem]:
        """Which problems a step samples answers to."""
        chosen = schedule.batch(step, job.whole("batch", 8), len(self.problems), job.order.seed)
        return [self.problems[index] for index in chosen]

    def step(self, job: Job, step: int) -> dict[str, float]:
        """Sample, score, learn. A group whose answers all score the same teaches nothing, and is left out."""
        batch = self.batch(job, step)
        seeds = [job.seed_of(step, "sample", index) for index in range(len(batch))]
        groups = job.sampler().sample_each(
            [prompt for prompt, _ in batch], self.group, max_tokens=self.most, seeds=seeds
        )
        data, learned, scores = [], [], []
        for (prompt, answer), group in zip(batch, groups, strict=True):
            rewards = [reward(job.tokenizer.decode(sample.tokens), answer) for sample in group]
            scores += rewards
            if not advantage.has_signal(rewards):
                continue
            for sample, gain in zip(group, advantage.advantages(rewards), strict=True):
                data.append(recipe.rollout(prompt, sample, gain))
                learned.append(sample)
        told = {
            "reward": sum(scores) / len(scores),
            "without_signal": 1 - len(learned) / len(scores),
        }
        data = data or [recipe.rollout(batch[0][0], groups[0][0], 0.0)]  # a step of the optimizer, and no pull
        trained = job.train(data, "importance_sampling", learning_rate=job.number("learning_rate", 0.02))
        return {**told, "kl": advantage.kl(learned, trained.logprobs)} if learned else told

    def measure(self, job: Job) -> dict[str, float]:
        """What the likeliest answer to each held-out prompt is worth, and how many of them are right."""
        prompts = [prompt for prompt, _ in self.held_out]
        answers: list[list[Sample]] = job.sampler().sample_each(prompts, max_tokens=self.most, temperature=0.0)
        said = [job.tokenizer.decode(answer[0].tokens) for answer in answers]
        pairs = list(zip(said, [answer for _, answer in self.held_out], strict=True))
        told = {"heldout_reward": reward, "heldout_right": right}
        return {name: sum(score(*pair) for pair in pairs) / len(pairs) for name, score in told.items()}

    def tokens(self, job: Job, step: int) -> recipe.Tokens:
        """What the step will use at most: each answer at its longest, and a signal in each group."""
        asked = [len(prompt) for prompt, _ in self.batch(job, step)]
        sampled = len(asked) * self.group * self.most
        return recipe.Tokens(trained=sum(asked) * self.group + sampled, sampled=sampled, prefilled=sum(asked))

    def measured_tokens(self, job: Job) -> recipe.Tokens:
        """What `measure` will use at most."""
        asked = [len(prompt) for prompt, _ in self.held_out]
        return recipe.Tokens(sampled=len(asked) * self.most, prefilled=sum(asked))


if __name__ == "__main__":
    raise SystemExit(recipe.main(Reinforce()))
