"""An experiment that is described by the arguments of a call: the SPEC.yaml that says the same."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lab.api import given
from lab.core.errors import BadInput
from lab.core.launch import IN_PROCESS
from lab.core.run import DIRECTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEAD = "# Made from Python by lab.Lab.create; it is yours to edit. Every key: labctl schema spec"
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NO_PLAIN_KEYS = {"false", "n", "no", "null", "off", "on", "true", "y", "yes"}
_BLOCKS = 2  # maps deeper than that stand on one line


def spec(
    name: str,
    *,
    command: str | Sequence[str] | None,
    metric: str,
    direction: str,
    space: Mapping[str, object] | None,
    fields: Mapping[str, object],
) -> bytes:
    """The text of a SPEC.yaml. Whether its fields may say so is for the reader of SPECs to judge."""
    given.text("metric", metric)
    given.text("direction", direction)
    if space is not None and not isinstance(space, Mapping):
        raise BadInput(f"space must be a dict, not {type(space).__name__}", fix='space={"x": {"low": 0, "high": 1}}')
    if metric and not direction and "metric_direction" not in fields:
        fix = "add direction='minimize' or direction='maximize'"
        raise BadInput(f"nothing says whether a larger {metric} is better", fix=fix)
    told: dict[str, object] = {"id": name, "metric": metric}
    if direction:
        told["metric_direction"] = DIRECTIONS.get(direction, direction)
    if command is not None:
        found = given.words("command", command)
        words = found if isinstance(found, str) else shlex.join(found)
        told |= {"executor_command": words, "workspace_root": os.getcwd()}
    elif not any(each in fields for each in ("executor", "executor_command")):
        told["executor"] = IN_PROCESS
    if space is not None:
        told["search_space"] = space
    twice = sorted({"id", *(each for each in told if each != "workspace_root")} & fields.keys())
    if twice:
        raise BadInput(f"{twice[0]} is said twice", fix="leave one of them out")
    lines = [_HEAD]
    for key, value in {**told, **fields}.items():
        lines += _lines(key, value, 0)
    return ("\n".join(lines) + "\n").encode()


def _lines(key: str, value: object, depth: int) -> list[str]:
    head = f"{'  ' * depth}{_key(key)}:"
    if isinstance(value, dict) and value and depth < _BLOCKS:
        return [head, *(line for name, each in value.items() for line in _lines(_name(name), each, depth + 1))]
    return [f"{head} {_flow(value, key)}"]


def _name(key: object) -> str:
    if isinstance(key, str):
        return key
    raise BadInput(f"a name must be text, not {key!r}", fix="put it in quotes")


def _key(name: str) -> str:
    is_plain = _PLAIN_KEY.fullmatch(name) and name.lower() not in _NO_PLAIN_KEYS
    return name if is_plain else json.dumps(name, ensure_ascii=False)


def _flow(value: object, where: str) -> str:
    """JSON, which is YAML. Numbers of numpy and the like become those of Python."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_as_number)
    except (TypeError, ValueError, RecursionError) as unfit:
        fix = "give numbers, texts, True or False, None, lists, and dicts of them"
        raise BadInput(f"{where} cannot be written into a SPEC: {unfit}", fix=fix) from unfit


def _as_number(value: object) -> float | int | str:
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    number = float(value) if hasattr(value, "__float__") else math.nan
    if not math.isfinite(number):
        message = f"{type(value).__name__} is no plain value"
        raise TypeError(message)
    return int(number) if hasattr(value, "__index__") else number
