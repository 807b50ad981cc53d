"""A package for a machine that does not see the data root: a tar there, the work without a lab, a tar back.

The lease stays with the lab, on the word of the worker's name; it is renewed with `dispatch-renew` where the lab is.
The tar that comes back brings only `run/` and how it ended: everything else the lab knows better itself.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout, package
from lab.core.chunk import ORDER, Order
from lab.core.ended import Ended
from lab.core.errors import BadInput, LabError, NotFound
from lab.core.launch import CANCELLED, INTERRUPTED, Exit, Launch, Stop
from lab.core.manifest import Manifest
from lab.core.package import CLAIM, DONE, INPUT, RUN, Done, Taken
from lab.core.record import page, parse
from lab.core.run import FAILED
from lab.core.world import stamp
from lab.executors import door, environment, sandbox
from lab.scheduler import boxed, fencing, launching, rows, work
from lab.scheduler.dispatch import completing, offers
from lab.scheduler.dispatch.completing import Word
from lab.store import experiments, leases, leftovers, packages, reading, tarball

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.package import Place
    from lab.core.spec import Spec
    from lab.core.world import World
    from lab.store.files import Files
    from lab.store.root import Root

WORKSPACE = "workspace"
COPY = ".workspace.draft"  # of a run whose parameters go into a config file; a draft is in no tar
BACK = ".done.tar"
BEGUN = "begun.json"  # of a package in a worker's inbox


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """A tar that was written."""

    dispatch_id: str
    tar: str
    bytes: int


class Apart(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a package on a machine without a lab."""

    dispatch_id: str
    outcome: str
    reason: str
    tar: str
    run_id: str = ""
    tier: str = ""
    role: str = ""


class Unpacked(msgspec.Struct, frozen=True, kw_only=True):
    """What a tar brought back. `outcome` is empty when it did not say how the work ended."""

    dispatch_id: str
    experiment: str
    files: int
    outcome: str = ""


def pack(root: Root, dispatch_id: str, worker: str, out: str, *, with_workspace: bool = False) -> Packed:
    """Put a claimed package into a tar, with its inputs, and with the workspace if that is wanted."""
    each = offers.mine(root, dispatch_id, worker)
    taken = packages.running_of(root, each)
    leases.held(root, each.experiment, taken.generation)
    path = root.layout.package(package.RUNNING, each.name)
    _require_reachable(root, each)
    folders = {each.dispatch_id: path}
    if with_workspace:
        if not taken.workspace or not os.path.isdir(taken.workspace):
            fix = "leave out --with-workspace, or name workspace_root in SPEC.yaml"
            raise BadInput(f"{each.experiment} has no workspace to pack", where=taken.workspace, fix=fix)
        folders[f"{each.dispatch_id}/{WORKSPACE}"] = taken.workspace
    inside = os.path.abspath(out)
    for folder in folders.values():
        if inside.startswith(f"{os.path.realpath(folder)}/"):
            raise BadInput("the tar would hold itself", where=out, fix="write it to another folder: --out FILE")
    leftovers.clear(root.files, inside)
    try:
        root.files.create(inside, tarball.pieces(folders, without=_left_out), durable=False)
    except FileExistsError:
        raise BadInput(
            "there is such a file already", where=inside, fix="remove it, or name another: --out FILE"
        ) from None
    return Packed(dispatch_id=each.dispatch_id, tar=inside, bytes=os.stat(inside).st_size)


def _require_reachable(root: Root, each: Place) -> None:
    """Refuse a training whose service is on this machine: where the tar is unpacked, nobody would answer."""
    path = f"{root.layout.package(package.RUNNING, each.name)}/{INPUT}/{ORDER}"
    given = reading.read(path)
    order = None if given is None else parse(Order, given, path)
    if order is not None and order.tuning.is_local:
        what = f"{each.experiment} trains at {order.tuning.url}, which is this machine only"
        raise BadInput(what, fix="work on it here: labctl dispatch-work; or give base_url in `tinker:` an address")


def _left_out(name: str) -> bool:
    return name in sandbox.LEFT_OUT or layout.is_draft(name) or name in ("submit.section", BEGUN, tarball.WHOLE)


def work_apart(
    files: Files,
    world: World,
    path: str,
    *,
    interrupted: Callable[[], str],
    asked: Callable[[], str | None] = lambda: None,
) -> Apart:
    """Run an unpacked package where there is no lab: into its run/, under its budget. Writes the tar that goes back.

    `asked` is why somebody wants the run to be ended. A package whose end was written down before is not run again.
    """
    taken, manifest, spec = read_apart(path)
    run = f"{path}/{RUN}"
    files.folder(run)
    if reading.is_file(f"{path}/{DONE}"):
        done = parse(Done, reading.read(f"{path}/{DONE}") or b"", f"{path}/{DONE}")
    else:
        try:
            ended = _ran(files, world, path, manifest, spec, taken, partial(_word_to_end, interrupted, asked))
        except LabError as refusal:  # what cannot be started has failed, and that is carried home too
            reason = refusal.what + (f"; {refusal.fix}" if refusal.fix else "")
            ended = Ended(outcome=FAILED, reason=reason)
        done = end_apart(files, world, path, taken, ended)
    tar = f"{os.path.dirname(path)}/{taken.dispatch_id}{BACK}"
    files.discard(tar)
    files.create(tar, tarball.pieces({taken.dispatch_id: path}, without=lambda name: _left_out(name) or name == INPUT))
    return Apart(
        dispatch_id=taken.dispatch_id, outcome=done.outcome, reason=done.reason, tar=tar, run_id=taken.run_id,
        tier=manifest.fidelity_tier, role=manifest.role,
    )  # fmt: skip


def end_apart(files: Files, world: World, path: str, taken: Taken, ended: Ended) -> Done:
    """Write down how the work on a package ended where there is no lab. It is not judged anew after that."""
    done = Done(
        dispatch_id=taken.dispatch_id, worker=taken.worker, outcome=ended.outcome,
        completed_at=stamp(world.now()), reason=ended.reason,
    )  # fmt: skip
    files.replace(f"{path}/{DONE}", page(done), durable=files.durable)
    return done


def _word_to_end(interrupted: Callable[[], str], asked: Callable[[], str | None]) -> Stop | None:
    came = interrupted()
    if came:
        return Stop(how=INTERRUPTED, why=f"stopped by {came}")
    why = asked()
    return None if why is None else Stop(how=CANCELLED, why=why)


def read_apart(path: str) -> tuple[Taken, Manifest, Spec]:
    """What an unpacked package says of itself. Refused when it is none."""
    claim, about = f"{path}/{CLAIM}", f"{path}/{INPUT}/{layout.MANIFEST}"
    data, told = reading.read(claim), reading.read(about)
    text = reading.read(f"{path}/{INPUT}/{layout.SPEC}")
    if data is None or told is None or text is None:
        fix = "unpack the tar that dispatch-pack wrote, and name its folder: tar xf DISPATCH-....tar"
        raise NotFound("this is no claimed package", where=path, fix=fix)
    manifest = parse(Manifest, told, about)
    spec = experiments.parse_spec(text, f"{path}/{INPUT}/{layout.SPEC}").for_tier(manifest.fidelity_tier)
    return parse(Taken, data, claim), manifest, spec


def _ran(  # what a run needs where there is no lab to ask
    files: Files,
    world: World,
    path: str,
    manifest: Manifest,
    spec: Spec,
    taken: Taken,
    watch: Callable[[], Stop | None],
) -> Ended:
    run = f"{path}/{RUN}"
    brought = f"{path}/{WORKSPACE}"
    workspace = brought if os.path.isdir(brought) else taken.workspace if os.path.isdir(taken.workspace) else ""
    given = reading.read(f"{path}/{INPUT}/{layout.PARAMS}")
    params = rows.parameters(given, f"{path}/{INPUT}/{layout.PARAMS}")
    if given is not None:
        files.replace(f"{run}/{layout.PARAMS}", given)
    given = reading.read(f"{path}/{INPUT}/{ORDER}")
    if given is not None:
        _hand_order(files, run, parse(Order, given, f"{path}/{INPUT}/{ORDER}"), workspace, taken)
    own, spec = spec, work.with_command(world.environ, spec, with_params=params is not None)
    executor = door.find(spec.executor)
    place = boxed.Place(workspace=workspace, box=f"{path}/{COPY}", path=run, apart=(path,))
    with place.opened(files, spec, params, measured=work.is_measured(own, spec)) as box:
        program = executor.prepare(_launch(world, path, manifest, spec, params, box))
        if program is None:
            how = Exit(run_id=manifest.run_id, code=0)
            files.replace(f"{run}/{layout.EXIT}", page(how))
        else:
            program = box.moved(program)
            argv = tuple(sandbox.inside(box.path, taken.workspace, word) for word in program.argv)
            program = msgspec.structs.replace(program, argv=argv) if workspace and taken.workspace else program
            folders = (run, *([box.path] if box.is_copy else []))
            with fencing.held(files, spec, program, folders, f"{path}/{fencing.APART}") as program:
                how = launching.supervised(files, world, program, spec, path=run, run_id=manifest.run_id, watch=watch)
    return executor.read(run, manifest, how)


def _hand_order(files: Files, run: str, order: Order, workspace: str, taken: Taken) -> None:
    """What a chunk is to do, with its tokenizer where it is on this machine."""
    brought = sandbox.inside(workspace, taken.workspace, order.tokenizer) if taken.workspace else order.tokenizer
    if brought and not os.path.isdir(brought):
        fix = "keep it in the workspace and pack that: --with-workspace; a blank `tokenizer` asks the service"
        raise NotFound(f"the tokenizer {order.tokenizer} is not on this machine", fix=fix)
    files.replace(f"{run}/{ORDER}", page(msgspec.structs.replace(order, tokenizer=brought)))


def _launch(
    world: World, path: str, manifest: Manifest, spec: Spec, params: dict[str, object] | None, box: boxed.Box
) -> Launch:
    run = f"{path}/{RUN}"
    child, secrets = environment.build(
        environ=world.environ,
        spec=spec,
        manifest=manifest,
        places=environment.Places(data_root=path, path=run, workspace=box.path, folder=path, package=path),
        params=params,
        more={**box.variables(launching.named(spec, world.environ)), **_places(path)},
    )
    return Launch(
        spec=spec, manifest=manifest, path=run, params=params, workspace=box.path, folders=(path,), environ=child,
        secrets=secrets,
    )  # fmt: skip


def _places(path: str) -> dict[str, str]:
    """Where the inputs lie on this machine; there is no data root that a program could look into."""
    return {
        "LAB_DATA_ROOT": "",
        "HERMES_LAB_DATA_ROOT": "",
        "LAB_SPEC_PATH": f"{path}/{INPUT}/{layout.SPEC}",
        "LAB_SUMMARY_PATH": f"{path}/{INPUT}/{layout.SUMMARY}",
        "LAB_NEXT_PATH": f"{path}/{INPUT}/{layout.NEXT}",
        "LAB_CONTEXT_PATH": f"{path}/{INPUT}/{layout.CONTEXT}",
        "LAB_PROGRAM_PATH": f"{path}/{INPUT}/PROGRAM.md",
    }


def unpack(root: Root, tar: str) -> Unpacked:
    """Bring run/ back from a tar, and complete the package if the tar says how it ended. Judged whole, then written."""
    name = tarball.top(tar)
    wanted = package.place(name)
    if wanted is None:
        what = f"{name[:80]!r} is not the folder of a package"
        raise BadInput(what, where=tar, fix="the tar must hold the folder that dispatch-pack packed")
    done = done_of(tar, name, wanted)
    stage, each = packages.require(root, wanted.dispatch_id)
    if stage == package.COMPLETE and done is not None:  # it was unpacked before; saying so again is no mistake
        completing.complete(root, each.dispatch_id, each.worker, _word(done))
        return Unpacked(dispatch_id=each.dispatch_id, experiment=each.experiment, files=0, outcome=done.outcome)
    each = offers.mine(root, wanted.dispatch_id, each.worker)
    taken = packages.running_of(root, each)
    leases.held(root, each.experiment, taken.generation).renew(root)
    files = _swapped(root, tar, name, root.layout.package(package.RUNNING, each.name))
    if done is not None:
        completing.complete(root, each.dispatch_id, each.worker, _word(done))
    outcome = done.outcome if done is not None else ""
    return Unpacked(dispatch_id=each.dispatch_id, experiment=each.experiment, files=files, outcome=outcome)


def done_of(tar: str, name: str, wanted: Place) -> Done | None:
    """How the work ended, if the tar says so."""
    data = tarball.file_of(tar, f"{name}/{DONE}", packages.RECORD_BYTES)
    if data is None:
        return None
    said = parse(Done, data, f"{tar}: {DONE}")
    if said.dispatch_id != wanted.dispatch_id:
        raise BadInput(f"the tar is of {said.dispatch_id}", where=tar, fix="unpack the tar of this package")
    return said


def _word(said: Done) -> Word:
    return Word(said.outcome, reason=said.reason, verdict=said.verdict, note=said.note)


def _swapped(root: Root, tar: str, name: str, path: str) -> int:
    """The tar's run/ in the place of the package's; what was there before goes once the new one is there."""
    fresh, old = f"{path}/.{RUN}.new{layout.DRAFT_SUFFIX}", f"{path}/.{RUN}.old{layout.DRAFT_SUFFIX}"
    root.files.discard_folder(fresh)
    files = tarball.extract(root.files, tar, fresh, below=f"{name}/{RUN}")
    root.files.discard_folder(old)
    with suppress(FileNotFoundError):
        root.files.move(f"{path}/{RUN}", old)
    root.files.move(fresh, f"{path}/{RUN}")
    root.files.discard_folder(old)
    return files
