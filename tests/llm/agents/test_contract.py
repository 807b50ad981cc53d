"""Every built-in agent keeps the contract that plug-ins are held to."""

from __future__ import annotations

from pathlib import Path

from lab.llm.agents.adapter import ASK, EDIT
from lab.llm.agents.aider import Aider
from lab.llm.agents.claude import Claude
from lab.llm.agents.codex import Codex
from lab.llm.agents.command import Command
from lab.llm.agents.gemini import Gemini
from lab.llm.agents.hermes import Hermes
from lab.llm.agents.opencode import OpenCode
from lab.llm.agents.script import Script
from lab.llm.agents.stub import Stub
from lab.testing.agents import AgentContract

HELLO = "Hello from the model."


def recorded(name: str) -> tuple[tuple[bytes, str], ...]:
    return (((Path(__file__).parent / "recorded" / name).read_bytes(), HELLO),)


class TestClaude(AgentContract):
    agent = Claude()
    answers = recorded("claude-answer.json")


class TestCodex(AgentContract):
    agent = Codex()
    answers = recorded("codex-answer.jsonl")


class TestOpenCode(AgentContract):
    agent = OpenCode()
    answers = recorded("opencode-answer.jsonl")


class TestHermes(AgentContract):
    agent = Hermes()
    answers = recorded("hermes-answer.txt")
    shows_prompt = True


class TestGemini(AgentContract):
    agent = Gemini()
    answers = recorded("gemini-answer.json")


class TestAider(AgentContract):
    agent = Aider()


class TestCommand(AgentContract):
    agent = Command("my-agent --fast")
    answers = ((b"yes\n", "yes"),)


class TestScript(AgentContract):
    agent = Script("/usr/bin/python3", "/workspace/scripts/mine_mutation_adapter.py")
    modes = (EDIT, ASK)


class TestStub(AgentContract):
    agent = Stub()
    modes = ()
