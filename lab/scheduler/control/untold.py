"""Telling people of proposals that wait, each once in its life, whoever asked and whoever comes first to it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core import proposal
from lab.core.errors import BadInput, LabError
from lab.scheduler import refresh
from lab.scheduler.control import notices
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.core.notice import Notice
    from lab.store.root import Root


def tell(root: Root, names: Iterable[str]) -> tuple[str, ...]:
    """Tell of these, where nobody was told yet. Returns warnings.

    Called where one was made, and at each turn: whoever made it may have been stopped before it told anybody.
    """
    if reading.size_of(root.layout.notify) < 0:
        return ()
    from lab.core import notice  # noqa: PLC0415  # only labs that want notices pay for them
    from lab.scheduler.control import delivery  # noqa: PLC0415  # the same

    sent: dict[str, float] = {}
    with suppress(OSError):  # whoever sends says what is wrong with it
        sent = delivery.remembered(root).sent
    owners: set[str] = set()
    for each in names:
        with suppress(BadInput):  # anybody may have put a file there
            name = proposal.owner(each)[0]
            owners |= set() if notice.approval(name, each) in sent else {name}
    news: list[Notice] = []
    for name in sorted(owners):
        with suppress(LabError), root.section(name):  # busy, or damaged: that is told elsewhere
            view, loaded = refresh.current(root, name)
            news += notice.of_waiting(view, loaded.spec)
    return notices.tell(root, news)
