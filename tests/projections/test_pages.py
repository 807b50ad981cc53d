"""The pages of one experiment, as somebody reads them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given

from lab.core import layout
from lab.core.subject import Finding, Subject
from lab.projections import pages, runbook
from tests.projections import markdown
from tests.projections import subjects as make

CHECKOUT = Path(__file__).resolve().parents[2]
MARKDOWN = (layout.SUMMARY, layout.NEXT, layout.CONTEXT, layout.BEST)


def text(subject: Subject, name: str) -> str:
    return pages.render(subject)[name].decode()


def test_a_run_renews_every_page_but_the_runbook_and_the_tables() -> None:
    subject = make.subject([make.run(value=0.5)])
    left = {layout.RUNBOOK, layout.METRICS_LOG, layout.RESULTS}
    assert set(pages.render(subject)) == set(layout.EXPERIMENT_PAGES) - left


def test_there_are_no_checkpoints_before_there_is_a_run() -> None:
    assert not {layout.LATEST_RUN, layout.BEST_RUN} & set(pages.render(make.subject()))


def test_a_failed_run_is_the_latest_and_never_the_best() -> None:
    made = pages.render(make.subject([make.run(1, "crash", reason="segmentation fault")]))
    assert made[layout.LATEST_RUN] == b"RUN-20260102-030001-000000-scout\n"
    assert layout.BEST_RUN not in made


@given(make.subjects)
def test_the_same_subject_gives_the_same_bytes(subject: Subject) -> None:
    again = msgspec.convert(msgspec.to_builtins(subject), Subject)
    assert pages.render(subject) == pages.render(again)
    assert runbook.runbook_page(subject) == runbook.runbook_page(again)


@pytest.mark.parametrize("name", MARKDOWN)
@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (make.subject([make.moved("awaiting-human", "which tier next?")]), "which tier next?"),
        (make.subject([make.run(1, "failed"), make.moved("paused", "5 failures in a row")]), "5 failures in a row"),
        (make.subject(findings=(Finding(what="a sealed run is gone"),)), "a sealed run is gone"),
        (msgspec.structs.replace(make.subject(), spec=None), "the SPEC cannot be used"),
        (make.subject([make.promoted("gone")]), "which its SPEC does not have"),
    ],
    ids=("awaiting", "paused", "finding", "spec", "tier"),
)
def test_what_wants_a_person_comes_first(name: str, subject: Subject, said: str) -> None:
    lines = [line for line in text(subject, name).split("\n") if line]
    assert lines[2] == "## What wants you"
    assert said in lines[3]
    assert "next: " in lines[3] or subject.findings
    assert said in json.loads(pages.render(subject)[layout.STATUS])["attention"][0]["what"]


@pytest.mark.parametrize("name", MARKDOWN)
def test_nothing_asks_for_anything_while_all_is_well(name: str) -> None:
    for happened in ([make.run(value=0.5)], [make.moved("paused", "holidays")]):
        assert "What wants you" not in text(make.subject(happened), name)


@pytest.mark.parametrize("name", MARKDOWN)
def test_a_page_says_how_far_history_goes(name: str) -> None:
    assert "As of: 2026-01-02T04:00:01.000000Z\n" in text(make.subject([make.run(value=0.5)]), name)


def test_the_best_parameters_are_in_best_and_status_to_copy() -> None:
    params = {"lr": 0.003, "layers": 4, "optimizer": "adam", "dropout": None}
    made = pages.render(make.subject([make.run(value=0.5)], best_params=params))
    block = made[layout.BEST].decode().split("```json\n")[1].split("```")[0]
    assert json.loads(block) == params
    assert json.loads(made[layout.STATUS])["best_params"] == params


@pytest.mark.parametrize("character", ["\u202e", "\x9b", "\u200b", "`" * 5, "\x1b", "\U000e0041"])
def test_hostile_parameters_are_still_themselves_when_they_are_copied(character: str) -> None:
    params = {"prompt": f"```{character}```", character: 1}
    page = text(make.subject([make.run(value=0.5)], best_params=params), layout.BEST)
    markdown.assert_whole(page.encode())
    fence = page.split("json\n")[0].rpartition("\n")[2]
    assert json.loads(page.split(f"{fence}json\n")[1].split(f"\n{fence}\n")[0]) == params


def test_parameters_too_long_for_a_page_are_pointed_at() -> None:
    made = pages.render(make.subject([make.run(value=0.5)], best_params={"text": "x" * 10**6}))
    assert "runs/RUN-20260102-030001-000000-scout/params.json" in made[layout.BEST].decode()
    assert json.loads(made[layout.STATUS])["best_params"] is None
    assert all(len(data) < 10_000 for data in made.values())


@pytest.mark.parametrize(
    ("happened", "why"),
    [
        ([], "no run has been made"),
        ([make.run(k, "failed") for k in range(1, 13)], "12 runs, none succeeded (12 failed"),
        ([make.run(1)], "1 succeeded, but none had a value"),
        ([make.run(value=0.5), make.promoted("final")], "no run was made in it"),
    ],
    ids=("no run", "failed", "no value", "other tier"),
)
def test_best_says_why_there_is_none(happened: list[object], why: str) -> None:
    subject = make.subject(happened, given=make.spec(fidelity_tiers=("default", "final")))
    assert why in text(subject, layout.BEST)


def test_bests_of_other_tiers_stand_apart() -> None:
    tiers = make.spec(fidelity_tiers=("default", "final"))
    happened = [make.run(1, value=0.1), make.promoted("final"), make.run(2, value=0.9, tier="final")]
    page = text(make.subject(happened, given=tiers), layout.BEST)
    assert "val_loss: **0.9**" in page
    assert "| default | 0.1 |" in page.split("## Other tiers")[1]


@pytest.mark.parametrize("outcome", ["failed", "timeout", "crash", "cancelled"])
def test_a_run_without_a_value_never_shows_a_number(outcome: str) -> None:
    made = pages.render(make.subject([make.run(1, outcome)]))
    assert f"| {outcome} | - |" in made[layout.SUMMARY].decode()
    assert "- val_loss: -" in made[layout.CONTEXT].decode()
    status = json.loads(made[layout.STATUS])
    assert status["best_metric_value"] is None
    assert status["best_metric_by_tier"] == {}


def test_zero_is_a_value_like_any_other() -> None:
    made = pages.render(make.subject([make.run(1, value=0.0)]))
    assert "**0.0**" in made[layout.BEST].decode()
    assert json.loads(made[layout.STATUS])["best_metric_value"] == 0.0


def test_the_summary_tells_where_it_stands() -> None:
    happened = [make.run(1, value=0.5), make.run(2, "crash", reason="OOM"), make.run(3, value=0.25, cost=1.5)]
    page = text(make.subject(happened), layout.SUMMARY)
    assert "- Runs: 3 of at most 20: 2 success, 1 crash" in page
    assert "- Last run: RUN-20260102-030003-000000-scout (success, 0.25)" in page
    assert "- Time used: 37.5 s; at most 10 min a run" in page
    assert "- Cost, as the runs reported it: 1.5" in page
    assert "- Next due: 2026-01-02 04:30:03 UTC" in page
    assert "| default | 3 | 2 | 0.25 | RUN-20260102-030003-000000-scout |" in page


def test_context_has_the_last_five_runs_newest_first() -> None:
    happened = [make.run(k, value=1 / k) for k in range(1, 8)]
    page = text(make.subject(happened, results={happened[6].run_id: "# Found\n\nIt helped."}), layout.CONTEXT)
    assert re.findall(r"^## RUN-20260102-0300(\d\d)", page, re.MULTILINE) == ["07", "06", "05", "04", "03"]
    assert "It helped." in page


@pytest.mark.parametrize(
    ("happened", "says"),
    [
        ([], "The first run may start as soon as the scheduler looks"),
        ([make.run(value=0.5)], "The next run may start from 2026-01-02 04:30:01 UTC on"),
        ([make.moved("awaiting-human")], "labctl resume lr-sweep"),
        ([make.moved("paused")], "while it is paused: labctl resume lr-sweep"),
        ([make.moved("completed")], "It is completed"),
        ([make.moved("archived")], "It is archived; no run starts"),
    ],
    ids=("queued", "active", "awaiting", "paused", "completed", "archived"),
)
def test_next_says_what_happens_next(happened: list[object], says: str) -> None:
    assert says in text(make.subject(happened), layout.NEXT)


def test_the_baton_is_quoted_as_it_is_with_the_run_that_wrote_it() -> None:
    baton = "Try <b>lower</b> | rates:\n\n```sh\nrun --lr 0.1\n```\n* then *stop*"
    page = text(make.subject([make.run(value=0.5)], baton=baton), layout.NEXT)
    assert f"````text\n{baton}\n````\n" in page
    assert "From RUN-20260102-030001-000000-scout (success)" in page


def test_the_due_time_follows_the_tier() -> None:
    tiers = {"fidelity_tiers": ["default", "final"], "cadence": "1h", "final_cadence": "1d", "id": "lr-sweep"}
    given_spec = make.parsed(tiers)
    happened = [make.run(1, value=0.5), make.promoted("final")]
    assert "Next due: 2026-01-03 04:00:01 UTC" in text(make.subject(happened, given=given_spec), layout.SUMMARY)


def test_hostile_text_stays_in_its_place() -> None:
    subject = make.hostile()
    quiet = msgspec.structs.replace(subject, findings=(), results={}, baton="quiet", spec=make.spec())
    made = pages.render(subject)
    for name in MARKDOWN:
        markdown.assert_whole(made[name])
        assert markdown.headings(made[name]) == markdown.headings(pages.render(quiet)[name])
        assert len(made[name]) < 40_000
    status = json.loads(made[layout.STATUS])
    assert not markdown.UNSEEN.search(status["goal"] + status["attention"][0]["what"])


def test_a_run_does_not_pay_for_the_template_engine() -> None:
    program = """
import sys
from lab.core.subject import Place
from lab.projections import index, lab_status, pages
from tests.projections import subjects as make
subject = make.subject([make.run(value=0.5)])
pages.render(subject)
lab_status.render(index.of([index.row(subject)], ledger=Place(seq=1, end=1), alerts=()))
print("jinja2" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=CHECKOUT)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_no_place_on_this_machine_is_told() -> None:
    subject = make.subject([make.run(value=0.5), make.moved("awaiting-human", "why")])
    for data in (*pages.render(subject).values(), runbook.runbook_page(subject)):
        assert not re.search(rb"(?<![\w.>])/(work|home|tmp|root|Users)\b", data)


@pytest.mark.parametrize("name", [layout.SUMMARY, layout.BEST])
def test_a_best_number_may_be_luck_unless_the_spec_says_that_there_is_none(name: str) -> None:
    """Whoever copies parameters from a page is told where the ones to take are."""
    happened = [make.run(1, value=0.5), make.run(2, value=0.25)]
    noisy, unsaid, exact = (
        pages.render(make.subject(happened, given=make.spec(noise=noise)))[name] for noise in (True, None, False)
    )
    weighs = b"best number is partly luck: `labctl best lr-sweep` weighs which run to take"
    assert b"The metric is noisy, and a " + weighs in noisy
    assert b"The SPEC does not say whether the metric is noisy. If it is, a " + weighs in unsaid
    assert b"luck" not in exact


def test_best_md_does_not_call_parameters_those_to_take_where_they_may_be_luck() -> None:
    happened = [make.run(1, value=0.5), make.run(2, value=0.25)]
    noisy, exact = (text(make.subject(happened, given=make.spec(noise=noise)), layout.BEST) for noise in (None, False))
    assert "## Parameters of the best number seen\n" in noisy
    assert "## Parameters\n" in exact


def test_of_a_single_run_nothing_is_said_of_luck() -> None:
    assert b"luck" not in pages.render(make.subject([make.run(1, value=0.5)]))[layout.BEST]
