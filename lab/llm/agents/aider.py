"""aider: prose out, files changed. Its histories and maps are kept out of the workspace, and it makes no commits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.llm import foreign
from lab.llm.agents import adapter
from lab.llm.agents.adapter import ASK, Answer, Start, Task
from lab.llm.exchange import FAILING, Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROMPT = "prompt.md"
# Bounded, or a line of digits without end would be tried out from each of them.
_TOKENS = re.compile(rb"Tokens: ([\d.]{1,20})(k?) sent,.{0,80}?([\d.]{1,20})(k?) received")
_COST = re.compile(rb"Cost: \$([\d.]{1,20}) message")
_REFUSALS = (b"litellm.", b"The API provider", b"Authentication")


class Aider:
    program = "aider"
    passed = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY", "GEMINI_API_KEY", "OLLAMA_API_BASE")

    def start(self, task: Task) -> Start | None:
        """It edits the files that it is named; without names it chooses."""
        argv = [self.program, "--message-file", f"{task.own}/{_PROMPT}", "--yes-always", "--no-auto-commits"]
        argv += ["--no-git", "--no-check-update", "--no-pretty", "--no-stream", "--no-suggest-shell-commands"]
        argv += ["--chat-history-file", f"{task.own}/chat.md", "--input-history-file", f"{task.own}/input"]
        argv += ["--model", task.model] if task.model else []
        argv += ["--reasoning-effort", task.effort] if task.effort else []
        argv += ["--openai-api-base", task.base_url] if task.base_url else []
        argv += ["--chat-mode", "ask", "--dry-run"] if task.mode == ASK else []
        for path in task.extra_paths:
            argv += ["--read", path]
        for path in task.paths:
            argv += ["--file", path]
        return Start(argv=tuple(argv), files={_PROMPT: task.words()})

    def read(self, stdout: bytes, stderr: bytes, code: int | None, files: Mapping[str, bytes]) -> Answer:  # noqa: ARG002  # it hands no files back
        """Prose. It ends with 0 when its model could not be asked, so what its client complains of is looked for."""
        used = _used(stdout)
        said = adapter.plain(stdout, stderr, code)
        complaint = next((line for line in stdout.splitlines() if line.startswith(_REFUSALS)), b"")
        if not said.problem and used == Tokens() and complaint:
            what = f"aider could not ask its model: {adapter.last_line(complaint)}"
            return Answer(problem=FAILING, what=what)
        return Answer(text=said.text, used=used, problem=said.problem, what=said.what)


def _used(stdout: bytes) -> Tokens:
    tokens, costs = _TOKENS.findall(stdout), _COST.findall(stdout)
    if not tokens:
        return Tokens()
    sent = sum(_number(number, unit) for number, unit, _, _ in tokens)
    answered = sum(_number(number, unit) for _, _, number, unit in tokens)
    return Tokens(sent=sent, answered=answered, usd=_dollars(costs))


def _number(number: bytes, unit: bytes) -> int:
    try:
        return foreign.count(round(float(number) * (1000 if unit else 1))) or 0
    except ValueError:
        return 0


def _dollars(costs: list[bytes]) -> float | None:
    try:
        return foreign.money(sum(map(float, costs))) if costs else None
    except ValueError:
        return None
