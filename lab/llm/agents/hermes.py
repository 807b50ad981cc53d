"""Hermes Agent. To answer: `hermes chat -q`, where its approvals hold; to edit: `hermes -z`, which asks for none.

The prompt is an argument, since Hermes reads none from elsewhere: whoever may list processes can read it. One that is
too long for an argument is put into a file, which the argument names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import BadInput
from lab.llm.agents import adapter, events
from lab.llm.agents.adapter import ASK, Answer, Start, Task
from lab.llm.exchange import FAILING, Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

_USAGE, _PROMPT = "usage.json", "prompt.md"
_TURNS = "3"


class Hermes:
    program = "hermes"
    passed = ("HERMES_HOME", "OPENROUTER_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "NOUS_API_KEY")

    def start(self, task: Task) -> Start | None:
        """With tools for files alone: `-z` lets every tool do what it likes."""
        prompt, files = task.words(), {}
        if task.mode == ASK:
            if len(prompt.encode()) > adapter.ARGUMENT_BYTES:
                fix = "lower llm.context_chars, or ask another agent"
                raise BadInput("the question is too long to hand to hermes, which takes it as an argument", fix=fix)
            argv = [self.program, "chat", "-q", prompt, "-Q", "--source", "tool", "--max-turns", _TURNS]
        else:
            if len(prompt.encode()) > adapter.ARGUMENT_BYTES:
                files[_PROMPT] = prompt
                prompt = f"Read {task.own}/{_PROMPT} and do what it says."
            argv = [self.program, "-z", prompt, "--usage-file", f"{task.own}/{_USAGE}", "-t", "file"]
        argv += ["-m", task.model] if task.model else []
        argv += ["--provider", "custom"] if task.base_url else []
        environ = {"OPENAI_BASE_URL": task.base_url} if task.base_url else {}
        return Start(argv=tuple(argv), files=files, reads=(_USAGE,), environ=environ)

    def read(self, stdout: bytes, stderr: bytes, code: int | None, files: Mapping[str, bytes]) -> Answer:
        """Its output is its answer; whether it got to the end is told by the file of its usage."""
        usage = events.object_in(files.get(_USAGE, b"")) or {}
        known = events.word(usage, "cost_status") not in ("", "unknown")
        used = Tokens(
            sent=events.count(usage, "input_tokens", "cache_read_tokens", "cache_write_tokens"),
            answered=events.count(usage, "output_tokens"),
            usd=events.money(usage, "estimated_cost_usd") if known else None,
        )
        model = events.word(usage, "model")
        text = stdout.decode(errors="replace").strip()
        if code != 0:
            return adapter.failed(stderr or stdout, code, used, model)
        if usage.get("failed") is True or usage.get("completed") is False:
            what = f"hermes did not complete its turn: {adapter.last_line(stderr or stdout) or 'without words'}"
            return Answer(problem=FAILING, what=what, used=used, model=model)
        return Answer(text=text, used=used, model=model) if text else adapter.empty(stderr, used, model)
