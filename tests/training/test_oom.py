"""Out of memory: once it is run anew with half the device batch, twice is a failure that the lab knows by its words.

The failures are put in from outside: a sitecustomize on PYTHONPATH makes torch fail, or the kernel give no more memory.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import train

from lab.core import crash

if TYPE_CHECKING:
    import prepare

TEMPLATE = Path(train.__file__).parent
FAILS = """
import os, torch
backward, before = torch.Tensor.backward, [int(os.environ.get("FAILS_AFTER", "0"))]
def failing(*arguments, **more):
    before[0] -= 1
    left = int(open(os.environ["FAILURES"]).read()) if before[0] < 0 else 0
    if left:
        open(os.environ["FAILURES"], "w").write(str(left - 1))
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    return backward(*arguments, **more)
torch.Tensor.backward = failing
"""
NO_MORE = """
import re, resource, torch
torch.ones(64, 64) @ torch.ones(64, 64)
told = open("/proc/self/status").read()
size = int(re.search(r"VmSize:\\s+(\\d+)", told)[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (size + (400 << 20), -1))
"""


class Injected:
    def __init__(self, tmp_path: Path, code: str, dataset: str, cache: Path) -> None:
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "sitecustomize.py").write_text(code)
        self.cwd, self.dataset = tmp_path, dataset
        self.environ = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "FAILURES": str(tmp_path / "failures"),
                        "LAB_TRAINING_CACHE": str(cache)}  # fmt: skip

    def run(self, *flags: str, failures: int = 0) -> subprocess.CompletedProcess[str]:
        (self.cwd / "failures").write_text(str(failures))
        argv = [sys.executable, str(TEMPLATE / "train.py"), "--dataset", self.dataset, "--threads", "1", *flags]
        return subprocess.run(argv, cwd=self.cwd, env=self.environ, capture_output=True, text=True, check=False)


@pytest.fixture
def failing(tmp_path: Path, small_dataset: str, small: prepare.Data, shared_cache: Path) -> Injected:
    return Injected(tmp_path, FAILS, small_dataset, shared_cache)


def number(ran: subprocess.CompletedProcess[str], name: str) -> float:
    found = re.search(rf"^METRIC {name}=(\S+)$", ran.stdout, re.MULTILINE)
    assert found, ran.stderr
    return float(found[1])


TINY = ("--depth", "1", "--width", "32", "--head-dim", "16", "--batch-tokens", "512", "--budget", "3steps")


@pytest.mark.heavy
@pytest.mark.timeout(60)
def test_the_first_time_it_halves_the_device_batch_at_the_same_total_and_says_so(failing: Injected) -> None:
    plain, halved = failing.run(*TINY), failing.run(*TINY, failures=1)
    assert halved.returncode == 0, halved.stderr
    assert "starts anew with half the rows at once; the total batch stays" in halved.stderr
    assert "oom_halved:          true" in halved.stdout
    assert number(halved, "device_batch") == number(plain, "device_batch") / 2
    assert number(halved, "accumulation") == 2 * number(plain, "accumulation")
    assert number(halved, "total_tokens_M") == number(plain, "total_tokens_M")
    assert number(halved, "val_bpb") == pytest.approx(number(plain, "val_bpb"), rel=1e-3)


@pytest.mark.heavy
@pytest.mark.timeout(60)
def test_late_it_goes_on_from_its_own_checkpoint_and_reports_on(failing: Injected, tmp_path: Path) -> None:
    failing.environ |= {"FAILS_AFTER": "6", "LAB_REPORT": str(tmp_path / "report.txt")}
    ran = failing.run(*TINY[:-1], "8steps", "--checkpoint-every", "0", failures=1)
    assert ran.returncode == 0, ran.stderr
    assert f"goes on from {tmp_path / 'checkpoint.pt'} with half the rows at once" in ran.stderr
    assert re.search(r"goes on after step [1-7]$", ran.stderr, re.MULTILINE)
    assert number(ran, "num_steps") == 8
    percents = [int(line.split()[0]) for line in (tmp_path / "report.txt").read_text().splitlines()]
    assert percents == sorted(set(percents))
    assert percents[-1] == 100
    assert not (tmp_path / "checkpoint.pt").exists()


@pytest.mark.heavy
@pytest.mark.timeout(60)
def test_the_second_time_it_fails_with_words_that_the_lab_knows(failing: Injected) -> None:
    ran = failing.run(*TINY, failures=2)
    assert ran.returncode == 1
    assert "METRIC" not in ran.stdout
    assert crash.kind(ran.returncode, None, ran.stderr) == crash.OOM
    assert "with half the device batch as well" in ran.stderr


@pytest.mark.heavy
@pytest.mark.timeout(120)
@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is kept by Linux alone")
def test_a_real_lack_of_memory_is_taken_for_what_it_is(
    tmp_path: Path, small_dataset: str, small: prepare.Data, shared_cache: Path
) -> None:
    tokens = str(1 << 17)
    rows = str((1 << 17) // small.context)
    ran = Injected(tmp_path, NO_MORE, small_dataset, shared_cache).run(
        "--depth", "3", "--width", "128", "--batch-tokens", tokens, "--device-batch", rows, "--budget", "1steps"
    )
    assert ran.returncode == 1, ran.stderr
    assert ran.stderr.count("memory:") >= 2
    assert crash.kind(ran.returncode, None, ran.stderr) == crash.OOM
