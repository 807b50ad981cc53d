"""The pages of a research project: phases, what each came to, and no talk of best runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.core import event
from lab.projections import baton, best, index, runbook, summary
from lab.projections.picture import stairs, whole, words
from lab.projections.picture.given import Given
from lab.projections.tables import Line
from tests.projections import markdown
from tests.projections import subjects as make

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.subject import Subject

PHASES = ("training", "evaluation", "iteration")
SPEC = make.spec(executor="research", metric="phases_done", metric_direction="maximize", fidelity_tiers=PHASES)
RAN = [
    make.run(1, value=1.0, tier="training", note="training by runs, round 1: bowl; 4 of 4 runs"),
    make.run(2, "failed", tier="evaluation", reason="measured 1 times"),
    make.run(3, value=1.0, tier="evaluation", note="evaluation by repeats; gain 0.4"),
    make.run(4, value=1.0, tier="iteration", note="iteration by rules; keep (goal_met): the gain is 0.4"),
]
SUBJECT = make.subject(RAN, given=SPEC, tier="iteration")
PAGES = (summary.summary_page, baton.next_page, best.best_page, runbook.runbook_page)


def test_a_summary_says_what_each_phase_came_to() -> None:
    told = summary.summary_page(SUBJECT).decode()
    assert "labctl research status lr-sweep" in told
    for said in ("4 of 4 runs", "gain 0.4", "keep (goal\\_met): the gain is 0.4"):
        assert said in told or said.replace("\\", "") in told
    row = next(line for line in told.splitlines() if line.startswith("| evaluation |"))
    assert [cell.strip() for cell in row.split("|")][2:4] == ["1", "1"]


@pytest.mark.parametrize("page", PAGES)
def test_no_page_of_a_project_talks_of_a_search(page: Callable[[Subject], bytes]) -> None:
    told = page(SUBJECT).decode()
    for said in ("phases_done", "Best per tier", "set-fidelity", "`labctl resume", "Metric:"):
        assert said not in told, said
    assert "labctl research " in told


@pytest.mark.parametrize(
    ("happened", "typed"),
    [
        ([], "labctl research run lr-sweep"),
        ([make.moved("paused")], "labctl research resume lr-sweep"),
        ([make.moved("completed")], "labctl research paper lr-sweep"),
        ([make.moved("awaiting-human")], "labctl research status lr-sweep"),
        (
            [event.Event(type=event.PHASE_CHANGED, ts="2", experiment="lr-sweep", phase="awaiting-human",
                         facts={"release": "ab"})],
            "labctl research publish lr-sweep",
        ),
        ([make.moved("archived")], "no phase begins"),
    ],
)  # fmt: skip
def test_what_comes_next_is_told_in_the_projects_own_verbs(happened: list[event.Event], typed: str) -> None:
    assert typed in baton.next_page(make.subject(happened, given=SPEC)).decode()


def test_no_phase_that_was_done_is_called_discarded() -> None:
    order = {"phase": "training", "worker": "runs", "round": 1, "inputs": "ab"}
    walk = stairs.Walk("maximize", None)
    lines = [Line(run_id=f"RUN-{at}", outcome="success", value=1.0, params=order) for at in range(3)]
    failed = Line(run_id="RUN-9", outcome="failed", params=order)
    assert [walk.kind(each) for each in (*lines, failed)] == [stairs.DONE] * 3 + [stairs.CRASH]
    assert walk.steps == []
    assert words.of(stairs.DONE) == "done"
    pictured = whole.of(Given(view=SUBJECT.view, spec=SPEC, lines=lines))
    assert (pictured.best, pictured.head.best, pictured.head.gain) == (None, None, None)
    other = Line(run_id="RUN-1", outcome="success", value=1.0, params={"phase": 1.0})
    assert walk.kind(other) == stairs.KEEP  # of a search that varies a phase


def test_the_index_has_no_best_of_a_project_but_what_its_last_phase_found() -> None:
    row = index.row(SUBJECT)
    assert (row.best_run, row.best_value, row.bests) == ("", None, {})
    assert row.found == "iteration by rules; keep (goal_met): the gain is 0.4"
    ended = index.row(make.subject([*RAN, make.moved("completed", reason="the last decision keep")], given=SPEC))
    assert ended.found == "the last decision keep"
    failed = index.row(make.subject(RAN[:2], given=SPEC))
    assert failed.found == "measured 1 times"
    assert index.row(make.subject(RAN)).found == ""  # of a search nothing is said in the place of its best


def test_hostile_notes_stay_words() -> None:
    hostile = make.subject([make.run(1, value=1.0, tier="training", note=make.HOSTILE)], given=SPEC)
    for page in PAGES:
        markdown.assert_whole(page(hostile))
