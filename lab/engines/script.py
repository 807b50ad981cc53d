"""The text of shell that becomes a body, whichever engine starts it. Any POSIX shell reads it; `setup` is for bash."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from lab.core.job import NOT_HERE

if TYPE_CHECKING:
    from lab.engines.door import Placement

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def lines(job: Placement) -> list[str]:
    """Its last line is the body: a signal of the engine reaches it, and its exit code is the job's."""
    return [
        # The engine opens no file of the lab: one that it cannot open ends a job without a word to tell it apart by.
        f"if ! cd -- {shlex.quote(job.root)}; then",
        f"  echo {shlex.quote(f'the data root {job.root} is not to be seen from here')} >&2",
        f"  exit {NOT_HERE}",
        "fi",
        # In a shell of its own: an output that cannot be opened must not end this one.
        f"( umask 077; : >>{shlex.quote(job.output)} ) 2>/dev/null && exec >>{shlex.quote(job.output)} 2>&1",
        *(f"export {name}={shlex.quote(value)}" for name, value in job.environ.items() if _NAME.fullmatch(name)),
        *job.wants.setup,
        f"cd -- {shlex.quote(job.cwd)} || exit {NOT_HERE}",
        f"exec {shlex.join(job.argv)}",
    ]
