"""The scores in a results file of lm-evaluation-harness, and what two of them say about each other. Pure.

A file may be anybody's, and is refused in words where it is none. A number is a score only if its key is
`metric,filter`: `name`, `alias` and `sample_len` stand beside the scores, and are none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping

import msgspec

from lab.core.errors import BadInput

BETTER_BY = 2.0  # about one time in twenty, chance alone shows more than two standard errors
MOST_BYTES = 64 << 20
MOST_SCORES = 20_000
_NAME_CHARS = 200
_STDERR = "_stderr"
_UNSEEN = 2.0  # over the number of questions: the standard error of what lm_eval gives none bigger than 0

BETTER, WORSE, SAME = "better", "worse", "no difference shown"
UNSURE, NOT_COMPARABLE = "no stderr: cannot tell", "not comparable"
VERDICTS = (BETTER, WORSE, SAME, UNSURE, NOT_COMPARABLE)


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One number. `stderr` is None where lm_eval says N/A; `higher` where the file does not say what is better."""

    task: str
    metric: str
    filter: str
    value: float
    stderr: float | None = None
    higher: bool | None = None

    @property
    def name(self) -> str:
        """As a SPEC names it."""
        return f"{self.task}/{self.metric},{self.filter}"


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """What a results file says, with what is needed to know whether two of them asked the same."""

    scores: tuple[Score, ...]
    model: str = ""
    version: str = ""  # of lm_eval
    hashes: Mapping[str, str] = {}  # by task: of its questions as they were put, and of the answers wanted
    versions: Mapping[str, str] = {}
    shots: Mapping[str, int] = {}
    samples: Mapping[str, int] = {}  # questions that were asked
    parts: Mapping[str, tuple[str, ...]] = {}  # by group: its tasks
    remarks: tuple[str, ...] = ()


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One score of two files. `gain` is what the second is better by, whichever way is better."""

    name: str
    values: tuple[float, float]
    stderrs: tuple[float | None, float | None]
    verdict: str
    gain: float | None = None
    needed: float | None = None  # the gain must be more than this to count
    why: str = ""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A second file beside a first one. `only` are scores that one of them has."""

    better_by: float
    pairs: tuple[Pair, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    def count(self, verdict: str) -> int:
        """How many pairs have this verdict."""
        return sum(pair.verdict == verdict for pair in self.pairs)


def parse(data: bytes, where: str) -> Scores:
    """The scores of a results file. `BadInput` for what is none."""
    whole = _object(data, where)
    results = whole.get("results")
    if not isinstance(results, dict):
        raise _refused("it has no `results`, so lm_eval did not write it", where)
    higher = _mapping(whole.get("higher_is_better"))
    scores: list[Score] = []
    remarks: list[str] = []
    for task, told in results.items():
        if not _is_name(task) or not isinstance(told, dict):
            remarks.append("a task with a name that none has, or without scores, was left out")
            continue
        scores += _of_task(task, told, _mapping(higher.get(task)), remarks)
        if len(scores) > MOST_SCORES:
            raise _refused(f"it has more than {MOST_SCORES:,} scores", where)
    if not scores:
        raise _refused(_scoreless(results), where)
    return Scores(
        scores=tuple(scores),
        model=_text(whole.get("model_name")),
        version=_text(whole.get("lm_eval_version")),
        hashes=_texts(whole.get("task_hashes")),
        versions={task: _text(version) for task, version in _mapping(whole.get("versions")).items()},
        shots=_counts(whole.get("n-shot")),
        samples=_counts(
            {task: _mapping(told).get("effective") for task, told in _mapping(whole.get("n-samples")).items()}
        ),
        parts={
            group: tuple(part for part in parts if isinstance(part, str))
            for group, parts in _mapping(whole.get("group_subtasks")).items()
            if isinstance(parts, list) and parts
        },
        remarks=tuple(dict.fromkeys(remarks)),
    )


def find(scores: Scores, wanted: str) -> Score:
    """The score that somebody names: `task/metric,filter`, or less where that is one. `BadInput` for any other."""
    found = [each for each in scores.scores if wanted in _names(each, scores)]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(each.name for each in (found or scores.scores)[:20])
    what = f"{wanted} is more than one score" if found else f"there is no score {wanted}"
    raise BadInput(f"{what}; there are {shown}", fix="name one of them as `metric` of lm_eval")


def compare(first: Scores, second: Scores, better_by: float = BETTER_BY) -> Comparison:
    """What the second file says beside the first, for each score that both have."""
    mine, theirs = ({each.name: each for each in scores.scores} for scores in (first, second))
    both = [name for name in mine if name in theirs]
    reasons: dict[str, str] = {}
    for name in both:
        task = mine[name].task
        if task not in reasons:
            reasons[task] = "; ".join(_differences(first, second, task))
    return Comparison(
        better_by=better_by,
        pairs=tuple(
            _pair(mine[name], theirs[name], better_by, reasons[task], (_asked(first, task), _asked(second, task)))
            for name in both
            for task in (mine[name].task,)
        ),
        only=(
            tuple(name for name in mine if name not in theirs),
            tuple(name for name in theirs if name not in mine),
        ),
    )


def _pair(one: Score, other: Score, better_by: float, why: str, asked: tuple[int, int]) -> Pair:
    values, stderrs = (one.value, other.value), (one.stderr, other.stderr)
    if not why and (one.higher is None or other.higher is None):
        why = "one of them does not say whether higher is better"
    if not why and one.higher != other.higher:
        why = "higher is better in one of them, and lower in the other"
    if why:
        return Pair(name=one.name, values=values, stderrs=stderrs, verdict=NOT_COMPARABLE, why=why)
    gain = other.value - one.value if one.higher else one.value - other.value
    is_share = all(0 <= value <= 1 for value in values)
    spreads = [_sure(each, count, is_share=is_share) for each, count in zip((one, other), asked, strict=True)]
    if spreads[0] is None or spreads[1] is None:
        return Pair(name=one.name, values=values, stderrs=stderrs, verdict=UNSURE, gain=gain)
    needed = better_by * math.hypot(spreads[0], spreads[1])
    verdict = SAME if abs(gain) <= needed else BETTER if gain > 0 else WORSE
    return Pair(name=one.name, values=values, stderrs=stderrs, verdict=verdict, gain=gain, needed=needed)


def _sure(score: Score, asked: int, *, is_share: bool) -> float | None:
    """The standard error to reckon with; None where nothing is known of it.

    lm_eval says 0 where all answers were right, or none: as if two questions proved that it is always so. Of a rate
    that shows itself in none of n questions all that is known is that it is hardly above 3 / n; two such errors are
    4 / n, a little more than that.
    """
    if score.stderr:
        return score.stderr
    if score.stderr is None or not is_share or score.value not in (0, 1) or asked < 1:
        return None
    return _UNSEEN / asked


def _asked(scores: Scores, task: str) -> int:
    """From how many questions a score is known; 0 where that is not. Of a group its smallest task hides the most."""
    counts = [scores.samples.get(leaf, 0) for leaf in _leaves(scores, task)]
    return len(counts) * min(counts, default=0)


def _differences(first: Scores, second: Scores, task: str) -> Iterator[str]:
    """Why the two did not ask the same, in words. Of a group each of its tasks is looked at."""
    mine, theirs = _leaves(first, task), _leaves(second, task)
    if mine != theirs:
        yield f"{task} is not made of the same tasks"
        return
    if not mine:
        yield f"{task} is a group without tasks"
    for leaf in mine:
        here = "" if leaf == task else f"{leaf}: "
        if not first.hashes.get(leaf) or not second.hashes.get(leaf):
            yield f"{here}no task hash says that both were asked the same (lm_eval keeps it with --log_samples)"
        elif first.hashes[leaf] != second.hashes[leaf]:
            yield f"{here}the questions differ: their task hashes are not the same"
        versions = [each.versions.get(leaf) or "none" for each in (first, second)]
        if "none" in versions:
            yield f"{here}no version of the task is told in both ({' and '.join(versions)})"
        elif versions[0] != versions[1]:
            yield f"{here}the versions of the task differ ({' and '.join(versions)})"
        shots = [str(each.shots.get(leaf, "none")) for each in (first, second)]
        if "none" in shots:
            yield f"{here}no number of examples in front of a question is told in both ({' and '.join(shots)})"
        elif shots[0] != shots[1]:
            yield f"{here}the numbers of examples in front of a question differ ({' and '.join(shots)})"


def _leaves(scores: Scores, task: str) -> tuple[str, ...]:
    """The tasks of a group, and a task itself. A file may name groups in a circle: each is entered once."""
    found: dict[str, None] = {}
    entered = set()
    waiting = [task]
    while waiting:
        here = waiting.pop()
        if here in entered:
            continue
        entered.add(here)
        parts = scores.parts.get(here, ())
        waiting += parts
        if not parts:
            found[here] = None
    return tuple(sorted(found))


def _names(score: Score, scores: Scores) -> tuple[str, ...]:
    """What may be said for a score: its name, and less where no other task could be meant."""
    tasks = {each.task for each in scores.scores}
    short = (f"{score.task}/{score.metric}",)
    alone = (f"{score.metric},{score.filter}", score.metric) if len(tasks) == 1 else ()
    return (score.name, *short, *alone)


def _of_task(task: str, told: Mapping[str, object], higher: Mapping[str, object], remarks: list[str]) -> list[Score]:
    found = []
    for key, given in told.items():
        metric, comma, kind = key.partition(",")
        if not comma or metric.endswith(_STDERR):
            continue
        value = _number(given)
        if value is None or not _is_name(key):
            remarks.append(f"{task}: a score that is no finite number was left out")
            continue
        is_higher = higher.get(metric)
        found.append(
            Score(
                task=task,
                metric=metric,
                filter=kind,
                value=value,
                stderr=_spread(told.get(f"{metric}{_STDERR},{kind}")),
                higher=is_higher if isinstance(is_higher, bool) else None,
            )
        )
    return found


def _scoreless(results: Mapping[str, object]) -> str:
    """Why there is no score: lm_eval before 0.4 wrote its metrics without filters."""
    is_old = any(
        _number(value) is not None and "," not in key and key not in ("sample_len", "name", "alias")
        for told in results.values()
        for key, value in _mapping(told).items()
    )
    return "an lm_eval before 0.4 wrote it, whose metrics have no filters" if is_old else "it has no score"


def _object(data: bytes, where: str) -> Mapping[str, object]:
    if len(data) > MOST_BYTES:
        raise _refused(f"it has more than {MOST_BYTES >> 20} MiB", where)
    try:
        found = json.loads(data)  # msgspec takes no NaN, which lm_eval writes where a score could not be computed
    except (ValueError, RecursionError) as error:
        raise _refused(f"it is no JSON ({str(error)[:100]})", where) from None
    if not isinstance(found, dict):
        raise _refused("it is no JSON object", where)
    return found


def _refused(why: str, where: str) -> BadInput:
    fix = "name a results_*.json that lm_eval wrote, or a run that evaluated a model"
    return BadInput(f"these are no results of lm_eval: {why}", where=where, fix=fix)


def _spread(given: object) -> float | None:
    found = _number(given)
    return found if found is not None and found >= 0 else None


def _number(given: object) -> float | None:
    """A finite number. True is none, and an integer may have a thousand digits."""
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        return None
    try:
        found = float(given)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def _is_name(name: str) -> bool:
    return 0 < len(name) <= _NAME_CHARS and name.isprintable()


def _mapping(given: object) -> Mapping[str, object]:
    return given if isinstance(given, dict) else {}


def _text(given: object) -> str:
    if isinstance(given, (str, int, float)) and not isinstance(given, bool):
        return "".join(each if each.isprintable() else " " for each in str(given)[:_NAME_CHARS])
    return ""


def _texts(given: object) -> Mapping[str, str]:
    return {task: each for task, each in _mapping(given).items() if isinstance(each, str)}


def _counts(given: object) -> Mapping[str, int]:
    return {
        task: each for task, each in _mapping(given).items() if isinstance(each, int) and not isinstance(each, bool)
    }
