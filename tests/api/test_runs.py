"""Runs from Python: a burst like the command's, what came of it, and how it is interrupted."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd  # type: ignore[import-untyped]  # its stubs are a package of their own
import polars as pl
import pytest

import lab
from lab.api import markup
from lab.api.table import Table

SHIM = str(Path(__file__).resolve().parents[2] / "scripts" / "labctl.py")


def test_a_burst_makes_its_runs_and_says_what_came_of_them(sweep: lab.Experiment) -> None:
    lines: list[str] = []
    burst = sweep.run(8, tell=lines.append)
    runs = sweep.runs()
    assert burst.run_ids == tuple(run.id for run in runs)
    assert (burst.succeeded + burst.failed, burst.stopped, burst.problems) == (8, "", ())
    assert burst.failed == len(sweep.runs(outcome="failed"))
    assert [line.split()[0] for line in lines] == [f"[{number}/8]" for number in range(1, 9)]
    assert all(run.value is None or run.value == pytest.approx(float(str(run.params["x"])) ** 2) for run in runs)
    assert "8 runs of sweep" in repr(burst)


def test_the_log_of_a_run_in_an_archive_is_refused_with_the_command_that_brings_it_back(sweep: lab.Experiment) -> None:
    sweep.run(8)
    words = [sys.executable, SHIM, "prune", "--keep", "5", "--yes"]
    subprocess.run(words, check=True, capture_output=True)
    run = next(run for run in sweep.runs() if run.path.endswith(".tar"))
    for stream in ("stdout", "stderr"):
        with pytest.raises(
            lab.LabError, match=f"(?s)the logs of {run.id} are in an archive.*labctl prune --restore runs-"
        ):
            run.log(stream)
    assert (set(run.params), run.path.endswith(".tar")) == ({"x"}, True)
    assert run.id in run._repr_html_()


def test_runs_at_the_same_time_are_as_many_as_were_asked_for(sweep: lab.Experiment) -> None:
    burst = sweep.run(6, jobs=3)
    assert len(burst.run_ids) == 6 == len(sweep.runs())
    assert len({str(run.params) for run in sweep.runs()}) == 6


def test_a_burst_goes_on_where_the_command_line_stopped_and_the_other_way_round(sweep: lab.Experiment) -> None:
    sweep.run(2)
    subprocess.run([sys.executable, SHIM, "burst", sweep.id, "-n", "2"], check=True, capture_output=True)
    sweep.run(5, resume=True)
    assert [run.chosen_by for run in sweep.runs()] == ["random"] * 5
    assert len({str(run.params) for run in sweep.runs()}) == 5


def test_a_burst_that_cannot_begin_says_why_and_makes_nothing(home: lab.Lab, sweep: lab.Experiment) -> None:
    with pytest.raises(lab.BadInput, match="no strategy"):
        sweep.run(2, strategy="clairvoyant")
    with pytest.raises(lab.BadInput, match="runs must be a whole number from 1 to 60,000, not 0"):
        sweep.run(0)
    with pytest.raises(lab.BadInput, match="runs must be a whole number, not str"):
        sweep.run("3")  # type: ignore[arg-type]  # what a notebook may well hold
    sweep.pause("lunch")
    with pytest.raises(lab.BadInput, match=r"sweep is paused \(lunch\)"):
        sweep.run(1)
    assert sweep.runs() == []
    sweep.resume()
    assert sweep.run(1).run_ids


def test_a_burst_that_ends_early_says_why(home: lab.Lab) -> None:
    short = home.create("short", command="true", metric="a", direction="maximize", max_iterations_total=2,
                        durability="fast")  # fmt: skip
    burst = short.run(5)
    assert len(burst.run_ids) == 2 == burst.failed
    assert burst.stopped


def test_what_a_listener_raises_ends_no_run(sweep: lab.Experiment) -> None:
    def tell(_: str) -> None:
        message = "a listener's mistake"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="a listener's mistake"):
        sweep.run(2, tell=tell)
    assert len(sweep.runs()) == 2


def test_ctrl_c_seals_the_run_under_way_and_its_parameters_are_tried_again(home: lab.Lab) -> None:
    program = "import os, sys, time; open(sys.argv[1], 'w').close(); time.sleep(120 * (sys.argv[2] == 'wait'))"
    Path("slow.py").write_text(f"{program}\nprint('METRIC loss=1')\n")
    slow = home.create(
        "slow", command=[sys.executable, "-S", "slow.py", os.path.abspath("begun"), "{params.how}"], metric="loss",
        direction="minimize", space={"how": {"choices": ["wait"]}, "x": {"low": 0.0, "high": 1.0}}, strategy="random",
        durability="fast",
    )  # fmt: skip
    interrupt = threading.Thread(target=_interrupt_once_there_is, args=("begun",))
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        slow.run(3)
    interrupt.join()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    (cut,) = slow.runs()
    assert (cut.outcome, cut.value) == ("cancelled", None)
    assert "interrupted" in cut.note
    Path("slow.py").write_text("print('METRIC loss=1')\n")
    slow.run(1)
    assert slow.runs()[1].params == cut.params
    assert home.verify() == []


def _interrupt_once_there_is(name: str) -> None:
    while not os.path.exists(name):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)


def test_a_burst_can_be_made_outside_of_the_main_thread(sweep: lab.Experiment) -> None:
    made: list[lab.Burst] = []
    threads = [threading.Thread(target=lambda: made.append(sweep.run(2))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(burst.run_ids) for burst in made) == [2, 2]
    assert len(sweep.runs()) == 4


def test_the_best_run_is_the_one_that_the_command_line_recommends(sweep: lab.Experiment) -> None:
    with pytest.raises(lab.LabError, match="has no run"):
        sweep.best()
    assert sweep.top() == []
    sweep.run(8)
    told = subprocess.run([sys.executable, SHIM, "best", sweep.id], check=True, capture_output=True, text=True).stdout
    best = sweep.best()
    assert best.id in told
    assert best == sweep.top(1)[0]
    values = [run.value for run in sweep.top(4)]
    assert None not in values
    assert values == sorted(value for value in values if value is not None)
    assert best.metrics == {"loss": best.value, "seen": 7.0}
    assert best.log().startswith("x is ")
    assert os.path.isfile(f"{best.path}/SEAL.json")
    with pytest.raises(lab.BadInput, match="there is no stream"):
        best.log("stdin")  # type: ignore[arg-type]  # the very point


def test_a_failed_run_has_no_value_anywhere(home: lab.Lab) -> None:
    bad = home.create("bad", command=[sys.executable, "-c", "print('METRIC loss=0'); raise SystemExit(3)"],
                      metric="loss", direction="minimize", durability="fast")  # fmt: skip
    bad.run(1)
    (run,) = bad.runs()
    (row,) = bad.table()
    assert (run.outcome, run.value, run.metrics["loss"]) == ("failed", None, None)
    assert (row["outcome"], row["value"], row["metrics.loss"]) == ("failed", None, None)
    assert "exit code 3" in run.note


def test_the_table_has_the_rows_and_columns_of_the_export(sweep: lab.Experiment) -> None:
    sweep.run(6)
    table = sweep.table()
    shown = subprocess.run([sys.executable, SHIM, "export", sweep.id], check=True, capture_output=True, text=True)
    exported = list(csv.DictReader(io.StringIO(shown.stdout)))
    assert table.columns == list(exported[0])
    assert all(list(row) == table.columns and type(row) is dict for row in table)
    assert [row["run_id"] for row in table] == [row["run_id"] for row in exported]
    assert [row["params.x"] for row in table] == [float(row["params.x"]) for row in exported]


def test_pandas_takes_the_table_as_it_is(sweep: lab.Experiment) -> None:
    sweep.run(6)
    frame = pd.DataFrame(sweep.table())
    assert list(frame.columns) == sweep.table().columns
    assert frame["params.x"].dtype == float
    assert frame["value"].idxmin() == frame["params.x"].idxmin()
    assert frame["value"].isna().sum() == len(sweep.runs(outcome="failed"))
    assert pd.DataFrame(sweep.table().by_column()).equals(frame)


def test_polars_takes_the_table_as_it_is(sweep: lab.Experiment) -> None:
    sweep.run(6)
    frame = pl.DataFrame(sweep.table())
    assert frame.columns == sweep.table().columns
    assert frame["params.x"].dtype == pl.Float64
    assert frame["value"].null_count() == len(sweep.runs(outcome="failed"))


def test_polars_takes_a_column_that_is_empty_for_hundreds_of_rows() -> None:
    """By rows it looks at the first hundred, and refuses what comes later."""
    table = Table(({"value": None if number < 300 else 0.5} for number in range(301)), ["value"])
    assert pl.DataFrame(table.by_column())["value"].drop_nulls().to_list() == [0.5]


def test_a_table_without_runs_has_its_columns(sweep: lab.Experiment) -> None:
    table = sweep.table()
    assert (len(table), table.columns[:4]) == (0, ["run_id", "ts", "outcome", "value"])
    assert list(pd.DataFrame(table.by_column()).columns) == table.columns


def test_what_a_notebook_shows_is_escaped_and_bounded() -> None:
    table = Table(({"a": "<b>&", "n": number} for number in range(1000)), ["a", "n"])
    shown = table._repr_html_()
    assert "&lt;b&gt;&amp;" in shown
    assert "<b>" not in shown
    assert shown.count("<tr>") == markup.ROWS + 1
    assert "970 more rows" in shown
    wide = Table([{f"c{number}": "x" * 1000 for number in range(100)}], [f"c{number}" for number in range(100)])
    assert len(wide._repr_html_()) < 10_000


def test_a_notebook_shows_an_experiment_with_its_best_runs(sweep: lab.Experiment) -> None:
    assert "0 runs" in sweep._repr_html_()
    sweep.run(3)
    assert sweep.top(1)[0].id in sweep._repr_html_()
    assert sweep.top(1)[0].id in sweep.top(1)[0]._repr_html_()


def test_a_report_is_written_once(sweep: lab.Experiment) -> None:
    sweep.run(2)
    place = sweep.report("report.html")
    assert place == os.path.abspath("report.html")
    assert Path(place).read_text().startswith("<!doctype html>")
    with pytest.raises(lab.BadInput, match="this file is there already") as refused:
        sweep.report("report.html")
    assert "replace=True" in refused.value.fix
    sweep.report("report.html", replace=True)
    assert Path(sweep.report("report.json")).read_text().startswith("{")
    with pytest.raises(lab.BadInput, match="neither"):
        sweep.report("report.pdf")
    with pytest.raises(lab.BadInput, match="inside the lab"):
        sweep.report("lab-data/report.html")
