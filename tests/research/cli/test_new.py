"""`labctl research new`: a project is there whole, or refused with what to type, and what was typed stays data."""

from __future__ import annotations

import os
import shlex
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as some

from lab.core.errors import BadInput
from lab.research import declared, project
from lab.research.phases import publishing
from lab.research.project import PHASES
from lab.research.projects import making, opened, wish
from lab.research.projects.wish import Brought, Wish
from lab.store import experiments
from lab.testing.files import Crash, CrashingFiles, a_root

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl

HYPOTHESIS = """\
name: smoother
hypothesis: A stronger penalty lowers the error
metric: error
direction: minimize
predicted_gain: 0.02
kill: {gain_below: 0.0, after_runs: 8}
"""


@pytest.fixture
def given_files(place: Path, labctl: Labctl) -> Path:
    """A lab, and beside it what a person would bring."""
    labctl.done("init")
    here = place.parent
    (here / "h.yaml").write_text(HYPOTHESIS)
    (here / "rows.csv").write_text("a,b\n" + "".join(f"{each},{each * each}\n" for each in range(40)))
    (here / "notes.md").write_text("What is known.\n")
    return here


WRONG = {
    "noise.pdf": "no head of one",
    "empty.csv": "",
    "head.csv": "a,b\n",
    "noise.csv": "a,b\n\0\1\n",
    "words.csv": "who,b\n" + "ann,1\n" * 40,
    "short.csv": "a,b\n1,2\n",
    "other.yaml": HYPOTHESIS.replace("metric: error", "metric: loss"),
    "strange.yaml": HYPOTHESIS + "space: {depth: {low: 1, high: 2, default: 1}}\n",
    "up.yaml": HYPOTHESIS.replace("minimize", "up"),
}
MODES = {
    "A": ("--topic", "why"),
    "hypothesis": ("--hypothesis", "h.yaml"),
    "C": ("--data", "rows.csv"),
    "given": ("--hypothesis", "h.yaml", "--data", "rows.csv"),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_project_of_a_mode_is_a_folder_and_an_experiment(given_files: Path, labctl: Labctl, mode: str) -> None:
    typed = ("research", "new", "mine", "--mode", mode, *MODES[mode], "--offline", "--own", "notes.md", "--runs", "5")
    foreseen = labctl.done(*typed, "--dry-run", "--json").data
    assert not (given_files / "mine").exists()
    made = labctl.done(*typed, "--json").data
    assert {**made, "made": False, "notes": []} == {**foreseen, "notes": []}
    found = project.parse((given_files / "mine/project.yaml").read_bytes())
    assert (found.mode, found.training.runs, found.literature.offline) == (declared.mode(mode).name, 5, True)
    assert found.literature.own == ("inputs/own/notes.md",)
    for name, brought in ((found.hypothesis, "h.yaml"), (found.data, "rows.csv")):
        assert not name or (given_files / "mine" / name).read_text() == (given_files / brought).read_text()
    assert set(made["files"]) == {
        os.path.relpath(each, given_files / "mine") for each in (given_files / "mine").rglob("*") if each.is_file()
    }
    spec = labctl.done("validate", "mine", "--json").data
    assert tuple(spec["tiers"]) == tuple(made["phases"]) == PHASES[PHASES.index(declared.mode(mode).start) :]


def test_who_gives_a_topic_alone_is_told_that_the_study_is_a_placeholder(given_files: Path, labctl: Labctl) -> None:
    words = "the placeholder that comes with labctl, a small model on 360 made-up rows: it does not test the topic"
    for typed in (("--dry-run",), ()):
        made = labctl.done("research", "new", "mine", "--mode", "A", "--topic", "Why?", "--offline", *typed)
        assert words in made.all
    warned = {each["what"] for each in labctl.done("research", "check", "mine", "--json").data["checks"]
              if each["state"] == "warning"}  # fmt: skip
    assert any(words in each for each in warned)
    assert words in labctl.done("research", "status", "mine").all
    (given_files / "mine/study/data.csv").write_text((given_files / "rows.csv").read_text())
    for verb in ("check", "status"):
        assert "placeholder" not in labctl("research", verb, "mine").all
    for number, more in enumerate((("--data", "rows.csv"), ("--study", "mine/study"))):
        made = labctl.done("research", "new", f"own{number}", "--mode", "A" if number else "C", "--offline", *more)
        assert "placeholder" not in made.all


def test_papers_that_no_phase_would_read_are_not_taken_in_silence(given_files: Path, labctl: Labctl) -> None:
    typed = ("--hypothesis", "h.yaml", "--data", "rows.csv", "--own", "notes.md", "--offline")
    said = labctl.done("research", "new", "mine", "--mode", "given", *typed, "--json").envelope["warnings"]
    assert any("--own is not read: mode D has no literature phase" in each for each in said)
    said = labctl.done("research", "new", "other", "--mode", "hypothesis", *typed, "--json").envelope["warnings"]
    assert not any("--own" in each for each in said)


def test_a_project_goes_on_from_an_experiment_that_has_runs_and_from_no_other(
    given_files: Path, labctl: Labctl
) -> None:
    (given_files / "s.yaml").write_text("id: begun\nmetric: loss\nexecutor: stub\n")
    labctl.done("create", "s.yaml")
    typed = ("research", "new", "mine", "--mode", "continue", "--from", "begun")
    said = labctl(*typed)
    assert (said.code, "no sealed run to go on from" in said.err) == (2, True)
    labctl.done("run-once", "--experiment", "begun", "--now")
    said = labctl(*typed, "--hypothesis", "h.yaml", "--own", "notes.md")  # which nothing of it would read
    assert (said.code, "has no use for --hypothesis and --own" in said.err) == (2, True)
    labctl.done("pause", "begun", "--reason", "look first")
    for more in ((), ("--runs", "0")):  # a person's pause holds for measurements too
        said = labctl(*typed, *more)
        assert (said.code, "begun is paused (look first)" in said.err, "labctl resume begun" in said.err) == (
            2,
            True,
            True,
        )
    labctl.done("resume", "begun")
    labctl.done("complete", "begun")
    said = labctl(*typed)
    assert (said.code, "or --runs 0: what it has is evaluated" in said.err) == (2, True)
    made = labctl.done(*typed, "--runs", "0", "--dry-run", "--json").data
    assert made["phases"] == ["evaluation", "writing", "publishing"]
    labctl.done("resume", "begun")
    made = labctl.done(*typed, "--json").data
    assert made["files"] == ["README.md", "project.yaml"]  # its study is that experiment
    assert made["phases"] == ["training", "evaluation", "iteration", "writing", "publishing"]
    assert project.parse((given_files / "mine/project.yaml").read_bytes()).proceed_from == "begun"
    with (given_files / "mine/project.yaml").open("a") as file:
        file.write("hypothesis: README.md\n")
    checks = labctl("research", "check", "mine", "--json").envelope["data"]["checks"]
    assert ("hypothesis", "warning") in [(each["name"], each["state"]) for each in checks]
    said = labctl("research", "new", "other", "--mode", "E", "--from", "mine")
    assert (said.code, "is a research project itself" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("typed", "what", "fix"),
    [
        ((), "new wants a mode", "--mode A or full"),
        (("--mode", "Z"), "there is no mode 'Z'", "E or continue"),
        (("--mode", "B"), "wants --hypothesis FILE", "labctl research new mine --mode B --hypothesis FILE"),
        (("--mode", "D"), "wants --hypothesis FILE and --data FILE", "--hypothesis FILE --data FILE"),
        (("--mode", "E"), "wants --from EXPERIMENT", "--mode E --from EXPERIMENT"),
        (("--mode", "E", "--from", "nobody"), "nobody", ""),
        (("--mode", "A", "--from", "other"), "--from is of mode E", "--mode E --from other"),
        (("--mode", "B", "--hypothesis", "rows.csv"), "", ""),
        (("--mode", "B", "--hypothesis", "none.yaml"), "there is no such file", ""),
        (("--mode", "C", "--data", "."), "no plain file", ""),
        (("--mode", "C", "--data", "head.csv"), "there is no row in it", "one row at least"),
        (("--mode", "C", "--data", "noise.csv"), "it is binary", ""),
        (("--mode", "C", "--data", "notes.md"), "data of the form .md are not looked into", ".csv"),
        (("--mode", "C", "--data", "words.csv"), "its column who has cells that are text", "--study DIR"),
        (("--mode", "C", "--data", "short.csv"), "it has 1 rows", "--study DIR"),
        (("--mode", "B", "--hypothesis", "."), "no plain file", "name a file"),
        (("--mode", "B", "--hypothesis", "other.yaml"), "is about loss, minimize", "the study measures error"),
        (("--mode", "B", "--hypothesis", "strange.yaml"), "space: 'depth' is no parameter of the study", "ridge"),
        (
            ("--mode", "B", "--hypothesis", "up.yaml"),
            "direction: invalid enum value 'up'",
            "minimize, or direction: max",
        ),
        (("--mode", "D", "--data", "rows.csv"), "wants --hypothesis FILE", "--hypothesis FILE --data rows.csv"),
        (("--mode", "A", "--runs", "0"), "below 1", "--runs 12"),
        (("--mode", "C", "--data", "empty.csv"), "nothing in this file", ""),
        (("--mode", "A", "--own", "rows.csv"), "--own takes .pdf", ""),
        (("--mode", "A", "--own", "noise.pdf"), "this is no PDF", "save it as one"),
        (("--mode", "A", "--own", "notes.md", "--own", "sub/notes.md"), "two files are called notes.md", "rename"),
        (("--mode", "A", "--study", "."), "no SPEC.yaml", ""),
        (("--mode", "A", "--study", "thin"), "two tiers at least", "selection, report"),
        (("--mode", "A", "--agent", "nobody"), "nobody", ""),
        (("--mode", "A", "--agent", "stub:training"), "no agent does the training", "ideation"),
        (("--mode", "A", "--agent", "stub:trainign"), "no phase 'trainign'", "did you mean training?"),
        (("--mode", "A", "--gate", "writting"), "no phase 'writting'", "did you mean writing?"),
        (("--mode", "A", "--to", "ftp:x"), "no place to publish to", "--to git:REMOTE"),
        (("--mode", "A", "--to", "hf:name"), "no place to publish to", "hf:OWNER/NAME"),
        (("--mode", "A", "--runs", "-1"), "below 1", ""),
        (("--mode", "A", "--topic", "x" * 4001), "more than 4,000 characters", "--own FILE"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_type_and_nothing_is_written(
    given_files: Path, labctl: Labctl, typed: tuple[str, ...], what: str, fix: str
) -> None:
    for name, words in WRONG.items():
        (given_files / name).write_text(words)
    (given_files / "sub").mkdir()
    (given_files / "sub/notes.md").write_text("others\n")
    (given_files / "thin").mkdir()
    (given_files / "thin/SPEC.yaml").write_text("id: thin\nmetric: loss\nexecutor: stub\n")
    before = {each.name for each in given_files.iterdir()}
    said = labctl("research", "new", "mine", *typed, "--json")
    assert said.code == 2, said
    assert what in str(said.error["message"])
    assert fix in str(said.error["fix"])
    assert {each.name for each in given_files.iterdir()} == before
    assert experiments.names(a_root(given_files / "lab")) == []


@pytest.mark.parametrize("name", ["../mine", "a b", "", ".hidden", "con", "x" * 65])
def test_a_name_that_is_none_is_refused(given_files: Path, labctl: Labctl, name: str) -> None:
    assert labctl("research", "new", name, "--mode", "A").code == 2


def test_what_is_there_is_never_taken_over(given_files: Path, labctl: Labctl) -> None:
    (given_files / "mine").mkdir()
    said = labctl("research", "new", "mine", "--mode", "A")
    assert (said.code, "there is a mine here already" in said.err) == (2, True)
    assert not list((given_files / "mine").iterdir())
    labctl.done("create", "sweep", "--id", "other")
    said = labctl("research", "new", "other", "--mode", "A")
    assert (said.code, "there is an experiment other already" in said.err) == (2, True)
    assert "give the project another name" in said.err  # no flag of `labctl create`
    assert not (given_files / "other").exists()


def test_a_project_that_was_cut_off_is_whole_or_is_finished_by_the_same_words(given_files: Path) -> None:
    study = given_files / "small"
    study.mkdir()
    (study / "SPEC.yaml").write_text("id: small\nmetric: loss\nexecutor: stub\nfidelity_tiers: [choose, report]\n")
    at, cut_off = 0, True
    while cut_off:
        here = given_files / f"at-{at}"
        here.mkdir()
        asked = Wish(name=f"mine-{at}", mode="A", topic="why", study=str(study))
        files = CrashingFiles(at=at)
        try:
            making.make(a_root(given_files / "lab", files=files), asked, here=str(here), actor="ann")
            cut_off = False
        except Crash:
            pass
        root = a_root(given_files / "lab")
        with suppress(BadInput):  # that it is there already
            making.make(root, asked, here=str(here), actor="ann")
        assert (here / asked.name / "study/SPEC.yaml").read_bytes() == (study / "SPEC.yaml").read_bytes()
        assert opened.project(root, asked.name).folder == str(here / asked.name)
        at += 3
    assert at > 30


def test_an_unfinished_project_is_not_finished_by_other_words(given_files: Path, labctl: Labctl) -> None:
    labctl.done("research", "new", "mine", "--mode", "A", "--topic", "why")
    labctl.done("complete", "mine")
    (given_files / "lab/experiments/mine").rename(given_files / "away")
    said = labctl("research", "new", "mine", "--mode", "A", "--topic", "another")
    assert (said.code, "already" in said.err) == (2, True)


NASTY = (
    'say "hi"; $(touch x) `id` <script>\n# heading: {{ 7*7 }} \\input{/etc/passwd} ../.. \u2028\x85\x7f\ufeff\U0001f600'
)


@given(some.text(min_size=1, max_size=80) | some.just(NASTY))
def test_a_topic_is_the_same_in_the_file_whatever_is_in_it(topic: str) -> None:
    made = wish.written(Wish(name="n", mode="A", topic=topic), declared.mode("A"), Brought(own=("inputs/own/a.md",)))
    assert project.parse(wish.page(made).encode()) == made
    spec = experiments.parse_spec(wish.spec("n", made, "/a/folder", ["A_KEY"]).encode(), "SPEC")
    assert spec.fidelity_tiers == PHASES
    assert (spec.workspace_root, spec.secrets, spec.max_parallel) == ("/a/folder", ("A_KEY",), 1)


def test_every_project_has_an_end_before_it_begins() -> None:
    made = wish.written(Wish(name="n", mode="A"), declared.mode("A"), Brought())
    spec = experiments.parse_spec(wish.spec("n", made, "/a").encode(), "SPEC")
    stop = spec.stop_conditions
    assert None not in (stop.budget_hours, stop.hard_stop_after_days)
    assert len(PHASES) < spec.max_iterations_total < 1000
    assert all(spec.for_tier(each).time_budget_s < 86_400 for each in spec.fidelity_tiers)


@pytest.mark.parametrize(
    ("mode", "topic", "goal"),
    [
        ("E", "", "go on from sweep: more runs, their evaluation, a paper"),
        ("E", "why sweep stalls", "why sweep stalls"),
        ("E", "\x7f", "go on from sweep: more runs, their evaluation, a paper"),
        ("A", "", "fully autonomous: a topic, or only a study"),
    ],
)
def test_the_goal_of_a_project_is_words_that_its_user_knows(mode: str, topic: str, goal: str) -> None:
    """A letter of ours says nothing to who reads `labctl list`."""
    wanted = Wish(name="n", mode=mode, topic=topic, proceed_from="sweep" if mode == "E" else "")
    made = wish.written(wanted, declared.mode(mode), Brought())
    assert experiments.parse_spec(wish.spec("n", made, "/a").encode(), "SPEC").goal == goal


def test_a_key_is_named_in_the_spec_and_never_written(
    given_files: Path, labctl: Labctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-0123456789")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    said = labctl.done("research", "new", "mine", "--mode", "A", "--agent", "claude", "--to", "hf:me/mine", "--json")
    assert "ANTHROPIC_API_KEY" in said.data["secrets"]
    assert any("HF_TOKEN is not set" in each for each in said.envelope["warnings"])
    for each in (*(given_files / "mine").rglob("*"), *(given_files / "lab").rglob("*")):
        assert not each.is_file() or b"sk-ant-0123456789" not in each.read_bytes()


def test_where_a_release_would_go_is_meant_from_where_it_is_typed(
    given_files: Path, labctl: Labctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "find_spec", lambda _: object())
    typed = ("research", "new", "mine", "--mode", "A", "--offline", "--own", "notes.md", "--to", "git:remote.git")
    labctl.done(*typed)
    found = project.parse((given_files / "mine/project.yaml").read_bytes())
    assert found.publish.remote == str(given_files / "remote.git")
    with (given_files / "mine/study/data.csv").open("a") as table:
        table.write("0.1,0.2,0.3,0.4,0.5\n")  # rows of one's own: the study is no placeholder any more
    said = labctl.done("research", "check", "mine", "--json")
    warned = [each for each in said.data["checks"] if each["state"] == "warning"]
    assert [each["name"] for each in warned] == ["publishing"]
    assert f"git init --bare {given_files / 'remote.git'}" in said.envelope["next"]
    subprocess.run(shlex.split(warned[0]["fix"]), check=True, capture_output=True)
    assert {each["state"] for each in labctl.done("research", "check", "mine", "--json").data["checks"]} == {"ok"}


def test_a_hypothesis_in_words_is_asked_for_what_only_its_author_can_say(given_files: Path, labctl: Labctl) -> None:
    (given_files / "h.md").write_text("# Smoother\n\nA stronger penalty lowers the error.\n")
    said = labctl("research", "new", "mine", "--mode", "B", "--hypothesis", "h.md", "--offline")
    assert said.code == 2
    assert "does not say predicted_gain, kill" in said.all
    (given_files / "h.md").write_text(
        "---\npredicted_gain: 0.02\nkill: {}\n---\nA stronger penalty lowers the error.\n"
    )
    labctl.done("research", "new", "mine", "--mode", "B", "--hypothesis", "h.md", "--offline")
    assert (given_files / "mine/inputs/hypothesis.md").exists()


def test_what_the_runs_of_the_study_see_is_seen_by_the_project_too(
    given_files: Path, labctl: Labctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = given_files / "study"
    study.mkdir()
    (study / "SPEC.yaml").write_text(
        "id: s\nmetric: m\nfidelity_tiers: [selection, report]\nexecutor_command: run {tier}\n"
        "search_space: {x: {low: 0, high: 1, default: 0}}\nenv: [MY_MODE, UNSET]\nsecrets: [MY_PASS]\n"
    )
    monkeypatch.setenv("MY_MODE", "fast")
    monkeypatch.setenv("MY_PASS", "hunter22")
    labctl.done("research", "new", "mine", "--mode", "A", "--topic", "t", "--study", "study", "--offline")
    spec = experiments.load(a_root(given_files / "lab"), "mine").spec
    assert spec is not None
    assert (spec.secrets, spec.env) == (("MY_PASS",), ("MY_MODE",))


@pytest.mark.parametrize("words", [("--data", "big.csv"), ("--own", "big.md")])
def test_what_no_phase_would_take_is_refused_before_anything_is_copied(
    given_files: Path, labctl: Labctl, words: tuple[str, str]
) -> None:
    with (given_files / words[1]).open("wb") as file:
        file.truncate((64 << 20) + 1)
    said = labctl("research", "new", "mine", "--mode", "A", "--topic", "t", "--offline", *words)
    assert (said.code, "64 MiB" in said.err, (given_files / "mine").exists()) == (2, True, False)
