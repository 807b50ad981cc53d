"""A training run: it learns, it goes on where it was saved to the bit, and PEFT sees the same model."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest
import torch

from lab.tinker.local.adapters import ALPHA, Adapter
from lab.tinker.local.training import Lora, Sampling, UserError
from tests.tinker.models import asked

if TYPE_CHECKING:
    from pathlib import Path

    from lab.tinker.local.bases import Base
    from lab.tinker.local.lora import LoraTrainer
    from lab.tinker.local.models import LocalModels

LORA = Lora(rank=4, seed=7)


def saved(trainer: LoraTrainer, folder: Path, *, optimizer: bool = True) -> str:
    folder.mkdir()
    trainer.save(str(folder), optimizer=optimizer)
    return str(folder)


def weights(trainer: LoraTrainer) -> list[list[float]]:
    return [tensor.flatten().tolist() for tensor in trainer._tensors]


def test_twenty_steps_teach_an_answer_by_heart(models: LocalModels) -> None:
    losses = asked.learn(models.trainer("tiny", LORA), 20)
    assert losses[0] / 3 == pytest.approx(math.log(512), abs=0.3)  # it knew nothing
    assert losses[-1] / 3 < 0.5


def test_the_same_seed_is_the_same_start_and_another_is_another(models: LocalModels) -> None:
    first, again, other = (weights(models.trainer("tiny", Lora(rank=4, seed=seed))) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_a_training_without_a_seed_gets_one_of_its_own(models: LocalModels) -> None:
    assert weights(models.trainer("tiny", Lora(rank=4))) != weights(models.trainer("tiny", Lora(rank=4)))


def test_a_resumed_training_is_the_unbroken_one_bit_for_bit(models: LocalModels, tmp_path: Path) -> None:
    unbroken = models.trainer("tiny", LORA)
    expected = asked.learn(unbroken, 6)

    first = models.trainer("tiny", LORA)
    before = asked.learn(first, 3)
    folder = saved(first, tmp_path / "state")
    second = models.trainer("tiny", Lora(rank=4, seed=99))
    second.load(folder, optimizer=True)
    assert second.steps == 3
    assert before + asked.learn(second, 3) == expected
    assert weights(second) == weights(unbroken)
    assert second.steps == 6


def test_what_is_saved_twice_is_the_same_bytes(models: LocalModels, tmp_path: Path) -> None:
    trainer = models.trainer("tiny", LORA)
    asked.learn(trainer, 2)
    one, two = (saved(trainer, tmp_path / name) for name in ("one", "two"))
    for name in ("adapter_config.json", "adapter_model.safetensors", "optimizer.safetensors"):
        with open(f"{one}/{name}", "rb") as a, open(f"{two}/{name}", "rb") as b:
            assert a.read() == b.read(), name


def test_weights_alone_begin_a_new_training_at_step_0(models: LocalModels, tmp_path: Path) -> None:
    trainer = models.trainer("tiny", LORA)
    asked.learn(trainer, 3)
    folder = saved(trainer, tmp_path / "weights", optimizer=False)
    fresh = models.trainer("tiny", LORA)
    fresh.load(folder, optimizer=False)
    assert weights(fresh) == weights(trainer)
    assert fresh.steps == 0
    with pytest.raises(UserError, match="no state of an optimizer"):
        fresh.load(folder, optimizer=True)


def test_a_state_from_before_the_first_step_can_be_resumed(models: LocalModels, tmp_path: Path) -> None:
    folder = saved(models.trainer("tiny", LORA), tmp_path / "state")
    resumed = models.trainer("tiny", Lora(rank=4, seed=1))
    resumed.load(folder, optimizer=True)
    assert asked.learn(resumed, 2) == asked.learn(models.trainer("tiny", LORA), 2)


def test_gradients_add_up_until_the_step(models: LocalModels) -> None:
    one, two = asked.supervised(), asked.supervised([5, 6], [7, 8, 9])
    together, apart = models.trainer("tiny", LORA), models.trainer("tiny", LORA)
    asked.trained(together, [one, two])
    asked.trained(apart, [one])
    asked.trained(apart, [two])
    assert together.optim_step(asked.ADAM) == apart.optim_step(asked.ADAM)
    assert weights(together) == weights(apart)


def test_a_step_is_adamw_with_the_parameters_of_this_step(models: LocalModels) -> None:
    """The first step of Adam moves each weight by the rate, whatever its gradient; decay shrinks it before."""
    trainer = models.trainer("tiny", LORA)
    asked.trained(trainer, [asked.supervised()])
    up = trainer._adapter.pairs["lm_head"].up
    assert up.grad is not None
    signs = up.grad.sign()
    trainer.optim_step({"learning_rate": 0.5, "eps": 1e-12})
    assert torch.allclose(up, -0.5 * signs, atol=1e-4)
    before = [tensor.detach().clone() for tensor in trainer._tensors]
    trainer.optim_step({"learning_rate": 0.5, "weight_decay": 0.1, "beta1": 0.0})  # no gradient: only decay is left
    assert all(torch.allclose(now, was * 0.95) for now, was in zip(trainer._tensors, before, strict=True))


def test_a_long_gradient_is_cut_to_the_norm_and_its_own_length_told(models: LocalModels) -> None:
    def moved(limit: float) -> tuple[float, float]:
        trainer = models.trainer("tiny", LORA)
        asked.trained(trainer, [asked.supervised()])
        # With so large an eps the step is as long as the gradient is.
        told = trainer.optim_step({"learning_rate": 1.0, "eps": 1e6, "grad_clip_norm": limit})["grad_norm:mean"]
        start = models.trainer("tiny", LORA)
        pairs = zip(trainer._tensors, start._tensors, strict=True)
        return told, math.sqrt(sum(float(((a - b).detach() ** 2).sum()) for a, b in pairs)) * 1e6

    free, cut = moved(0.0), moved(0.25)
    assert free[0] == cut[0] > 1
    assert free[1] == pytest.approx(free[0], rel=1e-2)
    assert cut[1] == pytest.approx(0.25, rel=0.1)


@pytest.mark.parametrize(
    ("adam", "words"),
    [
        ({"learning_rate": -1.0}, "learning_rate is -1.0; it must be at least 0"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"eps": math.inf}, "eps is inf"),
        ({"learning_rate": 1e38}, "learning_rate is 1e\\+38; it must be at least 0 and below 1e\\+20"),
        ({"beta1": 1.0}, "beta1 is 1.0; it must be at least 0 and below 1"),
        ({"momentum": 0.9}, "AdamW, which has no 'momentum'"),
    ],
)
def test_a_parameter_that_no_optimizer_takes_is_refused(
    models: LocalModels, adam: dict[str, float], words: str
) -> None:
    trainer = models.trainer("tiny", LORA)
    with pytest.raises(UserError, match=words):
        trainer.optim_step(adam)
    assert trainer.steps == 0


def test_a_gradient_that_is_not_finite_never_reaches_the_weights(models: LocalModels) -> None:
    trainer = models.trainer("tiny", LORA)
    before = weights(trainer)
    data = [asked.datum([1], [2], logprobs=[-200.0], advantages=[1.0])]  # the ratio overflows
    assert asked.trained(trainer, data, "importance_sampling")[0] == -math.inf
    with pytest.raises(UserError, match="the gradient is not finite"):
        trainer.optim_step(asked.ADAM)
    assert weights(trainer) == before
    assert asked.learn(trainer, 1) == asked.learn(models.trainer("tiny", LORA), 1)


def test_runs_on_one_base_do_not_see_each_other(models: LocalModels) -> None:
    alone = asked.learn(models.trainer("tiny", LORA), 4)
    one, two = models.trainer("tiny", LORA), models.trainer("tiny", Lora(rank=2, seed=3, train_mlp=False))
    losses = []
    for _ in range(4):
        losses += asked.learn(one, 1)
        asked.learn(two, 1)
    assert losses == alone


def test_a_sampler_keeps_the_weights_of_its_moment(models: LocalModels) -> None:
    trainer = models.trainer("tiny", LORA)
    sampler = trainer.sampler()
    params = Sampling(max_tokens=3, temperature=0, stop=[])
    before = asked.sample(sampler, params)
    asked.learn(trainer, 20)
    assert asked.sample(sampler, params) == before
    assert asked.sample(trainer.sampler(), params).sequences[0].tokens == asked.GOOD


def test_a_saved_adapter_samples_like_the_training_that_saved_it(models: LocalModels, tmp_path: Path) -> None:
    trainer = models.trainer("tiny", LORA)
    asked.learn(trainer, 5)
    params = Sampling(max_tokens=8, seed=1, stop=[])
    loaded = models.sampler("tiny", saved(trainer, tmp_path / "sampler", optimizer=False))
    assert asked.sample(loaded, params) == asked.sample(trainer.sampler(), params)


@pytest.mark.filterwarnings("ignore:.*:FutureWarning")  # peft calls what transformers has renamed
def test_peft_computes_the_same_bits_from_the_saved_files(
    models: LocalModels, base: Base, tiny_model: Path, tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    trainer = models.trainer("tiny", LORA)
    asked.learn(trainer, 5)
    folder = saved(trainer, tmp_path / "adapter", optimizer=False)
    plain = AutoModelForCausalLM.from_pretrained(str(tiny_model), dtype=torch.float32)
    model = PeftModel.from_pretrained(plain, folder).eval()
    with torch.no_grad():
        theirs = model(input_ids=torch.tensor([asked.PROMPT])).logits[0]
        assert torch.equal(theirs, base.logits(asked.PROMPT, trainer._adapter))
        assert not torch.equal(theirs, base.logits(asked.PROMPT, None))


@pytest.mark.parametrize(
    ("lora", "parts"),
    [
        (Lora(train_mlp=False, train_unembed=False), {"q_proj", "k_proj", "v_proj", "o_proj"}),
        (Lora(train_attn=False, train_unembed=False), {"gate_proj", "up_proj", "down_proj"}),
        (Lora(train_attn=False, train_mlp=False), {"lm_head"}),
    ],
)
def test_only_the_layers_that_were_asked_for_are_trained(base: Base, lora: Lora, parts: set[str]) -> None:
    adapter = Adapter.fresh(lora, base.layers)
    assert {name.rpartition(".")[2] for name in adapter.pairs} == parts
    assert adapter.scale == ALPHA / 32


@pytest.mark.parametrize(
    ("lora", "words"),
    [
        (Lora(rank=0), "rank is 0; it must be from 1"),
        (Lora(train_attn=False, train_mlp=False, train_unembed=False), "nothing would be trained"),
    ],
)
def test_an_adapter_that_cannot_be_is_refused(models: LocalModels, lora: Lora, words: str) -> None:
    with pytest.raises(UserError, match=words):
        models.trainer("tiny", lora)


def test_an_unknown_base_is_answered_with_those_that_there_are(models: LocalModels) -> None:
    with pytest.raises(UserError, match=r"unknown base model 'tinny'; this server has tiny; did you mean tiny\?"):
        models.trainer("tinny", LORA)


@pytest.mark.parametrize(
    ("lora", "words"),
    [(Lora(rank=2), "its rank or alpha differs"), (Lora(rank=4, train_mlp=False), "of other layers than these")],
)
def test_a_checkpoint_of_another_shape_is_refused_and_nothing_taken(
    models: LocalModels, tmp_path: Path, lora: Lora, words: str
) -> None:
    folder = saved(models.trainer("tiny", LORA), tmp_path / "state")
    other = models.trainer("tiny", lora)
    before = weights(other)
    with pytest.raises(UserError, match=words):
        other.load(folder, optimizer=False)
    with pytest.raises(UserError):
        other.load(folder, optimizer=True)
    assert weights(other) == before


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", "optimizer.safetensors"])
def test_a_torn_file_of_a_checkpoint_is_told_and_changes_nothing(
    models: LocalModels, tmp_path: Path, name: str
) -> None:
    trainer = models.trainer("tiny", LORA)
    asked.learn(trainer, 1)
    folder = saved(trainer, tmp_path / "state")
    path = tmp_path / "state" / name
    path.write_bytes(path.read_bytes()[:40])
    before = weights(trainer)
    with pytest.raises(UserError, match=r"cannot be read|not the configuration"):
        trainer.load(folder, optimizer=True)
    assert weights(trainer) == before
    assert trainer.steps == 1


def test_a_sampler_of_an_adapter_that_does_not_fit_the_base_is_refused(models: LocalModels, tmp_path: Path) -> None:
    folder = saved(models.trainer("tiny", LORA), tmp_path / "state")
    path = tmp_path / "state" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "r": 8}))
    with pytest.raises(UserError, match="does not fit the base model"):
        models.sampler("tiny", folder)
    with pytest.raises(UserError, match="no adapter is here"):
        models.sampler("tiny", str(tmp_path))
