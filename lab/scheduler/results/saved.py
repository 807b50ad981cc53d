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
    """Weights that can be downloaded, and where they are kept: files, or a state of which files are to be made."""

    path: str
    url: str
    experiment: str = ""
    run_id: str = ""
    base_model: str = ""
    next_step: int = 0  # optimizer steps that are inside

    @property
    def is_state(self) -> bool:
        """Whether there are no files yet."""
        return paths.parse(self.path).kind == paths.WEIGHTS


def files(root: Root, experiment: str, tier: str = "") -> Files:
    """The newest weights of a chain, or those of a search's best run.

    Without a tier those of the stage that began last, and of no earlier one: they would be other weights than meant.
    """
    spec = chained.require(root, experiment)
    trained = chained.read(root, experiment)
    begun = trained.tiers()
    if tier:
        table.named(experiment, tuple(dict.fromkeys((*spec.fidelity_tiers, *begun))), tier)
    wanted = tier or (begun[-1] if begun else "")
    link = _best(spec, trained.links, wanted) if spec.strategy else _newest(trained, wanted)
    if link is None:
        others = [each for each in begun if each != wanted and trained.lineage(each)]
        fix = f"--tier {others[-1]} has some; " if others else ""
        what = f"{experiment} has saved nothing yet" + (f" in tier {wanted}" if others else "")
        raise LabError(what, fix=f"{fix}labctl tinker runs {experiment}")
    return _of_link(spec, experiment, link)


def _newest(trained: Trained, tier: str) -> Link | None:
    """The run that saved last, with the files of its state: who only measured an end made none of it again."""
    line = trained.lineage(tier)
    return msgspec.structs.replace(line[-1], external_path=trained.chains[tier].external_path) if line else None


def of_run(root: Root, run_id: str) -> Files:
    """The weights that one run left."""
    from lab.scheduler.results import located  # noqa: PLC0415  # for those who name a run

    found, made = located.sealed(root, run_id)
    did = made.run.chunk
    if did is None or not (did.external_path or did.state_path):
        what = f"{run_id} saved nothing" if did else f"{run_id} trained nothing remotely"
        raise BadInput(what, fix=f"labctl tinker checkpoints {found.experiment}")
    return _of_link(chained.require(root, found.experiment), found.experiment, chained.link(made.run, did))


def _of_link(spec: Spec, experiment: str, link: Link) -> Files:
    return Files(
        path=paths.parse(link.external_path or link.state_path).path,
        url=(spec.tinker or Tuning()).url,
        experiment=experiment,
        run_id=link.run_id,
        base_model=link.base_model,
        next_step=link.next_step,
    )


def _best(spec: Spec, links: Sequence[Link], tier: str) -> Link | None:
    """The best run that left files."""
    here = spec.for_tier(tier) if tier in spec.fidelity_tiers else spec
    best: Link | None = None
    for link in links:
        if link.tier == tier and link.external_path and link.value is not None:
            best = link if better(link.value, best.value if best else None, here.metric_direction) else best
    return best
