"""What an evaluation left in its run's folder: the results as lm_eval lays them out, and what they say beside others.

Nothing here trusts a run: its folder is read without following links out of it, and no further than it must be.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, evaluation, layout, scores
from lab.core.errors import BadInput, Corrupt, NotFound
from lab.core.evaluation import Asked
from lab.core.scores import Comparison, Score, Scores  # msgspec resolves annotations
from lab.projections import text
from lab.store import inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lab.core.seal import Seal

_ABOVE = f"{layout.ARTIFACTS}/"
_ASKED = f"{_ABOVE}{evaluation.ASKED}"
_RESULTS = re.compile(r"results_[^/]+\.json")
_LISTED = 200  # scores that RESULT.md shows; the results have them all
_MOST_FILES = 10_000


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluation as it lies there. `beside` is None where there is nothing to compare it with."""

    scores: Scores
    metric: str
    remarks: tuple[str, ...] = ()
    beside: Comparison | None = None
    baseline: str = ""  # what it was compared with, as it was named


def newest(names: Iterable[str]) -> str:
    """Of the files of a run its results, of several the last by the time in their names; empty where there are none."""
    found = [name for name in names if name.startswith(_ABOVE) and _RESULTS.fullmatch(_last(name))]
    return max(found, key=_last, default="")


def sealed(path: str, name: str, made: Seal) -> bytes:
    """A file of the run in this folder. `Corrupt` where it is not what was sealed."""
    try:
        data = _bytes(path, name)
    except BadInput as unread:
        raise Corrupt(f"{name} was sealed, and cannot be read", where=path, fix="labctl verify") from unread
    kept = made.files.get(name)
    if kept is None or (len(data) <= scores.MOST_BYTES and canonical.digest(data) != kept.sha256):
        raise Corrupt(f"{name} is not what was sealed", where=path, fix="labctl verify names all damage")
    return data


def asked_better_by(path: str, made: Seal) -> float | None:
    """What the SPEC of a sealed run said that a difference must be; None of one that no `lm_eval:` asked for."""
    if _ASKED not in made.files:
        return None
    try:
        return msgspec.json.decode(sealed(path, _ASKED, made), type=Asked).better_by
    except (
        msgspec.MsgspecError,
        UnicodeDecodeError,
        RecursionError,
    ):  # of a program of one's own, which may call a file so
        return None


def read(path: str) -> Evaluated:
    """What the run in this folder measured. `BadInput` for a folder without results that can be read."""
    asked = _asked(path)
    found = scores.parse(_bytes(path, _newest_in(path)), f"{path}/{layout.ARTIFACTS}")
    remarks = [*found.remarks, *_unlike(asked, found)]
    beside = None
    if asked.baseline:
        try:
            kept = f"{_ABOVE}{evaluation.BASELINE}"
            beside = scores.compare(scores.parse(_bytes(path, kept), kept), found, asked.better_by)
        except BadInput as unfit:
            remarks.append(f"not compared with the baseline: {unfit.what}")
    return Evaluated(
        scores=found, metric=asked.metric, remarks=tuple(remarks), beside=beside, baseline=asked.baseline_name
    )


def note(found: Evaluated, counts: Score) -> str:
    """In a line: what counted, how sure it is, and how it stands beside the baseline."""
    spread = "" if counts.stderr is None else f" ± {counts.stderr:.3g}"
    asked = found.scores.samples.get(counts.task)
    words = [f"{counts.name} {counts.value:.6g}{spread}" + (f" of {asked} questions" if asked else "")]
    pair = next((each for each in found.beside.pairs if each.name == counts.name), None) if found.beside else None
    if pair is not None:
        words.append(f"beside the baseline: {pair.verdict}")
    return "; ".join(words)


def page(found: Evaluated) -> Iterator[str]:
    """The scores for RESULT.md, and the comparison."""
    yield from ("Scores:", "", "| score | value | stderr | examples | questions |", "| --- | --- | --- | --- | --- |")
    for each in found.scores.scores[:_LISTED]:
        spread = "N/A" if each.stderr is None else f"{each.stderr:.6g}"
        shots, asked = (told.get(each.task, "") for told in (found.scores.shots, found.scores.samples))
        yield f"| {text.md(each.name)} | {each.value:.6g} | {spread} | {shots} | {asked} |"
    yield from _rest(len(found.scores.scores))
    if found.beside is not None:
        yield from _compared(found.beside, found.baseline)


def _compared(beside: Comparison, baseline: str) -> Iterator[str]:
    name = text.md(baseline)
    rule = f"a difference counts beyond {beside.better_by:g} times the two standard errors together"
    yield from ("", f"Beside the baseline {name} ({rule}):", "")
    if not beside.pairs:
        yield "- no score is in both"
        return
    yield from (
        "| score | baseline | this run | better by | needed | verdict |",
        "| --- | --- | --- | --- | --- | --- |",
    )
    for each in beside.pairs[:_LISTED]:
        gain, needed = ("" if number is None else f"{number:.6g}" for number in (each.gain, each.needed))
        verdict = f"{each.verdict}: {each.why}" if each.why else each.verdict
        one, other = (f"{value:.6g}" for value in each.values)
        yield f"| {text.md(each.name)} | {one} | {other} | {gain} | {needed} | {text.md(verdict)} |"
    yield from _rest(len(beside.pairs))


def _rest(count: int) -> Iterator[str]:
    if count > _LISTED:
        yield from ("", f"and {count - _LISTED} more")


def _unlike(asked: Asked, found: Scores) -> Iterator[str]:
    """That a task keeps its own number of examples: lm_eval only logs it, and the number would be believed."""
    for task, shots in found.shots.items():
        if asked.num_fewshot is not None and shots != asked.num_fewshot:
            yield f"{task} was asked with {shots} examples, not {asked.num_fewshot}: its YAML says num_fewshot: {shots}"


def _asked(path: str) -> Asked:
    try:
        return msgspec.json.decode(_bytes(path, _ASKED), type=Asked)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"{_ASKED} does not say what was asked: {error}", fix="run it again") from None


def _newest_in(path: str) -> str:
    """The results that lie there, whoever will seal them. `NotFound` where there are none."""
    names = []
    try:
        at = inside.folder(path, layout.ARTIFACTS)
    except OSError:
        at = -1
    if at >= 0:
        try:
            for count, each in enumerate(inside.listed(at)):
                if each.is_plain:
                    names.append(f"{_ABOVE}{each.name}")
                if count > _MOST_FILES:
                    break
        finally:
            os.close(at)
    found = newest(names)
    if not found:
        fix = "its log says why: labctl tail RUN"
        raise NotFound(f"there are no results of lm_eval in {_ABOVE}", where=path, fix=fix)
    return found


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _bytes(path: str, name: str) -> bytes:
    """A file below the folder of a run, opened so that no link leads out of it."""
    above, _, own = path.rstrip("/").rpartition("/")
    try:
        at = inside.folder(above or "/", own)
        try:
            return inside.head(at, name, scores.MOST_BYTES + 1)[0]
        finally:
            os.close(at)
    except OSError as error:
        raise BadInput(f"{name} cannot be read: {error.strerror or 'no plain file'}", where=path, fix="") from None
