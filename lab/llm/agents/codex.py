"""Codex, `codex exec --json`: events as JSON lines, its last message also as a file. Prompt on standard input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.llm.agents import adapter, events
from lab.llm.agents.adapter import EDIT, Answer, Start, Task
from lab.llm.exchange import FAILING, MALFORMED, UNREACHABLE, Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.llm.agents.events import Event

_LAST, _SCHEMA = "last.txt", "schema.json"
_KEY = "OPENAI_API_KEY"


class Codex:
    program = "codex"
    passed = (_KEY, "CODEX_API_KEY", "CODEX_HOME", "OPENAI_BASE_URL", "OPENAI_ORGANIZATION", "OPENAI_PROJECT")

    def start(self, task: Task) -> Start | None:
        """Held by its own sandbox too: read-only to answer, the workspace alone to edit."""
        argv = [self.program, "exec", "--json", "--ephemeral", "--skip-git-repo-check"]
        argv += ["-s", "workspace-write" if task.mode == EDIT else "read-only", "-C", task.folder]
        argv += ["-m", task.model] if task.model else []
        settings = {"model_reasoning_effort": task.effort} if task.effort else {}
        if task.base_url:
            settings["model_provider"] = "labctl"
        for name, value in settings.items():
            argv += ["-c", f"{name}={_toml(value)}"]
        if task.base_url:
            key = f",env_key={_toml(_KEY)}" if _KEY in task.given else ""
            here = f'{{name="labctl",base_url={_toml(task.base_url)},wire_api="responses"{key}}}'
            argv += ["-c", f"model_providers.labctl={here}"]
        files = {}
        if task.schema is not None:
            files[_SCHEMA] = msgspec.json.encode(task.schema).decode()
            argv += ["--output-schema", f"{task.own}/{_SCHEMA}"]
        argv += ["-o", f"{task.own}/{_LAST}", "-"]
        return Start(argv=tuple(argv), stdin=task.words(), files=files, reads=(_LAST,))

    def read(self, stdout: bytes, stderr: bytes, code: int | None, files: Mapping[str, bytes]) -> Answer:
        """An `item` of type error is a remark and occurs in good turns; a `turn.failed` is the end of one."""
        found = events.read(stdout)
        text, used, failure, complaint, ended = "", Tokens(), "", "", False
        for event in found.found:
            match event.get("type"):
                case "item.completed":
                    item = events.inner(event, "item")
                    text = events.word(item, "text") if item.get("type") == "agent_message" else text
                case "turn.completed":
                    used, ended, failure = _used(events.inner(event, "usage")), True, ""
                case "turn.failed":
                    failure = events.word(events.inner(event, "error"), "message") or "the turn failed"
                case "error":
                    complaint = events.word(event, "message")
        text = (files.get(_LAST, b"").decode(errors="replace") or text).strip()
        if failure or code != 0:
            return _failed(failure or complaint, stderr, code, used)
        if not ended and found.torn:
            return Answer(problem=MALFORMED, what="its output breaks off in the middle of a line", used=used)
        if not text:
            return _failed(complaint, stderr, code, used) if complaint else adapter.empty(stderr, used)
        return Answer(text=text, used=used)


def _failed(said: str, stderr: bytes, code: int | None, used: Tokens) -> Answer:
    words = adapter.last_line(said.encode()) or adapter.last_line(stderr)
    # Its client waits for the network for ever: it is our deadline that ended it, and this is why.
    lost = said.startswith("Reconnecting") or "error sending request" in said or "stream disconnected" in said
    how = "was ended" if code is None else f"ended with {code}"
    return Answer(problem=UNREACHABLE if lost else FAILING, what=f"codex {how}: {words or 'without words'}", used=used)


def _used(usage: Event) -> Tokens:
    return Tokens(sent=events.count(usage, "input_tokens"), answered=events.count(usage, "output_tokens"))


def _toml(text: str) -> str:
    """A string as TOML writes it, which is how JSON does."""
    return msgspec.json.encode(text).decode()
