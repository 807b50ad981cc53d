"""What wants a person: what is seen to go wrong, not only what already stopped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.cli import index as read
from lab.core import layout, policy
from lab.core.model import Model
from lab.core.pursuit import LENT
from lab.core.spec_fields import StopConditions
from lab.core.view import Spent
from lab.projections import attention, index, lab_status, pages
from tests.projections import subjects as make

if TYPE_CHECKING:
    from lab.core.subject import Subject


def said(subject: Subject) -> list[str]:
    return [each.what for each in attention.wants(subject)]


def failing(count: int, reason: str = "it ended with exit code 3") -> list[object]:
    return [make.run(number, "failed", reason=f"{reason} (pid {number})") for number in range(1, count + 1)]


def test_runs_that_all_fail_alike_want_somebody_before_anything_stops() -> None:
    (wanted,) = attention.wants(make.subject(failing(3)))
    assert wanted.what == "failing: 3 failures in a row, the last 3 alike: failed: it ended with exit code 3 (pid 3)"
    assert wanted.fix.startswith(f"labctl show {make.run(3).run_id}")


def test_a_proposer_that_changes_nothing_wants_somebody_and_nothing_has_failed() -> None:
    idle = [
        make.run(1, value=0.5),
        *(make.run(number, "failed", verdict="discard", reason="nothing was changed") for number in (2, 3, 4)),
    ]
    (wanted,) = attention.wants(make.subject(idle))
    assert wanted.what == "not measured: the last 3 changes were discarded before they were run: nothing was changed"
    assert wanted.fix.startswith("labctl show RUN")
    one_failed = [*idle[:3], make.run(4, "failed", reason="nothing was changed")]
    assert not said(make.subject(one_failed))  # it was run, and the two before it were not


@pytest.mark.parametrize(
    "happened",
    [
        failing(2),
        [*failing(3), make.run(4, value=0.5)],
        [*failing(2), make.run(3, "timeout", reason="it took too long")],
    ],
    ids=["two", "one went well since", "not alike"],
)
def test_failures_that_are_no_pattern_want_nobody(happened: list[object]) -> None:
    assert not said(make.subject(happened))


def test_what_failures_ended_wants_somebody_and_what_came_to_its_end_does_not() -> None:
    (ended,) = said(make.subject([*failing(3), make.moved("completed", policy.FAILED_TOO_OFTEN)]))
    assert ended == (
        "ended: too many failures in a row (3), the last 3 alike: failed: it ended with exit code 3 (pid 3)"
    )
    apart = [*failing(2), make.run(3, "timeout", reason="too slow"), make.moved("completed", policy.FAILED_TOO_OFTEN)]
    assert said(make.subject(apart)) == ["ended: too many failures in a row (3), the last: timeout: too slow"]
    assert not said(make.subject([*failing(3), make.moved("completed", "max iterations")]))


def test_who_is_asked_after_failures_is_told_of_the_last_one() -> None:
    (asked,) = said(make.subject([*failing(3), make.moved("awaiting-human", "3 failures in a row")]))
    assert asked == (
        "waits for a person: 3 failures in a row, the last 3 alike: failed: it ended with exit code 3 (pid 3)"
    )
    (asked,) = said(make.subject([*failing(3), make.moved("awaiting-human", "which tier next?")]))
    assert asked == "waits for a person: which tier next?"


def test_what_stands_still_for_its_failures_is_told_once() -> None:
    for phase in ("paused", "awaiting-human"):
        assert len(said(make.subject([*failing(5), make.moved(phase, "5 failures in a row")]))) == 1


def test_a_study_that_its_project_has_paused_wants_nobody_whatever_failed_in_it() -> None:
    paused = msgspec.structs.replace(make.moved("paused", "its project makes its runs"), facts={LENT: "proj"})
    assert not said(make.subject([*failing(5), paused]))
    for closed in (
        paused,
        msgspec.structs.replace(paused, phase="awaiting-human"),
        msgspec.structs.replace(paused, phase="completed", reason=policy.FAILED_TOO_OFTEN),
    ):
        assert not said(make.subject([*failing(5), closed]))
        row: read.Row = {"id": "lr-sweep", "phase": "active", "last_outcome": "failed", "attention": []}
        read._count_in(row, "phase_changed", msgspec.to_builtins(closed))
        assert (row["phase"], row["attention"], read._LENT) == (closed.phase, [], LENT)


def test_of_a_budget_less_than_a_tenth_is_left() -> None:
    given = make.spec(stop_conditions=StopConditions(budget_cost=20.0))
    runs = [make.run(number, value=0.5, cost=1.0) for number in range(1, 20)]
    assert said(make.subject(runs, given=given)) == ["budget: 95 % of its cost is used (19 of 20)"]
    assert not said(make.subject(runs[:18], given=given))  # a tenth is left
    assert not said(make.subject([*runs, make.moved("completed", "max iterations")], given=given))


def test_who_has_made_nearly_all_the_runs_that_were_asked_for_wants_nobody() -> None:
    runs = [make.run(number, value=0.5) for number in range(1, 20)]
    assert not said(make.subject(runs, given=make.spec(max_iterations_total=20)))


def test_hours_money_and_models_are_budgets_too() -> None:
    given = make.spec(
        stop_conditions=StopConditions(budget_hours=1.0, budget_cost=2.0),
        llm=Model(max_usd=1.0, max_calls=10),
    )
    subject = make.subject([make.run(1, value=0.5, wall_s=3_500.0, cost=1.9)], given=given)
    subject.view.model = Spent(usd=0.999, calls=10)
    assert said(subject) == [
        "budget: 97 % of its hours are used (0.972222 of 1)",
        "budget: 95 % of its cost is used (1.9 of 2)",
        "budget: 99 % of the money for its models is used (0.999 of 1)",
        "budget: 100 % of the calls of its models are used (10 of 10)",
    ]


def test_every_page_of_a_lab_tells_the_same() -> None:
    subject = make.subject(failing(4))
    (wanted,) = said(subject)
    made = pages.render(subject)
    assert [each["what"] for each in json.loads(made[layout.STATUS])["attention"]] == [wanted]
    row = index.row(subject)
    assert [each.what for each in row.attention] == [wanted]
    status = lab_status.render(index.of([row], ledger=subject.place, alerts=()))
    assert b"failing: 4 failures in a row" in status
    assert b"failing: 4 failures in a row" in made[layout.SUMMARY]


def test_whatever_a_phase_brings_with_it_is_known_by_its_beginning() -> None:
    """`labctl status` takes back by it what a change of phase that no page tells of yet made untrue."""
    ended = (attention.UNMEASURED, attention.ENDED, attention.BUDGET, attention.STUCK)
    beginnings = (attention.WAITS, attention.STOPPED, attention.FAILING, *ended)
    assert beginnings == read._FROM_PHASE  # what status reads is the standard library's alone
