"""One place where bytes from outside are read, and how it is judged whether it read them as promised.

Whatever the bytes are, it gives a value or raises an error of the lab's own that says something in a few words; it is
done within a moment; and what it gives holds to its word, which each target puts to the test for itself.
"""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.core.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_S = 3.0  # of a processor, for at most `most` bytes: many times what the slowest takes
MESSAGE_CHARS = 100_000
_SHOWN_CHARS = 300
_LONG_BYTES = 400  # what is shown of an input that broke a promise


class Broken(AssertionError):
    """A promise of this place does not hold for an input."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """`reads` are modules of the lab that it goes through; `raises` what it may raise, besides giving a value.

    `head`: the first bytes of an input choose among what is alike, and are mostly left as they are. `words` mean
    something to who reads it.
    """

    name: str
    what: str
    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    reads: tuple[str, ...]
    raises: tuple[type[Exception], ...] = (LabError,)
    words: tuple[str, ...] = ()
    head: int = 0
    most: int = 4096


def promise(holds: object, words: str) -> None:
    """Break the promise that these words tell, unless it holds."""
    if not holds:
        raise Broken(words)


def chosen(data: bytes, of: int) -> tuple[int, bytes]:
    """Which of several an input is for, and the rest of it."""
    return (data[0] % of, data[1:]) if data else (0, b"")


def each(of: int, *seeds: bytes) -> tuple[bytes, ...]:
    """Each of these inputs for every one of several."""
    return tuple(bytes((choice,)) + seed for choice in range(of) for seed in seeds)


def judged(target: Target, data: bytes, *, limit_s: float = LIMIT_S) -> str:
    """What is wrong with how this input was read; empty where nothing is."""
    begun = time.process_time()
    wrong = _read(target, data)
    took_s = time.process_time() - begun
    if not wrong and took_s > limit_s:
        wrong = f"took {took_s:.1f} s of a processor for {len(data):,} bytes"
    return wrong


def shown(data: bytes) -> str:
    """An input as it can be pasted into a test; of a long one its beginning."""
    return repr(data) if len(data) <= _LONG_BYTES else f"{data[:_LONG_BYTES]!r} and {len(data) - _LONG_BYTES:,} more"


def _read(target: Target, data: bytes) -> str:
    try:
        target.read(data)
    except Broken as wrong:
        return str(wrong)[:_SHOWN_CHARS]
    except target.raises as refusal:
        return _of_refusal(refusal)
    except Exception as error:  # noqa: BLE001  # what no place may raise is what is looked for
        return f"{type(error).__name__}: {str(error)[:_SHOWN_CHARS]} at {_place(error)}"
    return ""


def _of_refusal(refusal: Exception) -> str:
    words = str(refusal)
    if not words.strip():
        return f"{type(refusal).__name__} says nothing, at {_place(refusal)}"
    if len(words) > MESSAGE_CHARS:
        return f"{type(refusal).__name__} says it in {len(words):,} characters, at {_place(refusal)}"
    return ""


def _place(error: Exception) -> str:
    """The innermost line of the lab."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if "/lab/" in each.filename]
    if not frames:
        return "a line of the target itself"
    last = frames[-1]
    return f"lab/{last.filename.rpartition('/lab/')[2]}:{last.lineno}"
