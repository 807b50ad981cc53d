"""Show the scores of an evaluated model, and with OTHER what is better, worse, or not to be told.

Each is a run, an experiment for the run to take of it (`labctl best`), or a results file that lm_eval wrote (whatever
has a / or ends with .json), for which no lab is needed. Of two, OTHER is held against the first: a difference counts
only beyond --better-by times the two standard errors together, and only where task hashes, versions and numbers of
examples say that both were asked the same. Where lm_eval gives no standard error nobody can tell. What is not
comparable is said, and is no failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.core.scores import Comparison, Pair, Score
    from lab.scheduler.results.evals import Evals, Side

EXAMPLE = """labctl evals lm-eval
labctl evals RUN-20261121-093000-000000-critic RUN-20261121-094500-000000-critic --better-by 3
labctl evals out/base/results_2026-11-21T09-30-00.000000.json lm-eval --json"""
MOST = 100.0
_CELL_CHARS = 200


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which, and what a difference must be to count."""
    parser.add_argument("first", metavar="RUN", help="a run, an experiment, or a results file of lm_eval")
    parser.add_argument("second", nargs="?", default="", metavar="OTHER", help="what is held against it")
    parser.add_argument(
        "--better-by", type=float, default=None, metavar="K",
        help="a difference counts beyond so many times the two standard errors together (else as OTHER's SPEC says; 2)",
    )  # fmt: skip


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The scores, or two beside each other."""
    from msgspec import to_builtins

    from lab.scheduler.results import evals

    if args.better_by is not None and not 0 <= args.better_by <= MOST:
        raise BadInput(f"--better-by {args.better_by:g} is not between 0 and {MOST:g}", fix="--better-by 2")
    found = evals.look(session.root, args.first, args.second, better_by=args.better_by)
    return Answer(to_builtins(found), _lines(found), warnings=found.notes)


def _lines(found: Evals) -> Iterator[str]:
    if found.second is None or found.comparison is None:
        yield _head(found.first)
        yield from (_score(each, found.first) for each in found.first.told.scores)
        return
    yield f"--- {_head(found.first)}"
    yield f"+++ {_head(found.second)}"
    yield from (_pair(each) for each in found.comparison.pairs)
    for sign, names in zip("-+", found.comparison.only, strict=True):
        yield from (f"{sign}{_text(name)}" for name in names)
    yield _verdict(found.comparison)


def _head(side: Side) -> str:
    return f"{_text(side.name)}: {_text(side.model) or 'a model that is not named'}"


def _score(each: Score, side: Side) -> str:
    shots, asked = side.told.shots.get(each.task), side.told.samples.get(each.task)
    words = [_number(each.value, each.stderr)]
    words += [f"{asked:,} questions"] if asked is not None else []
    words += [f"{shots} examples in front"] if shots else []
    return f" {_text(each.name)}: {', '.join(words)}"


def _pair(each: Pair) -> str:
    one, other = (_number(value, spread) for value, spread in zip(each.values, each.stderrs, strict=True))
    told = f" {_text(each.name)}: {one}, {other}; {each.verdict}"
    if each.why:
        return f"{told}: {_text(each.why)}"
    if each.gain is None or each.needed is None:
        return told
    return f"{told} (better by {each.gain:.6g}, and more than {each.needed:.6g} counts)"


def _verdict(found: Comparison) -> str:
    from lab.core import scores

    counts = ", ".join(f"{found.count(verdict)} {verdict}" for verdict in scores.VERDICTS if found.count(verdict))
    return f"@@ {counts or 'no score is in both'}; beyond {found.better_by:g} standard errors @@"


def _number(value: float, spread: float | None) -> str:
    return f"{value:.6g} ± N/A" if spread is None else f"{value:.6g} ± {spread:.3g}"


def _text(words: str) -> str:
    from lab.projections import text

    return text.line(words, _CELL_CHARS)
