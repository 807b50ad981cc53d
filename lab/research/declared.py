"""The phases and modes as they are declared in templates/research: data, checked against what there is.

A phase says who does it, what it is given, what it must leave, whether a person is asked before it, and its budget. A
mode says where it starts, what it skips, and what the user must give. No phase is known to code by more than its name.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from lab.core import spec_text
from lab.core.errors import BadInput
from lab.research.project import PHASES, RESEARCH, Gate, Name, Project
from lab.store import reading, shipped

T = TypeVar("T")
OF_PROJECT = "project:"
OF_FOLDER = "folder:"
_OR, _NO = ", or ", "no "


class Phase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is declared of a phase.

    `inputs` are `PHASE/FILE` of an earlier phase (`PHASE/FOLDER/` for all below), `project:KEY`, or `folder:KEY` for
    the files that a key of the project names. `outputs` are names below the run's artifacts/; one that ends in `/` is a
    folder with a file in it at least; one behind `?` may be missing. `may` are other workers that can do it.

    `wants` are what it cannot be done without, each with what does as well: `PHASE`, `PHASE, or KEY` for a key of the
    project that is given, `PHASE, or no KEY` for one that is not.
    """

    name: Name
    about: str
    executor: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...]
    may: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()
    gate: Gate = "none"
    budget: str = "10m"
    each_round: bool = False  # done again in every round of iteration


class Mode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`needs` are keys of the project that must be given; `any_of` of which one must be."""

    name: Literal["A", "B", "C", "D", "E"]
    word: str  # how people type it: full, hypothesis, data, given, continue
    about: str
    start: Name
    skip: tuple[Name, ...] = ()
    needs: tuple[str, ...] = ()
    minimal: tuple[Name, ...] = ()  # phases that are done at their least: a check of novelty, no survey


class _Phases(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    phases: Annotated[tuple[Phase, ...], Meta(min_length=1)]


class _Modes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    modes: Annotated[tuple[Mode, ...], Meta(min_length=1)]


def place(name: str) -> str:
    return os.path.join(shipped.template_folder(), RESEARCH, name)


def phases() -> tuple[Phase, ...]:
    """All of them, in their order."""
    found = _read("phases.yaml", _Phases).phases
    if tuple(each.name for each in found) != PHASES:
        raise BadInput(
            f"the phases are not {', '.join(PHASES)}", where=place("phases.yaml"), fix="install labctl again"
        )
    return found


def modes() -> tuple[Mode, ...]:
    return _read("modes.yaml", _Modes).modes


def mode(name: str) -> Mode:
    """The mode of a letter or a word."""
    known = modes()
    found = next((each for each in known if name.strip().lower() in (each.name.lower(), each.word)), None)
    if found is None:
        fix = "; ".join(f"{each.name} or {each.word}: {each.about}" for each in known)
        raise BadInput(f"there is no mode {name[:40]!r}", fix=fix)
    return found


def planned(project: Project) -> tuple[Phase, ...]:
    """The phases that a project goes through, in their order, each as the project has it: who does it, and its gate."""
    chosen = mode(project.mode)
    began = PHASES.index(chosen.start)
    left_out = {*chosen.skip, *project.skip}
    return tuple(
        msgspec.structs.replace(
            each,
            executor=project.routing.get(each.name, each.executor),
            gate=project.gates.get(each.name, each.gate),
        )
        for each in phases()
        if PHASES.index(each.name) >= began and each.name not in left_out
    )


def require(project: Project, where: str) -> None:
    """Refuse a project that leaves out a phase which another one cannot do without: it would fail there each time."""
    chosen = planned(project)
    names = {each.name for each in chosen}
    for phase in chosen:
        for wanted in phase.wants:
            needed, _, other = wanted.partition(_OR)
            if needed in names or (other and _is_so(project, other)):
                continue
            verb = f"take {other.removeprefix(_NO)} out" if other.startswith(_NO) else f"give {other}"
            if needed not in project.skip:
                what = f"{phase.name} builds on {needed}, which mode {project.mode} does not do"
                raise BadInput(what, where=where, fix=verb if other else f"skip: [{phase.name}]")
            fix = f"take {needed} out of `skip`, or put {phase.name} there too" + (f", or {verb}" if other else "")
            raise BadInput(f"skip leaves out {needed}, which {phase.name} builds on", where=where, fix=fix)


def _is_so(project: Project, other: str) -> bool:
    """Whether a key is given, or is not, as is wanted of it."""
    found: object = project
    for part in other.removeprefix(_NO).split("."):
        found = getattr(found, part)
    return bool(found) is not other.startswith(_NO)


def _read(name: str, kind: type[T]) -> T:
    path = place(name)
    data = reading.read(path)
    if data is None:
        raise BadInput("a part of labctl is not there", where=path, fix="install labctl again: pip install .")
    try:
        return msgspec.convert(_mapping(data, path), kind)
    except msgspec.ValidationError as wrong:
        raise BadInput(
            f"this cannot be used: {wrong}", where=path, fix="mend this key, or install labctl again"
        ) from None


@lru_cache(maxsize=8)  # asked for each phase of each round; by its bytes, so that an edit is seen
def _mapping(data: bytes, path: str) -> object:
    return spec_text.parse_text(data, path)[0]
