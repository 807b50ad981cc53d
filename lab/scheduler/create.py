"""Make a lab, and make experiments in it."""

from __future__ import annotations

import os
import shlex
import shutil
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, event, ids, layout
from lab.core.errors import BadInput, LabError, Unavailable
from lab.core.launch import IN_PROCESS, Foreseen
from lab.core.pursuit import LENT
from lab.core.spec_tuning import TINKER
from lab.core.view import View
from lab.projections import readme
from lab.scheduler import engines, places, refresh, sources, unread
from lab.scheduler.doubts import doubts, lying_for, promised, undirected, workspace_at
from lab.scheduler.loop import scripts
from lab.scheduler.search.sought import NAMES
from lab.store import experiments, ledger, leftovers, reading, shipped
from lab.store.root import around, is_ours, refuse_foreign
from lab.store.sections import hold

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.spec import Spec
    from lab.store.root import Root

_STARTS_PROGRAMS = ("command", "reference", "stub", IN_PROCESS)  # a program at most; its text is doubted apart
_DATA = "prepare.py"  # of a template that is a folder, what makes its data
_PROGRAMS = (".py", layout.SPEC)


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """What came to be. `made` is False when it was there before, and nothing was written."""

    name: str
    made: bool
    path: str
    notes: tuple[str, ...] = ()
    goes_on: bool = False  # whether runs differ, by a search space or as a loop: then they are a burst's
    copied: str = ""  # the folder that a template's files were copied to, or would be
    taken: str = ""  # the folder of one's own that it was made from, as it lay
    shared: tuple[str, ...] = ()  # experiments that were made from the same folder
    before: str = ""  # a command to type before its first run


def make_lab(root: Root) -> Created:
    """Make the data root, or finish one that a crash left half made. Never changes what is there."""
    path = root.layout.root
    _refuse_place(path)
    known = {name.split("/")[0] for name in (*layout.FOLDERS, *layout.LAB_PAGES, *layout.DOCUMENTS, layout.ENGINES)}
    there = set(os.listdir(path)) if os.path.isdir(path) else set()
    foreign = sorted(name for name in there - known if not name.startswith("."))
    if foreign and "registry" not in there:
        shown = ", ".join(foreign[:5])
        fix = "a lab wants a folder of its own: export LAB_DATA_ROOT=/path/to/new-folder"
        raise BadInput(f"this folder holds other things ({shown})", where=path, fix=fix)
    made = reading.size_of(root.layout.events) < 0
    root.files.folder(path)
    _probe(root)
    for name in layout.FOLDERS:
        root.files.folder(root.layout.place(name))
    begun = {
        "PROGRAM.md": readme.program(),
        "CHANGELOG.md": readme.changelog(),
        layout.ENGINES: shipped.config(layout.ENGINES).encode(),  # all of it comments: who wants a row finds it there
    }
    for name, data in begun.items():
        try:
            root.files.create(root.layout.place(name), data)
        except FileExistsError:
            continue
    if made:
        ledger.append(root, event.Event(type=event.LAB_CREATED, ts=root.now()))
    refresh.lab_pages(root)
    notes: tuple[str, ...] = ()
    if not made:
        notes = ("it was a lab already; only what was missing was added",)
    return Created(name=path, made=made, path=path, notes=notes)


def checked(source: str, data_root: str) -> tuple[Spec, str, bytes]:
    """A SPEC as it would be created, where it lies and its text. Of a file, a template, an experiment of this lab."""
    data, origin = sources.named(source, data_root)
    spec = experiments.parse_spec(data, origin)
    folder, name = os.path.split(os.path.dirname(origin))
    if os.path.realpath(folder) == os.path.realpath(f"{data_root}/experiments"):
        experiments.require_named(spec, name, origin)
    return _fenced(promised(spec), data_root), origin, data


def experiment(
    root: Root, source: str, *, new_id: str = "", actor: str, dry_run: bool = False, lent: str = ""
) -> Created:
    """Make an experiment from a SPEC: a file, or the name of a shipped template. Refused whole, or made whole.

    `lent` is the project whose study it is: nobody else makes runs of it, from the first moment on.

    A template that is a folder is copied to where this is called, under its own name, and the experiment is about the
    copy: its files are there to be edited. What has that name already is taken as it lies.
    """
    if new_id:
        ids.experiment_id(new_id)
    data, origin = sources.read(source, root.layout.root)
    given = canonical.digest(data)
    copied = _copy_of(root, source)
    spec = promised(_parsed(data, origin, source))
    if new_id:
        data = sources.renamed(data, spec.id, new_id, origin)
        spec = promised(experiments.parse_spec(data, origin))
    _fenced(spec, root.layout.root)
    place = root.layout.experiment(spec.id)
    if dry_run:
        if os.path.lexists(place):
            raise _taken(spec.id, source, place)
        return Created(name=spec.id, made=False, path=place, copied=copied)
    if copied:
        if os.path.lexists(place):
            raise _taken(spec.id, source, place)
        _lay_out(root, shipped.find_folder(source), copied)
        origin = f"{copied}/{layout.SPEC}"
    folder = os.path.dirname(origin)
    taken = folder if not copied and os.path.isdir(os.path.expanduser(source)) else ""
    given = given if os.path.basename(origin) == layout.SPEC else ""
    view = unread.before(root, folder)
    if view is None:
        view = View(experiment=spec.id, created_from=folder, created_in=os.getcwd())
    else:  # a copy of an experiment's own SPEC: what is relative in it means what it means there
        taken, given, origin = "", "", f"{view.created_from}/{layout.SPEC}"
    shared = _made_from(root, folder) if taken else ()
    told = {unread.GIVEN: given, LENT: lent, "created_in": view.created_in}
    _publish(root, spec, data, source=source, origin=origin, actor=actor, facts=told)
    return Created(
        name=spec.id,
        made=True,
        path=place,
        notes=(*undirected(spec, data), *_doubts(root, spec, view)),
        goes_on=spec.search_space is not None or scripts.is_loop(spec) or _varies(spec, view.created_from),
        copied=copied,
        taken=taken,
        shared=shared,
        before=f"labctl tinker check {spec.id}" if spec.executor == TINKER else _prepared(root, copied),
    )


def _parsed(data: bytes, origin: str, source: str) -> Spec:
    """The SPEC. Of a file that only has a template's name it is said what it keeps from being copied."""
    try:
        return experiments.parse_spec(data, origin)
    except BadInput as unfit:
        name = shipped.find_folder(source)
        if not name or os.path.abspath(os.path.expanduser(source)) != origin:
            raise
        what = f"a file lies where the template {name} would be copied, and it is no SPEC: {unfit.what}"
        raise BadInput(what, where=origin, fix="move that file away, or type it in another folder") from unfit


def _prepared(root: Root, copied: str) -> str:
    """The command that makes the data of a template that was copied. At a terminal it may use a proxy; no run may."""
    if not copied or not reading.is_file(f"{copied}/{_DATA}"):
        return ""
    from lab.executors import environment, interpreter  # noqa: PLC0415  # a Python is asked

    seen = environment.allowed(root.world.environ)
    try:
        python = interpreter.find(seen).python
    except LabError:
        return ""  # that there is none is among the notes
    python = "python3" if shutil.which("python3", path=seen.get("PATH")) == python else python
    return shlex.join((python, os.path.relpath(f"{copied}/{_DATA}"), "--dataset", "builtin"))


def _varies(spec: Spec, folder: str) -> bool:
    """Whether a search space lies in the workspace of a SPEC from this folder."""
    workspace = "" if scripts.is_loop(spec) else workspace_at(spec, folder)
    return bool(workspace) and any(reading.is_file(f"{workspace}/{name}") for name in NAMES)


def _copy_of(root: Root, source: str) -> str:
    """Where the folder of a template goes; empty for a SPEC that is not one, or that is there already."""
    name = "" if os.path.lexists(os.path.abspath(os.path.expanduser(source))) else shipped.find_folder(source)
    if not name:
        return ""
    here = os.getcwd()
    target = os.path.join(here, name)
    lab = os.path.realpath(root.layout.root)
    own = {file for file in shipped.read_folder(name) if file.endswith(_PROGRAMS)}
    if own <= set(os.listdir(here)):
        fix = f"labctl create . --id {name}-2 makes an experiment over these files; for other files go elsewhere"
        raise BadInput(f"this folder is a copy of the template {name} already", where=here, fix=fix)
    if os.path.realpath(here) == lab or os.path.realpath(here).startswith(f"{lab}/"):
        what = f"the template {name} is a folder, and would be copied into the lab"
        raise BadInput(what, where=here, fix="go to where your own files are, and type it there")
    if reading.is_file(f"{target}/{layout.SPEC}"):  # asked for as templates/NAME, where NAME was copied before
        raise BadInput(f"the template {name} was copied already", where=target, fix=f"labctl create ./{name}")
    if os.path.lexists(target):
        raise _in_the_way(name, target)
    return target


def _in_the_way(name: str, target: str) -> BadInput:
    what = f"the template {name} would be copied to a place where something else lies"
    return BadInput(what, where=target, fix="move that away, or type it in another folder; nothing was written")


def _lay_out(root: Root, name: str, target: str) -> None:
    """Copy the files of a template, all or none."""
    contents = shipped.read_folder(name)
    try:
        leftovers.clear(root.files, target)
        root.files.create_folder(target, contents)
    except FileExistsError:
        raise _in_the_way(name, target) from None
    except OSError as error:
        fix = f"go to a folder that you may write, and with room for it: the files of {name} are copied there"
        what = f"the template {name} cannot be copied here: {error.strerror}"
        raise Unavailable(what, where=os.path.dirname(target), fix=fix) from error
    for file in contents:
        root.files.sync_file(f"{target}/{file}")
    root.files.sync_folder(target)
    root.files.sync_folder(os.path.dirname(target))


def written(root: Root, data: bytes, folder: str, *, actor: str, dry_run: bool = False) -> Created:
    """Make an experiment from a SPEC that a verb wrote; `folder` is what it is about. Refused or made whole."""
    spec = _fenced(promised(experiments.parse_spec(data, "the SPEC that would be made")), root.layout.root)
    place = root.layout.experiment(spec.id)
    is_left = reading.read(root.layout.spec(spec.id)) == data and not _announced(root, spec.id)  # by one who was killed
    if os.path.lexists(place) and not is_left:
        raise NameTaken(f"there is an experiment {spec.id} already", where=place, fix=f"--id {spec.id}-2")
    if not dry_run:
        _publish(root, spec, data, source=spec.id, origin=f"{folder}/{layout.SPEC}", actor=actor)
    seen = View(experiment=spec.id, created_from=folder, created_in=os.getcwd())
    return Created(name=spec.id, made=not dry_run, path=place, notes=_doubts(root, spec, seen))


def _doubts(root: Root, spec: Spec, view: View) -> tuple[str, ...]:
    """What would not run, as its text says and as its workspace looks now."""
    folder = view.created_from
    files = lying_for(root, spec, view)
    found = [*doubts(spec, files, root.world.environ), *engines.doubts(root, spec)]
    if scripts.is_loop(spec):
        from lab.scheduler.loop import ready  # noqa: PLC0415  # as below

        found += [each for each in (ready.doubt(root, spec, folder), ready.torchless(root, spec, folder)) if each]
    try:
        _require_here(root, spec, files.workspace, folder)
    except LabError as refusal:
        found.append(f"it would not run here: {refusal.what}" + (f"; {refusal.fix}" if refusal.fix else ""))
    return tuple(found)


def _require_here(root: Root, spec: Spec, workspace: str, folder: str) -> None:
    """Refuse what this machine lacks for an executor that wants more than a program. A Python is asked."""
    if spec.executor in _STARTS_PROGRAMS:
        return
    from lab.executors import door, environment  # noqa: PLC0415  # a program is all that most experiments want

    seen = environment.given(spec, root.world.environ)
    told = Foreseen(
        spec=spec, workspace=workspace, folders=(folder,), environ=seen, data_root=root.layout.root
    )  # fmt: skip
    door.require(told)


def _fenced(spec: Spec, lab: str) -> Spec:
    """The SPEC, or `BadInput`. A workspace that is told as seen from somewhere is looked at when a run begins."""
    workspace = os.path.expanduser(spec.workspace_root)
    workspace = workspace if os.path.isabs(workspace) else ""
    places.require_fence(lab, spec, workspace)
    if scripts.is_loop(spec):
        from lab.scheduler.loop import branches  # noqa: PLC0415  # git and all: most experiments are no code loops

        own = f"{lab}/experiments/{spec.id}"
        is_begun = os.path.isdir(f"{own}/runs") and bool(os.listdir(f"{own}/runs"))
        branches.require(spec, workspace, own=own, is_begun=is_begun)
    return spec


class NameTaken(BadInput):
    """There is an experiment of this name."""


def _taken(name: str, source: str, place: str) -> NameTaken:
    fix = f"to change that one edit {place}/{layout.SPEC}; for a new one: labctl create {source} --id {name}-2"
    return NameTaken(f"there is an experiment {name} already", where=place, fix=fix)


def _publish(  # what, where from and by whom
    root: Root, spec: Spec, data: bytes, *, source: str, origin: str, actor: str, facts: Mapping[str, str] | None = None
) -> None:
    """`unread.GIVEN` of the facts is the digest of the file that it was made from: perhaps only the id is another."""
    name, place = spec.id, root.layout.experiment(spec.id)
    with hold(root.layout.section(name)):
        try:
            root.files.folder(root.layout.experiments)
            root.files.create_folder(place, {layout.SPEC: data})
            root.files.sync_file(root.layout.spec(name))
            root.files.sync_folder(place)
            root.files.sync_folder(root.layout.experiments)
        except FileExistsError:
            if reading.read(root.layout.spec(name)) != data or _announced(root, name):
                raise _taken(name, source, place) from None
        root.files.folder(root.layout.runs(name))
        told = event.Event(
            type=event.EXPERIMENT_CREATED,
            ts=root.now(),
            experiment=name,
            actor=actor,
            tier=spec.initial_fidelity_tier,
            spec=canonical.digest(data),
            name=canonical.plain(os.path.dirname(origin)),
            facts={
                "created_in": canonical.plain(os.getcwd()),
                **{name: canonical.plain(each) for name, each in (facts or {}).items() if each},
            },
        )
        ledger.append(root, told)
        subject = refresh.catch_up(root, name)
    refresh.lab_pages(root, (subject,))


def _refuse_place(path: str) -> None:
    """A place where no folder can be, or that belongs to somebody else."""
    above = path
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        fix = "choose another place: export LAB_DATA_ROOT=/new/path"
        raise BadInput("this is not a folder, so no lab can be in it", where=above, fix=fix)
    refuse_foreign(path)
    outer = around(os.path.realpath(os.path.dirname(path)))
    if outer and not is_ours(path):
        what = "this is inside the data root of another lab, where recover, prune and copies would take it for its own"
        fix = f"choose a place beside it; or, to work in that lab: export LAB_DATA_ROOT={shlex.quote(outer)}"
        raise BadInput(what, where=path, fix=fix)


def _probe(root: Root) -> None:
    """Try a hard link here and now: on a file system without them no claim could ever be taken."""
    path = root.layout.place(".probe")
    root.files.discard(path)
    root.files.create(path, b"labctl tries a hard link here\n", durable=False)
    root.files.discard(path)


def _announced(root: Root, name: str) -> bool:
    return any(told.experiment == name for told in unread.creations(root))


def _made_from(root: Root, folder: str) -> tuple[str, ...]:
    """The experiments that a folder's files are about."""
    plain = canonical.plain(folder)
    return tuple(dict.fromkeys(told.experiment for told in unread.creations(root) if told.name == plain))
