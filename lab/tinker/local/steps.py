"""What a live training run is asked: gradients, steps, and what it is.

All of it but `info` is done in the order of the requests' numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.tinker import rows
from lab.tinker.local.calls import Call, Reply, answer, expand, read
from lab.tinker.local.runs import Optimizer
from lab.tinker.local.training import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.tinker.local.runs import Run, Runs
    from lab.tinker.local.training import Models


class _Step(msgspec.Struct, kw_only=True):
    """`adam_params`: whatever there is; the trainer refuses by name what it does not know."""

    adam_params: dict[str, object] = {}
    optimizer_params: Optimizer | None = None


class _Info(msgspec.Struct):
    model_id: str


class Steps:
    def __init__(self, models: Models, runs: Runs) -> None:
        self._models = models
        self._runs = runs

    def forward_backward(self, call: Call) -> Reply:
        return self._runs.in_turn(call, lambda run: run.live()[0].forward_backward(expand(call)))

    def optim_step(self, call: Call) -> Reply:
        return self._runs.in_turn(call, lambda run: _step(run, read(_Step, call.body)))

    def info(self, call: Call) -> Reply:
        run_id = read(_Info, call.body).model_id
        run = self._runs.find(run_id)
        described = self._runs.listed(run_id) if run.described is None else run.described
        base = described.base_model
        data = {"arch": "causal_lm", "model_name": base, "tokenizer_id": self._models.path(base)}
        rank = described.lora.rank
        return answer(type="get_info", model_id=run_id, model_data=data, is_lora=True, lora_rank=rank, model_name=base)


def _step(run: Run, asked: _Step) -> Mapping[str, object]:
    if asked.optimizer_params is not None:
        raise UserError(f"the optimizer {asked.optimizer_params.type!r} is not here: only Adam is")
    adam: dict[str, float] = {}
    for name, value in asked.adam_params.items():
        if not isinstance(value, (int, float)):
            raise UserError(f"adam_params: {name} is {value!r}, which is no number (the SDK sends a NaN as None)")
        adam[name] = value
    return {"type": "optim_step", "metrics": rows.finite(run.live()[0].optim_step(adam))}
