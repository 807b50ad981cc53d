"""Say what wants you and how the lab is.

What wants a person comes first; then a line for each experiment that is not archived: the active ones, and of the
others why they are where they are. Reads one file (LAB-INDEX.json), whatever the ledger says since, and the names of
the claims; changes nothing, and costs the same with one run or a hundred thousand.
"""

from __future__ import annotations

import os
import time

from lab.cli import heartbeat
from lab.cli.index import beside_claims, claims, engines, events, packages, read_index, warnings
from lab.cli.terminal import Answer
from lab.core.layout import SPEC, Layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import TypedDict

    from lab.cli.heartbeat import Heartbeat
    from lab.cli.index import Item, Lab, Row
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
        inactive: list[dict[str, object]]
        claims: dict[str, int]
        engines: Placing
        packages: dict[str, int]
        behind: int
        behind_experiments: list[str]
        heartbeat: Heartbeat | None


EXAMPLE = "labctl status --json"
_SHORT = (
    "id", "phase", "phase_reason", "tier", "run_count", "best_value", "found", "metric", "last_outcome", "goal",
    "as_of",
)  # fmt: skip
PHASES = ("active", "queued", "awaiting-human", "paused", "completed", "archived")
_SHOWN = 20
_OTHERS = 10  # lines for those that are not active: it is to stay on a screen
_NAMED = 5
_BY_TIME = "hard stop"  # the reason of core/policy.py
_REASON_CHARS = 100
_ALIKE_S = 120.0  # by so much clocks of machines may differ
_SPEC_BYTES = 256 * 1024  # of a larger one nothing was read


def arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The lab's state from its index."""
    del args
    lab = read_index(session.path)
    data = told(session.path, lab)
    then = ["labctl create first-run"] if not lab["experiments"] else []
    found = [*warnings(lab, session.path), *_ahead(lab), *_unseen(data["engines"])]
    return Answer(data, _text(data), warnings=found, then=then)


def told(path: str, lab: Lab) -> Shown:
    """What is said of a lab, with the standard library alone."""
    rows = lab["experiments"]
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["phase"]] = counts.get(row["phase"], 0) + 1
    wants: list[Wish] = [
        _wish(path, row, item) for row in rows if row["phase"] != "archived" for item in row.get("attention", [])
    ]
    wants += [{"experiment": "", "what": item["what"], "fix": item.get("fix", "")} for item in lab["alerts"]]
    room = os.statvfs(path)
    beside = beside_claims(path)
    return {
        "data_root": path,
        "experiments": len(rows),
        "phases": counts,
        "runs": sum(row.get("run_count", 0) for row in rows),
        "free_gb": round(room.f_bavail * room.f_frsize / 1e9, 1),
        "as_of": lab["as_of"],
        "wants_you": wants,
        "active": [_short(row) for row in rows if row["phase"] == "active"],
        "inactive": [
            _short(row)
            for phase in PHASES
            if phase not in ("active", "archived")
            for row in rows
            if row["phase"] == phase
        ],
        "claims": claims(beside),
        "engines": engines(path, beside),
        "packages": packages(path),
        "behind": lab["behind"],
        "behind_experiments": [row["id"] for row in rows if row.get("behind")],
        "heartbeat": heartbeat.read(path),
    }


def _wish(path: str, row: Row, item: Item) -> Wish:
    """What an experiment wants. Of its SPEC: where, and whether the file is still the one that this was said of."""
    name, what, fix = row["id"], item["what"], item.get("fix", "")
    where = str(item.get("where", ""))
    if f"experiments/{name}/{SPEC}" not in where:
        return {"experiment": name, "what": what, "fix": fix}
    if _was_edited(Layout(path).spec(name), str(row.get("spec", ""))):
        what, fix = f"{what} (so it was; {where.split(maxsplit=1)[0]} was edited since)", "labctl refresh looks again"
    elif where not in what and where not in fix:
        what = f"{what} (in {where})"
    return {"experiment": name, "what": what, "fix": fix}


def _was_edited(path: str, digest: str) -> bool:
    """Whether a SPEC.yaml is no longer the one with this digest, or the beginning of one."""
    from hashlib import sha256  # only where something is wrong with one

    if not digest or not os.path.isfile(path):  # to open a pipe would keep us waiting
        return False
    try:
        with open(path, "rb") as file:
            found = file.read(_SPEC_BYTES + 1)
    except OSError:
        return False
    return len(found) <= _SPEC_BYTES and not sha256(found).hexdigest().startswith(digest)


def _short(row: Row) -> dict[str, object]:
    unmeasured = bool(row.get("last_unmeasured"))
    luck = bool(row.get("partly_luck")) and row.get("best_value") is not None
    short = {key: row.get(key) for key in _SHORT}
    return {**short, "partly_luck": luck, "last_unmeasured": unmeasured, "behind": row.get("behind", 0)}


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
    for rows, most in ((data["active"], _SHOWN), (data["inactive"], _OTHERS)):
        yield from map(_line, rows[:most])
        if len(rows) > most:
            yield f"  and {len(rows) - most} more: labctl list"
    yield from _packages(data["packages"])
    yield from _engines(data["engines"])
    if data["claims"]:
        names = [*list(data["claims"])[:_NAMED], *(["..."] if len(data["claims"]) > _NAMED else [])]
        yield f"under way or to be settled: {sum(data['claims'].values())}, of {', '.join(names)} (labctl lease show)"
    if data["heartbeat"] is not None:
        yield heartbeat.line(data["heartbeat"])
    yield f"free_gb: {data['free_gb']}"
    yield f"as of: {data['as_of'] or 'the beginning'}"


def _line(row: dict[str, object]) -> str:
    """An experiment. Of one that is not active: its phase, and why."""
    best, runs = row["best_value"], row["run_count"] or 0
    found = row["found"] or "no value yet"
    luck = " (partly luck)" if row["partly_luck"] else ""
    value = f"{best:.6g}" if isinstance(best, float) else best  # as the board has it; --json has all digits
    shown = found if best is None else f"{row['metric'] or 'best'} {value}{luck}"
    behind = row["behind"]
    old = f" (without {events(behind)})" if isinstance(behind, int) and behind else ""
    came = f"  {shown}{old}  last {_last(row)}" if runs else old
    return f"  {row['id']}{_phase(row)}  {row['tier']}  runs {runs}{came}"


def _phase(row: dict[str, object]) -> str:
    if row["phase"] == "active":
        return ""
    reason = str(row["phase_reason"] or "")
    cut = f"{reason[:_REASON_CHARS]}..." if len(reason) > _REASON_CHARS else reason
    return f"  {row['phase']} ({cut})" if cut else f"  {row['phase']}"


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


def _ahead(lab: Lab) -> list[str]:
    """That a clock was wrong once: history keeps what it was told, so `as of` and what ended by time go by it."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + _ALIKE_S))
    if lab["as_of"] <= now:
        return []
    told = [row for row in lab["experiments"] if row.get("as_of", "") > now]
    said = f"a clock was ahead once: `as of` is {lab['as_of']}, which is to come; what was told then keeps that time"
    ended = [row["id"] for row in told if row["phase"] == "completed" and row.get("phase_reason") == _BY_TIME]
    if ended:
        named = ", ".join([*ended[:_NAMED], *(["..."] if len(ended) > _NAMED else [])])
        said += f"; perhaps ended by it ({_BY_TIME}): {named}; labctl resume {ended[0]}"
    return [said]


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
