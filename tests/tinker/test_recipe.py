"""A chunk against a real server with real gradients: what it leaves, and what it leaves when something goes wrong."""

from __future__ import annotations

import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from lab.core.chunk import SPENT
from lab.tinker import place, rows
from tests.tinker import chunks
from tests.tinker.chunks import Chunk, Here, order
from tests.tinker.line import Line
from tests.tinker.recipes import Follower, Held, Measured, Plain, Rollouts, Short

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.tinker.job import Job
    from lab.tinker.training import Recipe
    from tests.tinker.conftest import Fresh


# The SDK leaves a connection behind, which is found whenever memory is looked through.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def carry(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(monkeypatch, capfd)


def pieces(carry: Here, folder: Path, url: str, kind: type[Recipe], steps: tuple[int, ...], until: int) -> list[Chunk]:
    """A training in chunks of these lengths, each told what the one before it saved."""
    done: list[Chunk] = []
    first = 0
    for number, count in enumerate(steps, 1):
        before = done[-1] if done else None
        told = order(
            url, number=number, first_step=first, steps=count, until=until, state_path=before.state if before else "",
            fixed=done[0].states.fixed if done else {},
        )  # fmt: skip
        done.append(carry(folder / f"{kind.__name__}-{len(steps)}-{number}", told, kind))
        first += count
    return done


@pytest.mark.parametrize("kind", [Plain, Held, Rollouts])
def test_a_training_in_chunks_is_the_same_as_one_in_one_go(
    kind: type[Recipe], carry: Here, server: str, tmp_path: Path
) -> None:
    (whole,) = pieces(carry, tmp_path, server, kind, (8,), 8)
    parts = pieces(carry, tmp_path, server, kind, (3, 4, 1), 8)
    assert [part.code for part in parts] == [75, 75, 0], parts[-1].err
    assert whole.code == 0
    told = [row for part in parts for row in part.steps.rows]
    assert [row.step for row in told] == list(range(8))
    assert [(row.metrics, row.kl) for row in told] == [(row.metrics, row.kl) for row in whole.steps.rows]
    assert len({row.run for row in told}) == 3, "each process is a training run of its own to the service"


def test_the_last_chunk_saves_what_can_be_sampled_from_and_downloaded(carry: Here, server: str, tmp_path: Path) -> None:
    first, last = pieces(carry, tmp_path, server, Plain, (2, 2), 4)
    assert first.states.last is not None
    assert last.states.last is not None
    assert (first.states.last.name, first.states.last.next_step, first.states.last.final) == ("000002", 2, False)
    assert (first.states.last.sampler_path, first.states.last.external_path) == ("", "")
    assert (last.states.last.name, last.states.last.next_step, last.states.last.final) == ("000004", 4, True)
    assert "/sampler_weights/final" in last.states.last.sampler_path
    assert "/external_weights/final" in last.states.last.external_path


def test_the_value_of_a_chunk_is_the_mean_of_its_last_steps_or_what_it_measured(
    carry: Here, server: str, tmp_path: Path
) -> None:
    plain = carry(tmp_path / "plain", order(server, steps=7))
    assert plain.metrics["nll"] == pytest.approx(statistics.fmean(plain.column("nll")[-5:]))
    measured = carry(tmp_path / "measured", order(server, steps=3), Measured)
    last = measured.steps.rows[-1]
    assert measured.metrics["held_out"] == last.measured["held_out"]
    assert last.prefilled > 0, "what was read to measure was paid"
    assert measured.steps.trained == plain.steps.trained * 3 // 7


def test_the_report_has_a_point_for_each_step(carry: Here, server: str, tmp_path: Path) -> None:
    done = carry(tmp_path / "c", order(server, steps=3, first_step=0))
    lines = (tmp_path / "c" / "lab-report.txt").read_text().splitlines()
    assert [line.split() for line in lines] == [[str(row.step), repr(row.metrics["nll"])] for row in done.steps.rows]
    told = [line for line in done.out.splitlines() if line.startswith("step ")]
    assert [line.partition(" (")[0] for line in told] == [
        f"step {row.step}: nll {row.metrics['nll']:.6g}" for row in done.steps.rows
    ]


def test_the_same_run_started_again_does_nothing_twice(carry: Here, server: str, tmp_path: Path) -> None:
    told = order(server, steps=3)
    first = carry(tmp_path / "c", told, Measured)
    before = chunks.calls(server)
    second = carry(tmp_path / "c", told, Measured)
    assert chunks.calls(server) - before == chunks.calls(server) - chunks.calls(server)
    assert (second.code, second.metrics) == (first.code, first.metrics) == (75, first.metrics)
    assert second.steps == first.steps


def test_a_chunk_that_was_killed_begins_again_at_its_state_and_keeps_what_it_paid(
    carry: Here, server: str, tmp_path: Path
) -> None:
    (whole,) = pieces(carry, tmp_path, server, Plain, (5,), 12)
    folder, told = tmp_path / "c", order(server, params={"gate_at": 3})
    os.mkfifo(folder_of(folder) / "gate")
    process = chunks.start(folder, told)
    with (folder / "gate").open("rb"):  # opens when the recipe does: it is at step 3
        process.kill()
    killed = chunks.ended(folder, process)
    assert killed.code == -signal.SIGKILL
    assert [row.step for row in killed.steps.rows] == [0, 1, 2]
    assert killed.states.last is None
    with (folder / "artifacts" / "steps.jsonl").open("ab") as file:
        file.write(b'{"step": 3, "ru')  # as far as it came
    again = carry(folder, order(server))
    assert again.code == 75
    assert again.column("nll") == whole.column("nll")
    assert again.steps.trained == whole.steps.trained * 8 // 5


def test_a_run_that_is_begun_again_has_what_its_first_start_left_of_the_budget(
    carry: Here, server: str, tmp_path: Path
) -> None:
    folder = tmp_path / "c"
    assert carry(folder, order(server, steps=2, tokens_left=90)).steps.trained == 56
    (folder / "artifacts" / "checkpoints.jsonl").unlink()  # killed before it was recorded
    again = carry(folder, order(server, steps=2, tokens_left=90))
    assert again.steps.trained == 84
    assert again.states.last is not None
    assert again.states.last.next_step == 1, "a second step would have been the fourth that is paid"


def test_term_ends_it_after_the_step_in_hand_with_its_state_saved(server: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "c")
    os.mkfifo(folder / "gate")
    process = chunks.start(folder, order(server, steps=500, until=1000, params={"gate_at": 2}))
    with (folder / "gate").open("rb"):
        process.send_signal(signal.SIGTERM)
    done = chunks.ended(folder, process)
    assert done.code == 75, done.err
    last = done.states.last
    assert last is not None
    assert 2 <= last.next_step < 20
    assert [row.step for row in done.steps.rows] == list(range(last.next_step))
    assert "told to end" in done.out


def test_term_in_a_long_step_does_not_wait_for_what_had_not_begun(server: str, tmp_path: Path) -> None:
    """The gate is before the training of step 2: it is left out, and the state has two steps in it."""
    folder = folder_of(tmp_path / "c")
    os.mkfifo(folder / "gate")
    process = chunks.start(folder, order(server, steps=500, until=1000, params={"gate_at": 2}))
    until((folder / "at-gate").exists)
    process.send_signal(signal.SIGTERM)
    with (folder / "gate").open("rb"):
        pass
    done = chunks.ended(folder, process)
    assert done.states.last is not None, done.err
    assert done.states.last.next_step == 2


def test_a_number_that_is_not_finite_ends_it_with_words_and_nothing_saved(
    carry: Here, server: str, tmp_path: Path
) -> None:
    done = carry(tmp_path / "c", order(server, params={"nan_at": 2}))
    assert done.code == 1
    assert "nll of step 2 is not finite" in done.err
    assert done.states.last is None
    assert "nll" in done.steps.trouble
    assert done.steps.rows[-1].metrics == {"rate": 0.005}
    assert done.metrics == {}


def test_a_training_that_comes_apart_at_the_service_is_trouble_with_its_words(
    carry: Here, server: str, tmp_path: Path
) -> None:
    done = carry(tmp_path / "c", order(server, params={"learning_rate": 1e19}))
    assert done.code == 1, done.err
    assert "not finite" in done.steps.trouble
    assert done.states.last is None
    assert done.steps.trained >= 2 * 4 * 7, "what found it out was paid"


def test_a_reference_that_is_gone_is_trouble(carry: Here, server: str, tmp_path: Path) -> None:
    first = carry(tmp_path / "a", order(server, steps=1), Held)
    gone = {"reference": first.states.fixed["reference"][:-1] + "X"}
    told = order(server, first_step=1, state_path=first.state, fixed=gone, number=2)
    done = carry(tmp_path / "b", told, Held)
    assert done.code == 1
    assert f"{gone['reference']} is not there any more" in done.steps.trouble


def test_a_recipe_that_stumbles_shows_the_line_and_leaves_its_rows(server: str, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    done = chunks.ended(folder, chunks.start(folder, order(server, params={"raise_at": 2})))
    assert done.code == 1
    assert 'raise RuntimeError("the recipe stumbled")' in done.err
    assert len(done.steps.rows) == 2
    assert done.states.last is None


def test_models_that_stand_still_are_written_down_before_step_0(carry: Here, server: str, tmp_path: Path) -> None:
    done = carry(tmp_path / "c", order(server, params={"raise_at": 99, "nan_at": 0}), Held)
    assert done.code == 1
    assert list(done.states.fixed) == ["reference"]
    first = done.states.fixed
    again = carry(tmp_path / "c", order(server), Held)
    assert again.code == 75
    assert again.states.fixed == first, "a chunk that begins again keeps the reference of its first start"


def test_a_resume_without_its_reference_is_refused_before_anything_is_asked(
    carry: Here, server: str, tmp_path: Path
) -> None:
    first = carry(tmp_path / "a", order(server, steps=2), Held)
    before = chunks.calls(server)
    told = order(server, first_step=2, state_path=first.state, number=2)
    lost = carry(tmp_path / "b", told, Held)
    assert lost.code == 1
    assert "the path of reference is lost" in lost.err
    assert chunks.calls(server) == before


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"first_step": 3}, "names no state to begin from"),
        ({"first_step": 3, "state_path": "tinker://r/weights/000002"}, "the state has 2 steps in it"),
        ({"first_step": 3, "state_path": "tinker://r/sampler_weights/000003"}, "is no state that a training can go on"),
        ({"first_step": 3, "state_path": "/etc/passwd"}, "is no path of something saved"),
        ({"first_step": 13, "state_path": "tinker://r/weights/000013"}, "there is no step 13"),
        ({"params": {"learning_rate": "fast"}}, "the param learning_rate is 'fast', and the recipe takes a number"),
        ({"tuning": {"base_model": "no/such"}}, "unknown base model 'no/such'"),
        ({"tokens_left": 0}, "another step would pass the budget"),
        ({"tokens_left": 27}, "another step would pass the budget"),  # the first step has one more
    ],
)
def test_an_order_that_cannot_be_carried_out_is_refused_in_words(
    given: dict[str, object], words: str, carry: Here, server: str, tmp_path: Path
) -> None:
    told = order(server, **given)  # type: ignore[arg-type]
    before = chunks.calls(server)["/forward_backward"]
    done = carry(tmp_path / "c", told)
    assert done.code == (SPENT if "tokens_left" in given else 1)
    assert words in done.err
    assert done.states.last is None
    assert chunks.calls(server)["/forward_backward"] == before, "nothing was paid for it"


def test_a_metric_that_is_not_the_specs_is_refused_before_anything_is_paid(
    carry: Here, server: str, tmp_path: Path
) -> None:
    before = chunks.calls(server)
    done = carry(tmp_path / "c", order(server), LAB_PRIMARY_METRIC="nil")
    assert done.code == 1
    assert "the metric of the recipe is nll, and that of the SPEC nil" in done.err
    assert chunks.calls(server) == before
    assert carry(tmp_path / "d", order(server, steps=1), LAB_PRIMARY_METRIC="nll").code == 75


def test_a_state_that_is_gone_is_told_with_where_to_look(carry: Here, server: str, tmp_path: Path) -> None:
    first = carry(tmp_path / "a", order(server, steps=1))
    gone = first.state.replace("/weights/000001", "/weights/000002")
    done = carry(tmp_path / "b", order(server, first_step=2, state_path=gone, number=2))
    assert done.code == 1
    assert gone in done.err
    assert "is not there any more" in done.err
    assert gone in done.steps.trouble, "it is gone at the next try as well"
    assert "labctl tinker checkpoints" in done.err


def test_it_ends_before_a_step_that_would_pass_the_tokens_and_saves(carry: Here, server: str, tmp_path: Path) -> None:
    a_step = 4 * 7
    done = carry(tmp_path / "c", order(server, tokens_left=3 * a_step + 5))
    assert done.code == 75
    assert done.steps.trained == 3 * a_step
    assert done.states.last is not None
    assert done.states.last.next_step == 3


def test_it_ends_while_there_is_room_to_measure(carry: Here, server: str, tmp_path: Path) -> None:
    done = carry(tmp_path / "c", order(server, tokens_left=5 * 4 * 7 - 1), Measured)
    assert (done.steps.trained, done.steps.prefilled) == (3 * 4 * 7, 4 * 7)
    assert done.metrics["held_out"] > 0


def test_it_ends_before_a_step_that_would_pass_the_money(carry: Here, server: str, tmp_path: Path) -> None:
    prices = {"usd_per_mtok_train": 1e6 / 28, "usd_per_mtok_sample": 0.0, "usd_per_mtok_prefill": 0.0}
    done = carry(tmp_path / "c", order(server, usd_left=2.5, tuning=prices))
    assert done.states.last is not None
    assert done.states.last.next_step == 2, "a step costs one dollar"


def test_a_kl_above_the_limit_ends_the_chunk_with_its_state_saved(carry: Here, server: str, tmp_path: Path) -> None:
    done = carry(tmp_path / "c", order(server, tuning={"kl_limit": 0.015}), Held)
    assert done.code == 75
    assert done.steps.kl == pytest.approx(0.02)
    assert done.states.last is not None
    assert done.states.last.next_step == 3


def test_it_ends_early_when_another_step_and_the_saving_would_pass_the_runs_time(
    carry: Here, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = chunks.Clock(monkeypatch)

    class Late(Plain):
        def step(self, job: Job, step: int) -> dict[str, float]:
            if step == 2:
                clock.move(job, chunks.HOUR_S - 2)  # less than it needs at least, to save
            return super().step(job, step)

    done = carry(tmp_path / "c", order(server, steps=9), Late, **chunks.in_an_hour())
    assert done.code == 75, done.err
    assert "the run's time" in done.out
    assert done.state.endswith("/000003")
    assert len(done.steps.rows) == 3


def test_a_whole_training_in_one_run_ends_with_0(carry: Here, server: str, tmp_path: Path) -> None:
    assert carry(tmp_path / "c", order(server, number=0, steps=3, until=3)).code == 0


def test_data_that_come_to_an_end_make_the_training_shorter(carry: Here, server: str, tmp_path: Path) -> None:
    done = carry(tmp_path / "c", order(server), Short)
    assert done.code == 0
    assert done.states.last is not None
    assert (done.states.last.next_step, done.states.last.final) == (3, True)


@pytest.mark.parametrize("measures", [True, False])
def test_one_that_is_asked_for_steps_at_the_end_of_its_data_is_at_its_end(
    measures: bool, carry: Here, server: str, tmp_path: Path
) -> None:
    class ShortMeasured(Measured):
        def length(self, job: Job) -> int:
            return 3

    first = carry(tmp_path / "a", order(server), Short)
    told = order(server, first_step=3, state_path=first.state, number=2)
    done = carry(tmp_path / "b", told, ShortMeasured if measures else Short)
    assert done.code == 0, done.err
    assert list(done.metrics) == (["held_out"] if measures else [])
    last = done.states.last
    assert last is not None
    assert (last.state_path, last.next_step, last.final) == (first.state, 3, True)
    assert ("the recipe has no `measure`" in done.err) != measures


def test_a_later_tier_begins_with_the_weights_of_an_earlier_one_at_step_0(
    carry: Here, server: str, tmp_path: Path
) -> None:
    first, second = pieces(carry, tmp_path, server, Plain, (4, 4), 8)
    follows = carry(tmp_path / "f", order(server, earlier={"sft": {"state_path": first.state}}, seed=7), Follower)
    fresh = carry(tmp_path / "n", order(server))
    assert follows.code == 75, follows.err
    assert follows.steps.rows[0].step == 0
    assert follows.column("nll")[0] < fresh.column("nll")[0] - 0.05, "it knows what the earlier tier learned"
    assert second.code == 0


def test_a_failing_service_that_comes_back_changes_no_number_and_is_told_as_pauses(
    carry: Here, server: str, tmp_path: Path
) -> None:
    well = carry(tmp_path / "a", order(server))
    chunks.fault(server, "/forward_backward", status=429, times=1)
    chunks.fault(server, "/optim_step", status=500, times=2)
    chunks.fault(server, "/retrieve_future", status=500, times=2)
    ill = carry(tmp_path / "b", order(server))
    assert ill.code == 75, ill.err
    assert ill.column("nll") == well.column("nll")
    told = rows.pauses(ill.folder)
    assert {"rate limit", "errors"} <= {each.what for each in told}
    assert all(each.over for each in told)


@pytest.mark.heavy
def test_a_bill_that_is_not_paid_is_a_pause_and_the_chunk_goes_on_when_it_is(
    carry: Here, server: str, tmp_path: Path
) -> None:
    chunks.fault(server, "/optim_step", status=402, times=1)
    done = carry(tmp_path / "c", order(server, steps=2))
    assert done.code == 75, done.err
    # A client that an earlier test left goes on trying in this process, and its troubles are heard here too.
    (pause,) = (each for each in rows.pauses(done.folder) if each.what == "billing")
    assert pause.over is not None
    assert pause.over - pause.at > 3, "the SDK looks again after five seconds"


@pytest.mark.heavy
def test_a_server_that_dies_in_the_middle_is_told_within_the_limit_of_an_answer(
    fresh_server: Fresh, tmp_path: Path
) -> None:
    running = fresh_server()
    folder = folder_of(tmp_path / "c")
    os.mkfifo(folder / "gate")
    told = order(running.url, params={"gate_at": 2}, tuning={"call_limit_s": 6.0})
    process = chunks.start(folder, told)
    with (folder / "gate").open("rb"):
        running.kill()
    begun = time.monotonic()
    done = chunks.ended(folder, process)
    assert time.monotonic() - begun < 25
    assert done.code == 5
    assert "no answer in 6 s" in done.err or "no answer in 7 s" in done.err
    assert "away" in done.err
    assert [row.step for row in done.steps.rows] == [0, 1]
    assert done.states.last is None
    assert "away" in {each.what for each in rows.pauses(done.folder)}, "and whoever watched it saw why"


def test_a_network_that_comes_back_within_the_limit_changes_no_number(carry: Here, server: str, tmp_path: Path) -> None:
    well = carry(tmp_path / "a", order(server))
    with Line(server) as line:

        class Cut(Plain):
            def step(self, job: Job, step: int) -> dict[str, float]:
                if step == 2:
                    line.cut(for_s=5.0)
                return super().step(job, step)

        ill = carry(tmp_path / "b", order(line.url), Cut)
    assert ill.code == 75, ill.err
    assert ill.column("nll") == well.column("nll")
    (pause,) = rows.pauses(ill.folder)
    assert (pause.what, pause.over is not None) == ("away", True)
    assert ill.steps.rows[2].wait_s > 3


@pytest.mark.parametrize("path", ["/forward_backward", "/retrieve_future"])
def test_a_service_that_has_forgotten_the_run_is_told_with_where_it_goes_on(
    path: str, carry: Here, server: str, tmp_path: Path
) -> None:
    first = carry(tmp_path / "a", order(server, steps=1))
    folder, told = tmp_path / "b", order(server, first_step=1, state_path=first.state, number=2)

    class Forgotten(Plain):
        def step(self, job: Job, step: int) -> dict[str, float]:
            if step == 2:
                chunks.fault(server, path, status=404, times=1, detail="unknown model")
            return super().step(job, step)

    done = carry(folder, told, Forgotten)
    assert done.code == 5
    assert "does not know this training run any more" in done.err
    assert "the next chunk begins there" in done.err
    assert [row.step for row in done.steps.rows] == [1]


def test_a_key_that_no_service_takes_is_refused_without_being_shown(carry: Here, server: str, tmp_path: Path) -> None:
    before = chunks.calls(server)
    done = carry(tmp_path / "c", order(server), TINKER_API_KEY="sk-anothers-secret")
    assert done.code == 1
    assert "TINKER_API_KEY does not begin with tml-" in done.err
    assert "anothers" not in done.err
    assert chunks.calls(server) == before


def test_a_key_that_the_service_refuses_is_told_with_the_three_places_of_one(
    carry: Here, server: str, tmp_path: Path
) -> None:
    chunks.fault(server, "/create_session", status=401, times=3, detail="who are you?")
    done = carry(tmp_path / "c", order(server), TINKER_API_KEY="tml-wrong")
    chunks._ask(server, "DELETE", "/api/v1/_fault")
    assert done.code == 5
    for words in ("who are you?", "TINKER_API_KEY", "TINKER_CREDENTIAL_CMD", "~/.tinker/credentials.json"):
        assert words in done.err
    assert "tml-wrong" not in done.err


def test_a_disk_that_is_full_ends_it_at_the_row_that_had_no_room(server: str, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    chunks.write(folder, order(server))
    limits = (600, 600)  # bytes of a file: two rows
    environ = {**os.environ, **chunks.environment(folder, HOME=str(folder)), "PYTHONPATH": str(chunks.CHECKOUT)}
    process = subprocess.Popen(
        [sys.executable, "-B", "-m", "tests.tinker.recipes"], cwd=chunks.CHECKOUT, env=environ, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits),  # noqa: PLW1509  # it takes no lock
    )  # fmt: skip
    done = chunks.ended(folder, process)
    assert done.code == 1, "no service is waited for"
    assert "cannot be written" in done.err
    assert "make room" in done.err
    assert 0 < len(done.steps.rows) < 5
    assert done.states.last is None


def test_what_a_step_costs_beside_the_service_is_small(carry: Here, server: str, tmp_path: Path) -> None:
    """Rows on disk included. Of a step of a small model a twentieth is ours at most."""
    done = carry(tmp_path / "c", order(server, steps=40, until=80))
    steps = [(after.at - before.at, after.wait_s) for before, after in pairwise(done.steps.rows)]
    ours = sorted((whole - waited) / whole for whole, waited in steps)
    assert ours[4] < 0.05, "one of the best: the machine has other things to do"


def test_what_is_wrong_is_found_without_loading_the_sdk(tmp_path: Path) -> None:
    """A second is saved where nothing is to be asked; and a test of a recipe needs no SDK."""
    folder = tmp_path / "c"
    chunks.write(folder, order("http://127.0.0.1:9", first_step=3))
    code = (
        "import sys; from lab.tinker import recipe; from tests.tinker.recipes import Plain\n"
        "code = recipe.main(Plain(), [])\n"
        "assert code == 1; heavy = {'tinker', 'torch', 'numpy', 'transformers', 'tokenizers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    environ = {**os.environ, **chunks.environment(folder), "PYTHONPATH": str(chunks.CHECKOUT)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_recipe_looks_at_its_data_and_counts_without_asking_anybody(carry: Here, tmp_path: Path) -> None:
    nobody = order("http://127.0.0.1:9")
    looked = carry(tmp_path / "c", nobody, Plain, "--check")
    assert looked.code == 0
    assert "12 steps" in looked.out
    counted = carry(tmp_path / "e", nobody, Plain, "--estimate")
    assert json.loads(counted.out)["trained"] == 12 * 4 * 7
    assert carry(tmp_path / "x", nobody, Plain, "--verbose").code == 1


def test_a_paid_training_that_does_not_fit_its_budget_is_refused_before_the_first_call(
    carry: Here, tmp_path: Path
) -> None:
    told = order("https://tinker.example.org", tokens_left=100)
    done = carry(tmp_path / "c", told, TINKER_API_KEY="tml-x")
    assert done.code == SPENT
    assert "does not fit its budget" in done.err
    assert json.loads((tmp_path / "c" / "estimate.json").read_text())["tokens_left"] == 100


def test_without_an_order_it_says_how_a_recipe_is_started(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lab.tinker import recipe

    monkeypatch.delenv("LAB_CHUNK_PATH", raising=False)
    assert recipe.main(Plain(), []) == 1
    assert "a recipe is started by the lab" in capfd.readouterr().err


def test_signals_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    stop = place.Stop()
    stop.listen()
    assert signal.getsignal(signal.SIGTERM) != before
    os.kill(os.getpid(), signal.SIGTERM)
    stop.leave()
    assert stop.is_asked
    assert signal.getsignal(signal.SIGTERM) == before


def folder_of(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def until(true: Callable[[], bool], limit_s: float = 30) -> None:
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end
        threading.Event().wait(0.01)
