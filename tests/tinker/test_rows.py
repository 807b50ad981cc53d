from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING

import pytest

from lab.core.chunk import Checkpoint
from lab.tinker import rows
from lab.tinker.rows import Pause, Row

if TYPE_CHECKING:
    from pathlib import Path

STATE = Checkpoint(name="000005", next_step=5, state_path="tinker://r:train:0/weights/000005", model_run="r:train:0")


def lines(*given: bytes) -> list[bytes | None]:
    return [line for each in given for line in each.splitlines()]


def test_what_was_begun_and_not_done_is_paid_and_is_no_step() -> None:
    left = Row(step=4, sampled=7, unfinished=True)
    told = rows.steps_of([rows.encode(Row(step=3, trained=5, metrics={"nll": 1.0})), rows.encode(left)])
    assert [row.step for row in told.rows] == [3]
    assert (told.trained, told.sampled) == (5, 7)


def test_a_row_comes_back_as_it_was_written() -> None:
    row = Row(
        step=3, run="s:train:0", at=12.5, step_s=0.25, wait_s=0.125, trained=40, sampled=7, prefilled=9, kl=0.5,
        trouble="", metrics={"train/nll": 1.5, "acc": 1.0}, measured={"nll": 2.5},
    )  # fmt: skip
    told = rows.steps_of(lines(rows.encode(row)))
    assert told.rows == (row,)
    assert (told.trained, told.sampled, told.prefilled, told.kl) == (40, 7, 9, 0.5)


def test_a_number_that_is_not_finite_becomes_words_for_json_has_none() -> None:
    line = rows.encode(Row(step=1, kl=math.inf, metrics={"nll": math.nan, "acc": 0.5}))
    read = json.loads(line)
    assert "nll" not in read
    assert "kl" not in read
    (row,) = rows.steps_of(lines(line)).rows
    assert row.metrics == {"acc": 0.5}
    assert "nll" in row.trouble
    assert "kl" in row.trouble


def test_of_a_step_that_was_done_again_the_last_row_counts_and_all_tokens_were_paid() -> None:
    first = [rows.encode(Row(step=step, trained=10, metrics={"nll": 9.0})) for step in (5, 6, 7)]
    again = [rows.encode(Row(step=step, trained=10, metrics={"nll": float(step)})) for step in (5, 6)]
    told = rows.steps_of(lines(*first, *again))
    assert [(row.step, row.metrics["nll"]) for row in told.rows] == [(5, 5.0), (6, 6.0), (7, 9.0)]
    assert told.trained == 50


@pytest.mark.parametrize(
    "line",
    [
        b"", b"{", b"null", b"[]", b'{"step": "3"}', b'{"step": -1}', b'{"nll": 3}', b'{"step": 1, "trained": -5}',
        b'{"step": 1, "trained": 1e400}', b'{"step": 99999999999999999999}', b'{"step": 1, "at": -1}',
        b'{"step": 1, "sampled": 9999999999999}', b"\xff\xfe", b'{"step": 1, "run": 5}', b'{"step": 1, "nll": 1e999}',
        b"[" * 20_000,
    ],
)  # fmt: skip
def test_a_line_that_is_no_row_is_passed_over_and_counted(line: bytes) -> None:
    good = rows.encode(Row(step=1))
    told = rows.steps_of([good.rstrip(), line])
    assert [row.step for row in told.rows] == [1]
    assert told.passed_over == 1


def test_what_is_no_number_in_a_row_is_no_metric() -> None:
    told = rows.steps_of([b'{"step": 1, "a": true, "b": "x", "c": null, "d": 2, "e f": 1, "__h": [1]}'])
    assert told.rows[0].metrics == {"d": 2.0}


def test_words_in_a_row_cannot_speak_to_a_terminal_and_have_an_end() -> None:
    line = json.dumps({"step": 1, "trouble": "\x1b[2Jgone\n" + "x" * 20_000, "run": "\x1b]0;a\x07"}).encode()
    (row,) = rows.steps_of([line]).rows
    assert row.trouble.isprintable()
    assert row.run.isprintable()
    assert len(row.trouble) <= rows.WORDS_CHARS


def test_a_torn_last_line_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    path = tmp_path / "artifacts" / "steps.jsonl"
    whole = rows.encode(Row(step=1)) + rows.encode(Row(step=2))
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        told = rows.steps(str(tmp_path))
        assert [row.step for row in told.rows] == [1, 2][: whole[:cut].count(b"\n")]
        assert told.passed_over == 0


def test_a_line_without_an_end_is_passed_over_and_reading_goes_on_behind_it(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    long = b'{"step": 1, "x": "' + b"y" * (3 << 20) + b'"}\n'
    (tmp_path / "artifacts" / "steps.jsonl").write_bytes(long + rows.encode(Row(step=2)) + long[:-1])
    told = rows.steps(str(tmp_path))
    assert [row.step for row in told.rows] == [2]
    assert told.passed_over == 1


def test_more_steps_than_one_chunk_can_have_are_cut_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST_STEPS", 3)
    told = rows.steps_of([rows.encode(Row(step=step, trained=1)).rstrip() for step in range(9)])
    assert [row.step for row in told.rows] == [0, 1, 2]
    assert told.is_cut
    assert told.trained == 9


def test_what_is_no_plain_file_tells_nothing(tmp_path: Path) -> None:
    assert rows.steps(str(tmp_path)).rows == ()
    (tmp_path / "artifacts").mkdir()
    os.mkfifo(tmp_path / "artifacts" / "steps.jsonl")
    (tmp_path / "elsewhere").write_bytes(rows.encode_record(STATE))
    (tmp_path / "artifacts" / "checkpoints.jsonl").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "artifacts" / "pauses.jsonl").mkdir()
    assert rows.steps(str(tmp_path)).rows == ()
    assert rows.states(str(tmp_path)).last is None
    assert rows.pauses(str(tmp_path)) == ()


def test_the_last_state_is_found_and_what_was_fixed_before_step_0() -> None:
    fixed = Checkpoint(name="fixed", next_step=0, fixed={"reference": "tinker://r:train:0/sampler_weights/reference"})
    told = rows.states_of(lines(rows.encode_record(fixed), rows.encode_record(STATE)))
    assert told.last == STATE
    assert told.fixed == fixed.fixed


@pytest.mark.parametrize(
    "change",
    [
        {"state_path": "tinker://r/weights/$(id)"},
        {"state_path": "tinker://r/sampler_weights/000005"},
        {"sampler_path": "tinker://r/weights/final"},
        {"external_path": "/etc/passwd"},
        {"name": "../x"},
        {"next_step": -1},
        {"next_step": "5"},
        {"fixed": {"reference": "x"}},
        {"fixed": {"a b": "tinker://r/sampler_weights/x"}},
        {"model_run": "\x1b[2J"},
    ],
)
def test_a_record_that_no_chunk_wrote_is_passed_over(change: dict[str, object]) -> None:
    line = json.dumps({**json.loads(rows.encode_record(STATE)), **change}).encode()
    told = rows.states_of([line])
    assert told.last is None
    assert told.passed_over == 1


def test_pauses_that_overlap_are_counted_once() -> None:
    pauses = [
        Pause(at=10.0, what="billing", over=20.0),
        Pause(at=15.0, what="rate limit", over=17.0),
        Pause(at=18.0, what="errors", over=30.0),
        Pause(at=40.0, what="away"),
    ]
    assert rows.paused_s(pauses, 45.0) == 25.0
    assert rows.paused_s([], 45.0) == 0.0


def test_a_pause_that_ended_is_the_one_that_had_begun() -> None:
    begun, ended = Pause(at=1.5, what="billing", words="w"), Pause(at=1.5, what="billing", words="w", over=9.0)
    assert rows.pauses_of(lines(rows.encode_record(begun))) == (begun,)
    assert rows.pauses_of(lines(rows.encode_record(begun), rows.encode_record(ended))) == (ended,)


@pytest.mark.parametrize("name", ["step", "trained", "measured", "a b", "a=b", "", "x" * 65, "a\nb"])
def test_a_metric_that_would_be_read_as_something_else_has_another_name(name: str) -> None:
    assert rows.metric_problem(name)
    assert not rows.metric_problem("train/nll")
    assert not rows.metric_problem("kl")
