"""Builders: a lab, an experiment, a run in a line; owners that live, died or are out of sight; a root as bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.ended import Ended
from lab.core.run import SUCCESS
from lab.scheduler import create, cycle
from lab.store import machine
from lab.testing.files import BEGINNING, a_root

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import pytest

    from lab.core.claim import Owner
    from lab.core.seal import Seal
    from lab.store.files import Files
    from lab.store.root import Root

SPEC = """\
id: {id}
goal: find the learning rate
metric: loss
metric_direction: minimize
cadence: 30m
max_iterations_total: 1000
durability: fast
fidelity_tiers: [proxy, final]
"""


def a_lab(path: Path | str, *experiments: str, files: Files | None = None, more: str = "") -> Root:
    """A lab with these experiments in it."""
    root = a_root(path, files)
    create.make_lab(root)
    for name in experiments:
        an_experiment(root, name, more)
    return root


def reopened(root: Root, files: Files | None = None, *, start: datetime | None = None) -> Root:
    """The same data root as another process sees it, an hour later."""
    return a_root(root.layout.root, files, start=start or BEGINNING.replace(hour=BEGINNING.hour + 1))


def a_copy(lab: str, name: str, files: Files) -> Root:
    """A lab like another, times included, for a sweep that wants the same beginning many times."""
    shutil.copytree(lab, f"{lab}-{name}", copy_function=shutil.copy2)
    return a_root(f"{lab}-{name}", files, start=BEGINNING.replace(minute=30))


def an_experiment(root: Root, name: str, more: str = "") -> None:
    place = f"{root.layout.root}.{name}.yaml"
    with open(place, "w", encoding="utf-8") as file:
        file.write(SPEC.format(id=name) + more)
    create.experiment(root, place, actor="ann")
    os.unlink(place)


def me() -> Owner:
    return machine.this_process("test")


def dead() -> Owner:
    """A process of this machine that has died and was reaped."""
    command = [sys.executable, "-I", "-S", "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        _, start = machine._state_and_start(child.pid)
        owner = msgspec.structs.replace(me(), name="gone", pid=child.pid, start_ticks=start)
        child.kill()
    return owner


def foreign() -> Owner:
    """A process of another machine: nothing can be known of it."""
    return msgspec.structs.replace(me(), name="far", host="another-host/12345678", boot_id="another boot")


def ended(value: float | None = 1.0, outcome: str = SUCCESS, **more: object) -> Ended:
    made = Ended(outcome=outcome, value=value, wall_s=1.5, metrics={"seen": 7})
    return msgspec.structs.replace(made, **more)


def one_run(
    root: Root, name: str, value: float | None = 1.0, outcome: str = SUCCESS, *, owner: Owner | None = None
) -> Seal:
    running = cycle.begin(root, name, owner=owner or me(), params={"lr": value})
    return cycle.finish(root, running, ended(value, outcome))


def silent(path: str, for_s: float = 100_000.0) -> None:
    """Make a claim look as if it had not been renewed for long."""
    old = os.stat(path).st_mtime - for_s
    os.utime(path, (old, old))


def tree(folder: str) -> dict[str, bytes]:
    """Every plain file below a folder by its relative name, with its bytes. What only locks or caches is left out."""
    found: dict[str, bytes] = {}
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "cache"]
        for name in names:
            whole = f"{place}/{name}"
            if name not in ("probe", "section") and not name.endswith(".section") and os.path.isfile(whole):
                with open(whole, "rb") as file:
                    found[os.path.relpath(whole, folder)] = file.read()
    return found


def identities(folder: str) -> dict[str, tuple[int, int, int]]:
    """Every file by inode, size and time: equal before and after means that nothing was written."""
    found = {}
    for name in tree(folder):
        seen = os.stat(f"{folder}/{name}")
        found[name] = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
    return found


def listings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that are listed from now on: what a look costs on a file server."""
    looked: list[str] = []
    real = os.listdir

    def look(path: str) -> list[str]:
        looked.append(path)
        return real(path)

    monkeypatch.setattr(os, "listdir", look)
    return looked


def derived(root: Root) -> list[str]:
    """The derived files that are there."""
    wanted = list(layout.LAB_PAGES)
    for name in os.listdir(root.layout.experiments):
        wanted += [f"experiments/{name}/{page}" for page in (*layout.EXPERIMENT_PAGES, *layout.LOOP_PAGES)]
    return [name for name in wanted if os.path.isfile(root.layout.place(name))]


def write(path: str, data: bytes) -> None:
    """Tamper: put these bytes there, whatever the mode says."""
    if os.path.exists(path):
        os.chmod(path, 0o644)
    with open(path, "wb") as file:
        file.write(data)
