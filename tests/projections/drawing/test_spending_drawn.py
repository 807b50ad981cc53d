"""The drawing of the cost: a row for each thing that is known of, and no bar for what is not."""

from __future__ import annotations

import msgspec
import pytest

from lab.projections.drawing import spending as drawing
from lab.projections.drawing.scene import Box, Scene
from lab.projections.picture.spending import Improvement, Spending, Took
from tests.projections import framed
from tests.projections.subjects import HOSTILE


def spent(count: int, *, tokens: int | None = None, usd: float | None = None, hours: float = 0.5) -> Spending:
    def took(share: int) -> Took:
        known = None if tokens is None or share % 3 == 1 else tokens * share
        return Took(runs=share + 1, hours=hours * share, tokens=known, usd=usd)

    improvements = tuple(
        Improvement(
            n=7 * at + 2,
            run_id=f"RUN-{at}",
            value=1 / (at + 1),
            took=took(at),
            changed=HOSTILE,
            unsure="within noise" if at % 4 == 3 else "",
        )
        for at in range(count)
    )
    return Spending(
        total=Took(runs=900, hours=hours * 99, tokens=tokens, usd=usd), improvements=improvements, since=took(2),
        wasted=Took(runs=3, hours=hours), remarks=("no run said what it cost",),
    )  # fmt: skip


def boxes(scene: Scene) -> list[Box]:
    return [item for item in scene.items if isinstance(item, Box) and item.says]


@pytest.mark.parametrize("width", [1, 400, 960])
@pytest.mark.parametrize(
    "given",
    [
        spent(0), spent(1), spent(12, tokens=40_000, usd=0.03), spent(60, usd=1e300), spent(900, tokens=10**400),
        spent(5, hours=1e-6), spent(5, hours=1e300), spent(5, hours=0, tokens=0, usd=0.0),
        Spending(total=Took(), improvements=(), since=Took(), wasted=Took()),
    ],
)  # fmt: skip
def test_all_of_it_is_inside_and_nothing_collides(given: Spending, width: float) -> None:
    framed.holds(drawing.draw(given, width=width))


def test_each_improvement_has_a_bar_in_every_row_that_is_known_of() -> None:
    scene = drawing.draw(spent(12, tokens=40_000, usd=0.03), href=lambda run_id: f"#{run_id}")

    links = [box.href for box in boxes(scene)]
    assert links.count("#RUN-2") == 3
    assert links.count("#RUN-4") == 2  # nobody knows its tokens
    assert sum(each.text == "?" for each in framed.words(scene)) == 4
    assert {"hours", "tokens", "USD"} <= {each.text.partition(":")[0] for each in framed.words(scene)}


def test_a_bar_is_as_high_as_what_was_taken() -> None:
    high = [box.height for box in boxes(drawing.draw(spent(5)))]

    assert high[1] == pytest.approx(2 * high[0])
    assert high[-1] == pytest.approx(2 * high[0])


def test_small_amounts_are_told_in_small_units() -> None:
    assert framed.said(drawing.draw(spent(5, hours=1 / 3_600))).startswith("seconds: 99 in all")


def test_of_too_many_improvements_the_last_are_drawn_and_it_says_so() -> None:
    scene = drawing.draw(spent(900))

    assert len(boxes(scene)) == drawing.MOST + 1
    assert "Shown are the last 180 of 900 improvements." in framed.said(scene)


def test_nothing_taken_is_told_in_words() -> None:
    nothing = Spending(total=Took(), improvements=(), since=Took(), wasted=Took())

    assert framed.said(drawing.draw(nothing)) == "Nothing was taken yet."


@pytest.mark.parametrize("count", [3, 40, 170])
@pytest.mark.parametrize("hours", [0.5, 3e-4, 7.0])
def test_there_is_always_a_scale_and_the_dearest_is_named_with_what_it_took(count: int, hours: float) -> None:
    base = spent(count, hours=hours)
    dear = msgspec.structs.replace(base.improvements[count // 2], took=Took(runs=9, hours=hours * 400))
    improvements = (*base.improvements[: count // 2], dear, *base.improvements[count // 2 + 1 :])
    scene = drawing.draw(msgspec.structs.replace(base, improvements=improvements))

    framed.holds(scene)
    ticks = [each.text for each in framed.words(scene) if each.look == "tick" and each.anchor == "end"]
    assert len(ticks) > 1
    box = max(boxes(scene), key=lambda box: box.height)
    told = [each.text for each in framed.words(scene) if each.look == "muted" and -4 < each.at[1] - box.at[1] < 0]
    amount = box.says.split(" ", 1)[0]
    assert any(amount in each for each in told)
    name = f"run {dear.n}"
    assert any(name in each.text for each in framed.words(scene))
