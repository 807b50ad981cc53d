"""`labctl status` says when the schedule last ran, and only where there ever was one."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from lab.cli import heartbeat as told
from lab.cli.surroundings import the_world
from lab.scheduler import heartbeat, refresh
from lab.store.root import Root
from tests.cli.labs import a_lab, process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl


def scheduled(root: Root, every_s: float = 600.0, ago_s: float = 0.0) -> None:
    heartbeat.remember(
        root,
        heartbeat.Scheduled(
            name="labctl-x", backend="cron", every_s=every_s, installed_at="", installed_s=time.time() - ago_s, host="h"
        ),
    )


def test_a_lab_without_a_schedule_says_nothing_of_one(labctl: Labctl, place: Path) -> None:
    root = a_lab(place)
    heartbeat.beat(root, by="")  # a person's own turn is no heartbeat of cron
    assert labctl.done("status", "--json").data["heartbeat"] is None
    assert "last ran" not in labctl.done("status").out


def test_status_says_when_cron_last_ran(labctl: Labctl, place: Path) -> None:
    a_lab(place)
    root = Root(str(place), the_world())
    scheduled(root)
    before = {name: (place / name).read_bytes() for name in ("LAB-STATUS.md", "LAB-INDEX.json")}
    heartbeat.beat(root, by="cron", ran=2, failed=1)
    assert "cron last ran 0 s ago\n" in labctl.done("status").out
    said = labctl.done("status", "--json").data["heartbeat"]
    assert isinstance(said, dict)
    assert (said["by"], said["ran"], said["exit"], said["every_s"], said["late"]) == ("cron", 2, 1, 600.0, False)
    refresh.everything(root)
    assert {name: (place / name).read_bytes() for name in before} == before


def test_status_says_that_cron_has_fallen_silent(labctl: Labctl, place: Path) -> None:
    a_lab(place)
    root = Root(str(place), the_world())
    heartbeat.beat(root, by="systemd", every_s=600.0)
    beat = json.loads((place / "registry/heartbeat.json").read_bytes())
    beat["at_s"] -= 3 * 3600 + 5
    (place / "registry/heartbeat.json").write_text(json.dumps(beat))
    assert "systemd last ran 3 h ago, expected every 10 min: labctl schedule status\n" in labctl.done("status").out


def test_a_schedule_that_never_ran_is_told_of(labctl: Labctl, place: Path) -> None:
    root = a_lab(place)
    scheduled(root, ago_s=10.0)
    assert "cron has not run yet\n" in labctl.done("status").out
    scheduled(root, ago_s=7200.0)
    assert "cron has not run yet, expected every 10 min: labctl schedule status\n" in labctl.done("status").out


@pytest.mark.parametrize(
    "bad", [b"", b"[1]", b'{"at_s": "soon"}', b'{"at_s": 1e400, "by": "\\u0007"}', b"[" * 100_000, b"\xff"]
)
def test_a_damaged_heartbeat_does_not_keep_status_from_telling_the_rest(bad: bytes, place: Path) -> None:
    a_lab(place)
    (place / "registry/heartbeat.json").write_bytes(bad)
    said = process("status", root=place)
    assert (said.code, "free_gb: " in said.out) == (0, True), said
    assert told.read(str(place)) is None or b"at_s" in bad
