"""Every way in which a run begins, and every way in which it is ended from outside, where the run is a chunk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import event, layout
from lab.core.errors import BadInput, Busy
from lab.core.proposal import RUN, Proposal
from lab.core.run import CANCELLED, CRASH, FAILED, SUCCESS
from lab.core.view import COMPLETED
from lab.scheduler import cycle, refresh
from lab.scheduler.control import approvals, cancel
from lab.scheduler.dispatch import ingest, offers, parcel, working
from lab.scheduler.results import replay
from lab.scheduler.search.burst import Burst, Order
from lab.scheduler.search.guided import APPROVE, Asking, Guided, Word
from lab.scheduler.search.plan import Wanted
from lab.store import bundles, machine, packages
from lab.store.files import Files
from lab.store.verify import verify
from tests.cli.labs import SHIM
from tests.races.marks import until
from tests.scheduler.chaining.trainings import NAME, Training
from tests.scheduler.labs import me
from tests.scheduler.parcels import claimed
from tests.scheduler.placing.engine_double import installed, run_what_waits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAID = {"base_url": "https://paid.example.org", "base_model": "tiny", "steps": 30, "chunk_steps": 10}


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training(tmp_path)


def spans(training: Training) -> list[tuple[int, int]]:
    return [(run.chunk.first_step, run.chunk.next_step) for run in training.runs if run.chunk is not None]


def a_burst(training: Training, runs: int = 5, jobs: int = 1, **wanted: object) -> Burst:
    order = Order(experiment=NAME, runs=runs, jobs=jobs)
    return Burst(
        training.root, order, msgspec.convert(wanted, Wanted), tell=lambda _: None, interrupted=lambda: ""
    )  # fmt: skip


# -- how it begins -----------------------------------------------------------------------------------------------------


def test_a_burst_makes_one_chunk_after_the_other_until_the_training_is_finished(training: Training) -> None:
    made = a_burst(training)
    assert made.prepare() == 5
    while made.left and not made.ends():
        made.one()
        made.left -= 1
    assert training.view.phase == COMPLETED
    assert spans(training) == [(0, 10), (10, 20), (20, 30)]


def test_a_burst_refuses_several_at_once_and_a_strategy_in_words(training: Training) -> None:
    with pytest.raises(BadInput, match="chunks of one training"):
        a_burst(training, jobs=2).prepare()
    for words in ({"strategy": "random"}, {"seed": 3}, {"rotate": True}):
        with pytest.raises(BadInput, match="chunks of one training"):
            a_burst(training, **words).prepare()


def test_no_second_chunk_is_begun_beside_one_whoever_asks_for_more_slots(training: Training) -> None:
    with training.root.section(NAME):
        view, loaded = cycle.observe(training.root, NAME)
        spec = cycle.usable(loaded)
        cycle.claim(training.root, view, spec, owner=me(), slots=4)
        with pytest.raises(Busy):
            cycle.claim(training.root, view, spec, owner=me(), slots=4)


def test_a_person_is_asked_about_each_chunk_with_its_parameters(training: Training) -> None:
    asked: list[Asking] = []

    def ask(asking: Asking) -> Word:
        asked.append(asking)
        return Word(how=APPROVE)

    made = a_burst(training, runs=2)
    made.prepare()
    Guided(training.root, made, ask=ask, actor="ann").run(wait_s=0.0)
    assert [each.params for each in asked] == [{"lr": 0.1}] * 2
    assert spans(training) == [(0, 10), (10, 20)]


def test_without_a_terminal_it_is_said_that_no_search_proposes_anything_for_a_training(training: Training) -> None:
    made = a_burst(training, runs=2)
    made.prepare()
    with pytest.raises(BadInput, match="chat is a training in chunks, for which no search proposes parameters"):
        Guided(training.root, made, ask=None, actor="ann").run(wait_s=0.0)
    assert training.runs == []


def test_parameters_that_a_person_approved_are_those_of_the_next_chunks(
    training: Training,
) -> None:
    training.run(1)
    wanted = Proposal(kind=RUN, experiment=NAME, params={"lr": 0.5})
    approvals.approve(training.root, approvals.ask(training.root, wanted).proposal_id, actor="ann")
    training.run(2)
    assert [each.order.params for each in training.seen] == [{"lr": 0.1}, {"lr": 0.5}, {"lr": 0.5}]


def test_a_chunk_is_not_replayed_and_a_whole_training_is(training: Training, tmp_path: Path) -> None:
    training.run(1)
    with pytest.raises(BadInput, match="goes on from a state"):
        replay.replay(training.root, training.runs[0].run_id, owner=me(), interrupted=str)
    assert len(bundles.names(training.root, NAME)) == 1
    (tmp_path / "other").mkdir()
    search = Training(tmp_path / "other", strategy="random", seed=7)
    search.run(1)
    done = replay.replay(search.root, search.runs[0].run_id, owner=me(), interrupted=str)
    assert done.equal
    assert spans(search) == [(0, 30), (0, 30)]


def test_a_worker_of_this_lab_makes_a_chunk_and_its_state_comes_back(training: Training) -> None:
    training.run(1)
    offers.queue(training.root, actor="ann", only=(NAME,), now=True)
    said = working.work_on(training.root, "w1")
    assert [each.outcome for each in said] == [SUCCESS], said
    ingest.ingest(training.root)
    assert spans(training) == [(0, 10), (10, 20)]
    assert training.chain.state_path == "tinker://s2:train:0/weights/000020"
    bundle = training.root.layout.run(NAME, training.runs[1].run_id)
    assert not os.path.exists(f"{bundle}/{packages.FROM_WORKER}")  # what the lab gave it is no word of its own
    assert verify(training.root).damage == ()


def test_a_package_does_not_leave_the_machine_that_its_service_is_on(training: Training, tmp_path: Path) -> None:
    held = claimed(training.root, NAME)
    with pytest.raises(BadInput, match="this machine only"):
        parcel.pack(training.root, held.place.dispatch_id, "w1", str(tmp_path / "out.tar"), with_workspace=True)


def test_a_package_that_travels_takes_the_order_along_and_brings_the_state_back(tmp_path: Path) -> None:
    training = Training(tmp_path, tinker={**PAID, "tokenizer": "tok"}, stop_conditions={"budget_tokens": 10_000})
    (training.workspace / "tok").mkdir()
    (training.workspace / "tok" / "tokenizer.json").write_text("{}")
    held = claimed(training.root, NAME)
    out = parcel.pack(training.root, held.place.dispatch_id, "w1", str(tmp_path / "out.tar"), with_workspace=True).tar
    far = tmp_path / "far"
    with tarfile.open(out) as made:
        made.extractall(far, filter="data")
        folder = far / made.getnames()[0].partition("/")[0]
    os.rename(training.workspace, tmp_path / "gone")
    done = parcel.work_apart(Files(durable=False), training.root.world, str(folder), interrupted=str)
    os.rename(tmp_path / "gone", training.workspace)
    assert done.outcome == SUCCESS, done.reason
    parcel.unpack(training.root, done.tar)
    ingest.ingest(training.root)
    assert training.chain.next_step == 10
    (run,) = training.runs
    assert training.order(run.run_id).tokenizer == str(training.workspace / "tok")
    assert verify(training.root).damage == ()


def test_an_engine_makes_a_chunk_where_it_places_it(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    with open(f"{training.root.layout.root}/engines.yaml", "w", encoding="utf-8") as file:
        file.write("default:\n  engine: double\n")
    training.take()
    assert [code for _, code in run_what_waits(training.root)] == [0]
    training.take()
    assert run_what_waits(training.root)
    training.take()
    assert spans(training)[:2] == [(0, 10), (10, 20)]
    assert training.chain.next_step >= 20


# -- how it is ended ---------------------------------------------------------------------------------------------------


@pytest.fixture
def process(training: Training) -> Iterator[subprocess.Popen[bytes]]:
    """A lab in a process of its own, in the middle of a chunk: seven steps done, the state of five saved."""
    training.behaves(save_at=5, wait_at=7, once=True)
    environ = {**os.environ, "LAB_DATA_ROOT": training.root.layout.root}
    started = subprocess.Popen(
        [sys.executable, SHIM, "run-once", "--now", "--experiment", NAME],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        until((training.workspace / "waits").exists)
        yield started
    finally:
        started.kill()
        started.communicate(timeout=20)


def the_run(training: Training) -> str:
    (name,) = bundles.names(training.root, NAME)
    return training.root.layout.run(NAME, name)


@pytest.mark.parametrize("with_word", [True, False])
def test_a_lab_that_is_killed_loses_neither_the_state_that_was_saved_nor_what_was_paid(
    training: Training,
    process: subprocess.Popen[bytes],
    with_word: bool,
) -> None:
    """`with_word`: its supervisor lived long enough to write down how the run ended."""
    process.kill()
    process.communicate(timeout=20)
    path = the_run(training)
    until(lambda: not machine.writers(path))
    if not with_word and os.path.exists(f"{path}/{layout.EXIT}"):
        os.unlink(f"{path}/{layout.EXIT}")
    training.take()
    killed, following = training.runs
    assert killed.outcome == CRASH
    assert killed.chunk is not None
    assert killed.chunk.trained == 700
    assert killed.chunk.next_step in (5, 7)  # told to end, it may have saved once more
    assert following.chunk is not None
    assert following.chunk.first_step == killed.chunk.next_step
    assert following.chunk.parent == killed.run_id
    assert verify(training.root).damage == ()


def test_the_executors_process_killed_with_9_costs_what_was_not_saved(
    training: Training, process: subprocess.Popen[bytes]
) -> None:
    (recipe,) = [pid for pid in machine.writers(the_run(training)) if b"recipe.py" in words_of(pid)]
    os.kill(recipe, signal.SIGKILL)
    process.communicate(timeout=20)
    (run,) = training.runs
    assert run.outcome == FAILED
    assert run.chunk is not None
    assert (run.chunk.next_step, run.chunk.trained) == (5, 700)


def words_of(pid: int) -> bytes:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read()


def test_one_that_is_cancelled_saves_what_it_has_and_the_next_goes_on_from_there(
    training: Training, process: subprocess.Popen[bytes]
) -> None:
    cancel.cancel(training.root, NAME, reason="the data is wrong", actor="ann")
    process.communicate(timeout=30)
    (run,) = training.runs
    assert run.outcome == CANCELLED
    assert run.chunk is not None
    assert run.chunk.next_step == 7
    training.take()
    assert spans(training) == [(0, 7), (7, 17)]


def test_a_chunk_that_is_decided_and_never_began_is_decided_again(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> str:
        raise OSError(28, "No space left on device", "x")

    with monkeypatch.context() as full:
        full.setattr(bundles, "open_bundle", fails)
        with pytest.raises(OSError, match="No space"):
            training.take()
    assert training.runs == []
    training.take()
    told = training.told(event.CHUNK_DECIDED)
    assert [each.facts["number"] for each in told] == [1, 1]
    assert spans(training) == [(0, 10)]
    before = training.view
    refresh.everything(training.root)
    assert training.view == before
