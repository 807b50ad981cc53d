"""Eight schedulers on one lab, and everything that can happen to them: real processes, real programs, real signals.

    python scripts/trial/schedulers.py [--quick] [--seconds S] [--seed N] [--keep] [--json | --markdown]

Ten minutes unless --seconds says otherwise. Turns, bursts, a swarm, workers and a queue share one lab, with a code
loop, a search in tiers and a research project in its study among the experiments; two people pause, resume, cancel,
edit, approve, prune, recover and look meanwhile. Schedulers, their groups, wardens and programs are killed with -9,
interrupted, and stopped for longer than their lease. Marks that the programs leave outside of the lab say what was run.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from lab.core.claim import Claim
from lab.core.record import parse
from scripts.trial import crowd_judge, report
from scripts.trial.crowd import PLAIN, Crowded, Mark
from scripts.trial.crowd_lanes import Lane, Person, Told, scheduling

if TYPE_CHECKING:
    from scripts.trial.report import Finding, Setting

LANES, PEOPLE = 8, 2
WHOLE_S, QUICK_S = 600.0, 8.0
TROUBLE_EVERY_S = 0.6
LOOK_EVERY_S = 0.01
WORST_TTL_S = 142.0  # 20 s of budget, half a second of grace, and the lab's own two minutes
STOP_S = (0.5, 4.0)
RECENT = 12  # programs that may still be alive
PATIENCE_S, END_S = 6.0, 120.0  # who works on after the end is asked to stop, and has to


class Troubles:
    """What happens to those who work."""

    def __init__(self, lab: Crowded, told: Told, lanes: list[Lane], rng: random.Random, *, long: bool) -> None:
        self.lab, self.told, self.lanes, self.rng = lab, told, lanes, rng
        self.long_s = 0.0 if not long else 15.0  # when the next one is stopped for as long as its lease really lasts
        self.begun_s = time.monotonic()
        self.recent: list[Mark] = []

    def one(self) -> None:
        busy = [lane for lane in self.lanes if lane.process is not None and lane.process.poll() is None]
        awake = [lane for lane in busy if not lane.stopped_until_s]
        self.recent = [*self.recent, *(mark for mark in self.lab.news() if mark.word != "end")][-RECENT:]
        if not awake:
            return
        lane = self.rng.choice(awake)
        kind = self.rng.choice(("scheduler", "group", "program", "warden", "TERM", "INT", "stop", "stop"))
        match kind:
            case "scheduler":
                self._signal(lane, signal.SIGKILL, "kill -9 of a scheduler")
            case "group":
                self._signal(lane, signal.SIGKILL, "kill -9 of its group", group=True)
            case "TERM":
                self._signal(lane, signal.SIGTERM, "SIGTERM")
            case "INT":
                self._signal(lane, signal.SIGINT, "SIGINT to its group", group=True)
            case "stop":
                self._stop(lane, awake)
            case "program" | "warden":
                self._outside(kind, lane)

    def _signal(self, lane: Lane, number: signal.Signals, name: str, *, group: bool = False) -> None:
        self.told.troubles[name] += 1
        lane.kill(number, name, group=group)

    def _outside(self, kind: str, lane: Lane) -> None:
        """A program, or who watches over it; where none is to be seen, a scheduler.

        Found by the name of its run: what a program calls itself in its mark may be so in its own pid namespace alone.
        """
        for mark in reversed(self.recent):
            pid = _running(mark.run_id)
            target = pid if kind == "program" else _parent(pid)
            if target > 1:
                with suppress(ProcessLookupError):
                    os.kill(target, signal.SIGKILL)
                    self.told.troubles[f"kill -9 of a {kind}"] += 1
                return
        self._signal(lane, signal.SIGKILL, "kill -9 of a scheduler")

    def _stop(self, lane: Lane, awake: list[Lane]) -> None:
        """Stopped for longer than the lease: for as long as that really is, or with its claims made old meanwhile.

        Who has a claim is stopped rather than who has none.
        """
        claims = self._claims()
        holders = [each for each in awake if each.process is not None and each.process.pid in claims]
        lane = self.rng.choice(holders) if holders else lane
        process = lane.process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGSTOP)
        now_s = time.monotonic()
        held = self._claims().get(process.pid, [])
        if _locks(process.pid):
            lane.stopped_until_s = now_s + 0.5  # with a lock in its hands: everybody waits for it, and nobody longer
            self.told.troubles["SIGSTOP with a lock in its hands"] += 1
        elif self.long_s and held and now_s - self.begun_s > self.long_s:
            lane.stopped_until_s = now_s + WORST_TTL_S
            self.long_s += WORST_TTL_S + 30.0
            self.told.troubles["SIGSTOP for a real lease"] += 1
        else:
            lane.stopped_until_s = now_s + self.rng.uniform(*STOP_S)
            for path in held:
                with suppress(FileNotFoundError):
                    then = time.time() - crowd_judge.DAY_S
                    os.utime(path, (then, then))
            self.told.troubles["SIGSTOP, its claims made old" if held else "SIGSTOP"] += 1

    def _claims(self) -> dict[int, list[str]]:
        """The claims that stand, by the process that holds them."""
        top = f"{self.lab.path}/registry/locks"
        found: dict[int, list[str]] = {}
        for name in (*PLAIN, "loop"):
            with suppress(FileNotFoundError):
                for file in os.listdir(f"{top}/{name}"):
                    path = f"{top}/{name}/{file}"
                    if file.endswith(".claim"):
                        with suppress(OSError), open(path, "rb") as claim:
                            found.setdefault(parse(Claim, claim.read(), path).owner.pid, []).append(path)
        return found


def _running(run_id: str) -> int:
    """The first process of a run that lives, by its environment; 0 where there is none."""
    for name in sorted(filter(str.isdecimal, os.listdir("/proc")), key=int):
        with suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
            if f"LAB_RUN_ID={run_id}\0".encode() in file.read():
                return int(name)
    return 0


def _parent(pid: int) -> int:
    with suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[1])
    return 0


def _locks(pid: int) -> bool:
    """Whether it has a flock: it is in a section, and whoever wants that section waits."""
    with open("/proc/locks", encoding="ascii") as file:
        return any(line.split()[4] == str(pid) and "->" not in line for line in file)


def crowd(setting: Setting) -> list[Finding]:
    rng = random.Random(setting.seed)
    seconds = setting.seconds or (QUICK_S if setting.quick else WHOLE_S)
    folder = f"{setting.scratch}/crowd"
    os.makedirs(folder)
    lab = Crowded(folder)
    told = Told()
    lanes = [Lane(f"lane-{i}", lab, told, scheduling(lab, rng, i)) for i in range(LANES)]
    people = [Lane(f"person-{i}", lab, told, Person(lab, rng)) for i in range(PEOPLE)]
    try:
        _play(Troubles(lab, told, lanes, rng, long=seconds > 2 * WORST_TTL_S), [*lanes, *people], seconds, rng)
        before = len(told.broken)
        crowd_judge.settle(lab, told)
        wedged, told.broken = told.broken[before:], told.broken[:before]
        promises = crowd_judge.judged(lab, told)
        counts, unkept = crowd_judge.counted(lab), crowd_judge.unkept(lab)
    finally:
        for lane in (*lanes, *people):
            if lane.process is not None and lane.process.poll() is None:
                lane.kill(signal.SIGKILL, "the end", group=True)
                lane.process.wait()
        lab.close()
    began = sum(mark.word == "begin" for mark in lab.said)
    ends = sum(mark.word == "end" for mark in lab.said)
    verbs = ", ".join(f"{n:,} {verb} ({code})" for (verb, code), n in sorted(told.ends.items()) if code >= 0)
    troubles = ", ".join(f"{n:,} {name}" for name, n in told.troubles.most_common())
    runs = ", ".join(f"{n:,} {outcome}" for outcome, n in counts.most_common())
    rows = [
        ("commands, with their exit codes", verbs, "labctl's own exit codes, one JSON document, no trace", told.broken),
        ("troubles", troubles, "no holder is wedged, and every experiment runs afterwards", wedged),
        (
            "runs",
            f"{runs}; by their marks {began:,} began, {ends:,} ended; {unkept:,} of these lost their warden",
            "as many as the marks say",
            [],
        ),
        *(("the lab afterwards", f"{sum(counts.values()):,} runs", name, broken) for name, broken in promises.items()),
    ]
    return [report.Finding(what=a, tried=b, promise=c, broken=d) for a, b, c, d in rows]


def _play(troubles: Troubles, lanes: list[Lane], seconds: float, rng: random.Random) -> None:
    over_s = time.monotonic() + seconds
    next_s = time.monotonic() + 1.0
    while (now_s := time.monotonic()) < over_s:
        for lane in lanes:
            lane.look(more=True)
        if now_s > next_s:
            next_s = now_s + rng.expovariate(1 / TROUBLE_EVERY_S)
            troubles.one()
        time.sleep(LOOK_EVERY_S)
    for lane in lanes:
        lane.wake()
    asked_s, limit_s = (time.monotonic() + seconds for seconds in (PATIENCE_S, END_S))
    while any(lane.process for lane in lanes) and (now_s := time.monotonic()) < limit_s:
        for lane in lanes:
            lane.look(more=False)
            if now_s > asked_s and lane.process is not None and not lane.killed:  # a phase of research takes hours
                lane.kill(signal.SIGTERM, "asked to end")
        time.sleep(LOOK_EVERY_S)
    troubles.told.broken += [f"{' '.join(x.words)} does not end" for x in lanes if x.process is not None]


if __name__ == "__main__":
    report.run(__doc__, {"crowd": crowd})
