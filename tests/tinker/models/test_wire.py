"""What the real SDK sends is understood, and it understands what comes back."""

from __future__ import annotations

import math

import pytest
import torch
from tinker import types
from tinker.proto import tinker_public_pb2 as messages
from tinker.proto.response_conv import deserialize_forward_backward_output, deserialize_sample_response

from lab.tinker.local import wire
from lab.tinker.local.training import UserError
from tests.tinker.models import asked


def test_a_request_of_the_sdk_comes_out_as_it_went_in() -> None:
    data = [asked.datum([1, 2], [2, 3], weights=[0.5, -1.0]), asked.datum([4], [5])]
    batch = wire.batch(asked.request(data, "ppo", {"clip_low_threshold": 0.75}, forward_only=True))
    assert batch == wire.Batch(
        loss="ppo",
        config={"clip_low_threshold": 0.75},
        items=[
            wire.Item(tokens=[1, 2], inputs={"target_tokens": [2, 3], "weights": [0.5, -1.0]}),
            wire.Item(tokens=[4], inputs={"target_tokens": [5]}),
        ],
        forward_only=True,
    )


def test_an_input_in_pieces_is_one_input() -> None:
    pieces = types.ModelInput.from_ints([1, 2]).append_int(3)
    data = types.Datum(model_input=pieces, loss_fn_inputs={})
    assert wire.batch(asked.request([data])).items[0].tokens == [1, 2, 3]


def test_settings_of_an_older_client_are_read_where_there_are_no_newer_ones() -> None:
    message = messages.ForwardBackwardRequest(loss_fn="ppo")
    message.loss_fn_config["clip_low_threshold"] = 0.5
    assert wire.batch(message.SerializeToString()).config == {"clip_low_threshold": 0.5}


def image() -> bytes:
    message = messages.ForwardBackwardRequest()
    message.data.add().model_input.add().image.data = b"png"
    return bytes(message.SerializeToString())


def with_tensor(**fields: object) -> bytes:
    message = messages.ForwardBackwardRequest()
    message.data.add().loss_fn_inputs["weights"].CopyFrom(messages.Tensor(**fields))  # type: ignore[arg-type]
    return bytes(message.SerializeToString())


def sparse() -> bytes:
    """As the SDK makes one by itself of a wide tensor that is mostly zero."""
    targets = torch.zeros(3, 20, dtype=torch.int64)
    targets[0, 1] = 1
    data = types.Datum(model_input=types.ModelInput.from_ints([1, 2, 3]), loss_fn_inputs={"target_tokens": targets})  # type: ignore[dict-item]
    return asked.request([data])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xff", "not a ForwardBackwardRequest"),
        (image(), "datum 0: its input has a piece of the kind image; only tokens"),
        (sparse(), "datum 0: target_tokens is sparse"),
        (asked.request([asked.datum([1], [[1, 2]])]), r"target_tokens has the shape \[1, 2\]; only one dimension"),  # type: ignore[list-item]
        (with_tensor(dense=b"12345", dtype=messages.DTYPE_FLOAT32), "5 bytes are no whole number of float32"),
        (with_tensor(dense=b"12", dtype=messages.DTYPE_BFLOAT16), "has the number type 4"),
        (with_tensor(dense=b"1234", dtype=messages.DTYPE_FLOAT32, shape=[2]), "has 1 numbers, but says that it has 2"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(data: bytes, words: str) -> None:
    with pytest.raises(UserError, match=words):
        wire.batch(data)


def test_the_sdk_reads_the_logprobs_of_each_datum_and_the_metrics() -> None:
    output = deserialize_forward_backward_output(wire.trained([[-0.5, -1.5], [], [-2.0]], {"loss:sum": 4.0}))
    assert [each["logprobs"].tolist() for each in output.loss_fn_outputs] == [[-0.5, -1.5], [], [-2.0]]
    assert output.metrics == {"loss:sum": 4.0}


def test_the_sdk_reads_a_loss_that_is_not_a_number_as_such() -> None:
    output = deserialize_forward_backward_output(wire.trained([[-1.0]], {"loss:sum": math.nan}))
    assert math.isnan(output.metrics["loss:sum"])


def test_the_sdk_reads_samples_with_and_without_all_that_may_be_asked_for() -> None:
    ranked = [wire.Ranked(tokens=[7, 8], logprobs=[-0.25, -1.0])]
    sequences = [
        wire.Continuation(tokens=[7], logprobs=[-0.25], stopped=True, ranked=ranked),
        wire.Continuation(tokens=[1, 2], logprobs=[-1.0, -2.0], stopped=False),
    ]
    answer = deserialize_sample_response(
        wire.sampled(sequences, prompt_logprobs=[None, -3.0], prompt_ranked=[wire.Ranked(), *ranked], width=2)
    )
    assert [(each.stop_reason, list(each.tokens)) for each in answer.sequences] == [("stop", [7]), ("length", [1, 2])]
    assert list(answer.sequences[1].logprobs or []) == [-1.0, -2.0]
    assert answer.sequences[0].topk_logprobs_np is not None
    assert answer.sequences[0].topk_logprobs_np.token_ids.tolist() == [[7, 8]]
    assert answer.sequences[1].topk_logprobs_np is None
    assert list(answer.prompt_logprobs or []) == [None, -3.0]
    assert answer.topk_prompt_logprobs_np is not None
    assert answer.topk_prompt_logprobs_np.token_ids.tolist() == [[0, 0], [7, 8]]
    assert answer.topk_prompt_logprobs_np.logprobs.tolist() == [[-99999, -99999], [-0.25, -1.0]]

    plain = deserialize_sample_response(wire.sampled(sequences))
    assert plain.prompt_logprobs is None
    assert plain.topk_prompt_logprobs_np is None
