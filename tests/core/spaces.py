"""Any space, for tests that say what holds in all of them."""

from __future__ import annotations

from hypothesis import assume
from hypothesis import strategies as st

from lab.core.errors import BadInput
from lab.core.space import Space, parse

ENDS = st.floats(-1e6, 1e6) | st.integers(-1000, 1000) | st.sampled_from((0.0, 1e-300, 1e300, -1e300, 5e-324, 0.1, 3))
POSITIVE = st.floats(1e-9, 1e9) | st.sampled_from((5e-324, 1e-300, 1.0, 1e10, 1e300, 1.7e308))
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.sampled_from(("a", "b", "c d", ""))


@st.composite
def floats(draw: st.DrawFn) -> dict[str, object]:
    log = draw(st.booleans())
    ends = POSITIVE if log else ENDS
    low, high = sorted((float(draw(ends)), float(draw(ends))))
    written: dict[str, object] = {"low": low, "high": high, "log": log}
    if draw(st.booleans()) and high > low:
        written["step"] = (high - low) / draw(st.floats(1, 1e5) | st.integers(1, 50))
    return written


@st.composite
def integers(draw: st.DrawFn) -> dict[str, object]:
    log = draw(st.booleans())
    ends = st.integers(1 if log else -50, 50) | st.sampled_from((1, 10**6, 2**53))
    low, high = sorted((draw(ends), draw(ends)))
    written: dict[str, object] = {"low": low, "high": high, "log": log, "type": "int"}
    if draw(st.booleans()) and high > low:
        written["step"] = draw(st.integers(1, high - low))
    return written


def choices() -> st.SearchStrategy[dict[str, object]]:
    return st.lists(SCALARS, min_size=1, max_size=5).map(lambda values: {"choices": values})


PARAMETERS = (
    floats()
    | integers()
    | choices()
    | st.just({"type": "bool"})
    | SCALARS.map(lambda value: {"value": value})
)  # fmt: skip


@st.composite
def spaces(draw: st.DrawFn, *, most: int = 5) -> Space:
    """A space with conditions, some of them on parameters that are conditional themselves, and with defaults."""
    from lab.core import assignment, scale
    from lab.core.trial import luck

    written: dict[str, dict[str, object]] = {}
    for number in range(draw(st.integers(1, most))):
        own = dict(draw(PARAMETERS))
        is_conditional = draw(st.booleans())
        if written and is_conditional:
            parent = draw(st.sampled_from(sorted(written)))
            (of_parent,) = parsed({parent: {**written[parent], "when": None}}).parameters
            own["when"] = {parent: [scale.from_unit(of_parent, draw(st.floats(0, 1))) for _ in range(2)][:1]}
        if draw(st.booleans()):
            (alone,) = parsed({"x": {**own, "when": None}}).parameters
            own["default"] = assignment.draw(Space(parameters=(alone,)), luck(0, number))["x"]
        written[f"p{number}"] = own
    return parsed(written)


def parsed(written: dict[str, dict[str, object]]) -> Space:
    """The space, unless these numbers make none: a range too wide, a choice that is there twice."""
    try:
        return parse(written)
    except BadInput:
        assume(False)
        raise
