"""What ran when and where, and when nobody did anything.

When a run began is what its machine's clock said, and how long it took is what was measured: where clocks differ, runs
stand beside each other that ran one after the other. No end is taken from a clock.
"""

from __future__ import annotations

import heapq
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from lab.projections import text
from lab.projections.picture import stairs
from lab.projections.picture.given import LOST, RUNNING, WAITING
from lab.projections.picture.stairs import Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.projections.picture.given import Given

MOST = 600  # stretches that are shown
MOST_LANES = 24
MOST_GAPS = 60
SAYS_CHARS = 100
UNKNOWN = "unknown"
SEVERAL = "several"  # the kind of a stretch of several runs that did not end alike
_LONGEST_S = 100 * 365.25 * 86_400  # a run that says it took longer was not measured
_LONG = 4  # a gap is worth cutting out where it is longer than one part in so many of all the time that something ran
_LEAST_S = 0.001
_COARSER = 1.25
_FIRST_S, _LAST_S = 946_684_800.0, 7_258_118_400.0  # 2000 to 2200: what else a clock says, it does not know
_FINE = 1_000  # parts of the axis: a gap shorter than one of them cannot be seen


class Stretch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A run on its worker's row, or several that follow each other closely: then `runs` says how many, and `of` which.

    Seconds count from `Timeline.began`; `end_s` is None while it is under way. `run_id` is the first of several.
    """

    run_id: str
    kind: str  # as in stairs; or one of the words above
    start_s: float
    end_s: float | None = None
    says: str = ""
    runs: int = 1
    of: tuple[tuple[str, int], ...] = ()  # kind and how many, the most first


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """A row: one worker, or one of several rows of a worker that did several things at once."""

    worker: str
    stretches: tuple[Stretch, ...]
    busy_s: float = 0.0


class Gap(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A time in which nothing ran, so long that an axis may leave it out, and say so."""

    start_s: float
    length_s: float


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """`idle_s` is how long, between the first start and the last end, nothing ran at all."""

    began: str  # empty where nothing ran
    length_s: float
    lanes: tuple[Lane, ...]
    sample: Sample
    idle_s: float = 0.0
    gaps: tuple[Gap, ...] = ()
    left_out: int = 0  # rows beyond those shown; `sample` says of how many workers


class _Bar(msgspec.Struct, frozen=True, gc=False):
    """A run as it ran: moments in seconds of the epoch."""

    start: float
    end: float
    run_id: str
    kind: str
    says: str
    open: bool


def of(given: Given, kinds: Sequence[str] = ()) -> Timeline:
    """The timeline of an experiment. Runs that never began, or do not say when, are counted and not shown.

    `kinds` of the runs, where they are known.
    """
    by_worker, undated = _bars(given, kinds or stairs.kinds(given))
    total = len(given.lines) + len(given.under_way)
    every = sorted((bar for bars in by_worker.values() for bar in bars), key=lambda bar: (bar.start, bar.run_id))
    if not every:
        rule = f"{text.count(undated, 'run')} that never began, or did not say when" if undated else ""
        return Timeline(began="", length_s=0.0, lanes=(), sample=Sample(shown=0, total=total, rule=rule))
    zero, last = every[0].start, max(bar.end for bar in every)
    idle = _idle(every)
    rows = [(worker, row) for worker in sorted(by_worker) for row in _rows(by_worker[worker])]
    kept = _kept(rows)
    cut = _cut(idle, last - zero)
    visible = last - zero - sum(length for _, length in cut)
    lanes = _lanes([rows[at] for at in kept], zero, visible)
    shown = sum(stretch.runs for lane in lanes for stretch in lane.stretches)
    left = [rows[at] for at in sorted(set(range(len(rows))) - set(kept))]
    return Timeline(
        began=_told(zero),
        length_s=_round(last - zero),
        lanes=lanes,
        sample=Sample(shown=shown, total=total, rule=_rule(lanes, left, undated)),
        idle_s=_round(sum(length for _, length in idle)),
        gaps=tuple(Gap(start_s=_round(start - zero), length_s=_round(length)) for start, length in cut),
        left_out=len(left),
    )


def _bars(given: Given, kinds: Sequence[str]) -> tuple[dict[str, list[_Bar]], int]:
    """What ran, by worker, and how many runs do not say when."""
    found: dict[str, list[_Bar]] = {}
    undated = 0
    for line, kind in zip(given.lines, kinds, strict=True):
        start = _seconds(line.ran.began)
        if start is None:
            undated += 1
            continue
        end = start + min(max(line.ran.wall_s, 0.0), _LONGEST_S)
        bar = _Bar(start, end, line.run_id, kind, line.ran.said, False)  # noqa: FBT003  # a field, not a switch
        found.setdefault(line.ran.worker or UNKNOWN, []).append(bar)
    now = _now(given, found)
    for each in given.under_way:
        start = _seconds(each.began)
        if start is None:
            undated += 1
            continue
        kind = each.state if each.state in (WAITING, LOST) else RUNNING
        bar = _Bar(start, max(start, now), each.run_id, kind, each.where, True)  # noqa: FBT003  # as above
        found.setdefault(each.worker or UNKNOWN, []).append(bar)
    return found, undated


def _now(given: Given, found: dict[str, list[_Bar]]) -> float:
    """The newest moment that is known of: what is under way is at least as old."""
    ends = [bar.end for bars in found.values() for bar in bars]
    starts = [_seconds(each.began) for each in given.under_way]
    return max([*ends, *(start for start in (*starts, _seconds(given.view.as_of)) if start is not None)], default=0.0)


def _seconds(stamp: str) -> float | None:
    """A moment in seconds of the epoch; None for what is none, or was never. Without a zone it is UTC, as ours are."""
    try:
        moment = datetime.fromisoformat(stamp)
        seconds = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if _FIRST_S <= seconds <= _LAST_S else None


def _told(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _idle(bars: Sequence[_Bar]) -> list[tuple[float, float]]:
    """When nothing ran: where it began, and how long it was."""
    found = []
    reached = bars[0].start
    for bar in bars:
        if bar.start > reached:
            found.append((reached, bar.start - reached))
        reached = max(reached, bar.end)
    return found


def _cut(idle: Sequence[tuple[float, float]], length: float) -> list[tuple[float, float]]:
    """What of it an axis may leave out: nights would squash the days, and a clock that was wrong once everything."""
    busy = length - sum(gap for _, gap in idle)
    long = [each for each in idle if each[1] > busy / _LONG]
    return sorted(sorted(long, key=lambda each: (-each[1], each[0]))[:MOST_GAPS])


def _rows(bars: Iterable[_Bar]) -> list[list[_Bar]]:
    """As few rows as there were runs at once, the first as full as can be."""
    rows: list[list[_Bar]] = []
    free: list[int] = []
    taken: list[tuple[float, int]] = []
    for bar in sorted(bars, key=lambda bar: (bar.start, bar.end, bar.open, bar.run_id)):
        while taken and taken[0][0] <= bar.start:
            heapq.heappush(free, heapq.heappop(taken)[1])
        if free:
            at = heapq.heappop(free)
        else:
            at = len(rows)
            rows.append([])
        rows[at].append(bar)
        heapq.heappush(taken, (bar.end, at))
    return rows


def _kept(rows: Sequence[tuple[str, list[_Bar]]]) -> list[int]:
    """The rows to show: every worker's first before anybody's second, and of those the fullest."""
    ranked, seen = [], Counter[str]()
    for at, (worker, row) in enumerate(rows):
        ranked.append((seen[worker], -len(row), at))
        seen[worker] += 1
    return sorted(at for *_, at in sorted(ranked)[:MOST_LANES])


def _lanes(rows: Sequence[tuple[str, list[_Bar]]], zero: float, visible: float) -> tuple[Lane, ...]:
    """The rows in at most MOST stretches: first neighbours alike become one, then whatever lies close enough."""
    groups = [[[bar] for bar in row] for _, row in rows]
    near = max(visible / _FINE, _LEAST_S)
    if sum(map(len, groups)) > MOST:
        groups = [_merged(row, near, alike=True) for row in groups]
    near = max(near, visible * len(groups) / MOST / 2)
    while sum(map(len, groups)) > MOST:
        groups = [_merged(row, near, alike=False) for row in groups]
        near *= _COARSER
    return tuple(
        Lane(
            worker=text.line(worker, SAYS_CHARS) or UNKNOWN,
            stretches=tuple(_stretch(group, zero) for group in row),
            busy_s=_round(sum(bar.end - bar.start for group in row for bar in group)),
        )
        for (worker, _), row in zip(rows, groups, strict=True)
    )


def _merged(groups: Sequence[list[_Bar]], near: float, *, alike: bool) -> list[list[_Bar]]:
    """Neighbours made one: those that lie closer than `near`, and are alike or within a stretch no longer than that.

    What is under way is only joined with what is under way: it has no end, so it stands last on its row.
    """
    merged: list[list[_Bar]] = []
    for group in groups:
        before = merged[-1] if merged else None
        if (
            before is not None
            and before[-1].open == group[0].open
            and group[0].start - before[-1].end <= near
            and (before[0].kind == group[0].kind if alike else group[-1].end - before[0].start <= near)
        ):
            before.extend(group)
        else:
            merged.append(group)
    return merged


def _stretch(group: Sequence[_Bar], zero: float) -> Stretch:
    first, last = group[0], group[-1]
    start, end = _round(first.start - zero), None if last.open else _round(last.end - zero)
    if len(group) == 1:
        says = text.line(first.says, SAYS_CHARS)
        return Stretch(run_id=first.run_id, kind=first.kind, start_s=start, end_s=end, says=says)
    counts = sorted(Counter(bar.kind for bar in group).items(), key=lambda each: (-each[1], each[0]))
    kind = counts[0][0] if len(counts) == 1 else SEVERAL
    return Stretch(run_id=first.run_id, kind=kind, start_s=start, end_s=end, runs=len(group), of=tuple(counts))


def _round(seconds: float) -> float:
    return round(float(seconds), 3)  # a sum of nothing is a whole number, and would be written as one


def _rule(lanes: Sequence[Lane], left: Sequence[tuple[str, list[_Bar]]], undated: int) -> str:
    """What is not there, or not by itself, in words; empty where everything is."""
    rules = []
    merged = sum(stretch.runs for lane in lanes for stretch in lane.stretches if stretch.runs > 1)
    if merged:
        rules.append(f"{text.count(merged, 'run')} that followed each other closely are drawn together")
    if left:
        runs, workers = sum(len(row) for _, row in left), len({worker for worker, _ in left})
        rules.append(
            f"{text.count(len(left), 'row')} of {text.count(workers, 'worker')} with {text.count(runs, 'run')} left out"
        )
    if undated:
        rules.append(f"{text.count(undated, 'run')} that never began, or did not say when, left out")
    return "; ".join(rules)
