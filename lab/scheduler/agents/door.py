"""The door through which an agent's name becomes an adapter: built-ins, plug-ins, and a project's own scripts."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from lab.llm.agents import table
from lab.store.plug_ins import Door

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.llm.agents.adapter import Adapter

_DOOR: Door[Adapter] = Door(table.GROUP, "agent", table.BUILT_IN, ("start", "read"))
names, problems = _DOOR.names, _DOOR.problems
# As hermes-lab's SPECs name them; a script of that very name goes before.
_ALIASES = {"anthropic": "claude", "gpt": "codex", "openai": "codex"}


def find(name: str, command: str = "", folders: Iterable[str] = ()) -> Adapter:
    """The agent of that name. A script in one of the folders goes before all others: somebody put it there."""
    path = script(name, folders)
    if path:
        from lab.llm.agents.script import Script  # noqa: PLC0415  # for projects that have one

        return Script(sys.executable, path)
    name = _ALIASES.get(name, name)
    return table.built_in(name, command) if name == table.WITH_COMMAND else _DOOR.find(name)


def script(name: str, folders: Iterable[str]) -> str:
    """The project's own adapter of that name, if it has one."""
    from lab.llm.agents.script import place  # noqa: PLC0415  # the same

    inside = place(name)
    found = (f"{folder}/{inside}" for folder in folders if folder and inside)
    return next((path for path in found if os.path.isfile(path)), "")
