"""What the names of claims tell. No claim is looked at for it: a run costs the same beside one and beside many."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.core.claim import Owner
from lab.scheduler import reclaim
from lab.store import leases, standing
from lab.testing.files import a_root
from tests.scheduler.labs import dead, me, write

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root

MANY = 1_000
OPENED: list[str] = []


def heard(name: str, given: tuple[object, ...]) -> None:
    if name == "open":
        OPENED.append(str(given[0]))


sys.addaudithook(heard)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_root(tmp_path / "lab")


def engines(root: Root, number: int) -> list[leases.Lease]:
    owner = Owner(name="engine:slurm", host="")
    return [leases.take(root, "a", owner=owner, slots=MANY, engine="slurm") for _ in range(number)]


def test_a_claim_opens_as_many_files_beside_thirty_as_beside_three(root: Root) -> None:
    opened = []
    for beside in (3, 30):
        for _ in range(beside):
            leases.take(root, "a", owner=me(), slots=MANY)
        OPENED.clear()
        leases.take(root, "a", owner=me(), slots=MANY)
        opened.append(len(OPENED))
    assert opened[0] == opened[1]


def test_a_new_run_looks_at_no_claim_that_engines_have(root: Root) -> None:
    engines(root, 5)
    leases._as_seen.cache_clear()  # it would hide that they were looked at
    OPENED.clear()
    assert reclaim.make_way(root, "a") == []
    assert not [path for path in OPENED if path.endswith(layout.CLAIM_SUFFIX)]


def test_what_lies_beside_a_claim_is_none(root: Root) -> None:
    held = engines(root, 3)
    for suffix in (layout.JOB_SUFFIX, layout.STARTED_SUFFIX, layout.SEEN_SUFFIX, layout.CANCEL_SUFFIX):
        write(root.layout.claim("a", held[0].claim.generation, suffix), b"")
    write(f"{root.layout.claims('a')}/notes.claim", b"")
    held[2].release(root)
    assert standing.under_way(root, "a") == 2
    assert standing.found(root, "a") == [
        (1, layout.CLAIM_SUFFIX), (2, layout.CLAIM_SUFFIX), (3, layout.RELEASED_SUFFIX),
    ]  # fmt: skip


def test_one_that_is_no_engines_is_looked_at(root: Root) -> None:
    engines(root, 2)
    assert standing.all_are_with_engines(root, "a")
    lost = leases.take(root, "a", owner=dead(), slots=MANY)
    assert not standing.all_are_with_engines(root, "a")
    reclaim.make_way(root, "a")
    assert not os.path.lexists(lost.path), "it was settled"
    assert standing.all_are_with_engines(root, "a")


def test_one_that_was_taken_from_its_engine_is_looked_at(root: Root) -> None:
    held = engines(root, 2)
    leases.supersede(root, "a", held[0].claim.generation)
    assert not standing.all_are_with_engines(root, "a")


def test_where_nobody_ever_ran_nothing_stands(root: Root) -> None:
    assert standing.found(root, "a") == []
    assert standing.under_way(root, "a") == 0
    assert standing.all_are_with_engines(root, "a")


@pytest.mark.parametrize(
    ("beside", "is_late"),
    [
        ([], False),
        (["00000006.released", "00000007.job", "section"], False),
        (["00000007.released"], True),
        (["00000007.abandoned"], True),
        (["00000008.claim"], True),
        (["100000000.released"], True),
    ],
)
def test_a_claim_that_stands_beside_a_later_one_is_late(root: Root, beside: list[str], *, is_late: bool) -> None:
    os.makedirs(root.layout.claims("a"), exist_ok=True)
    for name in ("00000007.claim", *beside):
        with open(f"{root.layout.claims('a')}/{name}", "wb"):
            pass
    assert standing.has_others_from(root, "a", 7) is is_late


def test_numbers_that_became_longer_are_later_ones(root: Root) -> None:
    os.makedirs(root.layout.claims("a"), exist_ok=True)
    with open(f"{root.layout.claims('a')}/100000000.released", "wb"):
        pass
    assert standing.has_others_from(root, "a", 20_000_000)
