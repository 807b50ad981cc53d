"""Builders: a training whose recipe is a stand-in, its chunks one by one, and what was told of them."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import weakref
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lab.cli.surroundings import the_world
from lab.core import chunk
from lab.core.chunk import Order
from lab.core.record import parse
from lab.scheduler import create, refresh
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from lab.store import bundles, ledger
from lab.store.files import Files
from lab.store.root import Root
from lab.testing.files import BEGINNING, SteadyClock, a_root

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.chain import Chain
    from lab.core.event import Event
    from lab.core.run import Run
    from lab.core.view import View
    from lab.scheduler.step import Step

RECIPE = Path(__file__).with_name("standin_recipe.py")
NAME = "chat"
SPACE = {"lr": {"low": 0.001, "high": 1.0, "default": 0.1}}


class Seen(msgspec.Struct):
    """What one start of the recipe was told."""

    order: Order
    environ: dict[str, str | None]


class Training:
    """An experiment of the executor tinker in a lab of its own. At its service somebody listens, and says nothing."""

    def __init__(self, place: Path, *, tinker: Mapping[str, object] | None = None, **spec: object) -> None:
        door = socket.create_server(("127.0.0.1", 0))
        weakref.finalize(self, door.close)
        self.url = f"http://127.0.0.1:{door.getsockname()[1]}"
        self.workspace = place / "ws"
        self.workspace.mkdir()
        shutil.copy(RECIPE, self.workspace / "recipe.py")
        self.spec: dict[str, object] = {
            "id": NAME, "metric": "nll", "metric_direction": "minimize", "cadence": "0", "durability": "fast",
            "max_iterations_total": 50, "worker_roles": "trainer", "workspace_root": str(self.workspace),
            "executor": "tinker", "executor_command": f"{sys.executable} recipe.py", "search_space": SPACE,
            "tinker": {"base_url": self.url, "base_model": "tiny", "steps": 30, "chunk_steps": 10, **(tinker or {})},
            **spec,
        }  # fmt: skip
        made = a_root(place / "lab")
        create.make_lab(made)
        written = place / "SPEC.yaml"
        written.write_text(json.dumps(self.spec))
        create.experiment(made, str(written), actor="ann")
        world = msgspec.structs.replace(the_world(), now=SteadyClock(BEGINNING + timedelta(minutes=5)))
        self.root = Root(made.layout.root, world, files=Files(durable=False))

    def behaves(self, **how: object) -> None:
        """What the recipe does wrong from now on; nothing takes it back."""
        place = self.workspace / "behave.json"
        if how:
            place.write_text(json.dumps(how))
        else:
            place.unlink(missing_ok=True)

    def edit(self, **changes: object) -> None:
        self.spec = {**self.spec, **changes}
        Path(self.root.layout.spec(NAME)).write_text(json.dumps(self.spec))

    def take(self, **request: object) -> list[Step]:
        """One turn of the crank."""
        turn = Turn(
            self.root, msgspec.structs.replace(Request(now=True), **request), tell=lambda _: None, interrupted=str
        )
        turn.take()
        return turn.steps

    def run(self, turns: int) -> View:
        for _ in range(turns):
            self.take()
        return self.view

    @property
    def view(self) -> View:
        with self.root.section(NAME):
            return refresh.current(self.root, NAME)[0]

    @property
    def chain(self) -> Chain:
        found = self.view.chain
        assert found is not None
        return found

    @property
    def runs(self) -> list[Run]:
        """The sealed ones, in their order."""
        paths = [self.root.layout.run(NAME, name) for name in bundles.names(self.root, NAME)]
        found = [made[0] for path in paths if (made := bundles.load_seal(path))]
        return [made.run for made in sorted(found, key=lambda made: made.generation)]

    def order(self, run_id: str) -> Order:
        path = f"{self.root.layout.run(NAME, run_id)}/{chunk.ORDER}"
        return parse(Order, Path(path).read_bytes(), path)

    @property
    def seen(self) -> list[Seen]:
        """What each start of the recipe was told."""
        lines = (self.workspace / "seen.jsonl").read_bytes().splitlines()
        return [msgspec.json.decode(line, type=Seen) for line in lines]

    def told(self, kind: str) -> list[Event]:
        lines = (entry.line for entry in ledger.entries(self.root) if entry.line is not None)
        return [line.event for line in lines if line.event.type == kind]
