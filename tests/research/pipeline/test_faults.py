"""What goes wrong in a phase: it left nothing, it is killed, it is out of time, it changes what it may not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput, Corrupt, LabError, Unavailable
from lab.core.launch import Exit
from lab.core.proposal import RUN, Proposal
from lab.core.record import page
from lab.core.run import CRASH, FAILED, SUCCESS, TIMEOUT
from lab.core.view import AWAITING, COMPLETED
from lab.executors import door
from lab.research import declared
from lab.research.work import working
from lab.research.work.worked import Worked
from lab.scheduler import decisions
from lab.scheduler.control import approvals
from lab.scheduler.step import PROBLEM, RAN
from lab.store import bundles, verify
from tests.research.pipeline import projects
from tests.research.pipeline.projects import NAME, PHASES, only

if TYPE_CHECKING:
    from lab.core.ended import Ended
    from tests.research.pipeline.projects import Lab


def performed(lab: Lab) -> Ended:
    """One run of what is due, in this process: judged as the lab judges it, by what lies there."""
    running = projects.begun(lab)
    code = 0
    try:
        working.perform(lab.root, NAME, running.manifest.run_id, say=lambda _: None, interrupted=str)
    except LabError:
        code = 1
    return door.read("research", running.path, running.manifest, Exit(run_id=running.manifest.run_id, code=code))


def wait_for(place: Path) -> None:
    until = time.monotonic() + 15
    while not place.exists():
        assert time.monotonic() < until, f"{place} never came"
        time.sleep(0.01)


def crank(lab: Lab) -> subprocess.Popen[bytes]:
    """`labctl run-once`, in a process of its own."""
    words = [sys.executable, "-c", "from lab.cli.main import entry; entry()", "run-once", "--experiment", NAME, "--now"]
    return subprocess.Popen(
        [words[0], *words[1:3], f"--data-root={lab.root.layout.root}", *words[3:]],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize("phase", PHASES)
def test_a_kill_in_a_phase_costs_that_run_and_the_phase_is_done_once(tmp_path: Path, phase: str) -> None:
    lab = projects.make(tmp_path, project=only(phase))
    lab.up_to(phase)
    os.mkfifo(lab.control / f"hold-{phase}")
    with crank(lab) as running:
        wait_for(lab.control / f"began-{phase}")
        running.send_signal(signal.SIGKILL)
    (lab.control / f"hold-{phase}").unlink()
    assert lab.to_end() == [phase]
    assert [seal.run.outcome for seal in lab.seals() if seal.run.tier == phase] == [CRASH, SUCCESS]
    assert lab.view().phase == COMPLETED
    assert not verify.verify(lab.root).damage


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_whose_budget_is_used_up_is_not_done(tmp_path: Path, phase: str) -> None:
    lab = projects.make(tmp_path, project=only(phase), more=f"{phase}_time_budget: 0.7s\n")
    lab.up_to(phase)
    (lab.control / f"dawdle-{phase}").touch()
    (step,) = [each for each in lab.take() if each.kind == RAN]
    assert (step.tier, step.outcome) == (phase, TIMEOUT)
    assert projects.due(lab).tier == phase  # whatever it wrote at the last moment


@pytest.mark.parametrize("claimed_s", [0, -36_000], ids=["now", "hours-ago-or-by-another-clock"])
def test_the_time_of_a_phase_is_what_its_spec_says(tmp_path: Path, claimed_s: float) -> None:
    """A person may give it more than the declaration of the phase, which only a new project begins with."""
    lab = projects.make(tmp_path, project=only("iteration"), more="iteration_time_budget: 5h\n")
    lab.up_to("iteration")
    lab.root = lab.elsewhere(claimed_s)
    lab.take()
    assert 4.9 * 3600 < float((lab.control / "left-iteration").read_text()) < 5 * 3600


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_that_says_it_is_done_and_left_nothing_has_failed(tmp_path: Path, phase: str) -> None:
    lab = projects.make(tmp_path, project=only(phase))
    lab.up_to(phase)
    (lab.control / f"lie-{phase}").touch()
    told = performed(lab)
    assert told.outcome == FAILED
    assert "it left no" in told.reason


def test_a_process_that_only_ends_well_has_done_nothing(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("training"))
    running = projects.begun(lab)
    how = Exit(run_id=running.manifest.run_id, code=0)
    assert door.read("research", running.path, running.manifest, how).outcome == FAILED
    lab.root.files.replace(f"{running.path}/metrics.json", b'{"phases_done": 1}\n')
    assert door.read("research", running.path, running.manifest, how).outcome == FAILED
    forged = page(Worked(phase="training", worker="stand-in"))
    lab.root.files.replace(f"{running.path}/research.json", forged)
    told = door.read("research", running.path, running.manifest, how)
    assert (told.outcome, told.value, "no artifacts/training.json" in told.reason) == (FAILED, None, True)


def test_outputs_that_are_links_are_none(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("training"))
    (lab.control / "link-training").touch()
    told = performed(lab)
    assert told.outcome == FAILED
    assert "artifacts/training.json" in told.reason


def test_outputs_that_do_not_say_what_they_must_are_a_failure_by_the_disk_alone(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("evaluation"))
    (lab.control / "false-evaluation").touch()
    told = performed(lab)
    assert (told.outcome, "nobody measured" in told.reason) == (FAILED, True)


RESTS_ON = {
    "project.yaml": "implementation", "rows.csv": "implementation", "phases.yaml": "implementation",
    "built.json": "training", "SEAL.json": "training", "measure.py": "training",
}  # fmt: skip


@pytest.mark.parametrize("name", RESTS_ON)
def test_a_phase_during_which_what_it_rests_on_was_changed_is_void(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase = RESTS_ON[name]
    lab = projects.make(tmp_path, project=only("implementation", "training"))
    if phase == "training":
        assert [each.outcome for each in lab.take() if each.kind == RAN] == [SUCCESS]
    copy, place = tmp_path / "phases.yaml", declared.place
    copy.write_text(Path(place("phases.yaml")).read_text())
    monkeypatch.setattr(declared, "place", lambda each: str(copy) if each == "phases.yaml" else place(each))
    sealed = Path(lab.root.layout.run(NAME, next(iter(bundles.names(lab.root, NAME)), "none")))
    targets = (
        lab.folder / "project.yaml", lab.folder / "inputs" / "rows.csv", copy, sealed / "artifacts" / "built.json",
        sealed / "SEAL.json", lab.control / "study" / "measure.py",
    )  # fmt: skip
    (lab.control / f"spoil-{phase}").write_text(str(next(each for each in targets if each.name == name)))
    told = performed(lab)
    assert told.outcome == FAILED
    assert "while it ran" in told.reason
    assert ("seal of RUN-" if name == "SEAL.json" else name) in told.reason


def test_an_order_whose_inputs_were_changed_before_it_began_is_void(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("implementation"))
    running = projects.begun(lab)
    (lab.folder / "inputs" / "rows.csv").write_text("other\n")
    with pytest.raises(working.Void, match="after it had been ordered"):
        working.perform(lab.root, NAME, running.manifest.run_id, say=lambda _: None, interrupted=str)
    assert lab.done() == []


def test_a_run_that_only_an_archive_has_is_missed_and_not_silently_done_again(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("literature"))
    assert lab.to_end() == ["literature"]
    (run,) = bundles.names(lab.root, NAME)
    Path(lab.root.layout.run(NAME, run)).rename(tmp_path / run)
    with pytest.raises(Unavailable, match="not here"):
        projects.comes(lab)


def test_a_decision_that_is_not_as_it_was_sealed_decides_nothing(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("iteration", "writing"))
    lab.up_to("writing")
    place = Path(lab.root.layout.run(NAME, bundles.names(lab.root, NAME)[-1])) / "artifacts" / "decision.json"
    place.chmod(0o644)
    place.write_text(place.read_text().replace("keep", "stop"))
    with pytest.raises(Corrupt, match=r"decision\.json"):
        projects.comes(lab)
    assert [each.kind for each in lab.take()] == [PROBLEM]


def test_a_phase_without_a_tier_in_the_spec_is_said_and_not_run(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("literature", "writing"))
    spec = Path(lab.root.layout.spec(NAME))
    spec.write_text(spec.read_text().replace("literature, ", ""))
    with pytest.raises(BadInput, match="no tier for the phase literature"):
        projects.comes(lab)


def test_parameters_of_a_persons_own_are_refused_before_a_run(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("literature"))
    approved = approvals.propose(
        lab.root, Proposal(kind=RUN, experiment=NAME, params={"lr": 1}, reason="why not", asked_by="ann")
    )  # fmt: skip
    approvals.approve(lab.root, approved.proposal_id, actor="ann", reason="")
    steps = lab.take()
    assert [(each.kind, "follows from it" in each.what) for each in steps] == [(PROBLEM, True)]
    assert lab.seals() == []


def test_nobody_but_a_run_does_the_work_of_one(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("literature"))
    lab.to_end()
    (run,) = bundles.names(lab.root, NAME)
    with pytest.raises(BadInput, match="under way"):
        working.perform(lab.root, NAME, run, say=lambda _: None, interrupted=str)


def test_a_phase_that_fails_and_fails_is_for_a_person_and_goes_on_by_their_word(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("writing"))
    (lab.control / "lie-writing").touch()
    assert lab.to_end() == ["writing: failed"] * 3
    view = lab.view()
    assert view.phase == AWAITING
    assert view.last is not None
    assert "it left no artifacts/paper.md" in view.last.reason
    (lab.control / "lie-writing").unlink()
    decisions.resume(lab.root, NAME, reason="", actor="ann")
    assert lab.to_end() == ["writing"]
