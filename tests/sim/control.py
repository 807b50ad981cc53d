"""Deeds of people with proposals and archives: asking, saying yes or no, tampering, pruning, bringing back."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core.errors import Corrupt
from lab.core.proposal import RUN, Proposal
from lab.scheduler import prune
from lab.scheduler.control import approvals

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sim.deeds import Deeds
    from tests.sim.world import Process

KEPT = 5


class Control:
    """What waits for a person's word, and what is old."""

    def __init__(self, deeds: Deeds) -> None:
        self._deeds = deeds

    def propose(self, who: Process) -> None:
        """A run with these parameters. What is asked is remembered, to be compared with what is run."""
        experiment = who.rng.choice(("beta", "gamma"))
        params: dict[str, object] = {"x": round(who.rng.uniform(0.001, 0.9), 6)}
        if experiment == "beta":
            params["k"] = who.rng.randrange(1, 3)
        wanted = Proposal(kind=RUN, experiment=experiment, params=params, reason="it may help", asked_by=who.name)
        asked = approvals.ask(who.root, wanted)
        if asked.made:
            self._deeds.told.asked[asked.proposal_id] = params

    def approve(self, who: Process) -> None:
        waiting = self._waiting(who)
        if waiting:
            name = who.rng.choice(waiting)
            with suppress(Corrupt):  # somebody put something else in its place
                ruling = approvals.approve(who.root, name, actor=who.name)
                known = self._deeds.told.asked.get(name)
                assert known is None or ruling.params == known, f"{name}: asked was {known}, approved {ruling.params}"

    def reject(self, who: Process) -> None:
        waiting = self._waiting(who)
        if waiting:
            approvals.reject(who.root, who.rng.choice(waiting), why="too costly", actor=who.name)

    def tamper(self, who: Process) -> None:
        """Somebody who changes what waits, with an editor, after it was asked."""
        for name in self._waiting(who)[:1]:
            path = who.root.layout.proposal(name)
            with suppress(OSError, ValueError):
                with open(path, encoding="utf-8") as file:
                    made = json.load(file)
                made["params"] = {**(made.get("params") or {}), "x": 0.95}
                with open(f"{path}.{who.name}~", "w", encoding="utf-8") as file:
                    json.dump(made, file)
                who.pause(f"saves {name}")
                os.replace(f"{path}.{who.name}~", path)

    def prune(self, who: Process) -> None:
        experiment = who.rng.choice(sorted(self._deeds.slots))
        done = prune.prune(who.root, experiment, prune.checked(KEPT, None))
        self._deeds.world.say(f"{who.name}: pruned {len(done.runs)} of {experiment}")

    def restore_runs(self, who: Process) -> None:
        try:
            found = sorted(name for name in os.listdir(who.root.layout.place("backups")) if name.endswith(".tar"))
        except FileNotFoundError:
            return
        if found:
            done = prune.restore(who.root, who.rng.choice(found))
            self._deeds.world.say(f"{who.name}: restored {len(done.runs)} of {done.experiment}")

    def deeds(self) -> tuple[Callable[[Process], None], ...]:
        return (
            self.propose, self.propose, self.approve, self.approve, self.approve, self.reject, self.tamper,
            self.prune, self.prune, self.restore_runs,
        )  # fmt: skip

    def _waiting(self, who: Process) -> list[str]:
        found = sorted(
            name for name in os.listdir(who.root.layout.place("control/approvals")) if name.endswith(".json")
        )
        return [name.removesuffix(".json") for name in found]
