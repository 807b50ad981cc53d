"""Jobs on disk: beside the claim of its run, `.job` says what an engine was asked, `.started` who was let in.

`.seen` says how the last look found it, `.out` is what its body printed.

They go with the claim when the run is settled (`leases`).
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.errors import Corrupt
from lab.core.job import SUSPENDED, Job, Sight, Start
from lab.core.record import encode, parse
from lab.store import reading

if TYPE_CHECKING:
    from lab.store.root import Root


_PRINTED_KEPT, _PRINTED_BYTES = 5, 65_536


def begun(root: Root, job: Job) -> None:
    """A job that nobody was asked for yet. Not durable: a power cut that takes it takes the claim too, mostly."""
    root.files.create(_job(root, job.experiment, job.generation), encode(job), durable=False)


def write(root: Root, job: Job, *, durable: bool = True) -> None:
    """Say what is known of it now. Durable: an engine that has a job which nobody knows of runs it for nobody."""
    root.files.replace(_job(root, job.experiment, job.generation), encode(job), durable=durable)


def load(root: Root, experiment: str, generation: int) -> Job | None:
    """The job of a claim; None where none was written. `Corrupt`."""
    path = _job(root, experiment, generation)
    data = reading.read(path)
    return None if data is None else parse(Job, data, path)


def begin(root: Root, experiment: str, generation: int, start: Start) -> bool:
    """Be the one body of a job. False for every other one: engines start jobs twice."""
    try:
        root.files.create(_started(root, experiment, generation), encode(start))
    except FileExistsError:
        return False
    return True


def started(root: Root, experiment: str, generation: int) -> Start | None:
    """The body that was let in, if there is one. `Corrupt`."""
    path = _started(root, experiment, generation)
    data = reading.read(path)
    return None if data is None else parse(Start, data, path)


def saw(root: Root, experiment: str, generation: int, sight: Sight) -> None:
    """Say how a look found it, where that is something new."""
    root.files.replace(_seen(root, experiment, generation), encode(sight))


def forget_sight(root: Root, experiment: str, generation: int) -> None:
    """What was seen is so no more: its engine has taken it."""
    root.files.discard(_seen(root, experiment, generation))


def seen_at_s(root: Root, experiment: str, generation: int) -> float:
    """When that was, by the file server's clock."""
    return _moment(_seen(root, experiment, generation))


def sight(root: Root, experiment: str, generation: int) -> Sight | None:
    """How the last look found it; None where nobody looked, or where that cannot be read."""
    path = _seen(root, experiment, generation)
    data = reading.read(path)
    try:
        return None if data is None else parse(Sight, data, path)
    except Corrupt:  # it is for people only, and never synced
        return None


def looked(root: Root, experiment: str, generation: int, *, every_s: float, now_s: float) -> None:
    """Note that its engine has it, by the file server's clock `now_s`."""
    path = _seen(root, experiment, generation)
    with suppress(FileNotFoundError):
        if now_s - os.stat(path).st_mtime >= every_s:
            root.files.touch(path)


def heard(root: Root, experiment: str, generation: int, *, started: bool) -> tuple[float, bool]:
    """When somebody was last heard of: the body, or who submitted it or found it waiting. By the file server's clock.

    A body that its engine has stopped for a while cannot be heard: a look that found it so speaks for it, and this
    tells too whether there was one since.
    """
    claim, seen_s = _moment(root.layout.claim(experiment, generation)), _moment(_seen(root, experiment, generation))
    if not started:
        return max(claim, seen_s, _moment(_job(root, experiment, generation))), False
    heard_s = max(claim, _moment(_started(root, experiment, generation)))
    if seen_s > heard_s:  # it is not read at each look
        last = sight(root, experiment, generation)
        if last is not None and last.why == SUSPENDED:
            return seen_s, True
    return heard_s, False


def goes_on(root: Root, experiment: str, generation: int) -> None:
    """A look speaks once for a body that its engine let go on: it has had no time yet to renew its claim."""
    with suppress(FileNotFoundError):
        root.files.touch(_started(root, experiment, generation))


def _moment(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except FileNotFoundError:
        return 0.0


def output(root: Root, experiment: str, generation: int) -> str:
    """Where the body prints to. Beside the claim: a bundle must not change once it is sealed."""
    return root.layout.claim(experiment, generation, layout.OUTPUT_SUFFIX)


def keep_printed(root: Root, experiment: str, generation: int) -> None:
    """Keep what a job printed whose run its body did not seal: it may say why, and the claim is about to go.

    Beside the claims and for its owner alone, in no bundle and no page: lines of `setup` may print a secret, and no
    machine but the job's knows its value. The last few of each experiment are kept.
    """
    source, path = output(root, experiment, generation), printed(root, experiment, generation)
    try:
        with open(source, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _PRINTED_BYTES))
            data = file.read(_PRINTED_BYTES)
    except PermissionError:  # another user's, who alone may read it: it stays theirs
        root.files.move(source, path)
    except OSError:  # there is none
        return
    else:
        if not data:
            return
        root.files.discard(path)
        root.files.create(path, data, durable=False, mode=0o600)
    folder = root.layout.claims(experiment)
    found = sorted(name for name in os.listdir(folder) if name.endswith(layout.PRINTED_SUFFIX))
    for name in found[:-_PRINTED_KEPT]:
        root.files.discard(f"{folder}/{name}")


def printed(root: Root, experiment: str, generation: int) -> str:
    """Where that lies."""
    return root.layout.claim(experiment, generation, layout.PRINTED_SUFFIX)


def forget(root: Root, experiment: str, generation: int) -> None:
    """Remove what a body printed whose claim is gone. Nobody else would, and nobody reads it."""
    if not os.path.lexists(root.layout.claim(experiment, generation)):
        root.files.discard(output(root, experiment, generation))


def _job(root: Root, experiment: str, generation: int) -> str:
    return root.layout.claim(experiment, generation, layout.JOB_SUFFIX)


def _seen(root: Root, experiment: str, generation: int) -> str:
    return root.layout.claim(experiment, generation, layout.SEEN_SUFFIX)


def _started(root: Root, experiment: str, generation: int) -> str:
    return root.layout.claim(experiment, generation, layout.STARTED_SUFFIX)
