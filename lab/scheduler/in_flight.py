"""How many jobs of a class an engine has: `max_in_flight` of engines.yaml.

The class of a job is in its `.job` file, with the whole SPEC. A process reads each of them once: a submission beside a
thousand others must not cost a thousand readings.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.errors import Corrupt
from lab.store import jobs, standing

if TYPE_CHECKING:
    from lab.store.root import Root

# By the claim of a job: its engine and its class. They stay what they are.
_KNOWN: dict[str, tuple[str, str]] = {}
_MOST_KNOWN = 65_536


def is_full(root: Root, engine: str, executor_class: str, *, most: int) -> bool:
    """Whether a class has as many jobs at an engine as that. Two that look at once may go one beyond it."""
    left = most
    for experiment in _experiments(root):
        names = standing.names(root, experiment)
        claims = {name for name in names if name.endswith(layout.CLAIM_SUFFIX)}
        for name in names:
            if not name.endswith(layout.JOB_SUFFIX):
                continue
            claim = f"{name.removesuffix(layout.JOB_SUFFIX)}{layout.CLAIM_SUFFIX}"
            if claim in claims and _of(root, experiment, claim) == (engine, executor_class):
                left -= 1
                if left <= 0:
                    return True
    return False


def _experiments(root: Root) -> list[str]:
    try:
        with os.scandir(root.layout.locks) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _of(root: Root, experiment: str, claim: str) -> tuple[str, str]:
    """The engine and the class of the job beside a claim; empty where it cannot be told."""
    path = f"{root.layout.claims(experiment)}/{claim}"
    if path in _KNOWN:
        return _KNOWN[path]
    pair = layout.claim_file(claim)
    if pair is not None:
        with suppress(Corrupt):
            job = jobs.load(root, experiment, pair[0])
            if job is not None:
                if len(_KNOWN) >= _MOST_KNOWN:
                    _KNOWN.clear()
                _KNOWN[path] = (job.engine, job.spec.executor_class)
                return _KNOWN[path]
    return "", ""
