"""What stands around a step: the clock, the bell, checkpoints, the count of operations, and who may remove what."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import harness
import kernels
import machine
import prepare
import pytest
import torch
import train

from tests.training.runs import Told, losses, run_of

if TYPE_CHECKING:
    from collections.abc import Callable

# ---- The clock -------------------------------------------------------------------------------------------------------


def test_all_time_of_the_loop_counts_and_none_of_a_save(
    small_dataset: str, data: prepare.Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    run = run_of(data, small_dataset, budget="3steps", checkpoint_every=0.0)
    monkeypatch.setattr(run, "save", lambda: now.__setitem__(0, now[0] + 1000.0))
    for share in run.turns():
        now[0] += 1.0
        run.hear(*run.step(share))
        now[0] += 2.0
    assert run.progress.seconds == 9.0


@pytest.mark.parametrize("heard", [0, 2])
def test_a_turn_is_one_step(heard: int, small_dataset: str, data: prepare.Data) -> None:
    run = run_of(data, small_dataset)

    def train_otherwise() -> None:
        for share in run.turns():
            told = run.step(share)
            for _ in range(heard):
                run.hear(*told)

    with pytest.raises(harness.Failed, match=f"a turn is one step, and {heard} were told"):
        train_otherwise()


def test_a_layer_that_is_not_counted_is_refused_with_both_numbers(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    plain: Callable[..., torch.Tensor] = kernels.squared_relu_mlp
    monkeypatch.setattr(train, "squared_relu_mlp", lambda x, up, down: plain(x, up, down) + plain(x.flip(-1), up, down))
    assert told("--budget", "3steps") == 2
    words = re.search(r"tells of ([\d,]+) operations a token, and the model makes ([\d,]+)", told.err)
    assert words
    less, more = (int(one.replace(",", "")) for one in words.groups())
    assert more - less == pytest.approx(6 * 2 * 4 * 32 * 32, abs=1)  # one more MLP, forward and twice that backward
    assert told.out == ""


@pytest.mark.parametrize("knobs", [{}, {"checkpointing": "on"}, {"precision": "bf16"}, {"smear": False, "depth": 3}])
def test_what_is_counted_is_what_the_shape_says(
    knobs: dict[str, object], small_dataset: str, data: prepare.Data
) -> None:
    run = run_of(data, small_dataset, **knobs)
    shape, before = run.shape, torch.get_rng_state()
    run.count()
    here = harness.counted_flops(run.twin(), shape.context)
    reckoned = shape.flops() - harness.attention_flops(shape.width, shape.context, shape.windows)
    assert here == pytest.approx(reckoned, rel=0.002)
    assert torch.equal(before, torch.get_rng_state())
    assert all(one.grad is None for one in run.model.parameters())


def test_where_the_lab_ends_it_the_evaluation_has_its_time(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small model trains faster than it is evaluated: there is much to read, and little to learn."""
    whole = prepare.evaluate

    def slow(*given: object, **more: object) -> prepare.Score:
        for _ in range(20):
            whole(*given, **more)  # type: ignore[arg-type]
        return whole(*given, **more)  # type: ignore[arg-type]

    priced = harness.Run.price
    monkeypatch.setattr(harness.Run, "price", lambda run: 21 * priced(run))
    monkeypatch.setattr(prepare, "evaluate", slow)
    ends = datetime.now(UTC) + timedelta(seconds=9)
    monkeypatch.setenv("LAB_DEADLINE", ends.isoformat())
    assert told("--budget", "1000000steps") == 0
    assert told.block["ended_by"].strip() == "the lab's time"
    assert datetime.now(UTC) < ends


def test_chance_is_seeded_and_put_back(small_dataset: str, data: prepare.Data) -> None:
    run_of(data, small_dataset, seed=5)
    first = torch.rand(3)
    run = run_of(data, small_dataset, seed=5)
    plain = run.step
    run.step = lambda share: (torch.rand(1), plain(share))[1]  # type: ignore[method-assign]
    run.warm(2)
    assert torch.equal(torch.rand(3), first)


# ---- The bell --------------------------------------------------------------------------------------------------------


def test_a_second_signal_does_not_break_off_what_the_first_one_saves(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ring(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(prepare, "evaluate", ring)
    monkeypatch.setattr(os, "fsync", ring)
    assert told("--budget", "2steps") == 143
    assert os.listdir() == ["checkpoint.pt"]
    assert harness.load("checkpoint.pt")[0]["progress"]["steps"] == 2


def test_a_save_that_is_broken_off_leaves_no_draft(
    small_dataset: str, data: prepare.Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(data, small_dataset, checkpoint=str(tmp_path / "c.pt"))

    def broken_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", broken_off)
    with pytest.raises(KeyboardInterrupt):
        run.save()
    assert os.listdir(tmp_path) == []


def test_with_save_at_stop_off_it_only_stops(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = train.Training.step

    def step(run: train.Training, share: float) -> tuple[torch.Tensor, int]:
        if run.progress.steps == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(run, share)

    monkeypatch.setattr(train.Training, "step", step)
    assert told("--budget", "9steps", "--save-at-stop", "off") == 143
    assert os.listdir() == []
    assert told("--budget", "9steps") == 143
    assert os.listdir() == ["checkpoint.pt"]


# ---- Checkpoints -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [(), ("--checkpoint", "thesis.pt")])
def test_what_another_run_left_is_neither_written_over_nor_removed(flags: tuple[str, ...], told: Told) -> None:
    path = Path(flags[-1] if flags else "checkpoint.pt")
    path.write_text("ten hours")
    assert told("--budget", "2steps", *flags) == 2
    assert f"{path} is there, and not this run's" in told.err
    assert f"--resume {path.absolute()}" in told.err
    assert path.read_text() == "ten hours"
    path.unlink()
    path.mkdir()
    assert told("--budget", "2steps", *flags) == 2
    assert path.is_dir()


def test_what_another_run_saved_meanwhile_stays(
    small_dataset: str, data: prepare.Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = run_of(data, small_dataset)
    Path("checkpoint.pt").write_text("ten hours")
    run.end()
    assert os.listdir() == ["checkpoint.pt"]
    run.save()
    assert sorted(os.listdir()) == [f"checkpoint-{os.getpid()}.pt", "checkpoint.pt"]
    run.end()
    assert os.listdir() == ["checkpoint.pt"]
    assert Path("checkpoint.pt").read_text() == "ten hours"


def test_other_code_goes_on_loudly(
    told: Told, monkeypatch: pytest.MonkeyPatch, small_dataset: str, data: prepare.Data
) -> None:
    run_of(data, small_dataset, checkpoint="kept.pt").save()
    assert told("--resume", "kept.pt", "--checkpoint", "kept.pt") == 0
    assert told.block["resumed_code"].strip() == "same"
    run_of(data, small_dataset, checkpoint="kept.pt").save()
    monkeypatch.setattr(harness, "code", lambda: {"train": "0" * 16, "kernels": harness.origin()["kernels_py"]})
    assert told("--resume", "kept.pt", "--checkpoint", "kept.pt") == 0
    assert "NOT the code that saved this checkpoint: train.py changed since" in told.err
    assert told.block["resumed_code"].strip() == "other"


def test_a_flag_that_was_rounded_or_left_open_may_be_given_again(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "AUTO_ON_CPU", "3steps")
    flags = ("--batch-tokens", "500", "--budget", "auto", "--checkpoint", "k.pt")
    assert told(*flags, "--keep-checkpoint") == 0
    assert "batch-tokens 500: 384 of them are whole rows" in told.err
    assert told.number("batch_tokens") == 384
    expected = told.number("val_bpb")
    for _ in range(2):
        assert told(*flags, "--resume", "k.pt", "--keep-checkpoint") == 0
        assert told.number("val_bpb") == expected
    assert told("--batch-tokens", "256", "--resume", "k.pt") == 2


@pytest.mark.parametrize("damage", ["no config", "other config", "other shape", "no optimizer", "passwd"])
def test_a_checkpoint_of_something_else_is_refused_in_words(
    damage: str, told: Told, small_dataset: str, data: prepare.Data
) -> None:
    run_of(data, small_dataset, checkpoint="kept.pt").save()
    held = torch.load("kept.pt", weights_only=True)
    about = json.loads(held["about"])
    if damage == "no config":
        del about["config"]
    elif damage == "other config":
        about["config"]["experts"] = 8
    elif damage == "other shape":
        held["model"]["head"] = held["model"]["head"][:, :16].clone()
    else:
        held["optimizer"] = {}
    torch.save({**held, "about": json.dumps(about)}, "kept.pt")
    if damage == "passwd":
        Path("kept.pt").write_text("root:x:0:0:root:/root:/bin/bash\n")
    told.flags = ("--threads", "1")
    expected = 0 if damage == "other config" else 4  # what is not known to this train.py is not asked of it
    assert told("--resume", "kept.pt", "--checkpoint", "new.pt") == expected
    assert expected == 0 or "\n  fix: " in told.err


# ---- What it is told -------------------------------------------------------------------------------------------------


def test_without_git_a_run_has_its_number_and_no_commit(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.origin.cache_clear()
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "")
        assert told("--budget", "2steps") == 0
    harness.origin.cache_clear()
    assert told.block["commit"].strip() == "none"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LAB_DEVICE_BATCH_DIVISOR", "half"),
        ("LAB_TIME_BUDGET_SECONDS", "x"),
        ("LAB_DEADLINE", "tomorrow"),
        ("OMP_NUM_THREADS", "many"),
    ],
)
def test_a_variable_that_says_nothing_is_named(
    variable: str, value: str, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    told.flags = told.flags[: told.flags.index("--threads")]
    assert told("--budget", "2steps") == 2
    assert f"{variable}={value}: no " in told.err


def test_threads_of_several_levels_are_those_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")
    assert machine.whole_from("OMP_NUM_THREADS") == 4


def test_a_parameter_that_no_rate_is_known_for_is_refused(small_dataset: str, data: prepare.Data) -> None:
    run = run_of(data, small_dataset)
    run.model.extra = torch.nn.Parameter(torch.zeros(2, 2))
    with pytest.raises(prepare.Refused, match="no rate is known for extra"):
        train.Optimizer(run.model, run.config)


# ---- How a step is cut up --------------------------------------------------------------------------------------------


def cut(rows: int, most: int, memory: float = 1e9, checkpointing: str = "auto") -> machine.Plan | None:
    """Where each row takes 10 bytes, or 6 with checkpointing."""
    plans = machine.cut_up(rows, most, checkpointing, lambda count, way: {"": count * (6.0 if way else 10.0)})
    return machine.fitting(plans, memory)


def test_pieces_are_even_unless_that_costs_half_of_the_rows_at_once() -> None:
    plans = [cut(*asked) for asked in ((16, 5), (7, 4), (7, 6), (6, 4), (13, 13), (1, 9))]
    found = [(plan.accumulation, plan.rows) for plan in plans if plan]
    assert found == [(4, 4), (2, 4), (2, 4), (2, 3), (1, 13), (1, 1)]


def test_uneven_pieces_make_the_same_step(small_dataset: str, data: prepare.Data) -> None:
    whole, uneven = (run_of(data, small_dataset, batch_tokens=128 * 7, device_batch=most) for most in (7, 4))
    assert (uneven.plan.rows, uneven.plan.accumulation) == (4, 2)
    assert losses(uneven) == pytest.approx(losses(whole), rel=1e-3)


def test_halved_is_said_of_what_was_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_DEVICE_BATCH_DIVISOR", "2")
    for rows, expected in ((8, (2, 4)), (3, (2, 2)), (2, (2, 1))):
        plan = cut(rows, rows)
        assert plan
        assert (plan.accumulation, plan.rows) == expected
        assert plan.halved
    one = cut(1, 1)
    assert one
    assert (one.rows, one.checkpointing, one.halved) == (1, True, False)
    for checkpointing in ("off", "on"):
        with pytest.raises(prepare.Refused, match="out of memory with one row at once") as refused:
            cut(1, 1, checkpointing=checkpointing)
        assert refused.value.code == 1


def test_a_device_batch_that_is_not_taken_is_said(told: Told) -> None:
    assert told("--budget", "2steps", "--device-batch", "3") == 0
    assert "--device-batch 3: 2 rows at once" in told.err


@pytest.mark.parametrize("devices", [3, 5, 6, 7])
def test_any_number_of_devices_has_whole_rows(devices: int, small_dataset: str, data: prepare.Data) -> None:
    config = train.Config(dataset=small_dataset, threads=1)
    here = dataclasses.replace(machine.detect(config), world=devices)
    whole, shape, plan = train.filled_in(config, here, data)
    assert whole.batch_tokens
    assert whole.batch_tokens % (devices * shape.context) == 0
    assert 2048 - devices * shape.context < whole.batch_tokens <= 2048
    assert plan.rows * plan.accumulation * devices * shape.context == whole.batch_tokens


def test_the_memory_of_every_control_group_around_it_counts(tmp_path: Path) -> None:
    new, old = tmp_path / "cgroup/a/b", tmp_path / "cgroup/memory/c"
    for folder, most, used, names in (
        (new, "5000", "1000", ("memory.max", "memory.current")),
        (new.parent, "9000", "6000", ("memory.max", "memory.current")),
        (old, "7000", "9000", ("memory.limit_in_bytes", "memory.usage_in_bytes")),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / names[0]).write_text(most + "\n")
        (folder / names[1]).write_text(used + "\n")
    (tmp_path / "cgroup/memory.max").write_text("max\n")
    (tmp_path / "v2").write_text("0::/a/b\n")
    (tmp_path / "v1").write_text("12:cpu,cpuacct:/c\n7:memory:/c\n0::/nowhere\n")
    mount = str(tmp_path / "cgroup")
    assert min(machine.free_in_groups(str(tmp_path / "v2"), mount)) == 3000
    assert min(machine.free_in_groups(str(tmp_path / "v1"), mount)) == 0


# ---- Out of memory ---------------------------------------------------------------------------------------------------


def test_torchrun_that_starts_nothing_anew_is_told_what_would(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setattr(harness.Run, "now", None)
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "0")
    assert harness.halve(MemoryError("of the device")) == 1
    assert "--max-restarts=1" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "1")
    assert harness.halve(MemoryError("of the device")) == 1
    assert "starts anew with half the rows at once" in capsys.readouterr().err
    assert str(os.getppid()) in os.listdir(tmp_path)[0]
    assert json.loads(harness.left_behind()) == {"resume": "", "told": 0}
