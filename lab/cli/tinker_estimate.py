"""`labctl tinker estimate`: tokens and money of a training, before they are spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import tinker_words as words
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
_BY = {"recipe": "as the recipe counts it, at most", "average": "as the steps so far took, on average"}


def arguments(parser: argparse._ArgumentGroup) -> None:
    """Nothing besides of what."""


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Ask the recipe, look at the chain, and hold both against the budget."""
    from msgspec import to_builtins

    from lab.core import allowance
    from lab.scheduler.chaining import rehearsed
    from lab.scheduler.results import chained, foreseen, table

    root = session.root()
    spec = chained.require(root, args.target)
    seen = table.read(root, args.target)
    if args.tier:
        table.named(args.target, spec.fidelity_tiers, args.tier)
    order = rehearsed.next_order(root, seen.view, spec, args.tier)
    trained = chained.read(root, args.target)
    recipe = None
    if not allowance.is_over(seen.view, spec, order.tier):
        session.terminal.narrate("asking the recipe")
        recipe = _asked(root, seen.view, spec, order)
    runs_left = max(0, spec.max_iterations_total - seen.view.iterations) if spec.strategy else None
    told = foreseen.of(spec, order, trained.links, recipe, runs_left)
    bad = bool(told.problem) or any(guess.problem for guess in told.guesses)
    then = [f"{told.fix}; then labctl tinker estimate {args.target}"] if told.fix else []
    warnings = [*seen.warnings, *trained.missing]
    return Answer(to_builtins(told), _lines(told), warnings=warnings, then=then, exit_code=FAILED if bad else DONE)


def _asked(root: Root, view: View, spec: Spec, order: Order) -> Estimate | LabError:
    """What the recipe says, or why it says nothing."""
    import msgspec

    from lab.cli.signals import Signals
    from lab.scheduler.chaining import rehearsed
    from lab.tinker import beforehand
    from lab.tinker.estimate import Estimate

    signals = Signals()
    try:
        with signals:
            done = rehearsed.rehearse(root, view, spec, order, beforehand.ESTIMATE, watch=words.until(signals))
    except LabError as refused:
        return refused
    if signals.came():
        raise Interrupted("interrupted; no run was touched")
    if not done.went_well:
        return done.complaint
    for line in reversed(done.out.splitlines()):
        try:
            return msgspec.json.decode(line, type=Estimate)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
    return LabError("it printed no estimate")


def _lines(told: Estimated) -> Iterator[str]:
    from lab.projections import text

    of = f"{told.experiment}, tier {told.tier}"
    if told.is_over:
        left = "nothing is left" if told.chunk_steps else "the next run measures the end"
        yield f"{of}: {text.count(told.first_step, 'step')} done, and {left}"
    elif told.is_chain:
        yield f"{of}: steps {told.first_step} to {told.until}, {told.chunk_steps} a run"
    else:
        yield f"{of}: whole trainings of {told.until} steps"
        yield "for the default parameters; others may use more"
    if told.problem:
        yield f"the recipe could not say: {text.line(told.problem.splitlines()[0])}"
        yield from words.indented(told.problem)
    for guess in told.guesses:
        yield ""
        yield f"{_BY[guess.by]}:"
        yield from _guess(guess)
        if guess.problem:
            yield f"too much: {guess.problem}"
    yield ""
    used = f"used so far, of all tiers: {told.used_tokens:,} tokens"
    yield used + (f", {words.money(told.used_usd)[0]} USD" if told.used_usd else "")
    yield f"budget: {words.budget(told.budget_tokens, told.budget_usd)}"


def _guess(guess: Guess) -> Iterator[str]:
    priced = [each.usd for each in guess.pieces if each.usd is not None]
    head = ["", "steps", "trained", "sampled", "prefilled", "tokens", *(["USD"] if priced else [])]
    sums = words.money(*priced) if priced else []
    rows = [
        [
            each.what, f"{each.steps:,}", f"{each.trained:,}", f"{each.sampled:,}", f"{each.prefilled:,}",
            f"{each.tokens:,}", *sums[number : number + 1],
        ]
        for number, each in enumerate(guess.pieces)
    ]  # fmt: skip
    yield from columns(head, rows, left={0})
