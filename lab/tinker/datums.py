"""Rows of a data set as sequences to train on: shifted by one, and weighed where something is to be learned. Pure.

What a model is asked is never cut; an answer may be, and then nothing says where it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, nearest
from lab.tinker import dataset
from lab.tinker.data import Datum
from lab.tinker.dataset import Message
from lab.tinker.tokenizer import Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.tinker.dataset import Demonstration, Example, Pair
    from lab.tinker.tokenizer import Tokenizer

REFUSE, TRUNCATE = "refuse", "truncate"
LONG = (REFUSE, TRUNCATE)  # what becomes of a row that has more than max_tokens


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How rows become tokens: `chat` writes them as the model's template does, `where` is the file in errors."""

    where: str
    max_tokens: int = 2048  # of one sequence
    long: str = REFUSE
    chat: bool = False


def demonstrations(tokenizer: Tokenizer, rows: Sequence[Demonstration], limits: Limits) -> list[Datum]:
    """Learn to give these answers: those after a prompt, and all that the assistant says in a dialogue."""
    return [
        joined(parts) for parts in _fitted([(row.line, _demonstration(tokenizer, row, limits)) for row in rows], limits)
    ]


def pairs(tokenizer: Tokenizer, rows: Sequence[Pair], limits: Limits) -> list[tuple[Datum, Datum]]:
    """The better and the worse answer of each row."""
    both = [
        (row.line, _answered(tokenizer, row.prompt, text, limits))
        for row in rows
        for text in (row.chosen, row.rejected)
    ]
    data = [joined(parts) for parts in _fitted(both, limits)]
    return list(zip(data[::2], data[1::2], strict=True))


def prompts(tokenizer: Tokenizer, rows: Sequence[Example], limits: Limits) -> list[list[int]]:
    """What a model is asked, as tokens. One that leaves no room for an answer is refused, and never cut."""
    found = [tokenizer.ask(row.prompt, chat=limits.chat) for row in rows]
    lengths = {row.line: len(tokens) + 1 for row, tokens in zip(rows, found, strict=True)}
    dataset.refuse_too_long(lengths, limits.max_tokens, limits.where)
    return found


def joined(parts: Sequence[Part]) -> Datum:
    """One sequence. Each token but the first is a target; it weighs something where it is learned."""
    tokens = [token for part in parts for token in part.tokens]
    weights = [float(part.is_learned) for part in parts for _ in part.tokens]
    return Datum(tokens=tokens[:-1], targets=tokens[1:], weights=weights[1:])


def whole(datum: Datum) -> list[int]:
    """The sequence before it was shifted: what log-probabilities of all targets are asked for with."""
    return [*datum.tokens, *datum.targets[-1:]]


def weighed(datum: Datum, factor: float) -> Datum:
    """The same, with each weight `factor` times as large. A factor below zero makes what it learned less likely."""
    return msgspec.structs.replace(datum, weights=[weight * factor for weight in datum.weights or []])


def score(datum: Datum, logprobs: Sequence[float]) -> float:
    """The log-probability of what is learned, in nats: the sum over its tokens."""
    return sum(weight * each for weight, each in zip(datum.weights or [], logprobs, strict=True))


def nll(data: Sequence[Datum], logprobs: Sequence[Sequence[float]]) -> float:
    """What a learned token costs, in nats, over all of them. Fewer is better; the same for every cut into batches."""
    weight = sum(sum(datum.weights or []) for datum in data)
    return -sum(score(datum, each) for datum, each in zip(data, logprobs, strict=True)) / weight


def label(tokenizer: Tokenizer, text: str) -> int:
    """The one token of a label, which a judge answers with."""
    tokens = tokenizer.encode(text)
    if len(tokens) != 1:
        what = f"the label {text!r} is {len(tokens)} tokens, and a judge answers with one"
        raise BadInput(what, where=tokenizer.folder, fix="take another label, such as A, 1 or yes")
    return tokens[0]


def _demonstration(tokenizer: Tokenizer, row: Demonstration, limits: Limits) -> list[Part]:
    if not row.messages:
        return _answered(tokenizer, row.prompt, row.completion, limits)
    try:
        return tokenizer.dialogue(row.messages)
    except BadInput as refusal:
        raise BadInput(f"line {row.line}: {refusal.what}", where=limits.where, fix=refusal.fix) from refusal


def _answered(tokenizer: Tokenizer, prompt: str, answer: str, limits: Limits) -> list[Part]:
    if limits.chat:
        return tokenizer.dialogue([Message("user", prompt), Message("assistant", answer)])
    return [Part(tokenizer.begin(prompt), is_learned=False), Part(tokenizer.finish(answer), is_learned=True)]


def _fitted(rows: Sequence[tuple[int, list[Part]]], limits: Limits) -> list[list[Part]]:
    """The rows, none of them longer than a sequence may be."""
    if limits.long not in LONG:
        near = nearest(limits.long, LONG)
        hint = f"did you mean {near}?" if near else f"known are {' and '.join(LONG)}"
        raise BadInput(f"long is {limits.long!r}", where=limits.where, fix=hint)
    if limits.long == REFUSE:
        lengths: dict[int, int] = {}
        for line, parts in rows:
            lengths[line] = max(lengths.get(line, 0), _length(parts))
        dataset.refuse_too_long(lengths, limits.max_tokens, limits.where)
        return [parts for _, parts in rows]
    cut = [(line, _cut(parts, limits.max_tokens)) for line, parts in rows]
    empty = dict.fromkeys(line for line, parts in cut if not any(part.is_learned and part.tokens for part in parts))
    told = [f"line {line}: the prompt alone takes all of max_tokens, {limits.max_tokens:,}" for line in empty]
    dataset.refuse(told, limits.where, "raise max_tokens, or shorten them: what is asked is never cut")
    return [parts for _, parts in cut]


def _cut(parts: Sequence[Part], most: int) -> list[Part]:
    kept: list[Part] = []
    for part in parts:
        kept.append(Part(part.tokens[:most], part.is_learned))
        most -= len(kept[-1].tokens)
    return kept


def _length(parts: Sequence[Part]) -> int:
    return sum(len(part.tokens) for part in parts)
