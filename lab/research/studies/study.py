"""A study as somebody gave it: a folder with a SPEC and the programs that it names, read and judged, not yet run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import space as spaces
from lab.core import spec_text
from lab.core.errors import BadInput, NotFound
from lab.core.layout import SPEC
from lab.core.space import Space
from lab.core.spec import Spec
from lab.core.spec_tuning import is_chain
from lab.research import study as rules
from lab.research.studies import measuring
from lab.scheduler.loop import scripts
from lab.scheduler.search.sought import NAMES
from lab.store import experiments, reading

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from lab.research.work.given import Given

OF_STUDY = "folder:study/"
MOST_FILES, MOST_BYTES = 2_000, 64 << 20
_LEFT_OUT = frozenset({".git", "__pycache__"})


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """`files` by their names below the study's folder, SPEC.yaml among them; `programs` are those that can be started.

    `space` is what varies; None for a code loop that has none.
    """

    where: str  # what people call it
    files: dict[str, bytes]
    programs: frozenset[str] = frozenset()
    elsewhere: dict[str, str] = {}  # digests of files that its commands name and that are not in it
    spec: Spec
    space: Space | None = None

    @property
    def text(self) -> bytes:
        """Its SPEC, as it is written."""
        return self.files[SPEC]

    @property
    def selection(self) -> str:
        """The tier that candidates are chosen in."""
        return self.spec.initial_fidelity_tier or self.spec.fidelity_tiers[0]


def of_given(given: Given, where: str = "study") -> Study:
    """The study among what a phase is given. `NotFound` where there is none."""
    pieces = {each.name: each for each in given.pieces()}
    names = given.names(OF_STUDY)
    if not names:
        raise NotFound(
            "there is no study, so nothing could be run",
            where=where,
            fix=f"put a folder with a {SPEC} and its programs there, and name it as `study:` in project.yaml",
        )
    taken = [name for name in names if not _is_left_out(name)]
    require_size([reading.size_of(pieces[name].path) for name in taken if name in pieces], where)
    files = {name.removeprefix(OF_STUDY): given.read(name) for name in taken}
    started = (name for name in names if name in pieces and os.access(pieces[name].path, os.X_OK))
    return of_files(files, where, frozenset(name.removeprefix(OF_STUDY) for name in started))


def on_disk(folder: str) -> Study:
    """The study in a folder, for who asks beforehand whether it would do."""
    if not os.path.isdir(folder):
        fix = f"make it, with a {SPEC} and its programs in it; or correct `study:` in project.yaml"
        raise NotFound("there is no folder of a study", where=folder, fix=fix)
    found = tuple(places(folder))
    require_size([reading.size_of(each) for each in found], folder)
    files = {os.path.normpath(os.path.relpath(each, folder)): reading.read(each) or b"" for each in found}
    return of_files(files, folder, frozenset(name for name in files if os.access(f"{folder}/{name}", os.X_OK)))


def of_files(files: Mapping[str, bytes], where: str, programs: frozenset[str] = frozenset()) -> Study:
    """The study in these files, or `BadInput` with what is wrong. Whether it can be reported on is asked apart."""
    require_size([len(each) for each in files.values()], where)
    if SPEC not in files:
        fix = f"write {SPEC}: metric, metric_direction, search_space, and the command that measures"
        raise BadInput(f"the study has no {SPEC}", where=where, fix=fix)
    spec = experiments.parse_spec(files[SPEC], f"{where}/{SPEC}")
    workspace = os.path.expanduser(spec.workspace_root)
    inside = os.path.normpath(workspace or ".")
    if os.path.isabs(workspace) or inside.startswith(".."):
        what = f"the study's workspace_root is {spec.workspace_root}, which is not in its folder"
        raise BadInput(
            what, where=f"{where}/{SPEC}", fix="put the programs into the study, and write workspace_root: ."
        )
    return Study(where=where, files=dict(files), programs=programs, spec=spec, space=_space(spec, files, inside, where))


def require_size(sizes: Collection[int], where: str, whose: str = "the study has") -> None:
    """Refuse more than is copied for each idea, the data of a project included. Asked before anything is read."""
    total = sum(sizes)
    if len(sizes) > MOST_FILES or total > MOST_BYTES:
        what = f"{whose} {len(sizes):,} file{'' if len(sizes) == 1 else 's'} of {total / (1 << 20):,.1f} MiB in all"
        fix = (
            f"at most {MOST_FILES:,} files and {MOST_BYTES >> 20} MiB: give a sample, and name the whole by its path "
            f"in the study's own {SPEC}"
        )
        raise BadInput(f"{what}; it is copied for each idea", where=where, fix=fix)


def require(study: Study, report: str = "") -> str:
    """The tier that is reported, where it differs from all that the search sees; else `BadInput` with what to write."""
    spec, where = study.spec, f"{study.where}/{SPEC}"
    if not spec.metric:
        raise BadInput("the study names no metric", where=where, fix="write `metric:` and `metric_direction:`")
    for what, fix in rules.problems(spec, study.selection, report):
        raise BadInput(f"the study: {what}", where=where, fix=fix)
    last = rules.reported(spec, report)
    changed = next(iter(measuring.changeable(spec, study.files, study.programs)), "")
    if changed:
        what = f"mutable_paths of the study names {changed}, which measures: whoever is measured could change it"
        fix = f"let {changed} import what is to be changed from a file of its own; or read_only_paths: [{changed}]"
        raise BadInput(what, where=where, fix=fix)
    if study.space is None and not (scripts.is_loop(spec.for_tier(study.selection)) or is_chain(spec)):
        fix = "write `search_space:`, or make it a code loop: executor: reference and mutable_paths"
        raise BadInput("nothing varies in the study", where=where, fix=fix)
    return last


def _space(spec: Spec, files: Mapping[str, bytes], workspace: str, where: str) -> Space | None:
    """What varies, from where the lab would read it."""
    if isinstance(spec.search_space, Space):
        return spec.search_space
    if spec.search_space:
        named = [os.path.normpath(f"{folder}/{spec.search_space}") for folder in (workspace, ".")]
    elif scripts.is_loop(spec) or is_chain(spec):
        return None
    else:
        named = [os.path.normpath(f"{workspace}/{name}") for name in NAMES]
    found = next((name for name in named if name in files), "")
    if not found:
        if spec.search_space:
            fix = "correct search_space in SPEC.yaml, or put that file into the study"
            raise BadInput(f"there is no {spec.search_space} in the study", where=where, fix=fix)
        return None
    return spaces.parse(spec_text.parse_text(files[found], f"{where}/{found}")[0], f"{where}/{found}")


def places(folder: str) -> Iterator[str]:
    """The plain files of a study in a folder."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if each not in _LEFT_OUT)
        for name in sorted(names):
            place = f"{parent}/{name}"
            if reading.is_file(place):
                yield place


def _is_left_out(name: str) -> bool:
    return not _LEFT_OUT.isdisjoint(name.split("/"))
