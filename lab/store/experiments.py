"""Experiments on disk: which there are, and what their SPEC says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, ids, layout
from lab.core.errors import BadInput, LabError, NotFound, nearest
from lab.core.spec import TRY_AGAIN, Spec, decode, encode
from lab.core.version import __version__
from lab.store import reading, refusals
from lab.store.root import still_there

if TYPE_CHECKING:
    from lab.store.root import Root


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A SPEC as it lies there: usable, or with the reason why not. `sha256` is of its exact bytes."""

    sha256: str = ""
    spec: Spec | None = None
    problem: LabError | None = None


def names(root: Root) -> list[str]:
    """Every experiment of the lab, in order. Drafts, files and names that could not be ids are left out."""
    try:
        with os.scandir(root.layout.experiments) as entries:
            found = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return sorted(name for name in found if is_name(name) and _is_one(root, name))


def _is_one(root: Root, name: str) -> bool:
    """A folder that was made as an experiment; somebody may keep other folders there, and they are none of ours."""
    return reading.is_file(root.layout.spec(name)) or reading.is_folder(root.layout.runs(name))


def strangers(root: Root) -> list[str]:
    """What lies among the experiments and is none: for the watchdog to name."""
    known = set(names(root))
    found = os.listdir(root.layout.experiments)
    return sorted(name for name in found if name not in known and not layout.is_draft(name))


def require(root: Root, experiment: str) -> str:
    """The id of an experiment that exists, or `NotFound` with the nearest one that does."""
    ids.experiment_id(experiment)
    if reading.is_folder(root.layout.experiment(experiment)):
        return experiment
    still_there(root)
    known = names(root)
    close = nearest(experiment, tuple(known))
    if close:
        fix = f"did you mean {close}?"
    elif known:
        fix = "labctl list shows what there is"
    else:
        fix = "the lab is empty; labctl create SPEC.yaml makes an experiment"
    message = f"there is no experiment {experiment}"
    raise NotFound(message, where=root.layout.experiments, fix=fix)


def load(root: Root, experiment: str) -> Loaded:
    """The SPEC of an experiment. A SPEC edited into nonsense is that experiment's problem, so nothing is raised."""
    path = root.layout.spec(experiment)
    try:
        data = reading.read(path)
    except OSError as error:
        return Loaded(problem=refusals.refused(error))
    if data is None:
        fix = "put the SPEC back; its runs are safe"
        return Loaded(problem=BadInput("SPEC.yaml is missing", where=f"experiments/{experiment}/SPEC.yaml", fix=fix))
    sha256 = canonical.digest(data)
    try:
        spec = _parsed(root, data, sha256, experiment)
        require_named(spec, experiment, f"experiments/{experiment}/SPEC.yaml")
    except BadInput as problem:
        return Loaded(sha256=sha256, problem=problem)
    return Loaded(sha256=sha256, spec=spec)


def require_named(spec: Spec, experiment: str, where: str) -> None:
    """Refuse the SPEC of an experiment that calls itself by another name."""
    if spec.id != experiment:
        what = f"SPEC.yaml calls the experiment {spec.id}, its folder is {experiment}"
        fix = f"set `id: {experiment}`, or make a new experiment: labctl create"
        raise BadInput(what, where=where, fix=fix)


def _parsed(root: Root, data: bytes, sha256: str, experiment: str) -> Spec:
    """The SPEC, from the cache when these very bytes were parsed before: YAML costs a millisecond, the cache 30 us."""
    path = root.layout.spec_cache(sha256, __version__)
    cached = reading.read(path)
    if cached is not None:
        try:
            return decode(cached)
        except LabError:
            pass  # torn by a power cut; parse again and write it anew
    spec = parse_spec(data, f"experiments/{experiment}/SPEC.yaml", fix=f"labctl validate {experiment}")
    try:
        root.files.replace(path, encode(spec))
    except OSError:
        return spec  # a lab that can only be read is read all the same
    return spec


def parse_spec(data: bytes, where: str, *, fix: str = TRY_AGAIN) -> Spec:
    """A SPEC from its text. `fix`: see `spec.parse`."""
    from lab.core import spec, spec_text  # noqa: PLC0415  # the YAML parser is loaded only for a SPEC not seen before

    mapping, lines = spec_text.parse_text(data, where, least="`id:`, `goal:` and a command")
    return spec.parse(mapping, lines, where, fix=fix)


def is_name(name: str) -> bool:
    """Whether an experiment can have this name."""
    try:
        ids.experiment_id(name)
    except BadInput:
        return False
    return True
