"""What the lab writes for a release: README.md, which is also the card of a repository, and CITATION.cff."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.research.project import Project

README, CITATION = "README.md", "CITATION.cff"
_HEADING = re.compile(r"^#{1,6}\s+(.*)$")
_OF_AI = re.compile(r"\bAI\b|artificial intelligence", re.IGNORECASE)
_FRONT = "---\ntags:\n- labctl\n---\n\n"
_STATEMENT = "This work was carried out by labctl, a program that schedules experiments and writes down what they gave."


def title(paper: str, project: Project) -> str:
    """The paper's own, else what the project is called or about."""
    first = next((line[2:].strip() for line in paper.splitlines() if line.startswith("# ")), "")
    given = project.paper.title or first or project.topic or "Untitled"
    return " ".join(
        "".join(each if each.isprintable() else " " for each in given).split()
    )  # one line, wherever it stands


def statement(paper: str, project: Project) -> str:
    """About the use of AI: what the paper says of it, else the project's words, else the lab's."""
    lines, is_within = [], False
    for line in paper.splitlines():
        heading = _HEADING.match(line)
        if heading:
            is_within = bool(_OF_AI.search(heading[1]))
        elif is_within:
            lines.append(line)
    return "\n".join(lines).strip() or project.paper.ai_statement or _STATEMENT


def placeholder_said(rows: int) -> str:
    """Of a paper about the study that comes with labctl."""
    return (
        f"The study of this paper is the placeholder that comes with labctl: a small model on {rows} made-up rows. "
        "Nothing in it is about anything but those rows."
    )


def files(
    project: Project, paper: str, paths: Sequence[tuple[str, str]], *, is_card: bool, placeholder: int = 0
) -> dict[str, bytes]:
    """The files by name. `paths` are the others of the release, each with its reason."""
    named = title(paper, project)
    text = [
        _FRONT if is_card else "",
        f"# {named}\n",
        *([f"{', '.join(project.paper.authors)}\n"] if project.paper.authors else []),
        *([f"{placeholder_said(placeholder)}\n"] if placeholder else []),
        "## What is here\n",
        *_rows(paths),
        "\n## What it rests on\n" if paper else "",
        "Every number of paper.md is a claim (claims.jsonl) on a file of a sealed run (evidence/), whose seal holds its"
        "\ndigest. `labctl paper verify FOLDER` computes each of them again and names what differs.\n"
        if paper
        else "",
        "## Use of AI\n",
        f"{statement(paper, project)}\n",
    ]
    made = {README: "\n".join(line for line in text if line).encode()}
    if project.paper.authors:
        made[CITATION] = _citation(named, project.paper.authors)
    return made


def _rows(paths: Iterable[tuple[str, str]]) -> list[str]:
    own = [(path, reason) for path, reason in paths if not path.startswith("evidence/")]
    return [f"- `{path}`: {reason}" for path, reason in own]


def _citation(named: str, authors: Sequence[str]) -> bytes:
    """In the format of citation-file-format.github.io; strings as JSON writes them, which YAML reads."""
    lines = ["cff-version: 1.2.0", f"message: {json.dumps('If you use this, cite it as below.')}",
             f"title: {json.dumps(named, ensure_ascii=False)}", "authors:"]  # fmt: skip
    lines += [f"  - name: {json.dumps(each, ensure_ascii=False)}" for each in authors]
    return ("\n".join(lines) + "\n").encode()
