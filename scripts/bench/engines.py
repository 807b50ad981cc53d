"""Measure runs that an engine has: what one costs to hand over, what a look at a thousand costs, and how many get done.

    python scripts/bench/engines.py [--quick] [--jobs N] [--only submit reconcile throughput body] [--json | --markdown]

`submit` and `throughput` start a Slurm of their own (tests/engines/cluster.py; Debian: slurm-wlm, munge). `reconcile`
asks a fake squeue, a shell script that prints so many lines, and a real one with jobs that wait. Floors are bare
commands of Slurm on the same cluster in the same run. Not a test.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from lab.core import job as words
from lab.core import layout
from lab.engines import slurm_text
from lab.scheduler.placing import reconciling
from lab.store import jobs, leases
from scripts.bench import gauge, program, start
from scripts.bench.engines_ground import NAME, WATCH, a_slurm, drain, faked, handed_over, lab, which
from scripts.bench.table import Row
from scripts.bench.turns import spent_s

if TYPE_CHECKING:
    from lab.store.root import Root
    from scripts.bench.program import Measure
    from scripts.bench.table import Size
    from tests.engines.cluster import Cluster

SUBMIT_S, LOOK_S, SHARE = 0.030, 0.5, 0.80
_BARE = "#!/bin/sh\n/bin/echo 0.5\n"


# -- one submission ----------------------------------------------------------------------------------------------------


def submit(_scratch: str, disk: str, size: Size) -> list[Row]:
    """Claim, bundle, job, sbatch, its number, scontrol: CPU with all programs, beside a bare sbatch and release."""
    count = 8 * size.repeats
    before = dict(os.environ)
    root = lab(f"{disk}/faked", faked(disk), count)
    faked_s = handed_over(root, count)
    os.environ.clear()
    os.environ.update(before)
    with a_slurm(disk) as cluster:
        drain(cluster)
        root = lab(f"{disk}/submit", {}, count)
        bare_s = _bare_submission(size.repeats)
        before_programs = len(WATCH.started)
        ours_s = handed_over(root, count)
        programs = WATCH.started[before_programs:]
    return [
        Row(
            what=f"CPU of a submission to Slurm, its programs included, {count} in one turn",
            ours=f"{1e3 * ours_s:.1f} ms, {len(programs) / count:.2f} programs",
            floor=f"{1e3 * bare_s:.1f} ms (sbatch --hold, scontrol release, started by posix_spawn)",
            ratio=ours_s / bare_s,
            goal=f"<= {1e3 * SUBMIT_S:.0f} ms",
            met=ours_s <= SUBMIT_S,
            number=ours_s,
        ),
        Row(
            what="the same with shell scripts in place of Slurm's programs",
            ours=f"{1e3 * faked_s:.1f} ms",
            number=faked_s,
        ),
    ]


def _bare_submission(repeats: int) -> float:
    """Median CPU of the two programs of Slurm that a submission needs."""
    environ = gauge.environment()
    sbatch, scontrol = (which(name) for name in ("sbatch", "scontrol"))
    taken = []
    for _ in range(repeats):
        before_s = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sbatch, "--parsable", "--hold", "--output=/dev/null", "--chdir=/"],
            input=_BARE, env=environ, capture_output=True, text=True, check=True,
        )  # fmt: skip
        subprocess.run([scontrol, "release", done.stdout.strip()], env=environ, check=True)
        after_s = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after_s.ru_utime + after_s.ru_stime - before_s.ru_utime - before_s.ru_stime)
    return gauge.median(taken)


# -- a look at all -----------------------------------------------------------------------------------------------------


def reconcile(_scratch: str, disk: str, size: Size) -> list[Row]:
    """One look at as many jobs: those that run, by a fake squeue; those that wait, by a real one."""
    before = dict(os.environ)
    environ = faked(disk)
    root = lab(f"{disk}/many", environ, size.nodes)
    some = size.nodes // 20
    handed_over(root, 1, slots=size.nodes)  # loads modules
    first_s = handed_over(root, some, slots=size.nodes)
    handed_over(root, size.nodes - 2 * some - 1, slots=size.nodes)
    _as_running(root, environ["SLURM_CONF"])
    last_s = handed_over(root, some, slots=size.nodes)
    running = _as_running(root, environ["SLURM_CONF"])
    rows = [
        Row(
            what=f"CPU of a submission beside {size.nodes - some:,} jobs, shell scripts in place of Slurm's programs",
            ours=_ms(last_s),
            floor=f"{_ms(first_s)} (the first {some})",
            ratio=last_s / first_s,
            number=last_s,
        ),
        _looked(root, f"{running:,} running jobs (a fake squeue)", size.repeats),
    ]
    os.environ.clear()
    os.environ.update(before)
    with a_slurm(disk) as cluster:
        drain(cluster)
        count = max(size.nodes // 2, 50)
        root = lab(f"{disk}/waiting", {}, count)
        handed_over(root, count)
        rows.append(_looked(root, f"{count:,} waiting jobs at a real Slurm", size.repeats, squeue=_squeue_s()))
    return rows


def _as_running(root: Root, answer: str) -> int:
    """What squeue is to say: each runs, and its body was let in."""
    names = [name for name in os.listdir(root.layout.claims(NAME)) if name.endswith(layout.JOB_SUFFIX)]
    widths = [int(each.rpartition(":")[2]) for each in slurm_text.FORMAT.split(",")]
    with open(answer, "w", encoding="utf-8") as file:
        for file_name in names:
            job = jobs.load(root, NAME, int(file_name.partition(".")[0]))
            if job is None:
                raise RuntimeError(f"{file_name} is gone")
            jobs.begin(
                root, NAME, job.generation, words.Start(run_id=job.run_id, host="node1", pid=1, number=job.number)
            )
            fields = (job.number, "RUNNING", "0", "node1", "None", job.name)
            file.write("".join(each.ljust(width) for each, width in zip(fields, widths, strict=True)) + "\n")
    return len(names)


def _looked(root: Root, where: str, repeats: int, *, squeue: float = 0.0) -> Row:
    reconciling.reconcile(root)  # the first one writes down what it saw
    taken = []
    before = len(WATCH.started)
    rounds = max(repeats // 3, 3)
    for _ in range(rounds):
        before_s = spent_s()
        said = reconciling.reconcile(root)
        taken.append(spent_s() - before_s)
        if said:
            raise RuntimeError(f"a look found something to do: {said[0]}")
    asked = (len(WATCH.started) - before) / rounds
    used_s = gauge.median(taken)
    return Row(
        what=f"a look at {where}",
        ours=f"{1e3 * used_s:.0f} ms CPU, {asked:g} call of the engine",
        floor=f"{1e3 * squeue:.0f} ms (squeue alone)" if squeue else "",
        ratio=used_s / squeue if squeue else None,
        goal=f"< {LOOK_S:g} s, 1 call",
        met=used_s < LOOK_S and asked == 1,
        number=used_s,
    )


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.1f} ms"


def _squeue_s() -> float:
    command = [which("squeue"), "--all", "--states=all", "--noheader", f"--Format={slurm_text.FORMAT}"]
    return gauge.in_turns({"squeue": command}, gauge.environment(), 5)["squeue"]


# -- many that do nothing ----------------------------------------------------------------------------------------------


def throughput(_scratch: str, disk: str, size: Size) -> list[Row]:
    """So many runs that do nothing, by a burst and by bare sbatch, in turns on one cluster.

    On a Slurm that is told how many CPUs there are, and on one that is told of 128 and starts whatever comes: there the
    CPUs are the limit, which a Python that starts, claims and seals takes more of than a shell.
    """
    count = COUNT or size.noops
    cores = os.cpu_count() or 1
    rows = []
    for nodes, cpus, rounds in ((1, cores, 1), (2, 64, size.rounds)):
        ours: list[float] = []
        floors: list[float] = []
        cpu_s = 0.0
        with a_slurm(disk, nodes=nodes, cpus=cpus) as cluster:
            for turn in range(rounds):
                floors.append(_bare(cluster, _BARE, count))
                rate, cpu_s = _burst(f"{disk}/burst-{cpus}-{turn}", count)
                ours.append(rate)
        rate, floor = gauge.median(ours), gauge.median(floors)
        told = "told of as many CPUs as there are" if nodes == 1 else f"told of {nodes * cpus} CPUs on {cores}"
        rows.append(
            Row(
                what=f"{count} runs of /bin/echo, burst --engine slurm --jobs 64, a Slurm {told}",
                ours=f"{rate:.2f} a second; the burst itself {1e3 * cpu_s:.1f} ms CPU a run",
                floor=f"{floor:.2f} a second ({count} bare sbatch of /bin/echo)",
                ratio=rate / floor,
                goal=f">= {SHARE:.2f}x",
                met=rate / floor >= SHARE,
                number=rate,
            )
        )
    return rows


def _bare(cluster: Cluster, script: str, count: int) -> float:
    """Jobs a second from the first sbatch to the last end."""
    command = [which("sbatch"), "--parsable", "--output=/dev/null", "--chdir=/", "--job-name=bare"]
    environ = gauge.environment()
    before_s = time.monotonic()
    for _ in range(count):
        subprocess.run(command, input=script.encode(), env=environ, stdout=subprocess.DEVNULL, check=True)
    squeue = [which("squeue"), "--noheader", "--name=bare", "--format=%i"]
    while subprocess.run(squeue, env=environ, stdout=subprocess.PIPE, check=True).stdout.strip():
        time.sleep(0.2)
    del cluster
    return count / (time.monotonic() - before_s)


def _burst(place: str, count: int) -> tuple[float, float]:
    """Runs a second of `labctl burst`, and the CPU of that process and the programs it waited for, for each."""
    root = lab(place, {}, 64)
    labctl = start.launchers()["python -c"]
    command = [*labctl, "burst", NAME, "-n", str(count), "--engine", "slurm", "--jobs", "64", "--json"]
    before_s, before_cpu = time.monotonic(), spent_s()
    done = subprocess.run(
        [*command, "--data-root", root.layout.root],
        env=gauge.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    wall_s = time.monotonic() - before_s
    told = json.loads(done.stdout)
    if done.returncode or not told["ok"]:
        raise RuntimeError(f"the burst ended with {done.returncode}: {done.stdout[-800:]}")
    return count / wall_s, (spent_s() - before_cpu) / count


# -- the body ----------------------------------------------------------------------------------------------------------


def body(_scratch: str, disk: str, size: Size) -> list[Row]:
    """`labctl exec` of a run of /bin/echo, as whole processes, beside a Python that does nothing."""
    before = dict(os.environ)
    rows = []
    for executor in ("command", "stub"):
        environ = faked(disk)
        root = lab(f"{disk}/body-{executor}", environ, size.repeats, executor=executor)
        handed_over(root, size.repeats)
        held = [each.seen.claim.run_id for each in leases.survey(root, NAME).held]
        bare, ours = [], []
        labctl = start.launchers()["python -c"]
        for run_id in held:
            bare.append(gauge.process_cpu_s(gauge.FLOOR, gauge.environment()))
            words_ = [*labctl, "exec", NAME, run_id, "--data-root", root.layout.root]
            ours.append(gauge.process_cpu_s(words_, gauge.environment()))
        used_s, floor_s = gauge.median(ours), gauge.median(bare)
        rows.append(
            Row(
                what=f"labctl exec of a run that does nothing, executor {executor}, on disk",
                ours=f"{1e3 * used_s:.1f} ms CPU",
                floor=f"{1e3 * floor_s:.1f} ms (python -c pass)",
                ratio=used_s / floor_s,
                number=used_s,
            )
        )
    os.environ.clear()
    os.environ.update(before)
    return rows


MEASURES: dict[str, Measure] = {"submit": submit, "reconcile": reconcile, "body": body, "throughput": throughput}
COUNT = 0


def main() -> None:
    """Take --jobs away from what all benches share."""
    global COUNT  # noqa: PLW0603  # one program, one flag of its own
    if "--jobs" in sys.argv:
        at = sys.argv.index("--jobs")
        COUNT = int(sys.argv[at + 1])
        del sys.argv[at : at + 2]
    program.run(__doc__, MEASURES)


if __name__ == "__main__":
    main()
