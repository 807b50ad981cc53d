"""Measure what grows: with the runs of an experiment, with the experiments of a lab, and with what is in flight.

    python scripts/bench/scale.py [--quick] [--only deep wide ...] [--json | --markdown]

Labs of 100 to 100,000 sealed runs are made and measured. What docs/explanation/scale.md says of ten million is
extrapolated from here, and says so; `python -m scripts.bench.scale_steps folders DIR --count 1000000` makes one folder
of a million. `queue` is a simulation, fed with hold times that `sections` measures. Not a test.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from lab.core import layout
from scripts.bench import gauge, grow, program, scale_queue, scale_steps, start, steps, turns
from scripts.bench.table import Row

if TYPE_CHECKING:
    from scripts.bench.program import Measure
    from scripts.bench.table import Size

_HARDLY_EVER = "3650d"
_ENDERS = 4
_TRIPS = ("openat", "newfstatat", "rename", "link", "unlink", "mkdir", "flock", "fsync", "getdents64", "utimensat")
_TRIP_S = 0.0002  # to a file server in the same rack
_HEARTBEAT_S = 20


def kept(_scratch: str, disk: str, size: Size) -> list[Row]:
    """What a run leaves on a disk, as a bundle and in an archive."""
    place = f"{disk}/kept"
    grow.grown(place, [("exp-0000", size.listed // 5)])
    told = scale_steps.result("archive", place)
    rows = []
    for name, what in (
        ("bundle", "a run's bundle of 6 small files"),
        ("tar", "the same in an archive"),
        ("companion", "an archived run in its companion"),
    ):
        inodes, data, blocks = _floats(told[name])
        shown = f"{inodes:.4g} inodes, {data:,.0f} bytes, {blocks:,.0f} on the disk"
        rows.append(Row(what=f"{what}, ext4", ours=shown, number=blocks))
    cpu_s, runs = _float(told["cpu_s"]), _float(told["runs"])
    rows.append(Row(what="labctl prune, CPU for a run", ours=_ms(cpu_s / runs), number=cpu_s / runs))
    ledger = os.stat(f"{place}/registry/events.jsonl").st_size / (runs + 6)
    table = os.stat(f"{place}/experiments/exp-0000/{layout.METRICS_LOG}").st_size / (runs + 6)
    return [*rows, Row(what="a run in the ledger, in metrics.jsonl", ours=f"{ledger:.0f} bytes, {table:.0f} bytes")]


def deep(scratch: str, _disk: str, size: Size) -> list[Row]:
    """One experiment with ever more runs, none of them due."""
    rows: list[Row] = []
    for runs in size.depths:
        place = f"{scratch}/deep-{runs}"
        _idle(place, 1, runs)
        rows += _whole(place, f"1 experiment, {runs:,} runs", size)
        told = scale_steps.result("proof", place)
        proof_s, peak = _float(told["cpu_s"]), _float(told["peak_mb"])
        what = f"verify, 1 experiment, {runs:,} runs"
        rows.append(Row(what=what, ours=f"{proof_s:.2f} s, {1e6 * proof_s / runs:.0f} us a run, peak {peak:.0f} MB"))
        shutil.rmtree(place)
    return rows


def wide(scratch: str, _disk: str, size: Size) -> list[Row]:
    """Ever more experiments of one run each, none of them due."""
    rows: list[Row] = []
    for experiments in size.labs:
        place = f"{scratch}/wide-{experiments}"
        _idle(place, experiments, 1)
        rows += _whole(place, f"{experiments:,} experiments", size)
        index = os.stat(f"{place}/LAB-INDEX.json").st_size
        rows.append(Row(what=f"LAB-INDEX.json, {experiments:,} experiments", ours=f"{index:,} bytes", number=index))
        shutil.rmtree(place)
    return rows


def _idle(place: str, experiments: int, runs: int) -> None:
    """A lab in which nothing is due."""
    names = [f"exp-{number:05d}" for number in range(experiments)]
    root = grow.open_root(place, durable=False)
    grow.grown(place, [(name, runs) for name in names])
    turns.due(root, names, executor="stub", cadence=_HARDLY_EVER)


def _whole(place: str, where: str, size: Size) -> list[Row]:
    """Whole commands, a fold, and a rebuild."""
    launcher = start.launchers()["python -c"]
    verbs = {
        "run-once with nothing due": ["run-once", "--quiet"],
        "status": ["status"],
        "list": ["list"],
        "list of the last 20 runs of one": ["list", "exp-00000", "--last", "20"],
    }
    commands = {what: [*launcher, *words, "--data-root", place] for what, words in verbs.items()}
    taken = gauge.in_turns({"floor": gauge.FLOOR, **commands}, gauge.environment(), max(size.repeats // 4, 3))
    rows = [
        Row(
            what=f"{what}, {where}",
            ours=_ms(taken[what]),
            floor=f"{_ms(taken['floor'])} (python -c pass)",
            ratio=taken[what] / taken["floor"],
            number=taken[what],
        )
        for what in verbs
    ]
    told = steps.result("fold", place, "--experiment", "exp-00000", "--count", str(max(size.repeats // 2, 3)))
    used_s, read, written = _floats(told[place])
    shown = f"{_ms(used_s)}, {read:,.0f} B read, {written:,.0f} B written"
    rows.append(Row(what=f"fold one more run, {where}", ours=shown, number=used_s))
    built = steps.result("rebuild", place)
    used_s, peak, runs = _float(built["cpu_s"]), _float(built["peak_mb"]), _float(built["runs"])
    shown = f"{used_s:.2f} s, {1e6 * used_s / runs:.0f} us a run, peak {peak:.0f} MB"
    return [*rows, Row(what=f"refresh, {where}", ours=shown, number=used_s)]


def folders(_scratch: str, disk: str, size: Size) -> list[Row]:
    """A folder of as many run folders, on a disk. Wall time, the other work of the machine included."""
    rows = []
    for names in size.names:
        place = f"{disk}/runs-{names}"
        told = scale_steps.result("folders", place, "--count", str(names))
        made, seen = 1e6 * _float(told["mkdir_s"]), 1e6 * _float(told["stat_s"])
        listed, data = _float(told["listdir_s"]), _float(told["bytes"])
        shown = f"mkdir {made:.0f} us, stat {seen:.1f} us, listing {listed:.2f} s, the folder {data / 2**20:.1f} MB"
        rows.append(Row(what=f"a folder of {names:,} run folders, ext4", ours=shown, number=_float(told["mkdir_s"])))
        for _, path in sorted((entry.inode(), entry.path) for entry in os.scandir(place)):  # quicker than by name
            os.rmdir(path)
        os.rmdir(place)
    return rows


def ledger(scratch: str, _disk: str, size: Size) -> list[Row]:
    """A long ledger: what an experiment pays that begins now, and one that slept meanwhile."""
    rows = []
    for lines in (size.lines // 10, size.lines):
        told = scale_steps.result("newcomer", f"{scratch}/ledger-{lines}", "--count", str(lines))
        first, again = _float(told["first_s"]), _float(told["again_s"])
        data, peak = _float(told["bytes"]), _float(told["peak_mb"])
        shown = f"{_ms(first)}, later {_ms(again)} ({1e6 * again / lines:.2f} us a line), peak {peak:.0f} MB"
        what = f"the pages of a new experiment, others' lines {lines:,} ({data / 1e6:.0f} MB)"
        rows.append(Row(what=what, ours=shown, number=again))
        shutil.rmtree(f"{scratch}/ledger-{lines}")
    return rows


def claims(scratch: str, _disk: str, size: Size) -> list[Row]:
    """Runs in flight, of one experiment."""
    rows = []
    first = 0.0
    for number in size.claims:
        told = scale_steps.result("claims", f"{scratch}/claims-{number}", "--count", str(number))
        take, survey, opens = (_float(told[name]) for name in ("take_s", "survey_s", "opens"))
        first = first or take
        shown = f"{_ms(take)}, {opens:.0f} files opened; a look at all: {_ms(survey)}"
        rows.append(Row(what=f"one claim more beside {number:,}", ours=shown, ratio=take / first, number=take))
    told = scale_steps.result("beats", f"{scratch}/beats", "--count", str(size.nodes))
    rate = size.nodes / _HEARTBEAT_S
    shown = f"{1e6 * _float(told['cpu_s']):.0f} us; {rate:.0f} a second, an open, a read, a stat and a utime each"
    return [*rows, Row(what=f"renewing a claim, {size.nodes:,} of them every {_HEARTBEAT_S} s", ours=shown)]


def sections(_scratch: str, disk: str, size: Size) -> list[Row]:
    """How long a run holds its experiment's section, how many calls that is, and how many runs fit into a second."""
    began, ended = _held(disk, size)
    rows = [Row(what="an experiment's section is held, when a run begins", ours=_ms(began), number=began)]
    rows.append(Row(what="the same, when it ends (durability full, ext4)", ours=_ms(ended), number=ended))
    trips = _trips(disk)
    shown = f"{trips:.0f} calls that a shared disk answers over the network" if trips else "no strace here"
    rows.append(Row(what="in both together", ours=shown, number=trips))
    for what, shared in (("of one experiment", True), ("of an experiment each", False)):
        rate, worst, cpu = _enders(f"{disk}/enders-{shared}", size.synced // 4, shared=shared)
        shown = f"{rate:.0f} runs a second, the slowest took {worst:.2f} s, {_ms(cpu)} CPU a run"
        rows.append(Row(what=f"{_ENDERS} processes that begin and end runs {what}, ext4", ours=shown, number=rate))
    return rows


def _held(disk: str, size: Size) -> tuple[float, float]:
    place = tempfile.mkdtemp(prefix="sections-", dir=disk)
    told = scale_steps.result("sections", f"{place}/lab", "--count", str(size.synced // 2))
    return _float(told["begin_s"]), _float(told["end_s"])


def _trips(disk: str) -> float:
    """System calls of a whole run inside the section that a network file system sends to its server."""
    counted = []
    for number in (2, 12):
        place = tempfile.mkdtemp(prefix="trips-", dir=disk)
        words = ["-m", "scripts.bench.scale_steps", "sections", f"{place}/lab", "--count", str(number)]
        counted.append(gauge.calls_between_marks([sys.executable, *words], gauge.environment()))
    few, many = counted
    if few is None or many is None:
        return 0.0
    return sum(many[name] - few[name] for name in _TRIPS) / 10


def _enders(place: str, count: int, *, shared: bool) -> tuple[float, float, float]:
    """Several processes at once: runs a second, the slowest of them, and CPU for one."""
    names = [f"exp-{number:04d}" for number in range(_ENDERS)]
    root = grow.grown(place, [(name, 0) for name in names], durability="full")
    for name in names:
        with open(root.layout.spec(name), "a", encoding="utf-8") as file:
            file.write(f"max_parallel: {2 * _ENDERS}\n")
    words = [sys.executable, "-m", "scripts.bench.scale_steps", "ender", place, "--count", str(count)]
    going = [
        subprocess.Popen(
            [*words, "--experiment", names[0] if shared else name],
            cwd=gauge.CHECKOUT, env=gauge.environment(), stdout=subprocess.PIPE,
        )
        for name in names
    ]  # fmt: skip
    told = [json.loads(each.communicate()[0]) for each in going]
    wall_s = max(each["wall_s"] for each in told)
    cpu_s = sum(each["cpu_s"] for each in told) / (count * _ENDERS)
    return count * _ENDERS / wall_s, max(each["worst_s"] for each in told), cpu_s


def queue(_scratch: str, disk: str, size: Size) -> list[Row]:
    """Simulated: many nodes in one experiment, with the hold time of this disk and that of a shared one."""
    near_s = sum(_held(disk, size))
    trips = _trips(disk)
    holds = [("this disk", near_s)]
    if trips:
        holds.append((f"{trips:.0f} trips of {_TRIP_S * 1e3:g} ms", trips * _TRIP_S))
    rows = []
    for where, hold_s in holds:
        full_s = size.nodes * hold_s
        what = f"simulated: {size.nodes:,} nodes, {where}, a section held {_ms(hold_s)} a run"
        shown = f"full when runs take less than {full_s:.0f} s; {1 / hold_s:.0f} runs a second at most"
        rows.append(Row(what=what, ours=shown, number=full_s))
        for run_s in (2 * full_s, full_s, full_s / 2):
            came = scale_queue.simulate(size.nodes, run_s, hold_s)
            rows.append(_simulated(f"simulated: {where}, runs of {run_s:.0f} s", came))
        came = scale_queue.simulate(size.nodes, 1.0, hold_s, together=True)
        before = scale_queue.simulate(size.nodes, 1.0, hold_s, pause=scale_queue.fixed, together=True)
        rows.append(_simulated(f"simulated: {where}, all end at once", came))
        rows.append(_simulated(f"simulated: {where}, all end at once and ask every 5 ms", before))
    return rows


def _simulated(what: str, came: scale_queue.Queue) -> Row:
    shown = (
        f"{came.runs_a_second:.0f} runs a second, section taken {100 * came.busy_share:.0f} %, "
        f"wait {came.median_wait_s:.2f} s, at worst {came.worst_wait_s:.1f} s, "
        f"{came.given_up} give up, {came.asks_a_second:,.0f} asks a second"
    )
    return Row(what=what, ours=shown, number=came.runs_a_second)


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _float(told: object) -> float:
    if not isinstance(told, (int, float)):
        raise TypeError(f"a step told {told!r} where a number belongs")
    return told if isinstance(told, float) else float(told)


def _floats(told: object) -> list[float]:
    if not isinstance(told, list):
        raise TypeError(f"a step told {told!r} where numbers belong")
    return [_float(each) for each in told]


MEASURES: dict[str, Measure] = {
    "kept": kept,
    "deep": deep,
    "wide": wide,
    "folders": folders,
    "ledger": ledger,
    "claims": claims,
    "sections": sections,
    "queue": queue,
}


if __name__ == "__main__":
    program.run(__doc__, MEASURES)
