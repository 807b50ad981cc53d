"""What came of an experiment: its table of runs, the best of a tier, the first few. Reads, and writes nothing.

Values of two tiers are never compared, and a run without a value is never among the best.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.errors import BadInput, LabError, Unavailable, nearest
from lab.core.parameter import mark
from lab.core.run import MINIMIZE
from lab.core.spec import Spec
from lab.core.subject import Finding
from lab.core.view import View
from lab.projections import repeats, status
from lab.projections.tables import Line, parse_line
from lab.projections.tier import every, spec_in
from lab.scheduler import subjects
from lab.store import experiments, reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.store.root import Root


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment and its runs, in the order of history. `raw` are the lines as bytes."""

    experiment: str
    lines: tuple[Line, ...]
    raw: tuple[bytes, ...]
    view: View
    spec: Spec | None
    findings: tuple[Finding, ...] = ()  # what is wrong with its SPEC; the warnings say that too
    warnings: tuple[str, ...] = ()

    def direction(self, tier: str) -> str:
        return self.view.direction_of(tier)

    def metric(self, tier: str) -> str:
        """The name of the number that counts; empty where the SPEC cannot be read."""
        return spec_in(self.spec, tier).metric if self.spec else ""

    def tiers(self) -> tuple[str, ...]:
        """Every tier that the SPEC names or that has runs, and the one that it is in."""
        return every(self.view, self.spec, (line.tier for line in self.lines))


def read(root: Root, name: str) -> Table:
    """The runs of an experiment. `Unavailable` when its pages have to be written again first."""
    experiments.require(root, name)
    loaded, warnings = experiments.load(root, name), []
    view = subjects.unchanged(root, name, loaded)
    if view is None:
        state = status.fold_state(reading.read(root.layout.status(name)) or b"")
        if state is None:
            raise Unavailable(f"the pages of {name} are missing or damaged", fix="labctl refresh writes them again")
        warnings.append("the pages are behind what was sealed or decided since: labctl refresh")
        view = state.view
    loaded = subjects.held(loaded, view)
    if loaded.problem is not None:
        warnings.insert(0, loaded.problem.warning)
    path = root.layout.page(name, layout.METRICS_LOG)
    data = reading.read(path)
    if data is None:
        raise Unavailable("the table of runs is missing", where=path, fix="labctl refresh")
    raw = tuple(data.splitlines())
    del data  # of a hundred thousand runs 60 MB, and what follows is as large again
    lines = tuple(parse_line(line, path) for line in raw)
    return Table(
        experiment=name,
        lines=lines,
        raw=raw,
        view=view,
        spec=loaded.spec,
        findings=subjects.spec_findings(loaded),
        warnings=tuple(warnings),
    )


def tier_of(found: Table, wanted: str) -> str:
    """The tier that a question is about: the one asked for, else the one that the experiment is in."""
    return named(found.experiment, found.tiers(), wanted) or found.view.tier


def named(experiment: str, known: tuple[str, ...], wanted: str) -> str:
    """The same name, or `BadInput` when the experiment has no such tier."""
    if wanted and wanted not in known:
        near = nearest(wanted, known)
        fix = f"did you mean {near}?" if near else f"the tiers are {', '.join(known)}"
        raise BadInput(f"{experiment} has no tier {wanted!r}", fix=fix)
    return wanted


def ranked(found: Table, tier: str) -> list[Line]:
    """The runs of a tier that have a value, best first; of two with the same value, the earlier one."""
    scored = [line for line in found.lines if line.tier == tier and line.scored]
    sign = 1.0 if found.direction(tier) == MINIMIZE else -1.0
    return sorted(scored, key=lambda line: sign * (line.value or 0.0))


def partly_luck(found: Table, best: Sequence[Line]) -> bool:
    """Whether the first of these, best first, was lucky as well as good: it was one of several of a noisy metric."""
    if found.spec is None or found.spec.noise is False or len(best) <= 1 or best[0].verdict:
        return False
    return bool(found.spec.noise or repeats.known(found.lines, best[0].tier).noise.sigma)


def require_some(found: Table, tier: str) -> list[Line]:
    """`ranked`, or why there is nothing to rank."""
    best = ranked(found, tier)
    if best:
        return best
    mine = [line for line in found.lines if line.tier == tier]
    if not mine:
        others = sorted({line.tier for line in found.lines})
        fix = f"labctl burst {found.experiment} -n 5"
        if others:
            fix = f"it has runs in {', '.join(others)}: --tier {others[-1]}"
        raise LabError(f"{found.experiment} has no run in tier {tier} yet", fix=fix)
    tally: dict[str, int] = {}
    for line in mine:
        tally[line.outcome] = tally.get(line.outcome, 0) + 1
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(tally.items()))
    what = f"{found.experiment} has no run with a value in tier {tier}: of {len(mine)}, {told}"
    raise LabError(what, fix=f"labctl show {mine[-1].run_id} says what became of the last one")


def varying(lines: Sequence[Line]) -> list[str]:
    """The parameters in which these runs differ, in the order in which they come; of one run, all it has."""
    given = [line.params or {} for line in lines]
    names = list(dict.fromkeys(name for params in given for name in params))
    if len(lines) <= 1:
        return names
    return [name for name in names if len({(mark(params[name]),) if name in params else () for params in given}) > 1]
