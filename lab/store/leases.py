"""Leases on disk: numbered claims in `registry/locks/<experiment>/`.

The place is the state: `00000012.claim` is held, `.released` was given back, `.superseded` was taken from a holder that
was dead or silent, `.abandoned` was given up by a holder whose disk refused it. The runs of these two wait to be
settled. A takeover and a seal happen in the same section, so a holder that was superseded can never seal
(`Lease.check`).
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.claim import DEFAULT_TTL_S, Claim, Held, Lost, Owner, Seen, judge
from lab.core.errors import Busy, Corrupt, Superseded
from lab.core.record import encode, parse
from lab.store import machine, reading, standing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab.store.root import Root


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The right to run an experiment, as its holder has it."""

    claim: Claim
    path: str

    def renew(self, root: Root) -> None:
        """Say that this holder is alive. `Superseded` when somebody took the lease meanwhile: stop the run then."""
        self.check()
        try:
            root.files.touch(self.path)
        except FileNotFoundError:
            raise self._superseded() from None

    def check(self) -> None:
        """The fence. Only meaningful inside the experiment's section, where takeovers happen too.

        The claim must be ours by its text, not only by its number: after the claims folder was lost, somebody else may
        have been given the same number.
        """
        data = reading.read(self.path)
        if data is None or _readable(data, self.path) not in (None, self.claim):
            raise self._superseded()

    def mend(self, root: Root) -> None:
        """Write our claim again when it was damaged under us. Inside the section, after `check`."""
        if reading.read(self.path) != encode(self.claim):
            root.files.replace(self.path, encode(self.claim), durable=True)

    def cancel_asked(self, root: Root) -> str | None:
        """Why somebody asked for this run to be ended; None when nobody did."""
        asked = reading.read(root.layout.claim(self.claim.experiment, self.claim.generation, layout.CANCEL_SUFFIX))
        return None if asked is None else asked.decode(errors="replace").strip()

    def release(self, root: Root) -> None:
        """Give it back. Called inside the experiment's section."""
        try:
            _retire(root, self.claim.experiment, self.claim.generation, layout.CLAIM_SUFFIX)
        except FileNotFoundError:
            raise self._superseded() from None

    def abandon(self, root: Root) -> None:
        """Give up in the middle: this process writes no more to the run, and somebody else is to settle it.

        For when the disk refuses a step. A process that lives on must not lock itself, or others, out until its lease
        has run down. A rename mostly works even on a full disk; where it does not, the lease runs down.
        """
        target = root.layout.claim(self.claim.experiment, self.claim.generation, layout.ABANDONED_SUFFIX)
        with suppress(OSError):
            root.files.move(self.path, target)

    def _superseded(self) -> Superseded:
        return Superseded(
            f"generation {self.claim.generation} of {self.claim.experiment} was taken over; its holder seemed dead",
            where=self.path,
            fix=f"its bundle is kept and not counted; see: labctl lease show {self.claim.experiment}",
        )


class Unsettled(msgspec.Struct, frozen=True, kw_only=True):
    """A claim whose holder may not seal any more, and whose run nobody has brought to an end yet."""

    claim: Claim
    abandoned: bool  # by its holder, who writes no more; otherwise it was taken

    @property
    def suffix(self) -> str:
        return layout.ABANDONED_SUFFIX if self.abandoned else layout.SUPERSEDED_SUFFIX


class Damaged(msgspec.Struct, frozen=True, kw_only=True):
    """A claim that cannot be read. `newer`: a later labctl wrote it, and it binds whoever cannot read it too."""

    generation: int
    suffix: str
    problem: str
    newer: bool = False


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """All claims of an experiment as one look found them."""

    held: tuple[Held, ...] = ()
    lost: tuple[Lost, ...] = ()
    unsettled: tuple[Unsettled, ...] = ()
    damaged: tuple[Damaged, ...] = ()
    highest: int = 0


def survey(root: Root, experiment: str) -> Survey:
    """Look at every claim. Claims that cannot be read are reported, and never taken for free."""
    found = standing.found(root, experiment)
    held: list[Held] = []
    lost: list[Lost] = []
    unsettled: list[Unsettled] = []
    damaged: list[Damaged] = []
    now_s: float | None = None
    for generation, suffix in found:
        if suffix == layout.RELEASED_SUFFIX:
            continue
        path = root.layout.claim(experiment, generation, suffix)
        try:
            seen = os.stat(path)
            claim = _as_seen(path, experiment, generation, (seen.st_ino, seen.st_size, seen.st_mtime_ns))
        except Corrupt as error:
            damaged.append(Damaged(generation=generation, suffix=suffix, problem=error.what, newer=error.newer))
            continue
        except FileNotFoundError:
            if os.path.lexists(path):
                damaged.append(Damaged(generation=generation, suffix=suffix, problem="it is no file"))
            continue  # otherwise released or taken over between the look and the reading
        if suffix != layout.CLAIM_SUFFIX:
            unsettled.append(Unsettled(claim=claim, abandoned=suffix == layout.ABANDONED_SUFFIX))
            continue
        if claim.engine:
            standing.note_engines(path)
        now_s = server_time(root) if now_s is None else now_s
        alive = None if claim.engine else machine.alive(claim.owner)
        verdict = judge(Seen(claim=claim, age_s=now_s - seen.st_mtime, alive=alive))
        if isinstance(verdict, Held):
            held.append(verdict)
        else:
            lost.append(verdict)
    highest = max((generation for generation, _ in found), default=0)
    return Survey(
        held=tuple(held), lost=tuple(lost), unsettled=tuple(unsettled), damaged=tuple(damaged), highest=highest
    )


_IN_SECONDS = 600.0  # longer ones are told in hours and minutes
_COMPANIONS = (
    layout.CANCEL_SUFFIX, layout.JOB_SUFFIX, layout.STARTED_SUFFIX, layout.OUTPUT_SUFFIX, layout.SEEN_SUFFIX,
)  # fmt: skip


def unsettled(root: Root) -> list[str]:
    """Experiments with a claim that was not given back: somebody works on them, or died. One listing each."""
    names = standing.experiments(root)
    return [name for name in names if any(file.endswith(standing.CALLING) for file in standing.names(root, name))]


def placed(root: Root) -> list[str]:
    """Experiments with a run that an engine has or may have: one listing each, and a look at what has no job yet."""
    found = []
    for name in unsettled(root):
        names = set(os.listdir(root.layout.claims(name)))
        claims = [file for file in names if file.endswith(layout.CLAIM_SUFFIX)]
        jobs = {file.removesuffix(layout.JOB_SUFFIX) for file in names if file.endswith(layout.JOB_SUFFIX)}
        bare = [file for file in claims if file.removesuffix(layout.CLAIM_SUFFIX) not in jobs]
        if len(bare) < len(claims) or (bare and any(each.seen.claim.engine for each in survey(root, name).held)):
            found.append(name)
    return found


def _no_run(_generation: int) -> str:
    return ""


def take(  # noqa: PLR0913  # the terms of a lease; every caller names them
    root: Root,
    experiment: str,
    *,
    owner: Owner,
    name_run: Callable[[int], str] = _no_run,
    after: int = 0,
    slots: int = 1,
    ttl_s: float = DEFAULT_TTL_S,
    engine: str = "",
    known: Sequence[tuple[int, str]] | None = None,
) -> Lease:
    """Claim the next generation, or `Busy`. Nothing is ever taken from anybody here: see `supersede`.

    `name_run` gives the run its id once its generation is known: if this process dies, the claim says which bundle
    it left. `after` is the highest generation that history knows, in case the claims folder was lost. `known` are its
    claims, where they were looked at in the same section just now (`standing.found`).
    """
    while True:
        found = standing.found(root, experiment) if known is None else known
        known = None
        # Each of these may take a slot. Where there is room for all of them, none needs to be read.
        if sum(suffix != layout.RELEASED_SUFFIX for _, suffix in found) >= slots:
            seen = survey(root, experiment)
            if len(seen.held) + len(seen.lost) + len(seen.damaged) >= slots:
                raise _busy(experiment, seen)
        generation = max(max((number for number, _ in found), default=0), after) + 1
        claim = Claim(
            experiment=experiment,
            generation=generation,
            lease_id=f"{experiment}.{generation}",
            owner=owner,
            claimed_at=root.now(),
            ttl_s=ttl_s,
            run_id=name_run(generation),
            engine=engine,
        )
        path = root.layout.claim(experiment, generation)
        try:
            # A power cut ends every holder, so a claim whose name it loses protects nobody. One that it left there
            # empty would keep everybody out.
            root.files.create(path, encode(claim), sync_name=False)
        except FileExistsError:
            continue  # somebody else is this generation; look again
        if _was_late(root, experiment, generation):
            root.files.discard(path)
            continue
        if engine:
            standing.note_engines(path)
        return Lease(claim=claim, path=path)


def _was_late(root: Root, experiment: str, generation: int) -> bool:
    """Whether this generation had come and gone between our look and our claim.

    A taker that was stopped there could otherwise run a generation a second time, beside the holder of the next one.
    The highest number always stays in the folder, so a late claim never stands alone.
    """
    return standing.has_others_from(root, experiment, generation)


def busy(root: Root, experiment: str) -> Busy:
    """The refusal for who finds all slots of an experiment taken."""
    return _busy(experiment, survey(root, experiment))


def supersede(root: Root, experiment: str, generation: int) -> bool:
    """Take a claim from its holder. Called inside the section, after a look there said that it is lost."""
    try:
        root.files.move(
            root.layout.claim(experiment, generation),
            root.layout.claim(experiment, generation, layout.SUPERSEDED_SUFFIX),
        )
    except FileNotFoundError:
        return False
    return True


def ask_to_cancel(root: Root, experiment: str, generation: int, why: str) -> None:
    """Leave word for the holder, wherever it is: it looks for it while its run goes on."""
    root.files.replace(
        root.layout.claim(experiment, generation, layout.CANCEL_SUFFIX), f"{why}\n".encode(), durable=True
    )


def settle(root: Root, done: Unsettled) -> None:
    """The run of a claim has been dealt with; forget the claim."""
    _retire(root, done.claim.experiment, done.claim.generation, done.suffix)


def server_time(root: Root) -> float:
    """Now, by the clock of the machine that keeps the files: ages of claims are never measured across two clocks.

    Who may only read cannot ask; for them every claim that is not proven dead counts as fresh.
    """
    probe = root.layout.probe
    try:
        try:
            root.files.touch(probe)
        except FileNotFoundError:
            root.files.replace(probe, b"labctl reads the file server's clock from this file's time\n")
    except OSError as error:
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT):
            return 0.0
        raise
    return os.stat(probe).st_mtime


def held(root: Root, experiment: str, generation: int) -> Lease:
    """The lease of a generation, for a process that goes on where its holder stopped. `Superseded` when it was lost."""
    path = root.layout.claim(experiment, generation)
    found = _load(path, experiment, generation)
    if found is None:
        what = f"generation {generation} of {experiment} is not held any more"
        raise Superseded(what, where=path, fix=f"see: labctl lease show {experiment}")
    return Lease(claim=found, path=path)


def load(root: Root, experiment: str, generation: int, suffix: str) -> Claim | None:
    """One claim by its place."""
    return _load(root.layout.claim(experiment, generation, suffix), experiment, generation)


def _readable(data: bytes, path: str) -> Claim | None:
    """The claim in these bytes; None when they are damaged. A damaged claim of ours is still ours: it has its place."""
    try:
        return parse(Claim, data, path)
    except Corrupt:
        return None


@lru_cache(maxsize=4096)
def _as_seen(path: str, experiment: str, generation: int, _file: tuple[int, int, int]) -> Claim:
    """A claim, read once for as long as it is the same file: who keeps many runs under way looks at all of them often.

    `FileNotFoundError` where it is no plain file, `Corrupt` where it is no claim; neither is remembered.
    """
    claim = _load(path, experiment, generation)
    if claim is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return claim


def _load(path: str, experiment: str, generation: int) -> Claim | None:
    data = reading.read(path)
    if data is None:
        return None
    claim = parse(Claim, data, path)
    if (claim.experiment, claim.generation) != (experiment, generation):
        message = (
            f"the claim is generation {claim.generation} of {claim.experiment}; it lies as {generation} of {experiment}"
        )
        raise Corrupt(message, where=path, fix="labctl recover sets it aside")
    return claim


def _retire(root: Root, experiment: str, generation: int, suffix: str) -> None:
    """Rename to `.released`, and drop older released ones: the highest number is all that the next claim needs."""
    target = root.layout.claim(experiment, generation, layout.RELEASED_SUFFIX)
    root.files.move(root.layout.claim(experiment, generation, suffix), target)
    names = os.listdir(root.layout.claims(experiment))
    pairs = [pair for pair in map(layout.claim_file, names) if pair]
    highest = max(number for number, _ in pairs)
    _drop_left(root, experiment, names, {number for number, kind in pairs if kind != layout.RELEASED_SUFFIX})
    for number, kind in pairs:
        if kind == layout.RELEASED_SUFFIX and number < highest:
            root.files.discard(root.layout.claim(experiment, number, kind))


def _drop_left(root: Root, experiment: str, names: list[str], standing: set[int]) -> None:
    """What lies beside claims that were given back: of this one, and what a body that was too late left of others."""
    for name in names:
        stem, dot, suffix = name.partition(".")
        if dot + suffix in _COMPANIONS and stem.isascii() and stem.isdecimal() and int(stem) not in standing:
            root.files.discard(root.layout.claim(experiment, int(stem), dot + suffix))


def _length(seconds: float) -> str:
    minutes = seconds // 60
    return f"{seconds:.0f}s" if seconds < _IN_SECONDS else f"{minutes // 60:.0f}h{minutes % 60:02.0f}m"


class Occupied(Busy):
    """Runs that happen here, or on a machine beside, have all slots of an experiment."""


def _busy(experiment: str, seen: Survey) -> Busy:
    fix = f"wait, or look: labctl lease show {experiment}"
    if seen.held:
        first = min(seen.held, key=lambda held: held.left_s)
        if engine := first.seen.claim.engine:
            what = f"{experiment} is with {engine}, as {first.seen.claim.run_id}"
            return Busy(what, fix="wait; labctl status shows what is queued and running where")
        owner = first.seen.claim.owner
        who = f"{owner.name} on {owner.host} (pid {owner.pid})" if owner.pid else owner.name
        return Occupied(f"{experiment} is held by {who} for {_length(first.left_s)} more unless renewed", fix=fix)
    if seen.lost:
        return Busy(f"{experiment} is held by a process that is gone", fix="labctl watchdog --repair")
    if not seen.damaged:
        return Busy(f"{experiment} was just given back", fix="try again")
    bad = seen.damaged[0]
    what = f"{experiment} has an unreadable claim {bad.generation:08d}{bad.suffix}: {bad.problem}"
    return Busy(what, fix="upgrade labctl" if bad.newer else "labctl recover")
