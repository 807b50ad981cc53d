"""What a recipe works with: its params, its files, the model under training, and others to sample from.

Every call is one answer of the service, waited for no longer than the SPEC says, and counted. Futures stay inside.
"""

from __future__ import annotations

import hashlib
import os
from random import Random
from typing import TYPE_CHECKING, Protocol

from lab.core.errors import BadInput, NotFound
from lab.tinker import paths, tokenizer, used
from lab.tinker.data import Adam, Wish

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tinker import SamplingClient

    from lab.core.chunk import Ends, Order
    from lab.core.parameter import Scalar
    from lab.tinker.data import Datum, Sample, Trained
    from lab.tinker.session import Session
    from lab.tinker.tokenizer import Tokenizer

_SEED_BITS = 31  # a seed of the service is a small whole number
_MOST_SAMPLERS = 8  # models other than the one under training that are held at a time


class Open(Protocol):
    """Gives the session once its model is there; makes it on the first call."""

    def __call__(self) -> Session: ...


class Sampler:
    """A model that answers."""

    def __init__(self, job: Job, client: SamplingClient) -> None:
        self._job = job
        self._client = client

    def sample(
        self,
        prompt: Sequence[int],
        n: int = 1,
        *,
        max_tokens: int,
        temperature: float = 1.0,
        seed: int | None = None,
        stop: Sequence[str] | Sequence[int] | None = None,
    ) -> list[Sample]:
        """`n` continuations of a prompt. Without a seed the call has one of its own, which follows from the step."""
        seeds = None if seed is None else [seed]
        return self.sample_each(
            [prompt], n, max_tokens=max_tokens, temperature=temperature, seeds=seeds, stop=stop
        )[0]  # fmt: skip

    def sample_each(
        self,
        prompts: Sequence[Sequence[int]],
        n: int = 1,
        *,
        max_tokens: int,
        temperature: float = 1.0,
        seeds: Sequence[int] | None = None,
        stop: Sequence[str] | Sequence[int] | None = None,
    ) -> list[list[Sample]]:
        """The same for many prompts, which are asked at once; `seeds` has one for each."""
        seeds = self._job.seeds(len(prompts)) if seeds is None else list(seeds)
        if len(seeds) != len(prompts):
            raise BadInput(f"{len(prompts)} prompts were given {len(seeds)} seeds", fix="give each prompt its own")
        wish = Wish(max_tokens=max_tokens, temperature=temperature, seeds=seeds, stop=_stop(stop))
        return self._job.ask().sample(self._client, prompts, n, wish)

    def logprobs(self, tokens: Sequence[int]) -> list[float]:
        """How likely each token was after those before it; one number fewer than tokens, the first has none."""
        return self.logprobs_each([tokens])[0]

    def logprobs_each(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """The same for many sequences, which are asked at once."""
        return self._job.ask().logprobs(self._client, sequences)


class Job:
    """One chunk, as its recipe sees it."""

    def __init__(self, order: Order, folders: Sequence[str], opener: Open, check: Callable[[], None]) -> None:
        self.order = order
        self.params: Mapping[str, Scalar] = order.params
        self.earlier: Mapping[str, Ends] = order.earlier  # by tier: what the trainings before this one left
        self.fixed: Mapping[str, str] = {}  # the paths of the models that were fixed before step 0
        self.end = order.until  # where the training ends: a schedule falls towards this step
        self.has_trained = False  # in the step under way
        self.used: dict[str, str] = {}  # the files that the recipe asked for, by their digests
        self._step: int | None = None
        self._drawn = 0
        self._folders = folders
        self._open, self._check = opener, check
        self._current: Sampler | None = None
        self._samplers: dict[str, Sampler] = {}
        self._tokenizer: Tokenizer | None = None

    # -- what it was told ---------------------------------------------------------------------------------------

    def number(self, name: str, default: float) -> float:
        """A param as a number."""
        value = self.params.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._unfit(name, "a number")
        return float(value)

    def whole(self, name: str, default: int) -> int:
        """A param as a whole number."""
        value = self.params.get(name)
        if value is None:
            return default
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._unfit(name, "a whole number")
        return value

    def text(self, name: str, default: str) -> str:
        """A param as a word."""
        value = self.params.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self._unfit(name, "a word")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """A param as yes or no."""
        value = self.params.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._unfit(name, "true or false")
        return value

    def file(self, path: str) -> str:
        """Where a file is: beside the recipe, or else in the workspace."""
        places = [path] if os.path.isabs(path) else [f"{folder}/{path}" for folder in self._folders if folder]
        for place in places:
            if os.path.exists(place):
                if path not in self.used and os.path.isfile(place):
                    self.used[path] = used.digest(place)
                return place
        raise NotFound(f"there is no {path}", where=" or ".join(self._folders), fix="put it beside the recipe")

    def seed_of(self, step: int, *names: str | int) -> int:
        """A seed for one use in one step: the same in every chunking, another for every step, name and order."""
        words = "|".join(map(str, (self.order.seed, step, *names)))
        return int.from_bytes(hashlib.sha256(words.encode()).digest()[:8]) >> (64 - _SEED_BITS)

    def seeds(self, count: int) -> list[int]:
        """For a call that was given none: they follow from the step, and from how often that was before in it."""
        self._drawn += 1
        return [self.seed_of(self._step or 0, "drawn", self._drawn, place) for place in range(count)]

    def chance(self, step: int, *names: str | int) -> Random:
        """The same as a source of chance."""
        return Random(self.seed_of(step, *names))

    @property
    def tokenizer(self) -> Tokenizer:
        """Of the base model; loaded when it is first asked for."""
        if self._tokenizer is None:
            served = "" if self.order.tokenizer else self._open().tokenizer
            self._tokenizer = tokenizer.find(self.order.tokenizer, served)
        return self._tokenizer

    # -- the service --------------------------------------------------------------------------------------------

    def enter(self, step: int | None) -> None:
        """A step begins, in which it may train once; None: what follows is no step."""
        self._step, self._drawn, self.has_trained = step, 0, False

    def ask(self) -> Session:
        """The session, unless the chunk is to end before it asks for more."""
        self._check()
        return self._open()

    def train(
        self,
        data: Sequence[Datum],
        loss: str = "cross_entropy",
        *,
        learning_rate: float,
        config: Mapping[str, float] | None = None,
        weight_decay: float = 0.0,
        grad_clip_norm: float = 0.0,
    ) -> Trained:
        """The optimizer step of this step, on these data (Adam: beta 0.9, 0.95, eps 1e-8)."""
        if self._step is None or self.has_trained:
            what = "`train` was called outside of a step" if self._step is None else f"step {self._step} trained twice"
            raise BadInput(what, fix="each step of a recipe is one step of the optimizer: give it all its data at once")
        if not data:
            raise BadInput("a training step was given no data", fix="give it some that pull at nothing (weight 0)")
        adam = Adam(learning_rate=learning_rate, weight_decay=weight_decay, grad_clip_norm=grad_clip_norm)
        session = self.ask()
        self._current = None
        told = session.train(data, loss, config, adam)
        self.has_trained = True
        return told

    def forward(self, data: Sequence[Datum], loss: str = "cross_entropy") -> Trained:
        """The same without learning."""
        return self.ask().forward(data, loss)

    def sampler(self, path: str = "") -> Sampler:
        """The model under training as it is now, or the one at a path. The first is made anew after each `train`."""
        if not path:
            if self._current is None:
                self._current = Sampler(self, self.ask().sampler())
            return self._current
        if path not in self._samplers:
            if paths.parse(path, where="the path of a sampler").kind != paths.SAMPLER:
                fix = "give a path that `snapshot` returned, or the sampler_path of an earlier tier"
                raise BadInput(f"{path} cannot be sampled from", fix=fix)
            while len(self._samplers) >= _MOST_SAMPLERS:
                del self._samplers[next(iter(self._samplers))]
            self._samplers[path] = Sampler(self, self.ask().sampler_at(path))
        return self._samplers[path]

    def sampler_of(self, tier: str) -> str:
        """The path of what an earlier tier left, to be sampled from. Where it saved only a state, it is made of that.

        For `Recipe.fix`, which writes it down: made again it would be another path.
        """
        ends = self.earlier.get(tier)
        if ends is None or not (ends.sampler_path or ends.state_path):
            raise NotFound(f"the tier {tier} left nothing to sample from", fix="train it first")
        return ends.sampler_path or self.ask().sampler_of(ends.state_path, f"of-{tier}")

    def snapshot(self, name: str) -> str:
        """Save the model under training, to be sampled from, and return its path; for `Recipe.fix`."""
        return self.ask().save_sampler(name)

    def _unfit(self, name: str, kind: str) -> BadInput:
        what = f"the param {name} is {self.params.get(name)!r}, and the recipe takes {kind}"
        return BadInput(what, where="search_space of the SPEC", fix=f"make its values {kind}")


def _stop(given: Sequence[str] | Sequence[int] | None) -> list[str] | list[int] | None:
    if given is None:
        return None
    words = [each for each in given if isinstance(each, str)]
    numbers = [each for each in given if isinstance(each, int)]
    if words and numbers:
        raise BadInput("stop mixes words and tokens", fix="give one kind")
    return words or numbers
