"""What is typed into a filter, and which runs of a table it leaves."""

from __future__ import annotations

import time
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import layout
from lab.core.candidate import BASELINE, IMPROVE, Candidate
from lab.core.errors import LabError, Unavailable
from lab.core.run import MINIMIZE
from lab.projections import tables
from lab.projections.picture import stairs
from lab.scheduler import refresh
from lab.scheduler.results import pictured, present
from lab.web import asked, lists
from lab.web.columns import Columns, Judged, mark
from lab.web.live import Live
from tests.cli.searches import a_run, a_searched_lab
from tests.projections import givens
from tests.projections import subjects as make
from tests.web.labs import NAME, a_numbered_run, a_seen_lab

if TYPE_CHECKING:
    from lab.store.root import Root

TERM = st.sampled_from(
    [
        "value<0.3",
        "lr>=1e-4",
        "-crash",
        '"two words"',
        "outcome:crash,timeout",
        "took>10m",
        "-kind=adam",
        "x",
        "n!=3",
        "<",
        "-",
    ]
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    return a_seen_lab(tmp_path_factory.mktemp("filter") / "lab", 12)


def direction(tier: str) -> str:
    del tier
    return MINIMIZE


def renewed(root: Root, name: str = NAME) -> Columns:
    table = Columns(root, name)
    table.renew(direction)
    return table


def found(table: Columns, typed: str) -> list[int]:
    """The numbers of the runs; nothing may be misunderstood."""
    read = asked.parse(typed)
    places, problems = table.chosen(read.terms, "loss")
    assert not read.problems
    assert not problems
    return [place + 1 for place in places]


@given(st.text(max_size=700))
def test_whatever_is_typed_is_read_or_said(typed: str) -> None:
    read = asked.parse(typed)
    assert len(read.terms) <= asked.MOST_TERMS
    assert all(term.text for term in read.terms)


@given(st.lists(TERM, max_size=6))
def test_the_order_of_what_is_typed_changes_nothing(terms: list[str]) -> None:
    one, other = asked.parse(" ".join(terms)), asked.parse("   ".join(reversed(terms)))
    assert sorted(map(repr, one.terms)) == sorted(map(repr, other.terms))


@pytest.mark.parametrize(
    ("typed", "numbers"),
    [
        ("", list(range(1, 13))),
        ("outcome:crash", [5, 10]),
        ("-outcome:crash value<0.15", [7, 8, 9, 11, 12]),
        ("loss<0.15 kind:keep", [7, 8, 9, 11, 12]),
        ("n>=11", [11, 12]),
        ("lr=0.1", [1]),
        ("lr>0.03", [1, 2, 3]),
        ("took>1s took<2", list(range(1, 13))),
        ("took>1m", []),
        ("param.kind:adam depth:1", [1, 9]),
        ("param.kind!=adam n<5", [2, 4]),
        ("cuda", [5, 10]),
        ('"number 1"', [2, 11, 12]),
        ("NUMBER -adam kind=sgd", [2, 4, 6, 8, 12]),
        ("by:perturb role:scout,researcher n=1", [1]),
        ("value>0 -value<0.5", [1, 2]),
    ],
)  # fmt: skip
def test_a_filter_leaves_what_is_like_it(root: Root, typed: str, numbers: list[int]) -> None:
    typed = typed.replace("kind=sgd", "param.kind=sgd")
    assert found(renewed(root), typed) == numbers


def test_runs_have_the_number_of_the_staircase_of_their_tier(tmp_path: Path) -> None:
    root = a_seen_lab(tmp_path / "lab", 6)
    with open(root.layout.page(NAME, layout.METRICS_LOG), "r+b") as file:
        lines = file.readlines()
        file.seek(0)
        file.writelines(each.replace(b'"proxy"', b'"final"') if at % 3 else each for at, each in enumerate(lines))
    table = renewed(root)

    assert list(table.numbers["n"]) == [1, 1, 2, 2, 3, 4]
    assert found(table, "tier:final n>2") == [5, 6]  # the fifth and the sixth of history
    told = lists.answer(Live(root), present.read(root, NAME), lists.Question())
    assert [(row.tier, row.n) for row in told.rows] == [
        ("final", 4), ("final", 3), ("proxy", 2), ("final", 2), ("final", 1), ("proxy", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("lrr>1", "did you mean lr?"),
        ("value<low", "needs a number"),
        ("value:low", "is a number, and low is none"),
        ("outcome>crash", "needs a number"),
        ("outcome>3", "is not a number"),
        ("lr>", "not complete"),
        ('"two', "is not closed"),
        ("x " * 30, "only the first 20"),
        ("y" * 600, "only the first 500"),
    ],
)
def test_what_cannot_be_understood_is_said_and_left_out(root: Root, typed: str, words: str) -> None:
    read = asked.parse(typed)
    _, problems = renewed(root).chosen(read.terms, "loss")
    assert words in "; ".join((*read.problems, *problems))


def test_the_best_come_first_and_those_without_a_value_last_whichever_way(root: Root) -> None:
    table = renewed(root)
    up = table.ordered(range(12), "value", upwards=True, tier="proxy", direction=MINIMIZE)
    down = table.ordered(range(12), "value", upwards=False, tier="proxy", direction=MINIMIZE)
    assert [place + 1 for place in up] == [12, 11, 9, 8, 7, 6, 4, 3, 2, 1, 5, 10]
    assert [place + 1 for place in down] == [1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 5, 10]
    lines = table.lines(up[:2])
    assert [(place, line.value) for place, line in lines] == [(11, 1 / 12), (10, 1 / 11)]


def test_values_of_two_tiers_are_not_compared_when_sorted(tmp_path: Path) -> None:
    root = a_seen_lab(tmp_path / "lab", 4)  # each better than the one before
    with open(root.layout.page(NAME, layout.METRICS_LOG), "r+b") as file:
        lines = file.readlines()
        file.seek(0)
        file.writelines(each.replace(b'"proxy"', b'"final"') if at % 2 else each for at, each in enumerate(lines))
    table = renewed(root)
    assert table.ordered(range(4), "value", upwards=True, tier="proxy", direction=MINIMIZE) == [2, 0, 3, 1]
    assert table.ordered(range(4), "value", upwards=False, tier="final", direction=MINIMIZE) == [1, 3, 0, 2]


def test_a_run_newer_than_the_picture_is_judged_by_the_noise_that_the_picture_knows(tmp_path: Path) -> None:
    root = a_searched_lab(tmp_path / "lab", NAME)
    for value in (1.0, 1.2, 0.8, 1.1, 0.5):
        a_run(root, {"lr": 0.1, "depth": 1, "kind": "adam"}, value, name=NAME)
    table = renewed(root)
    told = Live(root).judge(NAME)
    a_run(root, {"lr": 0.2, "depth": 1, "kind": "adam"}, 0.45, name=NAME)
    table.renew(direction)
    assert table.judged(told)
    a_run(root, {"lr": 0.3, "depth": 1, "kind": "adam"}, 0.4, name=NAME)  # and one that comes after that
    table.renew(direction)
    assert table.judged(told)
    assert table.words["kind"][5:] == ["within", "within"]
    now = stairs.kinds(pictured.read(root, NAME, with_diff=False))
    assert table.words["kind"] == now  # which the next picture says too
    again = renewed(root)
    assert again.judged(told)  # the walks of a picture serve every table
    assert again.words["kind"] == now


def test_what_was_found_of_other_runs_is_not_said_of_these(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An imported bundle may be older than all others: then each of them stands one further down."""
    monkeypatch.setattr("lab.web.live.AT_ONCE_S", -1.0)  # as in a long table: what was found stays for a while
    root = a_seen_lab(tmp_path / "lab", 12)
    live, at = Live(root), present.read(root, NAME)
    crashed = lists.question({"q": "kind:crash"})
    assert {row.outcome for row in lists.answer(live, at, crashed).rows} == {"crash"}
    path = root.layout.page(NAME, layout.METRICS_LOG)
    with open(path, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    first = lines[1].replace(b"RUN-2", b"RUN-1")
    root.files.replace(path, b"".join((first, *lines)))
    told = lists.answer(live, at, crashed)
    assert (told.total, told.found) == (13, 2)
    assert {row.outcome for row in told.rows} == {"crash"}
    assert {row.value for row in told.rows} == {None}


def test_whoever_types_into_the_filter_of_a_long_table_waits_for_no_judgement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = a_searched_lab(tmp_path / "lab", NAME)
    for value in (1.0, 1.2, 0.8, 1.1, 0.5):
        a_run(root, {"lr": 0.1, "depth": 1, "kind": "adam"}, value, name=NAME)
    live = Live(root)
    with live._drawing:  # of a short one it is found out at once, whatever is drawn meanwhile
        known = live.judged(NAME)
    monkeypatch.setattr("lab.web.live.AT_ONCE_S", -1.0)  # nothing is so cheap
    a_run(root, {"lr": 0.2, "depth": 1, "kind": "adam"}, 0.45, name=NAME)
    with live._drawing:  # somebody makes a picture, which takes its time
        told = lists.answer(live, present.read(root, NAME), lists.Question())
    assert live.judged(NAME) is known
    assert told.rows[0].kind == stairs.WITHIN  # by the noise that was known
    monkeypatch.setattr("lab.web.live.LEAST_S", 0.0)
    monkeypatch.setattr("lab.web.live.AGAIN", 0)
    live.judged(NAME)  # which is found out anew beside
    until_s = time.monotonic() + 10
    while live.judged(NAME) is known:
        assert time.monotonic() < until_s
    assert len(live.judged(NAME).kinds) == 6


def test_a_table_is_read_on_from_its_end_and_anew_once_it_was_rebuilt(tmp_path: Path) -> None:
    root = a_seen_lab(tmp_path / "lab", 3)
    table = renewed(root)
    first = table.offsets[0]
    table.texts[0] = "as it was read before"
    a_numbered_run(root, 3)
    table.renew(direction)
    assert len(table) == 4
    assert found(table, '"as it was read before"') == [1]  # not read again
    assert found(table, '"number 3"') == [4]
    path = root.layout.page(NAME, "metrics.jsonl")
    with open(path, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    root.files.replace(path, b"".join(lines[:2]))  # as a rebuild may leave it
    table.renew(direction)
    assert (len(table), table.offsets[0]) == (2, first)
    assert found(table, '"as it was read before"') == []
    root.files.discard(path)
    with pytest.raises(Unavailable, match="labctl refresh"):
        table.renew(direction)
    refresh.everything(root)
    table.renew(direction)
    assert len(table) == 4


def test_a_keep_that_no_test_confirmed_is_a_keep_and_can_be_asked_for(tmp_path: Path) -> None:
    root = a_searched_lab(tmp_path / "lab", NAME)
    loop, tried = Candidate(kind=BASELINE, values=(1.0, 1.01, 0.99)), Candidate(kind=IMPROVE, parent="RUN-0")
    runs = [make.run(1, value=1.0, verdict="keep", candidate=loop)]
    runs += [make.run(number, value=value, verdict="keep", candidate=tried) for number, value in ((2, 0.99), (3, 0.5))]
    root.files.replace(
        root.layout.page(NAME, layout.METRICS_LOG), b"".join(tables.metrics_line(run, {}, None) for run in runs)
    )
    table = renewed(root)
    of = stairs.everything(givens.given(runs))
    assert table.judged(Judged(of.kinds, of.walks, reduce(lambda before, run: mark(run.run_id, before), runs, 0)))
    assert found(table, "kind:keep") == [2, 3]
    assert found(table, "kind:unconfirmed") == [2]
    assert found(table, "kind!=unconfirmed") == [1, 3]
    assert found(table, "-kind:unconfirmed,baseline") == [3]
    assert [table.unsure()(place) for place in range(3)] == [False, True, False]


def test_after_a_damaged_line_was_mended_the_table_is_as_it_is(tmp_path: Path) -> None:
    root = a_seen_lab(tmp_path / "lab", 6)
    path = Path(root.layout.page(NAME, layout.METRICS_LOG))
    table, whole = renewed(root), path.read_bytes()
    with path.open("ab") as file:
        file.write(whole.splitlines(keepends=True)[-1] + b"{nonsense\n")
    with pytest.raises(LabError):
        table.renew(direction)
    with path.open("r+b") as file:
        file.truncate(len(whole))
    table.renew(direction)
    assert table.lines(range(len(table))) == renewed(root).lines(range(6))
