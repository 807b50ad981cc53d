"""An hour of cron: a lab that is left alone with its ticks, and must not grow, leak or slow down.

    python scripts/trial/soak.py [--quick] [--seconds S] [--seed N] [--keep] [--json | --markdown]

A real cron daemon ticks a lab with experiments of every kind once a minute, by the lines that `schedule install`
writes; a driver ticks it every few seconds beside, and kills some of its ticks. A worker waits for packages, a server
is asked for pages, a person looks. A second lab has nothing due: what its ticks write is counted. The first and the
last quarter of all samples are compared. Cron needs root: it runs in a mount namespace of its own, so that no crontab
of this machine is touched. Without root, or without cron, the driver ticks alone, and the report says so.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from lab.store import bundles
from scripts.trial import crowd_judge, report
from scripts.trial.crowd import Crowded
from scripts.trial.crowd_lanes import Told
from scripts.trial.soak_gauge import Gauge, count, identities, memory_kib, sizes
from tests.cli.labs import SHIM
from tests.crash.driver import open_root

if TYPE_CHECKING:
    from scripts.trial.report import Finding, Setting

WHOLE_S, QUICK_S = 3_600.0, 6.0
TICK_EVERY_S, SAMPLE_EVERY_S, KILL_SHARE, END_S = 4.0, 20.0, 0.1, 90.0
CADENCE, STUDY_RUNS = "20s", 24
OURS = (0, 1, 3)  # done, a run failed, busy
IDLE = """\
id: {id}
metric: loss
cadence: 7d
max_iterations_total: 5
executor_command: echo METRIC loss=1
"""
CRON = """\
set -e
mount -t tmpfs tmpfs /var/spool/cron
mkdir -m 1730 /var/spool/cron/crontabs
mount -t tmpfs tmpfs /run
"$1" "$2" schedule install --every 1m --backend cron --data-root "$3"
crontab -l
exec cron -f
"""


class Soak:
    """Two labs, whoever lives in them, and what was seen."""

    def __init__(self, setting: Setting, seconds: float) -> None:
        self.rng = random.Random(setting.seed)
        self.seconds = seconds
        self.quick = setting.quick
        os.makedirs(f"{setting.disk}/soak")
        self.lab = Crowded(f"{setting.disk}/soak", cadence="1s" if setting.quick else CADENCE, study_runs=STUDY_RUNS)
        self.idle = self._idle(f"{setting.disk}/idle")
        self.gauge = Gauge()
        self.told: Counter[str] = Counter()
        self.broken: list[str] = []
        self.ticks: dict[subprocess.Popen[bytes], float] = {}  # and when each is killed
        self.doomed: set[int] = set()
        self.wide = open(f"{setting.disk}/said", "ab")  # noqa: SIM115  # lives as long as this
        self.worker = self._live("worker", "--executor-class", "queue", "--every", "3", "--quiet")
        self.serve, self.page = self._served()
        self.cron = self._cron()

    def _idle(self, path: str) -> str:
        """A lab in which everything has run, and nothing is due for a week."""
        os.makedirs(path)
        home = f"{path}/lab"
        _labctl("init", home=home)
        for number in range(20):
            with open(f"{path}/i-{number}.yaml", "w", encoding="utf-8") as file:
                file.write(IDLE.format(id=f"i-{number}"))
            _labctl("create", f"{path}/i-{number}.yaml", home=home)
        _labctl("run-once", "--max-runs", "99", home=home)
        _labctl("run-once", home=home)
        return home

    def _live(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.lab.command(*words), stdin=subprocess.DEVNULL, stdout=self.wide, stderr=self.wide, process_group=0
        )

    def _served(self) -> tuple[subprocess.Popen[bytes], str]:
        process = subprocess.Popen(
            self.lab.command("serve", "--port", "0", "--json"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self.wide, process_group=0,
        )  # fmt: skip
        line = process.stdout.readline() if process.stdout is not None else b"{}"
        return process, str(json.loads(line)["data"]["url"])

    def _cron(self) -> subprocess.Popen[bytes] | None:
        if os.geteuid() or not (shutil.which("cron") and shutil.which("unshare")):
            return None
        command = ["unshare", "--mount", "sh", "-c", CRON, "sh", sys.executable, SHIM, self.lab.path]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.wide, stderr=self.wide, process_group=0)

    # -- what happens ----------------------------------------------------------------------------------------------

    def go(self) -> None:
        begun_s = time.monotonic()
        tick_s = sample_s = begun_s
        while (now_s := time.monotonic()) - begun_s < self.seconds:
            if now_s >= tick_s:
                self._tick()
                tick_s = now_s + (1.0 if self.quick else TICK_EVERY_S)
            self._reap(now_s)
            if now_s >= sample_s:
                self._look()
                self._sample()
                sample_s = now_s + (0.5 if self.quick else SAMPLE_EVERY_S)
            time.sleep(0.05)

    def _tick(self) -> None:
        process = self._live("run-once", "--quiet", *self.rng.choice(((), ("--jobs", "2"), ("--max-runs", "1"))))
        self.told["ticks of the driver"] += 1
        kill_s = time.monotonic() + self.rng.random() * 2 if self.rng.random() < KILL_SHARE else 0.0
        self.ticks[process] = kill_s

    def _reap(self, now_s: float) -> None:
        for process, kill_s in list(self.ticks.items()):
            code = process.poll()
            if code is None and kill_s and now_s >= kill_s:
                self.told["ticks that were killed"] += 1
                self.doomed.add(process.pid)
                process.kill()
            elif code is not None:
                del self.ticks[process]
                if code not in OURS and process.pid not in self.doomed:
                    self.broken.append(f"a tick ended with {code}")

    def _look(self) -> None:
        """A person looks, and a browser is open."""
        for words in (
            ("status",),
            ("list",),
            ("show", self.rng.choice(self.lab.names)),
            ("dispatch-ready", "--executor-class", "queue"),
        ):
            spent_s, code = _spent(self.lab.command(*words))
            if words == ("status",):
                self.gauge.add("status: CPU", spent_s * 1000)
            self.told["looks"] += 1
            if code not in OURS:
                self.broken.append(f"{' '.join(words)} ended with {code}")
        for page in ("", f"experiments/{self.rng.choice(self.lab.names)}"):
            try:
                with urllib.request.urlopen(f"{self.page}{page}", timeout=30) as answer:  # noqa: S310  # our own server
                    answer.read()
                    self.told["pages served"] += 1
            except urllib.error.HTTPError as error:
                self.broken.append(f"serve: /{page}: {error}: {_words(error.read())[-600:]}")
            except OSError as error:
                self.broken.append(f"serve: /{page}: {error}")
        for name, process in (("serve", self.serve), ("worker", self.worker)):
            if process.poll() is not None:
                self.broken.append(f"{name} ended with {process.returncode}")

    def _sample(self) -> None:
        add, top = self.gauge.add, self.lab.path
        before = identities(self.idle)
        spent_s, code = _spent([sys.executable, SHIM, "run-once", "--data-root", self.idle])
        after = identities(self.idle)
        changed = [path for path in {*before, *after} if before.get(path) != after.get(path)]
        add("an idle tick: CPU", spent_s * 1000)
        add("an idle tick: files that it changed", len(changed))
        add("an idle tick: bytes that it wrote", sum(after.get(path, (0, 0, 0))[1] for path in changed))
        if code or changed:
            self.broken.append(f"an idle tick ended with {code} and changed {changed[:5]}")
        for name, process in (("serve", self.serve), ("worker", self.worker)):
            add(f"{name}: memory", memory_kib(process.pid))
            add(f"{name}: open files", count(f"/proc/{process.pid}/fd"))
        add("serve: threads", count(f"/proc/{self.serve.pid}/task"))
        working = 2 + len(self.ticks)
        add("processes beside those at work", max(0, len(self.lab.processes()) - working))
        for name in ("scratch", "dispatch", "registry/locks", "registry/cache"):
            files, size = sizes(f"{top}/{name}")
            for unit, value in (("files", files), ("bytes", size)):
                if f"{name}{'/' if '/' not in name else ''}: {unit}" in self.gauge.samples:
                    add(f"{name}{'/' if '/' not in name else ''}: {unit}", value)
        add("the log of ticks: bytes", sizes(f"{top}/registry/logs")[1])
        root = open_root(top)
        runs = sum(len(bundles.names(root, name)) for name in os.listdir(root.layout.experiments))
        add("disk a sealed run: bytes", sizes(f"{top}/experiments")[1] / max(1, runs))
        drafts = sum(name.endswith(".draft") for _, folders, names in os.walk(top) for name in (*folders, *names))
        add("drafts", drafts)

    # -- the end ---------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Everybody goes home: cron, the worker, the server, the last ticks."""
        if self.cron is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.cron.pid, signal.SIGTERM)
            self.cron.wait()
        for process in (self.worker, self.serve):
            process.send_signal(signal.SIGTERM)
        limit_s = time.monotonic() + END_S
        waiting = [*self.ticks, self.worker, self.serve]
        while any(process.poll() is None for process in waiting) and time.monotonic() < limit_s:
            time.sleep(0.05)
        for process in waiting:
            if process.poll() is None:
                self.broken.append(f"{' '.join(map(str, process.args))} does not end")  # type: ignore[arg-type]
                process.kill()
                process.wait()
        self.wide.close()


def _words(page: bytes) -> str:
    """What a page says."""
    return " ".join(re.sub(r"<[^>]*>", " ", page.decode(errors="replace")).split())


def _labctl(*words: str, home: str) -> None:
    subprocess.run(
        [sys.executable, SHIM, *words, "--data-root", home, "--quiet"], stdin=subprocess.DEVNULL, check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


def _spent(command: list[str]) -> tuple[float, int]:
    """CPU of a whole process, and its exit code."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime, process.returncode


def hour(setting: Setting) -> list[Finding]:
    seconds = setting.seconds or (QUICK_S if setting.quick else WHOLE_S)
    soak = Soak(setting, seconds)
    told = Told()
    try:
        soak.go()
        soak.end()
        by_cron = crontab_ticks(soak.lab.path)
        crowd_judge.settle(soak.lab, told)
        promises = crowd_judge.judged(soak.lab, told)
        counts = crowd_judge.counted(soak.lab)
    finally:
        for process in (soak.cron, soak.worker, soak.serve, *soak.ticks):
            if process is not None and process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        soak.lab.close()
    cron = (
        f"{by_cron:,} lines told by ticks of cron"
        if soak.cron is not None
        else "no cron: it needs root, cron and unshare"
    )
    done = ", ".join([cron, *(f"{number:,} {name}" for name, number in sorted(soak.told.items()))])
    runs = ", ".join(f"{number:,} {name}" for name, number in counts.most_common())
    silent = ["cron never ticked"] if soak.cron is not None and not by_cron and seconds > 2 * 60 else []
    found = [
        report.Finding(what=f"{seconds:,.0f} s", tried=done, promise="exit codes of labctl's own", broken=soak.broken),
        report.Finding(what="cron", tried=cron, promise="it ticks as it was installed", broken=silent),
    ]
    found += [
        # What has just begun grows: a sample of some seconds shows it, and judges nothing.
        report.Finding(what=name, tried=shown, promise="does not grow", broken=[] if setting.quick else broken)
        for name, shown, broken in soak.gauge.rows()
    ]
    found.append(report.Finding(what="runs", tried=runs, promise="everything goes on", broken=told.broken))
    return found + [
        report.Finding(what="the lab afterwards", tried=f"{sum(counts.values()):,} runs", promise=name, broken=broken)
        for name, broken in promises.items()
    ]


def crontab_ticks(path: str) -> int:
    """How many runs were told into the log that only cron's line writes; one that had nothing due says nothing."""
    with suppress(OSError), open(f"{path}/registry/logs/run-once.log", encoding="utf-8") as file:
        return sum(1 for line in file if line.strip())
    return 0


if __name__ == "__main__":
    report.run(__doc__, {"hour": hour})
