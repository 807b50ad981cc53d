"""What a picture is made from, built from runs, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.run import Run
from lab.projections import tables
from lab.projections.picture.given import Given
from tests.projections import subjects as make

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.spec import Spec


def given(
    happened: Sequence[object], *, spec: Spec | None = None, params: Sequence[dict[str, object] | None] = (),
    tier: str = "default", **more: object,
) -> Given:  # fmt: skip
    """Of runs and events, as their pages would tell them; `params` are those of the runs, in their order."""
    runs = [each for each in happened if isinstance(each, Run)]
    told = [*params, *([None] * (len(runs) - len(params)))]
    lines = tuple(
        tables.parse_line(tables.metrics_line(run, {}, point), "here") for run, point in zip(runs, told, strict=True)
    )
    made = Given(view=make.view(happened, tier=tier), spec=spec or make.spec(), lines=lines)
    return msgspec.structs.replace(made, **more)
