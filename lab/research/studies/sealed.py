"""The sealed runs of a study, read from their bundles alone. What is archived, superseded or under way is not there.

Nor is a bundle whose seal is not the one that the ledger recorded: `lab.research.walk.vouched` names those.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment, canonical, layout
from lab.core.candidate import APART, BASELINE, KEEP
from lab.core.manifest import Manifest
from lab.core.origin import BASELINE as FIRST
from lab.core.origin import PERSON, REPLAY
from lab.core.record import parse
from lab.core.run import SUCCESS, Run, better, cut_off
from lab.research.bundle import Bundle
from lab.research.study import CHAIN, LOOP
from lab.research.trained import Made
from lab.research.walk import vouched
from lab.store import bundles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.research.study import Study
    from lab.store.root import Root

MOST = 1e150  # a value above it has no square, so nobody could say how much such values differ from each other
SHARE = 0.01  # of the beginning's time: who took less did not do the same work
LONG_S = 2.0  # where the beginning took less, a machine that was busy is all that a hundredth of it tells
QUICK, QUICK_S = 0.05, 0.5  # of the beginning's time, and from when on: who took less is believed, and it is told
_WANTED = 2


class Row(Bundle, frozen=True, kw_only=True):
    """A sealed run: the digest of its seal, what it was given and what it set out to do."""

    digest: str
    params: dict[str, object] | None = None
    manifest: Manifest | None = None

    @property
    def counts(self) -> bool:
        """Whether it is one of a round's runs: not one that ended with the lab, which is made again."""
        run = self.run
        return not self._is_apart and not cut_off(run.outcome, run.reason, run.chunk)

    @property
    def _is_apart(self) -> bool:
        """Whether it is another's measurement made again, or another harness's word."""
        origin, candidate = self.run.origin, self.run.candidate
        return (origin is not None and origin.kind == REPLAY) or (candidate is not None and candidate.kind in APART)

    @property
    def is_chosen_from(self) -> bool:
        return not self._is_apart

    @property
    def is_sought(self) -> bool:
        """Whether a search looked here: what it measured was, or will be, chosen by."""
        origin, candidate = self.run.origin, self.run.candidate
        if candidate is not None:
            return not self._is_apart and candidate.kind != BASELINE
        return origin is not None and origin.searched and origin.kind not in (FIRST, PERSON)


def rows(root: Root, experiment: str, tier: str) -> list[Row]:
    """Those of a tier, in the order in which they were claimed."""
    known = vouched.seals(root, experiment)
    found = [row for run_id in known if (row := _row(root, experiment, run_id, tier, known[run_id]))]
    return sorted(found, key=lambda row: row.seal.generation)


def row(root: Root, experiment: str, run_id: str) -> Row | None:
    """The one of this name; None where it is not sealed here, or otherwise than the ledger has it."""
    return _row(root, experiment, run_id, "", vouched.seals(root, experiment).get(run_id, ""))


def _row(root: Root, experiment: str, run_id: str, tier: str, recorded: str) -> Row | None:
    path = root.layout.run(experiment, run_id)
    found = vouched.seal(path, recorded)
    if found is None or (tier and found[0].run.tier != tier):
        return None
    seal, data = found
    written = bundles.sealed_bytes(path, layout.MANIFEST, seal)
    return Row(
        path=path,
        seal=seal,
        digest=canonical.digest(data),
        params=_params(bundles.sealed_bytes(path, layout.PARAMS, seal)),
        manifest=None if written is None else parse(Manifest, written, f"{path}/{layout.MANIFEST}"),
    )


def _params(data: bytes | None) -> dict[str, object] | None:
    try:
        return None if data is None else msgspec.json.decode(data, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None  # a run sealed whatever it had written there


def begins(study: Study, row: Row) -> bool:
    """Whether a run measured the study as it was before anybody searched."""
    if study.kind == LOOP:
        return row.run.candidate is not None and row.run.candidate.kind == BASELINE
    if study.kind == CHAIN:
        return True  # its first chunk that came to a value
    return study.beginning is not None and row.params is not None and assignment.alike(row.params, study.beginning)


def table(study: Study, found: Iterable[Row], min_run_s: float) -> tuple[Made, ...]:
    """The runs as a training tells them: which is the baseline, and which are not to be believed."""
    chosen = [each for each in found if each.is_chosen_from]
    first = next((each for each in chosen if begins(study, each) and not doubt(each.run, min_run_s)), None)
    limit_s = least_s(min_run_s, first.run.wall_s if first is not None else 0.0)
    return tuple(made(each, limit_s, is_baseline=each is first) for each in chosen)


def least_s(min_run_s: float, baseline_s: float) -> float:
    """How long a run must have taken to be believed. 0 believes every one, as who wrote `min_run_s: 0` wanted it."""
    if min_run_s <= 0:
        return 0.0
    return max(min_run_s, SHARE * baseline_s if baseline_s >= LONG_S else 0.0)


def quick(who: str, wall_s: float, baseline_s: float) -> str:
    """What is to be said of one that was much quicker than the beginning; empty where it was not."""
    if baseline_s < QUICK_S or wall_s >= QUICK * baseline_s:
        return ""
    times = f"{who} took {wall_s:.3g} s, where the baseline took {baseline_s:.3g} s"
    return f"{times}: look whether it did the same work"


def made(row: Row, limit_s: float, *, is_baseline: bool = False) -> Made:
    """A run as it is told."""
    run = row.run
    return Made(
        run_id=run.run_id,
        outcome=run.outcome,
        tier=run.tier,
        seal=row.digest,
        value=run.value,
        wall_s=run.wall_s,
        seed=row.manifest.seed if row.manifest is not None else None,
        is_baseline=is_baseline,
        void=doubt(run, limit_s) if run.outcome == SUCCESS else "",
    )


def doubt(run: Run, limit_s: float) -> str:
    """Why a run is not to be believed; empty for one that is."""
    if run.outcome != SUCCESS:
        return f"it ended as {run.outcome}"
    if run.value is None or not math.isfinite(run.value):
        return "it says success, and has no number"
    if abs(run.value) > MOST:
        return f"its value {run.value:g} is too large to be compared"
    if run.wall_s < limit_s:
        return f"it says success after {run.wall_s:.3g} s, and no run does this in less than {limit_s:.3g} s"
    return ""


def best(study_kind: str, direction: str, found: Sequence[Made], kept: frozenset[str] = frozenset()) -> Made | None:
    """The best of what may be believed; of two alike the earlier one. Of a code loop the last that was kept."""
    believable = [each for each in found if each.is_believable]
    if study_kind == LOOP:
        believable = [each for each in believable if each.is_baseline or each.run_id in kept]
        return believable[-1] if believable else None
    chosen: Made | None = None
    for each in believable:
        if each.value is not None and better(each.value, chosen.value if chosen else None, direction):
            chosen = each
    return chosen


def kept(found: Iterable[Row]) -> frozenset[str]:
    """Of a code loop: the runs whose change was kept."""
    return frozenset(each.run.run_id for each in found if each.run.verdict == KEEP)


def failing(found: Sequence[Made]) -> str:
    """Why a round's runs say nothing; empty where they say something."""
    if not found:
        return "no run was sealed"
    believable = [each for each in found if each.is_believable]
    void = [each for each in found if each.void]
    if not believable:
        because = f": {void[-1].run_id}: {void[-1].void}" if void else ""
        return f"of {len(found)} runs none may be believed{because}"
    if not any(each.is_baseline for each in believable):
        return f"of {len(found)} runs none measured the beginning, so there is nothing to compare with"
    if len(believable) < _WANTED:
        return f"of {len(found)} runs the baseline alone may be believed, so nothing was tried"
    return ""
