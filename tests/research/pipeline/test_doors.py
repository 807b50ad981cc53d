"""What the package offers of itself is what its tables say."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from lab.research import declared, worker
from lab.research.work import contract
from lab.scheduler import sequels
from tests.research.pipeline import stand_in

if TYPE_CHECKING:
    import pytest

CHECKOUT = Path(__file__).parents[3]


def test_the_tables_of_built_ins_are_what_the_package_declares() -> None:
    told = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    assert told[worker.GROUP] == worker.BUILT_IN
    assert told[sequels.GROUP] == sequels.BUILT_IN


def test_every_worker_that_a_phase_names_is_there_and_can_be_loaded() -> None:
    for phase in declared.phases():
        for name in (phase.executor, *phase.may):
            assert callable(worker.find(name).work)


def test_the_stand_in_of_these_tests_takes_no_judge_away_by_being_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    judges = {"training": "somebody:problems"}
    monkeypatch.setattr(contract, "CHECKS", judges)
    runpy.run_path(str(Path(stand_in.__file__)))
    assert contract.CHECKS is judges
    assert judges == {"training": "somebody:problems"}
