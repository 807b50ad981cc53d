"""How many jobs of a class an engine has: `max_in_flight` of engines.yaml.

The class of a job is in its `.job` file, with the whole SPEC. A process reads each of them once: a submission beside a
thousand others must not cost a thousand readings.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.errors import Corrupt
from lab.store import jobs, standing

if TYPE_CHECKING:
    from lab.store.root import Root

# By the folder of claims and the name of the claim: the engine of its job, and its class. They stay what they are.
_KNOWN: dict[str, dict[str, tuple[str, str]]] = {}
_MOST_KNOWN = 65_536


def is_full(root: Root, engine: str, executor_class: str, *, most: int) -> bool:
    """Whether a class has as many jobs at an engine as that. Two that look at once may go one beyond it."""
    left, wanted = most, (engine, executor_class)
    for experiment in standing.experiments(root):
        known = _KNOWN.setdefault(root.layout.claims(experiment), {})
        if len(known) > _MOST_KNOWN:
            known.clear()
        for name in standing.names(root, experiment):
            if name.endswith(layout.CLAIM_SUFFIX) and (known.get(name) or _read(root, experiment, name)) == wanted:
                left -= 1
                if left <= 0:
                    return True
    return False


def _read(root: Root, experiment: str, claim: str) -> tuple[str, str] | None:
    """The engine and the class of the job beside a claim; None where there is none, or it cannot be told."""
    pair = layout.claim_file(claim)
    with suppress(Corrupt):
        job = None if pair is None else jobs.load(root, experiment, pair[0])
        if job is not None:
            found = _KNOWN[root.layout.claims(experiment)][claim] = (job.engine, job.spec.executor_class)
            return found
    return None
