"""`list ID`: the last runs of a long table, and the whole of it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from lab.cli import list_
from lab.core.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

MANY = 20_000


def table(path: Path, lines: list[str]) -> str:
    folder = path / "experiments" / "long"
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def run(number: int, size: int = 100) -> str:
    return json.dumps({"run_id": f"RUN-{number}", "outcome": "success", "note": "x" * size})


def read_bytes() -> int:
    with open("/proc/self/io", encoding="ascii") as file:
        return int(file.readline().split()[1])


@pytest.mark.skipif(not os.path.exists("/proc/self/io"), reason="the kernel does not count")
def test_the_last_runs_cost_the_same_whatever_came_before(tmp_path: Path) -> None:
    place = table(tmp_path, [run(number) for number in range(MANY)])
    before = read_bytes()
    found = list_._runs(place, "long", "", 20)
    assert read_bytes() - before < 200_000
    assert [each["run_id"] for each in found] == [f"RUN-{number}" for number in range(MANY - 20, MANY)]


@pytest.mark.parametrize("last", [1, 7, 999, 1_000, 1_001, 3_000])
@pytest.mark.parametrize("size", [1, 90_000])
def test_the_last_are_those_of_the_whole(last: int, size: int, tmp_path: Path) -> None:
    count = 2_005 if size == 1 else 12
    place = table(tmp_path, [run(number, size) for number in range(count)])
    whole = list_._runs(place, "long", "", 0)
    assert len(whole) == count
    assert list_._runs(place, "long", "", last) == whole[-last:]
    assert list_._runs(place, "long", "success", last) == whole[-last:]


@pytest.mark.parametrize(
    "damage", ["", "{", "[1]", '{"run_id": 5}', '{"run_id": "a"},{"run_id": "b"}', '{"run_id": "a"}, 5', "nonsense"]
)
def test_a_damaged_line_is_refused_wherever_it_stands(damage: str, tmp_path: Path) -> None:
    lines = [run(number) for number in range(5)]
    place = table(tmp_path, [*lines[:2], damage, *lines[2:]])
    for last in (0, 4):
        with pytest.raises(Unavailable, match="damaged"):
            list_._runs(place, "long", "", last)


def test_an_empty_table_has_no_runs(tmp_path: Path) -> None:
    assert list_._runs(table(tmp_path, []), "long", "", 20) == []
