"""Which class of experiments runs where: the rows of engines.yaml, and what follows from them for one run.

How the file is written, and what is refused in it, is in `engines_text`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lab.core.job import Wants

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE: Final = "here"  # no engine: the process that asks for the run is where it happens
WORKER: Final = "worker"  # no engine: `labctl worker` or `labctl courier` takes the run, and the crank leaves it alone
MAX_BYTES = 256 * 1024

# What asks a place for something, whatever the engine; the rest means something only to the one that the row names.
_EVERYWHERE = ("gres", "nodes", "cpus", "memory", "max_in_flight")


def is_blank(data: bytes) -> bool:
    """Whether nothing but comments stands in a table: no class runs anywhere else. It costs no YAML to see that.

    A file with nothing at all in it is not one of those: an editor that was interrupted leaves it, and runs that are
    meant for a cluster would start on this machine.
    """
    if not data.strip():
        return False
    lines = (line.strip() for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"))
    return all(line in (b"", b"---") or line.startswith(b"#") for line in lines)


def choose(rows: Mapping[str, Wants], executor_class: str, engine: str = "") -> Wants | None:
    """What the jobs of a class ask for; None where its runs happen here. `engine` goes before what the table says."""
    row = rows.get(executor_class)
    if not engine:
        return None if row is None or row.engine == HERE else row
    if engine == HERE:
        return None
    if row is None:
        return Wants(engine=engine)
    if row.engine == engine:
        return row
    # The same needs elsewhere. A partition, a set-up or an address of one engine is nonsense at another.
    return Wants(engine=engine, **{name: getattr(row, name) for name in _EVERYWHERE})
