"""Looking after the runs that engines have: what the lab has claimed, compared with what they say.

Asking an engine may take seconds, and happens in no section. Who submits, lets go or takes something of an experiment
holds its flock `placing` meanwhile, so that nobody submits what is being submitted.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from lab.core import job as words
from lab.core.errors import Busy, LabError, Unavailable
from lab.core.job import Leave, Release, Sight, Submit, Take, judge
from lab.core.view import OPEN_PHASES
from lab.engines.door import Ground
from lab.scheduler.placing import handing, placed, taking
from lab.scheduler.step import HELD, NOTED, PROBLEM, Step
from lab.store import identity, jobs, leases, reading, refusals, silences, strays
from lab.store.sections import hold

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from lab.core.claim import Claim
    from lab.core.job import Job, Report, Verdict
    from lab.engines.door import Engine, Placement
    from lab.scheduler.placing.placed import Found
    from lab.store.root import Root

_Placed: TypeAlias = "tuple[Claim, Job | None]"  # a run that an engine has, and what it was asked
_SEEN_EVERY_S = 10.0
_WAIT_S = 30.0
_AGAIN_S, _AGAIN_AT_LEAST_EVERY_S = 30.0, 600.0


def look(root: Root, experiment: str, *, again: bool = False) -> list[Step]:
    """`reconcile` for one experiment: what became of its jobs, one question to each engine."""
    return reconcile(root, only=(experiment,), again=again)


def reconcile(root: Root, *, only: Collection[str] = (), again: bool = False) -> list[Step]:
    """Compare what the lab has claimed with what the engines have, and do what follows. Empty `only`: the whole lab.

    One question to each engine, however many jobs it has. Of one that does not answer nothing is touched. What an
    engine would not have before, it is asked to take after a pause that grows; `again` asks at once.
    """
    done: list[Step] = []
    ours, others = _by_engine(root, _held(root, only, done))
    suspected = () if only else tuple((each.engine, each.address) for each in strays.suspected(root))
    for name, address in dict.fromkeys((*ours, *suspected)):
        done += _looked_after(root, name, address, ours.get((name, address), []), only, again=again)
    if others:  # nobody is asked, and nothing is done to their jobs
        ground = Ground(environ={}, folder="", files=root.files)
        _go_through(_Desk(root, "", _Nobody(), ground), others, done)
    return done


def _looked_after(  # an engine, what it has, and how it is to be looked at
    root: Root, name: str, address: str, placed_runs: list[_Placed], only: Collection[str], *, again: bool
) -> list[Step]:
    """What one engine has. An engine in which nothing is out is asked for what nobody waits for, and may be silent."""
    done: list[Step] = []
    experiment = placed_runs[0][0].experiment if only and placed_runs else ""
    try:
        engine, ground = handing.engine_of(root, name, address)
        where = engine.where(ground)
        away = {claim.experiment: job for claim, job in placed_runs if job is not None and job.where not in ("", where)}
        done += [handing.elsewhere(job, where) for job in away.values()]
        claims = [claim for claim, job in placed_runs if job is None or job.where in ("", where)]
        if placed_runs and not claims:
            return done
        desk = _Desk(root, name, engine, msgspec.structs.replace(ground, users=_users(placed_runs)))
        desk.again = again
    except LabError as error:
        return [handing.silent(root, name, address, experiment, error)] if placed_runs else []
    if silences.ended(root, name, address):
        desk.again = True
        done.append(Step(kind=NOTED, experiment=experiment, engine=name, what=f"{name} answers again"))
    try:
        _go_through(desk, claims, done)
    except _Silent as error:  # in the middle: nothing more can be asked of it
        return [*done, handing.silent(root, name, address, experiment, error)]
    if unclaimed := _strays(desk):
        done += desk.cancel(claims[0].experiment if claims else "", unclaimed)
    return done


def _held(root: Root, only: Collection[str], done: list[Step]) -> list[Claim]:
    """The claims that engines have. What cannot be looked at is told, and keeps nobody else waiting."""
    found: list[Claim] = []
    for name in sorted(only) if only else leases.unsettled(root):
        try:
            found += placed.held(root, (name,))
        except (LabError, OSError) as error:
            done.append(_trouble(name, error))
    return found


def _trouble(experiment: str, error: LabError | OSError) -> Step:
    """What is wrong with one experiment, as a step. A disk that refuses everybody is not its trouble, and is raised."""
    if isinstance(error, OSError):
        if not reading.is_local(error):
            raise error
        error = refusals.refused(error)
    kind = HELD if isinstance(error, Busy) else PROBLEM  # somebody else is at it
    return Step(kind=kind, experiment=experiment, what=error.what, fix=error.fix)


class _Silent(Unavailable):
    """The engine answered before, and does no more."""


class _Desk:
    """One engine, and what it said of this lab's jobs when it was asked for all of them."""

    def __init__(self, root: Root, name: str, engine: Engine, ground: Ground) -> None:
        self.root = root
        self.name = name
        self.engine = engine
        self.ground = ground
        self.again = False  # whether what it would not have before is submitted before its time
        self.prefix = words.prefix(identity.of(root))
        self.told: dict[str, tuple[Report, ...]] = {}
        self.forgets_after_s = engine.forgets_after_s
        self.ask()

    def ask(self) -> None:
        """All of them, by one question."""
        found: dict[str, list[Report]] = defaultdict(list)
        try:
            reports = self.engine.listed(self.prefix, self.ground)
        except Unavailable as error:
            raise _Silent(error.what, fix=error.fix) from error
        for report in reports:
            found[report.name].append(report)
        names = {report.number: report.name for its in found.values() for report in its}
        self.ground = msgspec.structs.replace(self.ground, names=names)
        self.told = {name: tuple(its) for name, its in found.items()}

    def reports(self, claim: Claim) -> tuple[Report, ...]:
        """What it says of the job of a claim."""
        return self.told.get(f"{self.prefix}{claim.experiment}-{claim.generation}", ())

    def judged(self, found: Found, now_s: float) -> words.Verdict:
        """What is to become of a run."""
        return judge(found.seen(self.reports(found.claim), now_s), forgets_after_s=self.forgets_after_s)

    def cancel(self, experiment: str, numbers: Iterable[str]) -> list[Step]:
        """End jobs that are one too many, or that nobody waits for. One that does not answer is asked next time."""
        try:
            self.engine.cancel(tuple(numbers), self.ground)
        except Unavailable as error:
            strays.suspect(self.root, self.name, self.ground.address)
            what = f"{self.name} does not answer: {error.what}"
            return [Step(kind=PROBLEM, experiment=experiment, engine=self.name, what=what, fix=error.fix)]
        return []


class _Nobody:
    """Stands for whoever has the jobs of a lab of which this one is a copy. Knows of none, and does nothing."""

    forgets_after_s = 0.0

    def submit(self, job: Placement, ground: Ground) -> str:
        """Never: such a job is left or taken (`judge`)."""
        del ground
        raise Unavailable(f"{job.name} is another lab's to submit", fix="see docs/decisions/0041-engines.md")

    def release(self, number: str, ground: Ground) -> None:
        """No."""

    def listed(self, prefix: str, ground: Ground) -> tuple[Report, ...]:
        """None."""
        del prefix, ground
        return ()

    def cancel(self, numbers: tuple[str, ...], ground: Ground) -> None:
        """No."""

    def where(self, ground: Ground) -> str:
        """Nowhere."""
        del ground
        return ""

    def describe(self, ground: Ground) -> str:
        """Nobody."""
        del ground
        return "nobody"


def _go_through(desk: _Desk, claims: Iterable[Claim], done: list[Step]) -> None:
    """Judge the runs that one engine has, and act where there is something to do. `done` takes what was. `_Silent`."""
    root = desk.root
    now_s = leases.server_time(root)
    to_do: dict[str, list[Claim]] = defaultdict(list)
    surplus: dict[str, list[str]] = defaultdict(list)
    for claim in claims:
        try:
            found = placed.look(root, claim, desk.prefix)
            verdict = desk.judged(found, now_s) if found is not None else None
            if found is not None and isinstance(verdict, Leave):
                _remember(root, found, verdict, now_s)
                surplus[claim.experiment] += verdict.cancel
            elif found is not None:
                to_do[claim.experiment].append(claim)
        except (LabError, OSError) as error:
            done.append(_trouble(claim.experiment, error))
    for experiment, numbers in surplus.items():
        if numbers:
            done += desk.cancel(experiment, numbers)
    for experiment, its in to_do.items():
        try:
            with hold(root.layout.placing(experiment), wait_s=_WAIT_S):
                _Acting(desk).on(experiment, its, done)
        except _Silent:
            raise
        except (LabError, OSError) as error:
            done.append(_trouble(experiment, error))


class _Acting:
    """What is done about jobs of one experiment, by whoever holds its `placing`. Each is judged again first."""

    def __init__(self, desk: _Desk) -> None:
        self._desk = desk
        self._root = desk.root
        self._asked_again = False
        self._cancel: list[str] = []
        self._phases: dict[str, str] = {}

    def on(self, experiment: str, claims: Iterable[Claim], done: list[Step]) -> None:
        """All of them, as far as it goes: what was taken before something went wrong is cancelled and settled."""
        silent: _Silent | None = None
        for claim in claims:
            try:
                step = self._act(claim)
            except _Silent as error:
                silent = error
                break
            except (LabError, OSError) as error:
                done.append(_trouble(experiment, error))
                break
            if step is not None:
                done.append(step)
        if self._cancel and silent is None:
            done += self._desk.cancel(experiment, self._cancel)
        elif self._cancel:
            strays.suspect(self._root, self._desk.name, self._desk.ground.address)
        done += taking.settle(self._root, experiment)
        if silent is not None:
            raise silent

    def _act(self, claim: Claim) -> Step | None:
        root, desk = self._root, self._desk
        now_s = leases.server_time(root)
        found = placed.look(root, claim, desk.prefix)
        if found is None:
            return None
        verdict = desk.judged(found, now_s)
        before = jobs.sight(root, claim.experiment, claim.generation)
        if isinstance(verdict, Submit | Release) and found.job is not None:
            waits = self._kept_back(found.job, verdict, before, now_s)
            if waits is not None:
                return waits
        if isinstance(verdict, Submit | Take) and not desk.reports(claim) and not self._asked_again:
            # Whoever submitted it may have done so after all jobs were asked for, and died, or taken long: they are
            # asked for once more, now that nobody can.
            self._asked_again = True
            desk.ask()
            verdict = desk.judged(found, now_s)
        job = found.job
        match verdict:
            case Leave():
                _remember(root, found, verdict, now_s)
                self._cancel += verdict.cancel
            case Take():
                taken = taking.take(root, claim, desk.reports(claim), forgets_after_s=desk.forgets_after_s)
                self._cancel += taken.cancel if taken is not None else ()
            case Release() if job is not None:
                self._cancel += verdict.cancel
                return handing.let_go(root, job, desk.engine, desk.ground, verdict.number, before)
            case Submit() if job is not None:
                strays.suspect(root, desk.name, desk.ground.address)  # who died over it may have handed it over
                return handing.submitted(root, job, desk.engine, desk.ground, before)
            case _:
                pass
        return None

    def _kept_back(self, job: Job, verdict: Verdict, before: Sight | None, now_s: float) -> Step | None:
        """Why it is not handed over now: its experiment was stopped meanwhile, or its engine would not have it."""
        root, name = self._root, job.experiment
        if name not in self._phases:
            self._phases[name] = handing.phase(root, name)
        if self._phases[name] not in OPEN_PHASES:
            return handing.stopped(root, job, self._phases[name], before)
        if before is None or before.state != words.ASKED or self._desk.again or not isinstance(verdict, Submit):
            return None
        if now_s - jobs.seen_at_s(root, name, job.generation) >= _pause_s(before.tries):
            return None
        return handing.still_waiting(job, before.why, closed=f"{job.engine} {job.spec.executor_class}")


def _pause_s(tries: int) -> float:
    """How long an engine that would not have a job is left alone with it."""
    return min(_AGAIN_S * 2.0 ** min(tries - 1, 20), _AGAIN_AT_LEAST_EVERY_S) if tries else 0.0


def _by_engine(root: Root, claims: Iterable[Claim]) -> tuple[dict[tuple[str, str], list[_Placed]], list[Claim]]:
    """The claims by the engine that has them and the address by which it is spoken to; and those of another lab.

    Their jobs say whose they are: this one may be a copy, made while they were out.
    """
    found: dict[tuple[str, str], list[_Placed]] = defaultdict(list)
    others: list[Claim] = []
    prefix = ""
    for claim in claims:
        prefix = prefix or words.prefix(identity.of(root))
        try:
            job = placed.job(root, claim)
        except (LabError, OSError):  # a newer labctl's, or not to be read: it is told of when it is looked at
            job = None
        if job is not None and not job.name.startswith(prefix):
            others.append(claim)
        else:
            found[claim.engine, job.wants.address if job is not None else ""].append((claim, job))
    return found, others


def _users(placed_runs: Iterable[_Placed]) -> tuple[int, ...]:
    """Whose jobs are looked at: an engine that others use too lists a hundred thousand of theirs.

    Only root can end what is nobody's of these. Of a job that was not handed over yet it is open whose it will be.
    """
    own = os.geteuid()
    found = {job.uid if job is not None else -1 for _, job in placed_runs}
    return () if own == 0 or -1 in found else tuple(sorted({own, *found}))


def _remember(root: Root, found: Found, verdict: Leave, now_s: float) -> None:
    """Keep how it was found, for pages that ask no engine."""
    claim, job = found.claim, found.job
    if job is not None and verdict.number and job.number != verdict.number:
        _number(root, claim, verdict.number)
    before = jobs.sight(root, claim.experiment, claim.generation)
    if before is not None and before.state == words.ASKED and verdict.state == words.UNKNOWN and not verdict.number:
        return  # another user's look knew more: why its engine has not taken it
    if found.was_suspended and verdict.why != words.SUSPENDED:
        jobs.goes_on(root, claim.experiment, claim.generation)
    told = (verdict.state, verdict.where, verdict.why)
    if before is None or (before.state, before.where, before.why) != told:
        sight = Sight(state=verdict.state, where=verdict.where, why=verdict.why, at=root.now())
        jobs.saw(root, claim.experiment, claim.generation, sight)
    elif verdict.state != words.UNKNOWN:
        jobs.looked(root, claim.experiment, claim.generation, every_s=_SEEN_EVERY_S, now_s=now_s)


def _number(root: Root, claim: Claim, number: str) -> None:
    """Keep what the engine calls it. In a section: whoever takes the run writes down there how it ended."""
    with root.section(claim.experiment):
        job = jobs.load(root, claim.experiment, claim.generation)
        if job is not None and not job.ended:
            jobs.write(root, msgspec.structs.replace(job, number=number))


def _strays(desk: _Desk) -> list[str]:
    """Jobs that wait for a run that is over: submitted twice, say. One that runs ends by itself: its claim is gone."""
    found = []
    for name, reports in desk.told.items():
        waiting = [report.number for report in reports if report.state in (words.HELD, words.WAITING)]
        experiment, dash, generation = name.removeprefix(desk.prefix).rpartition("-")
        if not (waiting and dash and generation.isascii() and generation.isdecimal()) or "/" in experiment:
            continue
        reading.afresh(desk.root.layout.claims(experiment))  # another machine may have made the claim just now
        if not os.path.lexists(desk.root.layout.claim(experiment, int(generation))):
            found += waiting
    return found
