"""Rules for what a playbook says: commands, links, modes, loops, and what a careless writer left in it."""

from __future__ import annotations

import json
import posixpath
import re
import tomllib
from typing import TYPE_CHECKING, Protocol

import msgspec

from lab.core.skills import blocks as fences
from lab.core.skills import python, shell
from lab.core.skills.codes import issue

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.core.skills.blocks import Block, Parts
    from lab.core.skills.codes import Issue

_END_MARK = re.compile(r"(?:[A-Z][A-Z0-9_]*_)?(?:EOF|EOT|HEREDOC)")
_INLINE = re.compile(r"`labctl ([^`]+)`")
_VERB = re.compile(r"[a-z][a-z0-9-]*")
_LINK = re.compile(r"\[[^\[\]]{0,200}\]\( {0,9}<?([^)\s>]{1,300})")
_NAMED = re.compile(r"`(?:\$\{HERMES_SKILL_DIR\}/|\./)?((?:scripts|references|assets)/[\w./-]+)`")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#|//", re.IGNORECASE)
_SWEEP = re.compile(r"\bgit\s+(?:add\s+(?:\.|-A|--all|\*|-u)(?=\s|$|[&;|\"'])|commit\s+(?:-\w*a\w*|--all)\b|push\b)")
_REVIEW = re.compile(r"\bgit\s+(?:diff|status|show)\b")
_ENDLESS = re.compile(r"\bnever\s+stop\b|\b(?:loop|run|repeat|continue)\s+(?:forever|indefinitely)\b", re.IGNORECASE)
_DENIED = re.compile(r"\b(?:not|no|never|n't|instead of|without|refuses?)\b[^.]{0,40}$", re.IGNORECASE)
_ENDLESS_CODE = re.compile(r"^[ \t]*while\s+(?:true\b|:|1\b|True\b)", re.MULTILINE)
_WAY_OUT = re.compile(r"\b(?:break|return|exit|raise)\b")
_LISTED_MODE = re.compile(r"\s*(?:[-*+]|\d+[.)]|\|)\s*\**`?mode\s+(\w+)\b", re.IGNORECASE)
_ROW_CHARS = 2_000  # of a longer line only the beginning is looked at: a line of 1 MB must not take a day
_UNDER_MODES = re.compile(r"\s*(?:[-*+]|\|)\s*(?:\*\*|`)+([\w-]+)(?:\*\*|`)+")


class Wrong(msgspec.Struct, frozen=True, kw_only=True):
    """Why a command would be refused."""

    code: str
    message: str
    fix: str = ""


class Try(Protocol):
    """Ask the parsers whether they take these words after `labctl`. `whole` is false for a command named in passing."""

    def __call__(self, words: Sequence[str], *, whole: bool) -> Wrong | None: ...


def judge_blocks(parts: Parts) -> Iterator[Issue]:
    """Blocks by themselves."""
    for block in parts.blocks:
        if not block.is_closed:
            yield issue("FENCE_OPEN", "this block is never closed", line=block.line - 1)
        if not block.language:
            yield issue("BLOCK_UNTAGGED", "this block does not say its language", line=block.line - 1)
        yield from _data(block)
        is_code = block.language in fences.SHELL | fences.CONSOLE | fences.PYTHON
        if is_code and _ENDLESS_CODE.search(block.text) and not _WAY_OUT.search(block.text):
            yield issue("UNBOUNDED", "this loop has no way out", line=block.line)
    yield from python.judge([block for block in parts.blocks if block.language in fences.PYTHON])


def _data(block: Block) -> Iterator[Issue]:
    try:
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)
    except (ValueError, RecursionError) as trouble:  # both decoders' errors are ValueErrors
        yield issue("DATA_SYNTAX", f"this is not {block.language}: {trouble}"[:200], line=block.line)


def judge_commands(parts: Parts, attempt: Try) -> Iterator[Issue]:
    """Every labctl command of the shell blocks and of the prose, and git where nobody looked before."""
    reviewed: set[str] = set()
    for block in parts.blocks:
        if block.language in fences.PYTHON:
            found = ((line, text) for line, text in python.texts(block) if _SWEEP.search(text[:_ROW_CHARS]))
            yield from (_unreviewed(line, text) for line, text in found if not _REVIEW.search(block.text))
        if block.language not in fences.SHELL | fences.CONSOLE:
            continue
        text = shell.of_session(block) if block.language in fences.CONSOLE else block.text
        try:
            found_commands = list(shell.commands(text, block.line))
        except ValueError as trouble:
            yield issue("SHELL_SYNTAX", "a quote is opened here and never closed", line=int(str(trouble)))
            continue
        for line, words in found_commands:
            spelt = " ".join(words)[:_ROW_CHARS]
            if words[:1] == ("labctl",) and (wrong := attempt(words[1:], whole=True)):
                yield issue(wrong.code, wrong.message, line=line, fix=wrong.fix)
            if _REVIEW.match(spelt):
                reviewed.add(block.heading)
            elif _SWEEP.match(spelt) and block.heading not in reviewed:
                yield _unreviewed(line, spelt)
    for line, row in _rows(parts):
        for named in _INLINE.findall(row):
            words = tuple(named.split())
            if _VERB.fullmatch(words[0]) and (wrong := attempt(words, whole=False)):
                yield issue(wrong.code, wrong.message, line=line, fix=wrong.fix)


def _rows(parts: Parts) -> Iterator[tuple[int, str]]:
    return ((line, row[:_ROW_CHARS]) for line, row, _ in parts.prose)


def _unreviewed(line: int, command: str) -> Issue:
    return issue("GIT_UNREVIEWED", f"nobody looks before: {command.strip()[:80]}", line=line)


def judge_names(parts: Parts, files: frozenset[str]) -> Iterator[Issue]:
    """Links and paths. `files` are those that lie in the skill's folder."""
    for line, row in _rows(parts):
        for target in (*_LINK.findall(row), *_NAMED.findall(row)):
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
    written = [(line, row.strip()) for line, row in _rows(parts) if row.strip()]
    if written and _END_MARK.fullmatch(written[-1][1]):
        yield issue("FENCE_TRAILING", f"the last line is {written[-1][1]}", line=written[-1][0])
    for line, row in _rows(parts):
        said = _ENDLESS.search(row)
        if said and not _DENIED.search(row[: said.start()]):
            yield issue("UNBOUNDED", f"it says: {said[0]}", line=line)
    for label, (line, is_lettered) in _modes(parts).items():
        if not any(_shows(block, label, is_lettered=is_lettered) for block in parts.blocks):
            yield issue("MODE_EXAMPLE", f"no example shows the mode {label}", line=line)


def _modes(parts: Parts) -> dict[str, tuple[int, bool]]:
    """Each mode that a list or a table names, with its line, and whether `mode` is a part of its name."""
    found: dict[str, tuple[int, bool]] = {}
    for line, whole, heading in parts.prose:
        row = whole[:_ROW_CHARS]
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
