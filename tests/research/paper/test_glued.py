"""What may not touch a number of a run, and how one that nobody measured is told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput
from lab.core.record import page
from lab.research.paper import evidence, making, rendering
from lab.research.paper import told as words

if TYPE_CHECKING:
    from tests.research.paper.papers import Told

A = "{{ count(training.made) }}"
G = '{{ evaluation.gain | fmt(".3f") }}'
P = '{{ idea.predicted_gain | fmt(".3f") }}'
REFUSED = [
    f"{A}**{A}**.*{A}*", f"{A}**.**{A}", f"{A}\\.{A}", f"{A}`e5`", f"{A}**e5**", f"[{A}](https://a.org).[{A}](https://b)",
    f"{A}{A}", f"{A}\N{THIN SPACE}{A}", f"{A}\n{A}", f"{A}.{A}", f"{A}^{A}",
    f"**-**{G}", f"-{G}", f"so − {G}", f"so - {G}", f"so + {G}", f"so –{G}", f"so – {G}", f"\\- {G}", f"minus {G}",  # noqa: RUF001
    f"| - {G} |", f"~{G}", f"negative **{G}**", f"×{G}",  # noqa: RUF001
    f"{G}%", f"{G}\N{FULLWIDTH PERCENT SIGN}", f"{G} pct",
    f"{G} %", f"{G}\\%", f"{G} **%**", f"{G} per cent", f"{G}\nper cent", f"{G} percent", f"{G} million",
    f"{G}k", f"{G}-percent", f"{G} percentage points", f"{G} ×10", "{{ evaluation.gain | pct }}%",  # noqa: RUF001
]  # fmt: skip
ALLOWED = [
    f"{A} runs, {G}.", f"- {A}", f"- **{A}** runs", f"> {A}", f"**{A}** and *{A}*", f"{G} ± {G}", f"{G}–{G}",  # noqa: RUF001
    f"({G}, {G})",
    f"{A}/{A}", f"| {G} | {G} |", f"so — {G}", "{{ evaluation.gain | pct }} of it", f"{A}. {A}, {A}", f"p < {G}",
]  # fmt: skip
GUESSED = [f"Accuracy is {P}.", f"As predicted, accuracy is {P}.", f"{G} and {P}", f"| {P} |", f"**{P}**"]
TOLD = [
    f"Predicted was {P}.",
    f"It reached {G}, of {P} (predicted).",
    f"a predicted gain of **{P}**",
    f"{P} **(predicted)**",
]


def result(told: Told, fragment: str, heading: str = "Results") -> str:
    """The paper that has it."""
    about = making.gathered(told.task_)
    sources = evidence.Evidence(evidence.InLab(told.root), {words.FILE: page(about)})
    source = f"# A\n\n## {heading}\n\n{fragment}\n\n## Negative results\n\nNone.\n\n## Use of AI\n\nNone.\n"
    return rendering.render(source, about, sources).text


@pytest.mark.parametrize("fragment", REFUSED)
def test_what_makes_another_number_of_a_number_is_refused_through_any_markup(told: Told, fragment: str) -> None:
    with pytest.raises(BadInput, match=r"makes another number of it|goes on with digits|comes from no run"):
        result(told, fragment)


@pytest.mark.parametrize("fragment", ALLOWED)
def test_what_leaves_a_number_what_it_is_may_stand_beside_it(told: Told, fragment: str) -> None:
    assert "3.750" in result(told, f"{fragment} and {G}")


@pytest.mark.parametrize("fragment", GUESSED)
def test_a_guess_does_not_stand_as_a_result(told: Told, fragment: str) -> None:
    with pytest.raises(BadInput, match=r"0\.250 was predicted, not measured"):
        result(told, fragment)


@pytest.mark.parametrize("fragment", TOLD)
def test_a_guess_that_is_called_one_stands_among_the_results(told: Told, fragment: str) -> None:
    assert "0.250" in result(told, fragment)


def test_a_guess_may_stand_where_nothing_is_reported(told: Told) -> None:
    assert "0.250" in result(told, f"It aims at {P}.", "Method")
