"""Which engine a run goes to: the lab's engines.yaml over the one that comes with labctl, class by class.

A table that cannot be read refuses every run that would ask it. To go on without it would start on this machine what
was meant for another.
"""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from typing import TYPE_CHECKING

from lab.core import engines
from lab.core.errors import BadInput, LabError, Unavailable, nearest
from lab.core.layout import ENGINES
from lab.store import reading, refusals, shipped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.job import Wants
    from lab.core.spec import Spec
    from lab.store.root import Root

DEFAULT = "default"  # the class of SPECs that name none


def chosen(root: Root, spec: Spec, *, engine: str = "") -> Wants | None:
    """What the job of a run of this SPEC, its tier applied, asks for; None when the run happens here, in this process.

    `engine` is what a person said and goes before the table: `here` is none. `BadInput` where that is no engine, or
    where the table cannot be read.
    """
    if engine == engines.HERE:
        return None
    if engine:
        require(engine)
    wants = engines.choose(table(root), spec.executor_class, engine)
    if wants is not None and wants.engine == engines.WORKER:
        what = f"the class {spec.executor_class} is for workers, as engines.yaml says"
        raise BadInput(what, fix=f"labctl worker --executor-class {spec.executor_class}; --engine here runs it here")
    return wants


def is_for_workers(root: Root, spec: Spec) -> bool:
    """Whether the table leaves the runs of a SPEC, its tier applied, to `labctl worker` and `labctl courier`."""
    row = table(root).get(spec.executor_class)
    return row is not None and row.engine == engines.WORKER


def placed_classes(root: Root) -> frozenset[str]:
    """The classes whose runs are an engine's: a worker that was not told of them leaves them alone."""
    nobody = (engines.HERE, engines.WORKER)
    return frozenset(name for name, row in table(root).items() if row.engine not in nobody)


def table(root: Root) -> Mapping[str, Wants]:
    """The rows that count, by class. `BadInput` names the file and the line; `Unavailable` where it may not be read."""
    own = rows_of(root.layout.engines)
    try:
        common = rows_of(shipped.config_path(ENGINES))
    except Unavailable:  # an installation without its config still runs what the lab says
        common = {}
    return {**common, **own} if common else own


def doubts(root: Root, spec: Spec) -> list[str]:
    """What is to be said of a SPEC beside the table: its class looks like one that has a row, or nothing would run."""
    try:
        rows = table(root)
    except LabError as broken:
        where = f" ({broken.where})" if broken.where else ""
        return [f"nothing would run: {' '.join(broken.what.split())}{where}"]
    classes = dict.fromkeys(spec.for_tier(tier).executor_class for tier in spec.fidelity_tiers)
    told = [slip(rows, each) for each in classes]
    if spec.tinker is not None and spec.tinker.is_local:
        told += [
            _apart(row, spec.tinker.url) for each in classes if (row := engines.choose(rows, each, "")) is not None
        ]
    return [each for each in dict.fromkeys(told) if each]


def _apart(row: Wants, url: str) -> str:
    """What is to be said of a training whose address means another machine where its runs are made."""
    from lab.engines import door  # noqa: PLC0415  # for trainings that an engine places

    if row.engine == engines.WORKER or unfit(row.engine) or getattr(door.find(row.engine), "hands_on", False):
        return ""
    return f"{url} is, for the engine {row.engine}, the machine that a run is placed on: a server must listen there"


def slip(rows: Mapping[str, Wants], executor_class: str) -> str:
    """What is to be said of a class that has no row, while one of nearly that name has one; else nothing."""
    near = "" if executor_class in (*rows, DEFAULT) else nearest(executor_class, tuple(rows))
    if not near:
        return ""
    return f"the class {executor_class} has no row in engines.yaml, so its runs happen here; {near} has one"


def require(name: str) -> None:
    """Refuse what is no engine, with what is one."""
    problem = unfit(name)
    if problem:
        raise BadInput(problem, fix="labctl doctor says which engines there are and how they are")


def unfit(name: str) -> str:
    """What is wrong with the name of an engine; nothing, where there is one of that name."""
    from lab.engines import door  # noqa: PLC0415  # a lab without engines does not load them

    if name in door.BUILT_IN or name == engines.HERE:
        return ""
    known = (engines.HERE, *door.names())
    if name in known:
        return ""
    near = nearest(name[:100], known)
    return f"there is no engine {name[:100]!r}; " + (f"did you mean {near}?" if near else f"known: {', '.join(known)}")


def rows_of(path: str) -> Mapping[str, Wants]:
    """The rows of one file; none where there is no file."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise refusals.refused(error) from None
    if not stat.S_ISREG(found.st_mode):
        # A link may lead to nothing on the node that asks next, and then the same lab would run elsewhere.
        what = "a link" if stat.S_ISLNK(found.st_mode) else "no plain file"
        raise BadInput(f"engines.yaml is {what}", where=path, fix="put a plain file there, or nothing")
    return _parsed(path, found.st_mtime_ns, found.st_size, found.st_ino)


@lru_cache(maxsize=8)
def _parsed(path: str, mtime_ns: int, size: int, inode: int) -> Mapping[str, Wants]:
    """Once for each state of a file: a burst asks before every run."""
    del mtime_ns, size, inode
    try:
        data = reading.read_head(path, engines.MAX_BYTES + 1)
    except OSError as error:
        raise refusals.refused(error) from None
    if data is None or (engines.is_blank(data) and len(data) <= engines.MAX_BYTES):
        return {}
    from lab.core import engines_text  # noqa: PLC0415  # YAML, for a table that has rows

    return engines_text.parse(data, path, unfit)
