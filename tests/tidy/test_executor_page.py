"""docs/reference/executors.md names every variable that a run is given, and none that it is not."""

from __future__ import annotations

import re
from pathlib import Path

from lab.core import variables
from lab.core.spec import Spec
from lab.executors import door, environment, placeholders
from lab.testing.executors import a_manifest

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/executors.md").read_text(encoding="utf-8")
SETTINGS = {"LAB_EXECUTOR_COMMAND", "HERMES_LAB_EXECUTOR_COMMAND", "LAB_TRAINING_CACHE"}

OF_A_CHUNK = {"LAB_CHUNK_PATH"}  # by the executor of remote trainings


def test_the_variables_are_those_that_are_set() -> None:
    child, _ = environment.build(
        environ={},
        spec=Spec(id="a", seed=7),
        manifest=a_manifest(),
        places=environment.Places(data_root="/lab", path="/lab/run"),
        params={"lr": 0.1},
    )
    before, _, rest = PAGE.partition("The steps of a candidate in a code loop")
    section, _, after = rest.partition("\n## ")
    told, in_a_loop = (set(re.findall(r"`((?:HERMES_)?LAB_[A-Z_]+)`", part)) for part in (before + after, section))
    given = {name for name in child if not name.startswith(("LAB_PARAM_", "PYTHON"))}
    assert told - SETTINGS - OF_A_CHUNK == given
    assert in_a_loop
    assert in_a_loop <= variables.GIVEN.keys() - given


def test_the_placeholders_are_those_that_are_filled() -> None:
    told = set(re.findall(r"`\{([a-z_]+)\}`", PAGE))
    assert told == set(placeholders.NAMES)


def test_every_executor_is_in_the_table_of_the_spec() -> None:
    assert set(door.BUILT_IN) <= set(door.names())
