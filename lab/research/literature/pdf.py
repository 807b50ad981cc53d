"""The text of a PDF, read by a process of its own: a file can make a reader hang, or fill its memory.

By pypdf where it is installed beside labctl, else by pdftotext where it is on PATH. With neither a PDF is kept as a
source without a text, and that is said.
"""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.core.world import World

FIX = "pip install 'labctl[papers]' (or: apt-get install poppler-utils)"
LIMIT_S = 60.0
MOST_CHARS = 2_000_000
_MEMORY = 2 << 30
# Given no more than the file's name. It bounds its own memory: the parent cannot, and a PDF may unpack without end.
_PYPDF = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({_MEMORY}, {_MEMORY}))
import logging
logging.disable(logging.CRITICAL)
import pypdf
left = {MOST_CHARS}
for page in pypdf.PdfReader(sys.argv[1]).pages:
    text = page.extract_text()[:left].encode("utf-8", "replace")
    sys.stdout.buffer.write(text + b"\\n\\n")
    left -= len(text)
    if left <= 0:
        break
"""


def reader(world: World) -> str:
    """What would read one here: pypdf, pdftotext, or nothing."""
    if find_spec("pypdf") is not None:
        return "pypdf"
    return "pdftotext" if shutil.which("pdftotext", path=world.environ.get("PATH")) else ""


def read(world: World, path: str, left_s: float = LIMIT_S) -> tuple[str, str]:
    """Its text, and why there is none. `path` is absolute."""
    found = reader(world)
    if not found:
        return "", f"nothing here reads a PDF: {FIX}"
    if found == "pypdf":
        argv = [sys.executable, "-P", "-c", _PYPDF, path]
    else:
        argv = ["pdftotext", "-q", "-enc", "UTF-8", path, "-"]
    done = world.run(argv, limit_s=max(min(left_s, LIMIT_S), 1.0))
    if done.code != 0:
        why = f"{found} ended with {done.code}" if done.code is not None else done.problem
        return "", f"its text cannot be read: {why}"
    text = "".join(each for each in done.out[:MOST_CHARS] if each >= " " or each in "\n\t")
    return (text, "") if text.strip() else ("", "there is no text in it: pictures of pages, most likely")
