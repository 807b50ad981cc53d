"""Runs of a code loop, for tests."""

from __future__ import annotations

from random import Random

import msgspec
from hypothesis import strategies as st

from lab.core.candidate import BASELINE, CHECKS_FAILED, COMBINE, CRASHED, DEBUG, DISCARD, IMPROVE, KEEP, Candidate
from lab.core.loop import Loop, fold
from lab.core.run import CANCELLED, FAILED, MINIMIZE, SUCCESS, Run


def tried(number: int, verdict: str, value: float | None = None, **more: object) -> Run:
    """A run of a candidate; `more` is of the candidate."""
    made = Candidate(
        kind=IMPROVE, parent="RUN-000000", base="c0", commit=f"c{number}", values=() if value is None else (value,),
        added=2, rule="improve",
    )  # fmt: skip
    about = msgspec.structs.replace(made, **more)
    measured = verdict in (KEEP, DISCARD)
    return Run(
        run_id=f"RUN-{number:06d}", experiment="a", outcome=SUCCESS if measured else FAILED, direction=MINIMIZE,
        value=value if measured else None, verdict=verdict, candidate=about,
    )  # fmt: skip


def baseline(*measured: float, number: int = 0, **more: object) -> Run:
    middle = sum(measured) / len(measured)
    return tried(number, KEEP, middle, kind=BASELINE, parent="", commit="", base="c0", values=measured, **more)


def after(*runs: Run, loop: Loop | None = None) -> Loop:
    for run in runs:
        assert run.candidate is not None
        loop = fold(loop, run, run.candidate)
    assert loop is not None
    return loop


def any_run(number: int, luck: Random) -> Run:
    """Any run of a code loop."""
    verdict = luck.choice([KEEP, DISCARD, DISCARD, CRASHED, CHECKS_FAILED, ""])
    pairs = luck.randrange(5)
    alpha = luck.choice([0.0, 0.004])
    run = tried(
        number,
        verdict,
        a_value(luck),
        kind=luck.choice([*[BASELINE] * (number % 7 == 0), IMPROVE, IMPROVE, DEBUG, COMBINE]),
        parent=f"RUN-{luck.randrange(max(number, 1)):06d}",
        values=tuple(a_value(luck) for _ in range(pairs + 1)),
        against=tuple(a_value(luck) for _ in range(pairs)),
        gain=luck.choice([None, a_value(luck)]),
        alpha=alpha,
        p=luck.random() if alpha else None,
        rule=luck.choice(["improve", "improve-or-simpler", "confirmed"]),
        crash=luck.choice(["syntax", "oom"]) if verdict == CRASHED else "",
        holdout=luck.choice([None, a_value(luck)]),
        tokens=luck.randrange(10),
    )
    return run if verdict else msgspec.structs.replace(run, outcome=CANCELLED)


def a_value(luck: Random) -> float:
    return luck.choice([0.0, 1.0, luck.gauss(0, 1), luck.uniform(-1e9, 1e9), luck.choice([1e308, -1e308, 1e-300])])


@st.composite
def loops(draw: st.DrawFn, *, most: int = 40) -> list[Run]:
    """Runs of one loop. Drawn from one number: drawn one by one, they take longer than what is tested."""
    luck = Random(draw(st.integers(0, 2**32)))
    return [any_run(number, luck) for number in range(draw(st.integers(0, most)))]
