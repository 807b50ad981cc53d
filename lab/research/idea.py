"""A file of `ideas/`: what is expected before anything has run, and what would prove it wrong.

Its digest is in the ledger before the first run that it is about, so nobody can have expected afterwards.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lab.core import spec_text
from lab.research import converted

FOLDER = "ideas/"
LEAST = "`hypothesis:`, `predicted_gain:` and `kill:`"
SUMMARY = "data/summary.json"  # what was seen of the data, where the user gave some
Number = Annotated[float, Meta(ge=-1e300, le=1e300)]  # a finite one


class Kill(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The idea is given up where, after so many runs, the gain over the baseline is below `gain_below`."""

    gain_below: Number = 0.0
    after_runs: Annotated[int, Meta(ge=1)] = 8


class Idea(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What somebody expects, and why.

    `predicted_gain` is how much better than the baseline the metric will be, in the metric's own unit and counted in
    the direction that is better: above 0. `space` are the parameters it moves, as a search_space writes them; none: all
    of the study's.
    """

    name: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,47}$")]
    hypothesis: Annotated[str, Meta(min_length=1, max_length=4000)]
    metric: Annotated[str, Meta(min_length=1)]
    direction: Literal["minimize", "maximize"]
    predicted_gain: Annotated[float, Meta(gt=0, le=1e300)]
    kill: Kill
    space: dict[str, object] = {}
    why: str = ""
    sources: tuple[str, ...] = ()  # keys of sources that it rests on
    by: str = ""  # user, template, or the agent


def parse(data: bytes, where: str) -> Idea:
    mapping, lines = spec_text.parse_text(data, where, least=LEAST)
    return converted.record(mapping, Idea, lines, where, mend)


def mend(path: spec_text.Path, what: str) -> str:  # noqa: ARG001  # as all are asked
    """What would be right."""
    if path[:1] == ("direction",):
        return "direction: minimize, or direction: maximize"
    return f"an idea has {', '.join(Idea.__struct_fields__)}"
