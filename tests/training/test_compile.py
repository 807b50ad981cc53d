"""A compiler that fails costs no run: it is found out before the clock runs, said, and done without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import harness
import pytest
import train

TEMPLATE = Path(train.__file__).parent
TINY = ("--depth", "1", "--width", "32", "--head-dim", "16", "--batch-tokens", "512", "--budget", "2steps")


@pytest.mark.heavy
@pytest.mark.timeout(120)
def test_where_nothing_can_be_compiled_it_starts_anew_without(
    small_dataset: str, small: object, shared_cache: Path, tmp_path: Path
) -> None:
    """The compiler's own C++ compiler is one that refuses everything."""
    environ = {**os.environ, "LAB_TRAINING_CACHE": str(shared_cache), "CXX": "/bin/false",
               "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor")}  # fmt: skip
    argv = [sys.executable, str(TEMPLATE / "train.py"), "--dataset", small_dataset, "--threads", "1", *TINY]
    ran = subprocess.run(
        [*argv, "--compile", "on"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "train.py: it cannot be compiled here" in ran.stderr
    assert "starts anew with --compile off" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "compiled:            false" in ran.stdout
    assert "METRIC num_steps=2" in ran.stdout


def test_one_process_of_several_ends_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others wait for it: torchrun ends them all."""

    def program(_: list[str]) -> int:
        raise harness.Uncompilable("InductorError: no compiler")

    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    assert harness.main(program, []) == 1
    assert "it cannot be compiled here (InductorError: no compiler)\n  fix: --compile off" in capsys.readouterr().err
