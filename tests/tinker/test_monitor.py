from __future__ import annotations

import msgspec
import pytest

from lab.core.chunk import Order
from lab.core.tuning import Tuning
from lab.tinker.monitor import Sight, sight
from lab.tinker.rows import Pause, Row, Steps

BEGUN = 1_800_000_000.0
ORDER = Order(
    experiment="e", run_id="RUN-1", tuning=Tuning(call_limit_s=120), first_step=20, steps=10, until=100, number=3
)  # fmt: skip


def after(done: int, *, step_s: float = 4.0) -> Steps:
    return Steps(
        rows=tuple(Row(step=20 + k, step_s=step_s, at=BEGUN + 10 + (k + 1) * step_s) for k in range(done))
    )  # fmt: skip


def seen(steps: Steps, *pauses: Pause, now: float) -> Sight:
    return sight(ORDER, steps, pauses, begun_at=BEGUN, now=BEGUN + now)


def test_before_the_first_row_it_connects_until_an_answer_would_be_late() -> None:
    assert seen(after(0), now=5).state == "connecting"
    late = seen(after(0), now=121)
    assert late.state == "stalled"
    assert "2 min" in late.words


def test_a_chunk_that_trains_tells_its_step_and_when_it_will_be_done() -> None:
    told = seen(after(4), now=27)
    assert (told.state, told.step, told.end, told.until) == ("training", 24, 30, 100)
    assert told.step_s == 4.0
    assert told.left_s == 24.0
    assert "step 24 of 100" in told.words


def test_what_only_measures_an_end_does_no_step_and_is_not_waited_for_as_one() -> None:
    order = msgspec.structs.replace(ORDER, first_step=100, steps=0)
    told = sight(order, Steps(rows=()), (), begun_at=BEGUN, now=BEGUN + 600)
    assert (told.state, told.words) == ("training", "measures the end, for 10 min")


def test_one_slow_step_changes_neither_the_rule_nor_the_estimate() -> None:
    rows = [msgspec.structs.replace(row, step_s=400.0 if row.step == 21 else 4.0) for row in after(5).rows]
    assert seen(Steps(rows=tuple(rows)), now=31).step_s == 4.0


@pytest.mark.parametrize(("step_s", "quiet_s", "state"), [
    (4.0, 59, "training"), (4.0, 61, "stalled"), (60.0, 299, "training"), (60.0, 301, "stalled"),
])  # fmt: skip
def test_it_is_stalled_when_several_steps_would_have_been_done_by_now(step_s: float, quiet_s: int, state: str) -> None:
    last = 10 + 2 * step_s
    told = seen(after(2, step_s=step_s), now=last + quiet_s)
    assert told.state == state
    if state == "stalled":
        assert "are waited" in told.words, "the rule is told with it"


@pytest.mark.parametrize("what", ["billing", "capacity", "rate limit", "errors", "away"])
def test_a_pause_is_told_as_what_it_is_however_long_it_lasts(what: str) -> None:
    told = seen(after(2), Pause(at=BEGUN + 20, what=what), now=5000)
    assert told.state == "paused"
    assert told.pause == what
    assert f"paused: {what}" in told.words


def test_a_pause_before_the_first_step_is_no_connecting() -> None:
    assert seen(after(0), Pause(at=BEGUN + 1, what="billing"), now=600).state == "paused"


def test_a_pause_that_is_over_is_none_even_where_its_end_was_not_written() -> None:
    over = Pause(at=BEGUN + 5, what="billing", over=BEGUN + 9)
    assert seen(after(2), over, now=20).state == "training"
    begun = Pause(at=BEGUN + 5, what="billing")
    assert seen(after(2), begun, now=20).state == "training", "a step that was done later shows that it went on"


def test_after_its_last_step_a_chunk_saves() -> None:
    assert seen(after(10), now=52).state == "saving"
    assert seen(after(10), now=52 + 120).state == "stalled"


def test_rows_of_other_steps_are_none_of_this_chunk() -> None:
    rows = (Row(step=3, step_s=1.0, at=BEGUN), Row(step=77, step_s=1.0, at=BEGUN))
    assert seen(Steps(rows=rows), now=5).state == "connecting"
