"""What is told by the names of claims alone: a look at each would make every run dearer by those beside it.

A thousand runs of an experiment may be with an engine, and each of them has three or four files here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core import layout

if TYPE_CHECKING:
    from lab.store.root import Root

CALLING = (layout.CLAIM_SUFFIX, layout.SUPERSEDED_SUFFIX, layout.ABANDONED_SUFFIX)
_STATES = (*CALLING, layout.RELEASED_SUFFIX)
# Claims that this process has seen to be an engine's. They stay that, and no silence loses them.
_ENGINES: set[str] = set()
_MOST_KNOWN = 65_536


def found(root: Root, experiment: str) -> list[tuple[int, str]]:
    """Every claim that has a name, by generation."""
    names = _names(root, experiment)
    # By their ends first: beside each claim may lie what an engine's run has besides.
    return sorted(pair for name in names if name.endswith(_STATES) and (pair := layout.claim_file(name)) is not None)


def under_way(root: Root, experiment: str) -> int:
    """How many claims stand. One whose holder is gone counts until it is taken over."""
    names = _names(root, experiment)
    return sum(layout.claim_file(name) is not None for name in names if name.endswith(layout.CLAIM_SUFFIX))


def is_an_engines(path: str) -> None:
    """Remember of a claim that an engine has it."""
    if len(_ENGINES) >= _MOST_KNOWN:
        _ENGINES.clear()
    _ENGINES.add(path)


def all_are_with_engines(root: Root, experiment: str) -> bool:
    """Whether every claim is known to be an engine's, so that none can be lost or unsettled."""
    return all(
        suffix == layout.RELEASED_SUFFIX
        or (suffix == layout.CLAIM_SUFFIX and root.layout.claim(experiment, generation) in _ENGINES)
        for generation, suffix in found(root, experiment)
    )


def _names(root: Root, experiment: str) -> list[str]:
    try:
        return os.listdir(root.layout.claims(experiment))
    except FileNotFoundError:
        return []
