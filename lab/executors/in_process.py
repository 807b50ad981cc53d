"""The executor of runs whose program is whoever asks for them: `lab.Lab()[ID].trial()`. It starts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.ended import Ended
from lab.core.errors import BadInput
from lab.core.run import FAILED
from lab.executors import outcome

if TYPE_CHECKING:
    from lab.core.launch import Exit, Foreseen, Launch, Program
    from lab.core.manifest import Manifest

NOBODY_TOLD = "it ended before its program told what came of it"


class InProcess:
    def require(self, foreseen: Foreseen) -> None:
        """Refuse whoever would start something: a run without its program would be sealed as one that failed."""
        name = foreseen.spec.id
        what = f"a Python program makes the runs of {name}, so nothing can be started here"
        raise BadInput(what, fix=f"in that program: with lab.Lab()[{name!r}].trial() as trial: ...")

    def prepare(self, launch: Launch) -> Program | None:
        """Nothing is ever started."""
        self.require(launch.foreseen)
        return None

    def read(self, path: str, manifest: Manifest, ended: Exit) -> Ended:  # noqa: ARG002  # the door's signature
        """A failure: what came of such a run is told by its program, and nothing in the folder says it."""
        how, why = outcome.trouble(manifest, ended)
        return Ended(outcome=how or FAILED, reason=why or NOBODY_TOLD, wall_s=ended.wall_s, usage=ended.usage)
