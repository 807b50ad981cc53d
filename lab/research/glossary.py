"""The words by which a research project is told: what each means, why it is so, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.glossary import Word
from lab.research import declared

if TYPE_CHECKING:
    from collections.abc import Iterator

DECISION, REASON, SOURCE, STATE, WORD = "decision", "reason", "source", "state of a phase", "word of research"
CLAIM, PHASE, MODE = "claim of a paper", "phase of research", "mode of research"
_STATUS = "labctl research status ID"
_DECISIONS = {
    "keep": ("the idea did what it promised, or a person says so: on to the paper", "iteration, by its rule or a word",
             "read the reason beside it; the paper follows"),
    "refine": ("another round of the same idea", "it is better, and less than was predicted", "nothing; runs follow"),
    "pivot": ("the next idea takes its place", "it was killed, or made nothing better", "nothing; its study is made"),
    "stop": ("no more rounds; what was found is written up", "rounds, patience or a budget are used up, or a person",
             "raise iteration.max_rounds in project.yaml for more, or read the paper"),
}  # fmt: skip
_REASONS = {
    "goal_met": ("the gain is what was predicted, or more, beyond the noise",
                 "the whole interval is above 0, and the gain reaches predicted_gain", "nothing"),
    "below_prediction": ("better, and less than was predicted", "the gain does not reach predicted_gain of the idea",
                         "another round is made where there may be one"),
    "within_noise": ("baseline and candidate cannot be told apart", "the interval of the gain holds 0",
                     "nothing: that is a result; more seeds (evaluation.seeds) make the interval narrower"),
    "killed": ("the idea's own rule gave it up", "after so many runs the gain was below kill.gain_below",
               "nothing; the next idea follows, where there is one"),
    "worse": ("the candidate is worse than the baseline", "the whole interval is below 0", "nothing; it is written up"),
    "stagnation": ("rounds in a row brought nothing", "iteration.patience of project.yaml", "another idea"),
    "budget_exhausted": ("no budget bears another round", "rounds, hours or runs are used up",
                         "the decision names which; raise it in project.yaml or the SPEC for more"),
    "human_stop": ("a person ended the rounds", "labctl research steer ID --decide stop --why TEXT", "nothing"),
    "human": ("a person decided", "labctl research steer ID --decide WORD --why TEXT", "nothing; the why is in it"),
}  # fmt: skip
_SOURCES = {
    "verified": ("a host knows this source, and says the same of it", "it was asked", "nothing"),
    "mismatch": ("a host knows it, and says something else", "another title, year or author than was given",
                 "correct the entry, then: labctl research run ID --phase literature"),
    "not_found": ("hosts were asked, and none knows it", "it does not exist, or is misspelt",
                  "correct it or take it out: a paper may not cite it"),
    "unverified": ("nobody was asked", "--offline, no host could be reached, or it is a note of your own",
                   "say so, as the paper does; without literature.offline hosts are asked"),
}  # fmt: skip
_STATES = {
    "done": ("a sealed run did it, with what it would be given now", "its outputs say what they must", "nothing"),
    "due": ("it comes next", "it was never done, or what it is given was edited since", "labctl research run ID"),
    "running": ("a run of it is under way", "somebody began it", "labctl tail RUN"),
    "failed": ("its last run failed", "the reason stands below it", "mend that, then: labctl research run ID"),
    "waiting": ("a person is asked before it goes on", "a gate, or a release that is listed",
                "a person: labctl research approve ID"),
    "not yet": ("phases before it are not done", "it builds on them", "labctl research run ID"),
    "unknown": ("nobody can say", "project.yaml or a file of the project cannot be used", "labctl research check ID"),
}  # fmt: skip
_WORDS = {
    "gate": ("a person is asked before this phase", "--gate PHASE, or gates: {PHASE: approve} in project.yaml",
             "a person: labctl research approve ID"),
    "void": ("a run that is not believed", "what it was given or what measures was changed, or it took no time",
             f"{_STATUS} says which; it is done again"),
    "round": ("implementation, training, evaluation and iteration once", "refine and pivot make another", _STATUS),
    "baseline": ("the study with its defaults", "a gain is a gain over it", "nothing"),
    "predicted_gain": ("what an idea promises, in the metric's own unit; above 0 is better",
                       "it is written into the ledger before the first run", "nothing"),
}  # fmt: skip
_VERIFY = "labctl paper verify"
_CLAIMS = {
    "number": ("a number that stands in the paper, with the sealed bytes it comes from", "it was written from a run",
               _VERIFY),
    "words": ("words in the paper that a run, or the project, says", "they were written from it", _VERIFY),
    "figure": ("a picture in the paper, by its digest", "it was drawn from runs", _VERIFY),
    "value": ("the number is the one that stands there", "run(...) in the source of the paper", _VERIFY),
    "key": ("the words are the name of a value", "a table that goes through names", _VERIFY),
    "count": ("the number says how many there are", "count(...) in the source of the paper", _VERIFY),
    "difference": ("the number is one value less another", "difference(...) in the source of the paper", _VERIFY),
    "ratio": ("the number is one value by another", "ratio(...) in the source of the paper", _VERIFY),
    "change": ("the number is the change from one value to another, in percent", "change(...) in the source", _VERIFY),
    "drawn": ("the picture was drawn from the values named", "figure(...) in the source of the paper", _VERIFY),
}  # fmt: skip
FAMILIES = {
    DECISION: _DECISIONS, REASON: _REASONS, SOURCE: _SOURCES, STATE: _STATES, WORD: _WORDS, CLAIM: _CLAIMS,
}  # fmt: skip


def words() -> Iterator[Word]:
    """All of them, a family at a time."""
    for family, table in FAMILIES.items():
        for code, (means, why, do) in table.items():
            yield Word(code=code, family=family, means=means, why=why, do=do)
    for phase in declared.phases():
        why = f"it comes with the mode, unless `skip` names it; its run has {phase.budget}"
        yield Word(code=phase.name, family=PHASE, means=_plain(phase.about), why=why, do=_STATUS)
    for mode in declared.modes():
        why = f"labctl research new ... --mode {mode.word}; it begins with {mode.start}"
        yield Word(code=mode.name, family=MODE, means=_plain(mode.about), why=why, do=_STATUS)


def _plain(about: str) -> str:
    return " ".join(about.split()).removesuffix(".")
