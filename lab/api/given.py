"""What calls of the API are given: looked at by its name, before anything is done with it. Else it could be sealed."""

from __future__ import annotations

import operator
import os
from typing import TYPE_CHECKING

from lab.core import canonical
from lab.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_SEED = 2**63 - 1  # as `--seed` has it
_SHOWN_CHARS = 80


def whole(name: str, given: object, *, least: int, most: int, fix: str) -> int:
    """A whole number in these bounds, also one of numpy's; True is none."""
    number = None if isinstance(given, bool) else _index(given)
    if number is None:
        raise BadInput(f"{name} must be a whole number, not {type(given).__name__}", fix=fix)
    if not least <= number <= most:
        raise BadInput(f"{name} must be a whole number from {least} to {most:,}, not {number}", fix=fix)
    return number


def _index(given: object) -> int | None:
    try:
        return operator.index(given)  # type: ignore[arg-type]  # that it may be none is the question
    except TypeError:
        return None


def seed(given: object) -> int | None:
    """The seed of a search; None where it is the SPEC's."""
    return None if given is None else whole("seed", given, least=0, most=MOST_SEED, fix="seed=1")


def text(name: str, given: object) -> str:
    """Words that a file can hold."""
    if not isinstance(given, str):
        raise BadInput(f"{name} must be text, not {type(given).__name__}", fix="put it in quotes")
    if not canonical.is_text(given):
        raise BadInput(f"{name} {given[:_SHOWN_CHARS]!r} is no text", fix="it holds half a character; leave it out")
    return given


def path(name: str, given: object) -> str:
    """The path of a file or a folder, as text."""
    found = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(found, str):
        raise BadInput(f"{name} must be a path, not {type(given).__name__}", fix="give it as text")
    try:
        if b"\0" not in os.fsencode(found):
            return found
    except UnicodeEncodeError:
        pass
    raise BadInput(f"{name} {found[:_SHOWN_CHARS]!r} is no path", fix="leave out what no name of a file can hold")


def words(name: str, given: object) -> str | tuple[str, ...]:
    """A command: a line, or its words, of which some may be paths."""
    if isinstance(given, str):
        return text(name, given)
    if isinstance(given, (list, tuple)) and all(isinstance(each, (str, os.PathLike)) for each in given):
        return tuple(path(name, each) for each in given)
    raise BadInput(f"{name} must be a line or a list of words", fix='command=["python", "train.py"]')


def one_of(name: str, given: object, known: Iterable[str]) -> str:
    """A word that is known; of those, a blank one stands for all."""
    found, told = text(name, given), tuple(known)
    if found not in told:
        raise BadInput(f"there is no {name} {found!r}", fix=f"it is one of {', '.join(filter(None, told))}")
    return found
