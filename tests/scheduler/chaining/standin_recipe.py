"""A recipe that asks no service: a stand-in which keeps the contract of a chunk and takes no time.

What it is to do wrong is in behave.json beside it: {"die_at": 13} kills it before step 13, and so on. "once" limits
that to the first chunk that comes by.
"""

import json
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MORE = 75


def main() -> int:
    with open(os.environ["LAB_CHUNK_PATH"], encoding="utf-8") as file:
        order = json.load(file)
    with open(os.path.join(HERE, "seen.jsonl"), "a", encoding="utf-8") as file:
        told = {name: os.environ.get(name) for name in ("TINKER_BASE_URL", "TINKER_API_KEY", "TINKER_TELEMETRY")}
        file.write(json.dumps({"order": order, "environ": told}) + "\n")
    behave = _behaviour()
    os.makedirs("artifacts", exist_ok=True)
    params = order["params"]
    first, until = order["first_step"], min(order["until"], behave.get("length", order["until"]))
    last = min(first + order["steps"], until)
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopping.append(number))
    if behave.get("exit"):
        sys.stderr.write("RuntimeError: the service said no\n")
        return int(behave["exit"])
    step = first
    while step < last and not stopping:
        if step == behave.get("die_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        if step == behave.get("wait_at"):
            _touch("waits")
            while not stopping:
                time.sleep(0.01)
            break
        row = {"step": step, "run": f"s{order['number']}:train:0", "at": 1.0, "step_s": 0.5, "wait_s": 0.25,
               "trained": behave.get("trained", 100), "sampled": 10, "prefilled": 1,
               "nll": _nll(step, params)}  # fmt: skip
        if "kl" in behave:
            row["kl"] = behave["kl"]
        if step == behave.get("nan_at"):
            del row["nll"]
            row["trouble"] = "nll is not finite"
            _append("steps", row)
            return 1
        _append("steps", row)
        step += 1
        if step in (behave.get("save_at"), behave.get("save_and_die_at")):
            _save(order, step, step >= until)
        if step == behave.get("save_and_die_at"):
            os.kill(os.getpid(), signal.SIGKILL)
    if behave.get("forge"):
        with open("chunk.json", "w", encoding="utf-8") as file:
            json.dump({**order, "first_step": 0, "number": 99}, file)
    final = step >= until
    _save(order, step, final)
    if not behave.get("silent"):
        sys.stdout.write(f"METRIC nll={_nll(step, params)}\n")
    return 0 if final else MORE


def _behaviour() -> dict[str, float]:
    path = os.path.join(HERE, "behave.json")
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        found: dict[str, float] = json.load(file)
    if found.get("once"):
        os.unlink(path)
    return found


def _nll(step: int, params: dict[str, float]) -> float:
    return 3.0 / (1.0 + step * params.get("lr", 0.1))


def _save(order: dict[str, object], step: int, final: bool) -> None:
    run = f"s{order['number']}:train:0"
    row = {"name": f"{step:06d}", "next_step": step, "state_path": f"tinker://{run}/weights/{step:06d}",
           "model_run": run}  # fmt: skip
    if final and step == order["first_step"]:  # it was at its end
        row |= {"state_path": order["state_path"], "final": True}
    elif final:
        row |= {"final": True, "sampler_path": f"tinker://{run}/sampler_weights/final",
                "external_path": f"tinker://{run}/external_weights/final"}  # fmt: skip
    _append("checkpoints", row)


def _append(name: str, row: dict[str, object]) -> None:
    with open(f"artifacts/{name}.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _touch(name: str) -> None:
    with open(os.path.join(HERE, name), "w", encoding="utf-8"):
        pass


if __name__ == "__main__":
    raise SystemExit(main())
