"""What people say to a project: gates, releases, steering; and what may run a phase at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import canonical, event
from lab.core.errors import BadInput
from lab.core.policy import Escalate, Finish
from lab.core.view import AWAITING, COMPLETED
from lab.projections import status
from lab.research.projects import said
from lab.research.walk import sequel
from lab.scheduler import decisions, refresh, sequels
from lab.scheduler.control import approvals, proposals
from lab.scheduler.cycle import Errand
from lab.scheduler.dispatch import offers
from lab.scheduler.search.burst import Burst, Order
from lab.scheduler.search.guided import APPROVE, Asking, Guided, Word, reason
from lab.scheduler.search.plan import Wanted
from tests.research.pipeline import projects
from tests.research.pipeline.projects import NAME, only

if TYPE_CHECKING:
    from tests.research.pipeline.projects import Lab


def resume(lab: Lab) -> None:
    decisions.resume(lab.root, NAME, reason="", actor="ann")


def approve_release(lab: Lab, release: str) -> None:
    told = event.Event(
        type=event.RELEASE_APPROVED, ts=lab.root.now(), experiment=NAME, actor="ann", name=release
    )  # fmt: skip
    with lab.root.section(NAME):
        decisions.write_down(lab.root, told)


def test_a_gate_waits_for_a_person_once_and_an_edit_asks_again(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("literature", "writing") + "gates: {writing: approve}\n")
    assert lab.to_end() == ["literature"]
    assert (lab.view().phase, "writing" in lab.view().phase_reason) == (AWAITING, True)
    lab.edit("topic:", "paper: {title: Another}\ntopic:")
    (waiting,) = lab.view().waiting
    approvals.approve(lab.root, waiting.proposal, actor="ann", reason="")
    assert lab.to_end() == []  # what was approved is not what would be done now
    assert lab.view().phase == AWAITING
    resume(lab)
    assert lab.to_end() == ["writing"]
    assert lab.view().phase == COMPLETED


def test_whoever_holds_no_persons_word_passes_no_gate(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("writing") + "gates: {writing: approve}\n")
    assert lab.to_end() == []
    decisions.resume(lab.root, NAME, reason="", actor=decisions.POLICY)
    assert isinstance(projects.comes(lab), Escalate)


def test_a_release_is_sent_after_the_approval_of_its_hash_and_after_nothing_else(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("writing", "publishing") + "publish: {to: git, remote: elsewhere}\n")
    assert lab.to_end() == ["writing", "publishing"]
    asked = projects.comes(lab)
    assert isinstance(asked, Escalate)
    release = str(asked.facts["release"])
    typed = f"labctl research approve {NAME} --release {release}"
    assert typed in lab.view().phase_reason
    (waiting,) = lab.view().waiting
    with pytest.raises(BadInput, match="approved by its hash") as refused:  # by whatever surface
        approvals.approve(lab.root, waiting.proposal, actor="ann")
    assert refused.value.fix.endswith(typed)
    listed = proposals.load(lab.root, waiting.proposal)
    assert isinstance(listed, tuple), listed
    assert listed[0].facts == {"release": release}
    assert typed in Path(lab.root.layout.page(NAME, "SUMMARY.md")).read_text()
    for _ in range(2):
        resume(lab)
        assert lab.to_end() == []
        assert lab.view().phase == AWAITING
    approve_release(lab, "0" * 64)
    assert isinstance(projects.comes(lab), Escalate)
    approve_release(lab, release)
    assert (known := lab.view().pursuit) is not None
    assert known.unapproved == ""
    assert [each.partition(" ")[0] for each in lab.done()] == ["writing", "publishing"]
    resume(lab)
    assert lab.to_end() == ["publishing"]
    assert lab.done()[-1].endswith(" send")
    assert lab.view().phase == COMPLETED
    finished = projects.comes(lab)
    assert isinstance(finished, Finish)
    assert finished.facts["release"] == release


def test_what_a_labctl_that_knew_no_projects_wrote_of_one_takes_no_word_away(tmp_path: Path) -> None:
    """Its pages tell of a ledger that has these words, and of none of them."""
    lab = projects.make(tmp_path, project=only("publishing") + "publish: {to: git, remote: elsewhere}\n")
    lab.to_end()
    asked = projects.comes(lab)
    assert isinstance(asked, Escalate)
    approve_release(lab, str(asked.facts["release"]))
    known = lab.view()
    page = Path(lab.root.layout.status(NAME))
    state = status.fold_state(page.read_bytes())
    assert state is not None
    older = msgspec.structs.replace(state, format=8, view=msgspec.structs.replace(state.view, pursuit=None))
    body = msgspec.json.encode(older, order="sorted")
    fold = body[:-1] + b',"check":"%s"}' % canonical.digest(body).encode()
    page.write_bytes(page.read_bytes().split(b'"fold": ')[0] + b'"fold": ' + fold + b"\n}\n")
    assert isinstance(projects.comes(lab), Errand)
    assert lab.view().pursuit == known.pursuit
    refresh.everything(lab.root)
    assert lab.view() == known


def test_an_edit_after_the_approval_makes_another_release_which_nobody_approved(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("publishing") + "publish: {to: git, remote: elsewhere}\n")
    lab.to_end()
    first = projects.comes(lab)
    assert isinstance(first, Escalate)
    approve_release(lab, str(first.facts["release"]))
    lab.edit("remote: elsewhere", "remote: another")
    resume(lab)
    assert lab.to_end() == ["publishing"]
    assert not lab.done()[-1].endswith(" send")
    assert lab.view().phase == AWAITING


@pytest.mark.parametrize(("person_s", "crank_s"), [(600, 0), (-600, 0), (0, -3600)])
def test_a_persons_ruling_is_told_to_the_iteration_and_heeded_once_whatever_the_clocks_say(
    tmp_path: Path, person_s: float, crank_s: float
) -> None:
    lab = projects.make(tmp_path, project=only("training", "iteration", "writing"))
    assert lab.to_end() == ["training", "evaluation", "iteration", "writing"]
    said.say(lab.elsewhere(person_s), NAME, "try it once more", ruled="refine", actor="ann")
    said.say(lab.root, NAME, "mind the units", actor="ann")  # which takes nothing back
    resume(lab)
    lab.root = lab.elsewhere(crank_s)
    assert lab.to_end() == ["iteration", "training", "evaluation", "iteration", "writing"]
    assert (lab.control / "told-training").read_text() == "|"  # of the second round: it was not meant
    assert [each.partition(" ")[2] for each in lab.done() if each.startswith("training")] == ["1 - -", "2 - -"]


def test_the_same_ruling_can_be_given_for_the_next_round_and_once_for_one(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("training", "iteration"))
    for _ in range(2):
        lab.to_end()
        told = [said.say(lab.root, NAME, "try it once more", ruled="refine", actor="ann") for _ in range(2)]
        assert [each.changed for each in told] == [True, False]
        resume(lab)
    assert lab.to_end() == ["iteration", "training", "evaluation", "iteration"]


def test_words_are_told_until_an_iteration_has_heard_them(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("literature", "training"))
    said.say(lab.root, NAME, "mind the units", actor="ann")
    assert lab.to_end() == ["literature", "training"]
    assert (lab.control / "told-training").read_text() == "|mind the units"


def test_no_two_runs_at_once_and_no_worker_elsewhere(lab: Lab) -> None:
    burst = Burst(lab.root, Order(experiment=NAME, runs=4, jobs=2), Wanted(), tell=lambda _: None, interrupted=str)
    with pytest.raises(BadInput, match="build on each other"):
        burst.prepare()
    told = offers.queue(lab.root, actor="ann", only=(NAME,), now=True)
    assert [(each.kind, "made here" in each.what) for each in told] == [("passed", True)]


def test_a_person_at_a_terminal_is_asked_before_each_phase(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("literature", "writing"))
    burst = Burst(lab.root, Order(experiment=NAME, runs=5), Wanted(), tell=lambda _: None, interrupted=str)
    burst.prepare()
    with pytest.raises(BadInput, match="is a research project") as refused:
        Guided(lab.root, burst, ask=None, actor="ann").run(wait_s=0)
    assert f"labctl research run {NAME}" in refused.value.fix
    asked: list[str] = []

    def ask(asking: Asking) -> Word:
        asked.append(reason(asking))
        return Word(how=APPROVE)

    Guided(lab.root, burst, ask=ask, actor="ann").run(wait_s=None)
    assert [each.partition(" ")[0] for each in lab.done()] == ["literature", "writing"]
    assert asked[:2] == ["the phase literature", "the phase writing"]


def test_a_burst_and_the_crank_at_once_do_no_phase_twice(tmp_path: Path) -> None:
    phases = ("literature", "ideation", "writing")
    lab = projects.make(tmp_path, project=only(*phases))
    start = [sys.executable, "-c", "from lab.cli.main import entry; entry()", f"--data-root={lab.root.layout.root}"]
    verbs = (["burst", NAME, "-n", "5"], *[["run-once", "--experiment", NAME, "--now"]] * 2)
    running = [
        subprocess.Popen([*start, *verb], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for verb in verbs
    ]
    for each in running:
        each.wait(timeout=60)
    assert lab.to_end() == []
    assert [each.partition(" ")[0] for each in lab.done()] == list(phases)


def test_a_person_does_one_phase_again_and_what_builds_on_it_follows(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("literature", "writing"))
    lab.to_end()
    resume(lab)
    with lab.root.section(NAME):
        view, loaded = refresh.current(lab.root, NAME)
    assert loaded.spec is not None
    errand = sequel.again(lab.root, view, loaded.spec, "literature")
    assert isinstance(errand, Errand)
    assert errand.tier == "literature"
    assert sequels.is_followed(loaded.spec)
