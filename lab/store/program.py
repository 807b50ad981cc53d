"""`labctl` as another program can start it, with no environment at all."""

from __future__ import annotations

import os
import sys

from lab.core.errors import Unavailable
from lab.store import shipped


def words() -> list[str]:
    """The command before its verb.

    The script beside the interpreter stays when the interpreter of that environment is replaced; a checkout without an
    installation has a shim of its own.
    """
    if not os.path.isabs(sys.executable or ""):
        raise Unavailable("this Python does not know where it lies", fix="install labctl into a virtual environment")
    beside = os.path.join(os.path.dirname(sys.executable), "labctl")
    shim = _shim()
    if os.access(beside, os.X_OK):
        return [beside]
    if os.path.isfile(shim):
        return [sys.executable, shim]
    return [sys.executable, "-c", "from lab.cli.main import entry; entry()"]


def same() -> list[str]:
    """The same of this very copy, for a part of what it does itself: another one may be installed beside the Python."""
    shim = _shim()
    return [sys.executable, shim] if os.path.isfile(shim) and os.path.isabs(sys.executable or "") else words()


def _shim() -> str:
    return os.path.join(os.path.dirname(shipped.PACKAGE), "scripts/labctl.py")
