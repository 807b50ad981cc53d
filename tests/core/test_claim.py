"""Whether a claim still binds, decided from what was seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.claim import DEFAULT_TTL_S, RENEW_EVERY_S, Claim, Held, Lost, Owner, Seen, judge


def seen(age_s: float, alive: bool | None, ttl_s: float = 120.0) -> Seen:
    owner = Owner(name="w", host="h", pid=7)
    made = Claim(experiment="a", generation=1, lease_id="a.1", owner=owner, claimed_at="", ttl_s=ttl_s)
    return Seen(claim=made, age_s=age_s, alive=alive)


@pytest.mark.parametrize("age_s", [-1e9, 0.0, 1.0, 1e9])
def test_a_holder_that_is_proven_dead_loses_at_once(age_s: float) -> None:
    assert judge(seen(age_s, alive=False)) == Lost(seen=seen(age_s, alive=False), proof="its process is gone")


@pytest.mark.parametrize("alive", [True, None])
@pytest.mark.parametrize(("age_s", "left_s"), [(0.0, 120.0), (119.5, 0.5), (-1e9, 120.0)])
def test_a_holder_that_renewed_in_time_holds(alive: bool | None, age_s: float, left_s: float) -> None:
    verdict = judge(seen(age_s, alive))
    assert isinstance(verdict, Held)
    assert verdict.left_s == left_s


@pytest.mark.parametrize("alive", [True, None])
@pytest.mark.parametrize("age_s", [120.0, 500.0])
def test_silence_beyond_its_own_time_loses_even_the_living(alive: bool | None, age_s: float) -> None:
    verdict = judge(seen(age_s, alive))
    assert isinstance(verdict, Lost)
    assert verdict.proof == f"not renewed for {age_s:.0f}s (it asked for 120s)"


@given(st.floats(-1e12, 1e12), st.floats(1.0, 1e9), st.sampled_from([True, None]))
def test_a_younger_claim_never_loses_before_an_older_one(age_s: float, ttl_s: float, alive: bool | None) -> None:
    if isinstance(judge(seen(age_s, alive, ttl_s)), Held):
        younger = judge(seen(age_s - 1.0, alive, ttl_s))
        assert isinstance(younger, Held)
        assert 0 < younger.left_s <= ttl_s


def test_a_renewal_may_be_missed_twice_before_the_lease_is_lost() -> None:
    assert DEFAULT_TTL_S > 3 * RENEW_EVERY_S
