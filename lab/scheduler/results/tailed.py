"""The end of what a run wrote, also while it is under way. Writes nothing: a read-only copy will do."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.errors import Corrupt, NotFound, Unavailable
from lab.projections import status, text
from lab.scheduler.placing import placed
from lab.scheduler.results import located
from lab.store import bundles, experiments, jobs, leases, reading

if TYPE_CHECKING:
    from lab.scheduler.results.located import Located
    from lab.store.root import Root

STREAMS = {"stdout": layout.STDOUT, "stderr": layout.STDERR}
FIRST = "stdout"
MOST_BYTES = 256 << 10


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """The last lines, each as it was written last: of a progress bar its last state.

    `bytes` is the size of the whole log; `is_cut` when the first lacks its start, or any its end.

    `engine` says where a run is that an engine has. Before its body began, the lines are what its job printed.
    """

    run_id: str
    experiment: str
    stream: str
    bytes: int
    lines: tuple[str, ...]
    is_cut: bool = False
    engine: str | msgspec.UnsetType = msgspec.UNSET


def tail(root: Root, name: str, stream: str, count: int, width: int = 0) -> Tail:
    """Of a run; or of an experiment's latest one, first those under way. Lines are cut after `width`; 0 cuts none."""
    run_id = name if name.startswith("RUN-") else latest(root, experiments.require(root, name))
    return of(root, bundle(root, run_id), stream, count, width)


def of(root: Root, found: Located, stream: str, count: int, width: int = 0, *, folder: int | None = None) -> Tail:
    """The same of a run that was found already; of its bundle as `folder` has it open, where that is given."""
    run_id = found.run_id
    at = None if found.made is not None else placed.of(root, found.experiment, run_id)
    if at is not None and placed.waits(root, at) and stream == FIRST:
        size, data = end(jobs.output(root, found.experiment, at.generation))
    elif folder is None:
        size, data = end(f"{found.path}/{STREAMS[stream]}")
    else:
        size, data = end(STREAMS[stream], folder)
    if not size and stream == FIRST and at is None:
        size, data = _printed(root, found)
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    shown = [text.rewritten(line).decode(errors="replace") for line in lines[-count:]]
    told = [line[:width] for line in shown] if width else shown
    return Tail(
        run_id=run_id,
        experiment=found.experiment,
        stream=stream,
        bytes=size,
        lines=tuple(told),
        is_cut=told != shown or (len(shown) == len(lines) and size > len(data)),
        engine=msgspec.UNSET if at is None else placed.line(at),
    )


def _printed(root: Root, found: Located) -> tuple[int, bytes]:
    """What the job printed of a run that its body could not seal, and that has written nothing."""
    generation = found.made.generation if found.made is not None else _generation(found.path)
    return (0, b"") if generation is None else end(jobs.printed(root, found.experiment, generation))


def _generation(path: str) -> int | None:
    try:
        manifest = bundles.load_manifest(path)
    except Corrupt:  # the run may have spoilt it
        return None
    return manifest.generation if manifest is not None else None


def bundle(root: Root, run_id: str) -> Located:
    """The run of that id, if its logs are here; without the list of its files, for a log may be followed for long."""
    with located.one_at_a_time(root, run_id):
        found = located.find(root, run_id)
        if found.made is not None:
            found = msgspec.structs.replace(found, made=msgspec.structs.replace(found.made, files={}))
    if found.kept is not None:
        fix = f"labctl prune --restore {found.archive}"
        raise Unavailable(f"the logs of {run_id} are in an archive", where=found.path, fix=fix)
    return found


def latest(root: Root, experiment: str) -> str:
    """The run of an experiment that is meant when none is named: one under way, else the last that was sealed."""
    live = [held.seen.claim.run_id for held in leases.survey(root, experiment).held]
    queued = {each.run_id for each in placed.states(root, experiment) if placed.waits(root, each)} if live else set()
    live = [run_id for run_id in live if run_id not in queued] or live  # one that waits has written nothing
    try:
        made = [name for name in os.listdir(root.layout.runs(experiment)) if name.startswith("RUN-")]
    except FileNotFoundError:
        made = []
    begun = sorted(name for name in live if name in made)
    if begun:
        return begun[-1]
    last = _last(root, experiment)
    if last in made:
        return last
    if not made:
        raise NotFound(f"{experiment} has no runs", fix=f"labctl run-once --experiment {experiment}")
    return max(made)


def _last(root: Root, experiment: str) -> str:
    """The last run as all pages have it: the one that was sealed last. It need not be the newest."""
    state = status.fold_state(reading.read(root.layout.status(experiment)) or b"")
    return state.view.last.run_id if state is not None and state.view.last is not None else ""


def end(path: str, folder: int | None = None) -> tuple[int, bytes]:
    """A log's size and its last bytes; nothing for a run that wrote none. A run may have put anything in its place."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError:
        return 0, b""
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise
        raise _no_log(path) from None
    try:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode):
            raise _no_log(path)
        start = max(0, seen.st_size - MOST_BYTES)
        return seen.st_size, os.pread(descriptor, MOST_BYTES, start)
    finally:
        os.close(descriptor)


def _no_log(path: str) -> Unavailable:
    return Unavailable("this is no plain file, and so no log of ours", where=path, fix="look at the bundle's folder")
