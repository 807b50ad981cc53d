"""One training run: an adapter on a base model, its optimizer, and the gradients that wait for the next step.

Data go through the model one by one. So the logprobs of a datum are the same bits whatever else is in the request, and
gradients add up in the order of the data; a small model loses little by it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from lab.core.errors import LabError
from lab.tinker.local import losses, wire
from lab.tinker.local.adapters import Adapter, put
from lab.tinker.local.sampling import LocalSampler
from lab.tinker.local.training import Lora, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from lab.tinker.local.bases import Base

OPTIMIZER = "optimizer.safetensors"
STEPS = "steps"
MEMORY = ("step", "exp_avg", "exp_avg_sq")  # what AdamW remembers of each matrix
_HUGE = 1e20  # far beyond, torch cannot make a float of 32 bits of it, and fails in words that read as an outage
# name -> (default, least, the first number that is too much)
ADAM = {
    "learning_rate": (1e-4, 0.0, _HUGE),
    "beta1": (0.9, 0.0, 1.0),
    "beta2": (0.95, 0.0, 1.0),
    "eps": (1e-12, 0.0, _HUGE),
    "weight_decay": (0.0, 0.0, _HUGE),
    "grad_clip_norm": (0.0, 0.0, math.inf),
}


class LoraTrainer:
    """What a request does is done in full or not at all, as long as the machine has memory.

    Gradients that no step has applied are not part of what is saved.
    """

    def __init__(self, base: Base, lora: Lora) -> None:
        self._base = base
        self._adapter = Adapter.fresh(lora, base.layers)
        self._begin(0)

    @property
    def steps(self) -> int:
        return self._steps

    def forward_backward(self, request: bytes) -> bytes:
        batch = wire.batch(request)
        loss, tasks = losses.judged(batch, context=self._base.context, vocabulary=self._base.vocabulary)
        total, rows = 0.0, []
        with torch.set_grad_enabled(not batch.forward_only):
            for task in tasks:
                logits = self._base.logits(task.tokens, self._adapter)
                logprobs = logits.log_softmax(-1).gather(-1, task.targets[:, None])[:, 0]
                value = loss.of(logprobs, task.inputs)
                if not batch.forward_only:
                    value.backward()
                total += float(value.detach())
                rows.append(logprobs.detach().tolist())
        return wire.trained(rows, {"loss:sum": total})

    def optim_step(self, adam: Mapping[str, float]) -> dict[str, float]:
        """As above. Where no gradient waits it is taken as zero: what the optimizer remembers still moves the weights.

        A gradient that is not finite is refused and forgotten, for no later step could undo it.
        """
        params = _adam(adam)
        tensors = self._tensors
        for tensor in tensors:
            if tensor.grad is None:
                tensor.grad = torch.zeros_like(tensor)
        limit = params["grad_clip_norm"] or math.inf
        norm = float(torch.nn.utils.clip_grad_norm_(tensors, limit))
        if not math.isfinite(norm):
            self._optimizer.zero_grad(set_to_none=True)
            raise UserError("the gradient is not finite: the step was not done, and the gradient is forgotten")
        for group in self._optimizer.param_groups:
            group["lr"], group["betas"] = params["learning_rate"], (params["beta1"], params["beta2"])
            group["eps"], group["weight_decay"] = params["eps"], params["weight_decay"]
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._steps += 1
        return {
            "grad_norm:mean": norm,
            "learning_rate:mean": params["learning_rate"],
            "step:max": float(self._steps),
        }

    def save(self, folder: str, *, optimizer: bool) -> None:
        self._adapter.save(folder, self._base.name)
        if not optimizer:
            return
        saved = {STEPS: torch.tensor(self._steps)}
        for name, tensor in self._adapter.tensors.items():
            for key, value in self._optimizer.state[tensor].items():
                saved[f"{name}.{key}"] = value
        put(saved, f"{folder}/{OPTIMIZER}")

    def load(self, folder: str, *, optimizer: bool) -> None:
        """As above. Without the optimizer the count of steps begins anew, as the optimizer does."""
        steps, state = self._kept(folder) if optimizer else (0, [])
        try:
            self._adapter.load(folder)
        except LabError as error:
            raise UserError(str(error)) from error
        self._begin(steps)
        for tensor, moments in zip(self._tensors, state, strict=False):
            self._optimizer.state[tensor] = moments

    def sampler(self) -> LocalSampler:
        return LocalSampler(self._base, self._adapter.frozen())

    def _kept(self, folder: str) -> tuple[int, list[dict[str, Tensor]]]:
        """The steps, and for each matrix what the optimizer remembers of it: nothing before the first step."""
        try:
            saved = load_file(f"{folder}/{OPTIMIZER}")
            steps = int(saved[STEPS])
            names = self._adapter.tensors if steps else ()
            return steps, [{key: saved[f"{name}.{key}"] for key in MEMORY} for name in names]
        except FileNotFoundError as error:
            raise UserError("this checkpoint has no state of an optimizer: it was saved for sampling") from error
        except SafetensorError as error:
            raise UserError(f"the state of the optimizer cannot be read: {error}") from error
        except KeyError as error:
            raise UserError(f"the state of the optimizer does not fit: it has no {error}") from error

    @property
    def _tensors(self) -> list[Tensor]:
        return list(self._adapter.tensors.values())

    def _begin(self, steps: int) -> None:
        self._optimizer = torch.optim.AdamW(self._tensors, lr=0.0, foreach=False)
        self._optimizer.zero_grad(set_to_none=True)
        self._steps = steps


def _adam(given: Mapping[str, float]) -> dict[str, float]:
    """Every parameter of the step, or UserError."""
    params = {name: default for name, (default, _, _) in ADAM.items()}
    for name, value in given.items():
        if name not in ADAM:
            raise UserError(f"the optimizer is AdamW, which has no {name!r}; it has {', '.join(ADAM)}")
        _, least, bound = ADAM[name]
        if not least <= value < bound:
            below = "" if math.isinf(bound) else f" and below {bound:g}"
            raise UserError(f"{name} is {value}; it must be at least {least:g}{below}, and finite")
        params[name] = value
    return params
