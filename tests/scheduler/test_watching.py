"""What a run looks at while it goes on: often enough for a person who waits, and seldom enough for a shared disk."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from lab.core.launch import CANCELLED
from lab.scheduler import launching
from lab.store import leases
from lab.store.leases import Lease
from lab.testing.files import a_root
from tests.scheduler.labs import me

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root

ASKED_EVERY_S = 0.25  # by the supervisor


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_root(tmp_path / "lab")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    return made


def test_a_run_of_ten_minutes_looks_for_word_a_few_hundred_times(
    root: Root, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    really = Lease.cancel_asked

    def counted(lease: Lease, where: Root) -> str | None:
        nonlocal looks
        looks += 1
        return really(lease, where)

    monkeypatch.setattr(Lease, "cancel_asked", counted)
    lease = leases.take(root, "a", owner=me())
    watch = launching.Watch(root, lease, lambda: "")
    for _ in range(int(600 / ASKED_EVERY_S)):
        clock.now_s += ASKED_EVERY_S
        assert watch() is None
    assert 200 < looks < 400, "of 2,400 times that it was asked"


@pytest.mark.parametrize("under_way_s", [0.0, 1.0, 30.0, 100_000.0])
def test_word_is_heard_at_once_by_a_young_run_and_within_seconds_by_an_old_one(
    root: Root, clock: Clock, under_way_s: float
) -> None:
    lease = leases.take(root, "a", owner=me())
    watch = launching.Watch(root, lease, lambda: "")
    clock.now_s += under_way_s
    assert watch() is None
    leases.ask_to_cancel(root, "a", lease.claim.generation, "enough")
    waited_s = 0.0
    while (stop := watch()) is None:
        clock.now_s += ASKED_EVERY_S
        waited_s += ASKED_EVERY_S
    assert (stop.how, stop.why) == (CANCELLED, "enough")
    assert waited_s <= min(max(under_way_s / 20, ASKED_EVERY_S), 2.0) + ASKED_EVERY_S


def test_ctrl_c_is_heard_at_every_look(root: Root, clock: Clock) -> None:
    came = ""
    watch = launching.Watch(root, leases.take(root, "a", owner=me()), lambda: came)
    clock.now_s += 100_000
    assert watch() is None
    came = "SIGINT"
    assert watch() is not None
