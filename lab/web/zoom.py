"""The staircase once more, to zoom into: uPlot, a script of ours, and the data beside it in the page.

Without scripts nothing is lost: the drawing above it stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.projections import data, text
from lab.projections.drawing import flight
from lab.web import assets, templating

if TYPE_CHECKING:
    from markupsafe import Markup

    from lab.projections.picture.whole import Picture

_SAYS_CHARS = 120


def script() -> str:
    """Theirs and ours in one: the policy of the page names it by its digest."""
    return f"{assets.read('vendor/uPlot.iife.min.js')}\n{assets.read('static/zoom.js')}"


def element(picture: Picture, code: str) -> Markup:
    """What the page gets at its end."""
    return templating.trusted(
        '<script type="application/json" id="zoom-data">' + _island(picture) + f"</script>\n<script>{code}</script>\n"
    )


def _island(picture: Picture) -> str:
    """The data as JSON that ends no element."""
    told = picture.stairs
    steps = {step.n: step.value for step in told.steps}
    value = {
        "metric": text.line(told.metric, 60) or "value",
        "spots": [
            [spot.n, spot.kind, spot.value, text.visible(spot.run_id), text.line(spot.says, _SAYS_CHARS)]
            for spot in told.spots
        ],
        "steps": sorted(steps.items()),
        "held": [(step.n, step.value) for step in flight.held(told)],
        "band": told.band.width if told.band else None,
    }
    found = data.encode(msgspec.to_builtins(value)).decode()
    return found.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
