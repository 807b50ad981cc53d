"""`labctl schedule`: what it prints, what a shell and a real cron daemon make of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from lab.cli import schedule
from lab.scheduler.schedule import AUTO
from lab.scheduler.units import CRON, LAUNCHD, SYSTEMD
from tests.cli.labs import SHIM, a_lab

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl

SPEC = """\
id: quick
goal: show that cron turns the crank
metric: loss
metric_direction: minimize
executor: stub
cadence: 1s
max_iterations_total: 1
"""
MINIMAL = {"HOME": "/", "LOGNAME": "ann", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}  # all that cron gives


def test_the_command_line_knows_the_backends_that_there_are() -> None:
    assert schedule._BACKENDS == (AUTO, CRON, SYSTEMD, LAUNCHD)


@pytest.mark.parametrize("backend", ["cron", "systemd", "launchd"])
def test_print_shows_the_texts_and_installs_nothing(backend: str, labctl: Labctl, place: Path) -> None:
    a_lab(place)
    before = sorted(str(path) for path in place.rglob("*"))
    said = labctl.done("schedule", "install", "--every", "5m", "--backend", backend, "--print", "--max-runs", "2")
    assert "run-once" in said.out
    assert str(place) in said.out
    assert "--max-runs" in said.out
    assert sorted(str(path) for path in place.rglob("*")) == before
    assert labctl.done("schedule", "status").out == "nothing is scheduled\n"
    assert labctl.done("schedule", "remove").out == "nothing is scheduled\n"


@pytest.mark.parametrize(
    "words",
    [
        ("install", "--every", "7m", "--backend", "cron", "--print"),
        ("install", "--every", "0", "--backend", "systemd", "--print"),
        ("install", "--every", "soon", "--print"),
        ("install", "--experiment", "nobody", "--backend", "cron", "--print"),
        ("install", "--jobs", "0", "--backend", "cron", "--print"),
        ("status", "--jobs", "2"),
        ("remove", "--print"),
        ("status", "--stale"),
        ("inspect",),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_refused(words: tuple[str, ...], labctl: Labctl, place: Path) -> None:
    a_lab(place)
    assert labctl("schedule", *words).code == 2


def test_the_installed_line_takes_a_turn_in_the_environment_of_cron(labctl: Labctl, tmp_path: Path) -> None:
    place = tmp_path / "a lab's 100% own"
    labctl.done("init", "--data-root", str(place))
    (tmp_path / "quick.yaml").write_text(SPEC)
    labctl.done("create", str(tmp_path / "quick.yaml"), "--data-root", str(place))
    printed = labctl.done(
        "schedule", "install", "--every", "1m", "--backend", "cron", "--print", "--data-root", str(place)
    )
    line = printed.out.splitlines()[1]
    assert line.startswith("* * * * * ")
    command = line.removeprefix("* * * * * ").replace("\\%", "%")
    done = subprocess.run(["/bin/sh", "-c", command], env=MINIMAL, cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
    assert json.loads((place / "registry/heartbeat.json").read_text())["by"] == "cron"
    assert "ran quick" in (place / "registry/logs/run-once.log").read_text()
    assert "cron last ran" in labctl.done("status", "--data-root", str(place)).out


CRONTAB = """#!/bin/sh
table=$(dirname "$0")/table
if [ "$1" = -l ]; then cat "$table"; else cat > "$table"; fi
"""


def checked(labctl: Labctl, lab: Path) -> list[tuple[str, str]]:
    checks = labctl("doctor", "--data-root", str(lab), "--json").data["checks"]
    return [(each["name"], each["state"]) for each in checks]


def test_a_lab_that_was_moved_says_so_and_what_to_type(
    labctl: Labctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "crontab").write_text(CRONTAB)
    (tmp_path / "bin" / "crontab").chmod(0o755)
    (tmp_path / "bin" / "table").write_text("# mine\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    old, new = tmp_path / "lab", tmp_path / "moved"
    labctl.done("init", "--data-root", str(old))
    labctl.done("schedule", "install", "--backend", "cron", "--data-root", str(old))
    assert ("schedule", "ok") in checked(labctl, old)
    old.rename(new)
    said = labctl.done("schedule", "status", "--data-root", str(new))
    assert said.out == "nothing is scheduled\n"
    assert f"for {old}, where no lab is any more" in said.err
    assert "labctl schedule remove --stale" in said.err
    told = checked(labctl, new)
    assert ("schedule", "none") in told
    assert ("schedule", "warning") in told
    assert str(old) in labctl.done("schedule", "status", "--json", "--data-root", str(new)).out


# A spool and a pid file of its own: nobody's crontab is touched, and a daemon that is running already is not met.
DAEMON = """
set -eu
mount -t tmpfs -o mode=0755 none /run
mount -t tmpfs -o mode=1730 none /var/spool/cron/crontabs
printf 'MAILTO=""\n# a line of somebody else\n' | crontab -
cron -f &
daemon=$!
sleep 2  # cron tells a changed spool by whole seconds, and has just read this one
trap 'kill $daemon' EXIT
"$@" schedule install --every 1m --backend cron
crontab -l
read -r _
"$@" schedule status
"$@" schedule remove
echo "left:"
crontab -l
"""
ISOLATED = ["unshare", "--mount", "--propagation", "private"]


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.needs("cron", "crontab", "unshare")
@pytest.mark.needs_root
def test_a_real_cron_daemon_turns_the_crank(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    if subprocess.run([*ISOLATED, "mount", "-t", "tmpfs", "none", "/run"], check=False, capture_output=True).returncode:
        pytest.skip("this container may not mount a spool for a cron of its own")
    labctl.done("init")
    (tmp_path / "quick.yaml").write_text(SPEC)
    labctl.done("create", str(tmp_path / "quick.yaml"))
    command = [*ISOLATED, "sh", "-c", DAEMON, "sh", sys.executable, SHIM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
        try:
            beat, deadline_s = place / "registry/heartbeat.json", time.monotonic() + 130
            while not (beat.exists() and json.loads(beat.read_text())["ran"]):
                assert session.poll() is None
                assert time.monotonic() < deadline_s, f"cron has not come: {beat.exists() and beat.read_text()}"
                time.sleep(0.2)
            by = json.loads(beat.read_text())["by"]
        finally:
            told, _ = session.communicate("go on\n", timeout=30)
    assert session.returncode == 0, told
    assert by == "cron"
    assert "ran quick" in (place / "registry/logs/run-once.log").read_text()
    assert not beat.exists()  # nothing is scheduled any more, and silence is as it should be
    assert "problem" not in told
    assert told.partition("left:\n")[2] == 'MAILTO=""\n# a line of somebody else\n'
