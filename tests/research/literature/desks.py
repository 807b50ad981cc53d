"""A loopback server that answers as hosts of papers do, or in any way a test tells it to; and the task of the phase."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import TYPE_CHECKING, NamedTuple, cast
from urllib.parse import parse_qsl, urlsplit

import msgspec

from lab.cli.surroundings import run_program
from lab.core.world import World
from lab.research import source
from lab.research.declared import Phase
from lab.research.literature import accepted, rows
from lab.research.order import Order
from lab.research.project import Literature, Project
from lab.research.work.given import Piece
from lab.research.work.inputs import Provided
from lab.research.work.out import Out
from lab.research.worker import Task
from lab.store.files import Files
from lab.store.root import Root
from lab.testing.files import SteadyClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.research.source import Source

FEED = """<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/"
      xmlns:arxiv="http://arxiv.org/schemas/atom">
  <opensearch:totalResults>{total}</opensearch:totalResults><opensearch:startIndex>{start}</opensearch:startIndex>
{entries}</feed>
"""
ENTRY = """<entry><id>http://arxiv.org/abs/{arxiv}v2</id><title>{title}</title><summary>{abstract}</summary>
  <published>{year}-01-15T00:00:00Z</published><arxiv:doi>{doi}</arxiv:doi>{authors}</entry>
"""
ERROR = """<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom"><entry>
  <id>http://arxiv.org/api/errors#incorrect_id_format</id><title>Error</title>
  <summary>incorrect id format for abc</summary></entry></feed>
"""
ROUTES = {"arxiv": "/api/query", "openalex": "/works", "semantic_scholar": "/graph/v1/paper/search"}


class Paper(NamedTuple):
    title: str
    authors: tuple[str, ...] = ("Ada Lovelace",)
    year: int = 2024
    doi: str = ""
    arxiv: str = ""
    abstract: str = "We study the step size of descent. The weather was fine."


def paper(number: int) -> Paper:
    return Paper(f"The step size of descent, part {number}", doi=f"10.1000/x{number}", arxiv=f"2401.{number:05d}")


class Answer(NamedTuple):
    """What the server sends. `length`: what it says of the body's length, where that is a lie."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None
    wait_s: float = 0.0


class Hit(NamedTuple):
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    at: float
    target: str


class Double:
    """`scripts`: path -> answers that are given first, in their order; then `papers` are told as that host tells them.

    An answer that is alone and marked with `for_ever` is given each time.
    """

    def __init__(self, papers: Sequence[Paper] = ()) -> None:
        self.papers = list(papers)
        self.hits: list[Hit] = []
        self.scripts: dict[str, list[Answer]] = {}
        self.for_ever: dict[str, Answer] = {}
        self._lock = threading.Lock()
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                double.answer(self)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, asked: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(asked.path)
        params = dict(parse_qsl(parts.query, keep_blank_values=True))
        with self._lock:
            headers = {name.lower(): value for name, value in asked.headers.items()}
            self.hits.append(Hit(parts.path, params, headers, time.monotonic(), asked.path))
            script = self.scripts.get(parts.path, [])
            given = script.pop(0) if script else self.for_ever.get(parts.path)
        told = given or self.told(parts.path, params)
        time.sleep(told.wait_s)
        try:
            asked.send_response(told.status)
            for name, value in told.headers:
                asked.send_header(name, value)
            asked.send_header("Content-Length", str(len(told.body) if told.length is None else told.length))
            asked.end_headers()
            asked.wfile.write(told.body)
        except OSError:  # who asked has gone away, which some tests are about
            return

    def told(self, path: str, params: Mapping[str, str]) -> Answer:
        if path == ROUTES["arxiv"]:
            return Answer(self._atom(params))
        if path == ROUTES["openalex"]:
            return Answer(json.dumps(self._works(params)).encode())
        if path == ROUTES["semantic_scholar"]:
            return Answer(json.dumps(self._papers(params)).encode())
        return Answer(b"no", 404)

    def _atom(self, params: Mapping[str, str]) -> bytes:
        meant = [each for each in self.papers if not params.get("id_list") or each.arxiv == params["id_list"]]
        start, size = int(params["start"]), int(params["max_results"])
        return feed(meant[start : start + size], total=len(meant), start=start)

    def _works(self, params: Mapping[str, str]) -> dict[str, object]:
        wanted = params.get("filter", "").removeprefix("doi:")
        meant = [each for each in self.papers if not wanted or each.doi == wanted]
        start = 0 if params.get("cursor", "*") == "*" else int(params["cursor"].removeprefix("c"))
        stop = start + int(params["per_page"])
        return {
            "meta": {"count": len(meant), "next_cursor": f"c{stop}" if stop < len(meant) else None},
            "results": [work(each) for each in meant[start:stop]],
        }

    def _papers(self, params: Mapping[str, str]) -> dict[str, object]:
        start, size = int(params["offset"]), int(params["limit"])
        told: dict[str, object] = {"total": len(self.papers), "offset": start}
        told["data"] = [
            {"paperId": "a" * 40, "title": each.title, "year": each.year, "abstract": each.abstract,
             "authors": [{"authorId": "1", "name": name} for name in each.authors],
             "externalIds": {"DOI": each.doi, "ArXiv": each.arxiv}}
            for each in self.papers[start : start + size]
        ]  # fmt: skip
        return told | ({"next": start + size} if start + size < len(self.papers) else {})


def feed(papers: Sequence[Paper], *, total: int | None = None, start: int = 0) -> bytes:
    entries = "".join(
        ENTRY.format(
            arxiv=each.arxiv, title=each.title, abstract=each.abstract, year=each.year, doi=each.doi,
            authors="".join(f"<author><name>{name}</name></author>" for name in each.authors),
        )
        for each in papers
    )  # fmt: skip
    return FEED.format(total=len(papers) if total is None else total, start=start, entries=entries).encode()


def work(each: Paper) -> dict[str, object]:
    places: dict[str, list[int]] = {}
    for place, word in enumerate(each.abstract.split()):
        places.setdefault(word, []).append(place)
    return {
        "id": "https://openalex.org/W1", "doi": f"https://doi.org/{each.doi}" if each.doi else None,
        "display_name": each.title, "publication_year": each.year, "abstract_inverted_index": places,
        "authorships": [{"author": {"display_name": name}} for name in each.authors],
    }  # fmt: skip


def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def a_root(place: Path, environ: Mapping[str, str] | None = None) -> Root:
    world = World(now=SteadyClock(), rng=Random(0), run=run_program, environ=dict(environ or {}))
    return Root(str(place / "lab"), world, files=Files(durable=False))


def a_task(
    place: Path,
    *,
    double: Double | None = None,
    hosts: Sequence[str] = ("arxiv",),
    own: Mapping[str, bytes | str] | None = None,
    environ: Mapping[str, str] | None = None,
    for_s: float = 60.0,
    interrupted: Callable[[], str] = str,
    said: list[str] | None = None,
    mode: str = "A",
    topic: str = "the step size of descent",
    run: str = "run",
    **settings: object,
) -> Task:
    """A task in which every host is the double, below a lab that other tasks of the same place share."""
    root = a_root(place, environ)
    given = {"own": tuple(own or {}), "hosts": tuple(hosts)}
    if double is not None:
        given["urls"] = dict.fromkeys(hosts, double.url)  # type: ignore[assignment]  # converted below
    literature = msgspec.convert({**given, **settings}, Literature)
    pieces = [_piece(place, name, data) for name, data in (own or {}).items()]
    told: list[str] = said if said is not None else []
    return Task(
        root=root,
        spec=cast("Spec", None),  # the phase looks at neither
        view=cast("View", None),
        run_id="RUN-1",
        project=msgspec.convert({"mode": mode, "topic": topic, "literature": literature}, Project),
        folder=str(place),
        phase=msgspec.convert({"name": "literature", "about": "", "executor": "", "outputs": []}, Phase),
        order=Order(phase="literature", worker="literature"),
        given=Provided(pieces, {}),
        out=Out(str(place / run / "artifacts"), root.files),
        until_s=time.monotonic() + for_s,
        say=told.append,
        interrupted=interrupted,
    )


def _piece(place: Path, name: str, data: bytes | str) -> Piece:
    path = place / "project" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = data.encode() if isinstance(data, str) else data
    path.write_bytes(kept)
    return Piece(name=f"folder:literature.own/{name}", path=str(path), sha256=hashlib.sha256(kept).hexdigest())


def left(task: Task) -> tuple[Source, ...]:
    return rows.read(task.out.read(source.FILE) or b"")


def review(task: Task) -> str:
    return (task.out.read(source.REVIEW) or b"").decode()


def problems(task: Task) -> list[str]:
    """What the contract says, with the task at hand."""
    return list(accepted.problems(task.order, task.out, task))
