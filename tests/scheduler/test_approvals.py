"""What waits for a person: asked once, approved only as it was proposed, used once, and never lost by a crash."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from lab.core import canonical, event
from lab.core.errors import BadInput, Corrupt, LabError, NotFound
from lab.core.proposal import PROMOTE, RESUME, RUN, Proposal
from lab.core.view import AWAITING
from lab.scheduler import cycle, decisions, reclaim, refresh
from lab.scheduler.control import approvals, approved, proposals
from lab.store import ledger
from lab.testing.files import BEGINNING, Crash, CrashingFiles, a_root
from tests.scheduler.labs import a_copy, a_lab, an_experiment, dead, listings, one_run, reopened, tree, write

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.view import View
    from lab.store.experiments import Loaded
    from lab.store.root import Root

PARAMS: dict[str, object] = {"lr": 0.1, "layers": 3}


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_lab(tmp_path / "lab", "a", "b")


def view(root: Root, name: str = "a") -> View:
    with root.section(name):
        return refresh.catch_up(root, name).view


def events(root: Root, *kinds: str) -> list[event.Event]:
    found = [entry.line.event for entry in ledger.entries(root) if entry.line is not None]
    return [each for each in found if not kinds or each.type in kinds]


def handed_over(root: Root, name: str = "a") -> str:
    """What the turn does when the policy escalates: the phase, then the question."""
    with root.section(name):
        decisions._move(root, refresh.current(root, name)[0], AWAITING, reason="new_best", actor="policy")
    return approvals.ask(root, Proposal(kind=RESUME, experiment=name, reason="new_best", asked_by="policy")).proposal_id


def proposed_run(root: Root, name: str = "a") -> str:
    wanted = Proposal(kind=RUN, experiment=name, params=PARAMS, reason="a guess", asked_by="guided")
    return approvals.ask(root, wanted).proposal_id


def consistent(root: Root) -> bool:
    """Whether the pages are those that history gives, and nothing is half done."""
    refresh.lab_pages(root)
    before = tree(root.layout.root)
    refresh.everything(root)
    return tree(root.layout.root) == before


def test_asking_the_same_again_is_answered_by_what_waits(root: Root) -> None:
    first = handed_over(root)
    before = tree(root.layout.root)
    again = approvals.ask(root, Proposal(kind=RESUME, experiment="a", reason="another reason"))
    assert (first, again.proposal_id, again.made) == ("a-1", "a-1", False)
    assert tree(root.layout.root) == before
    assert proposed_run(root) == "a-2"
    assert proposed_run(root, "b") == "b-1"


def test_what_waits_is_not_taken_for_something_else_that_was_asked(root: Root) -> None:
    """A person would approve what nobody asked for last, and whoever asked would take it for their own."""
    first = approvals.propose(root, Proposal(kind=RUN, experiment="a", params={"lr": 1, "seed": 3}, reason="first"))
    before = tree(root.layout.root)
    alike: list[dict[str, object]] = [{"seed": 3.0, "lr": 1.0}, {"lr": 1, "seed": 3}]
    for params in alike:
        same = approvals.propose(root, Proposal(kind=RUN, experiment="a", params=params, reason="second"))
        assert (same.proposal_id, same.made) == (first.proposal_id, False)
    others: list[dict[str, object]] = [{"lr": 2, "seed": 3}, {"lr": 1}, {"lr": 1, "seed": 3, "more": 1}]
    for params in others:
        with pytest.raises(LabError, match="a-1 waits with other parameters; yours were not kept") as refused:
            approvals.propose(root, Proposal(kind=RUN, experiment="a", params=params))
        assert (refused.value.exit_code, refused.value.kind) == (3, "busy")
    assert tree(root.layout.root) == before
    approvals.propose(root, Proposal(kind=PROMOTE, experiment="a", tier="final"))
    with pytest.raises(LabError, match="a-2 waits with another tier; yours was not kept"):
        approvals.propose(root, Proposal(kind=PROMOTE, experiment="a", tier="proxy"))
    approvals.reject(root, "a-1", why="no", actor="ann")
    assert approvals.propose(root, Proposal(kind=RUN, experiment="a", params={"lr": 2})).made


def test_what_waits_and_cannot_be_read_is_not_what_was_asked(root: Root) -> None:
    name = proposed_run(root)
    with open(root.layout.proposal(name), "wb") as file:
        file.write(b"{")
    with pytest.raises(LabError, match="yours were not kept"):
        approvals.propose(root, Proposal(kind=RUN, experiment="a", params=PARAMS))


def test_a_proposal_is_in_the_ledger_with_the_digest_of_its_file(root: Root) -> None:
    name = handed_over(root)
    with open(root.layout.proposal(name), "rb") as file:
        sha256 = canonical.digest(file.read())
    (made,) = events(root, event.PROPOSAL_MADE)
    assert (made.name, made.experiment, made.facts["kind"], made.facts["sha256"]) == (name, "a", RESUME, sha256)
    (listed,) = proposals.listed(root)
    assert (listed.state, listed.sha256) == ("waiting", sha256)
    assert listed.proposal is not None
    assert listed.proposal.expires_at > listed.proposal.asked_at


def test_status_tells_which_command_to_type(root: Root) -> None:
    handed_over(root)
    with open(root.layout.lab_status, encoding="utf-8") as file:
        assert "labctl approve a-1" in file.read()
    approvals.approve(root, "a-1", actor="ann")
    with open(root.layout.lab_status, encoding="utf-8") as file:
        assert "labctl approve" not in file.read()


def test_approving_a_resume_lets_it_run_again(root: Root) -> None:
    name = handed_over(root)
    ruling = approvals.approve(root, name, actor="ann", reason="go on")
    assert (ruling.verdict, view(root).phase, view(root).waiting) == ("approved", "queued", [])
    (told,) = events(root, event.PROPOSAL_APPROVED)
    assert (told.actor, told.reason, told.facts["sha256"]) == ("ann", "go on", ruling.proposed)
    assert os.listdir(root.layout.approvals) == []
    assert os.path.isfile(root.layout.ruled(name))
    assert os.path.isfile(root.layout.ruled_on(name))
    assert consistent(root)


def test_rejecting_a_resume_pauses_with_the_reason(root: Root) -> None:
    name = handed_over(root)
    approvals.reject(root, name, why="too costly", actor="ann")
    assert (view(root).phase, view(root).phase_reason) == ("paused", "too costly")
    assert os.listdir(root.layout.approvals) == []
    assert consistent(root)


def test_a_rejection_needs_a_reason(root: Root) -> None:
    name = handed_over(root)
    before = tree(root.layout.root)
    with pytest.raises(BadInput, match="needs a reason"):
        approvals.reject(root, name, why="  ", actor="ann")
    assert tree(root.layout.root) == before


def test_what_was_changed_since_cannot_be_approved_but_can_be_rejected(root: Root) -> None:
    name = proposed_run(root)
    path = root.layout.proposal(name)
    with open(path, "rb") as file:
        write(path, file.read().replace(b"0.1", b"9.9"))
    before = tree(root.layout.root)
    with pytest.raises(Corrupt, match="changed after it was proposed"):
        approvals.approve(root, name, actor="ann")
    assert tree(root.layout.root) == before
    assert [each.state for each in proposals.listed(root)] == ["changed"]
    approvals.reject(root, name, why="it was changed", actor="ann")
    assert os.listdir(root.layout.approvals) == []


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[1]", b'{"format":1,"kind":"run","experiment":"b"}'])
def test_a_proposal_that_cannot_be_read_stops_nothing_and_can_be_rejected(root: Root, data: bytes) -> None:
    name = proposed_run(root)
    write(root.layout.proposal(name), data)
    with pytest.raises(Corrupt):
        approvals.approve(root, name, actor="ann")
    assert approvals.expire(root) == []
    assert [each.state for each in proposals.listed(root)] == ["unreadable"]
    approvals.reject(root, name, why="it cannot be read", actor="ann")
    assert view(root).waiting == []


def test_only_what_the_person_has_seen_is_approved(root: Root) -> None:
    name = handed_over(root)
    sha256 = proposals.listed(root)[0].sha256
    for other in ("0" * 64, sha256[:7], "x"):
        with pytest.raises(BadInput, match="not what you have seen"):
            approvals.approve(root, name, actor="ann", sha256=other)
    approvals.approve(root, name, actor="ann", sha256=sha256[:12].upper())


def test_a_word_is_said_once(root: Root) -> None:
    name = handed_over(root)
    approvals.approve(root, name, actor="ann")
    before = tree(root.layout.root)
    with pytest.raises(proposals.AlreadyRuled, match="approved already by ann"):
        approvals.approve(root, name, actor="bob")
    with pytest.raises(proposals.AlreadyRuled, match="approved already by ann"):
        approvals.reject(root, name, why="no", actor="bob")
    assert tree(root.layout.root) == before


@pytest.mark.parametrize("name", ["a", "", "a-", "a-x", "../b-1", "a-1-", "c-1", "a-0000000000001"])
def test_a_name_that_is_no_proposals_is_refused_and_nothing_is_written(root: Root, name: str) -> None:
    before = tree(root.layout.root)
    with pytest.raises(BadInput):
        approvals.approve(root, name, actor="ann")
    with pytest.raises(BadInput):
        approvals.reject(root, name, why="no", actor="ann")
    assert tree(root.layout.root) == before


def test_the_nearest_proposal_is_suggested(root: Root) -> None:
    handed_over(root)
    with pytest.raises(NotFound) as refused:
        approvals.approve(root, "a-2", actor="ann")
    assert refused.value.fix == "did you mean a-1?"


def test_what_expired_cannot_be_approved_and_is_put_away_by_the_next_turn(root: Root) -> None:
    name = handed_over(root)
    later = a_root(root.layout.root, start=BEGINNING + timedelta(days=8))
    assert [each.state for each in proposals.listed(later)] == ["expired"]
    with pytest.raises(BadInput, match="expired"):
        approvals.approve(later, name, actor="ann")
    assert approvals.expire(root) == []
    (passed,) = approvals.expire(later)
    assert (passed.verdict, passed.proposal_id) == ("expired", name)
    assert [(each.name, each.reason) for each in events(root, event.PROPOSAL_REJECTED)] == [(name, "expired")]
    assert view(root).phase == AWAITING  # nobody said no
    assert os.listdir(root.layout.approvals) == []
    assert approvals.expire(later) == []
    assert consistent(later)


def test_an_experiment_in_trouble_keeps_no_other_question_from_being_put_away(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_over(root, "a")
    handed_over(root, "b")
    later = a_root(root.layout.root, start=BEGINNING + timedelta(days=8))
    real = refresh.current

    def damaged(root: Root, experiment: str) -> tuple[View, Loaded]:
        if experiment == "a":
            raise Corrupt("the claim cannot be read")
        return real(root, experiment)

    with monkeypatch.context() as patched:
        patched.setattr(refresh, "current", damaged)
        assert [each.proposal_id for each in approvals.expire(later)] == ["b-1"]
    assert [each.proposal_id for each in approvals.expire(later)] == ["a-1"]


def test_resuming_by_hand_makes_the_question_moot(root: Root) -> None:
    name = handed_over(root)
    decisions.resume(root, "a", reason="", actor="ann")
    assert view(root).waiting == []
    with pytest.raises(BadInput, match="went on without it"):
        approvals.approve(root, name, actor="ann")
    assert [each.state for each in proposals.listed(root)] == ["moot"]
    assert [each.verdict for each in approvals.expire(root)] == ["moot"]
    assert os.listdir(root.layout.approvals) == []
    assert view(root).phase == "queued"
    assert handed_over(root) == "a-2"


def test_a_promotion_waits_for_approval_and_then_holds(root: Root) -> None:
    approvals.ask(root, Proposal(kind=PROMOTE, experiment="a", tier="final", asked_by="policy"))
    assert view(root).tier == "proxy"
    approvals.approve(root, "a-1", actor="ann")
    assert view(root).tier == "final"
    with pytest.raises(BadInput, match="no tier gold"):
        approvals.ask(root, Proposal(kind=PROMOTE, experiment="a", tier="gold"))


def test_parameters_outside_of_the_search_space_are_refused_when_they_are_proposed(root: Root) -> None:
    an_experiment(root, "spaced", "search_space:\n  lr: {low: 0, high: 1}\n")
    with pytest.raises(BadInput, match="not in the search space of spaced"):
        approvals.ask(root, Proposal(kind=RUN, experiment="spaced", params={"lr": 7}))
    assert approvals.ask(root, Proposal(kind=RUN, experiment="spaced", params={"lr": 0.5})).made


def test_a_parameter_with_a_default_may_be_left_out(root: Root) -> None:
    space = """search_space:
  lr: {low: 0, high: 1}
  opt: {choices: [sgd, adam], default: adam}
  m: {low: 0, high: 1, default: 0.9, when: {opt: [sgd]}}
  k: {value: 3}
"""
    an_experiment(root, "spaced", space)
    asked = approvals.ask(root, Proposal(kind=RUN, experiment="spaced", params={"lr": 0.5}))
    whole = {"lr": 0.5, "opt": "adam", "k": 3}
    there = proposals.load(root, asked.proposal_id)
    assert not isinstance(there, LabError)
    assert there[0].params == whole  # what is asked is what will be run
    assert not approvals.ask(root, Proposal(kind=RUN, experiment="spaced", params=whole)).differs
    ruling = approvals.approve(root, asked.proposal_id, actor="ann", edit={"lr": 0.25, "opt": "sgd"})
    assert ruling.params == {"lr": 0.25, "opt": "sgd", "m": 0.9, "k": 3}
    with pytest.raises(BadInput, match="lr is missing"):
        approvals.ask(root, Proposal(kind=RUN, experiment="spaced", params={"opt": "sgd"}))


def test_what_waits_is_made_whole_by_the_yes_where_the_space_grew_meanwhile(root: Root) -> None:
    """It was approved as it stood, and failed: there was no such parameter."""
    an_experiment(root, "spaced", "search_space:\n  lr: {low: 0, high: 1}\n")
    asked = approvals.ask(root, Proposal(kind=RUN, experiment="spaced", params={"lr": 0.5}))
    with open(root.layout.spec("spaced"), "a", encoding="utf-8") as spec:
        spec.write("  k: {type: int, low: 1, high: 9, default: 7}\n")
    ruling = approvals.approve(root, asked.proposal_id, actor="ann")
    assert (ruling.params, ruling.edited) == ({"lr": 0.5, "k": 7}, True)  # no more what was proposed


@pytest.mark.parametrize("inline", [True, False])
def test_a_point_is_judged_by_the_whole_space_wherever_that_lies(root: Root, tmp_path: Path, *, inline: bool) -> None:
    parameters = "{lr: {low: 0, high: 1}, m: {low: 0, high: 1}}"
    text = f"{{parameters: {parameters}, constraints: [lr + m <= 1]}}"
    (tmp_path / "space.yaml").write_text(text)
    an_experiment(root, "spaced", f"search_space: {text if inline else tmp_path / 'space.yaml'}\n")
    outside: list[tuple[dict[str, object], str]] = [
        ({"lr": 7, "m": 0}, "lr"),
        ({"lr": 0.5, "x": 1}, "'x' is no"),
        ({"lr": 0.9, "m": 0.9}, "lr"),
    ]
    for params, wrong in outside:
        with pytest.raises(BadInput, match="not in the search space") as refused:
            approvals.ask(root, Proposal(kind=RUN, experiment="spaced", params=params))
        assert wrong in refused.value.what
    asked = approvals.ask(root, Proposal(kind=RUN, experiment="spaced", params={"lr": 0.5, "m": 0.5}))
    with pytest.raises(BadInput, match="does not meet"):
        approvals.approve(root, asked.proposal_id, actor="ann", edit={"lr": 0.9, "m": 0.9})
    assert approvals.approve(root, asked.proposal_id, actor="ann", edit={"lr": 0.2, "m": 0.1}).edited


def test_an_approved_run_is_used_once_by_the_next_run(root: Root) -> None:
    name = proposed_run(root)
    assert approved.next_run(root, "a") is None
    approvals.approve(root, name, actor="ann")
    assert [each.proposal_id for each in proposals.ready(root)] == [name]
    with root.section("a"):
        wanted = approved.next_run(root, "a")
        assert wanted is not None
        assert (wanted.proposal_id, wanted.params, wanted.edited) == (name, PARAMS, False)
        approved.spend(root, wanted, "RUN-20260102-030405-000000-scout")
        assert approved.next_run(root, "b") is None
    assert proposals.ready(root) == []
    os.mkdir(root.layout.run("a", "RUN-20260102-030405-000000-scout"))
    assert approved.next_run(root, "a") is None
    assert os.path.isfile(root.layout.ruled(name))
    assert os.listdir(root.layout.approved("a")) == []


def claimed(root: Root, *, opened: bool) -> None:
    """A run that takes what was approved, and dies before its bundle is made, or after."""
    with root.section("a"):
        seen, loaded = cycle.observe(root, "a")
        wanted = approved.next_run(root, "a")
        assert wanted is not None
        lease = cycle.claim(root, seen, cycle.usable(loaded), owner=dead())
        approved.spend(root, wanted, lease.claim.run_id)
    if opened:
        errand = cycle.Errand(params=wanted.params, proposal=wanted.proposal_id)
        cycle.opened(root, lease, seen, cycle.usable(loaded), loaded.sha256, errand)


def test_an_approved_run_whose_holder_died_before_its_bundle_waits_again(root: Root) -> None:
    approvals.approve(root, proposed_run(root), actor="ann")
    claimed(root, opened=False)
    assert approved.next_run(root, "a") is None  # it is to be settled first: its holder may live elsewhere
    reclaim.reclaim(root, "a")
    assert approved.next_run(root, "a") is not None


def test_an_approved_run_whose_holder_died_with_its_bundle_is_not_tried_twice(root: Root) -> None:
    approvals.approve(root, proposed_run(root), actor="ann")
    claimed(root, opened=True)
    reclaim.reclaim(root, "a")
    assert approved.next_run(root, "a") is None
    assert view(root).runs == 1


def test_an_approved_run_that_was_changed_is_never_used(root: Root) -> None:
    name = proposed_run(root)
    approvals.approve(root, name, actor="ann")
    path = f"{root.layout.approved('a')}/{name}.json"
    with open(path, "rb") as file:
        write(path, file.read().replace(b"0.1", b"9.9"))
    with root.section("a"):
        assert approved.next_run(root, "a") is None
    assert "changed" in events(root, event.PROPOSAL_REJECTED)[-1].reason
    assert os.listdir(root.layout.approved("a")) == []


def test_approved_runs_are_used_in_the_order_in_which_they_were_proposed(root: Root) -> None:
    for number in range(11):
        wanted = Proposal(kind=RUN, experiment="a", params={"n": number}, asked_by="guided")
        approvals.approve(root, approvals.ask(root, wanted).proposal_id, actor="ann")
    seen = []
    for number in range(11):
        wanted_now = approved.next_run(root, "a")
        assert wanted_now is not None
        seen.append(wanted_now.params)
        approved.spend(root, wanted_now, f"RUN-20260102-030405-{number:06d}-scout")
        os.mkdir(root.layout.run("a", f"RUN-20260102-030405-{number:06d}-scout"))
    assert seen == [{"n": number} for number in range(11)]


def test_an_edit_is_what_runs_and_the_ledger_says_both(root: Root) -> None:
    name = proposed_run(root)
    ruling = approvals.approve(root, name, actor="ann", edit={"lr": 0.5})
    assert (ruling.edited, ruling.params) == (True, {"lr": 0.5})
    (told,) = events(root, event.PROPOSAL_APPROVED)
    assert told.facts["edited"] is True
    assert told.facts["sha256"] != told.facts["ruling"]
    wanted = approved.next_run(root, "a")
    assert wanted is not None
    assert wanted.params == {"lr": 0.5}


@pytest.mark.parametrize("edit", [{"lr": float("nan")}, {"": 1}, {"x": "y" * (1 << 20)}])
def test_an_edit_that_no_run_could_be_given_is_refused(root: Root, edit: dict[str, object]) -> None:
    name = proposed_run(root)
    before = tree(root.layout.root)
    with pytest.raises(BadInput, match="cannot be the parameters"):
        approvals.approve(root, name, actor="ann", edit=edit)
    assert tree(root.layout.root) == before


def test_an_edit_outside_the_search_space_is_refused(tmp_path: Path) -> None:
    space = "search_space:\n  lr: {type: float, low: 0.1, high: 1.0}\n"
    root = a_lab(tmp_path / "lab", "a", more=space)
    approvals.ask(root, Proposal(kind=RUN, experiment="a", params={"lr": 0.2}))
    with pytest.raises(BadInput, match="not in the search space") as refused:
        approvals.approve(root, "a-1", actor="ann", edit={"lr": 7.0})
    assert "lr" in refused.value.what
    approvals.approve(root, "a-1", actor="ann", edit={"lr": 0.3})


def test_a_resume_has_nothing_to_edit(root: Root) -> None:
    with pytest.raises(BadInput, match="no parameters to edit"):
        approvals.approve(root, handed_over(root), actor="ann", edit={"lr": 0.5})


@pytest.mark.parametrize(
    "wanted",
    [
        Proposal(kind="delete", experiment="a"),
        Proposal(kind=RUN, experiment="a"),
        Proposal(kind=RESUME, experiment="a", params={}),
        Proposal(kind=PROMOTE, experiment="a"),
        Proposal(kind=RESUME, experiment="c"),
        Proposal(kind=RUN, experiment="a", params={"x": float("inf")}),
    ],
)
def test_a_proposal_that_makes_no_sense_is_refused_before_anything_is_written(root: Root, wanted: Proposal) -> None:
    before = tree(root.layout.root)
    with pytest.raises(BadInput):
        approvals.ask(root, wanted)
    assert tree(root.layout.root) == before


def test_a_file_that_vanished_is_asked_for_anew(root: Root) -> None:
    name = handed_over(root)
    os.unlink(root.layout.proposal(name))
    with pytest.raises(NotFound):
        approvals.approve(root, name, actor="ann")
    again = approvals.ask(root, Proposal(kind=RESUME, experiment="a"))
    assert (again.proposal_id, again.made) == ("a-2", True)
    assert [each.proposal for each in view(root).waiting] == ["a-2"]


def test_a_question_stopped_before_any_write_is_asked_once(tmp_path: Path) -> None:
    lab = a_lab(tmp_path / "lab", "a").layout.root
    counted = CrashingFiles()
    proposed_run(a_copy(lab, "dry", counted))
    for at in range(1, counted.steps + 1):
        stopped = a_copy(lab, str(at), CrashingFiles(at=at))
        with pytest.raises(Crash):
            proposed_run(stopped)
        after = reopened(stopped)
        if at % 2:
            approvals.expire(after)
        name = proposed_run(after)
        assert name == "a-1", counted.log[at - 1]
        assert [each.proposal for each in view(after).waiting] == ["a-1"], counted.log[at - 1]
        assert len(events(after, event.PROPOSAL_MADE)) == 1, counted.log[at - 1]
        approvals.approve(after, name, actor="ann")
        assert consistent(after), counted.log[at - 1]


@pytest.mark.parametrize("word", ["approve-resume", "approve-run", "approve-promote", "reject-resume", "expire"])
def test_a_word_stopped_before_any_write_is_carried_out_once_or_not_said(tmp_path: Path, word: str) -> None:
    prepared = a_lab(tmp_path / "lab", "a")
    start = BEGINNING + timedelta(days=30 if word == "expire" else 1)
    if word.endswith(("resume", "expire")):
        handed_over(prepared)
    elif word.endswith("run"):
        proposed_run(prepared)
    else:
        approvals.ask(prepared, Proposal(kind=PROMOTE, experiment="a", tier="final"))
    lab = prepared.layout.root

    def say(root: Root) -> None:
        if word == "expire":
            approvals.expire(root)
        elif word.startswith("approve"):
            approvals.approve(root, "a-1", actor="ann")
        else:
            approvals.reject(root, "a-1", why="no", actor="ann")

    a_copy(lab, "dry", counted := CrashingFiles())
    say(a_root(f"{lab}-dry", counted, start=start))
    for at in range(1, counted.steps + 1):
        a_copy(lab, str(at), CrashingFiles())
        with pytest.raises(Crash):
            say(a_root(f"{lab}-{at}", CrashingFiles(at=at), start=start))
        after = a_root(f"{lab}-{at}", start=start + timedelta(hours=1))
        approvals.expire(after)
        if view(after).waiting:
            say(after)
        shown = f"{word} stopped before {counted.log[at - 1]}"
        assert view(after).waiting == [], shown
        assert len(events(after, event.PROPOSAL_APPROVED, event.PROPOSAL_REJECTED)) == 1, shown
        assert os.listdir(after.layout.approvals) == [] or all(
            ".draft" in n for n in os.listdir(after.layout.approvals)
        )
        wanted = {"approve-resume": "queued", "reject-resume": "paused", "expire": AWAITING}.get(word, "queued")
        assert view(after).phase == wanted, shown
        assert view(after).tier == ("final" if word == "approve-promote" else "proxy"), shown
        assert len(proposals.ready(after)) == (1 if word == "approve-run" else 0), shown
        assert consistent(after), shown


def test_what_somebody_decided_after_a_crash_is_not_undone_by_finishing_it(tmp_path: Path) -> None:
    lab = a_lab(tmp_path / "lab", "a")
    handed_over(lab)
    counted = CrashingFiles()
    approvals.approve(a_copy(lab.layout.root, "dry", counted), "a-1", actor="ann")
    told = next(at for at, step in enumerate(counted.log, 1) if step[0] == "append")
    stopped = a_copy(lab.layout.root, "cut", CrashingFiles(at=told + 1))
    with pytest.raises(Crash):
        approvals.approve(stopped, "a-1", actor="ann")
    after = reopened(stopped)
    decisions.pause(after, "a", reason="wait", actor="bob")
    approvals.expire(after)
    assert view(after).phase == "paused"
    assert os.listdir(after.layout.approvals) == []


def test_with_nothing_waiting_a_turn_looks_at_one_folder(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = listings(monkeypatch)
    assert approvals.expire(root) == []
    assert looked == [root.layout.approvals]


def test_the_history_of_proposals_folds_the_same_one_by_one_and_at_once(root: Root) -> None:
    handed_over(root)
    approvals.approve(root, "a-1", actor="ann")
    one_run(root, "a", 0.5)
    proposed_run(root)
    seen = view(root)
    refresh.everything(root)
    assert view(root) == seen
    assert (seen.proposals, [each.proposal for each in seen.waiting]) == (2, ["a-2"])


def test_the_tier_that_it_is_in_is_asked_for_by_nobody(root: Root) -> None:
    with pytest.raises(BadInput, match="is in the tier proxy already"):
        approvals.propose(root, Proposal(kind=PROMOTE, experiment="a", tier="proxy"))
    assert proposals.names(root) == []
