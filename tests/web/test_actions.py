"""Yes, no, pause and resume from a page: as the verbs do it, once, and only what was seen."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from lab.core.proposal import RESUME, RUN, Proposal
from lab.core.view import AWAITING, PAUSED
from lab.scheduler import decisions, refresh
from lab.scheduler.control import approvals, proposals
from lab.store import ledger
from tests.scheduler.labs import a_lab, tree, write
from tests.web.raw import Heard, Visitor, csrf_of, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.core.event import Event
    from lab.core.view import View
    from lab.store.root import Root
    from lab.web.server import Server
    from lab.web.site import Site

PARAMS: dict[str, object] = {"lr": 0.1}


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_lab(tmp_path / "lab", "a")


@pytest.fixture
def served(root: Root) -> Iterator[tuple[Server, Site]]:
    with serving(root) as served:
        yield served


@pytest.fixture
def visitor(served: tuple[Server, Site]) -> Visitor:
    return _visitor(served)


def _visitor(served: tuple[Server, Site]) -> Visitor:
    visitor = Visitor(served[0])
    assert visitor.log_in(served[1].sessions.token).status == 303
    return visitor


def view(root: Root) -> View:
    with root.section("a"):
        return refresh.catch_up(root, "a").view


def last(root: Root) -> Event:
    return [entry.line.event for entry in ledger.entries(root) if entry.line is not None][-1]


def handed_over(root: Root) -> str:
    with root.section("a"):
        decisions._move(root, refresh.current(root, "a")[0], AWAITING, reason="new_best", actor="policy")
    return approvals.ask(root, Proposal(kind=RESUME, experiment="a", reason="new_best", asked_by="policy")).proposal_id


def proposed(root: Root) -> str:
    return approvals.ask(root, Proposal(kind=RUN, experiment="a", params=PARAMS, reason="a guess")).proposal_id


def digest(root: Root, proposal: str) -> str:
    found = proposals.load(root, proposal)
    assert isinstance(found, tuple)
    return found[1]


def say(visitor: Visitor, path: str, **form: str) -> Heard:
    return visitor.post(path, {"csrf": csrf_of(visitor), "next": "/experiments/a", **form})


def test_yes_to_what_was_seen_is_carried_out_and_written_down_for_whoever_serves(root: Root, visitor: Visitor) -> None:
    waits = handed_over(root)
    said = say(visitor, f"/proposals/{waits}/approve", sha256=digest(root, waits), reason="looks\r\nright")
    assert (said.status, said.headers["location"]) == (303, "/experiments/a")
    assert view(root).phase == "queued"
    assert last(root).actor == "ann (web)"
    assert "looks\nright" in last(root).reason


def test_approved_parameters_wait_for_the_next_run(root: Root, visitor: Visitor) -> None:
    waits = proposed(root)
    assert say(visitor, f"/proposals/{waits}/approve", sha256=digest(root, waits)).status == 303
    (ruling,) = proposals.ready(root)
    assert ruling.params == PARAMS


def test_who_is_refused_is_led_back_to_the_page_of_ours_that_they_came_from(root: Root, visitor: Visitor) -> None:
    waits = handed_over(root)
    form = {"csrf": csrf_of(visitor), "sha256": "0" * 64}
    here = f"http://127.0.0.1:{visitor.server.port}"
    for referer, link in (
        (f"{here}/experiments/a?x=1", '<a href="/experiments/a?x=1">Go back</a>'),
        ("http://127.0.0.1.evil.example/experiments/a", ""),
        (f"{here}//evil.example/", '<a href="/">Go back</a>'),
        ("nonsense", ""),
    ):
        said = visitor.post(f"/proposals/{waits}/approve", form, f"Referer: {referer}")
        assert 400 <= said.status < 500
        assert ("Go back</a>" in said.text) is bool(link)
        assert link in said.text


def test_no_takes_a_reason_and_pauses_what_waited_for_a_word(root: Root, visitor: Visitor) -> None:
    waits = handed_over(root)
    before = tree(root.layout.root)
    unsaid = say(visitor, f"/proposals/{waits}/reject", reason=" ")
    assert unsaid.status == 400
    assert "a rejection needs a reason" in unsaid.text
    assert f'action="/proposals/{waits}/reject"' in unsaid.text  # and can be given here and now
    assert 'name="next" value="/experiments/a"' in unsaid.text
    assert '<a href="/experiments/a">Go back</a>' in unsaid.text
    assert tree(root.layout.root) == before
    assert say(visitor, f"/proposals/{waits}/reject", reason="too costly").status == 303
    assert view(root).phase == PAUSED
    assert last(root).reason == "too costly"


@pytest.mark.parametrize("seen", ["", "0" * 64, "short", "0" * 12])
def test_what_was_not_seen_is_not_approved(root: Root, visitor: Visitor, seen: str) -> None:
    waits = proposed(root)
    before = tree(root.layout.root)
    for sha256 in (seen, digest(root, waits)[:12]):
        assert say(visitor, f"/proposals/{waits}/approve", sha256=sha256).status == 400
    assert tree(root.layout.root) == before


def test_what_was_changed_since_it_was_shown_is_not_approved(root: Root, visitor: Visitor) -> None:
    waits = proposed(root)
    shown = digest(root, waits)
    place = root.layout.proposal(waits)
    with open(place, "rb") as file:
        write(place, file.read().replace(b"0.1", b"9.1"))
    for sha256 in (shown, digest(root, waits)):
        said = say(visitor, f"/proposals/{waits}/approve", sha256=sha256)
        assert said.status == 500
        assert "was changed after it was proposed" in said.text
    assert proposals.ready(root) == []


def test_of_two_browsers_the_second_is_told_who_was_quicker(root: Root, served: tuple[Server, Site]) -> None:
    waits = proposed(root)
    first, second = _visitor(served), _visitor(served)
    seen = digest(root, waits)
    assert say(first, f"/proposals/{waits}/approve", sha256=seen).status == 303
    for path, form in (
        (f"/proposals/{waits}/approve", {"sha256": seen}),
        (f"/proposals/{waits}/reject", {"reason": "no"}),
    ):
        late = say(second, path, **form)
        assert late.status == 409
        assert f"{waits} is approved already by ann (web)" in late.text


def test_of_many_at_the_same_moment_exactly_one_decides(root: Root, served: tuple[Server, Site]) -> None:
    waits = proposed(root)
    seen = digest(root, waits)
    visitors = [_visitor(served) for _ in range(6)]
    forms = [csrf_of(visitor) for visitor in visitors]
    statuses: list[int] = []

    def decide(visitor: Visitor, csrf: str) -> None:
        statuses.append(visitor.post(f"/proposals/{waits}/approve", {"csrf": csrf, "sha256": seen}).status)

    threads = [threading.Thread(target=decide, args=each) for each in zip(visitors, forms, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [303] + [409] * 5
    assert len(proposals.ready(root)) == 1


@pytest.mark.parametrize(
    "path", ["/proposals/a-9/approve", "/proposals/no-1/reject", "/proposals/x/approve", "/experiments/no/pause",
             "/experiments/%C3%BC/resume", "/proposals/-1/reject"],
)  # fmt: skip
def test_what_is_not_there_is_told(visitor: Visitor, path: str) -> None:
    said = say(visitor, path, sha256="0" * 64, reason="x")
    assert said.status in (400, 404)
    assert "What to do" in said.text


def test_pause_and_resume_do_as_the_verbs_do(root: Root, visitor: Visitor) -> None:
    assert say(visitor, "/experiments/a/pause", reason="no data").status == 303
    assert (view(root).phase, last(root).reason, last(root).actor) == (PAUSED, "no data", "ann (web)")
    again = say(visitor, "/experiments/a/pause", reason="no data")
    assert (again.status, "a is paused already." in again.text) == (200, True)
    assert say(visitor, "/experiments/a/resume").status == 303
    assert view(root).phase == "queued"


def test_a_refusal_of_the_lab_is_told_as_the_verb_tells_it(root: Root, visitor: Visitor) -> None:
    decisions.complete(root, "a", reason="done", actor="ann")
    said = say(visitor, "/experiments/a/pause", reason="x")
    assert (said.status, "a is completed" in said.text) == (400, True)


def test_a_lab_that_is_locked_by_somebody_is_told_and_not_waited_for_for_ever(
    root: Root, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lab.store import root as opened  # whose wait is made short
    from lab.store.sections import hold  # as above

    monkeypatch.setattr(opened, "hold", lambda path: hold(path, wait_s=0.1))
    with hold(root.layout.section("a")):
        said = say(visitor, "/experiments/a/pause", reason="x")
    assert said.status == 409
    assert "another process has held a short section" in said.text
