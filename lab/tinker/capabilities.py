"""What a service can do, and whether it does: asked before a training costs anything.

`ask` is free. `trial` trains one step of a few tokens, samples one, saves and goes on from what it saved, and deletes
it: the whole way of a chunk, for less than a hundred tokens. What it saves ends by itself where deleting fails.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import LabError
from lab.tinker import stored
from lab.tinker.data import Adam, Wish, supervised

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.tinker.session import Session

TRIAL_RANK = 8
TRIAL_KEEP_S = 3600  # the shortest that the service takes
_PROMPT, _ANSWER = [5, 6, 7], [8, 9, 10, 11]  # tokens that every vocabulary has; what they say is of no interest


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What the service answered. `models`: those of which it does not say that they cannot be trained, by name."""

    models: tuple[str, ...]
    took_s: float = 0.0


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a trial. An empty `problem` says that it went well."""

    name: str
    took_s: float
    told: str = ""
    problem: str = ""
    fix: str = ""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """The stages up to the first that failed; deleting is tried in any case. Tokens are those that were paid."""

    stages: tuple[Stage, ...]
    trained: int = 0
    sampled: int = 0
    prefilled: int = 0

    @property
    def is_good(self) -> bool:
        return not any(stage.problem for stage in self.stages)


def ask(url: str, environ: Mapping[str, str], *, limit_s: float) -> Capabilities:
    """What the service says of itself."""
    begun_s = time.monotonic()
    with stored.asking(url, environ, limit_s, "asking what it can") as asking:
        told = asking.answer(asking.client.get_server_capabilities())
    models = [each.model_name for each in told.supported_models if each.model_name and each.trainable is not False]
    return Capabilities(models=tuple(dict.fromkeys(models)), took_s=time.monotonic() - begun_s)


def trial(url: str, base_model: str, environ: Mapping[str, str], *, limit_s: float) -> Trial:
    """The way of a chunk, at its shortest. Where the service is paid, so is this."""
    with stored.asking(url, environ, limit_s, "trying a step") as asking:
        from lab.tinker.failures import Doing  # noqa: PLC0415  # loads the SDK
        from lab.tinker.session import Session  # noqa: PLC0415  # the same

        session = Session(url, asking.waiting, about={"made_by": "labctl tinker check"})
        saved: list[str] = []
        stages: list[Stage] = []
        for name, part in _parts(session, base_model, saved):
            stage = _staged(name, part)
            stages.append(stage)
            if stage.problem:
                break
        for path in saved:
            doing = Doing("deleting", url=url, path=path)
            delete = asking.client.delete_checkpoint_from_tinker_path
            stages.append(_staged("delete", lambda: _nothing(asking.waiting.answer(delete(path), doing))))  # noqa: B023
        session.close("errored" if any(stage.problem for stage in stages) else "success")
    used = session.purse.used
    return Trial(stages=tuple(stages), trained=used.trained, sampled=used.sampled, prefilled=used.prefilled)


def _parts(session: Session, base_model: str, saved: list[str]) -> list[tuple[str, Callable[[], str]]]:
    def begin() -> str:
        session.begin(base_model, rank=TRIAL_RANK, seed=0)
        return session.run

    def train() -> str:
        datum = supervised(_PROMPT, _ANSWER)
        told = session.train([datum], "cross_entropy", None, Adam(learning_rate=1e-4))
        learned = zip(datum.weights or [], told.logprobs[0], strict=True)
        return f"nll {-sum(weight * each for weight, each in learned) / len(_ANSWER):.4g}"

    def sample() -> str:
        (samples,) = session.sample(session.sampler(), [_PROMPT], 1, Wish(max_tokens=1))
        return f"{len(samples[0].tokens)} token"

    def save() -> str:
        saved.append(session.save_state("check", keep_s=TRIAL_KEEP_S, about={"next_step": "1"}))
        return saved[-1]

    def resume() -> str:
        session.load(saved[-1], optimizer=True)
        return session.run

    return [("begin", begin), ("train", train), ("sample", sample), ("save", save), ("resume", resume)]


def _staged(name: str, part: Callable[[], str]) -> Stage:
    begun_s = time.monotonic()
    try:
        told = part()
    except LabError as error:
        return Stage(name=name, took_s=time.monotonic() - begun_s, problem=error.what, fix=error.fix)
    return Stage(name=name, took_s=time.monotonic() - begun_s, told=told)


def _nothing(_answer: object) -> str:
    return ""
