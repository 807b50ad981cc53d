# ruff: noqa: E501, ISC004  # an input or a row of a table stands on one line
"""What models and their programs say: output of agents, answers of services, proposals, and skills that are written for them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import space as spaces
from lab.core.skills import clients as of_clients
from lab.core.skills import lint, page
from lab.llm import anthropic, extract, openai, proposals
from lab.llm.agents import table
from scripts.trial.fuzzing.own_files import SPACE
from scripts.trial.fuzzing.target import Target, chosen, promise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.skills.commands import Wrong
    from lab.llm.exchange import Tokens

_SKILL = (
    b"---\nname: run-a-loop\ndescription: >-\n  Runs it. Use when asked.\nmetadata:\n  short: Runs it.\n  hermes: {category: x}\n"
    b"license: MIT\n---\n# A\n\n## When to use\n\n- `labctl status`\n\n```bash\nlabctl run-once --lab x && git add -A\n```\n\n"
    b"```python\nimport subprocess\nsubprocess.run(['labctl', 'list'])\nos.system(f'echo {x}')\n```\n\n```json\n{}\n```\n[a](b.md)\n"
)
_RECORDED = os.path.join(os.path.dirname(__file__), *[os.pardir] * 3, "tests", "llm", "agents", "recorded")
_MODEL_SPACE = spaces.parse(json.loads(SPACE))
_SAID = (
    b'\x01{"id": "x", "model": "m", "choices": [{"finish_reason": "stop", "message": {"content": "{\\"a\\": 1}", "tool_calls": []}}],'
    b' "usage": {"prompt_tokens": 5, "completion_tokens": 7, "cost": 0.001}}',
    b'\x00{"type": "message", "model": "m", "stop_reason": "end_turn", "content": [{"type": "text", "text": "a"},'
    b' {"type": "tool_use", "input": {"a": 1}}], "usage": {"input_tokens": 5, "output_tokens": 7}}',
    b'\x03{"error": {"message": "overloaded", "type": "server_error", "code": 529}}',
)
_PROPOSED = b'Thinking... {"x": 1}\n```json\n{"proposals": [{"params": {"lr": 0.01, "n": 3, "kind": "a", "b": true, "f": 3}, "hypothesis": "h", "expect": {"delta": -0.1}, "parent": null, "change": "c"}]}\n```\n'


def _agent(data: bytes) -> None:
    """Whatever an agent printed: an answer, or a problem with its words, and counts that a budget can be held to."""
    at, rest = chosen(data, 8 * 3)
    names = ("aider", "claude", "codex", "command", "gemini", "hermes", "opencode", "stub")
    agent = table.built_in(names[at % 8], "x")
    said = agent.read(rest, rest[:40], (0, 1, None)[at // 8], {"last.txt": rest[:9], "usage.json": rest})
    promise(
        bool(said.text) != bool(said.problem) or said.problem == "model-truncated",
        "neither an answer nor a problem, or both",
    )
    promise(not said.problem or said.what, "a problem without words")
    _counted(said.used)


def _counted(used: Tokens) -> None:
    promise(all(each is None or 0 <= each < 10**14 for each in (used.sent, used.answered)), "a count that is none")
    promise(used.usd is None or 0 <= used.usd < 1e12, "a price that is none")  # noqa: PLR2004  # beyond any


def _service(data: bytes) -> None:
    """Whatever a service of models answered."""
    at, rest = chosen(data, 4)
    said = (openai if at % 2 else anthropic).read((200, 500)[at // 2], rest)
    promise(said.problem or said.text, "neither an answer nor a problem")
    promise(not said.problem or said.what, "a problem without words")
    _counted(said.used)


def _answer(data: bytes) -> None:
    """Whatever a model said: of its proposals only such as lie in the space."""
    words = data.decode(errors="replace")
    value = extract.value(words, ("proposals",))
    msgspec.json.encode(value)
    found, problems = proposals.check(value, _MODEL_SPACE, limit=4, clip=len(words) % 2 == 0)
    promise(found or problems, "neither a proposal nor what is wrong")
    promise(not [each for each in found if _MODEL_SPACE.check(each.params)], "a proposal outside of the space")


def _takes_all(words: Sequence[str], *, whole: bool) -> Wrong | None:
    """A command line that takes whatever it is given."""
    del words, whole
    return None


def _skill(data: bytes) -> None:
    """A SKILL.md of a stranger: read as far as it goes, and judged; the page for a client says the same."""
    found = page.parse(data)
    lint.judge(found, "run-a-loop", files=frozenset({"b.md"}), known=frozenset({"other"}), attempt=_takes_all)
    msgspec.json.encode(found)
    of_clients.category(found)
    page.parse(of_clients.for_hermes(data, found))


def _recorded(*names: str) -> tuple[bytes, ...]:
    """What agents really printed once."""
    found = []
    for name in names:
        with open(f"{_RECORDED}/{name}", "rb") as file:
            found.append(file.read())
    return tuple(found)


_AGENTS = tuple(
    bytes((at,)) + said
    for at, said in zip(
        (0, 8, 1, 9, 1, 2, 10, 4, 12, 5, 6, 14),
        _recorded(
            "aider-answer.txt", "aider-refused.txt", "claude-answer.json", "claude-error.json", "claude-structured.json",
            "codex-answer.jsonl", "codex-failed.jsonl", "gemini-answer.json", "gemini-error.json", "hermes-usage.json",
            "opencode-answer.jsonl", "opencode-length.jsonl",
        ),
        strict=True,
    )
)  # fmt: skip

TARGETS = (
    Target(
        name="agents",
        what="output of aider, claude, codex, gemini, hermes, opencode, and a command of one's own",
        read=_agent,
        head=1,
        seeds=_AGENTS,
        most=8192,
        words=("result", "usage", "error", "type", "item", "structured_output", "tokens"),
        reads=(
            "lab.llm.agents.aider",
            "lab.llm.agents.claude",
            "lab.llm.agents.codex",
            "lab.llm.agents.gemini",
            "lab.llm.agents.hermes",
            "lab.llm.agents.opencode",
            "lab.llm.agents.events",
            "lab.llm.foreign",
        ),
    ),
    Target(
        name="models",
        what="answers of services that speak as OpenAI or Anthropic do",
        read=_service,
        head=1,
        seeds=_SAID,
        words=("choices", "content", "usage", "error", "tool_use", "finish_reason"),
        reads=("lab.llm.openai", "lab.llm.anthropic", "lab.llm.answer", "lab.llm.foreign"),
    ),
    Target(
        name="answers",
        what="what a model says: JSON in prose, and the proposals in it",
        read=_answer,
        seeds=(_PROPOSED, _PROPOSED[12:-4]),
        most=8192,
        words=("```json\n", "```", "{", "proposals", "params", "lr"),
        reads=("lab.llm.extract", "lab.llm.proposals"),
    ),
    Target(
        name="skills",
        what="SKILL.md: frontmatter, prose, blocks of shell and Python",
        read=_skill,
        seeds=(_SKILL,),
        words=("---\n", "```bash\n", "```python\n", "```", "labctl ", "`", "$(", "git add -A", "import ", "name: "),
        most=8192,
        reads=(
            "lab.core.skills.page",
            "lab.core.skills.head",
            "lab.core.skills.strict",
            "lab.core.skills.blocks",
            "lab.core.skills.commands",
            "lab.core.skills.python",
            "lab.core.skills.shell",
            "lab.core.skills.started",
            "lab.core.skills.words",
            "lab.core.skills.clients",
            "lab.core.skills.git",
            "lab.core.skills.prose",
        ),
    ),
)
