"""An Optuna study as it lies in a journal file or a database. Only reads; a database file is opened read-only.

A journal is read without Optuna's lock, which a killed process leaves behind for half a minute, and a last line that a
crash tore is passed over, where Optuna itself would refuse the whole file. Needs optuna.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
import optuna
from optuna.storages import JournalStorage, RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from lab.core import canonical
from lab.core.errors import BadInput, NotFound, Unavailable, nearest
from lab.core.world import stamp
from lab.projections import text
from lab.scheduler.results.optuna_journal import Pages, quiet
from lab.store import reading

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

COMPLETE, FAILED, PRUNED, OPEN = "complete", "failed", "pruned", "open"
_STATES = {"COMPLETE": COMPLETE, "FAIL": FAILED, "PRUNED": PRUNED}
_MOST_BYTES = 1 << 30
_SQLITE = b"SQLite format 3\0"


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A trial of a study. `state` is one of the words above; times are ours: UTC, or empty."""

    number: int
    state: str
    value: float | None
    params: dict[str, object]
    started_at: str
    ended_at: str
    curve: tuple[tuple[float, float], ...]
    attributes: dict[str, object]

    @property
    def mark(self) -> str:
        """A few letters by which this trial differs from another of its number, in whatever file the study lies."""
        told = repr((self.state, self.value, sorted(self.params.items())))
        return canonical.digest(canonical.plain(told).encode())[:8]


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """A study. `source` says where it lies, without any password."""

    name: str
    source: str
    minimize: bool
    trials: tuple[Trial, ...]
    attributes: dict[str, object]


def read(given: str, wanted: str = "") -> Study:
    """The study of that name, or the only one. `BadInput` where it cannot be used, with the names that there are."""
    with quiet():
        storage, source = _storage(given)
        try:
            names = tuple(optuna.get_all_study_names(storage))
            name = _chosen(names, wanted, source)
            study = optuna.load_study(study_name=name, storage=storage)
            directions = [direction.name for direction in study.directions]
            if len(directions) != 1:
                what = f"the study {text.line(name)} has {len(directions)} objectives; an experiment has one metric"
                raise BadInput(what, where=source, fix="name a study with one objective: --study NAME")
            return Study(
                name=name,
                source=source,
                minimize=directions[0] != "MAXIMIZE",
                trials=tuple(_trial(each) for each in study.get_trials(deepcopy=False)),
                attributes=dict(study.user_attrs),
            )
        except SQLAlchemyError as error:
            raise _no_storage(source, str(error)) from error


def _chosen(names: tuple[str, ...], wanted: str, source: str) -> str:
    if not names:
        raise BadInput("there is no study in it", where=source)
    if wanted in names:
        return wanted
    listed = ", ".join(text.line(name) for name in names[:20])
    if wanted:
        near = nearest(wanted, names)
        fix = f"did you mean {text.line(near)}?" if near else f"it has {listed}"
        raise NotFound(f"there is no study {wanted} in it", where=source, fix=fix)
    if len(names) > 1:
        raise BadInput(f"there are {len(names)} studies in it", where=source, fix=f"--study NAME, one of {listed}")
    return names[0]


def _storage(given: str) -> tuple[BaseStorage, str]:
    if "://" in given and not given.startswith("sqlite:///"):
        return _database(given, str(make_url(given).set(query={}).render_as_string(hide_password=True)))
    path = os.path.abspath(os.path.expanduser(given.removeprefix("sqlite:///")))
    source = canonical.plain(path)
    head = reading.read_given(path, len(_SQLITE)) if not os.path.isdir(path) else None
    if head is None:
        raise NotFound("there is no such file", where=source, fix="name a journal file, or sqlite:///PATH")
    if head == _SQLITE:
        return _database(f"sqlite:///file:{quote(path)}?mode=ro&uri=true", source)
    return _journal(path, source), source


def _database(url: str, source: str) -> tuple[BaseStorage, str]:
    try:
        return RDBStorage(url), source
    except ImportError as missing:  # in Optuna's words when it is the driver
        name = url.partition(":")[0]
        raise Unavailable(f"there is no driver for {name}", where=source, fix="pip install the driver") from missing
    except (SQLAlchemyError, RuntimeError) as error:  # the second: it was written by another version of Optuna
        raise _no_storage(source, str(error)) from error


def _no_storage(source: str, why: str) -> BadInput:
    first = text.line(why.strip().partition("\n")[0])
    return BadInput(f"this cannot be read as an Optuna storage: {first}", where=source)


def _journal(path: str, source: str) -> BaseStorage:
    data = reading.read_given(path, _MOST_BYTES) or b""
    logs: list[dict[str, object]] = []
    lines = data.split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):  # what stands behind the last line end is nothing, or torn
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        if not isinstance(entry, dict) or not isinstance(entry.get("op_code"), int):
            raise BadInput("this is no Optuna journal", where=f"{source} line {number}")
        logs.append(entry)
    try:
        return JournalStorage(Pages(logs))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, AssertionError) as error:
        why = text.line(f"{type(error).__name__}: {error}")
        raise BadInput(f"this journal is damaged: {why}", where=source) from error


def _trial(found: FrozenTrial) -> Trial:
    state = _STATES.get(found.state.name, OPEN)
    return Trial(
        number=found.number,
        state=state,
        value=found.value if state == COMPLETE else None,
        params=dict(found.params),
        started_at=_stamp(found.datetime_start),
        ended_at=_stamp(found.datetime_complete),
        curve=tuple((float(step), value) for step, value in sorted(found.intermediate_values.items())),
        attributes=dict(found.user_attrs),
    )


def _stamp(moment: datetime | None) -> str:
    """Optuna's moments do not say their zone; they are of the machine that reads them."""
    return "" if moment is None else stamp(moment.astimezone(UTC))
