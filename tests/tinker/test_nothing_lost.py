"""What was trained is saved, and what was paid is counted, whatever goes wrong: against real gradients."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from lab.tinker import recipe, stored
from tests.tinker import chunks
from tests.tinker.chunks import Here, order
from tests.tinker.recipes import PROMPT, Measured, Plain, Rollouts, Short

if TYPE_CHECKING:
    from pathlib import Path

    from lab.tinker.recipe import Job

# The SDK leaves a connection behind, which is found whenever memory is looked through.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
A_STEP = 4 * 7  # tokens


@pytest.fixture
def carry(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(monkeypatch, capfd)


class Sampled(Plain):
    """Measures with 160 tokens at most, and does not say so."""

    metric = "held_out"

    def measure(self, job: Job) -> dict[str, float]:
        samples = job.sampler().sample(PROMPT, 8, max_tokens=20, seed=1)
        return {"held_out": float(sum(len(sample.tokens) for sample in samples))}


def test_samples_are_held_to_the_budget_at_their_longest(carry: Here, server: str, tmp_path: Path) -> None:
    before = chunks.calls(server)["/asample"]
    done = carry(tmp_path / "a", order(server, steps=2, tokens_left=2 * A_STEP + 2 + 8 * 20 - 1), Sampled)
    assert (done.code, "held_out" in done.metrics) == (75, False)
    assert chunks.calls(server)["/asample"] == before
    enough = carry(tmp_path / "b", order(server, steps=2, tokens_left=2 * A_STEP + 2 + 8 * 20), Sampled)
    assert enough.metrics["held_out"] == enough.steps.sampled > 0


def test_what_a_step_used_that_failed_is_counted_and_is_no_step(carry: Here, server: str, tmp_path: Path) -> None:
    class Failing(Rollouts):
        def drawn(self, job: Job, step: int) -> list[recipe.Sample]:
            samples = super().drawn(job, step)
            chunks.fault(server, "/forward_backward", status=404, detail="unknown model")
            return samples

    done = carry(tmp_path / "c", order(server), Failing)
    assert done.code == 5
    assert done.steps.rows == ()
    assert done.steps.sampled > 0
    assert done.steps.prefilled == len(PROMPT)
    assert done.steps.trained == 0


class Broken(Measured):
    """Reads what was held out, and then stumbles in the way of its text."""

    way = "raise"

    def measure(self, job: Job) -> dict[str, float]:
        told = super().measure(job)
        if self.way == "raise":
            raise RuntimeError("the recipe stumbled")
        if self.way == "train":
            job.train(self.batch(job, 0), learning_rate=0.1)
        if self.way == "refused":
            job.sampler().sample([99_999], max_tokens=2)
        return {"other": 1.0} if self.way == "another" else told


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("raise", "RuntimeError: the recipe stumbled"),
        ("another", "did not return the metric held_out"),
        ("train", "`train` was called outside of a step"),
        ("refused", "sampling: the service refused it"),
    ],
)
def test_a_measurement_that_fails_costs_its_number_and_no_step(
    way: str, words: str, carry: Here, server: str, tmp_path: Path
) -> None:
    kind = type("Broken", (Broken,), {"way": way})
    done = carry(tmp_path / "c", order(server, steps=2), kind)
    assert done.code == 75
    assert words in done.err
    assert done.state.endswith("/weights/000002")
    assert "held_out" not in done.metrics
    assert done.steps.prefilled == A_STEP, "what it read was paid"
    assert [row.step for row in done.steps.rows] == [0, 1]
    assert done.steps.trouble == ""


def test_an_end_that_was_not_measured_is_measured_without_a_step_or_another_state(
    carry: Here, server: str, tmp_path: Path
) -> None:
    known = carry(tmp_path / "k", order(server, steps=2, until=2), Measured)
    lost = carry(tmp_path / "a", order(server, steps=2, until=2), Broken)
    assert "held_out" not in lost.metrics
    told = order(server, steps=0, first_step=2, until=2, state_path=lost.state, number=2)
    before = chunks.calls(server)
    done = carry(tmp_path / "b", told, Measured)
    assert done.code == 0, done.err
    assert done.metrics == pytest.approx({"held_out": known.metrics["held_out"]})
    assert (done.steps.rows, done.steps.prefilled) == ((), A_STEP)
    last = done.states.last
    assert last is not None
    assert (last.state_path, last.next_step, last.final) == (lost.state, 2, True)
    asked = chunks.calls(server) - before
    assert not asked["/optim_step"] + asked["/save_weights"]
    plain = carry(tmp_path / "c", told, Plain)
    assert (plain.code, plain.metrics) == (0, {})
    assert "the recipe has no `measure`" in plain.err


def test_a_measure_that_is_not_finite_is_told_as_trouble_beside_the_state(
    carry: Here, server: str, tmp_path: Path
) -> None:
    class Apart(Measured):
        def measure(self, job: Job) -> dict[str, float]:
            return {**super().measure(job), "held_out": math.inf}

    done = carry(tmp_path / "c", order(server, steps=2), Apart)
    assert (done.code, done.state[-6:]) == (75, "000002")
    assert "held_out is not finite" in done.steps.trouble
    assert "held_out" not in done.metrics


@pytest.mark.parametrize("trained", [True, False])
def test_a_step_that_crosses_the_end_of_the_time_loses_none_before_it(
    trained: bool, carry: Here, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is saved within the grace is saved: with the step, where it had trained by then, and else without it."""
    clock = chunks.Clock(monkeypatch)

    class Slow(Plain):
        def step(self, job: Job, step: int) -> dict[str, float]:
            told = super().step(job, step) if trained or step < 3 else {}
            if step == 3:
                clock.move(job, chunks.HOUR_S + 1)
                chunks.fault(server, "/save_weights", delay_s=2.5)
                job.sampler().logprobs([5, 6])
            return told

    done = carry(tmp_path / "c", order(server, steps=9), Slow, **chunks.in_an_hour())
    assert done.code == 75, done.err
    assert done.state.endswith(f"/00000{4 if trained else 3}")
    assert "the run's time is up" in done.out


@pytest.mark.parametrize(("path", "lost", "kept"), [
    ("/save_weights_for_sampler", "sampler_path", "external_path"),
    ("/save_weights_external", "external_path", "sampler_path"),
])  # fmt: skip
def test_the_end_of_a_training_is_its_state_whatever_becomes_of_what_is_made_of_it(
    path: str, lost: str, kept: str, carry: Here, server: str, tmp_path: Path
) -> None:
    class Ends(Plain):
        def step(self, job: Job, step: int) -> dict[str, float]:
            if step == 1:
                chunks.fault(server, path, status=400, detail="not today")
            return super().step(job, step)

    done = carry(tmp_path / "c", order(server, steps=2, until=2), Ends)
    assert done.code == 0
    assert "not today" in done.err
    last = done.states.last
    assert last is not None
    assert (last.final, last.next_step, getattr(last, lost)) == (True, 2, "")
    assert getattr(last, kept)


def test_term_is_heard_while_samples_are_waited_for(carry: Here, server: str, tmp_path: Path) -> None:
    class Slow(Plain):
        def step(self, job: Job, step: int) -> dict[str, float]:
            if step == 2:
                sampler = job.sampler()
                chunks.fault(server, "/asample", delay_s=30)
                threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
                begun.append(time.monotonic())
                sampler.sample(PROMPT, max_tokens=2)
            return super().step(job, step)

    begun: list[float] = []
    done = carry(tmp_path / "c", order(server), Slow)
    assert time.monotonic() - begun[0] < 20
    assert done.code == 75, done.err
    assert "it was told to end" in done.out
    assert done.state.endswith("/000002")


def test_a_tier_that_left_only_a_state_can_be_sampled_from(carry: Here, server: str, tmp_path: Path) -> None:
    first = carry(tmp_path / "a", order(server, steps=2))

    class Second(Plain):
        fixed = ("judge",)

        def fix(self, job: Job) -> dict[str, str]:
            return {"judge": job.sampler_of("preference")}

        def step(self, job: Job, step: int) -> dict[str, float]:
            judged = sum(job.sampler(job.fixed["judge"]).logprobs([*PROMPT, 7, 8]))
            return {**super().step(job, step), "judged": judged}

    left = {"preference": {"state_path": first.state}}
    done = carry(tmp_path / "b", order(server, steps=2, earlier=left), Second)
    assert done.code == 75, done.err
    assert len(set(done.column("judged"))) == 1, "it stands still"
    assert "/sampler_weights/" in done.states.fixed["judge"]


def test_samples_without_a_seed_are_the_same_in_every_chunking(carry: Here, server: str, tmp_path: Path) -> None:
    class Unseeded(Rollouts):
        def drawn(self, job: Job, step: int) -> list[recipe.Sample]:
            one, other = (job.sampler().sample(PROMPT, 2, max_tokens=3, temperature=1.3) for _ in range(2))
            return [*one, *other]

        def step(self, job: Job, step: int) -> dict[str, float]:
            told = super().step(job, step)
            (again,) = job.sampler().sample(PROMPT, max_tokens=6)
            return {**told, "drawn": float(sum(again.tokens))}

    whole = carry(tmp_path / "w", order(server, steps=4), Unseeded)
    first = carry(tmp_path / "a", order(server, steps=2), Unseeded)
    then = carry(tmp_path / "b", order(server, steps=2, first_step=2, state_path=first.state, number=2), Unseeded)
    parts = [row.metrics for each in (first, then) for row in each.steps.rows]
    assert parts == [row.metrics for row in whole.steps.rows]
    assert len({each["drawn"] for each in parts}) > 1, "another step draws others"


def test_a_second_training_in_a_step_is_refused(carry: Here, server: str, tmp_path: Path) -> None:
    class Twice(Plain):
        def step(self, job: Job, step: int) -> dict[str, float]:
            super().step(job, step)
            return super().step(job, step)

    done = carry(tmp_path / "c", order(server), Twice)
    assert done.code == 1
    assert "step 0 trained twice" in done.err
    assert "one step of the optimizer" in done.err
    assert done.steps.trained == A_STEP


def test_a_step_that_trains_nothing_is_refused_and_those_before_it_are_kept(
    carry: Here, server: str, tmp_path: Path
) -> None:
    class Resting(Plain):
        def step(self, job: Job, step: int) -> dict[str, float]:
            return super().step(job, step) if step < 3 else {"nll": 1.0}

    done = carry(tmp_path / "c", order(server), Resting)
    assert done.code == 1
    assert "step 3 trained nothing" in done.err
    assert done.state.endswith("/000003")
    assert [row.step for row in done.steps.rows] == [0, 1, 2]


def test_a_recipe_knows_where_its_training_ends(carry: Here, server: str, tmp_path: Path) -> None:
    class Falling(Short):
        def step(self, job: Job, step: int) -> dict[str, float]:
            return {**super().step(job, step), "end": job.end}

    assert carry(tmp_path / "c", order(server), Falling).column("end") == [3, 3, 3]


@pytest.mark.parametrize("kind", [Plain, Rollouts])
def test_the_weights_of_a_training_in_chunks_are_the_same_to_the_byte(
    kind: type[Plain], carry: Here, server: str, tmp_path: Path
) -> None:
    whole = carry(tmp_path / "w", order(server, steps=5, until=5), kind)
    first = carry(tmp_path / "a", order(server, steps=2, until=5), kind)
    last = carry(tmp_path / "b", order(server, steps=3, until=5, first_step=2, state_path=first.state, number=2), kind)
    assert weights(whole, server) == weights(last, server)
    assert weights(carry(tmp_path / "s", order(server, steps=5, until=5, seed=8), kind), server) != weights(
        last, server
    )


def weights(done: chunks.Chunk, server: str) -> bytes:
    assert done.states.last is not None, done.err
    found = stored.addresses(done.states.last.external_path, server, dict(os.environ), limit_s=20.0)
    chunks.collect()
    return b"".join(stored.pieces(found["adapter_model.safetensors"], limit_s=20.0))
