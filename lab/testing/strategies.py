"""What every strategy promises, as tests. Needs pytest, which whoever writes a plug-in has.

A plug-in's own tests are three lines:

    class TestMine(StrategyContract):
        strategy = Mine()

One that learns from values takes `LearnerContract` instead: it must then find more than chance does, too.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from functools import cache
from statistics import median
from typing import TYPE_CHECKING, ClassVar

import msgspec
import pytest

from lab.core import assignment, scale, space
from lab.core.errors import Exhausted
from lab.core.origin import Origin
from lab.core.run import CANCELLED, FAILED, SUCCESS
from lab.core.trial import History, Proposal, Trial, luck
from lab.strategies.random_ import Random

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lab.core.assignment import Params
    from lab.core.space import Space
    from lab.strategies.door import Strategy

    Score = Callable[[Params, int], float | None]  # of a point and the number of its trial; None: the run failed

NAME = "mine"
_OPTIMISERS: dict[str, object] = {
    "optimiser": {"choices": ["sgd", "adam", "lion"]},
    "momentum": {"low": 0.0, "high": 0.99, "when": {"optimiser": "sgd"}},
    "nesterov": {"type": "bool", "when": {"optimiser": "sgd", "momentum_on": True}},
    "momentum_on": {"type": "bool", "when": {"optimiser": "sgd"}},
    "beta": {"low": 0.9, "high": 0.9999, "when": {"optimiser": ["adam", "lion"]}},
    "rate": {"low": 1e-5, "high": 1.0, "log": True},
}
_WRITTEN: dict[str, dict[str, object]] = {
    "floats": {"x": {"low": -5, "high": 5}, "y": {"low": 0, "high": 1e-3}, "z": {"low": -1e6, "high": 1e6}},
    "logarithms": {
        "x": {"low": 1e-9, "high": 1e3, "log": True},
        "n": {"low": 1, "high": 4096, "type": "int", "log": True},
    },
    "whole numbers": {"n": {"low": -3, "high": 1000, "type": "int"}, "m": {"low": 0, "high": 99, "type": "int"}},
    "steps": {"x": {"low": 0.1, "high": 0.7, "step": 0.1}, "n": {"low": 8, "high": 512, "type": "int", "step": 8}},
    "choices": {
        "a": {"choices": ["x", "y", "z"]},
        "b": {"choices": [1, 2.5, "2.5", True, None]},
        "c": {"type": "bool"},
        "d": {"choices": list(range(30))},
    },
    "fixed": {"x": {"low": 0, "high": 1}, "k": {"type": "fixed", "value": "as it is"}, "q": {"low": 2, "high": 2}},
    "conditions": _OPTIMISERS,
    "constraints": {
        "parameters": {
            "x": {"low": 0, "high": 1},
            "y": {"low": 0, "high": 1},
            "n": {"low": 1, "high": 9, "type": "int"},
        },
        "constraints": ["x + y <= 1", "n * x < 3"],
    },
    "one dimension": {"x": {"low": 0, "high": 1}},
    "many dimensions": {f"x{k}": {"low": 0, "high": 1} for k in range(30)},
}
SPACES: dict[str, Space] = {name: space.parse(written) for name, written in _WRITTEN.items()}
SMALL = space.parse(
    {"a": {"choices": ["x", "y"]}, "b": {"type": "bool", "when": {"a": "x"}}, "n": {"low": 1, "high": 2, "type": "int"}}
)
HUGE = (1e300, -1e300, 0.0, 1.7e308, -1.7e308, 5e-324, 1e300)

# Reads what a search had seen from its input, and proposes with an instance of its own.
_ELSEWHERE = """
import sys, importlib, msgspec
from lab.core import space
from lab.core.trial import History, luck
asked = tuple[str, str, msgspec.Raw, list[History]]
module, name, encoded, histories = msgspec.json.decode(sys.stdin.buffer.read(), type=asked)
over, made = space.decode(bytes(encoded)), getattr(importlib.import_module(module), name)()
said = [made.propose(over, each, luck(each.seed, each.number, "mine")) for each in histories]
sys.stdout.buffer.write(msgspec.json.encode(said))
"""


class Step(msgspec.Struct, frozen=True):
    """What a strategy was shown, and what it proposed."""

    history: History
    proposal: Proposal


def simulated(  # noqa: PLR0913  # the facts of a search
    strategy: Strategy,
    over: Space,
    score: Score,
    trials: int,
    *,
    minimize: bool = True,
    workers: int = 1,
    seed: int = 7,
    before: tuple[Trial, ...] = (),
) -> tuple[list[Step], History]:
    """A search without a lab: every step of it, and what was known at its end. Runs end in an order of their own."""
    ended, pending = list(before), list[Trial]()
    steps: list[Step] = []

    def end(which: int) -> None:
        trial = pending.pop(which)
        value = score(trial.params, trial.origin.number)
        outcome = FAILED if value is None else SUCCESS
        ended.append(msgspec.structs.replace(trial, outcome=outcome, value=value))

    def known(number: int) -> History:
        return History(trials=(*ended, *pending), minimize=minimize, seed=seed, number=number, workers=workers)

    for number in range(len(before), len(before) + trials):
        if len(pending) == workers:
            end(luck(seed, number, "ends").randrange(workers))
        history = known(number)
        proposal = strategy.propose(over, history, luck(seed, number, NAME))
        steps.append(Step(history, proposal))
        origin = Origin(
            strategy=NAME,
            arm=proposal.arm,
            seed=seed,
            number=number,
            seen=len(ended),
            parents=proposal.parents,
            note=proposal.note,
        )
        pending.append(Trial(run_id=f"RUN-20260102-{number:06}-000000-scout", params=proposal.params, origin=origin))
    while pending:
        end(0)
    return steps, known(len(before) + trials)


def bowl(over: Space, *, failing: float = 0.0, sign: float = 1.0) -> Score:
    """A score that grows with the distance from one point of the space; a share of the runs fails."""

    def score(params: Params, number: int) -> float | None:
        if luck(1, number, "fails").random() < failing:
            return None
        places = (scale.to_unit(each, params[each.name]) for each in over.parameters if each.name in params)
        return sign * sum((place - 0.3) ** 2 for place in places)

    return score


def inside(over: Space, steps: Iterable[Step]) -> None:
    """Fail when one of the proposals is no point of the space, or was tried before, or is being tried."""
    for step in steps:
        params = step.proposal.params
        assert assignment.problems(over, params) == ()
        assert list(params) == [name for name in over.names if name in params]
        assert not any(assignment.alike(params, trial.params) for trial in step.history.trials)


class StrategyContract:
    """Set `strategy`. New ones are made of its class, without arguments, as another process would."""

    strategy: ClassVar[Strategy]
    trials: ClassVar[int] = 60

    def other(self) -> Strategy:
        return type(self.strategy)()

    # -- where ------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("name", SPACES)
    def test_every_proposal_is_a_new_point_of_the_space(self, name: str) -> None:
        over = SPACES[name]
        inside(over, simulated(self.strategy, over, bowl(over, failing=0.2), self.trials)[0])

    def test_what_is_being_tried_is_not_proposed_again(self) -> None:
        for name in ("conditions", "steps"):
            over = SPACES[name]
            steps, _ = simulated(self.strategy, over, bowl(over), self.trials, workers=8)
            assert max(len(step.history.pending) for step in steps) >= 7  # noqa: PLR2004  # one less than the workers
            inside(over, steps)

    @pytest.mark.parametrize("workers", [1, 3, 100])
    def test_a_small_space_is_tried_out_and_then_said_to_be(self, workers: int) -> None:
        steps, history = simulated(self.strategy, SMALL, bowl(SMALL), 6, workers=workers)
        inside(SMALL, steps)
        with pytest.raises(Exhausted):
            self.strategy.propose(SMALL, history, luck(7, 6, NAME))

    def test_a_space_of_one_point_has_that_point_to_offer(self) -> None:
        over = space.parse({"k": {"type": "fixed", "value": 3}, "a": {"choices": ["x"]}})
        proposal = self.strategy.propose(over, History(), luck(0, 0, NAME))
        assert proposal.params == {"k": 3, "a": "x"}
        done = Trial(run_id="RUN-20260102-000000-000000-scout", params=proposal.params, value=1.0, outcome=SUCCESS)
        with pytest.raises(Exhausted):
            self.strategy.propose(over, History(trials=(done,), number=1), luck(0, 1, NAME))

    # -- the same again ---------------------------------------------------------------------------------------------

    def test_the_same_question_has_the_same_answer_whatever_was_asked_in_between(self) -> None:
        over = SPACES["conditions"]
        steps, _ = simulated(self.strategy, over, bowl(over, failing=0.2), self.trials, workers=3)
        for step in (*steps[::-7], *steps[::11]):
            before = msgspec.json.encode(step.history)
            rng = luck(step.history.seed, step.history.number, NAME)
            assert self.strategy.propose(over, step.history, rng) == step.proposal
            assert msgspec.json.encode(step.history) == before

    def test_a_search_that_was_cut_off_goes_on_as_if_it_had_not_been(self) -> None:
        over = SPACES["logarithms"]
        steps, _ = simulated(self.strategy, over, bowl(over, failing=0.1), self.trials, workers=2)
        for cut in (0, 1, 8, 13, 27, self.trials - 1):
            resumed = self.other()
            for step in steps[cut : cut + 3]:
                rng = luck(step.history.seed, step.history.number, NAME)
                assert resumed.propose(over, step.history, rng) == step.proposal

    def test_another_process_proposes_the_same(self) -> None:
        over = SPACES["conditions"]
        steps, _ = simulated(self.strategy, over, bowl(over, failing=0.2), self.trials, workers=3)
        asked = [steps[k] for k in (2, 20, self.trials - 1)]
        kind = type(self.strategy)
        question = (
            kind.__module__,
            kind.__qualname__,
            msgspec.Raw(space.encode(over)),
            [step.history for step in asked],
        )
        told = subprocess.run(
            [sys.executable, "-c", _ELSEWHERE],
            input=msgspec.json.encode(question),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": "123"},
            capture_output=True,
            check=False,
        )
        assert told.returncode == 0, told.stderr.decode()
        assert msgspec.json.decode(told.stdout, type=list[Proposal]) == [step.proposal for step in asked]

    # -- values -----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("name", ["conditions", "constraints"])
    def test_the_largest_is_looked_for_as_the_smallest_is(self, name: str) -> None:
        over = SPACES[name]
        down, _ = simulated(self.strategy, over, bowl(over, failing=0.1), self.trials, workers=2)
        up, _ = simulated(self.other(), over, bowl(over, failing=0.1, sign=-1), self.trials, workers=2, minimize=False)
        assert [step.proposal.params for step in up] == [step.proposal.params for step in down]

    @pytest.mark.parametrize("minimize", [True, False])
    def test_a_search_in_which_everything_fails_goes_on(self, *, minimize: bool) -> None:
        over = SPACES["conditions"]
        inside(over, simulated(self.strategy, over, lambda *_: None, self.trials, minimize=minimize)[0])

    def test_runs_that_were_stopped_early_have_no_value_and_stop_nothing(self) -> None:
        over = SPACES["floats"]
        score = bowl(over)
        _, history = simulated(Random(), over, score, 30)
        mixed = tuple(
            msgspec.structs.replace(trial, value=None, outcome=CANCELLED, reported=trial.value) if k % 3 else trial
            for k, trial in enumerate(history.trials)
        )
        inside(over, simulated(self.strategy, over, score, 15, before=mixed)[0])

    @pytest.mark.parametrize("minimize", [True, False])
    def test_no_finite_value_is_too_much(self, *, minimize: bool) -> None:
        over = SPACES["conditions"]
        inside(over, simulated(self.strategy, over, lambda _, number: HUGE[number % 7], 40, minimize=minimize)[0])

    @pytest.mark.parametrize("value", [0.0, -1.5, 1e300])
    def test_values_that_are_all_equal_stop_nothing(self, value: float) -> None:
        over = SPACES["steps"]
        inside(over, simulated(self.strategy, over, lambda *_: value, 40)[0])

    def test_it_goes_on_from_what_others_tried(self) -> None:
        over = SPACES["conditions"]
        _, history = simulated(Random(), over, bowl(over, failing=0.2), 25)
        strange = Origin(strategy="another", kind="person", number=3, parents=("RUN-20200101-000000-000000-gone",))
        trials = tuple(
            msgspec.structs.replace(trial, origin=strange if k % 2 else Origin(strategy=NAME, number=k, seen=9**9))
            for k, trial in enumerate(history.trials)
        )
        inside(over, simulated(self.strategy, over, bowl(over), 20, before=trials)[0])


# -- learning ----------------------------------------------------------------------------------------------------------


def _cube(dimensions: int) -> Space:
    return space.parse({f"x{k}": {"low": -5, "high": 5} for k in range(dimensions)})


def _distances(params: Params, seed: int) -> list[float]:
    """From the optimum, which is not in the middle, where some strategies begin."""
    shift = luck(seed, 0, "shift")
    return [float(value) - shift.uniform(-3, 3) for value in params.values()]  # type: ignore[arg-type]  # floats


def _sphere(params: Params, seed: int) -> float:
    return sum(each * each for each in _distances(params, seed))


def _valley(params: Params, seed: int) -> float:
    far = _distances(params, seed)
    return sum(10 ** (k / 2) * each * each for k, each in enumerate(far)) + (far[0] - far[1]) ** 2


def _ripples(params: Params, seed: int) -> float:
    far = _distances(params, seed)
    return sum(each * each + 4 - 4 * math.cos(2 * math.pi * each) for each in far)


def _ackley(params: Params, seed: int) -> float:
    far = _distances(params, seed)
    flat = math.exp(-0.2 * math.sqrt(sum(each * each for each in far) / len(far)))
    return 20 - 20 * flat + math.e - math.exp(sum(math.cos(2 * math.pi * each) for each in far) / len(far))


def _training(params: Params, seed: int) -> float:
    rate = math.log10(float(params["rate"]))  # type: ignore[arg-type]  # a float
    good = {"sgd": -1.5, "adam": -3.0, "lion": -3.5}[str(params["optimiser"])] + seed % 3 / 4
    found = 0.2 * (rate - good) ** 2 + (0.0 if params["optimiser"] == "adam" else 0.15)
    found += abs(float(params.get("momentum") or 0.9) - 0.9) + 20 * abs(float(params.get("beta") or 0.98) - 0.98)
    return found


FUNCTIONS: dict[str, tuple[Space, Callable[[Params, int], float]]] = {
    "sphere": (_cube(5), _sphere),
    "valley": (_cube(5), _valley),
    "ripples": (_cube(3), _ripples),
    "ackley": (_cube(8), _ackley),
    "training": (SPACES["conditions"], _training),
}
SEEDS = range(5)


def reached(strategy: Strategy, name: str, *, minimize: bool, failing: float, trials: int) -> float:
    """The middle of what searches with five seeds found on a function, in the direction in which less is better."""
    over, function = FUNCTIONS[name]
    found = []
    for seed in SEEDS:

        def score(params: Params, number: int, seed: int = seed) -> float | None:
            if luck(seed, number, "fails").random() < failing:
                return None
            return function(params, seed) if minimize else -function(params, seed)

        _, history = simulated(strategy, over, score, trials, minimize=minimize, seed=seed)
        found.append(min(loss for _, loss in history.scored()))
    return median(found)


@cache
def chance(name: str, *, minimize: bool, failing: float, trials: int) -> float:
    """What evenly spread chance found."""
    return reached(Random(), name, minimize=minimize, failing=failing, trials=trials)


class LearnerContract(StrategyContract):
    """For a strategy that learns from the values: it finds better points than chance, on every function."""

    learns_in: ClassVar[int] = 60

    @pytest.mark.parametrize(
        ("minimize", "failing"), [(True, 0.0), (False, 0.2)], ids=["minimize-all-succeed", "maximize-some-fail"]
    )  # that both directions go the same way is a test of its own
    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_it_finds_more_than_chance(self, name: str, *, minimize: bool, failing: float) -> None:
        found = reached(self.strategy, name, minimize=minimize, failing=failing, trials=self.learns_in)
        assert found < chance(name, minimize=minimize, failing=failing, trials=self.learns_in)
