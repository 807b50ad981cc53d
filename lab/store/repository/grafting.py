"""A change put onto another tree, path by path. Nothing is merged: where both touch a path, the change's wins."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.store.repository.changed import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.store.repository.site import Site

_DIFF = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--abbrev=64", "--no-ext-diff")


def touched(site: Site, base: str, commit: str) -> tuple[str, ...]:
    """The paths that differ, as the repository calls them."""
    return tuple(_entries(site, base, commit))


def grafted(
    site: Site, tree: str, base: str, commit: str, index: str, wanted: Callable[[str], bool] | None = None
) -> str:
    """The tree, with every path that differs between `base` and `commit` as it is in `commit`.

    `index` is where the lab may write one; it is left for the caller to discard. `wanted` is asked for each path, as it
    is called from the workspace.
    """
    entries = _entries(site, base, commit)
    if wanted is not None:
        entries = {path: entry for path, entry in entries.items() if wanted(site.named(path))}
    zeros = "0" * len(commit)
    gone = [f"0 {zeros}\t{path}\0" for path, (mode, _) in entries.items() if mode == NOTHING]
    there = [f"{mode} {blob}\t{path}\0" for path, (mode, blob) in entries.items() if mode != NOTHING]
    site.git.ask("read-tree", tree, index=index)
    # What goes goes first: a file may have become a folder.
    site.git.ask("update-index", "-z", "--index-info", given=os.fsencode("".join(gone + there)), index=index)
    return site.git.out("write-tree", index=index)


def branched(site: Site, branches: Mapping[str, str], environ: Mapping[str, str]) -> None:
    """Make all of these branches, or none. One that is there already is never moved."""
    lines = "".join(f"create refs/heads/{name} {commit}\n" for name, commit in branches.items())
    site.theirs.ask("update-ref", "--no-deref", "-m", "labctl", "--stdin", given=lines.encode(), environ=environ)


def _entries(site: Site, base: str, commit: str) -> dict[str, tuple[str, str]]:
    """Path to mode and content, as they are in the commit."""
    fields = iter(site.git.names(*_DIFF, base, commit))
    found: dict[str, tuple[str, str]] = {}
    for field in fields:
        _, mode, _, blob, _ = field.split(" ")
        found[next(fields)] = (mode, blob)
    return found
