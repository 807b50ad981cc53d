"""Requests as the SDK would send them, and answers as it would read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from tinker import types
from tinker.proto.request_conv import forward_backward_request_to_proto
from tinker.proto.response_conv import deserialize_forward_backward_output, deserialize_sample_response
from tinker.types.forward_backward_input import ForwardBackwardInput
from tinker.types.forward_backward_request import ForwardBackwardRequest

from lab.tinker.local.training import Piece, Prompt, SampleRequest, Sampling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.tinker.local.training import Sampler, Trainer

PROMPT = [281, 264, 283, 282, 284, 33, 263, 297, 264]  # "what is 2 + 3? the answer is"
GOOD = [285, 16, 2]  # " 5." and the end
ADAM = {"learning_rate": 5e-3, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8}


def datum(tokens: Sequence[int], targets: Sequence[int], **lists: Sequence[float]) -> types.Datum:
    inputs = {"target_tokens": list(targets), **{name: list(values) for name, values in lists.items()}}
    return types.Datum(model_input=types.ModelInput.from_ints(list(tokens)), loss_fn_inputs=inputs)  # type: ignore[arg-type]


def supervised(prompt: Sequence[int] = PROMPT, completion: Sequence[int] = GOOD) -> types.Datum:
    joined = [*prompt, *completion]
    weights = [0.0] * (len(prompt) - 1) + [1.0] * len(completion)
    return datum(joined[:-1], joined[1:], weights=weights)


def request(
    data: Sequence[types.Datum],
    loss: str = "cross_entropy",
    config: Mapping[str, float | str] | None = None,
    *,
    forward_only: bool = False,
) -> bytes:
    given = ForwardBackwardInput(data=list(data), loss_fn=loss, loss_fn_config=config)  # type: ignore[arg-type]
    message = forward_backward_request_to_proto(
        ForwardBackwardRequest(forward_backward_input=given, model_id="m", seq_id=1)
    )
    message.forward_only = forward_only
    return bytes(message.SerializeToString())


def trained(
    trainer: Trainer,
    data: Sequence[types.Datum],
    loss: str = "cross_entropy",
    config: Mapping[str, float | str] | None = None,
    *,
    forward_only: bool = False,
) -> tuple[float, list[list[float]]]:
    """The loss, and the logprobs of each datum."""
    answer = trainer.forward_backward(request(data, loss, config, forward_only=forward_only))
    output = deserialize_forward_backward_output(answer)
    return output.metrics["loss:sum"], [each["logprobs"].tolist() for each in output.loss_fn_outputs]


def learn(trainer: Trainer, steps: int) -> list[float]:
    """Some steps on one answer; the loss before each."""
    losses = []
    for _ in range(steps):
        losses.append(trained(trainer, [supervised()])[0])
        trainer.optim_step(ADAM)
    return losses


class Answer(msgspec.Struct):
    tokens: list[int]
    logprobs: list[float]
    stop: str
    ranked: list[list[int]] | None = None


class Answers(msgspec.Struct):
    sequences: list[Answer]
    prompt: list[float | None] | None = None
    ranked: list[list[int]] | None = None


def sample(sampler: Sampler, params: Sampling, prompt: Sequence[int] = PROMPT, **fields: object) -> Answers:
    made = SampleRequest(prompt=Prompt(chunks=[Piece(tokens=list(prompt))]), sampling_params=params)
    answer = deserialize_sample_response(sampler.sample(msgspec.structs.replace(made, **fields)))
    ranked = answer.topk_prompt_logprobs_np
    return Answers(
        [
            Answer(
                list(each.tokens),
                list(each.logprobs or []),
                each.stop_reason,
                each.topk_logprobs_np.token_ids.tolist() if each.topk_logprobs_np else None,
            )
            for each in answer.sequences
        ],
        list(answer.prompt_logprobs) if answer.prompt_logprobs else None,
        ranked.token_ids.tolist() if ranked else None,
    )
