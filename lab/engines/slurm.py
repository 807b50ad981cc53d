"""Slurm, through its own commands: sbatch, scontrol, squeue, scancel, sinfo. No package, no daemon, no state of ours.

Trusted with placement, limits, devices and killing, never with truth: see docs/decisions/0041-engines.md.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Unavailable
from lab.engines import slurm_text as text
from lab.engines.door import NotNow, Refused

if TYPE_CHECKING:
    from lab.core.job import Report
    from lab.engines.door import Ground, Placement

LIMIT_S = 30.0  # for one command: without a controller sbatch gives up after 9 s, with a full queue after minutes
FEW = 8  # jobs that are ended by their names, each by a command of its own
AT_ONCE = 500  # numbers in one scancel: a command line has an end
_GONE = ("invalid job id", "already finished", "already completing", "no longer pending", "no active jobs")


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a command of Slurm answered."""

    code: int
    out: bytes
    problem: str


class Slurm:
    """Jobs are found by name. A number is a hint: a controller that was killed gives it to others too."""

    # A controller writes down what it has accepted within some seconds; one that dies before has forgotten it.
    forgets_after_s = 20.0
    # It sends TERM for many reasons, and says afterwards which it was.
    tells_why = True

    def __init__(self) -> None:
        self._where: dict[tuple[str, str], str] = {}  # asked for once: no process changes the cluster that it speaks to

    def ready(self, ground: Ground) -> None:
        _program("sbatch", ground)

    def submit(self, job: Placement, ground: Ground) -> str:
        if word := text.unfit(job.wants.options):
            what = f"a job of a lab cannot have the flag {word} of `options`"
            raise Refused(
                what, fix="take it out of engines.yaml; a flag and its value are one entry: --constraint=a100"
            )
        said = _call(("sbatch", *text.options(job)), ground, given=os.fsencode(text.script(job)))
        number = said.out.decode(errors="replace").strip().partition(";")[0]
        if said.code == 0 and number.isdecimal():
            return number
        if said.code == 0:
            raise _numberless(said.out.decode(errors="replace"))
        # One that was killed, or that says nothing, has refused nothing; it may even have handed the job over.
        if text.is_full(said.problem):
            raise NotNow(text.in_a_line(said.problem), fix="it is asked again by itself; look with: sinfo; squeue --me")
        if said.code < 0 or not said.problem or text.passes(said.problem):
            raise _unavailable(said.problem or f"sbatch ended with {said.code} and said nothing")
        words = said.problem
        raise Refused(text.in_a_line(words), fix=text.fix(words))

    def release(self, number: str, ground: Ground) -> None:
        if number in ground.names and not _still_so((number,), ground):
            return
        said = _call(("scontrol", "release", number), ground)
        # Of one that somebody else holds nothing can be done here; `listed` says why it waits.
        if said.code != 0 and text.passes(said.problem):
            raise _unavailable(said.problem)

    def listed(self, prefix: str, ground: Ground) -> tuple[Report, ...]:
        # Of one user alone its controller tells by itself what is theirs; of several squeue picks it out.
        whose = (f"--user={','.join(map(str, ground.users))}",) if ground.users else ()
        said = _call(("squeue", "--all", "--states=all", "--noheader", *whose, f"--Format={text.FORMAT}"), ground)
        if said.code != 0:
            raise _unavailable(said.problem)
        return text.listed(said.out, prefix)

    def cancel(self, numbers: tuple[str, ...], ground: Ground) -> None:
        # Since they were listed a controller may have lost its state and given their numbers to others.
        named = {number: ground.names[number] for number in numbers if number in ground.names}
        if len(named) <= FEW:
            calls: list[tuple[str, ...]] = [(f"--name={name}", number) for number, name in named.items()]
        else:
            calls = _pieces(_still_so(tuple(named), ground))
        for given in (*calls, *_pieces(tuple(number for number in numbers if number not in named))):
            said = _call(("scancel", *given), ground)
            complaints = [line for line in said.problem.splitlines() if not _is_gone(line)]
            if said.code != 0 and complaints:
                raise _unavailable("\n".join(complaints))

    def where(self, ground: Ground) -> str:
        key = ground.environ.get("SLURM_CONF", ""), ground.environ.get("PATH", "")
        if key not in self._where:
            self._where[key] = _config(ground).get("ClusterName", "")
        return self._where[key]

    def describe(self, ground: Ground) -> str:
        config = _config(ground)
        said = _call(("sinfo", "--noheader", "--format=%R %a %D %t"), ground)
        if said.code != 0:
            raise _unavailable(said.problem)
        version, cluster = (config.get(name, "?") for name in ("SLURM_VERSION", "ClusterName"))
        return f"Slurm {version}, cluster {cluster}: {_places(said.out.decode(errors='replace'))}"


def _pieces(numbers: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [numbers[start : start + AT_ONCE] for start in range(0, len(numbers), AT_ONCE)]


def _still_so(numbers: tuple[str, ...], ground: Ground) -> tuple[str, ...]:
    """Those that still have the names under which they were listed."""
    now: dict[str, str] = {}
    for some in _pieces(numbers):  # of the whole cluster there may be a hundred thousand
        said = _call(("squeue", "--all", "--noheader", f"--jobs={','.join(some)}", "--format=%i %j"), ground)
        if said.code != 0 and not _is_gone(said.problem):
            raise _unavailable(said.problem)
        lines = (line.strip().partition(" ") for line in said.out.decode(errors="replace").splitlines())
        now.update({number: name for number, _, name in lines})
    return tuple(number for number in numbers if now.get(number) == ground.names[number])


def _config(ground: Ground) -> dict[str, str]:
    """What its controller goes by."""
    said = _call(("scontrol", "show", "config"), ground)
    if said.code != 0:
        raise _unavailable(said.problem)
    pairs = (line.partition("=") for line in said.out.decode(errors="replace").splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _places(said: str) -> str:
    """`main: 2 idle, 1 down; closed (inact): 2 idle`, of the lines of sinfo."""
    places: dict[str, list[str]] = {}
    for line in said.splitlines():
        partition, available, count, state = line.rsplit(" ", 3)
        name = partition if available == "up" else f"{partition} ({available})"
        places.setdefault(name, []).append(f"{count} {state}")
    return "; ".join(f"{name}: {', '.join(states)}" for name, states in places.items()) or "no partition"


def _is_gone(line: str) -> bool:
    return any(word in line.lower() for word in _GONE)


def _numberless(said: str) -> Unavailable:
    """It may have taken the job: whether it has is seen when it is asked for its jobs."""
    told = text.in_a_line(said)
    return Unavailable(
        f"sbatch ended well and gave no number of a job{f', but: {told[:100]}' if told else ''}",
        fix="look at `options` in engines.yaml, and whether a wrapper stands in the place of sbatch: type sbatch",
    )


def _unavailable(said: str) -> Unavailable:
    return Unavailable(
        f"Slurm cannot be asked now: {text.in_a_line(said) or 'it said nothing'}",
        fix="nothing is lost; look at it with: scontrol ping; sinfo",
    )


def _program(name: str, ground: Ground) -> str:
    """Where one of its commands lies. `Unavailable` where it, or what it would read first, is not there."""
    program = shutil.which(name, path=ground.environ.get("PATH", os.defpath))
    if program is None:
        fix = (
            "install Slurm's commands where labctl runs (Debian: slurm-client), or name another engine in engines.yaml"
        )
        raise Unavailable(f"Slurm cannot be asked: there is no {name} on PATH", fix=fix)
    conf = ground.environ.get("SLURM_CONF", "")
    if conf and not os.path.exists(conf):  # each command would wait a minute for it
        raise Unavailable("Slurm cannot be asked: SLURM_CONF names a file that is not there", where=conf)
    return program


def _call(command: tuple[str, ...], ground: Ground, *, given: bytes = b"") -> _Said:
    """Start one of its programs and wait. `Unavailable` when it is not installed, or does not come to an end."""
    import subprocess  # noqa: PLC0415  # 6 ms that most commands do not need

    program = _program(command[0], ground)
    environ = {name: value for name, value in ground.environ.items() if name in text.INHERITED}
    environ["LC_ALL"] = "C"  # its words are read, whatever language the person reads
    try:
        done = subprocess.run(
            (program, *command[1:]), input=given, env=environ, cwd="/",
            timeout=LIMIT_S, capture_output=True, check=False,
            start_new_session=True,  # a Ctrl-C at the terminal is for the lab, which knows what is half done
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        said = (error.stderr or b"").decode(errors="replace")  # a full queue: it says so, and tries again and again
        if command[0] == "sbatch" and text.is_full(said):
            raise NotNow(text.in_a_line(said), fix="it is asked again by itself; look with: squeue") from error
        raise _unavailable(f"{said}\n{command[0]} took longer than {LIMIT_S:.0f} s") from error
    except OSError as error:
        raise _unavailable(f"{command[0]} could not be started: {error.strerror}") from error
    return _Said(code=done.returncode, out=done.stdout, problem=done.stderr.decode(errors="replace").strip())
