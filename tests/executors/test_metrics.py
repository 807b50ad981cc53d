"""What a run told: which source counts, what is refused, and that nothing a run writes can break the reading."""

from __future__ import annotations

import json
import math
import os
import re
import tracemalloc
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.core import canonical
from lab.core.launch import TIMEOUT as STOPPED
from lab.core.launch import Exit
from lab.core.run import FAILED, SUCCESS, TIMEOUT
from lab.executors import metrics, outcome, told
from lab.executors.log import Log
from lab.testing.executors import RUN_ID, a_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.ended import Ended
    from lab.executors.metrics import Found
    from lab.executors.told import Told

WELL = Exit(run_id=RUN_ID, code=0)


def of_log(text: bytes | str, metric: str = "loss") -> Told:
    log = Log(metric)
    log.feed(text.encode() if isinstance(text, str) else text)
    return log.end()


def of_file(path: Path, text: bytes | str, metric: str = "loss", log: bytes = b"") -> Found:
    (path / "metrics.json").write_bytes(text.encode() if isinstance(text, str) else text)
    (path / "stdout.log").write_bytes(log)
    return metrics.read(str(path), metric)


def ended(path: Path, how: Exit = WELL, **manifest: object) -> Ended:
    return outcome.read(str(path), a_manifest(**manifest), how)


# -- the log ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("METRIC loss=0.5\n", 0.5),
        ("METRIC loss=0.5", 0.5),
        ("METRIC loss = -1e-3 \r\n", -0.001),
        ("METRIC\tloss=+.5\n", 0.5),
        ("METRIC loss=3\nMETRIC loss=2\nepoch\n", 2.0),
        ("METRIC value=7\n", 7.0),
        ("METRIC value=7\nMETRIC loss=2\nMETRIC value=8\n", 2.0),
        ("METRIC acc=1\n---\nloss: 4\n", 4.0),
        ("---\nloss:    0.997900\nseconds: 300.1\n", 0.9979),
        ("---\nloss: 1\ntext\nloss: 2\n", 1.0),
        ("---\nloss: 1\n---\nloss: 2\n", 2.0),
        ("---\ndevice: cuda\n\nloss: 2\n", 2.0),
        ("loss: 1\n3", 3.0),
        ("---\nloss: 2\n17\n", 2.0),
        ("epoch 1\n0.25\n\n  \n", 0.25),
        ('working\n{"value": 3}\n', 3.0),
        ('working\n{"loss": 3, "acc": 0.5}\n', 3.0),
        ("50%|##\r100%|####\rMETRIC loss=1\n", 1.0),
        ("50%|##\r100%|####\r0.75\r\n", 0.75),
        (b"\xff\xfe\0\nMETRIC loss=1\n\xff", 1.0),
        ("METRIC loss=1\nMETRIC loss=0x10\n", 1.0),
    ],
)
def test_the_log_tells_the_metric(text: bytes | str, value: float) -> None:
    assert of_log(text).value == value


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "done\n", " METRIC loss=1\nx", "METRICS loss=1\nx", "METRIC loss=0x1A\n", "METRIC loss=1_000\n",
        "METRIC loss=1,5\n", "METRIC loss=\n", "METRIC loss: 1\n", "METRIC loss=1 acc=2\n", "METRIC acc=1\nx",
        "loss: 1\nx", "---\n  loss: 1\nx", "0x10\n", "1\ndone\n", "[1]\n", '{"a": 1}\n', '{"value": "x"}\n', "٣\n",
    ],
)  # fmt: skip
def test_what_is_no_metric_is_none(text: str) -> None:
    assert of_log(text).value is None


def test_what_was_told_in_the_place_of_the_metric_is_named(tmp_path: Path) -> None:
    """Most often it is the metric, by another name: a list of all ways to tell one made nobody look there."""
    (tmp_path / "stdout.log").write_text("METRIC acc=0.62\nMETRIC loss=1.5\n")
    told = metrics.read(str(tmp_path), "accuracy").problem
    assert told == (
        "it told no metric accuracy, but acc, loss: let the program tell accuracy, or the SPEC say `metric: acc`"
    )


@pytest.mark.parametrize(
    ("text", "shown", "wrong"),
    [
        ("METRIC loss=50%\nbye\n", "METRIC loss=50%", "`50%` is no decimal number"),
        ("METRIC loss=0,5\n", "METRIC loss=0,5", "`0,5` is no decimal number: `0.5`"),
        ("METRIC loss=\n", "METRIC loss=", "no number follows the `=`"),
        ("METRIC loss=1 acc=2\n", "METRIC loss=1 acc=2", "`1 acc=2` is no decimal number"),
        ("metric loss=0.5\n", "metric loss=0.5", "it does not begin with `METRIC loss=`"),
        ("METRIC Loss=0.5\n", "METRIC Loss=0.5", "it does not begin with `METRIC loss=`"),
        ("METRIC loss: 0.5\n", "METRIC loss: 0.5", "it does not begin with `METRIC loss=`"),
        ("METRIC: loss 0.5\n", "METRIC: loss 0.5", "it does not begin with `METRIC loss=`"),
        ("  METRIC loss=0.5\nbye\n", "METRIC loss=0.5", "it does not begin at the beginning of its line"),
        ("\x1b[32mMETRIC loss=0.5\x1b[0m\nbye\n", "METRIC loss=0.5", "colour codes are in it"),
        ("METRIC loss=0.5\x1b[0m\nMETRIC acc=1\n", "METRIC loss=0.5", "colour codes are in it"),
        ("\tmetric loss=5%\r\n", "metric loss=5%",
         ("it does not begin at the beginning of its line and it does not begin with `METRIC loss=` "
          "and `5%` is no decimal number")),
        ("METRIC loss=50%\n" + "x" * 1_000, "METRIC loss=50%", "`50%` is no decimal number"),
    ],
)  # fmt: skip
def test_a_line_that_was_meant_to_tell_the_metric_is_shown_with_what_is_wrong_with_it(
    tmp_path: Path, text: str, shown: str, wrong: str
) -> None:
    (tmp_path / "stdout.log").write_bytes(text.encode())
    found = ended(tmp_path)
    assert (found.outcome, found.value) == (FAILED, None)
    assert found.reason == f"it told no metric loss: stdout.log has the line `{shown}`, but {wrong}"


def test_a_line_on_stderr_was_meant_for_stdout(tmp_path: Path) -> None:
    (tmp_path / "stdout.log").write_text("bye\n")
    (tmp_path / "stderr.log").write_text("INFO\nMETRIC loss=0.5\n")
    assert ended(tmp_path).reason == (
        "it told no metric loss: stderr.log has the line `METRIC loss=0.5`, but only what is printed to stdout counts "
        "(stdout.log)"
    )
    (tmp_path / "stdout.log").write_text("METRIC loss=1\n")
    assert ended(tmp_path).value == 1.0


@pytest.mark.parametrize(
    "text",
    ["a METRIC loss\n", "METRIC loss is low\n", "METRIC losses=5%\n", "the metric loss=5%\n", "METRICS loss=1\nx"],
)
def test_a_line_that_says_something_else_is_no_near_miss(tmp_path: Path, text: str) -> None:
    (tmp_path / "stdout.log").write_text(text)
    assert "has the line" not in ended(tmp_path).reason


def test_a_near_miss_is_looked_for_at_the_end_of_a_log_alone(tmp_path: Path) -> None:
    (tmp_path / "stdout.log").write_text("METRIC loss=5%\n" + "metric metric metric\n" * 20_000)
    assert "has the line" not in ended(tmp_path).reason
    os.mkfifo(tmp_path / "stderr.log")  # nothing that a run leaves makes it wait
    assert "has the line" not in ended(tmp_path).reason


@pytest.mark.parametrize(
    "text",
    [
        "METRIC loss=nan\n", "METRIC loss=1\nMETRIC loss=-inf\n", "METRIC loss=Infinity\n", "METRIC loss=1e999\n",
        "---\nloss: NaN\n", "nan\n", '{"value": NaN}\n',
    ],
)  # fmt: skip
def test_a_metric_that_is_not_finite_fails_the_run_and_is_not_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "stdout.log").write_text(text)
    found = ended(tmp_path)
    assert (found.outcome, found.value) == (FAILED, None)
    assert "not a finite number" in found.reason
    assert "loss" not in found.metrics


def test_a_number_that_became_finite_again_counts() -> None:
    assert of_log("METRIC loss=nan\nMETRIC loss=1\n").value == 1.0


def test_names_of_metrics(tmp_path: Path) -> None:
    good = ["a", "_x", "µs", "val/loss", "p95.ms", "a-b", "x" * 64]
    bad = ["1a", "a b", "x" * 65, "__proto__", "constructor", "status", "commit", "-x", ""]
    found = of_log("".join(f"METRIC {name}=1\n" for name in good + bad))
    assert set(found.metrics) == set(good)
    assert any("commit" in remark for remark in found.remarks)


def test_the_metric_that_counts_may_have_the_name_of_a_column() -> None:
    assert of_log("METRIC cost=3\n", "cost").value == 3.0
    assert of_log("METRIC __proto__=3\n", "__proto__").value is None


def test_two_values_for_one_name_are_reported_and_the_last_counts(tmp_path: Path) -> None:
    (tmp_path / "stdout.log").write_text("METRIC loss=3\nMETRIC acc=1\nMETRIC acc=1\nMETRIC loss=2\n")
    found = ended(tmp_path)
    assert found.value == 2.0
    assert found.note == "loss was told with different values; the last one counts"
    assert found.note in found.result


def test_a_log_of_many_names_does_not_fill_the_memory() -> None:
    found = of_log("".join(f"METRIC m{number}={number}\n" for number in range(5_000)) + "METRIC loss=1\n")
    assert found.value == 1.0
    assert len(found.metrics) <= told.MOST_NAMES + 1


def test_the_metric_is_found_anywhere_in_a_long_log_in_flat_memory(tmp_path: Path) -> None:
    with open(tmp_path / "stdout.log", "wb") as file:
        file.write(b"METRIC loss=0.5\n")
        file.writelines(b"\xfe" * (1 << 20) if at % 2 else b"step 1 of many\n" * 69_905 for at in range(12))
    tracemalloc.start()
    try:
        found = metrics.read(str(tmp_path), "loss")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.value == 0.5
    assert peak < 3 << 20


def test_a_line_that_is_too_long_is_passed_over_whole() -> None:
    long = "METRIC loss=1" + " " * told.LONGEST_LINE_BYTES
    assert of_log(long + "\nMETRIC loss=2\n").value == 2.0
    assert of_log(long).value is None
    assert of_log("5\n" + "9" * (told.LONGEST_LINE_BYTES + 1)).value is None


NAME = re.compile(r"[A-Za-z_µ][\w.µ/-]{0,63}")
DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


@settings(max_examples=500, deadline=None)
@given(st.text() | st.text(alphabet="aZ_µ.-/0é²٣ \n", max_size=70))
def test_the_names_are_those_of_the_format(name: str) -> None:
    assert told.is_form(name) == bool(NAME.fullmatch(name))


@settings(max_examples=500, deadline=None)
@given(st.text() | st.text(alphabet="0123456789+-.eE_x ", max_size=8) | st.floats().map(repr))
def test_only_decimal_numbers_count(text: str) -> None:
    number = told.decimal_of(text)
    assert (number is not None and math.isfinite(number)) == (
        bool(DECIMAL.fullmatch(text)) and math.isfinite(float(text)) and len(text) <= told.SHOWN_CHARS
    )


PIECES = st.one_of(
    st.sampled_from([
        b"METRIC loss=1\n", b"METRIC loss=nan\n", b"METRIC a=2\n", b"---\n", b"loss: 3\n", b"x: y\n", b"\n", b"\r",
        b"7",
        b'{"value": 2}', b" ", b"METRIC ", b"1e999\n", b"loss=", b"x" * 40_000, b"\xc2", b"\xb5=1",
    ]),
    st.binary(max_size=20),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=12), st.data())
def test_where_the_log_was_cut_makes_no_difference(pieces: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    log = Log("loss")
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        log.feed(whole[start:end])
    assert repr(msgspec.to_builtins(log.end())) == repr(msgspec.to_builtins(of_log(whole)))


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=12))
def test_no_log_raises_or_yields_what_cannot_be_sealed(pieces: list[bytes]) -> None:
    found = of_log(b"".join(pieces))
    seen = metrics._found(found, "loss", "stdout.log")
    assert (seen.value is None) == bool(seen.problem)
    assert all(math.isfinite(number) for number in seen.metrics.values())
    assert seen.value is None or math.isfinite(seen.value)
    canonical.encode(dict(seen.metrics))


# -- metrics.json -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"value": 0.5}', 0.5),
        ('{"loss": 2}', 2.0),
        ('{"value": 1, "loss": 2}', 2.0),
        ('{"loss": 2, "value": 1}', 2.0),
        ('{"value": 1, "loss": null}', 1.0),
        ('{"value": -0.0, "nested": {"value": 3}, "list": [1]}', 0.0),
    ],
)
def test_metrics_json_tells_the_metric_and_comes_before_the_log(tmp_path: Path, text: str, value: float) -> None:
    assert of_file(tmp_path, text, log=b"METRIC loss=99\n").value == value


def test_metrics_json_without_the_metric_leaves_it_to_the_log(tmp_path: Path) -> None:
    found = of_file(tmp_path, '{"acc": 0.5, "note": "n", "value": null}', log=b"METRIC loss=3\nMETRIC acc=1\n")
    assert (found.value, found.note) == (3.0, "n")
    assert found.metrics == {"loss": 3.0, "acc": 0.5}


def test_value_and_the_metrics_own_name_that_differ_are_reported(tmp_path: Path) -> None:
    found = of_file(tmp_path, '{"value": 1, "loss": 2}')
    assert found.remarks == ("metrics.json says loss 2.0 and value 1.0; loss counts",)
    assert found.metrics == {"loss": 2.0}
    assert of_file(tmp_path, '{"value": 2, "loss": 2}').remarks == ()


def test_the_metrics_own_name_counts_also_where_it_is_no_usable_number(tmp_path: Path) -> None:
    assert of_file(tmp_path, '{"value": 1, "loss": NaN}').problem == "the loss in metrics.json is not a finite number"


def test_the_same_two_names_in_the_last_line_of_a_log() -> None:
    assert of_log('{"value": 1, "loss": 2}').value == 2.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"[1]", "a list"),
        (b"3", "a number"),
        (b"null", "null"),
        (b"", "not JSON"),
        (b'{"value": 1', "not JSON"),
        (b'\xef\xbb\xbf{"value": 1}', "not JSON"),
        (b'{"value": "\xff"}', "not UTF-8"),
        (b"[" * 500_000, "not JSON"),
        (b'{"value": ' + b"9" * 5_000 + b"}", "not JSON"),
        (b'{"value": ' + b"9" * 400 + b"}", "not a finite number"),
        (b'{"value": NaN}', "not a finite number"),
        (b'{"loss": -Infinity}', "not a finite number"),
        (b'{"value": "0.5"}', "a text"),
        (b'{"value": true}', "true or false"),
        (b'{"value": {}}', "an object"),
        (b'{"value": 1}' + b" " * (1 << 20), "larger than 1 MiB"),
    ],
)
def test_a_metrics_json_that_cannot_be_used_fails_the_run_and_is_kept(tmp_path: Path, text: bytes, says: str) -> None:
    assert of_file(tmp_path, text, log=b"METRIC loss=3\n").value is None
    found = ended(tmp_path)
    assert (found.outcome, found.value) == (FAILED, None)
    assert says in found.reason
    assert (tmp_path / "metrics.json").read_bytes() == text


def test_a_link_that_leads_out_of_the_run_is_not_followed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "run-other.json").write_text('{"value": 1}')
    (run / "metrics.json").symlink_to("../run-other.json")
    assert "leads out" in ended(run).reason
    (run / "metrics.json").unlink()
    (run / "real.json").write_text('{"value": 2}')
    (run / "metrics.json").symlink_to("real.json")
    assert ended(run).value == 2.0
    (run / "real.json").unlink()
    assert "link to nothing" in ended(run).reason


def test_a_pipe_or_a_folder_is_no_metrics_json_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "metrics.json")
    os.mkfifo(tmp_path / "stdout.log")
    assert "no plain file" in ended(tmp_path).reason
    (tmp_path / "metrics.json").unlink()
    (tmp_path / "metrics.json").mkdir()
    assert "no plain file" in ended(tmp_path).reason


def test_cost_signals_and_note_are_taken_when_they_can_be(tmp_path: Path) -> None:
    text = {"value": 1, "cost": 2.5, "signals": ["breakthrough_found", "breakthrough_found"], "note": "two\nlines \x1b"}
    (tmp_path / "metrics.json").write_text(json.dumps(text))
    found = ended(tmp_path)
    assert (found.cost, found.signals, found.note) == (2.5, ("breakthrough_found",), "two lines")


@pytest.mark.parametrize("cost", ["-1", "NaN", "true", '"3"', "1e999"])
def test_what_cannot_be_taken_is_left_out_and_told(tmp_path: Path, cost: str) -> None:
    signals = json.dumps([1, "two words", *(f"s{number}" for number in range(99))])
    (tmp_path / "metrics.json").write_text(f'{{"value": 1, "cost": {cost}, "signals": {signals}, "note": [1]}}')
    found = ended(tmp_path)
    assert (found.outcome, found.cost, len(found.signals)) == (SUCCESS, 0.0, told.MOST_SIGNALS)
    assert "cost" in found.note
    assert "signals" in found.note
    a_manifest(status=SUCCESS, value=found.value, cost=found.cost, signals=found.signals).run()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["value", "loss", "cost", "signals", "note", "description", "acc"])


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KEYS, JSON) | JSON)
def test_no_metrics_json_raises_or_yields_what_cannot_be_sealed(given_as: object) -> None:
    try:
        read = told.parse(json.dumps(given_as).encode(), "loss")
    except told.Unusable:
        return
    found = metrics._found(read, "loss", "metrics.json")
    assert found.value is None or math.isfinite(found.value)
    assert math.isfinite(found.cost)
    assert found.cost >= 0
    canonical.encode(dict(found.metrics))
    found.note.encode()


# -- the whole end ------------------------------------------------------------------------------------------------


def test_a_run_without_a_metric_has_failed_and_is_told_what_was_looked_for(tmp_path: Path) -> None:
    found = ended(tmp_path)
    assert (found.outcome, found.value) == (FAILED, None)
    assert all(part in found.reason for part in ("metrics.json", "METRIC loss=", "---", "last line"))


def test_a_run_that_failed_keeps_the_metrics_that_it_told(tmp_path: Path) -> None:
    (tmp_path / "stdout.log").write_text("METRIC loss=3\nMETRIC acc=1\n")
    found = ended(tmp_path, Exit(run_id=RUN_ID, code=2))
    assert (found.outcome, found.value) == (FAILED, None)
    assert found.metrics == {"loss": 3.0, "acc": 1.0}
    assert found.reason == "it ended with exit code 2"


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("Traceback (most recent call last):\n  File x\nValueError: no such column\n", ": ValueError: no such column"),
        (
            "model.py: sklearn is missing\n  fix: pip install it\n",
            ": model.py: sklearn is missing; fix: pip install it",
        ),
        ("3\ttabs\x1b[31m\n\n", ": 3 tabs\N{REPLACEMENT CHARACTER}[31m"),
        ("", ""),
    ],
)
def test_why_a_program_failed_is_what_it_said_last_of_an_error(tmp_path: Path, stderr: str, said: str) -> None:
    (tmp_path / "stderr.log").write_text(stderr)
    assert ended(tmp_path, Exit(run_id=RUN_ID, code=5)).reason == f"it ended with exit code 5{said}"
    stopped = ended(tmp_path, Exit(run_id=RUN_ID, code=5, stopped="timeout"))
    assert "exit code" not in stopped.reason


def test_a_failed_run_shows_the_end_of_its_logs_as_plain_text(tmp_path: Path) -> None:
    lines = b"".join(b"line %d\n" % number for number in range(5_000))
    (tmp_path / "stderr.log").write_bytes(lines + b"```\nbad \xff\x1b[31m byte\nAssertionError: it broke\n")
    (tmp_path / "stdout.log").write_bytes(b"x" * 100_000)
    found = ended(tmp_path, Exit(run_id=RUN_ID, code=1))
    assert "AssertionError: it broke" in found.result
    assert "exit code 1" in found.result
    assert len(found.result) < 6_000
    assert "line 4999" in found.result
    assert "\x1b" not in found.result
    assert "line 1\n" not in found.result


def test_a_run_out_of_time_says_its_budget(tmp_path: Path) -> None:
    found = ended(tmp_path, Exit(run_id=RUN_ID, signal=15, stopped=STOPPED), time_budget_s=0.1)
    assert found.outcome == TIMEOUT
    assert "0.1 s" in found.reason


def test_read_again_beside_what_the_lab_itself_wrote_it_ends_the_same(tmp_path: Path) -> None:
    for log in ("METRIC loss=3\n", "nothing\n", "METRIC loss=nan\n"):
        (tmp_path / "stdout.log").write_text(log)
        (tmp_path / "metrics.json").unlink(missing_ok=True)
        first = ended(tmp_path)
        own = {**first.metrics, "metric": "loss", "value": first.value, "iteration": 3}
        (tmp_path / "metrics.json").write_bytes(canonical.page(own))
        again = ended(tmp_path)
        assert (again.outcome, again.value, again.reason) == (first.outcome, first.value, first.reason)


def test_the_labs_own_metrics_json_never_gives_a_failed_run_a_value(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"metric": "iteration", "value": null, "iteration": 3}')
    assert ended(tmp_path, metric="iteration").value is None


def test_trouble_with_supervising_a_run_that_ended_well_is_told(tmp_path: Path) -> None:
    (tmp_path / "stdout.log").write_text("METRIC loss=3\n")
    found = ended(tmp_path, Exit(run_id=RUN_ID, code=0, problem="its log could not be written"))
    assert found.outcome == SUCCESS
    assert "its log could not be written" in found.result
