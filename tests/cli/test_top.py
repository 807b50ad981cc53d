"""`labctl top` and `labctl params`: the first few runs of a tier, and what they were given."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import as_stranger, give_away, runs_of, whole_tree
from tests.cli.searches import a_run, a_searched_lab, made, some_runs
from tests.scheduler.labs import a_lab, one_run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl


def test_the_best_runs_come_first_with_the_parameters_in_which_they_differ(labctl: Labctl, place: Path) -> None:
    ids = some_runs(a_searched_lab(place))
    said = labctl.done("top", "sweep")
    head, columns, *rows, alike = said.out.splitlines()
    assert alike == "the same in all of these: depth 3"  # it has no column, and would seem to be no parameter
    assert head == "sweep, tier proxy: loss, minimize"
    assert columns.split() == ["#", "value", "run", "arm", "lr", "kind", "momentum"]
    assert [row.split()[2] for row in rows] == [ids[2], ids[0], ids[1]]
    assert rows[0].split() == ["1", "0.25", ids[2], "perturb", "0.001", "adam", "-"]
    assert len({row.index("perturb") for row in rows}) == 1  # the columns stand below each other


def test_a_program_is_told_all_parameters_and_where_they_came_from(labctl: Labctl, place: Path) -> None:
    some_runs(a_searched_lab(place))
    data = labctl.done("top", "sweep", "-n", "1", "--json").data
    runs = data["runs"]
    assert isinstance(runs, list)
    assert len(runs) == 1
    assert runs[0]["params"] == {"lr": 0.001, "depth": 3, "kind": "adam"}
    assert runs[0]["origin"]["arm"] == "perturb"
    assert data["scored"] == 3


def test_maximising_turns_the_order(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "up", more="proxy_metric_direction: maximize\n")
    for value in (0.5, 0.75, 0.25):
        one_run(root, "up", value)
    out = labctl.done("top", "up").out.splitlines()
    assert [line.split()[1] for line in out[2:]] == ["0.75", "0.5", "0.25"]


def test_a_tier_without_runs_leads_to_one_that_has_some(labctl: Labctl, place: Path) -> None:
    some_runs(a_searched_lab(place))
    said = labctl("top", "sweep", "--tier", "final")
    assert said.code == 1
    assert said.err.splitlines()[-1] == "  fix: it has runs in proxy: --tier proxy"


def test_runs_of_another_tier_are_never_among_them(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    some_runs(root)
    final = a_run(root, {"lr": 0.5, "depth": 1, "kind": "adam"}, 0.0, tier="final", origin=made(9)).run.run_id
    assert final not in labctl.done("top", "sweep").out
    assert labctl.done("top", "sweep", "--tier", "final").out.splitlines()[-1].split()[:3] == ["1", "0.0", final]
    wrong = labctl("top", "sweep", "--tier", "finale")
    assert wrong.code == 2
    assert "did you mean final?" in wrong.err


def test_with_no_value_at_all_it_says_what_there_is_instead(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    said = labctl("top", "alpha")
    assert said.code == 1
    assert said.err.endswith("  fix: labctl burst alpha -n 5\n")
    one_run(root, "alpha", None, "failed")
    one_run(root, "alpha", None, "timeout")
    said = labctl("top", "alpha")
    assert said.code == 1
    assert "of 2, 1 failed, 1 timeout" in said.err


def test_a_value_that_only_looks_like_a_table_stays_on_its_line(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    a_run(root, {"text": "a\nb\x1b[31m", "list": [1, {"a": None}], "flag": True}, 1.0)
    a_run(root, {"text": "", "list": [2], "flag": 1}, 2.0)
    out = labctl.done("top", "sweep").out
    assert len(out.splitlines()) == 4
    assert "\x1b" not in out


def test_what_a_run_says_of_itself_cannot_speak_to_the_terminal(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    told = "a\nb\x1b[31mc\u202ed"
    made = a_run(root, {"text": told}, None, outcome="failed", reason=told, note=told, result=told)
    a_run(root, {"text": told}, 1.0)
    for words in (["show", made.run.run_id], ["best", "sweep"], ["compare", *runs_of(root, "sweep")]):
        said = labctl.done(*words).all
        assert "\x1b" not in said, words
        assert "\u202e" not in said, words


def test_the_pages_being_away_is_told_with_the_way_out(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    some_runs(root)
    (place / "experiments/sweep/metrics.jsonl").unlink()
    said = labctl("top", "sweep")
    assert said.code == 5
    assert "labctl refresh" in said.err
    labctl.done("refresh")
    labctl.done("top", "sweep")
    with (place / "experiments/sweep/metrics.jsonl").open("ab") as file:
        file.write(b"{nonsense}\n")
    assert labctl("top", "sweep").code == 5


@pytest.mark.parametrize("words", [("top", "nowhere"), ("top", "sweep", "-n", "0"), ("params", "RUN-1")])
def test_what_is_not_there_is_refused(words: tuple[str, ...], labctl: Labctl, place: Path) -> None:
    a_searched_lab(place)
    assert labctl(*words).code == 2


def test_params_are_those_that_were_sealed(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    run_id = a_run(root, {"lr": 0.1, "name": 'it\'s "here"', "flag": True, "none": None}, 1.0).run.run_id
    assert labctl.done("params", run_id, "--json").data["params"] == {
        "lr": 0.1, "name": "it's \"here\"", "flag": True, "none": None,
    }  # fmt: skip
    assert labctl.done("params", run_id).out.startswith('{\n  "lr": 0.1,\n')


def test_params_come_as_variables_and_as_flags_that_a_shell_reads_back(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    run_id = a_run(root, {"lr": 0.1, "optim.name": "it's $HOME", "flag": True, "none": None}, 1.0).run.run_id
    env = labctl.done("params", run_id, "--env").out
    shell = subprocess.run(
        ["sh", "-c", f"{env}\nprintf '%s|' \"$LAB_PARAM_LR\" \"$LAB_PARAM_OPTIM_NAME\" \"$LAB_PARAM_FLAG\""],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shell.stdout == "0.1|it's $HOME|true|"
    flags = labctl.done("params", run_id, "--args").out
    shell = subprocess.run(["sh", "-c", f"printf '%s|' {flags}"], capture_output=True, text=True, check=True)
    assert shell.stdout == "--lr|0.1|--optim.name|it's $HOME|--flag|true|--none|null|"


def test_a_run_without_params_has_none_to_show(labctl: Labctl, place: Path) -> None:
    run_id = a_run(a_searched_lab(place), None, 1.0).run.run_id
    said = labctl("params", run_id)
    assert said.code == 1
    assert "was given no parameters" in said.err


def test_the_params_of_an_archived_run_are_still_there(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    ids = [a_run(root, {"lr": 0.1 * n, "depth": 1, "kind": "adam"}, float(n)).run.run_id for n in range(1, 9)]
    labctl.done("prune", "--keep", "5", "--yes")
    gone = next(run_id for run_id in ids if not (place / f"experiments/sweep/runs/{run_id}").exists())
    assert labctl.done("params", gone, "--json").data["params"]
    assert labctl.done("compare", gone, ids[-1]).out.startswith(f"--- {gone}\n")


@pytest.mark.needs_root
@pytest.mark.parametrize(
    "words",
    [("top", "sweep"), ("best", "sweep"), ("params", "FIRST"), ("compare", "FIRST", "FIRST"), ("export", "sweep")],
)
def test_a_lab_that_may_only_be_read_is_read(words: tuple[str, ...], place: Path) -> None:
    first = some_runs(a_searched_lab(place))[0]
    give_away(place)
    before = whole_tree(place)
    said = as_stranger(*(first if word == "FIRST" else word for word in words), root=place)
    assert said.code == 0, said
    assert whole_tree(place) == before
