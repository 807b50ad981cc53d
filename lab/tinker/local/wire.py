"""The service's protocol buffers: requests into records of ours, results into bytes.

The messages are those that the SDK brings with it, so they are its version's by construction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from google.protobuf.message import DecodeError
from tinker.proto import tinker_public_pb2 as messages

from lab.tinker.local.training import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NUMBERS: Mapping[int, type[np.generic]] = {
    messages.DTYPE_FLOAT32: np.float32,
    messages.DTYPE_INT64: np.int64,
    messages.DTYPE_INT32: np.int32,
}
NO_TOKEN, NO_LOGPROB = 0, -99999.0  # what stands in a cell of the most likely tokens that has none


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One datum: the tokens that go into the model, and the lists that its loss reads."""

    tokens: list[int]
    inputs: dict[str, list[float]]


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A `ForwardBackwardRequest`. Its numbers are as they came: `losses` judges them."""

    loss: str
    config: dict[str, float]
    items: list[Item]
    forward_only: bool


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """The most likely tokens of one position, the likeliest first. Empty where nothing was to be said."""

    tokens: list[int] = []
    logprobs: list[float] = []


class Continuation(msgspec.Struct, frozen=True, kw_only=True):
    """One continuation."""

    tokens: list[int]
    logprobs: list[float]
    stopped: bool
    ranked: list[Ranked] = []


def batch(data: bytes) -> Batch:
    """What a client asks to train on."""
    message = messages.ForwardBackwardRequest()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise UserError(f"not a ForwardBackwardRequest: {error}") from error
    return Batch(
        loss=message.loss_fn,
        config=_config(message),
        items=[_item(number, datum) for number, datum in enumerate(message.data)],
        forward_only=message.forward_only,
    )


def trained(logprobs: Sequence[Sequence[float]], metrics: Mapping[str, float]) -> bytes:
    """A `ForwardBackwardOutput`: for each datum the logprobs of its targets, and the metrics of all."""
    message = messages.ForwardBackwardOutput(loss_fn_output_type="ArrayRecord")
    record = message.loss_fn_outputs.add()
    record.type_tag = "ArrayRecord"
    record.num_datums = len(logprobs)
    rows = [np.asarray(row, dtype=np.float32) for row in logprobs]
    field = record.fields["logprobs"]
    field.dtype = messages.DTYPE_FLOAT32
    field.data = b"".join(row.tobytes() for row in rows)
    field.offsets = np.cumsum([0, *(row.nbytes for row in rows)], dtype=np.int64).tobytes()
    for name, value in metrics.items():
        message.metrics[name] = value
    return bytes(message.SerializeToString(deterministic=True))


def sampled(
    sequences: Sequence[Continuation],
    *,
    prompt_logprobs: Sequence[float | None] | None = None,
    prompt_ranked: Sequence[Ranked] = (),
    width: int = 0,
) -> bytes:
    """A `SampleResponse`. `width` is how many of the most likely tokens of the prompt were asked for."""
    message = messages.SampleResponse()
    for each in sequences:
        sequence = message.sequences.add()
        sequence.stop_reason = messages.STOP_REASON_STOP if each.stopped else messages.STOP_REASON_LENGTH
        sequence.tokens = np.asarray(each.tokens, dtype=np.int32).tobytes()
        sequence.logprobs = np.asarray(each.logprobs, dtype=np.float32).tobytes()
        if each.ranked:
            _fill(sequence.topk_sampled_logprobs, each.ranked, max(len(row.tokens) for row in each.ranked))
    if prompt_logprobs is not None:
        row = [np.nan if value is None else value for value in prompt_logprobs]
        message.prompt_logprobs = np.asarray(row, dtype=np.float32).tobytes()
    if width:
        _fill(message.topk_prompt_logprobs, prompt_ranked, width)
    return bytes(message.SerializeToString(deterministic=True))


def _fill(message: messages.TopkLogprobs, rows: Sequence[Ranked], width: int) -> None:
    """A full rectangle, row by row."""
    tokens = np.full((len(rows), width), NO_TOKEN, dtype=np.int32)
    logprobs = np.full((len(rows), width), NO_LOGPROB, dtype=np.float32)
    for number, row in enumerate(rows):
        tokens[number, : len(row.tokens)] = row.tokens
        logprobs[number, : len(row.logprobs)] = row.logprobs
    message.token_ids, message.logprobs = tokens.tobytes(), logprobs.tobytes()
    message.k, message.length = width, len(rows)


def _config(message: messages.ForwardBackwardRequest) -> dict[str, float]:
    """The numbers beside the loss. A newer client says them twice, and the second way is the one that counts."""
    if not message.loss_fn_config_v2:
        return dict(message.loss_fn_config)
    config = {}
    for name, value in message.loss_fn_config_v2.items():
        if value.WhichOneof("value") != "number":
            raise UserError(f"loss_fn_config: {name} is {value.text!r}; only numbers are supported here")
        config[name] = value.number
    return config


def _item(number: int, datum: messages.Datum) -> Item:
    tokens: list[int] = []
    for chunk in datum.model_input:
        kind = chunk.WhichOneof("chunk")
        if kind != "encoded_text":
            raise UserError(f"datum {number}: its input has a piece of the kind {kind}; only tokens are supported here")
        numbers = _numbers(f"datum {number}: its tokens", chunk.encoded_text.tokens, messages.DTYPE_INT32)
        tokens += [int(each) for each in numbers]
    inputs = {name: _tensor(f"datum {number}: {name}", tensor) for name, tensor in datum.loss_fn_inputs.items()}
    return Item(tokens=tokens, inputs=inputs)


def _tensor(what: str, tensor: messages.Tensor) -> list[float]:
    if tensor.WhichOneof("encoding") == "sparse_csr":
        raise UserError(f"{what} is sparse; only dense tensors are supported here")
    if len(tensor.shape) > 1:
        raise UserError(f"{what} has the shape {list(tensor.shape)}; only one dimension is supported here")
    numbers = _numbers(what, tensor.dense, tensor.dtype)
    if list(tensor.shape) not in ([], [len(numbers)]):
        raise UserError(f"{what} has {len(numbers)} numbers, but says that it has {tensor.shape[0]}")
    return numbers


def _numbers(what: str, data: bytes, dtype: int) -> list[float]:
    kind = NUMBERS.get(dtype)
    if kind is None:
        raise UserError(f"{what} has the number type {dtype}; float32, int64 and int32 are supported here")
    try:
        return list(np.frombuffer(data, dtype=kind).tolist())
    except ValueError as error:
        raise UserError(f"{what}: {len(data)} bytes are no whole number of {np.dtype(kind).name}") from error
