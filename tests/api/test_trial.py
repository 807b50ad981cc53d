"""Runs whose program is the caller: what each way out of the block is sealed as, and that the fence holds."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import lab
from lab.store import root as opened
from lab.store import sections

if TYPE_CHECKING:
    from collections.abc import Callable

    Asked = Callable[..., lab.Experiment]

SHIM = str(Path(__file__).resolve().parents[2] / "scripts" / "labctl.py")


def labctl(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SHIM, *words], capture_output=True, text=True, check=False)


def test_a_block_that_reports_its_metric_is_a_success(asked: Asked, home: lab.Lab) -> None:
    tuned = asked()
    with tuned.trial() as trial:
        assert set(trial.params) == {"x"}
        assert trial.outcome == ""
        trial.report(loss=3, rows=10)
        trial.report(loss=0.5)
        Path(trial.path, "artifacts").mkdir(exist_ok=True)
        Path(trial.path, "artifacts", "model.txt").write_text("weights")
    (run,) = tuned.runs()
    assert (trial.outcome, trial.value) == (run.outcome, run.value) == ("success", 0.5)
    assert run.metrics == {"loss": 0.5, "rows": 10}
    assert (run.params, run.chosen_by) == (trial.params, "random")
    assert Path(run.path, "artifacts", "model.txt").read_text() == "weights"
    assert home.verify() == []


def test_a_run_has_the_numbers_that_were_reported_and_no_others(asked: Asked, home: lab.Lab) -> None:
    tuned = asked()

    def writing(*names: str) -> None:
        with tuned.trial() as trial:
            trial.report(loss=0.1, rows=10)
            for name in names:
                Path(trial.path, name).write_text('{"loss": 77}')

    with pytest.warns(lab.LabWarning, match=r"^RUN-\S+: the metrics.json that it wrote is kept as metrics.own.json, "):
        writing("metrics.json")
    with pytest.warns(lab.LabWarning, match="is kept as metrics.own-1.json, and counts nothing: report"):
        writing("metrics.json", "metrics.own.json")
    for run, kept in zip(tuned.runs(), ("metrics.own.json", "metrics.own-1.json"), strict=True):
        assert (run.value, run.metrics) == (0.1, {"loss": 0.1, "rows": 10})
        assert Path(run.path, kept).read_text() == '{"loss": 77}'
    assert home.verify() == []


def test_who_meets_a_long_section_at_the_end_is_told_that_the_run_is_kept(
    asked: Asked, home: lab.Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = asked()
    section = f"{home.path}/registry/locks/asked/section"
    monkeypatch.setattr(opened, "hold", lambda path: sections.hold(path, wait_s=0.1))

    def measure() -> None:
        with ExitStack() as others, tuned.trial() as trial:
            trial.report(loss=0.25, rows=10)
            others.enter_context(sections.hold(section))

    with pytest.raises(lab.Busy, match=r"^RUN-\S+ ended as success \(loss: 0.25\); it and what it reported are kept"):
        measure()
    assert tuned.runs() == []
    with tuned.trial() as trial:
        trial.report(loss=1)
    assert [(run.value, run.metrics) for run in tuned.runs()] == [(0.25, {"loss": 0.25, "rows": 10}), (1, {"loss": 1})]
    assert home.verify() == []


def test_a_block_that_reports_nothing_is_a_failure_and_never_0(asked: Asked) -> None:
    tuned = asked()
    with pytest.warns(lab.LabWarning, match=r"^RUN-\S+ has no value: it reported no loss$"), tuned.trial():
        pass
    with pytest.warns(lab.LabWarning, match="it reported no loss, but los$"), tuned.trial() as trial:
        trial.report(los=0)
    with pytest.warns(lab.LabWarning, match="it reported no loss; loss was reported as nan$"), tuned.trial() as trial:
        trial.report(loss=float("nan"))
    runs = tuned.runs()
    assert [(run.outcome, run.value) for run in runs] == [("failed", None)] * 3
    assert "it reported no loss" in runs[0].note
    assert "it reported no loss, but los" in runs[1].note
    assert "loss was reported as nan" in runs[2].note
    with pytest.raises(lab.LabError, match="no run with a value"):
        tuned.best()


def test_an_exception_is_sealed_with_its_traceback_and_goes_on(asked: Asked) -> None:
    tuned = asked()
    trial = tuned.trial()
    with pytest.raises(ZeroDivisionError), trial:
        trial.report(loss=1 / int(0.5))
    (run,) = tuned.runs()
    assert (run.outcome, run.value) == ("failed", None)
    assert "ZeroDivisionError: division by zero" in run.note
    assert "Traceback" in run.log("stderr")
    assert "loss=1 / int(0.5)" in run.log("stderr")
    with tuned.trial() as other:
        assert other.params != trial.params
        other.report(loss=1)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_a_person_stopped_is_tried_again(asked: Asked, error: type[BaseException]) -> None:
    tuned = asked()
    with pytest.raises(error), tuned.trial() as trial:
        raise error
    assert [run.outcome for run in tuned.runs()] == ["cancelled"]
    with tuned.trial() as again:
        again.report(loss=1)
    assert again.params == trial.params


def test_a_process_that_dies_in_the_block_leaves_a_crash_that_is_settled(asked: Asked, home: lab.Lab) -> None:
    tuned = asked()
    program = "import lab, sys\nwith lab.Lab()['asked'].trial() as t:\n  print(t.params, flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stdin=subprocess.PIPE) as child:
        assert child.stdout is not None
        tried = child.stdout.readline().decode().strip()
        with pytest.raises(lab.Busy):
            tuned.trial().__enter__()
        child.send_signal(signal.SIGKILL)
        child.wait()
    with tuned.trial() as trial:
        trial.report(loss=1)
    assert [(run.outcome, run.value) for run in tuned.runs()] == [("crash", None), ("success", 1.0)]
    assert str(trial.params) == tried
    assert home.verify() == []


def test_as_many_blocks_are_open_at_once_as_the_spec_allows(asked: Asked) -> None:
    tuned = asked(max_parallel=2)
    with tuned.trial() as first, tuned.trial() as second:
        assert first.params != second.params
        with pytest.raises(lab.Busy):
            tuned.trial().__enter__()
        first.report(loss=1)
        second.report(loss=2)
    assert sorted(str(run.value) for run in tuned.runs()) == ["1.0", "2.0"]


def test_a_holder_that_was_superseded_cannot_seal(asked: Asked) -> None:
    """Its claim is aged as if this process had been silent for days, and somebody else takes over."""
    tuned = asked()
    trial = tuned.trial()
    trial.__enter__()
    trial.report(loss=1)
    claims = Path("lab-data/registry/locks/asked")
    (claim,) = claims.glob("*.claim")
    os.utime(claim, (1e9, 1e9))
    done = labctl("watchdog", "--repair")
    assert done.returncode in (0, 1), done.stderr
    with pytest.raises(lab.Superseded):
        trial.__exit__(None, None, None)
    assert [run.value for run in tuned.runs() if run.value is not None] == []
    assert lab.Lab().verify() == []


def test_the_lease_is_renewed_while_the_block_goes_on(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its holder would else be taken for dead after some minutes, alive as it is."""
    monkeypatch.setattr("lab.scheduler.in_process.RENEW_EVERY_S", 0.01)
    with asked().trial() as trial:
        (claim,) = Path("lab-data/registry/locks/asked").glob("*.claim")
        os.utime(claim, (1e9, 1e9))
        while claim.stat().st_mtime < 1e9 + 1:
            time.sleep(0.01)
        trial.report(loss=1)
    assert trial.outcome == "success"


def test_a_block_that_nobody_holds_any_more_keeps_nobody_out(asked: Asked) -> None:
    """So it is where an interrupt comes between the claim and the first line of the block."""
    tuned = asked()
    tuned.trial().__enter__()
    gc.collect()
    with tuned.trial() as trial:
        trial.report(loss=1)
    assert [run.outcome for run in tuned.runs()] == ["crash", "success"]


def test_a_fork_of_the_program_seals_nothing(asked: Asked) -> None:
    tuned = asked()
    with tuned.trial() as trial:
        pid = os.fork()
        if pid == 0:
            try:
                trial.__exit__(None, None, None)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        assert tuned.runs() == []
        trial.report(loss=1)
    assert [run.value for run in tuned.runs()] == [1.0]


def test_nothing_but_its_program_makes_the_runs(asked: Asked) -> None:
    tuned = asked()
    with pytest.raises(lab.BadInput, match="a Python program makes the runs of asked"):
        tuned.run(1)
    assert labctl("run-once").returncode == 0
    assert "a Python program makes its runs" in labctl("run-once", "--experiment", "asked").stderr
    assert labctl("burst", "asked").returncode == 2
    assert "nothing would run" not in labctl("validate", "asked").stdout
    with tuned.trial() as trial:
        trial.report(loss=1)
    done = labctl("replay", trial.run_id)
    assert (done.returncode, "a Python program makes the runs of asked" in done.stderr) == (2, True)
    assert len(tuned.runs()) == 1


def test_an_experiment_with_a_command_has_no_blocks(sweep: lab.Experiment) -> None:
    with pytest.raises(lab.BadInput, match="made by its executor"):
        sweep.trial().__enter__()


def test_a_block_is_not_begun_where_the_experiment_runs_nothing(asked: Asked) -> None:
    tuned = asked(max_iterations_total=1)
    tuned.pause("lunch")
    with pytest.raises(lab.BadInput, match=r"paused \(lunch\)"):
        tuned.trial().__enter__()
    tuned.resume()
    with tuned.trial() as trial:
        trial.report(loss=1)
    assert tuned.phase == "completed"
    with pytest.raises(lab.BadInput, match="completed"):
        tuned.trial().__enter__()


def test_a_space_that_is_used_up_says_so(home: lab.Lab) -> None:
    small = home.create("small", metric="loss", direction="minimize", space={"k": {"choices": ["a"]}},
                        strategy="random", durability="fast")  # fmt: skip
    with small.trial() as trial:
        trial.report(loss=1)
    with pytest.raises(lab.Exhausted, match="was tried"):
        small.trial().__enter__()
    assert small.phase == "completed"
    assert json.loads(labctl("status", "--json").stdout)["data"]["behind"] == 0


def test_a_word_to_end_it_reaches_the_block(asked: Asked) -> None:
    tuned = asked()
    with tuned.trial() as trial:
        assert trial.cancelled == ""
        assert labctl("cancel", "asked", "--reason", "enough").returncode == 0
        assert "enough" in trial.cancelled
    assert (trial.outcome, trial.value) == ("cancelled", None)


def test_what_is_no_number_is_refused_where_it_is_reported(asked: Asked) -> None:
    tuned = asked()
    with pytest.raises(lab.BadInput, match="loss must be a number, not str"), tuned.trial() as trial:
        trial.report(loss="much")  # type: ignore[arg-type]  # the very point
    assert [run.outcome for run in tuned.runs()] == ["failed"]
    with pytest.raises(lab.BadInput, match="is sealed"):
        trial.report(loss=1)
    with pytest.raises(lab.BadInput, match="was begun already"):
        trial.__enter__()
    with pytest.raises(lab.BadInput, match="has not begun"):
        tuned.trial().report(loss=1)


def test_a_name_that_no_file_can_hold_is_refused_where_it_is_reported(asked: Asked) -> None:
    tuned = asked()
    with pytest.raises(lab.BadInput, match=r"metric .* is no text"), tuned.trial() as trial:
        trial.report(value=1, **{"\ud800": 2})
    with tuned.trial() as again:
        again.report(loss=1)
    assert [run.outcome for run in tuned.runs()] == ["failed", "success"]


def test_an_end_that_no_seal_can_tell_is_sealed_as_failed_and_gives_the_claim_back(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = asked()
    trial = tuned.trial()
    monkeypatch.setattr(trial, "_metrics", {"loss": 1.0, "\ud800": 2.0})  # whatever let it through
    with pytest.raises(lab.BadInput, match="a run cannot end so"), trial:
        pass
    with tuned.trial() as again:
        again.report(loss=1)
    assert trial.outcome == "failed"
    assert [run.outcome for run in tuned.runs()] == ["failed", "success"]
    assert "a run cannot end so" in tuned.runs()[0].note


def _take_away(folder: str, error: float) -> None:
    shutil.rmtree(folder)
    assert 1 / (1 - error)


@pytest.mark.parametrize("is_raised", [False, True])
def test_a_block_that_takes_its_bundle_away_is_told_and_keeps_nobody_out(
    asked: Asked, home: lab.Lab, *, is_raised: bool
) -> None:
    tuned = asked()
    trial = tuned.trial()
    kind, words = (ZeroDivisionError, "division") if is_raised else (lab.LabError, "took its bundle away")
    with pytest.raises(kind, match=words), trial:
        _take_away(trial.path, 1 if is_raised else 0)
    with tuned.trial() as again:
        again.report(loss=1)
    assert [run.id for run in tuned.runs() if run.outcome == "success"] == [again.run_id]
    assert home.verify() == []
