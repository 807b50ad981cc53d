"""`labctl replay`: the same parameters, seed and commit once more, and nothing of the user's is touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core.manifest import Manifest
from lab.core.record import parse
from lab.scheduler import create, cycle
from lab.scheduler.search.book import Book
from tests.cli.labs import SHIM, dead, ended, me, process, runs_of, whole_tree
from tests.cli.searches import a_run, made
from tests.scheduler.labs import a_lab

if TYPE_CHECKING:
    from lab.store.root import Root
    from tests.cli.labs import Labctl

SPEC = """\
id: again
metric: loss
metric_direction: minimize
durability: fast
cadence: 1s
workspace_root: {workspace}
executor_command: {command}
fidelity_tiers: [proxy, final]
seed: 5
{more}
"""
PROGRAM = """\
import os
from pathlib import Path
base = float((Path(os.environ["LAB_WORKSPACE_ROOT"]) / "base.txt").read_text())
x = float(os.environ.get("LAB_PARAM_X", 0))
if (Path(os.environ["LAB_WORKSPACE_ROOT"]) / "slow").exists():
    import time
    (Path(os.environ["LAB_RUN_DIR"]) / "begun").touch()
    time.sleep(60)
if x < 0:
    raise SystemExit("below zero")
print("METRIC loss=" + repr(base + x + int(os.environ.get("LAB_SEED", 0)) / 1000))
"""


def git(folder: Path, *words: str) -> str:
    settings = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-c", "user.name=ann", "-c", "user.email=ann@example.org", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=settings).stdout.strip()


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A folder of code, in a git repository, one level below its top."""
    folder = tmp_path / "repo/code"
    folder.mkdir(parents=True)
    (folder / "train.py").write_text(PROGRAM)
    (folder / "base.txt").write_text("1.0")
    git(tmp_path / "repo", "init", "-q")
    commit(folder, "first")
    return folder


def commit(folder: Path, message: str) -> str:
    git(folder, "add", "-A", ".")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def a_code_lab(place: Path, code: Path, command: str = "python3 train.py", more: str = "") -> Root:
    root = a_lab(place)
    spec = place.parent / "again.yaml"
    spec.write_text(SPEC.format(workspace=code, command=json.dumps(command), more=more))
    create.experiment(root, str(spec), actor="ann")
    return root


def first_run(labctl: Labctl, root: Root, params: str = '{"x": 0.5}') -> str:
    """A run of the lab's own making, with these parameters, as a person would ask for it."""
    request = root.layout.root + ".params.json"
    with open(request, "w", encoding="utf-8") as file:
        file.write(params)
    waiting = labctl.done("propose", "again", "--params", request, "--json").data["proposal"]
    labctl.done("approve", str(waiting))
    labctl("run-once", "--experiment", "again", "--now")
    return runs_of(root, "again")[-1]


def manifest_of(root: Root, run_id: object) -> Manifest:
    path = f"{root.layout.run('again', str(run_id))}/manifest.json"
    with open(path, "rb") as file:
        return parse(Manifest, file.read(), path)


def test_the_same_parameters_and_seed_give_the_same_value(labctl: Labctl, place: Path, code: Path) -> None:
    root = a_code_lab(place, code)
    run_id = first_run(labctl, root)
    said = labctl.done("replay", run_id)
    assert said.out.splitlines()[0].startswith(f"before: {run_id} (success 1.505) in ")
    assert said.out.splitlines()[-1] == "the same came out"
    assert "warning" not in said.err
    again = manifest_of(root, runs_of(root, "again")[-1])
    assert again.origin is not None
    assert (again.origin.kind, again.origin.parents) == ("replay", (run_id,))
    assert (again.seed, again.revision) == (5, git(code, "rev-parse", "HEAD"))
    assert labctl.done("params", again.run_id, "--json").data["params"] == {"x": 0.5}
    assert labctl.done("verify").code == 0


@pytest.mark.parametrize("named", ["python3 train.py", "python3 {code}/train.py"])
def test_an_earlier_commit_is_checked_out_beside_and_the_users_checkout_is_not_touched(
    named: str, labctl: Labctl, place: Path, code: Path
) -> None:
    root = a_code_lab(place, code, named.format(code=code))
    run_id = first_run(labctl, root)
    before = git(code, "rev-parse", "HEAD")
    (code / "base.txt").write_text("100.0")
    (code / "train.py").write_text("print('METRIC loss=-1')\n")
    commit(code, "second")
    (code / "base.txt").write_text("not committed")
    (code / "new.txt").write_text("new")
    repository = whole_tree(code.parent)
    data = labctl.done("replay", run_id, "--json").data
    assert (data["equal"], data["difference"], data["commit"]) == (True, 0.0, before)
    assert whole_tree(code.parent) == repository
    assert os.listdir(place / "scratch/sandbox") == []
    after = data["after"]
    assert isinstance(after, dict)
    assert manifest_of(root, after["run"]).revision == before


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("sh -c 'cd {code} && python3 train.py'", ""),
        ("sh -c 'cd {real} && python3 train.py'", ""),
        ("cd {code}; exec python3 train.py", "shell: true"),
        ("python3 -m train", "env: [PYTHONPATH]"),
    ],
)
def test_a_command_that_names_the_workspace_runs_the_commits_code(
    command: str, more: str, labctl: Labctl, place: Path, code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = code.parent.parent / "link"
    link.symlink_to(code)
    monkeypatch.setenv("PYTHONPATH", f"{link}:/nowhere")
    root = a_code_lab(place, link, command.format(code=link, real=code), more)
    run_id = first_run(labctl, root)
    (code / "train.py").write_text("print('METRIC loss=-1')\n")
    commit(code, "second")
    data = labctl.done("replay", run_id, "--json").data
    assert data["equal"] is True, data


def test_data_that_git_does_not_follow_is_taken_as_it_is_now_and_told(labctl: Labctl, place: Path, code: Path) -> None:
    root = a_code_lab(place, code, f"sh -c 'cat {code}/data.txt && python3 {code}/train.py'")
    (code / "data.txt").write_text("7\n")
    run_id = first_run(labctl, root)
    (code / ".gitignore").write_text("data.txt\n")
    (code / "train.py").write_text("print('METRIC loss=-1')\n")
    commit(code, "second")
    said = labctl.done("replay", run_id)
    assert said.out.splitlines()[-1] == "the same came out"
    assert f"git does not follow {code}/data.txt: it is taken as it is now" in said.err


def test_a_command_that_cannot_follow_is_refused_before_anything_is_claimed(
    labctl: Labctl, place: Path, code: Path
) -> None:
    (code.parent.parent / "other").symlink_to(code)
    root = a_code_lab(place, code, f"python3 {code.parent.parent}/other/train.py")
    run_id = first_run(labctl, root)
    (code / "base.txt").write_text("2.0")
    commit(code, "second")
    said = labctl("replay", run_id)
    assert said.code == 2
    assert "it names the workspace in a way that cannot follow an old commit" in said.err
    assert "--as-is" in said.err
    assert runs_of(root, "again") == [run_id]
    assert os.listdir(place / "scratch/sandbox") == []


def test_as_is_takes_the_workspace_as_it_lies_there_and_says_so(labctl: Labctl, place: Path, code: Path) -> None:
    root = a_code_lab(place, code)
    run_id = first_run(labctl, root)
    (code / "base.txt").write_text("2.0")
    commit(code, "second")
    said = labctl.done("replay", run_id, "--as-is")
    assert said.out.splitlines()[-1] == "not the same: +1"
    assert "the run was made at commit" in said.err


def test_changes_that_are_not_committed_are_told(labctl: Labctl, place: Path, code: Path) -> None:
    root = a_code_lab(place, code)
    run_id = first_run(labctl, root)
    (code / "base.txt").write_text("3.0")
    said = labctl.done("replay", run_id)
    assert "changes that are not committed" in said.err
    assert "not the same: +2" in said.out


def test_a_run_of_code_that_was_never_committed_is_not_replaced_by_its_commit(
    labctl: Labctl, place: Path, code: Path
) -> None:
    """The run was sealed as one of HEAD; HEAD's other code was run in its place, and counted as its repeat."""
    root = a_code_lab(place, code)
    committed = (code / "train.py").read_text()
    (code / "train.py").write_text(committed.replace("base + x", "base + x - 0.5"))
    run_id = first_run(labctl, root)
    named = manifest_of(root, run_id).usage.program
    assert list(named) == ["train.py"]
    (code / "train.py").write_text(committed)
    said = labctl.done("replay", run_id)
    assert "train.py is not what the run ran" in said.err
    (code / "base.txt").write_text("2.0")
    commit(code, "second")
    before = runs_of(root, "again")
    said = labctl("replay", run_id)
    assert said.code == 2, said
    assert "train.py" in said.err
    assert "never committed" in said.err
    assert "--as-is" in said.err
    assert runs_of(root, "again") == before
    assert "train.py is not what the run ran" in labctl.done("replay", run_id, "--as-is").err


def test_a_commit_that_is_gone_is_refused_before_anything_is_claimed(labctl: Labctl, place: Path, code: Path) -> None:
    root = a_code_lab(place, code)
    run_id = first_run(labctl, root)
    (code.parent / ".git").rename(code.parent / ".git-before")
    git(code.parent, "init", "-q")
    commit(code, "another history")
    said = labctl("replay", run_id)
    assert said.code == 2
    assert "which this repository does not have" in said.err
    assert "--as-is" in said.err
    assert runs_of(root, "again") == [run_id]


def test_an_edited_spec_is_told(labctl: Labctl, place: Path, code: Path) -> None:
    root = a_code_lab(place, code)
    run_id = first_run(labctl, root)
    with (place / "experiments/again/SPEC.yaml").open("a") as spec:
        spec.write("goal: another one\n")
    said = labctl.done("replay", run_id)
    assert "the SPEC was edited since" in said.err
    assert "the same came out" in said.out


def test_the_seed_is_the_runs_own_whatever_the_spec_says_now(labctl: Labctl, place: Path, code: Path) -> None:
    root = a_code_lab(place, code)
    run_id = first_run(labctl, root)
    spec = place / "experiments/again/SPEC.yaml"
    spec.write_text(spec.read_text().replace("seed: 5", "seed: 900"))
    assert labctl.done("replay", run_id, "--json").data["equal"] is True


def test_it_runs_in_the_tier_of_the_first_though_the_experiment_moved_on(
    labctl: Labctl, place: Path, code: Path
) -> None:
    root = a_code_lab(place, code)
    run_id = first_run(labctl, root)
    labctl.done("set-fidelity", "again", "final")
    labctl.done("pause", "again", "--reason", "enough")
    data = labctl.done("replay", run_id, "--json").data
    assert (data["tier"], data["equal"]) == ("proxy", True)
    assert labctl.done("list", "again", "--json").code == 0


def test_a_replay_that_fails_says_so_with_exit_code_1(labctl: Labctl, place: Path, code: Path) -> None:
    root = a_code_lab(place, code)
    run_id = first_run(labctl, root)
    (code / "base.txt").write_text("no number")
    said = labctl("replay", run_id)
    assert said.code == 1
    assert "now: RUN-" in said.out
    assert said.out.splitlines()[-1] == "not the same"


def test_a_failed_run_can_be_replayed_too(labctl: Labctl, place: Path, code: Path) -> None:
    root = a_code_lab(place, code)
    run_id = first_run(labctl, root, '{"x": -1}')
    said = labctl("replay", run_id)
    assert said.code == 1
    assert said.out.splitlines()[-1] == "it ended in the same way"


def test_somebody_at_work_on_the_experiment_is_waited_for_by_exit_code_3(
    labctl: Labctl, place: Path, code: Path
) -> None:
    root = a_code_lab(place, code)
    run_id = first_run(labctl, root)
    running = cycle.begin(root, "again", owner=me())
    assert labctl("replay", run_id).code == 3
    assert running.manifest.run_id in runs_of(root, "again")


def test_what_a_dead_replay_left_is_removed_by_the_next_one(labctl: Labctl, place: Path, code: Path) -> None:
    from lab.store import machine

    root = a_code_lab(place, code)
    run_id = first_run(labctl, root)
    left = place / f"scratch/sandbox/replay@{machine.here()}-{dead().pid}-abc"
    (left / "code").mkdir(parents=True)
    (code / "base.txt").write_text("2.0")
    commit(code, "second")
    labctl.done("replay", run_id)
    assert not left.exists()


def test_ctrl_c_ends_the_run_seals_it_and_takes_the_checkout_away(labctl: Labctl, place: Path, code: Path) -> None:
    root = a_code_lab(place, code)
    (code / "slow").write_text("")
    run_id = first_run_cut_short(labctl, root)
    (code / "slow").unlink()
    commit(code, "quick again")
    command = [sys.executable, SHIM, "--data-root", str(place), "replay", run_id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        until_s = time.monotonic() + 15
        while not list(place.glob("experiments/again/runs/*/begun")) and time.monotonic() < until_s:
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        said = child.communicate(timeout=15)
    assert child.returncode == 130, said
    after = manifest_of(root, runs_of(root, "again")[-1])
    assert (after.status, after.origin.kind if after.origin else "") == ("cancelled", "replay")
    assert os.listdir(place / "scratch/sandbox") == []
    assert labctl.done("lease", "show").out == "No claims\n"


def first_run_cut_short(labctl: Labctl, root: Root) -> str:
    """A sealed run at the commit in which the program is slow: nobody waits for it."""
    commit(Path(root.layout.root).parent / "repo/code", "slow")
    running = cycle.begin(root, "again", owner=me(), params={"x": 0.5})
    return cycle.finish(root, running, ended(1.0)).run.run_id


def test_a_replay_of_what_nobody_searched_leaves_the_seed_of_the_search_alone(
    labctl: Labctl, place: Path, code: Path
) -> None:
    root = a_code_lab(place, code)
    running = cycle.begin(root, "again", owner=me(), params={"x": 0.5})
    run_id = cycle.finish(root, running, ended(1.0)).run.run_id
    a_run(root, {"x": 0.5}, 1.0, name="again", origin=made(4))
    labctl.done("replay", run_id)
    book = Book(root, "again")
    book.catch_up()
    assert (book.seed, book.highest) == (7, 5)
    shown = labctl.done("show", runs_of(root, "again")[-1]).out
    assert f"parameters by: replay, trial 5 of seed 7, made from {run_id}\n" in shown


def test_without_git_the_way_round_it_is_told(place: Path, code: Path, labctl: Labctl, tmp_path: Path) -> None:
    root = a_code_lab(place, code)
    run_id = first_run(labctl, root)
    (code / "base.txt").write_text("2.0")
    commit(code, "second")
    (tmp_path / "bin").mkdir()
    said = process("replay", run_id, root=place, env={"PATH": str(tmp_path / "bin")})
    assert said.code == 2
    assert "--as-is" in said.err


def test_a_run_in_an_archive_has_to_be_brought_back_first(labctl: Labctl, place: Path, code: Path) -> None:
    root = a_code_lab(place, code)
    first = first_run(labctl, root)
    for _ in range(6):
        labctl.done("replay", first)
    labctl.done("prune", "--keep", "5", "--yes")
    gone = runs_of(root, "again")
    archived = [
        run["run_id"] for run in labctl.done("list", "again", "--json").data["runs"] if run["run_id"] not in gone
    ]
    assert archived
    said = labctl("replay", archived[0])
    assert said.code == 1
    assert "labctl prune --restore" in said.err


@pytest.mark.parametrize("run_id", ["RUN-1", "RUN-20200101-000000-000000-scout"])
def test_a_run_that_is_not_there_is_refused(run_id: str, labctl: Labctl, place: Path, code: Path) -> None:
    a_code_lab(place, code)
    assert labctl("replay", run_id).code == 2
