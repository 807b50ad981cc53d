"""The SPEC that an experiment was made from, and the code that its runs ran: what was changed since, in words.

The SPEC was copied, and who changes it afterwards changes nothing; of the code it is the other way round.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core import canonical, event, layout
from lab.core.errors import LabError
from lab.core.view import View
from lab.scheduler import subjects
from lab.store import bundles, ledger, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.spec import Spec
    from lab.store.root import Root

GIVEN = "given"  # among the facts of a creation: the digest of the file, called SPEC.yaml, that it was made from


def creations(root: Root) -> Iterator[event.Event]:
    """What the ledger tells of experiments that were made."""
    for entry in ledger.entries(root):
        if entry.line is not None and entry.line.event.type == event.EXPERIMENT_CREATED:
            yield entry.line.event


def made_from(root: Root, experiment: str) -> View:
    """Where an experiment came from, as a view that knows nothing else."""
    made = next((told for told in creations(root) if told.experiment == experiment), None)
    if made is None:
        return View(experiment=experiment)
    return View(experiment=experiment, created_from=made.name, created_in=str(made.facts.get("created_in") or ""))


def before(root: Root, folder: str) -> View | None:
    """Where the experiment came from whose folder this is; None of any other, and of one that came from nowhere else.

    A SPEC that lies there says `workspace_root: .` of the folder in which it was written, not of the lab.
    """
    place, name = os.path.split(os.path.realpath(folder))
    if place != os.path.realpath(root.layout.experiments):
        return None
    view = made_from(root, name)
    return view if view.created_from else None


def changed(root: Root, experiment: str) -> str:
    """That this file was changed since, in words; empty where it is as it was, gone, or the same as what counts."""
    own = root.layout.spec(experiment)
    view = subjects.told(root, experiment)
    if view is not None and _now(view.created_from, own) is None:
        return ""  # nearly always; the ledger may be long
    made = next((told for told in creations(root) if told.experiment == experiment), None)
    if made is None or GIVEN not in made.facts:
        return ""
    now = _now(made.name, own)
    if now is None or canonical.digest(now) == made.facts[GIVEN]:
        return ""
    return f"{made.name}/{layout.SPEC} was changed, and is not read: what counts is {own}"


def edits(root: Root, *experiments: str) -> list[str]:
    """The same of several, where it is so."""
    return [told for each in experiments if (told := changed(root, each))]


def recoded(root: Root, view: View, spec: Spec) -> str:
    """That the files which its last run's command named are others by now, in words: its values are of other code."""
    from lab.scheduler import launching, places  # noqa: PLC0415  # for who is about to make runs

    if view.last is None:
        return ""
    try:
        manifest = bundles.load_manifest(root.layout.run(view.experiment, view.last.run_id))
    except LabError:
        return ""  # verify names it
    ran = {} if manifest is None else manifest.usage.program
    others = launching.changed(ran, (places.workspace(root, spec, view), *places.folders(root, view)))
    if not others:
        return ""
    return f"{', '.join(others)} was changed since {view.last.run_id}: the values so far are of other code"


def _now(folder: str, own: str) -> bytes | None:
    """The SPEC that lies in a folder by now, if it says something else than the one that counts."""
    if not folder:
        return None
    try:
        found = reading.read(f"{folder}/{layout.SPEC}")
    except OSError:
        return None  # of somebody else by now
    return None if found == reading.read(own) else found
