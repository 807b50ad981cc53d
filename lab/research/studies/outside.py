"""Files that lie outside of a study and that its commands name: they measure too, and are held like its own.

A log or a cache is none of them: what the first run wrote, unless it is a program that was there before.

Not promised: what such a file imports or reads, what a folder that is named holds, what a variable of a shell leads to,
nor interpreters and programs that are found on PATH.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from lab.core.record import Record, page, parse
from lab.research.studies import attempts, frozen, measuring
from lab.scheduler.loop import scripts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lab.core.spec import Spec
    from lab.research.worker import Task

FILE = "outside.json"

_FIELDS = (
    "setup_command", "executor_command", "validation_command", "baseline_command", "holdout_command",
)  # fmt: skip
_WRITTEN = re.compile(r"\d?>{1,2}\s*[^\s;|&'\"]+")  # what a shell writes to is no part of what measures
_OF_SYSTEM = ("/dev/fd/", "/proc/", "/sys/")  # which say something else at each look
_INTERPRETER = re.compile(
    r"(?:python|pypy|perl|ruby|Rscript|R|julia|node|php|lua|java|bash|dash|zsh|sh|env|timeout|nice|taskset)[\d.]*"
)


class Written(Record, frozen=True, kw_only=True):
    """Of an attempt, however it ended: the files that its first run wrote. The next one holds none of them."""

    written: tuple[str, ...] = ()


class Outside:
    """The files of one study, as they are before its first run and after it."""

    def __init__(self, task: Task, spec: Spec, folder: str) -> None:
        self._task = task
        earlier = (parse(Written, data, FILE).written for data in attempts.earlier(task, FILE))
        self._places = _named(task, spec, folder)
        self._written = {each for written in earlier for each in written} & set(self._places)
        there = [each for each in self._places if each not in self._written and os.path.isfile(each)]
        self.held = frozen.elsewhere(there)
        self._programs = {each for each in there if measuring.is_program(each)}

    def looked_again(self) -> tuple[str, ...]:
        """Those that the first run wrote, or that of an earlier attempt; `held` is without them.

        A program that was there stays held: whoever changes that changes what measures.
        """
        now = frozen.elsewhere(each for each in self._places if os.path.isfile(each))
        changed = {each for each in self._places if now.get(each) != self.held.get(each)}
        self._written |= {each for each in changed if each not in self._programs}
        self.held = {place: mark for place, mark in self.held.items() if place not in self._written}
        written = tuple(sorted(self._written))
        self._task.out.write(FILE, page(Written(written=written)))
        return written


def problem(task: Task, spec: Spec, folder: str, held: Iterable[str], written: Iterable[str]) -> str:
    """What speaks against a record of them; nothing where it tells of every file that the commands name."""
    told, places = {*held, *written}, set(_named(task, spec, folder))
    there = {each for each in places if os.path.isfile(each)}
    if there <= told <= places:
        return ""
    return "the files outside of it that are frozen are not those that its commands name"


def _named(task: Task, spec: Spec, folder: str) -> tuple[str, ...]:
    return named(spec, folder, task.root.world.environ.get("PATH", ""))


def named(spec: Spec, folder: str, path: str = "") -> tuple[str, ...]:
    """Their places, absolute, sorted, whether there is a file yet or none.

    `folder` is the study's; `path` the PATH of whoever runs it.
    """
    workspace = os.path.normpath(os.path.join(folder, os.path.expanduser(spec.workspace_root)))
    found = {place for tier in spec.fidelity_tiers for place in _of(spec.for_tier(tier), tier, workspace)}
    programs = {os.path.normpath(each) for each in path.split(os.pathsep) if each}
    return tuple(sorted(each for each in found if not _is_inside(each, folder) and not _is_installed(each, programs)))


def _of(spec: Spec, tier: str, workspace: str) -> Iterator[str]:
    """The plain files that the commands of a tier name by a path."""
    for field in _FIELDS:
        command = _WRITTEN.sub(" ", str(getattr(spec, field)))
        command = command.replace("{tier}", tier).replace("{workspace}", workspace)
        for word in scripts.words_of(command):
            for each in (word, *measuring.IN_SHELL.findall(word)):
                name = os.path.expanduser(each.rpartition("=")[2])
                place = os.path.normpath(os.path.join(workspace, name))
                if "/" in name and not place.startswith(_OF_SYSTEM):
                    yield place


def _is_inside(place: str, folder: str) -> bool:
    return place.startswith(f"{os.path.normpath(folder)}/")


def _is_installed(place: str, programs: set[str]) -> bool:
    parent, name = os.path.split(place)
    return parent in programs or (os.access(place, os.X_OK) and _INTERPRETER.fullmatch(name) is not None)
