"""Which agents the lab knows by itself. Strangers come in by the door `lab.agents`, in lab.scheduler.agents.door."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.llm.agents.adapter import Adapter

GROUP = "lab.agents"
BUILT_IN: Mapping[str, str] = {
    "aider": "lab.llm.agents.aider:Aider",
    "claude": "lab.llm.agents.claude:Claude",
    "codex": "lab.llm.agents.codex:Codex",
    "command": "lab.llm.agents.command:Command",
    "gemini": "lab.llm.agents.gemini:Gemini",
    "hermes": "lab.llm.agents.hermes:Hermes",
    "opencode": "lab.llm.agents.opencode:OpenCode",
    "stub": "lab.llm.agents.stub:Stub",
}
WITH_COMMAND = "command"


def built_in(name: str, command: str = "") -> Adapter:
    """One of the table. `BadInput` for a command that cannot be split."""
    module, _, attribute = BUILT_IN[name].partition(":")
    kind = getattr(import_module(module), attribute)
    made: Adapter = kind(command) if name == WITH_COMMAND else kind()
    return made


def offered() -> frozenset[str]:
    """The names that installed packages offer. Nothing of them is loaded."""
    from importlib.metadata import entry_points  # noqa: PLC0415  # 15 ms, for a name that is not built in

    return frozenset(point.name for point in entry_points(group=GROUP))


def names() -> tuple[str, ...]:
    """Every agent that a SPEC may name."""
    return tuple(sorted({*BUILT_IN, *offered()}))
