"""What a person decides, and no program on its own account: the commands, and how they are told to programs."""

from __future__ import annotations

import re

DECISIONS = ("approve", "reject", "resume", "research approve")
SAID = "a person decides: "
_COMMANDS = ("fix", "next")  # under these names a document holds what is to be typed
_TYPED = re.compile(rf"\blabctl (?:{'|'.join(DECISIONS)})(?![\w-])")


def of(verb: str) -> list[str]:
    """Which of a verb's forms are such decisions."""
    return [each for each in DECISIONS if each.partition(" ")[0] == verb]


def marked(typed: str) -> str:
    """What is to be done next, as a program is told: whoever types what it is given would say yes for a person."""
    is_one = _TYPED.search(typed) and not typed.startswith(SAID)
    return f"{SAID}{typed}" if is_one else typed


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
