"""What stands in every paper, whoever wrote its source: what was studied, what did not help, who did what.

It is cut out of the lab's own template, and comes behind what anybody else wrote, which may say less or otherwise.
"""

from __future__ import annotations

from lab.core.errors import BadInput, LabError
from lab.research import declared
from lab.research.paper import sections
from lab.research.paper.claim import SOURCE
from lab.store import reading

_TITLES = {
    "Data and study": "Data and study, as the lab has it",
    "Negative results": "Negative results, as the lab has them",
    "Use of AI": "Use of AI, as the lab has it",
}


def shipped() -> str:
    """The template that comes with labctl."""
    place = declared.place(SOURCE)
    data = reading.read(place)
    if data is None:
        raise LabError("the template of papers is not there", where=place, fix="install labctl again")
    return data.decode()


def template() -> str:
    """The sections of it that no paper is without."""
    whole = shipped()
    return "\n".join(f"## {title}\n{_section(whole, name)}\n" for name, title in _TITLES.items())


def _section(whole: str, name: str) -> str:
    return whole.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def require(text: str) -> None:
    """`BadInput` where a fence that the source left open makes code of them: nobody would take it for said."""
    seen = [line.text for line in sections.walk(text) if line.is_heading]
    if any(seen.count(f"## {title}") != 1 for title in _TITLES.values()):
        what = "the sections of the lab at its end are not to be seen, or are there twice: a fence of code may be open"
        raise BadInput(what, where=SOURCE, fix="close every ```, and leave these headings to the lab")
