"""What must hold in a lab that was stopped anywhere: right after the crash, and after going on.

Each check returns what is wrong, in words; an empty list is a lab that is well.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.errors import LabError
from lab.projections import index
from lab.scheduler import refresh, watchdog
from lab.store import archives, bundles, experiments, ledger, ledgers, reading, verify
from tests.crash.driver import open_root

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lab.store.root import Root

AN_HOUR_AGO_S = 7200
IMPORTERS = frozenset({"import-root", "import"})
# Before anybody goes on: the ledger line of the newest seal, or the end of the newest line, may be missing.
EXPLAINED = frozenset({"unrecorded", "ledger-torn"})


def after_crash(path: str, answered: Iterable[str]) -> list[str]:
    """What a person may find before anything was mended. `answered` are the lines that the killed process told."""
    root = open_root(path)
    wrong = [*_promises(root, answered, counted=False), *_bundles(root), *_generations(root)]
    if reading.size_of(root.layout.events) >= 0:
        found = verify.verify(root).damage
        wrong += [
            f"before recovery: {each.kind} {each.where}: {each.what}" for each in found if each.kind not in EXPLAINED
        ]
    return wrong


def unsealed(path: str) -> list[str]:
    """Runs without a seal, of which nothing waits for the disk: after a power cut their files may be empty."""
    folders = (folder for folder, _, _ in os.walk(f"{path}/experiments") if os.path.basename(folder) == "runs")
    return [run for runs in folders for run in os.listdir(runs) if not os.path.exists(f"{runs}/{run}/{layout.SEAL}")]


def after_next(path: str, answered: Iterable[str]) -> list[str]:
    """The next ordinary command has been through: everything counts, and the pages say so."""
    root = open_root(path)
    wrong = [*_promises(root, answered, counted=True), *_bundles(root), *_generations(root)]
    wrong += [f"claim left: {name}" for name in _claims(root)]
    wrong += [f"nobody settled it: {name}" for name in _unsettled(root)]
    wrong += _pages(root)
    return wrong


def after_recover(path: str, answered: Iterable[str]) -> list[str]:
    """`recover` has been through: nothing of the crash is left, and recovering again finds nothing to do."""
    root = open_root(path)
    wrong = [*_promises(root, answered, counted=True), *_bundles(root), *_generations(root)]
    wrong += [f"claim left: {name}" for name in _claims(root)]
    wrong += [f"nobody settled it: {name}" for name in _unsettled(root)]
    found = verify.verify(root)
    wrong += [f"damage: {each.kind} {each.where}: {each.what}" for each in found.damage]
    wrong += [f"draft left: {name}" for name in _drafts(path)]
    before = snapshot(root)
    if again := watchdog.recover(root).done:
        wrong.append(f"a second recovery found more to do: {again}")
    if snapshot(root) != before:
        wrong.append("a second recovery changed a page")
    return wrong


def age_drafts(path: str) -> None:
    """Let time pass over what nobody finished: recovery leaves young drafts alone."""
    for name in _drafts(path):
        whole = os.path.join(path, name)
        then = os.lstat(whole).st_mtime - AN_HOUR_AGO_S
        os.utime(whole, (then, then), follow_symlinks=False)


def sealed(root: Root) -> dict[str, int]:
    """The runs of the whole lab that have a seal, with their generation."""
    found = {}
    for name in experiments.names(root):
        for run_id in bundles.names(root, name):
            made = bundles.load_seal(root.layout.run(name, run_id))
            if made is not None:
                found[run_id] = made[0].generation
    return found


def _promises(root: Root, answered: Iterable[str], *, counted: bool) -> Iterator[str]:
    """Everything that was told is there: sealed runs are whole (and counted), decisions are in the ledger."""
    told = [line.split() for line in answered]
    for experiment, run_id in (words[1:3] for words in told if words[0] == "SEALED"):
        where = root.layout.run(experiment, run_id)
        found = bundles.load_seal(where)
        if found is None:
            yield f"lost: {experiment}/{run_id} was answered as sealed"
            continue
        yield from (f"lost: {each.where}: {each.what}" for each in verify.changed(where, run_id, found[0]))
        if counted and run_id.encode() not in (reading.read(root.layout.page(experiment, layout.METRICS_LOG)) or b""):
            yield f"lost: {experiment}/{run_id} is not in {layout.METRICS_LOG}"
    for word, phases in (("PAUSED", ("paused",)), ("RESUMED", ("queued", "active"))):
        asked = sum(words[0] == word for words in told)
        lines = [entry.line.event for entry in ledger.entries(root) if entry.line is not None]
        kept = sum(line.type == "phase_changed" and line.phase in phases for line in lines)
        if kept < asked:
            yield f"lost: {asked} times {word} was answered, the ledger has {kept}"


def _bundles(root: Root) -> Iterator[str]:
    """Every visible bundle is whole."""
    for name in experiments.names(root):
        for run_id in bundles.names(root, name):
            where = root.layout.run(name, run_id)
            try:
                if bundles.load_manifest(where) is None:
                    yield f"{name}/{run_id} has no manifest"
                found = bundles.load_seal(where)
            except LabError as error:
                yield f"{name}/{run_id}: {error}"
                continue
            if found is not None:
                yield from (f"{each.kind} {each.where}" for each in verify.changed(where, f"{name}/{run_id}", found[0]))


def _generations(root: Root) -> Iterator[str]:
    """One execution a generation, and one line a seal."""
    lines = [entry.line.event for entry in ledger.entries(root) if entry.line is not None]
    ours = {line.run_id for line in lines if line.type == "run_sealed" and not line.name}
    for name in experiments.names(root):
        seen: dict[int, str] = {}
        for run_id in bundles.names(root, name):
            try:
                manifest = bundles.load_manifest(root.layout.run(name, run_id))
            except LabError:  # which `_bundles` tells
                continue
            number = manifest.generation if manifest else 0
            if manifest and manifest.owner.name in IMPORTERS:  # what comes from elsewhere took no claim
                continue
            if run_id not in ours and _is_of_another_lab(root, name, run_id):
                continue
            if number in seen:
                yield f"{name}: generation {number} ran twice: {seen[number]} and {run_id}"
            seen[number] = run_id
    recorded = [(line.experiment, line.run_id) for line in lines if line.type == "run_sealed"]
    yield from (f"recorded twice: {each}" for each in set(recorded) if recorded.count(each) > 1)


def _is_of_another_lab(root: Root, name: str, run_id: str) -> bool:
    """Whether it was taken over, with a generation that it had there."""
    found = bundles.load_seal(root.layout.run(name, run_id))
    return found is not None and bool(ledgers.telling(root, found[0].run, found[1]))


def _claims(root: Root) -> Iterator[str]:
    """Every claim that is not given back, whatever became of it."""
    for name in experiments.names(root):
        with suppress(FileNotFoundError):
            for file in sorted(os.listdir(root.layout.claims(name))):
                found = layout.claim_file(file)
                if found is not None and found[1] != layout.RELEASED_SUFFIX:
                    yield f"{name}/{file}"


def _unsettled(root: Root) -> Iterator[str]:
    """Bundles that are neither sealed nor marked, though nobody is running."""
    for name in experiments.names(root):
        for run_id in bundles.names(root, name):
            where = root.layout.run(name, run_id)
            if not any(reading.is_file(f"{where}/{mark}") for mark in (layout.SEAL, layout.SUPERSEDED)):
                yield f"{name}/{run_id}"


def _drafts(path: str) -> list[str]:
    """Files and folders, anywhere but in `scratch/`, that were begun and never published; those inside a draft too."""
    found = []
    for folder, folders, names in os.walk(path):
        if folder == path and "scratch" in folders:
            folders.remove("scratch")
        found += [os.path.relpath(f"{folder}/{name}", path) for name in (*folders, *names) if layout.is_draft(name)]
    return found


def _pages(root: Root) -> list[str]:
    """The pages are those of a full rebuild, byte for byte, and the index knows all of the ledger."""
    before = snapshot(root)
    wrong = []
    told = index.parse(before.get("LAB-INDEX.json", b""))
    if told is None or told.ledger.end != reading.size_of(root.layout.events):
        wrong.append("LAB-INDEX.json is behind the ledger")
    for name in experiments.names(root):
        whole = before.get(f"experiments/{name}/{layout.STATUS}")
        told_runs = json.loads(whole)["run_count"] if whole else None
        there = {run for run in bundles.names(root, name) if bundles.load_seal(root.layout.run(name, run)) is not None}
        count = len(there | {kept[0].run_id for kept in archives.every(root, name) if isinstance(kept, tuple)})
        if told_runs != count:
            wrong.append(f"{name}: STATUS.json counts {told_runs} of {count} sealed runs")
    for page in before:
        os.unlink(root.layout.place(page))
    refresh.everything(root)
    after = snapshot(root)
    wrong += [
        f"page differs from a rebuild: {page}"
        for page in sorted({*before, *after})
        if before.get(page) != after.get(page)
    ]
    return wrong


def snapshot(root: Root) -> dict[str, bytes]:
    """Every derived page by its relative name."""
    pages = [*layout.LAB_PAGES]
    for name in experiments.names(root):
        pages += [f"experiments/{name}/{page}" for page in (*layout.EXPERIMENT_PAGES, *layout.LOOP_PAGES)]
    read = {page: reading.read(root.layout.place(page)) for page in pages}
    return {page: data for page, data in read.items() if data is not None}


def fresh_copy(source: str, target: str) -> None:
    """A lab as it lay there, at another place or at the same one again."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)
