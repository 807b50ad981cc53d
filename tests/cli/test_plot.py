"""`labctl plot`: the ending says what is written, nothing is written over, and nothing hostile gets into the file."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.cli.labs import as_stranger, give_away, whole_tree
from tests.cli.searches import a_run, a_searched_lab, made, some_runs
from tests.scheduler.labs import a_lab, one_run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl


def test_the_ending_decides_what_is_written_and_the_same_lab_gives_the_same_bytes(
    labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    some_runs(a_searched_lab(place))
    for ending, begins in (("png", b"\x89PNG"), ("svg", b"<svg"), ("PNG", b"\x89PNG")):
        file = tmp_path / f"progress.{ending}"
        said = labctl.done("plot", "sweep", "-o", str(file))
        written = file.read_bytes()
        assert written.startswith(begins)
        assert said.out == f"plot: {file} ({len(written):,} bytes; 4 of 4 runs)\n"
        again = tmp_path / f"again.{ending}"
        labctl.done("plot", "sweep", "-o", str(again))
        assert again.read_bytes() == written


def test_a_program_is_told_what_was_drawn(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    some_runs(a_searched_lab(place))
    data = labctl.done("plot", "sweep", "-o", str(tmp_path / "x.svg"), "--width", "640", "--json").data
    told = {"experiment": "sweep", "what": "stairs", "tier": "proxy", "format": "svg", "width": 640, "height": 420}
    assert {name: data[name] for name in told} == told
    assert (data["shown"], data["total"]) == (4, 4)
    assert "text" not in data


def test_the_terminal_gets_svg_and_nothing_but_it(labctl: Labctl, place: Path) -> None:
    some_runs(a_searched_lab(place))
    said = labctl.done("plot", "sweep", "-o", "-")
    assert ET.fromstring(said.out).tag.endswith("svg")  # noqa: S314  # our own


def test_without_a_name_it_is_the_experiments_here_and_nothing_is_written_over(
    labctl: Labctl, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_runs(a_searched_lab(place))
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path / "sweep.svg") in labctl.done("plot", "sweep").out
    (tmp_path / "sweep.svg").write_text("mine")
    assert labctl("plot", "sweep").code == 2
    assert (tmp_path / "sweep.svg").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-o", "x.gif"), "a picture is .png or .svg, and x.gif is neither"),
        (("-o", "png"), "a picture is .png or .svg, and png is neither"),
        (("-o", "x.png", "--width", "99"), "--width 99 is not between 320 and 2,400"),
        (("-o", "x.png", "--height", "9999"), "--height 9999 is not between 240 and 2,400"),
        (("-o", "x.png", "--log", "--what", "timeline"), "--log is for the staircase, and not for timeline"),
        (("-o", "x.png", "--tier", "finla"), "sweep has no tier 'finla'"),
        (
            (
                "-o",
                "nowhere/x.png",
            ),
            "there is no such folder",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_written(
    words: tuple[str, ...], told: str, labctl: Labctl, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    some_runs(a_searched_lab(place))
    before = whole_tree(tmp_path)
    said = labctl("plot", "sweep", *words)
    assert said.code == 2
    assert told in said.err
    assert "fix: " in said.err
    assert whole_tree(tmp_path) == before


def test_an_experiment_that_is_not_there_is_not_drawn(labctl: Labctl, place: Path) -> None:
    some_runs(a_searched_lab(place))
    said = labctl("plot", "swep", "-o", "-")
    assert (said.code, said.out) == (2, "")
    assert "did you mean sweep?" in said.err


def test_a_file_that_is_there_is_replaced_only_when_that_was_agreed_to(
    labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    some_runs(a_searched_lab(place))
    file = tmp_path / "progress.svg"
    file.write_text("mine")
    said = labctl("plot", "sweep", "-o", str(file))
    assert (said.code, file.read_text()) == (2, "mine")
    assert "--yes" in said.err
    labctl.done("plot", "sweep", "-o", str(file), "--yes")
    assert file.read_text().startswith("<svg")
    assert stat.S_IMODE(os.stat(file).st_mode) & 0o111 == 0


def test_without_pillow_png_is_refused_with_how_to_get_it_and_svg_is_drawn(
    labctl: Labctl, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    some_runs(a_searched_lab(place))
    said = labctl("plot", "sweep", "-o", str(tmp_path / "x.png"))
    assert said.code == 5
    assert "pip install 'labctl[plot]'" in said.err
    assert not (tmp_path / "x.png").exists()
    labctl.done("plot", "sweep", "-o", str(tmp_path / "x.svg"))


def test_no_run_and_only_failures_are_pictures_that_say_so(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    assert "No run has ended yet." in labctl.done("plot", "sweep", "-o", "-").out
    a_run(root, {"lr": 0.1, "depth": 2, "kind": "adam"}, None, outcome="failed")
    assert "No run has a value: 1 failed." in labctl.done("plot", "sweep", "-o", "-").out


def test_what_has_nothing_to_draw_says_so_and_writes_nothing(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    one_run(a_lab(place, "alone"), "alone", 0.5)
    for what in ("lineage", "importance", "parameters"):
        said = labctl("plot", "alone", "-o", str(tmp_path / "x.svg"), "--what", what)
        assert said.code == 1, what
        assert "fix: labctl " in said.err
    assert not (tmp_path / "x.svg").exists()


@pytest.mark.parametrize("what", ["parameters", "slices", "importance"])
def test_where_nothing_has_a_value_that_is_said_and_nothing_of_parameters(
    labctl: Labctl, place: Path, what: str
) -> None:
    root = a_searched_lab(place)
    words = ("plot", "sweep", "-o", "-", "--what", what)
    assert "sweep has no run in tier proxy yet" in labctl(*words).err
    for depth in (1, 2):
        a_run(root, {"lr": 0.1, "depth": depth, "kind": "adam"}, None, outcome="crash")
    assert "of 2 runs of sweep in tier proxy none has a value" in labctl(*words).err
    a_run(root, None, 0.5)
    assert "no run of sweep in tier proxy that has a value was given parameters" in labctl(*words).err


def test_a_height_that_changes_nothing_is_told(labctl: Labctl, place: Path) -> None:
    some_runs(a_searched_lab(place))
    said = labctl.done("plot", "sweep", "-o", "-", "--what", "timeline", "--height", "300")
    assert "--height changes nothing" in said.err


def test_a_logarithmic_scale_that_there_cannot_be_is_told_and_so_is_why(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    some_runs(root)
    assert "--log" not in labctl.done("plot", "sweep", "-o", "-", "--log").err
    a_run(root, {"lr": 0.1, "depth": 2, "kind": "adam"}, 0.0)
    said = labctl.done("plot", "sweep", "-o", "-", "--log")
    assert "--log changes nothing. The scale is not logarithmic: some values are not above 0" in said.err
    assert "The scale is not logarithmic" in said.out


def test_hostile_notes_reach_neither_the_picture_nor_the_terminal_raw(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    note = "\x1b[31m</text><script>x()</script>\u202e"
    a_run(root, {"lr": 0.1, "depth": 2, "kind": "adam"}, 0.5, origin=made(1), note=note)
    out = labctl.done("plot", "sweep", "-o", "-").out
    assert "<script" not in out
    assert "&lt;script&gt;" in out
    assert not {"\x1b", "\u202e"} & set(out)


def test_a_dark_svg_is_dark_for_everybody(labctl: Labctl, place: Path) -> None:
    some_runs(a_searched_lab(place))
    assert "prefers-color-scheme" in labctl.done("plot", "sweep", "-o", "-").out
    assert "prefers-color-scheme" not in labctl.done("plot", "sweep", "-o", "-", "--dark").out


@pytest.mark.needs_root
def test_a_lab_that_one_may_only_read_can_be_drawn(labctl: Labctl, place: Path) -> None:
    some_runs(a_searched_lab(place))
    before = whole_tree(place)
    give_away(place)
    said = as_stranger("plot", "sweep", "-o", "-", root=place)
    assert (said.code, said.out[:4]) == (0, "<svg")
    assert whole_tree(place) == before
