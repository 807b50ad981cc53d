"""Data that a project is given, looked at before anything runs: whether the phases that read them would take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import BadInput
from lab.research.ideas import summary
from lab.research.studies import bundled
from lab.store import reading

if TYPE_CHECKING:
    from lab.research.ideas.summary import Table

MOST_BYTES = 8 << 20  # larger ones are looked at by the phase that has the time for it
_FEWEST, _MOST_ROWS, _COLUMNS = 30, 4_000, (2, 40)  # what templates/research/study can use at all
_NUMBERS = ("number", "whole")
_FIX = "give a .csv of numbers with names in its first line, the wanted column last; or a study of yours: --study DIR"


def require(path: str, study: str) -> None:
    """Refuse what the ideation could not look into; and, where the study is labctl's own, what that cannot use."""
    if reading.size_of(path) > MOST_BYTES:
        return
    seen = summary.of_files({path: reading.read(path) or b""}).files[0]
    if bundled.is_program(bundled.in_folder(study)):
        _require_numbers(seen, path)


def _require_numbers(seen: Table, path: str) -> None:
    fewest, most = _COLUMNS
    wrong = next((each for each in seen.columns if each.kind not in _NUMBERS or each.missing), None)
    what = ""
    if not path.lower().endswith(".csv"):
        what = "the study that comes with labctl reads a .csv"
    elif not fewest <= len(seen.columns) <= most:
        what = f"it has {len(seen.columns)} columns, and the study that comes with labctl uses {fewest} to {most}"
    elif wrong is not None:
        held = f"{wrong.missing} cells without a value" if wrong.missing else f"cells that are {wrong.kind}, no numbers"
        what = f"its column {wrong.name} has {held}, and the study that comes with labctl reads numbers"
    elif not _FEWEST <= seen.rows <= _MOST_ROWS:
        what = f"it has {seen.rows:,} rows, and the study that comes with labctl uses {_FEWEST} to {_MOST_ROWS:,}"
    if what:
        raise BadInput(what, where=path, fix=_FIX)
