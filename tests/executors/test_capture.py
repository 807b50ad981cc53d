from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.executors.capture import Blotter, Capture
from lab.store.files import Files
from lab.store.log import TAKEN_SUFFIX, RunLog
from lab.testing.files import FullDisk

if TYPE_CHECKING:
    from pathlib import Path


def captured(path: Path, pieces: list[bytes], limit: int, *secrets: str) -> tuple[bytes, int, int]:
    capture = Capture(RunLog(Files(durable=False), str(path)), limit, secrets)
    for piece in pieces:
        capture.take(piece)
    told = capture.finish()
    return (path.read_bytes() if path.exists() else b""), told.total, told.kept


@given(st.lists(st.binary(max_size=40)), st.integers(0, 50))
def test_the_head_and_the_tail_are_kept_and_the_rest_is_counted(pieces: list[bytes], limit: int) -> None:
    class Kept:
        data, problem = b"", ""

        def write(self, data: bytes) -> int:
            self.data += data
            return len(data)

        def close(self) -> None: ...

    log, whole = Kept(), b"".join(pieces)
    capture = Capture(log, limit)  # type: ignore[arg-type]
    for piece in pieces:
        capture.take(piece)
    told = capture.finish()
    assert (told.total, told.kept) == (len(whole), min(limit, len(whole)))
    if len(whole) <= limit:
        assert log.data == whole
    else:
        head, tail = limit - limit // 2, limit // 2
        line = f"\n[labctl: {len(whole) - limit} bytes are left out here]\n".encode()
        assert log.data == whole[:head] + line + (whole[-tail:] if tail else b"")


@given(st.lists(st.sampled_from([b"abcd", b"abcdef", b"ab", b"c", b"d", b"ef", b"cdxy", b"xy"]), max_size=20))
def test_a_secret_does_not_come_through_however_it_is_cut_up(pieces: list[bytes]) -> None:
    blotter = Blotter(["abcd", "abcdef", "cdxy"])
    shown = b"".join([*(blotter.pass_on(piece) for piece in pieces), blotter.finish()])
    whole = Blotter(["abcd", "abcdef", "cdxy"])
    assert shown == whole.pass_on(b"".join(pieces)) + whole.finish()
    assert not any(secret in shown for secret in (b"abcd", b"abcdef", b"cdxy"))


def test_a_secret_is_known_in_base64_and_in_a_url_too() -> None:
    secret = "pa ss/word+1"  # noqa: S105  # made up
    blotter = Blotter([secret])
    printed = base64.b64encode(secret.encode()) + b" pa%20ss%2Fword%2B1 " + secret.encode()
    assert secret.encode() not in blotter.pass_on(printed) + blotter.finish()


def test_a_very_short_value_does_not_blot_out_the_log() -> None:
    blotter = Blotter(["a", ""])
    assert blotter.pass_on(b"banana") == b"banana"


def test_a_run_that_prints_nothing_keeps_no_empty_log(tmp_path: Path) -> None:
    assert captured(tmp_path / "o.log", [], 100) == (b"", 0, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_the_run_laid_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "prey").write_bytes(b"mine")
    (tmp_path / "o.log").symlink_to(tmp_path / "prey")
    assert captured(tmp_path / "o.log", [b"text"], 100)[0] == b"text"
    assert (tmp_path / "prey").read_bytes() == b"mine"
    assert (tmp_path / f"o.log{TAKEN_SUFFIX}").is_symlink()


@pytest.mark.parametrize("put_a_link", [True, False])
def test_a_log_that_was_taken_away_is_written_again(tmp_path: Path, put_a_link: bool) -> None:
    path, prey = tmp_path / "o.log", tmp_path / "prey"
    prey.write_bytes(b"mine")
    capture = Capture(RunLog(Files(durable=False), str(path)), 100)
    capture.take(b"one ")
    path.unlink()
    if put_a_link:
        path.symlink_to(prey)
    capture.take(b"two")
    capture.finish()
    assert path.read_bytes() == b"one two"
    assert prey.read_bytes() == b"mine"


def test_a_full_disk_ends_the_log_and_not_the_run(tmp_path: Path) -> None:
    log = RunLog(FullDisk(at=3), str(tmp_path / "o.log"))
    capture = Capture(log, 100)
    capture.take(b"fits")
    capture.take(b"does not")
    told = capture.finish()
    assert (told.total, told.kept, (tmp_path / "o.log").read_bytes()) == (12, 4, b"fits")
    assert "ends early" in log.problem
