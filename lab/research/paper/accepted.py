"""Whether the phase writing left a paper whose every number is a claim, and whose claims are what runs say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import LabError
from lab.core.record import parse
from lab.research.paper import bibliography, claim, evidence, latex, making, placed, rendering, told
from lab.research.paper.told import Told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.research.order import Order
    from lab.research.work.out import Out
    from lab.research.worker import Task


def problems(order: Order, out: Out, task: Task | None) -> Iterator[str]:
    """What is wrong. Without the lab: whether its files fit each other; with it also whether it comes out the same."""
    data = {name: out.read(name) or b"" for name in (claim.SOURCE, claim.PAPER, claim.FILE, claim.BIBTEX, told.FILE)}
    if not data[told.FILE]:
        yield f"it left no artifacts/{told.FILE}"
        return
    words = parse(Told, data[told.FILE], told.FILE)
    given = set(order.given.values())
    for phase, run in words.phases.items():
        if given and run not in given:
            yield f"{told.FILE} names {run} for the phase {phase}, which it was not given"
    try:
        text = data[claim.PAPER].decode()
    except UnicodeDecodeError:
        yield f"{claim.PAPER} is no text in UTF-8"
        return
    claims = claim.read(data[claim.FILE])
    found = placed.find(text, claims)
    yield from (f"{each.where}: {each.what}" for each in found.drifts)
    yield from (f"{claim.PAPER} line {each.line}: {each.what}" for each in found.lint if not each.is_remark)
    cited = placed.cited(text, found.here)
    yield from _cites(cited, data[claim.BIBTEX])
    if words.latex and out.read(claim.LATEX) != latex.document(text, cited).encode():
        yield f"{claim.LATEX} is not {claim.PAPER} in LaTeX"
    if task is not None:
        yield from _again(task, data, words, out)


def _cites(cited: tuple[str, ...], data: bytes) -> Iterator[str]:
    kept = bibliography.entries(data)
    yield from (f"{claim.PAPER} cites {key}, which is not in {claim.BIBTEX}" for key in cited if key not in kept)
    yield from (f"{claim.BIBTEX} has {key}, which is not cited" for key in sorted(kept.difference(cited)))


def _again(task: Task, data: dict[str, bytes], words: Told, out: Out) -> Iterator[str]:
    """Whether the same source gives the same files."""
    sources = evidence.Evidence(evidence.InLab(task.root), {told.FILE: data[told.FILE]})
    if words != making.gathered(task):
        yield f"{told.FILE} is not what the project and its runs say"
    try:
        made = rendering.render(data[claim.SOURCE].decode(), words, sources)
    except LabError as wrong:
        yield f"{claim.SOURCE} gives no paper: {wrong.what}"
        return
    wanted = making.files(data[claim.SOURCE], words, made)
    yield from (f"{name} is not what {claim.SOURCE} gives" for name, each in wanted.items() if out.read(name) != each)
    more = set(out.names(claim.FIGURES)) - set(wanted)
    yield from (f"{name} is a figure that the lab did not draw" for name in sorted(more))
