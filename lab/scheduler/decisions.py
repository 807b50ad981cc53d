"""What a person (or the policy) decides about an experiment: an event first, then its effect on the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import event, policy
from lab.core.errors import BadInput, LabError, Unavailable
from lab.core.policy import Escalate, Finish, Pause, Promote
from lab.core.pursuit import LENT
from lab.core.spec_fields import ASHA
from lab.core.view import ACTIVE, ARCHIVED, AWAITING, COMPLETED, OPEN_PHASES, PAUSED, QUEUED, Stuck, to_open
from lab.scheduler import refresh
from lab.scheduler.loop import scripts
from lab.scheduler.search import sought
from lab.store import experiments, ledger

if TYPE_CHECKING:
    from lab.core.spec import Spec
    from lab.core.subject import Subject
    from lab.core.view import View
    from lab.store.experiments import Loaded
    from lab.store.root import Root


POLICY = "policy"
_REASON_CHARS = 500
TO_PAUSE, TO_RESUME = "pause", "resume"
_PHASES: dict[type, str] = {Pause: PAUSED, Escalate: AWAITING, Finish: COMPLETED}


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment is now. `changed` is False when it was so before: then nothing was written."""

    experiment: str
    phase: str
    tier: str
    changed: bool


def notice_edit(root: Root, experiment: str, view: View, loaded: Loaded) -> View:
    """Write down that SPEC.yaml was edited, before anything is done under the new one. Inside the section.

    Without it nobody could tell under which SPEC an old run counted as the best.
    """
    if loaded.spec is None or loaded.problem is not None or not view.announced or view.announced == loaded.sha256:
        return view
    told = event.Event(type=event.SPEC_EDITED, ts=root.now(), experiment=experiment, spec=loaded.sha256)
    return write_down(root, told).view


def offered(phase: str) -> str:
    """What a person who looks at an experiment may want to do about it: pause what goes on, resume what does not.

    Empty for one that was ended: `resume` opens it again, but nobody should by a slip of the finger.
    """
    if phase in OPEN_PHASES:
        return TO_PAUSE
    return TO_RESUME if phase in (PAUSED, AWAITING) else ""


def pause(root: Root, experiment: str, *, reason: str, actor: str, lent: str = "") -> Decided:
    """Start no more runs until `resume`. A run that is under way goes on to its end.

    `lent` is the project that pauses a study of its own: then nobody is asked to do anything about it.
    """
    reason = reason or "manual pause"
    return _phase(root, experiment, PAUSED, reason=reason, actor=actor, refused=(COMPLETED,), lent=lent)


def resume(root: Root, experiment: str, *, reason: str, actor: str) -> Decided:
    """Let runs start again, with the failure count at zero. What has runs is active again, and not queued."""
    return _phase(root, experiment, QUEUED, reason=reason or "manual resume", actor=actor, refused=())


def foreseen(root: Root, experiment: str) -> str:
    """What the policy will do with it before another run, where that is to stop it again; empty where it may run."""
    with root.section(experiment):
        view, loaded = refresh.current(root, experiment)
    if loaded.spec is None:
        return ""
    searching = sought.searches(root, loaded.spec, view)
    move = policy.decide(view, loaded.spec, root.world.now(), at_once=True, searching=searching)
    if isinstance(move, Finish | Pause | Escalate):
        numbers = ", ".join(f"{name} {value}" for name, value in sorted(move.facts.items()))
        place = root.layout.spec(experiment)
        return f"the next turn will stop it again: {move.reason} ({numbers}); change the limit first, in {place}"
    return ""


def lend(root: Root, experiment: str, *, to: str, reason: str, actor: str) -> Decided:
    """Let a project make runs of its study, and nobody else: not cron, while it is open or was left so by a kill."""
    return _phase(root, experiment, QUEUED, reason=reason, actor=actor, refused=(), lent=to)


def complete(root: Root, experiment: str, *, reason: str, actor: str) -> Decided:
    """End the experiment. `resume` opens it again."""
    return _phase(root, experiment, COMPLETED, reason=reason or "manual completion", actor=actor, refused=())


def archive(root: Root, experiment: str, *, reason: str, actor: str) -> Decided:
    """Take it out of every list. Nothing is moved and nothing is lost: `restore` brings it back.

    One that never ran, such as one that was made by mistake, need not be ended before.
    """
    experiments.require(root, experiment)
    with root.section(experiment):
        view = _current(root, experiment)
        if view.phase not in (COMPLETED, PAUSED, ARCHIVED) and (view.runs or view.superseded):
            raise BadInput(
                f"{experiment} is {view.phase} and has run; only what is completed or paused can be archived",
                fix=f"labctl complete {experiment}, then archive it",
            )
        decided = _move(root, view, ARCHIVED, reason=reason or "archived", actor=actor)
    cleared(root, experiment, decided.phase)
    refresh.lab_pages(root)
    return decided


def restore(root: Root, experiment: str, *, reason: str, actor: str) -> Decided:
    """Bring an archived experiment back, paused."""
    experiments.require(root, experiment)
    with root.section(experiment):
        view = _current(root, experiment)
        if view.phase != ARCHIVED:
            raise BadInput(f"{experiment} is {view.phase}, not archived", fix="labctl list --archived shows what is")
        decided = _move(root, view, PAUSED, reason=reason or "restored from the archive", actor=actor)
    refresh.lab_pages(root)
    return decided


def set_tier(root: Root, experiment: str, tier: str, *, reason: str, actor: str) -> Decided:
    """Move an experiment to another fidelity tier. It stays there: nothing moves it back by itself."""
    experiments.require(root, experiment)
    with root.section(experiment):
        _current(root, experiment)
        subject = refresh.catch_up(root, experiment)
        if subject.spec is None:
            raise experiments.load(root, experiment).problem or BadInput("the SPEC cannot be used")
        tiers = subject.spec.fidelity_tiers
        if tier not in tiers:
            raise BadInput(f"{experiment} has no tier {tier}", fix=f"one of: {', '.join(tiers)}")
        changed = subject.view.tier != tier
        if changed:
            told = event.Event(
                type=event.TIER_CHANGED, ts=root.now(), experiment=experiment, tier=tier, reason=reason, actor=actor
            )
            write_down(root, told)
    refresh.lab_pages(root)
    return Decided(experiment=experiment, phase=subject.view.phase, tier=tier, changed=changed)


def carry_out(root: Root, view: View, move: Pause | Escalate | Promote | Finish, *, actor: str) -> Subject:
    """What the policy decided: the event with the numbers it used, then its effect. Inside the section."""
    ts, experiment, facts = root.now(), view.experiment, dict(move.facts)
    if isinstance(move, Promote):
        told = event.Event(
            type=event.TIER_CHANGED, ts=ts, experiment=experiment, tier=move.tier, reason=move.reason, actor=actor,
            facts=facts,
        )  # fmt: skip
    else:
        phase = _PHASES[type(move)]
        facts |= {LENT: view.lent} if view.lent else {}  # a study that its policy stops is still its project's
        told = event.Event(
            type=event.PHASE_CHANGED, ts=ts, experiment=experiment, phase=phase, reason=move.reason, actor=actor,
            facts=facts,
        )  # fmt: skip
    return write_down(root, told)


def go_to(root: Root, view: View, tier: str) -> Subject | None:
    """Move an experiment to the tier of its next run, where something else than the policy says which that is."""
    if tier == view.tier:
        return None
    return carry_out(root, view, Promote(tier=tier, reason="its next run is in that tier"), actor=POLICY)


def follow(root: Root, view: View, spec: Spec, tier: str) -> Subject | None:
    """Move a race's front to a tier above it, before the first run there. None where it is there already.

    Inside the section, before the claim. For every way in which a run begins that the race chose.
    """
    tiers = spec.fidelity_tiers
    if spec.fidelity_promotion_rule != ASHA or tiers.index(tier) <= tiers.index(view.tier):
        return None
    move = Promote(tier=tier, reason="the race's first candidate reached it")
    return carry_out(root, view, move, actor=POLICY)


def refused(root: Root, experiment: str, refusal: LabError) -> Subject | None:
    """Leave on its pages why a turn could begin no run, once for each reason. None where they have it already.

    What is wrong with the SPEC as a text they tell by themselves, and of what is not open nobody waits for a run.
    """
    with root.section(experiment):
        view, loaded = refresh.current(root, experiment)
        if loaded.spec is None or loaded.problem is not None or view.phase not in OPEN_PHASES:
            return None
        is_own = refusal.where.startswith(f"experiments/{experiment}/")
        what, where = (refusal.what, refusal.where) if is_own else (refusal.told, "")
        made = Stuck(what=what[:_REASON_CHARS], where=where, fix=refusal.fix[:_REASON_CHARS], spec=loaded.sha256)
        return None if view.stuck == made else _stuck(root, experiment, made)


def begun(root: Root, view: View) -> Subject | None:
    """Take that back, where it was so: a run was begun. Inside the section."""
    return None if view.stuck is None else _stuck(root, view.experiment, Stuck(what=""))


def _stuck(root: Root, experiment: str, made: Stuck) -> Subject:
    told = event.Event(
        type=event.RUN_REFUSED, ts=root.now(), experiment=experiment, actor=POLICY, reason=made.what, spec=made.spec,
        facts={name: text for name, text in (("where", made.where), ("fix", made.fix)) if text},
    )  # fmt: skip
    return write_down(root, told)


def _current(root: Root, experiment: str) -> View:
    view, loaded = refresh.current(root, experiment)
    return notice_edit(root, experiment, view, loaded)


def write_down(root: Root, told: event.Event) -> Subject:
    """The event, then its effect. From the event on it holds, whatever becomes of the pages."""
    ledger.append(root, told)
    try:
        return refresh.catch_up(root, told.experiment)
    except OSError as error:
        what = f"the decision is written down and holds, but the pages could not be written: {error.strerror}"
        raise Unavailable(what, where=str(error.filename or ""), fix="free some space, then: labctl refresh") from error


def _phase(  # the parts of a decision
    root: Root, experiment: str, phase: str, *, reason: str, actor: str, refused: tuple[str, ...], lent: str = ""
) -> Decided:
    experiments.require(root, experiment)
    with root.section(experiment):
        view = _current(root, experiment)
        if view.phase == ARCHIVED:
            back = to_open(experiment, ARCHIVED) if phase == QUEUED else f"labctl archive {experiment} --restore"
            raise BadInput(f"{experiment} is archived", fix=back)
        if phase == QUEUED and view.runs:
            phase = ACTIVE
        if view.phase in refused:
            raise BadInput(f"{experiment} is {view.phase}", fix=f"labctl resume {experiment} opens it again")
        decided = _move(root, view, phase, reason=reason, actor=actor, lent=lent)
    cleared(root, experiment, decided.phase)
    refresh.lab_pages(root)  # also where it was so: whoever made it so may have been killed before it told the lab
    return decided


def cleared(root: Root, experiment: str, phase: str) -> None:
    """Of a code loop that has ended: the trees that it kept for its next candidate. Outside the section."""
    if phase not in (COMPLETED, ARCHIVED):
        return
    spec = experiments.load(root, experiment).spec
    if spec is None or not scripts.is_loop(spec):
        return
    from lab.scheduler.loop import spent  # noqa: PLC0415  # git and all: most experiments are no code loops

    with root.section(experiment):
        view, _ = refresh.current(root, experiment)
    spent.clear(root, spec, view)


def _move(root: Root, view: View, phase: str, *, reason: str, actor: str, lent: str = "") -> Decided:
    """Append the event and bring the pages up. The caller has the section."""
    # Resuming what runs already still means something after a failure or a loss: it forgives the streak.
    forgiven = not view.failure_streak and not view.losses
    is_open = view.phase in OPEN_PHASES and forgiven and not view.lent
    same = is_open if phase in OPEN_PHASES else view.phase == phase
    same = same and not (phase == PAUSED and view.lent and not lent)  # or a person's pause would last to the next phase
    if same:
        return Decided(experiment=view.experiment, phase=view.phase, tier=view.tier, changed=False)
    told = event.Event(
        type=event.PHASE_CHANGED, ts=root.now(), experiment=view.experiment, phase=phase, reason=reason, actor=actor,
        facts={LENT: lent} if lent else {},
    )  # fmt: skip
    after = write_down(root, told).view
    return Decided(experiment=view.experiment, phase=after.phase, tier=after.tier, changed=True)
