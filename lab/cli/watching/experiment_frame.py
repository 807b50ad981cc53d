"""The screen of one experiment, as rows: how it stands, what it wants, its staircase, its runs, and a log."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from lab.cli.watching.looking import Experiment, LogEnd
from lab.cli.watching.rows import BAD, BLANK, BOLD, DIM, GOOD, WARN, cells, cut, number, packed, short, since, window
from lab.core.run import CLAIMED, FAILURES, NOT_MEASURED, SUCCESS
from lab.core.view import AWAITING, OPEN_PHASES
from lab.projections import standing as budgets
from lab.projections import tables, text
from lab.projections.picture import spark, words
from lab.projections.picture.given import LOST, WAITING, UnderWay
from lab.projections.picture.stairs import BASELINE, CRASH, KEEP, WITHIN
from lab.projections.picture.whole import MOST_LAST, Picture
from lab.projections.tier import spec_here

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.cli.watching.rows import Row, Span
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.scheduler.results.wanted import Want

MOST_ENDED = 12
_WIDE, _MIDDLE = 100, 70
_LONG_ID, _SHORT_ID = 40, 22
_TALL = 22
_KIND = 17  # "kept unconfirmed", and a space
_THOUSAND = 1000
_LOOKS = {KEEP: GOOD, BASELINE: GOOD, WITHIN: WARN, CRASH: BAD}


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed run in the list."""

    run_id: str
    kind: str
    value: float | None
    wall_s: float
    says: str
    unsure: bool = False


class ExperimentShown(msgspec.Struct, kw_only=True):
    """All that a frame is made from."""

    experiment: Experiment
    under_way: tuple[UnderWay, ...]
    lasts: dict[str, str]
    picture: Picture | None
    now: datetime
    selected: str = ""
    log: LogEnd | None = None
    plain: bool = False


def ended(experiment: Experiment, picture: Picture | None) -> list[Ended]:
    """The last sealed runs, the newest first."""
    rows = {row.run_id: row for row in picture.rows[-MOST_LAST:]} if picture else {}  # the newest are all there
    found: dict[str, Ended] = {}
    for run in reversed(experiment.standing.view.recent if experiment.standing else []):
        row = rows.get(run.run_id)
        kind = row.kind if row else run.verdict or run.outcome
        says = (row.says or row.params if row else "") or text.line(tables.said(run), 160)
        found[run.run_id] = Ended(
            run_id=run.run_id, kind=kind, value=run.value, wall_s=run.wall_s, says=says,
            unsure=row is not None and row.unsure,
        )  # fmt: skip
    for row in reversed(list(rows.values())):
        if len(found) >= MOST_ENDED:
            break
        found.setdefault(
            row.run_id,
            Ended(
                run_id=row.run_id,
                kind=row.kind,
                value=row.value,
                wall_s=row.wall_s,
                says=row.says or row.params,
                unsure=row.unsure,
            ),
        )
    return list(found.values())


def rows(shown: ExperimentShown, width: int, height: int) -> list[Row]:
    """The frame; it may be shorter than the screen, and is never longer."""
    experiment, done = shown.experiment, ended(shown.experiment, shown.picture)
    told = [*_head(shown, width), *_wants(shown, width, max(2, height // 5))]
    if experiment.trouble:
        told.append(((f"! {experiment.trouble}", BAD),))
    left = height - len(told)
    if left >= 8:  # noqa: PLR2004  # else the runs need the room
        told += _stairs(shown, width, 3 if height >= _TALL else 1)
    left = height - len(told)
    for_log = 1 + max(1, len(shown.log.lines)) if shown.log is not None else 0
    for_runs = max(2, left - for_log, left * 2 // 3)
    out = min(len(shown.under_way), max(1, for_runs - 1 - min(len(done), 4) - bool(done)))
    told += _running(shown, width, out)
    room = for_runs - (out + 1 if shown.under_way else 1) - 1
    told += _done(shown, done, width, max(0, min(room, len(done))))
    if shown.log is not None:
        told += _log(shown.log, width, height - len(told), plain=shown.plain)
    return told[:height]


def selectable(shown: ExperimentShown) -> list[str]:
    """What j and k go through: what waits for a word, what runs, what has ended."""
    names = [want.waiting.proposal_id for want in shown.experiment.wants if want.waiting is not None]
    names += [each.run_id for each in shown.under_way]
    return names + [each.run_id for each in ended(shown.experiment, shown.picture)]


# -- how it stands -----------------------------------------------------------------------------------------------------


def _head(shown: ExperimentShown, width: int) -> list[Row]:
    now = shown.experiment.standing
    bits: list[Span] = [(text.line(shown.experiment.name, 80), BOLD)]
    if now is None:
        return packed(bits, width, 1)
    view = now.view
    style = GOOD if view.phase in OPEN_PHASES else WARN if view.phase == AWAITING else DIM
    here = spec_here(view, now.spec)
    most = f" of {here.max_iterations_total:,}" if here else ""
    bits += [(view.phase, style), (f"tier {text.line(view.tier, 40)}", ""), (f"{view.runs:,}{most} runs", "")]
    bits += [(f"{view.failed:,} failed", BAD)] if view.failed else []
    bits += [(f"{view.unmeasured:,} {NOT_MEASURED}", DIM)] if view.unmeasured else []
    claimed = sum(view.claimed.values())
    bits += [(f"{claimed:,} {CLAIMED}", DIM)] if claimed else []
    bits += [(f"{len(shown.under_way):,} under way", "")] if shown.under_way else []
    metric = text.line(now.metric, 60) or "value"
    if view.best is not None:
        run = short(view.best.run_id, width if width >= _WIDE else 0)
        seen = " seen" if now.spec is not None and view.noisy(declared=now.spec.noise) else ""
        bits.append((f"best {metric}{seen} {number(view.best.value)} ({run})", GOOD))
    else:
        bits.append((f"no {metric} yet ({now.direction()})", DIM))
    bits += [(each, "") for each in _left(view, here, len(shown.under_way))]
    if shown.picture is not None:
        bits += [(each, WARN) for each in shown.picture.head.luck]
    if view.phase not in OPEN_PHASES and view.phase_reason:
        bits.append((text.line(view.phase_reason, 160), DIM))
    return packed(bits, width, 3)


def _left(view: View, here: Spec | None, under_way: int) -> Iterator[str]:
    """What is left of each budget that was set."""
    left = budgets.left(view, here, under_way)
    known = (
        (left.runs, "runs"), (left.hours, "h of running"), (left.cost, "of the cost"),
        (left.model_calls, "model calls"), (left.model_usd, "USD for the model"),
    )  # fmt: skip
    told = [f"{_amount(value)} {what}" for value, what in known if value is not None]
    if told:
        yield f"left: {', '.join(told)}"


def _amount(value: float) -> str:
    """What is counted in full; of an amount four digits, and no exponent where it is large."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= _THOUSAND else f"{value:.4g}"


def _wants(shown: ExperimentShown, width: int, room: int) -> list[Row]:
    wants = shown.experiment.wants
    at = next((place for place, each in enumerate(wants) if _is_selected(each, shown.selected)), 0)
    told = [
        cells(
            [("!", 2, WARN), (_want(wants[place], width), 0, WARN)], width,
            selected=_is_selected(wants[place], shown.selected), plain=shown.plain,
        )
        for place in window(len(wants), room, at)
    ]  # fmt: skip
    if len(told) < len(wants):
        told.append(((f"  and {len(wants) - len(told)} more", DIM),))
    return told


def _is_selected(want: Want, selected: str) -> bool:
    return bool(selected) and want.waiting is not None and want.waiting.proposal_id == selected


def _want(want: Want, width: int) -> str:
    what = text.line(want.what, 300)
    if want.waiting is not None:
        problem = f" ({text.line(want.waiting.problem)})" if want.waiting.problem else ""
        how = "a approve, r reject" if want.waiting.may_approve else "r reject"
        tail = f" [{text.line(want.waiting.proposal_id)}: {how}]{problem}"
    else:
        tail = f"; {text.line(want.fix)}" if want.fix else ""
    return cut(what, max(width // 2, width - 2 - len(tail))) + tail


# -- the staircase -----------------------------------------------------------------------------------------------------


def _stairs(shown: ExperimentShown, width: int, height: int) -> list[Row]:
    if shown.picture is None or not shown.picture.stairs.sample.total:
        return []
    found = shown.picture.stairs
    drawn = spark.of(found, width - 1, height, plain=shown.plain)
    told: list[Row] = [((each, GOOD),) for each in drawn.rows] if drawn.first is not None else []
    if drawn.crashes:
        told.append(((drawn.crashes, BAD),))
    bits: list[Span] = []
    if drawn.first is not None:
        bits.append((f"{found.metric} {number(drawn.first)} -> {number(drawn.last)} ({found.direction})", DIM))
    band = found.band
    noise = f"noise {band.sigma:.3g} a run" if band is not None and band.sigma else ""
    bits.append((noise or ("no noise" if band is not None else "nothing is known of the noise"), DIM))
    bits += [(f"{count:,} {words.of(kind)}", _LOOKS.get(kind, DIM)) for kind, count in found.counts.items()]
    now = shown.experiment.standing
    behind = now.view.runs - shown.picture.head.runs if now is not None else 0
    bits += [(f"drawn before the last {text.count(behind, 'run')}", WARN)] if behind > 0 else []
    return [*told, *packed(bits, width, 1 if height == 1 else 2)]


# -- the runs ----------------------------------------------------------------------------------------------------------


def _running(shown: ExperimentShown, width: int, room: int) -> list[Row]:
    if not shown.under_way:
        return [(("nothing is under way", DIM),)]
    at = next((place for place, each in enumerate(shown.under_way) if each.run_id == shown.selected), 0)
    places = window(len(shown.under_way), room, at)
    more = f", {len(places)} of {len(shown.under_way):,}" if len(places) < len(shown.under_way) else ""
    told: list[Row] = [((f"under way{more}", BOLD),)]
    for place in places:
        each = shown.under_way[place]
        style = BAD if each.state == LOST else WARN if each.state == WAITING else ""
        last = text.line(each.where, 200) if each.where and each.state == WAITING else shown.lasts.get(each.run_id, "")
        long = _LONG_ID if width >= _WIDE else _SHORT_ID
        columns = [(short(each.run_id, long), long, style), (since(each.began, shown.now), 13, "")]
        if width >= _MIDDLE:
            columns.append((text.line(each.worker, 60), 16, DIM))
        if each.state != "running":
            columns.append((each.state, 9, style))
        columns.append((last, 0, DIM))
        told.append(cells(columns, width, selected=each.run_id == shown.selected, plain=shown.plain))
    return told


def _done(shown: ExperimentShown, done: list[Ended], width: int, room: int) -> list[Row]:
    if not done or not room:
        return []
    at = next((place for place, each in enumerate(done) if each.run_id == shown.selected), 0)
    now = shown.experiment.standing
    told: list[Row] = [((f"ended, the last of {now.view.runs if now else len(done):,}", BOLD),)]
    for place in window(len(done), room, at):
        each = done[place]
        style = _LOOKS.get(each.kind, BAD if each.kind in FAILURES else "" if each.kind == SUCCESS else DIM)
        long = _LONG_ID if width >= _WIDE else _SHORT_ID
        columns = [(short(each.run_id, long), long, ""), (words.of(each.kind, unsure=each.unsure), _KIND, style)]
        columns.append((number(each.value), 13, ""))
        if width >= _MIDDLE:
            columns.append((text.duration(each.wall_s) if each.wall_s else "", 13, DIM))
        columns.append((each.says, 0, DIM))
        told.append(cells(columns, width, selected=each.run_id == shown.selected, plain=shown.plain))
    return told


def _log(log: LogEnd, width: int, room: int, *, plain: bool) -> list[Row]:
    if room < 2:  # noqa: PLR2004  # its title alone says nothing
        return []
    note = f" ({log.note})" if log.note else ""
    title: Row = ((cut(f"log of {text.line(log.run_id)}{note}", width, plain=plain), BOLD),)
    lines = log.lines[-(room - 1) :]
    return (
        [title, *(((each, ""),) for each in lines)] if lines else [title, (("nothing was written to it", DIM),), BLANK]
    )
