"""Programs that write where they may not. What lies outside of the fence must be as it was."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import Unavailable
from lab.core.launch import BWRAP, LANDLOCK, Exit, Fence, Limits, Program
from lab.executors import bwrap, fence, landlock
from tests.executors.supervised import alive, program, supervised

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tmp_path(on_disk: Path, request: pytest.FixtureRequest) -> Path:
    """One's own below it: the suite may run in shared memory, which is open to everybody."""
    place = on_disk / f"{abs(hash(request.node.name)):x}"
    place.mkdir()
    return place


needs_landlock = pytest.mark.skipif(landlock.version() < 3, reason="this kernel has no Landlock that holds truncation")
needs_bwrap = pytest.mark.skipif(bool(bwrap.trouble()), reason=bwrap.trouble() or "bwrap is there")
LEVELS = [pytest.param(LANDLOCK, marks=needs_landlock), pytest.param(BWRAP, marks=needs_bwrap)]
MODES = [pytest.param("namespace", marks=pytest.mark.needs_root), "subreaper"]
each_level = pytest.mark.parametrize("level", LEVELS)
each_mode = pytest.mark.parametrize("how", MODES)
with_landlock = pytest.mark.parametrize("level", LEVELS[:1])
with_bwrap = pytest.mark.parametrize("level", LEVELS[1:])

# Each tries to change $OUT/file ("before\n"), which it may read, or to leave something in $OUT.
ATTACKS = {
    "writes": """echo bad > "$OUT/file" """,
    "appends": """echo bad >> "$OUT/file" """,
    "makes": """touch "$OUT/new"; mkdir "$OUT/folder"; mkfifo "$OUT/pipe" """,
    "cuts short": """truncate -s 0 "$OUT/file"; $PY -ISc "import os; os.truncate('$OUT/file', 0)" """,
    "removes": """rm -rf "$OUT" """,
    "renames away": """mv "$OUT/file" taken; mv "$OUT" whole""",
    "renames over": """echo bad > mine; mv -f mine "$OUT/file"; mv mine "$OUT/new" """,
    "exchanges": """echo bad > mine; $PY -ISc "
import ctypes, os
ctypes.CDLL(None).renameat2(-100, b'mine', -100, os.environb[b'OUT'] + b'/file', 2)" """,
    "writes by a link": """
        ln -s "$OUT/file" link; echo bad > link
        ln -s "$OUT" folder; echo bad > folder/file""",
    "makes a hard link": """
        ln "$OUT/file" hard && echo bad > hard
        echo bad > mine; ln mine "$OUT/new" """,
    "climbs": """echo bad > "../$(basename "$OUT")/file" """,
    "goes by /proc": """
        for p in 1 $PPID self; do echo bad > "/proc/$p/root$OUT/file"; done
        cd "/proc/1/cwd" && echo bad > "$OUT/file" """,
    "remounts": """
        mount -o remount,rw,bind /; mount -o remount,rw /; mount --bind . "$OUT"; echo bad > "$OUT/file" """,
    "unmounts": """umount "$OUT"; umount -l "$PWD"; umount -l /; echo bad > "$OUT/file" """,
    "mounts over": """mount -t tmpfs none "$OUT" && touch "$OUT/new" && rm "$OUT/file"; mount -t proc none "$OUT" """,
    "nests": """
        unshare -Urm sh -c 'mount -o remount,rw,bind /; mount --bind . "$OUT"; echo bad > "$OUT/file"' """,
    "nests deeper": """
        unshare -Urmpf --mount-proc sh -c 'echo bad > "/proc/1/root$OUT/file"; echo bad > "$OUT/file"' """,
    "nests a bwrap": """
        bwrap --bind / / sh -c 'echo bad > "$OUT/file"'
        bwrap --bind / / --cap-add ALL sh -c 'echo bad > "$OUT/file"' """,
    "changes the root": """
        chroot / sh -c 'echo bad > "$OUT/file"'; unshare -r chroot / sh -c 'echo bad > "$OUT/file"' """,
    "becomes another": """
        sudo -n sh -c 'echo bad > "$OUT/file"'; su -c 'echo bad > "$OUT/file"'
        setpriv --reuid 65534 sh -c 'echo bad > "$OUT/file"' """,
    "leaves a daemon": """
        setsid -f sh -c 'sleep 0.05; echo bad > "$OUT/file"; sleep 60' >/dev/null 2>&1; sleep 0.2""",
    "goes by a folder that it holds": """$PY -ISc "
import os
os.write(os.open('file', os.O_RDWR, dir_fd=os.open(os.environ['OUT'], os.O_PATH)), b'bad')" """,
    "goes by the number of a file": """$PY -Ic "
import ctypes, os, struct
libc, handle, number = ctypes.CDLL(None), ctypes.create_string_buffer(struct.pack('Ii', 128, 0), 136), ctypes.c_int()
path = os.environb[b'OUT'] + b'/file'
assert libc.name_to_handle_at(-100, path, handle, ctypes.byref(number), 0) == 0
opened = libc.open_by_handle_at(os.open(os.environ['OUT'], os.O_RDONLY), handle, os.O_RDWR)
os.write(opened, b'bad')" """,
    "has the kernel write": """swapon "$OUT/file"; echo "$OUT/file" > /proc/sys/kernel/core_pattern""",
}


def fenced(
    folder: Path, text: str, *, level: str = "auto", how: str = "auto", limits: Limits | None = None,
    frozen: tuple[str, ...] = (), hidden: tuple[str, ...] = (), more: tuple[str, ...] = (),
    environ: dict[str, str] | None = None,
) -> Exit:  # fmt: skip
    inside = folder / "inside"
    inside.mkdir(exist_ok=True)
    what = program(inside, "/bin/bash", "-c", text, OUT=str(folder / "outside"), PY=sys.executable, **(environ or {}))
    wanted = Fence(writable=(str(inside), *more), frozen=frozen, hidden=hidden, level=level)
    return supervised(inside, msgspec.structs.replace(what, fence=wanted), how=how, limits=limits)


def outside(folder: Path) -> Path:
    made = folder / "outside"
    made.mkdir()
    (made / "file").write_bytes(b"before\n")
    return made


def state(folder: Path) -> dict[str, tuple[object, ...]]:
    """All that can be seen of a folder, apart from when it was read."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted((folder, *folder.rglob("*"))):
        seen = path.lstat()
        text = path.read_bytes() if stat.S_ISREG(seen.st_mode) else b""
        found[str(path)] = (text, seen.st_mode, seen.st_uid, seen.st_nlink, seen.st_mtime_ns, seen.st_ino)
    return found


def printed(folder: Path, name: str = "stdout") -> str:
    log = folder / "inside" / f"{name}.log"
    return log.read_text(errors="replace") if log.exists() else ""


@each_level
@each_mode
@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_outside_stays_as_it_was(tmp_path: Path, attack: str, how: str, level: str) -> None:
    before = state(outside(tmp_path))
    found = fenced(tmp_path, f"{ATTACKS[attack]}\necho it went on", level=level, how=how)
    assert state(tmp_path / "outside") == before
    assert (found.started, found.problem) == (True, "")
    assert found.fenced.startswith(level)
    assert "it went on" in printed(tmp_path)
    assert alive(tmp_path / "inside") == []


@pytest.mark.parametrize("attack", ["writes", "makes", "cuts short", "removes", "renames over", "writes by a link"])
def test_the_attacks_are_such_without_a_fence(tmp_path: Path, attack: str) -> None:
    before = state(outside(tmp_path))
    found = fenced(tmp_path, ATTACKS[attack], level="none")
    assert not (tmp_path / "outside").exists() or state(tmp_path / "outside") != before
    assert found.fenced.startswith("none: ")


@each_level
@each_mode
@pytest.mark.needs_root
def test_root_cannot_reach_the_disk_below_the_files(tmp_path: Path, how: str, level: str) -> None:
    text = """
    mknod disk b 7 0 && echo made; mknod memory c 1 1 && echo made; mknod /dev/shm/disk b 7 0 && echo made
    $PY -ISc "import os
    for each in ('loop0', 'vda', 'sda', 'mem', 'kmsg'):
        try:
            os.open(f'/dev/{each}', os.O_WRONLY)
            print('opened', each)
        except OSError:
            pass"
    """
    found = fenced(tmp_path, textwrap.dedent(text), level=level, how=how)
    assert (found.started, printed(tmp_path)) == (True, "")
    assert not [each for each in (tmp_path / "inside").iterdir() if each.is_block_device() or each.is_char_device()]


@each_level
@each_mode
def test_a_process_outside_cannot_be_ended_stopped_or_looked_into(tmp_path: Path, how: str, level: str) -> None:
    if landlock.version() < 6 and level == LANDLOCK and how == "subreaper":
        pytest.skip("this kernel's Landlock does not hold signals")
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    # Inside bwrap the parent is a process of its own, which goes along when it is ended.
    parent = "$PPID" if level == LANDLOCK else ""
    text = f"""
    for who in $OTHER {parent}; do
      kill -9 $who && echo killed; kill -STOP $who && echo stopped
      cat /proc/$who/environ >/dev/null && echo environ; ls /proc/$who/root/ >/dev/null && echo root
      WHO=$who $PY -ISc "{LOOKS_INTO}"
    done
    echo it went on
    """
    try:
        found = fenced(tmp_path, text, level=level, how=how, environ={"OTHER": str(other.pid)})
        assert other.poll() is None
        assert state_letter(other.pid) != "T"
    finally:
        other.kill()
        other.wait()
    assert (found.code, found.problem, printed(tmp_path)) == (0, "", "it went on\n")


LOOKS_INTO = """
import ctypes, os
libc, who = ctypes.CDLL(None), int(os.environ['WHO'])
if libc.ptrace(16, who, 0, 0) == 0:
    print('traced')
try:
    open(f'/proc/{who}/mem', 'r+b')
    print('memory')
except OSError:
    pass
try:
    held = os.pidfd_open(who)
except OSError:
    raise SystemExit
if libc.syscall(438, held, 1, 0) >= 0:
    print('took a file of it')
"""


def state_letter(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


@with_landlock
@pytest.mark.skipif(landlock.version() < 6, reason="this kernel's Landlock does not hold sockets without a file")
def test_a_socket_without_a_file_is_out_of_reach(tmp_path: Path, level: str) -> None:
    name = f"labctl-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{name}")
        server.listen()
        text = f"$PY -ISc \"import socket; socket.socket(socket.AF_UNIX).connect(chr(0) + '{name}')\""
        assert fenced(tmp_path, text, level=level).code == 1
    assert "Operation not permitted" in printed(tmp_path, "stderr")


HONEST = {
    "writes to its folder": """
        echo x > a; mkdir -p b/c; mv a b/c/a; ln b/c/a b/hard; ln -s b link; truncate -s 0 b/c/a; rm -r b""",
    "uses devices": """
        echo x > /dev/null; head -c 1 /dev/urandom > r; head -c 1 /dev/zero 2>/dev/null >> r
        echo x 2>&1 >/dev/full | grep -q 'No space'""",
    "uses shared memory": """$PY -ISc "
import multiprocessing as several
from multiprocessing.shared_memory import SharedMemory
several.Lock()
queue = several.Queue()
queue.put(1)
assert queue.get() == 1
SharedMemory(create=True, size=99).unlink()" """,
    "has a terminal of its own": """$PY -ISc "import pty; assert pty.spawn(['/bin/echo', 'x']) == 0" """,
    "starts others and ends them": """$PY -ISc "
import os, subprocess
other = subprocess.Popen(['sleep', '60'])
other.terminate()
assert other.wait() == -15
os.killpg(0, 0)" """,
    "makes temporary files": """
        $PY -ISc "import tempfile; tempfile.TemporaryFile().write(b'x'); tempfile.mkdtemp()"
        mktemp >/dev/null; cat <<< here""",
    "has a history of its own": """
        git init -q . && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x
        git worktree add -q ../inside/tree""",
    "talks to a server": """$PY -ISc "
import os, socket
socket.create_connection(('127.0.0.1', int(os.environ['PORT']))).close()" """,
    "talks by a socket in its folder": """$PY -ISc "
import socket
server, client = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
server.bind('socket')
server.listen()
client.connect('socket')" """,
    "changes modes of its own": "touch m; chmod 600 m; chmod +x m; touch -d 2001-01-01 m; mkfifo p",
}


@each_level
@pytest.mark.parametrize("what", HONEST)
def test_an_honest_program_does_not_notice(tmp_path: Path, what: str, level: str) -> None:
    temporary = tmp_path / "inside" / "temporary"
    temporary.mkdir(parents=True)
    git = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        environ = {**fence.environment(str(temporary)), **git, "PORT": port}
        found = fenced(tmp_path, f"set -e; {HONEST[what]}", level=level, environ=environ)
    assert (found.code, printed(tmp_path, "stderr"), found.problem) == (0, "", "")


@each_level
@each_mode
def test_a_fenced_program_that_is_asked_to_end_has_its_grace(tmp_path: Path, how: str, level: str) -> None:
    text = 'trap "sleep 0.2; echo tidied; exit 7" TERM; touch ready; while :; do sleep 0.01; done'
    found = fenced(tmp_path, text, level=level, how=how, limits=Limits(budget_s=0.4, grace_s=8))
    assert (found.stopped, found.code) == ("timeout", 7)
    assert printed(tmp_path) == "tidied\n"
    assert alive(tmp_path / "inside") == []


@each_level
@each_mode
def test_nothing_fenced_survives_the_budget(tmp_path: Path, how: str, level: str) -> None:
    text = 'trap "" TERM; for i in 1 2 3; do setsid sleep 61 & done; setsid -f sleep 61; wait'
    found = fenced(tmp_path, text, level=level, how=how, limits=Limits(budget_s=0.3, grace_s=0.1))
    assert (found.stopped, found.signal) == ("timeout", signal.SIGKILL)
    assert alive(tmp_path / "inside") == []


@each_level
def test_exit_code_output_and_input_pass_through(tmp_path: Path, level: str) -> None:
    found = fenced(tmp_path, "cat; echo out; echo err >&2; exit 5", level=level)
    assert (found.code, found.stopped, found.fenced.split()[0]) == (5, "", level)
    assert (printed(tmp_path), printed(tmp_path, "stderr")) == ("out\n", "err\n")


@each_level
def test_a_program_that_was_killed_is_told_by_its_signal(tmp_path: Path, level: str) -> None:
    for name in ("KILL", "SEGV"):
        found = fenced(tmp_path, f"kill -{name} $$; exit 5", level=level)
        assert (found.code, found.signal, found.stopped) == (None, getattr(signal, f"SIG{name}"), "")
    assert fenced(tmp_path, "exit 130", level=level).code == 130


@with_landlock
def test_landlock_keeps_what_is_in_a_file_but_not_its_mode(tmp_path: Path, level: str) -> None:
    file = outside(tmp_path) / "file"
    fenced(tmp_path, 'chmod 777 "$OUT/file"; echo bad > "$OUT/file"', level=level)
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"before\n", 0o777)


@with_bwrap
def test_bwrap_keeps_modes_and_times_too(tmp_path: Path, level: str) -> None:
    before = state(outside(tmp_path))
    fenced(tmp_path, 'chmod 777 "$OUT/file" "$OUT"; touch -d 2001-01-01 "$OUT/file"; chown 7 "$OUT/file"', level=level)
    assert state(tmp_path / "outside") == before


@needs_bwrap
@each_mode
def test_what_is_frozen_stays_although_all_around_it_may_be_written(tmp_path: Path, how: str) -> None:
    inside = tmp_path / "inside"
    (inside / "tests").mkdir(parents=True)
    (inside / "evaluate.py").write_text("before")
    (inside / "tests" / "one.py").write_text("before")
    frozen = (str(inside / "evaluate.py"), str(inside / "tests"), str(inside / "not there"))
    text = """
    for each in evaluate.py tests/one.py; do echo bad > $each; rm -f $each; mv mine $each; chmod 777 $each; done
    rm -rf tests; mv tests other; mount -o remount,rw,bind tests; umount tests; touch tests/two.py; echo good > mine
    """
    found = fenced(tmp_path, text, frozen=frozen, how=how)
    assert found.fenced == BWRAP
    assert (inside / "evaluate.py").read_text() == (inside / "tests" / "one.py").read_text() == "before"
    assert sorted(each.name for each in (inside / "tests").iterdir()) == ["one.py"]
    assert (inside / "mine").read_text() == "good\n"


@needs_bwrap
@each_mode
def test_what_is_hidden_cannot_be_read_though_a_folder_below_it_is_written(tmp_path: Path, how: str) -> None:
    lab = tmp_path / "lab"
    (lab / "holdout").mkdir(parents=True)
    (lab / "holdout" / "answers").write_text("secret")
    (lab / "key").write_text("secret")
    tree = lab / "scratch" / "tree"
    tree.mkdir(parents=True)
    text = f"cat {lab}/holdout/answers {lab}/key key; ls {lab} {lab}/holdout; echo made > {tree}/made; touch {lab}/new"
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "key").write_text("secret")
    found = fenced(tmp_path, text, hidden=(str(lab), str(inside / "key")), more=(str(tree),), how=how)
    assert found.fenced == BWRAP
    assert "secret" not in printed(tmp_path)
    assert printed(tmp_path).split() == [f"{lab}:", "scratch"]
    assert (tree / "made").read_text() == "made\n"
    assert not (lab / "new").exists()


@needs_landlock
def test_without_bwrap_what_was_asked_beyond_landlock_is_not_claimed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bwrap, "_PLACES", ())
    found = fenced(tmp_path, ":", hidden=(str(tmp_path / "secret"),))
    assert found.fenced == f"landlock {landlock.version()}, nothing hidden"
    assert fenced(tmp_path, ":", frozen=(str(tmp_path),)).fenced == f"landlock {landlock.version()}, nothing frozen"
    refused = fenced(tmp_path, "touch ran", level=BWRAP)
    assert (refused.started, refused.problem) == (
        False, "the program cannot be fenced by bwrap: bwrap is not installed",
    )  # fmt: skip
    assert not (tmp_path / "inside" / "ran").exists()


def test_a_machine_without_any_runs_it_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bwrap, "_PLACES", ())
    monkeypatch.setattr(landlock, "version", lambda: 0)
    found = fenced(tmp_path, "touch ran")
    assert found.fenced == "none: this kernel has no Landlock, or it is switched off; bwrap is not installed"
    assert (tmp_path / "inside" / "ran").exists()
    assert not fenced(tmp_path, ":", level=LANDLOCK).started
    assert fence.available() == fence.Reach(why=found.fenced.removeprefix("none: "))


def test_an_old_landlock_gives_way_to_bwrap(monkeypatch: pytest.MonkeyPatch) -> None:
    what = Program(argv=("/bin/true",), cwd="/", fence=Fence(writable=()))
    monkeypatch.setattr(landlock, "version", lambda: 2)
    monkeypatch.setattr(bwrap, "trouble", lambda: "")
    assert fence.raised(what).said == BWRAP
    monkeypatch.setattr(bwrap, "trouble", lambda: "none here")
    assert fence.raised(what).said == "landlock 2, files may be cut short"


@needs_landlock
def test_many_frozen_files_are_left_to_the_digests_and_that_is_said() -> None:
    frozen = tuple(f"/tests/{number}" for number in range(65))
    what = Program(argv=("/bin/true",), cwd="/", fence=Fence(writable=(), frozen=frozen))
    assert fence.raised(what).said == f"landlock {landlock.version()}, nothing frozen"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Fence(writable=("relative",)), "not absolute"),
        (Fence(writable=("/not/there",)), "not there"),
        (Fence(writable=(), level="stone"), "no fence 'stone'"),
    ],
)
def test_a_fence_that_cannot_stand_is_refused_before_anything_runs(tmp_path: Path, wrong: Fence, said: str) -> None:
    what = msgspec.structs.replace(program(tmp_path, "/bin/sh", "-c", "touch ran"), fence=wrong)
    with pytest.raises(Unavailable, match=said):
        fence.raised(what)
    found = supervised(tmp_path, what)
    assert not found.started
    assert said in found.problem
    assert not (tmp_path / "ran").exists()


@each_level
def test_a_program_that_is_not_there_is_told_as_without_a_fence(tmp_path: Path, level: str) -> None:
    what = program(tmp_path, "/not/there")
    without = supervised(tmp_path, what)
    fence = Fence(writable=(str(tmp_path),), level=level)
    assert supervised(tmp_path, msgspec.structs.replace(what, fence=fence)).problem == without.problem


def test_each_version_of_the_kernel_is_asked_only_for_what_it_knows() -> None:
    assert [landlock.handled(abi).bit_length() for abi in range(1, 8)] == [13, 14, 15, 15, 16, 16, 16]
    for abi in range(1, 8):
        for path, rights in landlock.rules(["/w"], abi):
            assert rights, path
            assert rights & ~landlock.handled(abi) == 0, path
    given = dict(landlock.rules(["/w"], 7))
    assert given["/"] == 0b1101  # execute, read a file, read a folder
    assert given["/w"] & (1 << 6 | 1 << 11) == 0  # no devices


def test_the_words_of_bwrap() -> None:
    asked = Fence(writable=("/lab/run", "/cache"), frozen=("/lab/run/eval.py",), hidden=("/lab", "/lab/run/key"))
    said = bwrap.argv(
        "/usr/bin/bwrap", asked, "/lab/run", owner=bwrap.Owner(uid=0, gid=0), folders={"/lab"}, devices=["/dev/nvidia0"]
    )
    assert " ".join(said) == (
        "/usr/bin/bwrap --ro-bind / / --dev /dev --proc /proc --dev-bind /dev/nvidia0 /dev/nvidia0 "
        "--bind /cache /cache --tmpfs /lab --bind /lab/run /lab/run --ro-bind /lab/run/eval.py /lab/run/eval.py "
        "--ro-bind /dev/null /lab/run/key --remount-ro /lab "
        "--unshare-all --share-net --unshare-user --disable-userns --uid 1000 --gid 1000 --cap-drop ALL "
        "--die-with-parent --new-session --chdir /lab/run --"
    )
    as_user = bwrap.argv("/usr/bin/bwrap", asked, "/", owner=bwrap.Owner(uid=501, gid=20))
    assert "--uid 501 --gid 20" in " ".join(as_user)


def test_what_is_compiled_goes_to_the_run_and_what_was_downloaded_is_found() -> None:
    given = fence.environment("/run/tmp")
    assert given["TMPDIR"] == "/run/tmp"
    assert given["TRITON_CACHE_DIR"] == "/run/tmp/triton"
    assert not {"HOME", "HF_HOME", "XDG_CACHE_HOME", "UV_CACHE_DIR"} & set(given)
