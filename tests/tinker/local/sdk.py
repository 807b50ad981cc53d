"""What a program does with the real SDK, in a process of its own: torch and the SDK's threads stay out of the tests.

    python tests/tinker/local/sdk.py train STEPS [PATH]     a supervised training, from a saved state or from the base
    python tests/tinker/local/sdk.py sample                 a snapshot, a named checkpoint, and logprobs
    python tests/tinker/local/sdk.py cannot-save            a state that does not fit on the disk
    python tests/tinker/local/sdk.py refused                requests that are refused, and steps between them
    python tests/tinker/local/sdk.py interrupted            a server that is restarted under a training

It prints one line of JSON with what it saw; TINKER_BASE_URL says where.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING

sys.modules["torch"] = None  # type: ignore[assignment]  # a client needs none, and without it starts in a third

import tinker  # noqa: E402  # after torch was hidden
from tinker import TensorData  # noqa: E402  # the same

if TYPE_CHECKING:
    from tinker import ServiceClient, TrainingClient

BASE = "tiny/qwen3"
TOKENS = [72, 105, 32, 119, 111, 114, 108, 100, 33, 3, 50, 60, 70]
WAIT_S = 50.0


def batch(step: int) -> list[tinker.Datum]:
    """Follows from the step alone, so that a training in parts is the same as one in one go."""
    data = []
    for row in range(3):
        tokens = [(token + 7 * row + step) % 300 for token in TOKENS]
        count = len(tokens) - 1
        inputs = {
            "target_tokens": TensorData(data=tokens[1:], dtype="int64", shape=[count]),
            "weights": TensorData(data=[0.0, *[1.0] * (count - 1)], dtype="float32", shape=[count]),
        }
        data.append(tinker.Datum(model_input=tinker.ModelInput.from_ints(tokens[:-1]), loss_fn_inputs=inputs))
    return data


def new(service: ServiceClient) -> TrainingClient:
    return service.create_lora_training_client(BASE, rank=4, seed=7).result(WAIT_S)


def steps(client: TrainingClient, first: int, count: int) -> list[float]:
    losses = []
    for step in range(first, first + count):
        forward = client.forward_backward(batch(step), "cross_entropy")
        stepped = client.optim_step(tinker.AdamParams(learning_rate=1e-2))
        losses.append(forward.result(WAIT_S).metrics["loss:sum"])
        stepped.result(WAIT_S)
    return losses


def train(service: ServiceClient, count: str, path: str = "") -> dict[str, object]:
    if path:
        client = service.create_training_client_from_state_with_optimizer(path).result(WAIT_S)
        first = int(path.rpartition("/")[2])
    else:
        client, first = new(service), 0
    losses = steps(client, first, int(count))
    saved = client.save_state(f"{first + int(count):06d}").result(WAIT_S)
    external = client.save_weights_external("final").result(WAIT_S)
    return {"losses": losses, "path": saved.path, "external": external.path, "run": client.model_id}


def sample(service: ServiceClient) -> dict[str, object]:
    client = new(service)
    steps(client, 0, 2)
    prompt = tinker.ModelInput.from_ints(TOKENS[:5])
    params = tinker.SamplingParams(max_tokens=6, seed=3, temperature=1.0, stop=[])
    snapshot = client.save_weights_and_get_sampling_client().result(WAIT_S)
    path = client.save_weights_for_sampler("two").result(WAIT_S).path
    steps(client, 2, 2)  # what was saved stays as it was
    named = service.create_sampling_client(model_path=path).result(WAIT_S)
    base = service.create_sampling_client(base_model=BASE).result(WAIT_S)
    drawn = {}
    for name, sampler in {"snapshot": snapshot, "named": named, "base": base}.items():
        answer = sampler.sample(prompt, 2, params).result(WAIT_S)
        drawn[name] = [[list(each.tokens), list(each.logprobs or [])] for each in answer.sequences]
    logprobs = snapshot.compute_logprobs(prompt).result(WAIT_S)
    return {"drawn": drawn, "logprobs": logprobs, "path": path}


def cannot_save(service: ServiceClient) -> dict[str, object]:
    client = new(service)
    before = steps(client, 0, 1)
    try:
        client.save_state("large").result(WAIT_S)
        failed = ""
    except tinker.RequestFailedError as error:
        failed = str(error)
    small = client.save_weights_for_sampler("small").result(WAIT_S).path
    return {"failed": failed, "small": small, "losses": before + steps(client, 1, 1)}


def refused(service: ServiceClient) -> dict[str, object]:
    client = new(service)
    losses, failed = steps(client, 0, 1), []
    for wrong in (
        lambda: client.optim_step(tinker.AdamParams(learning_rate=float("nan"))),
        lambda: client.optim_step(tinker.AdamParams(beta1=2.0)),
        lambda: client.load_state("tinker://no:train:0/weights/none"),
        lambda: client.forward_backward(batch(0), "no_such_loss"),  # type: ignore[arg-type]
        lambda: client.save_weights_for_sampler("what a name"),
    ):
        try:
            wrong().result(WAIT_S)
        except tinker.TinkerError as error:
            failed.append(str(error))
    return {"failed": failed, "losses": losses + steps(client, 1, 1)}


def interrupted(service: ServiceClient) -> dict[str, object]:
    client = new(service)
    steps(client, 0, 1)
    sys.stdout.write("trained\n")
    sys.stdout.flush()
    sys.stdin.readline()  # the server is restarted meanwhile
    try:
        steps(client, 1, 1)
    except tinker.APIStatusError as error:
        return {"status": error.status_code, "words": str(error)}
    return {"status": 200}


def main() -> None:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    what = {
        "train": train,
        "sample": sample,
        "cannot-save": cannot_save,
        "refused": refused,
        "interrupted": interrupted,
    }
    service = tinker.ServiceClient()
    seen = what[sys.argv[1]](service, *sys.argv[2:])  # type: ignore[operator]  # each takes its own
    service.close("success").result(WAIT_S)
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main()
