"""What the simulated processes do: runs, and everything that people and cron do beside them.

Each deed tells `told` only what the lab has answered: from then on the lab is held to it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.claim import RENEW_EVERY_S
from lab.core.ended import Ended
from lab.core.errors import Superseded
from lab.core.launch import Exit
from lab.core.record import encode
from lab.core.run import CANCELLED, FAILED, SUCCESS, TIMEOUT
from lab.scheduler import cycle, decisions, reclaim, refresh, watchdog
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from lab.store import leases, verify
from tests.sim.baton import WAITING
from tests.sim.world import Process, Work, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.scheduler.cycle import Running
    from lab.scheduler.step import Step

SPEC = """\
id: {id}
goal: find out {goal}
metric: loss
metric_direction: minimize
cadence: 30m
time_budget: 20s
max_iterations_total: 100000
durability: {durability}
max_parallel: {slots}
fidelity_tiers: [proxy, final]
{search}"""
# What a turn is to try is chosen in the section of its claim: the others of this world come in between.
SEARCHES = {
    "beta": "strategy: random\nsearch_space: {x: {low: 0.0, high: 1.0, default: 0.5}, k: {low: 1, high: 3}}\n",
    "gamma": "strategy: perturb\nseed: 7\nsearch_space: {x: {low: 1.0e-5, high: 1.0, log: true}}\n",
}
FILES = ("stdout.log", "stdout.log", "artifacts/model.bin", "artifacts/deep/er/log.txt", "metrics.json", "RESULT.md")
RUDE = ("SEAL.json", "params.json", "manifest.json", "SUPERSEDED.json")


class Told(msgspec.Struct, kw_only=True):
    """What the lab has answered."""

    begun: dict[tuple[str, int], str] = {}  # (experiment, generation) -> run id
    sealed: dict[tuple[str, int], float | None] = {}  # whose `finish` returned, with the value
    superseded: set[tuple[str, int]] = set()  # whose `finish` said that it had lost its lease
    decided: dict[str, tuple[str, str]] = {}  # actor, one for each decision -> experiment, phase or tier
    asked: dict[str, dict[str, object]] = {}  # proposal -> its parameters
    turns: int = 0


class Deeds:
    """The deeds, as functions of who does them."""

    def __init__(self, world: World, slots: dict[str, int], durability: dict[str, str]) -> None:
        self.world = world
        self.told = Told()
        self.slots = slots
        self.durability = durability
        self._number = 0
        self.broken = False  # whether somebody may have saved a SPEC that cannot be used, or put an old one back
        self.rude: set[tuple[str, int]] = set()

    # -- workers ---------------------------------------------------------------------------------------------------

    def run(self, who: Process) -> None:
        """One run, as `burst` or a worker does it."""
        experiment = who.rng.choice(sorted(self.slots))
        running = cycle.begin(who.root, experiment, owner=who.owner, params={"lr": who.rng.random()})
        self.began(running)
        ended = self.work(who, running)
        key = (experiment, running.manifest.generation)
        try:
            made = cycle.finish(who.root, running, ended)
        except Superseded:
            self.told.superseded.add(key)
            raise
        self.told.sealed[key] = made.run.value

    def began(self, running: Running) -> None:
        key = (running.manifest.experiment, running.manifest.generation)
        assert key not in self.told.begun, f"generation {key} was given out twice"
        self.told.begun[key] = running.manifest.run_id

    def work(self, who: Process, running: Running, path: str = "") -> Ended:
        """What lies between a run's claim and its seal."""
        world, run_id = self.world, running.manifest.run_id
        todo = who.rng.choices(FILES, k=who.rng.randrange(2 * len(FILES)))
        if who.rng.random() < 0.1:
            todo.append(who.rng.choice(RUDE))
            self.rude.add((running.manifest.experiment, running.manifest.generation))
        work = Work(who, path or running.path, run_id, todo)
        world.works.append(work)
        renewed_s = world.elapsed_s
        outcome = who.rng.choice((SUCCESS, SUCCESS, SUCCESS, FAILED, TIMEOUT))
        why = ""
        while work.runs():
            who.pause("waits for its run", WAITING)
            if work.runs() and who.rng.random() < 0.6:
                world.say(f"{run_id} {work.go_on()}")
            asked = running.lease.cancel_asked(who.root)
            if asked is not None:
                work.ended, outcome, why = True, CANCELLED, asked
            if world.elapsed_s - renewed_s > RENEW_EVERY_S:
                renewed_s = world.elapsed_s
                try:
                    running.lease.renew(who.root)
                except Superseded:
                    work.ended = True
                except OSError:
                    continue
        value = round(who.rng.random(), 6)
        if outcome in (SUCCESS, FAILED) and who.rng.random() < 0.7:
            self._write_exit(who, running, 0 if outcome == SUCCESS else 1, value, path)
        if outcome == SUCCESS:
            return Ended(outcome=SUCCESS, value=value, wall_s=1.0, metrics={"seen": 7})
        return Ended(outcome=outcome, reason=why or "it did not work", wall_s=1.0)

    def _write_exit(self, who: Process, running: Running, code: int, value: float, path: str) -> None:
        """As the supervisor does: from then on a killed lab loses nothing of how the run ended."""
        run_id = running.manifest.run_id
        with suppress(OSError):
            data = encode(Exit(run_id=run_id, code=code, wall_s=value))
            who.root.files.create(f"{path or running.path}/{layout.EXIT}", data)
            if not path and (running.manifest.experiment, running.manifest.generation) not in self.rude:
                self.world.exits[running.path] = value if code == 0 else None

    def carry_out(self, _root: object, running: Running, _view: object, *, path: str = "", **_rest: object) -> Ended:
        """In the place of `work.carry_out`: the run of a turn, or of a package in its own folder."""
        who = self.world.asker()
        assert who is not None
        self.began(running)
        self.told.turns += 1
        return self.work(who, running, path)

    def turn(self, who: Process) -> None:
        """One line of cron."""
        request = Request(max_runs=who.rng.randrange(1, 4), now=who.rng.random() < 0.7)

        def tell(step: Step) -> None:
            self.world.say(f"{who.name} {step}")
            self.suspect(f"{who.deed}: {step.what}")

        Turn(who.root, request, tell=tell, interrupted=lambda: "").take()

    def suspect(self, what: str) -> None:
        """A turn tells of trouble in words; that a file of the lab's own was not there is trouble of its own making."""
        assert "No such file" not in what, what

    # -- people ----------------------------------------------------------------------------------------------------

    def _decide(self, who: Process, act: Callable[..., decisions.Decided], *more: str) -> None:
        self._number += 1
        actor = f"person-{self._number}"
        experiment = who.rng.choice(sorted(self.slots))
        done = act(who.root, experiment, *more, reason="because", actor=actor)
        if done.changed:
            self.told.decided[actor] = (experiment, done.tier if more else done.phase)

    def pause(self, who: Process) -> None:
        self._decide(who, decisions.pause)

    def resume(self, who: Process) -> None:
        self._decide(who, decisions.resume)

    def complete(self, who: Process) -> None:
        self._decide(who, decisions.complete)

    def archive(self, who: Process) -> None:
        self._decide(who, decisions.archive)

    def restore(self, who: Process) -> None:
        self._decide(who, decisions.restore)

    def set_tier(self, who: Process) -> None:
        self._decide(who, decisions.set_tier, who.rng.choice(("proxy", "final")))

    def edit(self, who: Process) -> None:
        """An editor that knows nothing of the lab. Sometimes what it leaves is no SPEC."""
        experiment = who.rng.choice(sorted(self.slots))
        self._number += 1
        text = self.spec(experiment, f"more {self._number}")
        if self.world.temper.broken_specs:  # or one that was there before
            self.broken = True
            text = self.spec(experiment, f"more {who.rng.randrange(3)}")
            if who.rng.random() < 0.1:
                text = text.replace("fidelity_tiers: [", "fidelity_tiers: {[")
        path = who.root.layout.spec(experiment)
        beside = f"{path}.{who.name}~"
        with open(beside, "w", encoding="utf-8") as file:
            file.write(text)
        os.utime(beside, (self.world.server_s(), self.world.server_s()))
        who.pause(f"saves {self.world.short(path)}")
        os.replace(beside, path)

    def spec(self, experiment: str, goal: str) -> str:
        return SPEC.format(
            id=experiment, goal=goal, slots=self.slots[experiment], durability=self.durability[experiment],
            search=SEARCHES.get(experiment, ""),
        )  # fmt: skip

    def cancel(self, who: Process) -> None:
        experiment = who.rng.choice(sorted(self.slots))
        held = leases.survey(who.root, experiment).held
        if held:
            leases.ask_to_cancel(who.root, experiment, who.rng.choice(held).seen.claim.generation, "enough")

    def break_lease(self, who: Process) -> None:
        experiment = who.rng.choice(sorted(self.slots))
        held = leases.survey(who.root, experiment).held
        if held:
            reclaim.broken(who.root, experiment, who.rng.choice(held).seen.claim.generation, actor="ann")

    def repair(self, who: Process) -> None:
        for item in watchdog.repair(who.root):
            self.world.say(f"{who.name}: {item.experiment}/{item.run_id}: {item.what}")

    def recover(self, who: Process) -> None:
        done = watchdog.recover(who.root)
        for line in (*done.done, *done.left):
            self.world.say(f"{who.name}: {line}")

    def look(self, who: Process) -> None:
        watchdog.look(who.root)

    def refresh(self, who: Process) -> None:
        refresh.everything(who.root)

    def verify(self, who: Process) -> None:
        verify.verify(who.root)

    def rude_deeds(self) -> tuple[Callable[[Process], None], ...]:
        """Those by which somebody alive can lose a lease."""
        return (self.break_lease,)

    def deeds(self) -> tuple[Callable[[Process], None], ...]:
        return (
            self.pause, self.resume, self.resume, self.resume, self.complete, self.archive, self.restore, self.set_tier,
            self.edit, self.edit, self.cancel, self.repair, self.recover, self.look, self.refresh, self.verify,
        )  # fmt: skip
