"""What one row of the table of verbs is, and the small things that its recipes do in a box."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.crash import boxed
from tests.crash.forks import called
from tests.scheduler.labs import SPEC

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Recipe = Callable[[str], None]
    Words = tuple[str, ...] | Callable[[str], tuple[str, ...]]

SWEEP = SPEC.replace("durability: fast\n", "")
SPACE = "search_space: {lr: {low: 0.0001, high: 1.0, log: true}, depth: {type: int, low: 1, high: 8}}\n"
STUB = "executor: stub\n"
HOST = "GIT_CONFIG_GLOBAL=/dev/null"
TURN = ("run-once",)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way to type a verb that writes. `key` is the verb with its sub-verb, as the manifest names them."""

    key: str
    words: Words
    before: Recipe
    about: str = ""
    again: Words = ()  # what is typed afterwards; nothing: the same
    already: Mapping[int, str] = field(default_factory=dict)  # what it may answer then: code -> words in it
    then: tuple[str, ...] = (
        TURN  # the next ordinary command, where a turn would do more than settle; one comes behind it
    )
    ok: tuple[int, ...] = (0,)
    once: bool = True  # typed twice it says the same in the ledger as typed once
    is_open: bool = False  # somebody may hold something afterwards
    varies: str = ""  # files outside of the lab that are not the same bytes each time
    leaves: str = ""  # what may be left outside of the lab until somebody sweeps
    is_dear: bool = False  # each step of it takes seconds

    @property
    def name(self) -> str:
        return f"{self.key} ({self.about})" if self.about else self.key


def lab(box: str, *words: str, code: int = 0) -> str:
    """A command that prepares. What it printed."""
    went = boxed.typed(box, words)
    assert went.code == code, (words, went)
    return "\n".join(went.lines)


def write(box: str, name: str, text: str, *, runs: bool = False) -> str:
    path = f"{box}/{name}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    if runs:
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path


def experiment(box: str, name: str = "sweep", more: str = STUB) -> None:
    write(box, f"work/{name}.yaml", SWEEP.format(id=name) + more)
    lab(box, "create", f"{name}.yaml")


def git(folder: str, *words: str) -> str:
    who = {f"GIT_{role}_{part}": "me@home" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    environ = {**os.environ, **who, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *words], cwd=folder, env=environ, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def in_child(call: Callable[..., int], *given: object) -> None:
    """Builders of other tests, in a process of their own."""
    went = called(call, *given)
    assert went.code == 0, went


def listed(folder: str) -> list[str]:
    return sorted(os.listdir(folder))


def python() -> str:
    return sys.executable


def joined(*recipes: Recipe) -> Recipe:
    def all_of(box: str) -> None:
        for recipe in recipes:
            recipe(box)

    return all_of


def typing(*commands: Sequence[str]) -> Recipe:
    """Commands, one after the other."""

    def typed(box: str) -> None:
        for words in commands:
            lab(box, *words)

    return typed
