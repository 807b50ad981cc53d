"""A lab of one's own for each test, in a folder that is the current one, as a notebook has it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

import lab

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROGRAM = """\
import sys
x = float(sys.argv[1])
print("x is", x)
if x > 0.9:
    sys.exit("too large")
print(f"METRIC loss={x * x!r}")
print("METRIC seen=7")
"""
SPACE = {"x": {"low": 0.0, "high": 1.0}}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> lab.Lab:
    for name in ("LAB_DATA_ROOT", "HERMES_LAB_DATA_ROOT", "LAB_EXECUTOR_COMMAND", "HERMES_LAB_EXECUTOR_COMMAND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "square.py").write_text(PROGRAM)
    return lab.Lab.init()


@pytest.fixture
def sweep(home: lab.Lab) -> lab.Experiment:
    """An experiment with a command."""
    return home.create(
        "sweep",
        command=[sys.executable, "-S", "square.py", "{params.x}"],
        metric="loss",
        direction="minimize",
        space=SPACE,
        durability="fast",
        strategy="random",
        seed=1,
    )


@pytest.fixture
def asked(home: lab.Lab) -> Callable[..., lab.Experiment]:
    """Experiments whose runs the test makes itself."""

    def make(name: str = "asked", max_parallel: int = 1, max_iterations_total: int = 100) -> lab.Experiment:
        return home.create(
            name, metric="loss", direction="minimize", space=SPACE, durability="fast", strategy="random", seed=1,
            max_parallel=max_parallel, max_iterations_total=max_iterations_total,
        )  # fmt: skip

    return make
