"""Evaluations by the real lm-evaluation-harness: a tiny model, with and without an adapter, and what goes wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.labs import CHECKOUT, Said, process
from tests.executors.supervised import until

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(find_spec("lm_eval") is None, reason="lm_eval is not installed (pip install 'labctl[eval]')"),
    pytest.mark.timeout(300),  # torch and transformers are loaded three times, on two cores that others use as well
]
SPEC = """\
id: letters
metric: acc
executor: lm_eval
workspace_root: {place}
cadence: 0
lm_eval:
  model: {model}
  tasks: [letters]
  tasks_dir: tasks
  metric: letters/acc,none
  device: cpu
"""


class Evaluated(NamedTuple):
    """A lab in which the model was evaluated alone, and then with its adapter beside that."""

    place: Path
    lab: Path
    alone: str
    adapted: str

    def run(self, run_id: str) -> Path:
        return self.lab / "experiments/letters/runs" / run_id

    def labctl(self, *words: str) -> Said:
        return at(self.place, *words)


def at(place: Path, *words: str) -> Said:
    settings = {"TMPDIR": str(place / "tmp"), "HOME": str(place / "home")}
    return process(*words, root=place / "lab", env=settings, cwd=place, limit_s=200)


def ids(place: Path) -> list[str]:
    return sorted(path.name for path in (place / "lab/experiments/letters/runs").iterdir())


@pytest.fixture(scope="module")
def evaluated(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    place = tmp_path_factory.mktemp("evals")
    for name in ("tmp", "home"):
        (place / name).mkdir()
    program = Path(__file__).with_name("adapted.py")
    subprocess.run([sys.executable, program, tiny_model, place], check=True, cwd=CHECKOUT, timeout=120)
    (place / "letters.yaml").write_text(SPEC.format(place=place, model=tiny_model))
    assert at(place, "init").code == 0
    assert at(place, "create", "letters.yaml").code == 0
    assert at(place, "run-once", "--experiment", "letters", "--now").code == 0
    (alone,) = ids(place)
    with (place / "lab/experiments/letters/SPEC.yaml").open("a") as spec:
        spec.write(f"  adapter: adapter\n  baseline: {alone}\n")
    assert at(place, "run-once", "--experiment", "letters", "--now").code == 0
    return Evaluated(place, place / "lab", alone, ids(place)[-1])


def test_an_adapter_that_does_not_fit_a_cut_vocabulary_is_evaluated_all_the_same_and_is_better(
    evaluated: Evaluated,
) -> None:
    page = (evaluated.run(evaluated.adapted) / "RESULT.md").read_text()
    assert "letters/acc,none 1 ± 0 of 24 questions; beside the baseline: better" in page
    assert f"Beside the baseline {evaluated.alone} (a difference counts beyond 2 times" in page
    assert "Outcome: success" in (evaluated.run(evaluated.alone) / "RESULT.md").read_text()


def test_the_verb_says_the_same_as_the_page_and_the_other_way_round_it_is_worse(evaluated: Evaluated) -> None:
    (pair,) = evaluated.labctl("evals", evaluated.alone, evaluated.adapted, "--json").data["comparison"]["pairs"]
    assert pair["verdict"] == "better"
    assert 0 < pair["needed"] < pair["gain"]
    back = evaluated.labctl("evals", evaluated.adapted, evaluated.alone)
    assert back.out.splitlines()[-1] == "@@ 1 worse; beyond 2 standard errors @@"
    alone = evaluated.labctl("evals", evaluated.adapted).out.splitlines()
    assert alone[1:] == [" letters/acc,none: 1 ± 0, 24 questions"]
    assert "stands for" in evaluated.labctl("evals", "letters").err


def test_the_results_lie_as_lm_eval_lays_them_out_and_hold_what_comparing_needs(evaluated: Evaluated) -> None:
    (file,) = (evaluated.run(evaluated.adapted) / "artifacts").glob("*/results_*.json")
    told = json.loads(file.read_text())
    assert file.parent.name == str(evaluated.place / "adapter").replace("/", "__")
    assert told["model_name"] == str(evaluated.place / "adapter")
    assert len(told["task_hashes"]["letters"]) == 64
    assert (told["n-shot"], told["versions"]) == ({"letters": 0}, {"letters": 1.0})
    assert sorted(evaluated.labctl("evals", str(file), "--json").data["first"]["told"]["hashes"]) == ["letters"]


def test_nothing_is_left_in_the_home_or_in_the_folder_for_temporary_files(evaluated: Evaluated) -> None:
    assert not list((evaluated.place / "tmp").iterdir())
    assert not [path for path in (evaluated.place / "home").rglob("*") if path.suffix == ".arrow"]
    whole = {path.name for path in evaluated.run(evaluated.adapted).rglob("*")}
    assert not [name for name in whole if name.endswith(".safetensors")]


def test_the_template_evaluates_a_model_as_it_is_shipped(evaluated: Evaluated, tiny_model: Path) -> None:
    created = evaluated.labctl("create", "lm-eval")
    assert "it would not run here: there is no model ./model" in created.err
    (evaluated.place / "lm-eval/model").symlink_to(tiny_model)
    ran = evaluated.labctl("run-once", "--experiment", "lm-eval", "--now")
    assert "ran lm-eval [default] as critic (success 0." in ran.out
    assert "60 questions" in evaluated.labctl("evals", "lm-eval").out


def test_told_to_end_it_takes_its_temporary_files_with_it(evaluated: Evaluated, tiny_model: Path) -> None:
    place = evaluated.place
    (place / "ending").mkdir()
    asked = {
        "out": f"{place}/out", "model": str(tiny_model), "adapter": f"{place}/adapter", "tasks": ["letters"],
        "tasks_dir": f"{place}/tasks",
    }  # fmt: skip
    command = [sys.executable, "-P", "-m", "lab.executors.evaluating", json.dumps(asked)]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": f"{place}/ending"}, stderr=subprocess.PIPE) as running:
        until(lambda: list((place / "ending").glob("labctl-eval-*/model/config.json")), within_s=100)
        running.terminate()
        running.communicate(timeout=100)
    assert running.returncode == 128 + signal.SIGTERM
    assert not list((place / "ending").glob("labctl-eval-*"))


# In one process: torch is loaded once for all four.
_EACH = """
import sys
from lab.executors import evaluating
for asked in sys.argv[1:]:
    assert evaluating.main(["", asked]), asked
"""


def test_what_goes_wrong_is_the_last_line_of_the_log_in_words(evaluated: Evaluated, tiny_model: Path) -> None:
    place = evaluated.place
    usual: dict[str, object] = {
        "out": f"{place}/out", "model": str(tiny_model), "tasks": ["letters"], "tasks_dir": f"{place}/tasks",
        "device": "cpu",
    }  # fmt: skip
    wrong: list[tuple[dict[str, object], str]] = [
        ({"tasks": ["leters"]}, "lm_eval has no task leters"),
        ({"tasks": ["lost"]}, "the data of a task are not there: Unable to find"),
        ({"adapter": f"{place}/adapter-of-another"}, "the adapter does not fit the base model: lm_head is"),
        ({"model": "nobody/nothing"}, "the model nobody/nothing is not on this machine"),
        ({"model": "nobody/nothing", "adapter": f"{place}/adapter"}, "the model nobody/nothing is not on this machine"),
        ({"device": "cuda:7", "tasks": ["lost"]}, "device is cuda:7, and this torch sees no GPU"),
        ({"baseline": f"{place}/letters.yaml"}, "these are no results of lm_eval: it is no JSON"),
    ]
    words = [json.dumps({**usual, **each}) for each, _ in wrong]
    settings = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", _EACH, *words]
    done = subprocess.run(command, cwd=CHECKOUT, env=settings, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    refused = [line for line in done.stderr.splitlines() if line.startswith("refused: ")]
    assert len(refused) == len(wrong)
    for line, (_, why) in zip(refused, wrong, strict=True):
        assert line.startswith(f"refused: {why}")
        assert "; " in line
    assert "Traceback" not in done.stderr
