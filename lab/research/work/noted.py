"""What a phase came to, in a sentence: the note of its run, read from what it left. Pages show it; nothing follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import LabError
from lab.core.record import parse
from lab.research import decision, evaluated, source, trained
from lab.research.decision import Decision
from lab.research.evaluated import Evaluated
from lab.research.literature import review
from lab.research.paper import claim
from lab.research.project import EVALUATION, ITERATION, LITERATURE, PUBLISHING, TRAINING, WRITING
from lab.research.release import manifest
from lab.research.trained import Trained

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.research.work.out import Out


def of(phase: str, out: Out) -> str:
    """Empty where a phase leaves nothing that is told in a sentence, or nothing that can be read."""
    made = _SAID.get(phase)
    try:
        return made(out) if made is not None else ""
    except LabError:
        return ""


def unread(out: Out) -> str:
    """What of the user's own sources was not read, or not as it is: the first of it."""
    words = review.unread(out.read(source.REVIEW) or b"")
    more = f"; and {len(words) - 1} more, in {source.REVIEW}" if len(words) > 1 else ""
    return f"of your own sources: {words[0]}{more}" if words else ""


def _literature(out: Out) -> str:
    data = out.read(source.FILE)
    if data is None:
        return ""
    found = sum(bool(line.strip()) for line in data.splitlines())  # a blank line stands for none
    return "; ".join(filter(None, (f"{found} source{'' if found == 1 else 's'}", unread(out))))


def _training(out: Out) -> str:
    told = parse(Trained, out.read(trained.FILE) or b"", trained.FILE)
    best = next((each for each in told.made if each.run_id == told.best), None)
    found = "nothing to compare" if best is None or best.value is None else f"best {told.metric} {best.value!r}"
    runs = f"{told.runs} of {told.wanted} runs, {found} in {told.tier}"
    return "; ".join(filter(None, (runs, told.stopped, _anew(told.anew))))


def _evaluation(out: Out) -> str:
    told = parse(Evaluated, out.read(evaluated.FILE) or b"", evaluated.FILE)
    found = told.why or ("" if told.gain is None else f"gain {told.gain!r}")
    return "; ".join(filter(None, (found, _anew(told.anew))))


def _anew(runs: int | None) -> str:
    return trained.NOTHING_NEW if runs == 0 else ""


def _iteration(out: Out) -> str:
    told = parse(Decision, out.read(decision.FILE) or b"", decision.FILE)
    return f"{told.decision} ({told.reason}): {told.why}"


def _writing(out: Out) -> str:
    numbers = (out.read(claim.FILE) or b"").count(b"\n")
    title = next(
        (line[2:] for line in (out.read(claim.PAPER) or b"").decode(errors="replace").splitlines() if line[:2] == "# "),
        "",
    )
    return f"{title!r}, {numbers} numbers with their runs" if title else ""


def _publishing(out: Out) -> str:
    data = out.read(manifest.FILE)
    if data is None:
        return ""
    told = manifest.read(data, manifest.FILE)
    where = told.destination or "nowhere yet"
    return f"{len(told.files)} files for {where}, {manifest.digest(data)[: manifest.MARK_CHARS]}"


_SAID: dict[str, Callable[[Out], str]] = {
    LITERATURE: _literature,
    TRAINING: _training,
    EVALUATION: _evaluation,
    ITERATION: _iteration,
    WRITING: _writing,
    PUBLISHING: _publishing,
}
