"""Does a code loop keep what is real? Sessions with a seed, decided by the lab's own `judge` and by the peers' rule.

Each scenario is a number of sessions of 30 candidates. Without real changes, the share of sessions that keep a false
improvement is held against the declared alpha, and beside it stands how many the greedy rule of the peers ("keep what
measures better") keeps in a session. With real changes: how many of them are kept, and what a candidate costs.

    python scripts/bench/quality/code_loop.py [--sessions 200] [--candidates 30] [--seed 1]
"""

from __future__ import annotations

import argparse
import math
import sys
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from lab.core.candidate import BASELINE, IMPROVE, KEEP, Candidate
from lab.core.loop import Loop, fold
from lab.core.run import MINIMIZE, SUCCESS, Run
from lab.core.spec_fields import Spec
from lab.core.verdict import Again, Measured, Terms, Verdict, baseline, judge, terms, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TICKS = 0.1
SLACK = 2.0  # standard errors of a share that chance is allowed


class Scenario(NamedTuple):
    """A kind of session. Effects are in sigmas, above 0 is better; the metric is to become smaller."""

    name: str
    draw: Callable[[Random], float]  # one measurement's error, of spread 1
    walk: float = 0.0  # by how much the machine drifts from one measurement to the next
    repeats: int = 3
    effect: float = 0.0  # of a change that is real
    real: float = 0.0  # the share of changes that are
    worse: float = 0.0  # the share of changes that make it worse, by one sigma
    noisier: float = 1.0  # by how much every change spreads the measurement
    lines: int = 1
    stepped: bool = False  # most measurements are equal


class Told(NamedTuple):
    """What became of one session."""

    false: int  # kept as better, and was not
    found: int  # real changes kept
    chances: int  # real changes tried
    measured: int  # measurements, the incumbent's included, the baseline's not
    worth: float  # what the code is worth in the end, in sigmas above the baseline
    greedy: int  # false keeps of the peers' rule on a session of the same kind


def gauss(rng: Random) -> float:
    return rng.gauss(0, 1)


def heavy(rng: Random) -> float:
    """Student's t with 3 degrees of freedom, brought to a spread of 1: one in a hundred is far out."""
    return rng.gauss(0, 1) / math.sqrt(rng.gammavariate(1.5, 2) / 3) / math.sqrt(3)


def in_steps(size: float) -> Callable[[Random], float]:
    """Noise printed in steps of so many sigmas, as counts and whole milliseconds are: often it looks like none."""
    return lambda rng: size * round(rng.gauss(0, 1) / size)


def tick(rng: Random) -> float:
    """The same number, but for one in ten."""
    return -1.0 if rng.random() < TICKS else 0.0


def exact(_rng: Random) -> float:
    return 0.0


class Machine:
    """Measures code of a given worth, with errors, while it drifts."""

    def __init__(self, scenario: Scenario, rng: Random) -> None:
        self._scenario, self._rng, self._off = scenario, rng, 0.0

    def __call__(self, worth: float, spread: float = 1.0) -> float:
        scenario = self._scenario
        self._off += scenario.walk * self._rng.gauss(0, 1) if scenario.walk else 0.0
        return 100.0 - worth + self._off + spread * scenario.draw(self._rng)


def begun(terms: Terms, machine: Machine) -> Loop:
    values: tuple[float, ...] = ()
    while isinstance(answer := baseline(terms, values), Again):
        values += (machine(0.0),)
    value = value_of(Measured(values=values))
    about = Candidate(kind=BASELINE, base="c0", values=values, rule=answer.rule)
    return fold(None, a_run(0, KEEP, value, about), about)


def a_run(number: int, verdict: str, value: float | None, about: Candidate) -> Run:
    return Run(
        run_id=f"r{number}", experiment="a", outcome=SUCCESS, value=value, direction=MINIMIZE, verdict=verdict,
        candidate=about,
    )  # fmt: skip


def tried(
    terms: Terms, loop: Loop, machine: Machine, worths: tuple[float, float], scenario: Scenario
) -> tuple[Measured, Verdict]:
    """One candidate, measured until it is decided. The worths are the incumbent's and its own."""
    measured, first = Measured(lines=scenario.lines), True
    while isinstance(answer := judge(terms, loop, measured), Again):
        values, against = measured.values, measured.against
        for _ in range(answer.pairs):
            if first:
                against += (machine(worths[0]),)
            values += (machine(worths[1], scenario.noisier),)
            if not first:
                against += (machine(worths[0]),)
            first = not first
        if not answer.pairs:
            values += (machine(worths[1], scenario.noisier),)
        measured = Measured(values=values, against=against, lines=scenario.lines)
    return measured, answer


def folded(loop: Loop, number: int, measured: Measured, verdict: Verdict) -> Loop:
    about = Candidate(
        kind=IMPROVE, parent="r0", base="c", commit=f"c{number}", values=measured.values, against=measured.against,
        gain=verdict.gain, p=verdict.p, alpha=verdict.alpha, rule=verdict.rule, added=max(measured.lines, 0),
        removed=max(-measured.lines, 0),
    )  # fmt: skip
    return fold(loop, a_run(number, verdict.verdict, value_of(measured), about), about)


def session(scenario: Scenario, seed: int, candidates: int, terms: Terms) -> Told:
    rng = Random(seed)
    machine, choices = Machine(scenario, rng), Random(seed + 1)
    loop = begun(terms, machine)
    worth, false, found, chances, measurements = 0.0, 0, 0, 0, 0
    for number in range(1, candidates + 1):
        effect = an_effect(scenario, choices)
        chances += effect > 0
        measured, verdict = tried(terms, loop, machine, (worth, worth + effect), scenario)
        measurements += len(measured.values) + len(measured.against)
        before = loop.kept - loop.simpler
        loop = folded(loop, number, measured, verdict)
        if verdict.verdict == KEEP:
            worth += effect
            false += effect <= 0 and loop.kept - loop.simpler > before
            found += effect > 0
    return Told(false, found, chances, measurements, worth, greedy(scenario, seed, candidates))


def greedy(scenario: Scenario, seed: int, candidates: int) -> int:
    """How many changes that are no better the peers' rule keeps: it measures once, and keeps what measures better."""
    machine, choices = Machine(scenario, Random(seed)), Random(seed + 1)
    worth, best, false = 0.0, machine(0.0), 0
    for _ in range(candidates):
        effect = an_effect(scenario, choices)
        value = machine(worth + effect, scenario.noisier)
        if value < best:
            best, worth, false = value, worth + effect, false + (effect <= 0)
    return false


def an_effect(scenario: Scenario, choices: Random) -> float:
    luck = choices.random()
    if luck < scenario.real:
        return scenario.effect
    return -1.0 if luck > 1 - scenario.worse else 0.0


NULLS = (
    Scenario("noise alone", gauss),
    Scenario("noise alone, half of the changes worse", gauss, worse=0.5),
    Scenario("noise of two baseline repeats", gauss, repeats=2),
    Scenario("noise of one baseline measurement", gauss, repeats=1),
    Scenario("heavy tails (t3)", heavy),
    Scenario("a drifting machine", gauss, walk=0.2),
    Scenario("a machine that drifts a lot", gauss, walk=1.0),
    Scenario("changes that measure 3 times as noisily", gauss, noisier=3.0),
    Scenario("changes that measure 5 times as noisily", gauss, noisier=5.0),
    Scenario("changes that measure 10 times as noisily", gauss, noisier=10.0),
    Scenario("10 times, two baseline repeats", gauss, noisier=10.0, repeats=2),
    Scenario("changes with fewer lines", gauss, lines=-5),
    Scenario("noise in steps of 1 sigma", in_steps(1.0), stepped=True),
    Scenario("noise in steps of 2 sigma", in_steps(2.0), stepped=True),
    Scenario("noise in steps of 3 sigma", in_steps(3.0), stepped=True),
    Scenario("one in ten measures otherwise", tick, stepped=True),
)
REALS = (
    Scenario("1 in 10 is 1 sigma better", gauss, effect=1.0, real=0.1),
    Scenario("1 in 10 is 2 sigma better", gauss, effect=2.0, real=0.1),
    Scenario("1 in 10 is 3 sigma better", gauss, effect=3.0, real=0.1),
    Scenario("2 sigma, heavy tails", heavy, effect=2.0, real=0.1),
    Scenario("2 sigma, a drifting machine", gauss, effect=2.0, real=0.1, walk=0.2),
    Scenario("2 sigma, half of the rest worse", gauss, effect=2.0, real=0.1, worse=0.5),
    Scenario("2 sigma, no noise", exact, effect=2.0, real=0.1),
)


def asked(**fields: object) -> Terms:
    """What a SPEC that says no more than this asks for."""
    return terms(msgspec.structs.replace(Spec(id="bench", metric_direction="minimize"), **fields))


def told(scenario: Scenario, *, sessions: int, candidates: int, seed: int, told_by: Terms | None = None) -> list[Told]:
    given = told_by or asked(baseline_repeats=scenario.repeats)
    return [session(scenario, seed * 1_000_003 + 7919 * number, candidates, given) for number in range(sessions)]


def line(scenario: Scenario, results: Sequence[Told], candidates: int) -> str:
    count = len(results)
    share = sum(each.false > 0 for each in results) / count
    chances = sum(each.chances for each in results)
    power = f"{sum(each.found for each in results) / chances:6.2f}" if chances else "     -"
    with_one = [each for each in results if each.chances]
    some = f"{sum(each.found > 0 for each in with_one) / len(with_one):6.2f}" if with_one else "     -"
    cost = sum(each.measured for each in results) / count / candidates
    lucky = sum(each.greedy for each in results) / count
    return f"{scenario.name:42} {share:10.3f} {lucky:10.2f} {power} {some} {cost:10.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--candidates", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    alpha = asked().alpha
    bound = alpha + SLACK * math.sqrt(alpha * (1 - alpha) / given.sessions)
    write = sys.stdout.write
    write(f"{given.sessions} sessions of {given.candidates} candidates, seed {given.seed}, session alpha {alpha}\n\n")
    write(f"{'':42} {'sessions':>10} {'greedy:':>10} {'kept':>6} {'some':>6} {'measured':>10}\n")
    write(f"{'':42} {'with a':>10} {'false':>10} {'of the':>6} {'kept,':>6} {'per':>10}\n")
    write(f"{'':42} {'false keep':>10} {'keeps each':>10} {'real':>6} {'a ses.':>6} {'candidate':>10}\n")
    failed = False
    for scenario in (*NULLS, *REALS):
        results = told(scenario, sessions=given.sessions, candidates=given.candidates, seed=given.seed)
        write(line(scenario, results, given.candidates) + "\n")
        failed |= sum(each.false > 0 for each in results) / len(results) > bound
    write(f"\n{'FAILED' if failed else 'held'}: at most {bound:.3f} of the sessions (alpha, and {SLACK:g} errors)\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
