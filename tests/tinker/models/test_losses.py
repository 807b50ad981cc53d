"""The losses against numbers worked out by hand, and everything that is refused before anything is computed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from tinker import types

from lab.tinker.local import losses, wire
from lab.tinker.local.training import Lora, UserError
from tests.tinker.models import asked

if TYPE_CHECKING:
    from lab.tinker.local.bases import Base
    from lab.tinker.local.models import LocalModels

NOW = [math.log(0.5), math.log(0.2), math.log(0.1)]  # the logprobs of three tokens
OLD = [math.log(0.25), math.log(0.2), math.log(0.2)]  # so the ratios are 2, 1 and 1/2
GAINS = [1.0, -1.0, 2.0]


def value(name: str, config: dict[str, float] | None = None, **lists: list[float]) -> float:
    item = wire.Item(tokens=[1, 2, 3], inputs={"target_tokens": [2, 3, 4], **lists})
    batch = wire.Batch(loss=name, config=config or {}, items=[item], forward_only=True)
    loss, (task,) = losses.judged(batch, context=8, vocabulary=8)
    return float(loss.of(torch.tensor(NOW), task.inputs))


def test_cross_entropy_weighs_each_token() -> None:
    assert value("cross_entropy", weights=[1.0, 0.0, -2.0]) == pytest.approx(-math.log(0.5) + 2 * math.log(0.1))


def test_cross_entropy_without_weights_counts_every_token_once() -> None:
    assert value("cross_entropy") == pytest.approx(-sum(NOW))


def test_importance_sampling_weighs_the_gain_by_the_ratio() -> None:
    assert value("importance_sampling", logprobs=OLD, advantages=GAINS) == pytest.approx(-(2.0 - 1.0 + 1.0))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, -(1.2 - 1.0 + 1.0)),  # min(2, 1.2) | min(-1, -1) | min(1, 1.6)
        ({"clip_high_threshold": 3.0}, -(2.0 - 1.0 + 1.0)),
        ({"clip_low_threshold": 1.1, "clip_high_threshold": 1.5}, -(1.5 - 1.1 + 1.0)),
    ],
)
def test_ppo_takes_the_worse_of_the_ratio_and_the_clipped_ratio(config: dict[str, float], expected: float) -> None:
    assert value("ppo", config, logprobs=OLD, advantages=GAINS) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("config", "ratios"),
    [({}, [2.0, 1.0, 0.5]), ({"clip_low_threshold": 0.8, "clip_high_threshold": 1.2}, [1.2, 1.0, 0.8])],
)
def test_cispo_weighs_the_logprob_by_the_clipped_ratio(config: dict[str, float], ratios: list[float]) -> None:
    expected = -sum(r * lp * g for r, lp, g in zip(ratios, NOW, GAINS, strict=True))
    assert value("cispo", config, logprobs=OLD, advantages=GAINS) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "slope"),
    [
        ("importance_sampling", [-2.0, 1.0, -1.0]),  # - ratio * gain
        ("ppo", [0.0, 1.0, -1.0]),  # the first is beyond its threshold: it gains nothing more
        ("cispo", [-2.0, 1.0, -1.0]),  # no gradient goes through the ratio
    ],
)
def test_the_slope_at_each_token_is_the_one_worked_out_by_hand(name: str, slope: list[float]) -> None:
    item = wire.Item(tokens=[1, 2, 3], inputs={"target_tokens": [2, 3, 4], "logprobs": OLD, "advantages": GAINS})
    batch = wire.Batch(loss=name, config={}, items=[item], forward_only=False)
    loss, (task,) = losses.judged(batch, context=8, vocabulary=8)
    logprobs = torch.tensor(NOW, requires_grad=True)
    loss.of(logprobs, task.inputs).backward()
    assert logprobs.grad is not None
    assert logprobs.grad.tolist() == pytest.approx(slope)


def test_the_gradient_of_a_weight_is_what_moving_it_does_to_the_loss(models: LocalModels) -> None:
    trainer = models.trainer("tiny", Lora(rank=2, seed=1))
    asked.learn(trainer, 2)  # away from the start, where half of the gradients are zero
    data = [asked.datum([1, 2, 3], [2, 3, 4], logprobs=[-6.0, -6.1, -6.2], advantages=[1.0, -0.5, 2.0])]
    asked.trained(trainer, data, "importance_sampling")
    for name, tensor in list(trainer._adapter.tensors.items())[::9]:
        assert tensor.grad is not None, name
        place = int(tensor.grad.abs().argmax())
        found = float(tensor.grad.flatten()[place])
        ends = []
        for step in (1e-2, -1e-2):
            with torch.no_grad():
                tensor.view(-1)[place] += step
                ends.append(asked.trained(trainer, data, "importance_sampling", forward_only=True)[0])
                tensor.view(-1)[place] -= step
        assert (ends[0] - ends[1]) / 2e-2 == pytest.approx(found, rel=0.03, abs=2e-3), name


def test_a_forward_pass_leaves_no_gradient(models: LocalModels) -> None:
    trainer = models.trainer("tiny", Lora(rank=2, seed=1))
    asked.trained(trainer, [asked.supervised()], forward_only=True)
    assert trainer.optim_step(asked.ADAM)["grad_norm:mean"] == 0


def test_the_losses_of_data_add_up_and_a_datum_does_not_see_the_others(models: LocalModels) -> None:
    trainer = models.trainer("tiny", Lora(rank=2, seed=1))
    one, two = asked.supervised(), asked.supervised([5, 6], [7, 8, 9])
    apart = [asked.trained(trainer, [each]) for each in (one, two)]
    together = asked.trained(trainer, [two, one])
    assert together[0] == pytest.approx(apart[0][0] + apart[1][0])
    assert together[1] == [apart[1][1][0], apart[0][1][0]]  # the same bits


GOOD = {"logprobs": [0.0, 0.0], "advantages": [1.0, 1.0]}


@pytest.mark.parametrize(
    ("loss", "data", "config", "words"),
    [
        ("dro", asked.datum([1, 2], [2, 3]), None, "'dro' is not supported here; these are: cross_entropy"),
        ("ppo", asked.datum([1, 2], [2, 3]), None, "datum 0: ppo needs logprobs, which is missing"),
        ("ppo", asked.datum([1, 2], [2, 3], logprobs=[0.0, 0.0]), None, "ppo needs advantages"),
        ("cross_entropy", types.Datum(model_input=types.ModelInput.from_ints([1])), None, "needs target_tokens"),
        ("cross_entropy", asked.datum([1, 2], [2]), None, "target_tokens has 1 numbers, but 2 tokens go in"),
        ("cross_entropy", asked.datum([1, 2], [2, 3], weights=[1.0]), None, "weights has 1 numbers, but 2 tokens"),
        ("cross_entropy", asked.datum([], []), None, "no token goes into the model"),
        ("cross_entropy", asked.datum([1] * 2049, [1] * 2049), None, "2049 tokens go into the model, which takes 2048"),
        (
            "cross_entropy",
            asked.datum([1, 512], [2, 3]),
            None,
            "its input has the token 512 at 1; the model knows 0 to",
        ),
        ("cross_entropy", asked.datum([1, 2], [2, -1]), None, "target_tokens has the token -1 at 1"),
        ("cross_entropy", asked.datum([1, 2], [2, 3], weights=[1.0, math.nan]), None, r"weights\[1\] is nan"),
        ("ppo", asked.datum([1, 2], [2, 3], **(GOOD | {"logprobs": [0.0, -math.inf]})), None, "is -inf"),
        (
            "cross_entropy",
            asked.datum([1, 2], [2, 3], advantages=[1.0, 1.0]),
            None,
            "cross_entropy takes no advantages",
        ),
        ("ppo", asked.datum([1, 2], [2, 3], **GOOD), {"clip_high": 1.2}, "ppo has no setting 'clip_high'; it takes"),
        ("ppo", asked.datum([1, 2], [2, 3], **GOOD), {"clip_low_threshold": math.nan}, "must be a finite number"),
        ("ppo", asked.datum([1, 2], [2, 3], **GOOD), {"clip_low_threshold": 2.0}, "more than clip_high_threshold"),
        ("cross_entropy", asked.datum([1, 2], [2, 3]), {"clip_low_threshold": 0.5}, "it takes none"),
        ("cispo", asked.datum([1, 2], [2, 3], **GOOD), {"clip_low_threshold": "low"}, "only numbers are supported"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_in_words(
    base: Base, loss: str, data: types.Datum, config: dict[str, float | str] | None, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        losses.judged(wire.batch(asked.request([data], loss, config)), context=base.context, vocabulary=base.vocabulary)


def test_a_slip_in_a_name_is_answered_with_the_name_that_was_meant() -> None:
    item = wire.Item(tokens=[1], inputs={"target_tokens": [2], "weigths": [1.0]})
    batch = wire.Batch(loss="cross_entropy", config={}, items=[item], forward_only=True)
    with pytest.raises(UserError, match=r"cross_entropy takes no weigths; did you mean weights\?"):
        losses.judged(batch, context=8, vocabulary=8)


def test_a_request_without_data_is_refused() -> None:
    with pytest.raises(UserError, match="no datum"):
        losses.judged(wire.batch(asked.request([])), context=8, vocabulary=8)


def test_one_bad_datum_leaves_no_gradient_of_the_good_ones(models: LocalModels) -> None:
    trainer = models.trainer("tiny", Lora(rank=2, seed=1))
    with pytest.raises(UserError, match="datum 1: "):
        asked.trained(trainer, [asked.supervised(), asked.datum([1, 2], [2])])
    assert trainer.optim_step(asked.ADAM)["grad_norm:mean"] == 0


def test_whole_numbers_do_where_floats_are_meant() -> None:
    data = types.Datum(
        model_input=types.ModelInput.from_ints([1, 2]),
        loss_fn_inputs={"target_tokens": [2, 3], "weights": np.array([0, 1])},  # type: ignore[dict-item]
    )
    _, (task,) = losses.judged(wire.batch(asked.request([data])), context=8, vocabulary=8)
    assert task.inputs["weights"].tolist() == [0.0, 1.0]
    assert task.inputs["weights"].dtype == torch.float32
