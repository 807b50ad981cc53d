"""Programs that write where they may not. What lies outside of the fence must be as it was."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import Unavailable
from lab.core.launch import BWRAP, LANDLOCK, Exit, Fence, Limits, Program
from lab.executors import bwrap, fence, landlock
from tests.executors.supervised import alive, program, supervised, until

if TYPE_CHECKING:
    from pathlib import Path

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
    "writes": 'echo bad > "$OUT/file"',
    "appends": 'echo bad >> "$OUT/file"',
    "makes": 'touch "$OUT/new"; mkdir "$OUT/folder"; mkfifo "$OUT/pipe"',
    "cuts short": 'truncate -s 0 "$OUT/file"; python3 -c "import os; os.truncate(\'$OUT/file\', 0)"',
    "removes": 'rm -rf "$OUT"',
    "renames away": 'mv "$OUT/file" taken; mv "$OUT" whole',
    "renames over": 'echo bad > mine; mv -f mine "$OUT/file"; mv mine "$OUT/new"',
    "exchanges": "echo bad > mine; python3 -c \"import ctypes,os; ctypes.CDLL(None).renameat2(-100, b'mine', -100, os.environb[b'OUT'] + b'/file', 2)\"",
    "writes by a link": 'ln -s "$OUT/file" link; echo bad > link; ln -s "$OUT" folder; echo bad > folder/file',
    "makes a hard link": 'ln "$OUT/file" hard && echo bad > hard; echo bad > mine; ln mine "$OUT/new"',
    "climbs": 'echo bad > "../$(basename "$OUT")/file"',
    "goes by /proc": 'for p in 1 $PPID self; do echo bad > "/proc/$p/root$OUT/file"; done; cd "/proc/1/cwd" && echo bad > "$OUT/file"',
    "remounts": 'mount -o remount,rw,bind / ; mount -o remount,rw / ; mount --bind . "$OUT"; echo bad > "$OUT/file"',
    "unmounts": 'umount "$OUT"; umount -l "$PWD"; umount -l /; echo bad > "$OUT/file"',
    "mounts over": 'mount -t tmpfs none "$OUT" && touch "$OUT/new" && rm "$OUT/file"; mount -t proc none "$OUT"',
    "nests": "unshare -Urm sh -c 'mount -o remount,rw,bind /; mount --bind . \"$OUT\"; echo bad > \"$OUT/file\"'",
    "nests deeper": "unshare -Urmpf --mount-proc sh -c 'echo bad > /proc/1/root/$OUT/file; echo bad > \"$OUT/file\"'",
    "nests a bwrap": 'bwrap --bind / / sh -c "echo bad > $OUT/file"; bwrap --bind / / --cap-add ALL sh -c "echo bad > $OUT/file"',
    "changes the root": 'chroot / sh -c "echo bad > $OUT/file"; unshare -r chroot / sh -c "echo bad > $OUT/file"',
    "becomes another": 'su -c "echo bad > $OUT/file"; sudo -n sh -c "echo bad > $OUT/file"; setpriv --reuid 65534 sh -c "echo bad > $OUT/file"',
    "leaves a daemon": "setsid -f sh -c 'sleep 0.05; echo bad > \"$OUT/file\"; sleep 60' >/dev/null 2>&1; sleep 0.2",
    "uses the kernel's ring": "python3 -c \"import os; d = os.open(os.environ['OUT'], os.O_PATH); os.open('file', os.O_RDWR, dir_fd=d)\"",
    "has another swap": 'swapon "$OUT/file"; echo "$OUT/file" > /proc/sys/kernel/core_pattern',
}  # fmt: skip


def fenced(
    folder: Path, text: str, *, level: str = "auto", how: str = "auto", limits: Limits | None = None,
    frozen: tuple[str, ...] = (), hidden: tuple[str, ...] = (), more: tuple[str, ...] = (), **environ: str,
) -> Exit:  # fmt: skip
    inside = folder / "inside"
    inside.mkdir(exist_ok=True)
    what = program(inside, "/bin/bash", "-c", text, OUT=str(folder / "outside"), **environ)
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
    return (folder / "inside" / f"{name}.log").read_text(errors="replace")


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
