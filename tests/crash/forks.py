"""A step of the drive in a forked child: 5 ms instead of the 150 ms of a new interpreter."""

from __future__ import annotations

import os
import tempfile
import traceback
import warnings
from typing import TYPE_CHECKING, NamedTuple

from tests.crash.driver import drive, say

if TYPE_CHECKING:
    from lab.store.files import Files


class Answer(NamedTuple):
    """How a child ended, the lines it told, and its complaint."""

    code: int
    lines: list[str]
    stderr: str


def child(path: str, *steps: str, writer: Files | None = None, then: tuple[str, ...] = ()) -> Answer:
    """Drive in a process of its own, whose death is all that this one sees of it.

    `then` are steps that the same process goes on with, however the first ones ended; the code is theirs.
    """
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as complaint:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # xdist's threads are idle in the child
            pid = os.fork()
        if pid == 0:
            code = 70
            try:
                os.dup2(told.fileno(), 1)
                os.dup2(complaint.fileno(), 2)
                code = drive(path, list(steps), say, writer)
                if then:
                    code = drive(path, list(then), say)
            except BaseException:  # noqa: BLE001  # a child must never go on as a second pytest
                os.write(2, traceback.format_exc().encode())
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        told.seek(0)
        complaint.seek(0)
        return Answer(code, told.read().decode().splitlines(), complaint.read().decode())
