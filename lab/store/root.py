"""A data root, open: its places, its writer, its clock."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core.errors import Unavailable
from lab.core.layout import Layout
from lab.core.world import stamp
from lab.store.files import Files
from lab.store.sections import hold

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from lab.core.world import World

DEFAULT = "./lab-data"
VARIABLES = ("LAB_DATA_ROOT", "HERMES_LAB_DATA_ROOT")


class Root:
    """What every part of the store is given. It holds no state of the lab: that is all on the disk."""

    def __init__(self, path: str, world: World, *, files: Files | None = None) -> None:
        self.layout = Layout(path)
        self.world = world
        self.files = files or Files()

    def now(self) -> str:
        """The moment, as the files write it."""
        return stamp(self.world.now())

    def section(self, experiment: str) -> AbstractContextManager[None]:
        """The short section in which one experiment's seals, takeovers and decisions are put in one order."""
        return hold(self.layout.section(experiment))


def located(environ: dict[str, str] | os._Environ[str]) -> str:
    """The data root that the environment names, else `./lab-data`."""
    for variable in VARIABLES:
        if environ.get(variable):
            return os.path.abspath(os.path.expanduser(environ[variable]))
    return os.path.abspath(DEFAULT)


def require(path: str) -> None:
    """Refuse a folder that is not a lab: a command that only looks must never make one in some other place."""
    if os.path.isdir(f"{path}/registry") and os.path.isdir(f"{path}/experiments"):
        return
    what = "this folder is not a lab" if os.path.isdir(path) else "there is no lab here"
    raise Unavailable(what, where=path, fix="labctl init (or: export LAB_DATA_ROOT=/path/to/your/lab)")
