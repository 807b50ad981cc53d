"""A training run, from its flags to the printed end: tiny shapes, in this process and as a program."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import harness
import prepare
import pytest
import torch
import train
from torch._dynamo.testing import CompileCounterWithBackend

from tests.training.runs import Told, losses, run_of

TEMPLATE = Path(train.__file__).parent
PEERS = ("val_bpb", "training_seconds", "total_seconds", "peak_vram_mb", "mfu_percent", "total_tokens_M", "num_steps",
         "num_params_M", "depth")  # fmt: skip


def test_the_block_has_the_fields_of_its_peers_first_and_the_numbers_again_as_metrics(told: Told) -> None:
    assert told("--budget", "3steps") == 0
    assert tuple(told.block)[:9] == PEERS
    assert told.block["num_steps"].strip() == "3"
    assert told.block["mfu_percent"].strip() == "unknown"
    metrics = dict(re.findall(r"^METRIC (\w+)=(\S+)$", told.out, re.MULTILINE))
    assert metrics["val_bpb"] == told.block["val_bpb"].strip()
    assert 0 < float(metrics["val_bpb"]) < 9
    assert "mfu_percent" not in metrics
    assert len(told.block["train_py"].strip()) == 16
    assert not os.path.exists("checkpoint.pt")


def test_mfu_is_all_timed_steps_over_all_timed_seconds_and_the_peak(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "peak_flops", lambda *_: 1e9)
    assert told("--budget", "40steps") == 0
    per_token = told.number("tflop") * 1e12 / (told.number("num_steps") * 512)
    expected = 100 * per_token * told.number("tokens_per_second") / 1e9
    assert told.number("mfu_percent") == pytest.approx(expected, rel=0.01)


def test_the_score_is_what_prepare_says_of_the_kept_weights(told: Told, data: prepare.Data) -> None:
    assert told("--budget", "3steps", "--keep-checkpoint", "--checkpoint", "kept/one.pt") == 0
    model, same, settings = train.scorable("kept/one.pt", "cpu")
    assert prepare.evaluate(model, same, "val", **settings).bpb == pytest.approx(told.number("val_bpb"), abs=1e-6)


def test_the_same_seed_on_one_thread_gives_the_same_losses_to_the_bit(small_dataset: str, data: prepare.Data) -> None:
    one, same = (losses(run_of(data, small_dataset)) for _ in range(2))
    assert one == same
    assert one != losses(run_of(data, small_dataset, seed=2))
    assert one[-1] < one[0]


def test_steps_that_warm_it_up_leave_no_trace(small_dataset: str, data: prepare.Data) -> None:
    cold, warm = run_of(data, small_dataset), run_of(data, small_dataset)
    warm.warm(3)
    assert losses(cold) == losses(warm)
    assert all(
        torch.equal(one, other) for one, other in zip(cold.model.parameters(), warm.model.parameters(), strict=True)
    )


@pytest.mark.parametrize("rows", [1, 2])
def test_the_device_batch_changes_only_the_order_of_additions(
    rows: int, small_dataset: str, data: prepare.Data
) -> None:
    whole, cut = run_of(data, small_dataset), run_of(data, small_dataset, device_batch=rows)
    assert (cut.plan.rows, cut.plan.accumulation) == (rows, whole.plan.rows // rows)
    assert losses(cut) == pytest.approx(losses(whole), rel=1e-3)


def test_narrow_types_train_as_well(small_dataset: str, data: prepare.Data) -> None:
    wide = losses(run_of(data, small_dataset))
    for precision in ("bf16", "fp16"):
        assert losses(run_of(data, small_dataset, precision=precision)) == pytest.approx(wide, rel=0.02)


def test_an_fp16_step_that_ran_over_is_passed_over_and_scaled_less(small_dataset: str, data: prepare.Data) -> None:
    run = run_of(data, small_dataset, precision="fp16")
    before = run.model.mlp.detach().clone()
    run.scale = 1e30
    run.step(0.0)
    assert torch.equal(run.model.mlp, before)
    assert run.scale == 5e29


def test_a_run_that_comes_apart_stops_at_once_and_has_no_number(told: Told) -> None:
    assert told("--budget", "50steps", "--embedding-lr", "1e300") == 1
    assert re.search(r"train.py: the loss is nan at step [23]", told.err)
    assert "METRIC" not in told.out
    assert "---" not in told.out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--budget", "0steps"], "too short"),
        (["--budget", "1kflop"], "too short: one step is"),
        (["--budget", "soon"], "--budget soon"),
        (["--dpeth", "3"], "--dpeth"),
        (["--depth", "two"], "a whole number from 1 to 128"),
        (["--depth", "2.5"], "a whole number"),
        (["--matrix-lr", "nan"], "a number from 0"),
        (["--smear", "perhaps"], "on or off"),
        (["--device", "cuda"], "--device cuda is not here; here: cpu"),
        (["--device", "tpu"], "--device tpu"),
        (["--width", "40"], "--head-dim"),
        (["--batch-tokens", "100"], "not a row of 128 tokens on each of 1 device(s)"),
        (["--budget", "1e999s"], "has no end"),
        (["--budget", "1e999steps"], "has no end"),
        (["--resume", "nowhere.pt"], "nowhere.pt"),
        (["--dataset", "nothing"], "nothing"),
        (["--vram-gb", "0.001", "--depth", "4"], "do not fit"),
    ],
)
def test_what_cannot_be_is_refused_with_words_and_a_way_out(told: Told, flags: list[str], words: str) -> None:
    assert told(*flags) == 2
    assert words in told.err
    assert "\n  fix: " in told.err
    assert told.out == ""


def test_a_budget_of_seconds_that_one_step_overruns_has_no_number(told: Told) -> None:
    assert told("--budget", "0.000001s") == 1
    assert "too short: one step took" in told.err
    assert "METRIC" not in told.out


def test_a_budget_of_seconds_ends_with_the_step_that_reaches_it(told: Told) -> None:
    assert told("--budget", "0.3s") == 0
    assert told.number("training_seconds") >= 0.3
    assert told.number("num_steps") >= 1


def test_equal_operations_are_more_steps_of_a_smaller_model(small_dataset: str, data: prepare.Data) -> None:
    small, large = (run_of(data, small_dataset, budget="1gflop", depth=depth) for depth in (1, 3))
    assert small.progress.most_steps == math.floor(1e9 / (small.shape.flops() * 512))
    assert small.progress.most_steps > large.progress.most_steps


def test_the_default_budget_is_250_steps_of_the_default_shape_on_the_builtin_data() -> None:
    config = train.Config(context=128, **train.ON_CPU)
    step = train.shape_of(config, 1024).flops() * train.ON_CPU["batch_tokens"]
    assert harness.limits(harness.resolved("auto", "cpu"), step) == (250, math.inf)
    assert harness.limits(harness.resolved("auto", "cuda"), step) == (math.inf, 300)


def test_the_default_budget_stands_in_the_summary_as_what_it_was(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "AUTO_ON_CPU", "2steps")
    assert told() == 0
    assert (told.block["budget"].strip(), told.block["budget_resolved"].strip()) == ("auto", "2steps")


def test_names_may_have_either_dash_and_values_may_stand_behind_an_equals_sign() -> None:
    given = harness.given(train.Config, ["--batch_tokens=4096", "--matrix-lr", "0.1", "--smear=off", "--plan"], "")
    assert given == {"batch_tokens": 4096, "matrix_lr": 0.1, "smear": False, "plan": True}


def test_what_it_reports_rises_to_a_hundred(told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_REPORT", str(tmp_path / "report.txt"))
    assert told("--budget", "7steps") == 0
    lines = [line.split() for line in (tmp_path / "report.txt").read_text().splitlines()]
    percents = [int(percent) for percent, _ in lines]
    assert percents == sorted(set(percents))
    assert percents[-1] == 100
    assert float(lines[-1][1]) == pytest.approx(told.number("train_bpb"), abs=1e-5)


def test_stopped_in_its_evaluation_it_keeps_what_it_trained(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told("--budget", "3steps") == 0
    expected = told.number("val_bpb")
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "evaluate", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
        assert told("--budget", "3steps") == 143
    assert "METRIC" not in told.out
    assert told("--resume", "checkpoint.pt") == 0
    assert told.number("val_bpb") == expected
    assert not os.path.exists("checkpoint.pt")


def test_it_saves_as_often_as_it_is_told_to(told: Told) -> None:
    assert told("--budget", "4steps", "--checkpoint-every", "0") == 0
    assert told.err.count("saved in ") == 4


def test_without_time_for_a_step_there_is_no_number(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_TIME_BUDGET_SECONDS", "1")
    assert told("--budget", "5steps") == 1
    assert "too short for one step" in told.err


def test_a_run_of_a_lab_keeps_what_ran_and_a_code_loop_does_not(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("LAB_STEP", "validation")
    assert told("--budget", "1steps") == 0
    assert not (tmp_path / "artifacts" / "train.py").exists()
    monkeypatch.delenv("LAB_STEP")
    assert told("--budget", "1steps", "--keep-checkpoint") == 0
    assert (tmp_path / "artifacts" / "train.py").read_bytes() == (TEMPLATE / "train.py").read_bytes()
    assert (tmp_path / "artifacts" / "checkpoint.pt").exists()


def test_the_search_space_begins_where_train_py_begins() -> None:
    space = json.loads((TEMPLATE / "search_space.json").read_text())["parameters"]
    on_cpu = {**{name: one.default for name, one in train.Config.__dataclass_fields__.items()}, **train.ON_CPU}
    assert {name: on_cpu[name] for name in space} == {name: one["default"] for name, one in space.items()}
    for name, one in space.items():
        for value in one.get("choices", [one.get("low"), one.get("high")]):
            assert harness.given(train.Config, [f"--{name}={value}"], "")[name] == value


# ---- As a program ----------------------------------------------------------------------------------------------------


def test_without_torch_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n")
    ran = subprocess.run([sys.executable, TEMPLATE / "train.py"], env={**os.environ, "PYTHONPATH": str(tmp_path)},
                         capture_output=True, text=True, check=False)  # fmt: skip
    assert ran.returncode == 5
    assert ran.stderr.startswith("train.py: torch is not installed")
    assert "pip install 'labctl[train]'" in ran.stderr


def test_help_names_every_flag_with_an_example() -> None:
    ran = subprocess.run([sys.executable, TEMPLATE / "train.py", "--help"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0
    assert "python train.py --plan --vram-gb 24" in ran.stdout
    assert all(f"--{name.replace('_', '-')} " in ran.stdout for name in train.Config.__dataclass_fields__)


@pytest.mark.timeout(60)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch about itself
def test_what_a_compiler_is_given_is_traced_whole_and_once(
    small_dataset: str, data: prepare.Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the compiler itself, which takes minutes here: the graphs are run as they are."""
    compiler, graphs = torch.compile, CompileCounterWithBackend("aot_eager")
    monkeypatch.setattr(
        torch, "compile", lambda code, **_: compiler(code, backend=graphs, dynamic=False, fullgraph=True)
    )
    plain, compiled = run_of(data, small_dataset, width=64), run_of(data, small_dataset, width=64, compile="on")
    assert losses(compiled, 4) == pytest.approx(losses(plain, 4), rel=1e-3)
    assert graphs.frame_count <= 8  # the loss, two banks of matrices, and the larger of what AdamW moves


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.needs("g++")
def test_compiled_it_computes_the_same(small_dataset: str, data: prepare.Data) -> None:
    plain, compiled = run_of(data, small_dataset), run_of(data, small_dataset, compile="on")
    assert losses(compiled, 3) == pytest.approx(losses(plain, 3), rel=1e-3)
