"""What of the user's tree is as a commit of the lab's has it: changes that the lab brought there are not the user's."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.store.repository.git import Git


class Clean(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace has to hold what is committed, and besides only what the lab brought: what one of these refs has."""

    brought: tuple[str, ...] = ()


def as_brought(git: Git, top: str, names: Iterable[str], refs: Iterable[str]) -> frozenset[str]:
    """Those of these paths, named from `top`, that are as one of the refs has them: the same bytes, or gone in both."""
    asked = list(names)
    found: set[str] = set()
    for ref in refs:
        answer = git.ask("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", codes=(0, 1, 128))
        commit = os.fsdecode(answer.out).strip() if answer.code == 0 else ""
        if not commit:
            continue
        committed = _committed(git, commit, asked)
        there = _there(git, top, asked)
        found.update(name for name in asked if name in there and there[name] == committed.get(name))
    return frozenset(found)


def _committed(git: Git, commit: str, names: list[str]) -> dict[str, str]:
    wanted = set(names)
    entries = (entry.partition("\t") for entry in git.names("ls-tree", "-r", "-z", commit))
    return {name: _entry(*told.split(" ")[::2]) for told, _, name in entries if name in wanted}


def _there(git: Git, top: str, names: list[str]) -> dict[str, str | None]:
    """Git's entry of each file as it lies there, None for one that is gone. Not of links: no kept change holds one."""
    found: dict[str, str | None] = {}
    plain: list[tuple[str, str]] = []
    for name in names:
        try:
            seen = os.lstat(f"{top}/{name}")
        except OSError:
            found[name] = None
            continue
        if stat.S_ISREG(seen.st_mode) and "\n" not in name:
            plain.append((name, "100755" if seen.st_mode & stat.S_IXUSR else "100644"))
    given = os.fsencode("".join(f"{name}\n" for name, _ in plain))
    ids = git.out("hash-object", "--stdin-paths", given=given, tree=top).split() if plain else []
    found.update({name: _entry(mode, each) for (name, mode), each in zip(plain, ids, strict=True)})
    return found


def _entry(mode: str, id_: str) -> str:
    return f"{mode} {id_}"
