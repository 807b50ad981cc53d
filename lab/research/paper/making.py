"""What the phase writing does: gather what the paper is made of, render it, and leave every file of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.core.errors import BadInput, Corrupt
from lab.core.record import Record, page, parse
from lab.research import built, decision, evaluated, idea, trained
from lab.research.paper import claim, evidence, latex, proving, recorded, rendering, told
from lab.research.project import PHASES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.research.decision import Decision
    from lab.research.paper.told import Round, Told
    from lab.research.worker import Task

_KEPT = ("implementation", "training", "evaluation")  # what there is one of in each round
_MOST_TOLD = 5
_TITLE_CHARS = 200
_TEST = "A test of: "  # what is only expected would read as found
_EARLIER, _PHASE = re.compile(r"round-(\d{1,4})/\w+/"), re.compile(r"\w+/")


def make(task: Task, source: bytes | None = None) -> Mapping[str, float]:
    """Write the paper into the outputs of the phase. `BadInput` where its source may not say what it says."""
    template = source if source is not None else shipped()
    words = gathered(task)
    try:
        text = template.decode()
    except UnicodeDecodeError:
        raise BadInput("it is no text in UTF-8", where=claim.SOURCE) from None
    sources = evidence.Evidence(evidence.InLab(task.root), {told.FILE: page(words)})
    made = rendering.render(text, words, sources)
    _prove(task, sources, made)
    for each in made.remarks:
        task.say(f"{claim.PAPER} line {each.line}: {each.what}")
    for name, data in files(template, words, made).items():
        task.out.write(name, data)
    return {"claims": float(len(made.claims)), "cited": float(len(made.cited))}


def _prove(task: Task, sources: evidence.Evidence, made: rendering.Rendered) -> None:
    """`Corrupt` where `labctl paper verify` would find that runs behind the claims are not what was sealed."""
    drifts = proving.prove(task.root, sources, made.claims).drifts
    if drifts:
        told_of = "; ".join(each.what for each in drifts[:_MOST_TOLD])
        more = f"; and {len(drifts) - _MOST_TOLD} more" if len(drifts) > _MOST_TOLD else ""
        raise Corrupt(f"no paper rests on this: {told_of}{more}", where=drifts[0].where, fix="labctl verify")


def files(template: bytes, words: Told, made: rendering.Rendered) -> dict[str, bytes]:
    """Every file of a paper, by its name."""
    found = {
        claim.SOURCE: template,
        claim.PAPER: made.text.encode(),
        claim.FILE: claim.written(made.claims),
        claim.BIBTEX: made.bibtex,
        told.FILE: page(words),
        **made.figures,
    }
    if words.latex:
        found[claim.LATEX] = latex.document(made.text, made.cited).encode()
    return found


def shipped() -> bytes:
    """The template that comes with labctl."""
    return recorded.shipped().encode()


def gathered(task: Task) -> Told:
    """The words of the project, and the runs of which the phase was given files."""
    project, runs = task.project, _runs(task)
    last = _decided(task, "iteration")
    kept = last.kept_round if last is not None and f"round-{last.kept_round}/training" in runs else 0
    found = {phase: runs.get(f"round-{kept}/{phase}", "") if phase in _KEPT else "" for phase in PHASES}
    phases = {phase: found[phase] or runs[phase] for phase in PHASES if found[phase] or runs.get(phase)}
    about = _decided(task, f"round-{kept}/iteration" if kept else "iteration")
    file = _idea(task, about.idea if about is not None else task.order.idea)
    experiments = {task.spec.id, *_experiments(task)} - {""}
    return told.Told(
        project=task.spec.id,
        title=_title(task, file),
        topic=project.topic,
        authors=project.paper.authors,
        statement=project.paper.ai_statement,
        provider=project.agent.provider,
        model=project.agent.model,
        idea=file,
        writer=task.order.worker,
        phases=phases,
        rounds=tuple(_rounds(task, runs, last, kept)),
        experiments=tuple(sorted(experiments)),
        latex=project.paper.latex,
    )


def _title(task: Task, file: str) -> str:
    """What was tested gives the title: a topic only where the study may be about it, which a placeholder is not."""
    given, said = task.project.paper.title, task.given.find(f"implementation/{built.FILE}")
    is_placeholder = said is not None and parse(built.Built, said, built.FILE).made_up_rows > 0
    topic = "" if is_placeholder else task.project.topic
    if given or topic or not file:
        return given or topic or task.spec.id
    place = f"ideation/{idea.FOLDER}{file}"
    words = _TEST + " ".join(idea.parse(task.given.read(place), place).hypothesis.split())
    return words if len(words) <= _TITLE_CHARS else f"{words[:_TITLE_CHARS].rpartition(' ')[0]} ..."


def _runs(task: Task) -> dict[str, str]:
    """The run of each phase, `round-1/training` for those of earlier rounds: as the order and the pieces name them."""
    found: dict[str, str] = {}
    for piece in task.given.pieces():
        name = _EARLIER.match(piece.name) or _PHASE.match(piece.name)
        if name and piece.run_id:
            found[name[0].rstrip("/")] = piece.run_id
    return {**found, **task.order.given}


def _rounds(task: Task, runs: Mapping[str, str], last: Decision | None, kept: int) -> Iterator[Round]:
    """Those that the paper is not about, in their order: all but the last, or all but the one that was kept."""
    earlier = {int(name[1]) for each in runs if (name := _EARLIER.match(f"{each}/"))} - {kept}
    before = {number: f"round-{number}/" for number in earlier}
    if kept and last is not None:
        before[last.round] = ""
    for number, where in sorted(before.items()):
        named = {phase: runs.get(f"{where}{phase}", "") for phase in ("training", "evaluation", "iteration")}
        about = _decided(task, f"{where}iteration")
        file = _idea(task, about.idea) if about is not None else ""
        yield told.Round(number=number, ideation=runs.get("ideation", "") if file else "", idea=file, **named)


def _experiments(task: Task) -> Iterator[str]:
    """The studies that the phases worked with, whose runs the paper may name."""
    kinds: dict[str, type[Record]] = {
        built.FILE: built.Built,
        trained.FILE: trained.Trained,
        evaluated.FILE: evaluated.Evaluated,
    }
    for name in task.given.names():
        kind = kinds.get(name.rpartition("/")[2])
        if kind is not None:
            found = parse(kind, task.given.read(name), name)
            yield str(getattr(found, "experiment", ""))


def _decided(task: Task, where: str) -> Decision | None:
    """What a round ended with."""
    said = task.given.find(f"{where}/{decision.FILE}")
    return parse(decision.Decision, said, decision.FILE) if said else None


def _idea(task: Task, name: str) -> str:
    """The file of an idea of that name, below ideas/; empty where none has it."""
    below = f"ideation/{idea.FOLDER}"
    for each in task.given.names(below) if name else ():
        if each.endswith((".yaml", ".yml")) and idea.parse(task.given.read(each), each).name == name:
            return each.removeprefix(below)
    return ""
