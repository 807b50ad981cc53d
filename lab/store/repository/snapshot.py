"""A workspace without git, committed as it is into a repository of the lab's own."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from lab.core.errors import BadInput
from lab.store.repository import committed
from lab.store.sections import hold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.store.repository.site import Site

REF = "refs/lab/workspace"
MOST_BYTES, MOST_FILES = 1 << 30, 100_000


def taken(site: Site) -> str:
    """The commit that holds the workspace as it is now. The last one, when nothing has changed since."""
    with hold(f"{site.own}/snapshot.lock"):
        index = f"{site.own}/snapshot.index"
        site.files.discard(f"{index}.lock")  # of a git that was killed: nobody else is in this section
        _brought_up_to_date(site, index)
        tree = site.git.out("write-tree", index=index)
        before = site.git.out("for-each-ref", "--format=%(objectname) %(tree)", REF).split()
        if before[1:] == [tree]:
            return before[0]
        made = committed.commit(site, tree, before[:1], "the workspace as it is", {})
        site.git.ask("update-ref", "--no-deref", REF, made)
        return made


def _brought_up_to_date(site: Site, index: str) -> None:
    found = sorted(_files_of(site, ""))
    there, size = [], 0
    for name in found:
        seen = os.lstat(f"{site.top}/{name}")
        if stat.S_ISREG(seen.st_mode) or stat.S_ISLNK(seen.st_mode):
            there.append(name)
            size += seen.st_size
    if size > MOST_BYTES or len(there) > MOST_FILES:
        raise BadInput(
            f"the workspace has {len(there)} files with {size >> 20} MiB, more than the lab copies",
            where=site.top,
            fix="name what is no code in .gitignore (data, environments), or make the workspace a git repository",
        )
    known = set(site.git.names("ls-files", "-z", index=index))
    gone = known - set(there)
    zeros = "0" * len(site.git.out("hash-object", "-t", "tree", "/dev/null"))
    if gone:
        given = "".join(f"0 {zeros}\t{name}\0" for name in sorted(gone))
        # With the tree, for git looks again at files of the same second before it calls them known.
        words = ("update-index", "-z", "--index-info")
        site.git.ask(*words, given=os.fsencode(given), tree=site.top, index=index)
    given = "".join(f"{name}\0" for name in there)
    site.git.ask(
        "update-index", "-z", "--add", "--replace", "--stdin", given=os.fsencode(given), tree=site.top, index=index
    )


def _files_of(site: Site, folder: str) -> Iterator[str]:
    """Files of the workspace that no `.gitignore` names, those of repositories in it too."""
    nothing = f"{site.own}/nothing.index"  # is never there: to git, every file is a new one
    place = f"{site.top}/{folder}" if folder else site.top
    for name in site.git.names("ls-files", "-z", "-o", "--exclude-standard", tree=place, index=nothing):
        if name.endswith("/"):
            if os.path.basename(name[:-1]) != ".git":
                yield from _files_of(site, folder + name)
        else:
            yield folder + name
