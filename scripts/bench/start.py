"""What commands cost as whole processes, against a Python that does nothing."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from scripts.bench import gauge, grow
from scripts.bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.bench.table import Size

SMALL_RATIO, LARGE_RATIO = 3.0, 4.0
LIST_S = 0.250
REFRESH_S, PEER_REFRESH_S = 0.5, 2.295
# By verb, and whether the lab is a small one: its CPU, and how many times its own floor that was.
PEER = {
    ("--help", True): "hermes-lab 57 ms, 5.6x its floor",
    ("status", True): "hermes-lab 58 ms, 5.7x its floor",
    ("status", False): "hermes-lab 73 ms (500 runs), 7.2x its floor",
    ("list", False): "hermes-lab 75 ms (500 runs), 7.4x its floor",
}
_PROGRAM = "from lab.cli.main import entry; entry()"


def launchers() -> dict[str, list[str]]:
    """The ways to start labctl here: the checkout's code, and the console script where one is installed."""
    found = {"python -c": [sys.executable, "-c", _PROGRAM]}
    script = os.path.join(os.path.dirname(sys.executable), "labctl")
    if os.access(script, os.X_OK):
        found["labctl"] = [script]
    return found


def small(scratch: str, size: Size) -> list[Row]:
    """`--help` and `status` in a lab of one experiment."""
    place = f"{scratch}/one"
    grow.grown(place, [("exp-0000", 1)])
    return _against_nothing(place, ("--help", "status"), size, SMALL_RATIO, "1 experiment")


def large(scratch: str, size: Size) -> list[Row]:
    """`status` in a lab as large as it is meant to be fit for."""
    place = wide(scratch, size)
    what = f"{size.experiments:,} experiments, {size.runs:,} runs"
    return _against_nothing(place, ("status", "list"), size, LARGE_RATIO, what)


def wide(scratch: str, size: Size) -> str:
    """The place of the lab with many experiments, made on first use."""
    place = f"{scratch}/wide-{size.experiments}-{size.runs}"
    each = size.runs // size.experiments
    grow.grown(place, [(f"exp-{number:04d}", each) for number in range(size.experiments)])
    return place


def _against_nothing(place: str, verbs: Sequence[str], size: Size, goal: float, where: str) -> list[Row]:
    commands = {
        (verb, how): [*launcher, verb, *([] if verb.startswith("-") else ["--data-root", place])]
        for verb in verbs
        for how, launcher in launchers().items()
    }
    named: dict[str, Sequence[str]] = {f"{verb} {how}": command for (verb, how), command in commands.items()}
    taken = gauge.in_turns({"floor": gauge.FLOOR, **named}, gauge.environment(), size.repeats)
    rows = []
    for verb, how in commands:
        ratio = taken[f"{verb} {how}"] / taken["floor"]
        rows.append(
            Row(
                what=f"{verb}, {where} [{how}]",
                ours=f"{1e3 * taken[f'{verb} {how}']:.1f} ms",
                peer=PEER.get((verb, where == "1 experiment"), ""),
                floor=f"{1e3 * taken['floor']:.1f} ms (python -c pass)",
                ratio=ratio,
                goal=f"<= {goal:g}x",
                met=ratio <= goal,
                number=taken[f"{verb} {how}"],
            )
        )
    return rows


def listing(scratch: str, size: Size) -> list[Row]:
    """`list ID` of many runs."""
    place = f"{scratch}/deep-{size.listed}"
    grow.grown(place, [("exp-0000", size.listed)])
    commands = {
        how: [*launcher, "list", "exp-0000", *more, "--data-root", place]
        for how, launcher, more in (
            ("list ID", launchers()["python -c"], []),
            ("list ID --json", launchers()["python -c"], ["--json"]),
            ("list ID --last 20", launchers()["python -c"], ["--last", "20"]),
        )
    }
    taken = gauge.in_turns({"floor": gauge.FLOOR, **commands}, gauge.environment(), max(size.repeats // 3, 3))
    return [
        Row(
            what=f"{name}, {size.listed:,} runs",
            ours=f"{1e3 * taken[name]:.0f} ms",
            floor=f"{1e3 * taken['floor']:.1f} ms (python -c pass)",
            ratio=taken[name] / taken["floor"],
            goal=f"< {1e3 * LIST_S:.0f} ms",
            met=taken[name] < LIST_S,
            number=taken[name],
        )
        for name in commands
    ]


def refreshing(scratch: str, size: Size) -> list[Row]:
    """`refresh` where nothing has changed: what it costs, and that it leaves every file alone."""
    place = f"{scratch}/unchanged-{size.experiments}"
    grow.grown(place, [(f"exp-{number:04d}", 1) for number in range(size.experiments)])
    before = _identities(place)
    command = [*launchers()["python -c"], "refresh", "--data-root", place]
    used_s = gauge.in_turns({"refresh": command}, gauge.environment(), max(size.repeats // 3, 3))["refresh"]
    after = _identities(place)
    rewritten = sum(after.get(name) != seen for name, seen in before.items()) + len(after.keys() - before.keys())
    return [
        Row(
            what=f"refresh, {size.experiments:,} unchanged experiments, 1 run each",
            ours=f"{used_s:.3f} s, {rewritten} files rewritten",
            peer=f"hermes-lab {PEER_REFRESH_S} s (500 experiments)",
            ratio=used_s / PEER_REFRESH_S,
            goal=f"<= {REFRESH_S} s, 0 files",
            met=used_s <= REFRESH_S and rewritten == 0,
            number=used_s,
        )
    ]


def _identities(folder: str) -> dict[str, tuple[int, int, int]]:
    """Every file by inode, size and time: equal before and after means that nothing was written."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            seen = os.stat(f"{place}/{name}")
            found[f"{place}/{name}"] = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
    return found
