"""results.tsv and autoresearch.jsonl of a code loop, read back by the rules of those whose forms they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import peers_log
from lab.core.candidate import BASELINE, IMPROVE, REPLAYED, Candidate
from lab.core.candidate import IMPORTED as CLAIMED
from lab.core.origin import IMPORTED, Origin
from lab.core.run import CANCELLED, FAILED, INTERRUPTED, SUCCESS
from lab.projections import autoresearch_log as log
from tests import peers
from tests.projections import subjects as make

if TYPE_CHECKING:
    from lab.core.run import Run

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def tried(number: int, value: float | None, verdict: str = "keep", **more: object) -> Run:
    about = {name: more.pop(name) for name in tuple(more) if name in Candidate.__struct_fields__}
    kind = str(about.pop("kind", IMPROVE))
    made = Candidate(kind=kind, commit=COMMIT, memory_mb=45_056.0)
    outcome = str(more.pop("outcome", FAILED if value is None else SUCCESS))
    return make.run(
        number,
        outcome,
        value,
        verdict=verdict,
        candidate=msgspec.structs.replace(made, **about),
        metric="val_bpb",
        **more,
    )


def table(*runs: Run) -> str:
    return (log.results_header("val_bpb") + b"".join(map(log.results_line, runs))).decode()


def lines(*runs: Run) -> str:
    segment, before, made = -1, None, b""
    for number, run in enumerate(runs, start=1):
        if log.opens_segment(run, before):
            segment += 1
            made += log.config_line(run)
        made += log.run_line(
            run, log.Place(run=number, segment=segment), {"val_bpb": 1, "mfu": 39.8, "value": 1}, {"hypothesis": "h"}
        )
        before = run
    return made.decode()


def claimed(number: int, value: float | None, segment: int = 1) -> Run:
    origin = Origin(kind=IMPORTED, note=f"run {number}, line {number + 1}, of segment {segment} of results.tsv")
    return tried(number, None, kind=CLAIMED, claimed=value, outcome=SUCCESS, origin=origin, note="wider")


def test_the_table_has_karpathys_header_and_his_digits() -> None:
    written = table(tried(1, 0.9979, kind=BASELINE), tried(2, 0.9932, note="higher rate"))
    assert written == (
        "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"
        "0123456\t0.997900\t44.0\tkeep\tbaseline\n"
        "0123456\t0.993200\t44.0\tkeep\thigher rate\n"
    )
    assert peers.karpathys_best(written) == 0.9932


def test_a_crash_has_a_dash_which_no_reader_takes_for_a_number() -> None:
    written = table(tried(1, 0.9979), tried(2, None, "crash", note="too wide"))
    assert written.splitlines()[2].split("\t")[1] == "-"
    assert peers.karpathys_best(written) == 0.9979
    assert [row.metric for row in peers.autoresearch_mls_reader(written)] == [0.9979, None]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_value_keeps_six_digits_that_count_however_small_it_is(value: float) -> None:
    read = float(log.metric_cell(value))
    assert read == pytest.approx(value, rel=1e-5, abs=0)
    assert (read == 0) == (value == 0)


def test_a_failed_change_says_what_it_was_and_then_why() -> None:
    written = table(
        tried(1, None, "crash", note="too wide", reason="out of memory"),
        tried(2, None, "discard", note="BATCH = 66", reason="nothing was changed"),
        tried(3, 0.9, note="higher rate", reason="better in 2 fresh pairs"),
    )
    described = [row.split("\t")[4] for row in written.splitlines()[1:]]
    assert described == ["too wide: out of memory", "BATCH = 66: nothing was changed", "higher rate"]
    assert [row.split("\t")[3] for row in written.splitlines()[1:]] == ["crash", "discard", "keep"]


def test_a_run_that_was_ended_says_so_and_is_no_verdict() -> None:
    stopped = tried(3, None, "", outcome=CANCELLED, reason=f"{INTERRUPTED}: the lab ended")
    written = table(stopped)
    assert written.splitlines()[1].split("\t")[3:] == ["cancelled", f"{INTERRUPTED}: the lab ended"]


def test_what_another_harness_claims_is_no_number_of_ours() -> None:
    written = table(claimed(1, 0.5), tried(2, 0.9, kind=BASELINE))
    assert peers.karpathys_best(written) == 0.9
    assert written.splitlines()[1].endswith("\t-\t44.0\tkeep\tclaimed 0.5 elsewhere: wider")


def test_a_claim_without_words_ends_with_the_number_and_keeps_its_unit() -> None:
    one = msgspec.structs.replace(claimed(1, 5.0), note="")
    assert one.candidate is not None
    one = msgspec.structs.replace(one, candidate=msgspec.structs.replace(one.candidate, unit="ms"))
    assert table(one).splitlines()[1].endswith("\tclaimed 5.0 elsewhere")
    assert json.loads(lines(one).splitlines()[0])["metricUnit"] == "ms"


def test_what_was_measured_again_is_no_discard() -> None:
    again = tried(2, 0.9, "", kind=REPLAYED, outcome=SUCCESS, note="RUN-1 again")
    broken = tried(3, None, "", kind=REPLAYED, outcome=FAILED, note="RUN-1 again")
    written = table(tried(1, 0.9979), again, broken)
    assert [row.split("\t")[3] for row in written.splitlines()[1:]] == ["keep", "replayed", "replayed"]
    assert peers.karpathys_best(written) == 0.9979
    read = peers_log.parse(written.encode(), "log")
    assert ([each.status for each in read.entries], read.passed_over) == (["keep"], 2)
    read = peers_log.parse(lines(tried(1, 0.9979), again, broken).encode(), "log")
    assert ([each.status for each in read.entries], read.passed_over) == (["keep"], 2)


def test_a_line_has_the_keys_of_pis_in_their_order_and_null_for_a_crash() -> None:
    written = lines(tried(1, 0.9979, kind=BASELINE), tried(2, None, "crash"))
    config, first, second = map(json.loads, written.splitlines())
    assert config == {
        "type": "config", "name": "lr-sweep", "metricName": "val_bpb", "metricUnit": "", "bestDirection": "lower"
    }  # fmt: skip
    assert list(first) == [
        "run", "commit", "metric", "metrics", "status", "description", "timestamp", "segment", "confidence", "asi"
    ]  # fmt: skip
    assert (first["metric"], second["metric"]) == (0.9979, None)
    assert first["metrics"] == {"mfu": 39.8}
    assert first["timestamp"] > 1e11
    assert first["asi"] == {"hypothesis": "h"}


def test_pis_reader_finds_the_best_of_the_last_segment() -> None:
    session = peers.pis_reader(
        lines(
            claimed(1, 0.5),
            tried(2, 0.9979, kind=BASELINE),
            tried(3, None, "crash"),
            tried(4, 0.9, "discard"),
            tried(5, 0.95),
        )
    )
    assert [row.segment for row in session.rows] == [0, 1, 1, 1, 1]
    assert session.segment == 1
    assert peers.pis_best(session) == 0.95
    assert session.metric == "val_bpb"


def test_a_new_baseline_opens_a_segment_and_so_does_another_log() -> None:
    runs = (
        claimed(1, 1),
        claimed(2, 1),
        claimed(3, 1, 2),
        tried(4, 1, kind=BASELINE),
        tried(5, 1),
        tried(6, 1, kind=BASELINE),
    )
    session = peers.pis_reader(lines(*runs))
    assert [row.segment for row in session.rows] == [0, 0, 1, 2, 2, 3]
    assert [json.loads(line)["segment"] for line in lines(*runs).splitlines() if '"run"' in line[:6]] == [
        0,
        0,
        1,
        2,
        2,
        3,
    ]


def test_our_own_reader_reads_what_we_write() -> None:
    runs = (
        tried(1, 0.9979, kind=BASELINE),
        tried(2, None, "crash"),
        tried(3, 0.5, "discard"),
        tried(4, None, "checks_failed"),
    )
    for text in (table(*runs), lines(*runs)):
        read = peers_log.parse(text.encode(), "here")
        assert [each.value for each in read.entries] == [0.9979, None, 0.5, None]
        assert [each.status for each in read.entries] == ["keep", "crash", "discard", "checks_failed"]


def test_words_from_outside_stay_in_their_cell_and_their_line() -> None:
    hostile = tried(1, 1.0, note=make.HOSTILE)
    assert len(table(hostile).splitlines()) == 2
    assert len(table(hostile).splitlines()[1].split("\t")) == 5
    assert len(lines(hostile).splitlines()) == 2


def test_notes_that_are_too_long_are_left_out_and_it_says_so() -> None:
    line = log.run_line(tried(1, 1.0), log.Place(run=1, segment=0), {}, {"text": "x" * 100_000})
    assert len(line) < log.LINE_BYTES
    assert json.loads(line)["asi"] == {"left_out": "100011 bytes"}


def test_the_place_of_the_last_line_is_read_back() -> None:
    text = lines(tried(1, 1.0, kind=BASELINE), tried(2, 1.0, kind=BASELINE))
    assert log.last_place(text.encode()) == log.Place(run=2, segment=1)
    for torn in ("", '{"torn', text.splitlines()[0] + "\n"):
        assert log.last_place(torn.encode()) is None


@pytest.mark.parametrize(
    ("mib", "told"), [(45_056.0, "44.0"), (104.0, "0.1"), (20.0, "0.02"), (0.5, "0.0005"), (None, "-"), (0.0, "-")]
)
def test_little_memory_is_not_written_as_none_and_what_is_unknown_not_as_0(mib: float | None, told: str) -> None:
    assert table(tried(1, 0.5, memory_mb=mib)).splitlines()[1].split("\t")[2] == told
