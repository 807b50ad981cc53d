"""Skills for tests: a good one to change, and folders to put them into."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """\
---
name: a-skill
description: Does one thing. Use when that thing is to be done.
metadata:
  short: Does one thing.
---
"""
GOOD = HEAD + "# A skill\n\nDo it.\n\n```bash\nlabctl status\n```\n"


def put(folder: Path, text: str | bytes = GOOD, **files: str) -> Path:
    """A skill's folder with this SKILL.md, and files beside it (`references__a_md` is references/a.md)."""
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_bytes(text if isinstance(text, bytes) else text.encode())
    for name, data in files.items():
        path = folder / name.replace("__", "/").replace("_md", ".md").replace("_sh", ".sh")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(data)
    return folder
