"""Pipes, colours, silence, signals: what the shell around `labctl` sees. Real processes throughout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.scheduler import cycle
from tests.cli.labs import CHECKOUT, SHIM, TRACE, a_busy_lab, a_lab, ended, me, process, runs_of, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ESCAPE = "\x1b"
STOPS = """
import sys, time
sys.path.insert(0, sys.argv[1])
from lab.cli.main import main
from lab.store.files import Files

def step(self, name, path):
    if name == "rename":
        print("before the rename", flush=True)
        time.sleep(60)

Files.step = step
sys.exit(main(["refresh", "--data-root", sys.argv[2]]))
"""


@contextmanager
def started(*words: str, root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that never outlives its test."""
    environ = {**os.environ, "LAB_DATA_ROOT": str(root)}
    command = [sys.executable, SHIM, *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, stdin=subprocess.DEVNULL, env=environ) as child:
        try:
            yield child
        finally:
            child.kill()


def shell(line: str, root: Path) -> subprocess.CompletedProcess[str]:
    """A line of bash in which `labctl` is ours."""
    function = f'labctl() {{ "{sys.executable}" "{SHIM}" "$@"; }}\n'
    environ = {**os.environ, "LAB_DATA_ROOT": str(root)}
    return subprocess.run(
        ["bash", "-c", function + line], capture_output=True, text=True, env=environ, check=False, timeout=15
    )


def wait_for(seen: Callable[[], bool], what: str) -> None:
    end_s = time.monotonic() + 10
    while not seen():
        assert time.monotonic() < end_s, what
        time.sleep(0.01)


def opened(pid: int, name: str) -> bool:
    """Whether a process has a file of this name open."""
    folder = f"/proc/{pid}/fd"
    try:
        return any(os.readlink(f"{folder}/{number}").endswith(name) for number in os.listdir(folder))
    except OSError:
        return False


def test_nothing_is_coloured_or_drawn_when_nobody_looks(tmp_path: Path) -> None:
    root = a_busy_lab(tmp_path / "lab")
    for words in (["--help"], ["status"], ["list"], ["show", "alpha"], ["verify"], ["refresh"], ["recover"], ["nope"]):
        said = process(*words, root=root.layout.root, env={"FORCE_COLOR": "1", "TERM": "xterm-256color"})
        assert ESCAPE not in said.all
        assert "\r" not in said.all


def test_an_escape_in_a_goal_or_a_reason_never_reaches_the_terminal(tmp_path: Path) -> None:
    a_lab(tmp_path / "lab")
    (tmp_path / "s.yaml").write_text('id: alpha\nmetric: loss\ngoal: "red \\e[31m \\b\\b alert\\a"\n')
    root = tmp_path / "lab"
    assert process("create", "s.yaml", root=root, cwd=tmp_path).code == 0
    assert process("pause", "alpha", "--reason", "\x1b[2J gone", root=root).code == 0
    for words in (["status"], ["list"], ["show", "alpha"], ["list", "--json"], ["digest"]):
        said = process(*words, root=root)
        assert said.code == 0
        assert ESCAPE not in said.all
        assert "\a" not in said.all


def test_nothing_that_a_run_wrote_speaks_to_the_terminal_when_it_is_shown(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "alpha")
    running = cycle.begin(root, "alpha", owner=me(), params={"\u202elr\x1b[2J": "\x9b31mred\n\u2066"})
    Path(running.path, "artifacts").mkdir()
    for name in ("\x1b[31mred", "\u202egnp.exe", "two\nlines", "bell\x07"):
        Path(running.path, "artifacts", name).write_text(name)
    live = process("show", running.manifest.run_id, "--data-root", str(tmp_path / "lab"))
    cycle.finish(root, running, ended(0.5, note="\x1b]0;title\x07note", reason="\u202ereason"))
    Path(running.path, "artifacts", "two\nlines").write_text("changed")
    Path(root.layout.page("alpha", "SUMMARY.md")).write_text("\x1b[2Jgone \u202e\n")
    for name in (running.manifest.run_id, "alpha"):
        said = process("show", name, "--data-root", str(tmp_path / "lab"))
        assert said.code == live.code == 0
        for told in (said.all, live.all):
            assert not [letter for letter in told if letter != "\n" and not letter.isprintable()]
    said = process("show", running.manifest.run_id, "--data-root", str(tmp_path / "lab"))
    assert "  artifacts/red\n" in said.out
    assert "  artifacts/two lines\n" in said.out
    assert "artifacts/two lines: " in said.err
    said = process("verify", "--data-root", str(tmp_path / "lab"))
    assert "artifacts/two lines\t" in said.out


def test_quiet_keeps_results_and_errors_and_leaves_narration_out(tmp_path: Path) -> None:
    root = tmp_path / "lab"
    said = process("init", "-q", root=root)
    assert (said.out, said.err) == (f"initialized: {root}\n", "")
    said = process("--quiet", "create", "first-run", root=root)
    assert said.out.startswith("created experiment: ")
    assert said.err == ""
    said = process("-q", "show", "nope", root=root)
    assert said.code == 2
    assert said.err.startswith("error[not-found]")


@pytest.mark.parametrize("words", ["status", "list", "list alpha", "show alpha", "verify", "--help", "list --json"])
def test_a_reader_that_goes_away_is_no_reason_to_complain(words: str, tmp_path: Path) -> None:
    root = a_busy_lab(tmp_path / "lab")
    done = shell(f"labctl {words} | true; exit 0", Path(root.layout.root))
    assert done.stderr.replace("next: ", "") == "" or "Broken" not in done.stderr
    assert TRACE not in done.stderr
    with started(*words.split(), root=Path(root.layout.root)) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        told = child.stderr.read().decode()
        assert child.wait(10) in (0, 1, -signal.SIGPIPE)
    assert told == ""


def test_many_lines_into_head_are_silent(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "alpha")
    log = Path(root.layout.page("alpha", "metrics.jsonl"))
    log.write_text('{"run_id":"RUN-1","outcome":"success","value":1.0}\n' * 50_000)
    done = shell("labctl list alpha | head -n 1", Path(root.layout.root))
    assert done.stdout.startswith("RUN-1\tsuccess")
    assert done.stderr == ""


def test_a_full_device_for_a_terminal_is_said_without_a_trace(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "alpha")
    done = shell("labctl status --json > /dev/full", Path(root.layout.root))
    assert TRACE not in done.stderr


@pytest.mark.parametrize("words", ["status", "status --json", "show none --json", "watch --for 1 --json"])
def test_a_closed_stdout_is_no_fault_of_labctl(tmp_path: Path, words: str) -> None:
    root = a_lab(tmp_path / "lab", "alpha")
    done = shell(f"labctl {words} >&-", Path(root.layout.root))
    assert "labctl itself failed" not in done.stderr
    assert TRACE not in done.stderr


def test_to_watch_without_an_output_ends_at_once(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "alpha")
    done = shell("labctl watch --for 60 >&-", Path(root.layout.root))
    assert done.returncode == 5
    assert "the output is closed" in done.stderr


def test_a_name_that_the_locale_has_no_bytes_for_is_told_with_the_way_out(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "alpha")
    with open(root.layout.spec("alpha"), "a", encoding="utf-8") as file:
        file.write("executor: command\nexecutor_command: echo 1\nworkspace_root: /tmp/\u00fc\n")
    locale = "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0"
    done = shell(f"{locale} labctl run-once --experiment alpha --now", Path(root.layout.root))
    assert "labctl itself failed" not in done.stderr
    assert "export LC_ALL=C.UTF-8" in done.stderr


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_text_is_printed_in_any_encoding(encoding: str, tmp_path: Path) -> None:
    a_lab(tmp_path / "lab")
    (tmp_path / "s.yaml").write_text("id: alpha\nmetric: loss\ngoal: Schöner → leben\n", encoding="utf-8")
    process("create", "s.yaml", root=tmp_path / "lab", cwd=tmp_path)
    environ = {**os.environ, "PYTHONIOENCODING": encoding, "LAB_DATA_ROOT": str(tmp_path / "lab")}
    done = subprocess.run([sys.executable, SHIM, "list"], capture_output=True, env=environ, check=False, timeout=15)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"leben" in done.stdout


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_json_is_json_in_any_encoding(encoding: str, tmp_path: Path) -> None:
    a_lab(tmp_path / "lab")
    (tmp_path / "s.yaml").write_text("id: alpha\nmetric: loss\ngoal: Schöner → leben\n", encoding="utf-8")
    process("create", "s.yaml", root=tmp_path / "lab", cwd=tmp_path)
    environ = {**os.environ, "PYTHONIOENCODING": encoding, "LAB_DATA_ROOT": str(tmp_path / "lab")}
    command = [sys.executable, SHIM, "list", "--json"]
    done = subprocess.run(command, capture_output=True, env=environ, check=False, timeout=15)
    rows = json.loads(done.stdout.decode("utf-8"))["data"]["experiments"]
    assert rows[0]["goal"] == "Schöner → leben"


def test_json_from_a_real_process_is_one_document_and_stderr_is_empty(tmp_path: Path) -> None:
    root = a_busy_lab(tmp_path / "lab")
    for words in (
        ["status"],
        ["list", "alpha"],
        ["show", "alpha"],
        ["show", "nope"],
        ["nope"],
        ["list", "--last", "x"],
    ):
        said = process(*words, root=root.layout.root, env={"LABCTL_OUTPUT": "json"})
        assert said.envelope["ok"] is (said.code == 0)
        assert said.err == ""


def test_any_other_wish_for_output_is_text(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab")
    said = process("status", root=root.layout.root, env={"LABCTL_OUTPUT": "yaml"})
    assert said.out.startswith("data_root: ")


def test_ctrl_c_during_a_long_verify_ends_in_words_and_130(tmp_path: Path) -> None:
    root = a_busy_lab(tmp_path / "lab")
    run = runs_of(root, "alpha")[0]
    result = Path(root.layout.run("alpha", run), "RESULT.md")
    result.chmod(0o644)
    os.truncate(result, 200 << 30)  # a hole: no disk is used, and reading it takes a minute
    with started("verify", root=Path(root.layout.root)) as child:
        wait_for(lambda: opened(child.pid, f"{run}/RESULT.md"), "verify never came to the large file")
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=10)
    assert child.returncode == 130
    assert out == b""
    assert err == b"error[interrupted]: interrupted; no run was touched\n", "there is nothing to settle"
    assert TRACE.encode() not in err


def test_ctrl_c_in_the_middle_of_a_refresh_leaves_a_lab_that_the_next_refresh_finishes(tmp_path: Path) -> None:
    root = a_busy_lab(tmp_path / "lab")
    before = tree(root.layout.root)
    for name in ("alpha/best.md", "beta/SUMMARY.md"):
        Path(root.layout.experiments, name).unlink()
    command = [sys.executable, "-c", STOPS, str(CHECKOUT), root.layout.root]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"before the rename\n"
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=10)
    assert child.returncode == 130, err
    assert out == b""
    assert b": interrupted; what was sealed is safe" in err
    assert process("refresh", root=root.layout.root).code == 0
    after = {name: data for name, data in tree(root.layout.root).items() if not name.endswith(".draft")}
    assert after == before
    assert process("verify", root=root.layout.root).code == 0


def test_a_read_only_verb_reads_a_lab_in_a_folder_with_an_odd_name(tmp_path: Path) -> None:
    place = tmp_path / "a lab, with 'quotes' & ünïcode\nand a line"
    a_lab(place, "alpha")
    assert process("list", root=place).out.startswith("alpha\t")
    assert process("status", "--json", root=place).data["data_root"] == str(place)
    assert process("verify", root=place).code == 0
    assert process("pause", "alpha", root=place).code == 0
