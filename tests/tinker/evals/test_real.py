"""Evaluations by the real lm-evaluation-harness: a tiny model, with and without an adapter, and what goes wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.labs import CHECKOUT, Said, process

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(find_spec("lm_eval") is None, reason="lm_eval is not installed (pip install 'labctl[eval]')"),
    pytest.mark.timeout(300),  # torch and lm_eval are loaded twice, on two cores that others use as well
]
# What cannot be, each with what is said of it. Of what is usual it says otherwise what is named here.
WRONG: list[tuple[dict[str, object], str]] = [
    ({"tasks": ["leters"]}, "lm_eval has no task leters"),
    ({"tasks": ["lost"]}, "the data of a task are not there: Unable to find"),
    ({"adapter": "{place}/adapter-of-another"}, "the adapter does not fit the base model: lm_head is"),
    ({"model": "nobody/nothing"}, "the model nobody/nothing is not on this machine"),
    ({"model": "nobody/nothing", "adapter": "{place}/adapter"}, "the model nobody/nothing is not on this machine"),
    ({"device": "cuda:7", "tasks": ["lost"]}, "device is cuda:7, and this torch sees no GPU"),
    ({"baseline": "{place}/nothing.yaml"}, "these are no results of lm_eval: it is no JSON"),
]


class Evaluated(NamedTuple):
    """A model that was evaluated alone and with its adapter, and the log of that and of what cannot be."""

    place: Path
    alone: str  # a file
    adapted: str
    log: str

    def labctl(self, *words: str) -> Said:
        settings = {"TMPDIR": str(self.place / "tmp"), "HOME": str(self.place / "home")}
        return process(*words, root=self.place / "lab", env=settings, cwd=self.place, limit_s=200)


@pytest.fixture(scope="module")
def evaluated(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """All in one process: what takes time is the loading of torch and lm_eval."""
    place = tmp_path_factory.mktemp("evals")
    for name in ("tmp", "other", "home"):
        (place / name).mkdir()
    (place / "nothing.yaml").write_text("-")
    usual: dict[str, object] = {
        "out": f"{place}/out", "model": str(tiny_model), "tasks": ["letters"], "tasks_dir": f"{place}/tasks",
        "device": "cpu",
    }  # fmt: skip
    right: list[dict[str, object]] = [{"out": f"{place}/one"}, {"out": f"{place}/two", "adapter": f"{place}/adapter"}]
    asked = [json.dumps({**usual, **each}) for each in (*right, *(each for each, _ in WRONG))]
    settings = {
        **os.environ, "TMPDIR": str(place / "other"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(CHECKOUT),
    }  # fmt: skip
    command = [
        sys.executable, str(Path(__file__).with_name("adapted.py")), str(tiny_model), str(place),
        *(each.replace("{place}", str(place)) for each in asked),
    ]  # fmt: skip
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=250, check=False)
    assert not done.returncode, done.stderr
    codes = done.stdout.splitlines()[-1].split()[1:]
    assert [code == "0" for code in codes] == [*[True] * len(right), *[False] * len(WRONG)], done.stderr
    (alone,), (adapted,) = ((place / name).glob("*/results_*.json") for name in ("one", "two"))
    return Evaluated(place, str(alone), str(adapted), done.stderr)


def test_an_adapter_that_does_not_fit_a_cut_vocabulary_is_evaluated_all_the_same_and_is_better(
    evaluated: Evaluated,
) -> None:
    (pair,) = evaluated.labctl("evals", evaluated.alone, evaluated.adapted, "--json").data["comparison"]["pairs"]
    assert (pair["verdict"], pair["values"][1]) == ("better", 1.0)
    assert 0 < pair["needed"] < pair["gain"]
    back = evaluated.labctl("evals", evaluated.adapted, evaluated.alone)
    assert back.out.splitlines()[-1] == "@@ 1 worse; beyond 2 standard errors @@"
    adapted = evaluated.labctl("evals", evaluated.adapted).out.splitlines()
    assert adapted[1:] == [" letters/acc,none: 1 ± 0, 24 questions"]


def test_the_results_lie_as_lm_eval_lays_them_out_and_hold_what_comparing_needs(evaluated: Evaluated) -> None:
    told = json.loads(Path(evaluated.adapted).read_text())
    assert Path(evaluated.adapted).parent.name == str(evaluated.place / "adapter").replace("/", "__")
    assert told["model_name"] == str(evaluated.place / "adapter")
    assert len(told["task_hashes"]["letters"]) == 64
    assert (told["n-shot"], told["versions"]) == ({"letters": 0}, {"letters": 1.0})
    assert told["n-samples"]["letters"]["effective"] == 24


def test_a_merged_model_is_gone_at_the_end(evaluated: Evaluated) -> None:
    assert not list((evaluated.place / "other").glob("**/*.safetensors"))


def test_the_template_evaluates_a_model_as_it_is_shipped_and_leaves_nothing_behind(
    evaluated: Evaluated, tiny_model: Path
) -> None:
    assert evaluated.labctl("init").code == 0
    created = evaluated.labctl("create", "lm-eval")
    assert "it would not run here: there is no model ./model" in created.err
    (evaluated.place / "lm-eval/model").symlink_to(tiny_model)
    ran = evaluated.labctl("run-once", "--experiment", "lm-eval", "--now")
    assert "ran lm-eval [default] as critic (success 0." in ran.out
    shown = evaluated.labctl("evals", "lm-eval")
    assert "60 questions" in shown.out
    assert "stands for" in shown.err
    (page,) = (evaluated.place / "lab/experiments/lm-eval/runs").glob("*/RESULT.md")
    assert "of 60 questions" in page.read_text()
    assert not list((evaluated.place / "tmp").iterdir())
    assert not [path for path in (evaluated.place / "home").rglob("*") if path.suffix == ".arrow"]


def test_what_goes_wrong_is_the_last_line_of_the_log_in_words(evaluated: Evaluated) -> None:
    refused = [line for line in evaluated.log.splitlines() if line.startswith("refused: ")]
    assert len(refused) == len(WRONG)
    for line, (_, why) in zip(refused, WRONG, strict=True):
        assert line.startswith(f"refused: {why}")
        assert "; " in line
    assert "Traceback" not in evaluated.log
