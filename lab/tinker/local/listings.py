"""What there is: models, runs, checkpoints, sessions. Newest first, a page at a time; also after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from lab.tinker.local.calls import Call, Reply, answer, read, when
from lab.tinker.local.checkpoints import described as as_listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.tinker.local.checkpoints import Checkpoints
    from lab.tinker.local.runs import Described, Runs
    from lab.tinker.local.samplers import Samplers
    from lab.tinker.local.sessions import Sessions
    from lab.tinker.local.training import Models

T = TypeVar("T")
LONGEST_PAGE = 1000


class _Path(msgspec.Struct):
    tinker_path: str


class Listings:
    def __init__(
        self, models: Models, sessions: Sessions, runs: Runs, samplers: Samplers, checkpoints: Checkpoints
    ) -> None:
        self._models = models
        self._sessions = sessions
        self._runs = runs
        self._samplers = samplers
        self._checkpoints = checkpoints

    def capabilities(self, _call: Call) -> Reply:
        models = [
            {
                "model_name": name,
                "max_context_length": self._models.context_length(name),
                "trainable": True,
                "sampleable": True,
            }
            for name in self._models.names
        ]
        return answer(supported_models=models)

    def runs(self, call: Call) -> Reply:
        page, cursor = _page(call, self._runs.newest_first(), 20)
        return answer(training_runs=[self._run(each) for each in page], cursor=cursor)

    def run(self, call: Call) -> Reply:
        return answer(**self._run(self._runs.listed(call.arguments[0])))

    def checkpoints(self, call: Call) -> Reply:
        page, cursor = _page(call, self._checkpoints.newest_first(), 100)
        return answer(checkpoints=[as_listed(each, when) for each in page], cursor=cursor)

    def checkpoints_of_run(self, call: Call) -> Reply:
        run_id = self._runs.listed(call.arguments[0]).run_id
        return answer(checkpoints=[as_listed(each, when) for each in self._checkpoints.newest_first(run_id)])

    def weights(self, call: Call) -> Reply:
        found = self._checkpoints.find(read(_Path, call.body).tinker_path)
        lora = found.lora
        return answer(
            base_model=found.base_model,
            is_lora=True,
            lora_rank=lora.rank,
            train_unembed=lora.train_unembed,
            train_mlp=lora.train_mlp,
            train_attn=lora.train_attn,
        )

    def sessions(self, call: Call) -> Reply:
        page, _ = _page(call, self._sessions.newest_first(), 20)
        return answer(sessions=[each.session_id for each in page])

    def session(self, call: Call) -> Reply:
        session = self._sessions.known(call.arguments[0])
        runs = [each.run_id for each in self._runs.newest_first() if each.session_id == session.session_id]
        return answer(
            training_run_ids=runs[::-1],
            sampler_ids=self._samplers.of_session(session.session_id),
            user_metadata={key: str(value) for key, value in session.user_metadata.items()},
            display_name=session.display_name,
        )

    def _run(self, run: Described) -> Mapping[str, object]:
        saved = self._checkpoints.newest_first(run.run_id)
        last = {
            kind: next((each for each in saved if each.kind == kind), None) for kind in ("weights", "sampler_weights")
        }
        states, samplers = last["weights"], last["sampler_weights"]
        return {
            "training_run_id": run.run_id,
            "base_model": run.base_model,
            "model_owner": "local",
            "is_lora": True,
            "corrupted": False,
            "lora_rank": run.lora.rank,
            "last_request_time": when(max([self._runs.asked_at(run), *(each.saved_at for each in saved[:1])])),
            "last_checkpoint": None if states is None else as_listed(states, when),
            "last_sampler_checkpoint": None if samplers is None else as_listed(samplers, when),
            "user_metadata": run.user_metadata,
        }


def _page(call: Call, every: Sequence[T], default: int) -> tuple[Sequence[T], Mapping[str, int]]:
    limit = call.number("limit", default, most=LONGEST_PAGE)
    offset = call.number("offset", 0, most=1 << 40)
    return every[offset : offset + limit], {"offset": offset, "limit": limit, "total_count": len(every)}
