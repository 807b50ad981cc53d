"""Asking a model: set aside what it may take, ask, keep what it said. Never inside a section.

An answer takes up to minutes, and a section is for a few writes. So who meets `Open` inside a section leaves it, asks,
and comes again (`advised`). The calls and the money are set aside in the ledger before each call, inside the section:
several processes together never pass what the SPEC allows, and a crash in between counts as spent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from lab.core import canonical, event
from lab.core.errors import Busy, Interrupted, Taken, Unadvised, Unavailable
from lab.llm import contract, door
from lab.llm.exchange import BUDGET, STOPPED, UNCONFIGURED, Attempt, Consultation
from lab.projections import text
from lab.scheduler import places
from lab.scheduler.search.asking import asks
from lab.scheduler.search.asking.advice import digest
from lab.scheduler.search.asking.asks import Asked
from lab.scheduler.search.asking.purse import Purse, unpriced
from lab.scheduler.search.asking.question import Open
from lab.scheduler.step import ASKED, ASKING, Step
from lab.store import ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.llm.exchange import Ask
    from lab.llm.transport import Transport
    from lab.scheduler.search.asking.question import Question
    from lab.store.root import Root

    Tell = Callable[[Step], None]

T = TypeVar("T")
ROUNDS = 5  # others may use up what was answered before we come again
_NAME_CHARS = 80
_LONG = "x" * 10_000  # an answer that is to be repaired, longer than it is quoted


def advised(  # what is done, what it waits for already, and whom it is told to
    root: Root,
    act: Callable[[], T],
    *,
    interrupted: Callable[[], str],
    tell: Tell,
    wanting: Unadvised | None = None,
) -> T:
    """Do it; where it waits for a model's word, ask the model, and do it again.

    `wanting` is what it said already, where that was tried: then the model is asked first.
    `Interrupted` when a person stopped that, `Unavailable` when it failed and the SPEC wants no run without it.
    """
    for _ in range(ROUNDS + 1):
        if isinstance(wanting, Open):
            ask(root, wanting.question, interrupted=interrupted, tell=tell)
        elif wanting is not None:  # a strategy that wants a word where nobody could give it one
            raise wanting
        try:
            return act()
        except Unadvised as open_:
            wanting = open_
    raise Busy("others have used what the model answered, each time before it could be used here", fix="try again")


def ask(root: Root, given: Question, *, interrupted: Callable[[], str], tell: Tell) -> None:
    """One question and its answer, kept. Whatever the model does, there is an answer or a problem to go on with."""
    try:
        _ask(root, given, interrupted=interrupted, tell=tell)
    except Taken:  # by another process, while this one was on its way
        return


def _ask(root: Root, given: Question, *, interrupted: Callable[[], str], tell: Tell) -> None:
    name, model = given.view.experiment, given.model
    asked_at = root.now()
    wanted = given.asked(root)
    purse = Purse(root, given)
    wrong = door.problems(model, root.world.environ)
    if wrong:
        said = Consultation(problem=UNCONFIGURED, what="; ".join(wrong))
    elif not purse.set_aside(wanted, _repair(wanted)) and not purse.set_aside(wanted):
        if purse.is_held:
            raise Busy(
                f"{purse.limit}, some of it set aside by a question that is under way", fix="wait for its answer"
            )
        said = Consultation(problem=BUDGET, what=purse.limit)
    else:
        tell(Step(kind=ASKING, experiment=name, what=f"{_who(given)} for {given.wants()}"))
        said = _consulted(_way(root, given), wanted, given, purse, lambda: bool(interrupted()))
    with root.section(name):
        kept = _kept(given, said, purse, asked_at=asked_at, answered_at=root.now())
        before = _said_before(root, given, kept, purse.highest())
        if before is None:
            data = asks.keep(root, kept, durable=given.spec.durability == "full")
            _answered(root, kept, canonical.digest(data))
        elif purse.ask:
            _answered(root, kept, "")  # what was set aside is given back
    kept = before or kept
    tell(Step(kind=ASKED, experiment=name, what=_outcome(given, kept)))
    if said.problem == STOPPED:
        raise Interrupted(f"stopped by {interrupted() or 'a person'} while {_who(given)} was asked")
    if kept.problem and given.is_needed:
        what = f"{name} makes no run without its model: {kept.problem}: {kept.what}"
        raise Unavailable(what, where=f"experiments/{name}/asks/{kept.ask}.json", fix="see what was asked there")


def _said_before(root: Root, given: Question, kept: Asked, highest: int) -> Asked | None:
    """The newest question, where this one was not sent for the very reason that it tells.

    Who stops without its model asks at each turn of the crank: a file for each would fill the disk in the end.
    """
    if kept.calls or not kept.problem or not given.is_needed:
        return None
    last = next(iter(asks.Asks(root, given.view.experiment).newest(highest)), None)
    is_same = last is not None and (last.of, last.problem, last.what) == (kept.of, kept.problem, kept.what)
    return last if is_same else None


def _consulted(way: Transport, wanted: Ask, given: Question, purse: Purse, stop: Callable[[], bool]) -> Consultation:
    timeout_s = given.model.timeout_s
    return contract.consult(wanted, way, given.checked, timeout_s=timeout_s, stop=stop, spend=purse.spend)


def _way(root: Root, given: Question) -> Transport:
    model = given.model
    if model.transport != "command":
        return door.transport(model, root.world.environ)
    from lab.scheduler.agents.process import AgentProcess  # noqa: PLC0415  # most models are no program

    there = places.workspace(root, given.spec, given.view)
    folders = (*([there] if there else []), *places.folders(root, given.view))
    if model.max_usd is not None:  # an agent that can hold itself to a budget is given that of one call
        model = msgspec.structs.replace(model, max_usd=unpriced(model))
    more = (model.api_key_env,) if model.api_key_env else ()
    return door.transport(model, root.world.environ, AgentProcess(root, given.spec, more=more, folders=folders))


def _repair(wanted: Ask) -> Ask:
    """The longest that a repair of this question can be: set aside together with it, it costs the ledger no line."""
    return contract.repair(wanted, Attempt(text=_LONG), [_LONG[:300]] * 21)


def _kept(given: Question, said: Consultation, purse: Purse, *, asked_at: str, answered_at: str) -> Asked:
    """Everything about the exchange, for the disk. What an attempt took that nobody told is what was set aside."""
    ask_id = purse.ask or purse.named(purse.highest())
    noted, model, used = given.noted(ask_id, said.value), given.model, said.used
    costs = [
        worst if attempt.used.usd is None else attempt.used.usd
        for attempt, worst in zip(said.attempts, purse.worst_usd, strict=False)
    ]
    is_known = model.max_usd is not None or all(attempt.used.usd is not None for attempt in said.attempts)
    return Asked(
        ask=ask_id,
        experiment=given.view.experiment,
        tier=given.tier,
        number=noted.number,
        seen=noted.seen,
        seed=noted.seed,
        of=digest(model),
        transport=model.transport,
        model=model.model or model.provider or model.command,
        answered_by=text.line(next((each.model for each in reversed(said.attempts) if each.model), ""), _NAME_CHARS),
        about=noted.about,
        template=noted.template,
        asked_at=asked_at,
        answered_at=answered_at,
        problem=said.problem,
        what=said.what,
        repairs=said.repairs,
        calls=sum(not attempt.unsent for attempt in said.attempts),
        usd=round(sum(costs), 9) if is_known else None,
        sent=used.sent,
        answered=used.answered,
        candidates=noted.candidates,
        refused=said.complaints,
        attempts=said.attempts,
    )


def _answered(root: Root, kept: Asked, sha256: str) -> None:
    tokens = (kept.sent or 0) + (kept.answered or 0)
    facts: dict[str, str | int | float | bool | None] = {
        "calls": kept.calls, "usd": kept.usd, "tokens": tokens, "problem": kept.problem,
        "sha256": sha256,
    }  # fmt: skip
    told = event.Event(
        type=event.MODEL_ANSWERED, ts=kept.answered_at, experiment=kept.experiment, name=kept.ask, tier=kept.tier,
        facts=facts,
    )  # fmt: skip
    ledger.append(root, told)


def _who(given: Question) -> str:
    model = given.model
    return model.model or model.provider or model.transport


def _outcome(given: Question, kept: Asked) -> str:
    calls = "1 call" if kept.calls == 1 else f"{kept.calls} calls"
    cost = f", {kept.usd:.4g} USD" if kept.usd else ""
    if kept.problem:
        return f"{_who(given)}: {kept.problem}: {kept.what} ({kept.ask}, {calls}{cost})"
    repaired = ", repaired" if kept.repairs else ""
    return f"{kept.answered_by or _who(given)} {given.told(kept)} ({kept.ask}, {calls}{cost}{repaired})"
