"""Which files of a study measure: the programs that its commands name, in any tier. Found in the words of the commands.

Not promised: what such a program imports or reads. That is the study's own matter, and frozen where nothing may change
it; a program that judges what it imports believes what that does in its process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection  # msgspec resolves annotations
from typing import TYPE_CHECKING

import msgspec

from lab.executors import sandbox
from lab.research.studies import frozen
from lab.scheduler.loop import scripts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.spec import Spec

_OF_LOOP = ("validation_command", "baseline_command", "holdout_command")
_OF_RUN = ("executor_command", "validation_command")
_SCRIPTS = (".R", ".bash", ".jl", ".js", ".lua", ".mjs", ".php", ".pl", ".py", ".rb", ".sh", ".ts")
IN_SHELL = re.compile(r"[^\s;|&<>()$`'\"]+")
_NAMES = re.compile(r"[A-Za-z_][\w.]*")


class _Study(msgspec.Struct, frozen=True, kw_only=True):
    files: Collection[str]
    programs: Collection[str]
    inside: str  # where its workspace is, seen from its folder


def changeable(spec: Spec, files: Collection[str], programs: Collection[str]) -> tuple[str, ...]:
    """The programs that measure and that `mutable_paths` lets somebody change.

    `files` are the study's, by their names below its folder; `programs` are those that may be executed.
    """
    inside = os.path.normpath(os.path.expanduser(spec.workspace_root) or ".")
    study = _Study(files=files, programs=programs, inside=inside)
    tiers = ((tier, spec.for_tier(tier)) for tier in spec.fidelity_tiers)
    found = dict.fromkeys(name for tier, here in tiers for name in _of(study, here, tier))
    return tuple(name for name in found if _is_mutable(name, inside, spec))


def _is_mutable(name: str, inside: str, spec: Spec) -> bool:
    names = {name, os.path.relpath(name, inside)}  # of the study's folder, and of its workspace
    if any(sandbox.matches("", each, pattern) for each in names for pattern in spec.read_only_paths):
        return False  # that goes before
    return any(frozen.is_mutable(each, spec.mutable_paths) for each in names)


def _of(study: _Study, spec: Spec, tier: str) -> Iterator[str]:
    if not scripts.is_loop(spec):
        for field in _OF_RUN:
            yield from _programs(study, str(getattr(spec, field)).replace("{tier}", tier))
        return
    for field in _OF_LOOP:
        yield from _programs(study, str(getattr(spec, field)).replace("{tier}", tier))
    if not spec.validation_command:  # then one of these scripts is it
        usual = (os.path.normpath(f"{study.inside}/{name}") for name in scripts.MEASURES)
        yield from (name for name in usual if name in study.files)


def _programs(study: _Study, command: str) -> Iterator[str]:
    """The files that a command starts, as far as its words tell: scripts, modules, what may be executed."""
    command = command.replace("{workspace}/", "")
    typed = scripts.words_of(command)
    for number, word in enumerate(typed):
        before = typed[number - 1] if number else ""
        if before == "-m":
            module = word.replace(".", "/")
            yield from _there(study, f"{module}.py", f"{module}/__main__.py")
        elif before == "-c":
            yield from _there(study, *(f"{each.replace('.', '/')}.py" for each in _NAMES.findall(word)))
        else:
            for each in (word, *IN_SHELL.findall(word)):
                is_program = number == 0 or each.endswith(_SCRIPTS)
                found = tuple(_there(study, each.rpartition("=")[2]))
                yield from (name for name in found if is_program or name in study.programs)


def _there(study: _Study, *names: str) -> Iterator[str]:
    """Those that the study has, where a command looks for them: in its workspace, and beside its SPEC."""
    for name in names:
        if name.startswith("/"):
            continue
        places = dict.fromkeys(os.path.normpath(f"{folder}/{name}") for folder in (study.inside, "."))
        found = next((place for place in places if place in study.files), "")
        if found:
            yield found


def is_program(place: str) -> bool:
    """Whether a file, by its name or because it may be executed, is something that is run."""
    return place.endswith(_SCRIPTS) or os.access(place, os.X_OK)
