"""The user's hypothesis: an idea as YAML, or a text with the keys above it between two lines of `---`.

What can be known from the study is filled in. What is an expectation is asked for: nobody else can have it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.core import spec_text
from lab.core.errors import BadInput
from lab.core.spec_text import Lines
from lab.research import converted
from lab.research.idea import LEAST, Idea, Kill, mend

if TYPE_CHECKING:
    from lab.research.studies.study import Study
    from lab.research.work.given import Given

OF_HYPOTHESIS = "folder:hypothesis/"
BY = "user"
_FENCE = "---"
_TEXTS = (".md", ".markdown", ".txt", ".text")
_ASKED = ("predicted_gain", "kill")
_NAME_CHARS = 48
_MOST_CHARS = 4000


def of_given(given: Given, study: Study) -> Idea | None:
    """The idea of the user; None where none was given."""
    names = given.names(OF_HYPOTHESIS)
    if not names:
        return None
    if len(names) > 1:
        what = f"{len(names)} files are named as the hypothesis: {', '.join(names)}"
        raise BadInput(what, where="project.yaml", fix="name one file as `hypothesis:`")
    return read(given.read(names[0]), names[0].removeprefix(OF_HYPOTHESIS), study)


def read(data: bytes, where: str, study: Study) -> Idea:
    """The idea in a file, or `BadInput` with exactly the keys that are missing."""
    told, body, lines = _parts(data, where)
    title = lines.spelling(("title",)) or told.get("title")  # `title: off` is a title
    text = " ".join(body.split())[:_MOST_CHARS]
    filled: dict[str, object] = {
        "name": _named(str(title or _heading(body) or where.rpartition("/")[2].rpartition(".")[0])),
        "metric": study.spec.metric,
        "direction": study.spec.metric_direction,
        **({"hypothesis": text} if text else {}),
        **{key: value for key, value in told.items() if value is not None and key != "title"},
        "by": BY,
    }
    missing = [key for key in ("hypothesis", *_ASKED) if key not in filled]
    if missing:
        raise BadInput(f"the hypothesis does not say {', '.join(missing)}", where=where, fix=_fix(missing, body, study))
    return converted.record(filled, Idea, lines, where, mend)


def ending(where: str) -> str:
    """How the name of a copy is to end, so that it is read in the same way."""
    return next((each for each in _TEXTS if where.lower().endswith(each)), ".yaml")


def _parts(data: bytes, where: str) -> tuple[dict[str, object], str, Lines]:
    """The keys of a file, the text below them, and the lines of the keys."""
    if not where.lower().endswith(_TEXTS):
        told, lines = spec_text.parse_text(data, where, least=LEAST)
        return told, "", lines
    if b"\0" in data:
        raise BadInput("the file is binary, not text", where=where, fix="write it as text in UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput("the file is not UTF-8", where=where, fix="save the file as UTF-8") from None
    rows = text.splitlines()
    if not rows or rows[0].strip() != _FENCE:
        return {}, text, Lines()
    end = next((number for number, row in enumerate(rows[1:], 1) if row.strip() == _FENCE), 0)
    if not end:
        raise BadInput("the keys above the text are not closed", where=where, fix=f"end them with a line of {_FENCE}")
    keys = "\n".join(["", *rows[1:end], ""])  # an empty line for the fence, so that lines are those of the file
    told, lines = spec_text.parse_text(keys.encode(), where) if keys.strip() else ({}, Lines())
    return told, "\n".join(rows[end + 1 :]), lines


def _fix(missing: list[str], body: str, study: Study) -> str:
    metric, way = study.spec.metric, "smaller" if study.spec.metric_direction == "minimize" else "larger"
    shown = {
        "hypothesis": "hypothesis: what you expect, and why",
        "predicted_gain": f"predicted_gain: 0.05    # how much better {metric} will be ({way} is better), above 0",
        "kill": f"kill: {{gain_below: {Kill().gain_below}, after_runs: {Kill().after_runs}}}"
        "    # given up below this gain, after so many runs",
    }
    head = f"write above the text, between two lines of {_FENCE}:" if body else "add to the file:"
    return "\n".join((head, *(f"  {shown[key]}" for key in missing)))


def _heading(body: str) -> str:
    return next((row.lstrip("#").strip() for row in body.splitlines() if row.startswith("#")), "")


def _named(text: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_NAME_CHARS].rstrip("-")
    return plain or "hypothesis"
