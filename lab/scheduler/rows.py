"""The lines that a sealed run has in the tables of its experiment, and the tables made of them.

`tables_of` writes them anew from all runs, `grown` adds those that came since. Both end in the same bytes: a test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import curve, history, layout
from lab.core.errors import Corrupt
from lab.core.run import Run  # msgspec resolves annotations
from lab.core.subject import Finding
from lab.projections import autoresearch_log, autoresearch_progress, data, tables
from lab.store import bundles, files, reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.seal import Seal
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.store.archives import Kept
    from lab.store.root import Root

VERIFY = "labctl verify shows the damage; restore the files from a backup"
GONE = "a sealed run is gone"
REFERENCE = "reference"
_RUNS = msgspec.json.Decoder(Run)
_PLAIN, _LOOP = 2, 4  # so many tables has an experiment, and so many a code loop


class Read(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A sealed run as far as the pages want it, packed, for there may be 100,000. The rest of its seal is let go."""

    key: history.Key
    ts: str
    generation: int
    packed: bytes  # the run, as JSON: no other form has whole numbers of every size
    line: bytes  # of metrics.jsonl
    measured: bytes = b""  # of a candidate: what it measured besides, as JSON
    noted: bytes = b""  # of a candidate: what its proposer noted, as JSON
    problem: Finding | None = None

    @property
    def run(self) -> Run:
        return _RUNS.decode(self.packed)

    @property
    def item(self) -> history.Item:
        return history.Item(key=self.key, ts=self.ts, run=self.run, generation=self.generation)


def read(root: Root, made: Seal, kept: Kept | None = None, *, at: int = 0, quoted: bool = True) -> Read:
    """What the tables say of a run. An edited metrics.json is not quoted: the sealed value stands.

    Without `quoted` the files are proved all the same, and no lines are made of them. `at`: see `history.of_seal`.
    """
    path = root.layout.run(made.run.experiment, made.run.run_id)
    problem = None
    told: dict[str, bytes | None] = {}
    noted = (layout.ASI,) if made.run.candidate is not None else ()
    for name in (layout.METRICS, layout.PARAMS, layout.CURVE, *noted):
        found = told[name] = bundles.sealed_bytes(path, name, made) if kept is None else kept.quoted(name, made)
        if found is None and name in made.files and made.files[name].size < bundles.QUOTED_BYTES:
            where = f"experiments/{made.run.experiment}/runs/{made.run.run_id}/{name}"
            problem = Finding(what="a sealed file was changed or is gone", where=where, fix=VERIFY)
    if not quoted:
        return _told(made, at, b"", problem)
    metrics = mapping(told[layout.METRICS])
    params = mapping(told[layout.PARAMS]) if layout.PARAMS in made.files else None
    report = curve.told(told[layout.CURVE]) if layout.CURVE in made.files else ()
    return msgspec.structs.replace(
        _told(made, at, tables.metrics_line(made.told, metrics, params, report), problem),
        measured=data.encode(metrics) if noted else b"",
        noted=data.encode(mapping(told[layout.ASI])) if noted else b"",
    )


def _told(made: Seal, at: int, line: bytes, problem: Finding | None) -> Read:
    item, packed = history.of_seal(made, at), msgspec.json.encode(made.told)
    return Read(key=item.key, ts=item.ts, generation=item.generation, packed=packed, line=line, problem=problem)


def tables_of(spec: Spec | None, begun: View, told: Sequence[Read]) -> tuple[bytes, ...]:
    """The tables written anew. `begun` is the view to which no run has happened; `told` is in the order of history.

    An experiment is a code loop if its SPEC says so, or one of its runs was a candidate: older SPECs name a program.
    """
    last = told[-1].run if told else None
    metric = spec.metric if spec else last.metric if last else ""
    lines = b"".join(each.line for each in told)
    is_loop = spec is not None and spec.executor == REFERENCE
    if not is_loop and all(each.run.candidate is None for each in told):
        return lines, tables.results_header(metric) + b"".join(tables.results_line(each.run) for each in told)
    rows = b"".join(autoresearch_log.results_line(each.run) for each in told)
    log = _Log(autoresearch_log.Place(), None)
    peers = b"".join(log.lines(each) for each in told)
    return lines, autoresearch_log.results_header(metric) + rows, peers, _progress(begun, told)


def grown(root: Root, view: View, told: Sequence[Read], sizes: tuple[int, ...]) -> tuple[bytes, ...] | None:
    """What these runs add to the tables of a view that has runs; None when the tables do not tell how to go on."""
    lines = b"".join(each.line for each in told)
    if len(sizes) == _PLAIN:
        if any(each.run.candidate is not None for each in told):
            return None  # a code loop after all: its tables are others
        return lines, b"".join(tables.results_line(each.run) for each in told)
    if not told:
        return (b"",) * _LOOP
    path = root.layout.page(view.experiment, layout.PEERS_LOG)
    tail = reading.read_from(path, max(0, sizes[2] - autoresearch_log.LINE_BYTES - 1))
    last = autoresearch_log.last_place(tail)
    if last is None:
        return None
    log = _Log(last, view.last)
    rows = b"".join(autoresearch_log.results_line(each.run) for each in told)
    peers = b"".join(log.lines(each) for each in told)
    return lines, rows, peers, _progress(view, told)


class _Log:
    """autoresearch.jsonl as it grows."""

    def __init__(self, last: autoresearch_log.Place, before: Run | None) -> None:
        self._last = last
        self._before = before

    def lines(self, each: Read) -> bytes:
        run = each.run  # unpacked once
        opens = autoresearch_log.opens_segment(run, self._before)
        self._last = autoresearch_log.Place(run=self._last.run + 1, segment=self._last.segment + opens)
        self._before = run
        config = autoresearch_log.config_line(run) if opens else b""
        return config + autoresearch_log.run_line(run, self._last, mapping(each.measured), mapping(each.noted))


def _progress(view: View, told: Sequence[Read]) -> bytes:
    """What autoresearch-progress.md gains: a section whenever another ten runs are done."""
    made = b"" if view.runs else autoresearch_progress.head(view)
    for each in told:
        view = history.fold(view, [each.item])
        if view.runs % autoresearch_progress.EVERY == 0:
            made += autoresearch_progress.section(view, each.run)
    return made


def are_whole(root: Root, experiment: str, sizes: tuple[int, ...]) -> bool:
    """Whether the tables are those that had these sizes, and lost nothing of what was appended last.

    A power cut can leave the right size with zeros in it.
    """
    for name, size in zip(layout.TABLES, sizes, strict=False):
        path = root.layout.page(experiment, name)
        if reading.size_of(path) != size:
            return False
        tail = reading.read_from(path, max(0, size - files.TAIL_BYTES))
        if b"\0" in tail or (tail and not tail.endswith(b"\n")):
            return False
    return True


def parameters(told: bytes | None, where: str) -> dict[str, object] | None:
    """The parameters in a file that the lab wrote; None where there is none. `Corrupt` for what is no object."""
    try:
        return None if told is None else msgspec.json.decode(told, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Corrupt(f"the parameters of the run cannot be read: {error}", where=where, fix=VERIFY) from error


def mapping(told: bytes | None) -> dict[str, object]:
    """A JSON object, or an empty one for anything else: an executor may have written `[1]` there."""
    if not told:
        return {}
    try:
        return msgspec.json.decode(told, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
