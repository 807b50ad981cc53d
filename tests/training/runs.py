"""A training run of a tiny shape in this process, for tests to look into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import harness
import machine
import train

if TYPE_CHECKING:
    import prepare
    import pytest

TINY = ("--depth", "1", "--width", "32", "--head-dim", "16", "--batch-tokens", "512", "--threads", "1")


class Told:
    """Runs train.py in this process, and keeps what it said."""

    def __init__(self, flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
        self.flags, self.capsys = flags, capsys
        self.out = self.err = ""

    def __call__(self, *flags: str) -> int:
        code = harness.main(train.program, [*self.flags, *flags])
        self.out, self.err = self.capsys.readouterr()
        return code

    @property
    def block(self) -> dict[str, str]:
        lines = self.out.partition("---\n")[2].splitlines()
        return dict(line.split(":", 1) for line in lines if not line.startswith("METRIC"))

    def number(self, name: str) -> float:
        return float(self.block[name])


def run_of(data: prepare.Data, dataset: str, **knobs: object) -> train.Training:
    known: dict[str, Any] = {
        "depth": 1,
        "width": 32,
        "head_dim": 16,
        "batch_tokens": 512,
        "budget": "9steps",
        "threads": 1,
        "dataset": dataset,
        **knobs,
    }
    config = train.Config(**known)
    return train.Training(config, machine.detect(config), data, harness.Bell())


def losses(run: train.Training, steps: int = 5) -> list[float]:
    return [float(run.step(step / steps)[0]) for step in range(steps)]
