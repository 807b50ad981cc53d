"""What a results file of lm_eval says, and what two of them say about each other."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import scores
from lab.core.errors import BadInput

Told = dict[str, object]


def results(
    value: object = 0.5,
    stderr: object = 0.1,
    *,
    higher: object = True,
    digest: object = "a" * 64,
    version: object = 1.0,
    shots: object = 0,
    **more: object,
) -> bytes:
    """As lm_eval 0.4.13 writes it, as far as anybody reads it."""
    whole: Told = {
        "results": {
            "sums": {
                "name": "sums", "alias": "sums", "sample_len": 60, "acc,none": value, "acc_stderr,none": stderr,
            }
        },
        "group_subtasks": {"sums": []},
        "versions": {"sums": version},
        "n-shot": {"sums": shots},
        "higher_is_better": {"sums": {"acc": higher}},
        "n-samples": {"sums": {"original": 60, "effective": 60}},
        "task_hashes": {"sums": digest},
        "model_name": "tiny",
        "lm_eval_version": "0.4.13",
        **more,
    }  # fmt: skip
    return json.dumps(whole).encode()


def read(data: bytes) -> scores.Scores:
    return scores.parse(data, "results.json")


def verdict(one: bytes, other: bytes, better_by: float = 2.0) -> scores.Pair:
    (pair,) = scores.compare(read(one), read(other), better_by).pairs
    return pair


def test_a_score_is_a_key_with_a_filter_and_what_stands_beside_it_is_none() -> None:
    found = read(results())
    assert [each.name for each in found.scores] == ["sums/acc,none"]
    assert (found.scores[0].value, found.scores[0].stderr, found.scores[0].higher) == (0.5, 0.1, True)
    assert (found.model, found.version) == ("tiny", "0.4.13")
    assert (found.shots, found.samples, found.versions) == ({"sums": 0}, {"sums": 60}, {"sums": "1.0"})


def test_several_filters_of_one_metric_are_several_scores_with_their_own_errors() -> None:
    told = {"exact_match,strict": 0.2, "exact_match_stderr,strict": 0.02, "exact_match,loose": 0.4}
    found = read(results(results={"gsm": told}, higher_is_better={"gsm": {"exact_match": True}}))
    assert {each.name: each.stderr for each in found.scores} == {
        "gsm/exact_match,strict": 0.02,
        "gsm/exact_match,loose": None,
    }
    assert all(each.higher for each in found.scores)


@pytest.mark.parametrize("spread", ["N/A", None, -0.1, math.nan])
def test_an_error_that_is_no_number_is_none_and_never_zero(spread: object) -> None:
    assert read(results(stderr=spread)).scores[0].stderr is None


def test_a_score_that_is_not_finite_is_left_out_and_told() -> None:
    told = {"acc,none": math.nan, "acc_norm,none": 0.5, "f1,none": True, "em,none": 10**400}
    found = read(results(results={"sums": told}))
    assert [each.name for each in found.scores] == ["sums/acc_norm,none"]
    assert found.remarks == ("sums: a score that is no finite number was left out",)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is no JSON"),
        (b"\xff\xfe", "it is no JSON"),
        (b"[" * 200_000, "it is no JSON"),
        (b"[1]", "it is no JSON object"),
        (b"{}", "it has no `results`"),
        (b'{"results": {}}', "it has no score"),
        (b'{"results": {"sums": {"alias": "sums", "sample_len": 8}}}', "it has no score"),
        (b'{"results": {"sums": {"acc": 0.5, "acc_stderr": 0.1}}}', "an lm_eval before 0.4 wrote it"),
        (b" " * (scores.MOST_BYTES + 1), "it has more than 64 MiB"),
        (b'{"results": 1' + b"1" * 5_000 + b"}", "it is no JSON"),
    ],
    ids=["empty", "bytes", "deep", "list", "other", "no tasks", "no scores", "old", "huge", "digits"],
)
def test_what_is_no_results_file_is_refused_in_words(data: bytes, why: str) -> None:
    with pytest.raises(BadInput, match=why) as refusal:
        read(data)
    assert refusal.value.where == "results.json"


def test_a_name_that_could_speak_to_a_terminal_is_left_out() -> None:
    found = read(results(results={"\x1b[2Jx": {"acc,none": 1.0}, "sums": {"acc,none": 0.5, "a\n,none": 1.0}}))
    assert [each.name for each in found.scores] == ["sums/acc,none"]
    assert len(found.remarks) == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("results", "versions", "n-shot", "higher_is_better", "task_hashes", "group_subtasks", "n-samples", "model_name")


@given(st.dictionaries(st.sampled_from(KEYS), json_values), json_values)
def test_whatever_a_file_holds_it_is_read_or_refused_and_can_be_compared(whole: Told, told: object) -> None:
    data = json.dumps({**whole, "results": {"sums": {"acc,none": 0.5, "acc_stderr,none": told}}}).encode()
    try:
        found = read(data)
    except BadInput:
        return
    for pair in scores.compare(found, found).pairs:
        assert pair.verdict not in (scores.BETTER, scores.WORSE)


def test_more_than_so_many_standard_errors_is_better_or_worse_and_less_is_neither() -> None:
    one, much, little = results(0.5, 0.03), results(0.6, 0.04), results(0.599, 0.04)
    found = verdict(one, much)
    assert found.needed == pytest.approx(0.1)
    assert found.verdict == scores.SAME  # twice 0.05 is not beyond it
    assert verdict(one, results(0.601, 0.04)).verdict == scores.BETTER
    assert verdict(results(0.601, 0.04), one).verdict == scores.WORSE
    assert verdict(one, little).verdict == scores.SAME
    assert verdict(one, results(0.601, 0.04), 3.0).verdict == scores.SAME
    assert verdict(one, little, 0.0).verdict == scores.BETTER


def test_where_lower_is_better_a_smaller_number_gains() -> None:
    found = verdict(results(9.0, 0.1, higher=False), results(8.0, 0.1, higher=False))
    assert (found.verdict, found.gain) == (scores.BETTER, 1.0)


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from([(None, 0.01), (0.01, None), (None, None)]))
def test_without_an_error_on_both_sides_nobody_can_tell(
    one: float, other: float, spreads: tuple[float | None, float | None]
) -> None:
    mine, theirs = ("N/A" if each is None else each for each in spreads)
    assert verdict(results(one, mine), results(other, theirs)).verdict == scores.UNSURE


def asked(count: object, value: float, spread: object = 0.0) -> bytes:
    return results(value, spread, **{"n-samples": {"sums": {"original": 60, "effective": count}}})


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (asked(2, 0.0), asked(2, 1.0), scores.SAME),  # by chance one time in six
        (asked(4, 0.0), asked(4, 1.0), scores.SAME),
        (asked(60, 0.0), asked(60, 1.0), scores.BETTER),
        (asked(60, 1.0), asked(60, 0.0), scores.WORSE),
        (asked(40, 0.0), asked(40, 0.95, 0.035), scores.BETTER),
        (asked(60, 0.0), asked(60, 0.05, 0.01), scores.SAME),  # 3 of 60: none of 60 is no proof of a rate of zero
        (asked(60, 1.0), asked(60, 1.0), scores.SAME),
        (asked(60, 0.5), asked(60, 0.9), scores.UNSURE),  # no mean of sixty zeros and ones
        (asked(60, 0.0), asked(60, 31.5, 2.0), scores.UNSURE),  # no proportion
        (asked(None, 0.0), asked(60, 1.0), scores.UNSURE),
        (asked(0, 0.0), asked(60, 1.0), scores.UNSURE),
    ],
)
def test_an_error_of_zero_is_no_certainty_and_counts_by_the_number_of_questions(
    one: bytes, other: bytes, expected: str
) -> None:
    assert verdict(one, other).verdict == expected


def test_of_a_group_whose_answers_are_all_wrong_the_smallest_task_says_how_sure_that_is() -> None:
    def group(value: float, **asked: int) -> bytes:
        return results(
            results={"all": {"acc,none": value, "acc_stderr,none": 0.0}},
            group_subtasks={"all": list(asked)},
            higher_is_better={"all": {"acc": True}},
            **{name: dict.fromkeys(asked, 1) for name in ("versions", "n-shot")},
            task_hashes=dict.fromkeys(asked, "a"),
            **{"n-samples": {name: {"effective": count} for name, count in asked.items()}},
        )

    assert verdict(group(0.0, one=50, two=50), group(1.0, one=50, two=50)).needed == pytest.approx(0.04 * 2**0.5)
    assert verdict(group(0.0, one=98, two=2), group(1.0, one=98, two=2)).verdict == scores.SAME


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1e3), st.floats(0, 1e3), st.floats(0, 100))
def test_what_is_better_one_way_is_worse_the_other_way(
    one: float, other: float, mine: float, theirs: float, better_by: float
) -> None:
    opposite = {scores.BETTER: scores.WORSE, scores.WORSE: scores.BETTER}
    there = verdict(results(one, mine), results(other, theirs), better_by).verdict
    back = verdict(results(other, theirs), results(one, mine), better_by).verdict
    assert opposite.get(there, there) == back


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (results(0.9, 0.01, digest="b" * 64), "the questions differ: their task hashes are not the same"),
        (results(0.9, 0.01, version=2.0), "the versions of the task differ (1.0 and 2.0)"),
        (results(0.9, 0.01, shots=5), "the numbers of examples in front of a question differ (0 and 5)"),
        (results(0.9, 0.01, higher=False), "higher is better in one of them, and lower in the other"),
        (results(0.9, 0.01, higher=None), "one of them does not say whether higher is better"),
        (results(0.9, 0.01, task_hashes={}), "no task hash says that both were asked the same"),
        (results(0.9, 0.01, versions={}), "no version of the task is told in both (1.0 and none)"),
        (results(0.9, 0.01, version=None), "no version of the task is told in both (1.0 and none)"),
        (results(0.9, 0.01, **{"n-shot": {}}), "no number of examples in front of a question is told in both (0 and"),
        (results(0.9, 0.01, shots="0"), "no number of examples in front of a question is told in both (0 and none)"),
        (results(0.9, 0.01, group_subtasks={"sums": ["other"]}), "sums is not made of the same tasks"),
    ],
    ids=[
        "hash",
        "version",
        "shots",
        "direction",
        "no direction",
        "no hash",
        "no version",
        "empty version",
        "no shots",
        "shots as text",
        "group",
    ],
)
def test_what_was_not_asked_the_same_is_not_compared_and_the_reason_is_said(other: bytes, why: str) -> None:
    for pair in (verdict(results(0.5, 0.01), other), verdict(other, results(0.5, 0.01))):
        assert pair.verdict == scores.NOT_COMPARABLE
        assert pair.gain is None
    assert why in verdict(results(0.5, 0.01), other).why


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        (results(0.5, 0.01, versions={}), results(0.9, 0.01, versions={}), "no version of the task"),
        (results(0.5, 0.01, shots="0"), results(0.9, 0.01, shots="5"), "no number of examples"),
    ],
)
def test_what_neither_of_two_files_says_is_not_taken_for_the_same(one: bytes, other: bytes, why: str) -> None:
    found = verdict(one, other)
    assert found.verdict == scores.NOT_COMPARABLE
    assert why in found.why


def test_every_disagreement_is_said_and_not_only_the_first() -> None:
    why = verdict(results(), results(digest="b", version=3, shots=2)).why
    assert all(word in why for word in ("hashes", "versions", "examples"))


def test_only_scores_that_both_have_are_compared_and_the_rest_is_named() -> None:
    one = results(results={"sums": {"acc,none": 0.5, "acc_norm,none": 0.4}})
    other = results(results={"sums": {"acc,none": 0.5, "f1,none": 0.4}})
    found = scores.compare(read(one), read(other))
    assert [pair.name for pair in found.pairs] == ["sums/acc,none"]
    assert found.only == (("sums/acc_norm,none",), ("sums/f1,none",))


def test_a_group_is_comparable_when_all_its_tasks_are() -> None:
    def group(second: str) -> bytes:
        return results(
            results={"all": {"acc,none": 0.5, "acc_stderr,none": 0.1}},
            group_subtasks={"all": ["one", "two"]},
            higher_is_better={"all": {"acc": True}},
            task_hashes={"one": "a", "two": second},
            versions={"one": 1, "two": 1},
            **{"n-shot": {"one": 0, "two": 0}},
        )

    assert verdict(group("b"), group("b")).verdict == scores.SAME
    differing = verdict(group("b"), group("c"))
    assert differing.verdict == scores.NOT_COMPARABLE
    assert differing.why.startswith("two: ")


def test_groups_that_hold_each_other_end_and_prove_nothing() -> None:
    parts = {"sums": ["all"], "all": ["sums"]}
    one, other = results(0.1, 0.0, group_subtasks=parts), results(0.9, 0.0, group_subtasks=parts)
    assert verdict(one, other).verdict == scores.NOT_COMPARABLE


def test_a_score_is_found_by_its_name_and_by_less_where_only_one_is_meant() -> None:
    found = read(results())
    for name in ("sums/acc,none", "sums/acc", "acc,none", "acc"):
        assert scores.find(found, name).name == "sums/acc,none"
    two = read(results(results={"sums": {"acc,none": 0.1, "acc,loose": 0.2}, "more": {"acc,none": 0.3}}))
    assert scores.find(two, "sums/acc,loose").value == 0.2
    with pytest.raises(BadInput, match="sums/acc is more than one score; there are sums/acc,none, sums/acc,loose"):
        scores.find(two, "sums/acc")
    with pytest.raises(BadInput, match="there is no score acc; there are sums/acc,none"):
        scores.find(two, "acc")
