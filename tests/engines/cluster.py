"""A private Slurm on this machine: munged, slurmctld and a slurmd for each node, on loopback, up in a second.

Nothing of the machine is configured for it, and nothing stays: `stop` ends the daemons, the steps and the jobs.
Its nodes claim more CPUs than there are, so that jobs need not wait for each other; `cpus` says otherwise.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
CGROUPS = Path("/sys/fs/cgroup")
CPUS, MEMORY_MB = 64, 16_000
LIMIT_S = 20.0
KILL_WAIT_S = 2
SOCKET_CHARS = 107  # that a path of one may have; a keeper of jobs that cannot make its own is never heard of
PORTS = range(12_000, 32_000)  # below those that the kernel gives to whoever asks, also while a daemon is down
_DEATH_SIGNAL = 1


def missing() -> tuple[str, ...]:
    """The programs that are not here: Debian has them in slurm-wlm and munge."""
    where = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    return tuple(program for program in PROGRAMS if shutil.which(program, path=where) is None)


def can_confine() -> bool:
    """Whether Slurm may make cgroups here: only with them it finds a process that left its session."""
    return os.geteuid() == 0 and all(os.access(CGROUPS / name, os.W_OK) for name in ("memory", "devices", "freezer"))


class Cluster:
    """Daemons of one Slurm. `environ` is what a program needs to speak to it, `conf` is its slurm.conf."""

    def __init__(self, folder: Path, *, nodes: int = 2, gpus: int = 1, cpus: int = CPUS, more: str = "") -> None:
        self.folder = folder
        self.conf = str(folder / "slurm.conf")
        self.environ = {"SLURM_CONF": self.conf}
        self.ports = _free_ports(nodes + 1)
        # Control groups are named by node: no other cluster of this machine may have these. And sockets are short.
        self.name = f"c{hashlib.sha256(f'{folder} {self.ports}'.encode()).hexdigest()[:7]}"
        self.nodes = tuple(f"{self.name}n{number + 1}" for number in range(nodes))
        self.confined = can_confine()
        self._gpus = gpus
        self._cpus = cpus
        self._more = more
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    # -- up and down --------------------------------------------------------------------------------------------

    def start(self) -> None:
        sockets = [f"{self.folder}/spool.{node}/{node}_9999999.4294967291" for node in self.nodes]
        assert max(map(len, sockets)) <= SOCKET_CHARS, f"{sockets[-1]} is too long for a socket: take a shorter folder"
        for name in ("state", "log", "run", "munge"):
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / "munge/key").write_bytes(os.urandom(128))
        (self.folder / "munge/key").chmod(0o600)
        self._write()
        self.start_munge()
        self.start_controller()
        for node in self.nodes:
            self.start_node(node)
        self.wait("the nodes are idle", lambda: self.sinfo() == ["idle"] * len(self.nodes))

    def stop(self) -> None:
        for name in reversed(tuple(self._daemons)):
            self.kill(name)
        _end(self.processes())
        if self.confined:
            for node in self.nodes:
                for tree in CGROUPS.glob(f"*/slurm_{node}"):
                    _remove_cgroups(tree)

    def start_munge(self) -> None:
        at = self.folder
        self._launch(
            "munged", "--foreground", "--force", f"--key-file={at}/munge/key", f"--socket={at}/run/munge.sock",
            f"--pid-file={at}/run/munged.pid", f"--log-file={at}/log/munged.log", f"--seed-file={at}/munge/seed",
            "--num-threads=2",
        )  # fmt: skip
        self.wait("munged listens", (at / "run/munge.sock").exists)

    def start_controller(self) -> None:
        self._launch("slurmctld", "-D", "-f", self.conf)
        self.wait("slurmctld answers", lambda: self.call("scontrol", "ping", check=False).returncode == 0)

    def start_node(self, node: str, *, without: Path | None = None) -> None:
        """`without` is a folder that this node does not see, as when a file system is not mounted there."""
        daemon: tuple[str, ...] = ("slurmd", "-D", "-f", self.conf, "-N", node)
        if without is not None:
            hiding = 'mount -t tmpfs none "$0" && exec "$@"'
            daemon = ("unshare", "--mount", "sh", "-c", hiding, str(without), *daemon)
        self._launch(*daemon, name=node)

    def kill(self, name: str) -> None:
        """`kill -9` of munged, slurmctld, or of the slurmd of a node; its jobs live on."""
        daemon = self._daemons.pop(name)
        daemon.kill()
        daemon.wait()

    def shut_down_controller(self) -> None:
        """In good order: what it knows is written down."""
        self.call("scontrol", "shutdown", "slurmctld")
        self._daemons.pop("slurmctld").wait(timeout=LIMIT_S)

    # -- to be asked ----------------------------------------------------------------------------------------------

    def call(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin", "LC_ALL": "C", **self.environ}
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=check, timeout=60)

    def sinfo(self) -> list[str]:
        """The state of each node."""
        return self.call("sinfo", "-h", "-N", "-p", "main", "-o", "%T", check=False).stdout.split()

    def jobs(self) -> dict[str, str]:
        """State by number, of those that have ended too."""
        said = self.call("squeue", "-h", "-t", "all", "-o", "%i %T").stdout.split()
        return dict(zip(said[::2], said[1::2], strict=True))

    def names(self) -> list[str]:
        """The name of each job, of those that have ended too."""
        return self.call("squeue", "-h", "-t", "all", "-o", "%j").stdout.split()

    def mend(self) -> None:
        """What an operator does after an accident: every node takes jobs again."""
        for node in self.nodes:
            self.call("scontrol", "update", f"nodename={node}", "state=resume", check=False)

    def steps(self, number: str = "") -> list[int]:
        """The slurmstepd processes of this cluster, or of one of its jobs."""
        return [pid for pid in self.processes() if f"slurmstepd: [{number}" in _title(pid)]

    def processes(self) -> list[int]:
        """Every process of this cluster but the daemons: steps, and what jobs started and did not hide."""
        marks = (f"SLURM_CONF={self.conf}".encode(), f"SLURM_CLUSTER_NAME={self.name}".encode())
        own = {os.getpid(), *(daemon.pid for daemon in self._daemons.values())}
        found = []
        for pid in (int(entry) for entry in os.listdir("/proc") if entry.isdecimal()):
            with suppress(OSError):
                variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                if pid not in own and any(mark in variables for mark in marks):
                    found.append(pid)
        return found

    def wait(self, what: str, true: Callable[[], bool], *, limit_s: float = LIMIT_S, pause_s: float = 0.02) -> None:
        until_s = time.monotonic() + limit_s
        while not true():
            if time.monotonic() > until_s:
                raise AssertionError(f"not within {limit_s:.0f} s: {what}\n{self.report()}")
            time.sleep(pause_s)

    def report(self) -> str:
        """The end of every log, and the queue: for who reads a test that failed."""
        lines = [self.call("squeue", "-t", "all", "-o", "%i %T %r %N %j", check=False).stdout]
        for log in sorted((self.folder / "log").iterdir()):
            lines += [f"== {log.name}", *log.read_text(errors="replace").splitlines()[-12:]]
        return "\n".join(lines)

    # -- how it is made -------------------------------------------------------------------------------------------

    def _launch(self, *command: str, name: str = "") -> None:
        environ = {"PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin", **self.environ}
        with open(self.folder / "log" / f"{name or command[0]}.said", "ab") as said:
            self._daemons[name or command[0]] = subprocess.Popen(
                command, env=environ, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=self.folder,
                start_new_session=True, preexec_fn=_die_with_parent,  # noqa: PLW1509  # it calls prctl and nothing else
            )  # fmt: skip

    def _write(self) -> None:
        at, host, user = self.folder, socket.gethostname().partition(".")[0], pwd.getpwuid(os.geteuid()).pw_name
        tracked = "proctrack/cgroup" if self.confined else "proctrack/linuxproc"
        task = "task/cgroup" if self.confined else "task/none"
        gres = f" Gres=gpu:{self._gpus}" if self._gpus else ""
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} "
            f"CPUs={self._cpus} RealMemory={MEMORY_MB}{gres}"
            for node, port in zip(self.nodes, self.ports[1:], strict=True)
        )
        Path(self.conf).write_text(
            CONF.format(
                name=self.name, host=host, user=user, at=at, port=self.ports[0], tracked=tracked, task=task,
                gres="GresTypes=gpu" if self._gpus else "", kill_wait_s=KILL_WAIT_S, nodes=nodes, more=self._more,
                all_nodes=",".join(self.nodes),
            )
        )  # fmt: skip
        (at / "cgroup.conf").write_text(CGROUP_CONF)
        lines = [f"NodeName={node} Name=gpu File={self._device(n)}" for node in self.nodes for n in range(self._gpus)]
        (at / "gres.conf").write_text("\n".join(lines) + "\n")

    def _device(self, number: int) -> str:
        """Something that Slurm takes for a GPU: a device that nobody has, or one that everybody has."""
        if os.geteuid() != 0:
            return ("/dev/null", "/dev/zero")[number]
        path = self.folder / f"gpu{number}"
        if not path.exists():
            os.mknod(path, 0o600 | 0o020000, os.makedev(195, number))
        return str(path)


@contextmanager
def running(folder: Path, *, nodes: int = 2, gpus: int = 1, cpus: int = CPUS, more: str = "") -> Iterator[Cluster]:
    cluster = Cluster(folder, nodes=nodes, gpus=gpus, cpus=cpus, more=more)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@contextmanager
def alone(*, nodes: int = 2, more: str = "") -> Iterator[Cluster]:
    """One in a folder of its own, which is gone afterwards. Where tests write, paths are too long for it."""
    place = tempfile.TemporaryDirectory(prefix="lc-", dir="/tmp", ignore_cleanup_errors=True)
    with place, running(Path(place.name), nodes=nodes, more=more) as cluster:
        yield cluster


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        port = random.choice(PORTS)
        with suppress(OSError), socket.socket() as each:
            each.bind(("127.0.0.1", port))
            found += [port] if port not in found else []
    return found


def _title(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def _end(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _remove_cgroups(tree: Path) -> None:
    until_s = time.monotonic() + LIMIT_S
    for folder, _, files in os.walk(tree, topdown=False):
        if "cgroup.procs" not in files:
            continue
        while time.monotonic() < until_s:
            with suppress(OSError):
                _end([int(pid) for pid in Path(folder, "cgroup.procs").read_text().split()])
                Path(folder).rmdir()
                break
            time.sleep(0.01)


CGROUP_CONF = """\
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
CgroupAutomount=no
ConstrainCores=no
ConstrainRAMSpace=yes
ConstrainDevices=yes
"""
CONF = """\
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={at}/run/munge.sock
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={port}
StateSaveLocation={at}/state
SlurmdSpoolDir={at}/spool.%n
SlurmctldPidFile={at}/run/slurmctld.pid
SlurmdPidFile={at}/run/slurmd.%n.pid
SlurmctldLogFile={at}/log/slurmctld.log
SlurmdLogFile={at}/log/slurmd.%n.log
ProctrackType={tracked}
TaskPlugin={task}
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
{gres}
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,sched_interval=1,batch_sched_delay=0,default_queue_depth=1000,bf_interval=1
SlurmdParameters=config_overrides

MinJobAge=3600
MessageTimeout=3
EnforcePartLimits=ALL
ReturnToService=2
SlurmctldTimeout=60
SlurmdTimeout=10
KillWait={kill_wait_s}
JobRequeue=0
MpiDefault=none
SwitchType=switch/none
{nodes}
PartitionName=main Nodes={all_nodes} Default=YES MaxTime=600 State=UP
PartitionName=closed Nodes={all_nodes} MaxTime=600 State=INACTIVE
{more}
"""
