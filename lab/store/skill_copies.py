"""Putting skills where the programs that read them look, and telling what lies there.

A copy carries a marker with the digest of what was copied. So a copy that a person edited is told from one that is only
old: the first is never written over unasked, and even then it is moved aside and kept. Looking and writing are one
section of the folder of skills: two installs at once take turns.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Literal

import msgspec

from lab.core import layout, record
from lab.core.clients import person
from lab.core.errors import Corrupt
from lab.core.skills import clients, page
from lab.core.version import __version__
from lab.store import reading, sections, skills

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.store.root import Root
    from lab.store.skills import Skill

State = Literal["current", "stale", "modified", "missing"]
Deed = Literal["created", "updated", "replaced", "linked", "unchanged", "kept"]
SHARED = "agents"
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}  # what file systems say that have none


class Marker(record.Record, frozen=True, kw_only=True):
    """What a copy was when it was made."""

    name: str
    digest: str
    version: str = ""


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """One place for one skill. `link` is the folder that a link there leads to; empty for a copy."""

    client: str
    scope: Literal["project", "user", "given"]
    path: str
    link: str = ""


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """What was found at a place, and what was done about it."""

    spot: Spot
    state: State
    deed: Deed
    aside: str = ""


def spots(skill: Skill, base: str, environ: Mapping[str, str], *, at_home: bool) -> Iterator[Spot]:
    """Every place of one skill: the shared folder first, for the links lead there. `base` is the project's folder."""
    name = skill.place.name
    top = person(environ) if at_home else base
    central = f"{top}/{clients.CENTRAL}/{name}"
    scope: Literal["user", "project"] = "user" if at_home else "project"
    yield Spot(client=SHARED, scope=scope, path=central)
    for client in clients.CLIENTS.values():
        if at_home:
            folder = clients.user_folder(client, top, environ)
        else:
            folder = f"{base}/{client.project}" if client.project else ""
        if not folder:
            continue
        if client.how == "copy":
            group = clients.category(skill.page)
            yield Spot(client=client.name, scope=scope, path="/".join(filter(None, (folder, group, name))))
        else:
            path = f"{folder}/{name}"
            yield Spot(client=client.name, scope=scope, path=path, link="" if path == central else central)


def state(skill: Skill, spot: Spot) -> State:
    """What lies at a place, held against the skill as it is now."""
    if not os.path.lexists(spot.path):
        return "missing"
    if os.path.islink(spot.path):
        if spot.link and os.path.realpath(spot.path) == os.path.realpath(spot.link):
            return state(skill, Spot(client=SHARED, scope=spot.scope, path=spot.link))
        return "modified"  # somebody's link to something else
    there = skills.folder_digest(spot.path)
    if not there:
        return "stale" if _is_bare(spot.path) else "modified"
    if there == _expected(skill, spot):
        return "current"
    made = _marker(spot.path)
    return "stale" if made is not None and made.digest == there else "modified"


def _is_bare(path: str) -> bool:
    """A folder with nothing in it but perhaps our marker: the rest of a copy, and nobody's work."""
    try:
        return set(os.listdir(path)) <= {clients.MARKER}
    except OSError:  # a file, or not ours to read
        return False


def install(root: Root, skill: Skill, spot: Spot, *, force: bool, dry_run: bool) -> Placed:
    """Put a skill there. What a person changed is kept as it is, unless `force`: then it is moved aside first."""
    if dry_run:
        return _install(root, skill, spot, force=force, dry_run=True)
    folder = os.path.dirname(spot.path)
    root.files.folder(folder)
    with sections.hold_folder(folder):  # else a second install clears away the draft of the first
        return _install(root, skill, spot, force=force, dry_run=False)


def _install(root: Root, skill: Skill, spot: Spot, *, force: bool, dry_run: bool) -> Placed:
    found = state(skill, spot)
    is_link = os.path.islink(spot.path)
    if found == "modified" and not force:
        return Placed(spot=spot, state=found, deed="kept")
    if found == "current" or (is_link and found in ("stale", "missing")):  # what a link leads to is told by itself
        return Placed(spot=spot, state=found, deed="unchanged")
    aside = _aside(root, spot) if found == "modified" else ""
    deed: Deed = "replaced" if aside else "updated" if found == "stale" else "created"
    if spot.link and not dry_run:
        deed = "linked" if _link(root, skill, spot, aside) else deed
    elif spot.link:
        deed = "linked"
    elif not dry_run:
        _copy(root, skill, spot, aside)
    return Placed(spot=spot, state=found, deed=deed, aside=aside)


def _page_for(skill: Skill, spot: Spot) -> bytes:
    return clients.for_hermes(skill.data, skill.page) if spot.client == "hermes" else skill.data


def _expected(skill: Skill, spot: Spot) -> str:
    return skill.digest_with(_page_for(skill, spot))


def _marker(folder: str) -> Marker | None:
    data = reading.read(f"{folder}/{clients.MARKER}")
    try:
        return record.parse(Marker, data, folder) if data is not None else None
    except Corrupt:  # then nobody knows what the copy was: it counts as changed
        return None


def _aside(root: Root, spot: Spot) -> str:
    """Where what stood there goes: beside the folder of skills, so that no client takes it for one."""
    folder, name = os.path.split(spot.path)
    return f"{folder}.replaced/{name}-{root.now().replace(':', '-')}"


def _copy(root: Root, skill: Skill, spot: Spot, aside: str) -> None:
    """Publish a copy whole. A crash leaves the old one, or none, and the next install goes on from there."""
    folder, name = os.path.split(spot.path)
    draft, old = f"{folder}/.{name}{layout.DRAFT_SUFFIX}", f"{folder}/.{name}.old{layout.DRAFT_SUFFIX}"
    for left in (draft, old):  # by an install that was killed; both are ours, and hold nothing of anybody's
        root.files.discard_folder(left)
    made = Marker(name=name, digest=_expected(skill, spot), version=__version__)
    try:
        root.files.replace(f"{draft}/{page.NAME}", _page_for(skill, spot))
        for each in skill.resources:
            source, mode = f"{skill.place.folder}/{each.path}", 0o755 if each.executable else 0o644
            root.files.copy(source, f"{draft}/{each.path}", mode=mode)
        root.files.replace(f"{draft}/{clients.MARKER}", record.encode(made))
        _clear(root, spot.path, aside or old)
        root.files.move(draft, spot.path, durable=True)
    except OSError:
        root.files.discard_folder(draft)
        raise
    root.files.discard_folder(old)


def _clear(root: Root, path: str, aside: str) -> None:
    if os.path.lexists(path):
        root.files.folder(os.path.dirname(aside))
        root.files.move(path, aside)


def _link(root: Root, skill: Skill, spot: Spot, aside: str) -> bool:
    """Link to the shared folder; a copy where this file system has no links. True for a link."""
    folder = os.path.dirname(spot.path)
    root.files.folder(folder)
    if aside:
        _clear(root, spot.path, aside)
    elif os.path.lexists(spot.path):  # a copy of ours, made where links failed: renewed as what it is
        _copy(root, skill, spot, "")
        return False
    try:
        root.files.point(spot.path, os.path.relpath(spot.link, folder))
    except OSError as error:
        if error.errno not in _NO_LINKS:  # a disk that fails is no other kind of disk
            raise
        _copy(root, skill, spot, "")
        return False
    return True
