"""Telling people what happened. With no `control/notify.json` it costs one look for that file, and loads nothing.

What cannot be delivered fails nothing and delays little: it becomes a warning, and the channel rests for a while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.core.notice import Notice
    from lab.core.subject import Subject
    from lab.core.view import View
    from lab.store.root import Root


def after(root: Root, changes: Iterable[tuple[View | None, Subject]]) -> tuple[str, ...]:
    """Tell what follows from these changes: each an experiment as it was, if that is known, and as it is.

    Called once, at the end of a turn, outside every section: a webhook may take its five seconds. Returns warnings.
    """
    if reading.size_of(root.layout.notify) < 0:
        return ()
    from lab.core import notice  # noqa: PLC0415  # only labs that want notices pay for them
    from lab.scheduler.control import delivery  # noqa: PLC0415  # the same

    return delivery.tell(root, [each for before, subject in changes for each in notice.of_change(before, subject)])


def tell(root: Root, news: Iterable[Notice]) -> tuple[str, ...]:
    """Tell this. For what is no change of one experiment: a digest, damage that `verify` found."""
    if reading.size_of(root.layout.notify) < 0:
        return ()
    from lab.scheduler.control import delivery  # noqa: PLC0415  # only labs that want notices pay for them

    return delivery.tell(root, news)


def digest_written(root: Root, kind: str, name: str) -> tuple[str, ...]:
    """Tell that a digest was written."""
    if reading.size_of(root.layout.notify) < 0:
        return ()
    from lab.core import notice  # noqa: PLC0415  # only labs that want notices pay for them

    return tell(root, [notice.digest_written(kind, name)])


def damaged(root: Root, places: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Tell of damage, each a place and what is wrong there. Nothing for none."""
    if reading.size_of(root.layout.notify) < 0:
        return ()
    from lab.core import notice  # noqa: PLC0415  # only labs that want notices pay for them

    found = sorted(places)
    told = "".join(f"{where} {what}\n" for where, what in found)
    return tell(root, [notice.damaged(len(found), found[0][0], told)]) if found else ()
