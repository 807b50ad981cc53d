"""Start the server over base models and a folder, and keep it until something interrupts."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, Unavailable
from lab.core.tuning import LOCAL_PORT
from lab.tinker.local import disk
from lab.tinker.local.routing import Parts
from lab.tinker.local.server import Door
from lab.tinker.local.sessions import IDLE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.tinker.local.training import Models

NOT_COVERED: tuple[str, ...] = (
    "the losses dro, gspo and stable_reinforce",
    "custom losses that the server computes (forward_backward_custom works: there the client computes)",
    "experts that a model keeps as one block of three dimensions (mixtures): they get no adapter",
    "images and sound in a prompt, sparse tensors, tensors of more than one dimension",
    "of sampling: target_prompt_logprobs, prompt_alt_tokens_k, record_stability_info",
    "sampling clients of the kind inflight; of snapshots the last 64 are kept, or those that 1 GiB holds, but always 4",
    "optimizers other than Adam",
    "whoami, and keys that are exchanged for tokens: any key that starts with tml- is let in",
    "privacy: every user of this machine can list, download and delete what is saved, and ask for faults",
    "weights_access_token: nobody else's checkpoints are here",
    "billing, projects, searching sessions, traces, the audit log",
    "encrypted files (age), and publishing to others: the mark `public` is kept and nothing more",
    "queues and capacity of a service: one thread does one job after another",
    "the limits of the service: a time to live may be seconds here, and any rank and length is tried",
    "the service's own words and metric names: beyond `loss:sum` nobody has compared them",
)
_LOOK_S = 0.2


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Where it listens and when it gives up on a client. Port 0 takes any that is free; `port_file` is told which.

    `debug`: what fails is told with its stack trace.
    """

    host: str = "127.0.0.1"
    port: int = LOCAL_PORT
    port_file: str = ""
    session_idle_s: float = IDLE_S
    debug: bool = False


def serve(
    bases: Mapping[str, str],
    folder: str,
    terms: Terms | None = None,
    *,
    interrupted: Callable[[], object] = bool,
    ready: Callable[[str], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """`bases`: folders of base models by name. `ready` is told the address when it answers; `say` what went wrong.

    Returns when `interrupted` says so. Checkpoints and runs are below `folder`, and found again by the next server.
    """
    for name, where in bases.items():
        if ":" in os.path.abspath(where):
            fix = "move it, or give a symbolic link whose path has none"
            raise BadInput(f"the folder of {name} has a colon in its path; the SDK cuts it there", where=where, fix=fix)
    from lab.tinker.local.models import LocalModels  # noqa: PLC0415  # loads torch

    models = LocalModels({name: os.path.abspath(where) for name, where in bases.items()})
    keep(models, folder, terms or Terms(), interrupted=interrupted, ready=ready, say=say)


def keep(
    models: Models,
    folder: str,
    terms: Terms,
    *,
    interrupted: Callable[[], object] = bool,
    ready: Callable[[str], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """The same over any models."""
    say = say or _nothing
    folder = os.path.abspath(folder)
    held = disk.take(folder)
    try:
        disk.clear(folder)
        parts = Parts(models, folder, say, session_idle_s=terms.session_idle_s, debug=terms.debug)
        door = Door(parts, host=terms.host, port=terms.port)
        door.open()
        try:
            if terms.port_file:
                _note_port(terms.port_file, door.server_port)
            if ready is not None:
                ready(door.url)
            waiting = threading.Event()
            while not interrupted():
                waiting.wait(_LOOK_S)
        finally:
            door.close()
    finally:
        disk.give_back(held)


def _note_port(path: str, port: int) -> None:
    try:
        disk.write(os.path.abspath(path), f"{port}\n".encode())
    except OSError as error:
        raise Unavailable(f"the port cannot be noted: {error}", where=path, fix="give another --port-file") from error


def _nothing(_text: str) -> None:
    """Nobody wants to know."""
