"""A lease kept alive on the way through something long."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core.claim import RENEW_EVERY_S
from lab.core.errors import Superseded

if TYPE_CHECKING:
    from lab.store.leases import Lease
    from lab.store.root import Root


class Renewal:
    """Called as often as one likes, it renews every 20 s. That the lease was lost is found out by who seals."""

    def __init__(self, root: Root, lease: Lease) -> None:
        self._root = root
        self._lease = lease
        self._renewed_s = time.monotonic()

    def __call__(self, *_: object) -> None:
        """Renew it, where that is due."""
        if time.monotonic() - self._renewed_s < RENEW_EVERY_S:
            return
        self._renewed_s = time.monotonic()
        with suppress(Superseded, OSError):
            self._lease.renew(self._root)
