"""Measure `labctl serve`: the first byte of its pages, an event, a look, and its memory after all was clicked through.

    python scripts/bench/serving.py [--quick] [--only first event memory] [--json | --markdown]

The server is a process of its own, and its CPU time is read from outside, by the kernel's clock of that process. Runs
are really sealed while a page listens. Not a test: nothing fails on a slow day.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote
from urllib.request import urlopen

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from lab.core.ended import Ended
from lab.core.run import SUCCESS
from lab.scheduler import cycle, refresh
from lab.store import machine
from scripts.bench import gauge, grow, program, seeing_ground, start
from scripts.bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPResponse

    from lab.store.root import Root
    from scripts.bench.program import Measure
    from scripts.bench.table import Size

FIRST_S, MEMORY_MB, EVENT_RATIO = 0.05, 80.0, 1.5
PARAMS: dict[str, object] = {"lr": 0.01, "depth": 4, "momentum": 0.9, "optimizer": "adam"}
FILTERS = ("", "value<0.25 lr>0.001", "outcome:crash", "cuda", "-kind:discard optimizer:adam")


class Served:
    """A server, and what it takes."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self._pid = pid
        self._clock = (~pid << 3) | 2  # as clock_getcpuclockid has it

    def cpu_s(self) -> float:
        return time.clock_gettime(self._clock)

    def memory_mb(self, field: str = "VmRSS") -> float:
        with open(f"/proc/{self._pid}/status", encoding="ascii", errors="replace") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith(field))

    def get(self, path: str) -> bytes:
        with urlopen(self.url + path) as answer:  # noqa: S310  # our own server
            return bytes(answer.read())

    def listen(self) -> HTTPResponse:
        """The news, as an open page hears them."""
        found: HTTPResponse = urlopen(f"{self.url}/events?experiment={seeing_ground.NAME}")  # noqa: S310  # the same
        return found

    def whole_s(self, path: str) -> float:
        """CPU of one answer, all of it."""
        before_s = self.cpu_s()
        self.get(path)
        return self.cpu_s() - before_s

    def begun_s(self, path: str) -> tuple[float, float]:
        """CPU until an answer has begun, and until it is whole. Only an experiment's page begins before it is made."""
        before_s = self.cpu_s()
        with urlopen(self.url + path) as answer:  # noqa: S310  # our own server
            answer.read(1)
            begun_s = self.cpu_s() - before_s
            answer.read()
        return begun_s, self.cpu_s() - before_s


@contextmanager
def serving(place: str) -> Iterator[Served]:
    """`labctl serve` on that lab."""
    launcher = next(iter(start.launchers().values()))
    command = [*launcher, "serve", "--port", "0", "--json", "--data-root", place]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=gauge.environment(), cwd=gauge.CHECKOUT
    ) as server:
        try:
            if server.stdout is None:
                raise RuntimeError("no stdout")
            told = json.loads(server.stdout.readline())
            yield Served(told["data"]["url"].rstrip("/"), server.pid)
        finally:
            server.terminate()


def _lab(scratch: str, runs: int, *, bundles: bool = False) -> Root:
    place = f"{scratch}/serve-{runs}{'-sealed' if bundles else ''}"
    if os.path.exists(place):
        return grow.open_root(place, durable=False)
    return seeing_ground.a_lab(place, runs, bundles=bundles)


def first(scratch: str, size: Size) -> list[Row]:
    """The lab page, with many runs and with many experiments; the table of runs while one types."""
    many = f"{scratch}/serve-experiments"
    grow.grown(many, [(f"exp-{number:04d}", 2) for number in range(size.experiments)])
    rows = []
    for place, what in (
        (_lab(scratch, size.listed).layout.root, f"{size.listed:,} runs"),
        (many, f"{size.experiments:,} experiments"),
    ):
        with serving(place) as served:
            cold_s = served.whole_s("/")
            warm_s = gauge.median(served.whole_s("/") for _ in range(size.repeats))
        rows.append(_first(f"lab page, CPU, {what}", warm_s, f"{1e3 * cold_s:.0f} ms the first time"))
    return [*rows, *_of_experiment(scratch, size)]


def _of_experiment(scratch: str, size: Size) -> Iterator[Row]:
    """Its page, each time by a server that has seen nothing yet; its table, in a quiet lab and while runs end."""
    root = _lab(scratch, size.listed)
    page = f"/experiments/{seeing_ground.NAME}"
    with serving(root.layout.root) as served:
        begun_s, whole_s = served.begun_s(page)
        again_s = gauge.median(served.whole_s(page) for _ in range(size.repeats))
        top_s = gauge.median(served.whole_s(f"{page}?part=top") for _ in range(size.repeats))
    runs = f"{size.listed:,} runs"
    yield _first(f"an experiment's page has begun, the first time, CPU, {runs}", begun_s,
                 f"{1e3 * whole_s:.0f} ms all of it; {1e3 * again_s:.0f} ms the next time")  # fmt: skip
    yield _first(f"what stands first of it, CPU, {runs}", top_s, "")
    asked = f"{page}/runs?part=runs&sort=value&q="
    with serving(root.layout.root) as served:
        cold_s = served.whole_s(f"{page}/runs")
        told = [served.whole_s(asked + quote(typed)) for typed in FILTERS * 3]
        yield _first(f"filter and sort {runs}, CPU", max(told), f"{1e3 * cold_s:.0f} ms the first time")
        busy = []
        for number in range(size.shots):
            _sealed(root, number)
            time.sleep(0.2)  # so that it takes longer than what is known of the runs is left as it is
            busy += [served.whole_s(asked + quote(typed)) for typed in FILTERS]
        mostly_s = gauge.median(busy)
        yield _first(f"the same while runs end, CPU, {runs}", max(busy), f"{1e3 * mostly_s:.0f} ms mostly")


def _first(what: str, took_s: float, floor: str) -> Row:
    return Row(
        what=what, ours=f"{1e3 * took_s:.1f} ms", floor=floor, goal=f"<= {1e3 * FIRST_S:.0f} ms",
        met=took_s <= FIRST_S, number=took_s,
    )  # fmt: skip


def event(scratch: str, size: Size) -> list[Row]:
    """What the server takes for one more run while a page listens, and for a second in which nothing happens."""
    taken = {}
    for runs in (100, size.listed):
        root = _lab(scratch, runs)
        with serving(root.layout.root) as served, served.listen() as stream:
            _next(stream, "retry")
            time.sleep(1)
            before_s, began_s = served.cpu_s(), time.monotonic()
            time.sleep(4)
            idle_s = (served.cpu_s() - before_s) / (time.monotonic() - began_s)
            told = []
            for number in range(size.shots):
                before_s = served.cpu_s()
                _sealed(root, number)
                _next(stream, "event: run")
                told.append(served.cpu_s() - before_s)
            best = []
            for number in range(size.shots):
                before_s = served.cpu_s()
                _sealed(root, number, value=-1.0 - number)  # better than all before it
                _next(stream, "event: run")
                best.append(served.cpu_s() - before_s)
            taken[runs] = (gauge.median(told), gauge.median(best), idle_s)
    (few_s, few_best_s, _), (many_s, many_best_s, idle_s) = taken[100], taken[size.listed]
    ratio, best_ratio = many_s / few_s, many_best_s / few_best_s
    return [
        Row(
            what=f"from a seal to its news, with the looks in between, CPU, {size.listed:,} runs",
            ours=f"{1e3 * many_s:.2f} ms",
            floor=f"{1e3 * few_s:.2f} ms at 100 runs", ratio=ratio, goal=f"<= {EVENT_RATIO:g}x",
            met=ratio <= EVENT_RATIO, number=many_s,
        ),
        Row(
            what=f"the same of a new best, CPU, {size.listed:,} runs", ours=f"{1e3 * many_best_s:.2f} ms",
            floor=f"{1e3 * few_best_s:.2f} ms at 100 runs, held against the noise", ratio=best_ratio,
            goal=f"<= {EVENT_RATIO:g}x", met=best_ratio <= EVENT_RATIO, number=many_best_s,
        ),
        Row(what="a second without news, CPU, one page open", ours=f"{1e3 * idle_s:.2f} ms", number=idle_s),
    ]  # fmt: skip


def _sealed(root: Root, number: int, *, value: float | None = None) -> None:
    running = cycle.begin(root, seeing_ground.NAME, owner=machine.this_process("bench"), params=PARAMS)
    value = 0.9 - number / 1000 if value is None else value
    cycle.finish(root, running, Ended(outcome=SUCCESS, value=value, wall_s=1.0))
    refresh.lab_pages(root)


def _next(stream: HTTPResponse, wanted: str) -> None:
    for line in stream:
        if line.startswith(wanted.encode()):
            return
    raise RuntimeError(f"the stream ended before {wanted}")


def memory(scratch: str, size: Size) -> list[Row]:
    """Resident memory once every kind of page was looked at, some of them often, and after a few events."""
    root = _lab(scratch, size.listed, bundles=True)
    runs = sorted(os.listdir(root.layout.runs(seeing_ground.NAME)))
    page = f"/experiments/{seeing_ground.NAME}"
    with serving(root.layout.root) as served:
        began_mb = served.memory_mb()
        paths = ["/", "/index.json", page, f"{page}?part=drawings", f"{page}/picture.json", f"{page}/stairs.svg"]
        paths += [f"{page}/{name}.svg" for name in ("parameters", "timeline", "lineage", "importance", "cost")]
        paths += [f"{page}/runs?sort=value&page={number}&q={quote(typed)}" for number in (1, 7) for typed in FILTERS]
        paths += [f"/runs/{run}" for run in runs[:: max(1, len(runs) // 20)]]
        paths += [f"/compare?a={runs[0]}&b={runs[-1]}"]
        with served.listen() as stream:
            for turn in range(3):
                for path in paths:
                    served.get(path)
                _sealed(root, turn)
                _next(stream, "event: run")
        end_mb, peak_mb = served.memory_mb(), served.memory_mb("VmHWM")
    return [
        Row(
            what=f"resident memory after all was looked at, {size.listed:,} runs", ours=f"{end_mb:.0f} MB",
            floor=f"{began_mb:.0f} MB at the start; at most {peak_mb:.0f} MB", goal=f"<= {MEMORY_MB:g} MB",
            met=end_mb <= MEMORY_MB, number=end_mb,
        )
    ]  # fmt: skip


MEASURES: dict[str, Measure] = {
    "first": lambda scratch, _, size: first(scratch, size),
    "event": lambda scratch, _, size: event(scratch, size),
    "memory": lambda scratch, _, size: memory(scratch, size),
}


if __name__ == "__main__":
    program.run(__doc__, MEASURES)
