"""Samples are drawn as the parameters say, follow from the request alone, and end where they should."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch

from lab.tinker.local.sampling import TOGETHER, LocalSampler, _stops, pick
from lab.tinker.local.training import Lora, Piece, Prompt, SampleRequest, Sampling, Tensor, UserError
from tests.tinker.models import asked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lab.tinker.local.bases import Base
    from lab.tinker.local.models import LocalModels

SHARES = (0.1, 0.4, 0.2, 0.1, 0.2)  # of five tokens; 2 and 4 are as likely as each other, and so are 0 and 3
LOGITS = torch.tensor([math.log(share) + 3.0 for share in SHARES])


@pytest.fixture(scope="module")
def plain(models: LocalModels) -> LocalSampler:
    return models.sampler("tiny", None)


@pytest.fixture(scope="module")
def taught(models: LocalModels) -> LocalSampler:
    """It answers the prompt with GOOD, and is less sure than a base of chance."""
    trainer = models.trainer("tiny", Lora(rank=4, seed=7))
    asked.learn(trainer, 20)
    return trainer.sampler()


def shares(params: Sampling, logits: Sequence[float] | torch.Tensor = LOGITS, draws: int = 4000) -> list[float]:
    """How often each token comes, over chances that lie evenly between 0 and 1."""
    row = torch.as_tensor(logits)
    found = [0] * len(row)
    for number in range(draws):
        found[pick(row, params, (number + 0.5) / draws)] += 1
    return [count / draws for count in found]


def close(expected: Sequence[float]) -> object:
    return pytest.approx(list(expected), abs=2e-3)


def test_at_temperature_1_each_token_comes_as_often_as_it_is_likely() -> None:
    assert shares(Sampling()) == close(SHARES)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_sharpens_or_flattens(temperature: float) -> None:
    powers = [share ** (1 / temperature) for share in SHARES]
    assert shares(Sampling(temperature=temperature)) == close([each / sum(powers) for each in powers])


@pytest.mark.parametrize(
    ("top_k", "kept"), [(1, {1}), (2, {1, 2}), (3, {1, 2, 4}), (4, {0, 1, 2, 4}), (9, set(range(5)))]
)
def test_top_k_keeps_the_likeliest_and_of_equals_the_lower(top_k: int, kept: set[int]) -> None:
    total = sum(SHARES[token] for token in kept)
    expected = [share / total if token in kept else 0.0 for token, share in enumerate(SHARES)]
    assert shares(Sampling(top_k=top_k)) == close(expected)


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [(0.05, {1}), (0.39, {1}), (0.45, {1, 2}), (0.7, {1, 2, 4}), (0.85, {0, 1, 2, 4}), (0.95, set(range(5)))],
)
def test_top_p_keeps_the_fewest_that_reach_it(top_p: float, kept: set[int]) -> None:
    total = sum(SHARES[token] for token in kept)
    expected = [share / total if token in kept else 0.0 for token, share in enumerate(SHARES)]
    assert shares(Sampling(top_p=top_p)) == close(expected)


def test_top_p_is_of_what_top_k_and_temperature_left() -> None:
    # top_k leaves 0.4, 0.2, 0.2 of 0.8: half, a quarter and a quarter; 0.6 takes two of them.
    assert shares(Sampling(top_k=3, top_p=0.6)) == close([0.0, 2 / 3, 1 / 3, 0.0, 0.0])
    # At temperature 1/2 the five are 1, 16, 4, 1, 4 of 26: the first alone has 0.615.
    assert shares(Sampling(temperature=0.5, top_p=0.6)) == close([0.0, 1.0, 0.0, 0.0, 0.0])


def test_at_temperature_0_the_likeliest_is_taken_and_of_equals_the_lowest() -> None:
    assert shares(Sampling(temperature=0), draws=9) == [0.0, 1.0, 0.0, 0.0, 0.0]
    assert shares(Sampling(temperature=0), [0.0, 2.0, 1.0, 2.0], draws=9) == [0.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("chance", [0.0, math.nextafter(1.0, 0.0)])
def test_a_token_that_cannot_come_never_comes(chance: float) -> None:
    row = torch.tensor([-1e9, 0.0, -1e9])
    assert pick(row, Sampling(), chance) == 1
    assert pick(row, Sampling(top_k=2), chance) == 1


def test_weights_that_were_spoilt_are_told_and_not_sampled_from() -> None:
    with pytest.raises(UserError, match="not finite"):
        pick(torch.tensor([0.0, math.nan]), Sampling(), 0.5)


def test_the_same_request_is_answered_with_the_same_bits(plain: LocalSampler, taught: LocalSampler) -> None:
    params = Sampling(max_tokens=8, seed=3)
    first = asked.sample(plain, params, num_samples=4)
    asked.sample(taught, Sampling(max_tokens=3), num_samples=7)  # others have been here meanwhile
    assert asked.sample(plain, params, num_samples=4) == first


def test_what_it_takes_in_memory_is_its_adapter_and_not_its_base(
    models: LocalModels, plain: LocalSampler, tmp_path: Path
) -> None:
    trainer = models.trainer("tiny", Lora(rank=4, seed=7))
    trainer.save(str(tmp_path), optimizer=False)
    on_disk = (tmp_path / "adapter_model.safetensors").stat().st_size
    assert plain.size_bytes == 0
    assert 0.5 * on_disk < trainer.sampler().size_bytes < on_disk


def test_samples_differ_from_each_other_and_with_the_seed(plain: LocalSampler) -> None:
    def texts(seed: int | None) -> list[tuple[int, ...]]:
        answers = asked.sample(plain, Sampling(max_tokens=6, seed=seed, stop=[]), num_samples=5)
        return [tuple(each.tokens) for each in answers.sequences]

    drawn = [*texts(1), *texts(2), *texts(None), *texts(None)]
    assert len(set(drawn)) == 20


def test_a_sample_is_the_same_however_many_are_asked_for(plain: LocalSampler) -> None:
    params = Sampling(max_tokens=4, seed=5, stop=[])
    few = asked.sample(plain, params, num_samples=3).sequences
    many = asked.sample(plain, params, num_samples=TOGETHER + 3).sequences
    assert len(many) == TOGETHER + 3
    assert [each.tokens for each in many[:3]] == [each.tokens for each in few]


@pytest.mark.parametrize("params", [Sampling(max_tokens=5, seed=1, stop=[]), Sampling(max_tokens=5, seed=1, stop=[],
                                    temperature=0.3, top_k=9, top_p=0.9)])  # fmt: skip
def test_logprobs_are_those_of_the_model_whatever_the_temperature(
    base: Base, taught: LocalSampler, params: Sampling
) -> None:
    (answer,) = asked.sample(taught, params).sequences
    with torch.no_grad():
        rows = base.logits([*asked.PROMPT, *answer.tokens], taught._adapter).log_softmax(-1)
    whole = [float(rows[len(asked.PROMPT) - 1 + place][token]) for place, token in enumerate(answer.tokens)]
    assert answer.logprobs == pytest.approx(whole, abs=1e-5)


def test_logprobs_of_a_prompt_are_those_that_training_sees(models: LocalModels) -> None:
    trainer = models.trainer("tiny", Lora(rank=4, seed=7))
    asked.learn(trainer, 3)
    scored = asked.sample(trainer.sampler(), Sampling(max_tokens=1), [*asked.PROMPT, 5], prompt_logprobs=True).prompt
    assert scored is not None
    assert scored[0] is None
    data = asked.datum(asked.PROMPT, [*asked.PROMPT[1:], 5])
    assert scored[1:] == pytest.approx(asked.trained(trainer, [data], forward_only=True)[1][0], abs=1e-5)


def test_only_the_last_of_a_prompt_are_scored_where_that_is_asked(plain: LocalSampler) -> None:
    params = Sampling(max_tokens=1)
    whole = asked.sample(plain, params, prompt_logprobs=True, topk_prompt_logprobs=2)
    last = asked.sample(plain, params, prompt_logprobs=True, topk_prompt_logprobs=2, prompt_logprobs_last_n=2)
    assert whole.prompt is not None
    assert last.prompt == [*[None] * 7, *whole.prompt[-2:]]
    assert whole.ranked is not None
    assert last.ranked == [*[[0, 0]] * 7, *whole.ranked[-2:]]


def test_a_prompt_of_one_token_has_no_logprob(plain: LocalSampler) -> None:
    assert asked.sample(plain, Sampling(max_tokens=1), [5], prompt_logprobs=True).prompt == [None]


def test_the_most_likely_tokens_begin_with_what_temperature_0_takes(taught: LocalSampler) -> None:
    params = Sampling(max_tokens=3, temperature=0, stop=[])
    answers = asked.sample(taught, params, topk_sample_logprobs=3)
    (answer,) = answers.sequences
    assert answer.ranked is not None
    assert [row[0] for row in answer.ranked] == answer.tokens == asked.GOOD
    assert all(len(set(row)) == 3 for row in answer.ranked)


def test_the_end_of_text_ends_a_sample_and_belongs_to_it(taught: LocalSampler) -> None:
    (answer,) = asked.sample(taught, Sampling(max_tokens=9, temperature=0)).sequences
    assert (answer.tokens, answer.stop) == (asked.GOOD, "stop")


def test_an_empty_list_of_stops_ends_nothing(taught: LocalSampler) -> None:
    (answer,) = asked.sample(taught, Sampling(max_tokens=9, temperature=0, stop=[])).sequences
    assert answer.tokens[:3] == asked.GOOD
    assert (len(answer.tokens), answer.stop) == (9, "length")


@pytest.mark.parametrize(
    ("stop", "tokens"),
    [([16], [285, 16]), (["5"], [285]), ("5.", [285, 16]), (["never", "."], [285, 16]), ([999, 2], [285, 16, 2])],
)
def test_a_stop_is_a_token_or_a_text_and_may_lie_across_tokens(
    taught: LocalSampler, stop: str | list[str | int], tokens: list[int]
) -> None:
    (answer,) = asked.sample(taught, Sampling(max_tokens=5, temperature=0, stop=stop)).sequences
    assert (answer.tokens, answer.stop) == (tokens, "stop")


def test_a_stop_text_is_found_across_tokens_that_have_no_text(plain: LocalSampler) -> None:
    stops = _stops("5.", plain._base)
    assert plain._ends([285, *[400] * 20, 16], stops)  # " 5", twenty that no text has, "."
    assert not plain._ends([285, *[400] * 20], stops)


def test_a_sample_that_ends_early_leaves_the_others_as_they_were(taught: LocalSampler) -> None:
    free = asked.sample(taught, Sampling(max_tokens=6, seed=2, stop=[], temperature=4.0), num_samples=8).sequences
    cut = asked.sample(taught, Sampling(max_tokens=6, seed=2, stop=[16], temperature=4.0), num_samples=8).sequences
    assert {each.stop for each in cut} == {"stop", "length"}
    for whole, part in zip(free, cut, strict=True):
        assert part.tokens == whole.tokens[: len(part.tokens)]
        assert part.logprobs == whole.logprobs[: len(part.logprobs)]
        assert (part.stop == "stop") == (part.tokens[-1] == 16)


def test_without_a_length_a_sample_goes_on_to_the_end_of_the_context(base: Base) -> None:
    short = LocalSampler(base, None)
    (answer,) = asked.sample(short, Sampling(stop=[], seed=1), [5] * (base.context - 2)).sequences
    assert (len(answer.tokens), answer.stop) == (3, "length")
    (answer,) = asked.sample(short, Sampling(stop=[], seed=1, max_tokens=50), [5] * base.context).sequences
    assert len(answer.tokens) == 1


@pytest.mark.parametrize(
    ("params", "prompt", "fields", "words"),
    [
        (Sampling(), [], {}, "the prompt is empty"),
        (Sampling(), [5] * 2049, {}, "2049 tokens; the model takes 2048"),
        (Sampling(), [5, 512], {}, "the token 512 at 1; the model knows 0 to 511"),
        (Sampling(max_tokens=0), [5], {}, "max_tokens must be at least 1"),
        (Sampling(temperature=-1.0), [5], {}, "temperature must be 0 or more"),
        (Sampling(temperature=math.inf), [5], {}, "temperature must be 0 or more"),
        (Sampling(top_k=-2), [5], {}, "top_k"),
        (Sampling(top_p=0.0), [5], {}, "top_p must be above 0"),
        (Sampling(stop=""), [5], {}, "a stop text is empty"),
        (Sampling(), [5], {"num_samples": 0}, "num_samples must be from 1"),
        (Sampling(), [5, 6], {"prompt_logprobs_last_n": 1}, "needs prompt_logprobs"),
        (Sampling(), [5, 6], {"prompt_logprobs_last_n": 2, "prompt_logprobs": True}, "from 1 to len"),
        (Sampling(), [5], {"target_prompt_logprobs": Tensor()}, "target_prompt_logprobs is not supported"),
        (Sampling(), [5], {"prompt_alt_tokens_k": 1}, "prompt_alt_tokens_k is not supported"),
        (Sampling(), [5], {"record_stability_info": True}, "record_stability_info is not supported"),
    ],
)
def test_what_cannot_be_sampled_is_refused_in_words(
    plain: LocalSampler, params: Sampling, prompt: list[int], fields: dict[str, object], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        asked.sample(plain, params, prompt, **fields)


def test_an_image_in_a_prompt_is_refused(plain: LocalSampler) -> None:
    with pytest.raises(UserError, match="a piece of the kind image"):
        plain.sample(SampleRequest(prompt=Prompt(chunks=[Piece(type="image")])))
