"""Bring the pages up to what is canonical. Decides nothing and reads no clock.

The one event it can write says that the ledger was cut: the pages are the only witness, and about to be written anew.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from lab.core import event, layout
from lab.core.errors import Busy
from lab.core.subject import Finding, Place
from lab.projections import index, lab_status, pages, readme
from lab.scheduler import recorded, subjects
from lab.scheduler.recorded import Recorded
from lab.store import experiments, ledger, reading
from lab.store.sections import PAGES_WAIT_S, hold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lab.core.subject import Subject
    from lab.core.view import View
    from lab.projections.index import Row
    from lab.scheduler.subjects import Pending
    from lab.store.experiments import Loaded
    from lab.store.ledger import Mark
    from lab.store.root import Root


class Refreshed(msgspec.Struct, frozen=True, kw_only=True):
    """What a refresh found and did."""

    experiments: int
    runs: int
    written: int
    findings: tuple[Finding, ...] = ()


def catch_up(root: Root, experiment: str) -> Subject:
    """One experiment's pages, up to the ledger's end. Called inside its section; costs what is new, not what is old."""
    loaded = experiments.load(root, experiment)
    pending = subjects.resumed(root, experiment, loaded)
    if pending is None:
        pending = subjects.rebuilt(
            root, experiment, loaded, recorded.of(experiment, ledger.mentioning(root, 0, experiment))
        )
    _write(root, experiment, pending)
    return pending.subject


def current(root: Root, experiment: str) -> tuple[View, Loaded]:
    """One experiment's view and SPEC, up to the ledger's end. Called inside its section.

    The pages are touched only when there is news: who begins a run need not render what nobody changed.
    """
    loaded = experiments.load(root, experiment)
    view = subjects.unchanged(root, experiment, loaded)
    view = catch_up(root, experiment).view if view is None else view
    return view, subjects.held(loaded, view)


def everything(root: Root, *, progress: Callable[[int, int], None] | None = None) -> Refreshed:
    """Every page of the lab, from its seals and its ledger. Files that would stay the same are not rewritten.

    Each experiment is held only while its own pages are written, so runs that end meanwhile do not wait for all.
    """
    log = _Log(root)
    names = experiments.names(root)
    begun = log.mark
    cut = _cut(root)
    rows: dict[str, Row] = {}
    findings: list[Finding] = []
    written = runs = 0
    for number, name in enumerate(names):
        try:
            with root.section(name):
                pending = subjects.rebuilt(root, name, experiments.load(root, name), log.of(name))
                rows[name] = index.row(pending.subject)
                runs += pending.subject.view.runs
                findings.extend(pending.subject.findings)
                written += _write(root, name, pending)
        except OSError as error:
            if not reading.is_local(error):
                raise
            findings.append(_refused(root, error))
        if progress is not None:
            progress(number + 1, len(names))
    from lab.scheduler import digest  # noqa: PLC0415  # a turn writes none

    written += digest.bring_back(root)
    with hold(root.layout.pages_section):
        log.more()  # not again after this: what the rows do not have must stay news for the next one
        mark = log.mark
        for name in log.touched_after(begun) & set(experiments.names(root)):
            try:
                row = _caught_up(root, name)
            except Busy:  # somebody is long at it: what came since stays news for whoever comes next
                mark = begun
                continue
            if row is not None:
                rows[name] = row
        if cut is None:  # or the index, which alone remembers what was cut off, would forget it
            written += _write_lab(root, list(rows.values()), mark, log.alerts)
        else:
            findings.insert(0, cut)
    return Refreshed(experiments=len(names), runs=runs, written=written, findings=(*log.alerts, *findings))


def note_cut(root: Root) -> None:
    """Write down that the ledger was cut, once: from then on `verify` names it, whatever becomes of the pages.

    Called by what writes events anyway. Without it, the next page that is written would forget how far it had gone.
    """
    _note_cut(root, index.parse(reading.read(root.layout.index) or b""))


def _note_cut(root: Root, before: index.Index | None) -> None:
    seen = _seen(root, before)
    if seen is None:
        return
    reason = _cut_after(seen)
    told = event.Event(
        type=event.LEDGER_CUT, ts=root.now(), reason=reason, facts={"seq": seen.seq, "sha256": seen.sha256}
    )
    ledger.append(root, told)


def _cut(root: Root) -> Finding | None:
    seen = _seen(root, index.parse(reading.read(root.layout.index) or b""))
    if seen is None:
        return None
    fix = "put the lines back from a backup; else: labctl recover"
    return Finding(what=_cut_after(seen), where="registry/events.jsonl", fix=fix)


def _cut_after(seen: Place) -> str:
    return f"the ledger had record {seen.seq}, which is gone: lines were cut off"


def _seen(root: Root, before: index.Index | None) -> Place | None:
    """The last record that the index knows, if the ledger neither has it nor tells that it is gone."""
    if before is None or not before.ledger.seq or ledger.has(root, before.ledger.end, before.ledger.sha256):
        return None
    for entry in ledger.entries(root):
        told = entry.line.event if entry.line else None
        if told and told.type == event.LEDGER_CUT and told.facts.get("sha256") == before.ledger.sha256:
            return None
    return before.ledger


def _refused(root: Root, error: OSError) -> Finding:
    path = str(error.filename2 or error.filename or root.layout.experiments)
    where = os.path.relpath(path, root.layout.root)
    return Finding(what=f"this cannot be used: {error.strerror}", where=where, fix="put it right, then: labctl refresh")


def lab_pages(root: Root, fresh: Iterable[Subject] = (), *, edited: Iterable[str] = ()) -> bool:
    """LAB-INDEX.json and LAB-STATUS.md, up to the ledger's end. Not inside any experiment's section.

    `edited` are experiments whose SPEC was touched: their rows are made again even where the ledger has no news.

    Whatever another process did since the index was written, or was killed before telling, is caught up here. False
    when somebody else is at it for long: what was done is safe, `status` counts it in, and the next call catches up.
    """
    known = {subject.view.experiment: subject for subject in fresh}
    try:
        with hold(root.layout.pages_section, wait_s=PAGES_WAIT_S):
            _lab_pages(root, known, tuple(edited))
    except Busy:
        return False
    return True


def _lab_pages(root: Root, known: Mapping[str, Subject], edited: Sequence[str]) -> None:
    before = index.parse(reading.read(root.layout.index) or b"")
    _note_cut(root, before)
    news = None if before is None else _news(root, before)
    if before is None or news is None:
        _from_pages(root)
        return
    touched, mark = news
    present = set(os.listdir(root.layout.experiments))
    rows = {row.id: row for row in before.experiments if row.id in present}
    for name, seq in sorted(touched.items()):
        subject = known.get(name)
        # A subject from before somebody else's decision must not stand for what came after it.
        fresh = subject is not None and subject.place.seq >= seq
        row = index.row(subject) if subject is not None and fresh else _caught_up(root, name)
        if row is not None:
            rows[name] = row
    for name in edited:
        if name in rows and name not in touched and (row := _caught_up(root, name)) is not None:
            rows[name] = row
    if mark is not None or edited:
        _write_lab(root, list(rows.values()), mark or before.ledger, before.alerts)


def _from_pages(root: Root) -> None:
    """The index anew, from each experiment's own pages. The caller has the pages' section."""
    log = _Log(root)
    rows = [row for name in experiments.names(root) if (row := _caught_up(root, name))]
    _write_lab(root, rows, log.mark, log.alerts)


def _caught_up(root: Root, experiment: str) -> Row | None:
    """An experiment's row, or None when its own files refuse: that must not keep the others out of the index."""
    try:
        with hold(root.layout.section(experiment), wait_s=PAGES_WAIT_S):
            return index.row(catch_up(root, experiment))
    except OSError as error:
        if not reading.is_local(error):
            raise
        return None


def _news(root: Root, before: index.Index) -> tuple[dict[str, int], Mark | None] | None:
    """Experiments that the ledger names after the index was written, each with the last record that does.

    None when the ledger does not go on from there.
    """
    if reading.size_of(root.layout.events) < before.ledger.end:
        return None
    touched: dict[str, int] = {}
    mark: Mark | None = None
    prev = before.ledger.sha256
    for entry in ledger.entries(root, before.ledger.end):
        if entry.line is None or entry.line.prev != prev:
            return None
        prev, mark = entry.sha256, entry.mark
        if entry.line.event.experiment:
            touched[entry.line.event.experiment] = entry.line.seq
    return {name: seq for name, seq in touched.items() if reading.is_folder(root.layout.experiment(name))}, mark


def _write(root: Root, experiment: str, pending: Pending) -> int:
    """Put a subject's pages on the disk, STATUS.json last: it says how far the others go."""
    subject = pending.subject
    written = 0
    for name, data in zip(layout.TABLES, pending.tables, strict=False):
        path = root.layout.page(experiment, name)
        if pending.whole:
            written += root.files.replace(path, data)
        elif data:
            root.files.append(path, partial(_just, data), section="", window=0, durable=False)
            written += 1
    texts = pages.render(subject)
    # Not written again after each run, so a power cut may have left it empty or taken it away.
    if pending.runbook or _is_ahead(root, experiment):
        from lab.projections import runbook  # noqa: PLC0415  # a run does not change it

        texts[layout.RUNBOOK] = runbook.runbook_page(subject)
    # Another tier may have no best yet; what was a code loop may be none by another SPEC.
    for name in (layout.LATEST_RUN, layout.BEST_RUN, layout.LOOP_SUMMARY, *layout.TABLES[len(pending.tables) :]):
        if name not in texts and reading.size_of(root.layout.page(experiment, name)) >= 0:
            root.files.discard(root.layout.page(experiment, name))
            written += 1
    last = texts.pop(layout.STATUS)
    for name, data in texts.items():
        written += root.files.replace(root.layout.page(experiment, name), data)
    return written + root.files.replace(root.layout.status(experiment), last)


def _is_ahead(root: Root, experiment: str) -> bool:
    """Whether RUNBOOK.md is not whole, or younger than STATUS.json: its writer died before it told how far it went."""
    path = root.layout.page(experiment, layout.RUNBOOK)
    if reading.read_head(path, 1) != b"#":
        return True
    try:
        return os.stat(path).st_mtime_ns >= os.stat(root.layout.status(experiment)).st_mtime_ns
    except FileNotFoundError:
        return True


def _just(data: bytes, _tail: bytes, _size: int) -> bytes:
    return data


def _write_lab(root: Root, rows: Sequence[Row], mark: Mark | Place, alerts: Sequence[Finding]) -> int:
    told = index.of(rows, ledger=Place(seq=mark.seq, sha256=mark.sha256, end=mark.end), alerts=alerts)
    written = int(root.files.replace(root.layout.readme, readme.render())) + _agents(root)
    written += root.files.replace(root.layout.lab_status, lab_status.render(told))
    return written + root.files.replace(root.layout.index, index.render(told))


def _agents(root: Root) -> int:
    """AGENTS.md, unless somebody else wrote it: their rules for agents are not ours to lose."""
    path = root.layout.place(layout.AGENTS)
    there = reading.read_head(path, len(readme.AGENTS_MARK))
    is_ours = not there or there == readme.AGENTS_MARK.encode()
    return int(root.files.replace(path, readme.agents())) if is_ours else 0


class _Log:
    """The ledger read once and sorted by experiment, then followed while it grows."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._told: dict[str, Recorded] = {}
        self._end = 0
        self._audit = ledger.Audit()
        self._problems: list[str] = []
        self.more()

    def more(self) -> None:
        """Read what was written since."""
        for entry in ledger.entries(self._root, self._end):
            self._end = entry.end
            problem = self._audit.feed(entry)
            if problem:
                self._problems.append(problem)
            if entry.line is not None and entry.line.event.experiment:
                self._told.setdefault(entry.line.event.experiment, Recorded()).add(entry.line, entry.mark)

    def of(self, experiment: str) -> Recorded:
        """What is said of an experiment, also what was written since: its section is held, so there will be no more."""
        self.more()
        return self._told.get(experiment) or Recorded()

    def touched_after(self, mark: Mark) -> set[str]:
        """Experiments with a line after this record."""
        return {name for name, told in self._told.items() if told.last.seq > mark.seq}

    @property
    def mark(self) -> Mark:
        """The last whole record."""
        return self._audit.mark

    @property
    def alerts(self) -> list[Finding]:
        """The first break of the chain, if any."""
        if not self._problems:
            return []
        what = f"the ledger was damaged ({len(self._problems)} places): {self._problems[0]}"
        return [Finding(what=what, where="registry/events.jsonl", fix="labctl verify names each place")]
