"""Files of a state from the middle of a training: made by a session of their own, which trains nothing.

Only the end of a training saves files by itself; one that a budget or a plateau ended has states alone. No token is
used; what a session costs is the service's to say.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lab.core.errors import LabError
from lab.tinker import stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.tinker.session import Status

NAME = "download"
KEEP_S = 3600  # the shortest that the service takes; the files are deleted before, if it can be asked


@contextmanager
def exported(path: str, url: str, environ: Mapping[str, str], *, limit_s: float) -> Iterator[str]:
    """The path of files made from this state. They are there until the block ends."""
    with stored.asking(url, environ, limit_s, "making files of a state", path) as ask:
        from lab.tinker.session import Session  # noqa: PLC0415  # loads the SDK

        session = Session(url, ask.waiting, about={"made_by": "labctl tinker download"})
        status: Status = "errored"
        try:
            session.load(path, optimizer=False)
            made = session.save_external(NAME, keep_s=KEEP_S)
            status = "success"
        finally:
            session.close(status)
        try:
            yield made
        finally:
            with suppress(LabError):  # it ends by itself
                ask.answer(ask.client.delete_checkpoint_from_tinker_path(made))
