"""The five verbs: whole or absent, whole or as before, and nothing lost beside what a crash tore."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lab.core import layout
from lab.core.errors import Busy, Unavailable
from lab.store import reading, refusals
from lab.store.files import Files
from lab.store.sections import hold
from lab.testing.files import Crash, CrashingFiles, FullDisk

CHECKOUT = Path(__file__).resolve().parents[2]
# In a limit of 64 bytes a file, the kernel writes what fits and refuses the rest: a full disk in the middle of a line.
TOO_LONG = """
import resource, signal, sys
from lab.store.files import Files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
try:
    Files(durable=False).append(sys.argv[1], lambda tail, size: b"x" * 100 + b"\\n", section="")
except OSError as error:
    print(error.errno)
"""


def no_drafts(folder: Path) -> bool:
    return not [name for name in os.listdir(folder) if layout.is_draft(name)]


def add(writer: Files, path: Path, text: bytes, *, section: str = "") -> int:
    return writer.append(str(path), lambda _tail, _size: text, section=section)


def test_a_created_file_is_whole_or_absent_wherever_the_machine_stops(tmp_path: Path) -> None:
    data = b"all of it\n" * 1000
    counted = CrashingFiles(durable=True)
    counted.create(str(tmp_path / "dry" / "f"), data)
    assert counted.steps >= 5
    for at in range(1, counted.steps + 1):
        path = tmp_path / str(at) / "f"
        with pytest.raises(Crash):
            CrashingFiles(at=at, durable=True).create(str(path), data)
        assert reading.read(str(path)) in (None, data)
        try:
            Files().create(str(path), data)  # the next process goes on, whatever the dead one left
        except FileExistsError:
            assert reading.read(str(path)) == data
        assert reading.read(str(path)) == data


def test_creating_what_is_there_is_refused_and_keeps_the_old(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        Files().create(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert no_drafts(tmp_path)


def test_of_many_that_create_the_same_name_one_wins_whole(tmp_path: Path) -> None:
    won: list[int] = []
    start = threading.Barrier(8)

    def race(number: int) -> None:
        start.wait()
        try:
            Files(durable=False).create(str(tmp_path / "f"), str(number).encode() * 5000)
        except FileExistsError:
            return
        won.append(number)

    writer = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for each in writer:
        each.start()
    for each in writer:
        each.join()
    assert len(won) == 1
    assert (tmp_path / "f").read_bytes() == str(won[0]).encode() * 5000


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_full_disk_leaves_no_half_file_and_no_draft(tmp_path: Path, at: int) -> None:
    with pytest.raises(OSError, match="No space"):
        FullDisk(at=at).create(str(tmp_path / "f"), b"data")
    assert os.listdir(tmp_path) == []


def test_a_copy_that_is_to_last_is_on_the_disk_before_it_has_its_name(tmp_path: Path) -> None:
    source, data = tmp_path / "source", os.urandom((1 << 20) + 3)
    source.write_bytes(data)
    draft, target = str(tmp_path / "in" / ".f.draft"), str(tmp_path / "in" / "f")
    for durable in (False, True):
        counted = CrashingFiles()  # which waits for nothing by itself
        counted.copy(str(source), draft, mode=0o640, durable=durable)
        counted.move(draft, target, durable=durable)
        at = {step: number for number, step in enumerate(counted.log)}
        assert (("fsync", draft) in at, ("fsync", os.path.dirname(target)) in at) == (durable, durable)
        if durable:
            assert at["open", draft] < at["fsync", draft] < at["rename", target] < at["fsync", os.path.dirname(target)]
    assert Path(target).read_bytes() == data
    assert os.stat(target).st_mode & 0o777 == 0o640


def test_a_copy_that_stops_before_it_is_on_the_disk_has_no_name(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"data")
    draft, target = str(tmp_path / ".f.draft"), str(tmp_path / "f")
    for at in (1, 2, 3):
        files = CrashingFiles(at=at)
        with pytest.raises(Crash):  # noqa: PT012  # the two steps are one deed
            files.copy(str(source), draft, durable=True)
            files.move(draft, target, durable=True)
        assert not os.path.exists(target)


def test_a_created_folder_appears_with_all_its_files_or_not_at_all(tmp_path: Path) -> None:
    contents = {"a": b"1", "b": b"2"}
    counted = CrashingFiles()
    counted.create_folder(str(tmp_path / "dry"), contents)
    for at in range(1, counted.steps + 1):
        path = tmp_path / f"made-{at}"
        with pytest.raises(Crash):
            CrashingFiles(at=at).create_folder(str(path), contents)
        assert not path.exists()


def test_a_folder_draft_of_a_dead_process_that_had_our_pid_is_in_nobodys_way(tmp_path: Path) -> None:
    with pytest.raises(Crash):
        CrashingFiles(at=2).create_folder(str(tmp_path / "f"), {"a": b"1"})
    Files(durable=False).create_folder(str(tmp_path / "f"), {"a": b"1"})
    assert (tmp_path / "f" / "a").read_bytes() == b"1"


def test_a_taken_folder_name_is_refused_and_what_is_there_stays(tmp_path: Path) -> None:
    Files().create_folder(str(tmp_path / "f"), {"a": b"1"})
    with pytest.raises(FileExistsError):
        Files().create_folder(str(tmp_path / "f"), {"a": b"2", "b/c/d": b"3"})
    assert (tmp_path / "f" / "a").read_bytes() == b"1"
    assert no_drafts(tmp_path)


def test_a_folder_whose_name_a_file_has_is_refused_as_taken(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"a file")
    with pytest.raises(FileExistsError):
        Files().create_folder(str(tmp_path / "f"), {"a": b"1"})


def test_replacing_with_the_same_bytes_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"same")
    before = path.stat()
    assert Files().replace(str(path), b"same") is False
    after = path.stat()
    assert (before.st_ino, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_ino,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )
    assert Files().replace(str(path), b"other") is True
    assert path.read_bytes() == b"other"


def test_a_replaced_file_is_old_or_new_wherever_the_machine_stops(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    counted = CrashingFiles(durable=True)
    counted.replace(str(path), b"new", durable=True)
    for at in range(1, counted.steps + 1):
        path.write_bytes(b"old")
        with pytest.raises(Crash):
            CrashingFiles(at=at).replace(str(path), b"new", durable=True)
        assert path.read_bytes() in (b"old", b"new")
        Files().replace(str(path), b"new")
        assert path.read_bytes() == b"new"


def test_an_empty_file_is_not_the_same_as_none(tmp_path: Path) -> None:
    assert Files().replace(str(tmp_path / "f"), b"") is True
    assert Files().replace(str(tmp_path / "f"), b"") is False


@pytest.mark.parametrize("torn", [b"x", b'{"half":', b"\xff\x00" * 40_000])
def test_a_torn_tail_is_ended_first_so_that_the_next_line_is_not_lost(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n" + torn)
    size = add(Files(), path, b"two\n")
    assert path.read_bytes() == b"one\n" + torn + b"\ntwo\n"
    assert size == path.stat().st_size


def test_appending_makes_the_file_and_its_folder(tmp_path: Path) -> None:
    assert add(Files(), tmp_path / "deep" / "er" / "log", b"one\n") == 4
    assert (tmp_path / "deep" / "er" / "log").read_bytes() == b"one\n"


def test_a_line_is_computed_from_the_end_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"0123456789\n")
    seen: list[tuple[bytes, int]] = []

    def look(tail: bytes, size: int) -> bytes:
        seen.append((tail, size))
        return b"next\n"

    Files().append(str(path), look, section="", window=4)
    assert seen == [(b"789\n", 11)]


def test_a_line_that_the_disk_refuses_halfway_is_taken_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    run = subprocess.run(
        [sys.executable, "-c", TOO_LONG, path], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert int(run.stdout) == errno.EFBIG
    assert path.read_bytes() == b"one\n"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_an_append_waits_for_its_section(tmp_path: Path) -> None:
    section, path = str(tmp_path / "s"), tmp_path / "log"
    done = threading.Event()

    def late() -> None:
        add(Files(durable=False), path, b"late\n", section=section)
        done.set()

    with hold(section):
        writer = threading.Thread(target=late)
        writer.start()
        assert not done.wait(0.05)
        add(Files(durable=False), path, b"first\n")
    writer.join()
    assert path.read_bytes() == b"first\nlate\n"


def test_of_many_that_move_one_file_one_wins(tmp_path: Path) -> None:
    (tmp_path / "package").write_bytes(b"work")
    start = threading.Barrier(8)
    won: list[int] = []

    def race(number: int) -> None:
        start.wait()
        try:
            Files(durable=False).move(str(tmp_path / "package"), str(tmp_path / f"mine-{number}"))
        except FileNotFoundError:
            return
        won.append(number)

    movers = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for each in movers:
        each.start()
    for each in movers:
        each.join()
    assert os.listdir(tmp_path) == [f"mine-{won[0]}"]
    assert len(won) == 1


def test_a_touch_never_makes_a_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Files().touch(str(tmp_path / "f"))
    assert os.listdir(tmp_path) == []


def test_what_is_gone_already_can_be_discarded(tmp_path: Path) -> None:
    Files().discard(str(tmp_path / "f"))


def test_reading_tells_what_is_not_there_from_what_is_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert reading.read(str(tmp_path / "empty")) == b""
    assert reading.read(str(tmp_path / "none")) is None
    assert reading.read(str(tmp_path / "empty" / "below")) is None
    assert reading.read_head(str(tmp_path / "none"), 10) is None
    assert reading.read_from(str(tmp_path / "none"), 0) == b""
    assert reading.size_of(str(tmp_path / "none")) == -1
    assert reading.size_of(str(tmp_path / "empty")) == 0


def test_a_file_without_a_size_is_read_to_its_end() -> None:
    with open("/proc/version", "rb") as file:
        assert reading.read("/proc/version") == file.read()


def test_reading_from_an_offset_gives_the_rest_and_nothing_beyond_the_end(tmp_path: Path) -> None:
    path = str(tmp_path / "f")
    Files().create(path, b"0123456789")
    assert [reading.read_from(path, start) for start in (0, 7, 10, 11)] == [b"0123456789", b"789", b"", b""]
    assert [reading.read_head(path, limit) for limit in (0, 3, 99)] == [b"", b"012", b"0123456789"]


def test_what_is_no_plain_file_is_not_read_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert reading.read_from(str(tmp_path / "pipe"), 0) == b""
    assert list(reading.lines_from(str(tmp_path / "pipe"), 0, 1 << 20)) == []
    for place in (tmp_path / "pipe", tmp_path):
        assert reading.read(str(place)) is None
        assert reading.read_head(str(place), 10) is None
        assert not reading.is_file(str(place))


def test_a_pipe_that_a_person_names_is_read_in_all_its_pieces() -> None:
    end, writing = os.pipe()
    with os.fdopen(writing, "wb", buffering=0) as pipe:
        pipe.write(b"in ")
        pipe.write(b"pieces")
        assert reading.read_given(f"/proc/self/fd/{end}", 9) == b"in pieces"
        pipe.write(b"rest")
    assert reading.read_given(f"/proc/self/fd/{end}", 99) == b"rest"
    os.close(end)


def test_a_link_is_not_a_plain_file(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    (tmp_path / "link").symlink_to(tmp_path / "f")
    assert reading.is_file(str(tmp_path / "f"))
    assert not reading.is_file(str(tmp_path / "link"))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "full"),
        (errno.EROFS, "may not be read or written"),
        (errno.EISDIR, "this is a folder"),
        (errno.ENOTDIR, "a folder is wanted"),
        (errno.EIO, "refused"),
    ],
)
def test_what_the_machine_refuses_says_what_to_do(code: int, words: str) -> None:
    refused = refusals.refused(OSError(code, os.strerror(code), "/lab/x"))
    assert isinstance(refused, Unavailable)
    assert not isinstance(refused, Busy)
    assert words in refused.what
    assert refused.where == "/lab/x"
    assert refused.fix


@pytest.mark.parametrize("what", ["link", "file", "gone"])
def test_a_spent_folder_that_a_run_put_something_else_for_takes_nothing_along(tmp_path: Path, what: str) -> None:
    precious, spent = tmp_path / "precious", tmp_path / "spent"
    (precious / "folder").mkdir(parents=True)
    (precious / "file").write_text("x")
    if what == "link":
        spent.symlink_to(precious)
    elif what == "file":
        spent.write_text("x")
    Files(durable=False).discard_folder(str(spent))
    assert not spent.is_symlink()
    assert not spent.exists()
    assert (precious / "file").read_text() == "x"


def test_a_spent_folder_goes_however_deep_a_run_has_dug_in_it(tmp_path: Path) -> None:
    here = os.getcwd()
    (tmp_path / "spent").mkdir()
    os.chdir(tmp_path / "spent")
    try:
        for _ in range(1_100):
            os.mkdir("d")
            os.chdir("d")
        Path("file").write_text("x")
    finally:
        os.chdir(here)
    Files(durable=False).discard_folder(str(tmp_path / "spent"))
    assert list(tmp_path.iterdir()) == []
