"""`labctl best`: the run to take. On a noisy metric it is not the one with the best number."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from lab.core.origin import REPLAY, Origin
from lab.projections.picture import whole
from lab.scheduler.results import choosing, pictured
from lab.web import overview
from tests.cli.labs import process
from tests.cli.searches import a_run, a_searched_lab, made, some_runs
from tests.scheduler.labs import a_lab, one_run

if TYPE_CHECKING:
    from lab.store.root import Root
    from tests.cli.labs import Labctl

WITH_NUMPY = pytest.mark.skipif(find_spec("numpy") is None, reason="numpy is not installed: nothing is modelled")
ONE = "search_space:\n  x: {type: float, low: 0.0, high: 1.0}\n"


@pytest.fixture
def no_numpy(tmp_path: Path) -> dict[str, str]:
    """The environment of an installation without the extra `search`."""
    (tmp_path / "without/numpy").mkdir(parents=True)
    (tmp_path / "without/numpy/__init__.py").write_text("raise ImportError\n")
    return {"PYTHONPATH": str(tmp_path / "without")}


def a_noisy_lab(place: Path, more: str = "") -> tuple[Root, dict[str, float]]:
    """A valley with its floor at 0.3, measured with noise; and far from it one run that was very lucky."""
    root = a_lab(place, "noisy", more=ONE + more)
    rng = Random(5)
    told = {}
    for number in range(40):
        x = number / 39
        value = (x - 0.3) ** 2 + rng.gauss(0, 0.05)
        if number == 33:
            value = -0.3
        told[a_run(root, {"x": x}, value, name="noisy", origin=made(number)).run.run_id] = x
    return root, told


def test_one_run_is_one_run(labctl: Labctl, place: Path) -> None:
    a_run(a_searched_lab(place), {"x": 0.5}, 0.5)
    assert ", 1 run with a value\n" in labctl.done("best", "sweep").out


def test_the_best_of_the_tier_is_shown_with_its_parameters_and_how_to_run_it_again(labctl: Labctl, place: Path) -> None:
    ids = some_runs(a_searched_lab(place, more="noise: false\n"))
    said = labctl.done("best", "sweep")
    assert said.out.splitlines()[:4] == [
        "sweep, tier proxy: loss, minimize, 3 runs with a value",
        f"run: {ids[2]}, loss 0.25 (portfolio/perturb, trial 2)",
        "parameters:",
        "{",
    ]
    assert f"next: labctl replay {ids[2]}" in said.err
    data = labctl.done("best", "sweep", "--json").data
    assert (data["run"], data["value"], data["chosen_by"], data["noisy"]) == (ids[2], 0.25, "best number seen", False)
    assert data["params"] == {"lr": 0.001, "depth": 3, "kind": "adam"}


def test_the_best_of_another_tier_is_never_mixed_in(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place, more="noise: false\n")
    ids = some_runs(root)
    final = a_run(root, {"lr": 0.1, "depth": 3, "kind": "adam"}, 0.0, tier="final").run.run_id
    assert labctl.done("best", "sweep", "--json").data["run"] == ids[2]
    assert labctl.done("best", "sweep", "--tier", "final", "--json").data["run"] == final


def test_maximising_takes_the_highest(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "up", more="proxy_metric_direction: maximize\n")
    for value in (0.5, 0.75, 0.25):
        one_run(root, "up", value)
    assert labctl.done("best", "up", "--json").data["value"] == 0.75


def test_without_a_success_there_is_no_best_and_the_reason_is_told(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    assert labctl("best", "sweep").code == 1
    a_run(root, {"lr": 0.1, "depth": 3, "kind": "adam"}, None, outcome="failed")
    said = labctl("best", "sweep", "--json")
    assert said.code == 1
    assert "of 1, 1 failed" in str(said.error["message"])


@pytest.mark.parametrize("noise", ["true", "false", ""], ids=["declared", "declared none", "by a replay"])
def test_a_lucky_number_is_marked_wherever_it_is_shown_as_the_best(labctl: Labctl, place: Path, noise: str) -> None:
    root, told = a_noisy_lab(place, f"noise: {noise}\nexecutor_command: echo METRIC loss=1\n")
    best = list(told)[33]
    a_run(root, {"x": told[best]}, 0.2, name="noisy", origin=Origin(kind=REPLAY, parents=(best,)))
    labctl.done("refresh")
    mark = "" if noise == "false" else " (partly luck)"
    assert ("The metric is noisy" in (place / "experiments/noisy/SUMMARY.md").read_text()) == bool(mark)
    day = labctl.done("digest", "--date", f"{best[4:8]}-{best[8:10]}-{best[10:12]}").out
    assert f"loss -0.3{mark}, the first" in day
    page = overview.page(pictured.lab(root), lambda _: "").decode()
    assert ("partly luck" in page) == bool(mark)
    assert f"\tbest=-0.3{mark}\t" in labctl.done("list").out
    assert f"loss -0.3{mark}  last" in labctl.done("status").out
    assert f"best loss -0.3{mark} - " in (place / "LAB-STATUS.md").read_text()
    top = labctl.done("top", "noisy")
    assert top.out.splitlines()[0].endswith("minimize; the first is partly luck" if mark else "minimize")
    assert ("labctl best noisy" in top.err) == bool(mark)
    assert labctl.done("top", "noisy", "--json").data["partly_luck"] == bool(mark)
    assert labctl.done("status", "--json").data["active"][0]["partly_luck"] == bool(mark)
    assert f"best still -0.3{mark}\n" in labctl.done("burst", "noisy", "-n", "1").out


@WITH_NUMPY
def test_on_a_noisy_metric_the_lucky_run_is_shown_and_another_is_recommended(labctl: Labctl, place: Path) -> None:
    _, told = a_noisy_lab(place, "noise: true\n")
    data = labctl.done("best", "noisy", "--json").data
    seen = data["best_number"]
    assert isinstance(seen, dict)
    assert seen["value"] == -0.3
    assert data["run"] != seen["run"]
    assert abs(told[str(data["run"])] - 0.3) < 0.2
    assert data["chosen_by"] == "expected value"
    assert -0.1 < float(str(data["expected"])) < 0.1
    out = labctl.done("best", "noisy").out
    assert "recommended by expected value: " in out
    assert f"best number seen: -0.3 in {seen['run']}" in out


@WITH_NUMPY
def test_show_gives_the_parameters_of_the_run_that_best_recommends(labctl: Labctl, place: Path) -> None:
    """Whoever copied them from `show` took the luckiest run, and whoever asked `best` another."""
    a_noisy_lab(place)
    taken = labctl.done("best", "noisy", "--json").data
    shown = labctl.done("show", "noisy")
    assert f"the run to take, by expected value (labctl best noisy): {taken['run']}\nits parameters:\n" in shown.out
    assert shown.out.endswith("; partly luck\n")
    assert "best parameters:" not in shown.out
    to_take = labctl.done("show", "noisy", "--json").data["to_take"]
    assert isinstance(to_take, dict)
    assert (to_take["run"], to_take["params"]) == (taken["run"], taken["params"])


def test_show_has_the_best_parameters_where_no_luck_is_in_them(labctl: Labctl, place: Path) -> None:
    some_runs(a_searched_lab(place, more="noise: false\n"))
    assert "\nbest parameters:\n" in labctl.done("show", "sweep").out


def test_show_leaves_a_long_history_to_best(labctl: Labctl, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says where things stand, and is not to wait for a model."""
    monkeypatch.setattr(choosing, "MOST_WEIGHED", 39)
    a_noisy_lab(place)
    out = labctl.done("show", "noisy").out
    assert "the run to take, and its parameters: labctl best noisy\nparameters of the best number seen:\n" in out
    assert "to_take" not in labctl.done("show", "noisy", "--json").data


@WITH_NUMPY
@WITH_NUMPY
def test_noise_by_few_repeats_says_how_few_and_what_the_model_makes_of_it(labctl: Labctl, place: Path) -> None:
    """One replay put a number that was off by half in the place of a good one, and nothing showed it."""
    root, told = a_noisy_lab(place)
    before = labctl.done("best", "noisy")
    assert re.search(r"\(noise of one run \S+, by the model\)\n", before.out)
    assert labctl.done("best", "noisy", "--json").data["noise_degrees_of_freedom"] == 0
    x = list(told.values())[12]
    a_run(root, {"x": x}, (x - 0.3) ** 2 - 0.01, name="noisy")
    data = labctl.done("best", "noisy", "--json").data
    assert data["noise_degrees_of_freedom"] == 1
    modelled = data["noise_modelled"]
    assert modelled * 0.75**0.5 < data["noise"] < modelled
    by = r"1 point measured more than once, 1 degree of freedom, and the model; those repeats alone say \S+; the model "
    assert re.search(by, labctl.done("best", "noisy").out)


@WITH_NUMPY
def test_one_lucky_replay_is_not_taken_for_the_noise(labctl: Labctl, place: Path) -> None:
    """It came out a millionth from the run before it, and `best` and the report said that this is the noise."""
    root, told = a_noisy_lab(place)
    first = labctl.done("best", "noisy", "--json").data
    x = list(told.values())[12]
    a_run(root, {"x": x}, (x - 0.3) ** 2 + 1e-6, name="noisy")
    data = labctl.done("best", "noisy", "--json").data
    assert data["noise"] > data["noise_modelled"] / 2 > first["noise"] / 4
    picture = whole.of(pictured.read(root, "noisy", with_take=True))
    assert picture.stairs.band is not None
    assert picture.stairs.band.sigma == pytest.approx(data["noise"], rel=1e-3)
    assert sum("one measurement has a noise of" in each for each in picture.head.luck) == 1
    assert "1 degree of freedom: too few to be sure of it" in labctl.done("context", "noisy").out


@WITH_NUMPY
def test_what_is_expected_is_told_to_no_more_digits_than_it_has(labctl: Labctl, place: Path) -> None:
    a_noisy_lab(place)
    said = re.search(r"expected value: (\S+) \+- (\S+) ", labctl.done("best", "noisy").out)
    assert said is not None
    assert len(said[1].partition(".")[2]) <= len(said[2].partition(".")[2]) <= 4


@WITH_NUMPY
def test_a_best_number_that_is_the_one_to_take_was_lucky_too(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "valley", more=ONE + "noise: true\n")
    rng = Random(5)
    for number in range(40):
        x = number / 39
        value = -0.05 if number == 12 else (x - 0.3) ** 2 + rng.gauss(0, 0.02) + 0.05
        a_run(root, {"x": x}, value, name="valley", origin=made(number))
    data = labctl.done("best", "valley", "--json").data
    assert data["run"] == data["best_number"]["run"]
    assert "\nit has the best number too, and that is partly luck: " in labctl.done("best", "valley").out


def test_a_recommended_run_outside_the_space_as_it_is_now_is_marked(labctl: Labctl, place: Path) -> None:
    """A parameter was added to the space: what was best before does not have it, and cannot be run as it is."""
    root = a_lab(place, "edited", more=ONE)
    for number in range(3):
        a_run(root, {"x": number / 9}, 1.0 - number, name="edited", origin=made(number))
    assert "outside the search space" not in labctl.done("best", "edited").out
    spec = Path(root.layout.spec("edited"))
    spec.write_text(spec.read_text() + "  y: {type: float, low: 0.0, high: 1.0}\n")
    labctl.done("refresh")
    assert "; outside the search space as it is now\n" in labctl.done("best", "edited").out
    assert labctl.done("best", "edited", "--json").data["outside_space"] is True


@WITH_NUMPY
def test_a_report_names_the_run_to_take_that_this_verb_names(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_noisy_lab(place)
    taken = labctl.done("best", "noisy", "--json").data
    for name in ("picture.json", "report.html"):
        labctl.done("report", "noisy", "-o", str(tmp_path / name))
    picture = json.loads((tmp_path / "picture.json").read_bytes())
    assert picture["head"]["take"]["run_id"] == picture["take"]["run_id"] == taken["run"]
    assert picture["head"]["best_run"] == taken["best_number"]["run"] != taken["run"]
    assert picture["head"]["take"]["expected"] == pytest.approx(taken["expected"], rel=1e-3)
    assert any(f"the run to take is {taken['run']}" in each for each in picture["head"]["luck"])
    page = (tmp_path / "report.html").read_text()
    assert "<dt>run to take</dt>" in page
    assert "<dt>best loss seen</dt>" in page
    assert "Best number seen, partly luck:" in page
    assert f'id="run-{taken["run"]}"' in page


def test_a_report_without_numpy_says_that_this_verb_weighs_which_run_to_take(
    place: Path, tmp_path: Path, no_numpy: dict[str, str]
) -> None:
    a_noisy_lab(place, more="noise: true\n")
    assert process("report", "noisy", "-o", str(tmp_path / "picture.json"), root=place, env=no_numpy).code == 0
    picture = json.loads((tmp_path / "picture.json").read_bytes())
    assert (picture["take"], picture["head"]["take"]) == (None, None)
    assert "the best number is partly luck; labctl best noisy estimates it" in picture["head"]["luck"][0]


def test_a_spec_that_says_there_is_no_noise_is_believed(labctl: Labctl, place: Path) -> None:
    a_noisy_lab(place, "noise: false\n")
    data = labctl.done("best", "noisy", "--json").data
    assert (data["value"], data["chosen_by"], data["noisy"]) == (-0.3, "best number seen", False)


@WITH_NUMPY
def test_a_smooth_metric_is_found_to_be_without_noise(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "smooth", more=ONE)
    for number in range(12):
        x = number / 11
        a_run(root, {"x": x}, (x - 0.3) ** 2, name="smooth", origin=made(number))
    data = labctl.done("best", "smooth", "--json").data
    assert (data["chosen_by"], data["noisy"]) == ("best number seen", False)


@WITH_NUMPY
def test_runs_outside_the_space_as_it_is_now_are_counted_and_told(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "edited", more=ONE)
    for number in range(12):
        a_run(root, {"x": number / 9}, 1.0 - number, name="edited", origin=made(number))
    said = labctl.done("best", "edited")
    assert "2 of 12 runs lie outside the search space" in said.err


def test_without_numpy_it_says_so_and_takes_the_best_number(place: Path, no_numpy: dict[str, str]) -> None:
    root = a_searched_lab(place)
    ids = some_runs(root)
    for number in range(4, 10):
        a_run(root, {"lr": 0.5, "depth": number - 3, "kind": "adam"}, float(number), origin=made(number))
    said = process("best", "sweep", root=place, env=no_numpy)
    assert said.code == 0, said
    assert f"run: {ids[2]}, loss 0.25" in said.out
    assert "needs numpy; pip install 'labctl[search]'" in said.err


def test_without_numpy_repeats_of_the_same_parameters_are_averaged(place: Path, no_numpy: dict[str, str]) -> None:
    root = a_lab(place, "twice", more=ONE)
    for x, value in ((0.1, 0.0), (0.2, 1.0), (0.2, 1.5), (0.3, 0.5), (0.3, 3.0)):
        a_run(root, {"x": x}, value, name="twice")
    data = process("best", "twice", "--json", root=place, env=no_numpy).data
    assert data["params"] == {"x": 0.2}
    assert (data["chosen_by"], data["expected"], data["noisy"]) == ("mean of repeats", 1.25, True)
    assert data["best_number"]["value"] == 0.0


def test_repeats_that_come_out_alike_show_that_there_is_no_noise(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alike")
    for x, value in ((0.1, 0.0), (0.2, 1.0), (0.2, 1.0)):
        a_run(root, {"x": x}, value, name="alike")
    data = labctl.done("best", "alike", "--json").data
    assert (data["value"], data["noisy"]) == (0.0, False)


def test_a_noisy_metric_without_a_model_or_repeats_is_called_luck(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "plain", more="noise: true\n")
    for value in (0.5, 0.25):
        one_run(root, "plain", value)
    said = labctl.done("best", "plain")
    assert "loss 0.25" in said.out
    assert "partly luck" in said.err


def test_a_broken_space_keeps_nobody_from_the_best(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "broken", more="search_space: gone.json\n")
    for value in (0.5, 0.25):
        one_run(root, "broken", value)
    said = labctl.done("best", "broken")
    assert "loss 0.25" in said.out
    assert "the search space cannot be used" in said.err


def test_runs_without_parameters_are_not_said_to_differ_in_them(labctl: Labctl, place: Path) -> None:
    """That no parameters were run twice was said of an experiment that ran none, three times."""
    root = a_lab(place, "plain", more="noise: true\n")
    for value in (0.5, 0.25, 0.75):
        a_run(root, None, value, name="plain")
    said = " ".join(map(str, labctl.done("best", "plain", "--json").envelope["warnings"]))
    assert "no run was given parameters" in said
    assert "run twice" not in said
