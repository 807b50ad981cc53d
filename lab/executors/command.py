"""The executor that starts a program: `executor_command` of the SPEC.

Where a program is found. An absolute one is what it says. A relative one with a `/` lies in the workspace, else in the
SPEC's folders. A bare name is looked up on PATH. Never in the folder that the lab was started in, and never in the
lab's own. The program runs in the run's folder, where what it writes is kept; so a script that is handed to an
interpreter (`python3 train.py`) is found like a program too, and handed over as an absolute path. With `shell: true`
the text is the shell's: write `{workspace}/train.py` there.
"""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from itertools import takewhile
from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.errors import BadInput, NotFound
from lab.core.launch import Launch, Program, Unfilled
from lab.executors import outcome, placeholders

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from lab.core.ended import Ended
    from lab.core.launch import Exit, Foreseen
    from lab.core.manifest import Manifest
    from lab.core.spec import Spec

FILLED = frozenset({"command", "training", "tinker"})  # the executors whose command has placeholders
# Programs whose first argument is a file to run.
INTERPRETERS = frozenset({
    "R", "Rscript", "bash", "bun", "dash", "fish", "ipython", "julia", "ksh", "lua", "node", "octave", "perl", "php",
    "pypy", "pypy3", "python", "ruby", "sh", "torchrun", "zsh",
})  # fmt: skip
_SHELLS = frozenset({"bash", "dash", "fish", "ksh", "sh", "zsh"})
_SCRIPTS = (".R", ".bash", ".jl", ".js", ".lua", ".mjs", ".php", ".pl", ".py", ".rb", ".sh", ".ts")
_OPERATORS = frozenset({"|", "||", "&&", ";", "&", ">", ">>", "<", "2>", "2>&1", "&>"})
_SHOWN_CHARS = 80


class Command:
    def prepare(self, launch: Launch) -> Program:
        """The program with its arguments. Nothing is written and nothing is started."""
        fill = placeholders.in_shell if launch.spec.shell else placeholders.words
        argv = fill(launch.spec.executor_command, launch.params, _names(launch))
        if not argv or not launch.spec.executor_command.strip():
            fix = "give it one, such as `executor_command: python3 train.py`"
            raise BadInput(f"{launch.spec.id} has no executor_command, so there is nothing to run", fix=fix)
        if not launch.spec.shell:
            _refuse_operators(launch.spec.executor_command)
            argv = _with_script((_program(argv[0], launch), *argv[1:]), argv[0], launch)
        return Program(argv=argv, cwd=launch.path, environ=launch.environ, secrets=launch.secrets)

    def require(self, foreseen: Foreseen) -> None:
        """Refuse an experiment without a command, before a run is claimed."""
        if not foreseen.spec.executor_command:
            raise BadInput(
                f"{foreseen.spec.id} has no executor_command, so there is nothing to run",
                where=f"experiments/{foreseen.spec.id}/{layout.SPEC}",
                fix="give it one, such as `executor_command: python3 train.py`",
            )

    def require_program(self, foreseen: Foreseen) -> None:
        """Refuse a command whose program or script is nowhere, for who asks before there is a run that could say so.

        A shell's text is the shell's; what comes after a placeholder nobody knows yet.
        """
        if foreseen.spec.shell:
            return
        with suppress(ValueError):  # a quote that is left open is told by whoever reads the SPEC
            words = shlex.split(foreseen.spec.executor_command)
            known = tuple(takewhile(lambda word: "{" not in word, words))
            if known:
                _with_script((_program(known[0], foreseen), *known[1:]), known[0], foreseen)

    def read(self, path: str, manifest: Manifest, ended: Exit) -> Ended:
        """Its exit and its metrics, from the disk."""
        return outcome.read(path, manifest, ended)


def require_filled(spec: Spec, names: Collection[str] | None) -> None:
    """Refuse a command that no run could be started with. `names` are those of its parameters; None: it has none."""
    try:
        _written_out(spec, None if names is None else dict.fromkeys(names, "x"))
    except BadInput as refusal:
        where = f"experiments/{spec.id}/{layout.SPEC}"
        raise Unfilled(refusal.what, where=where, fix=refusal.fix) from None


def doubts(spec: Spec) -> str:
    """What is wrong with the text of a command whatever its run will be given; empty when nothing can be seen."""
    try:
        _written_out(spec, _Anything())
    except BadInput as problem:
        return problem.what + (f"; {problem.fix}" if problem.fix else "")
    return ""


def _written_out(spec: Spec, params: Mapping[str, object] | None) -> None:
    names = dict.fromkeys(placeholders.NAMES, "x")
    if spec.shell:
        placeholders.in_shell(spec.executor_command, params, names)
        return
    placeholders.words(spec.executor_command, params, names)
    _refuse_operators(spec.executor_command)


class _Anything(dict[str, object]):
    """The parameters of a run that nobody has proposed yet: every name has a value."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> object:
        return "x"


def _names(launch: Launch) -> dict[str, str]:
    manifest = launch.manifest
    return {
        "run_dir": launch.path,
        "workspace": launch.workspace,
        "run_id": manifest.run_id,
        "experiment": manifest.experiment,
        "iteration": str(manifest.iteration),
        "tier": manifest.fidelity_tier,
        "role": manifest.role,
        "seed": "" if launch.spec.seed is None else str(launch.spec.seed),
        "params_path": "" if launch.params is None else f"{launch.path}/{layout.PARAMS}",
    }


def _folders(launch: Launch | Foreseen) -> tuple[str, ...]:
    return tuple(dict.fromkeys(folder for folder in (launch.workspace, *launch.folders) if folder))


def _program(name: str, launch: Launch | Foreseen) -> str:
    """The absolute path of a program, or words about where it is not."""
    if not name:
        raise BadInput("the name of the program is empty", fix="begin executor_command with a program")
    if name.startswith("~/") and launch.environ.get("HOME"):
        name = launch.environ["HOME"].rstrip("/") + name[1:]
    if "/" not in name:
        return _on_path(name, launch)
    places = (name,) if name.startswith("/") else tuple(_joined(folder, name) for folder in _folders(launch))
    found = next((place for place in places if os.path.isfile(place)), "")
    if not found:
        looked = ", ".join(places) or "it nowhere: the SPEC names no workspace_root"
        fix = "correct executor_command or workspace_root; a relative program is looked for there and beside the SPEC"
        raise NotFound(f"there is no program {name[:_SHOWN_CHARS]}; looked for {looked}", fix=fix)
    if not os.access(found, os.X_OK):
        fix = f"chmod +x {found}, or name its interpreter first, as in `bash {name}`"
        raise BadInput(f"{name[:_SHOWN_CHARS]} may not be executed", where=found, fix=fix)
    return found


def _on_path(name: str, launch: Launch | Foreseen) -> str:
    path = launch.environ.get("PATH") or os.defpath
    for folder in path.split(":"):
        if folder.startswith("/"):  # a relative or an empty entry is the current folder, whatever that may be
            place = f"{folder.rstrip('/')}/{name}"
            if os.path.isfile(place) and os.access(place, os.X_OK):
                return place
    fix = "install it, write its whole path, or name the folder it lies in on the PATH of whoever starts the lab"
    if "=" in name:
        fix = "to set a variable in front of a program, set `shell: true`"
    for folder in _folders(launch):
        if os.path.isfile(f"{folder}/{name}"):
            fix = f"write ./{name}: it lies in {folder}, and a bare name is looked up on PATH alone"
            break
    raise NotFound(f"there is no program {name[:_SHOWN_CHARS]} on PATH", where=f"PATH={path}", fix=fix)


def _with_script(argv: tuple[str, ...], written: str, launch: Launch | Foreseen) -> tuple[str, ...]:
    """The same with an interpreter's script found. Its options and their values are passed over."""
    interpreter = written.rpartition("/")[2]
    if not _is_interpreter(interpreter):
        return argv
    after_option = False
    for at, word in enumerate(argv[1:], start=1):
        if word.startswith("-"):
            if word in ("-", "--") or _is_program_text(word, interpreter):
                break
            after_option = True
            continue
        found = "" if word.startswith("/") else _script(word, launch)
        if found:
            return (*argv[:at], found, *argv[at + 1 :])
        if word.startswith("/") or not after_option:
            _refuse_absent(word, launch)
            break
        after_option = False  # the value of an option, such as `-X dev`
    return argv


def _is_interpreter(name: str) -> bool:
    return name in INTERPRETERS or name.rstrip("0123456789.") in ("python", "pypy", "lua", "ruby", "perl", "php")


def _is_program_text(option: str, interpreter: str) -> bool:
    """-c, -m, -e and the like, also behind other letters (`bash -lc`): no file comes after them."""
    letters = "c" if interpreter in _SHELLS else "cmeE"
    return not option.startswith("--") and option[-1] in letters and option[1:].isalpha()


def _script(word: str, launch: Launch | Foreseen) -> str:
    return next((place for folder in _folders(launch) if os.path.isfile(place := _joined(folder, word))), "")


def _refuse_absent(word: str, launch: Launch | Foreseen) -> None:
    """Say now what the interpreter would say after the run was claimed, and less clearly."""
    path = launch.path if isinstance(launch, Launch) else ""
    if not word.endswith(_SCRIPTS) or (path and os.path.exists(_joined(path, word))):
        return
    if word.startswith("/"):
        if not os.path.exists(word):
            raise NotFound(f"there is no script {word[:_SHOWN_CHARS]}", fix="correct executor_command")
        return
    looked = (
        ", ".join(_joined(folder, word) for folder in _folders(launch))
        or "it nowhere: the SPEC names no workspace_root"
    )
    fix = "correct executor_command or workspace_root; a relative script is looked for there and beside the SPEC"
    raise NotFound(f"there is no script {word[:_SHOWN_CHARS]}; looked for {looked}", fix=fix)


def _joined(folder: str, name: str) -> str:
    return os.path.normpath(f"{folder}/{name}") if not name.startswith("/") else name


def _refuse_operators(command: str) -> None:
    """Refuse `a > b` and `a && b` outside quotes: no shell reads them, and the program would be handed them."""
    if not any(sign in command for sign in "|&;<>"):
        return
    try:
        words = shlex.split(command, posix=False)  # keeps the quotes on
    except ValueError:
        return
    used = next((word for word in words if word in _OPERATORS), "")
    if used:
        fix = f"set `shell: true`, or put it in quotes if {used} is meant as an argument"
        raise BadInput(f"executor_command uses {used}, but no shell reads it", fix=fix)
