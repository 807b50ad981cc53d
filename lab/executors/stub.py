"""The executor that starts nothing: to see a lab turn before there is anything to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.ended import Ended
from lab.core.run import SUCCESS
from lab.executors import outcome

if TYPE_CHECKING:
    from lab.core.launch import Exit, Launch, Program
    from lab.core.manifest import Manifest

VALUE = 0.0
NOTE = "stub: nothing was started, and the value means nothing"


class Stub:
    def prepare(self, launch: Launch) -> Program | None:  # noqa: ARG002  # the door's signature
        """Nothing to start, whatever the launch says."""
        return None

    def read(self, path: str, manifest: Manifest, ended: Exit) -> Ended:  # noqa: ARG002  # the door's signature
        """Success with a value that means nothing; what lies in the folder is not looked at."""
        how, why = outcome.trouble(manifest, ended)
        if how:
            return Ended(outcome=how, reason=why, wall_s=ended.wall_s, usage=ended.usage)
        result = f"# {manifest.run_id}\n\nOutcome: {SUCCESS}\n{manifest.metric or 'value'}: {VALUE!r}\n\n{NOTE}.\n"
        return Ended(outcome=SUCCESS, value=VALUE, note=NOTE, result=result, wall_s=ended.wall_s, usage=ended.usage)
