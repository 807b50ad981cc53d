"""What is told by the names of claims alone: a look at each would make every run dearer by those beside it.

A thousand runs of an experiment may be with an engine, and each of them has three or four files here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core import layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.store.root import Root

CALLING = (layout.CLAIM_SUFFIX, layout.SUPERSEDED_SUFFIX, layout.ABANDONED_SUFFIX)
_STATES = (*CALLING, layout.RELEASED_SUFFIX)
# Claims that this process has seen to be an engine's. They stay that, and no silence loses them.
_ENGINES: set[str] = set()
_MOST_KNOWN = 65_536


def found(root: Root, experiment: str) -> list[tuple[int, str]]:
    """Every claim that has a name, by generation."""
    # By their ends first: beside each claim may lie what an engine's run has besides.
    states = [name for name in names(root, experiment) if name.endswith(_STATES)]
    return sorted(pair for name in states if (pair := layout.claim_file(name)) is not None)


def under_way(root: Root, experiment: str) -> int:
    """How many claims stand. One whose holder is gone counts until it is taken over."""
    return count(found(root, experiment))


def count(claims: Sequence[tuple[int, str]]) -> int:
    """How many of them stand."""
    return sum(suffix == layout.CLAIM_SUFFIX for _, suffix in claims)


def has_others_from(root: Root, experiment: str, generation: int) -> bool:
    """Whether there are claims of this generation or a later one, besides the one that stands for it."""
    least, own = f"{generation:08d}", f"{generation:08d}{layout.CLAIM_SUFFIX}"
    # Numbers that have become longer than usual do not compare as text.
    later = [name for name in names(root, experiment) if (name >= least or name[8:9] != ".") and name != own]
    pairs = (layout.claim_file(name) for name in later)
    return any(pair is not None and pair[0] >= generation for pair in pairs)


def note_engines(path: str) -> None:
    """Remember of a claim that an engine has it."""
    if len(_ENGINES) >= _MOST_KNOWN:
        _ENGINES.clear()
    _ENGINES.add(path)


def all_are_with_engines(root: Root, experiment: str, known: Sequence[tuple[int, str]] | None = None) -> bool:
    """Whether every claim is known to be an engine's, so that none can be lost or unsettled.

    `known` is what `found` has just told: a look at a thousand runs takes a millisecond.
    """
    return all(
        suffix == layout.RELEASED_SUFFIX
        or (suffix == layout.CLAIM_SUFFIX and root.layout.claim(experiment, generation) in _ENGINES)
        for generation, suffix in (found(root, experiment) if known is None else known)
    )


def experiments(root: Root) -> list[str]:
    """Every experiment that has, or had, a claim."""
    try:
        with os.scandir(root.layout.locks) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def names(root: Root, experiment: str) -> list[str]:
    """Everything that lies in its folder of claims; nothing where there is none."""
    try:
        return os.listdir(root.layout.claims(experiment))
    except FileNotFoundError:
        return []
