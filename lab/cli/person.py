"""What a person decides, and no program on its own account: the commands, and how they are told to programs."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

DECISIONS = ("approve", "reject", "resume", "research approve")
SAID = "a person decides: "
_COMMANDS = ("fix", "next")  # under these names a document holds what is to be typed
_PROGRAMS = frozenset({
    "labctl", "apt-get", "codex", "export", "gemini", "git", "hermes", "loginctl", "npm", "opencode",
    "optuna-dashboard", "pip",
})  # fmt: skip
_TYPED = re.compile(rf"\blabctl (?:{'|'.join(DECISIONS)})(?![\w-])")


def of(verb: str) -> list[str]:
    """Which of a verb's forms are such decisions."""
    return [each for each in DECISIONS if each.partition(" ")[0] == verb]


def marked(typed: str) -> str:
    """What is to be done next, as a program is told: whoever types what it is given would say yes for a person."""
    is_one = _TYPED.search(typed) and not typed.startswith(SAID)
    return f"{SAID}{typed}" if is_one else typed


def parted(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """What comes next: commands that a program may type as they stand, and the rest, which is for a person."""
    commands: list[str] = []
    advice: list[str] = []
    for line in lines:
        words = line.partition("  #")[0].split() or [""]
        is_command = words[0] in _PROGRAMS and not any(word.startswith("(") or word[-1] in ";,)" for word in words)
        (commands if is_command and marked(line) == line else advice).append(marked(line))
    return commands, advice


def told(data: object, name: str = "") -> object:
    """A document with what is to be done next marked wherever it stands. `name` is what `data` was found under."""
    if isinstance(data, dict):
        return {key: told(each, str(key)) for key, each in data.items()}
    if isinstance(data, list | tuple):
        return [told(each, name) for each in data]
    return marked(data) if isinstance(data, str) and name in _COMMANDS else data


def is_named(written: str) -> bool:
    """Whether a document may hold such a command at all: most do not, and are not gone through."""
    return "labctl " in written and _TYPED.search(written) is not None
