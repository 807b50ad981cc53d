"""`release.json`: every file that would leave, one by one, and where it would go. Its digest is what a person approves.

The digest is that of the file itself, as `sha256sum release.json` prints it. The same files to the same place have the
same digest, whoever listed them and when.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from lab.core import canonical
from lab.core.errors import BadInput
from lab.core.record import Record, page, parse
from lab.research.release import names

FILE, SCAN, LISTING, RECEIPT = "release.json", "scan.json", "listing.md", "receipt.json"
MADE = "made/"  # below artifacts/ of the dry run: what the lab wrote for the release
MARK_CHARS = 12  # of the digest, where people and branches name it
MOST_FILES = 2_000
MOST_BYTES = 1 << 30  # it is read into the memory, once, so that what is looked at is what is sent
GIT, HUB = "git", "huggingface"
WORKER = "release"  # of the phase; what anybody else left is no release
TRAILER = "Labctl-Release"
TITLE_CHARS = 60


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file. `name` is where its bytes are: in a sealed run, in the project's folder, or made for the release."""

    path: str  # in the release
    origin: Literal["run", "project", "made"]
    name: str
    sha256: str
    size: int
    reason: str
    run_id: str = ""


class Release(Record, frozen=True, kw_only=True, omit_defaults=True):
    """`to` is empty where the project names no destination: then it can be listed, and not be sent."""

    project: str  # the experiment
    title: str
    to: Literal["", "git", "huggingface"] = ""
    destination: str = ""  # a URL, a path, or OWNER/NAME
    endpoint: str = ""  # of the hub, where it is not the one that everybody has
    repo_type: str = ""  # of the hub
    private: bool = True  # of a repository that is made for it
    unverified: tuple[str, ...] = ()  # sources that are cited and that nobody was asked about: a person must know
    placeholder: int = 0  # made-up rows of the study that comes with labctl, where the paper is about that one
    files: tuple[Item, ...]

    @property
    def size(self) -> int:
        return sum(each.size for each in self.files)


class Receipt(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What the other side took. `found` where an earlier attempt had sent it, and nothing was sent again."""

    release: str
    to: str
    destination: str
    commit: str
    url: str = ""
    branch: str = ""
    files: dict[str, str]  # path -> sha256
    at: str
    found: bool = False


def encode(release: Release) -> bytes:
    return page(release)


def digest(data: bytes) -> str:
    """What a person approves."""
    return canonical.digest(data)


def read(data: bytes, where: str = FILE) -> Release:
    """The release that a file lists, or why it cannot be one."""
    found = parse(Release, data, where)
    wrong = problems(found)
    if wrong:
        raise BadInput(f"this release cannot be: {wrong[0]}", where=where, fix="labctl research run ID lists it anew")
    return found


def branch(release: Release, sha256: str) -> str:
    """Of git: a new one for each release, and never the default one."""
    return f"labctl/{release.project}-{sha256[:MARK_CHARS]}"


def message(release: Release, sha256: str) -> tuple[str, str]:
    """The title and the body of what is sent. The body has the digest, by which a later attempt knows its own."""
    title = f"Release {sha256[:MARK_CHARS]}: {' '.join(release.title.split())[:TITLE_CHARS]}".rstrip(": ")
    return title, f"{len(release.files)} files, listed and approved one by one.\n\n{TRAILER}: {sha256}\n"


def problems(release: Release) -> tuple[str, ...]:
    """What is wrong with a list of files, of itself."""
    found = list(names.problems(each.path for each in release.files))
    if not release.files:
        found.append("it has no file")
    if len(release.files) > MOST_FILES:
        found.append(f"it has more than {MOST_FILES:,} files")
    if release.size > MOST_BYTES:
        found.append(f"it has more than {MOST_BYTES >> 20:,} MiB, which is read at once")
    found += [f"{each.path} names no run" for each in release.files if each.origin == "run" and not each.run_id]
    return tuple(found)
