"""The programs of the trial by fire stay alive: each is tried by one command, ends by itself, and keeps its word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.programs import loaded

if TYPE_CHECKING:
    from types import ModuleType

TRIAL = Path(__file__).resolve().parents[2] / "scripts" / "trial"
EVERY = TRIAL / "every"
# tests/crash, tests/fuzz and test_hundred_rows.py go through the same in less time.
ELSEWHERE = {"kills", "power", "fuzz", "hundred_thousand"}
GONE_S = 200.0  # the lab of the schedulers takes a hundred processes to make


def fresh() -> ModuleType:
    return loaded(EVERY, "trial_every")


PROGRAMS = fresh().PROGRAMS


def environment(place: Path) -> dict[str, str]:
    """Everything that it makes goes there, and its processes are known by it."""
    return {**os.environ, "TMPDIR": str(place), "HOME": str(place)}


def test_every_program_is_tried_by_every_and_all_that_it_names_is_there() -> None:
    found = {path.stem for path in TRIAL.glob("*.py") if "report.run(" in path.read_text(encoding="utf-8")}
    assert found - {"report"} == set(PROGRAMS)


@pytest.mark.heavy
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(set(PROGRAMS) - ELSEWHERE))
def test_a_sample_of_it_breaks_no_promise_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    place = tmp_path / "made"
    place.mkdir()
    out = tmp_path / "tables.md"
    done = subprocess.run(
        [sys.executable, EVERY, "--quick", "--only", name, "--out", out], capture_output=True, text=True, check=False,
        env=environment(place), stdin=subprocess.DEVNULL,
    )  # fmt: skip
    text = out.read_text(encoding="utf-8")
    assert done.returncode == 0, (text, done.stderr)
    assert "Nothing was broken." in text
    assert f"## {PROGRAMS[name]}\n" in text
    assert list(place.iterdir()) == []
    assert of_this(place) == []


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_ctrl_c_ends_what_runs_and_tells_what_was_done_before(tmp_path: Path) -> None:
    place = tmp_path / "made"
    place.mkdir()
    out = tmp_path / "tables.md"
    command = [sys.executable, str(EVERY), "--only", "schedulers", "--out", str(out)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=environment(place), process_group=0
    ) as process:
        until(lambda: len(of_this(place)) > 5)  # somebody is at work
        os.killpg(process.pid, signal.SIGINT)
        err = process.communicate()[1]
    assert process.returncode == 130, err
    assert "schedulers was interrupted" in err
    assert "Traceback" not in err
    assert "Nothing was broken." in out.read_text(encoding="utf-8")
    until(lambda: of_this(place) == [])


def test_a_program_that_tells_nothing_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = fresh()
    monkeypatch.setattr(module, "HERE", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["every", "--only", "soak", "--out", str(tmp_path / "tables.md")])
    assert module.main() == 2
    assert "soak ended with 2, and told nothing" in (tmp_path / "tables.md").read_text(encoding="utf-8")


def test_what_was_broken_stands_first_and_is_the_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = fresh()
    said = '{"machine": "here", "findings": [{"what": "a|b", "tried": "7", "promise": "holds", "broken": ["step 3"]}]}'
    (tmp_path / "soak.py").write_text(f"print({said!r}); raise SystemExit(1)\n", encoding="utf-8")
    monkeypatch.setattr(module, "HERE", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["every", "--only", "soak", "--out", str(tmp_path / "tables.md")])
    assert module.main() == 1
    lines = (tmp_path / "tables.md").read_text(encoding="utf-8").splitlines()
    assert lines.index("- soak, a|b, holds: step 3") < lines.index("| a\\|b | 7 | holds | 1 |")


def of_this(place: Path) -> list[str]:
    """Processes that were told of this folder, by their environment."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes()
            ended = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] in "ZX"
        except OSError:
            continue
        if str(place).encode() in environ and not ended:
            found.append(pid)
    return found


def until(true: object) -> None:
    assert callable(true)
    limit_s = time.monotonic() + GONE_S
    while not true():
        assert time.monotonic() < limit_s, "it did not become true in time"
        time.sleep(0.05)
