"""A log that does not grow for ever: one line an event, and the oldest of its files goes when a new one is begun.

No history: nothing in the lab is ever read back from it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core import canonical
from lab.core.errors import BadInput
from lab.store import reading
from lab.store.sections import hold

if TYPE_CHECKING:
    from lab.store.root import Root

LIMIT_BYTES = 1 << 20
KEPT = 5


def append_line(root: Root, path: str, line: str) -> None:
    """Add an event with its moment in front, in a new file when the old one would grow beyond its limit.

    Whole even when two processes write at once. Not durable: a power cut may take the newest lines.
    """
    text = canonical.plain(" ".join(f"{root.now()} {line}".splitlines()))
    data = text.encode() + b"\n"
    with hold(root.layout.log_section):
        size = reading.size_of(path)
        if size > 0 and size + len(data) > LIMIT_BYTES:
            _shift(root, path)
        root.files.append(path, lambda _tail, _size: data, section="", window=1, durable=False)


def check(root: Root, path: str) -> None:
    """Refuse, before anything is done, a file that no line can be added to."""
    try:
        root.files.append(path, lambda _tail, _size: b"", section="", window=0, durable=False)
    except OSError as error:
        what = f"the log cannot be written: {error.strerror}"
        raise BadInput(what, where=path, fix="name a file in a folder that you may write: --log FILE") from error


def rotate(root: Root, path: str) -> None:
    """Begin a new file: PATH becomes PATH.1, that one PATH.2, and the last of the kept ones is let go."""
    with hold(root.layout.log_section):
        _shift(root, path)


def _shift(root: Root, path: str) -> None:
    for number in range(KEPT - 1, 0, -1):
        with suppress(FileNotFoundError):
            root.files.move(f"{path}.{number}", f"{path}.{number + 1}")
    with suppress(FileNotFoundError):
        root.files.move(path, f"{path}.1")
