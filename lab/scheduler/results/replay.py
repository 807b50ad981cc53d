"""Run a sealed run again: same parameters, same seed, same commit, by the SPEC as it is now. A run like any other."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from lab.core.ended import Ended
from lab.core.errors import BadInput, LabError
from lab.core.origin import REPLAY, Origin
from lab.core.run import FAILED, Run
from lab.core.view import ARCHIVED
from lab.scheduler import cycle, launching, places, reclaim, work
from lab.scheduler.chaining.order import ordered
from lab.scheduler.cycle import Errand
from lab.scheduler.loop import scripts
from lab.scheduler.results import checkout, located, sent
from lab.scheduler.results.elsewhere import Elsewhere
from lab.scheduler.search.book import Book
from lab.store import revision

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from lab.core.claim import Owner
    from lab.core.manifest import Manifest
    from lab.core.seal import Seal
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.scheduler.cycle import Running
    from lab.scheduler.results.located import Located
    from lab.store.root import Root


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """The run as it was and as it came out now. `difference` is of the values, now less then."""

    before: Run
    after: Run
    commit: str = ""  # that it ran at now
    warnings: tuple[str, ...] = ()

    @property
    def difference(self) -> float | None:
        if self.before.value is None or self.after.value is None:
            return None
        return self.after.value - self.before.value

    @property
    def equal(self) -> bool:
        """Whether it came out the same: the outcome, and the value to the last bit."""
        return self.before.outcome == self.after.outcome and self.before.value == self.after.value


def replay(root: Root, run_id: str, *, owner: Owner, interrupted: Callable[[], str], as_is: bool = False) -> Replayed:
    """Run it again, and wait for its end. `Busy` when somebody else works on its experiment.

    With `as_is` the workspace is taken as it lies there, whatever commit the run was made at.
    """
    found, made = located.sealed(root, run_id)
    manifest = _manifest(found)
    warnings = _doubts(found, made, manifest)
    reclaim.make_way(root, found.experiment)
    with root.section(found.experiment):
        view, loaded = cycle.observe(root, found.experiment)
    if view.phase == ARCHIVED:
        raise BadInput(f"{found.experiment} is archived", fix=f"labctl archive {found.experiment} --restore")
    spec = cycle.usable(loaded)
    here = spec.for_tier(made.run.tier)
    if manifest.spec_sha256 and manifest.spec_sha256 != loaded.sha256:
        warnings.append("the SPEC was edited since: this run follows the SPEC as it is now")
    if scripts.is_loop(here):
        return _measured(root, made, partial(_begun, root, found, made, manifest, owner, spec), warnings, interrupted)
    change = sent.changes(found, made)
    if change is not None:
        spec = sent.measuring(spec, here)
        here = spec.for_tier(made.run.tier)
    work.require_work(root, here, view, found.params())
    where = places.workspace(root, here, view)
    with (
        _workspace(root, where, manifest, warnings, as_is=as_is) as base,
        sent.opened(root, base, found.run_id, change) as there,
    ):
        more: dict[str, str] = {}
        _same_program(manifest, (there, *places.folders(root, view)), warnings, is_checkout=base != where)
        if there != where:
            # A copy of all that lies there has what git does not follow, too.
            followed = partial(checkout.followed, root, where) if base != where else bool
            moved = Elsewhere(where, there, here.workspace_root, followed)
            spec = moved.spec(spec, here)
            more = {**moved.variables(here, root.world.environ), "LAB_ORIGINAL_WORKSPACE_ROOT": where}
            warnings += [f"git does not follow {path}: it is taken as it is now" for path in sorted(moved.kept)]
        running, view = _begun(root, found, made, manifest, owner, spec)
        ended = work.carry_out(root, running, view, interrupted=interrupted, more=more)
        sealed = cycle.finish(root, running, ended)
    return Replayed(before=made.run, after=sealed.run, commit=running.manifest.revision, warnings=tuple(warnings))


def _measured(
    root: Root,
    made: Seal,
    begin: Callable[[], tuple[Running, View]],
    warnings: list[str],
    interrupted: Callable[[], str],
) -> Replayed:
    """The commit of a candidate once more. It is in the repository, whoever made it, and the workspace has no part."""
    from lab.scheduler.loop import again  # noqa: PLC0415  # git and all: most experiments are no code loops

    about = again.require(made.run)
    running, view = begin()
    try:
        ended = again.carry_out(root, running, view, made.run, interrupted=interrupted, path=running.path)
    except LabError as refusal:
        ended = Ended(outcome=FAILED, reason=refusal.what + (f"; {refusal.fix}" if refusal.fix else ""))
    sealed = cycle.finish(root, running, ended)
    after, before = sealed.run.candidate, about.evaluator
    if after is not None and before and after.evaluator and after.evaluator != before:
        warnings.append("the files that measure are not those of then")
    return Replayed(before=made.run, after=sealed.run, commit=about.commit, warnings=tuple(warnings))


def _manifest(found: Located) -> Manifest:
    manifest = found.manifest()
    if manifest is not None:
        return manifest
    if found.archive:
        what = f"{found.run_id} is archived, and its seed and commit are in the archive"
        raise LabError(what, where=found.path, fix=f"labctl prune --restore {found.archive}")
    raise LabError(f"the manifest of {found.run_id} is not as it was sealed", where=found.path, fix="labctl verify")


def _doubts(found: Located, made: Seal, manifest: Manifest) -> list[str]:
    """Why the same may not come out."""
    doubts = []
    if made.imported_from:
        doubts.append("the run was imported: what it ran there is not known here")
    if manifest.package and made.run.candidate is None and sent.changes(found, made) is None:
        doubts.append("the run was a worker's: a change that was made there is not made again")
    return doubts


def _workspace(
    root: Root, where: str, manifest: Manifest, warnings: list[str], *, as_is: bool
) -> AbstractContextManager[str]:
    """The workspace at the run's commit: the user's own where it is at that commit, else a checkout beside."""
    now = revision.of(where) if where else ""
    wanted = manifest.revision
    if not wanted:
        if now:
            warnings.append("the run does not say which commit it was made at: the workspace is taken as it is now")
        return nullcontext(where)
    if as_is or now == wanted:
        if now != wanted:
            warnings.append(f"the run was made at commit {wanted}, the workspace is at {now or 'none'}")
        elif checkout.changed(root, where):
            warnings.append("the workspace has changes that are not committed; they are part of this run")
        return nullcontext(where)
    if not where:
        what = f"it ran at commit {wanted}, and the SPEC names no workspace_root any more"
        raise BadInput(what, fix="--as-is runs it without one")
    top = checkout.require(root, where, wanted)
    return checkout.opened(root, where, top, wanted)


def _same_program(manifest: Manifest, folders: Sequence[str], warnings: list[str], *, is_checkout: bool) -> None:
    """Say that other code is run than then. A commit that does not have what the run ran is refused."""
    other = launching.changed(manifest.usage.program, folders)
    if not other:
        return
    if is_checkout:
        what = (
            f"{', '.join(other)} of the run is not that of its commit {manifest.revision[:12]}: it was never committed"
        )
        raise BadInput(what, where=manifest.run_id, fix="--as-is runs it on the workspace as it is now")
    warnings.append(f"{', '.join(other)} is not what the run ran: it was changed since")


def _begun(  # what is run again, by whom, and by what SPEC
    root: Root, found: Located, made: Seal, manifest: Manifest, owner: Owner, spec: Spec
) -> tuple[Running, View]:
    """Claim the experiment and open the bundle, in one section."""
    with root.section(found.experiment):
        view, loaded = cycle.observe(root, found.experiment)
        before = made.run.origin or _nobodys(root, found.experiment)
        origin = Origin(
            kind=REPLAY, seed=before.seed, number=before.number, seen=before.seen, parents=(found.run_id,),
            note=f"{found.run_id} again",
        )  # fmt: skip
        errand = Errand(params=found.params(), origin=origin, tier=made.run.tier, seed=manifest.seed)
        errand = ordered(root, view, spec, errand)
        lease = cycle.claim(root, view, spec, owner=owner, tier=made.run.tier)
        return cycle.opened(root, lease, view, spec, loaded.sha256, errand), view


def _nobodys(root: Root, experiment: str) -> Origin:
    """The place of a run that no search made: after the last one of the search, whose seed stays what it is."""
    book = Book(root, experiment)
    book.catch_up()
    return Origin(seed=book.seed or 0, number=book.highest + 1)
