"""A real model server: llama.cpp from the wheel of xllamacpp, in a process of its own.

    python tests/llm/serving.py MODEL.gguf [LONGEST]

It says where it listens, and ends when its standard input does: a test run that is killed leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTEXT = 32_768  # a token of the tiny model is a character


@contextlib.contextmanager
def served(model: Path, log: Path, *, longest: int | None = None) -> Iterator[str]:
    """The address of a server with `model`, up to and with /v1. `longest`: tokens, for who asks without a limit."""
    with log.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, __file__, str(model), *([] if longest is None else [str(longest)])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=out, start_new_session=True,
        )  # fmt: skip
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        line = server.stdout.readline().decode().strip()
        assert line.startswith("http://"), (
            f"the server did not start: {line}\n{log.read_text(errors='replace')[-2000:]}"
        )
        yield f"{line}/v1"
    finally:
        server.stdin.close()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        server.stdout.close()


def main() -> None:
    import xllamacpp  # type: ignore[import-untyped]

    params = xllamacpp.CommonParams()
    params.model.path = sys.argv[1]
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.warmup = False
    if len(sys.argv) > 2:
        params.n_predict = int(sys.argv[2])
        params.n_ctx = 2 * CONTEXT  # the least that hermes will work with
    params.cpuparams.n_threads = 1  # two would wait for each other, spinning, on a machine that others use
    params.cpuparams_batch.n_threads = 1
    params.n_threads_http = 4
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    say = os.dup(1)
    os.dup2(2, 1)  # what the library prints is no part of what is said
    server = xllamacpp.Server(params)
    os.write(say, f"{server.listening_address}\n".encode())
    while os.read(0, 1024):
        pass
    os._exit(0)  # a generation in progress would be waited for


if __name__ == "__main__":
    main()
