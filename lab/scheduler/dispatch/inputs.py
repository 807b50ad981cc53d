"""What a package is given: everything that a run of its experiment may read, and nothing that grows with the lab."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from lab.core import canonical, layout
from lab.core.errors import Unadvised
from lab.core.package import INPUT, RUN
from lab.core.spec_fields import ASHA
from lab.core.view import ARCHIVED, COMPLETED
from lab.projections import index
from lab.scheduler import cycle
from lab.scheduler.control import approved
from lab.scheduler.cycle import Errand
from lab.scheduler.loop import scripts
from lab.scheduler.search import sought
from lab.store import experiments, packages, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.core.package import Offer, Place
    from lab.core.proposal import Ruling
    from lab.core.spec import Spec
    from lab.core.subject import Subject
    from lab.core.view import View
    from lab.store.experiments import Loaded
    from lab.store.root import Root

T = TypeVar("T")
PROGRAM = "PROGRAM.md"
ROW = "experiment.json"
MOST_BYTES = 1 << 20  # PROGRAM.md and SPEC.yaml are written by people; the pages are bounded by themselves
PAGES = (layout.SUMMARY, layout.NEXT, layout.CONTEXT, layout.BEST, layout.RUNBOOK)


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """Where a change begins, and the files that say so, by relative name. Blank for what is no code loop."""

    base: str = ""
    parent: str = ""
    files: dict[str, bytes] = {}


def inputs(root: Root, offer: Offer, subject: Subject) -> dict[str, bytes]:
    """The files of a package besides its record, by relative name."""
    found = {f"{INPUT}/{layout.SPEC}": reading.read_head(root.layout.spec(offer.experiment), MOST_BYTES)}
    for name in PAGES:
        found[f"{INPUT}/{name}"] = reading.read_head(root.layout.page(offer.experiment, name), MOST_BYTES)
    found[f"{INPUT}/{PROGRAM}"] = reading.read_head(root.layout.place(PROGRAM), MOST_BYTES)
    row = msgspec.json.encode(index.row(subject), order="sorted")
    found[f"{INPUT}/{ROW}"] = msgspec.json.format(row, indent=1) + b"\n"
    if offer.params is not None:
        found[f"{INPUT}/{layout.PARAMS}"] = canonical.page(dict(offer.params))
    found |= code_of(root, subject.view, subject.spec, offer.tier).files
    found["README.md"] = _readme(offer, subject).encode()
    return {name: data for name, data in found.items() if data is not None}


def code_of(root: Root, view: View, spec: Spec | None, tier: str) -> Code:
    """Of a code loop that has its baseline: the code that a change begins at, and what its maker reads."""
    known = view.tiers.get(tier)
    best = known.loop.best if known and known.loop else None
    if spec is None or best is None or not scripts.is_loop(spec.for_tier(tier)):
        return Code()
    from lab.scheduler.dispatch import code  # noqa: PLC0415  # git and all: most experiments are no code loops

    found = code.packed(root, scripts.renamed(spec.for_tier(tier)), view, best)
    return Code(base=best.commit, parent=best.run_id, files=found.inputs())


def _readme(offer: Offer, subject: Subject) -> str:
    goal = subject.spec.goal if subject.spec else ""
    return f"""# {offer.dispatch_id}

One run of `{offer.experiment}`, packed for a worker.

- goal: {goal or "(none given)"}
- metric: {offer.metric or "value"}, {offer.metric_direction}
- tier: {offer.tier}, class: {offer.executor_class}
- budget: {offer.time_budget_s:g}s

1. Claim it: `labctl dispatch-claim --worker NAME` (or `dispatch-work`, which does all of this).
2. Read `{INPUT}/`. Write only into `{RUN}/`, which is there once it is claimed.
3. Leave `{RUN}/{layout.RESULT}` and `{RUN}/{layout.METRICS}`, such as `{{"value": 0.93}}`.
4. While it takes long, say that you live: `labctl dispatch-renew {offer.dispatch_id} --worker NAME`.
5. `labctl dispatch-complete {offer.dispatch_id} --worker NAME`, then `labctl dispatch-ingest`.
"""


def chosen(root: Root, offer: Offer, ruling: Ruling | None, view: View, spec: Spec) -> Errand:
    """What the package is to try: what it was queued with, what a person approved, or what the search chooses now."""
    if offer.params is not None:
        return Errand(params=offer.params)
    if not sought.searches(root, spec, view):
        return Errand() if ruling is None else approved.errand(root, ruling, None, spec)
    from lab.scheduler.search.plan import Search  # noqa: PLC0415  # most experiments search nothing

    search = Search(root, view.experiment)
    return search.errand(view, spec) if ruling is None else approved.errand(root, ruling, search, spec)


def advised(root: Root, act: Callable[[], Iterator[T]], interrupted: Callable[[], str]) -> Iterator[T]:
    """What `act` says. Where its search waits for a model's word, the model is asked, with nothing held meanwhile."""
    try:
        yield from act()
    except Unadvised as wanting:
        from lab.scheduler.search.asking import asker  # noqa: PLC0415  # most searches ask nobody

        yield from asker.advised(
            root, lambda: list(act()), interrupted=interrupted, tell=lambda _: None, wanting=wanting
        )


def spec_of(root: Root, stage: str, each: Place, now: Loaded) -> Spec:
    """The SPEC under which a package was queued, as it lies in it; it may have been edited since."""
    offer = packages.offer_of(root, stage, each)
    where = f"{root.layout.package(stage, each.name)}/{INPUT}/{layout.SPEC}"
    data = reading.read_head(where, packages.RECORD_BYTES) if reading.is_file(where) else None
    if data is not None and canonical.digest(data) == offer.spec_sha256 != now.sha256:
        return experiments.parse_spec(data, where)
    return cycle.usable(now)


def stale(offer: Offer, view: View, loaded: Loaded) -> str:
    """Why an offer is not the run that would begin now; empty when it is."""
    if view.phase in (COMPLETED, ARCHIVED):
        return f"{view.experiment} is {view.phase}"
    if offer.tier != view.tier and not (loaded.spec and loaded.spec.fidelity_promotion_rule == ASHA):
        return f"it was queued in the tier {offer.tier}, and the experiment is in {view.tier}"
    if offer.spec_sha256 != loaded.sha256:
        return "SPEC.yaml was edited after it was queued"
    return ""
