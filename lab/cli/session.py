"""The surroundings of one command: its data root and, for commands that need them, its clock and its writer."""

from __future__ import annotations

import os

from lab.core.errors import Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.cli.terminal import Terminal
    from lab.store.root import Root


class Session:
    """What a verb is given besides its arguments. `root()` loads the store; a verb that only reads an index may not."""

    def __init__(self, terminal: Terminal, data_root: str) -> None:
        self.terminal = terminal
        self.path = data_root

    @property
    def actor(self) -> str:
        """Whom a decision is written down for."""
        environ = os.environ
        name = environ.get("LABCTL_ACTOR") or environ.get("USER") or environ.get("LOGNAME") or f"uid-{os.getuid()}"
        return name.encode(errors="backslashreplace").decode()

    def root(self, *, existing: bool = True) -> Root:
        """The data root, open. A folder that is no lab is refused, never made into one."""
        from lab.cli.surroundings import the_world  # the world is built only for commands that need one
        from lab.store import root as store

        if existing:
            store.require(self.path)
        return store.Root(self.path, the_world())

    def require_traces(self) -> None:
        """Refuse to recover what shows no trace of a lab: recovering must not make one in some other place."""
        from lab.store import root

        root.refuse_foreign(self.path)
        if not root.has_traces(self.path):
            fix = "labctl init makes a lab; --data-root or LAB_DATA_ROOT names one"
            raise Unavailable("there is no trace of a lab here", where=self.path, fix=fix)


def locate(flag: str, environ: os._Environ[str]) -> str:
    """The data root: the flag, else `$LAB_DATA_ROOT`, else `$HERMES_LAB_DATA_ROOT`, else `./lab-data`."""
    chosen = flag or environ.get("LAB_DATA_ROOT") or environ.get("HERMES_LAB_DATA_ROOT") or "./lab-data"
    return os.path.abspath(os.path.expanduser(chosen))
