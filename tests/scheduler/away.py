"""Builders for work that travels: a lab's side and a worker's side of a folder, and the copiers between them."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from lab.core.world import World
from lab.scheduler.dispatch import courier, inbox
from lab.store import bundles
from lab.store.files import Files
from lab.store.root import Root

if TYPE_CHECKING:
    from pathlib import Path

    from lab.scheduler.dispatch.offers import Said

WORKER = "far"


def with_surroundings(root: Root, files: Files | None = None, *, later_s: float = 0.0) -> Root:
    """The same data root in this process's environment, seen at a later time."""
    now = root.world.now
    world = World(
        now=lambda: now() + timedelta(seconds=later_s), rng=root.world.rng, run=root.world.run, environ=dict(os.environ)
    )
    return Root(root.layout.root, world, files=files or root.files)


def turn(root: Root, post: Path, **more: object) -> list[Said]:
    """One turn of the courier."""
    route = msgspec.structs.replace(courier.Route(worker=WORKER), **more)
    said: list[Said] = []
    courier.Courier(lambda: root, str(post), route)(said.append)
    return said


def worked(root: Root, place: Path, files: Files | None = None, **more: object) -> list[Said]:
    """Turns of a worker at its inbox until it finds nothing more."""
    said: list[Said] = []
    wanted = msgspec.structs.replace(inbox.Wanted(worker="gpu"), **more)
    turns = inbox.Inbox(files or Files(durable=False), root.world, str(place), wanted, interrupted=lambda: "")
    turns.open()
    while turns(said.append):
        pass
    return said


def carried(source: Path, target: Path) -> list[str]:
    """What a copier does that takes away what it has brought."""
    target.mkdir(exist_ok=True)
    names = sorted(name for name in os.listdir(source) if name[0] != ".")
    for name in names:
        shutil.move(source / name, target / name)
    return names


def sealed(root: Root, name: str = "alpha") -> list[tuple[str, float | None]]:
    """The outcome and the value of every run that counts."""
    found = []
    for run in bundles.names(root, name):
        made = bundles.load_seal(root.layout.run(name, run))
        if made is not None:
            found.append((made[0].run.outcome, made[0].run.value))
    return found


def kinds(said: list[Said]) -> list[str]:
    return [each.kind for each in said]
