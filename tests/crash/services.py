"""The service that trainings of the sweep ask: the local server with a tiny model behind it, one for each process."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from lab.tinker.local.tiny import make_tiny
from tests.tinker.conftest import BASE
from tests.tinker.served import served


@cache
def url() -> str:
    """Where it answers."""
    folder = tempfile.mkdtemp(prefix="labctl-service-")
    running = ExitStack()
    running.callback(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(running.close)
    make_tiny(f"{folder}/tiny")
    return running.enter_context(served(Path(folder) / "server", bases={BASE: f"{folder}/tiny"})).url
