"""Continuations of a prompt, and how likely a prompt was.

What comes out follows from the request and the weights alone. The samples of one request go through the model together
and share the work on the prompt; those of another request never join them, for a sum over a larger batch may differ in
its last bit, and a draw near a border would then hang on who else was there.

Logprobs are those of the model itself: neither temperature nor top_k nor top_p changes them.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import msgspec
import torch

from lab.tinker.local import wire
from lab.tinker.local.training import MOST_SAMPLES, SampleRequest, Sampling, UserError

if TYPE_CHECKING:
    from torch import Tensor

    from lab.tinker.local.adapters import Adapter
    from lab.tinker.local.bases import Base

TOGETHER = 32  # samples that go through the model at once: the memory of their pasts is what bounds it
MOST_RANKED = 100


class Stops(msgspec.Struct, frozen=True, kw_only=True):
    """Where a continuation ends. The token that ends it belongs to it."""

    tokens: frozenset[int]
    texts: tuple[str, ...] = ()

    @property
    def window(self) -> int:
        """So many last tokens hold any stop text that ends in the last one, where each of them has a byte of text."""
        return max((len(text.encode()) for text in self.texts), default=0) + 4


class Growing:
    """One continuation that is being made."""

    def __init__(self, seed: int, number: int) -> None:
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.ranked: list[wire.Ranked] = []
        self.stopped = False
        # Named by both: were it seed + number, two requests with seeds in a row would share all but one sample.
        self.chance = random.Random(f"{seed}/{number}")


class LocalSampler:
    """A base model, or one with an adapter that nothing changes any more."""

    def __init__(self, base: Base, adapter: Adapter | None) -> None:
        self._base = base
        self._adapter = adapter

    @property
    def size_bytes(self) -> int:
        return 0 if self._adapter is None else sum(each.nbytes for each in self._adapter.tensors.values())

    def sample(self, request: SampleRequest) -> bytes:
        prompt = _prompt(request, self._base)
        params = request.sampling_params
        _check(request, len(prompt))
        stops = _stops(params.stop, self._base)
        room = self._base.context - len(prompt) + 1  # the last token is put out, and never goes in
        longest = room if params.max_tokens is None else min(params.max_tokens, room)
        seed = random.SystemRandom().getrandbits(63) if params.seed is None else params.seed
        every = [Growing(seed, number) for number in range(request.num_samples)]
        with torch.no_grad():
            logits = self._grow(prompt, every[:TOGETHER], request, stops, longest)
            for first in range(TOGETHER, len(every), TOGETHER):
                self._grow(prompt, every[first : first + TOGETHER], request, stops, longest)
        wanted = bool(request.prompt_logprobs)
        first_scored = len(prompt) - (request.prompt_logprobs_last_n or len(prompt))
        logprobs = logits.log_softmax(-1)
        return wire.sampled(
            [_told(each) for each in every],
            prompt_logprobs=_scored(logprobs, prompt, first_scored) if wanted else None,
            prompt_ranked=_ranked_prompt(logprobs, first_scored, request.topk_prompt_logprobs),
            width=request.topk_prompt_logprobs,
        )

    def _grow(
        self, prompt: list[int], group: list[Growing], request: SampleRequest, stops: Stops, longest: int
    ) -> Tensor:
        """Let a group grow to its ends. The logits of the prompt come back.

        Those that have ended stay in the batch until the last has: what the others are may not hang on it.
        """
        logits, cache = self._base.begin(prompt, self._adapter)
        cache = cache.repeated(len(group))
        rows = logits[-1:].expand(len(group), -1)
        for left in range(longest - 1, -1, -1):
            newest = []
            for row, each in zip(rows, group, strict=True):
                ended = each.stopped
                newest.append(each.tokens[-1] if ended else _draw(row, each, request))
                each.stopped = ended or self._ends(each.tokens, stops)
            if not left or all(each.stopped for each in group):
                break
            rows = self._base.go_on(newest, cache, self._adapter)
        return logits

    def _ends(self, tokens: list[int], stops: Stops) -> bool:
        if tokens[-1] in stops.tokens:
            return True
        if not stops.texts:
            return False
        spelt = [token for token in tokens if token < self._base.spelt]
        text = self._base.text(spelt[-stops.window :])
        return any(each in text for each in stops.texts)


def _draw(row: Tensor, into: Growing, request: SampleRequest) -> int:
    """One more token, with its logprob."""
    logprobs = row.log_softmax(-1)
    token = pick(row, request.sampling_params, into.chance.random())
    into.tokens.append(token)
    into.logprobs.append(float(logprobs[token]))
    if request.topk_sample_logprobs:
        into.ranked.append(_most_likely(logprobs, request.topk_sample_logprobs))
    return token


def pick(logits: Tensor, params: Sampling, chance: float) -> int:
    """The token that a number from 0 up to 1 stands for. Of equally likely tokens, the lower comes first.

    At temperature 0 it is the likeliest. top_k keeps the likeliest k; top_p then the fewest of those that reach it.
    """
    if not bool(torch.isfinite(logits).all()):
        raise UserError("the model's logits are not finite: its weights were spoilt by a step of the training")
    if params.temperature == 0:
        return int((logits == logits.max()).nonzero()[0])
    scaled = logits.double() / params.temperature
    if params.top_k < 1 and params.top_p >= 1:
        return _at(scaled.softmax(-1), chance)
    ordered, ids = scaled.sort(descending=True, stable=True)
    if params.top_k >= 1:
        ordered, ids = ordered[: params.top_k], ids[: params.top_k]
    shares = ordered.softmax(-1)
    if params.top_p < 1:
        before = shares.cumsum(-1) - shares
        shares = shares[: max(1, int((before < params.top_p).sum()))]
    return int(ids[_at(shares, chance)])


def _at(shares: Tensor, chance: float) -> int:
    """The place at which the sum of the shares passes that part of all of them; never one whose share is nothing."""
    sums = shares.cumsum(-1)
    place = int(torch.searchsorted(sums, chance * sums[-1], right=True))
    return min(place, int(shares.nonzero()[-1]))


def _prompt(request: SampleRequest, base: Base) -> list[int]:
    tokens: list[int] = []
    for piece in request.prompt.chunks:
        if piece.type != "encoded_text":
            raise UserError(f"the prompt has a piece of the kind {piece.type}; only tokens are supported here")
        tokens += piece.tokens
    if not tokens:
        raise UserError("the prompt is empty; it must hold a token")
    if len(tokens) > base.context:
        raise UserError(f"the prompt has {len(tokens)} tokens; the model takes {base.context} at most")
    for place, token in enumerate(tokens):
        if not 0 <= token < base.vocabulary:
            raise UserError(f"the prompt has the token {token} at {place}; the model knows 0 to {base.vocabulary - 1}")
    return tokens


def _check(request: SampleRequest, prompt: int) -> None:
    """What is asked for must be possible, and be supported here."""
    params, last = request.sampling_params, request.prompt_logprobs_last_n
    refusals = (
        (not 1 <= request.num_samples <= MOST_SAMPLES, f"num_samples must be from 1 to {MOST_SAMPLES}"),
        (params.max_tokens is not None and params.max_tokens < 1, "max_tokens must be at least 1"),
        (not 0 <= params.temperature < math.inf, "temperature must be 0 or more, and finite"),
        (params.top_k < -1, "top_k must be -1 (no limit) or more"),
        (not 0 < params.top_p <= 1, "top_p must be above 0, and 1 at most"),
        (not 0 <= request.topk_prompt_logprobs <= MOST_RANKED, f"topk_prompt_logprobs must be 0 to {MOST_RANKED}"),
        (not 0 <= request.topk_sample_logprobs <= MOST_RANKED, f"topk_sample_logprobs must be 0 to {MOST_RANKED}"),
        (last is not None and not request.prompt_logprobs, "prompt_logprobs_last_n needs prompt_logprobs"),
        (last is not None and not 1 <= last < prompt, "prompt_logprobs_last_n must be from 1 to len(prompt) - 1"),
        (request.target_prompt_logprobs is not None, "target_prompt_logprobs is not supported here"),
        (request.prompt_alt_tokens_k != 0, "prompt_alt_tokens_k is not supported here"),
        (bool(request.record_stability_info), "record_stability_info is not supported here"),
    )
    for refused, why in refusals:
        if refused:
            raise UserError(why)


def _stops(stop: str | list[str | int] | None, base: Base) -> Stops:
    if stop is None:
        return Stops(tokens=base.ends)
    listed = [stop] if isinstance(stop, str) else stop
    texts = tuple(each for each in listed if isinstance(each, str))
    if "" in texts:
        raise UserError("a stop text is empty; every continuation would end at once")
    return Stops(tokens=frozenset(each for each in listed if isinstance(each, int)), texts=texts)


def _told(each: Growing) -> wire.Continuation:
    return wire.Continuation(tokens=each.tokens, logprobs=each.logprobs, stopped=each.stopped, ranked=each.ranked)


def _scored(logprobs: Tensor, prompt: list[int], first: int) -> list[float | None]:
    """How likely each token was after those before it. The first has none, nor have those that nobody asked for."""
    found = logprobs[:-1].gather(-1, torch.tensor(prompt[1:], dtype=torch.int64)[:, None])[:, 0].tolist()
    return [value if place >= first else None for place, value in enumerate([None, *found])]


def _ranked_prompt(logprobs: Tensor, first: int, width: int) -> list[wire.Ranked]:
    """For each token of the prompt, what was likely in its place."""
    if not width:
        return []
    rows = [wire.Ranked(), *(_most_likely(row, width) for row in logprobs[:-1])]
    return [row if place >= first else wire.Ranked() for place, row in enumerate(rows)]


def _most_likely(logprobs: Tensor, width: int) -> wire.Ranked:
    values, ids = logprobs.sort(descending=True, stable=True)
    return wire.Ranked(tokens=ids[:width].tolist(), logprobs=values[:width].tolist())
