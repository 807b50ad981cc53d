"""One search by one sampler on one task and seed, and the file that keeps what came of it.

The file has one JSON line a search and is only appended to: a program that was stopped goes on where it was.
"""

from __future__ import annotations

import heapq
import json
import math
import os
import time
from dataclasses import asdict, dataclass, field
from random import Random
from typing import TYPE_CHECKING

from scripts.bench.quality.ours import Ledger, Noted, Ours
from scripts.bench.quality.rivals import RIVALS, SLOW
from scripts.bench.quality.tasks import BY_NAME, Measured

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.strategies.door import Strategy
    from scripts.bench.quality.rivals import Sampler

STOPS = (30, 100, 200)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What else holds of a search: the share of trials that crash, how many run at once, and the direction."""

    crash: float = 0.0
    workers: int = 1
    maximize: bool = False
    noisy: bool | None = None  # what our History is told

    @property
    def study(self) -> str:
        """The name under which its results are kept."""
        parts = [f"crash{self.crash:g}"] if self.crash else []
        parts += [f"jobs{self.workers}"] if self.workers > 1 else []
        parts += ["max"] if self.maximize else []
        parts += [f"noisy={self.noisy}"] if self.noisy is not None else []
        return "+".join(parts)


@dataclass(frozen=True, kw_only=True)
class Result:
    """`lowest`: after each ended trial, the true value of the trial with the lowest number seen.

    `recommended`, on noisy tasks: that of the trial which `lab.strategies.recommend` names after some counts of trials.
    """

    study: str
    sampler: str
    task: str
    seed: int
    lowest: tuple[float, ...]
    recommended: dict[int, float] = field(default_factory=dict)
    ask_ms: tuple[float, ...] = ()  # CPU per proposal, means over tens
    makers: tuple[str, ...] = ()
    error: str = ""

    def at(self, trials: int) -> float:
        """The true value of the point that a user is given after so many trials: of a library's the lowest seen."""
        lowest = self.lowest[trials - 1]
        return lowest if self.sampler in RIVALS else self.recommended.get(trials, lowest)


def search(
    name: str, task_name: str, seed: int, budget: int, conditions: Conditions, strategy: Strategy | None = None
) -> Result:
    """Run one search. A sampler that raises has the result it had until then, and the error."""
    task = BY_NAME[task_name]
    minimize = not conditions.maximize
    ledger = Ledger(task.space, seed, conditions.workers, minimize=minimize, noisy=conditions.noisy)
    sampler: Sampler
    if name in RIVALS:
        sampler = RIVALS[name](task.space, seed, conditions.workers)
        sampler = Noted(sampler, ledger) if task.sigma else sampler
        budget = min(budget, SLOW.get(name, budget))
    else:
        sampler = Ours(name, ledger, strategy)
    course = Course(conditions, seed)
    error = ""
    try:
        _drive(sampler, Measured(task, seed), ledger if task.sigma else None, course, budget)
    except Exception as problem:  # noqa: BLE001  # a library that fails on a task has failed on that task
        error = f"{type(problem).__name__}: {problem}"[:300]
    return Result(
        study=conditions.study, sampler=name, task=task_name, seed=seed,
        lowest=tuple(_short(each) for each in course.lowest),
        recommended={count: _short(each) for count, each in course.recommended.items()},
        ask_ms=tuple(round(1e3 * sum(part) / len(part), 3) for part in _parts(course.spent_s, 10)),
        makers=() if name in RIVALS else ledger.makers(), error=error,
    )  # fmt: skip


class Course:
    """What came of a search until now, and the luck that its trials have: the same for every sampler of a seed."""

    def __init__(self, conditions: Conditions, seed: int) -> None:
        self.conditions = conditions
        self.lasts, self.crashes = Random(f"lasts/{seed}"), Random(f"crashes/{seed}")
        self.spent_s: list[float] = []
        self.lowest: list[float] = []
        self.recommended: dict[int, float] = {}


def _drive(sampler: Sampler, measured: Measured, ledger: Ledger | None, course: Course, budget: int) -> None:
    """Keep `workers` trials under way, each as long as its luck says, until `budget` have ended."""
    conditions = course.conditions
    under_way: list[tuple[float, int, float | None]] = []
    true: dict[int, float] = {}
    now, best_seen, best_true = 0.0, math.inf, math.nan
    while len(course.lowest) < budget:
        while len(under_way) < conditions.workers and len(true) < budget:
            number = len(true)
            start_s = time.process_time()
            params = sampler.ask(number)
            course.spent_s.append(time.process_time() - start_s)
            true[number] = measured.true(params)
            value: float | None = measured(params)
            value = None if course.crashes.random() < conditions.crash else value
            heapq.heappush(under_way, (now + course.lasts.lognormvariate(0, 0.5), number, value))
        now, number, value = heapq.heappop(under_way)
        start_s = time.process_time()
        sampler.tell(number, -value if conditions.maximize and value is not None else value)
        course.spent_s[-1] += time.process_time() - start_s
        if value is not None and value < best_seen:
            best_seen, best_true = value, true[number]
        course.lowest.append(best_true)
        if ledger is not None and len(course.lowest) in STOPS:
            chosen = ledger.recommended(len(true))
            course.recommended[len(course.lowest)] = best_true if chosen is None else true[chosen]


def _short(value: float) -> float:
    return float(f"{value:.7g}")


def _parts(values: Sequence[float], size: int) -> list[Sequence[float]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def load(paths: Iterable[str]) -> dict[tuple[str, str, str, int], Result]:
    """What the files hold, by study, sampler, task and seed; the later of two counts. A torn line is skipped."""
    found = {}
    for path in paths:
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as file:
            for line in file:
                try:
                    told = json.loads(line)
                except ValueError:
                    continue
                told["recommended"] = {int(count): value for count, value in told["recommended"].items()}
                for name in ("lowest", "ask_ms", "makers"):
                    told[name] = tuple(told[name])
                result = Result(**told)
                found[result.study, result.sampler, result.task, result.seed] = result
    return found


def keep(path: str, result: Result) -> None:
    """Append one line."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(result)) + "\n")
