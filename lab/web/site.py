"""What the pages are about: one lab, and who may change it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from lab.web.live import Live
from lab.web.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.store.root import Root


class Site:
    """One lab as it is served. Shared by all requests: what changes in it is held by a lock of its own.

    `tell` speaks to whoever started the server. Decisions are written down for `actor`.
    """

    def __init__(self, root: Root, *, actor: str, tell: Callable[[str], None] | None = None) -> None:
        self.root = root
        self.actor = actor
        self.tell = tell or _nobody
        self.cookie = ""  # the name of its cookie; the server knows it once it has a port
        self.sessions = Sessions()
        self.live = Live(root)
        self.deciding = threading.Lock()  # one decision at a time: the writer of files is for one thread
        self.stopping = threading.Event()  # set once the server ends: streams end with it


def _nobody(said: str) -> None:
    """There is nobody to tell."""
    del said
