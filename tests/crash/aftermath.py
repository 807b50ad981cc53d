"""After a crash: look, let the next person go on, look, recover, look."""

from __future__ import annotations

import os
import time

from tests.crash import invariants
from tests.crash.forks import child
from tests.crash.known import unknown

BAD_INPUT = 2


# What samples are drawn with; printed with every failure, so that it can be drawn again.
SEED = int(os.environ.get("LABCTL_SWEEP_SEED") or time.time_ns() % 1_000_000)


def problems(path: str, said: list[str], after: tuple[str, ...], begun: list[str] | None = None) -> list[str]:
    """What is wrong right after the crash, after the next commands of other processes, and after `recover`.

    `begun` are runs that may be damaged before anybody goes on.
    """
    wrong = [each for each in invariants.after_crash(path, said) if not any(run in each for run in begun or ())]
    for step in after:
        code, lines, complaint = child(path, step)
        made_before = step.startswith("create") and code == BAD_INPUT
        if code and not made_before:
            wrong.append(f"WEDGED: {step} ended with {code}: {complaint}")
        said = [*said, *lines]
    wrong += invariants.after_next(path, said)
    invariants.age_drafts(path)
    code, _, complaint = child(path, "recover")
    if code:
        wrong.append(f"recover ended with {code}: {complaint}")
    return unknown(wrong + invariants.after_recover(path, said))
