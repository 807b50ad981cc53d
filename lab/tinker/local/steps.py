"""What a live training run is asked: gradients, steps, and what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.tinker.local.calls import Call, Reply, address, answer, expand, finite, read
from lab.tinker.local.runs import Optimizer
from lab.tinker.local.training import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.tinker.local.runs import Runs
    from lab.tinker.local.training import Models


class _Adam(msgspec.Struct, forbid_unknown_fields=True):
    learning_rate: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-12
    weight_decay: float = 0.0
    grad_clip_norm: float = 0.0


class _Step(msgspec.Struct, kw_only=True):
    model_id: str
    seq_id: int | None = None
    adam_params: _Adam | None = None
    optimizer_params: Optimizer | None = None


class _Info(msgspec.Struct):
    model_id: str


class Steps:
    """All of it but `info` is done in the order of the requests' numbers."""

    def __init__(self, models: Models, runs: Runs) -> None:
        self._models = models
        self._runs = runs

    def forward_backward(self, call: Call) -> Reply:
        body = expand(call)
        model_id, seq = address(body)
        run = self._runs.find(model_id)
        request_id = run.lane.submit(seq, lambda: run.live()[0].forward_backward(body), len(body))
        return answer(request_id=request_id, model_id=model_id)

    def optim_step(self, call: Call) -> Reply:
        asked = read(_Step, call.body)
        run = self._runs.find(asked.model_id)

        def step() -> Mapping[str, object]:
            if asked.optimizer_params is not None:
                raise UserError(f"the optimizer {asked.optimizer_params.type!r} is not here: only Adam is")
            adam = msgspec.structs.asdict(asked.adam_params or _Adam())
            return {"type": "optim_step", "metrics": finite(run.live()[0].optim_step(adam))}

        return answer(request_id=run.lane.submit(asked.seq_id, step), model_id=asked.model_id)

    def info(self, call: Call) -> Reply:
        run_id = read(_Info, call.body).model_id
        run = self._runs.find(run_id)
        described = self._runs.listed(run_id) if run.described is None else run.described
        base = described.base_model
        data = {"arch": "causal_lm", "model_name": base, "tokenizer_id": self._models.path(base)}
        rank = described.lora.rank
        return answer(type="get_info", model_id=run_id, model_data=data, is_lora=True, lora_rank=rank, model_name=base)
