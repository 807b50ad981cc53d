"""What a lab has to be after a crowd was in it: judged by its files, by what it answered, and by marks from outside."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.core import event, layout
from lab.core.run import CANCELLED, CRASH, SUCCESS, TIMEOUT
from lab.store import bundles, ledger, reading
from scripts.trial.crowd import LOOP_ID, PLAIN, SLOTS, value_of
from tests.crash import invariants
from tests.crash.driver import open_root
from tests.races.marks import answered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.seal import Seal
    from lab.store.root import Root
    from scripts.trial.crowd import Crowded, Mark
    from scripts.trial.crowd_lanes import Told

GONE_S = 60.0
NO_END = frozenset({CRASH, CANCELLED, TIMEOUT, "failed"})  # of a program that never told its value
DAY_S = 86_400.0


@dataclass(frozen=True)
class Bundle:
    """One run, as its folder tells of it."""

    experiment: str
    generation: int
    seal: Seal | None
    superseded: bool


def settle(lab: Crowded, told: Told) -> None:
    """What a person does who comes in the morning: everything is to be in order, and to go on."""
    for (
        name
    ) in lab.names:  # a job whose parent was killed goes on with its run, as it is promised to: a phase takes hours
        if lab.labctl("cancel", name, "--wait", "--at-most", f"{GONE_S:.0f}")[0] not in (0, 2):
            told.broken.append(f"wedged: a run of {name} cannot be cancelled")
    for words in (("watchdog", "--repair"), ("dispatch-ingest",), ("archive", "brief", "--restore")):
        lab.labctl(*words)
    for name in lab.names:
        lab.labctl("resume", name)
    for _ in range(3):
        lab.labctl("dispatch-work", "--max-runs", "99", "--worker", "last")
        lab.labctl("dispatch-ingest")
    for name in (*PLAIN, LOOP_ID):
        lab.labctl("resume", name)
        code, data = lab.labctl("run-once", "--experiment", name, "--now", "--max-runs", "1")
        if not data.get("ran") or code not in (0, 1):
            told.broken.append(f"wedged: {name} does not run any more: {code} {data}")
    for name in lab.archives():
        code, data = lab.labctl("prune", "--restore", name, "--yes")
        if code:
            told.broken.append(f"an archive cannot be brought back: {name}: {code} {data}")


def judged(lab: Crowded, told: Told) -> dict[str, list[str]]:
    """Each promise with what broke it."""
    left = lab.emptied(GONE_S)
    code, found = answered(lab.start("verify", "--json"))
    lab.news()
    root = open_root(lab.path)
    lines = [f"SEALED {experiment} {run_id}" for experiment, run_id in sorted(told.sealed)]
    lines += [word.upper() for word, count in told.decided.items() for _ in range(count)]
    wrong = invariants.after_next(lab.path, lines)
    invariants.age_drafts(lab.path)
    repaired = lab.labctl("recover")[0]
    after = invariants.after_recover(lab.path, lines)
    runs = dict(_bundles(lab))
    return {
        "verify finds no damage": [f"exit code {code}: {json.dumps(found)[:800]}"] if code else [],
        "what was answered is kept; pages are a rebuild's": wrong,
        "after recover nothing is left to do": [*([f"recover: {repaired}"] if repaired else []), *after],
        "no generation and no run is carried out twice": list(_twice(lab, runs)),
        "runs of one slot never overlap": list(_overlaps(lab.said, runs)),
        "sealed is what was run, with its value": list(_values(lab, runs)),
        "who was superseded seals nothing": [
            f"{run_id} was answered as sealed, and is superseded"
            for _, run_id in sorted(told.sealed) if run_id in runs and runs[run_id].superseded
        ],
        "no process is left behind": [f"alive: {left}"] if left else [],
        "a program's repository is whole": list(_repository(lab)),
        "the ledger tells of each sealed run once": list(_ledger(root, runs)),
    }  # fmt: skip


def _bundles(lab: Crowded) -> Iterator[tuple[str, Bundle]]:
    root = open_root(lab.path)
    for name, manifests in lab.manifests().items():
        for manifest in manifests:
            where = root.layout.run(name, manifest.run_id)
            found = bundles.load_seal(where)
            gone = reading.is_file(f"{where}/{layout.SUPERSEDED}")
            yield manifest.run_id, Bundle(name, manifest.generation, found[0] if found else None, gone)


def _twice(lab: Crowded, runs: dict[str, Bundle]) -> Iterator[str]:
    by_generation = Counter((each.experiment, each.generation) for each in runs.values())
    yield from (f"{key} has {times} bundles" for key, times in by_generation.items() if times > 1)
    begun = Counter(mark.run_id for mark in lab.said if mark.word == "begin")
    yield from (f"{run_id} was carried out {times} times" for run_id, times in begun.items() if times > 1)
    leases: dict[str, set[str]] = {}
    for mark in lab.said:
        leases.setdefault(mark.lease, set()).add(mark.run_id)
    yield from (f"lease {lease} had the runs {sorted(names)}" for lease, names in leases.items() if len(names) > 1)


def _overlaps(marks: list[Mark], runs: dict[str, Bundle]) -> Iterator[str]:
    """A run that was killed, or whose holder was, is over when the next one begins: only runs that ended count."""
    ended = {mark.run_id for mark in marks if mark.word == "end"}
    inside: dict[str, set[str]] = {}
    for mark in marks:
        made = runs.get(mark.run_id)
        if mark.run_id not in ended or made is None or made.superseded:
            continue
        here = inside.setdefault(made.experiment, set())
        if mark.word == "begin":
            here.add(mark.run_id)
            if len(here) > SLOTS.get(made.experiment, 1):
                yield f"{made.experiment}: at the same time: {sorted(here)}"
        elif mark.word == "end":
            here.discard(mark.run_id)


def _values(lab: Crowded, runs: dict[str, Bundle]) -> Iterator[str]:
    begun = {mark.run_id for mark in lab.said if mark.word in ("begin", "measure")}
    ended = {mark.run_id: mark.what[0] for mark in lab.said if mark.word == "end"}
    for run_id in sorted(begun - runs.keys()):
        yield f"{run_id} was carried out, and has no bundle"
    for run_id, made in runs.items():
        if made.seal is None:
            if not made.superseded:
                yield f"{run_id} is neither sealed nor superseded"
            continue
        run = made.seal.run
        if run.value is not None and run.outcome != SUCCESS:
            yield f"{run_id} ended as {run.outcome}, and has the value {run.value}"
        if made.experiment not in PLAIN:
            continue
        if run.outcome == SUCCESS and run_id not in ended:
            yield f"{run_id} is sealed as a success, and never came to its end"
        if run.outcome == SUCCESS and run.value != value_of(run_id):
            yield f"{run_id} measured {value_of(run_id)}, and is sealed with {run.value}"
        if run_id in ended and run.outcome not in (SUCCESS, *NO_END):
            yield f"{run_id} came to its end, and is sealed as {run.outcome}"


def unkept(lab: Crowded) -> int:
    """Programs that told their value, and whose run counts without it: their warden was killed before it wrote."""
    ended = {mark.run_id for mark in lab.said if mark.word == "end"}
    return sum(
        run_id in ended and each.seal is not None and each.seal.run.value is None for run_id, each in _bundles(lab)
    )


def counted(lab: Crowded) -> Counter[str]:
    """Sealed runs by their outcome, and those that were superseded."""
    return Counter(
        each.seal.run.outcome if each.seal else "superseded" if each.superseded else "open" for _, each in _bundles(lab)
    )


def _repository(lab: Crowded) -> Iterator[str]:
    done = subprocess.run(
        ["git", "-C", f"{lab.folder}/code", "fsck", "--strict", "--no-dangling"], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        yield done.stdout + done.stderr
    status = subprocess.run(
        ["git", "-C", f"{lab.folder}/code", "status", "--porcelain"], capture_output=True, text=True, check=True
    )
    if status.stdout:
        yield f"the user's tree was changed: {status.stdout}"


def _ledger(root: Root, runs: dict[str, Bundle]) -> Iterator[str]:
    events = [entry.line.event for entry in ledger.entries(root) if entry.line is not None]
    told = Counter(each.run_id for each in events if each.type == event.RUN_SEALED)
    yield from (f"{run_id} is told {times} times" for run_id, times in told.items() if times > 1)
    sealed = {run_id for run_id, each in runs.items() if each.seal is not None}
    yield from (f"{run_id} is sealed, and not in the ledger" for run_id in sorted(sealed - told.keys()))
    yield from (f"{run_id} is in the ledger, and not sealed" for run_id in sorted(told.keys() - sealed))
