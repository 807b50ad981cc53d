"""Which files of a tree are not what its commit says any more: what was measured there may have rewritten itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.store.repository.site import Site


def strayed(site: Site, place: str, commit: str, without: Iterable[str] = ()) -> tuple[str, ...]:
    """Paths from the workspace, by their bytes. What came besides is not looked at, and `without` may be absent."""
    place = os.path.abspath(place)
    index = site.beside(place, "strayed")
    site.files.discard(index)
    site.files.discard(f"{index}.lock")
    site.git.ask("read-tree", commit, index=index)
    site.git.ask("update-index", "-q", "--refresh", "--unmerged", tree=place, index=index, codes=(0, 1))
    names = site.git.names("diff-files", "-z", "--name-only", "--ignore-submodules=all", tree=place, index=index)
    site.files.discard(index)
    left_out = frozenset(without)
    return tuple(each for each in (site.named(name) for name in names) if each not in left_out)
