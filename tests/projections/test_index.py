"""LAB-INDEX.json: rows that `grep`, `git diff` and the standard library read."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.subject import Finding, Place, Subject
from lab.projections import index
from tests.projections import markdown
from tests.projections import subjects as make


def page(*rows: index.Row, alerts: tuple[Finding, ...] = ()) -> bytes:
    return index.render(index.of(rows, ledger=Place(seq=7, sha256="ab" * 32, end=4096), alerts=alerts))


def named(name: str, subject: Subject | None = None) -> index.Row:
    return msgspec.structs.replace(index.row(subject or make.subject([make.run(1, value=0.5)])), id=name)


def test_the_standard_library_reads_it() -> None:
    told = json.loads(page(named("b"), named("a"), alerts=(Finding(what="the ledger was damaged"),)))
    assert [row["id"] for row in told["experiments"]] == ["a", "b"]
    assert told["counts_by_phase"] == {"active": 2}
    assert told["ledger"] == {"seq": 7, "sha256": "ab" * 32, "end": 4096}
    assert told["alerts"][0]["what"] == "the ledger was damaged"
    assert told["as_of"] == "2026-01-02T04:00:01.000000Z"


def test_grep_finds_one_line_an_experiment() -> None:
    lines = page(named("a"), named("ab"), named("abc")).decode().split("\n")
    for name in ("a", "ab", "abc"):
        (found,) = (line for line in lines if f'"id":"{name}"' in line)
        assert json.loads(found.rstrip(","))["best_value"] == 0.5


@given(st.lists(make.subjects, max_size=4))
def test_rows_come_back_and_give_the_same_bytes(subjects: list[Subject]) -> None:
    rows = [named(f"e{number}", subject) for number, subject in enumerate(subjects)]
    written = page(*rows)
    read = index.parse(written)
    assert read is not None
    assert list(read.experiments) == rows
    assert read.ledger == Place(seq=7, sha256="ab" * 32, end=4096)
    assert page(*reversed(read.experiments), alerts=read.alerts) == written


@given(make.subjects)
def test_a_row_does_not_depend_on_where_its_strings_came_from(subject: Subject) -> None:
    again = msgspec.convert(msgspec.to_builtins(msgspec.json.decode(msgspec.json.encode(subject))), Subject)
    assert page(index.row(again)) == page(index.row(subject))


def test_an_empty_lab_has_an_index_too() -> None:
    read = index.parse(page())
    assert read is not None
    assert read.experiments == ()
    json.loads(page())


@given(st.binary() | st.text().map(str.encode) | st.integers(0, 2000).map(lambda size: page(named("a"))[:size]))
def test_garbage_is_no_index(data: bytes) -> None:
    whole = page(named("a"))
    assert data.strip() == whole.strip() or index.parse(data) is None


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\0" * 100, b"[" * 100_000, b"\xff"])
def test_what_is_no_index_is_refused_without_an_error(data: bytes) -> None:
    assert index.parse(data) is None


def test_a_newer_index_is_made_anew() -> None:
    assert index.parse(page().replace(b'"schema_version":1', b'"schema_version":2')) is None


def test_a_field_of_a_newer_labctl_is_ignored() -> None:
    assert index.parse(page(named("a")).replace(b'{"id"', b'{"mood":"good","id"')) is not None


def test_a_row_stays_small_whatever_it_is_told() -> None:
    assert len(msgspec.json.encode(named("a"))) < 800
    long = make.spec(goal="x" * 10**6, tags=("y" * 10**4,) * 1000)
    findings = tuple(Finding(what=f"{number}" + "z" * 10**5) for number in range(1000))
    row = index.row(make.subject(given=long, findings=findings))
    assert len(msgspec.json.encode(row)) < 5000


def test_hostile_text_hides_nothing_in_the_index() -> None:
    written = page(index.row(make.hostile()), alerts=(Finding(what=make.HOSTILE, fix=make.HOSTILE),)).decode()
    assert not markdown.UNSEEN.search(written)
    json.loads(written)


def test_an_alert_told_twice_is_one_alert() -> None:
    read = index.parse(page(alerts=(Finding(what="damage"),) * 3))
    assert read is not None
    assert len(read.alerts) == 1


def test_a_failed_run_leaves_no_number_in_its_row() -> None:
    row = index.row(make.subject([make.run(1, "timeout")]))
    assert row.best_value is None
    assert row.bests == {}
    assert (row.last_outcome, row.failure_streak) == ("timeout", 1)
