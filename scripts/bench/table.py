"""The table of results: one row a question, as text, Markdown or JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from scripts.bench.gauge import Median

if TYPE_CHECKING:
    from collections.abc import Sequence

HEAD = ("what", "ours", "peer", "floor", "ratio", "spread", "met?")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured, against what, and whether that is what we want. `met` is None where there is no goal."""

    what: str
    ours: str
    floor: str = ""
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None
    number: float | None = None  # `ours` again, for programs; a Median brings its spread along
    peer: str = ""  # what somebody else's program takes for it; hermes-lab's figures are of another machine
    spread: str = ""  # of the repeats of `ours`, least to most


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    repeats: int = 21
    experiments: int = 500
    runs: int = 100_000
    listed: int = 10_000
    depths: tuple[int, ...] = (100, 10_000, 100_000)
    sealed: int = 200
    stops: tuple[int, ...] = (10, 1_000, 10_000)
    synced: int = 200
    turns: int = 100
    earlier: int = 3_000
    others: tuple[int, ...] = (100, 500)
    lanes: int = 8
    shots: int = 25
    labs: tuple[int, ...] = (100, 1_000, 10_000)  # experiments
    names: tuple[int, ...] = (1_000, 10_000, 100_000)  # run folders of one experiment
    claims: tuple[int, ...] = (1, 64, 1_024)  # in flight
    nodes: int = 1_000
    lines: int = 200_000  # of a ledger
    noops: int = 500  # runs of a burst
    rounds: int = 3


QUICK = Size(
    repeats=7, experiments=50, runs=1_000, listed=1_000, depths=(100, 1_000), sealed=40, stops=(10, 100, 300),
    synced=40, turns=25, earlier=300, others=(100,), shots=5, labs=(50, 200), names=(1_000, 10_000), claims=(1, 64),
    nodes=100, lines=20_000, noops=40, rounds=1,
)  # fmt: skip


def cells(row: Row) -> tuple[str, ...]:
    """A row as it is shown."""
    word = "" if row.met is None else "yes" if row.met else "NO"
    met = ": ".join(filter(None, (word, row.goal)))
    return (row.what, row.ours, row.peer, row.floor, "" if row.ratio is None else f"{row.ratio:.2f}", spread(row), met)


def spread(row: Row) -> str:
    """As it was told, or as the number knows it."""
    return row.spread or (row.number.spread() if isinstance(row.number, Median) else "")


def as_text(rows: Sequence[Row]) -> str:
    """Columns side by side."""
    table = [HEAD, *map(cells, rows)]
    widths = [max(len(line[number]) for line in table) for number in range(len(HEAD))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in table]
    return "".join(f"{line.rstrip()}\n" for line in shown)


def as_markdown(rows: Sequence[Row]) -> str:
    """The same for a page."""
    table = [HEAD, ("---",) * len(HEAD), *map(cells, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in table)


def as_data(rows: Sequence[Row]) -> list[dict[str, object]]:
    """The same for programs."""
    return [{**asdict(row), "spread": spread(row)} for row in rows]
