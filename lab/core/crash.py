"""What kind of crash a candidate's was, by what its programs left behind, and what is done about it. Pure.

A crash is never worth 0: it has no value. What it has is a kind, and one line that says what happened.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from lab.core import launch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

OOM, SYNTAX, IMPORT, TIMEOUT, OTHER = "oom", "syntax", "import", "timeout", "other"
KINDS = (OOM, SYNTAX, IMPORT, TIMEOUT, OTHER)
DIVISOR = 2  # by which the device batch is divided, and the steps of accumulation multiplied
_MENDED = frozenset({SYNTAX, IMPORT})
_WHAT_CHARS = 300
_LOOKED_AT = 200  # lines from the end; a program that got over an error went on to print more than that
_LINE_CHARS = 4_000
_ENDED_BY_TIMEOUT = 124  # what the program `timeout` ends with

# Lines that only say that something else failed: what failed stands above them.
_WRAPPER = re.compile(
    r"(?:subprocess\.)?CalledProcessError\b|SystemExit\b|.*\bChildFailedError\b|.*\bProcessRaisedException\b"
    r"|make(?:\[\d+\])?: \*\*\*|ninja: build stopped|error: could not compile|error: aborting due to"
    r"|npm (?:ERR!|error)|collect2: error|.*: \d+ errors? generated|FAILED: "
)
_OOM = re.compile(
    r"(?:CUDA|HIP|MPS backend|XPU|GPU|heap|runtime:|device) out of memory|CUDA error: out of memory"
    r"|\bcudaErrorMemoryAllocation\b|\bCUBLAS_STATUS_ALLOC_FAILED\b|\bCUDA_ERROR_OUT_OF_MEMORY\b"
    r"|\b(?:OutOfMemoryError|_?ArrayMemoryError)\b|RESOURCE_EXHAUSTED.*(?:memory|allocat)|\bOOM when allocating"
    r"|^(?:[\w.]+\.)?MemoryError\b|\bstd::bad_alloc\b|can't allocate memory|Cannot allocate memory"
    r"|memory allocation of \d+ bytes failed",
    re.IGNORECASE,
)
_IMPORT = re.compile(
    r"^(?:[\w.]+\.)?(?:ImportError|ModuleNotFoundError)\b|: fatal error: .*(?:No such file|file not found)"
    r"|^Error(?: \[ERR_MODULE_NOT_FOUND\])?: Cannot find (?:module|package) "
    r"|error while loading shared libraries|error\[E0(?:432|433|463)\]|error TS2307\b"
    r"|(?:^|: )(?:no required module provides package|package \S+ is not in std)"
)
_SYNTAX = re.compile(
    r"^(?:[\w.]+\.)?(?:SyntaxError|IndentationError|TabError)\b"
    r"|^\S.*?:\d+(?::\d+)?: (?:fatal )?error: |^\S.*?\(\d+(?:,\d+)?\): (?:fatal )?error\b"
    r"|^error\[E\d{4}\]: |^error: (?:expected|unexpected|unclosed|mismatched|cannot find|this file contains)"
    r"|^(?:\S+/)?\S+\.go:\d+:\d+: |\bsyntax error\b|\bundefined reference to\b"
)
# How the last line of a Python traceback begins, and what other languages print in its place.
_ERROR = re.compile(
    r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Failure|Warning|Expired)(?::|$)"
    r"|^(?:[a-z_]\w*\.)+[A-Z]\w*: |^thread '.*' panicked at|^panic: |^(?:fatal|error|abort(?:ed)?)\b.*:"
    r"|^terminate called|^Segmentation fault|^Exception in thread|^Uncaught |^AssertionError$",
    re.IGNORECASE,
)
_PYTEST = re.compile(r"^E {3,}")


class Halve(msgspec.Struct, frozen=True, kw_only=True):
    """Measure once more with half the device batch at the same total batch. Whether it listens is its own."""


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """Give the change back to its proposer with the crash, once."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Write it down: the candidate is over."""


def kind(exit_code: int | None, signal: int | None, tail: str, stopped: str = "") -> str:
    """What kind of crash it was; empty for a program that ended well, and for one that was ended by somebody's wish.

    `tail` is the end of what it printed, errors last; `stopped` is that of `launch.Exit`. A program that was killed
    from outside and said nothing is `other`: that it was for its memory would be a guess.
    """
    if stopped == launch.MEMORY:
        return OOM
    if stopped == launch.TIMEOUT:
        return TIMEOUT
    if stopped or (exit_code == 0 and not signal):
        return ""
    found, _ = _last(tail)
    if found:
        return found
    return TIMEOUT if exit_code == _ENDED_BY_TIMEOUT else OTHER


def what(tail: str, exit_code: int | None = None, signal: int | None = None) -> str:
    """One line that says what happened: the last one that names an error, else the last one at all.

    What the program says to do about it, on the line below (`  fix: pip install ...`), comes along.
    """
    _, line = _last(tail)
    line = line or next(_from_the_end(tail), "")
    if not line and signal:
        line = f"it was ended by signal {signal}, and said nothing"
    elif not line and exit_code is not None:
        line = f"it ended with {exit_code}, and said nothing"
    words = " ".join(f"{line}; {_fix_below(line, tail)}".removesuffix("; ").split())
    return words if len(words) <= _WHAT_CHARS else f"{words[: _WHAT_CHARS - 1]}…"


def answer(found: str, already: Collection[str] = ()) -> Halve | Repair | Record:
    """What is done about a crash of this kind. `already` has the kinds that were answered once for this candidate.

    A repair that brings the other of the two that are repaired is over as well: the proposer had its turn.
    """
    if found == OOM and OOM not in already:
        return Halve()
    if found in _MENDED and _MENDED.isdisjoint(already):
        return Repair()
    return Record()


def _last(tail: str) -> tuple[str, str]:
    """The kind of the last error in a log, and its line; two empty texts where none is named."""
    for line in _from_the_end(tail):
        if _WRAPPER.match(line):
            continue
        if _OOM.search(line):
            return OOM, line
        if _IMPORT.search(line):
            return IMPORT, line
        if _SYNTAX.search(line):
            return SYNTAX, line
        if _ERROR.search(line):
            return OTHER, line
    return "", ""


def _fix_below(line: str, tail: str) -> str:
    """The line of advice that stands below another one; empty where none does."""
    seen = list(_from_the_end(tail))
    at = seen.index(line) if line in seen else 0
    below = seen[at - 1].strip() if at else ""
    return below if below.startswith("fix: ") else ""


def _from_the_end(tail: str) -> Iterator[str]:
    """Its last lines, the last one first, less what is blank."""
    for line in reversed(tail.splitlines()[-_LOOKED_AT:]):
        seen = _PYTEST.sub("", line[:_LINE_CHARS]).rstrip()
        if seen.strip():
            yield seen
