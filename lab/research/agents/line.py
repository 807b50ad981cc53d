"""A command line of the project as whoever does a phase: a program of the user's, which needs no words of a model."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from lab.core.errors import BadInput
from lab.llm.agents import adapter
from lab.llm.agents.adapter import Answer, Start, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

_SILENT = "it ended well and printed nothing"


class Line:
    """Started with the words that it was written with; what it is told is in its environment."""

    passed: tuple[str, ...] = ()

    def __init__(self, argv: tuple[str, ...], environ: Mapping[str, str]) -> None:
        self.program = argv[0] if argv else ""
        self._argv = argv
        self._environ = dict(environ)

    def start(self, task: Task) -> Start | None:
        """The brief is its standard input too."""
        return Start(argv=self._argv, stdin=task.words(), environ=self._environ)

    def read(self, stdout: bytes, stderr: bytes, code: int | None, files: Mapping[str, bytes]) -> Answer:  # noqa: ARG002  # it hands no files back
        """Its files are its answer, so one that prints nothing has not failed."""
        if code == 0 and not stdout.strip():
            return Answer(text=_SILENT)
        return adapter.plain(stdout, stderr, code)


def words(command: str, folder: str) -> tuple[str, ...]:
    """The words of a command line. One that names a file of the project's folder becomes its whole path.

    The program works in a folder of its own, where `python3 tools/ideas.py` would lead nowhere. No shell reads it.
    """
    try:
        found = shlex.split(command)
    except ValueError:
        what = "the command has a quote that is never closed"
        raise BadInput(what, where="project.yaml", fix="close the quote") from None
    return tuple(_placed(each, folder, is_program=number == 0) for number, each in enumerate(found))


def _placed(word: str, folder: str, *, is_program: bool) -> str:
    if os.path.isabs(word) or word.startswith("-") or (is_program and "/" not in word):
        return word
    place = os.path.normpath(f"{folder}/{word}")
    return place if place.startswith(f"{folder}/") and os.path.isfile(place) else word
