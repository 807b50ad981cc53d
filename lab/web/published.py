"""Reports made from a lab: what is read for them, and how they lead to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import LabError
from lab.projections.picture import whole
from lab.projections.picture.run import RunPage
from lab.projections.picture.spending import Took  # msgspec resolves annotations
from lab.scheduler.results import opened, pictured
from lab.web import overview, report
from lab.web.room import FULL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lab.projections.index import Index
    from lab.store.root import Root

INDEX = "index.html"
_FOLDER = "experiments"


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was made. `runs` of so many are in its table, `pages` have a page."""

    name: str  # relative to where the reports go
    data: bytes
    experiment: str = ""
    runs: int = 0
    total: int = 0
    pages: int = 0
    took: Took | None = None
    warnings: tuple[str, ...] = ()


def experiment(root: Root, name: str, *, pages: int | None, interactive: bool, index_link: str = "") -> Published:
    """The report of one experiment. Without a number of pages it is shortened until it fits into a mail."""
    picture = whole.of(pictured.read(root, name, with_take=True))
    chosen = report.chosen(picture) if pages is None else report.chosen(picture, pages)
    runs = [_opened(root, name, run_id) for run_id in chosen]
    made = report.page(picture, runs, interactive=interactive, index_link=index_link, fits=pages is None)
    return Published(
        name=f"{_FOLDER}/{name}.html",
        data=made.data,
        experiment=name,
        runs=made.rows,
        total=picture.rows_sample.total,
        pages=made.pages,
        took=picture.spending.total,
        warnings=picture.warnings,
    )


def as_json(root: Root, name: str) -> Published:
    """The picture itself, for a program."""
    picture = whole.of(pictured.read(root, name, with_take=True))
    shown = len(picture.rows)
    return Published(
        name=f"{_FOLDER}/{name}.json",
        data=whole.encode(picture),
        experiment=name,
        runs=shown,
        total=picture.rows_sample.total,
        warnings=picture.warnings,
    )


def lab(root: Root, *, as_json: bool = False) -> Published:
    """The page of the whole lab, by itself."""
    index = pictured.lab(root)
    total = sum(row.run_count for row in index.experiments)
    data = msgspec.json.encode(index) + b"\n" if as_json else overview.page(index, _nowhere)
    return Published(name=INDEX, data=data, total=total)


def everything(
    root: Root, *, pages: int | None, interactive: bool, told: Callable[[int, int], None] | None
) -> Iterator[Published]:
    """A report an experiment, then the page that leads to them. One that cannot be made is told of and left out."""
    index = pictured.lab(root)
    names = [row.id for row in index.experiments]
    spent: dict[str, Took] = {}
    made: set[str] = set()
    for number, name in enumerate(names, 1):
        try:
            found = experiment(root, name, pages=pages, interactive=interactive, index_link=f"../{INDEX}")
        except LabError as error:
            yield Published(name="", data=b"", experiment=name, warnings=(f"no report of {name}: {error.what}",))
            continue
        finally:
            if told is not None:
                told(number, len(names))
        made.add(name)
        if found.took is not None:
            spent[name] = found.took
        yield found
    yield Published(name=INDEX, data=_index(index, made, spent), total=sum(row.run_count for row in index.experiments))


def _index(index: Index, made: set[str], spent: Mapping[str, Took]) -> bytes:
    return overview.page(index, lambda name: f"{_FOLDER}/{name}.html" if name in made else "", spent=spent)


def _nowhere(_: str) -> str:
    return ""


def _opened(root: Root, name: str, run_id: str) -> RunPage:
    """The run, or a page that says why there is none: it may go while the report is made."""
    try:
        return opened.read(root, run_id, log_lines=FULL.log_lines)
    except LabError as error:
        return RunPage(run_id=run_id, experiment=name, state="not there", problems=(error.what,))
