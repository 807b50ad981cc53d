"""A phase by a program of the project's own: `commands` in project.yaml, a line for each phase, read by no shell.

It works in a fresh folder, and its environment tells it what and where: LAB_PHASE, LAB_BRIEF, LAB_IN and LAB_OUT.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core.errors import BadInput, LabError
from lab.research.agents import box, doing, line
from lab.research.agents.doing import Who
from lab.research.agents.line import Line
from lab.research.phases import routed
from lab.research.worker import Lack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lab.research.agents.box import Box
    from lab.research.project import Name, Project
    from lab.research.worker import Place, Task

PHASE, BRIEF, IN, OUT = "LAB_PHASE", "LAB_BRIEF", "LAB_IN", "LAB_OUT"


class ByCommand:
    def lacks(self, place: Place) -> Iterable[Lack]:
        """A line that is not written, and a program that is not there; and what the lab needs of the study itself."""
        yield from _lacks(place)
        yield from routed.lacks(place)

    def work(self, task: Task) -> Mapping[str, float]:
        """Have it done, and make of it what the lab believes."""
        argv = _words(task.project, task.phase.name, task.folder)

        def adapter(place: Box) -> Line:
            told = {
                PHASE: task.phase.name,
                BRIEF: f"{place.path}/{box.BRIEF}",
                IN: f"{place.path}/{box.INPUT}",
                OUT: place.out,
            }
            return Line(argv, told)

        return doing.work(task, Who(name=f"the command {_name(argv, task.folder)}", adapter=adapter))


def _name(argv: tuple[str, ...], folder: str) -> str:
    """What people know it by: the project's own file in it, else the program."""
    return os.path.basename(next((each for each in argv if each.startswith(f"{folder}/")), argv[0]))


def _words(project: Project, phase: Name, folder: str) -> tuple[str, ...]:
    found = line.words(project.commands.get(phase, ""), folder)
    if not found:
        fix = f"commands: {{{phase}: python3 tools/{phase}.py}} in project.yaml"
        raise BadInput(f"the phase {phase} is routed to a command, and none is written", where="project.yaml", fix=fix)
    return found


def _lacks(place: Place) -> Iterator[Lack]:
    try:
        program = _words(place.project, place.phase.name, place.folder)[0]
    except LabError as wrong:
        yield Lack(what=wrong.what, fix=wrong.fix)
        return
    if not routed.is_there(place, program):
        fix = f"install it, make it executable, or correct `commands: {place.phase.name}` in project.yaml"
        yield Lack(what=f"there is no program {program}", fix=fix)
