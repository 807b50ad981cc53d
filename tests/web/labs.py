"""A lab behind a server, for tests of live pages: with runs, with what is hostile, with a run under way."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from lab.core.run import SUCCESS
from lab.scheduler import cycle, refresh
from lab.web import pages
from lab.web.server import Server
from lab.web.site import Site
from tests.cli.searches import a_run, a_searched_lab, made
from tests.scheduler.labs import ended, me

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lab.scheduler.cycle import Running
    from lab.store.root import Root

NAME = "sweep"
PARAMS: dict[str, object] = {"lr": 0.5, "depth": 2, "kind": "adam"}
HOSTILE = (
    "<script>document.title='taken'</script><img src=x onerror=alert(1)>\x1b[31mred\x1b[0m \u202egnp.exe\u202c \x07\x9b"
)


class Served(NamedTuple):
    """Where a lab can be looked at."""

    root: Root
    url: str
    site: Site
    server: Server


def a_seen_lab(place: Path, runs: int = 12) -> Root:
    """An experiment with a space, and runs of which every fifth crashed."""
    root = a_searched_lab(place, NAME)
    for number in range(runs):
        a_numbered_run(root, number)
    refresh.lab_pages(root)
    return root


def a_numbered_run(root: Root, number: int, note: str = "") -> str:
    """The run of that number: the higher, the better, but for those that crash."""
    crashed = number % 5 == 4
    given: Mapping[str, object] = {
        "lr": 0.1 / (number + 1),
        "depth": 1 + number % 8,
        "kind": ("adam", "sgd")[number % 2],
    }
    told = {"reason": "CUDA out of memory"} if crashed else {"note": note or f"try number {number}"}
    seal = a_run(
        root, given, None if crashed else 1.0 / (number + 1), outcome="crash" if crashed else SUCCESS,
        origin=made(number), name=NAME, **told,
    )  # fmt: skip
    return seal.run.run_id


def begun(root: Root, name: str = NAME) -> Running:
    """A run under way."""
    return cycle.begin(root, name, owner=me(), params=PARAMS)


def finished(root: Root, running: Running, value: float | None = 0.001, outcome: str = SUCCESS) -> str:
    """Its end; the id of the run."""
    return cycle.finish(root, running, ended(value, outcome)).run.run_id


@contextmanager
def looked_at(root: Root, *, look_s: float = 0.05, port: int = 0) -> Iterator[Served]:
    """A server with the live pages, that looks for news more often than one does."""
    told: list[str] = []
    site = Site(root, actor="ann", tell=told.append)
    site.live.feed.look_s = look_s
    with Server(site, pages.ROUTES, port=port, debug=True) as server:
        yield Served(root, server.url.rstrip("/"), site, server)
    assert [line for line in told if "itself failed" in line] == []
