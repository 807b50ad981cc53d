"""The screen of the whole lab, as rows: what wants you, its experiments, and what happened while you watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.cli.watching.rows import BAD, BOLD, DIM, GOOD, WARN, cells, number, packed, window
from lab.core.subject import Finding
from lab.core.view import AWAITING, OPEN_PHASES
from lab.projections import text
from lab.projections.index import Index
from lab.scheduler.results import happened
from lab.scheduler.results.happened import Told

if TYPE_CHECKING:
    from lab.cli.watching.rows import Row, Span
    from lab.projections.index import Row as Listed

_MIDDLE, _WIDE = 60, 100
_LOOKS = {"run_lost": BAD, "proposal_made": WARN}


class LabShown(msgspec.Struct, kw_only=True):
    """All that a frame is made from."""

    index: Index | None
    wants: list[tuple[str, Finding]]
    under_way: dict[str, int]
    news: list[Told]
    trouble: str = ""
    selected: str = ""
    plain: bool = False


def rows(shown: LabShown, width: int, height: int) -> list[Row]:
    """The frame; never longer than the screen."""
    told: list[Row] = [*_head(shown, width), *_wants(shown, width, max(2, height // 5))]
    if shown.trouble:
        told.append(((f"! {shown.trouble}", BAD),))
    count = len(shown.index.experiments) if shown.index else 0
    for_news = min(len(shown.news) + 1, max(2, (height - len(told)) // 3)) if shown.news else 0
    told += _table(shown, width, max(1, min(count, height - len(told) - for_news - 1)))
    room = height - len(told)
    if shown.news and room > 1:
        told.append((("since you watch", BOLD),))
        told += [_news(each, width, plain=shown.plain) for each in shown.news[-(room - 1) :]]
    return told[:height]


def _head(shown: LabShown, width: int) -> list[Row]:
    bits: list[Span] = [("the lab", BOLD)]
    if shown.index is not None:
        bits += [(f"{count:,} {phase}", _phase(phase)) for phase, count in shown.index.counts_by_phase.items()]
        bits.append((f"{sum(row.run_count for row in shown.index.experiments):,} runs", ""))
        bits.append((f"{sum(shown.under_way.values()):,} under way", ""))
    return packed(bits, width, 2)


def _phase(phase: str) -> str:
    return GOOD if phase in OPEN_PHASES else WARN if phase == AWAITING else DIM


def _wants(shown: LabShown, width: int, room: int) -> list[Row]:
    told = [
        cells(
            [("!", 2, WARN), (f"{f'{name}: ' if name else ''}{text.line(each.what, 300)}", 0, WARN)],
            width,
            plain=shown.plain,
        )
        for name, each in shown.wants[:room]
    ]
    if len(shown.wants) > room:
        told.append(((f"  and {len(shown.wants) - room} more: labctl status", DIM),))
    return told


def _table(shown: LabShown, width: int, room: int) -> list[Row]:
    listed = shown.index.experiments if shown.index else ()
    if not listed:
        return [] if shown.trouble else [(("no experiment yet: labctl create --help", DIM),)]
    at = next((place for place, each in enumerate(listed) if each.id == shown.selected), 0)
    places = window(len(listed), room, at)
    more = f", {len(places)} of {len(listed):,}" if len(places) < len(listed) else ""
    return [((f"experiments{more}", BOLD),), *(_line(shown, listed[place], width) for place in places)]


def _line(shown: LabShown, row: Listed, width: int) -> Row:
    out = shown.under_way.get(row.id, 0)
    columns = [
        ("!" if row.attention else "", 2, WARN),
        (text.line(row.id, 80), 16 if width < _MIDDLE else 28, ""),
        (text.line(row.phase, 20), 10 if width < _MIDDLE else 15, _phase(row.phase)),
        (f"{row.run_count:,}{f'+{out}' if out else ''}", 9, ""),
    ]
    if width >= _MIDDLE:
        best = "" if row.best_value is None else f"{text.line(row.metric, 40) or 'value'} {number(row.best_value)}"
        columns.append((best, 0 if width < _WIDE else 30, GOOD))
    if width >= _WIDE:
        columns.append((text.line(row.goal or row.phase_reason, 160), 0, DIM))
    return cells(columns, width, selected=row.id == shown.selected, plain=shown.plain)


def _news(told: Told, width: int, *, plain: bool) -> Row:
    style = _LOOKS.get(told.what, GOOD if told.best else "")
    return cells([(told.at[11:19], 9, DIM), (happened.sentence(told), 0, style)], width, plain=plain)
