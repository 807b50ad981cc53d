"""A line that was meant to tell the metric and does not, and why. Looked for only once a run has told none.

`METRIC loss=50%`, `0,5`, indented, in colours, in small letters, on stderr: whoever printed it sees it there, so
that there is none helps nobody.
"""

from __future__ import annotations

import os
import re

from lab.core import layout
from lab.executors import told as rules
from lab.executors.log import open_plain

_MOST_BYTES = 1 << 18  # of the end of each log
_SHOWN_CHARS = 60
_COLOUR = r"\x1b\[[0-9;?]*[ -/]*[@-~]"
_COMMA = r"[+-]?\d*,\d+"


def told(path: str, name: str) -> str:
    """The last such line of the run in this folder, and what is wrong with it; empty where there is none."""
    for log in (layout.STDOUT, layout.STDERR):
        for line in reversed(_end(f"{path}/{log}").split(b"\n")):
            if b"metric" not in line.lower() or len(line) > rules.LONGEST_LINE_BYTES:
                continue
            written = line.decode(errors="replace").rstrip("\r").rpartition("\r")[2]
            wrong = _wrong(written, name, log)
            if wrong:
                shown = re.sub(_COLOUR, "", written).strip()[:_SHOWN_CHARS]
                shown = "".join(each if each.isprintable() else " " for each in shown)
                return f"{log} has the line `{shown}`, but {' and '.join(wrong)}"
    return ""


def _wrong(written: str, name: str, log: str) -> list[str]:
    """Why a line does not tell the metric; nothing for one that says something else."""
    bare = re.sub(_COLOUR, "", written)
    form = rf"(metric:?)\s+({re.escape(name)})\s*([=:]?)\s*(.*)"
    found = re.fullmatch(form, bare.strip(), re.IGNORECASE | re.DOTALL)
    if found is None or (not found[3] and rules.decimal_of(found[4]) is None):
        return []
    wrong = []
    if log == layout.STDERR:
        wrong.append(f"only what is printed to stdout counts ({layout.STDOUT})")
    if bare != written:
        wrong.append("colour codes are in it")
    if bare[:1].isspace():
        wrong.append("it does not begin at the beginning of its line")
    if found.group(1, 2, 3) != ("METRIC", name, "="):
        wrong.append(f"it does not begin with `METRIC {name}=`")
    if rules.decimal_of(found[4]) is None:
        wrong.append(_no_number(found[4]))
    return wrong


def _no_number(given: str) -> str:
    if not given:
        return "no number follows the `=`"
    shown = "".join(each if each.isprintable() else " " for each in given[:_SHOWN_CHARS])
    if re.fullmatch(_COMMA, given):
        return f"`{shown}` is no decimal number: `{shown.replace(',', '.')}`"
    return f"`{shown}` is no decimal number"


def _end(path: str) -> bytes:
    descriptor = open_plain(path)
    if descriptor is None:
        return b""
    try:
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, _MOST_BYTES, max(0, size - _MOST_BYTES))
    finally:
        os.close(descriptor)
