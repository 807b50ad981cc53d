"""The drawing of a lineage: everybody is on it, the best stands out, and words stay inside and apart."""

from __future__ import annotations

import msgspec
import pytest

from lab.core.origin import Origin
from lab.projections.drawing import lineage as drawing
from lab.projections.drawing.scene import CROSS, Mark, Marks, Scene, Stroke, Words
from lab.projections.picture import lineage
from lab.projections.picture.lineage import Lineage, Person
from lab.projections.picture.stairs import KEEP, Sample
from lab.projections.tables import Line, Ran
from tests.projections import framed
from tests.projections.kin import evolved, given, line, looped, named
from tests.projections.subjects import HOSTILE


def seen(lines: list[Line], **more: float) -> tuple[Lineage, Scene]:
    found = lineage.of(given(lines))
    assert found is not None
    return found, drawing.draw(found, href=lambda run_id: f"#{run_id}", **more)


def drawn(scene: Scene) -> int:
    """How many runs there are on it; the signs of the legend are above their words."""
    legend = sum(item.size == 4.0 and not item.says for item in scene.items if isinstance(item, Mark))
    single = sum(isinstance(item, Mark) for item in scene.items) - legend
    return single + sum(len(item.at) for item in scene.items if isinstance(item, Marks))


@pytest.mark.parametrize("width", [1, 400, 960])
@pytest.mark.parametrize(
    "lines", [evolved(300), evolved(60), looped(12), looped(120), looped(3_000), looped(2_000, kept=0.9)]
)  # fmt: skip
def test_everybody_is_on_it_and_nothing_collides(lines: list[Line], width: float) -> None:
    found, scene = seen(lines, width=width)

    framed.holds(scene)
    assert drawn(scene) == len(found.people)
    assert scene.height <= drawing.HIGHEST
    assert len(scene.items) < 1_500


def test_the_best_stands_out_and_leads_to_its_page() -> None:
    found, scene = seen(looped(120))
    best = next(person.run_id for person in reversed(found.people) if person.on_path)

    marks = [item for item in scene.items if isinstance(item, Mark) and item.look == "best"]

    assert [(mark.href, mark.says.split(", ")[1]) for mark in marks] == [(f"#{best}", best)]
    assert max(item.size for item in scene.items if isinstance(item, Mark)) == marks[0].size
    assert [word.bold for word in framed.words(scene) if word.text.startswith("+")].count(True) == 1


def test_a_crash_is_a_cross() -> None:
    _, scene = seen([line(1, 1.0), line(2, None, [named(1)])])

    assert [mark.shape for mark in scene.items if isinstance(mark, Mark) and mark.says and mark.look == "crash"] == [
        CROSS
    ]


def test_a_gain_and_what_was_tried_are_told_of_those_on_the_way() -> None:
    ran = Ran(said="halve the batch")
    _, scene = seen([line(1, 1.0), line(2, 0.75, [named(1)], ran=ran), line(3, 2.0, [named(1)])])

    assert "+0.25 halve the batch" in framed.said(scene)
    told = [mark.says for mark in framed.marks(scene) if mark.says]
    assert any("better by 0.25" in each for each in told)
    assert any("worse by 1" in each for each in told)


def test_the_number_of_a_run_of_another_tier_says_of_which() -> None:
    _, scene = seen([line(1, 1.0), line(2, 0.75, [named(1)]), line(3, 0.5, [named(2)], tier="final")])

    told = framed.said(scene)
    assert "run 1, final" in told
    assert any(mark.says.startswith("run 1, final, RUN-") for mark in framed.marks(scene))


def test_a_skipped_generation_is_dashed_and_said() -> None:
    _, scene = seen(looped(2_000, kept=0.9))

    assert any(isinstance(item, Stroke) and item.dashed and item.look == "stair" for item in scene.items)
    assert "generations in between are not shown" in framed.said(scene)


def test_the_legend_counts_all_that_have_kin_and_how_many_are_shown_is_said() -> None:
    found, scene = seen(looped(2_000, kept=0.2))

    told = framed.said(scene)
    assert f"Shown are {len(found.people)} of 2,000 runs that have kin: the way to the best" in told
    assert "not to scale" in told
    assert f"keep {found.counts['keep']:,}" in told
    assert "not to scale" not in framed.said(seen(looped(50))[1])


def test_hostile_words_are_clean_and_inside() -> None:
    hostile = Origin(strategy=HOSTILE, parents=(named(1),), note=HOSTILE)
    _, scene = seen([line(1, 1.0, ran=Ran(said=HOSTILE)), line(2, 0.5, origin=hostile)])

    framed.holds(scene)


def test_one_alone_nobody_and_a_damaged_forest_can_be_drawn() -> None:
    people = (
        Person(run_id="a", kind=KEEP, parent="b", on_path=True), Person(run_id="b", kind="strange", parent="b"),
        Person(run_id="c", kind=KEEP, parent="a", others=("a", "nobody"), delta=-0.0),
    )  # fmt: skip
    for some in ((), people[:1], people):
        scene = drawing.draw(Lineage(people=some, sample=Sample(shown=len(some), total=9)))
        framed.holds(scene)
        assert drawn(scene) == len(some)
        assert any(isinstance(item, Words) for item in scene.items)


def test_the_same_lineage_is_the_same_scene() -> None:
    found, scene = seen(evolved(100))

    assert drawing.draw(msgspec.structs.replace(found), href=lambda run_id: f"#{run_id}") == scene
