"""labctl explain: no word of labctl's stays unexplained."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from lab.cli import explained, reference
from lab.cli.parser import EXIT_CODES
from lab.core import event, glossary, launch, notice
from lab.core.run import OUTCOMES, VERDICTS
from lab.core.skills import codes
from lab.core.view import PHASES
from lab.llm import exchange
from tests.cli.labs import CHECKOUT

if TYPE_CHECKING:
    from tests.cli.labs import Labctl

STOPPED = {
    launch.TIMEOUT, launch.MEMORY, launch.CANCELLED, launch.SUPERSEDED, launch.INTERRUPTED, launch.ORPHANED,
    launch.HOPELESS,
}  # fmt: skip
MODEL = {value for value in vars(exchange).values() if isinstance(value, str) and value.startswith("model-")}
DAMAGE = set(re.findall(r'kind="([a-z-]+)"', (CHECKOUT / "lab/store/verify.py").read_text(encoding="utf-8")))
SAID = {
    glossary.EXIT: {str(code) for code, _ in EXIT_CODES},
    glossary.ERROR: {each.kind for each in reference.every_error()},
    glossary.OUTCOME: set(OUTCOMES),
    glossary.VERDICT: set(VERDICTS) - {""},
    glossary.PHASE: set(PHASES),
    glossary.EVENT: set(event.TYPES),
    glossary.DAMAGE: DAMAGE,
    glossary.NOTICE: {*notice.KINDS, notice.TEST, notice.MORE},
    glossary.MODEL: MODEL,
    explained.SKILL: set(codes.MEANING),
}
WORDS = list(explained.words())


@pytest.mark.parametrize("family", SAID)
def test_every_word_that_labctl_says_is_explained_and_no_other(family: str) -> None:
    told = [word.code for word in WORDS if word.family == family]
    assert sorted(told) == sorted(SAID[family])


def test_every_way_in_which_a_run_is_stopped_is_explained() -> None:
    assert {word.code for word in WORDS} >= STOPPED


@pytest.mark.parametrize("word", WORDS, ids=lambda word: f"{word.family} {word.code}")
def test_an_explanation_says_what_why_and_what_to_do(word: glossary.Word) -> None:
    assert word.means
    assert word.why
    assert word.do
    for text in (word.means, word.why, word.do):
        assert "\n" not in text
        assert not text.endswith(".")


def test_exit_codes_mean_the_same_everywhere() -> None:
    told = {word.code: word.means for word in WORDS if word.family == glossary.EXIT}
    assert told == {str(code): meaning for code, meaning in EXIT_CODES}


def test_a_word_is_explained_to_a_person(labctl: Labctl) -> None:
    assert labctl.done("explain", "superseded").out.splitlines() == [
        "superseded (error): this process lost its lease: it was taken for dead, and another was let in",
        "  why: it was silent for longer than its lease, as after a suspended laptop or a full disk",
        "  do: nothing: its bundle is kept, marked, and never counted",
    ]


def test_a_word_of_two_families_is_explained_in_both(labctl: Labctl) -> None:
    found = labctl.done("explain", "crash", "--json").data["codes"]
    assert isinstance(found, list)
    assert [each["family"] for each in found] == ["outcome", "verdict"]


@pytest.mark.parametrize("typed", ["BUSY", "run-sealed", "RUN_SEALED", " 3 ", "awaiting_human"])
def test_how_it_is_spelt_does_not_matter(typed: str, labctl: Labctl) -> None:
    labctl.done("explain", typed)


@pytest.mark.parametrize(("typed", "meant"), [("bussy", "busy"), ("timout", "timeout"), ("run-seald", "run_sealed")])
def test_an_unknown_word_gets_the_nearest(typed: str, meant: str, labctl: Labctl) -> None:
    said = labctl("explain", typed)
    assert said.code == 2
    assert f"did you mean {meant}?" in said.err


def test_all_words_are_listed_a_line_each(labctl: Labctl) -> None:
    lines = labctl.done("explain", "--list").out.splitlines()
    assert [line.split("\t")[0] for line in lines] == [word.code for word in WORDS]


def test_the_kind_of_every_refusal_can_be_explained(labctl: Labctl) -> None:
    for words in (("show", "nothing"), ("status",), ("burst",), ("nope",)):
        kind = str(labctl(*words, "--json").error["kind"])
        assert f"{kind} (error)" in labctl.done("explain", kind).out
