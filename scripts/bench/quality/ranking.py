"""Who found the better points: ranks, regrets, wins, and what a proposal costs, from kept results.

A rank says who was before whom and hangs on who else ran: every table names its field. Ties share the mean rank.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from typing import TYPE_CHECKING

from scripts.bench.quality.tasks import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scripts.bench.quality.race import Result

Key = tuple[str, str, int]  # sampler, task, seed
SMALLEST = 1e-5  # of a median regret: what is nearer to the optimum than this is equally good


class Field:
    """The results of some samplers on the (task, seed) pairs that all of them have to the end."""

    def __init__(
        self, results: Mapping[Key, Result], samplers: Sequence[str], tasks: Sequence[str], trials: int
    ) -> None:
        self.samplers, self.trials = tuple(samplers), trials
        self._results = results
        seeds = sorted({seed for _, _, seed in results})
        self.pairs = [
            (task, seed)
            for task in tasks
            for seed in seeds
            if all(self._whole(results.get((sampler, task, seed))) for sampler in samplers)
        ]
        self._best = {pair: self._least(*pair) for pair in self.pairs}

    def _whole(self, result: Result | None) -> bool:
        return result is not None and len(result.lowest) >= self.trials

    def _least(self, task_name: str, seed: int) -> float:
        """The optimum; where nobody knows it, the best that any sampler of any length found on that surface."""
        task = BY_NAME[task_name]
        if task.best is not None:
            return task.best
        alike = {task.name, task.twin} | {each.name for each in BY_NAME.values() if each.twin == task.name}
        found = [
            min(each for each in (*result.lowest, *result.recommended.values()) if not math.isnan(each))
            for (_, name, at), result in self._results.items()
            if name in alike and (at == seed or not task.moves) and result.lowest
        ]
        return min(found)

    def value(self, sampler: str, pair: tuple[str, int]) -> float:
        """The true value of what the sampler recommends."""
        return self._results[sampler, pair[0], pair[1]].at(self.trials)

    def regret(self, sampler: str, pair: tuple[str, int]) -> float:
        return max(0.0, self.value(sampler, pair) - self._best[pair])

    def ranks(self) -> dict[str, float]:
        """The mean rank of each; 1 is best."""
        total: dict[str, float] = defaultdict(float)
        for pair in self.pairs:
            values = {sampler: self.value(sampler, pair) for sampler in self.samplers}
            for sampler, value in values.items():
                better = sum(other < value for other in values.values())
                equal = sum(other == value for other in values.values())
                total[sampler] += better + (equal + 1) / 2
        return {sampler: total[sampler] / len(self.pairs) for sampler in self.samplers}

    def scale(self, task: str) -> float:
        """What a regret of 1 is: that of the first plain draw, on average."""
        first = [
            result.lowest[0] for (sampler, name, _), result in self._results.items()
            if sampler == "random" and name == task and not math.isnan(result.lowest[0])
        ]  # fmt: skip
        least = statistics.fmean(self._best[pair] for pair in self.pairs if pair[0] == task)
        return statistics.fmean(first) - least if first else 1.0

    def medians(self, sampler: str) -> dict[str, float]:
        """The median regret on each task, as a share of a plain draw's."""
        by_task: dict[str, list[float]] = defaultdict(list)
        for pair in self.pairs:
            by_task[pair[0]].append(self.regret(sampler, pair))
        return {task: statistics.median(each) / self.scale(task) for task, each in by_task.items()}

    def gmean(self, sampler: str) -> float:
        """The geometric mean of the medians."""
        medians = self.medians(sampler).values()
        return math.exp(statistics.fmean(math.log(max(SMALLEST, each)) for each in medians))

    def wins(self, sampler: str, other: str) -> tuple[int, int]:
        """On how many pairs each of the two is strictly better."""
        values = [(self.value(sampler, pair), self.value(other, pair)) for pair in self.pairs]
        return sum(mine < theirs for mine, theirs in values), sum(theirs < mine for mine, theirs in values)


def table(results: Mapping[Key, Result], samplers: Sequence[str], tasks: Sequence[str], stops: Sequence[int]) -> str:
    """One row a sampler: rank and regret at each number of trials, wins against optuna's default, cost."""
    fields = [Field(results, samplers, tasks, trials) for trials in stops]
    fields = [field for field in fields if field.pairs]
    if not fields:
        return "no (task, seed) that all of them have\n"
    ranks = [field.ranks() for field in fields]
    seeds = sorted({seed for field in fields for _, seed in field.pairs})
    head = ["sampler"]
    for field in fields:
        head += [f"rank @{field.trials}", "regret", "tpe"]
    rows = [[*head, "CPU ms", "at the end"]]
    for sampler in sorted(samplers, key=lambda each: ranks[-1][each]):
        row = [sampler]
        for field, rank in zip(fields, ranks, strict=True):
            wins = ":".join(map(str, field.wins(sampler, "tpe"))) if "tpe" in samplers and sampler != "tpe" else ""
            row += [f"{rank[sampler]:.2f}", f"{field.gmean(sampler):.4f}", wins]
        rows.append([*row, *_cost(results, sampler)])
    told = f"field of {len(samplers)}; {len(fields[-1].pairs)} searches each: "
    told += f"{len({task for task, _ in fields[-1].pairs})} tasks, seeds {seeds[0]} to {seeds[-1]}\n"
    return markdown(rows) + "\n" + told


def by_task(results: Mapping[Key, Result], samplers: Sequence[str], tasks: Sequence[str], trials: int) -> str:
    """The median regret of each sampler on each task."""
    field = Field(results, samplers, tasks, trials)
    medians = {sampler: field.medians(sampler) for sampler in samplers}
    shown = [task for task in tasks if any(task == name for name, _ in field.pairs)]
    rows = [["sampler", *shown]]
    rows += [[sampler, *(f"{medians[sampler][task]:.2g}" for task in shown)] for sampler in samplers]
    return markdown(rows)


def both_ways(results: Mapping[Key, Result], samplers: Sequence[str], tasks: Sequence[str], trials: int) -> str:
    """On noisy tasks, the mean true value of the lowest number seen and of what our recommendation names."""
    rows = [["sampler", *(f"{task}, {how}" for task in tasks for how in ("lowest seen", "recommended"))]]
    for sampler in samplers:
        row = [sampler]
        for task in tasks:
            found = [each for key, each in results.items() if key[:2] == (sampler, task) and trials in each.recommended]
            if found:
                row.append(f"{statistics.fmean(each.lowest[trials - 1] for each in found):.3f}")
                row.append(f"{statistics.fmean(each.recommended[trials] for each in found):.3f}")
            else:
                row += ["", ""]  # kept from before a recommendation was asked for
        rows.append(row)
    return f"after {trials} trials:\n\n{markdown(rows)}"


def mirrored(results: Mapping[Key, Result], turned: Mapping[Key, Result]) -> str:
    """Whether the searches of the negated values went the same way, by sampler."""
    rows = [["sampler", "searches", "found the same"]]
    for sampler in sorted({key[0] for key in turned}):
        both = [(results[key], turned[key]) for key in turned if key[0] == sampler and key in results]
        same = sum(
            one.lowest[: len(other.lowest)] == other.lowest[: len(one.lowest)] and one.makers == other.makers
            for one, other in both
        )
        rows.append([sampler, str(len(both)), str(same)])
    return markdown(rows)


def _cost(results: Mapping[Key, Result], sampler: str) -> tuple[str, str]:
    """CPU of a proposal: over the whole search, and over its last ten."""
    asked = [result.ask_ms for (name, _, _), result in results.items() if name == sampler and result.ask_ms]
    if not asked:
        return "", ""
    return (
        f"{statistics.fmean(map(statistics.fmean, asked)):.2f}",
        f"{statistics.fmean(each[-1] for each in asked):.2f}",
    )


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """The first row is the head."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
