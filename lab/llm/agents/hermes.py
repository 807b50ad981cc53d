"""Hermes Agent. To answer: `hermes chat -q`, where its approvals hold; to edit: `hermes -z`, which asks for none.

The prompt is an argument, since Hermes reads none from elsewhere: whoever may list processes can read it. One that is
too long for an argument is put into a file, which the argument names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput
from lab.llm import foreign
from lab.llm.agents import adapter, events
from lab.llm.agents.adapter import ASK, Answer, Start, Task
from lab.llm.exchange import FAILING, Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

_USAGE, _PROMPT = "usage.json", "prompt.md"
_CONFIG = "config.yaml"
_TURNS = "3"
_WARNS = "\N{WARNING SIGN}"


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
        environ = {"HERMES_HOME": task.own} if task.base_url else {}
        if task.base_url:  # it takes an address from its settings alone; those of the person stay out of it then
            argv += ["--provider", "custom"]
            files[_CONFIG] = _config(task)
        return Start(argv=tuple(argv), files=files, reads=(_USAGE,), environ=environ)

    def read(self, stdout: bytes, stderr: bytes, code: int | None, files: Mapping[str, bytes]) -> Answer:
        """Its output is its answer; whether it got to the end is told by the file of its usage."""
        usage = foreign.object_in(files.get(_USAGE, b"")) or {}
        known = events.word(usage, "cost_status") not in ("", "unknown")
        used = Tokens(
            sent=events.count(usage, "input_tokens", "cache_read_tokens", "cache_write_tokens"),
            answered=events.count(usage, "output_tokens"),
            usd=events.money(usage, "estimated_cost_usd") if known else None,
        )
        model = events.word(usage, "model")
        text = _said(stdout)
        if code != 0:
            complaint = adapter.last_line(stderr)  # where it also names its session, whatever happened
            is_one = complaint and not complaint.startswith("session_id:")
            return adapter.failed(complaint if is_one else " ".join(text.split()), code, used, model)
        if usage.get("failed") is True or usage.get("completed") is False:
            what = f"hermes did not complete its turn: {adapter.last_line(stderr or stdout) or 'without words'}"
            return Answer(problem=FAILING, what=what, used=used, model=model)
        return Answer(text=text, used=used, model=model) if text else adapter.empty(stderr, used, model)


def _config(task: Task) -> str:
    """YAML, as JSON is."""
    model: dict[str, object] = {"provider": "custom", "base_url": task.base_url, "default": task.model}
    if task.max_tokens:
        model["max_tokens"] = task.max_tokens
    return msgspec.json.encode({"model": model, "security": {"tirith_enabled": False}}).decode() + "\n"


def _said(stdout: bytes) -> str:
    """Its output without the warnings that it puts above it."""
    lines = stdout.decode(errors="replace").splitlines()
    while lines and (not lines[0].strip() or lines[0].lstrip().startswith(_WARNS)):
        del lines[0]
    return "\n".join(lines).strip()
