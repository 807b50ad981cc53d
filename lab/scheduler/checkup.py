"""A check-up of a machine and a lab: what works, what is missing, and what to do about it. It mends nothing.

All that it writes is what every run writes: the probe for the clock, and a scratch folder for a program that ends.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import LabError, Unavailable
from lab.core.launch import Limits, Program
from lab.core.version import __version__
from lab.core.view import ARCHIVED, COMPLETED
from lab.scheduler import passing, sequels, subjects, unread
from lab.store import experiments, leases, plug_ins
from lab.store import root as roots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.store.root import Root

OK, WARNING, FAILED, NONE = "ok", "warning", "failed", "none"
_PYTHON = (3, 11)
_NEEDED = {"msgspec": "msgspec", "jinja2": "jinja2", "yaml": "pyyaml", "tomlkit": "tomlkit", "shtab": "shtab"}
_EXTRAS = {
    "search": ("optuna", "nevergrad", "numpy"),
    "parquet": ("pyarrow",),
    "train": ("torch", "numpy", "tokenizers"),
    "tinker": ("tinker", "tokenizers"),
    "tinker-local": ("torch", "transformers", "peft", "zstandard"),
    "eval": ("lm_eval", "torch", "transformers", "peft"),
    "notify": ("apprise",),
}
_FULL_GB, _LOW_GB = 0.5, 5.0
_CLOCKS_S = 2.0
_ASKED_S = 10.0
_OVER = (COMPLETED, ARCHIVED)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. `failed` is what the lab needs; `none` is what it can do without."""

    name: str
    state: str
    what: str
    fix: str = ""


def checks(root: Root) -> Iterator[Check]:
    """All of them, the surroundings first. Each is looked at when it is asked for."""
    yield _python()
    yield from _packages()
    yield _training(root)
    yield _git(root)
    yield from _plug_ins()
    in_lab = _lab(root)
    yield in_lab
    yield _room(root)
    if in_lab.state == OK:
        yield _clock(root)
        yield _confined(root)
        yield _fence()
        yield from _specs(root)


def _python() -> Check:
    said = f"labctl {__version__} on Python {sys.version.split()[0]} ({sys.executable})"
    if sys.version_info < _PYTHON:
        return Check(name="python", state=FAILED, what=said, fix="use Python 3.11 or newer")
    return Check(name="python", state=OK, what=said)


def _packages() -> Iterator[Check]:
    missing = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if missing:
        fix = "install labctl again: pip install labctl"
        yield Check(name="packages", state=FAILED, what=f"missing: {', '.join(missing)}", fix=fix)
    else:
        yield Check(name="packages", state=OK, what="all that labctl needs is installed")
    for extra, modules in _EXTRAS.items():
        absent = [module for module in modules if find_spec(module) is None]
        if absent:
            yield Check(
                name=f"extra {extra}", state=NONE, what=f"not installed: {', '.join(absent)}",
                fix=f"pip install 'labctl[{extra}]' where it is wanted",
            )  # fmt: skip
        else:
            yield Check(name=f"extra {extra}", state=OK, what=f"installed: {', '.join(modules)}")


def _training(root: Root) -> Check:
    """Which Python the executor `training` would take, and what it would compute on. Torch is not loaded for it."""
    from lab.executors import environment, interpreter, platform  # noqa: PLC0415  # a Python is asked

    seen = environment.allowed(root.world.environ)
    device = platform.detected(seen)
    try:
        found = interpreter.find(seen)
    except Unavailable as absent:
        return Check(name="training", state=NONE, what=f"{absent.what}; {device.words}", fix=absent.fix)
    what = f"torch {found.version} for {found.built_for} in {found.python}; {device.words}"
    if found.missing:
        fix = f"{found.python} -m pip install {' '.join(found.missing)}: the template gpu-training needs them"
        return Check(name="training", state=WARNING, what=f"{what}; not there: {', '.join(found.missing)}", fix=fix)
    is_idle = (device.kind == platform.CUDA and not found.cuda) or (device.kind == platform.ROCM and not found.hip)
    if is_idle:
        fix = "install a torch that is built for it; the first page of pytorch.org says how"
        return Check(name="training", state=WARNING, what=f"{what}; this torch leaves the GPU idle", fix=fix)
    return Check(name="training", state=OK, what=what)


def _git(root: Root) -> Check:
    done = root.world.run(["git", "--version"], limit_s=_ASKED_S)
    if done.code != 0:
        fix = "install git: workspaces under git are cloned and compared with it"
        return Check(name="git", state=WARNING, what=done.problem or "git does not answer", fix=fix)
    return Check(name="git", state=OK, what=done.out.strip()[:200])


def _plug_ins() -> Iterator[Check]:
    """Every plug-in is loaded once. One that fails stops nothing but itself."""
    from lab.executors import door as executors  # noqa: PLC0415  # for a check-up: they load what is installed
    from lab.scheduler.agents import door as agents  # noqa: PLC0415  # as above
    from lab.strategies import door as strategies  # noqa: PLC0415  # as above

    found: list[tuple[str, Callable[[], tuple[plug_ins.Problem, ...]]]] = [
        ("executors", executors.problems), ("strategies", strategies.problems), ("agents", agents.problems),
        ("sequels", sequels.problems),
    ]  # fmt: skip
    for kind, problems in found:
        broken = problems()
        for each in broken:
            fix = "repair or remove the package it comes from"
            yield Check(name=f"plug-in {each.name}", state=WARNING, what=f"{kind}: {each.what}", fix=fix)
        if not broken:
            yield Check(name=kind, state=OK, what="every plug-in loads")


def _lab(root: Root) -> Check:
    path = root.layout.root
    try:
        roots.require(path)
    except LabError as refusal:
        is_there = os.path.isdir(path) and bool(os.listdir(path))
        return Check(name="lab", state=FAILED if is_there else WARNING, what=f"{refusal.what}: {path}", fix=refusal.fix)
    if not os.access(path, os.W_OK | os.X_OK):
        fix = "run as the owner of these files, or point LAB_DATA_ROOT at a folder that you may write"
        return Check(name="lab", state=FAILED, what=f"{path} may not be written", fix=fix)
    return Check(name="lab", state=OK, what=path)


def _room(root: Root) -> Check:
    place = root.layout.root
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    found = os.statvfs(place)
    free_gb = found.f_bavail * found.f_frsize / 1e9
    what = f"{free_gb:.1f} GB free"
    if found.f_files and not found.f_favail:
        return Check(name="disk", state=FAILED, what="no file can be made any more (no inodes)", fix="remove files")
    if free_gb < _LOW_GB:
        state = FAILED if free_gb < _FULL_GB else WARNING
        return Check(name="disk", state=state, what=what, fix="free some room; labctl prune archives old bundles")
    return Check(name="disk", state=OK, what=what)


def _clock(root: Root) -> Check:
    """Leases are counted by the clock of the file system; a person reads this machine's."""
    theirs_s = leases.server_time(root)
    if not theirs_s:
        fix = "labctl reads it from the time of a file that it touches; see that the data root can be written"
        return Check(name="clock", state=FAILED, what="the disk's clock cannot be read", fix=fix)
    apart_s = theirs_s - root.world.now().timestamp()
    if abs(apart_s) > _CLOCKS_S:
        fix = "set the clocks (NTP): times in the pages will be off; leases are not, they count by the disk's"
        return Check(name="clock", state=WARNING, what=f"the disk's clock is {apart_s:+.1f} s from ours", fix=fix)
    return Check(name="clock", state=OK, what="the disk's clock agrees with ours")


def _confined(root: Root) -> Check:
    """By running a program that does nothing, as a run would be."""
    from lab.executors import limits, supervisor  # noqa: PLC0415  # ctypes and all

    place = passing.fresh(root.layout.place("scratch/agents"))
    root.files.folder(place)
    program = Program(argv=("/bin/sh", "-c", ":"), cwd=place, environ={"LAB_RUN_DIR": place})
    try:
        how = supervisor.supervise(
            root.files, program, Limits(budget_s=_ASKED_S), path=place, run_id="check", watch=lambda: None,
            confinement=root.world.environ.get("LABCTL_CONFINEMENT", "auto"),
        )  # fmt: skip
    finally:
        with suppress(OSError):
            root.files.discard_folder(place)
    if not how.started or how.code != 0:
        problem = how.problem or how.why or f"it ended with {how.code}"
        fix = "a run cannot be started here; LABCTL_CONFINEMENT=group is the least that is needed"
        return Check(name="confinement", state=FAILED, what=f"a program could not be run: {problem}", fix=fix)
    cage = limits.cage(Limits(budget_s=1, memory_mb=64))
    cage.remove()
    memory = "held by a cgroup" if cage.memory else "watched, since no cgroup can be made"
    what = f"runs are held by {how.confined}; memory is {memory}"
    if how.confined == "group":
        fix = "a run that leaves its group outlives it: on Linux the lab holds it, without LABCTL_CONFINEMENT=group"
        return Check(name="confinement", state=WARNING, what=what, fix=fix)
    return Check(name="confinement", state=OK, what=what)


def _fence() -> Check:
    """What keeps the commands of a code loop, and runs whose SPEC says `fenced`, from writing elsewhere."""
    from lab.executors import fence  # noqa: PLC0415  # ctypes, and a program that is tried

    reach = fence.available()
    has = [f"Landlock {reach.landlock}"] if reach.landlock else []
    has += [f"bwrap ({reach.bwrap})"] if reach.bwrap else []
    if not has:
        fix = "a kernel from 5.13 on with Landlock, or bubblewrap; without, digests tell what a candidate changed"
        return Check(
            name="fence", state=WARNING, what=f"candidates and fenced runs can write anywhere: {reach.why}", fix=fix
        )
    what = f"candidates and fenced runs are held by {' and '.join(has)}"
    if not reach.bwrap:
        what += f"; files can be neither hidden nor frozen, for {reach.why}"
    return Check(name="fence", state=OK, what=what)


def _specs(root: Root) -> Iterator[Check]:
    """Each experiment: whether its SPEC can be read, and whether what it asks can be asked. As `validate` has it."""
    names, troubled = experiments.names(root), 0
    for name in names:
        loaded = subjects.known(root, name)
        if loaded.spec is None or loaded.problem is not None:
            problem = loaded.problem or LabError("it cannot be read")
            troubled += 1
            yield Check(name=name, state=FAILED, what=problem.what, fix=problem.fix)
            continue
        view = subjects.told(root, name) or unread.made_from(root, name)
        if view.phase in _OVER:
            continue
        for each in _of_spec(root, loaded.spec, view):
            troubled += 1
            yield Check(name=name, state=FAILED, what=each, fix=f"correct experiments/{name}/SPEC.yaml, or install it")
    if not troubled:
        yield Check(name="experiments", state=OK, what=f"{len(names)}; what their SPECs name is there")


def _of_spec(root: Root, spec: Spec, view: View) -> Iterator[str]:
    from lab.executors import door as executors  # noqa: PLC0415  # as above
    from lab.executors import environment  # noqa: PLC0415  # as above
    from lab.scheduler.doubts import NOT_RUN, doubts, lying_for  # noqa: PLC0415  # as above
    from lab.scheduler.search.asking import advice  # noqa: PLC0415  # as above

    asked = advice.problems_of(spec, root.world.environ)
    yield from (f"the model cannot be asked: {each}" for each in asked)
    found = doubts(spec, lying_for(root, spec, view), root.world.environ, away=_is_away(root, spec))
    yield from (each for each in found if each.startswith(NOT_RUN))
    try:
        executors.find(spec.executor)
    except LabError:
        return  # that much was a doubt
    try:
        executors.require_python(spec, environment.given(spec, root.world.environ))
    except LabError as unfit:
        yield unfit.what
    if spec.agent_provider:
        from lab.scheduler.agents import found as agents_found  # noqa: PLC0415  # as above

        problem = agents_found.problem(root, spec)
        if problem:
            yield problem


def _is_away(root: Root, spec: Spec) -> bool:
    """Whether some of its runs happen where this machine's programs and folders say nothing."""
    from lab.scheduler import engines  # noqa: PLC0415  # as above
    from lab.scheduler.placing import handing  # noqa: PLC0415  # as above

    with suppress(LabError):  # what is wrong with the table is told by the check of the engines
        for tier in spec.fidelity_tiers:
            here = spec.for_tier(tier)
            if engines.is_for_workers(root, here):
                return True
            wants = engines.chosen(root, here)
            if wants is not None and handing.sets_itself(wants):
                return True
    return False
