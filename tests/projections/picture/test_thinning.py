"""Which of many are shown."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from lab.projections.picture import thinning

KINDS = st.lists(st.sampled_from(["keep", "discard", "crash"]), max_size=300)


@given(KINDS, st.sets(st.integers(0, 299)), st.integers(0, 60), st.booleans())
def test_never_more_than_the_limit_in_order_and_every_must_that_fits(
    kinds: list[str], must: set[int], limit: int, told: bool
) -> None:
    musts = {place for place in must if place < len(kinds)}
    found = thinning.chosen(len(kinds), must, limit, kinds=kinds if told else ())
    assert len(found) == min(limit, len(kinds))
    assert list(found) == sorted(set(found))
    assert all(0 <= place < len(kinds) for place in found)
    if len(musts) <= limit:
        assert musts <= set(found)
    else:
        assert set(found) <= musts
    assert found == thinning.chosen(len(kinds), sorted(must, reverse=True), limit, kinds=kinds if told else ())


def test_the_rest_is_shown_in_proportion_and_no_kind_is_lost() -> None:
    kinds = ["discard"] * 9_000 + ["crash"] * 990 + ["cancelled"] * 10
    found = Counter(kinds[place] for place in thinning.chosen(10_000, [], 1_000, kinds=kinds))
    assert found == {"discard": 898, "crash": 100, "cancelled": 2}


def test_the_sample_is_even_over_history() -> None:
    found = thinning.chosen(100_000, [0, 99_999], 1_002)
    parts = Counter(place // 10_000 for place in found)
    assert set(parts.values()) <= {100, 101}


def test_musts_that_do_not_fit_keep_their_ends() -> None:
    found = thinning.chosen(1_000, range(1_000), 10)
    assert (found[0], found[-1], len(found)) == (0, 999, 10)


def test_the_rule_says_all_where_all_is_shown_and_what_is_never_left_out_else() -> None:
    assert thinning.rule(7, 7, "every new best") == "all of them"
    assert thinning.rule(7, 9, "every new best") == "every new best; of the rest an even sample of each kind"
