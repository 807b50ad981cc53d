"""What must hold while the lab is stopped, killed, poor or without rights: all that the warden alone sees to."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.core.launch import Exit, Limits, Stop
from lab.core.record import parse
from lab.executors import gpu
from lab.executors import limits as limiting
from lab.store import kernel, machine, processes
from lab.store.files import Files
from tests.executors.supervised import a_caller, alive, bash, killed, python, supervised, the_child, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.core.launch import Program

NOBODY = 65534
LIMITED = Limits(budget_s=20, memory_mb=200)
MODES = [pytest.param("namespace", marks=pytest.mark.needs_root), "subreaper"]
both = pytest.mark.parametrize("how", MODES)


class SlowToPublish(Files):
    """Takes its time between the last word and its name."""

    def step(self, name: str, path: str) -> None:
        if name == "rename" and path.endswith(layout.EXIT):
            time.sleep(2)


def told(folder: Path) -> Exit:
    until((folder / layout.EXIT).exists)
    return parse(Exit, (folder / layout.EXIT).read_bytes(), layout.EXIT)


# -- the lab is stopped, killed, or told to go -------------------------------------------------------------------


@both
def test_a_stopped_lab_does_not_stop_the_clock(tmp_path: Path, how: str) -> None:
    what = bash(tmp_path, "setsid sleep 60 & touch begun; sleep 60")
    caller = a_caller(lambda: supervised(tmp_path, what, limits=Limits(budget_s=1, grace_s=0.2), how=how))
    try:
        until((tmp_path / "begun").exists)
        os.kill(caller, signal.SIGSTOP)
        assert told(tmp_path).stopped == "timeout"
        assert alive(tmp_path) == []
    finally:
        killed(caller)


@both
def test_the_end_that_a_killed_lab_did_not_hear_of_is_written_down(tmp_path: Path, how: str) -> None:
    what = bash(tmp_path, "touch begun; until [ -e go ]; do sleep 0.01; done; exit 7")
    caller = a_caller(lambda: supervised(tmp_path, what, how=how))
    try:
        until((tmp_path / "begun").exists)
        os.kill(caller, signal.SIGSTOP)
        (tmp_path / "go").touch()
        found = told(tmp_path)
        assert (found.code, found.stopped) == (7, "")
    finally:
        killed(caller)
    assert told(tmp_path) == found


@pytest.mark.parametrize("how", [*MODES, "group"])
def test_ctrl_c_at_the_terminal_reaches_the_lab_alone(tmp_path: Path, how: str) -> None:
    """A terminal tells the whole foreground group; here the group is the caller's own, and so the test outlives it."""
    what = bash(tmp_path, "touch begun; until [ -e go ]; do sleep 0.01; done; exit 5")

    def lab() -> None:
        os.setpgid(0, 0)
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, lambda *_: (tmp_path / "heard").touch())
        supervised(tmp_path, what, how=how)

    caller = a_caller(lab)
    try:
        until((tmp_path / "begun").exists)
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
            os.killpg(caller, number)
        until((tmp_path / "heard").exists)
        (tmp_path / "go").touch()
        assert told(tmp_path).code == 5
    finally:
        killed(caller)


@both
def test_a_lab_that_is_killed_with_its_whole_group_leaves_the_truth(tmp_path: Path, how: str) -> None:
    def lab() -> None:
        os.setpgid(0, 0)
        supervised(tmp_path, bash(tmp_path, "touch begun; sleep 60"), how=how)

    caller = a_caller(lab)
    until((tmp_path / "begun").exists)
    os.killpg(caller, signal.SIGKILL)
    killed(caller)
    assert told(tmp_path).stopped == "orphaned"
    assert alive(tmp_path) == []


@pytest.mark.parametrize("how", [*MODES, "group"])
def test_a_program_that_kills_its_whole_group_kills_itself_alone(tmp_path: Path, how: str) -> None:
    text = "import os; print(os.getsid(0) == os.getpgid(0) == os.getpid(), flush=True); os.kill(0, 9)"
    found = supervised(tmp_path, python(tmp_path, text), how=how)
    assert (found.signal, found.stopped, found.problem) == (signal.SIGKILL, "", "")
    assert (tmp_path / "stdout.log").read_text() == "True\n"


@both
def test_what_is_typed_at_the_lab_does_not_reach_the_run(tmp_path: Path, how: str) -> None:
    def lab() -> None:
        reading, writing = os.pipe()
        os.write(writing, b"yes\n")
        os.dup2(reading, 0)
        supervised(tmp_path, bash(tmp_path, "cat"), how=how)

    caller = a_caller(lab)
    assert (told(tmp_path).code, told(tmp_path).stdout.total) == (0, 0)
    assert os.waitpid(caller, 0)[1] == 0


@both
def test_signals_do_not_end_the_warden(tmp_path: Path, how: str) -> None:
    sent: list[int] = []

    def watch() -> None:
        if (tmp_path / "begun").exists() and not sent:
            sent.append(the_child())
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGTSTP):
                os.kill(sent[0], number)
            (tmp_path / "go").touch()

    what = bash(tmp_path, "touch begun; until [ -e go ]; do sleep 0.01; done; exit 5")
    found = supervised(tmp_path, what, how=how, watch=watch)
    assert sent
    assert (found.code, found.stopped, found.problem) == (5, "", "")


def test_a_draft_that_a_killed_warden_leaves_names_the_lab_and_not_the_warden(tmp_path: Path) -> None:
    """Only so can recovery prove that nobody is writing it any more."""
    caller = a_caller(lambda: supervised(tmp_path, bash(tmp_path, "exit 0"), files=SlowToPublish(durable=False)))
    until(lambda: list(tmp_path.glob(".*.draft")))
    (draft,) = tmp_path.glob(".*.draft")
    killed(caller)
    place, pid, _ = draft.name.removesuffix(".draft").rpartition(".")[2].split("-")
    assert place[: machine.HERE_CHARS] == machine.here()
    assert int(pid) == caller


def test_recovery_that_clears_the_draft_of_a_dead_lab_takes_no_last_word_away(tmp_path: Path) -> None:
    class Cleared(Files):
        done = False

        def step(self, name: str, path: str) -> None:
            if name == "rename" and path.endswith(layout.EXIT) and not self.done:
                self.done = True
                for draft in tmp_path.glob(".*.draft"):
                    draft.unlink()

    found = supervised(tmp_path, bash(tmp_path, "exit 3"), files=Cleared(durable=False))
    assert found.problem == ""
    assert told(tmp_path) == found


# -- rights and room ---------------------------------------------------------------------------------------------


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can reach; pytest's are for their owner alone."""
    folder = Path(tempfile.mkdtemp(prefix="labctl-", dir="/tmp"))  # as said
    folder.chmod(0o777)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def as_nobody(does: Callable[[], object]) -> int:
    """The interpreter may lie where only root can read it, so whatever the lab loads later is loaded before."""
    kernel.load()
    gpu.Meter().look(os.getpid())

    def become_and_do() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        does()

    return a_caller(become_and_do)


@pytest.mark.needs_root
@pytest.mark.parametrize("text", ["sleep 61", 'trap "" TERM; setsid -f sleep 61; sleep 61'])
def test_an_ordinary_user_has_budgets_that_hold(open_folder: Path, text: str) -> None:
    what = bash(open_folder, text)
    caller = as_nobody(lambda: supervised(open_folder, what, limits=Limits(budget_s=0.5, grace_s=0.2)))
    found = told(open_folder)
    assert (found.stopped, found.confined, found.problem) == ("timeout", "subreaper", "")
    assert alive(open_folder) == []
    assert os.waitpid(caller, 0)[1] == 0


@pytest.mark.needs_root
def test_an_ordinary_user_leaves_no_orphans(open_folder: Path) -> None:
    caller = as_nobody(lambda: supervised(open_folder, bash(open_folder, "setsid sleep 60 & touch begun; sleep 60")))
    until((open_folder / "begun").exists)
    killed(caller)
    until(lambda: not alive(open_folder), within_s=2)
    assert told(open_folder).stopped == "orphaned"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk with room for 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.needs_root
@pytest.mark.needs("mount")
@both
def test_a_disk_that_fills_up_ends_the_log_and_not_the_run(small_disk: Path, how: str) -> None:
    what = bash(small_disk, "head -c 1M /dev/zero; exit 4")
    found = supervised(small_disk, what, how=how)
    assert found.code == 4
    assert "stdout.log ends early: No space left" in found.problem
    assert found.stdout.total == 1 << 20
    assert 0 < found.stdout.kept == (small_disk / layout.STDOUT).stat().st_size <= 1 << 18


@pytest.mark.needs_root
@pytest.mark.needs("mount")
@both
def test_the_end_is_told_where_the_disk_has_no_room_for_it(small_disk: Path, how: str) -> None:
    found = supervised(small_disk, bash(small_disk, "cat /dev/zero >ballast 2>&-; exit 4"), how=how)
    assert found.code == 4
    assert "exit.json could not be written" in found.problem
    assert not list(small_disk.glob(".*.draft"))


# -- its folder, its logs, its limits ----------------------------------------------------------------------------


@both
def test_a_run_that_lays_links_for_its_logs_reaches_nobody_elses_files(tmp_path: Path, how: str) -> None:
    bundle, prey = tmp_path / "run", tmp_path / "passwd"
    bundle.mkdir()
    prey.write_text("root:x:0:0\n")
    links = f"ln -sf {prey} stdout.log; ln -s {prey} stderr.log; ln -s {prey} exit.json"
    found = supervised(bundle, bash(bundle, f"echo one; sleep 0.1; {links}; echo two; echo bad >&2"), how=how)
    assert prey.read_text() == "root:x:0:0\n"
    assert (bundle / "stdout.log").read_bytes() == b"one\ntwo\n"
    assert (bundle / "stderr.log").read_bytes() == b"bad\n"
    assert not (bundle / "exit.json").is_symlink()
    assert told(bundle) == found


@both
@pytest.mark.parametrize("text", ["rm stdout.log", 'rm -rf "$LAB_RUN_DIR"'])
def test_a_run_that_deletes_its_logs_or_its_folder_has_them_again(tmp_path: Path, how: str, text: str) -> None:
    bundle = tmp_path / "run"
    bundle.mkdir()
    found = supervised(bundle, bash(bundle, f"echo one; sleep 0.1; {text}; echo two; exit 3"), how=how)
    assert (bundle / "stdout.log").read_bytes() == b"one\ntwo\n"
    assert (found.code, found.problem) == (3, "")
    assert told(bundle) == found


@both
def test_a_secret_that_comes_in_two_pieces_is_in_no_log(tmp_path: Path, how: str) -> None:
    what = bash(tmp_path, "printf 'a hunter'; sleep 0.1; printf '2hunter2 b'; printf hunt >&2")
    found = supervised(tmp_path, with_secret(what), how=how)
    assert (tmp_path / "stdout.log").read_bytes() == b"a [redacted][redacted] b"
    assert (tmp_path / "stderr.log").read_bytes() == b"hunt"
    assert found.stdout.total == 18


def with_secret(what: Program) -> Program:
    return type(what)(argv=what.argv, cwd=what.cwd, environ=what.environ, secrets=("hunter2",))


@both
def test_without_grace_a_run_is_ended_at_once(tmp_path: Path, how: str) -> None:
    what = bash(tmp_path, 'trap "sleep 5; touch kept" TERM; while :; do sleep 0.01; done')
    found = supervised(tmp_path, what, limits=Limits(budget_s=0.2, grace_s=0), how=how)
    assert found.stopped == "timeout"
    assert found.wall_s < 2
    assert not (tmp_path / "kept").exists()


@both
def test_what_is_written_within_the_grace_is_kept_and_the_run_was_late(tmp_path: Path, how: str) -> None:
    text = "trap 'echo {} >metrics.json; exit 0' TERM; touch begun; while :; do sleep 0.01; done"
    found = supervised(tmp_path, bash(tmp_path, text), limits=Limits(budget_s=0.5, grace_s=5), how=how)
    assert (found.stopped, found.code) == ("timeout", 0)
    assert (tmp_path / "metrics.json").read_text() == "{}\n"
    assert found.wall_s < 4


@both
def test_a_child_that_is_told_to_end_has_its_grace_when_its_parent_is_gone(tmp_path: Path, how: str) -> None:
    text = "bash -c 'trap \"sleep 0.2; touch kept; exit\" TERM; touch begun; while :; do sleep 0.01; done' & sleep 60"

    def watch() -> Stop | None:
        return Stop(how="cancelled") if (tmp_path / "begun").exists() else None

    supervised(tmp_path, bash(tmp_path, text), limits=Limits(budget_s=10, grace_s=5), how=how, watch=watch)
    assert (tmp_path / "kept").exists()


@both
@pytest.mark.parametrize("last", ["time.sleep(60)", "time.sleep(0.2)"])
def test_a_storm_of_forks_is_ended(tmp_path: Path, how: str, last: str) -> None:
    """Each process starts the next and ends: whoever lists them first and kills them then is too late."""
    text = f"""
import os, time
until = time.time() + 5  # where it is not ended, it ends: a storm that gets away takes the machine with it
for _ in range(8):
    if os.fork() == 0:
        os.setsid()
        while time.time() < until:
            if os.fork():
                os._exit(0)
        os._exit(0)
{last}
"""
    found = supervised(tmp_path, python(tmp_path, text), limits=Limits(budget_s=0.5, grace_s=0.1), how=how)
    assert (found.stopped, found.problem) == ("timeout" if "60" in last else "", "")
    for _ in range(20):
        assert alive(tmp_path) == []
        time.sleep(0.005)


@both
def test_what_still_lies_in_the_pipe_when_the_program_has_ended_is_kept(tmp_path: Path, how: str) -> None:
    done: list[int] = []

    def watch() -> None:
        if not done and (tmp_path / "begun").exists():
            warden = the_child()
            done.append(warden)
            os.kill(warden, signal.SIGSTOP)
            (tmp_path / "go").touch()
            until(lambda: not processes.descendants(warden))
            os.kill(warden, signal.SIGCONT)

    size = 1 << 19
    text = f"""
import fcntl, os
fcntl.fcntl(1, {fcntl.F_SETPIPE_SZ}, {size})
open("begun", "w")
while not os.path.exists("go"): pass
os.write(1, bytes({size}))
"""
    found = supervised(tmp_path, python(tmp_path, text), how=how, watch=watch)
    assert (found.code, found.stdout.total) == (0, size)


@both
def test_a_run_that_ended_late_while_nobody_looked_was_late(tmp_path: Path, how: str) -> None:
    done: list[int] = []

    def watch() -> None:
        if done or not (tmp_path / "begun").exists():
            return
        warden = the_child()
        done.append(warden)
        os.kill(warden, signal.SIGSTOP)
        until(lambda: not processes.descendants(warden))
        os.kill(warden, signal.SIGCONT)

    what = bash(tmp_path, "touch begun; sleep 0.5; exit 0")
    found = supervised(tmp_path, what, limits=Limits(budget_s=0.4), how=how, watch=watch)
    assert (found.stopped, found.code) == ("timeout", 0)
    assert "of its 0.4 s" in found.why


@pytest.fixture
def cgroups() -> str:
    """The folder in which the cgroups of runs are made."""
    probe = limiting.cage(LIMITED)
    probe.remove()
    if not probe.memory:
        pytest.skip("no cgroup can be made here")
    return os.path.dirname(probe.memory)


def of(pid: int, cgroups: str) -> list[str]:
    return [name for name in os.listdir(cgroups) if name.endswith(f"-{pid}")]


@both
def test_no_cgroup_is_left_by_a_run_whose_lab_was_killed(tmp_path: Path, how: str, cgroups: str) -> None:
    what = bash(tmp_path, "touch begun; sleep 60")
    caller = a_caller(lambda: supervised(tmp_path, what, limits=LIMITED, how=how))
    until((tmp_path / "begun").exists)
    assert of(caller, cgroups)
    killed(caller)
    assert told(tmp_path).stopped == "orphaned"
    assert not of(caller, cgroups)


@both
def test_what_a_lab_and_its_warden_leave_that_were_both_killed_the_next_run_clears(
    tmp_path: Path, how: str, cgroups: str
) -> None:
    what = bash(tmp_path, "touch begun; exec sleep 60")
    caller = a_caller(lambda: supervised(tmp_path, what, limits=LIMITED, how=how))
    until((tmp_path / "begun").exists)
    os.kill(caller, signal.SIGSTOP)  # or it would see its warden die
    os.kill(the_child(caller), signal.SIGKILL)
    killed(caller)
    until(lambda: not alive(tmp_path), within_s=2)
    assert of(caller, cgroups)

    def cleared_by_another_run() -> bool:
        """A cgroup cannot go while the system has not reaped all that died in it."""
        assert supervised(tmp_path, bash(tmp_path, "exit 3"), limits=LIMITED, how=how).code == 3
        return not of(caller, cgroups)

    until(cleared_by_another_run)
    assert not of(os.getpid(), cgroups)


@both
def test_a_run_sees_itself_in_proc(tmp_path: Path, how: str) -> None:
    text = "import os; print(os.readlink('/proc/self') == str(os.getpid()))"
    supervised(tmp_path, python(tmp_path, text), how=how)
    assert (tmp_path / "stdout.log").read_text() == "True\n"


@both
def test_a_silent_run_that_deletes_its_folder_has_its_end_in_a_new_one(tmp_path: Path, how: str) -> None:
    bundle = tmp_path / "run"
    bundle.mkdir()
    found = supervised(bundle, bash(bundle, 'rm -rf "$LAB_RUN_DIR"; exit 3'), how=how)
    assert (found.code, found.problem) == (3, "")
    assert told(bundle) == found
