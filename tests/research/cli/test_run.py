"""A project driven from the command line: to a gate, past it, to its end, again after an edit, and through failures."""

from __future__ import annotations

import errno
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from lab.core import event
from lab.research.projects import journey
from lab.scheduler import cycle
from lab.store import ledger
from lab.store.root import Root
from lab.testing.files import a_root
from tests.scheduler.labs import me

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl

REST = ("implementation", "training", "evaluation", "iteration", "writing", "publishing")


@pytest.fixture
def begun(place: Path, labctl: Labctl) -> Path:
    """A project of the two phases that take no time, with a gate between them. Its file."""
    labctl.done("init")
    (place.parent / "broken.bib").write_text("@misc{x, title = {never closed\n")
    typed = ("--mode", "A", "--topic", "why", "--offline", "--gate", "ideation", "--own", "broken.bib")
    labctl.done("research", "new", "mine", *typed)
    path = place.parent / "mine/project.yaml"
    with path.open("a") as file:
        file.write(f"skip: [{', '.join(REST)}]\n")
    return path


def states(labctl: Labctl) -> dict[str, str]:
    stages: list[dict[str, Any]] = labctl.done("research", "status", "mine", "--json").data["stages"]
    return {each["phase"]: each["state"] for each in stages}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_project_goes_to_its_gate_and_past_it_to_its_end_and_on_after_an_edit(labctl: Labctl, begun: Path) -> None:
    assert states(labctl) == {"literature": "due", "ideation": "not yet"}
    said = labctl.done("research", "run", "mine")
    assert said.out.startswith("literature      done in ")
    assert "\tfound=literature by literature; 0 sources; " in labctl.done("list").out  # and no best
    words = "of your own sources: inputs/own/broken.bib"
    assert (words in said.out, words in labctl.done("research", "status", "mine").out) == (True, True), said.out
    assert "next: labctl research approve mine" in said.err
    assert states(labctl) == {"literature": "done", "ideation": "waiting"}
    again = labctl.done("research", "run", "mine", "--json")
    assert (again.data["ran"], again.envelope["advice"]) == (0, ["a person decides: labctl research approve mine"])
    assert labctl.done("research", "resume", "mine", "--json").data["ran"] == 0  # which passes no gate
    assert labctl("guided", "mine", "--json").error["fix"] == "labctl research status mine"
    said = labctl.done("research", "approve", "mine", "--why", "looks right")
    assert said.out == "approved: mine goes on with ideation\n"
    ended = labctl.done("research", "run", "mine", "--json").data
    assert (ended["ran"], ended["standing"]["standing"], ended["failed"]) == (1, "completed", False)
    assert states(labctl) == {"literature": "done", "ideation": "done"}

    edit(begun, 'topic: "why"', 'topic: "why not"')
    shown = labctl.done("research", "status", "mine")
    assert "what it is given was edited since" in shown.out
    assert "next: labctl research resume mine" in shown.err
    closed = labctl("research", "run", "mine", "--json")  # it was asked to go on, and did not
    assert (closed.code, closed.envelope["data"]["ran"]) == (1, 0)
    assert labctl.done("research", "resume", "mine", "--until", "literature", "--json").data["ran"] == 1
    shown = labctl.done("research", "status", "mine")
    assert "for a person's word before it begins" in shown.out  # what it is given is new, so it is asked again


def test_the_verbs_of_a_search_say_what_they_are_not_for(labctl: Labctl, begun: Path) -> None:
    assert labctl("best", "mine", "--json").error["fix"] == "labctl research status mine says what was found"


def test_one_phase_is_done_again_alone(labctl: Labctl, begun: Path) -> None:
    edit(begun, 'gates:\n  ideation: "approve"\n', "")
    assert labctl.done("research", "run", "mine", "--until", "literature", "--json").data["ran"] == 1
    for _ in range(2):  # on the way, and at its end
        ran = labctl.done("research", "run", "mine", "--phase", "literature", "--json").data
        assert [each["tier"] for each in ran["steps"] if each["kind"] == "ran"] == ["literature"]
        labctl.done("research", "run", "mine")
    assert states(labctl) == {"literature": "done", "ideation": "done"}


def test_doing_a_phase_again_passes_no_gate(labctl: Labctl, begun: Path) -> None:
    labctl.done("research", "run", "mine")
    said = labctl("research", "run", "mine", "--phase", "literature", "--json")
    assert (said.code, said.error["fix"]) == (2, "a person decides: labctl research approve mine, then again")
    assert states(labctl) == {"literature": "done", "ideation": "waiting"}


def test_up_to_a_phase_that_is_done_nothing_is_run(labctl: Labctl, begun: Path) -> None:
    edit(begun, 'gates:\n  ideation: "approve"\n', "")
    labctl.done("research", "run", "mine", "--until", "literature")
    for verb in ("run", "resume"):
        said = labctl.done("research", verb, "mine", "--until", "literature")
        assert "literature is done" in said.out.splitlines()
        assert states(labctl) == {"literature": "done", "ideation": "due"}
        assert "no phase 'writting'" in str(labctl("research", verb, "mine", "--until", "writting", "--json").error)


def test_after_three_failures_a_phase_before_the_one_that_failed_may_be_done_again(labctl: Labctl, begun: Path) -> None:
    edit(begun, 'gates:\n  ideation: "approve"\n', "routing: {ideation: command}\ncommands: {ideation: 'false'}\n")
    for _ in range(3):
        assert labctl("research", "run", "mine").code == 1
    assert labctl.done("research", "status", "mine", "--json").data["standing"] == "awaiting-human"
    assert labctl.done("research", "resume", "mine", "--until", "literature", "--json").data["ran"] == 0
    said = labctl("research", "run", "mine", "--phase", "ideation", "--json")
    assert (said.code, said.error["fix"]) == (2, "labctl research resume mine")
    ran = labctl.done("research", "run", "mine", "--phase", "literature", "--json").data
    assert [each["tier"] for each in ran["steps"] if each["kind"] == "ran"] == ["literature"]
    assert labctl.done("research", "status", "mine", "--json").data["standing"] == "active"


def test_a_phase_that_fails_ends_the_run_with_1_and_says_why(labctl: Labctl, begun: Path) -> None:
    with begun.open("a") as file:
        file.write("commands: {literature: 'true'}\n")
    edit(begun, "gates:\n  ideation", "routing: {literature: command}\ngates:\n  ideation")
    said = labctl("research", "run", "mine")
    assert said.code == 1
    assert "literature      failed in " in said.out
    assert "the command true ended and left none of lit/sources.jsonl" in said.out
    assert states(labctl)["literature"] == "failed"
    shown = labctl.done("research", "status", "mine", "--json").data
    assert labctl.done("research", "status", "mine").out.splitlines()[0] == "mine, mode A, active"
    stage = shown["stages"][0]
    assert stage["run"].startswith("RUN-")
    assert "the command true ended and left none of lit/sources.jsonl" in stage["why"]


def test_what_a_person_says_is_written_down_once(labctl: Labctl, begun: Path, place: Path) -> None:
    said = labctl.done("research", "steer", "mine", "small tables only")
    assert ("mine is told: small tables only" in said.out, "so nobody reads it" in said.err) == (True, True)
    assert "(said already)" in labctl.done("research", "steer", "mine", "small tables only").out
    said = labctl.done("research", "steer", "mine", "--decide", "stop", "--why", "enough")
    assert "nobody reads it" not in said.err
    edit(begun, "gates:\n  ideation", "routing: {ideation: command}\ncommands: {ideation: 'true'}\ngates:\n  ideation")
    assert "nobody reads it" not in labctl.done("research", "steer", "mine", "and small ones").err
    lines = [each.line for each in ledger.mentioning(a_root(place), 0, "mine")]
    told = [each.event for each in lines if each is not None and each.event.type == event.RESEARCH_STEERED]
    assert [(each.reason, each.facts.get("ruled"), each.actor) for each in told] == [
        ("small tables only", None, "ann"),
        ("enough", "stop", "ann"),
        ("and small ones", None, "ann"),
    ]
    assert "said by a person: stop: enough" in labctl.done("research", "status", "mine").out


@pytest.mark.parametrize(
    ("typed", "what", "fix"),
    [
        (("run",), "run wants the project", "labctl research new"),
        (("run", "alpha"), "no research project", "labctl research new"),
        (("run", "nobody"), "there is no experiment nobody", ""),
        (("run", "mine", "--until", "writting"), "no phase 'writting'", "its phases are literature"),
        (("run", "mine", "--phase", "ideation", "--until", "ideation"), "one phase alone", "leave --until"),
        (
            ("run", "mine", "--phase", "ideation"),
            "builds on phases that are not done",
            "labctl research run mine does them",
        ),
        (("run", "mine", "-n", "0"), "1 or more", ""),
        (("run", "mine", "more"), "run takes no 'more'", "only `steer` takes words"),
        (("run", "mine", "--offline"), "run does not take --offline", ""),
        (("approve", "mine"), "waits for nobody: it is queued", "labctl research status mine"),
        (("steer", "mine"), "no words to say", "labctl research steer mine TEXT"),
        (("steer", "mine", "x" * 2001), "are too many", "literature.own"),
        (("steer", "mine", "words", "--why", "why"), "--why is of a decision", ""),
        (("steer", "mine", "words", "--decide", "stop"), "in --why", "--why TEXT"),
        (("steer", "mine", "--decide", "stop"), "no words to say", "--decide stop --why TEXT"),
        (("steer", "mine", "--decide", "onwards", "--why", "why"), "no decision 'onwards'", "keep, refine, pivot"),
        (("steer", "alpha", "words"), "no research project", ""),
        (("check", "mine", "--mode", "A"), "has a mode already", "labctl research check mine"),
        (("check", "--mode", "Q"), "no mode 'Q'", "E or continue"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_type(
    labctl: Labctl, begun: Path, typed: tuple[str, ...], what: str, fix: str
) -> None:
    labctl.done("create", "sweep", "--id", "alpha")
    said = labctl("research", *typed, "--json")
    assert said.code == 2, said
    assert what in str(said.error["message"])
    assert fix in str(said.error["fix"])


def test_a_project_whose_file_is_wrong_says_so_wherever_it_is_asked(labctl: Labctl, begun: Path) -> None:
    edit(begun, 'topic: "why"', "topik: why")
    assert "did you mean topic?" in labctl.done("research", "status", "mine").out
    assert labctl("research", "check", "mine").code == 1
    said = labctl("research", "run", "mine")
    assert (said.code, "topik" in said.all) == (2, True)


def test_the_projects_of_a_lab_are_told_in_a_line_each(labctl: Labctl, begun: Path) -> None:
    labctl.done("create", "sweep")
    rows = labctl.done("research", "status", "--json").data["projects"]
    assert [(each["experiment"], each["phase"], each["standing"]) for each in rows] == [
        ("mine", "literature", "queued")
    ]


def test_a_copy_that_nobody_may_write_tells_where_its_project_stands(
    labctl: Labctl, begun: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(place))

    before = labctl.done("research", "status", "mine").out
    monkeypatch.setattr(Root, "section", refuse)
    assert labctl.done("research", "status", "mine").out == before


def test_whoever_interrupts_it_is_told_how_to_go_on(
    labctl: Labctl, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journey, "go", lambda *_, **__: os.kill(os.getpid(), signal.SIGINT))
    said = labctl("research", "run", "mine", "--json")
    assert (said.code, said.error["kind"]) == (130, "interrupted")
    assert said.error["fix"] == "labctl research resume mine goes on where it stopped"


def test_a_phase_that_somebody_is_at_is_running(labctl: Labctl, begun: Path, place: Path) -> None:
    run = cycle.begin(a_root(place), "mine", owner=me()).manifest.run_id
    said = labctl.done("research", "status", "mine", "--json")
    assert [(each["state"], each["run"]) for each in said.data["stages"]] == [("running", run), ("not yet", "")]
    assert said.envelope["next"] == [f"labctl tail {run}"]
