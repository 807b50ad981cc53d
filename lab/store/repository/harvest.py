"""What was changed in a tree, found by looking at its files. Nothing else that lies in it is believed."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput
from lab.store.repository import changes, noted
from lab.store.repository.changed import ADDED, SUBMODULE, Changed, Harvest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from lab.store.repository.noted import Seen
    from lab.store.repository.site import Site

MOST_BYTES, MOST_FILES = 64 << 20, 10_000


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    there: list[str]  # files and links that may be new or different
    same: frozenset[str]  # of those, what looks as it did: read again only for having been written just now
    gone: list[str]
    nested: list[str]  # repositories in the tree
    strange: list[str]  # what is neither a file nor a link


def harvested(
    site: Site,
    place: str,
    base: str,
    without: AbstractSet[str] = frozenset(),
    look: Callable[[Sequence[str]], None] | None = None,
) -> Harvest:
    """The tree as git would commit it, and how it differs from `base`. `look` may refuse before a byte is kept."""
    place = os.path.abspath(place)
    if not os.path.isdir(place) or os.path.islink(place):
        raise BadInput("the tree is gone, or a link stands in its place", where=place, fix="begin a new candidate")
    index = site.beside(place, "harvest")
    site.files.discard(index)
    site.files.discard(f"{index}.lock")
    seen = noted.seen_in(site, place)
    # An index without times: git would take the files of one second for doubtful, and read them all.
    site.git.ask("read-tree", seen.commit, index=index)
    found = _looked_at(site, place, index, seen)
    if without:
        found = _less(site, found, without)
    _refuse_too_much(place, (name for name in found.there if name not in found.same))
    if look is not None:
        look([site.named(name) for name in found.there])
    if found.gone:
        zeros = "0" * len(base)
        given = "".join(f"0 {zeros}\t{name}\0" for name in found.gone)
        site.git.ask("update-index", "-z", "--index-info", given=os.fsencode(given), index=index)
    unkept = [*found.nested, *found.strange]
    if found.there:
        given = "".join(f"{name}\0" for name in found.there)
        words = ("update-index", "-z", "--add", "--replace", "--stdin")
        answer = site.git.ask(*words, given=os.fsencode(given), tree=place, index=index)
        unkept += [line[14:] for line in answer.problem.splitlines() if line.startswith("Ignoring path ")]
    tree = site.git.out("write-tree", index=index)
    site.files.discard(index)
    told = changes.between(site, base, tree, place=place)
    nested = [Changed(path=site.named(name), status=ADDED, new_mode=SUBMODULE) for name in found.nested]
    return Harvest(
        tree=tree,
        changes=(*told.changes, *nested),
        added=told.added,
        removed=told.removed,
        files=told.files,
        unkept=tuple(site.named(name) for name in unkept),
    )


def _less(site: Site, found: _Found, without: AbstractSet[str]) -> _Found:
    """The same without what the lab itself put there or left out."""
    lists = ([name for name in names if site.named(name) not in without] for names in (found.there, found.gone))
    return msgspec.structs.replace(found, there=next(lists), gone=next(lists))


def _looked_at(site: Site, place: str, index: str, seen: Seen) -> _Found:
    others = site.git.names("ls-files", "-z", "-o", "--exclude-standard", tree=place, index=index)
    nested = [name.rstrip("/") for name in others if name.endswith("/")]
    there = [name for name in others if not name.endswith("/")]
    gone, strange, same = [], [], []
    straight: dict[str, bool] = {"": True}
    doubtful = seen.doubtful_ns
    for text, before in seen.files.items():
        name = noted.name_of(text)
        now = noted.stamp_of(f"{place}/{name}")
        if now is None or not _lies_straight(place, os.path.dirname(name), straight):
            gone.append(name)
        elif stat.S_ISREG(now[1]) or stat.S_ISLNK(now[1]):
            if now != before or now[4] >= doubtful:
                there.append(name)
                same += [name] if now == before else []
        else:
            gone.append(name)
            if not stat.S_ISDIR(now[1]):
                strange.append(name)
    return _Found(there=there, same=frozenset(same), gone=gone, nested=nested, strange=strange)


def _lies_straight(place: str, folder: str, known: dict[str, bool]) -> bool:
    """Whether no folder on the way is a link: what lies behind one is not the tree's."""
    if folder not in known:
        above = _lies_straight(place, os.path.dirname(folder), known)
        known[folder] = above and not os.path.islink(f"{place}/{folder}")
    return known[folder]


def _refuse_too_much(place: str, there: Iterable[str]) -> None:
    size, count, largest = 0, 0, ("", 0)
    for name in there:
        try:
            bytes_of = os.lstat(f"{place}/{name}").st_size
        except OSError:
            continue
        size, count = size + bytes_of, count + 1
        if bytes_of > largest[1]:
            largest = (name, bytes_of)
    if size > MOST_BYTES or count > MOST_FILES:
        raise BadInput(
            f"the change has {count} files with {size / (1 << 20):.1f} MiB, more than the lab keeps of one "
            f"({MOST_FILES} files, {MOST_BYTES >> 20} MiB); the largest is {largest[0]!r}",
            where=place,
            fix="let the change write what is no code elsewhere, or name it in .gitignore",
        )
