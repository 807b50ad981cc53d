"""Candidates that mean harm, fifty in one loop. None is kept, and what is the user's is as it was, to the byte."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from lab.executors import bwrap, landlock
from tests.scheduler.loop import attacks

CHECKOUT = Path(__file__).resolve().parents[3]
SPEC = """\
id: loop
goal: a higher score
metric: score
metric_direction: maximize
executor: reference
workspace_root: {workspace}
mutation_command: {python} -ISB {attacks}
checks_command: {python} checks/test_score.py
validation_command: {python} evaluate.py
mutable_paths: [score.py, "src/**"]
read_only_paths: [evaluate.py, rules.py, checks]
promotion_strategy: branch
max_iterations_total: 1000
stop_conditions: {{max_consecutive_failures: 1000}}
durability: fast
time_budget: 20s
cadence: 30m
"""
# It does not let speak what it judges: code that is imported could print a line of its own.
EVALUATE = """\
import subprocess
import sys

import rules

asked = [sys.executable, "-c", "import score; print(score.VALUE, flush=True)"]
said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
print(f"METRIC score={rules.points(float(said.split()[0]))}")
"""
FILES = {
    "score.py": "VALUE = 1.0\n",
    "rules.py": "def points(value):\n    return value\n",
    "evaluate.py": EVALUATE,
    "checks/test_score.py": "import score\n\nassert score.VALUE >= 0\n",
    "src/__init__.py": "",
    ".gitignore": "__pycache__/\nlocal/\n*.local.py\n",
    "notes with a space.txt": "mine\n",
}
OURS = ("objects", "refs/lab", "refs/heads/lab", "logs/refs/heads/lab", "worktrees")
fenced = pytest.mark.skipif(
    landlock.version() < 3 and bool(bwrap.trouble()),
    reason="neither Landlock nor bwrap: nothing holds a candidate here",
)
pytestmark = [
    pytest.mark.heavy, pytest.mark.needs("git"), pytest.mark.timeout(300), fenced,
    pytest.mark.xdist_group("siege"),  # one siege, which takes half a minute, for all of them
]  # fmt: skip


def state(folder: Path, *, apart: tuple[str, ...] = ()) -> dict[str, tuple[object, ...]]:
    """Every file of a folder: bytes; mode and time too where bwrap is, for Landlock holds neither."""
    found: dict[str, tuple[object, ...]] = {}
    for place, folders, names in os.walk(folder):
        inside = os.path.relpath(place, folder)
        folders[:] = [name for name in folders if os.path.normpath(f"{inside}/{name}") not in apart]
        for name in names:
            path = Path(place, name)
            seen = path.lstat()
            is_file = stat.S_ISREG(seen.st_mode)
            text = path.read_bytes() if is_file else b""
            more = () if bwrap.trouble() else (seen.st_mode, seen.st_mtime_ns if is_file else 0)
            found[os.path.normpath(f"{inside}/{name}")] = (text, *more)
    return found


class Siege(msgspec.Struct):
    """One loop under attack, and what was there before and after."""

    home: Path
    decided: dict[str, dict[str, object]]
    fences: set[str]
    before: dict[str, dict[str, tuple[object, ...]]]
    after: dict[str, dict[str, tuple[object, ...]]]


def environ(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    git = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return {**kept, **git, "HOME": str(home / "home"), "LAB_DATA_ROOT": str(home / "lab")}


def typed(home: Path, *words: str, where: str = ".") -> str:
    done = subprocess.run(words, cwd=home / where, env=environ(home), capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1, 3), f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def labctl(home: Path, *words: str) -> str:
    return typed(home, sys.executable, str(CHECKOUT / "scripts/labctl.py"), *words)


def snapshot(home: Path) -> dict[str, dict[str, tuple[object, ...]]]:
    return {
        "tree": state(home / "code", apart=(".git",)),
        "git": state(home / "code/.git", apart=OURS),
        "home": state(home / "home"),
        "spec": {"SPEC.yaml": ((home / "lab/experiments/loop/SPEC.yaml").read_bytes(),)},
    }


@pytest.fixture(scope="module")
def siege(on_disk: Path) -> Siege:
    home = on_disk / "siege"
    home.mkdir()
    for name, text in FILES.items():
        (home / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "code" / name).write_text(text)
    (home / "home").mkdir()
    (home / "home/precious").write_text("mine\n")
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b")
    typed(home, *git, "init", "-q", "-b", "main", where="code")
    typed(home, *git, "add", "-A", where="code")
    typed(home, *git, "commit", "-q", "-m", "as it is", where="code")
    typed(home, *git, "tag", "v1", where="code")
    spec = SPEC.format(workspace=home / "code", python=sys.executable, attacks=attacks.__file__)
    (home / "SPEC.yaml").write_text(spec)
    labctl(home, "init")
    labctl(home, "create", "SPEC.yaml")
    labctl(home, "burst", "loop", "-n", "1")
    before = snapshot(home)
    runs = home / "lab/experiments/loop/runs"
    for _ in attacks.ATTACKS:  # it stops and asks after some failures in a row
        left = len(attacks.ATTACKS) + 1 - len(list(runs.iterdir()))
        if left <= 0:
            break
        assert "internal" not in labctl(home, "burst", "loop", "-n", str(left))
        labctl(home, "resume", "loop")
    decided: dict[str, dict[str, object]] = {}
    fences = set()
    for run in sorted(runs.iterdir()):
        manifest = msgspec.json.decode((run / "manifest.json").read_bytes())
        place = run / "artifacts/decision.json"
        assert place.exists(), (run / "RESULT.md").read_text()
        said = msgspec.json.decode(place.read_bytes())
        name = ["baseline", *attacks.ATTACKS][manifest["iteration"] - 1]
        decided[name] = said
        fences.add(said["candidate"].get("guard", ""))
    return Siege(home=home, decided=decided, fences=fences, before=before, after=snapshot(home))


@pytest.mark.parametrize("attack", attacks.ATTACKS)
def test_it_is_not_kept(siege: Siege, attack: str) -> None:
    said = siege.decided[attack]
    assert said["verdict"] in ("discard", "crash", "checks_failed"), said
    assert said.get("candidate_value") in (None, 1.0), said


def test_what_is_the_users_is_as_it_was(siege: Siege) -> None:
    assert siege.after == siege.before


def test_history_holds(siege: Siege) -> None:
    labctl(siege.home, "verify")
    typed(siege.home, "git", "fsck", "--strict", where="code")
    assert typed(siege.home, "git", "branch", "--list", "--format=%(refname)", where="code").split() == [
        "refs/heads/lab/loop", "refs/heads/main",
    ]  # fmt: skip
    assert typed(siege.home, "git", "worktree", "list", where="code").count("\n") == 1


def test_what_held_them_is_in_the_bundles(siege: Siege) -> None:
    assert siege.fences
    assert all(each.startswith(("landlock", "bwrap")) for each in siege.fences), siege.fences


def test_a_better_score_is_still_kept_afterwards(siege: Siege) -> None:
    better = siege.home / "better.py"
    better.write_text("open('score.py', 'w').write('VALUE = 2.0\\n')\n")
    spec = siege.home / "lab/experiments/loop/SPEC.yaml"
    text = spec.read_text()
    spec.write_text(text.replace(f"-ISB {attacks.__file__}", f"-ISB {better}"))
    labctl(siege.home, "burst", "loop", "-n", "1")
    assert typed(siege.home, "git", "show", "lab/loop:score.py", where="code") == "VALUE = 2.0\n"
