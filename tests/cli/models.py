"""Builders for tests of searches that ask a model: an experiment whose model is a real server of the test's own."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from tests.llm import faulty
from tests.scheduler.labs import a_lab

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.store.root import Root
    from tests.llm.faulty import Faulty, Line, Say

SPACE = "search_space: {x: {low: -2.0, high: 2.0}, n: {low: 1, high: 9, type: int}}\n"
PROGRAM = """executor_command: >-
  awk 'BEGIN {print "METRIC loss=" ({params.x} - 0.3)^2 + ({params.n} - 4)^2}'
seed: 5
strategy: llm
max_parallel: 4
"""


def a_sweep(place: Path, server: Faulty | str, **llm: object) -> Root:
    """A lab with the experiment `sweep`, which asks this server, and is told all that may be known of it."""
    url = server if isinstance(server, str) else server.url
    told = {**({"base_url": url} if url else {}), "model": "m", "timeout_s": 10, "candidates": 4, **llm}
    return a_lab(place, "sweep", more=f"{SPACE}{PROGRAM}llm: {json.dumps(told)}\n")


def edit(root: Root, which: Callable[[str], bool], instead: str) -> None:
    """Put a line into the SPEC in the place of those that are meant."""
    path = root.layout.spec("sweep")
    kept = [line for line in read(path).splitlines(keepends=True) if not which(line)]
    with open(path, "w", encoding="utf-8") as file:
        file.writelines([*kept, instead])


def point(number: int) -> dict[str, object]:
    """A proposal like no other of the first few thousand."""
    return {"params": {"x": round(-1.5 + 0.001 * number, 4), "n": 1 + number % 9}, "hypothesis": f"idea {number}"}


def steadily(count: int = 4) -> Say:
    """A model that proposes `count` new points each time it is asked."""
    made = iter(range(0, 3000, count))

    def say(line: Line) -> None:
        first = next(made)
        faulty.proposes(*(point(first + k) for k in range(count)))(line)

    return say


def lines(root: Root) -> list[dict[str, object]]:
    with open(root.layout.page("sweep", "metrics.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def origins(root: Root) -> list[dict[str, object]]:
    return [dict(line["origin"]) for line in lines(root)]  # type: ignore[call-overload]  # objects


def asks(root: Root) -> list[dict[str, object]]:
    folder = root.layout.asks("sweep")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [json.loads(read(f"{folder}/{name}")) for name in names if not name.startswith(".")]


def events(root: Root, kind: str) -> list[dict[str, object]]:
    found = [json.loads(line)["event"] for line in read(root.layout.events).splitlines()]
    return [each for each in found if each["type"] == kind]


def bundle(root: Root, name: str) -> list[dict[str, object]]:
    """A file of every bundle that has it, oldest first."""
    folder = root.layout.runs("sweep")
    paths = [f"{folder}/{run}/{name}" for run in sorted(os.listdir(folder))]
    return [json.loads(read(path)) for path in paths if os.path.isfile(path)]


def read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def held(root: Root) -> list[str]:
    return [name for name in os.listdir(root.layout.claims("sweep")) if name.endswith(".claim")]
