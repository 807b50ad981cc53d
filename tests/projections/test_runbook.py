"""RUNBOOK.md follows from the SPEC alone."""

from __future__ import annotations

import msgspec

from lab.core.subject import Finding
from lab.projections import runbook
from tests.projections import markdown
from tests.projections import subjects as make


def page(**changes: object) -> str:
    return runbook.runbook_page(make.subject(given=make.spec(**changes))).decode()


def test_what_happens_does_not_change_it() -> None:
    quiet = runbook.runbook_page(make.subject())
    happened = [make.run(1, value=0.5), make.run(2, "crash"), make.moved("paused", "enough"), make.promoted("final")]
    assert runbook.runbook_page(make.subject(happened, best_params={"lr": 1}, baton="go on")) == quiet
    assert not {"phase", "paused", "active", "As of"} & set(quiet.decode().split())


def test_it_tells_what_the_spec_says() -> None:
    told = page(
        goal="lower the loss",
        executor_command="python train.py --fast",
        constraints=("no data of the test set",),
        fidelity_tiers=("proxy", "final"),
        initial_fidelity_tier="proxy",
        strategy="bayesian",
        autonomous=False,
    )
    assert "- Goal: lower the loss\n- Metric: val_loss, minimize\n" in told
    assert "```text\nexecutor_command: python train.py --fast\n```" in told
    assert "## Rules that every run keeps\n\n- no data of the test set\n" in told
    assert "In order: proxy, final. It began in proxy." in told
    assert "the strategy bayesian" in told
    assert "waits for a person after each run: `labctl resume lr-sweep`" in told
    assert "- after 20 runs, failed ones included" in told


def test_overrides_of_a_tier_are_a_table() -> None:
    given_spec = make.parsed({"id": "lr-sweep", "fidelity_tiers": ["default", "final"], "final_goal": "a | b"})
    told = runbook.runbook_page(make.subject(given=given_spec))
    (table, _) = markdown.tables(told)
    assert table[2] == r"| final | goal | a \| b |"


def test_a_spec_that_cannot_be_used_leaves_a_page_that_says_so() -> None:
    finding = Finding(what="id is missing", where="experiments/lr-sweep/SPEC.yaml", fix="labctl validate")
    told = runbook.runbook_page(msgspec.structs.replace(make.subject(), spec=None, findings=(finding,))).decode()
    assert told.index("## What wants you") < told.index("SPEC.yaml cannot be used")
    assert "- id is missing (in experiments/lr-sweep/SPEC.yaml) - next: labctl validate" in told


def test_hostile_text_stays_in_its_place() -> None:
    told = runbook.runbook_page(make.hostile())
    markdown.assert_whole(told)
    quiet = runbook.runbook_page(make.subject(given=make.spec(constraints=("x",), executor_command="x")))
    assert markdown.headings(told) == markdown.headings(quiet)
