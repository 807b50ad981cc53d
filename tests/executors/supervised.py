"""Programs under supervision, and what is left of them."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core.launch import Exit, Limits, Program, Stop
from lab.executors.supervisor import supervise
from lab.store import machine, processes
from lab.store.files import Files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUN = "RUN-1"


def bash(folder: Path, text: str, **environ: str) -> Program:
    return program(folder, "/bin/bash", "-c", text, **environ)


def python(folder: Path, text: str) -> Program:
    return program(folder, sys.executable, "-I", "-S", "-c", text)


def program(folder: Path, *argv: str, **environ: str) -> Program:
    known = {"PATH": os.environ["PATH"], "LAB_RUN_DIR": str(folder), **environ}
    return Program(argv=argv, cwd=str(folder), environ=known)


def supervised(
    folder: Path, what: Program, *, limits: Limits | None = None, how: str = "auto",
    watch: Callable[[], Stop | None] = lambda: None, files: Files | None = None,
) -> Exit:  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # xdist's threads are idle in the child
        return supervise(
            files or Files(durable=False), what, limits or Limits(budget_s=10, grace_s=0.3),
            path=str(folder), run_id=RUN, watch=watch, every_s=0.02, confinement=how,
        )  # fmt: skip


def alive(folder: Path) -> list[int]:
    """Processes that carry the run's mark and are no zombies."""
    mark, found = f"LAB_RUN_DIR={folder}".encode(), []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if mark in file.read().split(b"\0"):
                        found.append(int(name))
            except OSError:
                continue
    return found


def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.005)


def the_child(of: int | None = None) -> int:
    """The newest child of a process, else of this one: while a run goes on, its warden."""
    of = of or os.getpid()
    children = [pid for pid, (parent, state) in processes.parents().items() if parent == of and state != "Z"]
    return max(children, key=lambda pid: machine._state_and_start(pid)[1])


def killed(pid: int, within_s: float = 10.0) -> None:
    """Kill a process of ours and reap it."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        until(lambda: os.waitpid(pid, os.WNOHANG)[0], within_s)


def a_caller(does: Callable[[], object]) -> int:
    """A process that calls the supervisor, to be killed or stopped. It never comes back into the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # as above
        caller = os.fork()
    if caller == 0:
        code = 1
        try:
            does()
            code = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(code)
    return caller
