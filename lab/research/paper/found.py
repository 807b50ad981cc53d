"""Where a paper lies: in the sealed run that wrote it, or in a folder that it was exported to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.errors import BadInput, LabError, NotFound
from lab.core.run import SUCCESS
from lab.core.seal import Seal  # msgspec resolves annotations
from lab.research.paper import evidence
from lab.research.paper.claim import PAPER
from lab.research.project import WRITING
from lab.research.studies import sealed
from lab.scheduler.results import located
from lab.store import experiments, reading

if TYPE_CHECKING:
    from lab.store.root import Root


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """`seal` is there for one that lies in its run."""

    folder: str
    run_id: str = ""
    seal: Seal | None = None


def is_folder(target: str) -> bool:
    """Whether somebody names a paper that lies as files, and no project."""
    return os.path.basename(target) == PAPER or "/" in target or os.path.lexists(f"{target}/{PAPER}")


def in_folder(target: str) -> Paper:
    """That of a folder, or of its paper.md."""
    place = os.path.abspath(os.path.expanduser(target))
    folder = os.path.dirname(place) if os.path.basename(place) == PAPER else place
    if os.path.lexists(f"{folder}/{PAPER}") and not reading.is_file(f"{folder}/{PAPER}"):
        raise BadInput(f"{PAPER} is no file that can be read", where=f"{folder}/{PAPER}", fix="export the paper again")
    if not reading.is_file(f"{folder}/{PAPER}"):
        fix = "labctl research paper ID -o FOLDER writes the paper of a project out"
        raise NotFound(f"there is no {PAPER}", where=folder, fix=fix)
    return Paper(folder=folder)


def written_by(root: Root | None, folder: str) -> tuple[str, Seal] | None:
    """The run that wrote an exported paper, and its seal: the lab's own where there is one. None where nothing says."""
    place = f"{folder}/{evidence.FOLDER}"
    bundles_of = evidence.InFolder(place)
    for run_id in sorted(os.listdir(place)) if reading.is_folder(place) else ():
        try:
            made, _ = bundles_of.seal(run_id)
            if made.run.tier == WRITING and f"{layout.ARTIFACTS}/{PAPER}" in made.files:
                return run_id, (evidence.InLab(root).seal(run_id)[0] if root is not None else made)
        except LabError:
            continue  # told with the claims that rest on it, or a lab that does not have it
    return None


def of_run(root: Root, run_id: str) -> Paper:
    """That which a run wrote."""
    found, made = located.sealed(root, run_id)
    if found.archive or f"{layout.ARTIFACTS}/{PAPER}" not in made.files:
        fix = f"labctl prune --restore {found.archive}" if found.archive else "labctl research status ID names the runs"
        raise NotFound(f"{run_id} has no {PAPER} here", where=found.path, fix=fix)
    return Paper(folder=f"{found.path}/{layout.ARTIFACTS}", run_id=run_id, seal=made)


def newest(root: Root, project: str) -> Paper:
    """The last that a project has."""
    experiments.require(root, project)
    for each in reversed(sealed.rows(root, project, WRITING)):
        if each.run.outcome == SUCCESS:
            return of_run(root, each.run.run_id)
    raise NotFound(f"{project} has no paper yet", where=root.layout.runs(project), fix=f"labctl research run {project}")
