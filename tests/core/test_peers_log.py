"""The logs of other harnesses: everything that any of them writes is read, and nothing is guessed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import peers_log
from lab.core.errors import BadInput

HEADER = "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"
KARPATHYS = (
    HEADER
    + "a1b2c3d\t0.997900\t44.0\tkeep\tbaseline\n"
    + "b2c3d4e\t0.993200\t44.2\tkeep\thigher rate\n"
    + "c3d4e5f\t1.005000\t44.0\tdiscard\tother activation\n"
    + "d4e5f60\t0.000000\t0.0\tcrash\ttwice the width (OOM)\n"
)
AUTORESEARCH_MLS = (
    "commit\tval_bpb\tmem_gb\tstatus\tdescription\n"
    "baseline\t2.290000\t1.5\tkeep\tBaseline \N{EM DASH} no modifications\n"
    "c3d4e5f\t\N{EM DASH}\t\N{EM DASH}\tcrash\tCUDA out of memory\n"
    "d4e5f60\tnan\t-\tdiscard\tdiverged\n"
)
OPEN_ORGS = "commit\taccuracy\tstatus\tdescription\nbaseline\t0.81\tkeep\tstart\nabc1234\t0.83\tkeep\tmore layers\n"
PIS = "\n".join(
    json.dumps(line)
    for line in (
        {"type": "hook", "stage": "before", "exit_code": 0},
        {"type": "config", "name": "parse", "metricName": "total_µs", "metricUnit": "µs", "bestDirection": "lower"},
        {"run": 1, "commit": "a1b2c3d", "metric": 3818, "metrics": {"parse_µs": 2722}, "status": "keep",
         "description": "baseline", "timestamp": 1773348490227},
        {"run": 2, "commit": "a1b2c3d", "metric": 0, "metrics": {}, "status": "crash", "description": "reverted",
         "timestamp": 1773348490, "segment": 0, "confidence": None, "asi": {"hypothesis": "shorter", "odd": [1]}},
        {"type": "hook", "stage": "after", "exit_code": 0},
        {"type": "config", "name": "render", "metricName": "fps", "metricUnit": "", "bestDirection": "higher"},
        {"type": "config", "name": "render it", "metricName": "fps", "metricUnit": "", "bestDirection": "higher"},
        {"run": 3, "commit": "b2c3d4e", "metric": 61.5, "metrics": {}, "status": "checks_failed", "description": "x",
         "timestamp": 1773348491, "confidence": 2.5},
    )
)  # fmt: skip


def read(text: str) -> peers_log.PeersLog:
    return peers_log.parse(text.encode(), "here")


def refused(text: str) -> str:
    with pytest.raises(BadInput) as refusal:
        read(text)
    return refusal.value.what


def test_karpathys_table_is_read_and_a_crash_of_0_has_no_value() -> None:
    log = read(KARPATHYS)
    assert log.form == peers_log.TSV
    assert [segment.metric for segment in log.segments] == ["val_bpb"]
    assert [each.value for each in log.entries] == [0.9979, 0.9932, 1.005, None]
    assert [each.status for each in log.entries] == ["keep", "keep", "discard", "crash"]
    assert [each.commit for each in log.entries] == ["a1b2c3d", "b2c3d4e", "c3d4e5f", "d4e5f60"]
    assert [each.memory_gb for each in log.entries] == [44.0, 44.2, 44.0, None]


def test_autoresearch_mls_table_is_read_with_its_dashes_and_its_baseline_cell() -> None:
    log = read(AUTORESEARCH_MLS)
    assert [each.commit for each in log.entries] == ["", "c3d4e5f", "d4e5f60"]
    assert [each.value for each in log.entries] == [2.29, None, None]
    assert [each.memory_gb for each in log.entries] == [1.5, None, None]


def test_open_orgs_table_is_read_without_a_column_for_memory() -> None:
    log = read(OPEN_ORGS)
    assert log.segments[0].metric == "accuracy"
    assert [each.value for each in log.entries] == [0.81, 0.83]


def test_pis_log_is_read_with_its_segments_hooks_and_both_kinds_of_time() -> None:
    log = read(PIS)
    assert log.form == peers_log.JSONL
    assert log.passed_over == 2
    assert [(each.name, each.metric, each.direction) for each in log.segments] == [
        ("parse", "total_µs", "minimize"),
        ("render it", "fps", "maximize"),
    ]
    assert [each.segment for each in log.entries] == [0, 0, 1]
    assert [each.value for each in log.entries] == [3818.0, None, 61.5]
    assert [each.at_s for each in log.entries] == [1773348490.227, 1773348490.0, 1773348491.0]
    assert log.entries[0].metrics == {"parse_µs": 2722.0}
    assert log.entries[1].asi == {"hypothesis": "shorter", "odd": [1]}
    assert log.entries[2].confidence == 2.5


def test_a_log_of_windows_with_a_mark_at_its_beginning_reads_the_same() -> None:
    again = peers_log.parse(b"\xef\xbb\xbf" + KARPATHYS.replace("\n", "\r\n").encode(), "here")
    assert again == read(KARPATHYS)


def test_a_tab_within_the_words_is_part_of_the_words() -> None:
    assert read(HEADER + "a1b2c3d\t1\t1\tkeep\tone\ttwo\n").entries[0].description == "one two"


def test_a_number_of_their_own_column_is_kept_among_the_metrics() -> None:
    text = HEADER.replace("\tstatus", "\tmfu\tnotes\tstatus") + "a1b2c3d\t1\t1\t39.8\tfast\tkeep\tx\n"
    assert read(text).entries[0].metrics == {"mfu": 39.8}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a1b2c3d\t0x1F\t1\tkeep\tx", "line 2: val_bpb is '0x1F', which is no decimal number"),
        ("a1b2c3d\tinf\t1\tkeep\tx", "line 2: val_bpb is 'inf'"),
        ("a1b2c3d\t1_000\t1\tkeep\tx", "line 2: val_bpb is '1_000'"),
        ("a1b2c3d\t1\t1\tgood\tx", "line 2: the status 'good' is none of keep"),
        ("a1b2c3d\t1\tkeep", "line 2: it has 3 cells, and the header 5"),
    ],
)
def test_a_row_that_cannot_be_understood_makes_the_table_unusable(line: str, said: str) -> None:
    assert said in refused(HEADER + line + "\n")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"run": 1, "metric": NaN, "status": "keep"}', "line 2: it is no JSON (NaN is no JSON)"),
        ('{"run": 1, "metric": "0.5", "status": "keep"}', "line 2: metric is '0.5', which is no number"),
        ('{"run": 1, "metric": 1e999, "status": "keep"}', "line 2: metric is 'inf'"),
        ('{"run": 1, "metric": 0.5, "sta', "line 2: it is no JSON"),
        ("[1]", "line 2: it holds no object"),
        ('{"other": 1}', "line 2: it is neither a config, nor a run, nor a hook"),
        ('{"type": "config", "bestDirection": "up"}', "line 2: bestDirection is 'up', neither lower nor higher"),
        ("[" * 100_000, "line 2: it is no JSON"),
    ],
)
def test_a_line_that_cannot_be_understood_makes_the_log_unusable(line: str, said: str) -> None:
    assert said in refused('{"type": "config", "metricName": "m", "bestDirection": "lower"}\n' + line + "\n")


def test_every_line_that_is_wrong_is_named_and_not_only_the_first() -> None:
    what = refused(HEADER + "a\n" * 14)
    assert "line 2: " in what
    assert "line 11: " in what
    assert what.endswith("; and 4 more")


@pytest.mark.parametrize("text", ["", "\n\n", "# only words\n"])
def test_an_empty_log_is_refused(text: str) -> None:
    assert "this log is empty" in refused(text)


@pytest.mark.parametrize("header", ["run\tloss\tstatus", "commit\tstatus\tdescription", "a\tb\tc", "commit,x,status"])
def test_what_is_no_log_of_a_code_loop_is_refused_by_its_header(header: str) -> None:
    assert "this is no log of a code loop" in refused(header + "\n")


def test_bytes_that_are_no_text_are_refused_with_their_line() -> None:
    with pytest.raises(BadInput, match="line 2 is not UTF-8"):
        peers_log.parse(HEADER.encode() + b"\xff\xfe\n", "here")


@pytest.mark.parametrize(
    ("values", "way"), [((3, 2, 1), "minimize"), ((1, 2, 3), "maximize"), ((1,), ""), ((1, 2, 1), "")]
)
def test_which_way_a_table_goes_is_seen_from_what_it_kept(values: tuple[float, ...], way: str) -> None:
    rows = "".join(f"a1b2c3d\t{value}\t1\tkeep\tx\nb2c3d4e\t9\t1\tdiscard\tx\n" for value in values)
    assert peers_log.direction(read(HEADER + rows), 0) == way


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: (HEADER + text).encode(errors="replace")))
def test_any_bytes_are_a_log_or_bad_input(data: bytes) -> None:
    try:
        log = peers_log.parse(data, "here")
    except BadInput:
        return
    assert all(each.segment < len(log.segments) for each in log.entries)
    assert all(each.value is None for each in log.entries if each.status == "crash")
