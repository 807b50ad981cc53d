"""However one asks how noisy a metric is, the answer is the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.cli.searches import a_run, a_searched_lab

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl


def test_briefing_best_report_and_compare_know_the_same_noise(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    root = a_searched_lab(place, more="noise: true\n")
    repeated = {0.1: (0.5, 0.7), 0.01: (0.2, 0.25, 0.3), 0.001: (0.9, 0.5)}
    ids = [
        a_run(root, {"lr": lr, "depth": 3, "kind": "adam"}, value).run.run_id
        for lr, values in repeated.items()
        for value in values
    ]
    ids += [a_run(root, {"lr": 0.3, "depth": depth, "kind": "adam"}, 1.0).run.run_id for depth in range(1, 9)]
    sigma = ((0.02 + 0.005 + 0.08) / 4) ** 0.5
    noise = labctl.done("context", "sweep", "--json").data["noise"]
    assert (noise["sd"], noise["degrees_of_freedom"]) == (pytest.approx(sigma, rel=1e-3), 4)
    assert labctl.done("best", "sweep", "--json").data["noise"] == pytest.approx(sigma)
    labctl.done("report", "sweep", "-o", str(tmp_path / "x.json"))
    head = msgspec.json.decode((tmp_path / "x.json").read_bytes())["head"]
    assert head["sigma"] == pytest.approx(sigma)
    told = labctl.done("compare", ids[-1], ids[-2], "--json").data["metrics"][0]["how"]
    found = re.search(r"sigma ([\d.]+), (\d+) degrees", told)
    assert found is not None
    assert float(found[1]) == pytest.approx(sigma, rel=1e-2)
    assert found[2] == "4"
