"""What an engine's runs count as: lost ones stop an experiment, ones that never began are none, and time is charged."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.job import FAILED, LOST, NOT_HERE, OVER, RUNNING
from lab.core.view import PAUSED
from lab.scheduler import decisions, reclaim, refresh
from lab.scheduler.control import cancel
from lab.scheduler.placing import body, in_flight, placed, reconciling
from lab.scheduler.step import QUEUED
from lab.store import jobs, reading
from tests.scheduler.labs import silent
from tests.scheduler.placing import engine_double as double
from tests.scheduler.placing.test_reconciling import begin, engine, root, seals, superseded, unheard
from tests.scheduler.test_due import edit
from tests.scheduler.test_turn import STUB, add, take, view

if TYPE_CHECKING:
    import pytest

    from lab.store.root import Root
    from tests.scheduler.placing.engine_double import Double

__all__ = ["engine", "root"]  # fixtures


def lose_all(root: Root, since: int = 1) -> int:
    """The nodes of all that is out are lost. Returns the generation of the next run."""
    generation = since
    while os.path.lexists(root.layout.claim("a", generation)):
        begin(root, str(generation), generation)
        unheard(root, generation=generation)
        generation += 1
    double.alter(root, double.every(OVER, LOST, why="NODE_FAIL"))
    return generation


def queued(root: Root) -> int:
    """How many runs a turn hands over."""
    return sum(step.kind == QUEUED for step in take(root, max_runs=9))


def rebuilt(root: Root) -> None:
    """What it is follows from the ledger and the seals alone."""
    before = view(root, "a")
    os.unlink(f"{root.layout.experiment('a')}/{layout.STATUS}")
    refresh.everything(root)
    assert view(root, "a") == before


def test_a_run_that_always_takes_its_place_down_is_not_made_again_for_ever(root: Root) -> None:
    made, following = 0, 1
    while made < 30 and queued(root):
        made += 1
        following = lose_all(root, following)
    assert (made, len(superseded(root)), view(root, "a").runs) == (3, 3, 0)
    found = view(root, "a")
    assert (found.phase, found.losses) == (PAUSED, 3)
    assert "3 runs in a row were lost; the last: the place where it ran was lost" in found.phase_reason
    assert "NODE_FAIL" in found.phase_reason
    with open(root.layout.lab_status, encoding="utf-8") as file:
        assert "paused: 3 runs in a row were lost" in file.read()
    rebuilt(root)
    decisions.resume(root, "a", reason="", actor="ann")
    assert queued(root) == 1
    lose_all(root, following)
    assert queued(root) == 1


def test_the_spec_says_how_many_losses_it_bears(root: Root) -> None:
    edit(root, "a", **STUB, stop_conditions={"max_consecutive_failures": 1})
    assert queued(root) == 1
    lose_all(root)
    assert queued(root) == 0
    assert view(root, "a").phase == PAUSED


def test_a_run_that_is_sealed_in_between_starts_the_losses_over(root: Root) -> None:
    following = 1
    for _ in range(2):
        queued(root)
        following = lose_all(root, following)
    queued(root)
    assert view(root, "a").losses == 2
    assert double.run_what_waits(root)[0][1] == 0
    assert view(root, "a").losses == 0
    queued(root)
    lose_all(root, following + 1)
    assert queued(root) == 1
    rebuilt(root)


def test_what_was_out_together_is_one_loss(root: Root) -> None:
    edit(root, "a", **STUB, max_parallel=4)
    following = 1
    for _ in range(3):
        assert queued(root) == 4
        following = lose_all(root, following)
    assert queued(root) == 0
    assert (view(root, "a").losses, view(root, "a").superseded) == (3, 12)
    rebuilt(root)


def test_a_claim_that_a_person_breaks_is_no_reason_to_stop(root: Root) -> None:
    for generation in range(1, 6):
        assert queued(root) == 1
        reclaim.broken(root, "a", generation, actor="ann")


def test_a_lab_that_is_never_seen_from_there_stops_its_experiment(root: Root) -> None:
    made = 0
    while made < 9 and queued(root):
        made += 1
        double.alter(root, double.every(OVER, FAILED, code=NOT_HERE))
        unheard(root, generation=made)
    assert (made, view(root, "a").phase) == (3, PAUSED)
    assert "the lab is not to be seen from where its job was placed" in view(root, "a").phase_reason


def test_a_run_that_never_began_is_no_iteration(root: Root) -> None:
    edit(root, "a", **STUB, max_iterations_total=1)
    for _ in range(2):
        assert queued(root) == 1
        (asked,) = cancel.cancel(root, "a", reason="wrong node", actor="ann")
        reconciling.look(root, "a")
        assert cancel.ended(root, asked) == "cancelled"
    found = view(root, "a")
    assert (found.runs, found.iterations, found.outcomes) == (2, 0, {"cancelled": 2})
    assert {made.run.started_at for made in seals(root)} == {""}
    queued(root)
    assert double.run_what_waits(root)[0][1] == 0
    assert queued(root) == 0
    rebuilt(root)


def test_a_run_that_began_and_was_cancelled_is_an_iteration(root: Root) -> None:
    edit(root, "a", **STUB, max_iterations_total=1)
    queued(root)
    begin(root)
    double.alter(root, double.every(OVER, "cancelled"))
    unheard(root)
    reconciling.look(root, "a")
    assert [made.run.outcome for made in seals(root)] == ["cancelled"]
    assert queued(root) == 0


def test_a_run_whose_body_was_killed_is_charged_until_it_was_last_heard_of(root: Root) -> None:
    edit(root, "a", **STUB, stop_conditions={"budget_hours": 1})
    queued(root)
    begin(root)
    double.alter(root, double.every(RUNNING))
    unheard(root, 10_000)
    silent(root.layout.claim("a", 1, layout.STARTED_SUFFIX), 3_700)  # it was renewed for so long after it had begun
    double.alter(root, double.every(OVER, FAILED))
    assert queued(root) == 0
    (made,) = seals(root)
    assert made.run.outcome == "crash"
    assert 3_699 < made.run.wall_s < 3_701
    assert view(root, "a").phase == "completed"


def test_no_job_is_read_twice_to_know_how_many_of_its_class_are_out(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(root, "g", max_parallel=4, executor_class="gpu")
    assert [step.kind for step in take(root, only=("g",), max_runs=9)].count(QUEUED) == 2
    assert in_flight.is_full(root, "double", "gpu", most=2)
    read = []
    monkeypatch.setattr(jobs, "load", lambda *where: read.append(where))
    assert in_flight.is_full(root, "double", "gpu", most=2)
    assert not in_flight.is_full(root, "double", "gpu", most=3)
    assert not in_flight.is_full(root, "other", "gpu", most=1)
    assert read == []


def read_in(folder: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files there that are read from now on."""
    seen: list[str] = []
    read = reading.read

    def reads(path: str) -> bytes | None:
        if path.startswith(f"{folder}/"):
            seen.append(path)
        return read(path)

    monkeypatch.setattr(reading, "read", reads)
    return seen


def reads_per_run(root: Root, many: int, monkeypatch: pytest.MonkeyPatch) -> float:
    """How many files of an experiment with so many runs out are read to cancel all, and to see that none has ended."""
    name = f"e{many}"
    add(root, name, max_parallel=many)
    assert len(take(root, only=(name,), max_runs=many)) == many
    with monkeypatch.context() as patched:
        seen = read_in(root.layout.claims(name), patched)
        asked = cancel.cancel(root, name, reason="no", actor="ann")
        assert [cancel.ended(root, each) for each in asked] == [""] * many
    assert {each.owner.rpartition(" ")[0] for each in asked} == {"double (job"}
    return len(seen) / many


def test_the_price_of_a_cancel_is_for_each_run_the_same_however_many_are_out(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = (reads_per_run(root, each, monkeypatch) for each in (4, 12))
    assert many <= few


def test_to_see_where_a_run_is_reads_nothing_of_those_beside_it_but_their_claims(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(root, "a", **STUB, max_parallel=4)
    steps = take(root, max_runs=4)
    seen = read_in(root.layout.claims("a"), monkeypatch)
    at = placed.of(root, "a", steps[1].run_id)
    assert at is not None
    assert (at.generation, at.state) == (2, "queued")
    assert {path for path in seen if not path.endswith(layout.CLAIM_SUFFIX)} <= {
        root.layout.claim("a", 2, suffix) for suffix in (layout.JOB_SUFFIX, layout.STARTED_SUFFIX, layout.SEEN_SUFFIX)
    }


def test_the_number_of_a_job_is_that_of_the_innermost_engine(root: Root) -> None:
    """Ray may run inside a job of Slurm, whose number is the same for all that it runs."""
    both = {"SLURM_JOB_ID": "7", "RAY_JOB_SUBMISSION_ID": "lab-a-1"}
    assert body._start(both, "RUN", 1, root).number == "lab-a-1"
    assert body._start({"SLURM_JOB_ID": "7"}, "RUN", 1, root).number == "7"


def test_several_at_once_go_away_by_the_row_of_their_tier(root: Root, engine: Double) -> None:
    """They need no process of their own here."""
    rows = "default:\n  engine: here\ngpu:\n  engine: double\n"
    with open(root.layout.engines, "w", encoding="utf-8") as file:
        file.write(rows)
    add(root, "t", fidelity_tiers="[proxy, final]", proxy_executor_class="gpu")
    assert [step.kind for step in take(root, only=("t",), jobs=2)] == [QUEUED]
    assert engine.calls == ["submit", "release"]  # in this process
