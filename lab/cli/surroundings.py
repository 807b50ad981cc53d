"""The real world: the clock, chance, the environment, and how a small program is started."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lab.core.world import Done, World

if TYPE_CHECKING:
    from collections.abc import Sequence

_CACHE = "LAB_TRAINING_CACHE"


def the_world() -> World:
    """The world as it is, for a command at a terminal or under cron."""
    return World(now=_now, rng=random.SystemRandom(), run=run_program, environ=_environ())


def _environ() -> dict[str, str]:
    """The variables as they are, but for a folder that is seen from here: each run would see another in its own."""
    environ = dict(os.environ)
    if environ.get(_CACHE):
        environ[_CACHE] = os.path.abspath(os.path.expanduser(environ[_CACHE]))
    return environ


def _now() -> datetime:
    return datetime.now(UTC)


def run_program(argv: Sequence[str], *, given: str = "", limit_s: float = 30.0) -> Done:
    """Start a small program, give it a text, and wait for it. Never raises: what went wrong is in the answer."""
    import subprocess  # 6 ms that most commands do not need

    try:
        done = subprocess.run(
            list(argv),
            input=given.encode(),
            capture_output=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Done(code=None, problem=f"{argv[0]} took longer than {limit_s:g}s")
    except OSError as error:
        return Done(code=None, problem=f"{argv[0]}: {error.strerror}")
    said = done.stderr.decode(errors="replace").strip()
    return Done(code=done.returncode, out=done.stdout.decode(errors="replace"), problem=said)
