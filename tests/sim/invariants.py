"""What must hold: after each step, after some, and after the end of everybody."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

from lab.core import event, layout
from lab.core.claim import Claim, Owner
from lab.core.ended import Ended
from lab.core.errors import Corrupt
from lab.core.package import COMPLETE, OWNER_PREFIX, RUNNING
from lab.core.record import parse
from lab.core.run import SUCCESS
from lab.core.view import OPEN_PHASES, QUEUED
from lab.scheduler import cycle, due, refresh, watchdog
from lab.scheduler.dispatch import ingest, mend
from lab.store import archives, bundles, experiments, ledger, packages, reading, verify
from tests.crash import invariants as lab_state

if TYPE_CHECKING:
    from lab.core.event import Line
    from lab.core.seal import Seal
    from lab.store.root import Root
    from tests.sim.deeds import Deeds
    from tests.sim.world import World

Identity = tuple[int, int, int]


class Violated(AssertionError):
    """Something that must never be has been."""


def require(holds: object, what: str) -> None:
    if not holds:
        raise Violated(what)


class Watch:
    """Follows the lab from outside, and remembers what may never change again."""

    def __init__(self, world: World, deeds: Deeds) -> None:
        self.world = world
        self.deeds = deeds
        self.root = world.outside(world.path)
        self.audit = ledger.Audit()
        self.end = 0
        self.inode = 0
        self.owners: dict[tuple[str, int], Claim] = {}
        self.phases: dict[str, str] = {}
        self.actors: dict[str, event.Event] = {}
        self.recorded: dict[tuple[str, str], event.Event] = {}
        self.generations: dict[tuple[str, int], str] = {}
        self.seals: dict[str, dict[str, Identity]] = {}
        self.away: set[str] = set()  # sealed bundles that lie in an archive
        self.archives: list[tuple[str, str]] = []
        self.used: dict[str, str] = {}  # approved proposal -> the run that used it
        self.overdue: set[tuple[str, int]] = set()  # claims that were seen not renewed for too long

    def step(self) -> None:
        """The cheap ones."""
        self._claims()
        self._ledger()
        answered = self.deeds.told.decided.keys() - self.actors.keys()
        require(not answered, f"answered, and not in the ledger: {sorted(answered)}")

    def often(self) -> None:
        """Those that look at every bundle."""
        told = self.deeds.told
        by_generation: dict[tuple[str, int], str] = {}
        for experiment in sorted(self.deeds.slots):
            for run_id in bundles.names(self.root, experiment):
                self._bundle(experiment, run_id, by_generation)
        for path in list(self.seals):
            if self._is_archived(path):
                continue
            for name, identity in self.seals[path].items():  # of a bundle that is back, those that it came back with
                require(_identity(f"{path}/{name}") == identity, f"a sealed file changed or is gone: {path}/{name}")
        for key, value in told.sealed.items():
            line = self.recorded.get((key[0], told.begun[key]))
            require(line is not None, f"{key} was answered as sealed and is not in the ledger")
            assert line is not None
            require(line.generation == key[1], f"{key} was answered as sealed; generation {line.generation} is")
            require(line.facts.get("value") == value, f"{key} has another value in the ledger")
        for key in told.superseded:
            require(key not in self.generations, f"{key} was told that it is superseded, and yet it is counted")

    def _is_archived(self, path: str) -> bool:
        """Whether a sealed bundle is in an archive that the ledger tells of. One that is back is what it was."""
        _, experiment, _, run_id = path.rsplit("/", maxsplit=3)
        if reading.is_folder(path):
            if path in self.away:
                self.away.discard(path)
                del self.seals[path]
                self._sealed(experiment, run_id)
            return False
        if path not in self.away:
            kept = any(
                run_id in _archived(self.root, owner, name) for owner, name in self.archives if owner == experiment
            )
            require(kept, f"a sealed bundle is gone, and in no archive that the ledger tells of: {path}")
            self.away.add(path)
        return True

    # -- claims ----------------------------------------------------------------------------------------------------

    def _claims(self) -> None:
        for experiment, slots in self.deeds.slots.items():
            folder = self.root.layout.claims(experiment)
            found = [pair for name in os.listdir(folder) if (pair := layout.claim_file(name))]
            live = [number for number, suffix in found if suffix == layout.CLAIM_SUFFIX]
            require(len(live) <= slots, f"{experiment} has {len(live)} claims for {slots} slots: {sorted(live)}")
            numbers = [number for number, _ in found]
            require(len(set(numbers)) == len(numbers), f"{experiment}: a generation has two places: {sorted(found)}")
            for number in live:
                known = self.owners.get((experiment, number))
                age_s = self.world.server_s() - os.stat(self.root.layout.claim(experiment, number)).st_mtime
                if known is not None and age_s >= known.ttl_s:
                    self.overdue.add((experiment, number))
            for number, suffix in found:
                if suffix != layout.RELEASED_SUFFIX or (experiment, number) not in self.owners:
                    self._claim(experiment, number, suffix)

    def _claim(self, experiment: str, number: int, suffix: str) -> None:
        path = self.root.layout.claim(experiment, number, suffix)
        data = reading.read(path)
        require(data is not None, f"{path} went while nobody ran")
        claim = parse(Claim, data or b"", path)
        before = self.owners.get((experiment, number))
        if before is not None:
            require(before == claim, f"generation {number} of {experiment} was given out again: {before} and {claim}")
            return
        newest = max((known for name, known in self.owners if name == experiment), default=0)
        require(number > newest, f"{experiment}: generation {number} was claimed after {newest}")
        self.owners[experiment, number] = claim
        self.world.say(f"  {claim.owner.name} has generation {number} of {experiment}: {claim.run_id}")
        if claim.owner.name.startswith(("run-once", OWNER_PREFIX)):
            self._ledger()
            phase = self.phases.get(experiment, QUEUED)
            require(phase in OPEN_PHASES, f"a turn claimed generation {number} of {experiment}, which is {phase}")

    # -- the ledger ------------------------------------------------------------------------------------------------

    def _ledger(self) -> None:
        size = reading.size_of(self.root.layout.events)
        require(size >= self.end, f"the ledger lost whole lines: it has {size} bytes, it had {self.end}")
        if size == self.end:
            return
        for entry in ledger.entries(self.root, self.end):
            problem = self.audit.feed(entry)
            require(not problem, f"the ledger's chain is broken: {problem}")
            self.end = entry.end
            if entry.line is not None:
                self._line(entry.line)

    def _line(self, line: Line) -> None:
        told = line.event
        self.world.say(f"  ledger {line.seq}: {told.type} {told.experiment} {told.run_id} {told.phase}{told.tier}")
        if told.actor:
            self.actors[told.actor] = told
        if told.type in (event.PHASE_CHANGED, event.EXPERIMENT_CREATED):
            self.phases[told.experiment] = told.phase or QUEUED
        if told.type == event.LEDGER_CUT:
            raise Violated(f"the lab believes that its ledger was cut: {told}")
        if told.type == event.LEASE_TAKEN_OVER:
            self._taken(told)
        if told.type == event.RUNS_ARCHIVED:
            self.archives.append((told.experiment, told.name))
        if told.type != event.RUN_SEALED:
            return
        key = (told.experiment, told.run_id)
        require(key not in self.recorded, f"{key} was recorded as sealed twice")
        self.recorded[key] = told
        number = (told.experiment, told.generation)
        require(number not in self.generations, f"{number} counts twice: {told.run_id}, {self.generations.get(number)}")
        self.generations[number] = told.run_id
        value, outcome = told.facts.get("value"), told.facts.get("outcome")
        require(value is None or outcome == SUCCESS, f"{key} ended as {outcome} and has the value {value}")
        self._sealed(told.experiment, told.run_id)

    def _taken(self, told: event.Event) -> None:
        """A lease is lost by death, by silence, or on a person's word."""
        key = (told.experiment, told.generation)
        owner = self.owners[key].owner
        same = [each for each in self.world.processes if (each.pid, each.boot) == (owner.pid, owner.boot_id)]
        lives = any(not each.doomed for each in same)
        said = told.reason in ("broken by a person", "no package tells of it")
        require(said or not lives or key in self.overdue, f"a lease was taken from the living: {told}")

    # -- bundles ---------------------------------------------------------------------------------------------------

    def _sealed(self, experiment: str, run_id: str) -> None:
        """Remember every file of a bundle from its seal on."""
        path = self.root.layout.run(experiment, run_id)
        if path in self.seals:
            return
        found = _seal(path)
        if found is None:
            return  # a run's own `SEAL.json`
        wrong = [f"{item.kind} {item.where}" for item in verify.changed(path, run_id, found)]
        require(not wrong, f"{run_id} is not what its seal says: {wrong}")
        self.seals[path] = {name: _identity(f"{path}/{name}") for name in (layout.SEAL, *found.files)}
        if path in self.world.exits and found.run.outcome != "cancelled":
            known = self.world.exits[path]
            same = found.run.value == known
            require(same, f"{run_id} ended with {known} by its exit.json, and was sealed as {found.run}")

    def _bundle(self, experiment: str, run_id: str, seen: dict[tuple[str, int], str]) -> None:
        path = self.root.layout.run(experiment, run_id)
        if (found := _seal(path)) is not None and (experiment, run_id) in self.recorded:
            self._sealed(experiment, run_id)
        for (name, number), known in self.deeds.told.begun.items():
            if name == experiment and known == run_id and (name, number) in self.deeds.rude:
                return  # a run that wrote over its manifest: nothing can be read there before it is settled
        made = bundles.load_manifest(path)
        require(made is not None, f"{path} has no manifest")
        assert made is not None
        key = (experiment, made.generation)
        require(key not in seen, f"generation {key} has two bundles: {seen.get(key)} and {run_id}")
        seen[key] = run_id
        self._used(made.proposal, path)
        if found is not None:
            require(found.generation == made.generation, f"{path}: the seal and the manifest name two generations")

    def _used(self, proposal: str, path: str) -> None:
        """What a person said yes to is run once, and as it was asked."""
        if not proposal:
            return
        before = self.used.setdefault(proposal, path)
        superseded = reading.is_file(f"{before}/{layout.SUPERSEDED}") or reading.is_file(f"{path}/{layout.SUPERSEDED}")
        require(before == path or superseded, f"{proposal} was run twice: {before} and {path}")
        if not superseded:
            self.used[proposal] = path
        asked = self.deeds.told.asked.get(proposal)
        data = reading.read(f"{path}/{layout.PARAMS}")
        if asked is not None and data is not None and _seal(path) is not None:
            require(json.loads(data) == asked, f"{path} was to run {asked} of {proposal}, and ran {data.decode()}")


def _archived(root: Root, experiment: str, archive: str) -> set[str]:
    """The runs of an archive, by its companion."""
    return {kept.run_id for kept, _ in archives.runs(root, experiment, archive)}


def _seal(path: str) -> Seal | None:
    try:
        found = bundles.load_seal(path)
    except Corrupt:
        return None
    return found[0] if found is not None else None


def _identity(path: str) -> Identity:
    try:
        seen = os.lstat(path)
    except FileNotFoundError:
        return (0, 0, 0)
    return (seen.st_ino, seen.st_size, seen.st_mtime_ns)


def judgement(world: World, watch: Watch, deeds: Deeds) -> None:
    """Everybody dies here and now. On a copy of what they leave, one repair and one recovery bring all in order."""
    copy = f"{world.path}-after"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(world.path, copy, symlinks=True)
    world.doom = True
    try:
        _judge(world.outside(copy), watch, deeds)
    finally:
        world.doom = False
    shutil.rmtree(copy)


def _judge(root: Root, watch: Watch, deeds: Deeds) -> None:
    names = sorted(deeds.slots)
    said = [item.what for item in watchdog.repair(root) if item.what.startswith("not settled")]
    require(not said, f"repair: {said}")
    mend.mend(root)
    ingest.ingest(root)
    packed = [each.name for stage in (RUNNING, COMPLETE) for each in packages.found(root, stage)]
    require(not packed, f"after repair: packages of the dead: {packed}")
    wrong = [*lab_state._claims(root), *lab_state._unsettled(root)]
    require(not wrong, f"after repair: {wrong}")
    asked = due.due(root, now=True).names
    for name in names:
        starves = name not in asked and watch.phases.get(name, QUEUED) in OPEN_PHASES
        require(not starves or experiments.load(root, name).spec is None, f"{name} could run, and is never due")
        with root.section(name):
            cycle.observe(root, name)  # which also writes down that a SPEC was edited
            refresh.catch_up(root, name)
    refresh.lab_pages(root)
    # A SPEC that is broken by hand, or put back as it was, is no event: there the lab's own pages may be behind.
    _same_as_rebuilt(root, layout.LAB_PAGES if deeds.broken else ())
    for draft in lab_state._drafts(root.layout.root):  # long ago, by the clock of this world
        os.utime(root.layout.place(draft), (0, 0), follow_symlinks=False)
    recovered = watchdog.recover(root)
    require(not recovered.left, f"recovery left: {recovered.left}")
    damage = verify.verify(root).damage
    require(not damage, f"after recovery: {damage}")
    drafts = lab_state._drafts(root.layout.root)
    require(not drafts, f"after recovery: drafts {drafts}")
    pages = lab_state.snapshot(root)
    again = watchdog.recover(root)
    require(not again.done, f"a second recovery found more to do: {again.done}")
    require(lab_state.snapshot(root) == pages, "a second recovery changed a page")
    for key, run_id in deeds.told.begun.items():
        _accounted(root, key, run_id)
    for name in names:
        used = max((number for known, number in watch.owners if known == name), default=0)
        with open(root.layout.spec(name), "w", encoding="utf-8") as file:
            file.write(deeds.spec(name, "the end"))
        running = cycle.begin(root, name, owner=Owner(name="heir", host="heir"), params={"lr": 1.0})
        number = running.manifest.generation
        require(number > used, f"{name}: generation {number} was given out again after {used}")
        cycle.finish(root, running, Ended(outcome=SUCCESS, value=0.5))
    _same_as_rebuilt(root, layout.LAB_PAGES)  # folded in just now, and looked at by nobody who would have mended it
    damage = verify.verify(root).damage
    require(not damage, f"after another run: {damage}")


def _accounted(root: Root, key: tuple[str, int], run_id: str) -> None:
    path = root.layout.run(key[0], run_id)
    if not reading.is_folder(path):
        kept = any(run_id in _archived(root, key[0], name) for name in archives.names(root, key[0]))
        require(kept, f"{key} {run_id} has begun, and is nowhere")
        return
    marks = [name for name in (layout.SEAL, layout.SUPERSEDED) if reading.is_file(f"{path}/{name}")]
    require(marks, f"{key} {run_id} has begun, and is neither sealed nor superseded")


def _same_as_rebuilt(root: Root, but: tuple[str, ...]) -> None:
    before = lab_state.snapshot(root)
    for page in before:
        os.unlink(root.layout.place(page))
    refresh.everything(root)
    after = lab_state.snapshot(root)
    differ = [page for page in sorted({*before, *after}) if page not in but and before.get(page) != after.get(page)]
    if differ:
        page = differ[0]
        one, two = before.get(page, b"(none)").decode(), after.get(page, b"(none)").decode()
        lines = [f"  - {a}\n  + {b}" for a, b in zip(one.splitlines(), two.splitlines(), strict=False) if a != b]
        raise Violated(f"pages differ from a rebuild: {differ}\n" + "\n".join(lines[:5]))
