"""What a turn of the crank costs: in a process that is warm, in one that starts for it, and in memory."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from scripts.bench import gauge, grow, start, turns
from scripts.bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.store.root import Root
    from scripts.bench.table import Size

TRIAL_RATIO, SAME_RATIO = 3.0, 1.2
KEPT_FILES, KEPT_BYTES = 10, 6_000
MANY, MANY_S = 50, 0.004
PEER_BARE_MS, PEER_RATIO = 10.2, 1.2
# CPU of the peer's whole run-once in milliseconds; its stub and its /bin/true cost the same.
PEER = {"few": 69.0, "deep": 531.0, "idle": 60.0, 100: 81.0, 500: 137.0}
RSS_MB = 40
PRINTED_MB = 100
PACKAGES = 20
_ECHO = " ".join(turns.PROGRAM)
_MORE = 10  # turns by which two counts of system calls differ
_DEAREST = 5
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)$")


def turning(scratch: str, disk: str, size: Size) -> list[Row]:
    """The lab's own CPU of one run, everything included but its program, beside a trial written by hand.

    On a disk the file system is most of both sides; in memory what is left is ours.
    """
    folder = tempfile.mkdtemp(prefix="turn-", dir=scratch)
    try:
        return [*_turning(disk, "on disk", size), *_turning(folder, "in scratch", size)]
    finally:
        shutil.rmtree(folder)


def _turning(folder: str, where: str, size: Size) -> list[Row]:
    synced = where == "on disk"  # in memory a trial by hand is hardly more than its system calls: no goal there
    rows: list[Row] = []
    first = 0.0
    for earlier in (size.stops[0], size.stops[-1]):
        place = f"{folder}/deep-{earlier}"
        turns.due(grow.grown(place, _plan(1, earlier), durability="full"), ["exp-0000"], program=_ECHO)
        os.sync()  # what was grown is nobody's cost
        syncs = _syncs(place)
        files = _number(turns.result("runs", place, "--count", "1")["files"])
        floors = ("--floors", "--floor-files", f"{files:.0f}", "--floor-syncs", str(syncs))
        told = turns.result("runs", place, "--count", str(size.turns), *floors)
        own = _number(told["own_s"])
        first = first or own
        what = f"own CPU of a turn of one run at run {earlier:,}, durability full, {where}"
        rows += [
            _beside(what, own, _number(told["small_s"]), "a durable trial by hand: 3 files, 5 fsyncs", goal=synced),
            _beside(what, own, _number(told["large_s"]), f"one of {files:.0f} files, {syncs} fsyncs", goal=synced),
        ]
        if earlier != size.stops[0]:
            rows.append(_same(what, own, first, size.stops[0]))
        if synced:
            rows.append(_kept(told, earlier))
    return rows


def _beside(what: str, own: float, floor: float, told: str, *, goal: bool) -> Row:
    return Row(
        what=what,
        ours=_ms(own),
        floor=f"{_ms(floor)} ({told})",
        ratio=own / floor,
        goal=f"<= {TRIAL_RATIO:g}x" if goal else "",
        met=own / floor <= TRIAL_RATIO if goal else None,
        number=own,
    )


def _same(what: str, own: float, first: float, run: int) -> Row:
    return Row(
        what=what,
        ours=_ms(own),
        floor=f"{_ms(first)} (at run {run:,})",
        ratio=own / first,
        goal="the same",
        met=own / first <= SAME_RATIO,
        number=own,
    )


def _syncs(place: str) -> int:
    """How often a turn and its helpers wait for the disk; 13 where strace cannot count it."""
    counted = [
        gauge.calls_between_marks(turns.command("runs", place, "--count", str(count)), gauge.environment())
        for count in (1, 1 + _MORE)
    ]
    few, many = counted
    if few is None or many is None:
        return 13
    names = ("fsync", "fdatasync", "syncfs")
    return round(sum(many[name] - few[name] for name in names) / _MORE)


def _kept(told: turns.Told, earlier: int) -> Row:
    files, kept, line = (_number(told[name]) for name in ("files", "bytes", "ledger"))
    return Row(
        what=f"kept of run {earlier:,} beyond what it printed",
        ours=f"{files:.0f} files, {kept:,.0f} bytes (+ {line:.0f} in the ledger)",
        peer="hermes-lab 38 files, 28,456 bytes and growing",
        goal=f"<= {KEPT_FILES} files, {KEPT_BYTES:,} bytes",
        met=files <= KEPT_FILES and kept <= KEPT_BYTES,
        number=kept,
    )


def many(scratch: str, size: Size) -> list[Row]:
    """Fifty due experiments in one process: alone, and among ten times as many that are not due."""
    rows = []
    for others in (0, size.experiments - MANY if size.experiments > MANY else 0):
        for executor, program in (("stub", ""), ("command", _ECHO)):
            place = f"{scratch}/many-{others}-{executor}"
            root = grow.grown(place, _plan(MANY + others, 1), durability="full")
            _slow_down(root, others, MANY)
            turns.due(root, [_name(number) for number in range(MANY)], executor=executor, program=program)
            told = turns.result("many", place, "--many", str(MANY), "--count", str(max(size.repeats // 4, 3)))
            own = _number(told["own_s"])
            among = f", {others} more that are not due" if others else ""
            rows.append(
                Row(
                    what=f"{MANY} due experiments in one process, each run, {executor}{among}",
                    ours=f"{_ms(own)}, peak {_number(told['peak_mb']):.0f} MB",
                    peer="hermes-lab 10.8 ms (50 of 50)",
                    ratio=own / 0.0108,
                    goal=f"<= {1e3 * MANY_S:g} ms",
                    met=own <= MANY_S,
                    number=own,
                )
            )
        if size.experiments <= MANY:
            break
    return rows


def _slow_down(root: Root, others: int, first: int) -> None:
    """Have all the others run for years to come: their only run is older than any cadence but a very long one."""
    turns.due(root, [_name(number) for number in range(first, first + others)], executor="stub", cadence="52000h")


def cold(scratch: str, size: Size) -> list[Row]:
    """A whole process of `run-once`, its children included, in turns with a Python that does nothing."""
    places: list[tuple[str, str, float]] = []
    for executor, program in (("stub", ""), ("command", _ECHO)):
        for earlier, peer in ((0, PEER["few"]), (size.earlier, PEER["deep"])):
            place = f"{scratch}/cold-{earlier}-{executor}"
            turns.due(
                grow.grown(place, _plan(1, earlier), durability="full"), [_name(0)], executor=executor, program=program
            )
            places.append((f"one due experiment, {earlier:,} earlier runs, {executor}", place, peer))
    for others in size.others:
        for due in (1, 0):
            place = f"{scratch}/cold-among-{others}-{due}"
            root = grow.grown(place, _plan(others, 1), durability="full")
            _slow_down(root, others - due, due)
            turns.due(root, [_name(number) for number in range(due)], program=_ECHO)
            what = f"{'one due' if due else 'nothing due'}, {others} experiments, command"
            places.append((what, place, PEER[others] if due else _IDLE[others]))
    launcher = start.launchers()["python -c"]
    commands = {place: [*launcher, "run-once", "--quiet", "--data-root", place] for _, place, _ in places}
    taken = gauge.in_turns({"floor": gauge.FLOOR, **commands}, gauge.environment(), size.repeats)
    return [_against_peer(f"cold run-once, {what}", taken[place], taken["floor"], peer) for what, place, peer in places]


_IDLE = {100: 66.0, 500: 122.0}


def _against_peer(what: str, used: float, bare: float, peer_ms: float) -> Row:
    theirs = peer_ms / PEER_BARE_MS
    goal = PEER_RATIO * theirs
    return Row(
        what=what,
        ours=f"{1e3 * used:.1f} ms",
        peer=f"hermes-lab {peer_ms:g} ms, {theirs:.1f}x its floor",
        floor=f"{1e3 * bare:.1f} ms (python -c pass)",
        ratio=used / bare,
        goal=f"<= {goal:.1f}x ({PEER_RATIO:g} x the peer's)",
        met=used / bare <= goal,
        number=used,
    )


def imports(scratch: str, size: Size) -> list[Row]:
    """What a cold `run-once` loads: the dearest modules by their own time, the least of several looks."""
    place = f"{scratch}/cold-0-command"
    turns.due(grow.grown(place, _plan(1, 0), durability="full"), [_name(0)], program=_ECHO)
    command = start.launchers()["python -c"]
    words = [command[0], "-X", "importtime", *command[1:], "run-once", "--data-root", place]
    least: dict[str, int] = {}
    for _ in range(max(size.repeats // 3, 3)):
        done = subprocess.run(words, capture_output=True, text=True, check=True, env=gauge.environment())
        for found in map(_IMPORT.match, done.stderr.splitlines()):
            if found:
                own, name = int(found[1]), found[2]
                least[name] = min(own, least.get(name, own))
    ours = sum(own for name, own in least.items() if name.partition(".")[0] == "lab")
    dearest = sorted(least, key=lambda name: -least[name])[:_DEAREST]
    return [
        Row(
            what="modules that a cold run-once loads (-X importtime, wall, somewhat inflated)",
            ours=f"{len(least)}, {sum(least.values()) / 1e3:.1f} ms, of it the lab's own {ours / 1e3:.1f} ms",
            number=sum(least.values()) / 1e6,
        ),
        Row(
            what="the dearest of them, by their own time",
            ours=", ".join(f"{name} {least[name] / 1e3:.1f}" for name in dearest),
        ),
    ]


def memory(scratch: str, size: Size) -> list[Row]:
    """How large a `run-once` gets, whatever its run prints."""
    del size
    rows = []
    text = f"import os; [os.write(1, b'x' * (1 << 20)) for _ in range({PRINTED_MB})]; print(); print(0.5)"
    loud = f'{sys.executable} -I -S -c "{text}"'
    for what, program in (("/bin/echo", _ECHO), (f"{PRINTED_MB} MB of output", loud)):
        place = f"{scratch}/memory-{len(program)}"
        turns.due(grow.grown(place, _plan(1, 0), durability="full"), [_name(0)], program=program)
        told = turns.result("memory", place)
        if told["code"]:
            raise RuntimeError(f"run-once ended with {told['code']}")
        peak = _number(told["peak_mb"])
        rows.append(
            Row(
                what=f"peak memory of a run-once, {what}",
                ours=f"{peak:.1f} MB (its largest child {_number(told['children_mb']):.1f} MB)",
                goal=f"< {RSS_MB} MB",
                met=max(peak, _number(told["children_mb"])) < RSS_MB,
                number=peak,
            )
        )
    return rows


def packages(scratch: str, size: Size) -> list[Row]:
    """A package from its offer to its seal, in one process."""
    del size
    place = f"{scratch}/packages"
    names = [_name(number) for number in range(PACKAGES)]
    turns.due(grow.grown(place, [(name, 1) for name in names], durability="full"), names, program=_ECHO)
    told = turns.result("packages", place, "--many", str(PACKAGES))
    if told["runs"] != PACKAGES:
        raise RuntimeError(f"{told['runs']} of {PACKAGES} packages became runs")
    steps = {verb: _number(told[verb]) for verb in ("ready", "work", "ingest")}
    used = sum(steps.values()) - _number(told["program_s"])
    shown = ", ".join(f"{verb} {_ms(each)}" for verb, each in steps.items())
    return [Row(what=f"a package of {PACKAGES}, its program taken off", ours=f"{_ms(used)} ({shown})", number=used)]


def _plan(experiments: int, each: int) -> Sequence[tuple[str, int]]:
    return [(_name(number), each) for number in range(experiments)]


def _name(number: int) -> str:
    return f"exp-{number:04d}"


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.2f} ms"


def _number(told: object) -> float:
    if not isinstance(told, (int, float)):
        raise TypeError(f"a step told {told!r} where a number belongs")
    return told if isinstance(told, float) else float(told)
