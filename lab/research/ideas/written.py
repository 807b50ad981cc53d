"""An idea as its file has it: YAML whose values are JSON, the same bytes for the same idea. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.research import idea, spelled

if TYPE_CHECKING:
    from lab.research.idea import Idea

_MAPS = ("space",)


def name(number: int, found: Idea) -> str:
    """Its file: the number says which goes first."""
    return f"{idea.FOLDER}{number:02d}-{found.name}.yaml"


def page(found: Idea) -> bytes:
    """The file. Read back, it is the same idea."""
    told: dict[str, object] = msgspec.to_builtins(found)
    rows = []
    for key, value in told.items():
        if key in _MAPS and isinstance(value, dict):
            rows += [
                f"{key}:\n",
                *(f"  {spelled.line(each)}: {spelled.line(entry)}\n" for each, entry in value.items()),
            ]
        else:
            rows.append(f"{key}: {spelled.line(value)}\n")
    return "".join(rows).encode()
