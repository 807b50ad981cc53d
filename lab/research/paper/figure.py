"""The pictures of a paper: drawn from `training.json` alone, so that whoever has it can draw them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.view import View
from lab.projections.drawing import stairs as drawing
from lab.projections.drawing import svg
from lab.projections.picture import stairs
from lab.projections.picture.given import Given
from lab.projections.tables import Line

if TYPE_CHECKING:
    from lab.research.trained import Trained

STAIRS = "stairs"
NAMES = (STAIRS,)


def drawn(trained: Trained) -> bytes:
    """Every run of a round where it stands, with the best so far as steps. A run that is not believed has no value."""
    lines = [
        Line(
            run_id=made.run_id, outcome="failed" if made.void else made.outcome, tier=trained.tier,
            value=None if made.void else made.value, role="baseline" if made.is_baseline else "",
        )
        for made in trained.made
    ]  # fmt: skip
    view = View(experiment=trained.experiment, direction=trained.direction, tier=trained.tier)
    found = stairs.of(Given(view=view, spec=None, lines=lines), trained.tier)
    found = msgspec.structs.replace(found, metric=trained.metric)
    return svg.render(drawing.draw(found), alone=True, dark=None).encode()
