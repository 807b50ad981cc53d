"""What strict readers refuse in a frontmatter that is good YAML: the open standard's own validator is such a reader."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

import msgspec
import yaml

from lab.core import spec_text
from lab.core.skills.codes import issue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.skills.codes import Issue

_LITERAL = frozenset("'\"|>")  # the styles of text in which a tab is a tab
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
_SEEN = re.compile(r"[^\n]")
_BREAK = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")  # what the parser counts as the end of a line
_ODD = re.compile(r"[\x85\u2028\u2029\ufeff]")
_FIRST_ROW = 2  # of the frontmatter in its file: the line of --- is above it
_Opening = yaml.MappingStartEvent | yaml.SequenceStartEvent


class _Mark(Protocol):
    """A place in the text, by whichever of the two parsers."""

    line: int
    column: int


class _Open(msgspec.Struct):
    """A list or map that is still open. `column` is where the maps in it begin; `is_key` what comes next in a map."""

    is_map: bool
    column: int = -1
    is_key: bool = True


def judge(head: str) -> Iterator[Issue]:
    """Each line of which a strict reader complains. The text is known to parse."""
    for number, row in enumerate(head.split("\n"), _FIRST_ROW):
        if "---" in row:
            yield issue("YAML_STRICT", f"--- ends the frontmatter here for some: {row.strip()[:60]}", line=number)
        if odd := _ODD.search(row):
            yield issue("YAML_STRICT", f"the character U+{ord(odd[0]):04X}, which nobody sees", line=number)
    events = list(spec_text.events(head))
    for number, row in _outside(head, events):
        if "\t" in row:
            yield issue("YAML_STRICT", f"a tab outside quotes: {row.strip()[:60]!r}", line=number)
    stack: list[_Open] = []
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
        elif isinstance(event, yaml.ScalarEvent | yaml.AliasEvent | _Opening):
            yield from _node(event, stack)


def _node(event: yaml.ScalarEvent | yaml.AliasEvent | _Opening, stack: list[_Open]) -> Iterator[Issue]:
    line, column = _at(event.start_mark)
    line += _FIRST_ROW
    named = None if isinstance(event, yaml.AliasEvent) else event.tag
    if event.anchor is not None:
        yield issue("YAML_STRICT", f"the anchor or alias {event.anchor[:60]}", line=line)
    if named is not None:
        yield issue("YAML_STRICT", f"the tag {named[:60]}", line=line)
    above = stack[-1] if stack else None
    is_value = above is not None and above.is_map and not above.is_key
    if above is not None:
        above.is_key = above.is_map and not above.is_key
    if not isinstance(event, _Opening):
        return
    if event.flow_style:
        yield issue("FLOW_STYLE", "a list or map in brackets", line=line)
    elif is_value and above is not None and isinstance(event, yaml.MappingStartEvent):
        if above.column not in (-1, column):
            yield issue("YAML_STRICT", "maps beside each other are indented differently", line=line)
        above.column = column
    stack.append(_Open(isinstance(event, yaml.MappingStartEvent)))


def _outside(head: str, events: list[yaml.Event]) -> Iterator[tuple[int, str]]:
    """The rows without their comments, and with x for whatever is quoted or a block of text."""
    starts = [0, *(found.end() for found in _BREAK.finditer(head)), len(head)]
    pieces, done = [], 0
    for event in events:
        if isinstance(event, yaml.ScalarEvent) and event.style in _LITERAL:
            (row, column), (last_row, last_column) = _at(event.start_mark), _at(event.end_mark)
            begin, end = starts[row] + column, min(starts[last_row] + last_column, len(head))
            if event.style in "|>":
                begin = starts[row + 1]  # what stands beside the sign is no text yet
            pieces += [head[done:begin], _SEEN.sub("x", head[begin:end])]
            done = end
    rows = "".join([*pieces, head[done:]]).split("\n")
    return ((number, _COMMENT.sub("", row)) for number, row in enumerate(rows, _FIRST_ROW))


def _at(mark: _Mark | None) -> tuple[int, int]:
    return (mark.line, mark.column) if mark else (0, 0)
