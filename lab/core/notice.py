"""A notice: what a person wants to hear of without looking. Which follow from a change, which are sent. Pure.

A notice says that something happened, to what, and where to look. It never carries text that a run wrote (no log, no
reason of a failure, no parameter): it goes to places that the lab does not know.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, failing
from lab.core.errors import BadInput, nearest
from lab.core.proposal import RESUME
from lab.core.record import Record
from lab.core.view import AWAITING, OPEN_PHASES, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lab.core.spec_fields import Spec
    from lab.core.subject import Subject
    from lab.core.view import View

APPROVAL, BEST, FAILING, BUDGET, INTEGRITY, DIGEST, TEST, MORE = (
    "needs-approval", "new-best", "repeated-failure", "budget", "integrity", "digest", "test", "held-back",
)  # fmt: skip
KINDS = (APPROVAL, BEST, FAILING, BUDGET, INTEGRITY, DIGEST)
SILENT, ALL = "silent", "all"
SHARES = (0.8, 1.0)
WINDOW_S = 3_600.0
# Damage stays until somebody mends it: once a day is enough.
_AGAIN_S = {INTEGRITY: 86_400.0}
_KEYS_KEPT = 2_000
_MOST_AN_HOUR = 1_000
_REST_S = 600.0
_CHARS = 200
_HOUR_S = 3_600.0
_VARIABLE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]{0,127}")


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What is told. Two with one `key` are the same news."""

    kind: str
    what: str
    key: str
    experiment: str = ""
    run_id: str = ""
    fix: str = ""
    channels: tuple[str, ...] = (ALL,)  # as the SPEC has it: names of channels, all, or silent


# -- what is configured ----------------------------------------------------------------------------------------------


class Channel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A way out: exactly one of `webhook`, `command` and `apprise`. `$NAME` stands for a variable's value."""

    name: str
    webhook: str = ""
    headers: dict[str, str] = {}
    command: tuple[str, ...] = ()
    apprise: str = ""
    kinds: tuple[str, ...] = KINDS


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """control/notify.json. `always` are kinds that go out although a SPEC says silent."""

    channels: tuple[Channel, ...] = ()
    always: tuple[str, ...] = ()
    again_after_minutes: float = 60.0
    most_an_hour: int = 20


def parse(data: bytes, where: str) -> Config:
    """The configuration in these bytes, or `BadInput` that says what it must be."""
    fix = "see docs/how-to/steer.md; try it with: labctl notify test"
    try:
        config = msgspec.json.decode(data, type=Config)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"the notices cannot be configured so: {error}", where=where, fix=fix) from error
    for problem in _problems(config):
        raise BadInput(problem, where=where, fix=fix)
    return config


def _problems(config: Config) -> Iterator[str]:
    seen: set[str] = set()
    for channel in config.channels:
        name = channel.name
        if not name.isprintable() or not name.strip() or name in (SILENT, ALL) or name in seen:
            yield f"a channel cannot be called {name[:60]!r}: names are words of their own, not {SILENT} or {ALL}"
        seen.add(name)
        if sum(map(bool, (channel.webhook, channel.command, channel.apprise))) != 1:
            yield f"the channel {name} needs exactly one of webhook, command and apprise"
        if channel.webhook and not channel.webhook.startswith(("https://", "http://", "$")):
            yield f"the webhook of {name} must begin with https:// or http://, or be $NAME of a variable"
        if channel.webhook.startswith("$") and not _VARIABLE.fullmatch(channel.webhook):
            yield f"the webhook of {name} is no name of a variable"
        yield from _unknown_kinds(channel.kinds, f"the channel {name}")
    yield from _unknown_kinds(config.always, "always")
    if not 0 <= config.again_after_minutes <= 7 * 24 * 60:
        yield "again_after_minutes must be from 0 to a week"
    if not 1 <= config.most_an_hour <= _MOST_AN_HOUR:
        yield f"most_an_hour must be from 1 to {_MOST_AN_HOUR}"


def _unknown_kinds(kinds: Sequence[str], where: str) -> Iterator[str]:
    for kind in kinds:
        if kind not in KINDS:
            close = nearest(kind[:60], KINDS)
            yield f"{where} names {kind[:60]!r}, which is none of: {', '.join(KINDS)}" + (
                f"; is it {close}?" if close else ""
            )


# -- what follows from a change --------------------------------------------------------------------------------------


def of_change(before: View | None, subject: Subject) -> list[Notice]:
    """The news between two looks at an experiment. With no earlier look, what is so now is news."""
    after = subject.view
    # Where nobody can read where notices go, they go everywhere.
    channels = subject.spec.notify if subject.spec else (ALL,)
    found = [
        *_asks(before, after),
        *_best(before, after),
        *_failing(before, after),
        *_damage(subject),
        *_unusable(subject),
    ]
    if subject.spec is not None:
        found += _budgets(before, subject)
    return [msgspec.structs.replace(each, experiment=after.experiment, channels=channels) for each in found]


def of_waiting(view: View, spec: Spec | None) -> list[Notice]:
    """What an experiment waits for, whoever asked for it, and whether that was told before or not."""
    channels = spec.notify if spec else (ALL,)
    told = [each for each in _asks(None, view) if not each.key.endswith("/")]
    return [msgspec.structs.replace(each, experiment=view.experiment, channels=channels) for each in told]


def approval(experiment: str, proposal_id: str) -> str:
    """The key of the notice that a proposal waits."""
    return f"{experiment}/approval/{proposal_id}"


def _asks(before: View | None, after: View) -> Iterator[Notice]:
    name = after.experiment
    known = {each.proposal for each in before.waiting} if before else set()
    resume = next((each.proposal for each in after.waiting if each.kind == RESUME), "")
    was = before.phase if before else ""
    if after.phase == AWAITING and (was != AWAITING or (resume and resume not in known)):
        fix = f"labctl approve {resume}" if resume else f"labctl resume {name}"
        waits = after.pursuit.unapproved if after.pursuit is not None else ""
        fix = f"labctl research approve {name} --release {waits}" if waits else fix
        yield Notice(kind=APPROVAL, what=f"{name} waits for a person", key=approval(name, resume), fix=fix)
    for each in after.waiting:
        if each.proposal not in known and not (each.kind == RESUME and after.phase == AWAITING):
            what = f"{name} asks for approval to {each.kind}"
            yield Notice(
                kind=APPROVAL, what=what, key=approval(name, each.proposal), fix=f"labctl approve {each.proposal}"
            )


def _best(before: View | None, after: View) -> Iterator[Notice]:
    """An improvement on an earlier best of the same tier. The first value of a tier is none."""
    best, tier = after.best, after.tiers.get(after.tier, Tier())
    if best is None or best.value is None or tier.successes < 2:  # noqa: PLR2004  # an improvement takes two
        return
    old = before.bests.get(after.tier) if before else None
    if old is not None and old.run_id == best.run_id:
        return
    if before is None and after.last != best:
        return  # it was the best before we looked
    what = f"{after.experiment} has a new best: {best.metric or 'value'} {best.value!r} in the tier {best.tier}"
    fix = f"labctl show {best.run_id}"
    yield Notice(kind=BEST, what=what, key=f"{after.experiment}/best/{best.tier}", run_id=best.run_id, fix=fix)


def _failing(before: View | None, after: View) -> Iterator[Notice]:
    """So many failures in a row that ended alike. The cause itself is not told: it may quote a log."""
    last = failing.alike(after)
    if last is None or (before is not None and before.runs >= after.runs):
        return
    what = f"{after.experiment}: {after.failure_streak} failures in a row, the last {failing.ALIKE} with one cause"
    what += f" ({last.outcome})"
    if failing.unmeasured(last):
        what = f"{after.experiment}: the last {failing.ALIKE} changes were discarded before they were run, alike"
    key = f"{after.experiment}/failing/{failing.cause(last)}"
    fix = f"labctl show {last.run_id}"
    yield Notice(kind=FAILING, what=what, key=key, run_id=last.run_id, fix=fix)


def _budgets(before: View | None, subject: Subject) -> Iterator[Notice]:
    after, spec = subject.view, subject.spec
    if spec is None:
        return
    stop = spec.for_tier(after.tier).stop_conditions if after.tier in spec.fidelity_tiers else spec.stop_conditions
    limits = (
        ("runs", after.iterations, before.iterations if before else 0, float(spec.max_iterations_total)),
        ("hours", after.wall_s / _HOUR_S, before.wall_s / _HOUR_S if before else 0.0, stop.budget_hours),
        ("cost", after.cost, before.cost if before else 0.0, stop.budget_cost),
    )
    for name, now, was, most in limits:
        crossed = [share for share in SHARES if most and was < share * most <= now]
        if crossed and most:
            percent = round(crossed[-1] * 100)
            what = f"{after.experiment} has used {percent} % of its {name}: {now:.6g} of {most:.6g}"
            key = f"{after.experiment}/budget/{name}/{percent}"
            yield Notice(kind=BUDGET, what=what, key=key, fix=f"labctl show {after.experiment}")


def _damage(subject: Subject) -> Iterator[Notice]:
    """What is wrong with something sealed. A SPEC that cannot be used is its author's to see."""
    runs = f"experiments/{subject.view.experiment}/runs/"
    bad = [each for each in subject.findings if each.where.startswith(runs)]
    if bad:
        told = "".join(sorted(f"{each.where} {each.what}\n" for each in bad))
        yield damaged(len(bad), bad[0].where, told)


def _unusable(subject: Subject) -> Iterator[Notice]:
    """An experiment that should run and cannot, because of what its SPEC says."""
    name = subject.view.experiment
    if (subject.spec is None or subject.is_refused) and subject.view.phase in OPEN_PHASES:
        cause = subject.findings[0].what if subject.findings else "its SPEC cannot be used"
        key = f"{name}/spec/{canonical.digest(canonical.plain(cause).encode())[:16]}"
        yield Notice(
            kind=FAILING,
            what=f"{name} does not run: its SPEC.yaml cannot be used",
            key=key,
            fix=f"labctl validate {name}",
        )


def damaged(count: int, where: str, told: str) -> Notice:
    """The alarm that something sealed is not as it was. `told` makes it the same alarm, or another."""
    what = f"integrity alarm: {count} {'place is' if count == 1 else 'places are'} not as sealed, first: {where}"
    key = f"integrity/{canonical.digest(canonical.plain(told).encode())[:16]}"
    return Notice(kind=INTEGRITY, what=what, key=key, fix="labctl verify")


def digest_written(kind: str, name: str) -> Notice:
    return Notice(kind=DIGEST, what=f"the {kind} digest of {name} is written", key=f"digest/{kind}/{name}")


# -- what is sent of it ----------------------------------------------------------------------------------------------


class Channelled(msgspec.Struct, frozen=True, kw_only=True):
    """How a channel did lately: until when it rests after a failure, why, and how many notices it missed."""

    rests_until_s: float = 0.0
    problem: str = ""
    missed: int = 0


class State(Record, frozen=True, kw_only=True):
    """registry/notices.json: what was sent and when, in seconds of the epoch. Losing it costs a notice sent twice."""

    sent: dict[str, float] = msgspec.field(default_factory=dict)
    window: tuple[float, ...] = ()  # when those of the last hour were sent
    held: int = 0  # not sent since, because there were too many
    channels: dict[str, Channelled] = msgspec.field(default_factory=dict)


def wanted(config: Config, notices: Iterable[Notice]) -> list[Notice]:
    """Those that a channel and the SPEC both want."""
    kinds = {kind for channel in config.channels for kind in channel.kinds}
    return [
        each
        for each in notices
        if each.kind == TEST or (each.kind in kinds and (each.kind in config.always or SILENT not in each.channels))
    ]


def admit(config: Config, state: State, notices: Iterable[Notice], now_s: float) -> tuple[list[Notice], State]:
    """Which of these go out now, and the state after that. The same news waits; too much of it becomes one notice."""
    sent = dict(state.sent)
    window = [at for at in state.window if abs(now_s - at) < WINDOW_S]  # a clock that jumped back forgets nothing
    fresh: list[Notice] = []
    for each in notices:
        again_s = max(_AGAIN_S.get(each.kind, 0.0), config.again_after_minutes * 60.0)
        once = each.kind == APPROVAL and not each.key.endswith("/")  # no two proposals have one id
        if each.key not in sent or (not once and abs(now_s - sent[each.key]) >= again_s):
            sent[each.key] = now_s
            fresh.append(each)
    room = max(0, config.most_an_hour - len(window))
    go, stay, held = fresh[:room], fresh[room:], state.held
    window += [now_s] * len(go)
    if go and held:
        go.append(_more(f"{held} more notices were held back before this one"))
        held = 0
    if stay and not held:
        go.append(_more(f"more than {config.most_an_hour} notices in an hour: the rest is held back for a while"))
    newest = sorted(sent.items(), key=lambda pair: pair[1])[-_KEYS_KEPT:]
    after = msgspec.structs.replace(state, sent=dict(newest), window=tuple(window), held=held + len(stay))
    return go, after


def _more(what: str) -> Notice:
    return Notice(kind=MORE, what=what, key=MORE, fix="labctl status")


def for_channel(config: Config, channel: Channel, notices: Iterable[Notice]) -> list[Notice]:
    """Those that one channel is to have."""
    chosen = []
    for each in notices:
        named = ALL in each.channels or channel.name in each.channels or each.kind in config.always
        if (named and each.kind in channel.kinds) or each.kind in (MORE, TEST):
            chosen.append(each)
    return chosen


def after_sending(state: State, name: str, problem: str, missed: int, now_s: float) -> State:
    """The state after a channel was used. One that failed rests, so that it costs its time only now and then."""
    known = state.channels.get(name, Channelled())
    if problem:
        known = Channelled(rests_until_s=now_s + _REST_S, problem=problem[:_CHARS], missed=known.missed + missed)
    else:
        known = Channelled()
    return msgspec.structs.replace(state, channels={**state.channels, name: known})


def rested(state: State, name: str, missed: int) -> State:
    """The state after a resting channel missed some."""
    known = state.channels.get(name, Channelled())
    known = msgspec.structs.replace(known, missed=known.missed + missed)
    return msgspec.structs.replace(state, channels={**state.channels, name: known})


def rests(state: State, name: str, now_s: float) -> bool:
    """Whether a channel failed a moment ago."""
    until_s = state.channels.get(name, Channelled()).rests_until_s
    return now_s < until_s <= now_s + _REST_S


def body(each: Notice, *, at: str, lab: str) -> dict[str, object]:
    """What a webhook or a command is given. `text` is the key that chat services read."""
    lead = "" if each.kind in (MORE, TEST) else f"{each.kind}: "
    return {
        "schema": "labctl.notice/1",
        "kind": each.kind,
        "what": each.what,
        "experiment": each.experiment,
        "run": each.run_id,
        "fix": each.fix,
        "lab": lab,
        "at": at,
        "text": f"[{lab}] {lead}{each.what}" + (f" - {each.fix}" if each.fix else ""),
    }


def value(written: str, environ: Mapping[str, str]) -> str:
    """What a setting stands for: itself, or the variable that it names. `BadInput` names one that is not set."""
    if not _VARIABLE.fullmatch(written):
        return written
    found = environ.get(written[1:], "")
    if not found:
        raise BadInput(f"the variable {written[1:]} is not set", fix="cron has few variables: set it in the crontab")
    return found


def shown(written: str) -> str:
    """A setting without what may be secret in it: an address ends at its host."""
    if _VARIABLE.fullmatch(written):
        return written
    scheme, colon, rest = written.partition("://")
    return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}/..." if colon else "..."
