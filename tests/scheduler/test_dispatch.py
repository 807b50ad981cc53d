"""A package from its offer to its sealed run: the folder is the state, and the peer's faults are impossible."""

from __future__ import annotations

import json
import os
import shutil
import socket
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import layout, package
from lab.core.errors import BadInput, Busy, NotFound, Superseded
from lab.core.launch import Exit
from lab.core.proposal import RUN as RUN_KIND
from lab.core.proposal import Proposal
from lab.core.record import page
from lab.scheduler import cycle, decisions, reclaim, refresh
from lab.scheduler.control import approvals, approved
from lab.scheduler.dispatch import completing, ingest, mend, offers
from lab.scheduler.dispatch.completing import Word
from lab.store import bundles, leases, ledger, packages, verify
from lab.testing.files import CrashingFiles
from tests.scheduler.labs import a_lab, an_experiment, dead, me, reopened, silent, tree
from tests.scheduler.parcels import claimed, complete, completed, fill, ingested, queued, stages

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.store.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_lab(tmp_path / "lab", "alpha")


def sealed(root: Root, name: str = "alpha") -> list[tuple[str, float | None]]:
    found = []
    for run_id in bundles.names(root, name):
        made = bundles.load_seal(root.layout.run(name, run_id))
        if made is not None:
            found.append((made[0].run.outcome, made[0].run.value))
    return found


def lines(root: Root) -> list[tuple[str, str]]:
    told = [entry.line.event for entry in ledger.entries(root) if entry.line]
    return [(each.type, each.actor) for each in told if each.type.startswith("dispatch")]


def test_a_package_goes_from_offer_to_sealed_run_and_is_gone(root: Root) -> None:
    held = completed(root, value=0.25)
    assert [each.kind for each in ingested(root)] == [offers.INGESTED]
    assert sealed(root) == [("success", 0.25)]
    assert stages(root) == {}
    bundle = root.layout.run("alpha", held.manifest.run_id)
    assert {"dispatch.json", layout.RESULT, layout.METRICS, layout.SEAL} <= set(os.listdir(bundle))
    manifest = bundles.load_manifest(bundle)
    assert manifest is not None
    assert (manifest.package, manifest.worker, manifest.status) == (held.place.dispatch_id, "w1", "success")
    assert not verify.verify(root).damage
    assert os.listdir(root.layout.stage("complete")) == []


def test_the_ledger_names_the_worker_before_each_effect(root: Root) -> None:
    completed(root, worker="gpu-3")
    ingested(root)
    assert lines(root) == [
        ("dispatch_enqueued", "ann"), ("dispatch_claimed", "gpu-3"), ("dispatch_completed", "gpu-3"),
        ("dispatch_ingested", "gpu-3"),
    ]  # fmt: skip


def test_an_offer_holds_no_lease_so_it_cannot_expire_and_is_not_queued_twice(root: Root) -> None:
    # The peer's lease ran from the queueing and was never renewed: an expired package was queued a second time.
    queued(root)
    assert leases.survey(root, "alpha") == leases.Survey()
    said = offers.queue(root, actor="ann", only=("alpha",), now=True)
    assert [each.kind for each in said] == [offers.PASSED]
    assert packages.waiting(root) == {"alpha": 1}


def test_an_experiment_with_slots_is_offered_once_a_slot_and_running_packages_count(root: Root) -> None:
    an_experiment(root, "wide", "max_parallel: 3\n")
    for _ in range(2):
        queued(root, "wide")
    offers.claim(root, "w1", only=("wide",))
    queued(root, "wide")
    said = offers.queue(root, actor="ann", only=("wide",), now=True)
    assert [each.kind for each in said] == [offers.PASSED]


def test_only_the_experiment_that_was_asked_for_is_touched(root: Root) -> None:
    # The peer's `--experiment b` claimed a package of a, and left it leased and orphaned.
    an_experiment(root, "beta", "priority: urgent\n")
    queued(root, "alpha")
    queued(root, "beta")
    held, _ = offers.claim(root, "w1", only=("alpha",), max_runs=5)
    assert [each.place.experiment for each in held] == ["alpha"]
    assert leases.survey(root, "beta") == leases.Survey()


def test_the_more_urgent_offer_goes_first_then_the_older_one(root: Root) -> None:
    an_experiment(root, "beta", "priority: urgent\n")
    an_experiment(root, "gamma")
    for name in ("alpha", "gamma", "beta"):
        queued(root, name)
    held, _ = offers.claim(root, "w1", max_runs=5)
    assert [each.place.experiment for each in held] == ["beta", "alpha", "gamma"]


def test_a_class_is_obeyed(root: Root) -> None:
    an_experiment(root, "beta", "executor_class: gpu\n")
    queued(root, "alpha")
    queued(root, "beta")
    held, _ = offers.claim(root, "w1", classes=("gpu",), max_runs=5)
    assert [each.place.experiment for each in held] == ["beta"]


def test_an_offer_of_a_paused_experiment_stays_an_offer_and_the_claim_says_why(root: Root) -> None:
    queued(root)
    decisions.pause(root, "alpha", reason="", actor="ann")
    held, said = offers.claim(root, "w1")
    assert not held
    assert "paused" in said[0].what
    assert stages(root) == {"ready": 1}
    assert leases.survey(root, "alpha").held == ()
    decisions.resume(root, "alpha", reason="", actor="ann")
    assert len(offers.claim(root, "w1")[0]) == 1


@pytest.mark.parametrize("change", ["spec", "completed", "tier"])
def test_an_offer_that_is_not_the_next_run_any_more_is_withdrawn(root: Root, change: str) -> None:
    queued(root)
    match change:
        case "spec":
            with open(root.layout.spec("alpha"), "a", encoding="utf-8") as file:
                file.write("tags: [x]\n")
        case "completed":
            decisions.complete(root, "alpha", reason="", actor="ann")
        case "tier":
            decisions.set_tier(root, "alpha", "final", reason="", actor="ann")
    held, said = offers.claim(root, "w1")
    assert not held
    assert "withdrawn" in said[0].what
    assert stages(root) == {}


def test_a_busy_experiment_keeps_its_offer(root: Root) -> None:
    queued(root)
    running = cycle.begin(root, "alpha", owner=me())
    held, said = offers.claim(root, "w1")
    assert not held
    assert said[0].kind == offers.PASSED
    assert stages(root) == {"ready": 1}
    assert running.lease.claim.generation == 1


def test_only_the_worker_that_claimed_can_complete(root: Root) -> None:
    held = claimed(root, worker="w1")
    fill(held)
    with pytest.raises(BadInput, match="claimed by w1"):
        complete(root, held, worker="w2")
    assert stages(root) == {"running": 1}


@pytest.mark.parametrize("missing", [layout.RESULT, layout.METRICS])
def test_a_success_without_its_files_is_refused_with_the_names_of_what_is_missing(root: Root, missing: str) -> None:
    held = claimed(root)
    os.unlink(f"{fill(held)}/{missing}")
    with pytest.raises(BadInput, match=missing):
        complete(root, held)
    assert stages(root) == {"running": 1}
    complete(root, held, "failed", reason="no data")
    ingested(root)
    assert sealed(root) == [("failed", None)]


@pytest.mark.parametrize("text", ["[1]", '{"loss": NaN}', "{}", '{"loss": "low"}', "", "\x00"])
def test_a_success_without_a_number_is_no_success(root: Root, text: str) -> None:
    held = claimed(root)
    fill(held)
    with open(f"{held.path}/run/{layout.METRICS}", "w", encoding="utf-8") as file:
        file.write(text)
    with pytest.raises(BadInput):
        complete(root, held)
    assert stages(root) == {"running": 1}


def test_an_outcome_that_is_none_is_refused(root: Root) -> None:
    held = claimed(root)
    with pytest.raises(BadInput, match="is no outcome"):
        complete(root, held, "great")


def test_completing_twice_is_no_mistake_and_changing_ones_mind_is(root: Root) -> None:
    held = completed(root)
    complete(root, held)
    with pytest.raises(BadInput, match="cannot become"):
        complete(root, held, "failed")


@pytest.mark.parametrize("outcome", ["failed", "timeout", "crash", "cancelled"])
def test_what_a_worker_says_is_how_it_ended(root: Root, outcome: str) -> None:
    held = claimed(root)
    fill(held, 0.0)
    complete(root, held, outcome, reason="because")
    ingested(root)
    assert sealed(root) == [(outcome, None)]
    made = bundles.load_seal(root.layout.run("alpha", held.manifest.run_id))
    assert made is not None
    assert "because" in made[0].run.reason


def test_ingesting_twice_seals_once(root: Root) -> None:
    completed(root)
    ingested(root)
    before = tree(root.layout.experiments)
    assert ingested(root) == []
    assert tree(root.layout.experiments) == before


def test_one_bad_package_stops_nothing_and_says_why(root: Root) -> None:
    # In the peer one bad package blocked the ingest of every experiment for good.
    for name in ("beta", "gamma", "delta", "epsilon"):
        an_experiment(root, name)
    bad = {name: completed(root, name) for name in ("alpha", "beta", "gamma", "delta")}
    completed(root, "epsilon")

    def place(name: str) -> str:
        return root.layout.package("complete", bad[name].place.name)

    with open(f"{place('alpha')}/dispatch.json", "w", encoding="utf-8") as file:
        file.write("{")
    with open(f"{place('beta')}/claim.json", "wb") as binary:
        binary.write(b"\xff\x00")
    shutil.rmtree(f"{place('gamma')}/run")
    os.unlink(f"{place('delta')}/claim.json")
    os.mkdir(f"{place('delta')}/claim.json")
    said = ingested(root)
    assert sealed(root, "epsilon") == [("success", 0.5)]
    assert sealed(root, "gamma") == [("crash", None)]
    refused = [each for each in said if each.kind == offers.SET_ASIDE]
    assert len(refused) == 3
    for each in refused:
        with open(f"{each.path}/REFUSED.md", encoding="utf-8") as file:
            assert each.what in file.read()
    assert stages(root) == {"refused": 3}
    ingested(root)
    for name in ("alpha", "beta", "delta"):  # and the experiments go on
        assert leases.survey(root, name).held == () or name == "alpha"
    assert len(offers.queue(root, actor="ann", only=("beta", "delta"), now=True)) == 2


def test_a_package_of_another_lab_is_set_aside(root: Root) -> None:
    held = completed(root)
    other = root.layout.package("complete", held.place.name.replace("-alpha@", "-omega@"))
    shutil.copytree(root.layout.package("complete", held.place.name), other)
    said = ingested(root)
    assert sorted(each.kind for each in said) == [offers.INGESTED, offers.SET_ASIDE]
    assert not os.path.exists(root.layout.claims("omega"))


def test_what_a_hostile_worker_leaves_neither_stops_the_ingest_nor_rewrites_the_run(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = claimed(root)
    run = fill(held, 0.5, **{"manifest.json": "{}", "SEAL.json": "forged", "plan.md": "mine", "SUPERSEDED.json": "{}"})
    os.symlink("/etc/passwd", f"{run}/artifacts/link")
    os.symlink("/etc", f"{run}/folder")
    os.mkfifo(f"{run}/pipe")
    with socket.socket(socket.AF_UNIX) as made:
        monkeypatch.chdir(run)  # the name of a socket is short
        made.bind("sock")
    os.mkdir(f"{run}/locked")
    os.chmod(f"{run}/locked", 0)
    complete(root, held)
    assert [each.kind for each in ingested(root)] == [offers.INGESTED]
    bundle = root.layout.run("alpha", held.manifest.run_id)
    assert sorted(os.listdir(f"{bundle}/from-worker")) == ["SEAL.json", "SUPERSEDED.json", "manifest.json", "plan.md"]
    assert sealed(root) == [("success", 0.5)]
    assert os.stat("/etc/passwd").st_mode & 0o200
    assert not verify.verify(root).damage


def test_a_complete_package_keeps_its_run_while_it_waits_for_the_ingest(root: Root) -> None:
    held = completed(root)
    claim = held.running.lease.claim
    assert packages.speaks_for(root, claim)
    silent(held.running.lease.path)
    assert leases.survey(root, "alpha").lost
    assert [each.kind for each in ingested(root)] == [offers.INGESTED]
    assert sealed(root) == [("success", 0.5)]


def test_no_package_speaks_for_the_lease_of_a_process(root: Root) -> None:
    completed(root)
    running = cycle.begin(a_second(root), "beta", owner=me())
    assert not packages.speaks_for(root, running.lease.claim)


def a_second(root: Root) -> Root:
    an_experiment(root, "beta")
    return root


def test_a_worker_that_was_silent_too_long_is_told_and_its_files_are_kept(root: Root) -> None:
    # In the peer a slow worker poisoned the queue: the lease was taken over, and its ingest failed for ever.
    held = claimed(root)
    fill(held, 0.1)
    silent(held.running.lease.path)
    reclaim.reclaim(root, "alpha")
    with pytest.raises(Superseded):
        offers.renew(root, held.place.dispatch_id, "w1")
    with pytest.raises(Superseded):
        complete(root, held)
    ingested(root)
    assert stages(root) == {"refused": 1}
    with pytest.raises(Superseded, match="refused"):
        complete(root, held)
    assert os.path.isfile(f"{root.layout.package('refused', held.place.dispatch_id)}/run/metrics.json")
    second = completed(root, value=0.9)
    ingested(root)
    assert sealed(root) == [("success", 0.9)]
    assert second.manifest.generation > held.manifest.generation


def test_a_package_that_lost_its_lease_after_completing_is_kept_in_its_bundle_and_not_counted(root: Root) -> None:
    held = completed(root, value=0.1)
    reclaim.broken(root, "alpha", held.manifest.generation, actor="ann")
    said = ingested(root)
    assert [each.kind for each in said] == [offers.SET_ASIDE]
    bundle = root.layout.run("alpha", held.manifest.run_id)
    assert os.path.isfile(f"{bundle}/SUPERSEDED.json")
    assert os.path.isfile(f"{bundle}/metrics.json")
    assert sealed(root) == []
    assert len(offers.queue(root, actor="ann", only=("alpha",), now=True)) == 1


def test_renewing_keeps_the_lease(root: Root) -> None:
    held = claimed(root)
    silent(held.running.lease.path)
    assert offers.renew(root, held.place.dispatch_id, "w1") is None
    assert len(leases.survey(root, "alpha").held) == 1
    with pytest.raises(BadInput, match="claimed by w1"):
        offers.renew(root, held.place.dispatch_id, "w2")


def test_who_renews_is_told_that_the_run_is_to_be_ended(root: Root) -> None:
    held = claimed(root)
    leases.ask_to_cancel(root, "alpha", held.manifest.generation, "ann: too slow")
    assert offers.renew(root, held.place.dispatch_id, "w1") == "ann: too slow"


def test_a_package_that_is_not_there_is_named_with_what_to_do(root: Root) -> None:
    name = queued(root)
    with pytest.raises(BadInput, match="not claimed"):
        offers.renew(root, name, "w1")
    with pytest.raises(NotFound):
        offers.renew(root, name.replace("alpha", "omega"), "w1")
    with pytest.raises(BadInput, match="is not the id"):
        offers.renew(root, "../../etc", "w1")
    with pytest.raises(BadInput, match="not in complete"):
        ingest.ingest(root, named=(name,))


def test_the_run_of_a_dead_worker_process_is_used_if_it_had_ended_and_recorded_if_not(root: Root) -> None:
    an_experiment(root, "beta")
    for name in ("alpha", "beta"):
        queued(root, name)
    held, _ = offers.claim(root, "w1", max_runs=2, process=dead())
    done, under_way = held
    path = fill(done, 0.75)
    with open(f"{path}/exit.json", "wb") as file:
        file.write(page(Exit(run_id=done.manifest.run_id, code=0, wall_s=2.0)))
    fill(under_way, 0.1)
    ingested(root)
    assert sealed(root, done.place.experiment) == [("success", 0.75)]
    assert sealed(root, under_way.place.experiment) == [("crash", None)]
    assert stages(root) == {}


def test_the_run_of_a_worker_that_ended_before_its_machine_started_again_is_a_crash(root: Root) -> None:
    queued(root)
    held, _ = offers.claim(root, "w1", process=msgspec.structs.replace(dead(), boot_id="of the start before"))
    path = fill(held[0], 0.75)
    with open(f"{path}/exit.json", "wb") as file:
        file.write(page(Exit(run_id=held[0].manifest.run_id, code=0, wall_s=2.0)))
    ingested(root)
    assert sealed(root, held[0].place.experiment) == [("crash", None)]


def test_what_a_power_cut_may_not_take_of_a_run_whose_worker_is_elsewhere_waits_for_the_disk(root: Root) -> None:
    """Else a whole package would be refused, as the run that it is of could not be read."""

    def synced(deed: Callable[[Root], object]) -> list[str]:
        noted = CrashingFiles(durable=True)
        deed(reopened(root, noted))
        return [path for step, path in noted.log if step == "fsync"]

    queued(root)
    begun = synced(lambda lab: offers.claim(lab, "w1"))
    (name,) = bundles.names(root, "alpha")
    bundle = root.layout.run("alpha", name)
    assert {f"{bundle}/{each}" for each in (layout.MANIFEST, layout.PLAN)} | {bundle} <= set(begun)
    (each,) = packages.found(root, package.RUNNING)
    path = root.layout.package(package.RUNNING, each.name)
    with open(f"{path}/{package.RUN}/{layout.METRICS}", "w", encoding="utf-8") as file:
        json.dump({"loss": 0.5}, file)
    assert path in synced(lambda lab: completing.complete(lab, each.dispatch_id, "w1", Word("failed", reason="why")))
    taken_in = synced(ingest.ingest)
    for written in (layout.RESULT, layout.MANIFEST):
        assert any(path.startswith(f"{bundle}/.{written}.") for path in taken_in), written
    assert sealed(root) == [("failed", None)]


def test_a_half_made_claim_is_an_offer_again_and_its_lease_is_free(root: Root) -> None:
    held = claimed(root)
    os.unlink(f"{held.path}/claim.json")  # as if its process had been killed just before writing it
    mend.mend(root)
    assert stages(root) == {"ready": 1}
    assert leases.survey(root, "alpha").held == ()
    again, _ = offers.claim(root, "w2")
    assert again[0].place.dispatch_id == held.place.dispatch_id


def test_a_lease_whose_package_is_nowhere_is_freed(root: Root) -> None:
    held = claimed(root)
    shutil.rmtree(held.path)
    mend.mend(root)
    assert leases.survey(root, "alpha").held == ()
    claimed(root)


def test_mending_leaves_live_work_alone(root: Root) -> None:
    # The peer's `recover` deleted the packages and the leases of workers that were alive.
    an_experiment(root, "beta")
    claimed(root)
    completed(root, "beta")
    before = tree(root.layout.place("dispatch"))
    assert mend.mend(root) == []
    assert tree(root.layout.place("dispatch")) == before


def test_the_size_of_a_package_does_not_grow_with_the_lab(root: Root) -> None:
    def weight() -> int:
        name = queued(root)
        path = root.layout.package("ready", name)
        total = sum(len(data) for data in tree(path).values())
        held, _ = offers.claim(root, "w1", only=("alpha",))
        fill(held[0], 0.5)
        complete(root, held[0])
        ingested(root)
        return total

    for _ in range(6):
        weight()
    before = weight()
    for number in range(30):
        an_experiment(root, f"other-{number}")
    for _ in range(10):
        weight()
    assert weight() < before + 200


def test_a_package_says_everything_that_its_worker_has_to_know(root: Root) -> None:
    held = claimed(root)
    names = set(os.listdir(f"{held.path}/input"))
    assert {"SPEC.yaml", "SUMMARY.md", "NEXT.md", "context.md", "best.md", "PROGRAM.md", "manifest.json"} <= names
    with open(f"{held.path}/dispatch.json", encoding="utf-8") as file:
        offer = json.load(file)
    assert (offer["experiment"], offer["tier"], offer["queued_by"]) == ("alpha", "proxy", "ann")
    with open(f"{held.path}/claim.json", encoding="utf-8") as file:
        taken = json.load(file)
    assert (taken["worker"], taken["run_id"]) == ("w1", held.manifest.run_id)


def test_a_bad_offer_is_set_aside_and_the_next_one_taken(root: Root) -> None:
    an_experiment(root, "beta")
    bad = queued(root, "alpha")
    with open(f"{root.layout.package('ready', bad)}/dispatch.json", "w", encoding="utf-8") as file:
        file.write("[]")
    queued(root, "beta")
    held, said = offers.claim(root, "w1", max_runs=2)
    assert [each.place.experiment for each in held] == ["beta"]
    assert offers.SET_ASIDE in [each.kind for each in said]


def test_strangers_in_the_folders_are_left_alone(root: Root) -> None:
    for stage in ("ready", "running", "complete"):
        os.makedirs(root.layout.package(stage, "notes"))
        os.symlink("/etc", root.layout.package(stage, "DISPATCH-20260102-030405-000000-alpha"))
    assert offers.claim(root, "w1") == ([], [])
    assert ingested(root) == []
    assert os.path.isdir("/etc")


def test_what_crashed_while_it_was_removed_is_removed_by_the_next_one(root: Root) -> None:
    left = root.layout.package("complete", ".DISPATCH-20260102-030405-000000-alpha@w1.spent.draft")
    os.makedirs(f"{left}/input")
    mend.mend(root)
    assert not os.path.exists(left)


def test_a_lease_is_busy_for_others_while_a_package_runs(root: Root) -> None:
    claimed(root)
    with pytest.raises(Busy):
        cycle.begin(root, "alpha", owner=me())


def test_ids_and_folders_are_taken_apart_and_strangers_are_none() -> None:
    name = "DISPATCH-20261121-093000-000000-lr-sweep"
    assert package.place(f"{name}@gpu-3") == package.Place(dispatch_id=name, experiment="lr-sweep", worker="gpu-3")
    for stranger in ("x", f"{name}@", f"{name}@a/b", "DISPATCH-20261121-093000-000000-..", f".{name}.spent.draft"):
        assert package.place(stranger) is None


def test_what_comes_back_from_workers_is_asked_and_told_of_like_any_other_run(root: Root) -> None:
    """The hand-over of an experiment that is not autonomous waits as a proposal, whoever ran it."""
    an_experiment(root, "asks", "autonomous: false\nexecutor: stub\n")
    offers.queue(root, actor="ann", only=["asks"])
    (held,), _ = offers.claim(root, "w1", only=["asks"])
    fill(held)
    complete(root, held)
    ingest.ingest(root)
    with root.section("asks"):
        view = refresh.current(root, "asks")[0]
    assert (view.phase, [each.kind for each in view.waiting]) == ("awaiting-human", ["resume"])
    assert os.path.isfile(root.layout.proposal("asks-1"))


def test_approved_parameters_go_to_the_next_run_also_when_a_worker_has_it(root: Root) -> None:
    an_experiment(root, "tuned", "executor: stub\n")
    asked = approvals.ask(root, Proposal(kind=RUN_KIND, experiment="tuned", params={"lr": 7}))
    approvals.approve(root, asked.proposal_id, actor="ann")
    offers.queue(root, actor="ann", only=["tuned"])
    (held,), _ = offers.claim(root, "w1", only=["tuned"])
    assert held.running.params == {"lr": 7}
    for folder in ("run", "input"):
        with open(f"{held.path}/{folder}/params.json", encoding="utf-8") as file:
            assert json.load(file) == {"lr": 7}
    fill(held)
    complete(root, held)
    ingest.ingest(root)
    manifest = bundles.load_manifest(root.layout.run("tuned", held.taken.run_id))
    assert manifest is not None
    assert manifest.proposal == asked.proposal_id
    assert approved.next_run(root, "tuned") is None
