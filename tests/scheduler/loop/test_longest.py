"""How long a candidate may take follows from what its SPEC says of measuring."""

from __future__ import annotations

import msgspec
import pytest

from lab.core.spec import Spec
from lab.scheduler.loop import longest

LOOP = Spec(id="a", executor="reference", confirm_pairs=4, baseline_repeats=3)


@pytest.mark.parametrize(
    ("more", "steps"),
    [
        ({}, 2 + 1 + 3 + (1 + 2 * 7)),  # made, checked, measured; mended once; what it is to beat, and seven pairs
        ({"confirm_pairs": 10}, 2 + 1 + 3 + (1 + 2 * 13)),
        ({"acceptance_rule": "improve"}, 2 + 1 + 3 + 1),
        ({"acceptance_rule": "improve", "baseline_repeats": 20}, 1 + 1 + 20),
        ({"setup_command": "make"}, 2 + 1 + 3 + (1 + 2 * 7) + 4),
        ({"holdout_command": "./hidden"}, 2 + 1 + 3 + (1 + 2 * 7) + 1),
        ({"max_parallel": 4}, 2 + 1 + 3 + 2 * (1 + 2 * 7)),
    ],
)
def test_each_step_that_a_candidate_may_take_is_counted(more: dict[str, object], steps: int) -> None:
    assert longest.steps_of(msgspec.structs.replace(LOOP, **more)) == steps
