"""One turn of the crank: what runs, what the policy does about it, and what stops nothing else."""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.cli.surroundings import the_world
from lab.core import event
from lab.scheduler import cycle, decisions, patience, reclaim, refresh
from lab.scheduler.step import ANSWERED, HELD, MOVED, PROBLEM, RAN, SETTLED, SETTLING, WAITING, Step
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from lab.store import bundles, leases, ledger, reading
from lab.store.files import Files
from lab.store.root import Root
from lab.testing.files import BEGINNING, SteadyClock
from tests.scheduler.labs import a_lab, an_experiment, dead, foreign, me, tree
from tests.scheduler.test_due import edit

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.event import Event
    from lab.core.view import View

STUB = {"executor": "stub", "cadence": "0s", "metric_direction": "maximize"}


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """A lab on a foreseeable clock, in a world where programs can be started."""
    made = a_lab(tmp_path / "lab")
    world = msgspec.structs.replace(the_world(), now=SteadyClock(BEGINNING + timedelta(minutes=5)))
    return Root(made.layout.root, world, files=Files(durable=False))


def prints(*lines: object, code: int = 0) -> str:
    """A command that prints these lines and ends with this code."""
    text = ";".join(f"print({line!r})" for line in lines) or "pass"
    return f'{sys.executable} -I -S -c "import sys;{text};sys.exit({code})"'


def add(root: Root, name: str, **changes: object) -> None:
    an_experiment(root, name)
    edit(root, name, **{**STUB, **changes})
    refresh.everything(root)


def take(root: Root, **request: object) -> list[Step]:
    turn = Turn(root, msgspec.structs.replace(Request(), **request), tell=lambda _: None, interrupted=lambda: "")
    turn.take()
    return turn.steps


def kinds(steps: list[Step]) -> list[tuple[str, str]]:
    return [(step.kind, step.experiment) for step in steps]


def view(root: Root, name: str) -> View:
    with root.section(name):
        return refresh.current(root, name)[0]


def told(root: Root, kind: str) -> list[Event]:
    return [entry.line.event for entry in ledger.entries(root) if entry.line and entry.line.event.type == kind]


def test_nothing_due_is_nothing_done(root: Root) -> None:
    before = tree(root.layout.root)
    assert take(root) == []
    assert tree(root.layout.root) == before


def test_each_due_experiment_runs_once_up_to_the_limit(root: Root) -> None:
    for name in "abcd":
        add(root, name)
    assert kinds(take(root, max_runs=3)) == [(RAN, "a"), (RAN, "b"), (RAN, "c")]
    assert kinds(take(root, max_runs=3))[0] == (RAN, "d")


def test_roles_take_turns(root: Root) -> None:
    add(root, "a", worker_roles="[scout, critic]")
    roles = [take(root)[0].role for _ in range(4)]
    assert roles == ["scout", "critic", "scout", "critic"]


def test_a_command_is_run_and_its_number_is_the_value(root: Root) -> None:
    add(root, "a", executor="command", executor_command=prints(0.25))
    (step,) = take(root)
    assert (step.outcome, step.value) == ("success", 0.25)
    seal = bundles.load_seal(root.layout.run("a", step.run_id))
    assert seal is not None
    assert "stdout.log" in seal[0].files
    assert "exit.json" not in seal[0].files
    manifest = bundles.load_manifest(root.layout.run("a", step.run_id))
    assert manifest is not None
    assert manifest.usage.exit_code == 0
    assert manifest.usage.cpu_s is not None


def test_a_failed_run_has_no_value_and_says_why(root: Root) -> None:
    add(root, "a", executor="command", executor_command=prints(0.25, code=3))
    (step,) = take(root)
    assert (step.outcome, step.value) == ("failed", None)
    result = reading.read(f"{root.layout.run('a', step.run_id)}/RESULT.md") or b""
    assert b"3" in result
    assert b"failed" in result


def test_a_program_that_is_not_there_is_a_failed_run_with_the_reason(root: Root) -> None:
    add(root, "a", executor="command", executor_command="no-such-program --lr 1")
    (step,) = take(root)
    assert step.outcome == "failed"
    assert "no-such-program" in step.what


def test_an_experiment_without_a_command_is_told_of_and_no_run_is_spent(root: Root) -> None:
    add(root, "a", executor="command")
    add(root, "b")
    steps = take(root)
    assert kinds(steps) == [(PROBLEM, "a"), (RAN, "b")]
    assert "executor_command" in steps[0].what
    assert view(root, "a").runs == 0


def test_a_broken_spec_stops_nothing_else(root: Root) -> None:
    add(root, "a")
    add(root, "b")
    edit(root, "a", metric_direction="sideways")
    assert kinds(take(root)) == [(PROBLEM, "a"), (RAN, "b")]


def test_the_last_iteration_completes_it_at_once(root: Root) -> None:
    add(root, "a", max_iterations_total=2)
    take(root)
    assert kinds(take(root)) == [(RAN, "a"), (MOVED, "a")]
    assert view(root, "a").phase == "completed"
    (event_,) = told(root, event.PHASE_CHANGED)
    assert (event_.actor, event_.reason, event_.facts) == ("policy", "max iterations", {"max": 2, "runs": 2})
    assert take(root) == []


def test_three_failures_call_a_person_and_the_pages_say_so(root: Root) -> None:
    add(root, "a", executor="command", executor_command=prints(code=1))
    steps = [step for _ in range(4) for step in take(root)]
    assert [step.kind for step in steps] == [RAN, RAN, RAN, MOVED]
    assert view(root, "a").phase == "awaiting-human"
    assert b"waits for a person" in (reading.read(root.layout.lab_status) or b"")
    decisions.resume(root, "a", reason="mended", actor="ann")
    assert take(root)[-1].kind == RAN


def test_what_is_not_autonomous_waits_for_a_person_after_each_run(root: Root) -> None:
    add(root, "a", autonomous="false")
    assert kinds(take(root)) == [(RAN, "a"), (MOVED, "a")]
    assert take(root) == []
    decisions.resume(root, "a", reason="", actor="ann")
    assert kinds(take(root)) == [(ANSWERED, "a"), (RAN, "a"), (MOVED, "a")]


def test_a_tier_is_left_only_when_the_best_moved(root: Root) -> None:
    add(
        root, "a", executor="command", executor_command=prints(0.5), fidelity_tiers="[proxy, final]",
        fidelity_promotion_rule="after-success-streak", promote_after_successes=2,
    )  # fmt: skip
    steps = take(root) + take(root)
    assert [step.what for step in steps if step.kind == MOVED] == ["to tier final (success streak with a new best)"]
    (event_,) = told(root, event.TIER_CHANGED)
    assert event_.facts["successes_in_a_row"] == 2
    assert take(root)[0].tier == "final"


def test_the_event_comes_before_the_effect(root: Root) -> None:
    add(root, "a", max_iterations_total=1)
    take(root)
    types = [entry.line.event.type for entry in ledger.entries(root) if entry.line]
    assert types[-2:] == [event.RUN_SEALED, event.PHASE_CHANGED]


def test_who_is_held_by_somebody_alive_is_passed_over(root: Root) -> None:
    add(root, "a")
    add(root, "b")
    leases.take(root, "a", owner=foreign())
    assert kinds(take(root)) == [(HELD, "a"), (RAN, "b")]


def test_dead_holders_are_settled_first_though_nothing_is_due(root: Root) -> None:
    add(root, "a", cadence="1h")
    take(root)
    leases.take(root, "a", owner=dead())
    assert kinds(take(root)) == [(SETTLED, "a")]
    assert leases.survey(root, "a").lost == ()


def test_an_experiment_that_is_asked_for_and_not_due_says_when(root: Root) -> None:
    add(root, "a", cadence="1h")
    assert take(root, only=("a",))[0].kind == RAN
    (step,) = take(root, only=("a",))
    assert (step.kind, step.what.startswith("not due yet (due 2026-")) == (WAITING, True)
    assert step.fix == "labctl run-once --experiment a --now"
    assert take(root, only=("a",), now=True)[0].kind == RAN


def test_a_class_that_is_not_asked_for_does_not_run_even_by_name(root: Root) -> None:
    add(root, "a", executor_class="gpu")
    assert take(root, only=("a",), classes=("cpu",)) == []
    assert take(root, classes=("cpu",)) == []
    edit(root, "a", executor_class="cpu")
    assert take(root, classes=("gpu",)) == []
    assert kinds(take(root, classes=("cpu",))) == [(RAN, "a")]


def test_a_pause_before_the_claim_holds(root: Root) -> None:
    """The index still says that it is due; the section knows better."""
    add(root, "a")
    stale = reading.read(root.layout.index) or b""
    decisions.pause(root, "a", reason="", actor="ann")
    turn = Turn(root, Request(), tell=lambda _: None, interrupted=lambda: "")
    turn.visit("a")
    assert turn.steps == []
    assert stale != reading.read(root.layout.index)
    assert view(root, "a").runs == 0


def test_an_interrupt_ends_the_run_and_seals_it_as_cancelled(root: Root) -> None:
    add(root, "a", executor="command", executor_command="/bin/sleep 60")
    add(root, "b")
    turn = Turn(root, Request(), tell=lambda _: None, interrupted=lambda: "SIGINT")
    turn.visit("a")
    (step,) = turn.steps
    assert (step.kind, step.outcome) == (RAN, "cancelled")
    assert "SIGINT" in step.what
    assert view(root, "a").failure_streak == 0


def test_several_at_once_each_in_a_process_of_its_own(root: Root) -> None:
    for name in "abc":
        add(root, name, executor="command", executor_command=prints(1.0))
    steps = take(root, jobs=3)
    assert sorted(kinds(steps)) == [(RAN, "a"), (RAN, "b"), (RAN, "c")]
    manifests = [bundles.load_manifest(root.layout.run(step.experiment, step.run_id)) for step in steps]
    owners = {manifest.owner.pid for manifest in manifests if manifest}
    assert len(owners) == 3
    assert os.getpid() not in owners


def test_several_slots_are_filled_and_the_last_iteration_is_the_last(root: Root) -> None:
    add(
        root, "a", executor="command", executor_command=prints(1.0), max_parallel=3, max_iterations_total=2,
        cadence="1h",
    )  # fmt: skip
    steps = take(root, jobs=4, max_runs=4)
    assert [step.kind for step in steps].count(RAN) == 2
    assert view(root, "a").runs == 2
    assert view(root, "a").phase == "completed"


def test_a_worker_that_dies_is_told_of_and_its_run_is_settled_by_the_next_turn(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    killer = f"{sys.executable} -I -S -c \"import os,signal;os.kill(int(os.environ['VICTIM']),signal.SIGKILL)\""
    add(root, "a", executor="command", executor_command=killer)
    turn = Turn(root, Request(jobs=2), tell=lambda _: None, interrupted=lambda: "")
    monkeypatch.setattr(turn, "visit", lambda _: os.kill(os.getpid(), signal.SIGKILL))
    turn.take()
    assert turn.steps[-1].kind == PROBLEM
    assert "worker failed" in turn.steps[-1].what


def test_the_pages_say_what_happened_when_the_turn_ends(root: Root) -> None:
    for name in "ab":
        add(root, name)
    take(root)
    found = msgspec.json.decode(reading.read(root.layout.index) or b"")
    assert [row["run_count"] for row in found["experiments"]] == [1, 1]
    assert found["ledger"]["end"] == reading.size_of(root.layout.events)
    before = tree(root.layout.root)
    assert refresh.everything(root).written == 0
    assert tree(root.layout.root) == before


def test_owners_name_the_process_that_runs(root: Root) -> None:
    add(root, "a")
    (step,) = take(root)
    manifest = bundles.load_manifest(root.layout.run("a", step.run_id))
    assert manifest is not None
    assert (manifest.owner.pid, manifest.owner.name) == (me().pid, "run-once")


def test_a_tier_that_a_person_went_back_to_is_not_left_again_at_once(root: Root) -> None:
    add(
        root, "a", executor="command", executor_command=prints(0.5), fidelity_tiers="[proxy, final]",
        fidelity_promotion_rule="after-success-streak", promote_after_successes=1,
    )  # fmt: skip
    assert kinds(take(root)) == [(RAN, "a"), (MOVED, "a")]
    decisions.set_tier(root, "a", "proxy", reason="again", actor="ann")
    (step,) = take(root)  # a run first; and this one is no new best
    assert (step.kind, step.tier) == (RAN, "proxy")
    assert view(root, "a").tier == "proxy"


@pytest.mark.parametrize("harm", ["gone", "spoilt"])
def test_a_spec_that_cannot_be_used_is_said_each_turn_until_it_is_mended_and_the_pages_say_it_too(
    root: Root, harm: str
) -> None:
    add(root, "a")
    add(root, "b", cadence="1h")
    take(root)
    spec = root.layout.spec("a")
    whole = reading.read(spec) or b""
    if harm == "gone":
        os.unlink(spec)
    else:
        edit(root, "a", metric_direction="sideways")
    for _ in range(2):
        assert kinds(take(root)) == [(PROBLEM, "a")]
        assert b"SPEC" in (reading.read(root.layout.lab_status) or b"").split(b"## Active")[0]
        before = tree(root.layout.root)
        refresh.everything(root)
        assert tree(root.layout.root) == before
    with open(spec, "wb") as file:
        file.write(whole)
    assert kinds(take(root)) == [(RAN, "a")]


def test_an_experiment_that_a_person_opens_again_is_not_escalated_for_what_was_before(root: Root) -> None:
    values = ["0.9", "0.8", "0.7", "0.6"]
    ladder = f"{sys.executable} -I -S -c \"import os;print({values}[int(os.environ['LAB_RUN_ITERATION'])-1])\""
    add(root, "a", executor="command", executor_command=ladder, escalate_when="[metric_regression_2_consecutive]")
    steps = [step for _ in range(3) for step in take(root)]
    assert [step.kind for step in steps] == [RAN, RAN, RAN, MOVED]
    decisions.resume(root, "a", reason="", actor="ann")
    assert [step.kind for step in take(root)] == [ANSWERED, RAN]


def test_resuming_what_would_be_stopped_again_says_so(root: Root) -> None:
    add(root, "a", max_iterations_total=1)
    take(root)
    decisions.resume(root, "a", reason="", actor="ann")
    assert "max iterations (max 1, runs 1)" in decisions.foreseen(root, "a")
    edit(root, "a", max_iterations_total=2)
    assert decisions.foreseen(root, "a") == ""


def test_a_run_whose_lease_was_taken_meanwhile_is_told_as_lost_and_not_counted(root: Root) -> None:
    add(root, "a", executor="command", executor_command="/bin/sleep 1")
    taken: list[object] = []

    def interrupted() -> str:
        if not taken and leases.survey(root, "a").held:
            taken.append(reclaim.broken(root, "a", 1, actor="ann"))
        return ""

    turn = Turn(root, Request(), tell=lambda _: None, interrupted=interrupted)
    turn.take()
    assert [(step.kind, step.experiment) for step in turn.steps] == [(PROBLEM, "a")]
    assert "was taken over" in turn.steps[0].what
    assert view(root, "a").runs == 0
    assert turn.failed


def left_by_the_dead(root: Root, name: str, size: int = 0) -> str:
    """A run whose holder died, with a file of so many bytes in its bundle. Returns its folder."""
    begun = cycle.begin(root, name, owner=dead(), params={})
    with open(f"{begun.path}/big", "wb") as file:
        file.truncate(size)
    return begun.path


def test_settling_a_large_bundle_ends_when_it_is_asked_to_and_the_next_turn_does_it(root: Root) -> None:
    for name in "ab":
        add(root, name)
    path = left_by_the_dead(root, "a", size=64 << 20)
    asked = iter(["", "", "", ""])  # then somebody is heard: while the file is read
    turn = Turn(root, Request(), tell=lambda _: None, interrupted=lambda: next(asked, "SIGTERM"))
    turn.take()
    (step,) = turn.steps
    assert (step.kind, step.experiment) == (PROBLEM, "a")
    assert "SIGTERM came while big of its bundle was read" in step.what
    assert bundles.load_seal(path) is None
    assert [step.kind for step in take(root)] == [SETTLED, RAN, RAN]
    made = bundles.load_seal(path)
    assert made is not None
    assert made[0].files["big"].size == 64 << 20


def test_who_waits_for_a_large_bundle_is_told_how_far_it_is(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_TELL_EVERY_S", 0.0)
    add(root, "a")
    left_by_the_dead(root, "a", size=4_000_000)
    told: list[Step] = []
    turn = Turn(root, Request(), tell=told.append, interrupted=str)
    turn.take()
    assert "big of its bundle was read (1 of 4 MB)" in [step.what for step in told if step.kind == SETTLING]
    assert SETTLING not in [step.kind for step in turn.steps]


def test_a_turn_of_one_experiment_leaves_what_died_of_another_to_its_own(root: Root) -> None:
    for name in "ab":
        add(root, name)
        left_by_the_dead(root, name)
    assert [(step.kind, step.experiment) for step in take(root, only=("b",))] == [(SETTLED, "b"), (RAN, "b")]
    assert next((step.kind, step.experiment) for step in take(root)) == (SETTLED, "a")
