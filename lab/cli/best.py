"""Show the best run of an experiment: which parameters to take.

Of one tier: the one that the experiment is in, or --tier. Where the metric is noisy, the best number was lucky as well
as good: the run with the best expected value is recommended (a model of all runs; it needs numpy), and both are shown.
`noise: true` or `false` in the SPEC says which it is; without, it is found out. Of a training in chunks the best chunk
is shown, and the one that it goes on from. Exit code 1 when no run has a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.projections.tables import Line
    from lab.scheduler.results.choosing import Chosen
    from lab.scheduler.results.table import Table

_LARGE = 1e15  # from here on it is told as it is: no digit of it is behind the point
EXAMPLE = "labctl best lr-sweep\nlabctl best lr-sweep --tier final --json"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of what."""
    parser.add_argument("experiment", metavar="ID", help="the experiment")
    parser.add_argument("--tier", default="", metavar="T", help="of this tier; else of the one it is in")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The run to take, and what to type to run it again."""
    from lab.core.errors import BadInput
    from lab.projections.pursued import is_project
    from lab.scheduler.results import choosing, located, table

    root = session.root()
    found = table.read(root, args.experiment)
    if is_project(found.spec):
        what = "each run of a research project does another phase, so none of them is the best"
        raise BadInput(what, fix=f"labctl research status {args.experiment} says what was found")
    chosen = choosing.choose(root, found, args.tier)
    verb = {choosing.KEPT: "show", choosing.CHUNK: "tinker download"}.get(chosen.how, "replay")
    again = f"labctl {verb} {chosen.line.run_id}"
    archive = located.archive_of(root, args.experiment, chosen.line.run_id)
    first = [f"labctl prune --restore {archive}"] if archive else []
    data = {
        "experiment": args.experiment,
        "tier": chosen.tier,
        "metric": found.metric(chosen.tier),
        "direction": found.direction(chosen.tier),
        "scored": chosen.scored,
        **_data(chosen.line),
        "chosen_by": chosen.how,
        "expected": chosen.mean,
        "expected_sd": chosen.sd,
        "noise": chosen.noise,
        "noise_degrees_of_freedom": chosen.measured.noise.df,
        "noise_modelled": chosen.measured.modelled,
        "noisy": chosen.noisy,
        "outside_space": chosen.outside,
        "best_number": _data(chosen.seen),
        "goes_on_from": _goes_on_from(found, chosen.tier),
        "again": again,
    }
    return Answer(data, _lines(found, chosen), warnings=(*found.warnings, *chosen.warnings), then=[*first, again])


def _data(line: Line) -> dict[str, object]:
    from msgspec import to_builtins

    return {
        "run": line.run_id,
        "value": line.value,
        "params": line.params,
        "origin": to_builtins(line.origin) if line.origin else None,
        **({"commit": line.candidate.commit} if line.candidate else {}),
    }


def _lines(found: Table, chosen: Chosen) -> Iterator[str]:
    from lab.core import canonical
    from lab.projections import text
    from lab.projections.text import UNSEEN

    metric, direction = found.metric(chosen.tier) or "value", found.direction(chosen.tier)
    runs = text.count(chosen.scored, "run")
    yield f"{found.experiment}, tier {chosen.tier}: {metric}, {direction}, {runs} with a value"
    if chosen.mean is not None and chosen.how != "best number seen":
        yield f"recommended by {chosen.how}: {_rounded(chosen.mean, chosen.sd)} +- {chosen.sd:.3g} ({_noise(chosen)})"
    outside = "; outside the search space as it is now" if chosen.outside else ""
    yield f"run: {chosen.line.run_id}, {metric} {chosen.line.value!r}{_made_by(chosen.line)}{outside}"
    last = _goes_on_from(found, chosen.tier)
    if last and last != chosen.line.run_id:
        yield f"the {chosen.how}; the training goes on from {last}"
    if chosen.seen.run_id != chosen.line.run_id:
        yield f"best number seen: {chosen.seen.value!r} in {chosen.seen.run_id}{_made_by(chosen.seen)}; partly luck"
    elif chosen.mean is not None and chosen.mean != chosen.line.value:
        yield "it has the best number too, and that is partly luck: expect what is recommended above"
    if chosen.line.candidate is not None:
        yield f"commit: {chosen.line.candidate.commit} ({chosen.how})"
        return
    if chosen.line.params is None:
        yield "parameters: it was given none"
        return
    yield "parameters:"
    yield from UNSEEN.sub("", canonical.page(chosen.line.params).decode()).split("\n")[:-1]


def _noise(chosen: Chosen) -> str:
    """The noise of one run, and how well it is known: one pair is a poor witness, and the model then says another."""
    told = f"noise of one run {chosen.noise:.3g}"
    known = chosen.measured
    if not known.weighed.df:
        return told
    told += f", by {known.told}"
    if known.modelled is None or not known.noise.df:
        return told
    alone = "" if known.weighed == known.noise else f"; those repeats alone say {known.noise.sigma:.3g}"
    return f"{told}{alone}; the model alone says {known.modelled:.3g}"


def _rounded(mean: float, sd: float | None) -> str:
    """No digit that the spread makes meaningless."""
    if sd is None or not 0 < sd < abs(mean) * 1e6 or abs(mean) >= _LARGE:
        return repr(mean)
    from math import floor, log10

    return f"{mean:.{max(2 - floor(log10(sd)), 0)}f}"


def _goes_on_from(found: Table, tier: str) -> str:
    """The run that saved the last state of a training in chunks."""
    known = found.view.tiers.get(tier)
    return known.chain.run_id if known is not None and known.chain is not None else ""


def _made_by(line: Line) -> str:
    origin = line.origin
    if origin is None:
        return ""
    who = "/".join(word for word in (origin.strategy, origin.arm) if word)
    words = [who, origin.kind, origin.place]
    return f" ({', '.join(word for word in words if word)})"
