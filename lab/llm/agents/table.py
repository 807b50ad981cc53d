"""Which agents the lab knows by itself. Strangers come in by the door `lab.agents`, in lab.scheduler.agents."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

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
