"""A Ray of our own: one node, on loopback as far as Ray can be kept there, gone with the test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lab.core.errors import Unavailable
from lab.engines.door import Ground
from lab.engines.ray import Ray
from lab.store.files import Files
from tests.llm.faulty import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_UP_WITHIN_S = 120.0


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """The variables of somebody who may use it: its address, and a home with its token."""
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # the names of its sockets are long, and may not be
    head, dashboard, agent = (free_port() for _ in range(3))
    environ = {"PATH": os.environ["PATH"], "HOME": folder, "LANG": "C.UTF-8", "RAY_AUTH_MODE": "token"}
    environ["RAY_AUTH_TOKEN_PATH"] = f"{folder}/token"
    Files(durable=False).create(environ["RAY_AUTH_TOKEN_PATH"], b"f" * 64 + b"\n", mode=0o600)
    address = f"http://127.0.0.1:{dashboard}"
    command = (
        "ray", "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={head}", "--num-cpus=4",
        "--num-gpus=2", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}",
        f"--dashboard-agent-listen-port={agent}", f"--temp-dir={folder}/t", "--disable-usage-stats",
        "--object-store-memory=80000000",
    )  # fmt: skip
    with open(f"{folder}/log", "wb") as log:
        started = subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True)
    try:
        ground = Ground(environ=environ, folder=f"{folder}/none", files=Files(durable=False), address=address)
        _wait_for(ground, started, f"{folder}/log")
        yield {**environ, "RAY_API_SERVER_ADDRESS": address}
    finally:
        started.terminate()  # which ends its own
        with suppress(subprocess.TimeoutExpired):
            started.wait(30)
        for pid in _of(folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        started.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(ground: Ground, started: subprocess.Popen[bytes], log: str) -> None:
    """Until it takes jobs: its dashboard answers before the agent is there that starts them."""
    until_s = time.monotonic() + _UP_WITHIN_S
    while started.poll() is None and time.monotonic() < until_s:
        with suppress(Unavailable):
            Ray().describe(ground)
            Ray().listed("", ground)
            return
        time.sleep(0.2)
    with open(log, encoding="utf-8", errors="replace") as file:
        raise AssertionError(f"Ray does not start: {file.read()[-3000:]}")


def _of(folder: str) -> list[int]:
    """Processes of this Ray, and no other: they are told of its folder."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) != os.getpid():
            for file in ("cmdline", "environ"):
                with suppress(OSError), open(f"/proc/{name}/{file}", "rb") as text:
                    if f"{folder}/".encode() in text.read():
                        found.append(int(name))
    return found
