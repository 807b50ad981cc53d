"""Runs that report are stopped when they are hopeless beside earlier ones, and no other run is."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.cli.surroundings import the_world
from lab.core import layout
from lab.core.curve import Curve
from lab.core.launch import HOPELESS, Exit
from lab.core.origin import BASELINE, PROMOTED, REPLAY, Origin
from lab.core.record import page
from lab.core.run import CANCELLED, FAILED, SUCCESS
from lab.core.view import View
from lab.scheduler import cycle, prune, reclaim, refresh, stopping, work
from lab.scheduler.cycle import Errand
from lab.scheduler.prune import Wish
from lab.store import bundles
from lab.store.files import Files
from lab.store.root import Root
from tests.scheduler.labs import a_lab, an_experiment, dead, ended, me, one_run
from tests.scheduler.test_due import edit

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.ended import Ended

STEPS = 27
# Reports a loss a step, and takes so long that it is looked at meanwhile. `patience` is how long it then goes on.
PROGRAM = """
import os, sys, time
level, pause_s, patience_s = map(float, sys.argv[1:4])
for step in range(1, 28):
    print(step, level + 1 / step, file=open(os.environ["LAB_REPORT"], "a"), flush=True)
    time.sleep(pause_s)
time.sleep(patience_s)
print(f"METRIC loss={level + 1 / 27}")
"""


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """A lab in a world where programs can be started; its clock is the machine's."""
    made = a_lab(tmp_path / "lab")
    (tmp_path / "train.py").write_text(PROGRAM, encoding="utf-8")
    return Root(made.layout.root, the_world(), files=Files(durable=False))


def add(root: Root, *, rule: str = "median", **more: object) -> None:
    an_experiment(root, "a")
    fields = {"max_iterations_per_run": STEPS, "unstopped_share": 0.0, "early_stop": rule, "kill_grace_s": 5}
    edit(root, "a", **{**fields, **more})
    refresh.everything(root)


def command(root: Root, level: float, *, pause_s: float = 0.0, patience_s: float = 0.0) -> str:
    script = f"{os.path.dirname(root.layout.root)}/train.py"
    return f"{sys.executable} -I -S {script} {level} {pause_s} {patience_s}"


def curve(level: float, steps: int = STEPS) -> Curve:
    return Curve(points=tuple((float(step), level + 1 / step) for step in range(1, steps + 1)))


def earlier(root: Root, *levels: float, outcome: str = SUCCESS) -> None:
    """Runs that were sealed before, with their curves."""
    for level in levels:
        running = cycle.begin(root, "a", owner=me())
        value = level if outcome == SUCCESS else None
        cycle.finish(root, running, ended(value, outcome, curve=curve(level)))


def begun(root: Root, errand: Errand | None = None) -> cycle.Running:
    with root.section("a"):
        view, loaded = cycle.observe(root, "a")
        spec = cycle.usable(loaded)
        lease = cycle.claim(root, view, spec, owner=me())
        return cycle.opened(root, lease, view, spec, loaded.sha256, errand or Errand())


def ran(root: Root, program: str, errand: Errand | None = None) -> tuple[str, Ended]:
    """One run of a real program, to its seal."""
    running = begun(root, errand)
    running = msgspec.structs.replace(
        running, spec=msgspec.structs.replace(running.spec, executor="command", executor_command=program)
    )
    with root.section("a"):
        view = refresh.current(root, "a")[0]
    how = work.carry_out(root, running, view, interrupted=lambda: "")
    cycle.finish(root, running, how)
    return running.manifest.run_id, how


def lines(root: Root) -> list[dict[str, object]]:
    with open(root.layout.page("a", layout.METRICS_LOG), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.mark.parametrize("rule", ["median", "asha"])
def test_a_hopeless_run_ends_early_and_is_no_failure(root: Root, rule: str) -> None:
    add(root, rule=rule)
    earlier(root, 0.1, 0.2, 0.3, 0.4, 0.5)
    began_s = time.monotonic()
    run_id, how = ran(root, command(root, 0.9, patience_s=120))
    assert time.monotonic() - began_s < 60
    assert (how.outcome, how.value) == (CANCELLED, None)
    assert how.reason.startswith("it was stopped early: step 3: 1.23333 is ")
    with root.section("a"):
        view = refresh.current(root, "a")[0]
    assert (view.failure_streak, view.runs, view.outcomes) == (0, 6, {SUCCESS: 5, CANCELLED: 1})
    last = lines(root)[-1]
    assert (last["run_id"], last["value"], last["stopped_early"]) == (run_id, None, True)
    assert last["report"] == [[step, 0.9 + 1 / step] for step in range(1, STEPS + 1)]


def test_a_program_that_does_not_listen_is_ended_after_its_grace(root: Root) -> None:
    add(root, kill_grace_s=0.2)
    earlier(root, 0.1, 0.2, 0.3, 0.4, 0.5)
    text = "trap '' TERM; echo 5 9.5 >> $LAB_REPORT; while :; do sleep 60; done"
    _, how = ran(root, f'bash -c "{text}"')
    assert (how.outcome, how.reason[:21]) == (CANCELLED, "it was stopped early:")
    assert how.usage.exit_signal == 9


@pytest.mark.parametrize("rule", ["median", "asha"])
def test_a_promising_run_goes_on_to_its_end(root: Root, rule: str) -> None:
    add(root, rule=rule)
    earlier(root, 0.1, 0.2, 0.3, 0.4, 0.5)
    _, how = ran(root, command(root, 0.05, pause_s=0.03, patience_s=0.3))
    assert (how.outcome, how.value) == (SUCCESS, 0.05 + 1 / STEPS)
    assert len(how.curve.points) == STEPS
    assert "stopped_early" not in lines(root)[-1]


def _not_stopped(root: Root, errand: Errand | None = None) -> bool:
    _, how = ran(root, command(root, 9.0, patience_s=0.8), errand)
    return how.outcome == SUCCESS


def test_who_is_spared_is_never_stopped(root: Root) -> None:
    add(root, unstopped_share=1.0)
    earlier(root, 0.1, 0.2, 0.3, 0.4, 0.5)
    assert _not_stopped(root)


def test_the_share_is_drawn_from_the_number_of_the_candidate_in_every_tier(root: Root) -> None:
    add(root, unstopped_share=0.3)
    found = {}
    for number in range(40):
        told = []
        for kind, parents in (("", ()), (PROMOTED, ("RUN-1",))):
            origin = Origin(strategy="random", seed=5, number=number, kind=kind, parents=parents)
            running = _made(root, origin)
            told.append(stopping.stopper(root, running.spec, running, View(experiment="a"), "/nowhere") is None)
        assert len(set(told)) == 1
        found[number] = told[0]
    assert 4 < sum(found.values()) < 24


def _made(root: Root, origin: Origin) -> cycle.Running:
    running = begun(root, Errand(origin=origin))
    cycle.finish(root, running, ended(0.5))
    return running


@pytest.mark.parametrize("kind", [BASELINE, REPLAY])
def test_what_a_person_wants_to_see_the_end_of_is_not_stopped(root: Root, kind: str) -> None:
    add(root)
    earlier(root, 0.1, 0.2, 0.3, 0.4, 0.5)
    assert _not_stopped(root, Errand(origin=Origin(strategy="random", kind=kind)))


def test_without_the_rule_a_report_is_only_kept(root: Root) -> None:
    add(root, rule="none")
    earlier(root, 0.1, 0.2, 0.3, 0.4, 0.5)
    assert _not_stopped(root)
    assert len(lines(root)[-1]["report"]) == STEPS  # type: ignore[arg-type]  # a list, or the test fails


def test_failed_runs_and_other_tiers_are_no_cohort(root: Root) -> None:
    add(root)
    earlier(root, 0.0, 0.0, 0.0, 0.0, 0.0, outcome=FAILED)
    one_run(root, "a", 0.5)  # this one reported nothing
    for level in (0.1, 0.2, 0.3, 0.4, 0.5):
        running = begun(root, Errand(tier="final"))
        cycle.finish(root, running, ended(level, curve=curve(level)))
    assert _not_stopped(root)
    earlier(root, 0.1, 0.2, 0.3, 0.4, 0.5)
    assert not _not_stopped(root)


def test_runs_outside_the_space_as_it_is_now_are_no_cohort(root: Root) -> None:
    add(root, search_space={"depth": {"choices": [1, 2], "default": 1}})

    def before(depth: int) -> None:
        for level in (0.1, 0.2, 0.3, 0.4, 0.5):
            running = begun(root, Errand(params={"depth": depth}))
            cycle.finish(root, running, ended(level, curve=curve(level)))

    before(2)
    edit(root, "a", search_space={"depth": {"choices": [1, 3], "default": 1}})
    here = Errand(params={"depth": 1})
    assert _not_stopped(root, here)
    before(1)
    assert not _not_stopped(root, here)


def test_what_is_within_the_noise_of_repeats_stops_nobody(root: Root) -> None:
    add(root, search_space={"x": {"low": 0, "high": 1, "default": 0.5}})
    for x, level in ((0.1, 0.1), (0.1, 5.1), (0.2, 0.2), (0.2, 6.2), (0.3, 0.3), (0.3, 7.3)):
        running = begun(root, Errand(params={"x": x}))
        cycle.finish(root, running, ended(level, curve=curve(level)))
    assert _not_stopped(root, Errand(params={"x": 0.4}))  # at 9.0, which is worse than the median by less than that
    edit(root, "a", noise=False)
    assert not _not_stopped(root, Errand(params={"x": 0.4}))


def test_runs_that_were_stopped_are_a_cohort_as_far_as_they_got(root: Root) -> None:
    add(root, rule="asha", max_iterations_per_run=1)
    earlier(root, 0.1)
    for _ in range(4):
        running = begun(root)
        cycle.finish(root, running, ended(None, CANCELLED, reason="it was stopped early: x", curve=curve(0.5, 3)))
    _, how = ran(root, command(root, 0.9, patience_s=120))
    assert how.reason == (
        "it was stopped early: step 3: 1.23333 is not among the best 1 in 4 of 6 runs, which have 0.433333 or better"
    )


@pytest.mark.parametrize(
    "hostile",
    [
        "yes 1 | tr -d '\\n' | head -c 100000000",
        "head -c 100000000 /dev/urandom",
        "yes '3 9.5' | head -c 100000000",
        "seq 200000 | sed 's/$/ 0.01/'",
    ],
    ids=["one long line", "random bytes", "a step again and again", "many good steps"],
)
def test_a_hostile_report_stops_nothing_and_does_not_fill_the_memory(root: Root, hostile: str) -> None:
    add(root, max_iterations_per_run=300_000)
    earlier(root, 0.1, 0.2, 0.3, 0.4, 0.5)
    script = f"{os.path.dirname(root.layout.root)}/hostile.sh"
    with open(script, "w", encoding="utf-8") as file:
        file.write(f"{hostile} > $LAB_REPORT 2>/dev/null; sleep 0.6; echo METRIC loss=0.5\n")
    run_id, how = ran(root, f"bash {script}")
    assert (how.outcome, how.value) == (SUCCESS, 0.5)
    path = f"{root.layout.run('a', run_id)}/{layout.CURVE}"
    assert not os.path.exists(path) or os.stat(path).st_size < 10_000


def test_a_lab_that_died_meanwhile_leaves_the_curve_to_whoever_settles_the_run(root: Root) -> None:
    add(root)
    running = cycle.begin(root, "a", owner=dead())
    with open(f"{running.path}/{layout.REPORT}", "w", encoding="utf-8") as file:
        file.write("1 0.5\n2 0.75\n")
    how = Exit(run_id=running.manifest.run_id, signal=15, stopped=HOPELESS, why="step 2: bad")
    root.files.replace(f"{running.path}/{layout.EXIT}", page(how))
    reclaim.make_way(root, "a")
    refresh.everything(root)
    (line,) = lines(root)
    assert (line["outcome"], line["stopped_early"], line["report"]) == (CANCELLED, True, [[1, 0.5], [2, 0.75]])
    assert "cut_off" not in line


def test_the_table_made_anew_and_from_an_archive_has_the_same_curves(root: Root) -> None:
    add(root)
    earlier(root, *(0.1 * number for number in range(1, 9)))
    one_run(root, "a", 0.5)
    place = root.layout.page("a", layout.METRICS_LOG)
    with open(place, "rb") as file:
        before = file.read()
    assert before.count(b'"report"') == 8
    seal = bundles.load_seal(root.layout.run("a", lines(root)[0]["run_id"]))  # type: ignore[arg-type]  # a text
    assert seal is not None
    assert layout.CURVE in seal[0].files
    for again in range(2):
        os.unlink(place)
        os.unlink(root.layout.status("a"))
        refresh.everything(root)
        with open(place, "rb") as file:
            assert file.read() == before
        if not again:
            assert len(prune.prune(root, "a", Wish()).runs) == 3  # all but the best and the last


@pytest.mark.parametrize("what", ["folder", "link", "garbage", "metrics of its own"])
def test_what_a_run_puts_in_the_place_of_its_curve_or_metrics_stops_nothing(root: Root, what: str) -> None:
    add(root)
    running = begun(root)
    place = f"{running.path}/{layout.CURVE}"
    if what == "folder":
        os.mkdir(place)
    elif what == "link":
        os.symlink("/etc/hostname", place)
    else:
        name = place if what == "garbage" else f"{running.path}/{layout.METRICS}"
        with open(name, "w", encoding="utf-8") as file:
            file.write('{"value": 0.5, "report": "mine"}')
    cycle.finish(root, running, ended(0.5, curve=curve(0.5)))
    refresh.everything(root)
    (line,) = lines(root)
    assert (line["outcome"], line["value"]) == (SUCCESS, 0.5)
    assert len(line.get("report", ())) == (STEPS if what == "metrics of its own" else 0)  # type: ignore[arg-type]  # a list, or the test fails
    earlier(root, 0.1, 0.2, 0.3, 0.4, 0.5)
    assert not _not_stopped(root)
