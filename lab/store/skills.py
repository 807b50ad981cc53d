"""Finding skills and reading them.

A skill is a stranger's folder: what is read is bounded, and no link is followed out of it.
Nothing here judges what a SKILL.md says; `lab.core.skills` does.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from typing import TYPE_CHECKING, Literal

import msgspec

from lab.core import canonical
from lab.core.skills import clients
from lab.core.skills import page as pages
from lab.core.skills.codes import Issue, issue  # msgspec resolves annotations
from lab.core.skills.page import Page
from lab.store import reading, shipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_FILES, MAX_DEPTH, MAX_FILE_BYTES, MAX_SKILLS = 200, 6, 16 << 20, 2_000
Scope = Literal["bundled", "project", "user", "external"]
_KINDS = {"references": "reference", "scripts": "script", "assets": "asset"}
_COMPILED = re.compile(r"__pycache__/[^/]+\.pyc$")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a skill lies: its folder, the folder of skills that it is in, and whose that is."""

    name: str
    folder: str
    root: str
    scope: Scope


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """A file beside SKILL.md. `sha256` is empty where the file is too large to be read."""

    path: str
    kind: str
    bytes: int
    sha256: str
    executable: bool


class Skill(msgspec.Struct, frozen=True, kw_only=True):
    """A skill as it was read. `issues` are what was wrong with its files; its page has its own."""

    place: Place
    page: Page
    data: bytes
    resources: tuple[Resource, ...]
    issues: tuple[Issue, ...] = ()

    def digest_with(self, data: bytes) -> str:
        """What the skill is, if SKILL.md were this; whatever its folder is called and whatever its files' modes."""
        hashes = {pages.NAME: canonical.digest(data)}
        hashes |= {each.path: each.sha256 or f"{each.bytes} bytes" for each in self.resources}
        return f"sha256:{canonical.digest(canonical.encode(hashes))}"

    @property
    def digest(self) -> str:
        return self.digest_with(self.data)

    @property
    def files(self) -> frozenset[str]:
        return frozenset({pages.NAME, *(each.path for each in self.resources)})


def bundled() -> list[Place]:
    """The skills that come with labctl."""
    return list(inside(shipped.skill_folder(), "bundled"))


def found(folder: str, environ: Mapping[str, str], *, home_too: bool) -> list[Place]:
    """The skills that clients find from a folder: the project's, then the user's. Each folder is told once."""
    roots: list[tuple[str, Scope]] = [(f"{folder}/{each}", "project") for each in _project_folders()]
    home = environ.get("HOME", "")
    if home_too and home.startswith("/"):
        users = [clients.user_folder(each, home, environ) for each in clients.CLIENTS.values()]
        users += [f"{home}/{clients.CENTRAL}", *clients.read_too(home, environ)]
        roots += [(each, "user") for each in dict.fromkeys(filter(None, users))]
    seen: set[str] = set()
    places = []
    for root, scope in roots:
        for place in inside(root, scope):
            real = os.path.realpath(place.folder)
            if real not in seen:
                seen.add(real)
                places.append(place)
    return places


def _project_folders() -> tuple[str, ...]:
    own = (each.project for each in clients.CLIENTS.values() if each.project)
    return tuple(dict.fromkeys((clients.CENTRAL, *own, *clients.READ_TOO)))


def inside(root: str, scope: Scope) -> Iterator[Place]:
    """The skills of one folder, by name; one level further down where a folder is no skill itself, as Hermes sorts."""
    count = 0
    for name in _folders(root):
        folder = f"{root}/{name}"
        if os.path.lexists(f"{folder}/{pages.NAME}"):
            deeper = [folder]
        else:
            deeper = [f"{folder}/{each}" for each in _folders(folder)]
            deeper = [each for each in deeper if os.path.lexists(f"{each}/{pages.NAME}")]
        for each in deeper:
            count += 1
            if count > MAX_SKILLS:
                return
            yield Place(name=os.path.basename(each), folder=each, root=root, scope=scope)


def _folders(root: str) -> list[str]:
    """The names of the folders in a folder; a link that leads nowhere, or in a circle, is none."""
    try:
        names = os.listdir(root)
    except OSError:  # not there, not a folder, not ours to read: no skills in it
        return []
    return sorted(name for name in names if not name.startswith(".") and os.path.isdir(f"{root}/{name}"))


def at(path: str) -> list[Place]:
    """The skills that a path means: a SKILL.md, a skill's folder, or a folder of skills."""
    whole = os.path.abspath(os.path.expanduser(path))
    if os.path.basename(whole) == pages.NAME:
        whole = os.path.dirname(whole)
    if os.path.lexists(f"{whole}/{pages.NAME}"):
        name = os.path.basename(whole)
        return [Place(name=name, folder=whole, root=os.path.dirname(whole), scope="external")]
    return list(inside(whole, "external"))


def read(place: Place) -> Skill:
    """One skill. Never raises for what its files are like: that is told as issues."""
    problems: list[Issue] = []
    data = _page_bytes(place, problems)
    page = pages.parse(data) if not problems else Page(issues=())
    resources = tuple(_resources(place.folder, problems))
    return Skill(place=place, page=page, data=data, resources=resources, issues=tuple(problems))


def folder_digest(folder: str) -> str:
    """The digest of what lies in a folder; empty where no skill does, or where something lies that was not read."""
    name = os.path.basename(folder)
    skill = read(Place(name=name, folder=folder, root=os.path.dirname(folder), scope="external"))
    return skill.digest if skill.data and not skill.issues else ""


def _page_bytes(place: Place, problems: list[Issue]) -> bytes:
    path = f"{place.folder}/{pages.NAME}"
    if _leaves(path, place.folder):
        problems.append(issue("LINK_LEAVES", "SKILL.md is a link out of the skill's folder"))
        return b""
    try:
        found = reading.read_head(path, pages.MAX_BYTES + 1)
    except OSError as error:
        problems.append(issue("UNREADABLE", f"SKILL.md cannot be read: {error.strerror}"))
        return b""
    if found is None:
        problems.append(issue("UNREADABLE", "SKILL.md is not there, or is no plain file"))
    return found or b""


def _resources(folder: str, problems: list[Issue]) -> Iterator[Resource]:
    count = 0
    for path in _walk(folder, "", MAX_DEPTH, problems):
        if path == pages.NAME:
            continue
        count += 1
        if count > MAX_FILES:
            problems.append(issue("RESOURCE", f"there are more than {MAX_FILES} files; the rest was not read"))
            return
        resource = _resource(folder, path, problems)
        if resource is not None:
            yield resource


def _walk(folder: str, path: str, depth: int, problems: list[Issue]) -> Iterator[str]:
    """The paths of all files, in order. Links to folders are not followed: they may lead back here."""
    try:
        with os.scandir(f"{folder}/{path}") as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        problems.append(issue("RESOURCE", f"{path or 'the folder'} cannot be read: {error.strerror}"))
        return
    for entry in inside:
        name = f"{path}/{entry.name}".lstrip("/")
        if name == clients.MARKER or entry.name == ".DS_Store" or _COMPILED.search(name):
            continue  # made by a program, and made again when it is gone
        if not entry.is_dir(follow_symlinks=False):
            yield name
        elif depth:
            yield from _walk(folder, name, depth - 1, problems)
        else:
            problems.append(issue("RESOURCE", f"{name[:80]} lies too deep and was not read"))


def _resource(folder: str, path: str, problems: list[Issue]) -> Resource | None:
    whole = f"{folder}/{path}"
    if _leaves(whole, folder):
        problems.append(issue("LINK_LEAVES", f"{path[:80]} is a link out of the skill's folder"))
        return None
    try:
        seen = os.stat(whole)
        if not stat.S_ISREG(seen.st_mode):
            problems.append(issue("RESOURCE", f"{path[:80]} is no plain file, or a link to a folder"))
            return None
        sha256 = _hash(whole) if seen.st_size <= MAX_FILE_BYTES else ""
    except OSError as error:
        problems.append(issue("RESOURCE", f"{path[:80]} cannot be read: {error.strerror}"))
        return None
    if not sha256:
        problems.append(issue("RESOURCE", f"{path[:80]} has {seen.st_size:,} bytes and was not read"))
    plain = canonical.plain(path)
    return Resource(
        path=plain,
        kind=_KINDS.get(plain.partition("/")[0], "other") if "/" in plain else "other",
        bytes=seen.st_size,
        sha256=sha256,
        executable=bool(seen.st_mode & stat.S_IXUSR),
    )


def _hash(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _leaves(path: str, folder: str) -> bool:
    if not os.path.islink(path):
        return False
    home = os.path.realpath(folder)
    return not f"{os.path.realpath(path)}/".startswith(f"{home}/")
