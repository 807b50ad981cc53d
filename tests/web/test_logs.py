"""A log while it is written: only what is new, clean, bounded, and with a word at its end."""

from __future__ import annotations

import os
import shutil
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.errors import BadInput, NotFound
from lab.projections import text
from lab.scheduler.results import logged
from lab.scheduler.results.logged import Logged, shown
from lab.web import logs
from tests.web.labs import NAME, a_numbered_run, a_seen_lab, begun, finished

if TYPE_CHECKING:
    from pathlib import Path

    from lab.scheduler.cycle import Running
    from lab.store.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_seen_lab(tmp_path / "lab", 1)


@pytest.fixture
def running(root: Root) -> Running:
    return begun(root)


def run_id(running: Running) -> str:
    return running.lease.claim.run_id


def path(root: Root, running: Running) -> str:
    return f"{root.layout.run(NAME, run_id(running))}/stdout.log"


def wrote(root: Root, running: Running, data: bytes) -> None:
    with open(path(root, running), "ab") as file:
        file.write(data)


@given(st.binary(max_size=3_000).map(lambda line: line.replace(b"\n", b"")))
def test_whatever_a_line_is_it_is_shown_clean_and_short(line: bytes) -> None:
    (seen,) = shown([line])
    assert len(seen) <= logged.LINE_CHARS
    assert text.visible(seen) == seen
    assert "\r" not in seen
    assert "\n" not in seen


def test_a_progress_bar_shows_what_it_wrote_last() -> None:
    assert shown([b"10%\r50%\r100%", b"done\r", b"\x1b[1mbold\x1b[0m\ttab", b"a\xffb"]) == (
        "100%", "done", "bold    tab", "a\ufffdb",
    )  # fmt: skip


def test_lines_are_told_once_and_whole(root: Root, running: Running) -> None:
    log = Logged(root, run_id(running), "stdout")
    wrote(root, running, b"one\ntw")
    first = log.end_of_it()
    assert (first.lines, first.offset, first.size, first.ended) == (("one",), 4, 6, "")
    assert first.unfinished == "tw"
    assert log.since(first.offset).lines == ()
    wrote(root, running, b"o\nthree\n")
    more = log.since(first.offset)
    assert (more.lines, more.offset) == (("two", "three"), 14)
    assert log.since(more.offset).lines == ()


def test_a_progress_bar_is_seen_as_it_is_now(root: Root, running: Running) -> None:
    log = Logged(root, run_id(running), "stdout")
    wrote(root, running, b"epoch 1\n\r  1%|#|\r  2%|##|")
    first = log.end_of_it()
    assert (first.lines, first.unfinished) == (("epoch 1",), "  2%|##|")
    stream = logs.follow(log, first.offset, threading.Event())
    assert b'"unfinished":"  2%|##|"' in next(piece for piece in stream if b"event" in piece)
    wrote(root, running, b"\r  3%|###|\r")
    told = next(piece for piece in stream if piece)
    assert b'"lines":[],"unfinished":"  3%|###|"' in told
    wrote(root, running, b"\r100%|####|\nepoch 2\n")
    told = next(piece for piece in stream if piece)
    assert b'"lines":["100%|####|","epoch 2"],"unfinished":""' in told
    stream.close()  # type: ignore[attr-defined]


def test_a_progress_bar_of_megabytes_costs_no_more_than_its_last_state(root: Root, running: Running) -> None:
    log = Logged(root, run_id(running), "stdout")
    wrote(root, running, b"".join(b"\r%3d%% of it" % (number % 100) for number in range(100_000)))
    first = log.end_of_it()
    assert (first.lines, first.unfinished) == ((), " 99% of it")
    assert first.size - first.offset == len(" 99% of it")
    offset, told = 0, list[str]()
    while offset < first.offset:
        piece = log.since(offset)
        assert piece.offset > offset
        offset, told = piece.offset, [*told, *piece.lines]
    assert told == []
    wrote(root, running, b"\r100% of it\r\n")
    assert log.since(offset).lines == ("100% of it",)


@pytest.mark.parametrize("line", [b"x" * 60_000, b"\r" * 60_000, b"x\r" * 30_000, b"\x1b[" * 30_000])
def test_a_long_line_costs_no_more_than_its_length(line: bytes) -> None:
    began_s = time.process_time()
    shown([line] * 20)
    assert time.process_time() - began_s < 0.2


def test_of_a_flood_the_middle_is_left_out_and_said(root: Root, running: Running) -> None:
    log = Logged(root, run_id(running), "stdout")
    wrote(root, running, b"first\n")
    with open(path(root, running), "r+b") as file:
        file.truncate(400 << 20)  # a hole of 400 MB, read as NUL
    wrote(root, running, b"\n" + b"".join(b"line %d\n" % number for number in range(20_000)))
    piece = log.since(6)
    assert piece.lines[-1] == "line 19999"
    assert piece.skipped_bytes > 399 << 20
    assert sum(map(len, piece.lines)) <= logged.PIECE_BYTES
    assert all(line.startswith("line ") for line in piece.lines)


def test_a_line_longer_than_a_message_is_told_in_parts(root: Root, running: Running) -> None:
    log = Logged(root, run_id(running), "stdout")
    wrote(root, running, b"x" * (logged.PIECE_BYTES + 10) + b"\nend\n")
    first = log.since(0)
    assert len(first.lines) == 1
    assert first.lines[0].endswith("…")
    assert log.since(first.offset).lines == ("xxxxxxxxxx", "end")


def test_the_end_of_a_run_is_told_after_its_last_line(root: Root, running: Running) -> None:
    log = Logged(root, run_id(running), "stdout")
    wrote(root, running, b"a\nno newline")
    stream = logs.follow(log, 0, threading.Event())
    finished(root, running)
    told = [piece for piece in stream if piece]
    assert b'"lines":["a","no newline"]' in b"".join(told)
    assert told[-1].splitlines()[1] == b"event: over"
    assert b'"ended":"success"' in told[-1]


def test_a_bundle_that_vanishes_ends_it_with_a_word(root: Root, running: Running) -> None:
    log = Logged(root, run_id(running), "stdout")
    with closing(logs.follow(log, 0, threading.Event())) as stream:  # type: ignore[type-var]
        assert next(stream).startswith(b"retry")
        shutil.rmtree(root.layout.run(NAME, run_id(running)))
        told = next(stream)
        assert b"event: gone" in told
        assert b"is gone" in told
        assert list(stream) == []


def test_a_log_that_shrank_under_way_ends_with_a_word(root: Root, running: Running) -> None:
    wrote(root, running, b"a\nb\n")
    os.truncate(path(root, running), 1)
    with pytest.raises(NotFound, match="begun anew"):
        Logged(root, run_id(running), "stdout").since(4)


def test_it_reads_nothing_through_a_link_and_no_pipe(root: Root, running: Running, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret\n")
    os.symlink(tmp_path / "secret", path(root, running))
    log = Logged(root, run_id(running), "stdout")
    stream = logs.follow(log, 0, threading.Event())
    assert b"secret" not in b"".join(stream)
    os.unlink(path(root, running))
    os.mkfifo(path(root, running))
    assert b"gone" in b"".join(logs.follow(log, 0, threading.Event()))


def test_there_are_two_logs_and_no_others(root: Root) -> None:
    sealed = a_numbered_run(root, 2)
    assert Logged(root, sealed, "stderr").end_of_it().ended == "success"
    with pytest.raises(BadInput, match="stdout, stderr"):
        Logged(root, sealed, "../../SPEC.yaml")
    with pytest.raises(NotFound):
        Logged(root, "RUN-20260102-030405-000000-nobody", "stdout")


def test_a_server_that_stops_ends_it(root: Root, running: Running) -> None:
    stopping = threading.Event()
    stopping.set()
    assert [piece for piece in logs.follow(Logged(root, run_id(running), "stdout"), 0, stopping) if piece] == [
        b"retry: 2000\n\n"
    ]
