"""Several runs at a time: a process each, started by one turn.

Processes, not threads: a run's supervisor forks, and its lease names the process that holds it. A turn that is killed
with -9 leaves its workers running; each seals its own run and ends.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from lab.store import experiments

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab.store.root import Root

_LOOK_EVERY_MS = 250
_PIPE_BYTES = 65_536


_LAST_WORDS = b"!"  # no JSON begins so


class _Worker:
    __slots__ = ("name", "pid", "rest", "words")

    def __init__(self, name: str, pid: int) -> None:
        self.name = name
        self.pid = pid
        self.rest = b""  # what has not ended in a newline yet
        self.words = ""


class Crew:
    """Workers of one turn. `visit` is called in a worker; what it hands to `send` arrives at `received` in the turn."""

    def __init__(
        self,
        jobs: int,
        visit: Callable[[str, Callable[[bytes], None]], None],
        received: Callable[[bytes], None],
        lost: Callable[[str, str], None],
        interrupted: Callable[[], str],
    ) -> None:
        self._jobs = jobs
        self._visit = visit
        self._received = received
        self._lost = lost
        self._interrupted = interrupted
        self._workers: dict[int, _Worker] = {}  # by the reading end of its pipe

    def work(self, names: Sequence[str], *, more: Callable[[int], bool]) -> None:
        """Visit each experiment in a process of its own, as long as `more(under way)` wants another one."""
        waiting = list(names)
        told = False
        try:
            while waiting or self._workers:
                while waiting and len(self._workers) < self._jobs and more(len(self._workers)):
                    self._start(waiting.pop(0))
                if not self._workers:
                    return
                self._hear()
                if self._interrupted() and not told:
                    told, waiting = True, []
                    self._forward()
        finally:
            if self._workers:
                self._forward()

    def _start(self, name: str) -> None:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            for other in self._workers:
                os.close(other)
            self._workers = {}
            os.setpgid(0, 0)
            self._be_a_worker(name, writing)
        os.close(writing)
        self._workers[reading] = _Worker(name, pid)

    def _be_a_worker(self, name: str, writing: int) -> NoReturn:
        code = 1
        try:
            self._visit(name, lambda line: _send(writing, line))
            code = 0
        finally:  # whatever happened: a worker never goes on as a second copy of the turn
            try:
                if code:
                    _send(writing, _LAST_WORDS + _wrong().encode(errors="replace"))
            finally:
                os._exit(code)

    def _hear(self) -> None:
        poll = select.poll()
        for reading in self._workers:
            poll.register(reading, select.POLLIN)
        for reading, _ in poll.poll(_LOOK_EVERY_MS):
            worker = self._workers[reading]
            data = os.read(reading, _PIPE_BYTES)
            *lines, worker.rest = (worker.rest + data).split(b"\n")
            for line in lines:
                if line.startswith(_LAST_WORDS):
                    worker.words = line.removeprefix(_LAST_WORDS).decode(errors="replace")
                else:
                    self._received(line)
            if not data:
                del self._workers[reading]
                os.close(reading)
                _, status = os.waitpid(worker.pid, 0)
                if status:
                    self._lost(worker.name, worker.words or f"its process ended with status {status}")

    def _forward(self) -> None:
        """Tell the workers too: a signal that came to this process alone did not reach them."""
        for worker in self._workers.values():
            os.kill(worker.pid, signal.SIGTERM)


def _wrong() -> str:
    """The exception that is ending this worker, as one line."""
    error = sys.exc_info()[1]
    return f"{type(error).__name__}: {error}".replace("\n", " ")


def _send(writing: int, line: bytes) -> None:
    data = line + b"\n"
    try:
        while data:
            data = data[os.write(writing, data) :]
    except BrokenPipeError:
        return


def slots(root: Root, name: str) -> int:
    """How many runs of an experiment may be under way at once."""
    spec = experiments.load(root, name).spec
    return spec.max_parallel if spec is not None else 1
