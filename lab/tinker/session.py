"""A service and the model that is trained there, behind deadlines: each call comes back with its answer, or in words.

Only this module, and `capabilities`, ask the SDK for anything. What is used is counted as soon as it is answered: what
failed was, most likely, paid as well, and is not in the count. What changes the model or saves it is waited for also
where the chunk has been told to end: given up, nobody would know which steps are inside.
"""

from __future__ import annotations

import math
import os
import re
from typing import TYPE_CHECKING, Literal, cast

import tinker

from lab.core.errors import BadInput, Unavailable
from lab.tinker import credentials, paths
from lab.tinker.data import LOSSES, Datum, Sample, Trained, Trouble
from lab.tinker.estimate import Purse
from lab.tinker.failures import Doing
from lab.tinker.reaching import reach

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tinker import SamplingClient, ServiceClient, TrainingClient
    from tinker.types import ForwardBackwardOutput, LossFnType, SampleResponse

    from lab.tinker.data import Adam, Wish
    from lab.tinker.waiting import Waiting

CONNECT_LIMIT_S = 60.0
CLOSE_LIMIT_S = 5.0
_DAY_S = 86_400
LEAST_KEEP_S = 3600  # the shortest that the service takes
_NOT_FINITE = re.compile(r"\b(?:not finite|non-?finite|nan)\b", re.IGNORECASE)
Status = Literal["success", "errored", "interrupted"]


class Session:
    """Made without asking anybody; the first call connects. `close` it, or the service learns by its silence."""

    def __init__(
        self, url: str, waiting: Waiting, *, purse: Purse | None = None, about: Mapping[str, str] | None = None
    ) -> None:
        credentials.check_url(url)
        self.url = url
        self.waiting = waiting
        self.purse = purse or Purse()
        self._about = dict(about or {})
        self._service: ServiceClient | None = None
        self._model: TrainingClient | None = None

    # -- the model ----------------------------------------------------------------------------------------------

    def begin(self, base_model: str, *, rank: int, seed: int) -> None:
        """A new adapter of a base model."""
        service = self._connected()
        doing = self._doing(f"creating an adapter of {base_model}")
        self._model = self.waiting.aside(
            lambda: service.create_lora_training_client(
                base_model, rank=rank, seed=seed, user_metadata=self._about
            ).result(),
            doing,
        )

    def load(self, path: str, *, optimizer: bool) -> None:
        """What was saved at a path. Without its optimizer it is where another training begins."""
        self._model = self._loaded(path, optimizer=optimizer)

    def _loaded(self, path: str, *, optimizer: bool) -> TrainingClient:
        service = self._connected()
        load = service.create_training_client_from_state
        if optimizer:
            load = service.create_training_client_from_state_with_optimizer  # type: ignore[assignment]
        return self.waiting.aside(lambda: load(path, user_metadata=self._about).result(), self._doing("resuming", path))

    @property
    def run(self) -> str:
        """The service's name of this training run."""
        return str(self._here().model_id)

    @property
    def tokenizer(self) -> str:
        """What the service says of the model's tokenizer: a name on a hub, or a folder."""
        told = self._here().get_info().model_data
        return told.tokenizer_id or told.model_name or ""

    # -- training -----------------------------------------------------------------------------------------------

    def train(self, data: Sequence[Datum], loss: str, config: Mapping[str, float] | None, adam: Adam) -> Trained:
        """One step of the optimizer. Both halves are on their way before either is waited for."""
        count = _tokens(data)
        self.purse.ask(trained=count)
        model, sent = self._here(), [_sent(datum) for datum in data]
        passed = model.forward_backward(sent, _loss(loss), config)
        stepped = model.optim_step(
            tinker.AdamParams(
                learning_rate=adam.learning_rate,
                beta1=adam.beta1,
                beta2=adam.beta2,
                eps=adam.eps,
                weight_decay=adam.weight_decay,
                grad_clip_norm=adam.grad_clip_norm,
            )
        )
        told = self.waiting.answer(passed, self._doing("training"), firmly=True)
        self.purse.take(trained=count)
        _refuse_trouble(_trained(told, data, None), data)
        try:
            more = self.waiting.answer(stepped, self._doing("the optimizer's step"), firmly=True).metrics
        except BadInput as refused:
            if _NOT_FINITE.search(refused.what):
                raise Trouble(refused.what) from refused
            raise
        return _trained(told, data, more)

    def forward(self, data: Sequence[Datum], loss: str) -> Trained:
        """The same without learning."""
        count = _tokens(data)
        self.purse.ask(prefilled=count)
        passed = self._here().forward([_sent(datum) for datum in data], _loss(loss))
        told = self.waiting.answer(passed, self._doing("a forward pass"))
        self.purse.take(prefilled=count)
        return _trained(told, data, None)

    # -- sampling -----------------------------------------------------------------------------------------------

    def sampler(self) -> SamplingClient:
        """The model as it is now. It is there as long as this session."""
        model = self._here()
        return self.waiting.answer(model.save_weights_and_get_sampling_client(), self._doing("making a sampler"))

    def sampler_at(self, path: str) -> SamplingClient:
        """What was saved for sampling at a path."""
        service = self._connected()
        doing = self._doing("making a sampler", path)
        return self.waiting.aside(lambda: service.create_sampling_client(model_path=path).result(), doing)

    def sample(
        self, client: SamplingClient, prompts: Sequence[Sequence[int]], n: int, wish: Wish
    ) -> list[list[Sample]]:
        """`n` continuations of each prompt, asked for at once."""
        self.purse.ask(sampled=len(prompts) * n * wish.max_tokens, prefilled=sum(map(len, prompts)))
        sent = [
            client.sample(_input(prompt), n, _wished(wish, place)) for place, prompt in enumerate(map(list, prompts))
        ]
        samples: list[list[Sample]] = []
        for prompt, future in zip(prompts, sent, strict=True):
            samples.append(_samples(self.waiting.answer(future, self._doing("sampling"))))
            self.purse.take(sampled=sum(len(one.tokens) for one in samples[-1]), prefilled=len(prompt))
        return samples

    def logprobs(self, client: SamplingClient, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """How likely each token but the first was, of each sequence."""
        self.purse.ask(prefilled=sum(map(len, sequences)))
        sent = [client.compute_logprobs(_input(list(tokens))) for tokens in sequences]
        found: list[list[float]] = []
        for tokens, future in zip(sequences, sent, strict=True):
            told = self.waiting.answer(future, self._doing("log-probabilities"))
            self.purse.take(prefilled=len(tokens))
            found.append([0.0 if each is None else each for each in told[1:]])
        return found

    # -- saving -------------------------------------------------------------------------------------------------

    def save_state(self, name: str, *, keep_s: int | None, about: Mapping[str, str]) -> str:
        """Save what a training goes on from, its optimizer included."""
        future = self._here().save_state(name, ttl_seconds=keep_s, user_metadata={**self._about, **about})
        told = self.waiting.answer(future, self._doing(f"saving the state {name}"), firmly=True)
        return _checked(told.path, paths.WEIGHTS)

    def save_sampler(self, name: str) -> str:
        """Save what can be sampled from, without an end."""
        return self._saved_sampler(self._here(), name)

    def sampler_of(self, state: str, name: str) -> str:
        """The same of what is in a state, by a training run of its own that trains nothing."""
        return self._saved_sampler(self._loaded(state, optimizer=False), name)

    def _saved_sampler(self, model: TrainingClient, name: str) -> str:
        future = model.save_weights_for_sampler(name, user_metadata=self._about)
        told = self.waiting.answer(future, self._doing(f"saving the sampler {name}"), firmly=True)
        return _checked(told.path, paths.SAMPLER)

    def save_external(self, name: str, *, keep_s: int | None = None) -> str:
        """Save the adapter as files that other programs read."""
        future = self._here().save_weights_external(name, ttl_seconds=keep_s)
        told = self.waiting.answer(future, self._doing(f"saving the files {name}"), firmly=True)
        return _checked(told.path, paths.EXTERNAL)

    def expire(self, path: str, days: float) -> None:
        """Let what was saved at a path end by itself, so long from now."""
        keep_s = max(LEAST_KEEP_S, round(days * _DAY_S))
        key, doing = credentials.shown(self.url, os.environ), self._doing("letting a state end", path)
        client = self.waiting.aside(lambda: tinker.RestClient(base_url=self.url, api_key=key), doing, firmly=True)
        self.waiting.answer(client.set_checkpoint_ttl_from_tinker_path(path, keep_s), doing, firmly=True)

    def close(self, status: Status, detail: str = "") -> None:
        """End the session. A service that is away is left alone: the session ends there by its silence."""
        service, self._service, self._model = self._service, None, None
        if service is None:
            return
        doing = self._doing("ending the session")
        try:
            self.waiting.aside(
                lambda: service.close(status, detail[:500] or None).result(), doing, CLOSE_LIMIT_S, firmly=True
            )
        except (Unavailable, BadInput):
            return

    # -- within -------------------------------------------------------------------------------------------------

    def _doing(self, words: str, path: str = "") -> Doing:
        return Doing(words, url=self.url, path=path)

    def _connected(self) -> ServiceClient:
        if self._service is None:
            key = credentials.shown(self.url, os.environ)
            limit_s = min(self.waiting.limit_s, CONNECT_LIMIT_S)
            reach(self.url, limit_s, patient=True, check=self.waiting.check, tell=self.waiting.is_away)
            service = tinker.ServiceClient(self._about, base_url=self.url, api_key=key)
            self.waiting.aside(
                lambda: service.holder.get_session_id(),  # noqa: PLW0108  # getting the holder is what connects
                self._doing("connecting"),
                limit_s,
            )
            self._service = service
        return self._service

    def _here(self) -> TrainingClient:
        if self._model is None:
            raise BadInput("there is no model yet: it is made after `prepare`", fix="ask for it in `step`")
        return self._model


def _loss(name: str) -> LossFnType:
    if name not in LOSSES:
        raise BadInput(f"no loss is called {name!r}", fix=f"known are {', '.join(LOSSES)}")
    return cast("LossFnType", name)


def _tokens(data: Sequence[Datum]) -> int:
    return sum(len(datum.tokens) for datum in data)


def _input(tokens: list[int]) -> tinker.ModelInput:
    if not tokens:
        raise BadInput(
            "a sequence without a token cannot be sent", fix="give a prompt at least the token it begins with"
        )
    return tinker.ModelInput.from_ints(tokens)


def _sent(datum: Datum) -> tinker.Datum:
    fields: dict[str, list[int] | list[float] | None] = {
        "target_tokens": datum.targets, "weights": datum.weights, "logprobs": datum.logprobs,
        "advantages": datum.advantages,
    }  # fmt: skip
    given = {name: values for name, values in fields.items() if values is not None}
    for name, values in given.items():
        if len(values) != len(datum.tokens):
            what = f"a datum has {len(datum.tokens)} tokens and {len(values)} {name}"
            raise BadInput(what, fix="every list of a datum is as long as its tokens")
    return tinker.Datum(model_input=_input(datum.tokens), loss_fn_inputs=given)  # type: ignore[arg-type]


def _trained(told: ForwardBackwardOutput, data: Sequence[Datum], more: Mapping[str, float] | None) -> Trained:
    """The answer as plain numbers; one that does not fit the question is refused, not trained on."""
    logprobs = [[float(each) for each in output["logprobs"].tolist()] for output in told.loss_fn_outputs]
    if [len(each) for each in logprobs] != [len(datum.tokens) for datum in data]:
        raise Unavailable("the service answered for other data than it was sent: its log-probabilities do not fit them")
    metrics = {**told.metrics, **(more or {})}
    return Trained(logprobs=logprobs, metrics=metrics, loss=told.metrics.get("loss:sum"))


def _refuse_trouble(passed: Trained, data: Sequence[Datum]) -> None:
    """Raise where the answer of the forward pass is no number: the optimizer's step then refuses, or spoils it all."""
    lost = [name for name, value in passed.metrics.items() if not math.isfinite(value)]
    for datum, logprobs in zip(data, passed.logprobs, strict=True):
        weights = datum.weights or [1.0] * len(logprobs)
        if any(weight and not math.isfinite(each) for weight, each in zip(weights, logprobs, strict=True)):
            lost.append("logprobs")
            break
    if lost:
        raise Trouble(f"training: {', '.join(lost)} of a forward pass not finite")


def _wished(wish: Wish, place: int) -> tinker.SamplingParams:
    return tinker.SamplingParams(
        max_tokens=wish.max_tokens,
        seed=wish.seeds[place] if wish.seeds else None,
        stop=wish.stop,
        temperature=wish.temperature,
    )


def _samples(told: SampleResponse) -> list[Sample]:
    return [
        Sample(tokens=list(one.tokens), logprobs=list(one.logprobs or []), stopped=one.stop_reason == "stop")
        for one in told.sequences
    ]


def _checked(path: str, kind: str) -> str:
    """A path as the service told it: it goes into records, and is asked for again."""
    saved = paths.parse(path, where="the answer of the service")
    if saved.kind != kind:
        raise Unavailable(f"the service saved {kind} as {path}", fix="look at what it is: this is no path of that kind")
    return path
