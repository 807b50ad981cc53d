"""How an agent is run: under the supervisor that holds every run, in a folder of its own, with what it may see.

It is not told which run it works for. Where the lab lies it can see by the path of its own folder, which is in there:
nothing depends on its not knowing. Its folder goes when it has ended; what a lab left that was killed goes when the
next agent is started.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.launch import GRACE_S, INTERRUPTED, Fence, Limits, Program, Stop
from lab.executors import environment
from lab.llm.agents import running
from lab.llm.agents.running import BY_DISK, Ran
from lab.llm.redact import Redact
from lab.scheduler import passing
from lab.scheduler.agents import door as agents
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lab.core.spec import Spec
    from lab.llm.agents.adapter import Adapter, Start, Task
    from lab.store.root import Root

_MB = 1 << 20
_WORK, _OWN, _STDIN, _SPARE = "work", "own", "stdin", "tmp"
_KEPT_OF_FILE = 4 * _MB
GROWTH_MB = 1024.0  # what an agent may write to the disk
_FREE_MB = 256.0
_LOOK_EVERY_S, _LOOKING_SHARE = 0.5, 20
_GRACE_SHARE = 0.1


class AgentProcess:
    """Runs agents for one experiment, or for nobody in particular."""

    def __init__(
        self,
        root: Root,
        spec: Spec | None = None,
        *,
        more: Sequence[str] = (),
        folders: Sequence[str] = (),
        scratch: str = "",
        growth_mb: float = GROWTH_MB,
        within: Sequence[str] | None = None,
    ) -> None:
        """`more` are names of keys that the agent is given besides; `folders` may hold adapters of the project.

        `within` are the folders that it may write to besides its own, where the machine has a fence; None: wherever its
        user may.
        """
        self._root = root
        self._spec = spec
        self._names = (*(spec.env if spec else ()), *(spec.secrets if spec else ()), *more)
        self._more = tuple(more)
        self._folders = tuple(folders)
        self.scratch = scratch or root.layout.place("scratch/agents")
        self._growth_mb = growth_mb
        self._within = within

    def find(self, provider: str, command: str = "") -> Adapter:
        """The adapter of a name, plug-ins and the project's scripts included."""
        return agents.find(provider, command, self._folders)

    def fresh(self) -> str:
        """The name of a folder that is swept away when this process dies. Whoever makes it removes it."""
        return passing.fresh(self.scratch)

    def __call__(self, agent: Adapter, task: Task, *, until: float, stop: Callable[[], bool]) -> Ran:
        """Run it to its end, and say how it ended and what it printed."""
        given = self.given(agent)
        with self._place() as place:
            own = f"{place}/{_OWN}"
            folder = task.folder or f"{place}/{_WORK}"
            start = agent.start(msgspec.structs.replace(task, folder=folder, own=own, given=frozenset(given)))
            if start is None:
                return Ran(code=0)
            program = self._program(place, folder, start, given)
            if program is None:
                what = f"there is no program {start.argv[0]} on PATH"
                return Ran(argv=start.argv, stdin=start.stdin, problem=what)
            limits = self._limits(until - time.monotonic())
            watch = _Watch(folder, stop, self._growth_mb)
            return self._run(place, start, program, limits, watch)

    def given(self, agent: Adapter) -> dict[str, str]:
        """What it sees of the surroundings: what every run sees, what its adapter names, what the SPEC names."""
        environ = self._root.world.environ
        found = environment.allowed(environ)
        found.update({name: environ[name] for name in (*agent.passed, *self._names) if environ.get(name)})
        return found

    def secrets(self, agent: Adapter) -> tuple[str, ...]:
        """The values that may not be in anything that is kept, the longest first."""
        return self._hidden(self.given(agent))

    def _hidden(self, given: Mapping[str, str]) -> tuple[str, ...]:
        declared = (*(self._spec.secrets if self._spec else ()), *self._more)
        values = {value for name, value in given.items() if name in declared or environment.is_secret(name, value)}
        return tuple(sorted(values, key=lambda value: (-len(value), value)))

    def _found(self, name: str, path: str) -> str:
        """The program, absolute: by its path, in the project's folders, or on PATH. Never where the lab was started."""
        name = os.path.expanduser(name)
        if "/" in name:
            places = [name] if os.path.isabs(name) else [f"{folder}/{name}" for folder in self._folders]
            return next((os.path.normpath(each) for each in places if os.access(each, os.X_OK)), "")
        return running.on_path(name, path)

    def _program(self, place: str, folder: str, start: Start, given: Mapping[str, str]) -> Program | None:
        found = self._found(start.argv[0], given.get("PATH", ""))
        if not found:
            return None
        files = self._root.files
        for each in (folder, f"{place}/{_OWN}"):
            files.folder(each)
        for name, text in start.files.items():
            files.create(f"{place}/{_OWN}/{name}", _bytes(text), durable=False, mode=0o600)
        files.create(f"{place}/{_STDIN}", _bytes(start.stdin), durable=False, mode=0o600)
        # The mark by which a run's processes are found again whose supervisor was killed.
        more = {"NO_COLOR": "1", "LAB_RUN_DIR": place}
        # A lab may lie in somebody's repository, and `git reset` in a folder of the lab would be a reset of that.
        more["GIT_CEILING_DIRECTORIES"] = f"{place}{os.pathsep}{os.path.dirname(folder)}"
        fenced, caches = self._fence(place)
        return Program(
            argv=(found, *start.argv[1:]),
            cwd=folder,
            environ={**given, **caches, **start.environ, **more},
            secrets=self._hidden(given),
            stdin=f"{place}/{_STDIN}",
            fence=fenced,
        )

    def _fence(self, place: str) -> tuple[Fence | None, dict[str, str]]:
        """Where it may write, and the variables that lead its temporary files there."""
        if self._within is None:
            return None, {}
        from lab.executors import fence  # noqa: PLC0415  # only for an agent that is held

        self._root.files.folder(f"{place}/{_SPARE}")
        own = (f"{place}/{_OWN}", f"{place}/{_SPARE}")
        return Fence(writable=(*self._within, *own)), fence.environment(f"{place}/{_SPARE}")

    def _limits(self, left_s: float) -> Limits:
        """It is told to end a little before, so that the end, with whatever does not listen, is at the deadline."""
        spec = self._spec
        grace_s = min(spec.kill_grace_s if spec else GRACE_S, max(left_s, 0.0) * _GRACE_SHARE)
        budget_s = max(left_s - grace_s, 0.0)
        if spec is None:
            return Limits(budget_s=budget_s, grace_s=grace_s)
        return Limits(
            budget_s=budget_s,
            grace_s=grace_s,
            memory_mb=spec.memory_limit_mb,
            cpu=spec.cpu_limit,
            output_bytes=int(spec.output_limit_mb * _MB),
        )

    def _run(self, place: str, start: Start, program: Program, limits: Limits, watch: _Watch) -> Ran:
        from lab.executors import supervisor  # noqa: PLC0415  # ctypes and all: not for a stub

        how = supervisor.supervise(
            self._root.files, program, limits, path=place, run_id="agent", watch=watch,
            confinement=self._root.world.environ.get("LABCTL_CONFINEMENT", "auto"),
        )  # fmt: skip
        blot = _Blot(program.secrets)
        files = {name: reading.read_head(f"{place}/{_OWN}/{name}", _KEPT_OF_FILE) for name in start.reads}
        code = how.code if how.code is not None or how.signal is None else 128 + how.signal
        return Ran(
            argv=tuple(blot(_bytes(word)).decode(errors="replace") for word in program.argv),
            stdin=blot(_bytes(start.stdin)).decode(errors="replace"),
            code=code,
            stdout=blot(reading.read(f"{place}/{layout.STDOUT}") or b""),
            stderr=blot(reading.read(f"{place}/{layout.STDERR}") or b""),
            cut=how.stdout.kept < how.stdout.total,
            files={name: blot(data) for name, data in files.items() if data is not None},
            stopped=how.stopped,
            why=how.why,
            problem="" if how.started else how.problem,
            wall_s=how.wall_s,
            fenced=how.fenced,
        )

    @contextmanager
    def _place(self) -> Iterator[str]:
        files = self._root.files
        passing.sweep(self._root, self.scratch)
        place = self.fresh()
        files.folder(place)
        try:
            yield place
        finally:
            with suppress(OSError, RecursionError):  # its answer is worth more; the next one sweeps
                files.discard_folder(place)


class _Blot:
    """Secrets out of a whole text, those too that are written in the escapes of JSON: it is read as that next."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._redact = Redact(secrets)

    def __call__(self, data: bytes) -> bytes:
        return self._redact(data.decode(errors="surrogateescape")).encode(errors="surrogateescape")


class _Watch:
    """Asked a few times a second: whether somebody wants an end, and whether the disk still has room."""

    def __init__(self, folder: str, stop: Callable[[], bool], growth_mb: float) -> None:
        self._folder = folder
        self._stop = stop
        self._growth_mb = growth_mb
        self._before_mb = _held_mb(folder)
        self._next_s = time.monotonic() + _LOOK_EVERY_S

    def __call__(self) -> Stop | None:
        if self._stop():
            return Stop(how=INTERRUPTED, why="a person stopped it")
        now = time.monotonic()
        if now < self._next_s:
            return None
        if _free_mb(self._folder) < _FREE_MB:
            return Stop(how=BY_DISK, why=f"less than {_FREE_MB:g} MB are free on the disk")
        grown_mb = _held_mb(self._folder) - self._before_mb
        # A look at a large workspace takes its time; most of the time is to be the agent's.
        self._next_s = now + max(_LOOK_EVERY_S, (time.monotonic() - now) * _LOOKING_SHARE)
        if grown_mb > self._growth_mb:
            return Stop(how=BY_DISK, why=f"it wrote {grown_mb:.0f} MB, more than its {self._growth_mb:g} MB")
        return None


def _held_mb(folder: str) -> float:
    """What lies in a folder, as the disk counts it: a file of holes is small. Links are not followed."""
    total, folders = 0, [folder]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total / _MB


def _free_mb(folder: str) -> float:
    try:
        found = os.statvfs(folder)
    except OSError:
        return float("inf")
    return found.f_bavail * found.f_frsize / _MB


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
