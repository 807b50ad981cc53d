"""The texts of a schedule: as people will read them, and as cron, systemd and launchd will."""

from __future__ import annotations

import os
import plistlib
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.errors import BadInput, LabError
from lab.scheduler import units
from lab.scheduler.units import Plan

if TYPE_CHECKING:
    from pathlib import Path

NAME = "labctl-0123456789ab"
PLAN = Plan(
    name=NAME,
    every_s=600.0,
    command=("/opt/lab/bin/labctl", "run-once", "--data-root", "/data/my lab", "--quiet"),
    path="/opt/lab/bin:/usr/bin:/bin",
    errors="/data/my lab/registry/logs/launchd.err",
)
NASTY = """it's 100% "quoted" $HOME `id` \\ {name} & <b> ;é"""


def as_cron_reads_it(line: str) -> str:
    """The command of a crontab line after cron's own reading: five fields off, `\\%` is %, a bare % ends it."""
    command = line.split(" ", 5)[5].replace("\\%", "\0")
    assert "%" not in command
    return command.replace("\0", "%")


def test_a_crontab_block_is_what_a_person_would_write() -> None:
    assert units.cron_block(PLAN) == (
        f"# >>> {NAME}: written by labctl schedule install; labctl schedule remove takes it out again >>>\n"
        "*/10 * * * * LABCTL_SCHEDULER=cron PATH=/opt/lab/bin:/usr/bin:/bin "
        "/opt/lab/bin/labctl run-once --data-root '/data/my lab' --quiet\n"
        f"# <<< {NAME} <<<\n"
    )


def test_a_service_is_what_a_person_would_write() -> None:
    text = units.service(PLAN)
    assert 'ExecStart="/opt/lab/bin/labctl" "run-once" "--data-root" "/data/my lab" "--quiet"\n' in text
    assert 'Environment="LABCTL_SCHEDULER=systemd"\nEnvironment="PATH=/opt/lab/bin:/usr/bin:/bin"\nNice=10\n' in text


@pytest.mark.parametrize(
    ("every_s", "times"),
    [
        (600.0, "OnCalendar=*:0/10\nPersistent=true\nRandomizedDelaySec=60s\n"),
        (30.0, "OnCalendar=*:*:0/30\nPersistent=true\nRandomizedDelaySec=3s\n"),
        (7200.0, "OnCalendar=0/2:00\nPersistent=true\nRandomizedDelaySec=60s\n"),
        (420.0, "OnActiveSec=1s\nOnUnitActiveSec=420s\nRandomizedDelaySec=42s\n"),
        (0.5 + 60, "OnActiveSec=1s\nOnUnitActiveSec=60.5s\nRandomizedDelaySec=6.05s\n"),
    ],
)
def test_a_timer_follows_the_clock_where_the_clock_can_say_it(every_s: float, times: str) -> None:
    plan = Plan(name=NAME, every_s=every_s, command=PLAN.command, path=PLAN.path)
    assert times in units.timer(plan)


@pytest.mark.parametrize(
    ("every_s", "fields"),
    [
        (60, "* * * * *"), (120, "*/2 * * * *"), (600, "*/10 * * * *"), (1800, "*/30 * * * *"), (3600, "0 * * * *"),
        (7200, "0 */2 * * *"), (43200, "0 */12 * * *"), (86400, "0 0 * * *"), (604800, "0 0 * * 0"),
    ],
)  # fmt: skip
def test_cron_counts_in_whole_parts_of_an_hour_or_a_day(every_s: float, fields: str) -> None:
    assert units.cron_times(every_s) == fields


@pytest.mark.parametrize(
    ("every_s", "nearest"), [(1.0, "1m"), (90.0, "2m"), (420.0, "6m"), (5400.0, "2h"), (18000.0, "4h"), (1e6, "7d")]
)
def test_what_cron_cannot_do_is_refused_with_the_nearest_that_it_can(every_s: float, nearest: str) -> None:
    with pytest.raises(BadInput) as refusal:
        units.cron_times(every_s)
    assert f"--every {nearest} " in refusal.value.fix


def test_a_line_that_is_too_long_for_cron_is_refused() -> None:
    with pytest.raises(BadInput, match="cron takes lines of up to"):
        units.cron_block(Plan(name=NAME, every_s=60.0, command=("/bin/true", "x" * 990), path="/bin"))


@pytest.mark.parametrize("text", ["a\nb", "a\0b", "a\rb", "\udcff"])
def test_what_no_line_can_carry_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="control character"):
        units.plain(text, "the path of the lab")


def nasty(tmp_path: Path) -> tuple[Plan, Path]:
    """A plan whose program, arguments and PATH hold everything that a shell or a unit could trip over."""
    folder = tmp_path / "a b's %h"
    folder.mkdir()
    program = folder / "pro gram"
    program.write_text('#!/bin/sh\n{ printf "%s\\n" "$@"; echo "$LABCTL_SCHEDULER"; echo "$PATH"; } > "$1"\n')
    program.chmod(0o755)
    out = folder / "out"
    return Plan(name=NAME, every_s=60.0, command=(str(program), str(out), NASTY), path=f"{folder}:/usr/bin:/bin"), out


def test_a_crontab_line_survives_the_shell(tmp_path: Path) -> None:
    plan, out = nasty(tmp_path)
    line = units.cron_block(plan).splitlines()[1]
    minimal = {"HOME": str(tmp_path), "LOGNAME": "ann", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    subprocess.run(["/bin/sh", "-c", as_cron_reads_it(line)], env=minimal, cwd="/", check=True)
    assert out.read_text().splitlines() == [str(out), NASTY, "cron", plan.path]


def test_a_plist_says_the_same_to_its_own_reader(tmp_path: Path) -> None:
    plan, _ = nasty(tmp_path)
    told = plistlib.loads(units.plist(plan).encode())
    assert told["Label"] == "org.labctl.0123456789ab"
    assert told["ProgramArguments"] == list(plan.command)
    assert told["EnvironmentVariables"] == {"LABCTL_SCHEDULER": "launchd", "PATH": plan.path}
    assert (told["StartInterval"], told["RunAtLoad"]) == (60, True)


@pytest.mark.heavy
@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize("every_s", [1.0, 90.0, 600.0, 86400.0])
def test_systemd_accepts_the_units(every_s: float, tmp_path: Path) -> None:
    made, _ = nasty(tmp_path)
    plan = Plan(name=NAME, every_s=every_s, command=made.command, path=made.path)
    for suffix, text in (("service", units.service(plan)), ("timer", units.timer(plan))):
        (tmp_path / f"{NAME}.{suffix}").write_text(text)
    command = ["systemd-analyze", "verify", *(str(tmp_path / f"{NAME}.{suffix}") for suffix in ("service", "timer"))]
    environ = {**os.environ, "SYSTEMD_LOG_TARGET": "console", "SYSTEMD_COLORS": "0"}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    ours = [line for line in done.stderr.splitlines() if NAME in line]
    assert (done.returncode, ours) == (0, []), done.stderr


LINES = st.lists(st.sampled_from(["# a comment", "0 9 * * 1 mail", "MAILTO=ann", "", "# >>> labctl-other: x >>>", "é"]))


@given(before=LINES, after=LINES)
def test_what_else_a_crontab_holds_stays_byte_for_byte(before: list[str], after: list[str]) -> None:
    block = units.cron_block(PLAN)
    head, tail = "".join(f"{line}\n" for line in before), "".join(f"{line}\n" for line in after)
    assert units.crontab_with(head, block, NAME) == head + block
    whole = head + block + tail
    assert units.crontab_with(whole, block, NAME) == whole
    assert units.crontab_without(whole, NAME) == head + tail
    other = Plan(name=NAME, every_s=60.0, command=PLAN.command, path=PLAN.path)
    replaced = units.crontab_with(whole, units.cron_block(other), NAME)
    assert replaced == head + units.cron_block(other) + tail
    assert units.crontab_without(whole + block, NAME) == head + tail


def test_a_crontab_without_a_last_newline_gets_one() -> None:
    assert units.crontab_with("MAILTO=ann", "x\n", NAME) == "MAILTO=ann\nx\n"


def test_a_block_that_somebody_cut_is_left_to_a_person() -> None:
    torn = units.cron_block(PLAN).splitlines(keepends=True)[0] + "0 9 * * 1 precious\n"
    with pytest.raises(LabError, match="nobody can tell"):
        units.crontab_with(torn, "x\n", NAME)
    with pytest.raises(LabError, match="nobody can tell"):
        units.crontab_without(torn, NAME)
