"""What the scripts in a workspace say where the SPEC says nothing, and which files measure.

`autoresearch.sh` prints METRIC lines and `autoresearch.checks.sh` ends well or badly; `.auto/measure.sh` and
`.auto/checks.sh` are the same under newer names. Other harnesses made them, and they serve as they are.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.spec import Spec

REFERENCE, COMMAND = "reference", "command"
MEASURES = ("autoresearch.sh", ".auto/measure.sh")
CHECKS = ("autoresearch.checks.sh", ".auto/checks.sh")
# The door by which SPECs of hermes-lab call what is an executor here.
DOOR = "scripts/reference_executor.py"
_UNQUOTED = str.maketrans("", "", "'\"\\")
# What a measurement stands on besides its script: whoever may change the data or the versions wins by changing them.
STANDING = (
    "prepare.py", "requirements*.txt", "constraints*.txt", "pyproject.toml", "setup.py", "setup.cfg", "uv.lock",
    "poetry.lock", "Pipfile", "Pipfile.lock", "environment.yml", "package.json", "package-lock.json", "yarn.lock",
    "pnpm-lock.yaml", "Cargo.toml", "Cargo.lock", "go.mod", "go.sum", "tokenizer*", "*.tokenizer",
)  # fmt: skip
# Of `agent_provider`: an agent that comes by itself, for packages.
OUTSIDE = frozenset({"dispatch", "external", "agent"})
_HOLDOUT = "holdout_command"
_MEASURING = ("validation_command", "baseline_command", "checks_command", _HOLDOUT)
_PROGRAMS = ("/usr/", "/bin/", "/sbin/", "/lib")  # of the machine
_RUNNING = ("setup_command", "mutation_command")


def commands(spec: Spec, workspace: str) -> Spec:
    """The SPEC of a code loop as it is meant in this workspace; `for_tier` comes before it.

    The executor that hermes-lab started as a script is ours, commands that the SPEC leaves blank are the scripts that
    lie there, and what measures is read-only. Reads the workspace; writes nothing.
    """
    spec = renamed(spec)
    if spec.executor != REFERENCE:
        return spec
    measure = spec.validation_command or _script(workspace, MEASURES)
    checks = spec.checks_command or _script(workspace, CHECKS)
    spec = msgspec.structs.replace(spec, validation_command=measure, checks_command=checks)
    return msgspec.structs.replace(spec, read_only_paths=read_only(spec, workspace))


def renamed(spec: Spec) -> Spec:
    """`executor_command: python3 scripts/reference_executor.py` means `executor: reference`."""
    if spec.executor != COMMAND or not _is_door(spec.executor_command):
        return spec
    return msgspec.structs.replace(spec, executor=REFERENCE, executor_command="")


def is_loop(spec: Spec) -> bool:
    """Whether its runs are candidates of a code loop."""
    return renamed(spec).executor == REFERENCE


def require_measured(spec: Spec) -> None:
    """`BadInput` for a loop that nothing measures. `spec` is the one of `commands`."""
    if not spec.validation_command:
        fix = "name what prints the metric as validation_command, or put an autoresearch.sh into the workspace"
        raise BadInput(f"{spec.id} has nothing that measures", fix=fix)


def has_proposer(spec: Spec) -> bool:
    """Whether a code loop makes changes by itself. One that does not waits for whoever hands them in."""
    if renamed(spec).executor != REFERENCE or spec.mutation_command:
        return True
    return bool(spec.agent_provider) and spec.agent_provider not in OUTSIDE


def _is_door(command: str) -> bool:
    if DOOR not in command.translate(_UNQUOTED):
        return False  # splitting a command takes a tenth of a millisecond, and every look at a SPEC asks
    words = words_of(command)
    if not words or not (words[-1] == DOOR or words[-1].endswith(f"/{DOOR}")):
        return False
    return len(words) == 1 or (len(words) == 2 and os.path.basename(words[0]).startswith("python"))  # noqa: PLR2004


def _script(workspace: str, names: tuple[str, ...]) -> str:
    """The command of the first script that is there. By bash: many of them were never made executable."""
    found = next((name for name in names if reading.is_file(f"{workspace}/{name}")), "")
    return f"bash {found}" if found else ""


def read_only(spec: Spec, workspace: str) -> tuple[str, ...]:
    """What no change may touch: what the SPEC says, what measures, and what a measurement stands on.

    A file that `mutable_paths` names by its own name is left out: to train and to measure may be one program.
    """
    found = dict.fromkeys(spec.read_only_paths)
    for path in (*validator_of(spec, workspace), *_standing(workspace)):
        if not _is_named(spec, workspace, path):
            found.setdefault(path)
    return tuple(found)


def validator_of(spec: Spec, workspace: str) -> tuple[str, ...]:
    """The files of the workspace that the commands which measure name, relative to it and in order.

    `python3 -m package.module` names a module's file. What those files import is not followed: name it in
    `read_only_paths`.
    """
    found: dict[str, None] = {}
    for field in _MEASURING:
        found.update(dict.fromkeys(_of(spec, field, workspace)))
    return tuple(found)


def hidden(spec: Spec, workspace: str) -> tuple[str, ...]:
    """The files that only the hidden measurement names: no proposer, and nothing else that runs, is to see them."""
    seen = {path for field in (*_MEASURING, *_RUNNING) if field != _HOLDOUT for path in _of(spec, field, workspace)}
    return tuple(path for path in dict.fromkeys(_of(spec, _HOLDOUT, workspace)) if path not in seen)


def hidden_outside(spec: Spec, workspace: str) -> tuple[str, ...]:
    """The same, of files that lie elsewhere: absolute, and texts. The program that runs them is no secret."""
    fields = (*_MEASURING, *_RUNNING)
    seen = {word for field in fields if field != _HOLDOUT for word in words_of(str(getattr(spec, field)))}
    named = dict.fromkeys(word for word in words_of(spec.holdout_command) if word.startswith("/"))
    return tuple(
        word
        for word in named
        if word not in seen and not word.startswith((f"{workspace}/", *_PROGRAMS)) and reading.is_file(word)
    )


def _of(spec: Spec, field: str, workspace: str) -> Iterator[str]:
    return _named(str(getattr(spec, field)), workspace)


def _named(command: str, workspace: str) -> Iterator[str]:
    words = words_of(command)
    for before, word in zip(("", *words), words, strict=False):
        names = [word.partition("=")[2] if word.startswith("-") else word]
        if before == "-m":
            module = word.replace(".", "/")
            names = [f"{module}.py", f"{module}/__main__.py"]
        for name in names:
            path = _inside(name, workspace)
            if path and reading.is_file(f"{workspace}/{path}"):
                yield path


def _inside(name: str, workspace: str) -> str:
    """A word as a path in the workspace; empty when it is none."""
    name = name.replace("{workspace}", workspace)
    if name.startswith(f"{workspace}/"):
        name = name[len(workspace) + 1 :]
    if not name or "\0" in name or name.startswith(("/", "~", "-")):
        return ""
    path = os.path.normpath(name)
    return "" if path == "." or path.startswith("../") or path == ".." else path


def words_of(command: str) -> list[str]:
    """A command's words. What only a shell can read is read as well as can be: a name too many is only read-only."""
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _standing(workspace: str) -> Iterator[str]:
    try:
        names = sorted(os.listdir(workspace))
    except OSError:
        return
    import fnmatch  # noqa: PLC0415  # for code loops alone, as below

    from lab.executors.sandbox import folded  # noqa: PLC0415

    for name in names:
        if any(fnmatch.fnmatchcase(folded(name), folded(pattern)) for pattern in STANDING):
            yield name


def _is_named(spec: Spec, workspace: str, path: str) -> bool:
    return any(_inside(pattern.strip(), workspace) == path for pattern in spec.mutable_paths)
