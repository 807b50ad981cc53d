"""Claims: one winner, numbers that never come back, and nobody alive is ever pushed aside unseen."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import layout
from lab.core.errors import Busy, Superseded
from lab.core.record import encode
from lab.store import leases, reading
from lab.testing.files import a_root
from tests.scheduler.labs import dead, foreign, me, silent, write

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.leases import Lease
    from lab.store.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_root(tmp_path / "lab")


def take(root: Root, **terms: object) -> Lease:
    return leases.take(root, "a", **{"owner": me(), **terms})  # type: ignore[arg-type]


def give_back(root: Root, lease: Lease) -> None:
    with root.section("a"):
        lease.release(root)


def take_away(root: Root, lease: Lease) -> bool:
    with root.section("a"):
        return leases.supersede(root, "a", lease.claim.generation)


def test_a_taken_lease_is_held_until_it_is_given_back(root: Root) -> None:
    lease = take(root)
    lease.renew(root)
    lease.check()
    with pytest.raises(Busy, match="is held by test"):
        take(root)
    give_back(root, lease)
    assert take(root).claim.generation == 2


def test_a_refusal_names_the_holder_and_the_time_it_has(root: Root) -> None:
    take(root, ttl_s=100.0)
    with pytest.raises(Busy, match=rf"pid {os.getpid()}\) for (100|99)s") as refused:
        take(root)
    assert "labctl lease show a" in refused.value.fix


def test_generations_go_up_and_never_come_back(root: Root) -> None:
    seen = []
    for _ in range(5):
        lease = take(root)
        seen.append(lease.claim.generation)
        give_back(root, lease)
    assert seen == [1, 2, 3, 4, 5]
    kept = [name for name in os.listdir(root.layout.claims("a")) if layout.claim_file(name)]
    assert kept == ["00000005.released"]  # and the older ones do not pile up


def test_generations_go_on_from_history_when_the_claims_were_lost(root: Root) -> None:
    give_back(root, take(root))
    shutil.rmtree(root.layout.claims("a"))
    assert take(root, after=7).claim.generation == 8


def test_the_higher_of_claims_and_history_counts(root: Root) -> None:
    give_back(root, take(root, after=7))
    assert take(root, after=3).claim.generation == 9


def test_a_taken_over_generation_is_not_used_again(root: Root) -> None:
    lease = take(root)
    assert take_away(root, lease)
    assert take(root).claim.generation == 2
    (item,) = leases.survey(root, "a").unsettled
    leases.settle(root, item)
    assert leases.survey(root, "a").highest == 2


def test_no_more_hold_it_than_it_has_slots(root: Root) -> None:
    first = take(root, slots=2)
    take(root, slots=2)
    with pytest.raises(Busy):
        take(root, slots=2)
    give_back(root, first)
    assert take(root, slots=2).claim.generation == 3


def test_a_lost_claim_fills_its_slot_until_it_is_settled(root: Root) -> None:
    take(root, owner=dead())
    with pytest.raises(Busy, match="a process that is gone") as refused:
        take(root)
    assert "watchdog" in refused.value.fix


def test_a_dead_owner_is_lost_at_once_however_fresh_its_claim(root: Root) -> None:
    take(root, owner=dead(), ttl_s=1e6)
    (lost,) = leases.survey(root, "a").lost
    assert lost.proof == "its process is gone"


def test_a_claim_of_another_host_is_lost_only_by_silence(root: Root) -> None:
    lease = take(root, owner=foreign(), ttl_s=60.0)
    silent(lease.path, 50.0)
    (held,) = leases.survey(root, "a").held
    assert 0 < held.left_s <= 10.5
    silent(lease.path, 15.0)
    (lost,) = leases.survey(root, "a").lost
    assert "not renewed for" in lost.proof
    lease.renew(root)
    assert leases.survey(root, "a").lost == ()


def test_a_renewal_stamped_in_the_future_counts_as_fresh(root: Root) -> None:
    lease = take(root, owner=foreign(), ttl_s=60.0)
    silent(lease.path, -1e6)
    (held,) = leases.survey(root, "a").held
    assert held.left_s == 60.0


def test_ages_are_measured_by_the_file_server_not_by_our_clock(root: Root) -> None:
    take(root, owner=foreign(), ttl_s=60.0)
    root.world.now().replace(year=2099)
    assert leases.survey(root, "a").held
    assert abs(leases.server_time(root) - os.stat(root.layout.probe).st_mtime) == 0


def test_a_holder_that_was_superseded_is_told_at_every_turn(root: Root) -> None:
    lease = take(root)
    assert take_away(root, lease)
    for told in (lease.check, lambda: lease.renew(root), lambda: give_back(root, lease)):
        with pytest.raises(Superseded, match="generation 1 of a"):
            told()
    assert not take_away(root, lease)  # twice is as once


def test_a_holder_that_gave_up_leaves_its_run_to_be_settled_and_locks_nobody_out(root: Root) -> None:
    lease = take(root)
    lease.abandon(root)
    (item,) = leases.survey(root, "a").unsettled
    assert (item.claim, item.abandoned) == (lease.claim, True)
    with pytest.raises(Superseded):
        lease.check()
    assert take(root).claim.generation == 2


def test_giving_back_what_was_taken_over_takes_nothing_from_the_new_holder(root: Root) -> None:
    first = take(root)
    take_away(root, first)
    second = take(root)
    with pytest.raises(Superseded):
        give_back(root, first)
    second.check()


@pytest.mark.parametrize("damage", [b"", b"\0" * 300, b"\xff\xfe{", b"{}", b'{"format": 99}', b"[" * 100_000])
def test_a_claim_that_cannot_be_read_is_busy_and_never_free(root: Root, damage: bytes) -> None:
    lease = take(root)
    write(lease.path, damage)
    seen = leases.survey(root, "a")
    assert [(bad.generation, bad.suffix) for bad in seen.damaged] == [(1, ".claim")]
    with pytest.raises(Busy, match="unreadable claim") as refused:
        take(root)
    assert refused.value.fix in ("labctl recover", "upgrade labctl")


def test_a_claim_that_was_looked_at_is_not_opened_again_until_it_changes(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = [take(root, slots=20) for _ in range(20)]
    leases.survey(root, "a")
    opened: list[str] = []
    read = reading.read

    def watched(path: str) -> bytes | None:
        opened.append(path)
        return read(path)

    monkeypatch.setattr(reading, "read", watched)
    assert len(leases.survey(root, "a").held) == 20
    assert opened == []
    write(mine[3].path, b"damaged")
    seen = leases.survey(root, "a")
    assert opened == [mine[3].path]
    assert [(bad.generation, len(seen.held)) for bad in seen.damaged] == [(4, 19)]


def test_a_claim_of_an_engine_is_no_processes_to_lose(root: Root) -> None:
    lease = take(root, owner=dead(), engine="slurm")
    silent(lease.path)
    seen = leases.survey(root, "a")
    assert ([each.seen.claim.engine for each in seen.held], seen.lost) == (["slurm"], ())


def test_a_claim_whose_name_and_content_disagree_is_busy(root: Root) -> None:
    lease = take(root)
    os.rename(lease.path, root.layout.claim("a", 4))
    with pytest.raises(Busy, match="is generation 1 of a; it lies as 4 of a"):
        take(root)


def test_a_claim_of_another_experiment_is_damage(root: Root) -> None:
    lease = take(root)
    other = msgspec.structs.replace(lease.claim, experiment="b")
    write(lease.path, encode(other))
    assert leases.survey(root, "a").damaged


def test_a_folder_in_a_claims_place_is_busy(root: Root) -> None:
    os.makedirs(root.layout.claim("a", 1))
    with pytest.raises(Busy):
        take(root)


def test_files_that_are_no_claims_are_left_out(root: Root) -> None:
    os.makedirs(root.layout.claims("a"))
    for name in (".00000001.claim.1-1.draft", "1.claim", "00000001.claim.bak", "notes.txt", "section"):
        write(f"{root.layout.claims('a')}/{name}", b"x")
    assert leases.survey(root, "a") == leases.Survey()


def test_one_that_was_slow_between_its_look_and_its_claim_gets_no_number_that_was_used(root: Root) -> None:
    """P looks; Q takes that number and gives it back; R takes the next one and holds it; P creates its claim."""
    others: list[Lease] = []

    def meanwhile(_generation: int) -> str:
        if not others:
            others.append(take(root))
            give_back(root, others[0])
            others.append(take(root))
        return ""

    with pytest.raises(Busy):
        take(root, name_run=meanwhile)


def test_of_two_that_want_the_same_number_one_is_told_that_the_other_has_it(root: Root) -> None:
    others: list[Lease] = []

    def meanwhile(_generation: int) -> str:
        if not others:
            others.append(take(root))
        return ""

    with pytest.raises(Busy):
        take(root, name_run=meanwhile)
    others[0].check()
    assert len(leases.survey(root, "a").held) == 1


def test_a_holder_whose_claim_was_lost_does_not_pass_with_the_claim_of_another(root: Root) -> None:
    first = take(root)
    shutil.rmtree(root.layout.claims("a"))  # an overeager cleaning up
    second = take(root, owner=foreign())
    assert second.claim.generation == first.claim.generation
    with pytest.raises(Superseded):
        first.check()


def test_the_run_is_named_with_its_generation(root: Root) -> None:
    lease = take(root, name_run=lambda generation: f"RUN-{generation}")
    assert lease.claim.run_id == "RUN-1"
    found = leases.load(root, "a", 1, layout.CLAIM_SUFFIX)
    assert found == lease.claim
