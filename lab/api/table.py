"""The runs of an experiment as rows that pandas and polars take as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.api import markup
from lab.scheduler.results import export

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.scheduler.results.export import Cell, Chosen


class Table(list[dict[str, str | int | float | bool | None]]):
    """A row a run, in the order of history: plain dicts, all with the same keys. `columns` names them in order.

    `pandas.DataFrame(table)` and `polars.DataFrame(table)` take it as it is. The columns are those of `labctl export`:
    what the lab says of a run, then `params.NAME` for each parameter and `metrics.NAME` for each number that a run
    measured. What a run does not have is None: a run without a value has none, never 0. A column of whole numbers and
    fractions holds fractions; one of mixed types holds text, each value as JSON. It is a copy: changing it changes
    nothing in the lab.
    """

    def __init__(self, rows: Iterable[dict[str, Cell]] = (), columns: Iterable[str] = ()) -> None:
        super().__init__(rows)
        self.columns = list(columns)

    def by_column(self) -> dict[str, list[str | int | float | bool | None]]:
        """The same, a list a column: for polars, which tells the type of a column by its first 100 rows."""
        return {name: [row[name] for row in self] for name in self.columns}

    def __repr__(self) -> str:
        return f"<Table of {len(self)} runs, {len(self.columns)} columns>"

    def _repr_html_(self) -> str:
        return markup.table(self.columns, self, f"{len(self)} runs")


def of(chosen: Chosen) -> Table:
    """The rows of an export, each with every column."""
    columns, rows = export.flat(chosen)
    values = [export.column([row.get(name) for row in rows]) for name in columns]
    return Table((dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)), columns)
