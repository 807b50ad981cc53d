"""Every word that labctl explains: those of the core, and the codes of tables that live elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from lab.core import glossary, glossary_moves, glossary_states, glossary_words, spec_page
from lab.core.errors import NotFound, nearest
from lab.core.glossary import Word
from lab.core.skills import codes
from lab.research import glossary as of_research

if TYPE_CHECKING:
    from collections.abc import Iterator

SKILL, WHY, FIELD = "skill", "why it moved", "SPEC"
_RESEARCH = "labctl research status"
# Of each family a command that shows such a word, or where it would stand. Some words have one of their own.
EXAMPLES = {
    glossary.EXIT: "labctl status; echo $?",
    glossary.ERROR: "labctl status --json",
    glossary.OUTCOME: "labctl list lr-sweep --last 5",
    glossary.VERDICT: "labctl list lr-sweep --json",
    glossary.PHASE: "labctl list",
    glossary.EVENT: "labctl watch --for 0 --plain",
    glossary.STOPPED: "labctl list lr-sweep --outcome timeout",
    glossary.DAMAGE: "labctl verify",
    glossary.NOTICE: "labctl notify show",
    glossary.MODEL: "labctl context lr-sweep",
    WHY: "labctl show lr-sweep --json",
    FIELD: "labctl validate lr-sweep",
    SKILL: "labctl skills list",
    "state": "labctl status",
    "claim": "labctl lease show lr-sweep",
    "job": "labctl status --json",
    "step": "labctl run-once --json",
    "package": "labctl dispatch-ready --json",
    "proposal": "labctl approvals",
    "origin": "labctl top lr-sweep --json",
    "candidate": "labctl explain --list",
    "mark": "labctl report lr-sweep -o -",
    "chosen by": "labctl best lr-sweep --json",
    "training": "labctl tinker runs",
    "check": "labctl watchdog",
    "change": "labctl skills list --json",
    "fence": "labctl validate lr-sweep",
    "machine": "labctl explain --list",
    "noun": "labctl show lr-sweep",
    "role": "labctl list lr-sweep",
    of_research.DECISION: _RESEARCH,
    of_research.REASON: _RESEARCH,
    of_research.SOURCE: _RESEARCH,
    of_research.STATE: _RESEARCH,
    of_research.WORD: _RESEARCH,
    of_research.CLAIM: _RESEARCH,
    of_research.PHASE: _RESEARCH,
    of_research.MODE: _RESEARCH,
}
_OWN = {
    (glossary.EXIT, "9"): "labctl paper verify --help",
    (glossary.ERROR, "busy"): "labctl lease show lr-sweep",
    (glossary.ERROR, "superseded"): "labctl lease show lr-sweep",
    (glossary.ERROR, "not-found"): "labctl list",
    (glossary.ERROR, "corrupt"): "labctl verify",
    (glossary.ERROR, "bad-input"): "labctl validate lr-sweep",
    (glossary.ERROR, "exhausted"): "labctl space show lr-sweep",
    (glossary.OUTCOME, "failed"): "labctl list lr-sweep --outcome failed",
    (glossary.OUTCOME, "crash"): "labctl watchdog --repair",
    (glossary.PHASE, "awaiting-human"): "labctl approvals",
}
_SHORTEST = 6  # letters of a word that is looked for inside of what was typed


def words() -> Iterator[Word]:
    """All of them, a family at a time."""
    for word in _told():
        example = _OWN.get((word.family, word.code)) or EXAMPLES.get(word.family, "")
        yield msgspec.structs.replace(word, example=example)


def find(code: str) -> list[Word]:
    """What a word means: `crash` is an outcome and a verdict. `NotFound` with the nearest one.

    A reason as it is printed, with its numbers and names, is found by the words that it has in it.
    """
    every = list(words())
    wanted = _plain(code)
    found = [word for word in every if _plain(word.code) == wanted]
    found = found or [word for word in every if word.family == FIELD and _plain(word.code).endswith(f".{wanted}")]
    found = found or _within(every, wanted)
    if not found:
        by_plain = {_plain(word.code): word.code for word in every}
        close = by_plain.get(nearest(wanted, tuple(by_plain)), "")
        fix = f"did you mean {close}? labctl explain --list" if close else "labctl explain --list"
        raise NotFound(f"labctl has no word {code!r} to explain", fix=fix)
    return found


def _told() -> Iterator[Word]:
    yield from glossary.words()
    yield from glossary.told(WHY, glossary_moves.EVERY)
    for family, table in {**glossary_states.FAMILIES, **glossary_words.FAMILIES}.items():
        yield from glossary.told(family, table)
    yield from of_research.words()
    for each in codes.MEANING.values():
        why = f"a rule of {each.target}, as {each.severity}"
        yield Word(code=each.code, family=SKILL, means=each.means, why=why, do=each.mend)
    for field in (*spec_page.fields(), *spec_page.nested()):
        yield _of_spec(field)


def _of_spec(field: spec_page.Field) -> Word:
    """A field of SPEC.yaml, by the words of its reference page."""
    kind = "" if field.default == "required" else f", else {field.default}" if field.default else ", or left out"
    where, _, key = field.name.rpartition(".")
    do = f"write `{key}:` into SPEC.yaml" + (f", below `{where}:`" if where else "")
    why = f"{field.type}{kind}" + (f"; for {field.read_by}" if field.read_by else "")
    return Word(code=field.name, family=FIELD, means=field.description.rstrip("., "), why=why, do=do)


def _within(every: list[Word], wanted: str) -> list[Word]:
    """The longest of several words that were printed with something before, after or inside."""
    numbered = re.sub(r"[0-9]+", "#", wanted)
    inside = [
        word
        for word in every
        if len(word.code) >= _SHORTEST
        and (word.family == WHY or " " in word.code)
        and re.sub(r"[0-9]+", "#", _plain(word.code)) in numbered
    ]
    longest = max((len(word.code) for word in inside), default=0)
    return [word for word in inside if len(word.code) == longest]


def _plain(code: str) -> str:
    return "-".join(code.strip().lower().replace("_", "-").split())
