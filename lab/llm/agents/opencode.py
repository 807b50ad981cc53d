"""OpenCode, `opencode run --format json`: events as JSON lines. Prompt on standard input, settings by a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.llm.agents import adapter, events
from lab.llm.agents.adapter import EDIT, Answer, Start, Task
from lab.llm.exchange import FAILING, MALFORMED, TRUNCATED, Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.llm.agents.events import Event

_CONFIG = "opencode.json"
_CONTEXT = 128_000  # it wants both limits or none; what the model really has, the service says


class OpenCode:
    program = "opencode"
    passed = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY", "GEMINI_API_KEY", "OPENCODE_API_KEY")

    def start(self, task: Task) -> Start | None:
        """What it asks leave for is refused beforehand: with nobody there, a question would wait for ever."""
        argv = [self.program, "run", "--format", "json"]
        model = task.model
        if task.base_url and model:
            model = f"labctl/{model}"
        argv += ["-m", model] if model else []
        argv += ["--variant", task.effort] if task.effort else []
        argv += ["--dir", task.folder]
        config = msgspec.json.encode(_config(task)).decode()
        environ = {
            "OPENCODE_CONFIG": f"{task.own}/{_CONFIG}", "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        }  # fmt: skip
        return Start(argv=tuple(argv), stdin=task.words(), files={_CONFIG: config}, environ=environ)

    def read(self, stdout: bytes, stderr: bytes, code: int | None, files: Mapping[str, bytes]) -> Answer:  # noqa: ARG002  # it hands no files back
        """The text of its last step. One that stopped for its length is no answer, however long."""
        found = events.read(stdout)
        text, reason, complaint = "", "", ""
        steps: list[Event] = []
        for event in found.found:
            part = events.inner(event, "part")
            match event.get("type"):
                case "step_start":
                    text = ""
                case "text":
                    text += events.word(part, "text")
                case "step_finish":
                    steps.append(part)
                    reason = events.word(part, "reason")
                case "error":
                    told = events.inner(event, "error")
                    complaint = events.word(events.inner(told, "data"), "message") or events.word(told, "name")
                    complaint = complaint or "an error without words"
        used = _used(steps)
        if code != 0 or (complaint and not text):
            words = adapter.last_line(complaint.encode()) or adapter.last_line(stderr)
            how = "was ended" if code is None else f"ended with {code}"
            return Answer(problem=FAILING, what=f"opencode {how}: {words or 'without words'}", used=used)
        if found.torn:
            return Answer(problem=MALFORMED, what="its output breaks off in the middle of a line", used=used)
        if not text.strip():
            return adapter.empty(stderr, used)
        if reason == "length":
            return Answer(problem=TRUNCATED, what="its answer was cut off at the limit of tokens", used=used)
        return Answer(text=text.strip(), used=used)


def _config(task: Task) -> Event:
    edit = "allow" if task.mode == EDIT else "deny"
    config: Event = {
        "$schema": "https://opencode.ai/config.json",
        "share": "disabled",
        "autoupdate": False,
        "permission": {"edit": edit, "bash": "deny", "webfetch": "deny", "external_directory": "deny"},
    }
    if task.base_url and task.model:
        model: Event = {"name": task.model}
        if task.max_tokens:
            model["limit"] = {"context": _CONTEXT, "output": task.max_tokens}
        config["provider"] = {
            "labctl": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "labctl",
                "options": {"baseURL": task.base_url},
                "models": {task.model: model},
            }
        }
    return config


def _used(steps: list[Event]) -> Tokens:
    """All its steps together: each is a call that was paid for."""
    if not steps:
        return Tokens()
    told = [events.inner(each, "tokens") for each in steps]
    sent = [events.count(each, "input") for each in told]
    sent += [events.count(events.inner(each, "cache"), "read", "write") for each in told]
    answered = [events.count(each, "output", "reasoning") for each in told]
    costs = [events.money(each, "cost") for each in steps]
    usd = sum(each for each in costs if each is not None) if None not in costs else None
    return Tokens(
        sent=events.total(sent), answered=events.total(answered), usd=usd or None
    )  # it says 0 of a model it has no price of
