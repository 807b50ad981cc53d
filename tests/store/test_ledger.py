"""The ledger: a chain in which nothing can change unseen, and in which a crash is not taken for a crime."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core import canonical, event
from lab.core.event import Event, Line
from lab.core.record import encode
from lab.store import files, ledger, reading
from lab.testing.files import Crash, CrashingFiles, FullDisk, a_root
from tests.scheduler.labs import write

if TYPE_CHECKING:
    from lab.store.root import Root

CHECKOUT = Path(__file__).resolve().parents[2]
APPENDER = """
import sys
from lab.core.event import Event
from lab.store import ledger
from lab.testing.files import a_root
root = a_root(sys.argv[1])
for number in range(25):
    ledger.append(root, Event(type="spec_edited", ts="", experiment=sys.argv[2], reason=str(number)))
"""


def note(root: Root, reason: str = "") -> ledger.Mark:
    return ledger.append(root, Event(type=event.SPEC_EDITED, ts=root.now(), experiment="a", reason=reason))


def problems(root: Root) -> list[str]:
    audit = ledger.Audit()
    found = [audit.feed(entry) for entry in ledger.entries(root)]
    return [each for each in [*found, audit.finish()] if each]


def torn(root: Root) -> int:
    audit = ledger.Audit()
    for entry in ledger.entries(root):
        audit.feed(entry)
    return audit.torn


def lines(root: Root) -> list[bytes]:
    return (reading.read(root.layout.events) or b"").splitlines(keepends=True)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_root(tmp_path / "lab")


@pytest.fixture
def five(root: Root) -> Root:
    for number in range(5):
        note(root, f"reason {number}")
    return root


def test_each_line_carries_the_digest_of_the_one_before(five: Root) -> None:
    entries = list(ledger.entries(five))
    assert [entry.line.seq for entry in entries if entry.line] == [1, 2, 3, 4, 5]
    assert [entry.line.prev for entry in entries if entry.line] == ["", *(entry.sha256 for entry in entries[:-1])]
    assert entries[-1].end == reading.size_of(five.layout.events)
    assert problems(five) == []


def test_an_append_returns_the_place_of_its_line(root: Root) -> None:
    marks = [note(root) for _ in range(3)]
    assert marks == [entry.mark for entry in ledger.entries(root)]
    assert ledger.newest(root, durable=False).seq == 3
    assert ledger.newest(root, durable=False).sha256 == marks[-1].sha256


def test_an_empty_and_a_missing_ledger_have_no_anchor_and_no_entries(root: Root) -> None:
    assert ledger.newest(root, durable=False).seq == 0
    write_events(root, b"")
    assert ledger.newest(root, durable=False).seq == 0
    assert list(ledger.entries(root)) == []


def write_events(root: Root, data: bytes) -> None:
    root.files.folder(root.layout.place("registry"))
    write(root.layout.events, data)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda old: [old[0], old[1].replace(b"reason 1", b"reason 9"), *old[2:]], "edited or exchanged"),
        (lambda old: [*old[:2], *old[3:]], "record 3 is missing"),
        (lambda old: [old[0], old[4]], "records 2 to 4 are missing"),
        (lambda old: [old[0], old[2], old[1], *old[3:]], "record 2 is missing"),
        (lambda old: [*old[:3], old[2], *old[3:]], "lines were repeated"),
        (lambda old: old[1:], "record 1 is missing"),
        (lambda old: [*old[:2], b"garbage\n", *old[2:]], "unreadable bytes stand before record 3"),
        (lambda old: [*old[:2], b"garbage\n", *old[3:]], "a record before 4 was overwritten"),
        (lambda old: [*old, b"garbage\n"], "unreadable bytes stand after record 5"),
        (lambda old: [*old[:2], b"\0" * 100 + b"\n", *old[2:]], "unreadable bytes"),
    ],
    ids=["edit", "removal", "cut", "reorder", "duplicate", "head", "inserted", "overwritten", "tail", "zeros"],
)
def test_what_was_done_to_the_ledger_is_named(five: Root, harm: object, words: str) -> None:
    assert callable(harm)
    write_events(five, b"".join(harm(lines(five))))
    found = problems(five)
    assert found
    assert words in found[0]


def test_damage_hides_no_line_behind_it(five: Root) -> None:
    old = lines(five)
    write_events(five, b"".join([*old[:2], b"\xff\xfe\n", *old[3:]]))
    seen = [entry.line.event.reason for entry in ledger.entries(five) if entry.line]
    assert seen == ["reason 0", "reason 1", "reason 3", "reason 4"]


def test_every_single_byte_of_the_ledger_counts(five: Root) -> None:
    whole = reading.read(five.layout.events) or b""
    last = len(lines(five)[-1])
    for at in range(0, len(whole) - last, 7):
        changed = bytes([whole[at] ^ 1])
        write_events(five, whole[:at] + changed + whole[at + 1 :])
        assert problems(five), f"byte {at}: {whole[at : at + 1]!r} -> {changed!r}"


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_line_that_a_crash_tore_is_counted_as_torn_and_is_no_damage(five: Root, cut: int) -> None:
    whole = reading.read(five.layout.events) or b""
    last = len(lines(five)[-1])
    write_events(five, whole[: len(whole) - last + min(cut, last - 1)])
    assert ledger.torn_tail(five)
    mark = note(five, "the next one")
    assert mark.seq == 5
    assert ledger.torn_tail(five) == b""
    assert problems(five) == []
    assert torn(five) == 1
    assert list(ledger.entries(five))[-1].mark == mark


def test_a_line_torn_twice_in_a_row_is_no_damage(five: Root) -> None:
    with open(five.layout.events, "ab") as file:
        file.write(b'{"event":{"ty')
    with open(five.layout.events, "ab") as file:
        file.write(b'\n{"event":{"')
    assert note(five).seq == 6
    assert problems(five) == []


def test_a_last_record_that_lacks_only_its_newline_is_kept(five: Root) -> None:
    whole = reading.read(five.layout.events) or b""
    write_events(five, whole[:-1])
    assert len(list(ledger.entries(five))) == 4  # it may be a write under way
    assert note(five).seq == 6
    assert len(list(ledger.entries(five))) == 6
    assert problems(five) == []
    assert torn(five) == 0


def test_a_last_line_that_was_overwritten_whole_is_not_taken_for_a_crash(five: Root) -> None:
    write_events(five, b"".join([*lines(five)[:-1], b"garbage\n"]))
    note(five)
    assert problems(five)


def test_a_line_longer_than_the_window_is_followed_by_the_next(root: Root) -> None:
    note(root, "small")
    long = note(root, "x" * (3 * files.TAIL_BYTES))
    assert ledger.newest(root, durable=False).sha256 == long.sha256
    assert note(root, "after").seq == 3
    assert problems(root) == []


def test_a_torn_line_longer_than_the_window_is_acknowledged_too(root: Root) -> None:
    first = note(root)
    with open(root.layout.events, "ab") as file:
        file.write(b"x" * (2 * files.TAIL_BYTES))
    assert ledger.newest(root, durable=False).sha256 == first.sha256
    assert note(root).seq == 2
    assert problems(root) == []
    assert torn(root) == 1


@pytest.mark.parametrize("around", range(-3, 4))
def test_a_line_that_ends_near_the_edge_of_the_window_is_found(root: Root, around: int) -> None:
    note(root, "first")
    second = encode(Line(seq=2, prev="", event=Event(type="spec_edited", ts="")))
    note(root, "x" * (files.TAIL_BYTES - len(second) + around))
    assert note(root, "third").seq == 3
    assert problems(root) == []


def test_reading_goes_on_from_a_place(five: Root) -> None:
    places = list(ledger.entries(five))
    assert list(ledger.entries(five, places[2].end)) == places[3:]
    assert list(ledger.entries(five, places[4].end)) == []
    assert list(ledger.entries(five, places[4].end + 1000)) == []


def test_eight_processes_lose_no_line_and_break_no_chain(root: Root) -> None:
    commands = [[sys.executable, "-c", APPENDER, root.layout.root, f"e{number}"] for number in range(8)]
    children = [subprocess.Popen(command, cwd=CHECKOUT) for command in commands]
    assert [child.wait() for child in children] == [0] * 8
    assert problems(root) == []
    told = [(entry.line.event.experiment, entry.line.event.reason) for entry in ledger.entries(root) if entry.line]
    assert sorted(told) == sorted((f"e{number}", str(each)) for number in range(8) for each in range(25))


def test_a_refused_append_leaves_the_ledger_as_it_was(five: Root) -> None:
    before = reading.read(five.layout.events)
    full = a_root(five.layout.root, FullDisk(at=1))
    with pytest.raises(OSError, match="No space"):
        note(full)
    with pytest.raises(Crash):
        note(a_root(five.layout.root, CrashingFiles(at=1)))
    assert reading.read(five.layout.events) == before


def test_the_digest_of_a_line_is_what_sha256sum_says(five: Root) -> None:
    assert list(ledger.entries(five))[1].sha256 == canonical.digest(lines(five)[1].rstrip(b"\n"))


def test_a_line_of_a_newer_labctl_is_read_with_what_is_known_of_it(five: Root) -> None:
    mark = ledger.newest(five, durable=False)
    newer = encode(Line(seq=6, prev=mark.sha256, event=Event(type="thing_of_tomorrow", ts="")))
    with open(five.layout.events, "ab") as file:
        file.write(newer.replace(b'"seq":6', b'"seq":6,"colour":"red"'))
    assert note(five).seq == 7
    assert problems(five) == []


@pytest.mark.parametrize("block", [1, 7, 64, 300, 10_000])
def test_lines_are_the_same_however_much_of_the_file_is_read_at_once(
    five: Root, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.append(five, Event(type=event.SPEC_EDITED, ts="", experiment="b", reason="another's" * 50))
    note(five, "six")
    with open(five.layout.events, "ab") as file:
        file.write(b"no record\n\n{unfinished")
    whole, of_a = list(ledger.entries(five)), list(ledger.mentioning(five, 0, "a"))
    later = [entry.end for entry in whole[:3]]
    monkeypatch.setattr(ledger, "_BLOCK", block)
    assert list(ledger.entries(five)) == whole
    assert list(ledger.mentioning(five, 0, "a")) == of_a
    for end in later:
        assert list(ledger.entries(five, end)) == [entry for entry in whole if entry.end > end]
    assert [entry.line.event.reason for entry in of_a if entry.line][-2:] == ["reason 4", "six"]


def test_a_long_ledger_is_never_in_the_memory_as_a_whole(five: Root) -> None:
    line = lines(five)[0].replace(b'"a"', b'"b"')
    with open(five.layout.events, "ab") as file:
        file.write(line * (50_000_000 // len(line)))
    tracemalloc.start()
    try:
        found = sum(1 for _ in ledger.mentioning(five, 0, "a"))
        assert next(ledger.entries(five, len(line))).line is not None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == 5
    assert peak < 20_000_000, "of 50 MB"
