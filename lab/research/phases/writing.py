"""The phase writing: the paper, every number of it computed from sealed runs. The built-in uses the lab's template.

An agent hands in only the source, `paper.md.j2`: `make` renders and judges it as it does ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.research.paper import making

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab.research.worker import Lack, Place, Task


class Writing:
    def lacks(self, place: Place) -> Iterable[Lack]:
        """Nothing: the template comes with labctl."""
        del place
        return ()

    def work(self, task: Task) -> Mapping[str, float]:
        """Render the lab's own template."""
        return make(task)


def make(task: Task, source: bytes | None = None) -> Mapping[str, float]:
    """Write paper.md and all that goes with it into the outputs, from this source or the lab's own template.

    `BadInput` names every line of the source that says a number which no run stands for.
    """
    return making.make(task, source)
