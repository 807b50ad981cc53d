"""What a file of a release may be called: nothing that leaves its folder, means something to git, or holds keys."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST_BYTES, _MOST_PART_BYTES = 1_000, 200
_DEVICES = frozenset(("con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(10))))
# Folders that hold the inside of a tool, with what it was trusted with; and files that tell git what to do.
_FOLDERS = frozenset((
    ".git", "git~1", ".hg", ".svn", ".tinker", ".ssh", ".aws", ".azure", ".gnupg", ".kube", ".docker", ".huggingface",
    ".claude", ".codex", ".hermes",
))  # fmt: skip
_OF_GIT = frozenset((".gitattributes", ".gitmodules"))
_KEYS = re.compile(
    r"\.env.*|.*\.env|.*\.(pem|key|p12|pfx|p8|ppk|jks|keystore|kdbx|asc|gpg)|id_.*|.*credentials?(\..*)?|credentials.*"
    r"|[._]netrc|\.npmrc|\.yarnrc.*|\.pypirc|\.pgpass|\.my\.cnf|\.htpasswd|\.git-credentials|\.dockercfg|\.boto|\.s3cfg"
    r"|token|tokens|stored_tokens|.*\.tokens?|secrets?(\..*)?|service[-_]account.*\.json|\.(bash|zsh|python)_history",
    re.IGNORECASE,
)


def problems(paths: Iterable[str]) -> Iterator[str]:
    """What is wrong with these names, each by itself and beside the others."""
    seen: dict[str, str] = {}
    every = list(paths)
    for path in every:
        why = refused(path)
        if why:
            yield f"{path!r} {why}"
        folded = fold(path)
        if folded in seen:
            yield f"{path!r} and {seen[folded]!r} are one file where letters are not told apart"
        seen[folded] = path
    for folded, path in seen.items():
        above = folded.rpartition("/")[0]
        while above:
            if above in seen:
                yield f"{seen[above]!r} is a file, and {path!r} wants it as a folder"
            above = above.rpartition("/")[0]


def fold(path: str) -> str:
    """A name as a file system that does not tell letters apart has it."""
    return unicodedata.normalize("NFC", path).casefold()


def refused(path: str) -> str:
    """Why a path may be in no release; empty where it may."""
    parts = path.split("/")
    if not path or path.startswith("/") or any(part in ("", ".", "..") for part in parts):
        return "is no name of a file below a folder"
    if "\\" in path or ":" in path or not path.isprintable():
        return "has a sign that is not seen, or that means something elsewhere"
    if unicodedata.normalize("NFC", path) != path:
        return "is spelt in a way that other systems change"
    if len(path.encode()) > _MOST_BYTES or any(len(part.encode()) > _MOST_PART_BYTES for part in parts):
        return "is too long"
    if any(part.endswith((".", " ")) or part.startswith(" ") for part in parts):
        return "ends in a dot or a space, which some systems drop"
    if any(part.partition(".")[0].lower() in _DEVICES for part in parts):
        return "is the name of a device"
    return kept_back(parts)


def kept_back(parts: list[str]) -> str:
    """Why a file of this name is none to hand out; empty where its name says nothing."""
    folded = [fold(part) for part in parts]
    if not _FOLDERS.isdisjoint(folded):
        return "lies in a folder that a tool keeps for itself"
    if folded[-1] in _OF_GIT:
        return "tells git what to do with other files"
    if any(_KEYS.fullmatch(part) for part in folded):
        return "has the name of a file that keeps keys"
    return ""
