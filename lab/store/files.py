"""The verbs that do all writing in the lab.

`create` (whole or absent), `replace` (whole or as before), `append` (one write under a lock), `move`, `touch`; and
`discard` for what is spent: drafts that were never published and claims that were given back. Each is made of steps,
and a crash between any two of them leaves a lab that goes on: tests stop before each (`lab.testing.files`).
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, TypeVar

from lab.core import layout
from lab.store import machine, reading
from lab.store.refusals import gone, no_hard_links
from lab.store.sections import REGISTRY, hold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")
TAIL_BYTES = 8_192
SYNCFS_FROM = 24  # files in one bundle; below it one fsync each costs less than flushing everybody's data
_READ_ONLY = 0o555  # takes the right to write away; the owner must still be able to read, or nothing could be verified
_OWNER_READS, _OWNER_ENTERS = 0o400, 0o700
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class Files:
    """Writes. `durable` is the default for whether a verb returns only when the disk has it."""

    def __init__(self, *, durable: bool = True) -> None:
        self.durable = durable
        self._drafts = 0
        self._token = ""
        self._home: tuple[str, ...] = ()

    def keep_to(self, root: str) -> None:
        """Never make this lab's own folders again: once it is open, one that is gone was moved or unmounted."""
        self._home = (root, f"{root}/{REGISTRY}", f"{root}/experiments")

    def step(self, name: str, path: str) -> None:
        """Called before each system call that changes the disk. Nothing here; a test stops the machine in it."""

    # -- create -------------------------------------------------------------------------------------------------

    def create(  # the terms on which a file is published
        self,
        path: str,
        data: bytes | Iterable[bytes],
        *,
        durable: bool | None = None,
        mode: int = 0o644,
        sync_name: bool = True,
    ) -> None:
        """Publish a file whole, or raise FileExistsError and leave the one that is there. `data` may come in pieces.

        Without `sync_name` a power cut may take the file away, but never leave it there empty.
        """
        durable = self.durable if durable is None else durable
        draft = self.draft_beside(path)
        try:
            self._write_new(draft, data, durable=durable, mode=mode)
            self.step("link", path)
            self._link(draft, path)
        except Exception:  # pieces fail in whatever way their source does
            self._drop(draft)
            raise
        with suppress(OSError):  # what is published is published; recovery clears the draft
            self.discard(draft)
        if durable and sync_name:
            self.sync_folder(os.path.dirname(path))

    def create_folder(self, path: str, contents: Mapping[str, bytes]) -> None:
        """Publish a folder with these files in it, whole or not at all. FileExistsError when the name is taken.

        Nothing is synced: a bundle is made durable once, by its seal.
        """
        draft = self.draft_beside(path)
        try:
            self.step("mkdir", draft)
            try:
                os.mkdir(draft)
            except FileNotFoundError:  # git and rsync leave empty folders behind
                self.folder(os.path.dirname(path))
                os.mkdir(draft)
            for name, data in contents.items():
                self._write_new(f"{draft}/{name}", data, durable=False, mode=0o644)
            self.step("rename", path)
            os.rename(draft, path)
        except OSError as error:
            self._drop_folder(draft)
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EBUSY) and os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from error
            raise

    def copy(self, source: str, target: str, *, mode: int = 0o644, durable: bool = False) -> None:
        """Create a file with the bytes of another, in pieces. For filling a folder that is not published yet."""
        self.step("open", target)
        self.folder(os.path.dirname(target))
        reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
            try:
                while piece := os.read(reading, 1 << 20):
                    _write_all(writing, piece)
                if durable:
                    self.step("fsync", target)
                    os.fsync(writing)
            finally:
                os.close(writing)
        finally:
            os.close(reading)

    def point(self, path: str, target: str) -> None:
        """Make a symbolic link, in a copy of somebody's folder. The lab's own files never are one."""
        self.step("symlink", path)
        os.symlink(target, path)

    # -- replace, append, move, touch, discard ------------------------------------------------------------------

    def replace(self, path: str, data: bytes, *, durable: bool = False, mode: int = 0o644) -> bool:
        """Put a new text in the place of an old one. False, and nothing written, when the bytes are the same.

        Not durable by default: what is replaced is derived, and `refresh` brings it back.
        """
        if reading.has(path, data):
            return False
        draft = self.draft_beside(path)
        try:
            self._write_new(draft, data, durable=durable, mode=mode)
            self.step("rename", path)
            os.rename(draft, path)
        except OSError:
            self._drop(draft)
            raise
        if durable:
            self.sync_folder(os.path.dirname(path))
        return True

    def pour(self, path: str, data: bytes) -> None:
        """Write into a pipe or a device that somebody named. It is theirs: neither made nor replaced."""
        self.step("write", path)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CLOEXEC), "wb") as theirs:
            theirs.write(data)

    def append(
        self,
        path: str,
        line_after: Callable[[bytes, int], bytes],
        *,
        section: str,
        window: int = TAIL_BYTES,
        durable: bool | None = None,
    ) -> int:
        """Add one line, computed from the end of the file while nobody else can write. Returns the file's new size.

        `line_after(tail, size)` sees the last `window` bytes. A last line that a crash tore gets its newline first,
        or it would swallow the new one. A write that the disk refuses is taken back whole. With an empty `section`
        the caller holds the lock already.
        """
        durable = self.durable if durable is None else durable
        with hold(section) if section else nullcontext():
            self.step("append", path)
            descriptor = self._open_to_append(path)
            try:
                size = os.fstat(descriptor).st_size
                start = max(0, size - window)
                tail = os.pread(descriptor, size - start, start)
                data = line_after(tail, size)
                if tail and not tail.endswith(b"\n"):
                    data = b"\n" + data
                try:
                    _write_all(descriptor, data)
                except OSError:
                    os.ftruncate(descriptor, size)
                    raise
                if durable:
                    # Refused, the line stays: others may have read it by now. The caller is told that it may not last.
                    self.step("fsync", path)
                    os.fsync(descriptor)
                return size + len(data)
            finally:
                os.close(descriptor)

    def move(self, source: str, target: str, *, durable: bool = False) -> None:
        """One rename. FileNotFoundError for the loser of a race."""
        self.step("rename", target)
        os.rename(source, target)
        if durable:
            self.sync_folder(os.path.dirname(target))

    def touch(self, path: str) -> None:
        """Renew a file that exists; never makes one. The time is the file server's, not ours."""
        self.step("utime", path)
        os.utime(path)

    def discard(self, path: str) -> None:
        """Remove a file that nobody can need any more. Gone already is as good."""
        self.step("unlink", path)
        self._drop(path)

    def discard_folder(self, path: str) -> None:
        """Remove a spent folder with all that is in it. No link is followed, not even one that a run put there."""
        waiting = [(path, False)]
        while waiting:  # and no recursion: a run may dig deeper than Python goes
            folder, is_empty = waiting.pop()
            with suppress(FileNotFoundError):
                if is_empty:
                    self.step("rmdir", folder)
                    os.rmdir(folder)
                elif os.path.islink(folder) or not os.path.isdir(folder):
                    self.discard(folder)
                else:
                    waiting.append((folder, True))
                    self.unlock(folder)
                    for entry in list(os.scandir(folder)):  # to the end, which closes it
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append((entry.path, False))
                        else:
                            self.discard(entry.path)

    # -- what the verbs are made of ------------------------------------------------------------------------------

    def folder(self, path: str) -> None:
        """Make a folder and its parents where they are missing. A folder carries no state, so this is no verb."""
        try:
            self.step("mkdir", path)
            os.mkdir(path)
        except FileExistsError:
            return
        except FileNotFoundError:
            above = os.path.dirname(path)
            if os.path.isdir(above):  # /proc says so of a folder that it will not have
                raise
            if above in self._home:
                raise gone(self._home[0]) from None
            self.folder(above)
            self.folder(path)
            return
        if self.durable:
            self.sync_folder(os.path.dirname(path))

    def link_to(self, path: str, target: str) -> None:
        """Make a symbolic link in a folder that is not published yet."""
        self.step("symlink", path)
        os.symlink(target, path)

    def settle(self, path: str, look: Callable[[int], T], *, durable: bool, apart_bytes: int = -1) -> T | None:
        """Make a plain file read-only, look at it, and wait until the disk has it: one open file for all three.

        One of up to `apart_bytes` is copied first: whoever has it open writes to what it was. None for what is no plain
        file. Being read-only is a courtesy to people: the digest is what protects a sealed file.
        """
        seen = os.lstat(path)
        if not stat.S_ISREG(seen.st_mode):
            return None
        # The same file has a name elsewhere, or may be open somewhere, and could change behind the seal.
        if seen.st_nlink > 1 or seen.st_size <= apart_bytes:
            self._detach(path, seen.st_mode)
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(path, flags)
        except PermissionError:  # an executor left a file that nobody may read
            os.chmod(path, _OWNER_READS)
            descriptor = os.open(path, flags)
        try:
            self.step("chmod", path)
            os.fchmod(descriptor, seen.st_mode & _READ_ONLY | _OWNER_READS)
            found = look(descriptor)
            if durable:
                self.step("fsync", path)
                os.fsync(descriptor)
            return found
        finally:
            os.close(descriptor)

    def _detach(self, path: str, mode: int) -> None:
        """Give the bundle a copy of its own of a file that has other names; those keep their mode and their bytes."""
        self.unlock(os.path.dirname(path))
        draft = self.draft_beside(path)
        try:
            try:
                self.copy(path, draft)
            except PermissionError:
                os.chmod(path, _OWNER_READS)
                self.copy(path, draft)
                os.chmod(path, stat.S_IMODE(mode))
            os.chmod(draft, stat.S_IMODE(mode))
            self.step("rename", path)
            os.rename(draft, path)
        except OSError:
            self._drop(draft)
            raise

    def unlock(self, path: str) -> bool:
        """Let the owner into a folder that a run locked behind itself. False when it was not its mode that refused."""
        mode = stat.S_IMODE(os.lstat(path).st_mode)
        if mode & _OWNER_ENTERS == _OWNER_ENTERS:
            return False
        self.step("chmod", path)
        os.chmod(path, mode | _OWNER_ENTERS)
        return True

    def sync_all(self, folder: str) -> bool:
        """Wait until the disk has everything on this file system; False where there is no such call."""
        self.step("fsync", folder)
        return machine.sync_file_system(folder)

    def sync_file(self, path: str) -> None:
        """Wait until the disk has a file."""
        self._sync(path, os.O_NOFOLLOW)

    def sync_folder(self, path: str) -> None:
        """Wait until the disk has the folder's names."""
        self._sync(path, os.O_DIRECTORY)

    def _sync(self, path: str, must_be: int) -> None:
        self.step("fsync", path)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | must_be)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def draft_beside(self, path: str) -> str:
        """A name in the same folder that nobody else uses, and that says which process to ask about it later.

        Two containers that share a disk can share a pid too, so the name says in which of them the pid means this.
        """
        self._drafts += 1
        self._token = self._token or f"{machine.here()}{os.urandom(2).hex()}"
        folder, name = os.path.split(path)
        name = os.fsencode(name)[:200].decode(errors="ignore")  # a name of 255 bytes would leave no room for ours
        return f"{folder}/.{name}.{self._token}-{os.getpid()}-{self._drafts}{layout.DRAFT_SUFFIX}"

    def _write_new(self, path: str, data: bytes | Iterable[bytes], *, durable: bool, mode: int) -> None:
        self.step("open", path)
        try:
            descriptor = os.open(path, _NEW, mode)
        except FileNotFoundError:
            self.folder(os.path.dirname(path))
            descriptor = os.open(path, _NEW, mode)
        try:
            self.step("write", path)
            for piece in (data,) if isinstance(data, bytes) else data:
                _write_all(descriptor, piece)
            if durable:
                self.step("fsync", path)
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _open_to_append(self, path: str) -> int:
        try:
            return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            self.folder(os.path.dirname(path))
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def _link(self, draft: str, path: str) -> None:
        try:
            os.link(draft, path)
        except OSError as error:
            if os.stat(draft).st_nlink == 2:  # noqa: PLR2004  # NFS: the reply was lost, the link was made
                return
            if error.errno in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                raise no_hard_links(os.path.dirname(path)) from error
            raise

    def _drop(self, path: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(path)

    def _drop_folder(self, path: str) -> None:
        """Take back a draft folder after a refused write. Only drafts: they hold plain files and folders of ours."""
        import shutil  # noqa: PLC0415  # of what hardly ever happens

        shutil.rmtree(path, ignore_errors=True)  # the disk may refuse this too; recovery clears drafts


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, data[written:])
