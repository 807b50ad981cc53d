"""The study that a round is about, as it lies in this lab: an experiment, the tier to choose in, the tier to report in.

What was chosen by is never reported: a candidate is the luckiest of many where it was chosen, and only elsewhere as
good as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment
from lab.core.errors import BadInput
from lab.core.spec import Spec
from lab.core.spec_tuning import is_chain
from lab.core.view import View
from lab.scheduler import cycle
from lab.scheduler.loop import scripts
from lab.scheduler.search import spaces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.research.project import Project
    from lab.store.root import Root

LOOP, CHAIN, SEARCH = "code loop", "training in chunks", "search"
_MANUAL = "manual"


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """`beginning` are the parameters that a search begins at; None where a run is given none, or nobody said them."""

    experiment: str
    kind: str
    spec: Spec  # as it was read
    spec_sha256: str
    view: View
    tier: str
    report: str
    metric: str
    direction: str
    beginning: assignment.Params | None = None


def opened(root: Root, project: Project, experiment: str) -> Study:
    """The study as it is now, or `BadInput` with everything that speaks against it."""
    with root.section(experiment):
        view, loaded = cycle.observe(root, experiment)
    spec = cycle.usable(loaded)
    wrong = next(problems(spec, view.tier, project.evaluation.tier), None)
    if wrong is not None:
        what, fix = wrong
        raise BadInput(f"{experiment}: {what}", where=root.layout.spec(experiment), fix=fix)
    here = spec.for_tier(view.tier)
    found = None if is_chain(spec) else spaces.find(root, spec, view)
    return Study(
        experiment=experiment,
        kind=kind(spec),
        spec=spec,
        spec_sha256=loaded.sha256,
        view=view,
        tier=view.tier,
        report=reported(spec, project.evaluation.tier),
        metric=here.metric or "value",
        direction=here.metric_direction,
        beginning=None if found is None else assignment.beginning(found.space),
    )


def kind(spec: Spec) -> str:
    """How its runs follow from one another."""
    if is_chain(spec):
        return CHAIN
    return LOOP if scripts.is_loop(spec) else SEARCH


def reported(spec: Spec, wanted: str = "") -> str:
    """The tier of what is reported."""
    return wanted or spec.fidelity_tiers[-1]


def problems(spec: Spec, tier: str, wanted: str = "") -> Iterator[tuple[str, str]]:
    """What speaks against a study that chooses in this tier, each with what to do about it."""
    tiers = spec.fidelity_tiers
    report = reported(spec, wanted)
    if len(tiers) == 1:
        fix = (
            f"write `fidelity_tiers: [selection, report]` and a `report_executor_command` that measures on other data"
            f" than `executor_command` does ({tiers[0]} is its only tier)"
        )
        yield "it has one tier, so nothing is left that its search has not seen", fix
        return
    if report not in tiers:
        yield f"evaluation.tier is {report}, which is no tier of it", f"one of {', '.join(tiers)}"
        return
    if report == tier:
        others = ", ".join(each for each in tiers if each != report)
        fix = f"labctl set-fidelity {spec.id} TIER, with one of {others}; or another `evaluation: tier` in project.yaml"
        yield f"it is in the tier {tier}, which is the one that is reported: what was chosen there is luck", fix
    if spec.fidelity_promotion_rule != _MANUAL:
        what = f"fidelity_promotion_rule {spec.fidelity_promotion_rule} moves it to other tiers by itself"
        yield what, "write `fidelity_promotion_rule: manual`: a project goes to the tier that is reported by itself"
    one, other = spec.for_tier(tier), spec.for_tier(report)
    if one.metric != other.metric or one.metric_direction != other.metric_direction:
        yield f"{tier} and {report} measure different metrics", f"take {report}_metric and its direction out"
    if report != tier and is_same(spec, tier, report):
        fix = (
            f"write `{report}_executor_command` with a command that measures on data that no search has seen, or"
            " `{tier}` into the command"
        )
        yield f"the tiers {tier} and {report} measure in the same way, so on the same data", fix


def is_same(spec: Spec, tier: str, report: str) -> bool:
    """Whether nothing in its SPEC says that the two tiers measure different things.

    Told by what is run, and where: how long it may take, or how often it is due, makes no other data.
    """
    one, other = (_run_by(spec.for_tier(each)) for each in (tier, report))
    return one == other and "{tier}" not in one[0]


def _run_by(spec: Spec) -> tuple[str, str, str]:
    measures = spec.validation_command if scripts.is_loop(spec) else spec.executor_command or spec.validation_command
    return measures, spec.setup_command, spec.workspace_root
