"""`scripts/bench/all`: every measure is taken by one command, what was taken is kept, and one table tells it."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.bench import gauge, table
from scripts.bench.table import Row
from tests.programs import loaded

if TYPE_CHECKING:
    from types import ModuleType

BENCH = Path(__file__).resolve().parents[2] / "scripts" / "bench"
PROGRAM = """\
import json, os, sys
with open(os.environ["SEEN"], "a") as file:
    file.write(os.path.basename(__file__) + "\\n")
if os.path.exists(__file__ + ".broken"):
    sys.exit(1)
row = {"what": "a thing", "ours": "2 ms", "peer": "x 4 ms", "floor": "1 ms", "ratio": 2.0, "spread": "-1 to +9 %",
       "goal": "<= 3x", "met": True}
print(json.dumps({"machine": "some cores; load", "rows": [row]}))
"""
PAGE = "# What things cost\n\nbefore\n\n{0}\nold\n{1}\n\nafter\n"


def fresh() -> ModuleType:
    return loaded(BENCH / "all", "bench_all")


class Bench:
    """The command over two programs that take no time."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.module, self.place, self._patch = fresh(), place, monkeypatch
        self.page = place / "page.md"
        self.page.write_text(PAGE.format(self.module.BEGIN, self.module.END))
        benches = {name: self.module.Bench(f"The {name}", f"{name}.py") for name in ("one", "two")}
        benches["slow"] = self.module.Bench("What takes long", "slow.py", long=True)
        for name in benches:
            (place / f"{name}.py").write_text(PROGRAM)
        for name, value in (("HERE", str(place)), ("PAGE", str(self.page)), ("BENCHES", benches),
                            ("KEPT", str(place / "kept"))):  # fmt: skip
            monkeypatch.setattr(self.module, name, value)
        monkeypatch.setenv("SEEN", str(place / "seen"))

    def run(self, *words: str) -> int:
        self._patch.setattr(sys, "argv", ["all", "--kept", str(self.place / "results"), *words])
        code: int = self.module.main()
        return code

    def seen(self) -> list[str]:
        """Which programs were started since the last look."""
        place = self.place / "seen"
        told = place.read_text().split() if place.exists() else []
        place.write_text("")
        return told

    def breaks(self, name: str) -> None:
        (self.place / f"{name}.py.broken").touch()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_every_measure_of_every_program_is_taken() -> None:
    benches = fresh().BENCHES.values()
    programs = {path.name for path in BENCH.glob("*.py") if '__name__ == "__main__"' in path.read_text()}
    made_with = {"grow.py", "seeing_ground.py", "steps.py", "turns.py", "scale_steps.py"}  # started by the others
    assert programs - made_with == {each.program for each in benches} - {"quality/code_loop.py"}
    for name in sorted(programs - made_with - {"search.py", "llm.py"}):
        measures = set(importlib.import_module(f"scripts.bench.{name.removesuffix('.py')}").MEASURES)
        asked = [each.words for each in benches if each.program == name]
        taken = measures if () in asked else {word for words in asked for word in words[1:]}
        assert taken == measures, name


def test_the_table_goes_between_the_marks_and_nowhere_else(bench: Bench) -> None:
    assert bench.run("--write") == 0
    head, _, rest = bench.page.read_text().partition(bench.module.BEGIN)
    written, _, tail = rest.partition(bench.module.END)
    assert (head, tail) == ("# What things cost\n\nbefore\n\n", "\n\nafter\n")
    assert "| a thing | 2 ms | x 4 ms | 1 ms | 2.00 | -1 to +9 % | yes: <= 3x |\n" in written
    assert "old" not in written
    before = bench.page.read_text()
    assert bench.run("--write") == 0
    assert bench.page.read_text() == before


def test_what_was_measured_is_not_measured_again_with_from(bench: Bench) -> None:
    bench.run()
    assert bench.seen() == ["one.py", "two.py"]
    bench.run("--from", "two")
    assert bench.seen() == ["two.py"]
    bench.run("--quick", "--from", "two")
    assert bench.seen() == ["one.py", "two.py"], "a sample is not what was measured at full size"


def test_a_program_that_fails_is_told_of_and_the_page_stays(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    before = bench.page.read_text()
    bench.breaks("one")
    assert bench.run("--write") == 1
    assert "one did not come to its end" in capsys.readouterr().err
    assert bench.seen() == ["one.py", "two.py"]
    assert bench.page.read_text() == before


def test_what_takes_long_is_told_from_what_is_kept(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.run("--only", "slow", "--long")
    assert bench.seen() == ["slow.py"]
    capsys.readouterr()
    assert bench.run("--only", "slow", "--json") == 0
    assert bench.seen() == []
    told = json.loads(capsys.readouterr().out)
    assert told[0]["rows"][0]["ours"] == "2 ms"


def test_what_a_step_tells_of_its_repeats_reaches_the_table() -> None:
    told = gauge.read(gauge.told({"used": gauge.median([0.9, 1.0, 1.5]), "other": [gauge.median([2]), 3], "count": 4}))
    assert told["count"] == 4
    assert told["other"] == [2.0, 3]
    used = told["used"]
    assert isinstance(used, gauge.Median)
    assert table.cells(Row(what="w", ours="1 s", number=used, goal="< 2 s", met=True)) == (
        "w", "1 s", "", "", "", "-10 to +50 %", "yes: < 2 s",
    )  # fmt: skip
