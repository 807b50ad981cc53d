"""The study that comes with labctl, and whether a study is still that one: its program on its made-up rows.

What it measures says nothing of anybody's topic. Whoever was not told takes its numbers for an answer.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.research import declared
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.research.project import Project

STUDY, PROGRAM, TABLE = "study", "fit.py", "data.csv"
FIX = "give what it is to be about: --study DIR or --data FILE at `new`, or edit study/ of the project's folder"


def is_program(files: Mapping[str, bytes]) -> bool:
    """Whether these files of a study have the program as it came."""
    return files.get(PROGRAM) is not None and files.get(PROGRAM) == _own(PROGRAM)


def made_up_rows(files: Mapping[str, bytes]) -> int:
    """How many made-up rows a study measures on: those that came with its program; 0 where the rows are others."""
    table = files.get(TABLE)
    if table is None or not is_program(files) or table != _own(TABLE):
        return 0
    return len(table.splitlines()) - 1


def in_folder(folder: str) -> dict[str, bytes]:
    """The two files of a study's folder that tell it."""
    names = (each for each in (PROGRAM, TABLE) if reading.is_file(f"{folder}/{each}"))
    return {each: reading.read(f"{folder}/{each}") or b"" for each in names}


def said(project: Project, folder: str) -> str:
    """What whoever begins, runs or reads a project is told of a placeholder; nothing where the study is another.

    `folder` is that of the study. Data that the project names take the place of the table.
    """
    if project.proceed_from or project.data:
        return ""
    rows = made_up_rows(in_folder(folder))
    if not rows:
        return ""
    untested = "does not test the topic" if project.topic else "tests nothing of yours"
    return f"the study is the placeholder that comes with labctl, a small model on {rows} made-up rows: it {untested}"


def _own(name: str) -> bytes | None:
    return reading.read(os.path.join(declared.place(STUDY), name))
