"""Two runs beside each other: how they ended, what they were given and ran on, what they measured, their code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.errors import LabError
from lab.core.manifest import Manifest
from lab.core.parameter import same
from lab.core.record import parse
from lab.core.run import better
from lab.scheduler.results import choosing, coded, located, metrics, table
from lab.scheduler.results.bundle import Bundle
from lab.scheduler.results.metrics import Metric  # msgspec resolves annotations
from lab.scheduler.results.opened import PATCH

if TYPE_CHECKING:
    from lab.core.candidate import Candidate
    from lab.core.seal import Seal
    from lab.scheduler.results.located import Located
    from lab.store.root import Root

Pair = tuple[object, object]
DIFF_LINES = 200
LINE_CHARS = 2_000
_DIFF_BYTES = 1 << 20


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """What the code of the second has that the first's has not, as a diff. `why` says why there is none to show."""

    commits: tuple[str, str] = ("", "")
    lines: tuple[str, ...] = ()
    left_out: int = 0  # lines
    is_cut: bool = False  # so long that not even the lines were counted, or a line was too long
    why: str = ""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What two runs have in common, and in what they differ. A pair is of the first and the second run."""

    runs: tuple[str, str]
    facts: dict[str, Pair]
    params: dict[str, Pair]  # those that both have, with other values
    only: tuple[dict[str, object], dict[str, object]]  # parameters that one of them has
    alike: int | None  # parameters that are the same; None where those of one of them cannot be read
    better: str = ""  # which run, by the means; empty where they cannot be compared, or are the same
    remarks: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()  # numbers that both have, the one that counts first
    metrics_left_out: int = 0
    metrics_only: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    code: Code = Code()
    notes: tuple[str, ...] = ()  # which run an experiment stands for, and what could not be read
    noisy: bool | None = None  # what the SPEC says of the metric; None where it does not, or was not looked at

    @property
    def counts(self) -> Metric | None:
        """The number that counts, where both have it and may be held against each other by it."""
        has_values = all(value is not None for value in self.facts["value"])
        return self.metrics[0] if has_values and not self.remarks else None

    def verdict(self, first: str = "", second: str = "") -> str:
        """Which is better and how sure that is, in words; empty where nobody can say. The two are called so."""
        counts = self.counts
        if counts is None:
            return ""
        if counts.beyond_noise is False:
            return "which is within noise: neither is known to be better"
        if not self.better:
            return ""
        told = f"{(first if self.better == self.runs[0] else second) or self.better} is better"
        if counts.beyond_noise or self.noisy is False:
            return told
        doubt = f"{told}, if the two numbers are not luck"
        return f"{doubt}: the SPEC says that the metric is noisy" if self.noisy else doubt


def compare(root: Root, first: str, second: str, *, diff_lines: int = DIFF_LINES) -> Compared:
    """Two sealed runs, of one experiment or of two; an experiment stands for the run to take of it."""
    notes: list[str] = []
    first, second = meant(root, first, notes), meant(root, second, notes)
    with located.one_at_a_time(root, first, second):
        return _compared(root, first, second, notes, diff_lines)


def _compared(root: Root, first: str, second: str, notes: list[str], diff_lines: int) -> Compared:
    one, other = located.sealed(root, first), located.sealed(root, second)
    wrote, wrote_too = _wrote(root, one[0], notes), _wrote(root, other[0], notes)
    given = _beside(wrote.params, wrote_too.params)
    both = wrote.manifest is not None and wrote_too.manifest is not None  # or the archive of one looks like differences
    told, told_too = (
        _facts(one[1], wrote.manifest if both else None),
        _facts(other[1], wrote_too.manifest if both else None),
    )
    remarks = _remarks(one[1], other[1])
    measured = metrics.beside(root, (one[1], wrote.metrics), (other[1], wrote_too.metrics), comparable=not remarks)
    found = Compared(
        runs=(first, second),
        facts={name: (told[name], told_too[name]) for name in told},
        params=given.differing,
        only=given.only,
        alike=given.alike,
        remarks=remarks,
        metrics=measured.shown,
        metrics_left_out=measured.left_out,
        metrics_only=measured.only,
        code=_code(root, one, other, diff_lines),
        notes=(*notes, *measured.remarks),
        noisy=measured.noisy,
    )
    counts = found.counts
    return found if counts is None else msgspec.structs.replace(found, better=_winner(counts, one[1], other[1]))


def meant(root: Root, name: str, notes: list[str]) -> str:
    """The run of that id, or the one to take of an experiment."""
    if name.startswith("RUN-"):
        return name
    found = table.read(root, name)
    chosen = choosing.choose(root, found)
    notes.append(f"{name} stands for {chosen.line.run_id}, the run to take of its tier {chosen.tier} ({chosen.how})")
    notes.extend((*found.warnings, *chosen.warnings))
    return chosen.line.run_id


class _Wrote(msgspec.Struct, frozen=True, kw_only=True):
    """What lies in a bundle, as it was sealed. None for what cannot be read: that is not the same as nothing."""

    params: dict[str, object] | None
    metrics: dict[str, object] | None
    manifest: Manifest | None


def _wrote(root: Root, found: Located, notes: list[str]) -> _Wrote:
    """With a note of each file that is gone, too large or no more as it was sealed."""
    problems: list[str] = []
    manifest = None
    with Bundle(root, found, problems) as bundle:
        params, measured = (_mapping(bundle, found, name) for name in (layout.PARAMS, layout.METRICS))
        written = None if found.kept is not None else bundle.whole(layout.MANIFEST)
        try:
            manifest = None if written is None else parse(Manifest, written, layout.MANIFEST)
        except LabError as trouble:
            problems.append(trouble.what)
    if params is None:
        problems.append("its parameters are not compared")
    if measured is None:
        problems.append("of what it measured only its value is compared")
    notes.extend(f"{found.run_id}: {each}" for each in problems)
    return _Wrote(params=params, metrics=measured, manifest=manifest)


def _mapping(bundle: Bundle, found: Located, name: str) -> dict[str, object] | None:
    """Nothing of a run that was given none."""
    read = bundle.mapping(name)
    return {} if read is None and found.made is not None and name not in found.made.files else read


class _Given(msgspec.Struct, frozen=True, kw_only=True):
    differing: dict[str, Pair]
    only: tuple[dict[str, object], dict[str, object]]
    alike: int | None


def _beside(mine: dict[str, object] | None, theirs: dict[str, object] | None) -> _Given:
    """The parameters of both. Where those of one cannot be read, nothing is said of the other's."""
    if mine is None or theirs is None:
        return _Given(differing={}, only=({}, {}), alike=None)
    common = [name for name in mine if name in theirs]
    differing = {name: (mine[name], theirs[name]) for name in common if not same(mine[name], theirs[name])}
    only = (
        {name: value for name, value in mine.items() if name not in theirs},
        {name: value for name, value in theirs.items() if name not in mine},
    )
    return _Given(differing=differing, only=only, alike=len(common) - len(differing))


def _winner(counts: Metric, one: Seal, other: Seal) -> str:
    """By the means of all measurements. Whether that is more than noise is told beside it."""
    mine, theirs = counts.means
    if mine == theirs:
        return ""
    return other.run.run_id if better(theirs, mine, other.run.direction) else one.run.run_id


def _facts(made: Seal, manifest: Manifest | None) -> dict[str, object]:
    """What is worth comparing. Where one is archived with its manifest, what only that knows is None of both."""
    run = made.run
    return {
        "experiment": run.experiment,
        "outcome": run.outcome,
        "value": run.value,
        "metric": run.metric,
        "direction": run.direction,
        "tier": run.tier,
        "role": run.role,
        "iteration": run.iteration,
        "made_by": (run.origin.maker or run.origin.kind) if run.origin else "",
        **_tried(run.candidate, run.verdict),
        "executor_class": run.executor_class,
        **_set_out(manifest),
        "worker": run.worker,
        "wall_s": run.wall_s,
        "cost": run.cost,
        "started_at": run.started_at,
        "reason": run.reason,
        "note": run.note,
    }


def _tried(tried: Candidate | None, verdict: str) -> dict[str, object]:
    """Of a code loop, what was decided and by which measurements."""
    names = ("kind", "commit", "gain", "p", "evaluator", "commands")
    return {"verdict": verdict, **{name: getattr(tried, name) if tried else None for name in names}}


def _set_out(manifest: Manifest | None) -> dict[str, object]:
    names = ("executor", "seed", "spec_sha256", "revision", "time_budget_s", "labctl_version")
    told = {name: getattr(manifest, name) if manifest else None for name in names}
    usage = ("confined", "peak_memory_mb", "gpu_peak_memory_mb")
    return {
        **told,
        "host": manifest.owner.host if manifest else None,
        "program": manifest.usage.program if manifest else None,
        **{name: getattr(manifest.usage, name) if manifest else None for name in usage},
    }


def _remarks(one: Seal, other: Seal) -> tuple[str, ...]:
    """Why the two values should not be compared."""
    found = []
    for name, what in (
        ("experiment", "experiments"),
        ("tier", "tiers"),
        ("metric", "metrics"),
        ("direction", "directions"),
    ):
        mine, theirs = getattr(one.run, name), getattr(other.run, name)
        if mine != theirs:
            found.append(f"their {what} differ ({mine or '-'}, {theirs or '-'}): the values are not compared")
    for name, what in (("evaluator", "files that measure"), ("commands", "commands that measure")):
        mine, theirs = (getattr(made.run.candidate, name, "") for made in (one, other))
        if mine and theirs and mine != theirs:
            found.append(f"the {what} are not the same: the values are not compared")
    return tuple(found)


def _code(root: Root, one: tuple[Located, Seal], other: tuple[Located, Seal], most: int) -> Code:
    mine, theirs = one[1].run.candidate, other[1].run.candidate
    if mine is None or theirs is None:
        which = "neither run is" if mine is None and theirs is None else "only one of the two is"
        return Code(why=f"{which} of a code loop: the lab keeps no code to compare")
    commits = (mine.commit or mine.base, theirs.commit or theirs.base)
    if not all(commits):
        return Code(commits=commits, why="one of them has no commit")
    if commits[0] == commits[1]:
        return Code(commits=commits, why="both are the same commit")
    owners = dict.fromkeys((one[0].experiment, other[0].experiment))
    found = [coded.between(root, owner, *commits, limit_bytes=_DIFF_BYTES) for owner in owners]
    for each in found:
        if not isinstance(each, str):
            return _shown(commits, each.data, is_cut=each.cut, most=most)
    if commits[0] == theirs.base:  # the second began at the first: then its bundle has the difference
        with Bundle(root, other[0], []) as bundle:
            written, is_cut = bundle.text(PATCH, _DIFF_BYTES, says_cut=False)
        if written:
            return _shown(commits, written.encode(), is_cut=is_cut, most=most)
    return Code(commits=commits, why=str(found[0]))


def _shown(commits: tuple[str, str], diff: bytes, *, is_cut: bool, most: int) -> Code:
    lines = diff.decode(errors="replace").split("\n")
    if lines[-1] == "" or is_cut:
        lines.pop()  # the half of a line is none
    kept = lines[:most]
    too_long = any(len(line) > LINE_CHARS for line in kept)
    why = "" if lines else "the commits differ, and their files do not"
    return Code(
        commits=commits,
        lines=tuple(line[:LINE_CHARS] for line in kept),
        left_out=len(lines) - len(kept),
        is_cut=is_cut or too_long,
        why=why,
    )
