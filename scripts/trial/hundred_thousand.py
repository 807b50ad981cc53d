"""A hundred thousand sealed runs in one lab, and every verb typed there: what it takes, and whether it is right.

    python scripts/trial/hundred_thousand.py [--quick] [--only verbs once_more pages] [--keep] [--json | --markdown]

verbs      every verb of LAB_MANIFEST.json with sensible words; one without a row is a broken promise
pages      the live page over that lab: every kind of page, and the server's memory
once_more  one run more costs what it costs after a hundred: bytes read and written, and files opened

The lab is made by scripts/trial/hundred_ground.py, which says what is real in it: some 3 GB, in memory where there is
room. --quick has 3,000 runs. Times and memory are told, and marked where they are more than they ought to be; only a
gigabyte breaks a promise.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

if __name__ == "__main__":  # from the checkout, whatever is installed
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from scripts.bench import gauge
from scripts.trial import report
from scripts.trial.hundred_box import TOLD, Box, Row
from scripts.trial.hundred_rows import ROWS
from scripts.trial.hundred_verbs import OUGHT
from scripts.trial.report import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.trial.hundred_box import Took
    from scripts.trial.report import Setting

MANIFEST = os.path.join(gauge.CHECKOUT, "LAB_MANIFEST.json")
RUNS, QUICK_RUNS = 100_000, 3_000
MORE = 1.2  # one more run may take so many times what it takes after a hundred
ONES = 10  # runs that are counted together: a page that grows by a digit is no finding
SLACK_OPENS = 2
MOST_MB = 1_000


def grown(setting: Setting) -> Box:
    """The lab, once for all that is tried; in a process of its own, for it needs memory and leaves none here."""
    box = Box(f"{setting.scratch}/hundred")
    if not os.path.isdir(box.lab):
        runs = QUICK_RUNS if setting.quick else RUNS
        command = [sys.executable, f"{gauge.CHECKOUT}/scripts/trial/hundred_ground.py", box.lab, "--runs", str(runs)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=gauge.environment())
    return box


def verbs(setting: Setting) -> list[Finding]:
    """Each row in its turn; told with the dearest first."""
    box = grown(setting)
    told: list[tuple[float, Finding]] = []
    for row in ROWS:
        print(f"  {row.name}", file=sys.stderr, flush=True)
        try:
            if row.before is not None:
                row.before(box)
            took = box.took(row)
            if row.after is not None:
                row.after(box)
        except (RuntimeError, OSError, ValueError, StopIteration, subprocess.SubprocessError) as error:
            broken = [f"it could not be tried: {error!r}"]
            told.append((0.0, Finding(what=row.name, tried="not at all", promise="it can be tried", broken=broken)))
            continue
        finding = _finding(row, took)
        print(f"    {finding.tried}{'; BROKEN' if finding.broken else ''}", file=sys.stderr, flush=True)
        told.append((took.cpu_s, finding))
    found = [finding for _, finding in sorted(told, key=lambda each: -each[0])]
    return [*found, _all_there(), _whole(box)]


def _finding(row: Row, took: Took) -> Finding:
    ought_s, ought_mb = OUGHT.get(row.kind, (0.0, 0.0))
    broken = []
    if took.code not in row.ok:
        broken.append(f"it ended with {took.code}: {(took.err or took.out)[-TOLD:]}")
    if "Traceback" in took.err:
        broken.append(f"a stack trace: {took.err[-TOLD:]}")
    broken += [f"it does not say {word!r}: {took.out[:TOLD]}" for word in row.also if word not in took.out]
    if ought_mb and took.peak_mb > MOST_MB:
        broken.append(f"it took {took.peak_mb:.0f} MB")
    slow = f" (more than {ought_s:g} s)" if ought_s and took.cpu_s > ought_s else ""
    large = f" (more than {ought_mb:g} MB)" if ought_mb and took.peak_mb > ought_mb else ""
    memory = f"{took.peak_mb:.0f} MB{large}"
    figures = f"{took.cpu_s:.2f} s CPU{slow}, {took.wall_s:.2f} s, {memory}, {_bytes(took.written)} written"
    codes = " or ".join(map(str, row.ok))
    promise = f"ends with {codes}" + (f", below {MOST_MB:,} MB" if ought_mb else "")
    return Finding(what=row.name, tried=figures, promise=promise, broken=broken)


def _bytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"  # noqa: PLR2004  # a megabyte


def keys() -> Iterator[str]:
    """Every verb and sub-verb that there is."""
    with open(MANIFEST, encoding="utf-8") as file:
        commands = json.load(file)["commands"]
    for command in commands:
        yield from (f"{command['name']} {each}" for each in command["sub_verbs"])
        if not command["sub_verbs"]:
            yield command["name"]


def _all_there() -> Finding:
    known, tabled = set(keys()), {row.key for row in ROWS}
    broken = [f"{name} has no row" for name in sorted(known - tabled)]
    broken += [f"{name} is no verb" for name in sorted(tabled - known)]
    return Finding(what="the table", tried=f"{len(known)} verbs", promise="a row for each", broken=broken)


def _whole(box: Box) -> Finding:
    """After all of it: the proof is clean, and the pages are what they would be if they were written anew."""
    broken = []
    checked = box.took(Row(key="verify", words=("verify",), kind=""))
    if checked.code:
        broken.append(f"verify: {checked.out[-TOLD:]}")
    before = _pages(box)
    box.type("refresh")
    after = _pages(box)
    broken += [
        f"refresh changed {name}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    tried = f"verify, refresh: {' '.join(checked.out.split())}"
    return Finding(what="the lab afterwards", tried=tried, promise="clean; pages as rebuilt", broken=broken)


def _pages(box: Box) -> dict[str, tuple[int, int, int]]:
    """Every derived file of the lab by inode, size and time."""
    folders = [box.lab, *(each.path for each in os.scandir(f"{box.lab}/experiments"))]
    found = {}
    for folder in folders:
        for each in os.scandir(folder):
            if each.is_file():
                seen = each.stat()
                found[each.path.removeprefix(f"{box.lab}/")] = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
    return found


def once_more(setting: Setting) -> list[Finding]:
    """A burst of a few runs of the largest experiment, beside one of the experiment of a hundred; in the same lab."""
    box = grown(setting)
    taken = {}
    opened = {}
    for name in ("few", "big"):
        words = ("burst", name, "-n", str(ONES), "--strategy", "random", "--quiet")
        box.type("burst", name, "-n", "1", "--strategy", "random", "--quiet")  # reads what it has not seen, once
        taken[name] = box.took(Row(key="burst", words=words, kind=""))
        opened[name] = _opened(box, words)
    few, big = taken["few"], taken["big"]
    rows = [
        ("bytes written", few.written, big.written),
        ("files opened", opened["few"], opened["big"]),
    ]
    found = []
    for what, less, more in rows:
        broken = [f"{more:,} against {less:,}"] if more > MORE * less + SLACK_OPENS else []
        tried = f"{more / ONES:,.0f} a run, {less / ONES:,.0f} after a hundred"
        found.append(Finding(what=f"one run more: {what}", tried=tried, promise=f"at most {MORE:g} x", broken=broken))
    tried = f"{big.cpu_s / ONES:.3f} s CPU a run with its start and its history, {few.cpu_s / ONES:.3f} after a hundred"
    return [*found, Finding(what="one run more: CPU", tried=tried, promise="told", broken=[])]


def _opened(box: Box, words: tuple[str, ...]) -> int:
    """Files that the whole command opens; 0 where strace is not there."""
    log = f"{box.folder}/strace.log"
    command = [
        "strace",
        "-f",
        "-qq",
        "-e",
        "trace=openat,open",
        "-o",
        log,
        sys.executable,
        f"{gauge.CHECKOUT}/scripts/labctl.py",
    ]
    try:
        subprocess.run([*command, *words], check=True, cwd=box.work, env=box.environ, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return 0
    with open(log, encoding="utf-8", errors="replace") as file:
        return Counter("= -1" in line for line in file)[False]


def pages(setting: Setting) -> list[Finding]:
    """The live page: each kind of page once, and what the server has then."""
    from scripts.bench import serving  # noqa: PLC0415  # it loads the lab, and this program is to stay small

    box = grown(setting)
    runs = box.runs("big")
    page = "/experiments/big"
    paths = (
        "/", page, f"{page}?part=drawings", f"{page}/runs", f"{page}/runs?part=runs&sort=value&q=value%3C0.25",
        f"/runs/{runs[0]}", f"/compare?a={runs[0]}&b={runs[-1]}", "/experiments/loop",
        "/experiments/loop?part=drawings",
    )  # fmt: skip
    found = []
    with serving.serving(box.lab) as served:
        for path in paths:
            used_s = served.whole_s(path)
            memory = f"{used_s:.2f} s CPU, the server has {served.memory_mb():.0f} MB"
            found.append(Finding(what=f"live page, {path.replace(runs[0], 'RUN').replace(runs[-1], 'RUN')}",
                                 tried=memory, promise="it answers"))  # fmt: skip
        peak = served.memory_mb("VmHWM")
    broken = [f"{peak:.0f} MB"] if peak > MOST_MB else []
    return [
        *found,
        Finding(what="live page, peak memory", tried=f"{peak:.0f} MB", promise=f"below {MOST_MB:,} MB", broken=broken),
    ]


if __name__ == "__main__":
    report.run(__doc__, {"verbs": verbs, "once_more": once_more, "pages": pages})
