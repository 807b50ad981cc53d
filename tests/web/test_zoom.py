"""The data beside the staircase to zoom into: all of it can be read again, and nothing is in it twice."""

from __future__ import annotations

import json
import re

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lab.projections.picture.stairs import Spot
from lab.web import zoom
from tests.web.pictures import a_picture, run_id


def island(spots: tuple[Spot, ...]) -> dict[str, list[object]]:
    picture = a_picture(0)
    stairs = msgspec.structs.replace(picture.stairs, spots=spots)
    found = re.search(
        r'id="zoom-data">(.*?)</script>', zoom.element(msgspec.structs.replace(picture, stairs=stairs), "")
    )
    assert found is not None
    told = json.loads(found[1])
    assert isinstance(told, dict)
    return told


def read(told: dict[str, list[object]]) -> list[tuple[int, str, str]]:
    """As the script reads it."""
    name, n, found = "", 0, []
    for gap, coded, says in zip(told["n"], told["run"], told["says"], strict=True):
        assert isinstance(gap, int)
        assert isinstance(coded, str)
        begins, ends = int(coded[0], 36), int(coded[1], 36)
        name = name[:begins] + coded[2:] + name[len(name) - ends :]
        n += gap
        found.append((n, name, str(told["says"][says] if isinstance(says, int) else says)))
    return found


@given(
    st.lists(
        st.tuples(
            st.integers(1, 9),
            st.from_regex(r"RUN-2026[01]{2}-[0-2]{6}-[a-c]{1,60}", fullmatch=True) | st.text("aé🙂", max_size=50),
            st.sampled_from(["", "perturb", "evenly spread", "0", "<b>"]),
        ),
        max_size=12,
    )
)
def test_whatever_the_runs_are_called_they_are_read_as_they_were(runs: list[tuple[int, str, str]]) -> None:
    n, spots = 0, []
    for gap, name, says in runs:
        n += gap
        spots.append(Spot(n=n, run_id=name, kind="discard", value=0.5, says=says))
    assert read(island(tuple(spots))) == [(spot.n, spot.run_id, spot.says) for spot in spots]


def test_a_thousand_runs_are_a_few_bytes_each_and_their_values_can_be_told_apart() -> None:
    values = [0.25 + n * 1e-6 / 7 for n in range(1, 1_001)]
    spots = tuple(
        Spot(n=n, run_id=run_id(n), kind="discard", value=value, says="evenly spread")
        for n, value in enumerate(values, 1)
    )
    told = island(spots)
    assert len(json.dumps(told)) < 40_000
    kept = told["value"]
    assert all(isinstance(value, float) for value in kept)
    assert len(set(map(str, kept))) == 1_000
