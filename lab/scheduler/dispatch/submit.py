"""Trying an agent's change: judged, copied, applied, measured, compared, recorded."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, layout, package
from lab.core.errors import BadInput, Interrupted, LabError
from lab.core.launch import Exit, Launch
from lab.core.package import RUN
from lab.core.run import CANCELLED, SUCCESS, better
from lab.core.submission import Ruling
from lab.executors import door, sandbox
from lab.scheduler import boxed, fencing, launching, passing
from lab.scheduler.boxed import Box
from lab.scheduler.dispatch import agent, completing, ingest, offers
from lab.scheduler.dispatch.completing import SECTION, Word
from lab.scheduler.loop import scripts
from lab.store import reading
from lab.store.sections import hold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lab.core.ended import Ended
    from lab.core.run import Run
    from lab.core.submission import Submission
    from lab.scheduler.dispatch.offers import Held, Said
    from lab.store.root import Root

_NOTE_CHARS = 300
_WAIT_S = 2.0
NO_REFERENCE, BEST = "none", "best-so-far"


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a submission."""

    ruling: Ruling
    ingested: bool
    warnings: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()


def submit(root: Root, worker: str, given: Submission, *, interrupted: Callable[[], str]) -> Tried:
    """Try a change. Refused whole while anything of it is wrong: then the package stays claimed, for a better one."""
    if not given.dispatch_id:
        raise BadInput("the submission names no dispatch_id", fix="put it into the JSON, or give --dispatch-id DID")
    each = offers.mine(root, given.dispatch_id, worker)
    held = offers.resumed(root, each)
    held.running.lease.renew(root)
    where = held.taken.workspace
    if not where:
        raise BadInput(f"{each.experiment} has no workspace_root", fix="name the folder of the code in SPEC.yaml")
    agent.measured_by(scripts.commands(held.spec, where))
    if scripts.is_loop(held.spec):
        return _conducted(root, held, given, interrupted)
    changes = sandbox.judge(where, given.changes, mutable=held.spec.mutable_paths, read_only=held.spec.read_only_paths)
    with _alone(held):
        ruling = _tried(root, held, given, changes, interrupted)
    said = ingest.ingest(root, named=(each.dispatch_id,))
    return _told(held, ruling, said)


def _conducted(root: Root, held: Held, given: Submission, interrupted: Callable[[], str]) -> Tried:
    """The same for a code loop, whose candidates are all decided by one rule."""
    from lab.scheduler.dispatch import candidate  # noqa: PLC0415  # git and all: most experiments are no code loops

    with _alone(held):
        ruling, noticed = candidate.conducted(root, held, given, interrupted)
    said = ingest.ingest(root, named=(held.place.dispatch_id,))
    return msgspec.structs.replace(_told(held, ruling, said), warnings=noticed)


@contextmanager
def _alone(held: Held) -> Iterator[None]:
    """Two at once would write into one run/."""
    with hold(f"{held.path}/{SECTION}", wait_s=_WAIT_S):
        if not reading.is_folder(f"{held.path}/{package.INPUT}"):
            raise BadInput(f"{held.place.dispatch_id} was handed in meanwhile", fix="labctl dispatch-agent-next")
        yield


def _tried(
    root: Root, held: Held, given: Submission, changes: Mapping[str, bytes], interrupted: Callable[[], str]
) -> Ruling:
    run = f"{held.path}/{RUN}"
    root.files.discard_folder(run)  # what an attempt left that was killed
    root.files.folder(run)
    name = held.place.dispatch_id
    try:
        box = boxed.copied(root, held.taken.workspace, name)
        changed = sandbox.apply(root.files, box, changes)
        diff = sandbox.patch(held.taken.workspace, box, changed)
        place = Box(path=box, workspace=held.taken.workspace, lab=root.layout.root, inside=True)
        ended = _measured(root, held, place, interrupted)
    finally:
        boxed.discard(root.files, root.layout.sandbox(name))
    if ended.outcome == CANCELLED and interrupted():
        raise Interrupted(
            f"stopped by {interrupted()}; nothing was recorded and {held.place.dispatch_id} is still yours",
            fix="submit it again",
        )
    ruling = _ruled(held, changed, ended)
    verdict = ("keep" if ruling.accepted else "discard") if ended.outcome == SUCCESS else "checks_failed"
    ruling = msgspec.structs.replace(ruling, verdict=verdict)
    _write(root, held, given, changes, ruling, diff)
    note = given.reasoning.strip().partition("\n")[0][:_NOTE_CHARS]
    word = Word(ended.outcome, reason=ended.reason, verdict=verdict, note=note)
    completing.complete(root, held.place.dispatch_id, held.place.worker, word)
    return ruling


def _measured(root: Root, held: Held, box: Box, interrupted: Callable[[], str]) -> Ended:
    """Run the validation in the copy. One that cannot be started is a failed run like any other."""
    run = f"{held.path}/{RUN}"
    executor = door.find("command")
    try:
        program = executor.prepare(_launch(root, held, box))
    except LabError as refusal:
        reason = refusal.what + (f"; {refusal.fix}" if refusal.fix else "")
        root.files.replace(f"{run}/{layout.EXIT}", _not_started(held, reason))
        return executor.read(run, held.manifest, completing.exit_of(run, held.manifest) or Exit())
    if program is None:
        raise BadInput("there is nothing to start")
    watch = launching.Watch(root, held.running.lease, interrupted)
    run_id, spare = held.manifest.run_id, passing.fresh(root.layout.place(fencing.SPARE))
    with fencing.held(root.files, held.spec, box.moved(program), (run, box.path), spare) as there:
        how = launching.supervised(root.files, root.world, there, held.spec, path=run, run_id=run_id, watch=watch)
    return executor.read(run, held.manifest, how)


def _not_started(held: Held, reason: str) -> bytes:
    from lab.core.record import page  # noqa: PLC0415  # for a validation that could not begin

    return page(Exit(run_id=held.manifest.run_id, started=False, problem=reason))


def _launch(root: Root, held: Held, box: Box) -> Launch:
    run = f"{held.path}/{RUN}"
    spec = msgspec.structs.replace(held.spec, executor="command", executor_command=agent.measured_by(held.spec))
    more = {**box.variables(), "LAB_RUN_ARTIFACTS_DIR": f"{run}/{layout.ARTIFACTS}"}
    return launching.launch(root, held.running, spec, held.view, path=run, workspace=box.path, more=more)


def _best(held: Held) -> Run | None:
    tier = held.view.tiers.get(held.manifest.fidelity_tier)
    return tier.best if tier else None


def _ruled(held: Held, changed: list[str], ended: Ended) -> Ruling:
    best = _best(held)
    before = best.value if best else None
    measured = ended.value if ended.outcome == SUCCESS else None
    return Ruling(
        dispatch_id=held.place.dispatch_id,
        experiment=held.place.experiment,
        run_id=held.manifest.run_id,
        outcome=ended.outcome,
        accepted=measured is not None and better(measured, before, held.manifest.metric_direction),
        candidate_value=measured,
        previous_best_value=before,
        reference_source=NO_REFERENCE if before is None else BEST,
        metric=held.manifest.metric,
        metric_direction=held.manifest.metric_direction,
        changed_files=tuple(changed),
        reason=ended.reason,
    )


def _write(
    root: Root, held: Held, given: Submission, changes: Mapping[str, bytes], ruling: Ruling, diff: bytes
) -> None:
    """The change and the ruling, kept with the run. Not the copy: it would be the whole workspace once a run."""
    run = f"{held.path}/{RUN}"
    told = canonical.page(msgspec.to_builtins(ruling))
    files = {
        "diff.patch": diff,
        "changed-files.txt": "".join(f"{path}\n" for path in ruling.changed_files).encode(),
        "decision.json": told,
        "reasoning.md": canonical.plain(given.reasoning).encode() + b"\n",
        **{f"changes/{path}": changes[path] for path in ruling.changed_files},
    }
    for name, data in files.items():
        root.files.replace(f"{run}/{layout.ARTIFACTS}/{name}", data)
    if not reading.is_file(f"{run}/{layout.RESULT}"):
        root.files.replace(f"{run}/{layout.RESULT}", _result(held, given, ruling).encode())


def _result(held: Held, given: Submission, ruling: Ruling) -> str:
    verdict = "accepted" if ruling.accepted else "not accepted"
    before = (
        "there was no best before" if ruling.previous_best_value is None else f"before {ruling.previous_best_value!r}"
    )
    value = "no value" if ruling.candidate_value is None else repr(ruling.candidate_value)
    lines = [
        f"# {held.manifest.run_id}",
        "",
        f"Outcome: {ruling.outcome}, {verdict}",
        f"{ruling.metric or 'value'}: {value} ({before}, {ruling.metric_direction})",
        f"Changed: {', '.join(ruling.changed_files) or 'nothing'}",
    ]
    if ruling.outcome != SUCCESS and ruling.reason:
        lines.append(f"Why: {ruling.reason}")
    if given.reasoning.strip():
        lines += ["", "## Reasoning", "", canonical.plain(given.reasoning.strip())]
    return "\n".join(lines) + "\n"


def _told(held: Held, ruling: Ruling, said: list[Said]) -> Tried:
    warnings = []
    if ruling.accepted and held.spec.promotion_strategy != "patch-only" and not scripts.is_loop(held.spec):
        warnings.append(
            f"promotion_strategy is {held.spec.promotion_strategy}; a submitted change is only kept as "
            f"{layout.ARTIFACTS}/diff.patch of {ruling.run_id}"
        )
    troubles = tuple(f"{each.what}{f'; {each.fix}' if each.fix else ''}" for each in said if each.kind == "problem")
    ingested = any(each.kind == offers.INGESTED and each.dispatch_id == ruling.dispatch_id for each in said)
    return Tried(ruling=ruling, ingested=ingested, warnings=tuple(warnings), troubles=troubles)
