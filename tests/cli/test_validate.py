"""`labctl validate`: what it calls valid can be run, and what cannot is said before the first run fails."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.labs import Labctl

CHECKOUT = Path(__file__).resolve().parents[2]
HERMES = sorted(CHECKOUT.glob("tests/fixtures/hermes/*.yaml"))
SHIPPED = sorted(
    each
    for kind in ("templates/*.yaml", "templates/*/SPEC.yaml", "examples/*/SPEC.yaml")
    for each in CHECKOUT.glob(kind)
)
ELSEWHERE = "optimize-function.yaml"  # its program lies in the checkout that it came with

SPEC = """\
id: hunt
goal: the least loss
metric: loss
metric_direction: minimize
workspace_root: .
executor_command: python3 fit.py {params.lr}
search_space:
  lr: {low: 0.1, high: 1.0}
"""


@pytest.fixture
def folder(tmp_path: Path, place: Path, labctl: Labctl) -> Path:
    labctl.done("init")
    work = tmp_path / "work"
    work.mkdir()
    (work / "fit.py").write_text("print('METRIC loss=1')\n")
    (work / "SPEC.yaml").write_text(SPEC)
    return work


def doubts(labctl: Labctl, target: object) -> list[str]:
    """The warnings; what is there to be run is said in the data and in words as well."""
    said = labctl.done("validate", str(target), "--json")
    warnings = said.envelope["warnings"]
    assert isinstance(warnings, list)
    can_run = not any(each.startswith("it would not run") for each in warnings)
    assert said.data["can_run"] is can_run
    assert labctl.done("validate", str(target)).out.startswith("valid: " if can_run else "valid as a SPEC, but no run ")
    return warnings


def test_a_spec_that_can_be_run_has_no_warning(labctl: Labctl, folder: Path) -> None:
    assert doubts(labctl, folder) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("metric: loss", "metric: loss\nstrategy: bayes", "no strategy 'bayes'; did you mean bayesian?"),
        ("metric: loss", "metric: loss\nstrategies: [tree, evolve]", "no strategy 'evolve'"),
        ("{params.lr}", "{params.lrr}", "{params.lrr} is no parameter; did you mean lr?"),
        ("fit.py", "fitt.py", "there is no script fitt.py"),
        ("python3 fit.py", "no-such-program", "there is no program no-such-program"),
        (SPEC[SPEC.index("search_space") :], "", "{params.lr} has no value where nothing is searched"),
        (SPEC[SPEC.index("search_space") :], "strategy: random\n", "strategy random has nothing to propose"),
        (SPEC[SPEC.index("search_space") :], "search_space: gone.json\n", "gone.json"),
    ],
)
def test_what_no_run_can_be_made_of_is_said(old: str, new: str, told: str, labctl: Labctl, folder: Path) -> None:
    (folder / "SPEC.yaml").write_text(SPEC.replace(old, new, 1))
    assert told in " ".join(doubts(labctl, folder))
    assert told in " ".join(labctl.done("create", str(folder)).err.split())  # and where it is made nevertheless


def test_a_workspace_that_is_not_there_is_named_though_the_script_lies_beside_the_spec(
    labctl: Labctl, folder: Path
) -> None:
    (folder / "SPEC.yaml").write_text(SPEC.replace("workspace_root: .", "workspace_root: /nowhere"))
    assert "its workspace is not there: /nowhere" in " ".join(doubts(labctl, folder))


WRONG = (
    SPEC.replace("goal:", "gaol:", 1).replace("{params.lr}", "{params.lrr}").replace("metric: loss", "strategy: bayes")
)


def test_what_would_not_run_is_told_beside_a_key_that_is_not_known(labctl: Labctl, folder: Path) -> None:
    (folder / "SPEC.yaml").write_text(WRONG.replace("fit.py", "fitt.py"))
    said = labctl("validate", str(folder), "--json")
    assert said.code == 2
    told = str(said.error["message"])
    for each in ("did you mean goal?", "no strategy 'bayes'", "{params.lrr} is no parameter", "no script fitt.py"):
        assert each in told
    (folder / "SPEC.yaml").write_text(WRONG.replace("workspace_root: .", "workspace_root: /nowhere"))
    assert "its workspace is not there: /nowhere" in labctl("validate", str(folder)).err


@pytest.mark.parametrize("key", ["serch_space", "search-space"])
def test_of_a_key_that_may_be_meant_otherwise_nothing_is_concluded(key: str, labctl: Labctl, folder: Path) -> None:
    (folder / "SPEC.yaml").write_text(SPEC.replace("search_space:", f"{key}:"))
    said = labctl("validate", str(folder))
    assert said.code == 2
    assert "did you mean search_space?" in said.err
    assert "would not run" not in said.err


def test_a_setup_that_nothing_runs_makes_no_program(labctl: Labctl, folder: Path) -> None:
    """Its script was taken for something that the setup would make; a setup belongs to code loops."""
    (folder / "SPEC.yaml").write_text(SPEC.replace("fit.py", "made.py") + "setup_command: make made.py\n")
    said = " ".join(doubts(labctl, folder))
    assert "there is no script made.py" in said
    assert "setup_command is for code loops" in said


def test_of_an_experiment_the_files_are_looked_for_where_they_lay_when_it_was_made(
    labctl: Labctl, folder: Path
) -> None:
    labctl.done("create", str(folder))
    assert doubts(labctl, "hunt") == []
    (folder / "fit.py").unlink()
    assert "there is no script fit.py" in " ".join(doubts(labctl, "hunt"))


def test_an_edited_spec_that_calls_itself_by_another_name_is_refused(labctl: Labctl, folder: Path, place: Path) -> None:
    labctl.done("create", str(folder))
    own = place / "experiments/hunt/SPEC.yaml"
    own.write_text(own.read_text().replace("id: hunt", "id: hunter"))
    for target in ("hunt", str(own)):
        said = labctl("validate", target)
        assert said.code == 2
        assert "calls the experiment hunter, its folder is hunt" in said.err
        assert "id: hunt`" in said.err


@pytest.mark.parametrize("spec", [*HERMES, *SHIPPED], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_no_spec_of_hermes_lab_and_none_that_is_shipped_is_called_unfit_wrongly(
    labctl: Labctl, folder: Path, spec: Path
) -> None:
    """`python3 scripts/reference_executor.py` is the code loop that is built in: no such script has to lie anywhere."""
    unfit = [each for each in doubts(labctl, spec) if each.startswith("it would not run:")]
    if spec in HERMES and any("its workspace is not there" in each for each in unfit):
        return  # that of whoever wrote it
    assert bool(unfit) == (spec.name == ELSEWHERE)
    if spec in HERMES and spec.name != ELSEWHERE:
        assert "there is no script" not in labctl.done("create", str(spec)).err


def test_the_door_of_hermes_lab_is_none_in_the_tier_that_names_it_either(labctl: Labctl, folder: Path) -> None:
    door = "fidelity_tiers: [proxy, final]\nfinal_executor_command: python3 /opt/old/scripts/reference_executor.py\n"
    (folder / "SPEC.yaml").write_text(SPEC + door)
    assert doubts(labctl, folder) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("metric_direction: minimize\n", "", ["which loss is better", "`metric_direction: minimize`"]),
        ("metric_direction: minimize\n", "metric_direction:\n", ["which loss is better"]),
        ("loss\nmetric_direction: minimize\n", "time\n", ["which time is better"]),
        ("metric_direction: minimize\n", "metric_direction: maximize\n", []),
        ("loss\nmetric_direction: minimize\n", "accuracy\n", []),
        ("metric: loss\nmetric_direction: minimize\n", "", []),
        (
            "loss\nmetric_direction: minimize\n",
            "accuracy\nfidelity_tiers: [cheap, dear]\ncheap_metric: loss\n",
            ["which loss is better", "`cheap_metric_direction: minimize`"],
        ),
    ],
)
def test_a_metric_that_is_taken_for_more_is_better_because_nothing_says_so_is_named(
    old: str, new: str, told: list[str], labctl: Labctl, folder: Path
) -> None:
    """It stays once a run has a value: two hours of runs that kept the worst loss cannot be turned around."""
    (folder / "SPEC.yaml").write_text(SPEC.replace(old, new, 1))
    warnings = doubts(labctl, folder)
    assert len(warnings) == bool(told)
    assert labctl.done("validate", str(folder), "--json").data["can_run"] is True
    assert labctl.done("create", str(folder), "--json").envelope["warnings"] == warnings
    for words in told:
        assert words in warnings[0]
        assert words in " ".join(labctl.done("validate", str(folder)).err.split())


FIT = "import sys\nprint(f'METRIC loss={sys.argv[1]}')\n"


@pytest.fixture
def edited(labctl: Labctl, folder: Path, place: Path) -> Path:
    """The SPEC of an experiment with a run, of which the metric was turned around."""
    (folder / "fit.py").write_text(FIT)
    labctl.done("create", str(folder))
    labctl.done("run-once", "--experiment", "hunt")
    own = place / "experiments/hunt/SPEC.yaml"
    own.write_text(own.read_text().replace("minimize", "maximize"))
    return own


def test_the_command_that_a_changed_metric_is_refused_with_makes_an_experiment_that_runs(
    labctl: Labctl, edited: Path
) -> None:
    """Its SPEC says `workspace_root: .`, and that is where its files lie, not the folder that the lab has for it."""
    refused = labctl("run-once", "--experiment", "hunt")
    offered = " ".join(refused.all.split()).partition("a new experiment of this file: labctl ")[2].split()[:4]
    assert offered == ["create", "experiments/hunt/SPEC.yaml", "--id", "hunt-2"]
    assert labctl.done(*offered, "--json").envelope["warnings"] == []
    assert "success" in labctl.done("run-once", "--experiment", "hunt-2").out
    assert labctl.done("validate", "hunt-2", "--json").envelope["warnings"] == []  # no word of the file it is not from


def test_a_copy_of_a_copy_of_an_experiments_own_spec_is_about_the_same_files(labctl: Labctl, edited: Path) -> None:
    labctl.done("create", str(edited), "--id", "second")
    said = labctl.done("create", str(edited.parents[1] / "second"), "--id", "third", "--json")
    assert said.envelope["warnings"] == []
    labctl.done("run-once", "--experiment", "third")
