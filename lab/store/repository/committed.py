"""Commits, made by the lab: its own identity, its own clock, and trailers that say which run one belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.store.repository.site import Site

NAME, ADDRESS = "labctl", "labctl@localhost"


def commit(site: Site, tree: str, parents: Sequence[str], message: str, trailers: Mapping[str, str]) -> str:
    """The id of a commit of this tree. The same words at the same time make the same commit."""
    words = [word for parent in parents for word in ("-p", parent)]
    answer = site.git.ask(
        "commit-tree", tree, *words, given=_text(message, trailers), environ=identity(site), codes=(0,)
    )
    return answer.out.decode().strip()


def identity(site: Site) -> dict[str, str]:
    """Who commits, and when."""
    moment = f"{int(site.now().timestamp())} +0000"
    return {
        f"GIT_{role}_{part}": value
        for role in ("AUTHOR", "COMMITTER")
        for part, value in (("NAME", NAME), ("EMAIL", ADDRESS), ("DATE", moment))
    }


def _text(message: str, trailers: Mapping[str, str]) -> bytes:
    lines = message.replace("\0", " ").strip() or "a candidate"
    told = "\n".join(f"{name}: {' '.join(value.split())}" for name, value in trailers.items())
    return (f"{lines}\n\n{told}\n" if told else f"{lines}\n").encode(errors="replace")
