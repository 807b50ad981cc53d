"""The two tables, a line a run."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.candidate import IMPORTED, Candidate
from lab.projections import tables, text
from tests.projections import markdown
from tests.projections import subjects as make

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.run import Run


def line(run: Run, metrics: Mapping[str, object], params: Mapping[str, object] | None = None) -> dict[str, object]:
    written = tables.metrics_line(run, metrics, params)
    assert written.endswith(b"\n")
    assert written.count(b"\n") == 1
    told = json.loads(written)
    assert isinstance(told, dict)
    return told


def test_our_names_win_over_the_executors() -> None:
    run = make.run(1, value=0.5)
    told = line(run, {"value": 9, "run_id": "x", "outcome": "success!", "memory_gb": 3.5}, {"lr": 0.1})
    assert told["value"] == 0.5
    assert told["run_id"] == run.run_id
    assert told["outcome"] == "success"
    assert told["memory_gb"] == 3.5
    assert told["params"] == {"lr": 0.1}


@given(
    st.dictionaries(
        st.one_of(st.sampled_from(sorted(tables.OURS)), st.text(max_size=4)),
        st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=3), st.just([1]), st.just({})),
        max_size=8,
    ),
    st.booleans(),
)
def test_no_name_of_a_runs_own_is_read_back_as_the_labs(metrics: dict[str, object], with_params: bool) -> None:
    run = make.run(1, value=0.5)
    params = {"lr": 0.1} if with_params else None
    read = tables.parse_line(tables.metrics_line(run, metrics, params), "here")
    assert read == tables.parse_line(tables.metrics_line(run, {}, params), "here")


def test_a_metric_with_one_of_our_names_is_kept_under_another() -> None:
    told = line(make.run(1, value=0.5), {"params": 1_200_000, "run.params": 3, "archived": 1, "stopped_early": 12})
    kept = {name: told[name] for name in told if name.startswith("run.")}
    assert kept == {"run.run.params": 1_200_000, "run.params": 3, "run.archived": 1, "run.stopped_early": 12}


def test_every_field_of_a_line_is_one_of_our_names() -> None:
    assert set(tables.Line.__struct_fields__) <= tables.OURS


@pytest.mark.parametrize("outcome", ["failed", "timeout", "crash", "cancelled"])
def test_a_failed_run_has_null_whatever_its_program_claimed(outcome: str) -> None:
    told = line(make.run(1, outcome), {"value": 0, "val_loss": 0.0, "returncode": 1})
    assert told["value"] is None
    assert told["val_loss"] is None
    assert told["returncode"] == 1


def test_keys_come_in_one_order() -> None:
    one, other = {"b": 1, "a": 2, "value": 3}, {"value": 3, "a": 2, "b": 1}
    run = make.run(1, value=3.0)
    assert tables.metrics_line(run, one, None) == tables.metrics_line(run, other, None)
    assert list(line(run, one)) == ["run_id", "ts", "outcome", "value", "tier", "role", "iteration", "ran", "a", "b"]


def test_a_line_tells_when_and_where_it_ran_and_what_is_said_of_it() -> None:
    run = make.run(1, value=1.0, worker="alder", cost=0.25, note="lr\tdoubled\n")
    ran = tables.parse_line(tables.metrics_line(run, {"ran": 7}, None), "here").ran
    assert ran == tables.Ran(began=run.started_at, wall_s=12.5, cost=0.25, worker="alder", said="lr doubled")
    crashed = make.run(1, "crash", reason="OOM")
    assert tables.parse_line(tables.metrics_line(crashed, {}, None), "here").ran.said == "OOM"


def test_of_a_run_without_a_value_first_the_reason_is_told_and_then_what_was_tried() -> None:
    why = "it ended with exit code 3"
    for outcome, verdict in (("failed", ""), ("failed", "discard"), ("cancelled", "")):
        run = make.run(1, outcome, reason=why, note="evenly spread", verdict=verdict)
        assert tables.parse_line(tables.metrics_line(run, {}, None), "here").ran.said == f"{why}; evenly spread"
        assert tables.results_line(run).decode().split("\t")[-1] == f"{why}; evenly spread\n"
    long = make.run(1, "crash", reason="e" * 10_000, note="evenly spread")
    assert tables.parse_line(tables.metrics_line(long, {}, None), "here").ran.said.endswith("…; evenly spread")
    well = make.run(1, value=1.0, reason="it is better", note="evenly spread")
    assert tables.parse_line(tables.metrics_line(well, {}, None), "here").ran.said == "evenly spread"
    claim = make.run(1, "failed", reason="a claim", note="wider", candidate=Candidate(kind=IMPORTED, claimed=0.5))
    assert tables.parse_line(tables.metrics_line(claim, {}, None), "here").ran.said == "wider"


def test_a_zero_is_left_out_wherever_it_came_from() -> None:
    written = make.run(1, value=1.0, wall_s=float("0.0"), cost=float("-0.0"), started_at="")
    assert b"ran" not in tables.metrics_line(written, {}, None).replace(b'"ran":{}', b"")
    assert tables.parse_line(tables.metrics_line(written, {}, None), "here").ran == tables.Ran()


@pytest.mark.parametrize("said", [make.HOSTILE, "x" * 10_000])
def test_what_is_said_of_a_run_is_one_short_clean_line(said: str) -> None:
    for run in (make.run(1, value=1.0, note=said, worker=said), make.run(1, "crash", reason=said)):
        ran = tables.parse_line(tables.metrics_line(run, {}, None), "here").ran
        for words in (ran.said, ran.worker):
            assert len(words) <= text.LINE_CHARS
            assert "\n" not in words
            assert not markdown.UNSEEN.search(words)


def test_what_json_cannot_say_does_not_break_the_line() -> None:
    told = line(make.run(1, value=1.0), {"nan": float("nan"), "s": "\ud800\n", "deep": [[[]]]})
    assert told["nan"] is None


def test_one_run_cannot_drown_the_others() -> None:
    run = make.run(1, value=1.0)
    told = line(run, {"curve": list(range(10**6))}, {"lr": 0.1})
    assert told["params"] == {"lr": 0.1}
    assert told["value"] == 1.0
    assert f"runs/{run.run_id}" in str(told["left_out"])
    assert len(tables.metrics_line(run, {}, {"text": "x" * 10**6})) <= tables.LINE_BYTES


def test_the_header_names_the_metric() -> None:
    assert tables.results_header("val_bpb") == b"run\tval_bpb\tstatus\ttier\trole\twall_s\tdescription\n"


@pytest.mark.parametrize("name", ["", "status", "run", "-", "\n"])
def test_a_metric_without_a_name_of_its_own_is_called_value(name: str) -> None:
    assert tables.results_header(name).split(b"\t")[1] == b"value"


def test_a_result_is_one_row() -> None:
    run = make.run(1, value=0.1 + 0.2, note="lr\tdoubled\n", verdict="keep")
    assert (
        tables.results_line(run)
        == f"{run.run_id}\t0.30000000000000004\tkeep\tdefault\tscout\t12.5\tlr doubled\n".encode()
    )


def test_no_value_is_a_dash_and_a_failure_says_why() -> None:
    cells = tables.results_line(make.run(1, "crash", reason="OOM")).decode().split("\t")
    assert cells[1:3] == ["-", "crash"]
    assert cells[-1] == "OOM\n"


@given(make.runs())
def test_every_table_reads_back_row_by_row(run: Run) -> None:
    text = (tables.results_header(run.metric) + tables.results_line(run) * 2).decode()
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter="\t"))
    assert [len(row) for row in rows] == [7, 7, 7]
    assert rows[1][0] == run.run_id
    assert (None if rows[1][1] == "-" else float(rows[1][1])) == run.value


@pytest.mark.parametrize("note", [make.HOSTILE, '"never closed', "x" * 10**7, "=1+1"])
def test_hostile_notes_stay_in_their_cell(note: str) -> None:
    text = (tables.results_line(make.run(1, note=note)) + tables.results_line(make.run(2))).decode()
    assert len(text) < 1000
    assert not markdown.UNSEEN.search(text)
    assert [len(row) for row in csv.reader(io.StringIO(text, newline=""), delimiter="\t")] == [7, 7]
