"""What the trainings of a lab saved at their services, as its seals tell of it. Asks no service, and writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, LabError
from lab.core.run import better
from lab.core.tuning import Tuning
from lab.scheduler.results import chained, table
from lab.tinker import paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.core.spec import Spec
    from lab.scheduler.results.chained import Link, Trained
    from lab.store.root import Root

_FIXED = "fixed"


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """One path. `use`: state (a training goes on from it), sampler, external (files to download), or fixed."""

    path: str
    use: str
    name: str
    experiment: str
    run_id: str
    tier: str
    next_step: int
    final: bool
    in_chain: bool  # whether the newest state of its tier comes from here


def of(root: Root, experiment: str, tier: str = "") -> tuple[tuple[Saved, ...], tuple[str, ...]]:
    """What one experiment saved, in the order of history; and what could not be read."""
    spec = chained.require(root, experiment)
    trained = chained.read(root, experiment)
    if tier:
        table.named(experiment, tuple(dict.fromkeys((*spec.fidelity_tiers, *trained.tiers()))), tier)
    return tuple(each for each in _all(trained) if not tier or each.tier == tier), trained.missing


def in_lab(root: Root) -> set[str]:
    """Every path that some experiment of the lab saved."""
    return {each.path for name in chained.names(root) for each in _all(chained.read(root, name))}


def _all(trained: Trained) -> Iterator[Saved]:
    lines = {run.run_id for tier in trained.tiers() for run in trained.lineage(tier)}
    seen: set[str] = set()
    for link in trained.links:
        told = [("state", link.state_path), ("sampler", link.sampler_path), ("external", link.external_path)]
        told += [(f"{_FIXED}: {name}", path) for name, path in link.fixed.items()]
        for use, path in told:
            if path and path not in seen and paths.is_path(path):  # a fixed model is told of again by each chunk
                seen.add(path)
                yield Saved(
                    path=path, use=use, name=paths.parse(path).name, experiment=trained.experiment, run_id=link.run_id,
                    tier=link.tier, next_step=0 if use.startswith(_FIXED) else link.next_step, final=link.final,
                    in_chain=link.run_id in lines,
                )  # fmt: skip


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Weights that can be downloaded, and where they are kept."""

    path: str
    url: str
    experiment: str = ""
    run_id: str = ""
    base_model: str = ""


def files(root: Root, experiment: str, tier: str = "") -> Files:
    """The weights of the training at its end: of a chain its final chunk's, of a search those of its best run.

    Without a tier those of the stage that began last, and of no earlier one: they would be other weights than meant.
    """
    spec = chained.require(root, experiment)
    trained = chained.read(root, experiment)
    begun = trained.tiers()
    if tier:
        table.named(experiment, tuple(dict.fromkeys((*spec.fidelity_tiers, *begun))), tier)
    if not any(each.state_path for each in trained.links):
        raise LabError(f"{experiment} has saved nothing yet", fix=f"labctl tinker runs {experiment}")
    wanted = tier or begun[-1]
    link = _with_files(spec, trained, wanted)
    if link is None:
        raise _unfinished(spec, trained, wanted)
    return Files(
        path=paths.parse(link.external_path).path,
        url=(spec.tinker or Tuning()).url,
        experiment=experiment,
        run_id=link.run_id,
        base_model=link.base_model,
    )


def _with_files(spec: Spec, trained: Trained, tier: str) -> Link | None:
    if spec.strategy:
        return _best(spec, trained.links, tier)
    line = trained.lineage(tier)
    return line[-1] if line and line[-1].external_path else None


def _unfinished(spec: Spec, trained: Trained, tier: str) -> LabError:
    name = trained.experiment
    what = f"the training of {name} in tier {tier} is not at its end, and only the end has files to download"
    newest = next((each.state_path for each in reversed(trained.links) if each.tier == tier and each.state_path), "")
    others = [each for each in trained.tiers() if each != tier and _with_files(spec, trained, each) is not None]
    fix = f"--tier {others[-1]} has some; " if others else ""
    newest = f"; its newest state is {newest}" if newest else ""
    return LabError(what + newest, fix=f"{fix}labctl run-once --experiment {name} goes on with it")


def of_run(root: Root, run_id: str) -> Files:
    """The weights that one run left."""
    from lab.scheduler.results import located  # noqa: PLC0415  # for those who name a run

    found, made = located.sealed(root, run_id)
    did = made.run.chunk
    if did is None or not did.external_path:
        what = f"{run_id} left no files to download" if did else f"{run_id} trained nothing remotely"
        raise BadInput(what, fix=f"labctl tinker checkpoints {found.experiment}")
    spec = chained.require(root, found.experiment)
    return Files(
        path=paths.parse(did.external_path).path,
        url=(spec.tinker or Tuning()).url,
        experiment=found.experiment,
        run_id=run_id,
        base_model=did.base_model,
    )


def _best(spec: Spec, links: Sequence[Link], tier: str) -> Link | None:
    """The best run that left files."""
    here = spec.for_tier(tier) if tier in spec.fidelity_tiers else spec
    best: Link | None = None
    for link in links:
        if link.tier == tier and link.external_path and link.value is not None:
            best = link if better(link.value, best.value if best else None, here.metric_direction) else best
    return best
