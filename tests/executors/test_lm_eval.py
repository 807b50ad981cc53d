"""What the executor of evaluations starts and refuses, and what it reads. lm_eval itself: tests/tinker/evals."""

from __future__ import annotations

import json
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import canonical, evaluation, layout
from lab.core.errors import BadInput, Corrupt, NotFound, Unavailable
from lab.core.evaluation import Asked
from lab.core.launch import Exit, Launch
from lab.core.record import page
from lab.core.run import FAILED, SUCCESS, Run
from lab.core.seal import Anchor, Seal, SealedFile
from lab.core.spec import Spec, parse
from lab.executors.lm_eval import LmEval
from lab.store.files import Files
from lab.testing.executors import RUN_ID, ExecutorContract, a_manifest
from tests.core.test_scores import results

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.ended import Ended

BLOCK: dict[str, object] = {
    "model": "./model", "tasks": ["sums"], "tasks_dir": "tasks", "metric": "sums/acc,none",
}  # fmt: skip
MODULES = ("lm_eval", "transformers", "torch", "lab")


def a_python(folder: Path, *modules: str) -> str:
    """A virtual environment with modules that must not be loaded."""
    venv.create(folder, symlinks=True)
    for name in modules:
        place = next(folder.glob("lib/python3*/site-packages")) / name
        place.mkdir()
        (place / "__init__.py").write_text(f"raise SystemExit('{name} was loaded')\n")
    return f"{folder}/bin/python"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    return a_python(tmp_path_factory.mktemp("python") / "own", *MODULES)


@pytest.fixture(autouse=True)
def own(python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", python)


def laid_out(place: Path) -> Path:
    """A workspace with a model and a task, as far as they are looked at beforehand."""
    for name in ("model", "adapter", "tasks"):
        (place / "ws" / name).mkdir(parents=True)
    (place / "ws/model/config.json").write_text("{}")
    (place / "ws/adapter/adapter_config.json").write_text("{}")
    (place / "ws/tasks/sums.yaml").write_text("task: sums\n")
    (place / "run").mkdir()
    return place


def a_launch(place: Path, params: Mapping[str, object] | None = None, **fields: object) -> Launch:
    written: dict[str, object] = {"id": "evals", "executor": "lm_eval", "lm_eval": {**BLOCK, **fields}}
    if params:
        written["search_space"] = {name: {"choices": [value]} for name, value in params.items()}
    return Launch(
        spec=parse(written), manifest=a_manifest(), path=f"{place}/run", workspace=f"{place}/ws", params=params,
        environ={"PATH": "/usr/bin:/bin", "LAB_DATA_ROOT": f"{place}/lab"},
    )  # fmt: skip


def asked(launch: Launch) -> Asked:
    program = LmEval().prepare(launch)
    return msgspec.json.decode(program.argv[-1], type=Asked)


def leave(path: Path, data: bytes, told: Asked | None = None, *, at: str = "model/results_2026-01-02.json") -> None:
    files = Files(durable=False)
    told = told or Asked(out="", model="m", tasks=("sums",), metric="sums/acc,none")
    files.replace(f"{path}/{layout.ARTIFACTS}/{evaluation.ASKED}", msgspec.json.encode(told))
    files.replace(f"{path}/{layout.ARTIFACTS}/{at}", data)


def seal(path: Path) -> None:
    """As the lab seals what lies there."""
    whole = {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}
    made = Seal(
        run=Run(run_id=path.name, experiment="other", outcome=SUCCESS), generation=1, anchor=Anchor(), sealed_at="",
        sealed_by="me",
        files={name: SealedFile(sha256=canonical.digest(data), size=len(data)) for name, data in whole.items()},
    )  # fmt: skip
    Files(durable=False).create(f"{path}/{layout.SEAL}", page(made))


class TestLmEval(ExecutorContract):
    executor = LmEval()

    def launch(self, path: str) -> Launch:
        files = Files(durable=False)
        files.replace(f"{path}/model/config.json", b"{}")
        files.replace(f"{path}/tasks/sums.yaml", b"task: sums\n")
        launch = a_launch(Path(path))
        return msgspec.structs.replace(launch, path=path, workspace=path, secrets=("hush-hush",))

    def tell(self, path: str, value: float) -> None:
        leave(Path(path), results(value, 0.1))


def test_every_place_is_absolute_and_no_network_is_asked(tmp_path: Path, python: str) -> None:
    place = laid_out(tmp_path)
    program = LmEval().prepare(a_launch(place, num_fewshot=2, limit=5, batch_size="auto", adapter="adapter"))
    assert program.argv[:4] == (python, "-P", "-m", "lab.executors.evaluating")
    told = msgspec.json.decode(program.argv[4], type=Asked)
    assert (told.model, told.adapter) == (f"{place}/ws/model", f"{place}/ws/adapter")
    assert (told.tasks_dir, told.out) == (f"{place}/ws/tasks", f"{place}/run/artifacts")
    assert (told.tasks, told.num_fewshot, told.limit, told.batch_size) == (("sums",), 2, 5, "auto")
    assert program.environ["HF_HUB_OFFLINE"] == program.environ["HF_DATASETS_OFFLINE"] == "1"


def test_a_name_that_is_no_folder_is_left_to_hugging_face(tmp_path: Path) -> None:
    assert asked(a_launch(laid_out(tmp_path), model="Qwen/Qwen3-0.6B")).model == "Qwen/Qwen3-0.6B"


def test_a_parameter_takes_the_place_of_the_field_of_its_name(tmp_path: Path) -> None:
    place = laid_out(tmp_path)
    told = asked(a_launch(place, {"num_fewshot": 4, "batch_size": 16, "adapter": "adapter"}, num_fewshot=1))
    assert (told.num_fewshot, told.batch_size, told.adapter) == (4, "16", f"{place}/ws/adapter")


def test_a_model_may_come_from_a_space_in_a_file_and_a_run_without_one_is_refused(tmp_path: Path) -> None:
    place = laid_out(tmp_path)
    written = {"id": "evals", "executor": "lm_eval", "search_space": "space.json", "lm_eval": {**BLOCK, "model": ""}}
    launch = msgspec.structs.replace(a_launch(place), spec=parse(written), params={"model": "./model"})
    LmEval().require(launch.foreseen)
    assert asked(launch).model == f"{place}/ws/model"
    with pytest.raises(BadInput, match="this run is given no model to evaluate"):
        asked(msgspec.structs.replace(launch, params={}))


def test_a_placeholder_is_filled_in_and_a_value_may_hold_blanks(tmp_path: Path) -> None:
    place = laid_out(tmp_path)
    (place / "ws/after 2 steps").mkdir()
    (place / "ws/after 2 steps/config.json").write_text("{}")
    told = asked(a_launch(place, {"steps": 2}, model="./after {params.steps} steps"))
    assert told.model == f"{place}/ws/after 2 steps"


def test_a_parameter_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="a parameter of this run does not fit its field"):
        asked(a_launch(laid_out(tmp_path), {"num_fewshot": "many"}))


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"model": "./nowhere"}, "there is no model ./nowhere"),
        ({"model": "tasks"}, "this is no model: there is no config.json"),
        ({"model": "adapter"}, "this is no model: there is no config.json"),
        ({"adapter": "nowhere"}, "there is no adapter nowhere"),
        ({"adapter": "model"}, "this folder holds no adapter_config.json"),
        ({"tasks_dir": "nowhere"}, "there is no folder nowhere"),
        ({"tasks_dir": "model"}, "this folder holds no task as YAML"),
    ],
)
def test_what_is_not_there_is_refused_before_a_run_is_claimed_and_when_it_begins(
    tmp_path: Path, fields: dict[str, object], what: str
) -> None:
    launch = a_launch(laid_out(tmp_path), None, **fields)
    with pytest.raises(BadInput) as refusal:
        LmEval().require(launch.foreseen)
    assert refusal.value.what == what
    assert refusal.value.fix
    with pytest.raises(BadInput):
        LmEval().prepare(launch)


def test_an_adapter_that_is_named_as_a_model_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refusal:
        asked(a_launch(laid_out(tmp_path), model="adapter"))
    assert "name it as `adapter`" in refusal.value.fix


def test_what_a_parameter_fills_in_is_not_looked_for_beforehand(tmp_path: Path) -> None:
    LmEval().require(a_launch(laid_out(tmp_path), {"steps": 9}, model="./after-{params.steps}").foreseen)


def test_a_python_without_lm_eval_is_told_with_what_it_lacks_and_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = a_python(tmp_path / "bare", "torch", "lab")
    monkeypatch.setattr(sys, "executable", bare)
    launch = msgspec.structs.replace(a_launch(laid_out(tmp_path)), environ={"PATH": "/nowhere"})
    with pytest.raises(Unavailable) as refusal:
        LmEval().require(launch.foreseen)
    assert f"{bare} lacks lm_eval and transformers" in refusal.value.what
    assert "pip install 'labctl[eval]'" in refusal.value.fix


def test_a_baseline_is_a_file_or_a_run_of_this_lab(tmp_path: Path) -> None:
    place = laid_out(tmp_path)
    (place / "ws/before.json").write_text("{}")
    assert asked(a_launch(place, baseline="before.json")).baseline == f"{place}/ws/before.json"
    path = place / "lab/experiments/other/runs" / RUN_ID
    leave(path, results())
    leave(path, results(), at="model/results_2026-01-03.json")
    seal(path)
    leave(path, results(0.9), at="model/results_2027-01-01.json")  # since the seal, by whoever
    assert asked(a_launch(place, baseline=RUN_ID)).baseline == f"{path}/artifacts/model/results_2026-01-03.json"


@pytest.mark.parametrize("name", ["after.json", RUN_ID, "RUN-20260102-030405-000000-nobody"])
def test_a_baseline_that_is_not_there_is_refused_before_a_run_is_claimed(tmp_path: Path, name: str) -> None:
    launch = a_launch(laid_out(tmp_path), baseline=name)
    for refuse in (lambda: LmEval().require(launch.foreseen), lambda: asked(launch)):
        with pytest.raises(NotFound, match="to compare with"):
            refuse()


def test_a_baseline_that_a_parameter_names_is_looked_for_when_the_run_begins(tmp_path: Path) -> None:
    launch = a_launch(laid_out(tmp_path), {"step": 2}, baseline="after-{params.step}.json")
    LmEval().require(launch.foreseen)
    with pytest.raises(NotFound, match=r"there are no results after-2\.json to compare with"):
        asked(launch)


def test_a_run_that_is_not_sealed_or_was_changed_since_is_no_baseline(tmp_path: Path) -> None:
    place = laid_out(tmp_path)
    path = place / "lab/experiments/other/runs" / RUN_ID
    leave(path, results())
    foreseen = a_launch(place, baseline=RUN_ID).foreseen
    with pytest.raises(BadInput, match="this run is not sealed, so it is no baseline yet"):
        LmEval().require(foreseen)
    seal(path)
    LmEval().require(foreseen)
    (path / layout.SUPERSEDED).write_text("{}")
    with pytest.raises(BadInput, match="this run is not sealed"):
        LmEval().require(foreseen)
    (path / layout.SUPERSEDED).unlink()
    leave(path, results(0.9))
    with pytest.raises(Corrupt, match=r"results_2026-01-02\.json is not what was sealed"):
        LmEval().require(foreseen)


def test_a_run_without_results_is_no_baseline(tmp_path: Path) -> None:
    place = laid_out(tmp_path)
    path = place / "lab/experiments/other/runs" / RUN_ID
    leave(path, results(), at="model/other.json")
    seal(path)
    with pytest.raises(NotFound, match="this run has no results of lm_eval to compare with"):
        LmEval().require(a_launch(place, baseline=RUN_ID).foreseen)


def read(path: Path, direction: str = "maximize") -> Ended:
    return LmEval().read(str(path), a_manifest(metric_direction=direction), Exit(run_id=RUN_ID, code=0))


def test_the_value_is_the_score_that_is_named_and_all_scores_are_metrics(tmp_path: Path) -> None:
    told = {"acc,none": 0.5, "acc_stderr,none": 0.1, "acc,strict": 0.25, "acc_stderr,strict": "N/A"}
    leave(tmp_path, results(results={"sums": told}))
    ended = read(tmp_path)
    assert (ended.outcome, ended.value) == (SUCCESS, 0.5)
    assert ended.metrics == {"sums/acc": 0.5, "sums/acc/strict": 0.25}
    assert ended.note == "sums/acc,none 0.5 ± 0.1 of 60 questions"
    assert "| sums/acc,none | 0.5 | 0.1 | 0 | 60 |" in ended.result
    assert "| sums/acc,strict | 0.25 | N/A | 0 | 60 |" in ended.result


def test_beside_a_baseline_the_page_says_what_is_better_and_by_which_rule(tmp_path: Path) -> None:
    told = Asked(
        out="", model="m", tasks=("sums",), metric="acc", baseline="/b.json", baseline_name="RUN-1", better_by=3.0
    )
    leave(tmp_path, results(0.9, 0.01), told)
    Files(durable=False).replace(f"{tmp_path}/{layout.ARTIFACTS}/{evaluation.BASELINE}", results(0.5, 0.01))
    ended = read(tmp_path)
    assert "a difference counts beyond 3 times the two standard errors together" in ended.result
    assert "| sums/acc,none | 0.5 | 0.9 | 0.4 | 0.0424264 | better |" in ended.result
    assert ended.note.endswith("; beside the baseline: better")


def test_a_baseline_that_cannot_be_read_any_more_takes_no_value_from_the_run(tmp_path: Path) -> None:
    told = Asked(out="", model="m", tasks=("sums",), metric="acc", baseline="/b.json", baseline_name="RUN-1")
    leave(tmp_path, results(), told)
    ended = read(tmp_path)
    assert ended.outcome == SUCCESS
    assert "not compared with the baseline: artifacts/baseline.json cannot be read" in ended.result


def test_a_metric_that_is_no_score_fails_the_run_with_those_that_are(tmp_path: Path) -> None:
    leave(tmp_path, results(), Asked(out="", model="m", tasks=("sums",), metric="sums/acc_norm,none"))
    ended = read(tmp_path)
    assert ended.outcome == FAILED
    assert "there is no score sums/acc_norm,none; there are sums/acc,none" in ended.reason


def test_a_spec_that_looks_for_the_worst_is_told(tmp_path: Path) -> None:
    leave(tmp_path, results())
    ended = read(tmp_path, "minimize")
    assert "lm_eval says that a higher acc is better, and metric_direction says the contrary" in ended.result


def test_a_number_of_examples_that_the_task_does_not_take_is_told(tmp_path: Path) -> None:
    told = Asked(out="", model="m", tasks=("sums",), metric="acc", num_fewshot=5)
    leave(tmp_path, results(), told)
    ended = read(tmp_path)
    assert "sums was asked with 0 examples, not 5" in ended.result


def test_results_that_lead_out_of_the_run_are_not_read(tmp_path: Path) -> None:
    leave(tmp_path / "run", results(), at="model/other.json")
    (tmp_path / "results_2026.json").write_bytes(results())
    (tmp_path / "run/artifacts/model/results_2026.json").symlink_to(tmp_path / "results_2026.json")
    ended = read(tmp_path / "run")
    assert ended.outcome == FAILED
    assert "there are no results of lm_eval in artifacts/" in ended.reason


@pytest.mark.parametrize(
    ("log", "why"),
    [
        (
            "noise\nrefused: lm_eval has no task sms; did you mean sums?\n",
            "lm_eval has no task sms; did you mean sums?",
        ),
        ("Traceback (most recent call last):\n  x\ntorch.OutOfMemoryError: CUDA out of memory\n", "out of memory"),
    ],
)
def test_a_failure_is_told_in_the_words_of_the_program(tmp_path: Path, log: str, why: str) -> None:
    (tmp_path / layout.STDERR).write_text(log)
    ended = LmEval().read(str(tmp_path), a_manifest(), Exit(run_id=RUN_ID, code=2))
    assert ended.outcome == FAILED
    assert why in ended.reason


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ({"lm_eval": None}, "executor lm_eval asks a model"),
        ({"lm_eval": {**BLOCK, "model": ""}}, "executor lm_eval asks a model"),
        ({"lm_eval": {**BLOCK, "tasks": []}}, "executor lm_eval asks tasks"),
        ({"lm_eval": {**BLOCK, "metric": ""}}, "which score is the value of a run is not said"),
        ({"lm_eval": {**BLOCK, "batch_size": "lots"}}, "'lots' is no batch size"),
        ({"lm_eval": {**BLOCK, "modle": "x"}}, "did you mean model?"),
        ({"executor_command": "x"}, "take executor_command out"),
        ({"shell": True}, "take `shell: true` out"),
        ({"search_space": {"lr": {"low": 0, "high": 1}}}, "lr would change nothing"),
        ({"lm_eval": {**BLOCK, "model": "m-{params.step}"}}, "there is no search_space"),
    ],
)
def test_a_spec_that_could_not_be_evaluated_is_refused_whole(written: dict[str, object], why: str) -> None:
    whole = {"id": "evals", "executor": "lm_eval", "lm_eval": BLOCK, **written}
    with pytest.raises(BadInput) as refusal:
        parse({name: value for name, value in whole.items() if value is not None})
    assert why in str(refusal.value)


def test_a_spec_of_an_evaluation_is_read_back_as_it_was_written() -> None:
    told = parse({"id": "evals", "executor": "lm_eval", "lm_eval": {**BLOCK, "tasks": "sums", "batch_size": 8}})
    assert told.lm_eval is not None
    assert (told.lm_eval.tasks, told.lm_eval.batch_size) == (("sums",), "8")
    assert json.loads(msgspec.json.encode(told))["lm_eval"]["metric"] == "sums/acc,none"
    assert msgspec.json.decode(msgspec.json.encode(told), type=Spec) == told
