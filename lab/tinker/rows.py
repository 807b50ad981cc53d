"""What a chunk tells while it goes on: a row for each step, and one for each state it saved. Pure, and reading only.

Rows are appended by a process that may be killed at any byte, and its folder is open to whoever runs the experiment:
a line counts once it ends and says what it must, everything else is passed over and counted, and however much is there,
what is read and kept is bounded. A step that was done again (after a loss of power, say) has several rows: the last one
tells what it was like, while the tokens of all of them were paid.
"""

from __future__ import annotations

import errno
import math
import os
import stat
import statistics
from typing import TYPE_CHECKING, TypeVar

import msgspec

from lab.core import chunk as names
from lab.core.chunk import Checkpoint
from lab.tinker.paths import EXTERNAL, SAMPLER, WEIGHTS, is_name, is_path, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

T = TypeVar("T")
LONGEST_LINE_BYTES = 1 << 15
LARGEST_FILE_BYTES = 64 << 20  # of a longer one the rest is not read
MOST_STEPS = 200_000  # that are kept of one chunk
MOST_NAMES = 128  # metrics of one row
NAME_CHARS = 64
WORDS_CHARS = 500
LAST = 5  # steps whose mean stands for a chunk that measures nothing
LARGEST_COUNT = 10**12
_PIECE_BYTES = 1 << 18
_MEASURED, _UNFINISHED = "measured", "unfinished"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One step, as its row tells it."""

    step: int
    run: str = ""  # the service's name of the training run
    at: float = 0.0  # seconds since 1970, when it was done
    step_s: float = 0.0
    wait_s: float = 0.0  # of these, in the hands of the service
    trained: int = 0  # tokens
    sampled: int = 0
    prefilled: int = 0
    kl: float | None = None
    trouble: str = ""
    metrics: dict[str, float] = {}
    measured: dict[str, float] = {}  # at the end of the chunk, on data that was held out
    unfinished: bool = False  # it was begun and not done: no step, only what was paid


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """All that a chunk's rows tell."""

    rows: tuple[Row, ...] = ()  # the last of each step that was done, by step
    trained: int = 0  # of all rows, those of what was begun and not done included
    sampled: int = 0
    prefilled: int = 0
    passed_over: int = 0  # lines that are no row
    is_cut: bool = False  # there was more than is read of one chunk
    left: str = ""  # the trouble of what was begun and not done

    @property
    def kl(self) -> float | None:
        """The largest of its steps."""
        return max((row.kl for row in self.rows if row.kl is not None), default=None)

    @property
    def trouble(self) -> str:
        """Of the last step that has any, or of one that was not done. Rows that are not read are trouble as well."""
        told = next((row.trouble for row in reversed(self.rows) if row.trouble), self.left)
        return told or ("its rows are more than are read of one run: what it used is not known" if self.is_cut else "")


class States(msgspec.Struct, frozen=True, kw_only=True):
    """All that a chunk's records of what it saved tell."""

    last: Checkpoint | None = None  # the last one with a state
    fixed: dict[str, str] = {}  # as the last record that has any says
    passed_over: int = 0


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which the service let a chunk wait. Without `over` it goes on, or its end was not seen."""

    at: float
    what: str  # billing, capacity, rate limit, errors, away
    words: str = ""
    over: float | None = None


class _Line(msgspec.Struct, kw_only=True):
    """The part of a row that has a meaning beyond its name. Whatever else is in it is a metric, or nothing."""

    step: int
    run: str = ""
    at: float = 0.0
    step_s: float = 0.0
    wait_s: float = 0.0
    trained: int = 0
    sampled: int = 0
    prefilled: int = 0
    kl: float | None = None
    trouble: str = ""
    measured: dict[str, float] = {}
    unfinished: bool = False


_OWN = frozenset(_Line.__struct_fields__)
_line = msgspec.json.Decoder(_Line)
_whole = msgspec.json.Decoder(dict[str, object])
_checkpoint = msgspec.json.Decoder(Checkpoint)
_pause = msgspec.json.Decoder(Pause)


def encode(row: Row) -> bytes:
    """The row as one line. A number that is not finite, which JSON cannot say, is left out and told as trouble."""
    given = {**row.metrics, **({names.KL: row.kl} if row.kl is not None else {})}
    lost = [name for name, value in (*given.items(), *row.measured.items()) if not math.isfinite(value)]
    own = {name: getattr(row, name) for name in ("step", "run", "at", "step_s", "wait_s")}
    counts = {name: getattr(row, name) for name in ("trained", "sampled", "prefilled") if getattr(row, name)}
    line: dict[str, object] = {**finite(given), **own, **counts}
    if row.measured:
        line[_MEASURED] = finite(row.measured)
    if row.unfinished:
        line[_UNFINISHED] = True
    trouble = row.trouble or (f"{', '.join(lost)} {'is' if len(lost) == 1 else 'are'} not finite" if lost else "")
    if trouble:
        line[names.TROUBLE] = trouble[:WORDS_CHARS]
    return msgspec.json.encode(line) + b"\n"


def encode_record(record: Checkpoint | Pause) -> bytes:
    """A record of what was saved, or of a pause, as one line."""
    return msgspec.json.encode(record) + b"\n"


def finite(numbers: Mapping[str, float]) -> dict[str, float]:
    """Those that are."""
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def means(steps: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each metric the mean over the last steps that told it."""
    last = steps[-LAST:]
    names = dict.fromkeys(name for told in last for name in told)
    return {name: statistics.fmean(told[name] for told in last if name in told) for name in names}


def metric_problem(name: str) -> str:
    """Why a metric cannot be called this, or an empty string."""
    if name in _OWN - {names.KL}:
        return f"a row's own {name} has that name"
    if not name.isprintable() or " " in name or "=" in name or not 0 < len(name) <= NAME_CHARS:
        return f"a name has 1 to {NAME_CHARS} characters, no blank and no ="
    return ""


def steps(folder: str) -> Steps:
    """What the rows of the run in this folder tell; none where it has none."""
    path = f"{folder}/{names.STEPS}"
    told = steps_of(_lines(path))
    return msgspec.structs.replace(told, is_cut=True) if _is_longer(path) else told


def states(folder: str) -> States:
    """What the run in this folder saved."""
    return states_of(_lines(f"{folder}/{names.CHECKPOINTS}"))


def pauses(folder: str) -> tuple[Pause, ...]:
    """The times in which the run in this folder had to wait."""
    return pauses_of(_lines(f"{folder}/{names.PAUSES}"))


def steps_of(lines: Iterable[bytes | None]) -> Steps:
    """What these lines tell. `None` among them stands for one that was too long, or for what was not read."""
    last: dict[int, Row] = {}
    trained = sampled = prefilled = passed_over = 0
    is_cut, left = False, ""
    for line in lines:
        row = _row(line) if line is not None else None
        if row is None:
            passed_over += 1
            continue
        trained, sampled, prefilled = trained + row.trained, sampled + row.sampled, prefilled + row.prefilled
        if row.unfinished:
            left = row.trouble or left
            continue
        if row.step not in last and len(last) >= MOST_STEPS:
            is_cut = True
            continue
        last[row.step] = row
    return Steps(
        rows=tuple(last[step] for step in sorted(last)),
        trained=trained,
        sampled=sampled,
        prefilled=prefilled,
        passed_over=passed_over,
        is_cut=is_cut,
        left=left,
    )


def states_of(lines: Iterable[bytes | None]) -> States:
    """What these lines tell."""
    last, fixed, passed_over = None, dict[str, str](), 0
    for line in lines:
        record = _decoded(_checkpoint, line)
        if record is None or not _is_sound(record):
            passed_over += 1
            continue
        fixed = record.fixed or fixed
        if record.state_path:
            last = record
    return States(last=last, fixed=fixed, passed_over=passed_over)


def pauses_of(lines: Iterable[bytes | None]) -> tuple[Pause, ...]:
    """The pauses in these lines, in their order; the last line of each counts."""
    last: dict[tuple[float, str], Pause] = {}
    for line in lines:
        pause = _decoded(_pause, line)
        if pause is None or not math.isfinite(pause.at) or (pause.over is not None and not math.isfinite(pause.over)):
            continue
        if len(last) < MOST_STEPS:
            last[pause.at, pause.what] = msgspec.structs.replace(
                pause, what=plain(pause.what)[:NAME_CHARS], words=plain(pause.words)
            )
    return tuple(sorted(last.values(), key=lambda pause: pause.at))


def paused_s(pauses: Iterable[Pause], until: float) -> float:
    """Seconds in which at least one pause went on; one whose end nobody saw lasts until `until`, the chunk's end."""
    total, reached = 0.0, -math.inf
    for pause in sorted(pauses, key=lambda pause: pause.at):
        over = min(until if pause.over is None else pause.over, until)
        total += max(0.0, over - max(pause.at, reached))
        reached = max(reached, over)
    return total


def plain(words: str) -> str:
    """Words as one bounded line that says nothing to a terminal."""
    return "".join(each if each.isprintable() else " " for each in words[: 2 * WORDS_CHARS]).strip()[:WORDS_CHARS]


def _row(line: bytes) -> Row | None:
    own = _decoded(_line, line)
    rest = _decoded(_whole, line)
    if own is None or rest is None or own.step < 0:
        return None
    counts = (own.step, own.trained, own.sampled, own.prefilled)
    if min(counts) < 0 or max(counts) > LARGEST_COUNT:
        return None
    if not all(math.isfinite(seconds) and seconds >= 0 for seconds in (own.at, own.step_s, own.wait_s)):
        return None
    return Row(
        step=own.step,
        run=plain(own.run),
        at=own.at,
        step_s=own.step_s,
        wait_s=own.wait_s,
        trained=own.trained,
        sampled=own.sampled,
        prefilled=own.prefilled,
        kl=own.kl if own.kl is not None and math.isfinite(own.kl) else None,
        trouble=plain(own.trouble),
        metrics=_numbers((name, value) for name, value in rest.items() if name not in _OWN),
        measured=_numbers(own.measured.items()),
        unfinished=own.unfinished,
    )


def _numbers(given: Iterable[tuple[str, object]]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name, value in given:
        if len(numbers) >= MOST_NAMES:
            break
        if isinstance(value, (int, float)) and not isinstance(value, bool) and not metric_problem(name):
            try:
                number = float(value)
            except OverflowError:
                continue
            if math.isfinite(number):
                numbers[name] = number
    return numbers


def _is_sound(record: Checkpoint) -> bool:
    """Whether it could have been written by a chunk: what is in it is asked of a service, and shown."""
    kinds = ((record.state_path, WEIGHTS), (record.sampler_path, SAMPLER), (record.external_path, EXTERNAL))
    if not all(is_path(path) and parse(path).kind == kind for path, kind in kinds if path):
        return False
    named = (record.name, *record.fixed)
    return (
        0 <= record.next_step <= LARGEST_COUNT
        and all(is_name(name) for name in named)
        and len(record.fixed) <= MOST_NAMES
        and all(is_path(path) for path in record.fixed.values())
        and len(record.model_run) <= WORDS_CHARS
        and record.model_run.isprintable()
    )


def _decoded(decoder: msgspec.json.Decoder[T], line: bytes | None) -> T | None:
    if line is None or len(line) > LONGEST_LINE_BYTES:
        return None
    try:
        return decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _is_longer(path: str) -> bool:
    """Whether there is more in a file than is read of it."""
    try:
        return os.lstat(path).st_size > LARGEST_FILE_BYTES
    except OSError:
        return False


def _lines(path: str) -> Iterator[bytes | None]:
    """The lines of a file that end, a piece at a time; of what is no plain file, none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
            return
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return
        yield from _split(descriptor)
    finally:
        os.close(descriptor)


def _split(descriptor: int) -> Iterator[bytes | None]:
    rest, is_too_long, left = b"", False, LARGEST_FILE_BYTES
    while piece := os.read(descriptor, min(_PIECE_BYTES, left)) if left > 0 else b"":
        left -= len(piece)
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield None if is_too_long else line
            is_too_long = False
        if len(rest) > LONGEST_LINE_BYTES:
            rest, is_too_long = b"", True
