"""The ledger: `registry/events.jsonl`, one chained line a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical
from lab.core.errors import Corrupt
from lab.core.event import Event, Line, mention
from lab.core.record import encode, parse
from lab.store import files, reading
from lab.store.sections import hold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.store.root import Root


_WIDER = 64
_BLOCK = 1 << 22  # of a ledger that may be gigabytes long


class Mark(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A whole record's place: its number, its digest, and the byte just after its newline."""

    seq: int = 0
    sha256: str = ""
    end: int = 0


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line as it was read: a record, or the reason why it is none."""

    raw: bytes
    end: int
    line: Line | None = None
    sha256: str = ""
    problem: str = ""
    newer: bool = False

    @property
    def mark(self) -> Mark:
        return Mark(seq=self.line.seq if self.line else 0, sha256=self.sha256, end=self.end)


def append(root: Root, event: Event, *, durable: bool | None = None, after: Mark | None = None) -> Mark:
    """Add an event. It is on the disk when this returns, unless the lab runs `fast`.

    `after` is the last record as the caller has just seen it: if it still is, it need not be read again.
    """
    made = b""
    seq = 0

    def line_after(tail: bytes, size: int) -> bytes:
        nonlocal made, seq
        last, torn = (after, b"") if after and after.end == size else _last_whole(root, tail, size)
        seq = last.seq + 1
        acknowledged = canonical.digest(torn) if torn else ""
        made = encode(Line(seq=seq, prev=last.sha256, event=event, torn=acknowledged))
        return made

    path = root.layout.events
    window = 1 if after else files.TAIL_BYTES
    end = root.files.append(path, line_after, section=f"{path}.section", window=window, durable=durable)
    return Mark(seq=seq, sha256=canonical.digest(made[:-1]), end=end)


def newest(root: Root, *, durable: bool) -> Mark:
    """The newest whole record, for a seal to be tied to.

    Read while nobody writes, and on the disk before the seal is: tied to a record that a power cut or a refused sync
    took back, a seal would look for ever as if the ledger had been cut.
    """
    path = root.layout.events
    with hold(f"{path}.section"):
        size = reading.size_of(path)
        if size <= 0:
            return Mark()
        last, _ = _last_whole(root, reading.read_from(path, max(0, size - files.TAIL_BYTES)), size)
        if durable:
            root.files.sync_file(path)
        return last


def entries(root: Root, start: int = 0) -> Iterator[Entry]:
    """Every line from an offset on. Damage comes as an entry with its problem; it never hides the next line.

    An unfinished last line is not yielded while it can still be a write under way (see `torn_tail`).
    """
    for begin, data in reading.lines_from(root.layout.events, start, _BLOCK):
        yield from split(data, begin, root.layout.events)


def split(data: bytes, start: int, where: str) -> Iterator[Entry]:
    """The lines of a stretch of ledger."""
    position = 0
    while (stop := data.find(b"\n", position)) >= 0:
        raw = data[position:stop]
        position = stop + 1
        if raw:
            yield _entry(raw, start + position, where)


def mentioning(root: Root, start: int, experiment: str) -> Iterator[Entry]:
    """The first line from an offset on, whatever it is, and of the others those that concern one experiment.

    An experiment that slept while others filled the ledger pays for reading their lines, not for parsing them.
    """
    where, needle = root.layout.events, mention(experiment)
    is_first = True
    for begin, data in reading.lines_from(where, start, _BLOCK):
        position = 0
        if is_first:
            is_first = False
            position = data.index(b"\n") + 1
            yield _entry(data[: position - 1], begin + position, where)
        yield from _holding(data, needle, position, begin, where)


def of_kind(root: Root, kind: str) -> Iterator[Entry]:
    """Every line of one kind. The others are read, and not parsed."""
    where, needle = root.layout.events, b'"type":"%s"' % kind.encode()
    for begin, data in reading.lines_from(where, 0, _BLOCK):
        yield from _holding(data, needle, 0, begin, where)


def _holding(data: bytes, needle: bytes, position: int, begin: int, where: str) -> Iterator[Entry]:
    while (found := data.find(needle, position)) >= 0:
        first, stop = data.rfind(b"\n", 0, found) + 1, data.index(b"\n", found)
        yield _entry(data[first:stop], begin + stop + 1, where)
        position = stop + 1


def has(root: Root, end: int, sha256: str) -> bool:
    """Whether a record of this digest ends at this byte."""
    window = files.TAIL_BYTES
    while True:
        begin = max(0, end - window)
        data = reading.read_from(root.layout.events, begin)[: end - begin]
        if len(data) == end - begin - 1:
            data += b"\n"  # a crash took the newline and nothing else
        if len(data) < end - begin or not data.endswith(b"\n"):
            return False
        start = data.rfind(b"\n", 0, len(data) - 1) + 1
        if start or not begin:
            return canonical.digest(data[start:-1]) == sha256
        window *= _WIDER


def tells(root: Root, kind: str, experiment: str, run_id: str) -> bool:
    """Whether the ledger has such a line about a run. Reads all of it: for mending, not for every day."""
    return any(
        (entry.line.event.type, entry.line.event.experiment, entry.line.event.run_id) == (kind, experiment, run_id)
        for entry in mentioning(root, 0, experiment)
        if entry.line is not None
    )


def torn_tail(root: Root) -> bytes:
    """What stands after the last newline: a line that a crash cut short. Empty when all is well."""
    data = reading.read_from(root.layout.events, max(0, reading.size_of(root.layout.events) - files.TAIL_BYTES))
    return data[data.rfind(b"\n") + 1 :]


def _entry(raw: bytes, end: int, where: str) -> Entry:
    try:
        return Entry(raw=raw, end=end, line=parse(Line, raw, where), sha256=canonical.digest(raw))
    except Corrupt as error:
        return Entry(raw=raw, end=end, problem=error.what, newer=error.newer)


def _last_whole(root: Root, tail: bytes, size: int) -> tuple[Mark, bytes]:
    """The last record that can be read, and what stands behind it: bytes that a crash tore."""
    begin, where = size - len(tail), root.layout.events
    stop = tail.rfind(b"\n") + 1
    while stop > 0:
        start = tail.rfind(b"\n", 0, stop - 1) + 1
        if start == 0 and begin > 0:
            break  # this line may begin before the window
        entry = _entry(tail[start : stop - 1], begin + stop, root.layout.events)
        if entry.line is not None:
            return _or_unended(root, entry.mark, tail[stop:], size)
        if entry.newer:
            fix = "upgrade labctl: pip install --upgrade labctl"
            raise Corrupt("a newer labctl writes this ledger; going on would break its chain", where=where, fix=fix)
        stop = start
    if begin > 0:  # a longer line than the window: a larger one, and in the end all of it
        begin = size - len(tail) * _WIDER if len(tail) * _WIDER < size else 0
        return _last_whole(root, reading.read_from(root.layout.events, begin)[: size - begin], size)
    return _or_unended(root, Mark(), tail, size)


def _or_unended(root: Root, last: Mark, rest: bytes, size: int) -> tuple[Mark, bytes]:
    """The bytes behind the last ended line: torn, or a whole record that lacks nothing but its newline."""
    entry = _entry(rest, size + 1, root.layout.events)
    if entry.line is not None and (entry.line.seq, entry.line.prev) == (last.seq + 1, last.sha256):
        return entry.mark, b""
    # A crash tears a line before its newline. Whole lines that nobody can read were overwritten: not acknowledged.
    return last, b"" if rest.endswith(b"\n") else rest


class Audit:
    """Follows the chain and names every break. Feed it the entries in the order of the file."""

    def __init__(self) -> None:
        self.mark = Mark()
        self.torn = 0
        self._unread: list[bytes] = []

    def feed(self, entry: Entry) -> str:
        """What is wrong at this entry; empty when the chain holds."""
        if entry.line is None:
            self._unread.append(entry.raw)
            return ""
        unread, self._unread = b"\n".join(self._unread), []
        line, before = entry.line, self.mark
        self.mark = entry.mark
        if unread and line.torn == canonical.digest(unread):
            self.torn += 1  # a crash did that, and the next writer saw it
            unread = b""
        if line.seq == before.seq + 1 and line.prev == before.sha256:
            return f"unreadable bytes stand before record {line.seq}" if unread else ""
        if unread:
            return f"a record before {line.seq} was overwritten and cannot be read"
        if line.seq > before.seq + 1:
            return f"{_span(before.seq + 1, line.seq - 1)} missing"
        if line.seq <= before.seq:
            return f"record {line.seq} stands after record {before.seq}: lines were repeated or put in another order"
        return f"record {before.seq} is not the one that record {line.seq} follows: it was edited or exchanged"

    def finish(self) -> str:
        """What is wrong behind the last record."""
        return f"unreadable bytes stand after record {self.mark.seq}" if self._unread else ""


def _span(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"
