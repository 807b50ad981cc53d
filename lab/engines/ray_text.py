"""What is said to Ray and what it says, as records. Pure: the network is in `ray`."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

import msgspec

from lab.core import job as words
from lab.core.job import Report
from lab.engines.door import Refused
from lab.engines.script import lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.job import Wants
    from lab.engines.door import Placement

# What only other engines understand.
_FOREIGN = ("partition", "account", "qos", "time", "options")
_UNITS: Final = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_A_LITTLE = 0.001  # of a resource that only says what kind of node it is
_STATES: Final = {"PENDING": words.WAITING, "RUNNING": words.RUNNING}
# Its supervisor died, or nothing came free within its time for that: nothing was wrong with the job.
_LOST: Final = frozenset({
    "JOB_SUPERVISOR_ACTOR_DIED", "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE", "JOB_SUPERVISOR_ACTOR_START_TIMEOUT",
})  # fmt: skip
_MEMORY: Final = re.compile(r"OutOfMemory|running low on memory", re.IGNORECASE)
_WHY_CHARS = 300
_EXISTS: Final = "already exists"
_INVALID: Final = re.compile(r"status code 4(00|22)\b")
_LAST: Final = re.compile(r"^(?:\w+\.)*(?:\w*(?:Error|Exception)): (.+)$", re.MULTILINE)


class Submission(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of a submission, in Ray's own names."""

    submission_id: str
    entrypoint: str
    metadata: dict[str, str]
    runtime_env: dict[str, dict[str, str]]
    entrypoint_num_cpus: float = 0
    entrypoint_num_gpus: float = 0
    entrypoint_memory: int = 0
    entrypoint_resources: dict[str, float] = {}  # msgspec copies it


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """What Ray says of one job, as far as it matters here."""

    type: str = ""
    submission_id: str | None = None
    status: str = ""
    message: str | None = None
    error_type: str | None = None
    driver_agent_http_address: str | None = None
    driver_exit_code: int | None = None


class _Version(msgspec.Struct, frozen=True, kw_only=True):
    ray_version: str


def submission(job: Placement, number: str, grace_s: int) -> Submission:
    """What is asked of Ray for a job. `Refused` where it has no such thing."""
    wants = job.wants
    foreign = [name for name in _FOREIGN if getattr(wants, name)] + (["several nodes"] if wants.nodes > 1 else [])
    if foreign:
        raise Refused(
            f"the engine ray has no {', '.join(foreign)}",
            fix="take it out of the row of this class in engines.yaml, or name another engine there",
        )
    gpus, resources = _resources(wants)
    return Submission(
        submission_id=number,
        entrypoint=script(job),
        metadata={"labctl": job.name},
        runtime_env={"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(grace_s)}},
        entrypoint_num_cpus=wants.cpus or 1,  # with nothing to count, all of them would be put on the head node
        entrypoint_num_gpus=gpus,
        entrypoint_memory=int(wants.memory[:-1]) * _UNITS[wants.memory[-1]] if wants.memory else 0,
        entrypoint_resources=resources,
    )


def script(job: Placement) -> str:
    """The line of shell that becomes the body."""
    text = "\n".join(lines(job))  # variables are set in it, and not by Ray, which reads a `$` in them
    return f"exec /bin/bash -c {shlex.quote(text)}" if job.wants.setup else text


def _resources(wants: Wants) -> tuple[float, dict[str, float]]:
    """GPUs, and what else the nodes of a cluster are said to have: `gpu:2`, `gpu:a100:2`, `fpga:1`."""
    gpus, resources = 0.0, {}
    for each in filter(None, wants.gres.split(",")):
        name, *rest = each.split(":")
        count = float(rest.pop()) if rest and rest[-1].isdecimal() else 1.0
        if name.lower() != "gpu":
            resources[":".join([name, *rest])] = count
            continue
        gpus += count
        if rest:
            resources[f"accelerator_type:{rest[0].upper()}"] = _A_LITTLE
    return gpus, resources


def version(data: bytes) -> str:
    """Of Ray. `ValueError` for an answer that is not Ray's."""
    return msgspec.json.decode(data, type=_Version).ray_version


def listed(data: bytes, prefix: str) -> tuple[Report, ...]:
    """The jobs of a lab among all that Ray knows. `ValueError` for an answer that is not Ray's."""
    found = msgspec.json.decode(data, type=list[_Told])
    return tuple(_report(each, each.submission_id) for each in found if (each.submission_id or "").startswith(prefix))


def name_of(number: str) -> str:
    """The name that a number was made of."""
    return number.rpartition(".")[0]


def _report(told: _Told, number: str | None) -> Report:
    number = number or ""
    where = (told.driver_agent_http_address or "").partition("://")[2].rpartition(":")[0]
    code = told.driver_exit_code
    why = (told.message or "").strip().partition("\n")[0][:_WHY_CHARS]
    report = Report(name=name_of(number), number=number, state=words.OVER, where=where)
    if told.status in _STATES:
        waits = why if told.status == "PENDING" else ""
        return msgspec.structs.replace(report, state=_STATES[told.status], why=waits)
    if told.status == "SUCCEEDED":
        return msgspec.structs.replace(report, how=words.DONE, code=code)
    if told.status == "STOPPED":
        return msgspec.structs.replace(report, how=words.CANCELLED)
    if code is not None:
        why = f"exit code {code}" if code >= 0 else f"ended by signal {-code}"
        return msgspec.structs.replace(report, how=words.FAILED, code=code if code >= 0 else None, why=why)
    how = words.LOST if told.error_type in _LOST else words.FAILED if told.status == "FAILED" else words.UNKNOWN
    if _MEMORY.search(told.message or ""):
        how = words.MEMORY
    return msgspec.structs.replace(report, how=how, why=why)


def is_taken(data: bytes, number: str) -> bool:
    """Whether an answer says that a job was taken: what says 200 at that address may be anybody."""
    try:
        return msgspec.json.decode(data, type=_Told).submission_id == number
    except (ValueError, RecursionError):
        return False


def is_known_already(said: str) -> bool:
    """Whether Ray refused a submission because it has it."""
    return _EXISTS in said


def is_refusal(status: int, said: str) -> bool:
    """Whether it will never have this job. What its agent calls wrong comes as an error of the server."""
    return status in (400, 422) or (status >= 500 and _INVALID.search(said) is not None)  # noqa: PLR2004  # of HTTP


def in_a_line(said: str) -> str:
    """Of a page of traceback what it comes to."""
    found = _LAST.findall(said)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return (found[-1] if found else lines[-1] if lines else "")[:_WHY_CHARS]


def authorization(token: str) -> Mapping[str, str]:
    """The header that a cluster with tokens asks for."""
    return {"Authorization": f"Bearer {token}"} if token else {}
