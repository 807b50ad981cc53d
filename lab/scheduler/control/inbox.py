"""Commands that were dropped into control/inbox as files: each is done once, and answered in control/outbox.

An empty inbox costs one look at a folder, and loads nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core.errors import Busy
from lab.store.sections import hold

if TYPE_CHECKING:
    from lab.core.order import Answered
    from lab.store.root import Root

_SUFFIX = ".json"


def answer(root: Root) -> list[Answered]:
    """Carry out and answer what lies there, in the order of names. Not to be called inside any section.

    When another process is at it, that one does it all.
    """
    if not _names(root):
        return []
    from lab.core import order  # noqa: PLC0415  # what follows is wanted only where an order lies
    from lab.scheduler import refresh  # noqa: PLC0415  # every verb that decides
    from lab.scheduler.control import orders  # noqa: PLC0415  # every verb that decides

    done: list[Answered] = []
    try:
        with hold(root.layout.inbox_section, wait_s=0):
            done.extend(orders.carry_out(root, name) for name in _names(root))
    except Busy:
        return done
    if any(each.state != order.LEFT for each in done):
        refresh.lab_pages(root)
    return done


def _names(root: Root) -> list[str]:
    try:
        found = os.listdir(root.layout.inbox)
    except FileNotFoundError:
        return []
    return sorted(name for name in found if name.endswith(_SUFFIX) and not name.startswith("."))
