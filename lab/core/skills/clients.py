"""Where the programs that read skills look for them, and what each wants there.

`agents` is the folder that several share; a client that reads it needs nothing of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from lab.core import clients
from lab.core.skills import head

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.skills.page import Page

CENTRAL = ".agents/skills"
MARKER = ".labctl-skill.json"  # in a copy: what was copied, so that a later edit is told from an old copy


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """One program. `project` is its folder of skills; empty where it reads none, or is told by a command.

    The user's is `beneath` the client's home; but `user` below the person's where that is named, unless a variable
    moved the client's.
    """

    name: str
    how: Literal["link", "copy", "command"] = "link"
    project: str = ""
    user: str = ""
    beneath: str = ""


CLIENTS: dict[str, Client] = {
    each.name: each
    for each in (
        Client(name="claude", project=".claude/skills", beneath="skills"),
        Client(name="codex", project=CENTRAL, user=CENTRAL, beneath="skills"),
        Client(name="cursor", project=".cursor/skills", beneath="skills"),
        Client(name="opencode", project=CENTRAL, user=CENTRAL),
        Client(name="hermes", how="copy", beneath="skills"),
        Client(name="gemini", how="command"),
    )
}
# Other folders that some client reads; nothing is installed there, but what lies there is found.
READ_TOO = (".opencode/skills", ".gemini/skills")
_READ_TOO_AT_HOME = ("opencode", "gemini")  # beneath the homes of these


def user_folder(client: Client, home: str, environ: Mapping[str, str]) -> str:
    """The user's folder of skills for a client; empty where it has none."""
    if client.beneath and (not client.user or clients.is_moved(client.name, environ)):
        return f"{clients.folder(client.name, home, environ)}/{client.beneath}"
    return f"{home}/{client.user}" if client.user else ""


def read_too(home: str, environ: Mapping[str, str]) -> list[str]:
    """Other folders of the user's that some client reads."""
    return [f"{clients.folder(name, home, environ)}/skills" for name in _READ_TOO_AT_HOME]


def category(page: Page) -> str:
    """The folder between Hermes' folder of skills and the skill; empty where the skill names none."""
    found = page.hermes.get("category")
    is_plain = isinstance(found, str) and found.replace("-", "").replace("_", "").isalnum()
    return str(found) if is_plain else ""


def for_hermes(data: bytes, page: Page) -> bytes:
    """SKILL.md with the short description in the place of the long one. The rest stays byte for byte."""
    brief, at = head.short(page), page.line("description")
    if brief == page.said("description") or at < 1:
        return data
    rows = data.split(b"\n")
    end = at  # `at` counts from 1, so this is the row after the key
    while end < len(rows) and (rows[end][:1] in (b" ", b"\t") or not rows[end].strip()):
        end += 1
    carriage = b"\r" if rows[at - 1].endswith(b"\r") else b""
    rows[at - 1 : end] = [b"description: " + msgspec.json.encode(brief) + carriage]
    return b"\n".join(rows)
