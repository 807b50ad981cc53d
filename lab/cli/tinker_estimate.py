"""`labctl tinker estimate`: tokens and money of a training, before they are spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.columns import columns
from lab.cli.terminal import Answer
from lab.core.errors import DONE, FAILED, Interrupted, LabError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.core.chunk import Order
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.scheduler.results.foreseen import Estimated, Guess
    from lab.store.root import Root
    from lab.tinker.estimate import Estimate

SHARED = ("tier",)
TARGET = "an experiment"
_DASH = "-"
_BY = {"recipe": "as the recipe counts it, at most", "average": "as the steps so far took, on average"}


def arguments(parser: argparse._ArgumentGroup) -> None:
    """Nothing besides of what."""


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Ask the recipe, look at the chain, and hold both against the budget."""
    from msgspec import to_builtins

    from lab.scheduler.chaining import rehearsed
    from lab.scheduler.results import chained, foreseen, table

    root = session.root()
    spec = chained.require(root, args.target)
    seen = table.read(root, args.target)
    if args.tier:
        table.named(args.target, spec.fidelity_tiers, args.tier)
    order = rehearsed.next_order(root, seen.view, spec, args.tier)
    trained = chained.read(root, args.target)
    session.terminal.narrate("asking the recipe")
    recipe, problem = _asked(root, seen.view, spec, order)
    told = foreseen.of(spec, order, trained.links, recipe, problem)
    bad = any(guess.problem for guess in told.guesses)
    warnings = [*seen.warnings, *trained.missing, *([f"the recipe could not say: {problem}"] if problem else [])]
    code = FAILED if bad or not told.guesses else DONE
    return Answer(to_builtins(told), _lines(told), warnings=warnings, exit_code=code)


def _asked(root: Root, view: View, spec: Spec, order: Order) -> tuple[Estimate | None, str]:
    """What the recipe says, or why it says nothing."""
    import msgspec

    from lab.cli.signals import Signals
    from lab.cli.tinker_words import until
    from lab.scheduler.chaining import rehearsed
    from lab.tinker import beforehand
    from lab.tinker.estimate import Estimate

    signals = Signals()
    try:
        with signals:
            done = rehearsed.rehearse(root, view, spec, order, beforehand.ESTIMATE, watch=until(signals))
    except LabError as refused:
        return None, refused.what
    if signals.came():
        raise Interrupted("interrupted; no run was touched")
    if not done.went_well:
        return None, done.why
    for line in reversed(done.out.splitlines()):
        try:
            return msgspec.json.decode(line, type=Estimate), ""
        except msgspec.MsgspecError:
            continue
    return None, "it printed no estimate"


def _lines(told: Estimated) -> Iterator[str]:
    yield f"{told.experiment}, tier {told.tier}: steps {told.first_step} to {told.until}, {told.chunk_steps} a run"
    for guess in told.guesses:
        yield ""
        yield f"{_BY[guess.by]}:"
        yield from _guess(guess)
        if guess.problem:
            yield f"too much: {guess.problem}"
    if not told.guesses:
        yield "nothing can be told yet"
    yield ""
    yield f"used so far, of all tiers: {told.used_tokens:,} tokens, {_money(told.used_usd or None)} USD"
    tokens = _DASH if told.budget_tokens is None else f"{told.budget_tokens:,} tokens"
    usd = _DASH if told.budget_usd is None else f"{told.budget_usd:,.2f} USD"
    yield f"budget: {tokens}, {usd}"


def _guess(guess: Guess) -> Iterator[str]:
    head = ("", "steps", "trained", "sampled", "prefilled", "tokens", "USD")
    rows = [
        (
            each.what, f"{each.steps:,}", f"{each.trained:,}", f"{each.sampled:,}", f"{each.prefilled:,}",
            f"{each.tokens:,}", _money(each.usd),
        )
        for each in guess.pieces
    ]  # fmt: skip
    yield from columns(head, rows, left={0})


def _money(usd: float | None) -> str:
    return _DASH if usd is None else f"{usd:,.4f}"
