"""A source is text with values in it, and no program."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import LabError
from lab.core.record import page
from lab.research.paper import evidence, making, rendering, told
from tests.scheduler.labs import an_experiment

if TYPE_CHECKING:
    from tests.research.paper.papers import Told

NEEDED = "\n\n## Negative results\n\nNone.\n\n## Use of AI\n\nNone.\n"
ESCAPES = [
    "{{ ''.__class__ }}",
    "{{ training.__class__.__mro__ }}",
    "{{ training._raw }}",
    "{{ training._book.sources }}",
    "{{ run.__globals__ }}",
    "{{ run.__self__ }}",
    "{{ self }}",
    "{{ cycler }}",
    "{{ lipsum.__globals__ }}",
    "{{ [].append(1) }}",
    "{{ 'x'.format(1) }}",
    "{{ '%s' % training }}",
    "{{ 'a' * 1000000000 }}",
    "{{ 7 * 7 }}",
    "{{ 2 ** 99999999 }}",
    "{% include '/etc/passwd' %}",
    "{% import 'x' as x %}",
    "{% extends 'x' %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% for x in range(1000000000) %}{% endfor %}",
    "{% for x in training.made recursive %}{{ loop(x) }}{% endfor %}",
    "{% set x = 'a' ~ 'a' %}",
    "{{ training.made | map(attribute='value') }}",
    "{{ training.made | attr('__class__') }}",
    "{{ training.metric | upper }}",
    "{{ evaluation.gain | round }}",
    "{{ evaluation.gain | int }}",
    "{{ evaluation.gain + 1 }}",
    "{{ -evaluation.gain }}",
    "{{ evaluation.gain ~ 'x' }}",
    "{% filter upper %}x{% endfilter %}",
    "{{ evaluation.gain.real }}",
    "{{ evaluation['gain'] | fmt('9999999999f') }}",
    "{{ run('../../etc') }}",
    "{{ run('RUN-20260102-030405-000000-nobody').value }}",
    "{{ source('nobody').title }}",
    "{{ cite('nobody') }}",
    "{{ figure('/etc/passwd') }}",
    "{{ nothing }}",
    "{{ run(training.best) }}",
    "{{ training }}",
    "{{ training.made }}",
    "{{ 0.98 }}",
    "{{ evaluation.is_better }}",
    "{{ evaluation.gain",
    "{% for a in training.made %}" * 4 + "{{ a.run_id }}" + "{% endfor %}" * 4,
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "\ue000" + "0\ue001x\ue002",
    "x" * 300_000,
    "## Results\n\n{{ '0.98' }}",
    "## Results\n\n-{{ evaluation.gain | fmt('.3f') }}",
    "## Results\n\n{{ evaluation.gain | fmt('.3f') }}9",
    "## Results\n\n{{ evaluation.gain | fmt('.3f') }} %",
    "## Results\n\n{{ evaluation.gain | fmt('.3f') }}k",
    "## Results\n\n{{ evaluation.gain | fmt('.3f') }}.5",
    "As in [@nobody2020].",
    "![x](https://example.org/x.png)",
    "![drawn]({{ figure('stairs') }})",
]


def rendered(told_: Told, source: str) -> rendering.Rendered:
    words = making.gathered(told_.task_)
    sources = evidence.Evidence(evidence.InLab(told_.root), {told.FILE: page(words)})
    return rendering.render(source, words, sources)


@pytest.mark.parametrize("source", ESCAPES, ids=lambda source: source[:40])
def test_whatever_is_no_value_of_a_run_is_refused_in_words_and_at_once(told: Told, source: str) -> None:
    began = time.monotonic()
    with pytest.raises(LabError) as refused:
        rendered(told, source + NEEDED)
    assert time.monotonic() - began < 10
    assert refused.value.what
    assert refused.value.exit_code in {1, 2, 4}


def test_a_refusal_names_the_line_of_the_source(told: Told) -> None:
    with pytest.raises(LabError) as refused:
        rendered(told, "a\n\nb {{ evaluation.nothing }}\n" + NEEDED)
    assert refused.value.where == "paper.md.j2 line 3"


def test_a_run_of_another_experiment_is_no_evidence(told: Told) -> None:
    an_experiment(told.root, "other", "executor: stub\n")
    other = told.other_run("other")
    with pytest.raises(LabError, match="is a run of other, and this paper rests on"):
        rendered(told, f"{{{{ run('{other}').value }}}}" + NEEDED)


def test_a_run_that_is_not_sealed_is_no_evidence(told: Told) -> None:
    task, running = told.task()
    with pytest.raises(LabError, match="is not sealed yet"):
        rendered(told, f"{{{{ run('{task.run_id}').value }}}}" + NEEDED)
    told.ended(running)


def test_numbers_are_computed_only_by_what_can_be_computed_again(told: Told) -> None:
    source = """## Results

{{ difference(evaluation.baseline.mean, evaluation.candidate.mean) | fmt(".3f") }},
{{ ratio(evaluation.candidate.mean, evaluation.baseline.mean) | pct(1) }},
{{ change(evaluation.candidate.mean, evaluation.baseline.mean) | pct }},
{{ count(training.made, outcome="failed") }} failed,
{% for name, value in run(training.best).metrics | pairs %}
{{ name | code }} {{ value }}
{% endfor %}
{% for made in training.made %}
{% if made.value is not none and made.value < 2 %}{{ made.run_id }}{% endif %}
{% endfor %}
"""
    made = rendered(told, source + NEEDED)
    assert "3.750,\n25.0 %,\n-75.0 %,\n1 failed," in made.text
    assert "`odd.name` 3" in made.text
    assert {each.op for each in made.claims} == {"difference", "ratio", "change", "count", "key", "value"}
