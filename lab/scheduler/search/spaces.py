"""Where the space of an experiment lies: named by a person, in the SPEC, or in a file of its workspace.

Asked before every run: the files are read again each time, and parsed only when their bytes are new.
"""

from __future__ import annotations

import hashlib
import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment, layout
from lab.core import space as spaces
from lab.core.errors import BadInput, LabError, NotFound, nearest
from lab.core.space import Space
from lab.core.subject import Finding
from lab.core.trial import luck
from lab.core.view import View
from lab.scheduler import cycle, places
from lab.scheduler.loop import scripts
from lab.scheduler.search.book import Book
from lab.scheduler.search.sought import NAMES
from lab.store import experiments, reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.spec import Spec
    from lab.store.root import Root

MAX_BYTES = 256 * 1024  # what `spec_text` reads
_DRAWN = 2_000
_PLACEHOLDER = re.compile(r"(?<!\{)\{params\.([^{}]+)\}")
_FIX = 'write each parameter as {"low": 0.001, "high": 0.1, "type": "float"}'


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A space, where it was written, and a digest of what it means: reordered keys of a file change nothing."""

    space: Space
    where: str
    digest: str


def find(root: Root, spec: Spec, view: View, given: str = "") -> Found | None:
    """The space of an experiment, or None where nobody wrote one. `given` is a file that a person named.

    Of a code loop only a space that somebody named counts: what lies in its workspace belongs to the code.

    An experiment has one space: `spec` is the SPEC that was read, not that of a tier, and the file is looked for in its
    workspace, whatever workspace a tier has of its own. A promoted run would else be no point of the next tier's space.
    `NotFound` when a file that was named is not there, `BadInput` when it cannot be used. Constraints that no point
    meets are not found out here: `require_possible` draws.
    """
    if given:
        return named(os.path.expanduser(given))
    if isinstance(spec.search_space, Space):
        return _found(spec.search_space, f"experiments/{spec.id}/{layout.SPEC}")
    there = places.workspace(root, spec, view)
    beside = places.folders(root, view)
    if spec.search_space:
        return _of_spec(spec.search_space, [there, *beside] if there else list(beside))
    if scripts.is_loop(spec):
        return None  # its runs would claim parameters that nothing heeds
    return _lying(there or beside[0])


def shown(root: Root, spec: Spec | None, view: View) -> tuple[Space | None, tuple[Finding, ...]]:
    """For whoever only tells of it: a space that cannot be used wants a person, and keeps nobody from the rest."""
    if spec is None:
        return None, ()
    try:
        found = find(root, spec, view)
    except LabError as refused:
        return None, (Finding(what=refused.what, where=refused.where, fix=refused.fix),)
    except OSError as error:
        return None, (Finding(what=f"the search space cannot be read: {error.strerror}", where=view.experiment),)
    return (found.space if found else None), ()


def named(path: str) -> Found:
    """The space in a file."""
    data = reading.read_given(path, MAX_BYTES + 1) if not os.path.isdir(path) else None
    if data is None:
        raise NotFound("there is no such search-space file", where=path, fix="correct the path; it is seen from here")
    return _read(data, path)


def of(root: Root, experiment: str, given: str = "") -> Found | None:
    """The space of an experiment of this lab, as its next run would find it."""
    experiments.require(root, experiment)
    with root.section(experiment):
        view, loaded = cycle.observe(root, experiment)
    return find(root, cycle.usable(loaded), view, given)


def in_file(root: Root, path: str) -> Found | None:
    """The space in a file, or the one of the SPEC in it, as it would be found once an experiment is made from it."""
    from lab.core import spec_text  # noqa: PLC0415  # yaml: not for a space that was read before

    data = reading.read_given(path, MAX_BYTES + 1) or b""
    try:
        is_spec = not isinstance(spec_text.parse_text(data, path)[0].get("id", {}), dict)
    except BadInput:
        is_spec = False
    if not is_spec:
        return _read(data, path)
    spec = experiments.parse_spec(data, path)
    view = View(experiment=spec.id, created_from=os.path.dirname(os.path.abspath(path)), created_in=os.getcwd())
    return find(root, spec, view)


def at(spec: Spec, workspace: str, folders: Sequence[str]) -> Space | None:
    """The space of a SPEC, wherever that lies; None where nobody wrote one. `folders` are those beside it."""
    if isinstance(spec.search_space, Space):
        return spec.search_space
    places_of_it = [each for each in (workspace, *folders) if each]
    if spec.search_space:
        return _of_spec(spec.search_space, places_of_it).space
    found = None if scripts.is_loop(spec) else _lying(places_of_it[0])
    return found.space if found else None


def share_met(space: Space, where: str = "") -> float:
    """Which share of drawn points meets the constraints. `BadInput` when none does, with `where` it was written."""
    if not space.constraints:
        return 1.0
    free = msgspec.structs.replace(space, constraints=())
    rng = luck(0, 0, "share")
    met = sum(assignment.meets(space, assignment.draw(free, rng)) for _ in range(_DRAWN))
    if not met:
        require_possible(space, where)
    return max(met, 1) / _DRAWN


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """How many runs with parameters there are, and those that are no point of the space, each with the reason."""

    runs: int
    names: dict[str, str]


def outside(root: Root, experiment: str, space: Space) -> Outside:
    """Which sealed runs a search in this space cannot learn from. Those whose names and ranges still fit are mapped."""
    book = Book(root, experiment)
    book.catch_up()
    names = {each.run_id: _why(space, each.params or {}) for each in book.ended}
    return Outside(runs=len(book.ended), names={name: why for name, why in names.items() if why})


def unfilled(root: Root, experiment: str, space: Space) -> list[str]:
    """What the experiment's commands and this space do not agree on, a line each: placeholders, knobs that both say."""
    loaded = experiments.load(root, experiment)
    return [] if loaded.spec is None else at_odds(loaded.spec, space)


def at_odds(spec: Spec, space: Space) -> list[str]:
    """What the commands of a SPEC and this space do not agree on, a line each."""
    by_name = {each.name: each for each in space.parameters}
    found = []
    for name in placeholders_of(spec):
        if name not in by_name:
            near = nearest(name, space.names)
            found.append(f"{{params.{name}}} is no parameter" + (f"; did you mean {near}?" if near else ""))
        elif by_name[name].when:
            found.append(
                f"{{params.{name}}} has no value in runs where {name} does not count, and they fail: "
                "let the program read params.json, LAB_PARAM_* or its config file"
            )
    return found + _said_twice(spec, space)


def placeholders_of(spec: Spec) -> list[str]:
    """The parameters that its commands name, in any tier."""
    commands = {
        command
        for tier in spec.fidelity_tiers
        for here in (spec.for_tier(tier),)
        for command in (here.executor_command, here.validation_command)
    }
    return list(dict.fromkeys(each for command in sorted(commands) for each in _PLACEHOLDER.findall(command)))


def _said_twice(spec: Spec, space: Space) -> list[str]:
    from lab.executors import training  # noqa: PLC0415  # for those that train

    found = []
    for tier in spec.fidelity_tiers:
        here = spec.for_tier(tier)
        try:
            if here.executor == training.NAME:
                training.require_single(here, space.names)
        except BadInput as refusal:
            found.append(f"{refusal.what}; {refusal.fix}")
    return list(dict.fromkeys(found))


def _why(space: Space, params: dict[str, object]) -> str:
    if assignment.brought_over(space, params) is not None:
        return ""
    known = {name: value for name, value in params.items() if name in space.names}
    wrong = assignment.problems(space, known)
    return "; ".join(wrong[:3]) or "it is no point of this space"


def require_possible(space: Space, where: str = "") -> None:
    """`BadInput` when none of many drawn points meets the constraints: a search in it would loop or stand still."""
    if not space.constraints:
        return
    try:
        _drawn(spaces.encode(space))
    except BadInput as refused:
        raise BadInput(refused.what, where=where, fix=refused.fix) from None


def _of_spec(written: str, folders: list[str]) -> Found:
    path = os.path.expanduser(written)
    meant = [os.path.normpath(f"{folder}/{path}") for folder in folders] if not os.path.isabs(path) else [path]
    for place in meant:
        data = reading.read(place)
        if data is not None:
            return _read(data, place)
    raise NotFound(
        f"the search_space of the SPEC is not there; looked for {', '.join(meant)}",
        fix="correct search_space in SPEC.yaml; it is looked for in the workspace and beside the SPEC",
    )


def _lying(folder: str) -> Found | None:
    lying = {f"{folder}/{name}": reading.read(f"{folder}/{name}") for name in NAMES}
    there = {path: data for path, data in lying.items() if data is not None}
    if len(there) > 1:
        what = f"there are two search spaces: {' and '.join(os.path.basename(path) for path in there)}"
        raise BadInput(what, where=folder, fix="keep one of them, or name one as search_space in SPEC.yaml")
    return next((_read(data, path) for path, data in there.items()), None)


@lru_cache(maxsize=64)
def _read(data: bytes, where: str) -> Found:
    from lab.core import spec_text  # noqa: PLC0415  # the same

    if not data.strip():
        raise BadInput("the file is empty", where=where, fix=_FIX)
    try:
        mapping = spec_text.parse_text(data, where)[0]
    except BadInput as refused:
        mapping = _json(data, where, refused)
    return _found(spaces.parse(mapping, where), where)


def _json(data: bytes, where: str, refused: BadInput) -> dict[str, object]:
    """What is JSON and no YAML (an emoji written as two escapes); for anything else, why it was refused."""
    import json  # noqa: PLC0415  # for a file that is broken, or nearly so

    if not where.endswith(".json") or len(data) > MAX_BYTES:
        raise refused
    try:
        read = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_once)
    except json.JSONDecodeError as trouble:
        at = f"{where} line {trouble.lineno}"
        raise BadInput(f"this is not JSON: {trouble.msg}", where=at, fix="mend this line") from None
    except (ValueError, RecursionError):  # a key that is there twice, text that is no UTF-8, nesting without end
        raise refused from None
    if not isinstance(read, dict):
        raise refused
    return read


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is here twice")
    return found


def _found(space: Space, where: str) -> Found:
    return Found(space=space, where=where, digest=hashlib.sha256(spaces.encode(space)).hexdigest())


@lru_cache(maxsize=64)
def _drawn(encoded: bytes) -> None:
    """Kept by the bytes: two spaces that Python calls equal may differ, in a choice that is 1 here and true there."""
    assignment.draw(spaces.decode(encoded), luck(0, 0, "possible"))
