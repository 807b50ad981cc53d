"""The live pages as they are answered: what they show, what they refuse, and that looking changes nothing."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from lab.core import layout
from lab.core.proposal import RUN, Proposal
from lab.projections.picture import stairs, whole
from lab.scheduler import cycle, refresh
from lab.scheduler.control import approvals
from lab.scheduler.results import present
from lab.web import lists
from tests.cli.labs import dead
from tests.cli.searches import a_run
from tests.scheduler.labs import a_lab, an_experiment, identities, write
from tests.web.labs import HOSTILE, NAME, PARAMS, a_numbered_run, a_seen_lab, begun, finished, looked_at
from tests.web.raw import Visitor

if TYPE_CHECKING:
    from pathlib import Path

    from tests.web.labs import Served


def paths(served: Served) -> list[str]:
    """Every kind of page."""
    run_id = a_numbered_run(served.root, 20)
    page = f"/experiments/{NAME}"
    drawings = ("stairs", "parameters", "timeline", "cost", "slices")
    return [
        "/", "/index.json", "/?q=sweep&phase=active", page, f"{page}/picture.json", f"{page}/runs?q=lr%3E0&sort=-value",
        *(f"{page}/{name}.svg" for name in drawings), f"/runs/{run_id}", f"/runs/{run_id}?stream=stderr",
        f"/runs/{run_id}/log", "/compare", f"/compare?a={run_id}&b={run_id}", *(
            f"{where}?part={part}" for where, part in (
                ("/", "wants"), ("/", "experiments"), (page, "top"), (page, "drawings"), (f"{page}/runs", "runs"),
                (f"/runs/{run_id}", "about"), (f"/runs/{run_id}", "files"),
            )
        ),
    ]  # fmt: skip


def test_every_page_answers_and_looking_changes_no_file(served: Served, visitor: Visitor) -> None:
    asked = paths(served)
    visitor.get("/")  # what caches is cached
    before = identities(served.root.layout.root)
    for path in asked:
        said = visitor.get(path)
        assert said.status == 200, (path, said.text)
        assert said.body
    assert identities(served.root.layout.root) == before


def test_a_part_is_the_same_part_of_the_page(served: Served, visitor: Visitor) -> None:
    visitor.get(f"/experiments/{NAME}")  # a first page says nothing yet of what only a picture knows
    whole_page = visitor.get(f"/experiments/{NAME}").text
    for name in ("top", "drawings", "contents"):
        part = visitor.get(f"/experiments/{NAME}?part={name}").text
        assert part.strip() in whole_page
        assert "<html" not in part


def test_what_is_not_there_is_told_with_what_to_do(served: Served, visitor: Visitor) -> None:
    for path, status, words in (
        ("/experiments/sweeep", 404, "did you mean sweep?"),
        ("/experiments/..%2f..", 404, ""),
        (f"/experiments/{NAME}/nothing.svg", 404, ""),
        (f"/experiments/{NAME}/stairs.png", 404, ""),
        ("/runs/RUN-20260102-030405-000000-nobody", 404, "labctl list ID"),
        (f"/runs/{a_numbered_run(served.root, 7)}?stream=../SPEC.yaml", 400, "stdout, stderr"),
        ("/compare?a=RUN-20260102-030405-000000-x&b=RUN-20260102-030405-000000-y", 404, "there is no run"),
    ):
        said = visitor.get(path)
        assert said.status == status, path
        assert words in said.text


def test_missing_pages_of_the_lab_are_named_with_the_command_that_writes_them(served: Served, visitor: Visitor) -> None:
    served.root.files.discard(served.root.layout.status(NAME))
    served.root.files.discard(served.root.layout.index)
    for path in ("/", f"/experiments/{NAME}", f"/experiments/{NAME}/runs"):
        said = visitor.get(path)
        assert said.status == 503, path
        assert "labctl refresh" in said.text


def test_what_waits_can_be_decided_by_who_is_logged_in_and_by_nobody_else(served: Served, visitor: Visitor) -> None:
    asked = approvals.propose(served.root, Proposal(kind=RUN, experiment=NAME, params=PARAMS, reason="promising"))
    for path in ("/", f"/experiments/{NAME}"):
        page = visitor.get(path).text
        assert asked.proposal_id in page
        assert "promising" in page
        assert '<form class="decide"' not in page
        assert "Log in to decide" in page
    visitor.log_in(served.site.sessions.token)
    for path in ("/", f"/experiments/{NAME}"):
        page = visitor.get(path).text
        assert f'action="/proposals/{asked.proposal_id}/approve"' in page
        assert 'name="csrf" value=""' not in page
    assert f'action="/experiments/{NAME}/pause"' in visitor.get(f"/experiments/{NAME}").text


def test_a_proposal_that_was_changed_can_only_be_rejected(served: Served, visitor: Visitor) -> None:
    asked = approvals.propose(served.root, Proposal(kind=RUN, experiment=NAME, params=PARAMS, reason="promising"))
    path = served.root.layout.proposal(asked.proposal_id)
    with open(path, "rb") as file:
        write(path, file.read().replace(b"0.5", b"9.5"))
    visitor.log_in(served.site.sessions.token)
    page = visitor.get("/").text
    assert "it was changed after it was proposed" in page
    assert f"Reject {asked.proposal_id}" in page
    assert "Approve" not in page


def test_a_run_under_way_is_shown_before_it_is_sealed(served: Served, visitor: Visitor) -> None:
    running = begun(served.root)
    assert running.lease.claim.run_id in visitor.get(f"/experiments/{NAME}").text
    assert "under way" in visitor.get(f"/runs/{running.lease.claim.run_id}").text
    assert 'data-log="' in visitor.get(f"/runs/{running.lease.claim.run_id}").text


def test_a_run_whose_holder_is_gone_wants_somebody_on_the_page_of_the_lab_too(served: Served, visitor: Visitor) -> None:
    assert "is gone, and nobody sealed it" not in visitor.get("/").text
    run = cycle.begin(served.root, NAME, owner=dead(), params=PARAMS).manifest.run_id
    for page in ("/", f"/experiments/{NAME}"):
        assert f"the holder of {run} is gone, and nobody sealed it" in visitor.get(page).text


def test_of_a_run_that_said_why_it_failed_in_its_stderr_alone_that_is_the_log_that_is_open(
    served: Served, visitor: Visitor
) -> None:
    running = begun(served.root)
    run_id = running.lease.claim.run_id
    with open(f"{served.root.layout.run(NAME, run_id)}/stderr.log", "wb") as file:
        file.write(b"Traceback: no such file\n")
    assert ">stdout</a>" in visitor.get(f"/runs/{run_id}").text.split('aria-current="true"')[-1]  # more may come there
    finished(served.root, running, None, "failed")
    page = visitor.get(f"/runs/{run_id}").text
    assert "Traceback: no such file" in page
    assert 'aria-current="true">stderr</a>' in page
    asked = visitor.get(f"/runs/{run_id}?stream=stdout").text  # what is asked for is shown
    assert "Traceback" not in asked
    assert "Nothing was written." in asked


def test_who_filters_by_an_outcome_that_no_run_has_is_told_which_there_are(served: Served, visitor: Visitor) -> None:
    page = f"/experiments/{NAME}/runs?q="
    assert "The outcomes here are crash and success" in visitor.get(f"{page}outcome:crashed").text
    assert "The outcomes here" not in visitor.get(f"{page}outcome:crash").text
    assert "The outcomes here" not in visitor.get(f"{page}nothing-is-called-so").text


def test_the_data_behind_a_page_is_the_picture(served: Served, visitor: Visitor) -> None:
    picture = whole.parse(visitor.get(f"/experiments/{NAME}/picture.json").body)
    assert (picture.head.experiment, picture.head.runs) == (NAME, 6)
    index = json.loads(visitor.get("/index.json").body)
    assert [row["id"] for row in index["experiments"]] == [NAME]


def test_a_drawing_that_stands_by_itself_may_show_its_style_and_nothing_else(served: Served, visitor: Visitor) -> None:
    said = visitor.get(f"/experiments/{NAME}/stairs.svg")
    assert said.headers["content-type"] == "image/svg+xml"
    assert said.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")


def test_an_experiment_without_runs_and_an_empty_lab_have_pages(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab")
    with looked_at(root) as served:
        refresh.lab_pages(root)
        assert "The lab is empty" in Visitor(served.server).get("/").text
        an_experiment(root, "bare")
        refresh.lab_pages(root)
        for path in ("/", "/experiments/bare", "/experiments/bare/runs", "/experiments/bare/picture.json"):
            assert Visitor(served.server).get(path).status == 200, path


def test_hostile_words_stay_words(served: Served, visitor: Visitor) -> None:
    run_id = a_numbered_run(served.root, 20, note=HOSTILE)
    page = f"/experiments/{NAME}"
    evil = quote('"><script>alert(1)</script><b>\x1b[31m\u202e', safe="")
    for path in (
        page, f"{page}/runs", f"{page}/runs?q={evil}", f"{page}/runs?sort={evil}", f"{page}/runs?tier={evil}",
        f"/runs/{run_id}", f"/?q={evil}", f"/compare?a={evil}&b={evil}",
    ):  # fmt: skip
        said = visitor.get(path).text
        assert "<script>" not in said, path
        assert "<b>" not in said, path
        assert not {"\x1b", "\u202e", "\x07", "\x9b"} & set(said), path


def test_the_first_page_filters_by_words_and_phase(served: Served, visitor: Visitor) -> None:
    an_experiment(served.root, "other")
    refresh.lab_pages(served.root)
    both, one = visitor.get("/?part=experiments").text, visitor.get("/?part=experiments&q=SWE+rate").text
    assert "/experiments/other" in both
    assert "/experiments/other" not in one
    assert f"/experiments/{NAME}" in one
    assert "None of 2 experiments" in visitor.get("/?part=experiments&q=nothing").text
    assert "/experiments/other" in visitor.get("/?part=experiments&phase=queued").text


def test_a_table_that_goes_away_and_comes_back_is_read_anew(served: Served, visitor: Visitor) -> None:
    path = f"/experiments/{NAME}/runs?part=runs"
    assert "6 of 6 runs" in visitor.get(path).text
    served.root.files.discard(served.root.layout.page(NAME, layout.METRICS_LOG))
    assert visitor.get(path).status == 503
    refresh.everything(served.root)
    assert "6 of 6 runs" in visitor.get(path).text


def test_a_table_that_becomes_a_pipe_keeps_nobody_waiting(served: Served, visitor: Visitor) -> None:
    path = f"/experiments/{NAME}/runs?part=runs"
    table = served.root.layout.page(NAME, layout.METRICS_LOG)
    assert "6 of 6 runs" in visitor.get(path).text
    os.unlink(table)
    os.mkfifo(table)
    for page in (path, path, f"/experiments/{NAME}", "/"):
        visitor.get(page)  # a second one would wait for the lock of the first
    said = visitor.get(path)
    assert said.status == 503
    assert "the table of runs is no file" in said.text
    refresh.everything(served.root)
    assert "6 of 6 runs" in visitor.get(path).text


def test_the_table_says_of_each_run_what_the_staircase_says(tmp_path: Path) -> None:
    root = a_seen_lab(tmp_path / "lab", 2)
    for value in (0.30, 0.31, 0.29, 0.305, 0.285):
        a_run(root, PARAMS, value, name=NAME)  # the same five times: so the noise is known
    a_run(root, {**PARAMS, "depth": 3}, 0.28, name=NAME)
    a_run(root, {**PARAMS, "depth": 4}, 0.01, name=NAME)
    with looked_at(root) as served:
        at = present.read(root, NAME)
        told = {row.run_id: row.kind for row in lists.answer(served.site.live, at, lists.Question()).rows}
        picture = whole.parse(Visitor(served.server).get(f"/experiments/{NAME}/picture.json").body)
    assert told == {row.run_id: row.kind for row in picture.rows}
    assert stairs.WITHIN in told.values()
    assert next(iter(told.values())) == stairs.KEEP


def test_two_runs_are_compared_by_their_means_as_on_the_command_line(tmp_path: Path) -> None:
    root = a_seen_lab(tmp_path / "lab", 0)
    lucky, *_ = [a_run(root, PARAMS, value, name=NAME).run.run_id for value in (1.0, 1.6, 1.601, 1.602)]
    steady, *_ = [
        a_run(root, {**PARAMS, "depth": 3}, value, name=NAME).run.run_id for value in (1.3, 1.301, 1.302, 1.303)
    ]
    refresh.lab_pages(root)
    with looked_at(root) as served:
        page = Visitor(served.server).get(f"/compare?a={lucky}&b={steady}").text
    told = re.sub("<[^>]+>", "", page)
    assert "B less A: -0.14925, by the means of 4 and 4 measurements" in told
    assert "A is better" not in told
