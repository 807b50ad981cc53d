"""A local Tinker server in a process of its own.

    python tests/tinker/served.py FOLDER [--base NAME=DIR ...] [--double] [--largest-file BYTES] [--port N]

It says where it listens, and ends when its standard input does: a test run that is killed leaves nothing behind.
`--double` puts no models behind the door but arithmetic (tests/tinker/local/double.py).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[2]


class Served:
    """A server that runs. `folder` is where it keeps its checkpoints; `log` is what it complained of."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, folder: Path, log: Path) -> None:
        self.process = process
        self.url = url
        self.folder = folder
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """As `kill PID` does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@contextlib.contextmanager
def served(
    folder: Path, *, bases: dict[str, str] | None = None, largest_file: int | None = None, port: int = 0
) -> Iterator[Served]:
    """Without `bases` it is the double that answers."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder.with_name(f"{folder.name}.log")
    given = ["--double"] if bases is None else [f"--base={name}={where}" for name, where in bases.items()]
    given += [f"--port={port}"]
    given += [] if largest_file is None else [f"--largest-file={largest_file}"]
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, __file__, str(folder), *given],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=out, start_new_session=True, cwd=CHECKOUT,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline().decode().strip()
        assert line.startswith("http://"), f"the server did not start: {log.read_text(errors='replace')[-3000:]}"
        yield Served(process, line, folder, log)
    finally:
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--base", action="append", default=[])
    parser.add_argument("--double", action="store_true")
    parser.add_argument("--largest-file", type=int)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    sys.path.insert(0, str(CHECKOUT))
    from lab.tinker.local.serve import Terms, keep, serve

    if given.largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (given.largest_file, given.largest_file))
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())

    def watch() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=watch, daemon=True).start()
    terms = Terms(port=given.port)

    def ready(url: str) -> None:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()

    def say(text: str) -> None:
        sys.stderr.write(f"{text}\n")

    if given.double:
        from tests.tinker.local.double import DoubleModels

        keep(DoubleModels(), given.folder, terms, interrupted=ended.is_set, ready=ready, say=say)
    else:
        bases = dict(each.split("=", 1) for each in given.base)
        serve(bases, given.folder, terms, interrupted=ended.is_set, ready=ready, say=say)


if __name__ == "__main__":
    main()
