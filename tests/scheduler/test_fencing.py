"""A run of a SPEC that says `fenced: true`: it writes to its own folder, and nowhere else, wherever it is worked on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import pytest

from lab.core.errors import BadInput
from lab.scheduler import fencing
from lab.scheduler.dispatch import offers, working
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from lab.store import bundles
from lab.store.root import Root
from tests.scheduler.labs import a_lab, an_experiment
from tests.scheduler.parcels import ingested, queued

# What it could write to: a digit for each place that it was told of.
TRIES = """\
import json, os, sys, tempfile
def goes(place):
    try:
        open(place, "a").close()
    except OSError:
        return "0"
    return "1"
tempfile.TemporaryFile().close()
value = int("1" + "".join(map(goes, sys.argv[1:])))
with open(os.environ["LAB_RUN_DIR"] + "/metrics.json", "w") as file:
    json.dump({"loss": value}, file)
"""


@pytest.fixture
def place(on_disk: Path, tmp_path: Path) -> Path:
    made = on_disk / f"fencing-{tmp_path.name}"
    for each in ("ws", "open"):
        (made / each).mkdir(parents=True)
    (made / "ws" / "tries.py").write_text(TRIES)
    if not fencing.said(str(made))[0]:
        pytest.skip("this machine has no fence")
    return made


def a_fenced_one(place: Path, fenced: str = "true") -> Root:
    made = a_lab(place / "lab")
    root = Root(made.layout.root, msgspec.structs.replace(made.world, environ=dict(os.environ)), files=made.files)
    places = (f"{place}/ws/beside", f"{root.layout.root}/planted", root.layout.events, f"{place}/open/there")
    more = (
        f"workspace_root: {place}/ws\nexecutor_command: {sys.executable} tries.py {' '.join(places)}\n"
        f"fenced: {fenced}\nwritable_paths: [{place}/open, {place}/gone]\ntime_budget: 15s\n"
    )
    an_experiment(root, "alpha", more)
    return root


def came_to(root: Root) -> list[float | None]:
    paths = [root.layout.run("alpha", each) for each in bundles.names(root, "alpha")]
    return [found[0].run.value for path in paths if (found := bundles.load_seal(path)) is not None]


@pytest.mark.parametrize(("fenced", "value"), [("true", 10001.0), ("false", 11111.0)])
def test_it_writes_to_its_own_folder_and_to_what_the_spec_names(place: Path, fenced: str, value: float) -> None:
    root = a_fenced_one(place, fenced)
    Turn(root, Request(only=("alpha",), now=True, max_runs=1), tell=lambda _: None, interrupted=str).take()
    assert came_to(root) == [value]
    spare = Path(root.layout.place(fencing.SPARE))
    assert not spare.exists() or not list(spare.iterdir())


def test_it_does_so_in_a_package_too(place: Path) -> None:
    root = a_fenced_one(place)
    queued(root)
    assert [each.kind for each in working.work_on(root, "w1", max_runs=1)] == [offers.DONE]
    ingested(root)
    assert came_to(root) == [10001.0]


def test_what_it_may_write_to_is_not_around_the_lab(place: Path) -> None:
    root = a_lab(place / "lab")
    with pytest.raises(BadInput, match="and the lab lies there"):
        an_experiment(root, "alpha", f"fenced: true\nwritable_paths: [{place}]\n")
