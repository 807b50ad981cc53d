"""What the pages are about: one lab, and who may change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.store.root import Root


class Site:
    """One lab as it is served. Shared by all requests: what changes in it is held by a lock of its own."""

    def __init__(self, root: Root, *, actor: str) -> None:
        self.root = root
        self.actor = actor
