"""bwrap: a program that starts another among mounts that can only be read, those apart that are named.

It reaches what Landlock does not: modes and times, files that stay as they are below a folder that may be written, and
files that cannot be seen. It costs a process that lives as long as the program.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import msgspec

from lab.core.launch import Fence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# Where only root puts programs. One that is found by PATH may be what an earlier candidate left there.
_PLACES = ("/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap", "/run/current-system/sw/bin/bwrap")
SHARED = "/dev/shm"  # noqa: S108  # nothing is put there
_SOMEBODY = 1000  # root is nobody special inside
_ASK_S, _SAID_CHARS = 10.0, 200
_GPUS = ("nvidia", "dri", "kfd", "accel", "dxg", "infiniband")
# Who listens there does what it is asked, outside; Docker's would write any file of the machine.
_SERVANTS = (
    "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/crio/crio.sock",
    "/run/dbus/system_bus_socket", "/run/systemd/private", "/run/user",
)  # fmt: skip
_tried: dict[str, str] = {}


def is_in_shared(fence: Fence) -> bool:
    """Whether something that may be written lies in shared memory, which every program may write to."""
    return any(path.startswith(f"{SHARED}/") for path in fence.writable)


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """For whom it is started."""

    uid: int
    gid: int


def argv(
    program: str, fence: Fence, cwd: str, *, owner: Owner, folders: Collection[str] = (), devices: Iterable[str] = ()
) -> tuple[str, ...]:
    """The words to put before those of the program to be started. `folders` are those of the hidden that are folders.

    Shared memory is its own, but where the lab itself lies there: then what lies beside could not be seen.

    Pure. A later mount covers an earlier one, so what lies deeper comes later: a folder that may be written below one
    that is hidden, and a file that is frozen below that.
    """
    mounts: list[tuple[list[str], list[str]]] = []
    for path in fence.hidden:
        how = ["--tmpfs", path] if path in folders else ["--ro-bind", "/dev/null", path]
        mounts.append((path.split("/"), how))
    mounts += [(path.split("/"), ["--bind", path, path]) for path in fence.writable]
    mounts += [(path.split("/"), ["--ro-bind", path, path]) for path in fence.frozen]
    mounts.sort(key=lambda mount: mount[0])  # stable: of one path, frozen is said last
    inside = Owner(uid=_SOMEBODY, gid=_SOMEBODY) if owner.uid == 0 else owner
    return (
        program, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
        *(word for device in devices for word in ("--dev-bind", device, device)),
        *(("--bind", SHARED, SHARED) if is_in_shared(fence) else ()),
        *(word for _, words in mounts for word in words),
        *(word for path in fence.hidden if path in folders for word in ("--remount-ro", path)),
        "--unshare-all", "--share-net", "--unshare-user", "--disable-userns",
        "--uid", str(inside.uid), "--gid", str(inside.gid),
        "--cap-drop", "ALL", "--die-with-parent", "--new-session", "--chdir", cwd, "--",
    )  # fmt: skip


def found(fence: Fence, cwd: str) -> tuple[str, ...]:
    """As `argv`, with what this machine has. All paths are real ones: bwrap makes a mount where a link points from."""
    hidden = (*fence.hidden, *filter(os.path.exists, _SERVANTS))
    real = msgspec.structs.replace(
        fence,
        writable=tuple(map(os.path.realpath, fence.writable)),
        frozen=tuple(os.path.realpath(path) for path in fence.frozen if os.path.exists(path)),
        hidden=tuple({os.path.realpath(path): None for path in hidden if os.path.exists(path)}),
    )
    devices = [f"/dev/{name}" for name in sorted(os.listdir("/dev")) if name.startswith(_GPUS)]
    folders = {path for path in real.hidden if os.path.isdir(path)}
    owner = Owner(uid=os.getuid(), gid=os.getgid())
    return argv(program(), real, cwd, owner=owner, folders=folders, devices=devices)


def program() -> str:
    """Where it is; empty where it is not."""
    return next((path for path in _PLACES if os.access(path, os.X_OK)), "")


def trouble() -> str:
    """Why it cannot be used here; empty when it can. Tried once: a container may forbid it."""
    path = program()
    if not path:
        return "bwrap is not installed"
    if path not in _tried:
        asked = (*found(Fence(writable=()), "/"), "/bin/sh", "-c", ":")
        try:
            done = subprocess.run(asked, capture_output=True, stdin=subprocess.DEVNULL, timeout=_ASK_S, check=False)
            said = done.stderr.decode(errors="replace").strip() or f"it ended with {done.returncode}"
            _tried[path] = f"bwrap does not work here: {said[:_SAID_CHARS]}" if done.returncode else ""
        except (OSError, subprocess.SubprocessError) as error:
            _tried[path] = f"bwrap does not work here: {error}"
    return _tried[path]
