"""A project of the lab, as its SPEC and its folder tell of it now. Reads, and writes nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, NotFound
from lab.core.spec import Spec
from lab.research import declared
from lab.research import project as projects
from lab.research.project import RESEARCH, Project
from lab.store import experiments, reading

if TYPE_CHECKING:
    from lab.store.root import Root

_MOST_BYTES = 256 << 10
_TYPED = re.compile(r"(labctl research [a-z]+) ID\b")


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """`folder` is the project's, absolute."""

    spec: Spec
    folder: str
    project: Project


def is_project(spec: Spec) -> bool:
    """Whether an experiment is a research project."""
    return spec.executor == RESEARCH


def spec(root: Root, name: str) -> Spec:
    """The SPEC of a project, or why it is none."""
    experiments.require(root, name)
    loaded = experiments.load(root, name)
    if loaded.spec is None:
        raise loaded.problem or BadInput("the SPEC cannot be used", fix=f"labctl validate {name}")
    if not is_project(loaded.spec):
        fix = "labctl research new NAME --mode A begins one"
        raise BadInput(f"{name} is no research project: its executor is {loaded.spec.executor}", fix=fix)
    return loaded.spec


def addressed(words: str, name: str) -> str:
    """The same with this project in the place of ID: who refuses deep down does not know whose phase it is."""
    return _TYPED.sub(lambda found: f"{found[1]} {name}", words) if name else words


def project(root: Root, name: str) -> Opened:
    """All of it."""
    found = spec(root, name)
    folder = found.workspace_root
    place = f"{folder}/{projects.FILE}"
    data = reading.read_given(place, _MOST_BYTES)
    if data is None:
        fix = f"put the folder back, or say in {root.layout.spec(name)} where it is now: workspace_root"
        raise NotFound("the project's file is not there", where=place, fix=fix)
    told = projects.parse(data, place)
    declared.require(told, place)
    return Opened(spec=found, folder=folder, project=told)
