"""Where a release may go: a git remote that can be pushed to, or a repository of the hub. Read, and never asked.

What is named here is written into the ledger and onto pages. So nothing that can hold a login is taken, and what is
refused for it is not repeated.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from lab.core.errors import BadInput
from lab.research.release.manifest import GIT, HUB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.research.project import Publish

_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_URL = re.compile(r"(?P<kind>https|ssh|file)://(?:(?P<who>[A-Za-z0-9._-]{1,32})@)?[A-Za-z0-9.\[\]:-]*(?:/[^\s]*)?")
_SCP = re.compile(r"(?:[A-Za-z0-9._-]{1,32}@)?[A-Za-z0-9.-]+:(?!/?/)[^\s]+")
_HTTP = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(?:/[A-Za-z0-9._~/-]*)?")
_FIX = "publish.remote in project.yaml: https://..., ssh://..., USER@HOST:PATH, or the path of a repository"


def destination(publish: Publish, folder: str) -> str:
    """The destination of a project, in the one way that it is written; empty where it has none."""
    if publish.to == HUB:
        if not _REPO.fullmatch(publish.repo) or ".." in publish.repo or "--" in publish.repo:
            raise BadInput("publish.repo is no OWNER/NAME of the hub", fix="mend project.yaml")
        return publish.repo
    return remote(publish.remote, folder) if publish.to == GIT else ""


def endpoint(publish: Publish, environ: Mapping[str, str]) -> str:
    """The hub that the surroundings name, where it is not everybody's."""
    given = environ.get("HF_ENDPOINT", "").rstrip("/") if publish.to == HUB else ""
    if given and not _HTTP.fullmatch(given):
        raise BadInput("HF_ENDPOINT is no plain address of a hub", fix="https://HOST, without a login and without ?")
    return "" if given == "https://huggingface.co" else given


def remote(given: str, folder: str) -> str:
    """A URL or a path that git may push to. One with a login in it is refused: it would be written down."""
    if not given or given.startswith("-") or not given.isprintable():
        raise BadInput("publish.remote names no repository", fix=_FIX)
    if _has_login(given):
        raise BadInput("publish.remote has a login in it", fix="leave it out; publish.token names a variable")
    if "::" in given:
        raise BadInput("publish.remote names a program, and no repository", fix=_FIX)
    if "://" in given:
        found = _URL.fullmatch(given)
        if not found or "://-" in given or "@-" in given:
            raise BadInput(f"publish.remote cannot be pushed to: it begins with {_kind(given)}", fix=_FIX)
        local = given.removeprefix("file://")
        if local != given and os.path.realpath(local) != os.path.normpath(local):
            raise BadInput(
                "publish.remote leads over a link, which can lead elsewhere later", fix="name the place itself"
            )
        return given
    if os.path.exists(os.path.join(folder, given)):
        return os.path.realpath(os.path.join(folder, given))
    if _SCP.fullmatch(given):
        if given.startswith("-") or "@-" in given:
            raise BadInput("publish.remote names a host that begins with -", fix=_FIX)
        return given
    return os.path.realpath(os.path.join(folder, os.path.expanduser(given)))  # a link that is changed leads elsewhere


def _has_login(given: str) -> bool:
    """A password or a token, wherever an address can hold one: before @, after ? and after #."""
    kind, is_url, rest = given.partition("://")
    if is_url and ("?" in rest or "#" in rest):
        return True
    before, is_named, _ = (rest.partition("/")[0] if is_url else given).partition("@")
    if not is_named or (not is_url and "/" in before):
        return False
    return ":" in before or "%" in before or (bool(is_url) and not kind.lower().endswith("ssh"))


def _kind(given: str) -> str:
    kind = given.partition("://")[0]
    return f"{kind}://" if kind.isalnum() and len(kind) < len("private-token") else "no kind that is known"
