"""The runs of an experiment in the files of other programs: CSV, JSON lines, Parquet, an Optuna journal.

Everything is read from metrics.jsonl. A run without a value has none in any of them, whatever its program claimed.
"""

from __future__ import annotations

import io
import os
import stat
from csv import writer
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, Unavailable
from lab.core.space import Space
from lab.projections.tables import OURS, Line  # msgspec resolves annotations
from lab.scheduler.results import table
from lab.scheduler.search import spaces
from lab.store import leftovers, reading
from lab.store import root as store
from lab.store.refusals import NO_SPACE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.scheduler.results.table import Table
    from lab.store.root import Root

BINARY = frozenset({"parquet", "optuna"})  # written into a file, never to a terminal
_FIRST = (
    "run_id", "ts", "outcome", "value", "tier", "role", "iteration", "strategy", "arm", "kind", "number", "seed",
    "parents", "note",
)  # fmt: skip
_LINE_END = "\r\n"
_NAMES = msgspec.json.Decoder(dict[str, msgspec.Raw])

Cell = str | int | float | bool | None


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What to export: lines of the table with their bytes."""

    lines: tuple[Line, ...]
    raw: tuple[bytes, ...]


def choose(found: Table, tier: str) -> Chosen:
    """The runs of a tier, or all of them."""
    if not tier:
        return Chosen(lines=found.lines, raw=found.raw)
    table.tier_of(found, tier)
    kept = [pair for pair in zip(found.lines, found.raw, strict=True) if pair[0].tier == tier]
    return Chosen(lines=tuple(line for line, _ in kept), raw=tuple(raw for _, raw in kept))


def flat(chosen: Chosen) -> tuple[list[str], list[dict[str, Cell]]]:
    """The columns and the rows. Parameters are `params.NAME`, the run's own metrics `metrics.NAME`."""
    return _columns(chosen), list(_rows(chosen))


def _columns(chosen: Chosen) -> list[str]:
    params = dict.fromkeys(name for line in chosen.lines for name in line.params or ())
    told = (_NAMES.decode(raw) for raw in chosen.raw)
    metrics = dict.fromkeys(name for names in told for name in names if name not in OURS)
    return [*_FIRST, *(f"params.{name}" for name in params), *(f"metrics.{name}" for name in metrics)]


def _rows(chosen: Chosen) -> Iterator[dict[str, Cell]]:
    """One by one: of a hundred thousand runs all of them are 200 MB."""
    for line, raw in zip(chosen.lines, chosen.raw, strict=True):
        row = _row(line)
        for name, value in (line.params or {}).items():
            row[f"params.{name}"] = _cell(value)
        for name, value in msgspec.json.decode(raw, type=dict[str, object]).items():
            if name not in OURS:
                row[f"metrics.{name}"] = _cell(value)
        yield row


def _row(line: Line) -> dict[str, Cell]:
    row: dict[str, Cell] = {
        "run_id": line.run_id,
        "ts": line.ts,
        "outcome": line.outcome,
        "value": line.value,
        "tier": line.tier,
        "role": line.role,
        "iteration": line.iteration,
    }
    if line.origin is not None:
        origin = line.origin
        row.update(strategy=origin.strategy, arm=origin.arm, kind=origin.kind, number=origin.number, seed=origin.seed)
        row.update(parents=" ".join(origin.parents), note=origin.note)
    return row


def _cell(value: object) -> Cell:
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return msgspec.json.encode(value).decode()


def csv_lines(chosen: Chosen) -> Iterator[str]:
    """A head and a line a run. A line may hold line ends inside quotes, as CSV allows."""
    columns = _columns(chosen)
    buffer = io.StringIO()
    pen = writer(buffer, lineterminator=_LINE_END)  # it puts quotes around these two characters and around no others
    for row in chain([columns], ([_written(row.get(name)) for name in columns] for row in _rows(chosen))):
        pen.writerow(row)
        yield buffer.getvalue().removesuffix(_LINE_END)
        buffer.seek(0)
        buffer.truncate()


def _written(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def jsonl_lines(chosen: Chosen) -> Iterator[str]:
    """The lines of metrics.jsonl as they are."""
    for raw in chosen.raw:
        yield raw.decode()


def parquet(chosen: Chosen) -> bytes:
    """A Parquet file with the columns of the CSV. A column of mixed types is text, each value as JSON."""
    try:
        import pyarrow as pa  # type: ignore[import-untyped]  # noqa: PLC0415  # 0.2 s, and an extra
        from pyarrow import parquet as files  # noqa: PLC0415  # the same
    except ImportError as missing:
        raise Unavailable("Parquet needs pyarrow", fix="pip install 'labctl[parquet]'") from missing
    columns, rows = flat(chosen)
    table = pa.table({name: column([row.get(name) for row in rows]) for name in columns})
    sink = pa.BufferOutputStream()
    files.write_table(table, sink)
    return bytes(sink.getvalue())


def column(values: Sequence[Cell]) -> list[Cell]:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and kinds != {int}:
        return [None if value is None else float(value) for value in values]
    too_large = kinds == {int} and any(abs(int(value or 0)) >= 2**63 for value in values)
    if len(kinds) <= 1 and not too_large:
        return list(values)
    return [None if value is None else msgspec.json.encode(value).decode() for value in values]


def journal(root: Root, found: Table, chosen: Chosen) -> tuple[bytes, tuple[str, ...]]:
    """An Optuna journal file, and the names of the studies in it: one a tier, for their values are not compared."""
    try:
        from lab.scheduler.results import optuna_journal  # noqa: PLC0415  # optuna: 0.4 s, and an extra
    except ImportError as missing:
        raise Unavailable("an Optuna journal needs optuna", fix="pip install 'labctl[search]'") from missing
    there = spaces.find(root, found.spec, found.view) if found.spec else None
    space = there.space if there else Space(parameters=())
    tiers = [tier for tier in found.tiers() if any(line.tier == tier for line in chosen.lines)] or [found.view.tier]
    alone = len(found.tiers()) == 1
    studies = [
        optuna_journal.Study(
            name=found.experiment if alone else f"{found.experiment}.{tier}",
            experiment=found.experiment,
            tier=tier,
            minimize=found.direction(tier) == "minimize",
            metric=found.metric(tier),
            runs=[pair for pair in zip(chosen.lines, chosen.raw, strict=True) if pair[0].tier == tier],
        )
        for tier in tiers
    ]
    return optuna_journal.journal(studies, space), tuple(study.name for study in studies)


def require_room(path: str, *, yes: bool, example: str = "--output runs.csv") -> str:
    """Where to write, or `BadInput`: a file that is there is not written over unless that was agreed to.

    A link is followed, or it would become a file. Into a pipe or a terminal it is written as into any program.
    `example` is how a file is named to the verb that asks.
    """
    place = os.path.abspath(os.path.expanduser(path))
    if _flows(place):
        return place
    place = os.path.realpath(place)
    require_outside(place)
    if os.path.isdir(place):
        raise BadInput("this is a folder", where=place, fix=f"name the file: {example}")
    if not os.path.isdir(os.path.dirname(place)):
        raise BadInput("there is no such folder", where=os.path.dirname(place), fix=f"mkdir {os.path.dirname(place)}")
    if os.path.lexists(place) and not os.path.isfile(place):
        raise BadInput("this is neither a file nor a pipe", where=place, fix=f"name a file: {example}")
    if os.path.lexists(place) and not yes:
        raise BadInput("this file is there already", where=place, fix="name another one, or add --yes to replace it")
    return place


def require_outside(place: str) -> None:
    """`BadInput` for what lies inside a lab, or it would take the place of a sealed file; its scratch folder is free.

    `place` is where it really is, with links resolved.
    """
    root = store.around(place)
    scratch = os.path.join(root, "scratch")
    if root and os.path.commonpath((place, scratch)) != scratch:
        fix = f"name a place outside of it, or {os.path.join(scratch, os.path.basename(place))}"
        raise BadInput(f"this is inside the lab {root}, where only the lab itself writes", where=place, fix=fix)


def _flows(place: str) -> bool:
    """Whether what is written there goes somewhere else. To replace it would take it away, as root even a device."""
    try:
        mode = os.stat(place).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def write(root: Root, place: str, data: bytes, *, yes: bool) -> None:
    """Put it there, whole or not at all."""
    try:
        _put(root, place, data, yes=yes)
    except BrokenPipeError:
        raise
    except Unavailable:  # no hard links there, as on a stick: then no file can be made only where there is none
        what = "the disk of this place has no hard links, without which a file that is there could be written over"
        raise Unavailable(what, where=place, fix="add --yes: nothing is there now") from None
    except FileExistsError:
        raise BadInput("somebody made this file meanwhile", where=place, fix="add --yes to replace it") from None
    except OSError as error:
        if not _flows(place) and reading.read(place) == data:
            what = f"the file is there and whole, but the disk did not confirm it: {error.strerror}"
            raise Unavailable(what, where=place, fix="look at the disk; a power cut may take the file") from error
        raise _unwritten(place, error) from error


def _put(root: Root, place: str, data: bytes, *, yes: bool) -> None:
    if _flows(place):
        root.files.pour(place, data)
        return
    leftovers.clear(root.files, place)
    if yes:
        root.files.replace(place, data, durable=True)  # nobody makes a person's file again: not empty after a power cut
    else:
        root.files.create(place, data)


def _unwritten(place: str, error: OSError) -> Unavailable:
    """Why it was not written. It is no file of the lab, and may lie on another disk: `recover` does not help."""
    was = "what was there before is unchanged" if os.path.isfile(place) else "nothing was written"
    if error.errno in NO_SPACE:
        disk = os.path.dirname(place)
        while not os.path.ismount(disk):
            disk = os.path.dirname(disk)
        return Unavailable(
            f"the disk {disk} is full; {was}", where=place, fix="free some space there, or name another place"
        )
    what = f"this cannot be written: {error.strerror or error}; {was}"
    return Unavailable(what, where=place, fix="name a place that you may write")
