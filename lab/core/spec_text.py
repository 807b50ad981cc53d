"""YAML text to plain values and the line of each, with a bound on everything.

Built over the parser's events with a stack of its own: a file cannot make this recurse, expand without end, or build
an object. What the keys mean is for `lab.core.spec_reading`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import yaml

from lab.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML built without libyaml: slower, same events
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
MAX_NODES = 20_000

Path = tuple[str | int, ...]

_BOM = b"\xef\xbb\xbf"
_TAG = "tag:yaml.org,2002:"
_TAGS = {f"{_TAG}{name}": name for name in ("str", "int", "float", "bool", "null", "map", "seq")}
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(spelling for word in ("true", "yes", "on") for spelling in (word, word.title(), word.upper()))
_FALSE = frozenset(spelling for word in ("false", "no", "off") for spelling in (word, word.title(), word.upper()))
_SPECIAL = {
    f"{sign}.{word}": float(f"{sign}{word}")
    for sign in ("", "+", "-")
    for word in ("inf", "Inf", "INF", "nan", "NaN", "NAN")
    if not (sign and word.lower() == "nan")
}
# At most 300 digits: Python refuses to read an integer of some thousand digits, with an error that names no line.
_INT = re.compile(r"[-+]?[0-9]{1,300}")
_RADIX = re.compile(r"0o[0-7]{1,100}|0x[0-9a-fA-F]{1,100}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,300}|[0-9]{1,300}(?:\.[0-9]{0,300})?)(?:[eE][-+]?[0-9]{1,20})?")
_PLAIN = re.compile(r"\s*((?:- )?[\w-]+:\s+)([^\s'\"\[{|>&*!#].*?)\s*")
_SECOND = "mapping values are not allowed"
_SHOWN_CHARS = 200
# What the two parsers say, and what a person needs to hear. The first that is contained in the complaint counts.
_COMPLAINTS = (
    ("cannot start any token", "a tab or a reserved sign (@ or `) stands here; indent with spaces, or quote the value"),
    (
        _SECOND,
        "there is a second ': ' on this line, or the line is indented too far; quote it",
    ),
    ("simple key", "this line is neither `key: value` nor part of the one above; is a ':' missing?"),
    ("expected ':'", "this line is neither `key: value` nor part of the one above; is a ':' missing?"),
    ("expected key", "this line does not line up with the keys above it, or is not `key: value`"),
    ("<block end>", "this line does not line up with the keys above it, or is not `key: value`"),
    ("expected '-' indicator", "this line does not line up with the list above it"),
    ("block sequence entries are not allowed", "a list cannot start on the line of its key; begin it on the next line"),
    ("',' or ']'", "a list in [ ] is not closed, or lacks a comma"),
    ("',' or '}'", "a map in { } is not closed, or lacks a comma"),
    ("unexpected end of stream", "a quote is opened and never closed"),
    ("end of stream", "a quote is opened and never closed"),
    ("document indicator", "a quote is opened and never closed"),
    ("document separator", "a quote is opened and never closed"),
    ("hexdecimal", "a '\\' in double quotes starts an escape that does not exist; use single quotes"),
    ("escape", "a '\\' in double quotes starts an escape that does not exist; use single quotes"),
    ("node content", "a value should stand here, and a ',' or a bracket does; quote the value"),
    ("tab character", "a tab stands where only spaces may indent"),
    ("block scalar", "after | or > nothing may stand on the line; begin the text on the next"),
    ("incompatible", "the %YAML line asks for another version; take it out"),
    ("not allowed", "a character that YAML does not allow, perhaps a control character"),
    ("<document start>", "text follows the end of the mapping; is the first key indented?"),
    ("tag", "a tag (a word that starts with '!') is not known; quote the value"),
    ("alias", "a '*' starts an alias in YAML; quote the value"),
    ("anchor", "a '&' starts an anchor in YAML; quote the value"),
    ("directive", "a '%' starts a directive in YAML; quote the value"),
)


class Lines(msgspec.Struct, frozen=True):
    """Where each value stands in its file, and how a number or boolean was spelt there."""

    at: dict[Path, int] = {}
    spelt: dict[Path, str] = {}

    def line(self, path: Path) -> int:
        """Return the line, from 1, of the value at `path`; of the nearest known parent where it has none."""
        for length in range(len(path), -1, -1):
            found = self.at.get(path[:length])
            if found is not None:
                return found
        return 1

    def spelling(self, path: Path) -> str | None:
        """Return the text of an unquoted number or boolean, so that a version `4.10` does not become `4.1`."""
        return self.spelt.get(path)


def parse_text(data: bytes, where: str, *, least: str = "") -> tuple[dict[str, object], Lines]:
    """Return the mapping in `data` and the lines of its values, or refuse the whole of it.

    `least` is what a file of its kind has, for whoever wrote an empty one.
    """
    build = _Build(where, least)
    text = _decoded(data, where)
    events: Iterator[yaml.Event] = yaml.parse(text, Loader=_Loader)
    try:
        for event in events:
            build.take(event)
    except yaml.YAMLError as trouble:
        raise _syntax(trouble, text, where) from None
    except (ValueError, OverflowError):  # from the loader without libyaml, for "\UFFFFFFFF"
        raise BadInput("this is not YAML: an escape names no character", where=where, fix="use single quotes") from None
    return build.result()


def events(text: str) -> Iterator[yaml.Event]:
    """The parser's own events, for who judges how a text is written. Only of a text that `parse_text` took."""
    yield from yaml.parse(text, Loader=_Loader)


def _decoded(data: bytes, where: str) -> str:
    if len(data) > MAX_BYTES:
        what = f"the file has {len(data):,} bytes; at most {MAX_BYTES:,} are read"
        raise BadInput(what, where=where, fix="keep long text and data in files of their own and name their paths")
    data = data.removeprefix(_BOM)
    if b"\0" in data:
        raise BadInput("the file is binary, not text", where=where, fix="write it as YAML in UTF-8")
    try:
        return data.decode()
    except UnicodeDecodeError as trouble:
        line = data.count(b"\n", 0, trouble.start) + 1
        fix = "save the file as UTF-8"
        raise BadInput("the file is not UTF-8", where=f"{where} line {line}", fix=fix) from None


def _syntax(trouble: yaml.YAMLError, text: str, where: str) -> BadInput:
    problem, line = "", 0
    if isinstance(trouble, yaml.MarkedYAMLError):
        context = trouble.context or ""
        problem = f"{trouble.problem or ''} {context}".strip()
        # What is never closed is complained about at the end of the file; a person looks for where it was opened.
        is_unclosed = "flow" in context or "quoted" in context
        mark = (is_unclosed and trouble.context_mark) or trouble.problem_mark or trouble.context_mark
        line = mark.line + 1 if mark else 0
    elif isinstance(trouble, yaml.reader.ReaderError):
        problem = trouble.reason
        line = text.encode()[: trouble.position].count(b"\n") + 1
    at = f"{where} line {line}" if line else where
    words = next((words for part, words in _COMPLAINTS if part in problem), problem or "the parser gave up")
    lines = text.split("\n")  # YAML ends one at other signs too, and may count more
    quoted = _quoted(lines[line - 1]) if 0 < line <= len(lines) and _SECOND in problem else ""
    fix = f"write it so: {quoted}" if quoted else "mend this line, or put the value in quotes"
    wanted = "neither JSON nor YAML" if where.endswith(".json") or text.lstrip()[:1] in ("{", "[") else "not YAML"
    return BadInput(f"this is {wanted}: {words}", where=at, fix=fix)


def _quoted(line: str) -> str:
    """The line with its value in quotes; empty where that is not what it lacks."""
    found = _PLAIN.fullmatch(line)
    if found is None or len(line) > _SHOWN_CHARS or ": " not in f"{found[2]} " or " #" in found[2]:
        return ""
    value = found[2].replace("'", "''")
    said = f"{found[1]}'{value}'"
    try:
        list(yaml.parse(said, Loader=_Loader))
    except yaml.YAMLError:
        return ""
    return said


class _Anchored(msgspec.Struct):
    """A named value: how many nodes it stands for, and how many levels it reaches down."""

    value: object = None
    nodes: int = 0
    height: int = 0
    is_open: bool = True


class _Open(msgspec.Struct):
    """A list or map that is still being filled."""

    path: Path
    into: dict[str, object] | list[object]
    nodes_before: int
    anchored: _Anchored | None
    key: str | None = None
    height: int = 1


class _Build:
    """The values built so far, and the collections that are open."""

    def __init__(self, where: str, least: str) -> None:
        self.where = where
        self.least = least or "one key, as `key: value`"
        self.nodes = 0
        self.documents = 0
        self.root: object = None
        self.root_is_blank = True
        self.stack: list[_Open] = []
        self.anchors: dict[str, _Anchored] = {}
        self.lines = Lines(at={}, spelt={})

    def take(self, event: yaml.Event) -> None:
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._open(event, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event, line)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise self._no(line, "a second document starts here (a line of ---)", "keep one document to a file")

    def result(self) -> tuple[dict[str, object], Lines]:
        if self.root_is_blank:
            raise BadInput("the file is empty", where=self.where, fix=f"write at least {self.least}")
        if not isinstance(self.root, dict):
            raise self._no(
                self.lines.line(()),
                "the file does not hold `key: value` lines",
                'write one key to a line, or JSON: {"key": 0.1}',
            )
        return self.root, self.lines

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        self._count(line, 1)
        tag = self._tag(event.tag, line)
        plain = event.style in (None, "") and tag == ""
        value = _plain(event.value) if plain else self._tagged(tag or "str", event.value, line)
        if not self.stack and not (plain and value is None):
            self.root_is_blank = False
        if event.anchor:
            self.anchors[event.anchor] = _Anchored(value, 1, 0, is_open=False)
        path = self._place(value, line)
        if path is not None and plain and isinstance(value, (bool, int, float)):
            self.lines.spelt[path] = event.value

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, line: int) -> None:
        self._count(line, 1)
        self._deep(line, len(self.stack) + 1)
        is_map = isinstance(event, yaml.MappingStartEvent)
        tag = self._tag(event.tag, line)
        if tag not in ("", "map" if is_map else "seq"):
            raise self._no(line, f"the tag !!{tag} does not fit a {'map' if is_map else 'list'}", "leave the tag out")
        into: dict[str, object] | list[object] = {} if is_map else []
        self.root_is_blank = False
        path = self._place(into, line)
        anchored = None
        if event.anchor:
            anchored = self.anchors[event.anchor] = _Anchored(into)
        self.stack.append(_Open(path or (), into, self.nodes - 1, anchored))

    def _close(self) -> None:
        done = self.stack.pop()
        if done.anchored is not None:
            done.anchored.nodes = self.nodes - done.nodes_before
            done.anchored.height = done.height
            done.anchored.is_open = False
        self._rise(done.height)

    def _alias(self, event: yaml.AliasEvent, line: int) -> None:
        named = self.anchors.get(event.anchor or "")
        if named is None:
            raise self._no(line, f"*{event.anchor} stands for nothing: no &{event.anchor} above", "quote the value")
        if named.is_open:
            raise self._no(line, f"*{event.anchor} stands inside the very value it names", "write the value out")
        self._count(line, named.nodes)
        self._deep(line, len(self.stack) + named.height)
        self._place(named.value, line)
        self._rise(named.height)

    def _rise(self, height: int) -> None:
        if self.stack:
            self.stack[-1].height = max(self.stack[-1].height, height + 1)

    def _place(self, value: object, line: int) -> Path | None:
        """Put a value where it belongs; its path, or None where it was a key."""
        if not self.stack:
            self.root = value
            self.lines.at[()] = line
            return ()
        top = self.stack[-1]
        if isinstance(top.into, list):
            path: Path = (*top.path, len(top.into))
            top.into.append(value)
            self.lines.at[path] = line
            return path
        if top.key is None:
            top.key = self._key(value, top, line)
            return None
        path = (*top.path, top.key)
        top.into[top.key] = value
        top.key = None
        return path

    def _key(self, value: object, top: _Open, line: int) -> str:
        if not isinstance(value, str):
            kind = (
                "nothing" if value is None else str(value) if isinstance(value, (bool, int, float)) else "a list or map"
            )
            raise self._no(line, f"a key must be text, and this one is {kind[:60]}", "put the key in quotes")
        if value == "<<":
            raise self._no(line, "merge keys (<<) are not supported", "write the keys out")
        path = (*top.path, value)
        # The line of a value is the line of its key: a block's text begins one further down, a blank value nowhere.
        before = self.lines.at.setdefault(path, line)
        if value in top.into:
            raise self._no(line, f"the key {value[:60]!r} is here twice; first on line {before}", "keep one of them")
        return value

    def _tag(self, tag: str | None, line: int) -> str:
        if tag is None:
            return ""
        if tag == "!":
            return "str"
        if tag not in _TAGS:
            shown = tag.replace(_TAG, "!!")[:60]
            raise self._no(line, f"the tag {shown} is not allowed", "leave the tag out, or quote the value")
        return _TAGS[tag]

    def _tagged(self, tag: str, text: str, line: int) -> object:
        if tag == "str":
            return text
        value = _plain(text)
        if tag == "float" and type(value) is int and abs(value) < 2**53:
            return float(value)
        if {"int": int, "float": float, "bool": bool, "null": type(None)}.get(tag) is type(value):
            return value
        raise self._no(line, f"{text[:60]!r} is not what its tag !!{tag} says", "leave the tag out")

    def _count(self, line: int, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise self._no(line, f"more than {MAX_NODES:,} values, aliases counted in full", "shorten the file")

    def _deep(self, line: int, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self._no(line, f"lists and maps are nested deeper than {MAX_DEPTH}", "make it flatter")

    def _no(self, line: int, what: str, fix: str) -> BadInput:
        return BadInput(what, where=f"{self.where} line {line}", fix=fix)


def _plain(text: str) -> object:
    """Return what an unquoted word means: YAML 1.2's core, and yes/no/on/off, which people still write."""
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _RADIX.fullmatch(text):
        return int(text, 0)
    return _SPECIAL.get(text, text)
