"""`labctl report`: what there is to see, in one file."""

from __future__ import annotations

import json
import os
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.cli.searches import a_run, a_searched_lab, made, some_runs
from tests.scheduler.labs import a_lab, one_run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl


def test_a_report_is_written_and_told_of(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    ids = some_runs(a_searched_lab(place))
    target = tmp_path / "report.html"
    said = labctl.done("report", "sweep", "-o", str(target))
    size = target.stat().st_size
    assert said.out == f"report: {target} ({size:,} bytes; 4 of 4 runs in the table, 4 with a page)\n"
    page = target.read_text(encoding="utf-8")
    assert all(f'id="run-{run_id}"' in page for run_id in ids)
    assert "out of memory" in page or "failed" in page
    data = labctl.done("report", "sweep", "-o", str(tmp_path / "again.html"), "--json").data
    assert (data["runs"], data["total"], data["pages"], data["format"]) == (4, 4, 4, "html")
    assert (tmp_path / "again.html").read_bytes() == target.read_bytes()


def test_reading_a_lab_for_a_report_changes_nothing_in_it(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    some_runs(a_searched_lab(place))
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    labctl.done("report", "sweep", "-o", str(tmp_path / "x.html"), "--interactive")
    labctl.done("report", "--all", "-o", str(tmp_path / "all"))
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


def test_a_file_that_is_there_is_replaced_only_when_that_was_agreed_to(
    labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    some_runs(a_searched_lab(place))
    target = tmp_path / "report.html"
    target.write_text("mine")
    said = labctl("report", "sweep", "-o", str(target))
    assert said.code == 2
    assert "--yes" in said.err
    assert target.read_text() == "mine"
    labctl.done("report", "sweep", "-o", str(target), "--yes")
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_json_is_the_picture_and_html_its_drawing(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    ids = some_runs(a_searched_lab(place))
    labctl.done("report", "sweep", "-o", str(tmp_path / "picture.json"))
    picture = json.loads((tmp_path / "picture.json").read_bytes())
    assert picture["format"] == 1
    assert [row["run_id"] for row in picture["rows"]] == ids
    labctl.done("report", "-o", str(tmp_path / "lab.json"))
    assert [row["id"] for row in json.loads((tmp_path / "lab.json").read_bytes())["experiments"]] == ["sweep"]


def test_to_the_terminal_it_goes_whole(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    some_runs(a_searched_lab(place))
    labctl.done("report", "sweep", "-o", str(tmp_path / "x.html"))
    assert labctl.done("report", "sweep", "-o", "-").out == (tmp_path / "x.html").read_text(encoding="utf-8")
    assert labctl.done("report", "sweep", "-o", "-", "--json").data["text"].startswith("<!doctype html>")


def test_so_many_runs_get_a_page_as_were_asked_for(labctl: Labctl, place: Path) -> None:
    some_runs(a_searched_lab(place))
    assert labctl.done("report", "sweep", "-o", "-", "--runs", "0").out.count("<article") == 0
    page = labctl.done("report", "sweep", "-o", "-", "--runs", "2").out
    assert page.count("<article") == 2
    assert "Run pages: 2 of 4 runs" in page
    assert labctl("report", "sweep", "-o", "-", "--runs", "-1").code == 2
    assert labctl("report", "sweep", "-o", "-", "--runs", "201").code == 2


@pytest.mark.parametrize(("words", "name"), [(("sweep",), "sweep.html"), ((), "lab.html")])
def test_without_a_name_it_is_the_experiments_or_the_labs_here_and_nothing_is_written_over(
    words: tuple[str, ...], name: str, labctl: Labctl, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_searched_lab(place)
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path / name) in labctl.done("report", *words).out
    (tmp_path / name).write_text("mine")
    assert labctl("report", *words).code == 2
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (("sweep", "-o", "report.pdf"), "labctl report sweep -o report.html"),
        (("sweep", "-o", "x.json", "--interactive"), "leave them out"),
        (("-o", "x.html", "--interactive"), "labctl report ID -o report.html --interactive"),
        (("-o", "x.html", "--runs", "3"), "labctl report ID -o report.html"),
        (("sweep", "--all", "-o", "x"), "leave one of them out"),
        (("--all", "-o", "-"), "labctl report --all -o reports/"),
        (("--all", "-o", "/dev/null"), "labctl report --all -o reports/"),
        (("--all", "-o", "all.html"), "labctl report --all -o reports/"),
        (("sweep", "-o", ".html"), "labctl report sweep -o report.html"),
        (("", "-o", "x.html"), "experiment id"),
        (("", "--all", "-o", "x"), "leave one of them out"),
        (("--all", "-o", "nowhere/reports"), "mkdir "),
        (("sweep", "-o", "nowhere/x.html"), "mkdir "),
        (("swep", "-o", "x.html"), "did you mean sweep?"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_way_out(
    words: tuple[str, ...], fix: str, labctl: Labctl, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_searched_lab(place)
    monkeypatch.chdir(tmp_path)
    before = sorted(os.listdir(tmp_path))
    said = labctl("report", *words)
    assert said.code == 2
    assert fix in said.err
    assert sorted(os.listdir(tmp_path)) == before


def test_that_there_is_no_such_experiment_is_said_before_that_its_report_is_there(
    labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    a_searched_lab(place)
    target = tmp_path / "x.html"
    target.write_text("mine")
    assert "did you mean sweep?" in labctl("report", "swep", "-o", str(target)).err
    assert "add --yes" in labctl("report", "sweep", "-o", str(target)).err
    assert target.read_text() == "mine"


def test_the_reports_of_a_lab_lead_to_each_other(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    root = a_lab(place, "alpha", "index")
    one_run(root, "alpha", value=0.5)
    folder = tmp_path / "reports"
    data = labctl.done("report", "--all", "-o", f"{folder}/", "--json").data
    assert len(data["files"]) == 3
    for path in (folder / "index.html", *(folder / "experiments").iterdir()):
        page = path.read_text(encoding="utf-8")
        linked = set(re.findall(r'href="([^"#]+)"', page))
        assert linked
        assert all((path.parent / link).is_file() for link in linked)
    assert labctl("report", "--all", "-o", str(folder)).code == 2
    labctl.done("report", "--all", "-o", str(folder), "--yes")


def test_a_report_of_a_lab_goes_on_where_one_experiment_is_damaged(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    root = a_lab(place, "alpha", "beta")
    one_run(root, "alpha", value=0.5)
    one_run(root, "beta", value=0.5)
    os.unlink(root.layout.status("beta"))
    said = labctl.done("report", "--all", "-o", str(tmp_path / "reports"))
    assert "no report of beta" in said.err
    assert os.listdir(tmp_path / "reports" / "experiments") == ["alpha.html"]
    assert "beta" in (tmp_path / "reports" / "index.html").read_text(encoding="utf-8")


def test_a_bundle_that_is_gone_is_told_of_on_the_page(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    ids = some_runs(root)
    shutil.rmtree(os.path.join(root.layout.runs("sweep"), ids[0]))
    page = labctl.done("report", "sweep", "-o", "-").out
    assert f'id="run-{ids[0]}"' in page
    assert page.count("<article") == 4


@pytest.mark.parametrize("number", [0, 1, 3])
def test_where_nothing_has_a_value_the_page_says_so(number: int, labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    for each in range(number):
        a_run(root, {"lr": 0.1 * (each + 1)}, None, outcome="crash", reason="it fell over")
    page = labctl.done("report", "sweep", "-o", "-", "--interactive").out
    assert "No run has a value yet." in page
    assert page.count("it fell over") >= number


def test_another_tier_has_a_staircase_of_its_own(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    some_runs(root)
    assert 'id="drawing-stairs-1"' not in labctl.done("report", "sweep", "-o", "-").out
    a_run(root, {"lr": 0.1, "depth": 3, "kind": "adam"}, 7.0, tier="final")
    page = labctl.done("report", "sweep", "-o", "-").out
    assert 'id="drawing-stairs-1"' in page
    assert "<h3>Tier final</h3>" in page


def test_the_report_and_the_board_count_the_same_for_the_same_arm(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    """A baseline is an arm of its own in both, and as there was nothing before it, it bettered nothing in either."""
    root = a_searched_lab(place)
    a_run(root, {"lr": 0.1, "depth": 1, "kind": "adam"}, 0.5, origin=made(0, arm="", kind="baseline"))
    a_run(root, {"lr": 0.2, "depth": 2, "kind": "adam"}, 0.75, origin=made(1))
    a_run(root, {"lr": 0.3, "depth": 3, "kind": "adam"}, 0.25, origin=made(2, arm="random"))
    board = {each["arm"]: str(each["new_bests"]) for each in labctl.done("board", "sweep", "--json").data["arms"]}
    assert board["baseline"] == "0"
    assert sorted(board.values()) == ["0", "0", "1"]
    labctl.done("report", "sweep", "-o", "r.html")
    page = (tmp_path / "r.html").read_text()
    rows = re.findall(r'<tr><th scope="row">(\w+)</th>((?:<td class="n">[0-9]+</td>){4})', page)
    assert {name: re.findall("[0-9]+", cells)[3] for name, cells in rows} == board
