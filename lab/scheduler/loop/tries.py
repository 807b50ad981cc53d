"""The last candidates of a loop with their notes: from the end of metrics.jsonl, and the bundles that it names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core import asi, layout
from lab.core.asi import Asi
from lab.core.candidate import BASELINE, REPLAYED
from lab.core.errors import LabError
from lab.core.run import CANCELLED
from lab.projections import tables
from lab.projections.loop_brief import Tried
from lab.store import bundles, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.seal import Seal
    from lab.store.root import Root

MOST = 20
_NO_TRIES = (BASELINE, REPLAYED)
_STEPS = f"{layout.ARTIFACTS}/{layout.LOOP_STEPS}/"
_LOG_BYTES = 4_096
_TAIL_BYTES = 128 << 10  # a longer table is not read: what a candidate costs does not grow with history


def recent(root: Root, experiment: str, tier: str, most: int = MOST) -> Iterator[Tried]:
    """The last candidates of a tier, newest first. What lies in an archive, or is damaged, is passed over."""
    left = most
    for run_id in _names(root, experiment, tier):
        if left <= 0:
            return
        path = root.layout.run(experiment, run_id)
        try:
            sealed = bundles.load_seal(path)
        except LabError:
            continue
        if sealed is not None:
            left -= 1
            yield Tried(run=sealed[0].run, asi=_notes(path, sealed[0]))


def crash(root: Root, experiment: str, run_id: str) -> tuple[str, str, str] | None:
    """Of a candidate that crashed: its kind, what was said of it, and the end of what its last step printed.

    None where it did not crash, or its bundle is gone.
    """
    path = root.layout.run(experiment, run_id)
    try:
        sealed = bundles.load_seal(path)
    except LabError:
        return None
    made = sealed[0].run.candidate if sealed else None
    if sealed is None or made is None or not made.crash:
        return None
    logs = [name for name in sealed[0].files if name.startswith(_STEPS) and name.endswith(layout.STDOUT)]
    folder = max(logs, default="").removesuffix(layout.STDOUT)
    ends = [_end(f"{path}/{folder}{name}") for name in (layout.STDOUT, layout.STDERR)] if folder else []
    return made.crash, made.why or sealed[0].run.reason, "\n".join(end for end in ends if end)


def _end(path: str) -> str:
    start = max(reading.size_of(path) - _LOG_BYTES, 0)
    return reading.read_from(path, start).decode(errors="replace").strip("\n")


def _names(root: Root, experiment: str, tier: str) -> Iterator[str]:
    path = root.layout.page(experiment, layout.METRICS_LOG)
    start = max(reading.size_of(path) - _TAIL_BYTES, 0)
    rows = reading.read_from(path, start).split(b"\n")
    for row in reversed(rows[1:-1] if start else rows[:-1]):  # the last is empty, or what a crash tore
        try:
            line = tables.parse_line(row, path)
        except LabError:
            continue
        made = line.candidate
        if made is not None and made.kind not in _NO_TRIES and line.tier == tier and line.outcome != CANCELLED:
            yield os.path.basename(line.run_id)


def _notes(path: str, sealed: Seal) -> Asi:
    data = bundles.sealed_bytes(path, layout.ASI, sealed)
    try:
        return asi.parse(data.decode(errors="replace"), own=True) if data else Asi()
    except LabError:  # somebody's own file by that name
        return Asi()
