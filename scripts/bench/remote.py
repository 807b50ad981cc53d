"""Measure remote training on the local server: what our client adds to a step, and what goes by between two chunks.

    python scripts/bench/remote.py [--quick] [--only step] [--json | --markdown]

It needs the extra tinker-local. The floor of a step is a loop of the SDK's bare calls with as much data, in the same
server, in turns with ours; that of a boundary is a Python that only loads the SDK. Not a test.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from lab.core.chunk import STEPS
from scripts.bench import gauge, program, start
from scripts.bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.bench.program import Measure
    from scripts.bench.table import Size

SHARE, BOUNDARY_S = 0.05, 10.0
_NAME, _BASE, _STEPS = "bench-sft", "lab/tiny", 40
_UP_S = 120.0
# As many tokens, and what one does who has read the SDK's first page: submit both, wait for both.
_BARE = """
import json, random, sys, time
import tinker
from tinker import types
steps = int(sys.argv[1])
with tinker.ServiceClient() as service:
    client = service.create_lora_training_client(base_model=sys.argv[2], rank=16, seed=0).result()
    luck, taken = random.Random(0), []
    for step in range(steps):
        begun = time.perf_counter()
        data = []
        for _ in range(int(sys.argv[3])):
            tokens = [luck.randrange(3, 300) for _ in range(int(sys.argv[4]))]
            data.append(types.Datum(model_input=types.ModelInput.from_ints(tokens[:-1]), loss_fn_inputs={
                "target_tokens": tokens[1:], "weights": [1.0] * (len(tokens) - 1)}))
        both = client.forward_backward(data, "cross_entropy"), client.optim_step(types.AdamParams(learning_rate=1e-3))
        [each.result() for each in both]
        taken.append(time.perf_counter() - begun)
print(json.dumps(taken))
"""


def step(scratch: str, size: Size) -> list[Row]:
    """The share of a step that is not the service's, and a step of ours against one of the bare SDK."""
    ours, bare, share = [], [], []
    with _served(scratch) as url:
        for turn in range(size.rounds):
            rows = _chunk(scratch, url, f"{_NAME}-{turn}", steps=_STEPS, chunk=_STEPS)[0]
            kept = rows[3:]  # the first ones warm the server up
            ours.append(gauge.median(row["step_s"] for row in kept))
            share.append(gauge.median(1.0 - row["wait_s"] / row["step_s"] for row in kept))
            trained = gauge.median(row["trained"] for row in kept)
            bare.append(gauge.median(_bare(url, datums=8, tokens=round(trained / 8) + 1)[3:]))
    mine, floor, part = (gauge.median(each) for each in (ours, bare, share))
    return [
        Row(
            what="share of a step of SL that the service has no part in (rows on disk included)", ours=f"{part:.1%}",
            goal=f"< {SHARE:.0%}", met=part < SHARE, number=part,
        ),
        Row(
            what="a step of SL, wall", ours=f"{1e3 * mine:.1f} ms", ratio=mine / floor, number=mine,
            floor=f"{1e3 * floor:.1f} ms (the SDK's bare calls)",
        ),
    ]  # fmt: skip


def boundary(scratch: str, size: Size) -> list[Row]:
    """Wall and CPU of chunks of one step each: everything that is not the step."""
    environ = {**gauge.environment(), "PYTHONNOUSERSITE": "1"}
    taken = []
    with _served(scratch) as url:
        for row, wall_s in _chunks(scratch, url, count=2 + size.rounds):
            taken.append(wall_s - row["step_s"])
    loaded = []
    for _ in range(size.rounds):
        begun = time.perf_counter()
        gauge.process_cpu_s([sys.executable, "-c", "import tinker"], environ)
        loaded.append(time.perf_counter() - begun)
    mine, floor = gauge.median(taken[1:]), gauge.median(loaded)
    return [
        Row(
            what="a boundary between two chunks: run-once of a chunk of one step, less the step; wall",
            ours=f"{mine:.2f} s", floor=f"{floor:.2f} s (a Python that loads the SDK)", ratio=mine / floor,
            goal=f"< {BOUNDARY_S:g} s", met=mine < BOUNDARY_S, number=mine,
        )
    ]  # fmt: skip


def _labctl(root: str, *words: str) -> float:
    """Run a verb; the seconds that it took."""
    launcher = next(iter(start.launchers().values()))
    begun = time.perf_counter()
    command = [*launcher, *words, "--data-root", root]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # our own
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return time.perf_counter() - begun


def _created(scratch: str, url: str, name: str, *, steps: int, chunk: int) -> str:
    """A lab with the template tinker-sl in it, pointed at the server."""
    root = f"{scratch}/lab-{name}"
    _labctl(root, "init")
    template = f"{gauge.CHECKOUT}/templates/tinker-sl"
    folder = f"{scratch}/{name}"
    subprocess.run(["cp", "-r", template, folder], check=True)
    with open(f"{folder}/SPEC.yaml", encoding="utf-8") as file:
        text = file.read()
    changed = {"id": name, "  base_model": f"{_BASE}\n  base_url: {url}", "  steps": steps, "  chunk_steps": chunk}
    for key, value in changed.items():
        text = re.sub(rf"(?m)^{key}:.*$", f"{key}: {value}", text)
    text = re.sub(r"(?m)^stop_conditions:.*\n(?:(?: .*)?\n)*", "", text)
    with open(f"{folder}/SPEC.yaml", "w", encoding="utf-8") as file:
        file.write(text)
    _labctl(root, "create", f"{folder}/SPEC.yaml")
    return root


def _rows(root: str, name: str) -> list[dict[str, float]]:
    """The rows of the newest run."""
    folder = f"{root}/experiments/{name}/runs"
    with open(f"{folder}/{max(os.listdir(folder))}/{STEPS}", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row for row in rows if row.get("trained")]  # those of steps: what was measured at the end has one too


def _chunk(scratch: str, url: str, name: str, *, steps: int, chunk: int) -> tuple[list[dict[str, float]], float]:
    root = _created(scratch, url, name, steps=steps, chunk=chunk)
    wall_s = _labctl(root, "run-once", "--experiment", name, "--now")
    return _rows(root, name), wall_s


def _chunks(scratch: str, url: str, *, count: int) -> Iterator[tuple[dict[str, float], float]]:
    root = _created(scratch, url, f"{_NAME}-cut", steps=count + 1, chunk=1)
    for _ in range(count):
        wall_s = _labctl(root, "run-once", "--experiment", f"{_NAME}-cut", "--now")
        yield _rows(root, f"{_NAME}-cut")[-1], wall_s


def _bare(url: str, *, datums: int, tokens: int) -> list[float]:
    environ = {**os.environ, "TINKER_BASE_URL": url, "TINKER_API_KEY": "tml-local", "TINKER_TELEMETRY": "0"}
    command = [sys.executable, "-c", _BARE, str(_STEPS), _BASE, str(datums), str(tokens)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)  # our own
    taken: list[float] = json.loads(done.stdout.rstrip().rpartition("\n")[2])
    return taken


@contextlib.contextmanager
def _served(scratch: str) -> Iterator[str]:
    """A local server with the tiny model; its address."""
    launcher, tiny, port = next(iter(start.launchers().values())), f"{scratch}/tiny", f"{scratch}/port"
    if not os.path.isdir(tiny):
        subprocess.run([*launcher, "tinker", "make-tiny", tiny], check=True, stdout=subprocess.DEVNULL)
    command = [
        *launcher, "tinker", "serve-local", "--base", f"{_BASE}={tiny}", "--port", "0", "--port-file", port,
        "--folder", f"{scratch}/served",
    ]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # our own
    try:
        until = time.monotonic() + _UP_S
        while not os.path.exists(port):
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the local server did not come up")
            time.sleep(0.1)
        with open(port, encoding="ascii") as file:
            yield f"http://127.0.0.1:{file.read().strip()}"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)
        with contextlib.suppress(FileNotFoundError):
            os.remove(port)


MEASURES: dict[str, Measure] = {
    "step": lambda scratch, _, size: step(scratch, size),
    "boundary": lambda scratch, _, size: boundary(scratch, size),
}


if __name__ == "__main__":
    program.run(__doc__, MEASURES)
