"""Deeds with dispatch packages: offers, workers that do it all, agents that do it verb by verb, ingest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.errors import Superseded
from lab.core.package import RUN
from lab.core.run import FAILED, SUCCESS
from lab.scheduler.dispatch import completing, ingest, mend, offers, working
from lab.scheduler.dispatch.completing import Word
from tests.sim.baton import WAITING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lab.scheduler.dispatch.offers import Said
    from tests.sim.deeds import Deeds
    from tests.sim.world import Process


class Packages:
    """Each as its verb does it: what crashes left is mended first."""

    def __init__(self, deeds: Deeds) -> None:
        self._deeds = deeds

    def offer(self, who: Process) -> None:
        self._say(who, mend.mend(who.root))
        self._say(who, offers.queue(who.root, actor=who.name, max_runs=2, now=True))

    def worker(self, who: Process) -> None:
        self._say(who, mend.mend(who.root))
        self._say(who, working.work_on(who.root, who.name, max_runs=2))

    def agent(self, who: Process) -> None:
        """Somebody with no process of its own: it claims, thinks, renews, writes and completes."""
        root, name = who.root, who.name
        self._say(who, mend.mend(root))
        held, said = offers.claim(root, name)
        self._say(who, said)
        for each in held:
            self._deeds.began(each.running)
            dispatch_id = each.place.dispatch_id
            try:
                for _ in range(who.rng.randrange(4)):
                    who.pause(f"thinks about {dispatch_id}", WAITING)
                    offers.renew(root, dispatch_id, name)
                for file in (layout.METRICS, layout.RESULT):
                    if os.path.isdir(f"{each.path}/{RUN}"):
                        with open(f"{each.path}/{RUN}/{file}", "w", encoding="utf-8") as out:
                            out.write('{"value": 0.5}\n')
                word = Word(who.rng.choice((SUCCESS, SUCCESS, FAILED)), reason="as it was")
                completing.complete(root, dispatch_id, name, word)
            except Superseded:
                self._deeds.world.say(f"{name}: {dispatch_id} was lost")
        self.ingest(who)

    def ingest(self, who: Process) -> None:
        self._say(who, mend.mend(who.root))
        self._say(who, ingest.ingest(who.root))

    def deeds(self) -> tuple[Callable[[Process], None], ...]:
        return (self.offer, self.worker, self.agent, self.ingest)

    def _say(self, who: Process, said: Iterable[Said]) -> None:
        for each in said:
            self._deeds.world.say(
                f"{who.name}: {each.kind} {each.dispatch_id} {each.run_id} {each.outcome} {each.what}"
            )
            self._deeds.suspect(f"{who.deed}: {each.what}")
