"""Gemini CLI, `gemini -o json`: one JSON object. The prompt comes on standard input, before the few words of `-p`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.llm import foreign
from lab.llm.agents import adapter, events
from lab.llm.agents.adapter import EDIT, Answer, Start, Task
from lab.llm.exchange import MALFORMED, Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.llm.agents.events import Event

_WORDS = {42: "gemini refused its input", 53: "gemini used up its turns"}


class Gemini:
    program = "gemini"
    passed = ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION",
              "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_APPLICATION_CREDENTIALS")  # fmt: skip

    def start(self, task: Task) -> Start | None:
        """`plan` reads and changes nothing; `auto_edit` may edit files and is asked about the rest, which is a no."""
        mode = "auto_edit" if task.mode == EDIT else "plan"
        argv = [self.program, "-p", "Do what is said above.", "-o", "json", "--approval-mode", mode, "--skip-trust"]
        argv += ["-m", task.model] if task.model else []
        for folder in task.extra_paths:
            argv += ["--include-directories", folder]
        environ = {"GOOGLE_GEMINI_BASE_URL": task.base_url} if task.base_url else {}
        return Start(argv=tuple(argv), stdin=task.words(), environ=environ)

    def read(self, stdout: bytes, stderr: bytes, code: int | None, files: Mapping[str, bytes]) -> Answer:  # noqa: ARG002  # it hands no files back
        """Its object goes over many lines, and may have a warning above it."""
        begin = stdout.find(b"{")
        result = foreign.object_in(stdout[begin:]) if begin >= 0 else None
        if result is None:
            if code != 0:
                said = adapter.failed(stderr or stdout, code)
                return Answer(problem=said.problem, what=_WORDS.get(code or 0, said.what))
            what = "what it printed is no result of gemini, or breaks off"
            return Answer(problem=MALFORMED, what=what) if stdout.strip() else adapter.empty(stderr)
        used, model = _used(events.inner(result, "stats"))
        error = events.inner(result, "error")
        if error or code != 0:
            status = events.count(error, "code")
            words = adapter.last_line(events.word(error, "message").encode()) or adapter.last_line(stderr)
            what = f"{_WORDS.get(code or 0, 'gemini reports an error')}: {words or 'without words'}"
            return Answer(problem=adapter.by_status(status), what=what, used=used, model=model)
        text = events.word(result, "response").strip()
        return Answer(text=text, used=used, model=model) if text else adapter.empty(stderr, used, model)


def _used(stats: Event) -> tuple[Tokens, str]:
    models = events.inner(stats, "models")
    told = [events.inner(events.inner(models, name), "tokens") for name in models]
    sent = [events.count(each, "prompt") for each in told]
    answered = [events.count(each, "candidates", "thoughts") for each in told]
    return Tokens(sent=events.total(sent), answered=events.total(answered)), ", ".join(models)
