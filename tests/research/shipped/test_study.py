"""The study that a project begins with: the same twice, honest about what it has seen, and plain about a bad table."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from lab.core import spec, spec_text

STUDY = Path(__file__).resolve().parents[3] / "templates/research/study"
CURVED = {"powers": 3}


def ran(folder: Path, part: str, *, seed: int | None = 1, params: object = None) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, **({} if seed is None else {"LAB_SEED": str(seed)})}
    if params is not None:
        (folder / "params.json").write_text(json.dumps(params))
        environ["LAB_PARAMS_PATH"] = str(folder / "params.json")
    command = [sys.executable, "-I", str(folder / "fit.py"), part]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def error(folder: Path, part: str, *, seed: int | None = 1, params: object = None) -> float:
    done = ran(folder, part, seed=seed, params=params)
    assert done.returncode == 0, done.stderr
    return float(done.stdout.rpartition("METRIC error=")[2])


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for name in ("fit.py", "data.csv"):
        (tmp_path / name).write_bytes((STUDY / name).read_bytes())
    return tmp_path


def test_the_same_params_and_seed_are_the_same_number_and_another_seed_is_another(study: Path) -> None:
    assert error(study, "selection") == error(study, "selection") != error(study, "selection", seed=2)
    assert error(study, "report") != error(study, "selection")


def test_a_curve_is_found_where_there_is_one_and_on_rows_that_no_search_has_seen(study: Path) -> None:
    assert error(study, "report", params=CURVED) < 0.5 * error(study, "report") < 0.5


def test_what_a_search_looks_at_does_not_know_what_is_reported(study: Path) -> None:
    """Whatever stands to be predicted in the rows of the other part, the number is the same."""
    part_of = runpy.run_path(str(study / "fit.py"))["part_of"]
    was = {part: error(study, part) for part in ("selection", "report")}
    head, *rows = (study / "data.csv").read_text().splitlines()
    for part, other in (("selection", "report"), ("report", "selection")):
        changed = []
        for row in rows:
            *known, wanted = row.split(",")
            is_other = part_of([float(cell) for cell in known]) == other
            changed.append(",".join((*known, "12345" if is_other else wanted)))
        assert changed != rows
        (study / "data.csv").write_text("\n".join((head, *changed)) + "\n")
        assert error(study, part) == was[part]


def test_the_order_of_the_rows_does_not_move_one_into_another_part(study: Path) -> None:
    """Without a seed nothing is drawn, so nothing else can depend on the order."""
    was = error(study, "report", seed=None)
    head, *rows = (study / "data.csv").read_text().splitlines()
    (study / "data.csv").write_text("\n".join((head, *reversed(rows))) + "\n")
    assert error(study, "report", seed=None) == pytest.approx(was, abs=1e-9)


GOOD = "a,b,y\n" + "".join(f"{i},{i * i % 7},{i % 5}\n" for i in range(100))
BAD = {
    "nothing in it": (b"", "the first line has 0 columns"),
    "one column": (b"y\n1\n2\n", "the first line has 1 columns"),
    "no names": (b"1,2,3\n4,5,6\n", "must name the columns"),
    "a word": (GOOD.replace("7,0,2", "7,zero,2").encode(), "line 9, column b: 'zero'"),
    "an empty cell": (GOOD.replace("7,0,2", "7,,2").encode(), "line 9, column b: ''"),
    "no number": (GOOD.replace("7,0,2", "7,nan,2").encode(), "line 9, column b: 'nan'"),
    "a number that has no square": (GOOD.replace("7,0,2", "7,1e300,2").encode(), "line 9, column b: '1e300'"),
    "a cell too few": (GOOD.replace("7,0,2", "7,0").encode(), "line 9 has 2 cells"),
    "few rows": ("\n".join(GOOD.splitlines()[:20]).encode(), "are needed: give a longer table"),
    "nothing to predict": (b"a,y\n" + b"".join(b"%d,1\n" % i for i in range(100)), "the same in every row"),
    "no text": (b"a,y\n\xff\xfe,1\n", "no text in UTF-8"),
    "a quote left open": (GOOD.replace("7,0,2", '"7,0,2').encode(), "no CSV"),
    "too many rows": (b"a,y\n" + b"1,2\n" * 4100, "more than 4000 rows"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_table_that_cannot_be_used_is_refused_in_words(study: Path, case: str) -> None:
    data, why = BAD[case]
    (study / "data.csv").write_bytes(data)
    done = ran(study, "selection")
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_a_good_table_that_is_somebody_elses_is_used(study: Path) -> None:
    (study / "data.csv").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert error(study, "report", params={"powers": 4, "local": 1, "neighbours": 60, "ridge": 0.0001}) > 0
    (study / "data.csv").unlink()
    done = ran(study, "report")
    assert done.returncode == 2
    assert "cannot be read" in done.stderr


@pytest.mark.parametrize("params", [{"powers": 0}, {"local": "much"}, {"ridge": True}, {"neighbours": 1e9}])
def test_a_parameter_out_of_its_range_is_refused(study: Path, params: object) -> None:
    done = ran(study, "selection", params=params)
    assert (done.returncode, done.stdout) == (2, "")
    assert "must be a number from" in done.stderr


def test_the_table_is_the_one_that_its_script_writes() -> None:
    done = subprocess.run([sys.executable, "-I", str(STUDY / "make_data.py")], capture_output=True, check=True)
    assert done.stdout == (STUDY / "data.csv").read_bytes()


def test_what_is_reported_is_measured_by_another_command_than_what_is_chosen_by() -> None:
    found = spec.parse(*spec_text.parse_text((STUDY / "SPEC.yaml").read_bytes(), "SPEC.yaml"), "SPEC.yaml")
    assert found.fidelity_tiers == ("selection", "report")
    assert found.for_tier("selection").executor_command.endswith("fit.py selection")
    assert found.for_tier("report").executor_command.endswith("fit.py report")
