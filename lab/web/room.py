"""A report is to stay small enough for mail: what gives way where it would not, and in which order.

First what only a pointer finds, then what is said at length, then what there are many of. What the experiment came to
is never shortened. What gave way is told on the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.projections import text
from lab.projections.picture import stairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lab.projections.picture.run import Log, RunPage
    from lab.projections.picture.whole import Picture, RunRow

MOST_BYTES = 400_000
_FILES, _LOG_CHARS, _METRICS = 40, 200, 60


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """How much of each there is room for."""

    pointed: int = 80  # marks of each drawing that say which run they are
    words: tuple[int, int] = (2_000, 30)  # characters and lines of a plan and of a result
    diff: tuple[int, int] = (8_000, 120)  # of the change of a run
    log_lines: int = 24
    note: int = 120  # characters of what is said of a run in the table, and of what it was given
    best_diff: tuple[int, int] = (60_000, 399)  # of the change of the best run
    pages: int = 12
    tiers: int = 8  # staircases of other tiers
    slices: int = 12  # pictures of one parameter
    rows: int = 250


FULL = Room()
_STEPS: tuple[dict[str, object], ...] = (
    {"pointed": 50},
    {"words": (600, 10), "diff": (2_500, 40), "log_lines": 10},
    {"note": 60},
    {"best_diff": (16_000, 200)},
    {"pages": 9},
    {"pages": 6},
    {"pointed": 15, "tiers": 3},
    {"rows": 180},
    {"rows": 120},
    {"best_diff": (5_000, 60), "slices": 6, "pages": 3},
    {"rows": 50, "note": 40, "tiers": 1},
    {"best_diff": (1_500, 20), "slices": 0, "pages": 1, "tiers": 0},
    {"pages": 0, "pointed": 0},
)


def steps() -> Iterator[Room]:
    """From less than all of it to the least, each with less of something than the one before."""
    room = FULL
    for step in _STEPS:
        room = msgspec.structs.replace(room, **step)
        yield room


def briefly(run: RunPage, room: Room = FULL) -> RunPage:
    """The run with as much of its texts as there is room for; what is cut says so itself."""
    diff, left = shortened(run.diff, *room.diff)
    metrics, problems = run.metrics, run.problems
    if len(metrics) > _METRICS:
        metrics = dict(list(metrics.items())[:_METRICS])
        problems = (*problems, f"of {len(run.metrics):,} metrics the first {_METRICS} are shown")
    return msgspec.structs.replace(
        run,
        plan=text.block(run.plan, *room.words),
        result=text.block(run.result, *room.words),
        diff=diff,
        diff_cut=run.diff_cut or left > 0,
        metrics=metrics,
        problems=problems,
        files=run.files[:_FILES],
        files_left_out=run.files_left_out + max(len(run.files) - _FILES, 0),
        logs={name: _end_of(log, room.log_lines) for name, log in run.logs.items()},
    )


def _end_of(log: Log, count: int) -> Log:
    lines = tuple(text.line(each, _LOG_CHARS) for each in log.lines[len(log.lines) - min(count, len(log.lines)) :])
    return msgspec.structs.replace(log, lines=lines)


def shortened(words: str, chars: int, lines: int) -> tuple[str, int]:
    """As many lines as there is room for, and how many are left, which its last line says."""
    shown = text.block(words, chars, lines)
    total = words.strip("\n").count("\n") + 1
    if len(words) <= chars and total <= lines:
        return shown, 0
    rows = shown.split("\n")[:-1]
    left = max(total - len(rows), 1)  # of a line that is too long, what is left is the line
    return "\n".join([*rows, f"{text.CUT} {left:,} more line{'s' if left > 1 else ''}"]), left


def noted(rows: Iterable[RunRow], room: Room) -> tuple[RunRow, ...]:
    """The rows with what is said of each as long as there is room for."""
    return tuple(
        msgspec.structs.replace(row, says=text.line(row.says, room.note), params=text.line(row.params, room.note + 40))
        for row in rows
    )


def told(
    room: Room, picture: Picture, rows: Sequence[RunRow], marks: tuple[int, int], pages: int
) -> Iterator[tuple[str, str]]:
    """What gave way, in words. `rows` as they were, `marks` that say what they are, of how many that could."""
    name = picture.head.experiment
    if room != FULL:
        yield "Size", f"this page is kept below {MOST_BYTES // 1000} kB, to be mailed; what gave way for that is below"
    if marks[0] < marks[1]:
        yield "Drawings", f"{marks[0]:,} of {marks[1]:,} marks say which run they are when pointed at"
    cut = sum(len(row.says) > room.note or len(row.params) > room.note + 40 for row in rows)
    if cut:
        yield "Notes in the table", f"cut in {cut:,} rows; labctl export {name} has all"
    best = picture.best
    if best is not None and (left := shortened(best.diff, *room.best_diff)[1]):
        yield "Change of the best run", f"lines not shown: {left:,}{_whole_change(picture)}"
    if pages and room.words != FULL.words:
        yield "Texts of run pages", f"the first {room.words[1]} lines, and the last {room.log_lines} of a log"
    if room.tiers < (of := len(picture.other_tiers)):
        yield "Staircases of other tiers", f"{room.tiers} of {of}; labctl plot {name} --tier TIER draws each"
    if picture.parameters is not None and room.slices < (of := len(picture.parameters.axes)):
        yield "One parameter at a time", f"{room.slices} of {of}; labctl plot {name} --what slices draws all"


def _whole_change(picture: Picture) -> str:
    """How to see all of it, where it is known what it is against."""
    best = picture.best
    first = next(
        (row.run_id for row in picture.rows if row.kind == stairs.BASELINE and row.tier == picture.head.tier), ""
    )
    if best is None or not first:
        return ""
    return f"; labctl compare {first} {best.run_id} --diff-lines 10000 shows it"
