"""Two and three processes of torchrun on a CPU: the numbers of one, one voice, and one answer to what goes wrong."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
import train

from tests.training.test_oom import FAILS

if TYPE_CHECKING:
    import prepare

TEMPLATE = Path(train.__file__).parent
FLAGS = ("--depth", "1", "--width", "32", "--head-dim", "16", "--batch-tokens", "512", "--threads", "1")
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed"),
]


class Pair:
    """Starts the template, by itself or under torchrun."""

    def __init__(self, cwd: Path, dataset: str, cache: Path) -> None:
        self.cwd, self.dataset = cwd, dataset
        self.environ = {**os.environ, "LAB_TRAINING_CACHE": str(cache), "OMP_NUM_THREADS": "1"}

    def start(self, *flags: str, processes: int = 2) -> subprocess.Popen[str]:
        many = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "--max-restarts=1"]
        argv = [sys.executable, *(many if processes > 1 else []), str(TEMPLATE / "train.py"), "--dataset", self.dataset]
        return subprocess.Popen([*argv, *FLAGS, *flags], cwd=self.cwd, env=self.environ, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


@pytest.fixture
def pair(tmp_path: Path, small_dataset: str, small: prepare.Data, shared_cache: Path) -> Pair:
    return Pair(tmp_path, small_dataset, shared_cache)


def numbers(out: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"^METRIC (\w+)=(\S+)$", out, re.MULTILINE)}


def test_three_devices_make_the_number_of_one_and_one_of_them_speaks(pair: Pair) -> None:
    one, _ = pair.start("--budget", "4steps", "--batch-tokens", "384", processes=1).communicate()
    ran = pair.start("--budget", "4steps", processes=3)
    out, err = ran.communicate()
    assert ran.returncode == 0, err
    assert "batch-tokens 512: 384 of them are whole rows on 3 device(s)" in err
    assert out.count("---\n") == 1
    assert numbers(out)["devices"] == 3
    assert numbers(out)["total_tokens_M"] == numbers(one)["total_tokens_M"]
    assert numbers(out)["train_bpb"] == pytest.approx(numbers(one)["train_bpb"], rel=1e-3)
    assert numbers(out)["val_bpb"] == pytest.approx(numbers(one)["val_bpb"], rel=1e-3)


def test_out_of_memory_on_one_of_them_halves_all_of_them(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    only_one = FAILS.replace("    if left:", '    if left and os.environ["RANK"] == "1":')
    (tmp_path / "site" / "sitecustomize.py").write_text(only_one)
    (tmp_path / "failures").write_text("1")
    pair.environ |= {"PYTHONPATH": str(tmp_path / "site"), "FAILURES": str(tmp_path / "failures")}
    ran = pair.start("--budget", "3steps")
    out, err = ran.communicate()
    assert ran.returncode == 0, err
    assert "oom_halved:          true" in out
    assert numbers(out)["num_steps"] == 3


def test_any_other_failure_is_not_run_twice(pair: Pair) -> None:
    ran = pair.start("--budget", "50steps", "--embedding-lr", "1e300")
    out, err = ran.communicate()
    assert ran.returncode != 0
    assert "METRIC" not in out
    assert err.count("the loss is nan") == 2  # each of them says so, once
    assert "it is not run twice" in err


def test_a_signal_to_torchrun_saves_one_checkpoint_and_the_rest_ends_where_one_device_does(
    pair: Pair, tmp_path: Path
) -> None:
    one, _ = pair.start("--budget", "100steps", processes=1).communicate()
    pair.environ["LAB_REPORT"] = str(tmp_path / "report.txt")
    paused = pair.start("--budget", "100steps")
    while paused.poll() is None and not (tmp_path / "report.txt").exists():
        time.sleep(0.01)
    paused.send_signal(signal.SIGTERM)
    out, err = paused.communicate()
    assert paused.returncode != 0
    assert "METRIC" not in out
    assert err.count("saved in ") == 1
    rest = pair.start("--resume", "checkpoint.pt")
    out, err = rest.communicate()
    assert rest.returncode == 0, err
    assert (numbers(out)["devices"], numbers(out)["num_steps"]) == (2, 100)
    assert numbers(out)["total_tokens_M"] == numbers(one)["total_tokens_M"]
    assert numbers(out)["val_bpb"] == pytest.approx(numbers(one)["val_bpb"], rel=0.01)
    assert not (tmp_path / "checkpoint.pt").exists()
