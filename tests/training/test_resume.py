"""Stopped and resumed is the same, to the bit, as never stopped; what cannot be resumed is refused."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import harness
import machine
import prepare
import pytest
import torch
import train

TEMPLATE = Path(train.__file__).parent
FLAGS = ("--depth", "1", "--width", "32", "--head-dim", "16", "--batch-tokens", "512", "--threads", "1")


def run_of(small_dataset: str, data: prepare.Data, **knobs: object) -> train.Training:
    known: dict[str, Any] = {
        "depth": 1,
        "width": 32,
        "head_dim": 16,
        "batch_tokens": 512,
        "budget": "8steps",
        "threads": 1,
        "dataset": small_dataset,
        **knobs,
    }
    config = train.Config(**known)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        return train.Training(config, machine.detect(config), data, harness.Bell())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stepped(run: train.Training, steps: int) -> list[float]:
    out = []
    for _ in range(steps):
        share = run.progress.used(0)
        loss, size = run.step(share)
        run.progress.steps += 1
        run.progress.hear(run.progress.steps, float(loss), size, share)
        out.append(float(loss))
    return out


@pytest.mark.parametrize("at", [0, 1, 5])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_resumed_run_goes_on_to_the_bit(
    at: int, precision: str, small_dataset: str, small: prepare.Data, tmp_path: Path
) -> None:
    whole = run_of(small_dataset, small, precision=precision)
    expected = stepped(whole, 8)
    first = run_of(small_dataset, small, precision=precision, checkpoint=str(tmp_path / "c.pt"))
    begun = stepped(first, at)
    first.save()
    about, tensors = harness.load(str(tmp_path / "c.pt"))
    second = run_of(small_dataset, small, precision=precision)
    second.go_on(about, tensors)
    assert begun + stepped(second, 8 - at) == expected
    assert all(
        torch.equal(one, other) for one, other in zip(whole.model.parameters(), second.model.parameters(), strict=True)
    )
    assert all(torch.equal(whole.optimizer.state[name], second.optimizer.state[name]) for name in whole.optimizer.state)
    assert dataclasses.asdict(whole.config) == dataclasses.asdict(second.config)
    assert whole.progress.smooth == second.progress.smooth
    assert whole.rows.position == second.rows.position


def test_a_signal_within_a_step_is_heard_before_its_next_piece(
    small_dataset: str, small: prepare.Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow device a step may take longer than the time that a signal leaves."""
    expected = stepped(run_of(small_dataset, small), 3)
    knobs = {"device_batch": 1, "checkpoint": str(tmp_path / "c.pt")}
    first, second = (run_of(small_dataset, small, **knobs) for _ in range(2))
    begun, loss, pieces = stepped(first, 1), first.loss, []

    def rung(*rows: torch.Tensor) -> torch.Tensor:
        pieces.append(rows)
        first.bell.rung = signal.SIGTERM
        return loss(*rows)

    monkeypatch.setattr(first, "loss", rung)
    with pytest.raises(harness.Stopped):
        first.step(0.0)
    assert len(pieces) == 1
    second.go_on(*harness.load(str(tmp_path / "c.pt")))
    assert begun + stepped(second, 2) == pytest.approx(expected, abs=1e-5)


def started(cwd: Path, dataset: str, cache: Path, *flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, TEMPLATE / "train.py", *FLAGS, "--dataset", dataset, *flags], cwd=cwd, text=True,
        env={**os.environ, "LAB_TRAINING_CACHE": str(cache), "LAB_REPORT": str(cwd / "report.txt")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def numbers(told: str) -> dict[str, str]:
    return dict(line.removeprefix("METRIC ").split("=") for line in told.splitlines() if line.startswith("METRIC "))


def stopped_by(number: signal.Signals, first: subprocess.Popen[str], report: Path) -> dict[str, int]:
    """Ended once it has reported: what its checkpoint says of its progress."""
    while first.poll() is None and not (report.exists() and report.read_text().count("\n") >= 3):
        time.sleep(0.01)
    first.send_signal(number)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 128 + number, err
    assert "METRIC" not in out
    assert f"stopped by {number.name}" in err
    saved = torch.load(report.parent / "checkpoint.pt", weights_only=True)
    progress: dict[str, int] = json.loads(saved["about"])["progress"]
    return progress


@pytest.mark.heavy
@pytest.mark.timeout(120)
def test_sigterm_ends_the_step_saves_and_leaves_and_the_rest_makes_the_same_number(
    small_dataset: str, small: prepare.Data, shared_cache: Path, tmp_path: Path
) -> None:
    steps = ("--budget", "150steps")
    first = started(tmp_path, small_dataset, shared_cache, *steps)
    assert 0 < stopped_by(signal.SIGTERM, first, tmp_path / "report.txt")["steps"] < 150
    resumed, _ = started(tmp_path, small_dataset, shared_cache, "--resume", "checkpoint.pt").communicate(timeout=60)
    whole, _ = started(tmp_path, small_dataset, shared_cache, *steps, "--checkpoint", "other.pt").communicate(
        timeout=60
    )
    assert numbers(resumed)["num_steps"] == "150"
    assert numbers(resumed)["val_bpb"] == numbers(whole)["val_bpb"]
    assert not (tmp_path / "checkpoint.pt").exists()


@pytest.mark.heavy
@pytest.mark.timeout(60)
def test_ctrl_c_saves_as_well(small_dataset: str, small: prepare.Data, shared_cache: Path, tmp_path: Path) -> None:
    first = started(tmp_path, small_dataset, shared_cache, "--budget", "3000steps")
    assert stopped_by(signal.SIGINT, first, tmp_path / "report.txt")["steps"] > 0


@pytest.fixture
def kept(small_dataset: str, small: prepare.Data, tmp_path: Path) -> str:
    run = run_of(small_dataset, small, checkpoint=str(tmp_path / "kept.pt"))
    stepped(run, 1)
    run.save()
    return run.path


def test_what_is_not_given_is_as_the_checkpoint_says_and_what_is_run_may_differ(kept: str) -> None:
    config, about, _ = harness.resumed(train.Config, {"resume": kept, "threads": 2, "depth": 1})
    assert (config.width, config.budget, config.threads, config.resume) == (32, "8steps", 2, kept)
    assert about["progress"]["steps"] == 1


@pytest.mark.parametrize(("name", "value"), [("depth", 3), ("budget", "9steps"), ("seed", 7), ("matrix_lr", 0.5)])
def test_another_config_is_refused_by_the_name_of_its_field(kept: str, name: str, value: object) -> None:
    with pytest.raises(prepare.Refused, match=f"--{name.replace('_', '-')} {value}: the checkpoint was made with"):
        harness.resumed(train.Config, {"resume": kept, name: value})


def test_other_data_is_refused(kept: str, small_dataset: str, small: prepare.Data) -> None:
    other = run_of(small_dataset, dataclasses.replace(small, digest="0" * 64))
    with pytest.raises(prepare.Refused, match="is not the checkpoint's"):
        other.go_on(*harness.load(kept))


@pytest.mark.parametrize("damage", ["cut", "text", "pickle", "empty"])
def test_what_is_no_whole_checkpoint_is_named_and_never_run(damage: str, kept: str, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    whole = Path(kept).read_bytes()
    held = {"cut": whole[: len(whole) // 2], "text": b"not a checkpoint", "empty": b""}.get(damage)
    if held is None:
        torch.save({"about": Trap(str(trap))}, kept)
    else:
        Path(kept).write_bytes(held)
    with pytest.raises(prepare.Refused, match="is no whole checkpoint") as refused:
        harness.load(kept)
    assert refused.value.code == 4
    assert not trap.exists()


class Trap:
    """What a pickle may do to whoever loads it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (self.path, "w")


def test_a_save_that_fails_leaves_the_one_before(
    kept: str,
    small_dataset: str,
    small: prepare.Data,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = Path(kept).read_bytes()
    run = run_of(small_dataset, small, checkpoint=kept)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    run.save()
    assert Path(kept).read_bytes() == before
    assert os.listdir(os.path.dirname(kept)) == ["kept.pt"]
    assert "no checkpoint could be saved" in capsys.readouterr().err
