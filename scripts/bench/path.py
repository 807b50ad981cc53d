"""What one run costs on its way: sealed, folded, begun and finished; and all of them read again."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from typing import TYPE_CHECKING

from lab.core import layout
from lab.store import bundles
from scripts.bench import gauge, grow, start, steps
from scripts.bench.table import Row

if TYPE_CHECKING:
    from scripts.bench.table import Size

SEAL_RATIO, FOLD_RATIO = 3.0, 1.2
KEPT_FILES, KEPT_BYTES = 10, 6_000
PEER_CYCLE = "hermes-lab 29 ms at run 20, 212 at 1,000"
_SHOWN_CALLS = 6
_MORE = 10  # turns by which two counts of system calls differ


def sealing(scratch: str, disk: str, size: Size) -> list[Row]:
    """Close, seal and ledger line of eight small files, against a loop that writes and syncs as much.

    On a disk the file system is most of both sides; in memory what is left is ours.
    """
    folder = tempfile.mkdtemp(prefix="seal-", dir=scratch)
    try:
        return [*_sealing(disk, "on disk", size), *_sealing(folder, "in scratch", size)]
    finally:
        shutil.rmtree(folder)


def _sealing(folder: str, where: str, size: Size) -> list[Row]:
    rows = []
    for durability in ("full", "fast"):
        place = f"{folder}/seal-{durability}"
        shared = (place, "--durability", durability)
        told = steps.result("seal", *shared, "--count", str(size.sealed))
        ours, floor, opened = (_number(told[name]) for name in ("ours", "floor", "open"))
        what = f"seal a run of 8 small files {where}, durability {durability}"
        rows += [
            Row(
                what=f"{what} ({_number(told['syncs']):.0f} fsyncs)",
                ours=_ms(ours),
                floor=f"{_ms(floor)} (mkdir, 8 files, as many fsyncs)",
                ratio=ours / floor,
                goal=f"<= {SEAL_RATIO:g}x CPU",
                met=ours / floor <= SEAL_RATIO,
                number=ours,
            ),
            Row(
                what=f"{what}, its bundle opened too",
                ours=_ms(ours + opened),
                floor=_ms(floor),
                ratio=(ours + opened) / floor,
                number=ours + opened,
            ),
        ]
        if where == "on disk":
            calls = {side: _per_run(place, durability, side) for side in ("ours", "floor")}
            rows.append(_calls_row(f"{what}: system calls", calls["ours"], calls["floor"]))
    return rows


def _per_run(place: str, durability: str, side: str) -> Counter[str] | None:
    """System calls of one seal, or of its floor."""
    shared = ("--durability", durability, "--mark", side)
    few, many = (
        steps.command("seal", f"{place}-{side}-{count}", *shared, "--count", str(count)) for count in (2, 2 + _MORE)
    )
    return _difference(few, many)


def _difference(few: list[str], many: list[str]) -> Counter[str] | None:
    """System calls of one turn: what `_MORE` of them add, so that what is loaded once is not counted."""
    counted = [gauge.calls_between_marks(command, gauge.environment()) for command in (few, many)]
    before, after = counted
    if before is None or after is None:
        return None
    return Counter({name: round((after[name] - before[name]) / _MORE) for name in after})


def _calls_row(what: str, ours: Counter[str] | None, floor: Counter[str] | None = None, *, peer: str = "") -> Row:
    if ours is None:
        return Row(what=what, ours="no strace here")
    total = sum(ours.values())
    beside = sum(floor.values()) if floor else 0
    return Row(
        what=what,
        ours=f"{total}: {_most(ours)}",
        peer=peer,
        floor=f"{beside}: {_most(floor)}" if floor else "",
        ratio=total / beside if beside else None,
        number=float(total),
    )


def _most(calls: Counter[str]) -> str:
    return " ".join(f"{name} {number}" for name, number in calls.most_common(_SHOWN_CALLS) if number)


def folding(scratch: str, size: Size) -> list[Row]:
    """One run more, after few runs and after very many; in a lab of many experiments; and after a long sleep."""
    places = {number: f"{scratch}/deep-{number}" for number in size.depths}
    for number, place in places.items():
        grow.grown(place, [("exp-0000", number)])
    told = steps.result("fold", *places.values(), "--count", str(size.repeats))
    first = _numbers(told[places[size.depths[0]]])
    rows = []
    for number, place in places.items():
        used_s, read, written = _numbers(told[place])
        last = number == size.depths[-1]
        calls = _difference(*(steps.command("fold", place, "--count", str(count)) for count in (1, 1 + _MORE)))
        shown = f", {sum(calls.values())} calls" if calls else ""
        worst = max(used_s / first[0], written / first[2])
        rows.append(
            Row(
                what=f"fold one more run after {number:,} runs",
                ours=f"{_ms(used_s)}, {read:,.0f} B read, {written:,.0f} B written{shown}",
                floor=f"{_ms(first[0])} (after {size.depths[0]:,} runs)",
                ratio=used_s / first[0],
                goal=f"<= {FOLD_RATIO:g}x" if last else "",
                met=worst <= FOLD_RATIO if last else None,
                number=used_s,
            )
        )
    return [*rows, *_wide_folds(scratch, size, first[0]), _damaged(scratch, size, first[0])]


def _wide_folds(scratch: str, size: Size, small_s: float) -> list[Row]:
    place = start.wide(scratch, size)
    where = f"in a lab of {size.experiments:,} experiments, {size.runs:,} runs"
    newest = f"exp-{size.experiments - 1:04d}"
    # First: any run that is sealed in between would shorten the sleep of exp-0000.
    slept = _number(steps.result("idle", place, "--count", "5")["cpu_s"])
    used_s, read, written = _numbers(
        steps.result("fold", place, "--experiment", newest, "--count", str(size.repeats))[place]
    )
    return [
        Row(
            what=f"fold one more run {where}",
            ours=f"{_ms(used_s)}, {read:,.0f} B read, {written:,.0f} B written",
            floor=f"{_ms(small_s)} (alone in its lab)",
            ratio=used_s / small_s,
            number=used_s,
        ),
        Row(
            what=f"catch up after all the others' runs, {where}",
            ours=_ms(slept),
            floor=f"{_ms(small_s)} (fold, alone in its lab)",
            ratio=slept / small_s,
            number=slept,
        ),
    ]


def _damaged(scratch: str, size: Size, small_s: float) -> Row:
    """One edited byte in one old bundle must not make every later run read all history."""
    number = size.depths[-2]
    place = f"{scratch}/damaged-{number}"
    root = grow.grown(place, [("exp-0000", number)])
    path = f"{root.layout.run('exp-0000', bundles.names(root, 'exp-0000')[number // 2])}/{layout.METRICS}"
    os.chmod(path, 0o644)
    with open(path, "ab") as file:
        file.write(b" ")
    steps.result("rebuild", place)
    used_s = _number(steps.result("idle", place, "--count", "3")["cpu_s"])
    return Row(
        what=f"catch up after {number:,} runs of which one bundle was edited",
        ours=_ms(used_s),
        floor=f"{_ms(small_s)} (fold after {size.depths[0]:,} runs)",
        ratio=used_s / small_s,
        goal=f"<= {FOLD_RATIO:g}x",
        met=used_s / small_s <= FOLD_RATIO,
        number=used_s,
    )


def cycles(scratch: str, disk: str, size: Size) -> list[Row]:
    """Begin to finish, many times in one process."""
    folder = tempfile.mkdtemp(prefix="cycle-", dir=scratch)
    try:
        return _cycles(folder, disk, size)
    finally:
        shutil.rmtree(folder)


def _cycles(scratch: str, disk: str, size: Size) -> list[Row]:
    told = steps.result("cycles", f"{scratch}/cycles", "--stops", *map(str, size.stops))
    first = _numbers(told[str(size.stops[0])])[0]
    rows = []
    for stop in size.stops:
        used_s, memory_mb = _numbers(told[str(stop)])
        rows.append(
            Row(
                what=f"a whole cycle at run {stop:,}, durability fast",
                ours=f"{_ms(used_s)}, RSS {memory_mb:.0f} MB",
                peer=PEER_CYCLE,
                floor=f"{_ms(first)} (at run {size.stops[0]:,})",
                ratio=used_s / first,
                goal="same at every run",
                met=used_s / first <= FOLD_RATIO,
                number=used_s,
            )
        )
    rows.append(Row(what="peak memory of all these cycles", ours=f"{_number(told['peak_mb']):.0f} MB"))
    full = steps.result("cycles", f"{disk}/cycles", "--durability", "full", "--stops", str(size.synced))
    used_s = _numbers(full[str(size.synced)])[0]
    rows.append(Row(what="a whole cycle, durability full, on disk", ours=_ms(used_s), peer=PEER_CYCLE, number=used_s))
    rows.append(_cycle_calls(scratch))
    return [*rows, *_kept(_numbers(told["bundle"]))]


def _cycle_calls(scratch: str) -> Row:
    few, many = (steps.command("cycles", f"{scratch}/calls-{stop}", "--stops", str(stop)) for stop in (5, 5 + _MORE))
    return _calls_row("system calls of a cycle", _difference(few, many), peer="hermes-lab 9,441 an iteration")


def _kept(told: list[float]) -> list[Row]:
    files, size, line = told
    return [
        Row(
            what="kept of a run: its bundle",
            ours=f"{files:.0f} files, {size:,.0f} bytes (+ {line:.0f} in the ledger)",
            peer="hermes-lab 38 files, 28,456 bytes and growing",
            goal=f"<= {KEPT_FILES} files, {KEPT_BYTES:,} bytes",
            met=files <= KEPT_FILES and size <= KEPT_BYTES,
            number=size,
        )
    ]


def rebuilding(scratch: str, size: Size) -> list[Row]:
    """Everything read again."""
    rows = []
    few = size.depths[-2]
    each: dict[int, float] = {}
    for number in (few, size.depths[-1]):
        place = f"{scratch}/deep-{number}"
        grow.grown(place, [("exp-0000", number)])
        told = steps.result("rebuild", place)
        used_s, memory_mb = _number(told["cpu_s"]), _number(told["peak_mb"])
        each[number] = used_s / _number(told["runs"])
        rows.append(
            Row(
                what=f"refresh of one experiment with {number:,} runs",
                ours=f"{used_s:.2f} s, {1e6 * each[number]:.0f} us a run, peak {memory_mb:.0f} MB",
                floor=f"{1e6 * each[few]:.0f} us a run (of {few:,})",
                ratio=each[number] / each[few],
                number=used_s,
            )
        )
    return rows


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.2f} ms"


def _number(told: object) -> float:
    if not isinstance(told, (int, float)):
        raise TypeError(f"a step told {told!r} where a number belongs")
    return told if isinstance(told, float) else float(told)


def _numbers(told: object) -> list[float]:
    if not isinstance(told, list):
        raise TypeError(f"a step told {told!r} where numbers belong")
    return [_number(each) for each in told]
