"""A data root as one call of the API sees it: with the clock and the environment of that moment."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

from lab.api import given
from lab.cli.session import Session
from lab.cli.surroundings import the_world
from lab.cli.terminal import Terminal
from lab.store import root as store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.store.root import Root

_LEVEL = 3  # the line of the caller of the API


class LabWarning(UserWarning):
    """Something that the caller should know, and that stopped nothing: what the command line prints as a warning."""


def root(path: str, *, existing: bool = True) -> Root:
    """The data root, open. A notebook sets variables and changes folders as it goes, so nothing of them is kept."""
    if existing:
        store.require(path)
    return store.Root(path, the_world())


def actor(path: str) -> str:
    """Whom a decision is written down for: as at the terminal."""
    return Session(Terminal(as_json=True, quiet=True), path).actor


def plain(path: str | os.PathLike[str]) -> str:
    """A path as text, absolute: the current folder may be another one at the next call."""
    return os.path.abspath(os.path.expanduser(given.path("path", path)))


def warn(notes: Iterable[str]) -> None:
    """Tell the caller."""
    for note in notes:
        warnings.warn(note, LabWarning, stacklevel=_LEVEL)
