"""Jobs on disk: beside the claim of its run, `.job` says what an engine was asked, `.started` who was let in.

They go with the claim when the run is settled (`leases`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.job import Job, Start
from lab.core.record import encode, parse
from lab.store import reading

if TYPE_CHECKING:
    from lab.store.root import Root


def write(root: Root, job: Job) -> None:
    """Say what is known of it now. Durable: an engine that has a job which nobody knows of runs it for nobody."""
    root.files.replace(_job(root, job.experiment, job.generation), encode(job), durable=True)


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


def output(root: Root, experiment: str, generation: int) -> str:
    """Where the body prints to. Beside the claim: a bundle must not change once it is sealed."""
    return root.layout.claim(experiment, generation, layout.OUTPUT_SUFFIX)


def said(root: Root, experiment: str, generation: int, *, most: int = 2_000) -> str:
    """The end of what the body printed: where it could not tell the lab what was wrong, it stands there."""
    path = output(root, experiment, generation)
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - most))
            return file.read(most).decode(errors="replace").strip()
    except OSError:
        return ""


def _job(root: Root, experiment: str, generation: int) -> str:
    return root.layout.claim(experiment, generation, layout.JOB_SUFFIX)


def _started(root: Root, experiment: str, generation: int) -> str:
    return root.layout.claim(experiment, generation, layout.STARTED_SUFFIX)
