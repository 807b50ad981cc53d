"""What the machine would not do, as errors that say what to mend."""

from __future__ import annotations

import errno
import os

from lab.core.errors import Unavailable

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def refused(error: OSError) -> Unavailable:
    where = error.filename if isinstance(error.filename, str) else ""
    if error.errno in NO_SPACE:
        what, fix = "the disk is full; nothing that was sealed is lost", "free some space, then: labctl recover"
    elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        what = f"this may not be read or written: {error.strerror}"
        fix = "run as the owner of these files, or point LAB_DATA_ROOT at a folder that you may write"
    elif error.errno == errno.EISDIR:
        what, fix = "this is a folder, and a file is wanted", "name a file, or put this folder elsewhere"
    elif error.errno == errno.ENOTDIR:
        what, fix = "a part of this path is a file, and a folder is wanted", "look at each part of it: ls -ld"
    elif error.errno == errno.ENOENT and _is_nowhere():
        what, fix = "the folder that this was typed in is not there any more", "cd to one that is, and type it again"
    else:
        what, fix = f"the machine refused: {error.strerror or error}", "look at the disk, then: labctl recover"
    return Unavailable(what, where=where, fix=fix)


def _is_nowhere() -> bool:
    try:
        os.getcwd()
    except OSError:
        return True
    return False


def no_hard_links(folder: str) -> Unavailable:
    """The refusal of a file system on which a claim could be half written."""
    return Unavailable(
        "this file system has no hard links, and the lab publishes every claim and seal with one",
        where=folder,
        fix="put the data root on ext4, xfs, btrfs, apfs, zfs, tmpfs or NFS: export LAB_DATA_ROOT=/path/on/such/a/disk",
    )


def gone(place: str) -> Unavailable:
    """A data root that was moved, removed or unmounted since it was opened."""
    fix = "mount its disk, or put the folder back where it was: nothing of it is known until then"
    return Unavailable("the data root is not there any more", where=place, fix=fix)
