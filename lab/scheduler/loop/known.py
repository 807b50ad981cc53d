"""Whether a change, or an idea, was tried before: asked before a run is spent on it.

What was tried stands in metrics.jsonl, a line a run, like everything else about runs: it is appended with the run, and
`refresh` brings it back. Its bytes are searched, and only a line that fits is parsed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.candidate import APART
from lab.core.run import CANCELLED
from lab.projections import tables
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Collection

    from lab.projections.tables import Line
    from lab.store.root import Root

_IDEA = re.compile(rb'"idea":"[0-9a-f]+"')


def find(root: Root, experiment: str, diff: str, *, tier: str = "", evaluator: str = "") -> str:
    """The first run that tried this change (`Candidate.diff`) and learned something; empty where none did.

    With a `tier`, only of that one; with an `evaluator`, none that was measured by other files. A run that ended with
    the lab, or was cancelled, is none: nothing was learned from it.
    """
    path = root.layout.page(experiment, layout.METRICS_LOG)
    data = reading.read(path) or b"" if diff else b""
    spelt = b'"diff":"%s"' % diff.encode()  # may stand elsewhere in a line, so what is found is parsed and looked at
    at = data.find(spelt)
    while at >= 0:
        line = _line(data, at, path)
        made = line.candidate if line else None
        same = made is not None and made.diff == diff and (not evaluator or made.evaluator in ("", evaluator))
        if line is not None and same and tier in ("", line.tier):
            return line.run_id
        at = data.find(spelt, at + len(spelt))
    return ""


def tried(root: Root, experiment: str, ideas: Collection[str]) -> dict[str, str]:
    """Which of these ideas (`Candidate.idea`) were given to a run that learned something, and to which first."""
    found: dict[str, str] = {}
    wanted = {b'"idea":"%s"' % idea.encode(): idea for idea in ideas if idea}
    path = root.layout.page(experiment, layout.METRICS_LOG)
    data = reading.read(path) or b"" if wanted else b""
    for spelt in _IDEA.finditer(data):
        idea = wanted.get(spelt[0], "")
        if not idea or idea in found:
            continue
        line = _line(data, spelt.start(), path)
        if line is not None and line.candidate is not None and line.candidate.idea == idea:
            found[idea] = line.run_id
    return found


def _line(data: bytes, at: int, path: str) -> Line | None:
    """The line around a place; None where it is of no candidate, or nothing was learned, or a crash tore it."""
    start, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
    if end < 0:  # the pages that follow bring it back
        return None
    line = tables.parse_line(data[start:end], path)
    learned = bool(line.verdict) and not line.cut_off and line.outcome != CANCELLED
    return line if line.candidate is not None and line.candidate.kind not in APART and learned else None
