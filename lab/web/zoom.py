"""The staircase once more, to zoom into: uPlot, a script of ours, and the data beside it in the page.

Without scripts nothing is lost: the drawing above it stays.
"""

from __future__ import annotations

import math
import string
from typing import TYPE_CHECKING

import msgspec

from lab.projections import data, text
from lab.projections.drawing import axes, flight, runs, signs
from lab.projections.picture import stairs, words
from lab.web import assets, templating

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from markupsafe import Markup

    from lab.projections.picture.stairs import Stairs
    from lab.projections.picture.whole import Picture

_SAYS_CHARS = 80
_PIXELS, _ALL_DIGITS = 5, 17
_DOT = "dot"
_DIGITS = string.digits + string.ascii_lowercase


def script() -> str:
    """Theirs and ours in one: the policy of the page names it by its digest."""
    return f"{assets.read('vendor/uPlot.iife.min.js')}\n{assets.read('static/zoom.js')}"


def element(picture: Picture, code: str) -> Markup:
    """What the page gets at its end."""
    return templating.trusted(
        '<script type="application/json" id="zoom-data">' + _island(picture) + f"</script>\n<script>{code}</script>\n"
    )


def _island(picture: Picture) -> str:
    """The data as JSON that ends no element: a column for each thing, and nothing twice."""
    told = picture.stairs
    spots = told.spots
    used = sorted({spot.kind for spot in spots}, key=list(signs.SIGNS).index)
    short = _digits(told)
    unsure = {step.run_id for step in told.steps if step.within}
    value = {
        "metric": text.line(told.metric, 60) or "value",
        "legend": [
            (entry.look, _DOT if entry.size <= runs.UNSURE_SIZE else entry.shape, entry.text)
            for entry in runs.entries(told)
        ],
        "kinds": [(signs.sign(kind)[0], words.of(kind)) for kind in used],
        "n": _gaps([spot.n for spot in spots]),
        "kind": [used.index(spot.kind) for spot in spots],
        "value": [None if spot.value is None else short(spot.value) for spot in spots],
        "run": _fronted([text.visible(spot.run_id) for spot in spots]),
        "says": _once([text.line(spot.says, _SAYS_CHARS) for spot in spots]),
        "unsure": [place for place, spot in enumerate(spots) if spot.kind == stairs.KEEP and spot.run_id in unsure],
        "unsureWord": words.UNCONFIRMED,
        "steps": [(step.n, short(step.value)) for step in told.steps],
        "held": [(step.n, short(step.value)) for step in flight.held(told)],
        "band": told.band.width if told.band else None,
    }
    found = data.encode(msgspec.to_builtins(value)).decode()
    return found.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digits(told: Stairs) -> Callable[[float], float]:
    """Values as short as they may be: five digits of what the crowd spans are a pixel of a hundredfold zoom."""
    values = axes.finite(spot.value for spot in told.spots)
    best = told.steps[-1].value if told.steps else None
    low, high = axes.widened(*axes.interesting(values, [step.value for step in told.steps], best))
    size = max(abs(low), abs(high))
    digits = min(max(math.ceil(math.log10(size / (high - low))) + _PIXELS, _PIXELS + 1), _ALL_DIGITS)
    return lambda value: float(f"{value:.{digits}g}")


def _gaps(numbers: Sequence[int]) -> list[int]:
    """Each as how far it is from the one before, the first from 0."""
    return [number - before for before, number in zip((0, *numbers), numbers, strict=False)]


def _once(words: Sequence[str]) -> list[str | int]:
    """Each where it is first said; after that the place where it was."""
    first: dict[str, int] = {}
    return [word if (place := first.setdefault(word, here)) == here else place for here, word in enumerate(words)]


def _fronted(names: Sequence[str]) -> list[str]:
    """Each without what it begins and ends with as the one before: two digits say how much that is, then the rest."""
    found, before = [], ""
    for name in names:
        begins = ends = 0
        if name.isascii() and before.isascii():  # a browser counts other letters in another way
            most = min(len(name), len(before), len(_DIGITS) - 1)
            begins = next((at for at in range(most) if name[at] != before[at]), most)
            most = min(len(name) - begins, len(before) - begins, len(_DIGITS) - 1)
            ends = next((at for at in range(most) if name[-1 - at] != before[-1 - at]), most)
        found.append(f"{_DIGITS[begins]}{_DIGITS[ends]}{name[begins : len(name) - ends]}")
        before = name
    return found
