"""The files that measure, as digests: in a commit, and in a tree before and after a program ran there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.store import contents

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


def lying(folder: str, wanted: Callable[[str], bool]) -> dict[str, str]:
    """Mode and digest of each file below a folder that is wanted. Links are not followed, nor is `.git` entered."""
    found = {}
    for item in contents.walk(folder):
        if item.is_folder or item.name.split("/", 1)[0] == ".git" or not wanted(item.name):
            continue
        path = f"{folder}/{item.name}"
        seen = contents.look(path)
        if seen is None:
            found[item.name] = "no file"
        else:
            found[item.name] = f"{os.lstat(path).st_mode:o} {seen.sha256}"
    return found
