"""Show, check or sample a search space.

TARGET is an experiment, a SPEC, or a search-space file. `show` lists its parameters, its constraints, how many points
it has and the baseline. `check` also draws points: it says which share meets the constraints, refuses a space that no
point meets, and tells which of an experiment's runs lie outside its space as it is now. `sample` prints points, one a
line, as they would be handed to a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer, escaped
from lab.core.errors import BadInput, NotFound

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.core.parameter import Parameter
    from lab.core.space import Space
    from lab.scheduler.search.spaces import Found, Outside

EXAMPLE = "labctl space show lr-sweep\nlabctl space check search_space.json\nlabctl space sample lr-sweep -n 5 --seed 1"
MOST_SAMPLES = 100_000
_CELL_CHARS = 60
_LISTED = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do with which space."""
    parser.add_argument("action", choices=("show", "check", "sample"), help="look, judge, or draw points")
    parser.add_argument("target", metavar="TARGET", help="an experiment, a SPEC, or a search-space file")
    parser.add_argument("--search-space", default="", metavar="PATH", help="of an experiment: this space instead")
    parser.add_argument("-n", "--count", type=int, default=10, metavar="N", help="sample: so many points (default 10)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="sample: which luck; the same draws the same")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """One of the three."""
    found, experiment = _found(args.target, args.search_space, session)
    if args.action == "show":
        return _show(found)
    if args.action == "check":
        return _check(found, experiment, session)
    return _sample(found, args.count, args.seed)


def _found(target: str, given: str, session: Session) -> tuple[Found, str]:
    """The space, and the experiment that it is of; an empty name for a file."""
    import os

    from lab.core.layout import Layout
    from lab.scheduler.search import spaces

    is_experiment = "/" not in target and os.path.isdir(Layout(session.path).experiment(target))
    if is_experiment:
        found = spaces.of(session.root(), target, given)
    elif os.path.isfile(os.path.expanduser(target)):
        if given:
            raise BadInput(f"{target} is a file already", fix="leave --search-space out, or name an experiment")
        found = spaces.in_file(session.root(existing=False), os.path.expanduser(target))
    else:
        what = f"there is neither an experiment nor a file {target}"
        raise NotFound(what, where=session.path, fix="labctl list shows the experiments; a file is seen from here")
    if found is None:
        fix = "put search_space.json into its workspace, or write search_space in its SPEC"
        raise NotFound(f"{target} has no search space", fix=fix)
    return found, target if is_experiment else ""


def _data(found: Found) -> dict[str, object]:
    from msgspec import to_builtins

    from lab.core import assignment

    space = found.space
    return {
        "where": found.where,
        "digest": found.digest,
        "parameters": [to_builtins(each) for each in space.parameters],
        "constraints": list(space.constraints),
        "points": assignment.size(space),
        "baseline": assignment.baseline(space),
    }


def _show(found: Found) -> Answer:
    data = _data(found)
    return Answer(data, _page(found.space, data), warnings=_of_defaults(found.space))


def _of_defaults(space: Space) -> list[str]:
    from lab.core import assignment

    given = [each.name for each in space.parameters if _has_default(each)]
    if given and assignment.baseline(space) is None:
        return [f"the defaults of {', '.join(given)} break a constraint, so there is no baseline"]
    return []


def _page(space: Space, data: dict[str, object]) -> Iterator[str]:
    yield str(data["where"])
    head = ["name", "kind", "values", "scale", "step", "default", "when"]
    rows = [head, *(_row(each) for each in space.parameters)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    for text in space.constraints:
        yield f"constraint: {text}"
    points = data["points"]
    yield "points: too many to count" if points is None else f"points: {_at_most(space)}{points:,}"
    yield f"baseline: {_json(data['baseline']) if data['baseline'] is not None else 'none'}"


def _at_most(space: Space) -> str:
    return "at most " if space.constraints or any(each.when for each in space.parameters) else ""


def _row(parameter: Parameter) -> list[str]:
    from lab.projections import points

    is_number = parameter.kind in ("float", "int")
    step = "" if parameter.step is None else repr(parameter.step)
    default = _json(parameter.default) if _has_default(parameter) else "-"
    scale = ("log" if parameter.log else "linear") if is_number else "-"
    counts = points.when(parameter) or "-"
    cells = [parameter.name, parameter.kind, points.values(parameter), scale, step or "-", default, counts]
    return [_text(cell) for cell in cells]


def _has_default(parameter: Parameter) -> bool:
    from msgspec import UNSET

    return parameter.default is not UNSET


def _check(found: Found, experiment: str, session: Session) -> Answer:
    from lab.scheduler.search import spaces

    share = spaces.share_met(found.space, found.where)
    history = spaces.outside(session.root(), experiment, found.space) if experiment else None
    data = _data(found) | {"share_met": share}
    lines = [f"valid: {len(found.space.parameters)} parameters ({found.where})"]
    if found.space.constraints:
        lines.append(f"constraints: {share:.1%} of the points meet them")
    warnings = _of_defaults(found.space)
    if history is not None:
        warnings += spaces.unfilled(session.root(), experiment, found.space)
        data |= {"runs": history.runs, "outside": list(history.names)}
        lines += _of_history(history)
        if history.names:
            warnings.append(f"{len(history.names)} of {history.runs} runs lie outside the space as it is now")
    return Answer(data, lines, warnings=warnings)


def _of_history(history: Outside) -> list[str]:
    if not history.runs:
        return ["history: no runs with parameters"]
    lines = [f"history: {history.runs - len(history.names)} of {history.runs} runs are points of this space"]
    lines += [f"  {name}: {why}" for name, why in history.names.items()][:_LISTED]
    more = len(history.names) - _LISTED
    return [*lines, f"  and {more} more"] if more > 0 else lines


def _sample(found: Found, count: int, seed: int) -> Answer:
    from lab.core import assignment
    from lab.core.trial import luck

    if not 1 <= count <= MOST_SAMPLES:
        raise BadInput(f"-n {count} is not between 1 and {MOST_SAMPLES:,}", fix="-n 10")
    points = [assignment.draw(found.space, luck(seed, number, "sample")) for number in range(count)]
    return Answer({"where": found.where, "seed": seed, "points": points}, map(_json, points))


def _json(value: object) -> str:
    from json import dumps

    return escaped(dumps(value, ensure_ascii=False))


def _text(words: str) -> str:
    from lab.projections import text

    return text.line(words, _CELL_CHARS) or "''"
