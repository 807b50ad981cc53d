"""Rules for what a playbook says: links, modes, loops, and what a careless writer left in it."""

from __future__ import annotations

import json
import posixpath
import re
import tomllib
from typing import TYPE_CHECKING

from lab.core.skills import python
from lab.core.skills.codes import issue
from lab.core.skills.prose import ROW_CHARS, is_denied, sentences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.skills.blocks import Block, Parts
    from lab.core.skills.codes import Issue

_END_MARK = re.compile(r"(?:[A-Z][A-Z0-9_]*_)?(?:EOF|EOT|HEREDOC)")
_LINK = re.compile(r"\[[^\[\]]{0,200}\]\( {0,9}(?:<([^<>]{1,300})>|([^)\s<>][^)\s]{0,299}))")
_NAMED = re.compile(r"`(?:\$\{HERMES_SKILL_DIR\}/|\./)?((?:scripts|references|assets)/[\w./-]+)`")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#|//", re.IGNORECASE)
_UNTIL = r"until\s+(?:(?:you|it)\s+(?:are|is)\s+)?(?:interrupted|killed|stopped)"
_ENDLESS = re.compile(
    r"\bnever\s+stop\b"
    rf"|\b(?:loop|run|repeat|continue|iterate|keep\s+\w+ing|go\s+on)\s+(?:forever|indefinitely|endlessly|{_UNTIL})\b",
    re.IGNORECASE,
)
_ENDLESS_CODE = re.compile(
    r"(?:^|[;&|])[ \t]*(?:while\s+(?:true\b|:|sleep\b|\[{1,2}\s*1\s*\]|\(\(\s*1\s*\)\))|until\s+false\b"
    r"|for\s*\(\([^;()\n]{0,80};\s*;)",
    re.MULTILINE,
)
_WAY_OUT = re.compile(r"\b(?:break|return|exit|timeout)\b")
_LISTED_MODE = re.compile(r"\s*(?:[-*+]|\d+[.)]|\|)\s*\**`?mode\s+(\w+)\b", re.IGNORECASE)
_UNDER_MODES = re.compile(r"\s*(?:[-*+]|\|)\s*(?:\*\*|`)+([\w-]+)(?:\*\*|`)+")


def judge_blocks(parts: Parts) -> Iterator[Issue]:
    """Blocks by themselves."""
    for block in parts.blocks:
        if not block.is_closed:
            yield issue("FENCE_OPEN", "this block is never closed", line=block.line - 1)
        if not block.language:
            yield issue("BLOCK_UNTAGGED", "this block does not say its language", line=block.line - 1)
        yield from _data(block)
        is_shell = block.kind in ("shell", "console")
        if is_shell and _ENDLESS_CODE.search(block.text) and not _WAY_OUT.search(block.text):
            yield issue("UNBOUNDED", "this loop has no way out", line=block.line)
    yield from python.judge([block for block in parts.blocks if block.kind == "python"])


def _data(block: Block) -> Iterator[Issue]:
    try:
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)
    except (ValueError, RecursionError) as trouble:  # both decoders' errors are ValueErrors
        yield issue("DATA_SYNTAX", f"this is not {block.language}: {trouble}"[:200], line=block.line)


def judge_names(parts: Parts, files: frozenset[str]) -> Iterator[Issue]:
    """Links and paths. `files` are those that lie in the skill's folder."""
    for line, row, *_ in sentences(parts):
        links = (angled or plain for angled, plain in _LINK.findall(row))
        for target in (*links, *_NAMED.findall(row)):
            path = target.partition("#")[0]
            if not path or _ELSEWHERE.match(target):
                continue
            plain = posixpath.normpath(path)
            if plain.startswith(("/", "..")):
                yield issue("LINK_LEAVES", f"{target[:80]} leads out of the folder", line=line)
            elif plain not in files and not any(name.startswith(f"{plain}/") for name in files):
                yield issue("LINK_BROKEN", f"{target[:80]} is not there", line=line)


def judge_manners(parts: Parts) -> Iterator[Issue]:
    """What a careless writer leaves: end marks, endless loops, modes that no example shows."""
    written = [(line, row.strip()) for line, row, *_ in sentences(parts) if row.strip()]
    if written and _END_MARK.fullmatch(written[-1][1]):
        yield issue("FENCE_TRAILING", f"the last line is {written[-1][1]}", line=written[-1][0])
    for line, row, _, before in sentences(parts):
        said = _ENDLESS.search(row)
        if said and not is_denied(before, row, said.start(), said.end()):
            yield issue("UNBOUNDED", f"it says: {said[0]}", line=line)
    for label, (line, is_lettered) in _modes(parts).items():
        if not any(_shows(block, label, is_lettered=is_lettered) for block in parts.blocks):
            yield issue("MODE_EXAMPLE", f"no example shows the mode {label}", line=line)


def _modes(parts: Parts) -> dict[str, tuple[int, bool]]:
    """Each mode that a list or a table names, with its line, and whether `mode` is a part of its name."""
    found: dict[str, tuple[int, bool]] = {}
    for line, whole, heading in parts.prose:
        row = whole[:ROW_CHARS]
        lettered = _LISTED_MODE.match(row)
        if lettered:
            found.setdefault(lettered[1], (line, True))
        elif re.search(r"\bmodes?\b", heading, re.IGNORECASE):
            named = _UNDER_MODES.match(row)
            if named:
                found.setdefault(named[1], (line, False))
    return found


def _shows(block: Block, label: str, *, is_lettered: bool) -> bool:
    """Whether an example belongs to a mode: its heading, the line that leads up to it, or itself names the mode."""
    wanted = re.compile(rf"\b{'mode ' if is_lettered else ''}{re.escape(label)}\b", re.IGNORECASE)
    return any(wanted.search(text) for text in (block.heading, block.lead, block.text))
