"""Say what wants you and how the lab is.

What wants a person comes first. Reads one file (LAB-INDEX.json), whatever the ledger says since, and the names of the
claims; changes nothing, and costs the same with one run or a hundred thousand.
"""

from __future__ import annotations

import os

from lab.cli import heartbeat
from lab.cli.index import beside_claims, claims, engines, packages, read_index, warnings
from lab.cli.terminal import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import TypedDict

    from lab.cli.heartbeat import Heartbeat
    from lab.cli.index import Row
    from lab.cli.placed import Placing
    from lab.cli.session import Session

    class Wish(TypedDict):
        """Something that wants a person."""

        experiment: str
        what: str
        fix: str

    class Shown(TypedDict):
        """The `data` of `labctl status --json`."""

        data_root: str
        experiments: int
        phases: dict[str, int]
        runs: int
        free_gb: float
        as_of: str
        wants_you: list[Wish]
        active: list[dict[str, object]]
        claims: dict[str, int]
        engines: Placing
        packages: dict[str, int]
        behind: int
        behind_experiments: list[str]
        heartbeat: Heartbeat | None


EXAMPLE = "labctl status --json"
PHASES = ("active", "queued", "awaiting-human", "paused", "completed", "archived")
_SHOWN = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The lab's state from its index."""
    del args
    lab = read_index(session.path)
    rows = lab["experiments"]
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["phase"]] = counts.get(row["phase"], 0) + 1
    wants: list[Wish] = [
        {"experiment": row["id"], "what": item["what"], "fix": item.get("fix", "")}
        for row in rows
        if row["phase"] != "archived"
        for item in row.get("attention", [])
    ]
    wants += [{"experiment": "", "what": item["what"], "fix": item.get("fix", "")} for item in lab["alerts"]]
    room = os.statvfs(session.path)
    beside = beside_claims(session.path)
    data: Shown = {
        "data_root": session.path,
        "experiments": len(rows),
        "phases": counts,
        "runs": sum(row.get("run_count", 0) for row in rows),
        "free_gb": round(room.f_bavail * room.f_frsize / 1e9, 1),
        "as_of": lab["as_of"],
        "wants_you": wants,
        "active": [_short(row) for row in rows if row["phase"] == "active"],
        "claims": claims(beside),
        "engines": engines(session.path, beside),
        "packages": packages(session.path),
        "behind": lab["behind"],
        "behind_experiments": [row["id"] for row in rows if row.get("behind")],
        "heartbeat": heartbeat.read(session.path),
    }
    then = ["labctl create first-run"] if not rows else []
    return Answer(data, _text(data), warnings=[*warnings(lab), *_unseen(data["engines"])], then=then)


def _short(row: Row) -> dict[str, object]:
    keys = ("id", "tier", "run_count", "best_value", "metric", "last_outcome", "goal", "as_of")
    unmeasured = bool(row.get("last_unmeasured"))
    return {**{key: row.get(key) for key in keys}, "last_unmeasured": unmeasured, "behind": row.get("behind", 0)}


def _text(data: Shown) -> Iterator[str]:
    wants = data["wants_you"]
    if wants:
        yield f"what wants you ({len(wants)}):"
        for item in wants[:_SHOWN]:
            who = f"{item['experiment']}: " if item["experiment"] else ""
            yield f"  {who}{item['what']}"
            if item["fix"]:
                yield f"    fix: {item['fix']}"
        if len(wants) > _SHOWN:
            yield f"  and {len(wants) - _SHOWN} more: LAB-STATUS.md"
    yield f"data_root: {data['data_root']}"
    yield f"experiments: {data['experiments']}"
    phases = data["phases"]
    for phase in PHASES:
        if phases.get(phase):
            yield f"  {phase}: {phases[phase]}"
    yield f"runs: {data['runs']}"
    active = data["active"]
    for row in active[:_SHOWN]:
        best = row["best_value"]
        shown = f"{row['metric'] or 'best'} {best!r}" if best is not None else "no value yet"
        old = f" (without {row['behind']} events)" if row["behind"] else ""
        yield f"  {row['id']}  {row['tier']}  runs {row['run_count']}  {shown}{old}  last {_last(row)}"
    if len(active) > _SHOWN:
        yield f"  and {len(active) - _SHOWN} more: labctl list"
    yield from _packages(data["packages"])
    yield from _engines(data["engines"])
    if data["claims"]:
        yield f"under way or to be settled: {sum(data['claims'].values())} (labctl lease show)"
    if data["heartbeat"] is not None:
        yield heartbeat.line(data["heartbeat"])
    yield f"free_gb: {data['free_gb']}"
    yield f"as of: {data['as_of'] or 'the beginning'}"


def _last(row: dict[str, object]) -> str:
    """How the last run ended: a change that was discarded before it was run has not failed."""
    return "not measured" if row.get("last_unmeasured") else str(row["last_outcome"])


def _engines(placing: Placing) -> Iterator[str]:
    """What engines have, where they have anything."""
    runs = placing["runs"]
    if not runs:
        return
    from lab.cli import placed

    yield f"at engines: {placing['running']} running, {placing['queued']} queued"
    for row in runs[:_SHOWN]:
        yield f"  {row['experiment']}  {placed.line(row)}"
    left_out = len(runs) - _SHOWN + placing["left_out"]
    if left_out > 0:
        yield f"  and {left_out} more: labctl lease show"


def _unseen(placing: Placing) -> list[str]:
    """A queue that nobody watches stands still: what ended there is settled, and what is lost made again, by a look."""
    if not placing["runs"]:
        return []
    from lab.cli import heartbeat, placed

    found = [row for row in placing["runs"] if placed.is_unseen(row)]
    if not found:
        return []
    longest = max(found, key=lambda row: row["looked_s_ago"] or 0.0)
    engines = ", ".join(sorted({row["engine"] for row in found}))
    ago = heartbeat.shown(longest["looked_s_ago"] or 0.0)
    what = (
        f"{len(found)} runs at {engines} were not looked after for {ago}"
        if len(found) > 1
        else (f"{longest['run']} at {engines} was not looked after for {ago}")
    )
    return [f"{what}: no turn was made, or the engine did not answer; labctl run-once, and labctl doctor"]


def _packages(handed: dict[str, int]) -> Iterator[str]:
    """What was handed out to workers, where anything was."""
    if any(handed.values()):
        yield f"packages: {', '.join(f'{number} {stage}' for stage, number in handed.items() if number)}"
    if handed["ready"]:
        yield "  ready ones wait for a worker (labctl dispatch-work), and hold their experiments' turns"
    if handed["refused"]:
        yield "  refused ones lie in dispatch/refused, each with REFUSED.md"
