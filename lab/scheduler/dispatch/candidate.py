"""What an agent sends for a code loop: put into a tree of its own, and decided like any other candidate.

A decision that was written down stands: who was killed between it and the seal submits again, or lets `mend` find it,
and nothing is measured twice.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import asi, canonical, layout
from lab.core.decided import Decided, Handed
from lab.core.errors import Corrupt, Interrupted
from lab.core.package import RUN
from lab.core.record import parse
from lab.core.run import CANCELLED
from lab.core.submission import Ruling
from lab.executors import reference, sandbox
from lab.scheduler import work
from lab.scheduler.dispatch import agent, completing, offers
from lab.scheduler.dispatch.completing import Word
from lab.scheduler.loop import grounds, scripts, trying
from lab.store import machine, packages, reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.ended import Ended
    from lab.core.manifest import Manifest
    from lab.core.submission import Submission
    from lab.scheduler.dispatch.offers import Held
    from lab.store.root import Root

NOTE_CHARS = 300
_MOST_BYTES = 4 << 20


def conducted(
    root: Root, held: Held, given: Submission, interrupted: Callable[[], str]
) -> tuple[Ruling, tuple[str, ...]]:
    """Measure, decide and complete: what was ruled, and what was noticed on the way.

    The caller holds the package's section, and takes the run in afterwards.
    `BadInput` while anything of the change is wrong: then the package stays claimed, for a better one.
    """
    run = f"{held.path}/{RUN}"
    decided = decision(run, held.manifest)
    if decided is not None:
        ended = reference.as_ended(decided)
    else:
        held = _with_base(root, held, interrupted)
        ended = _measured(root, held, given, interrupted)
        decided = decision(run, held.manifest)
    if ended.outcome == CANCELLED and interrupted():
        raise Interrupted(
            f"stopped by {interrupted()}; nothing was recorded and {held.place.dispatch_id} is still yours",
            fix="submit it again",
        )
    word = Word(ended.outcome, reason=ended.reason, verdict=ended.verdict, note=ended.note)
    completing.complete(root, held.place.dispatch_id, held.place.worker, word)
    return _ruled(held, ended, decided), decided.remarks if decided else ()


def decision(path: str, manifest: Manifest) -> Decided | None:
    """What was decided in this folder of this run, if it was."""
    where = f"{path}/{reference.DECISION}"
    data = reading.read_head(where, _MOST_BYTES) if reading.is_file(where) else None
    try:
        found = parse(Decided, data, where) if data is not None else None
    except Corrupt:
        return None
    return found if found is not None and found.run_id == manifest.run_id else None


def _with_base(root: Root, held: Held, interrupted: Callable[[], str]) -> Held:
    """The package with a commit to begin at. One that was claimed before there was a baseline gets it now.

    So is the baseline taken again where what measures was changed since: the change is compared with it.
    """
    name = held.place.experiment
    slots = held.spec.max_parallel + packages.waiting(root).get(name, 0) + 1
    me = machine.this_process(agent.WORKER)
    _, _, best = trying.begun_at(root, name, owner=me, tell=lambda _: None, interrupted=interrupted, slots=slots)
    held = offers.resumed(root, held.place)
    if held.taken.base:
        return held
    taken = msgspec.structs.replace(held.taken, base=best.commit, parent=best.run_id)
    return msgspec.structs.replace(held, taken=taken)


def _measured(root: Root, held: Held, given: Submission, interrupted: Callable[[], str]) -> Ended:
    """Judge what was sent, put it into a tree, and let it be conducted there."""
    spec = scripts.commands(held.spec, held.taken.workspace)
    repo = grounds.opened(root, held.spec, held.taken.workspace)
    place = f"{grounds.trees(root, held.place.experiment)}/{held.manifest.run_id}-change"
    run = f"{held.path}/{RUN}"
    notes = asi.of(given.asi, "asi")
    said = given.reasoning.strip()
    try:
        repo.remove_tree(place)  # what an attempt left that was killed
        repo.mutation_tree(held.taken.base, place)
        tree = repo.inside(place)
        changes = sandbox.judge(tree, given.changes, mutable=spec.mutable_paths, read_only=spec.read_only_paths)
        sandbox.apply(root.files, tree, changes)
        root.files.discard_folder(run)
        root.files.folder(f"{run}/{layout.ARTIFACTS}")
        root.files.replace(f"{run}/{layout.ARTIFACTS}/reasoning.md", canonical.plain(given.reasoning).encode() + b"\n")
        handed = Handed(
            tree=place, base=held.taken.base, parent=held.taken.parent,
            description=" ".join(said.partition("\n")[0].split())[:NOTE_CHARS] or notes.note, notes=notes,
        )  # fmt: skip
        running = msgspec.structs.replace(held.running, handed=handed)
        return work.carry_out(root, running, held.view, interrupted=interrupted, path=run)
    finally:
        with suppress(OSError, RecursionError):
            repo.remove_tree(place)


def _ruled(held: Held, ended: Ended, decided: Decided | None) -> Ruling:
    tier = held.view.tiers.get(held.manifest.fidelity_tier)
    best = tier.best if tier else None
    return Ruling(
        dispatch_id=held.place.dispatch_id,
        experiment=held.place.experiment,
        run_id=held.manifest.run_id,
        outcome=ended.outcome,
        accepted=decided is not None and decided.accepted,
        candidate_value=ended.value,
        previous_best_value=decided.previous_best_value if decided else (best.value if best else None),
        reference_source=decided.reference_source if decided else "none",
        metric=held.manifest.metric,
        metric_direction=held.manifest.metric_direction,
        changed_files=decided.changed_files if decided else (),
        reason=ended.reason,
        verdict=ended.verdict,
    )
