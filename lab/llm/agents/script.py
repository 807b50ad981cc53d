"""A project's own adapter: `scripts/<provider>_mutation_adapter.py` in its workspace or beside the SPEC.

It is handed the flags that hermes-lab's adapters were, works in the folder it is to change, and prints what it did.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.llm.agents import adapter
from lab.llm.agents.adapter import Answer, Start, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

_INSTRUCTION = "instruction.md"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def place(provider: str) -> str:
    """Where the adapter of a provider lies, relative to a workspace; empty for what can be no file's name."""
    return f"scripts/{provider.replace('-', '_')}_mutation_adapter.py" if _NAME.fullmatch(provider) else ""


class Script:
    passed: tuple[str, ...] = ()

    def __init__(self, python: str, path: str) -> None:
        self.program = python
        self._path = path

    def start(self, task: Task) -> Start | None:
        """The prompt is its instruction, in a file: an argument would be cut, and be seen by everybody."""
        argv = [self.program, self._path]
        argv += ["--model", task.model] if task.model else []
        argv += ["--effort", task.effort] if task.effort else []
        argv += ["--instruction-file", f"{task.own}/{_INSTRUCTION}"]
        argv += ["--base-url", task.base_url] if task.base_url else []
        argv += ["--background"] if task.background else []
        for path in task.extra_paths:
            argv += ["--extra-path", path]
        environ = {
            "LAB_AGENT_MODEL": task.model,
            "LAB_AGENT_EFFORT": task.effort,
            "LAB_AGENT_INSTRUCTION_FILE": f"{task.own}/{_INSTRUCTION}",
            "LAB_AGENT_BASE_URL": task.base_url,
            "LAB_AGENT_BACKGROUND": "true" if task.background else "false",
            "LAB_WORKSPACE_ROOT": task.folder,
            "LAB_EFFECTIVE_WORKSPACE_ROOT": task.folder,
            "LAB_MUTABLE_PATHS": "\n".join(task.paths),
        }
        return Start(argv=tuple(argv), files={_INSTRUCTION: task.words()}, environ=environ)

    def read(self, stdout: bytes, stderr: bytes, code: int | None, files: Mapping[str, bytes]) -> Answer:  # noqa: ARG002  # it hands no files back
        """Its output is what it has to say."""
        return adapter.plain(stdout, stderr, code)
