"""A script and its flags, as a SPEC names it where the lab chooses the Python that it runs on."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.core.launch import Foreseen
    from lab.core.spec import Spec

_SUFFIX = ".py"
_PYTHON = re.compile(r"(?:python|pypy)[\d.]*")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a script to people: its kind, what the Python must have that starts it, where there is one."""

    kind: str
    module: str
    example: str


def named(written: str, default: str) -> str:
    """What a command means: a script and its flags. Flags alone are those of the script `default`."""
    given = written.strip()
    return f"{default} {given}".strip() if not given or given.startswith("-") else given


def require_workspace(foreseen: Foreseen) -> None:
    """Refuse a workspace that is named and gone."""
    if foreseen.workspace and not os.path.isdir(foreseen.workspace):
        fix = "put it back, or say where it is now: workspace_root in SPEC.yaml"
        raise BadInput(f"the workspace of {foreseen.spec.id} is not there", where=foreseen.workspace, fix=fix)


def require(foreseen: Foreseen, written: str, wanted: Wanted) -> bool:
    """Refuse a script, or the Python in front of it, that is not there. Whether the lab is to choose the Python."""
    given = words(written)
    at = script_at(given)
    if at is None:
        return False
    script = given[at]
    if "{" not in script and not place(script, foreseen.workspace, foreseen.folders):
        looked = (
            ", ".join(dict.fromkeys(each for each in (foreseen.workspace, *foreseen.folders) if each)) or "no folder"
        )
        fix = f"name it in executor_command and its folder as workspace_root; the lab's own: {wanted.example}"
        raise NotFound(f"there is no {wanted.kind} {script}; looked in {looked}", fix=fix)
    if at:
        _require_python(given[0], foreseen.environ, wanted.module)
    return at == 0


def words(written: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(written))
    except ValueError:
        return ()  # a quote left open: `Command` says it


def is_bare(written: str) -> bool:
    """Whether a command begins with the script, and so leaves the Python to the lab."""
    return script_at(words(written)) == 0


def script_at(given: Sequence[str]) -> int | None:
    """Where the script stands: first, or behind a Python and its options. None where it cannot be told."""
    if not given or given[0].endswith(_SUFFIX):
        return 0 if given else None
    if not _PYTHON.fullmatch(os.path.basename(given[0])):
        return None
    at = 1
    while at < len(given) and given[at].startswith("-"):
        option = given[at]
        is_other = option in ("-", "--") or (option[1] not in "-XW" and any(letter in option for letter in "cm"))
        if is_other:  # from its input, `-c`, `-m`: no file comes after them
            return None
        at += 2 if option in ("-X", "-W") else 1
    return at if at < len(given) and given[at].endswith(_SUFFIX) else None


def _require_python(name: str, environ: Mapping[str, str], module: str) -> None:
    """Refuse a Python that is not there. `Command` looks for one in the workspace."""
    is_there = os.access(name, os.X_OK) if name.startswith("/") else "/" in name
    if not is_there and not shutil.which(name, path=environ.get("PATH") or os.defpath):
        fix = f"correct executor_command, or begin it with the script: the lab finds the Python that has {module}"
        raise NotFound(f"there is no program {name}", fix=fix)


def place(script: str, workspace: str, folders: tuple[str, ...]) -> str:
    places = (
        (script,) if script.startswith("/") else tuple(f"{each}/{script}" for each in (workspace, *folders) if each)
    )
    return next((place for place in places if os.path.isfile(place)), "")


def threads(spec: Spec) -> dict[str, str]:
    """As many threads as the run has processors: more of them only wait for one another."""
    return {} if spec.cpu_limit is None else {"OMP_NUM_THREADS": str(max(1, int(spec.cpu_limit)))}
