"""LAB-INDEX.json, read with the standard library alone, and what the ledger says since it was written.

`status` and `list` start from here: a record library would cost as much as everything else they do. Phases, tiers,
run counts and last outcomes are brought up to date; bests are not, and a row that this concerns says so (`behind`).
"""

from __future__ import annotations

import json
import os

from lab.core import json_text
from lab.core.errors import Unavailable
from lab.core.layout import ABANDONED_SUFFIX, CLAIM_SUFFIX, JOB_SUFFIX, SUPERSEDED_SUFFIX, Layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict, TypeGuard

    from lab.cli.placed import Placing
    from lab.core.errors import LabError

    class Item(TypedDict, total=False):
        """Something that wants a person, or is wrong."""

        what: str
        where: str
        fix: str

    class Row(TypedDict, total=False):
        """One experiment. Fields that have their default are left out of the file."""

        id: str
        phase: str
        phase_reason: str
        phase_by: str
        tier: str
        executor_class: str
        run_count: int
        best_value: float | None
        partly_luck: bool
        bests: dict[str, dict[str, object]]
        found: str
        metric: str
        goal: str
        last_run: str
        last_outcome: str
        last_unmeasured: bool
        as_of: str
        spec: str
        attention: list[Item]
        behind: int

    class Place(TypedDict):
        """How far into the ledger the index goes."""

        end: int

    class Lab(TypedDict):
        """The index. `behind` counts the ledger's lines after it; `gone` names rows whose folder is not there."""

        as_of: str
        alerts: list[Item]
        experiments: list[Row]
        ledger: Place
        behind: int
        gone: list[str]


_ENDLESS = float("inf")
_MOST_RUNS = 1 << 53
_REASON_CHARS = 200
_FAILURES = ("failed", "timeout", "crash")
# How `projections.attention` begins what another phase makes untrue. A test holds the two together.
_LENT = "lent"  # as core.pursuit has it
_STUCK = "no run can be begun: "
_FROM_PHASE = (
    "waits for a person: ",
    "paused: ",
    "failing: ",
    "not measured: ",
    "ended: ",
    "budget: ",
    _STUCK,
)
OPEN_SUFFIXES = (CLAIM_SUFFIX, SUPERSEDED_SUFFIX, ABANDONED_SUFFIX)


def read_index(path: str) -> Lab:
    """The index with later ledger lines counted in. Raises `Unavailable` where there is no lab."""
    layout = Layout(path)
    if not os.path.isfile(layout.index):  # to open a pipe would keep us waiting
        raise _unreadable(path, layout.index)
    try:
        with open(layout.index, encoding="utf-8") as file:
            lab = json_text.parse(file.read())
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        raise _unreadable(path, layout.index) from None
    if not _usable(lab):
        raise _unreadable(path, layout.index)
    rows = {row["id"]: row for row in lab["experiments"]}
    for row in rows.values():
        row.pop("behind", None)  # ours to say
    lab["behind"] = _overlay(layout.events, lab["ledger"]["end"], rows, lab)
    there = _names(layout.experiments)
    lab["gone"] = sorted(name for name in rows if there is not None and name not in there)
    lab["experiments"] = [rows[name] for name in sorted(rows) if there is None or name in there]
    return lab


def warnings(lab: Lab, path: str) -> list[str]:
    """What a reader of these rows has to know about them. Whoever is at work on one brings its pages up himself."""
    found = []
    behind = lab["behind"]
    if behind:
        at_work = {name for name, names in beside_claims(path).items() if any(map(_is_claim, names))}
        behind -= sum(row.get("behind", 0) for row in lab["experiments"] if row["id"] in at_work)
    if behind > 0:
        what = f"phases, tiers and run counts below include {'it' if behind == 1 else 'them'}, bests do not"
        found.append(f"the pages are {events(behind)} behind; {what}: labctl refresh")
    if lab["gone"]:
        found.append(f"in the index but without a folder, left out: {', '.join(lab['gone'])}: labctl verify")
    return found


def events(number_of: int) -> str:
    """`1 event`, `3 events`."""
    return f"{number_of} event{'' if number_of == 1 else 's'}"


def _is_claim(name: str) -> bool:
    return name.endswith(CLAIM_SUFFIX)


def packages(root: str) -> dict[str, int]:
    """How many packages lie in each state."""
    return {stage: _folders(f"{root}/dispatch/{stage}") for stage in ("ready", "running", "complete", "refused")}


def _folders(path: str) -> int:
    try:
        return sum(name.startswith("DISPATCH-") for name in os.listdir(path))
    except OSError:
        return 0


def beside_claims(path: str) -> dict[str, list[str]]:
    """The names of what lies in each experiment's folder of claims."""
    found: dict[str, list[str]] = {}
    try:
        with os.scandir(Layout(path).locks) as entries:
            folders = [(entry.name, entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
        for name, folder in sorted(folders):
            found[name] = os.listdir(folder)
    except OSError:  # for want of a right: the rest of `status` is no worse for it
        pass
    return found


def claims(beside: dict[str, list[str]]) -> dict[str, int]:
    """How many claims each experiment has that are held, or whose run is to be settled. Not whether a holder lives."""
    counts = {name: sum(each.endswith(OPEN_SUFFIXES) for each in names) for name, names in beside.items()}
    return {name: count for name, count in counts.items() if count}


def engines(path: str, beside: dict[str, list[str]]) -> Placing:
    """What engines have, where they have anything."""
    if not any(each.endswith(JOB_SUFFIX) for names in beside.values() for each in names):
        return {"queued": 0, "running": 0, "runs": [], "left_out": 0}
    from lab.cli import placed  # a lab without engines pays nothing for them

    return placed.of(path, beside)


def _names(path: str) -> frozenset[str] | None:
    try:
        return frozenset(os.listdir(path))
    except OSError:
        return None


def _usable(lab: object) -> TypeGuard[Lab]:
    """Whether this JSON has the shape of an index. It is a page: anybody may have written anything there."""
    if not isinstance(lab, dict) or not isinstance(lab.get("as_of"), str):
        return False
    place, rows = lab.get("ledger"), lab.get("experiments")
    if not isinstance(place, dict) or not isinstance(place.get("end"), int) or not isinstance(rows, list):
        return False
    if place["end"] < 0:
        return False
    return _items(lab.get("alerts")) and all(
        isinstance(row, dict)
        and _is_name(row.get("id"))
        and isinstance(row.get("phase"), str)
        and isinstance(row.get("goal", ""), str)
        and isinstance(row.get("found", ""), str)
        and isinstance(row.get("run_count", 0), int)
        and 0 <= row.get("run_count", 0) < _MOST_RUNS
        and isinstance(row.get("as_of", ""), str)
        and _is_value(row.get("best_value"))
        and _items(row.get("attention", []))
        for row in rows
    )


def _is_name(found: object) -> TypeGuard[str]:
    """Whether this names one folder, and a terminal can show it. The rule for new ids (`core.ids`) is narrower."""
    return isinstance(found, str) and found.isprintable() and "/" not in found and found[:1] not in ("", ".")


def _is_value(found: object) -> bool:
    return found is None or (isinstance(found, int | float) and -_ENDLESS < found < _ENDLESS)


def _items(found: object) -> bool:
    return isinstance(found, list) and all(
        isinstance(item, dict) and isinstance(item.get("what"), str) and isinstance(item.get("fix", ""), str)
        for item in found
    )


def _unreadable(path: str, index: str) -> LabError:
    from lab.store.root import require  # only to word the refusal

    require(path)
    fix = "labctl refresh writes it again from the sealed runs"
    return Unavailable("the index of this lab is missing or damaged", where=index, fix=fix)


def _overlay(events: str, end: int, rows: dict[str, Row], lab: Lab) -> int:
    """Count in what was written after the index. Which run is best is left to `refresh`."""
    try:
        if os.stat(events).st_size <= end:
            return 0
        with open(events, "rb") as file:
            file.seek(max(0, end - 1))
            before, lines = file.read(min(1, end)), file.read().splitlines()
    except FileNotFoundError:
        return 0
    if before not in (b"", b"\n"):
        return 0  # not where a line ends: this is another ledger than the index knows, and `verify` says so
    behind = 0
    sealed = {(name, row.get("last_run", "")) for name, row in rows.items()}
    for line in lines:
        try:
            event = json.loads(line)["event"]
            kind, name = event["type"], event.get("experiment", "")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        behind += 1
        if not _is_name(name):
            continue
        if kind == "experiment_created":
            phase = _said(event, "phase") or "queued"
            tier = _said(event, "tier") or "default"
            rows.setdefault(name, {"id": name, "phase": phase, "tier": tier, "run_count": 0})
        if kind == "run_sealed":
            run = (name, _said(event, "run_id"))
            kind = "" if run in sealed else kind  # a second line of a run counts nothing; `verify` names it
            sealed.add(run)
        if name in rows:
            _count_in(rows[name], kind, event)
            lab["as_of"] = max(lab["as_of"], rows[name].get("as_of", ""))
    return behind


def _count_in(row: Row, kind: object, event: dict[str, object]) -> None:
    """One ledger line about this experiment."""
    row["behind"] = row.get("behind", 0) + 1
    row["as_of"] = max(row.get("as_of", ""), _said(event, "ts"))
    if kind == "phase_changed":
        facts = event.get("facts")
        is_lent = isinstance(facts, dict) and bool(facts.get(_LENT))
        _phase(row, _said(event, "phase"), _said(event, "reason"), by=_said(event, "actor"), is_lent=is_lent)
    elif kind == "fidelity_tier_changed":
        row["tier"] = _said(event, "tier") or "default"
        bests = row.get("bests")  # a best belongs to its tier: that of another one would be a wrong number here
        best = bests.get(row["tier"]) if isinstance(bests, dict) else None
        value = best.get("value") if isinstance(best, dict) else None
        row["best_value"] = value if isinstance(value, int | float) and _is_value(value) else None
    elif kind == "run_refused" and not event.get("reason"):  # a run was begun after all
        row["attention"] = [item for item in row.get("attention", []) if not item["what"].startswith(_STUCK)]
    elif kind == "run_sealed":
        facts = event.get("facts")
        row["run_count"] = row.get("run_count", 0) + 1
        row["last_run"] = _said(event, "run_id")
        row["last_outcome"] = _said(facts, "outcome") if isinstance(facts, dict) else ""
        row.pop("last_unmeasured", None)  # which the ledger does not say
        if row["phase"] == "queued":
            _phase(row, "active", "first run")


def _phase(row: Row, phase: str, reason: str, *, by: str = "", is_lent: bool = False) -> None:
    """The phase, and of what wants a person the part that follows from it. Faults of the SPEC stay.

    A study that is lent to a project wants nobody: its project does.
    """
    row["phase"], row["phase_reason"], row["phase_by"] = phase, reason, by
    kept = [item for item in row.get("attention", []) if not item["what"].startswith(_FROM_PHASE)]
    if is_lent:
        pass
    elif phase == "awaiting-human":
        fix = f"labctl resume {row['id']} (or: labctl complete {row['id']})"
        what = f"waits for a person: {reason or 'no reason was given'}"
        kept.append({"what": what, "where": f"experiments/{row['id']}", "fix": fix})
    elif phase == "paused" and row.get("last_outcome") in _FAILURES:
        fix = f"mend the cause, then: labctl resume {row['id']}"
        kept.append(
            {"what": f"paused: {reason or 'no reason was given'}", "where": f"experiments/{row['id']}", "fix": fix}
        )
    row["attention"] = kept


def _said(event: dict[str, object], key: str) -> str:
    """A text of a ledger line, as one line that a terminal can show; empty where it is none."""
    found = event.get(key)
    if not isinstance(found, str):
        return ""
    return "".join(each if each.isprintable() else " " for each in found[:_REASON_CHARS]).strip()
