"""Show the best runs of an experiment.

One line a run, best first: value, run, who chose its parameters, and the parameters in which these runs differ. Only
runs of one tier are compared: the one that the experiment is in, or --tier. On a noisy metric the first of these was
lucky as well as good; `labctl best` says which to take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from lab.cli.session import Session
    from lab.projections.tables import Line

EXAMPLE = "labctl top lr-sweep -n 5\nlabctl top lr-sweep --tier final --json"
_CELL_CHARS = 40
_ALIKE = 12  # names: of more, the rest is counted


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of what, and how many."""
    parser.add_argument("experiment", metavar="ID", help="the experiment")
    parser.add_argument("-n", "--count", type=int, default=10, metavar="N", help="so many runs (default 10)")
    parser.add_argument("--tier", default="", metavar="T", help="of this tier; else of the one it is in")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The first N."""
    from msgspec import to_builtins

    from lab.scheduler.results import table

    if args.count < 1:
        raise BadInput(f"-n {args.count} is below 1", fix="-n 10")
    found = table.read(session.root(), args.experiment)
    tier = table.tier_of(found, args.tier)
    ranked = table.require_some(found, tier)
    rows = ranked[: args.count]
    names = table.varying(rows)
    data = {
        "experiment": args.experiment,
        "tier": tier,
        "metric": found.metric(tier),
        "direction": found.direction(tier),
        "scored": len(ranked),
        "partly_luck": table.partly_luck(found, ranked),
        "varying": names,
        "runs": [
            {"rank": rank, "value": line.value, "run": line.run_id, "arm": line.maker, "params": line.params}
            | ({"origin": to_builtins(line.origin)} if line.origin else {})
            | ({"verdict": line.verdict} if line.verdict else {})
            for rank, line in enumerate(rows, start=1)
        ],
    }
    then = f"labctl {'show' if rows[0].verdict else 'params'} {rows[0].run_id}"
    return Answer(
        data,
        _lines(rows, names, data),
        warnings=found.warnings,
        then=[f"labctl best {args.experiment}" if data["partly_luck"] else then],
    )


def _lines(rows: Sequence[Line], names: Sequence[str], data: dict[str, object]) -> Iterator[str]:
    luck = "; the first is partly luck" if data["partly_luck"] else ""
    yield f"{data['experiment']}, tier {data['tier']}: {data['metric'] or 'value'}, {data['direction']}{luck}"
    head = [
        "#",
        "value",
        "run",
        "verdict" if any(line.verdict for line in rows) else "arm",
        *(_text(name) for name in names),
    ]
    body = [
        [
            str(rank),
            repr(line.value),
            line.run_id,
            line.verdict or line.maker or "-",
            *(_cell(line, name) for name in names),
        ]
        for rank, line in enumerate(rows, start=1)
    ]
    widths = [max(len(row[column]) for row in (head, *body)) for column in range(len(head))]
    for row in (head, *body):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    alike = _alike(rows, names)
    if alike:
        yield f"the same in all of these: {alike}"


def _alike(rows: Sequence[Line], names: Sequence[str]) -> str:
    """The parameters that have no column, as they are the same in each row: else they would seem to be none."""
    if len(rows) <= 1:
        return ""
    fixed = [name for name in rows[0].params or {} if name not in names]
    more = f" and {len(fixed) - _ALIKE} more" if len(fixed) > _ALIKE else ""
    return ", ".join(f"{_text(name)} {_cell(rows[0], name)}" for name in fixed[:_ALIKE]) + more


def _cell(line: Line, name: str) -> str:
    from json import dumps

    params = line.params or {}
    if name not in params:
        return "-"
    value = params[name]
    if isinstance(value, float):
        return f"{value:.6g}"
    return _text(value if isinstance(value, str) else dumps(value))


def _text(words: str) -> str:
    from lab.projections import text

    return text.line(words, _CELL_CHARS) or "''"
