"""Trainings in chunks as their runs tell of them: the links of a chain, its rows, what is under way. Writes nothing.

A link is what one sealed run did. Links whose run saved nothing are told of too: their tokens were paid for.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, chain, chunk, event, history
from lab.core.chain import Chain  # msgspec resolves annotations
from lab.core.chunk import Order
from lab.core.errors import BadInput, Corrupt
from lab.core.parameter import Scalar  # msgspec resolves annotations
from lab.core.record import parse
from lab.core.view import ARCHIVED, AWAITING, COMPLETED, PAUSED
from lab.store import archives, bundles, experiments, inside, leases, ledger, ledgers
from lab.tinker import monitor, rows, used
from lab.tinker.monitor import Sight  # msgspec resolves annotations
from lab.tinker.rows import Row  # msgspec resolves annotations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.core.chunk import Chunk
    from lab.core.event import Event
    from lab.core.run import Run
    from lab.core.seal import Seal, SealedFile
    from lab.core.spec import Spec
    from lab.store.root import Root

EXECUTOR = "tinker"
_RESTS = frozenset({AWAITING, PAUSED, COMPLETED, ARCHIVED})
MOST_BYTES = 64 << 20  # of the rows of one run: some 300,000 steps


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What one run did for a training. `number` is its place in the chain; 0 is a whole training, of a search."""

    run_id: str
    tier: str
    number: int
    outcome: str
    value: float | None
    first_step: int
    next_step: int
    final: bool
    saved: bool
    parent: str
    model_run: str
    base_model: str
    state_path: str
    sampler_path: str
    external_path: str
    fixed: dict[str, str]
    params: dict[str, Scalar]
    trained: int
    sampled: int
    prefilled: int
    cost: float
    wall_s: float
    paused_s: float
    kl: float | None
    trouble: str
    reason: str
    chosen: str  # who chose its parameters, as `core.origin` has it: reviewed, unreviewed, ...; empty: as before
    why: str  # in the words of whoever did
    ended_at: str
    changed: tuple[str, ...] = ()  # files that the run before it in the chain was trained with, and that were others

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.trained + self.sampled + self.prefilled


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided of a training, with the numbers that were used. `to` is the phase or tier that it went to."""

    type: str
    ts: str
    to: str
    actor: str
    run_id: str
    reason: str
    facts: dict[str, object]


class Underway(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk that is not sealed yet, and what it seems to do."""

    run_id: str
    tier: str
    number: int
    first_step: int
    path: str
    sight: Sight


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """All that an experiment trained remotely, in the order of history. `missing` says what could not be read.

    `decided` is the last chunk that was ordered, `ended` what ended or paused the training after it, or moved it on.
    """

    experiment: str
    links: tuple[Link, ...] = ()
    under_way: tuple[Underway, ...] = ()
    decided: Decided | None = None
    ended: Decided | None = None
    missing: tuple[str, ...] = ()
    chains: dict[str, Chain] = {}  # by tier, folded as the policy sees them

    def lineage(self, tier: str) -> tuple[Link, ...]:
        """The links that the newest state of a tier consists of, the first of them first."""
        mine = {link.run_id: link for link in self.links if link.tier == tier and link.saved and link.number}
        here = mine.get(self.chains[tier].run_id) if tier in self.chains else None
        found: list[Link] = []
        while here is not None and here not in found:
            found.append(here)
            here = mine.get(here.parent)
        return tuple(reversed(found))

    def tiers(self) -> tuple[str, ...]:
        """Those that have anything, in the order in which they began."""
        return tuple(dict.fromkeys([*(link.tier for link in self.links), *(here.tier for here in self.under_way)]))


def require(root: Root, experiment: str) -> Spec:
    """The SPEC of an experiment that trains remotely, or `BadInput`."""
    experiments.require(root, experiment)
    loaded = experiments.load(root, experiment)
    if loaded.spec is None:
        raise loaded.problem or BadInput(f"the SPEC of {experiment} cannot be read")
    if loaded.spec.executor != EXECUTOR:
        fix = f"executor: {EXECUTOR} and a tinker: section in experiments/{experiment}/SPEC.yaml"
        raise BadInput(f"{experiment} trains nothing remotely: its executor is {loaded.spec.executor}", fix=fix)
    return loaded.spec


def names(root: Root) -> list[str]:
    """The experiments that train remotely, as far as their SPECs can be read."""
    loaded = ((name, experiments.load(root, name).spec) for name in experiments.names(root))
    return [name for name, spec in loaded if spec is not None and spec.executor == EXECUTOR]


def read(root: Root, experiment: str) -> Trained:
    """Everything of one experiment. Reads each of its seals."""
    missing: list[str] = []
    places = ledgers.places(root, experiment)
    seals = sorted(
        _seals(root, experiment, missing), key=lambda made: history.of_seal(made, places.get(made.run.run_id, 0)).key
    )
    links: list[Link] = []
    chains: dict[str, Chain] = {}
    known = {made.run.run_id: made for made in seals}
    for run, did in ((made.run, made.run.chunk) for made in seals):
        if did is not None:
            others = _changed(root, known[run.run_id], known.get(did.parent))
            links.append(msgspec.structs.replace(link(run, did), changed=others))
            chains[run.tier] = chain.fold(chains.get(run.tier), run, did)
    decided, ended = _decided(root, experiment)
    return Trained(
        experiment=experiment,
        links=tuple(links),
        chains=chains,
        under_way=tuple(_under_way(root, experiment, missing)),
        decided=decided,
        ended=ended,
        missing=tuple(missing),
    )


def _seals(root: Root, experiment: str, missing: list[str]) -> Iterator[Seal]:
    seen = set()
    for run_id in bundles.names(root, experiment):
        try:
            found = bundles.load_seal(root.layout.run(experiment, run_id))
        except Corrupt as damage:
            missing.append(f"{run_id}: {damage.what}")
            continue
        if found is not None and found[0].run.experiment == experiment:
            seen.add(run_id)
            yield found[0]
    for archived in archives.every(root, experiment):
        if isinstance(archived, Corrupt):
            missing.append(archived.what)
        elif archived[0].run_id not in seen:
            yield archived[1]


def link(run: Run, did: Chunk) -> Link:
    """A sealed run and what it did, as one."""
    return Link(
        run_id=run.run_id, tier=run.tier, number=did.number, outcome=run.outcome, value=run.value,
        first_step=did.first_step, next_step=did.next_step, final=did.final, saved=bool(did.state_path),
        parent=did.parent, model_run=did.model_run, base_model=did.base_model, state_path=did.state_path,
        sampler_path=did.sampler_path, external_path=did.external_path, fixed=dict(did.fixed), params=dict(did.params),
        trained=did.trained, sampled=did.sampled, prefilled=did.prefilled, cost=run.cost, wall_s=run.wall_s,
        paused_s=did.paused_s, kl=did.kl, trouble=did.trouble, reason=run.reason,
        chosen=run.origin.kind if run.origin is not None else "", why=run.origin.note if run.origin is not None else "",
        ended_at=run.ended_at,
    )  # fmt: skip


def _changed(root: Root, made: Seal, before: Seal | None) -> tuple[str, ...]:
    """What is not the file any more that it was in the chunk before; read only where the seals say that it differs."""
    seals = [each for each in (before, made) if each is not None and used.FILE in each.files]
    if len({each.files[used.FILE].sha256 for each in seals}) <= 1:
        return ()
    one, other = (_plain(root.layout.run(each.run.experiment, each.run.run_id), used.FILE) for each in seals)
    return used.changed(one or b"", other or b"")


def _under_way(root: Root, experiment: str, missing: list[str]) -> Iterator[Underway]:
    for held in leases.survey(root, experiment).held:
        run_id = held.seen.claim.run_id
        path = root.layout.run(experiment, run_id) if run_id else ""
        ordered = _plain(path, chunk.ORDER) if path else None
        if ordered is None:
            continue
        try:
            order = parse(Order, ordered, f"{path}/{chunk.ORDER}")
        except Corrupt as damage:
            missing.append(f"{run_id}: {damage.what}")
            continue
        yield Underway(
            run_id=run_id, tier=order.tier, number=order.number, first_step=order.first_step, path=path,
            sight=_sight(root, order, path),
        )  # fmt: skip


def _sight(root: Root, order: Order, path: str) -> Sight:
    now = root.world.now()
    try:
        manifest = bundles.load_manifest(path)
        begun = datetime.fromisoformat(manifest.started_at if manifest is not None else "")
    except (Corrupt, ValueError):  # the run may have spoilt it
        begun = now
    return monitor.sight(order, rows.steps(path), rows.pauses(path), begun_at=begun.timestamp(), now=now.timestamp())


def _decided(root: Root, experiment: str) -> tuple[Decided | None, Decided | None]:
    """The last chunk that was ordered, and what came after it where that was no chunk."""
    ordered: Decided | None = None
    after: Decided | None = None
    for entry in ledger.mentioning(root, 0, experiment):
        told = entry.line.event if entry.line is not None else None
        if told is None or told.experiment != experiment:
            continue
        if told.type == event.CHUNK_DECIDED:
            ordered, after = _told(told), None
        elif told.type == event.TIER_CHANGED or (told.type == event.PHASE_CHANGED and told.phase in _RESTS):
            after = _told(told)
        elif told.type == event.PHASE_CHANGED:  # somebody opened it again
            after = None
    return ordered, after


def _told(what: Event) -> Decided:
    return Decided(
        type=what.type, ts=what.ts, to=what.tier if what.type == event.TIER_CHANGED else what.phase, actor=what.actor,
        run_id=what.run_id, reason=what.reason, facts=dict(what.facts),
    )  # fmt: skip


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a training, one a step. `missing` says which are not here."""

    rows: tuple[Row, ...] = ()
    missing: tuple[str, ...] = ()


def steps(root: Root, trained: Trained, tier: str) -> Steps:
    """The last row of each step that is inside the newest state of a tier, and of the chunk that goes on from there."""
    found: dict[int, Row] = {}
    missing: list[str] = []
    line = trained.lineage(tier)
    for link in line:
        written = _sealed(root, trained.experiment, link.run_id, chunk.STEPS, missing) or b""
        told = rows.steps_of(written.split(b"\n")[:-1])
        found.update((row.step, row) for row in told.rows if link.first_step <= row.step < link.next_step)
    for here in trained.under_way:
        if here.tier == tier and here.number:
            found.update((row.step, row) for row in rows.steps(here.path).rows if row.step >= here.first_step)
    return Steps(rows=tuple(found[step] for step in sorted(found)), missing=tuple(missing))


def _sealed(root: Root, experiment: str, run_id: str, name: str, missing: list[str]) -> bytes | None:
    """A file of a sealed run, if it is the one that was sealed."""
    path = root.layout.run(experiment, run_id)
    found = bundles.load_seal(path) if os.path.isdir(path) else None
    if found is None:
        missing.append(f"{run_id} is in an archive: labctl prune --restore brings its rows back")
        return None
    written = _plain(path, name)
    sealed = found[0].files.get(name)
    if written is None and sealed is not None and sealed.size > MOST_BYTES:
        missing.append(f"{run_id}: {name} is not read: it has {sealed.size:,} bytes, and {MOST_BYTES:,} are the most")
        return None
    if written is None or sealed is None or not _is_as_sealed(written, sealed):
        missing.append(f"{run_id}: {name} is not here as it was sealed")
        return None
    return written


def _is_as_sealed(written: bytes, sealed: SealedFile) -> bool:
    return not sealed.link and len(written) == sealed.size and canonical.digest(written) == sealed.sha256


def _plain(path: str, name: str) -> bytes | None:
    """A file of a bundle; None for a link or a pipe that a run put in its place, and for one that is too long."""
    above, _, own = path.rpartition("/")
    try:
        at = inside.folder(above, own)
    except OSError:
        return None
    try:
        written, size = inside.head(at, name, MOST_BYTES)
    except OSError:
        return None
    finally:
        os.close(at)
    return written if size <= MOST_BYTES else None


def latest(links: Sequence[Link], tier: str) -> Link | None:
    """The last run of a tier, whatever became of it."""
    return next((link for link in reversed(links) if link.tier == tier), None)
