"""What every executor promises, as tests. Needs pytest, which whoever writes a plug-in has.

A plug-in's own tests are three lines:

    class TestMine(ExecutorContract):
        executor = Mine()

An executor that needs a certain SPEC overrides `launch`; one whose run tells its metric in its own way, `tell`.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, ClassVar

import msgspec
import pytest

from lab.core import canonical, layout, run
from lab.core import launch as words
from lab.core.claim import Owner
from lab.core.launch import Exit, Launch
from lab.core.manifest import Manifest
from lab.core.run import CANCELLED, CRASH, FAILED, SUCCESS, TIMEOUT
from lab.core.spec import Spec
from lab.store.files import Files

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.ended import Ended
    from lab.executors.door import Executor

RUN_ID = "RUN-20260102-030405-000000-scout"
HOSTILE: dict[str, bytes] = {
    "an array": b"[1]",
    "not JSON": b"{value: 1",
    "NaN": b'{"value": NaN}',
    "infinity": b'{"value": 1e999}',
    "not UTF-8": b'{"value": "\xff"}',
    "a text": b'{"value": "much"}',
    "deep": b"[" * 100_000,
    "empty": b"",
    "other types": b'{"value": {}, "cost": -1, "signals": {"a": 1}, "note": [], "metrics": null}',
}


def a_manifest(**changes: object) -> Manifest:
    """A run of the experiment `sweep` that is under way."""
    manifest = Manifest(
        run_id=RUN_ID,
        experiment="sweep",
        iteration=3,
        role="scout",
        metric="loss",
        metric_direction="minimize",
        time_budget_s=90.0,
        owner=Owner(name="test", host="here"),
        started_at="2026-01-02T03:04:05.000000Z",
    )
    return msgspec.structs.replace(manifest, **changes)


class ExecutorContract:
    """Set `executor`. A new one is made for the reading where it can be, as after a crash."""

    executor: ClassVar[Executor]

    def launch(self, path: str) -> Launch:
        """A run that this executor can start."""
        spec = Spec(id="sweep", metric="loss", executor_command="/bin/sh -c true")
        return Launch(
            spec=spec, manifest=a_manifest(), path=path, environ={"PATH": "/usr/bin:/bin"}, secrets=("hush-hush",)
        )

    def tell(self, path: str, value: float) -> None:
        """Leave in the run's folder what a run leaves that reached `value`."""
        _leave(path, layout.METRICS, canonical.encode({"value": value}))

    def end(self, path: str, **how: object) -> Ended:
        ended = msgspec.structs.replace(Exit(run_id=RUN_ID, code=0, wall_s=1.5), **how)
        return type(self.executor)().read(path, a_manifest(), ended)

    # -- prepare ----------------------------------------------------------------------------------------------------

    def test_preparing_writes_nothing_and_says_the_same_twice(self, tmp_path: Path) -> None:
        launch = self.launch(str(tmp_path))
        before = sorted(os.listdir(tmp_path))
        assert self.executor.prepare(launch) == self.executor.prepare(launch)
        assert sorted(os.listdir(tmp_path)) == before

    def test_what_is_to_be_started_is_said_in_full(self, tmp_path: Path) -> None:
        launch = self.launch(str(tmp_path))
        program = self.executor.prepare(launch)
        if program is None:
            return
        assert os.path.isabs(program.argv[0])
        assert os.path.isabs(program.cwd)
        assert dict(launch.environ).items() <= dict(program.environ).items()
        assert set(launch.secrets) <= set(program.secrets)

    # -- read -------------------------------------------------------------------------------------------------------

    def test_a_run_that_ended_well_has_its_value(self, tmp_path: Path) -> None:
        self.tell(str(tmp_path), 0.0)
        ended = self.end(str(tmp_path))
        assert (ended.outcome, ended.value) == (SUCCESS, 0.0)
        assert ended.wall_s == 1.5  # noqa: PLR2004  # what `end` says

    @pytest.mark.parametrize(
        ("how", "outcome"),
        [
            ({"code": 3}, FAILED),
            ({"code": None, "signal": 9}, FAILED),
            ({"code": None, "started": False, "problem": "no such program"}, FAILED),
            ({"code": None, "signal": 15, "stopped": words.TIMEOUT}, TIMEOUT),
            ({"code": None, "signal": 9, "stopped": words.MEMORY}, FAILED),
            ({"code": None, "signal": 15, "stopped": words.CANCELLED, "why": "by ann"}, CANCELLED),
            ({"code": None, "signal": 15, "stopped": words.INTERRUPTED}, CANCELLED),
            ({"code": None, "stopped": words.ORPHANED}, CRASH),
            ({"code": None}, CRASH),
        ],
        ids=str,
    )
    def test_a_run_that_did_not_end_well_has_none_whatever_it_wrote(
        self, tmp_path: Path, how: dict[str, object], outcome: str
    ) -> None:
        self.tell(str(tmp_path), 0.25)
        ended = self.end(str(tmp_path), **how)
        assert (ended.outcome, ended.value) == (outcome, None)
        assert ended.reason
        assert str(how.get("problem", "")) in ended.reason
        assert str(how.get("why", "")) in ended.reason

    def test_it_is_read_from_the_disk_alone_and_the_same_each_time(self, tmp_path: Path) -> None:
        self.tell(str(tmp_path), 0.25)
        assert self.end(str(tmp_path)) == self.end(str(tmp_path))

    @pytest.mark.parametrize("name", ["", *HOSTILE])
    def test_whatever_the_run_left_an_answer_comes_that_can_be_sealed(self, tmp_path: Path, name: str) -> None:
        if name:
            for file in (layout.METRICS, layout.STDOUT, layout.STDERR):
                _leave(str(tmp_path), file, HOSTILE[name])
        ended = self.end(str(tmp_path))
        assert ended.outcome in run.OUTCOMES
        assert (ended.value is not None) == (ended.outcome == SUCCESS)
        assert ended.value is None or math.isfinite(ended.value)
        assert ended.reason or ended.outcome == SUCCESS
        canonical.encode(ended.metrics)
        ended.result.encode()
        changes = {"status": ended.outcome, "value": ended.value, "cost": ended.cost, "signals": ended.signals}
        assert a_manifest(**changes).run().outcome == ended.outcome

    def test_reading_changes_nothing(self, tmp_path: Path) -> None:
        self.tell(str(tmp_path), 0.25)
        before = {place: place.read_bytes() for place in tmp_path.rglob("*") if place.is_file()}
        self.end(str(tmp_path))
        assert {place: place.read_bytes() for place in tmp_path.rglob("*") if place.is_file()} == before


def _leave(path: str, name: str, data: bytes) -> None:
    """What the run itself would have written."""
    Files(durable=False).replace(f"{path}/{name}", data)
