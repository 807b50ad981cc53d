"""The engines that a lab names, for a check-up: whether its table can be read, and how each engine is. It asks them.

How long one may take to answer is up to it: those that come with labctl give up after some seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.engines import HERE, WORKER
from lab.core.errors import LabError
from lab.engines import door
from lab.scheduler import engines, watchdog
from lab.scheduler.checkup import FAILED, NONE, OK, WARNING, Check
from lab.scheduler.placing import handing, placed
from lab.store import experiments, leases

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.core.job import Wants
    from lab.store.root import Root

_SHOWN = 5


def checks(root: Root) -> Iterator[Check]:
    """The table, each engine that it names or that has a run of this lab, what nobody looks after, misspelt classes."""
    for each in door.problems():
        fix = "repair or remove the package it comes from"
        yield Check(name=f"plug-in {each.name}", state=WARNING, what=f"engines: {each.what}", fix=fix)
    try:
        rows = engines.table(root)
    except LabError as broken:
        where = f" ({broken.where})" if broken.where else ""
        what = " ".join(f"{broken.what}{where}; until it is mended nothing runs".split())
        yield Check(name="engines", state=FAILED, what=what, fix=broken.fix)
        return
    used = _used(root, rows)
    if not used:
        yield Check(name="engines", state=NONE, what="none is used: every run happens where it is asked for")
    for (name, address), classes in used.items():
        yield _asked(root, name, address, classes)
    for name in sorted({claim.experiment for claim in placed.held(root)}):
        for alert in watchdog.unheard(root, name, leases.survey(root, name)):
            yield Check(name=name, state=WARNING, what=alert.what, fix=alert.fix)
    yield from _slips(root, rows)


def _used(root: Root, rows: Mapping[str, Wants]) -> dict[tuple[str, str], list[str]]:
    """Each engine, the address by which it is spoken to, and what for."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, row in sorted(rows.items()):
        if row.engine not in (HERE, WORKER):
            found.setdefault((row.engine, row.address), []).append(f"class {name}")
    for claim in placed.held(root):
        job = placed.job(root, claim)
        at = (claim.engine, job.wants.address if job is not None else "")
        if f"runs of {claim.experiment}" not in found.setdefault(at, []):
            found[at].append(f"runs of {claim.experiment}")
    return found


def _asked(root: Root, name: str, address: str, used_by: list[str]) -> Check:
    """How one of them is, in its own words."""
    more = f" and {len(used_by) - _SHOWN} more" if len(used_by) > _SHOWN else ""
    for_what = f"for {', '.join(used_by[:_SHOWN])}{more}"
    try:
        engine, ground = handing.engine_of(root, name, address)
        told = engine.describe(ground)
    except LabError as unfit:
        fix = unfit.fix or "look at the engine; what it has stays as it is until it answers"
        return Check(name=f"engine {name}", state=FAILED, what=f"{unfit.what}; {for_what}", fix=fix)
    return Check(name=f"engine {name}", state=OK, what=f"{told}; {for_what}")


def _slips(root: Root, rows: Mapping[str, Wants]) -> Iterator[Check]:
    """Experiments whose class comes near one that has a row: what is misspelt there runs here, and nobody is told."""
    for name in experiments.names(root) if rows else ():
        spec = experiments.load(root, name).spec
        for problem in engines.doubts(root, spec) if spec is not None else ():
            fix = f"correct executor_class in experiments/{name}/SPEC.yaml, or give the class a row in engines.yaml"
            yield Check(name=name, state=WARNING, what=problem, fix=fix)
