"""What ships beside the pages: the style sheet, scripts of our own, and what others made, which is in `vendor/`."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from functools import cache

from lab.projections.drawing.look import STYLE

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_LAYOUT = re.compile(r"\s*([{};])\s*")
_HERE = os.path.dirname(__file__)


@cache
def style() -> str:
    """The style sheet of every page: the colours and marks of the drawings, then the page itself, without comments."""
    return STYLE + _LAYOUT.sub(r"\1", _COMMENT.sub("", read("static/lab.css"))).strip()


@cache
def read(name: str) -> str:
    """A file of ours, by its path below this folder. Never a name that came from outside."""
    with open(f"{_HERE}/{name}", encoding="utf-8") as file:
        return file.read()


def source_hash(text: str) -> str:
    """How a policy of a page names a style or a script that may be in it."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
