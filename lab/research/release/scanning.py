"""Looking for secrets in what would leave: every file, whatever it is called, and the words around them.

detect-secrets with all of its detectors, ours for keys that it does not know, and the very values that this lab keeps
secret. Nothing in a file can switch it off, and nobody is asked whether a key is real. What is found blocks; it is
named by file, line and kind, and never shown.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Protocol

import msgspec

from lab.core import secret
from lab.core.errors import LabError, Unavailable
from lab.core.record import Record
from lab.research.release import keys, looked, names
from lab.research.release.pieces import Shut, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

INSTALL = "pip install 'labctl[publish]'"
# Of chance alone such strings come up wherever something is random; they say something only where somebody wrote them.
_OF_CHANCE = ("High Entropy", "Secret Keyword", "Public IP", "Basic Auth")
_PROGRAM = "x.py"  # one detector judges by the name of the file, which says nothing here: it is asked as of this too
_WINDOW, _OVERLAP = 1_024, 320
_SHORTEST_LINE = 6
_MOST_FINDINGS = 200
_MOST_KNOWN = 20_000


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Never the value. `line` is 0 where the file has no lines."""

    file: str
    line: int
    kind: str
    within: str = ""

    def told(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.kind}{f' ({self.within})' if self.within else ''}"


class Scan(Record, frozen=True, kw_only=True, omit_defaults=True):
    """`release` is the digest of the manifest that it is about."""

    release: str
    scanner: str
    detectors: tuple[str, ...]
    files: dict[str, str]  # path -> sha256 of what was looked at
    findings: tuple[Finding, ...] = ()
    values: int = 0  # of the lab's own secrets that were looked for


class _Found(Protocol):
    type: str
    secret_value: str | None


class _Detector(Protocol):
    secret_type: str

    def analyze_line(self, filename: str, line: str, line_number: int = 0) -> Iterable[_Found]: ...


class Scanner:
    """`values` are the lab's own secrets; `plain` are digests and names that the lab wrote, and that look random.

    `only_values`: nothing else is looked for, which takes a tenth of the time.
    """

    def __init__(
        self, values: Iterable[str], plain: Iterable[str] = (), until_s: float = 0.0, *, only_values: bool = False
    ) -> None:
        self.version, found = ("the lab's own secrets", ()) if only_values else _detectors()
        self._only_values = only_values
        self._detectors = tuple((each, "Keyword" in each.secret_type) for each in found)  # those that go by its name
        self._certain = tuple(
            each for each in self._detectors if not any(word in each[0].secret_type for word in _OF_CHANCE)
        )
        self._values = sorted({form for value in values for form in secret.forms(value)}, key=len, reverse=True)
        self.values = len(self._values)
        self._plain = frozenset(plain)
        self._until_s = until_s
        self._known: dict[tuple[str, str, bool], frozenset[str]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return (*sorted(each.secret_type for each, _ in self._detectors), *keys.KINDS)

    def files(self, given: Mapping[str, bytes]) -> tuple[Finding, ...]:
        """What is found in them, in their names too. A name that gives something away is not repeated."""
        found: list[Finding] = []
        for number, (path, data) in enumerate(given.items(), 1):
            gives_away = bool(tuple(self._in_text(Text(text=path), f"file {number}")))
            shown = f"file {number} of the release" if gives_away else path
            if gives_away:
                found.append(Finding(file=shown, line=0, kind="a secret in its name"))
            found += self.file(shown, data)
            if len(found) > _MOST_FINDINGS:
                break
        return tuple(dict.fromkeys(found))[:_MOST_FINDINGS]

    def file(self, name: str, data: bytes) -> Iterator[Finding]:
        """One of them, by a name that may be shown."""
        if any(value in each for value in self._values for each in (data, data.replace(b"\0", b""))):
            at = min((data.find(value) for value in self._values if value in data), default=-1)
            line = data.count(b"\n", 0, at) + 1 if at >= 0 else 0
            yield Finding(file=name, line=line, kind="a secret value of this lab")
        for each in looked.into(data):
            if self._until_s and time.monotonic() > self._until_s:
                fix = "raise publishing_time_budget in the project's SPEC"
                raise LabError("the time is used up, and not all was looked at", fix=fix)
            if isinstance(each, Shut) and self._only_values:
                continue
            if isinstance(each, Shut):
                yield Finding(file=name, line=0, kind=each.what, within=each.within)
            else:
                yield from self._in_text(each, name)

    def words(self, name: str, text: str) -> Iterator[Finding]:
        """Of what is no file: a message, a title, an address."""
        yield from self.file(name, text.encode())

    def _in_text(self, text: Text, name: str) -> Iterator[Finding]:
        raw = text.text.encode(errors="replace")
        if not text.is_plain and any(value in raw for value in self._values):
            yield Finding(file=name, line=0, kind="a secret value of this lab", within=text.within)
        if self._only_values:
            return
        if text.within.startswith("the name of member"):
            why = names.kept_back(text.text.partition("\n")[0].rstrip("/").split("/"))
            if why:
                yield Finding(file=name, line=0, kind=f"a member of the archive {why}", within=text.within)
        for kind, number in keys.over_lines(text.text):
            yield Finding(file=name, line=number if text.is_plain else 0, kind=kind, within=text.within)
        for number, line in enumerate(text.text.splitlines(), 1):
            kinds: set[str] = set()
            for piece in _windows(line):
                kinds |= self._kinds(piece, name, is_prose=text.is_prose)
            at = number if text.is_plain else 0
            yield from (Finding(file=name, line=at, kind=kind, within=text.within) for kind in sorted(kinds))

    def _kinds(self, line: str, name: str, *, is_prose: bool) -> frozenset[str]:
        """What is in a line. The records of runs repeat each other, so most lines were looked at before.

        Of a file's name the detectors know its ending alone.
        """
        if len(line) < _SHORTEST_LINE:
            return frozenset()
        key = line, os.path.splitext(name)[1], is_prose
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[key] = frozenset(self._looked_for(line, name, is_prose=is_prose))
        return found

    def _looked_for(self, line: str, name: str, *, is_prose: bool) -> set[str]:
        found = {kind for kind, value in keys.within(line) if value not in self._plain}
        for detector, is_by_name in self._detectors if is_prose else self._certain:
            for called in (name, _PROGRAM) if is_by_name else (name,):
                seen = detector.analyze_line(filename=called, line=line, line_number=1)
                if seen:
                    found |= {each.type for each in seen if not self._is_plain(each)}
        return found

    def _is_plain(self, found: _Found) -> bool:
        """Whether it is a digest or a name that the lab made. Nothing in a file can bring that about."""
        return "High Entropy" in found.type and found.secret_value in self._plain


def _windows(line: str) -> Iterator[str]:
    """A long line in pieces that overlap: patterns that look ahead take too long on a megabyte."""
    if len(line) <= _WINDOW:
        yield line
        return
    for start in range(0, len(line), _WINDOW - _OVERLAP):
        yield line[start : start + _WINDOW]


def _detectors() -> tuple[str, tuple[_Detector, ...]]:
    """All that detect-secrets has. Asked directly: its filters skip files by their names, and lines that say so."""
    try:
        from detect_secrets.__version__ import VERSION  # noqa: PLC0415  # of an extra, and 100 ms
        from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class  # noqa: PLC0415  # as above
    except ImportError as error:
        what = "the scan for secrets cannot run: detect-secrets is not installed"
        raise Unavailable(what, fix=INSTALL) from error
    kinds: dict[str, Callable[[], _Detector]] = dict(get_mapping_from_secret_type_to_class())
    made = tuple(kind() for kind in kinds.values())
    if not made:
        raise Unavailable("the scan for secrets cannot run: detect-secrets has no detectors", fix=INSTALL)
    return f"detect-secrets {VERSION}", made
