"""What a phase needs whoever else does it, an agent or a command: its program, and what the lab asks of the study."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.llm.agents import running
from lab.research.project import IDEATION, IMPLEMENTATION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.research.worker import Lack, Place


def lacks(place: Place) -> Iterator[Lack]:
    """What is wrong with the study, as the phase sees it."""
    if place.phase.name == IDEATION:
        from lab.research.phases import ideation  # noqa: PLC0415  # only for that phase

        yield from ideation.lacking(place)
    if place.phase.name == IMPLEMENTATION:
        from lab.research.phases import implementation  # noqa: PLC0415  # the same

        yield from implementation.lacking(place, by_others=True)


def is_there(place: Place, program: str) -> bool:
    """Whether a run could start it: at its place, or on PATH."""
    if os.path.isabs(program):
        return os.access(program, os.X_OK)
    return bool(running.on_path(program, place.root.world.environ.get("PATH", "")))
