"""The files that measure, as a commit has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.store.repository.site import Site


def committed(site: Site, commit: str, wanted: Callable[[str], bool]) -> dict[str, str]:
    """Mode and id of each file of a commit that is wanted, by path from the workspace."""
    found = {}
    for entry in site.git.names("ls-tree", "-r", "-z", commit):
        about, _, path = entry.partition("\t")
        mode, _, blob = about.split(" ")
        if wanted(site.named(path)):
            found[site.named(path)] = f"{mode} {blob}"
    return found
