"""What is said to Slurm and what it says, as text. Pure: processes are started in `slurm`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lab.core import job as words
from lab.core import time_limit
from lab.core.job import Report
from lab.engines.script import lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.engines.door import Placement

MINUTE_S: Final = 60.0
# Before its limit ends a job, its body is told to end, by a signal that means nothing else: TERM comes of a preemption
# and of a cancel too. Slurm looks once a minute: the word may come a minute earlier.
TOLD_S, EARLY_S = 60, 60
# What a batch script inherits from whoever submits it: where Slurm is, who one is, and where programs lie. Nothing
# else of a terminal may change a run; and what a job says of itself (SLURM_*) must not reach the next one.
INHERITED: Final = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ",
    "SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT",
    "SBATCH_ACCOUNT", "SBATCH_PARTITION", "SBATCH_QOS", "SBATCH_RESERVATION", "SBATCH_CONSTRAINT",
})  # fmt: skip
# Flags by which a job would not be found again under its name, would not be ours, or sbatch would hand none over, would
# not tell its number, or would not come back.
_NOT_OURS = (
    "--array", "--autocomplete", "--cluster", "--clusters", "--help", "--quiet", "--test-only", "--usage", "--version",
    "--wait", "--wrap",
)  # fmt: skip
_NOT_OURS_SHORT = "aMWhVQ"
_WITH_VALUE = "ABCDFGJLNPSbcdegimnopqtwx"  # what follows such a letter in one word is its value, and no flag
_MAY_HAVE_VALUE = "k"
_ABBREVIATED = 4  # characters from which sbatch may take a long flag for one that begins so

# In bytes, for names of others hold whatever they like. The name comes last: what is in it moves no other field.
_FIELDS = (("JobArrayID", 32), ("State", 32), ("exit_code", 16), ("NodeList", 200), ("Reason", 64), ("Name", 400))
FORMAT: Final = ",".join(f"{name}:{width}" for name, width in _FIELDS)

_WAITING = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT"})
_OVER: Mapping[str, str] = {
    "COMPLETED": words.DONE,
    "FAILED": words.FAILED,
    "OUT_OF_MEMORY": words.MEMORY,
    "TIMEOUT": words.TIME,
    "DEADLINE": words.TIME,
    "CANCELLED": words.CANCELLED,
    "NODE_FAIL": words.LOST,
    "BOOT_FAIL": words.LOST,
    "PREEMPTED": words.LOST,
    "REVOKED": words.LOST,
}
_STOPPED = frozenset({"SUSPENDED", "STOPPED"})
# Slurm lost its launch and holds it until somebody lets it go again. Its body may have run, and may be running.
_STRANDED = re.compile(r"launch.failed|requeue.*held|JobHoldMaxRequeue", re.IGNORECASE)
_UNSAID = frozenset({"", "None", "(null)", "N/A", "n/a"})

# What passes by itself, or by the hand of an operator, and not by another SPEC.
_PASSES = re.compile(
    r"unable to contact|timed out|timeout on|temporar|try again|retrying|queue.*full|standby|connection|connect failure"
    r"|communication|munge|credential|authentication|configuration source|configuration file|fetch_config"
    r"|talking to database|zero bytes|SubmitJob|MaxJobCount|partition not available|partition is (down|inactive)"
    r"|protocol|i/o error|writing script|reconfig|shut(ting)? ?down|unexpected message|not responding",
    re.IGNORECASE,
)
# Of these what does not say that it cannot be asked: it has answered, and will not have this job for a while.
_FULL = re.compile(
    r"temporar|queue.*full|MaxJobCount|SubmitJob|partition not available|partition is (down|inactive)", re.IGNORECASE
)
# `sbatch: error: `, and what stands before the one thing of interest in the last line.
_TAG = re.compile(
    r"^\w+: (error|fatal|warning): ((Batch job submission failed|Unable to allocate resources): )?", re.MULTILINE
)
_FIXES = (
    (r"accounting/QOS policy", "ask for less, or name another `qos` or `account` in engines.yaml"),
    (r"account", "name an `account` of yours in engines.yaml, and a `partition` that it may use"),
    (r"partition", "name another `partition` in engines.yaml: `sinfo` lists them"),
    (r"qos", "name another `qos` in engines.yaml, or ask less of this one"),
    (r"time", "lower the time budget in the SPEC, or name a partition that gives more in engines.yaml"),
    (r"memory|--mem", "ask for less `memory` in engines.yaml"),
    (r"gres|generic resource", "name a `gres` that the partition has in engines.yaml: `sinfo -o '%P %G'`"),
    (r"node|cpu|processor|feature|constraint", "ask for less, or for another partition, in engines.yaml"),
    (r"option", "take the flag out of `options` in engines.yaml"),
)


def script(job: Placement) -> str:
    """The batch script. It becomes the body."""
    head = [
        "#!/bin/bash" if job.wants.setup else "#!/bin/sh",
        "trap '' USR1",  # says that the limit is near: for the body, which hears it; nothing before it must die of it
        "unset LC_ALL",  # said to sbatch so that its words can be read
    ]
    return "\n".join([*head, *lines(job)]) + "\n"


def options(job: Placement) -> list[str]:
    """The words for sbatch. Ours come last: what engines.yaml adds must not let a job start or come back by itself."""
    wants = job.wants
    said = list(wants.options)
    limit_min, told = _limits(job)
    asked = {
        "partition": wants.partition,
        "account": wants.account,
        "qos": wants.qos,
        "gres": wants.gres,
        "nodes": str(wants.nodes or ""),
        "cpus-per-task": str(wants.cpus or ""),
        "mem": wants.memory,
        "time": wants.time or str(limit_min),
        "signal": told,
        "job-name": job.name,
        "chdir": "/",
        "output": "/dev/null",
        "export": "ALL",
        "open-mode": "append",
    }
    said += [f"--{name}={value}" for name, value in asked.items() if value]
    return [*said, "--no-requeue", "--hold", "--parsable"]


def unfit(given: tuple[str, ...]) -> str:
    """Which of the flags that engines.yaml adds no job of a lab can have; nothing where all can be."""
    for word in given:
        flag = word.partition("=")[0]
        # A word without a dash would be taken for the script, in the place of ours.
        if not flag.startswith("-") or flag in ("-", "--"):
            return word or "''"
        if not flag.startswith("--"):
            if _is_unfit(word[1:]):
                return word
        elif len(flag) >= _ABBREVIATED and any(long.startswith(flag) for long in _NOT_OURS):
            return word
    return ""


def _is_unfit(letters: str) -> bool:
    """Whether one of short flags in one word (`-Hs`, `-wn1`) is unfit, or would take the next word for its value."""
    for at, letter in enumerate(letters, 1):
        if letter in _NOT_OURS_SHORT:
            return True
        if letter in _WITH_VALUE:
            return at == len(letters)
        if letter in _MAY_HAVE_VALUE:
            return False
    return False


def _limits(job: Placement) -> tuple[int, str]:
    """The limit in minutes, and the signal before it: neither before the body has ended by itself."""
    limit_min = int(-(-(job.budget_s + TOLD_S + EARLY_S) // MINUTE_S))
    if not job.wants.time:
        return limit_min, f"B:USR1@{TOLD_S}"
    given_s = time_limit.seconds(job.wants.time) or 0.0  # sbatch says what is wrong with it
    return limit_min, f"B:USR1@{TOLD_S}" if given_s > 2 * (TOLD_S + EARLY_S) else ""


def listed(said: bytes, prefix: str) -> tuple[Report, ...]:
    """The jobs of ours among all that squeue told, in `FORMAT`."""
    found = []
    for line in said.split(b"\n"):
        fields, at = [], 0
        for _, width in _FIELDS:
            fields.append(line[at : at + width].decode(errors="replace").strip())
            at += width
        if fields[-1].startswith(prefix) and fields[0].isdecimal():
            found.append(_report(fields))
    return tuple(found)


def _report(fields: list[str]) -> Report:
    number, state, status, where, why, name = fields
    where, why = ("" if each in _UNSAID else each for each in (where, why))
    if state in _WAITING:
        held = why == "JobHeldUser" or _STRANDED.search(why)  # what an operator holds is not ours to let go
        return Report(name=name, number=number, state=words.HELD if held else words.WAITING, where=where, why=why)
    if state not in _OVER:  # RUNNING, and all that comes between it and its end
        # COMPLETING ends when the last process of the job is gone
        why = "" if state == "RUNNING" else words.SUSPENDED if state in _STOPPED else state.lower()
        return Report(name=name, number=number, state=words.RUNNING, where=where, why=why)
    # Of other ends it tells a code too, mostly 0, and of a node that it lost sight of: no body has ended with it.
    code = exit_code(status) if state in ("COMPLETED", "FAILED") else None
    if code is not None and why == "NonZeroExitCode":
        why = ""
    if why == "JobLaunchFailure" and (ended_by := signal(status)):  # it calls every one so that a signal ended
        why = f"signal {ended_by}"
    return Report(
        name=name, number=number, state=words.OVER, how=_OVER[state], code=code, where=where,
        why=why or (state if state not in ("COMPLETED", "FAILED") else ""),
    )  # fmt: skip


def signal(status: str) -> int:
    """The one that ended a body; 0 for one that none did."""
    code, colon, number = status.partition(":")
    number = number if colon else str(int(code) & 0x7F) if code.isdecimal() else ""
    return int(number) if number.isdecimal() else 0


def exit_code(status: str) -> int | None:
    """Of a status as wait(2) gives it, or of `code:signal`, as Slurms differ. None for one that a signal ended."""
    code, colon, _ = status.partition(":")
    if not code.isdecimal() or signal(status):
        return None
    return int(code) if colon else int(code) >> 8


def passes(said: str) -> bool:
    """Whether what Slurm complains of goes away without anybody changing what was asked."""
    return _PASSES.search(said) is not None


def is_full(said: str) -> bool:
    """Whether Slurm answers, and will not have a job for a while."""
    return _FULL.search(said) is not None


def in_a_line(said: str) -> str:
    """Its complaint, without the tags before each line."""
    return "; ".join(dict.fromkeys(line.strip() for line in _TAG.sub("", said).splitlines() if line.strip()))[:600]


def fix(said: str) -> str:
    """What a person may do about a refusal."""
    return next(
        (fix for word, fix in _FIXES if re.search(word, said, re.IGNORECASE)), "change what engines.yaml asks for"
    )
