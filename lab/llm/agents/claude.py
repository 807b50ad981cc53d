"""Claude Code, `claude -p`: one JSON object at the end. Prompt on standard input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.llm.agents import adapter, events
from lab.llm.agents.adapter import ASK, Answer, Start, Task
from lab.llm.exchange import BUDGET, MALFORMED, TRUNCATED, Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.llm.agents.events import Event

_KEY = "ANTHROPIC_API_KEY"
_SYSTEM = "You answer one question of a program. Your reply is read by a parser: give what is asked for, nothing else."
_CUT = "its answer was cut off at the limit of tokens"
_TOOLS = "Read Glob Grep Edit Write"  # no Bash: what it starts would be held by nothing but our clock


class Claude:
    program = "claude"
    passed = (
        _KEY, "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR",
        "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "AWS_PROFILE", "AWS_REGION",
    )  # fmt: skip

    def start(self, task: Task) -> Start | None:
        """`--bare` reads no hooks and no settings of the person, but knows no login, so it wants the key."""
        argv = [self.program, "-p", *(("--bare",) if _KEY in task.given else ())]
        if task.mode == ASK:
            argv += ["--tools", "", "--system-prompt", _SYSTEM]
        else:
            argv += ["--permission-mode", "acceptEdits", "--tools", _TOOLS.replace(" ", ",")]
        argv += ["--model", task.model] if task.model else []
        argv += ["--effort", task.effort] if task.effort else []
        argv += ["--output-format", "json", "--no-session-persistence"]
        if task.schema is not None:
            schema = msgspec.json.encode(task.schema).decode()
            argv += ["--json-schema", schema] if len(schema) < adapter.ARGUMENT_BYTES else []
        if task.max_usd is not None:
            argv += ["--max-budget-usd", f"{task.max_usd:g}"]
        for folder in task.extra_paths:
            argv += ["--add-dir", folder]
        environ = {"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
        if task.base_url:
            environ["ANTHROPIC_BASE_URL"] = task.base_url.removesuffix("/v1")
        if task.max_tokens:
            environ["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] = str(task.max_tokens)
        return Start(argv=tuple(argv), stdin=task.words(), environ=environ)

    def read(self, stdout: bytes, stderr: bytes, code: int | None, files: Mapping[str, bytes]) -> Answer:  # noqa: ARG002  # it hands no files back
        """Its object is the last line; a torn one is no answer, whatever the code."""
        found = events.read(stdout)
        result = next((each for each in reversed(found.found) if each.get("type") == "result"), None)
        if result is None:
            if code != 0:
                return adapter.failed(stderr or stdout, code)
            torn = found.torn or bool(stdout.strip())
            what = "what it printed is no result of claude, or breaks off"
            return Answer(problem=MALFORMED, what=what) if torn else adapter.empty(stderr)
        used, model = _used(result), ", ".join(events.inner(result, "modelUsage"))
        said = events.word(result, "result")
        if result.get("is_error") is not False or code != 0:
            return _failed(result, said or adapter.last_line(stderr), code, used, model)
        if result.get("stop_reason") == "max_tokens":
            return Answer(problem=TRUNCATED, what=_CUT, used=used, model=model)
        structured = result.get("structured_output")
        text = msgspec.json.encode(structured).decode() if structured is not None else said.strip()
        return Answer(text=text, used=used, model=model) if text else adapter.empty(stderr, used, model)


def _failed(result: Event, said: str, code: int | None, used: Tokens, model: str) -> Answer:
    kind = events.word(result, "subtype")
    problem = BUDGET if "budget" in kind else adapter.by_status(events.count(result, "api_error_status"))
    if "output token maximum" in said:
        problem = TRUNCATED
    words = "; ".join(filter(None, (kind if kind != "success" else "", adapter.last_line(said.encode()))))
    what = f"claude reports an error ({code}): {words or 'without words'}"
    return Answer(problem=problem, what=what, used=used, model=model)


def _used(result: Event) -> Tokens:
    """The larger of its two counts: of an answer that was cut off, `usage` tells nothing but zeros."""
    usage, models = events.inner(result, "usage"), events.inner(result, "modelUsage")
    told = [events.inner(models, name) for name in models]
    sent = [events.count(usage, "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")]
    sent.append(
        events.total(
            events.count(each, "inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens") for each in told
        )
    )
    answered = [events.count(usage, "output_tokens"), events.total(events.count(each, "outputTokens") for each in told)]
    return Tokens(sent=_most(sent), answered=_most(answered), usd=events.money(result, "total_cost_usd"))


def _most(counts: list[int | None]) -> int | None:
    return max((each for each in counts if each is not None), default=None)
