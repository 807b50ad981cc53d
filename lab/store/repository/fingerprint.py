"""What a mutator has no business with in the user's repository, as digests: a change of it is found, and named."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from lab.store import contents, reading

if TYPE_CHECKING:
    from lab.store.repository.site import Site

_LABS = ("refs/lab/", "refs/heads/lab/")
_FILES = ("config", "config.worktree", "shallow", "objects/info/alternates")


def taken(site: Site) -> dict[str, str]:
    """By name: `config`, `hooks/pre-commit`, `info/exclude`, `HEAD`, `index`, `refs`; only what is there."""
    if site.is_own:
        return {}
    found = {name: _digest(f"{site.common}/{name}") for name in _FILES}
    for folder in ("hooks", "info"):
        if reading.is_folder(f"{site.common}/{folder}"):
            for item in contents.walk(f"{site.common}/{folder}"):
                if not item.is_folder:
                    found[f"{folder}/{item.name}"] = _digest(f"{site.common}/{folder}/{item.name}")
    found["HEAD"] = _digest(f"{site.git_dir}/HEAD")
    # What is staged and what is hidden from `git status`, not the bytes: looking at a tree renews times in its index.
    staged = site.theirs.ask("ls-files", "--stage", "-v", "-z", tree=site.top).out
    found["index"] = hashlib.sha256(staged).hexdigest()
    told = site.theirs.ask("for-each-ref", "--format=%(refname) %(objectname) %(symref)").out.split(b"\n")
    others = [line for line in told if not os.fsdecode(line).startswith(_LABS)]
    found["refs"] = hashlib.sha256(b"\n".join(others)).hexdigest()
    return {name: digest for name, digest in found.items() if digest}


def _digest(path: str) -> str:
    seen = contents.look(path)
    if seen is None:
        return ""
    mode = "x" if not seen.link and os.access(path, os.X_OK) else ""
    return f"{'link ' if seen.link else ''}{seen.sha256}{mode}"
