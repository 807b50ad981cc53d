"""A run that leaves a mess and dies: `python -m tests.crash.hostile ROOT VERB [MESS]`.

`die` begins a run of `a`, makes the mess, tells its bundle, and waits to be killed. `settle` does what comes after, in
a process to which file modes may apply: a run of `a`, one of `b`, and what `verify` says.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from lab.cli.surroundings import run_program
from lab.core import layout
from lab.core.record import page
from lab.core.run import Run
from lab.core.seal import Anchor, Seal
from lab.core.world import World
from lab.scheduler import cycle, refresh
from lab.store import ledger, verify
from lab.store.files import Files
from lab.store.root import Root
from lab.testing.files import BEGINNING
from tests.cli.labs import _POWERLESS
from tests.crash.driver import open_root, say
from tests.scheduler.labs import me, one_run, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.core.view import View

CHECKOUT = Path(__file__).resolve().parents[2]
DEEP = 1_200
FORGED_VALUE = -1e9
HOLDER = """
import sys
from lab.store.sections import hold
with hold(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""
_SCRIBBLER = "import os, time\nwhile True:\n    os.write(1, b'more\\n')\n    time.sleep(0.01)\n"


def reopen(path: str) -> Root:
    """The lab with the real clock, as another process would open it."""
    return open_root(path, writer=Files(durable=False))


def forged(run_id: str, generation: int) -> bytes:
    """A seal as a run would write it that knows the format and wants to win."""
    moment = "2026-01-02T03:04:05.000000Z"
    run = Run(
        run_id=run_id, experiment="a", outcome="success", metric="loss", direction="minimize", value=FORGED_VALUE,
        started_at=moment, ended_at=moment,
    )  # fmt: skip
    return page(Seal(run=run, generation=generation, anchor=Anchor(), sealed_at=moment, sealed_by="me", files={}))


def deep(path: str) -> None:
    _chain(f"{path}/artifacts", ["d"] * DEEP)


def long_names(path: str) -> None:
    _chain(f"{path}/artifacts", ["n" * 255] * 40)


def locked(path: str) -> None:
    _file(f"{path}/artifacts/shut/inside", 0o000)
    os.chmod(f"{path}/artifacts/shut", 0o000)
    _file(f"{path}/artifacts/unreadable", 0o000)


def locked_deep(path: str) -> None:
    """Too deep, and no folder of it may be moved or written to."""
    top = f"{path}/artifacts"
    _chain(top, ["d"] * 40)
    for depth in range(40, -1, -1):
        os.chmod(top + "/d" * depth, 0o500)


def locked_bundle(path: str) -> None:
    """The bundle's own folder, closed behind the run."""
    os.chmod(path, 0o500)


def shut_bundle(path: str) -> None:
    os.chmod(path, 0o000)


def linked_unreadable(path: str) -> None:
    """A file from outside that nobody may read, by another name."""
    outside = os.environ["HOSTILE_OUTSIDE"]
    os.mkdir(f"{path}/artifacts")
    os.link(outside, f"{path}/artifacts/linked")


def linked_shut(path: str) -> None:
    """The same in a folder that may not be written to, so the bundle cannot simply get a copy of its own."""
    linked_unreadable(path)
    os.chmod(f"{path}/artifacts", 0o500)


def seal_77(path: str) -> None:
    Path(path, layout.SEAL).write_bytes(forged(os.path.basename(path), 77))


def seal_1(path: str) -> None:
    Path(path, layout.SEAL).write_bytes(forged(os.path.basename(path), 1))


def child(path: str) -> None:
    """Something in a session of its own that outlives the run and goes on writing."""
    with open(f"{path}/stdout.log", "wb") as log:
        command = [sys.executable, "-I", "-S", "-c", _SCRIBBLER]
        made = subprocess.Popen(command, stdout=log, stdin=subprocess.DEVNULL, start_new_session=True, cwd="/")
    say(f"CHILD {made.pid}")


MESSES: dict[str, Callable[[str], None]] = {
    each.__name__: each
    for each in (
        deep, long_names, locked, locked_deep, locked_bundle, shut_bundle, linked_unreadable, linked_shut, seal_77,
        seal_1, child,
    )
}  # fmt: skip


def _file(path: str, mode: int) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(path).write_bytes(b"words")
    os.chmod(path, mode)


def _chain(top: str, names: list[str]) -> None:
    """Folders in folders, deeper than any path reaches, with a file at the bottom."""
    os.mkdir(top)
    os.chdir(top)
    for name in names:
        os.mkdir(name)
        os.chdir(name)
    Path("bottom").write_bytes(b"words")
    os.chdir("/")


def _command(*words: str, powerless: bool) -> list[str]:
    program = [sys.executable, "-m", "tests.crash.hostile", *words]
    return [sys.executable, "-c", _POWERLESS, *program] if powerless and os.geteuid() == 0 else program


@contextmanager
def owner_of(root: str, mess: str, *, powerless: bool = False) -> Iterator[list[str]]:
    """A process that has begun a run and made the mess: what it told, the bundle's path last. Killed in the end."""
    command = _command(root, "die", mess, powerless=powerless)
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told: list[str] = []
        try:
            while not told or not told[-1].startswith("READY "):
                line = process.stdout.readline().decode()
                assert line, "the owner died of itself"
                told.append(line.strip())
            yield [line.partition(" ")[2] for line in told]
        finally:
            process.send_signal(signal.SIGKILL)


def left_by(root: str, mess: str, *, powerless: bool = False) -> str:
    """The bundle of a run that left this mess and was killed."""
    with owner_of(root, mess, powerless=powerless) as told:
        return told[-1]


def settled(root: str, *, powerless: bool = False) -> str:
    """What a process says that goes on after the mess; it ends with `CLEAN` when all went well."""
    command = _command(root, "settle", powerless=powerless)
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, stdin=subprocess.DEVNULL, timeout=15, check=False)
    return (done.stdout + done.stderr).decode()


def view(root: Root, name: str = "a") -> View:
    with root.section(name):
        return refresh.catch_up(root, name).view


def types(root: Root) -> list[str]:
    return [entry.line.event.type for entry in ledger.entries(root) if entry.line]


def kinds(root: Root) -> set[str]:
    return {damage.kind for damage in verify.verify(root).damage}


def is_clean(root: Root, *, live: int = 0) -> bool:
    found = verify.verify(root)
    assert found.damage == ()
    assert found.unsealed == live
    return True


def others_go_on(root: Root, *, live: int = 0) -> bool:
    assert one_run(root, "b", 0.25).run.outcome == "success"
    return is_clean(root, live=live)


def all_goes_on(root: Root) -> bool:
    assert one_run(root, "a", 0.5).run.outcome == "success"
    return others_go_on(root)


def end(pid: int) -> None:
    """Kill somebody who is no child of ours, and wait until they are gone."""
    handle = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGKILL)
        assert select.select([handle], [], [], 10)[0]
    finally:
        os.close(handle)


def frozen(path: str) -> Root:
    """A lab on a clock that stands."""
    world = World(now=lambda: BEGINNING, rng=Random(0), run=run_program, environ={})
    return Root(path, world, files=Files(durable=False))


def cut(root: Root, lines: int) -> None:
    """Take this many lines off the ledger's end."""
    kept = Path(root.layout.events).read_bytes().splitlines(keepends=True)[:-lines]
    write(root.layout.events, b"".join(kept))


def _settle(path: str) -> None:
    root = reopen(path)
    one_run(root, "b", 0.25)
    one_run(root, "a", 0.5)
    found = verify.verify(root)
    for damage in found.damage:
        say(f"DAMAGE {damage.kind} {damage.where} {damage.what}")
    say("CLEAN" if not found.damage and not found.unsealed else f"NOT CLEAN, {found.unsealed} unsealed")


def main(path: str, verb: str, mess: str = "") -> None:
    if verb == "settle":
        _settle(path)
        return
    running = cycle.begin(reopen(path), "a", owner=me())
    MESSES[mess](running.path)
    say(f"READY {running.path}")
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
