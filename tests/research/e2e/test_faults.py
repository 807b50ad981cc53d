"""A whole project, by `labctl` alone: killed in each phase, driven by cron, done by an agent in part, and published."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from lab.research.project import PHASES
from tests.research.e2e.home import EXAMPLES, Home, killed, read
from tests.research.e2e.test_examples import SEEDS, decided, measured, once

if TYPE_CHECKING:
    from pathlib import Path

    from tests.research.e2e.home import Bundle

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(240)]
DRIFT, FAILED, BAD_INPUT = 9, 1, 2
RUNS = 4
BEGUN = ("research", "new", "lines", "--mode", "A", "--topic", "straight lines", "--offline", "--runs", str(RUNS))
OWN = EXAMPLES / "research-full/notes.md"
DEEP = {"implementation": 1, "training": 2, "evaluation": 3}  # runs of the study, after which the phase is killed
# As many as there are letters to guess from; nobody's.
PLANTED = "AKIA" + "QYLPMN5HHHFPZAM2"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.done("init")
    return made


def begun(home: Home, *more: str) -> Path:
    """A project of mode A, in one round. Its folder."""
    home.done(*BEGUN, "--own", str(OWN), *more)
    folder = home.place / "lines"
    with (folder / "project.yaml").open("a", encoding="utf-8") as file:
        file.write("iteration: {max_rounds: 1}\n")
    return folder


def under_way(home: Home, phase: str, process: subprocess.Popen[bytes]) -> Bundle:
    """The run of this phase, once it is in the middle of its work and before anybody has sealed it."""
    deadline_s, enough = time.monotonic() + 60, -1
    while time.monotonic() < deadline_s:
        for each in home.runs("lines"):
            if begins(each) == phase and not each.is_sealed:
                made = len(measurements(home))
                enough = made + DEEP.get(phase, 0) if enough < 0 else enough
                if made >= enough:
                    return each
        assert process.poll() is None, f"it ended with {process.returncode} before the {phase}"
        time.sleep(0.003)
    pytest.fail(f"the {phase} never began")


def measurements(home: Home) -> list[Path]:
    """The folders of the study's runs."""
    return list(home.lab.glob("experiments/lines-*/runs/RUN-*"))


def begins(run: Bundle) -> str:
    """The phase of a run whose folder somebody may be filling."""
    with suppress(ValueError, OSError):
        return run.phase
    return ""


def test_a_project_that_is_killed_in_every_phase_ends_like_one_that_nobody_disturbed(home: Home) -> None:
    begun(home)
    struck: list[str] = []
    for phase in PHASES:
        process = home.begun("research", "resume" if struck else "run", "lines")
        try:
            run = under_way(home, phase, process)
        finally:
            killed(process)
        if not run.is_sealed:
            struck.append(phase)
    home.done("research", "resume", "lines")
    assert len(struck) > len(PHASES) // 2, struck  # else the machine was quicker than the kill
    assert tuple(home.did("lines")) == PHASES
    assert once(home, "lines")
    assert all(each.is_sealed for each in home.runs("lines"))
    measured(home, "lines")
    nothing_twice(home)
    assert home.labctl("paper", "verify", "lines").code == 0
    assert home.labctl("verify").code == 0
    assert list((home.lab / "control").rglob("*.claim")) == []


def nothing_twice(home: Home) -> None:
    """The study was measured as often as in a project that nobody killed, and no measurement was made twice."""
    made = [
        (manifest["fidelity_tier"], manifest.get("seed"), (each / "params.json").read_text())
        for each in measurements(home)
        if (manifest := read(each / "manifest.json"))["status"] == "success"
    ]
    assert len(made) == len(set(made)), made
    assert Counter(tier for tier, *_ in made) == {"selection": RUNS, "report": 2 * SEEDS}


def test_cron_drives_a_project_to_its_end(home: Home) -> None:
    begun(home)
    for number, phase in enumerate(PHASES, 1):
        told = home.done("run-once").out
        assert tuple(home.did("lines")) == PHASES[:number], phase
        assert ("its next run is in that tier" in told) is (number > 1)
        assert "race" not in told
    home.done("run-once")
    assert json.loads(home.done("research", "status", "lines", "--json").out)["data"]["standing"] == "completed"
    decided(home, "lines", "")
    assert home.labctl("paper", "verify", "lines").code == 0


AGENT = """\
import json, os, sys

told = json.loads(sys.stdin.readline())
box = told["folder"]
assert "straight lines" in open(os.path.join(box, "BRIEF.md"), encoding="utf-8").read()
os.makedirs(os.path.join(box, "out/ideas"), exist_ok=True)
with open(os.path.join(box, "out/ideas/01-cubes.yaml"), "w", encoding="utf-8") as file:
    json.dump({
        "name": "cubes", "hypothesis": "the third power of a column follows the curve", "metric": "error",
        "direction": "minimize", "predicted_gain": 0.2, "kill": {"gain_below": 0.01, "after_runs": 8},
        "space": {"powers": {"low": 1, "high": 3, "type": "int", "default": 1}}, "by": "me",
    }, file)
print("done")
"""
PLANTS = """
with open(os.path.join(box, "out/SEAL.json"), "w", encoding="utf-8") as file:
    file.write("{}")
"""


def test_an_agent_that_plants_nothing_has_the_idea_and_the_lab_measures_it(home: Home) -> None:
    folder = begun(home)
    (folder / "agent.py").write_text(AGENT + PLANTS)
    page = folder / "project.yaml"
    agent = "agent: {provider: command, command: python3 agent.py}\nrouting: {ideation: agent}\n"
    page.write_text(page.read_text().replace("agent: {}\n", agent))
    refused = home.labctl("research", "run", "lines")
    assert refused.code == FAILED
    assert "SEAL.json" in refused.all
    assert home.did("lines") == ["literature"]
    (folder / "agent.py").write_text(AGENT)
    home.done("research", "resume", "lines")
    assert tuple(home.did("lines")) == PHASES
    ideas = home.left("lines", "ideation")
    assert [each.name for each in sorted((ideas / "ideas").iterdir())] == ["01-cubes.yaml"]
    assert not (ideas / "SEAL.json").exists()
    assert read(home.left("lines", "iteration") / "decision.json")["reason"] == "goal_met"
    paper = (home.left("lines", "writing") / "paper.md").read_text(encoding="utf-8")
    assert "the third power of a column" in paper
    assert home.labctl("paper", "verify", "lines").code == 0


def test_what_leaves_is_what_was_approved_and_a_number_that_was_edited_is_found(home: Home) -> None:
    remote = home.place / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", str(remote)], env=home.environ, check=True)
    folder = begun(home, "--to", f"git:{remote}")
    page = folder / "project.yaml"
    (folder / "inputs/extra.txt").write_text(f"deploy with {PLANTED}  # pragma: allowlist secret\n")
    page.write_text(page.read_text().replace("publish:\n", "publish:\n  files: [inputs/extra.txt]\n"))

    refused = home.labctl("research", "run", "lines")
    assert refused.code == FAILED
    assert "inputs/extra.txt" in refused.all
    assert PLANTED not in refused.all
    assert tuple(home.did("lines")) == PHASES[:-1]

    (folder / "inputs/extra.txt").write_text("nothing to hide\n")
    home.done("research", "resume", "lines")
    found = home.left("lines", "publishing")
    listed = read(found / "release.json")
    told = words(home.done("research", "publish", "lines").out)
    (sha256,) = (each for each in told if re.fullmatch("[0-9a-f]{64}", each))
    for wrong in ("", "0" * 64, sha256[:20]):
        assert home.labctl("research", "approve", "lines", "--release", wrong).code == BAD_INPUT
    home.labctl("research", "resume", "lines")
    home.labctl("approve", "lines")
    home.labctl("run-once")
    assert branches(home, remote) == []

    home.done("research", "approve", "lines", "--release", sha256)
    home.done("research", "publish", "lines", "--send")
    home.done("research", "publish", "lines", "--send")
    (branch,) = branches(home, remote)
    names = git(home, remote, "ls-tree", "-r", "-z", "--name-only", branch).rstrip("\0").split("\0")
    assert sorted(names) == sorted(each["path"] for each in listed["files"])
    assert git(home, remote, "rev-list", "--count", branch).strip() == "1"
    edited(home)


def edited(home: Home) -> None:
    """A paper that was written out holds, until one of its numbers is another."""
    home.done("research", "paper", "lines", "-o", "written")
    paper = home.place / "written/paper.md"
    assert home.labctl("paper", "verify", "written").code == 0
    text = paper.read_text(encoding="utf-8")
    gain = f"{read(home.left('lines', 'evaluation') / 'evaluation.json')['gain']:.4f}"
    assert gain in text
    paper.write_text(text.replace(gain, f"{float(gain) + 0.1:.4f}", 1), encoding="utf-8")
    told = home.labctl("paper", "verify", "written")
    assert told.code == DRIFT
    assert gain in told.all


def words(text: str) -> set[str]:
    return {each.strip("`.,:()") for each in itertools.chain.from_iterable(line.split() for line in text.splitlines())}


def git(home: Home, remote: Path, *said: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(remote), *said], env=home.environ, capture_output=True, text=True, check=True
    )
    return done.stdout


def branches(home: Home, remote: Path) -> list[str]:
    return git(home, remote, "for-each-ref", "--format=%(refname)").split()
