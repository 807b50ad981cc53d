"""A code loop in the forms of its peers, and what it came to: from the pages as they are, without writing any."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.errors import BadInput, Unavailable
from lab.core.subject import Subject
from lab.projections import autoresearch_summary, status, tier
from lab.scheduler import places, subjects
from lab.scheduler.loop import branches
from lab.store import experiments, reading

if TYPE_CHECKING:
    from lab.projections.autoresearch_summary import Summary
    from lab.store.root import Root

PAGES = {"tsv": layout.RESULTS, "jsonl": layout.PEERS_LOG, "summary": layout.LOOP_SUMMARY}
_BEHIND = "the pages are behind what was sealed or decided since: labctl refresh"


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a code loop, and how many runs it tells of."""

    data: bytes
    runs: int
    warnings: tuple[str, ...] = ()


def exported(root: Root, experiment: str, form: str) -> Exported:
    """One of the pages of a code loop. `BadInput` for an experiment that is none."""
    subject, warnings = _subject(root, experiment)
    path = root.layout.page(experiment, PAGES[form])
    data = reading.read(path)
    if data is None:
        raise Unavailable("this page of the code loop is missing", where=path, fix="labctl refresh")
    return Exported(data=data, runs=subject.view.runs, warnings=warnings)


def wanted(root: Root, experiment: str) -> str:
    """Where the SPEC wants the table of runs besides the lab's own; empty where it wants none."""
    experiments.require(root, experiment)
    loaded = experiments.load(root, experiment)
    if loaded.spec is None or not loaded.spec.results_file:
        return ""
    file = os.path.expanduser(loaded.spec.results_file)
    if os.path.isabs(file):
        return file
    view = subjects.unchanged(root, experiment, loaded)
    state = status.fold_state(reading.read(root.layout.status(experiment)) or b"") if view is None else None
    view = view or (state.view if state else None)
    workspace = places.workspace(root, loaded.spec, view) if view else ""
    if not workspace:
        fix = "write a whole path, or give --output FILE"
        raise BadInput(f"results_file of {experiment} is relative, and it has no workspace", fix=fix)
    return f"{workspace}/{file}"


def reported(root: Root, experiment: str) -> tuple[Summary, bytes, tuple[str, ...]]:
    """What a loop came to: the numbers, the page, and what is to be said beside them."""
    subject, warnings = _subject(root, experiment)
    warnings = (*warnings, *branches.behind(root, subject.spec, subject.view))
    return autoresearch_summary.told(subject), autoresearch_summary.summary_page(subject), warnings


def _subject(root: Root, experiment: str) -> tuple[Subject, tuple[str, ...]]:
    experiments.require(root, experiment)
    loaded, warnings = experiments.load(root, experiment), tuple[str, ...]()
    view = subjects.unchanged(root, experiment, loaded)
    if view is None:
        state = status.fold_state(reading.read(root.layout.status(experiment)) or b"")
        if state is None:
            raise Unavailable(f"the pages of {experiment} are missing or damaged", fix="labctl refresh writes them")
        view, warnings = state.view, (_BEHIND,)
    loaded = subjects.held(loaded, view)
    warnings = (loaded.problem.warning, *warnings) if loaded.problem else warnings
    subject = Subject(view=view, spec=loaded.spec)
    if not tier.is_loop(subject):
        fix = f"labctl export {experiment} writes the runs of any experiment"
        raise BadInput(f"{experiment} is no code loop: no run of it tried a change", fix=fix)
    return subject, warnings
