"""Every drawing by its name: it is there or it is said why it is not, and it says by itself what it is."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import LabError
from lab.core.origin import Origin
from lab.projections.drawing import named, png, scene, svg, tiles
from tests.projections import subjects
from tests.projections.drawing.staircases import said
from tests.projections.tried import drawn, given

if TYPE_CHECKING:
    from lab.projections.picture.given import Given


def searched(count: int = 40) -> Given:
    """A search of which each run was made from the one before."""
    base = given(drawn(Random(1), count, lambda at: at["a"]))
    lines = [
        msgspec.structs.replace(
            line, tier=subjects.view().tier, origin=Origin(strategy="evolution", parents=(base.lines[n - 1].run_id,))
        )
        for n, line in enumerate(base.lines)
    ]
    return msgspec.structs.replace(base, lines=tuple(lines))


@pytest.mark.parametrize("name", named.NAMES)
def test_each_is_drawn_says_what_it_is_and_becomes_both_kinds_of_file(name: str) -> None:
    found = named.draw(searched(), named.Wish(name=name))
    assert searched().view.experiment in said(found.scene)
    assert svg.render(found.scene, alone=True).startswith("<svg")
    assert png.render(found.scene, scale=1)[:4] == b"\x89PNG"


@pytest.mark.parametrize("name", ["parameters", "slices", "importance", "lineage"])
def test_where_there_is_nothing_to_draw_it_is_said_why(name: str) -> None:
    with pytest.raises(LabError) as refused:
        named.draw(given([(None, 1.0), (None, None)]), named.Wish(name=name))
    assert refused.value.fix


def test_importance_of_too_few_runs_is_refused_with_their_number() -> None:
    with pytest.raises(LabError, match="20"):
        named.draw(searched(10), named.Wish(name="importance"))


def test_another_tier_is_drawn_by_itself() -> None:
    base = searched()
    other = tuple(msgspec.structs.replace(line, tier="other", run_id=f"O{n}") for n, line in enumerate(base.lines[:7]))
    both = msgspec.structs.replace(base, lines=(*base.lines, *other))
    for name in ("stairs", "slices"):
        found = named.draw(both, named.Wish(name=name, tier="other"))
        assert found.sample is not None
        assert found.sample.total == 7
        assert "tier other" in said(found.scene)


def test_scenes_beside_each_other_do_not_overlap_and_keep_their_marks() -> None:
    one = scene.Scene(
        name="one", title="one", told="one.", width=100, height=50, items=(
            scene.Mark(look="keep", at=(10, 10)), scene.Marks(look="keep", at=((20, 20),)),
            scene.Stroke(look="grid", points=((0, 0), (100, 50))), scene.Words(look="label", at=(5, 5), text="here"),
            scene.Box(look="bar", at=(1, 1), width=3, height=3),
        ),
    )  # fmt: skip
    found = tiles.beside([one, one, one], width=210, name="three", title="three")
    assert (found.width, found.height, len(found.items)) == (200, 100, 15)
    assert [item.at for item in found.items if isinstance(item, scene.Mark)] == [(10, 10), (110, 10), (10, 60)]
    headed = tiles.framed(found, "a heading", ["one of two."])
    assert "a heading" in said(headed)
    assert "one of two." in said(headed)
    assert headed.height > found.height
