"""The steps of a candidate: what one may write, what is kept of what it prints, and what is said when it ends badly."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from lab.core.candidate import CHECKS_FAILED, CRASHED, KEEP
from lab.core.errors import BadInput
from lab.scheduler.loop import steps
from tests.scheduler.loop.live import a_loop, sound

if TYPE_CHECKING:
    from pathlib import Path

LESS = "echo 40 > value"


def test_a_folder_below_home_may_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / "cache").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    measure = f'touch {home}/cache/"$LAB_STEP" || exit 1; echo "METRIC cost=$(cat value)"\n'
    loop = a_loop(tmp_path, spec='writable_paths: ["~/cache"]\n', files={"measure.sh": measure})
    made = loop.change(":", LESS)
    assert (made.verdict, made.candidate_value) == (KEEP, 40), made.reason
    assert {each.name for each in (home / "cache").iterdir()} == {"baseline", "validation"}
    sound(loop)


def test_a_folder_that_is_not_there_spends_no_run(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=f"writable_paths: [{tmp_path}/later]\n")
    with pytest.raises(BadInput, match="later, which is not there") as told:
        loop.run()
    assert loop.runs() == []
    assert told.value.fix.startswith(f"mkdir -p {tmp_path}/later")
    (tmp_path / "later").mkdir()
    assert loop.change(":").verdict == KEEP


def test_a_folder_that_a_step_removes_ends_no_run(tmp_path: Path) -> None:
    away = tmp_path / "away"
    folder = away / "cache"
    folder.mkdir(parents=True)
    measure = f'rm -rf {folder}; echo "METRIC cost=$(cat value)"\n'
    spec = f"writable_paths: [{away}, {folder}]\n"
    made = a_loop(tmp_path, spec=spec, files={"measure.sh": measure}).change(":")
    assert (made.verdict, made.candidate_value) == (KEEP, 50), made.reason


def test_the_reason_of_a_crash_says_what_crashed(tmp_path: Path) -> None:
    text = 'n = int(open("value").read())\nif n == 40:\n    import nothing_like_it\nprint(f"METRIC cost={n}")\n'
    spec = (
        "validation_command: python3 -I -S measure.py\nread_only_paths: [measure.py]\n"
        "checks_command: sh checks.sh\nideas_file: ideas.md\n"
    )
    checks = '[ "$(cat value)" != 30 ] || { echo "error: the answer is wrong: 30" >&2; exit 1; }\n'
    files = {"measure.py": text, "checks.sh": checks, "ideas.md": "- try a smaller number\n"}
    loop = a_loop(tmp_path, spec=spec, files=files)
    made = loop.change(":", LESS)
    assert made.verdict == CRASHED
    words = "validation ended with exit code 1: ModuleNotFoundError: No module named 'nothing_like_it'"
    assert words in made.reason
    assert words in loop.page(made.run_id)
    assert made.note == "try a smaller number"  # what the change was meant to be is not what became of it
    made = loop.change("echo 30 > value")
    assert (made.verdict, made.reason) == (
        CHECKS_FAILED,
        "checks ended with exit code 1: error: the answer is wrong: 30",
    )
    made = loop.change("echo thinking; exit 7")
    assert made.reason == "mutation ended with exit code 7: thinking"
    sound(loop)


def test_a_command_that_cannot_be_started_is_told_by_its_own_name(tmp_path: Path) -> None:
    made = a_loop(tmp_path, spec="checks_command: 'sh checks.sh && true'\n").change(":")
    assert made.reason.startswith("checks could not be started: ")
    assert "checks_command" in made.reason
    assert "executor_command" not in made.reason


def test_of_what_measures_nothing_a_mebibyte_is_kept(tmp_path: Path) -> None:
    loud = "head -c 3000000 /dev/zero | tr '\\0' x"
    measure = f'{loud}; echo; echo "METRIC cost=$(cat value)"; {loud}\n'
    loop = a_loop(tmp_path, files={"measure.sh": measure})
    made = loop.change(":", f"{loud}; {LESS}")
    assert (made.verdict, made.candidate_value) == (KEEP, 40)  # the middle of what measures may be the measurement
    sizes = {each.parent.name: each.stat().st_size for each in loop.path(made.run_id).glob("artifacts/steps/*/*.log")}
    assert sizes["02-validation"] > 6_000_000
    assert (
        "1951424 bytes are left out" in (loop.path(made.run_id) / "artifacts/steps/01-mutation/stdout.log").read_text()
    )


def test_what_the_hidden_measurement_says_is_told_nobody(tmp_path: Path) -> None:
    spec = "holdout_command: sh -c 'test -e ok || { echo the-answer-is-7; exit 1; }'\nholdout_every: 1\n"
    loop = a_loop(tmp_path, spec=spec, files={"ok": "1\n"})
    made = loop.change(":", f"{LESS}; rm ok")
    assert "the-answer-is-7" not in f"{made.reason} {made.remarks} {loop.page(made.run_id)}"


BESIDE = """
import os
folder = os.path.dirname(os.path.abspath(__file__))
print("METRIC cost=" + open(os.path.join(folder, "value")).read())
"""


@pytest.mark.parametrize(
    "command",
    [
        "{python} {workspace}/measure.py",
        "sh -c 'cd {workspace} && {python} measure.py'",
        "{python} '{workspace}/./measure.py'",
    ],
)
def test_an_evaluator_named_by_its_absolute_path_measures_the_change_and_not_the_workspace(
    tmp_path: Path, command: str
) -> None:
    told = command.format(python=sys.executable, workspace=tmp_path / "ws")
    loop = a_loop(tmp_path, spec=f"validation_command: {json.dumps(told)}\n", files={"measure.py": BESIDE})
    kept = loop.change(":", "echo 40 > value")
    assert (kept.verdict, kept.candidate_value) == (KEEP, 40)
    assert (loop.workspace / "value").read_text() == "50\n"


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        ("python3 /ws/ev.py --out=/ws/sub", "python3 /tree/ev.py --out=/tree/sub"),
        ("/ws/.venv/bin/python /ws/ev.py /ws/data", "/ws/.venv/bin/python /tree/ev.py /ws/data"),  # no commit has them
        ("ls /ws2/ev.py /other/ws/ev.py /ws-old x/ws/ev.py", "ls /ws2/ev.py /other/ws/ev.py /ws-old x/ws/ev.py"),
        ("cd /ws; PATH=/ws/sub:/ws/sub sh", "cd /tree; PATH=/tree/sub:/tree/sub sh"),
    ],
)
def test_what_a_commit_holds_is_meant_in_the_tree(tmp_path: Path, command: str, meant: str) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "ev.py").touch()
    assert steps.in_tree(command, "/ws", str(tree)) == meant.replace("/tree", str(tree))
