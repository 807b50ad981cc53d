"""What is said to Slurm and what it says: as text, without one."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import job as words
from lab.core.errors import Unavailable
from lab.core.job import Wants
from lab.engines import slurm_text as text
from lab.engines.door import Ground, Placement, Refused
from lab.engines.slurm import Slurm
from lab.store.files import Files

if TYPE_CHECKING:
    from pathlib import Path

NAME = "lab-0123456789-sweep-3"


def a_job(**wants: object) -> Placement:
    return Placement(
        name=NAME, argv=("/usr/bin/labctl", "exec"), cwd="/lab", root="/lab", output="/lab/out", budget_s=300.0,
        wants=msgspec.convert(wants, Wants),
    )  # fmt: skip


def line(number: str, state: str, *, status: str = "0", where: str = "", why: str = "None", name: str = NAME) -> bytes:
    fields = zip((number, state, status, where, why, name), text._FIELDS, strict=True)
    return b"".join(value.encode().ljust(width)[:width] for value, (_, width) in fields)


# -- a submission -------------------------------------------------------------------------------------------------


def test_a_job_asks_for_what_its_class_wants_and_for_nothing_else() -> None:
    bare = text.options(a_job())
    assert not [word for word in bare if word.startswith(("--partition", "--account", "--qos", "--gres", "--mem"))]
    asked = text.options(
        a_job(partition="big", account="ann", qos="fast", gres="gpu:2", nodes=2, cpus=8, memory="4G", time="2:00:00")
    )
    assert {
        "--partition=big", "--account=ann", "--qos=fast", "--gres=gpu:2", "--nodes=2", "--cpus-per-task=8", "--mem=4G",
        "--time=2:00:00",
    } <= set(asked)  # fmt: skip


def test_no_option_of_a_person_lets_a_job_start_or_come_back_by_itself() -> None:
    asked = text.options(a_job(options=("--requeue", "--output=/lab/mine", "--job-name=mine", "--exclusive")))
    assert "--exclusive" in asked
    for flag, ours in (("--requeue", "--no-requeue"), ("--output=/lab/mine", "--output=/dev/null")):
        assert asked.index(flag) < asked.index(ours)  # the last word is the one that counts
    assert asked.index("--job-name=mine") < asked.index(f"--job-name={NAME}")
    assert "--hold" in asked


@pytest.mark.parametrize(
    "word",
    ["--array=1-3", "-a1-3", "--arr=1", "-M", "-Mother", "--clusters=x", "--cluster=x", "--wait", "-W", "--wrap=true",
     "--test-only", "mine.sh", "", "--", "-", "a100", "--arr=0-3", "--help", "--he", "--usage", "--version", "--vers",
     "--quiet", "--qui", "-Q", "-h", "-V", "-HW", "-QW", "-sHQ", "-Oa0-3", "-sa0-2", "-vMother", "-array", "-C", "-Hw",
     "--autocomplete=part"],
)  # fmt: skip
def test_flags_by_which_a_job_would_be_lost_or_not_ours_are_refused(word: str) -> None:
    assert text.unfit(("--exclusive", word)) in (word, "''")
    with pytest.raises(Refused, match="flag"):
        Slurm().submit(a_job(options=[word]), Ground(environ={}, folder="/nowhere", files=Files()))


@pytest.mark.parametrize(
    "word",
    [
        "--constraint=a100",
        "--exclusive",
        "-wn1",
        "--wait-all-nodes=1",
        "--requeue",
        "--mail-type=END",
        "-CaMW",
        "-Hs",
        "-HCVQ",
        "-s",
        "-O",
        "-v",
        "-k",
        "--verbose",
        "--hint=nomultithread",
        "--use-min-nodes",
        "-pWide",
    ],
)
def test_other_flags_are_handed_on(word: str) -> None:
    assert not text.unfit((word,))


def test_an_sbatch_that_ends_well_and_gives_no_number_is_not_called_unreachable(tmp_path: Path) -> None:
    (tmp_path / "sbatch").write_text("#!/bin/sh\necho submitted, thank you\n")
    (tmp_path / "sbatch").chmod(0o755)
    with pytest.raises(Unavailable, match="gave no number of a job, but: submitted, thank you") as refusal:
        Slurm().submit(a_job(), Ground(environ={"PATH": str(tmp_path)}, folder="/nowhere", files=Files()))
    assert "cannot be asked" not in refusal.value.what
    assert "options" in refusal.value.fix


@pytest.mark.parametrize("mine", ["yes", "gone", "anothers"])
def test_a_job_that_was_found_is_let_go_after_a_look_at_it_alone(tmp_path: Path, mine: str) -> None:
    """The whole cluster may have a hundred thousand, and there is a look for each that is let go."""
    told = {
        "yes": f"echo '   7 {NAME}'",
        "gone": "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1",
        "anothers": "echo '   7 mine'",
    }[mine]
    for name, does in (("squeue", told), ("scontrol", "true")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {name} $* >>{tmp_path}/calls\n{does}\n")
        (tmp_path / name).chmod(0o755)
    place = Ground(environ={"PATH": str(tmp_path)}, folder="/nowhere", files=Files(), names={"7": NAME})
    Slurm().release("7", place)
    look, *then = (tmp_path / "calls").read_text().splitlines()
    assert "--jobs=7" in look.split()
    assert then == (["scontrol release 7"] if mine == "yes" else [])


@pytest.mark.parametrize("budget_s", [0.5, 1.0, 59.0, 60.0, 61.0, 3600.0, 86_400.0])
def test_slurm_neither_tells_nor_ends_a_body_before_its_budget_is_used_up(budget_s: float) -> None:
    asked = text.options(msgspec.structs.replace(a_job(), budget_s=budget_s))
    limit_s = 60 * next(int(word.removeprefix("--time=")) for word in asked if word.startswith("--time="))
    told = next(word for word in asked if word.startswith("--signal=B:USR1@"))
    told_s = limit_s - int(told.rpartition("@")[2]) - text.EARLY_S  # Slurm may be a minute early
    assert budget_s <= told_s < limit_s <= budget_s + 3 * 60.0


def test_a_body_is_not_told_to_end_as_soon_as_it_begins() -> None:
    assert not [word for word in text.options(a_job(time="1")) if word.startswith("--signal")]
    for given in ("1:00:00", "UNLIMITED", "90", "0-1"):
        assert "--signal=B:USR1@60" in text.options(a_job(time=given))


def test_the_script_becomes_the_body_after_what_sets_its_place_up(tmp_path: Path) -> None:
    job = msgspec.structs.replace(
        a_job(setup=["SIGN=ready", "cd /"]),
        root=str(tmp_path), cwd=str(tmp_path), output=f"{tmp_path}/out",
        environ={"GIVEN": "a b", "not-a-name": "x"}, argv=("/bin/sh", "-c", 'echo "$SIGN $GIVEN $PPID"; pwd; exit 7'),
    )  # fmt: skip
    script = tmp_path / "script"
    script.write_text(text.script(job).replace("SIGN=", "export SIGN="))
    done = subprocess.Popen(["/bin/bash", str(script)])
    assert done.wait() == 7
    said = (tmp_path / "out").read_text().split()
    assert said[:3] == ["ready", "a", "b"]
    assert said[-1] == str(tmp_path)


def test_the_word_that_the_limit_is_near_ends_nothing_before_the_body_listens(tmp_path: Path) -> None:
    job = msgspec.structs.replace(
        a_job(setup=["kill -USR1 $$"]), root=str(tmp_path), cwd="/", output=f"{tmp_path}/out",
        argv=("/bin/sh", "-c", "kill -USR1 $$; exit 7"),
    )  # fmt: skip
    (tmp_path / "script").write_text(text.script(job))
    assert subprocess.run(["/bin/bash", str(tmp_path / "script")], check=False).returncode == 7


# -- what squeue says ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "why", "expected"),
    [
        ("PENDING", "JobHeldUser", words.HELD),
        ("PENDING", "JobHeldAdmin", words.WAITING),
        ("PENDING", "Resources", words.WAITING),
        ("PENDING", "launch failed requeued held", words.HELD),
        ("PENDING", "launch_failed_requeued_held", words.HELD),
        ("REQUEUE_HOLD", "None", words.WAITING),
        ("CONFIGURING", "None", words.RUNNING),
        ("RUNNING", "None", words.RUNNING),
        ("SUSPENDED", "None", words.RUNNING),
        ("COMPLETING", "NonZeroExitCode", words.RUNNING),
        ("A_STATE_OF_NEXT_YEAR", "None", words.RUNNING),
    ],
)
def test_a_job_that_is_not_over_is_where_it_is(state: str, why: str, expected: str) -> None:
    (report,) = text.listed(line("7", state, why=why), "lab-")
    assert report.state == expected


@pytest.mark.parametrize(
    ("state", "status", "how", "code"),
    [
        ("COMPLETED", "0", words.DONE, 0),
        ("FAILED", "19456", words.FAILED, 76),
        ("FAILED", "76:0", words.FAILED, 76),
        ("FAILED", "9", words.FAILED, None),
        ("FAILED", "0:9", words.FAILED, None),
        ("OUT_OF_MEMORY", "125", words.MEMORY, None),
        ("TIMEOUT", "0", words.TIME, None),
        ("DEADLINE", "0", words.TIME, None),
        ("CANCELLED", "15", words.CANCELLED, None),
        ("CANCELLED", "0", words.CANCELLED, None),  # of a node that it cannot reach, too: its body lives on
        ("NODE_FAIL", "1", words.LOST, None),
        ("NODE_FAIL", "0", words.LOST, None),
        ("PREEMPTED", "0", words.LOST, None),
        ("BOOT_FAIL", "", words.LOST, None),
    ],
)
def test_a_job_that_is_over_ended_somehow(state: str, status: str, how: str, code: int | None) -> None:
    (report,) = text.listed(line("7", state, status=status, where="n1"), "lab-")
    assert (report.state, report.how, report.code, report.where) == (words.OVER, how, code, "n1")


@pytest.mark.parametrize("state", ["SUSPENDED", "STOPPED"])
def test_a_job_that_slurm_has_stopped_for_a_while_says_so(state: str) -> None:
    (report,) = text.listed(line("7", state), "lab-")
    assert (report.state, report.why) == (words.RUNNING, words.SUSPENDED)


def test_a_signal_that_ended_a_body_is_named() -> None:
    (report,) = text.listed(line("7", "FAILED", status="9", why="JobLaunchFailure"), "lab-")
    assert report.why == "signal 9"
    (report,) = text.listed(line("7", "FAILED", status="256", why="JobLaunchFailure"), "lab-")
    assert (report.why, report.code) == ("JobLaunchFailure", 1)


def test_names_of_others_are_harmless_whatever_they_hold() -> None:
    others = [
        line("1", "RUNNING", name="odd|n\täme"),
        line("2_[0-99]", "PENDING", name=NAME),  # an array: not ours, whatever its name
        line("3", "RUNNING", name="x" * 400),
        line("4", "RUNNING", name="two\nlab-lines"),
        b"short", b"", "ä".encode() * 10, b"\xff\xfe" * 300,
        line("5", "RUNNING", name="not " + NAME),
    ]  # fmt: skip
    said = b"\n".join([*others, line("7", "RUNNING", where="n[1-2]", why="(null)"), *others])
    assert [(each.number, each.name, each.where, each.why) for each in text.listed(said, "lab-0123456789-")] == [
        ("7", NAME, "n[1-2]", "")
    ]


# -- what it complains of -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("Batch job submission failed: Invalid partition name specified", "partition"),
        ("Batch job submission failed: Invalid account or account/partition combination specified", "account"),
        ("Batch job submission failed: Invalid account specified", "account"),
        ("Batch job submission failed: Invalid qos specification", "qos"),
        ("QOSMaxWallDurationPerJobLimit\nsbatch: error: Job violates accounting/QOS policy (job submit ..)", "qos"),
        ("Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)", "time budget"),
        ("Memory specification can not be satisfied\nsbatch: error: Requested node configuration is not ..", "memory"),
        ("Batch job submission failed: Node count specification invalid", "ask for less"),
        ("Invalid generic resource (gres) specification", "gres"),
        ("Batch job submission failed: Access/permission denied", "engines.yaml"),
        ("our site wants a project code\nsbatch: error: Batch job submission failed: Unspecified error", "change what"),
    ],
)  # fmt: skip
def test_what_no_waiting_mends_is_a_refusal_with_a_fix(said: str, fix: str) -> None:
    assert not text.passes(said)
    assert fix in text.fix(said)


@pytest.mark.parametrize(
    "said",
    [
        "Batch job submission failed: Unable to contact slurm controller (connect failure)",
        "Batch job submission failed: Socket timed out on send/recv operation",
        "Slurm job queue full, sleeping and retrying",
        "Slurm temporarily unable to accept job, sleeping and retrying",
        "Batch job submission failed: Slurm backup controller in standby mode",
        'Munge encode failed: Failed to access "/run/munge/munge.socket.2": No such file or directory',
        "Batch job submission failed: Protocol authentication error",
        "Batch job submission failed: Zero Bytes were transmitted or received",
        "Batch job submission failed: Required partition not available (inactive or drain)",
        "Batch job submission failed: I/O error writing script/environment to file",
        "AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: Job violates accounting/QOS policy",
        "Could not establish a configuration source",
    ],
)  # fmt: skip
def test_what_passes_by_itself_is_waited_for(said: str) -> None:
    assert text.passes(said)


def test_a_complaint_is_one_line_without_its_tags() -> None:
    said = (
        "sbatch: error: invalid partition specified: nosuch\n"
        "sbatch: error: Batch job submission failed: Invalid partition name specified\n\n"
    )
    assert text.in_a_line(said) == "invalid partition specified: nosuch; Invalid partition name specified"
