"""The simulation: a seed decides who goes on, who dies, what disks and clocks do; the watch looks after each step."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput, Busy, LabError, NotFound, Superseded, Unavailable
from lab.scheduler import create, work
from tests.sim.baton import BLOCKED, WAITING
from tests.sim.control import Control
from tests.sim.deeds import Deeds
from tests.sim.disk import Refusal
from tests.sim.invariants import Violated, Watch, judgement
from tests.sim.packages import Packages
from tests.sim.world import REFUSALS, Process, Temper, World, installed

if TYPE_CHECKING:
    from collections.abc import Callable

EXPERIMENTS = {"alpha": 1, "beta": 2, "gamma": 2}
DURABILITY = {"alpha": "fast", "beta": "full", "gamma": "fast"}
OFTEN, JUDGED_EVERY = 10, 250

TEMPERS = {
    "calm": Temper(people=0.02, reads=0.1, torn=0.05, broken_specs=False),
    "crashes": Temper(broken_specs=False, crash=0.008, people=0.02, reads=0.05, torn=0.1),
    "disks": Temper(refusal=0.02, full=0.002, crash=0.001, people=0.02, torn=0.1),
    "sleepers": Temper(broken_specs=False, sleep=0.01, leap=0.004, people=0.02, reads=0.1, hosts=2),
    "hosts": Temper(crash=0.006, reboot=0.001, leap=0.004, sleep=0.003, people=0.02, hosts=3),
    "clocks": Temper(jump=0.02, crash=0.002, people=0.02, coarse=True),
    "packages": Temper(dispatch=True, crash=0.006, leap=0.001, people=0.02, reads=0.05, torn=0.05, hosts=2),
    "packages, wild": Temper(
        dispatch=True, crash=0.006, reboot=0.0003, refusal=0.005, full=0.001, sleep=0.005, leap=0.003, people=0.02,
        reads=0.1, hosts=2,
    ),
    "wild": Temper(
        crash=0.008, reboot=0.0005, refusal=0.01, full=0.001, sleep=0.005, leap=0.003, jump=0.01, people=0.02,
        torn=0.1, reads=0.1, hosts=2,
    ),
}  # fmt: skip


class Simulation:
    """One seed's story."""

    def __init__(self, path: str, seed: int, *, workers: int = 0) -> None:
        self.seed = seed
        self.temper_name = sorted(TEMPERS)[seed % len(TEMPERS)]
        self.world = World(path, seed, TEMPERS[self.temper_name])
        self.rng = self.world.rng
        self.deeds = Deeds(self.world, EXPERIMENTS, DURABILITY)
        self.packages = Packages(self.deeds)
        self.control = Control(self.deeds)
        self.workers = workers or self.rng.randrange(3, 7)
        self.crew: list[Process] = []  # who runs experiments
        self.people: list[Process] = []
        self.begun: Counter[str] = Counter()  # deeds, by their names

    def go(self, steps: int) -> None:
        """Play so many steps, then end the world. Raises what was violated, with the story that led to it."""
        self._make_lab()
        with installed(self.world), pytest.MonkeyPatch.context() as patch:
            patch.setattr(work, "carry_out", self.deeds.carry_out)
            patch.setattr(work, "require_work", lambda *_, **__: None)
            self.watch = Watch(self.world, self.deeds)
            try:
                for _ in range(self.workers):
                    self._hire()
                for _ in range(steps):
                    self._step()
                self.watch.often()
                judgement(self.world, self.watch, self.deeds)
            except BaseException as error:
                raise Violated(self.story(error)) from error
            finally:
                for each in self.world.processes:
                    if not each.doomed:
                        each.die()

    def story(self, error: BaseException) -> str:
        told = "\n".join(self.world.log)
        return (
            f"seed {self.seed} ({self.temper_name}), step {self.world.steps}: {type(error).__name__}: {error}\n"
            f"again: LABCTL_SIM_SEED={self.seed} pytest tests/sim\nthe last steps:\n{told}\n{error}"
        )

    def _make_lab(self) -> None:
        root = self.world.outside(self.world.path)
        create.make_lab(root)
        for name in EXPERIMENTS:
            place = f"{self.world.path}.{name}.yaml"
            with open(place, "w", encoding="utf-8") as file:
                file.write(self.deeds.spec(name, "much"))
            create.experiment(root, place, actor="maker")
            os.makedirs(root.layout.claims(name), exist_ok=True)

    def _hire(self) -> None:
        host = self.rng.choice(sorted(self.world.boots))
        made = self.world.process("worker", host)
        if self.world.temper.jump:
            made.skew_s = self.rng.choice((0.0, 0.0, -3600.0, 90.0))
        self.crew.append(made)

    # -- one step --------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        world = self.world
        world.steps += 1
        world.elapsed_s = round(world.elapsed_s + self.rng.random() / 10, 3)
        self._trouble()
        who = self._chosen()
        if who is not None:
            before = f"{who.name}: {who.deed}: {who.at}"
            who.resume()
            world.say(before + ("" if who.busy else f" -> {who.error!r}" if who.error else " -> done"))
            self._judge_error(who)
            if who.doomed:  # in the middle of a write
                self._replace(who)
        if who is not None and who in self.people and not who.busy:
            self.people.remove(who)
            who.die()
        self.watch.step()
        if world.steps % OFTEN == 0:
            self.watch.often()
        if world.steps % JUDGED_EVERY == 0:
            judgement(world, self.watch, self.deeds)

    def _chosen(self) -> Process | None:
        """Who goes on. Who waits for a lock or for its run is asked less often than who can do something."""
        world = self.world
        ready: list[tuple[Process, float]] = []
        for each in (*self.crew, *self.people):
            if each.asleep_until_s > world.elapsed_s:
                continue
            if not each.busy:
                self._employ(each)
            ready.append((each, {BLOCKED: 0.3, WAITING: 0.3}.get(each.state, 1.0)))
        if not ready:
            return None
        return self.rng.choices([each for each, _ in ready], [weight for _, weight in ready])[0]

    def _employ(self, who: Process) -> None:
        deeds, packages = self.deeds, self.packages.deeds() if self.world.temper.dispatch else ()
        self._give(who, self.rng.choice((deeds.run, deeds.turn, *packages)))

    def _give(self, who: Process, deed: Callable[[Process], None]) -> None:
        self.begun[deed.__name__] += 1
        who.start(deed.__name__, lambda: deed(who))

    def _trouble(self) -> None:
        """What happens to everybody, or to somebody, before the next one goes on."""
        world, temper, rng = self.world, self.world.temper, self.rng
        everybody = [*self.crew, *self.people]
        if rng.random() < temper.people and len(self.people) < 3:
            person = world.process("person", rng.choice(sorted(world.boots)))
            choice = (*self.deeds.deeds(), *self.control.deeds())
            choice += () if temper.calm else self.deeds.rude_deeds()
            self.people.append(person)
            self._give(person, rng.choice(choice))
        if rng.random() < temper.crash:
            self._kill(rng.choice(everybody))
        if rng.random() < temper.reboot:
            self._reboot(rng.choice(sorted(world.boots)))
        if rng.random() < temper.refusal:
            victim = rng.choice(everybody)
            victim.files.refusing, victim.files.errno = rng.randrange(1, 5), rng.choice(REFUSALS)
        if rng.random() < temper.full * (20 if world.full_disk else 1):
            world.full_disk = not world.full_disk
            world.say(f"the disk is {'full' if world.full_disk else 'free again'}")
        if rng.random() < temper.sleep:
            victim = rng.choice(everybody)
            victim.asleep_until_s = world.elapsed_s + rng.choice((5.0, 50.0, 300.0))
            world.say(f"{victim.name} is stopped for long in {victim.deed}: {victim.at}")
        if rng.random() < temper.leap:
            world.elapsed_s += rng.choice((20.0, 60.0, 300.0))
            world.say("time passes")
        if rng.random() < temper.jump:
            victim = rng.choice(everybody)
            victim.skew_s += rng.choice((-86_400.0, -3_600.0, -1.0, -0.5, 1.0, 3_600.0))
            world.say(f"the clock of {victim.name} jumps to {victim.clock()}")
        for program in world.works:
            if not program.ended and rng.random() < 0.01:
                world.say(f"{program.run_id} {program.go_on()}")

    def _kill(self, who: Process) -> None:
        world = self.world
        world.say(f"{who.name} is killed in {who.deed}: {who.at}")
        with_it = self.rng.random() < 0.5
        for program in world.works:
            program.ended = program.ended or (with_it and program.parent == who.name)
        who.die()
        self._replace(who)

    def _replace(self, who: Process) -> None:
        if who in self.crew:
            self.crew.remove(who)
            self._hire()
        else:
            self.people.remove(who)

    def _reboot(self, host: str) -> None:
        world = self.world
        world.say(f"{host} starts again")
        for each in [each for each in (*self.crew, *self.people) if each.host == host]:
            self._kill(each)
        for program in world.works:
            program.ended = program.ended or program.host == host
        world.boots[host] += "+"
        for each in self.crew:
            if each.host == host:  # hired while the machine went down
                each.boot = world.boots[host]

    # -- judging what came out -------------------------------------------------------------------------------------

    def _judge_error(self, who: Process) -> None:
        error = who.error
        if error is None or who.busy:
            return
        who.error = None
        temper = self.world.temper
        if isinstance(error, Superseded):
            fine = not temper.calm
        elif isinstance(error, Refusal | Busy | NotFound):
            fine = True
        elif isinstance(error, BadInput):
            fine = "sealed already" not in error.what
        else:
            fine = isinstance(error, Unavailable) and isinstance(error.__cause__, Refusal)
        if not fine:
            kind = "" if isinstance(error, LabError) else "no error of the lab's: "
            raise Violated(f"{who.name}, {who.deed}: {kind}{who.trace}")
