"""Who this process is, and whether another one still lives.

A pid proves nothing: it is reused, and a zombie answers `kill -0` for ever. A process is named by boot id, pid
namespace, pid and start time; where the first differs from ours nothing can be known, and nothing is claimed. Of other
pid namespaces only the machine's first one can tell, which sees the processes of all.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from typing import TYPE_CHECKING

from lab.core.claim import Owner

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_TICKS = 19  # field 22 of /proc/PID/stat, counted from the state field
HERE_CHARS = 8
_DEAD = frozenset("ZXx")
_FIRST_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO: of the pid namespace in which Linux begins, on every machine


def this_process(name: str) -> Owner:
    """The owner record of the process that calls."""
    pid = os.getpid()
    _, start = _state_and_start(pid)
    return Owner(name=name, host=host(), boot_id=_boot_id(), pid_namespace=_pid_namespace(), pid=pid, start_ticks=start)


@cache
def host() -> str:
    """This machine's name, with its machine id where there is one: cloned hosts are often all called `localhost`."""
    machine = _text("/etc/machine-id")[:8]
    return f"{os.uname().nodename}/{machine}" if machine else os.uname().nodename


def alive(owner: Owner) -> bool | None:
    """True or False where it can be proven, None where it cannot: another host, another pid namespace, no /proc."""
    boot_id, namespace = _boot_id(), _pid_namespace()
    if not owner.boot_id or not owner.pid or not boot_id or not namespace or owner.host != host():
        return None  # also when /proc cannot be read: not seeing a process is no proof that it is gone
    if owner.boot_id != boot_id:
        return False  # this very machine has started again since
    if owner.pid_namespace != namespace:
        # Else a project that was killed in its fence would wait for the lease of the run that it had under way.
        return False if namespace == _FIRST_NAMESPACE and _is_nowhere(owner) else None
    state, start = _state_and_start(owner.pid)
    if not state:
        return False if _nobody(owner.pid) else None
    return start == owner.start_ticks and state not in _DEAD


def has_restarted(owner: Owner) -> bool:
    """Whether this very machine has started again since that process was: what was not synced may be lost."""
    boot_id = _boot_id()
    return bool(owner.boot_id and boot_id) and owner.host == host() and owner.boot_id != boot_id


def _is_nowhere(owner: Owner) -> bool:
    """Whether no process of this machine is called so in that pid namespace. False where /proc hides any.

    Its start time is no help: who has no /proc of its own there has read that of another process with its pid.
    """
    if not _text("/proc/1/status"):
        return False
    for name in _listed("/proc"):
        if not name.isdecimal():
            continue
        pids = _pids(name)
        if not pids and os.path.exists(f"/proc/{name}"):
            return False
        if len(pids) > 1 and pids[-1] == owner.pid and _pid_namespace(name) in (owner.pid_namespace, 0):
            state, _ = _state_and_start(int(name))
            if state and state not in _DEAD:
                return False
    return True


def _pids(name: str) -> list[int]:
    """What a process is called in each pid namespace that it is in, ours first."""
    found = [line for line in _text(f"/proc/{name}/status").splitlines() if line.startswith("NSpid:")]
    return [int(pid) for pid in found[0].split()[1:]] if found else []


def here() -> str:
    """Where a pid of ours means something: this boot of this machine, in this pid namespace."""
    return hashlib.sha256(f"{_boot_id()}/{_pid_namespace()}/{host()}".encode()).hexdigest()[:HERE_CHARS]


def is_gone(where: str, pid: int) -> bool:
    """Whether a pid of a place is proven to be nobody. False when it may be somebody, or when nothing can be known."""
    return where == here() and bool(_boot_id()) and _nobody(pid)


def is_there(where: str, pid: int) -> bool:
    """Whether a pid of a place is seen to be somebody, here. Not quite the opposite: of other places neither is known.

    It may be another process by now, to which the number was given.
    """
    return where == here() and bool(_boot_id()) and not _nobody(pid)


def writers(folder: str) -> list[int]:
    """Processes that work in a folder or hold a file of it open, as far as this process may see them."""
    folder = os.path.realpath(folder)  # /proc tells where things are, not how they were reached
    pids = [name for name in _listed("/proc") if name.isdecimal()]
    return sorted(int(pid) for pid in pids if any(_inside(link, folder) for link in _links(pid)))


def _links(pid: str) -> Iterator[str]:
    yield f"/proc/{pid}/cwd"
    for name in _listed(f"/proc/{pid}/fd"):
        yield f"/proc/{pid}/fd/{name}"


def _inside(link: str, folder: str) -> bool:
    try:
        target = os.readlink(link)
    except OSError:
        return False
    return target == folder or target.startswith(f"{folder}/")


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # another user's process, or none any more


def _nobody(pid: int) -> bool:
    """Whether the kernel says that there is no such process; /proc can hide the processes of others."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _state_and_start(pid: int) -> tuple[str, int]:
    """State letter and start time of a process; an empty state when it is not there."""
    text = _text(f"/proc/{pid}/stat")
    fields = text[text.rfind(")") + 2 :].split()
    if len(fields) <= _START_TICKS:
        return "", 0
    return fields[0], int(fields[_START_TICKS])


@cache
def _boot_id() -> str:
    """Which boot this is. Asked once: a machine that looks at a thousand claims is the same one all the time."""
    return _text("/proc/sys/kernel/random/boot_id")


def _pid_namespace(name: str = "self") -> int:
    """Which pid namespace a process is in; 0 of one that we may not look at."""
    try:
        return os.stat(f"/proc/{name}/ns/pid").st_ino
    except OSError:
        return 0


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def sync_file_system(folder: str) -> bool:
    """Flush the whole file system; False where the machine has no such call."""
    import ctypes  # noqa: PLC0415  # 3 ms, wanted only for bundles with many files

    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        return False
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return bool(call(descriptor) == 0)
    finally:
        os.close(descriptor)
