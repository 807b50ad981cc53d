"""What a run stands on: the device that is here, what it can do, how much memory it has, and how a step is cut to fit.

Frozen, with harness.py. A lab is not known here.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import resource
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

# Before torch: a thread that waits must sleep. Spinning costs a busy machine seven times the CPU time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")  # pieces of odd sizes are used again

STARTED = time.monotonic()
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [] if HERE in sys.path else [HERE]
try:
    import torch
    import torch.distributed as dist
    from prepare import Refused
except ModuleNotFoundError as absent:
    print(f"train.py: {absent.name} is not installed for {sys.executable}", file=sys.stderr)
    print("  fix: pip install 'labctl[train]'", file=sys.stderr)
    raise SystemExit(5) from None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What it runs on, and what was made of that."""

    device: torch.device
    name: str
    dtype: torch.dtype  # of activations and products; weights and the optimizer's state are fp32 everywhere
    compiled: bool
    attention: str  # flash, flex or sdpa
    memory: float  # bytes that a run may take
    base: float = 0.0  # bytes of the process before there is a model, where that is counted
    threads: int = 1
    rank: int = 0
    world: int = 1

    @property
    def kind(self) -> str:
        return str(self.device.type)

    @property
    def precision(self) -> str:
        return {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[self.dtype]

    @property
    def products(self) -> str:
        """The type that its matrix units compute in: fp32 goes through them as tf32 where they know it."""
        fp32 = self.kind == "cuda" and self.dtype == torch.float32
        if fp32 and torch.cuda.get_device_capability(self.device)[0] >= 8:  # noqa: PLR2004  # Ampere
            return "tf32"
        return self.precision

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.kind == "cuda":
            torch.cuda.synchronize()
        elif self.kind == "mps":
            torch.mps.synchronize()

    def peak_bytes(self) -> float:
        """The most that was in use: of the device's memory, on a CPU of the process."""
        if self.kind == "cuda":
            return float(torch.cuda.max_memory_allocated())
        if self.kind == "mps":
            return float(torch.mps.driver_allocated_memory())
        most = first_match("/proc/self/status", r"VmHWM:\s+(\d+) kB")  # ru_maxrss begins with that of the parent
        return float(most) * 1024 if most else float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    def words(self) -> str:
        compiled = "compiled" if self.compiled else "not compiled"
        many = f" x {self.world}" if self.world > 1 else ""
        attention = f"attention {self.attention}"
        return f"{self.name} ({self.kind}{many}), {self.precision}, {attention}, {compiled}, threads {self.threads}"


def detect(config: Any) -> Machine:  # the Config of whatever train.py it is
    """What is here, set up as it is best. With --plan and --vram-gb: a card that need not be here."""
    if config.plan and config.vram_gb:
        return elsewhere(config)
    rank, world, local = (int(os.environ.get(*at)) for at in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0")))
    device = wanted_device(config.device, local)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = config.threads or int(os.environ.get("OMP_NUM_THREADS") or 0) or max(1, min(4, cores // world))
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # what is nearly 0 costs a CPU a hundred times what 0 does
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.set_float32_matmul_precision("high")
        memory, name = float(torch.cuda.mem_get_info(device)[0]) * 0.94, str(torch.cuda.get_device_name(device))
    elif device.type == "mps":
        memory, name = float(torch.mps.recommended_max_memory()) * 0.9, f"{platform.machine()} (Metal)"
    else:
        keep_pages()
        memory, name = (
            free_memory() * 0.9 / world,
            first_match("/proc/cpuinfo", r"model name\s*: (.*)") or platform.machine(),
        )
    base = resident() if device.type == "cpu" else 0.0
    if config.vram_gb:
        memory = max(0.0, config.vram_gb * (1 << 30) - (base or 600 << 20))  # a CUDA context takes 0.6 GB for itself
    if world > 1:
        meet("nccl" if device.type == "cuda" else "gloo", rank, world)
    dtype, compiled = (
        precision_of(config, device),
        config.compile == "on" or (config.compile, device.type) == ("auto", "cuda"),
    )
    flash = device.type == "cuda" and dtype != torch.float32 and find_spec("flash_attn") is not None
    attention = "flash" if flash else "flex" if compiled and device.type == "cuda" else "sdpa"
    return Machine(device=device, name=name, dtype=dtype, compiled=compiled, attention=attention, memory=memory,
                   base=base, threads=threads, rank=rank, world=world)  # fmt: skip


def meet(back_end: str, rank: int, world: int) -> None:
    """The processes of a torchrun find each other; after a restart where none of the dead has left a word."""
    again = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    if not again or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        dist.init_process_group(back_end)
        return
    from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]  # noqa: PLC0415  # not in all builds

    common = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), world, is_master=False)
    dist.init_process_group(back_end, store=PrefixStore(f"again-{again}", common), rank=rank, world_size=world)


def elsewhere(config: Any) -> Machine:  # the same
    """A card to plan for: CUDA with bf16, unless something else was asked for."""
    kind = "cuda" if config.device == "auto" else config.device.partition(":")[0]
    named = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    dtype = named.get(config.precision, torch.bfloat16 if kind == "cuda" else torch.float32)
    own = 600 << 20 if kind == "cuda" else 0
    memory, attention = config.vram_gb * (1 << 30) * 0.94 - own, "flex" if kind == "cuda" else "sdpa"
    return Machine(device=torch.device(kind), name=f"a device with {config.vram_gb:g} GB", dtype=dtype,
                   compiled=kind == "cuda", attention=attention, memory=memory)  # fmt: skip


def wanted_device(wish: str, local_rank: int) -> torch.device:
    """The device that was asked for, else the best that is here."""
    cuda, mps = torch.cuda.device_count() if torch.cuda.is_available() else 0, torch.backends.mps.is_available()
    here = ", ".join(["cpu", *["mps"] * mps, *[f"cuda:{at}" for at in range(cuda)]])
    kind, _, index = (
        ("cuda" if cuda else "mps" if mps else "cpu").partition(":") if wish == "auto" else wish.partition(":")
    )
    if (kind == "cuda" and int(index or local_rank) >= cuda) or (kind == "mps" and not mps):
        raise Refused(f"--device {wish} is not here; here: {here}", fix="leave --device away, or name one that is here")
    return torch.device("cuda", int(index or local_rank)) if kind == "cuda" else torch.device(kind)


def precision_of(config: Any, device: torch.device) -> torch.dtype:  # the same
    """By what the device can: bf16 from Ampere on, fp16 with scaled losses on Volta and Turing, fp32 elsewhere."""
    if config.precision != "auto":
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[config.precision]
    major = torch.cuda.get_device_capability(device)[0] if device.type == "cuda" else 0
    return torch.bfloat16 if major >= 8 else torch.float16 if major == 7 else torch.float32  # noqa: PLR2004  # as said


def keep_pages(size: int = 1 << 30) -> None:
    """Let the allocator keep what was freed: to take the same pages from the kernel at each step costs time.

    Not in evaluation: there each small result would lie in the hole of a large one, and the heap would grow for ever.
    """
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        for option in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            ctypes.CDLL(None).mallopt(option, size)


def first_match(path: str, pattern: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            found = re.search(pattern, file.read())
    except OSError:
        return ""
    return found[1] if found else ""


def resident() -> float:
    """Bytes of this process that are in memory now."""
    pages = first_match("/proc/self/statm", r"^\d+ (\d+)")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # elsewhere: at the start it is the same
    return float(pages) * resource.getpagesize() if pages else float(most)


def free_memory() -> float:
    """Bytes that a program may still take, from the machine or from the control group that it is in."""
    all_of_it = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = float(first_match("/proc/meminfo", r"MemAvailable: +(\d+) kB") or all_of_it / 1024) * 1024
    most, used = (first_match(f"/sys/fs/cgroup/memory.{name}", r"^(\d+)$") for name in ("max", "current"))
    return min(free, float(most) - float(used or 0)) if most else free


def say(text: str) -> None:
    """Words for whoever looks on: they are no part of the numbers."""
    if os.environ.get("RANK", "0") == "0":
        print(text, file=sys.stderr, flush=True)


def megabytes(size: float) -> float:
    return size / (1 << 20)


# ---------------------------------------------------------------------------------------- what fits, before it is tried


@dataclass(frozen=True)
class Plan:
    """How a step is cut up, and what it is taken to need."""

    rows: int  # at once, on one device
    accumulation: int
    checkpointing: bool
    parts: dict[str, float]  # bytes, by what they are for

    @property
    def bytes(self) -> float:
        return sum(self.parts.values())

    def words(self) -> str:
        return ", ".join(f"{name} {megabytes(size):,.0f}" for name, size in self.parts.items())


def divisor() -> int:
    """2 where it ran out of memory before, and is run with half the device batch."""
    return max(1, int(os.environ.get("LAB_DEVICE_BATCH_DIVISOR") or 1))


def cut_up(rows: int, most: int, checkpointing: str, parts: Callable[[int, bool], dict[str, float]]) -> list[Plan]:
    """Ways to run a step of so many rows on a device, at most so many at once, the fastest first."""
    ways: Iterable[bool] = {"auto": (False, True), "on": (True,), "off": (False,)}[checkpointing]
    counts = [count for count in range(min(rows, most), 0, -1) if rows % count == 0]
    return [Plan(count, rows // count, way, parts(count, way)) for way in ways for count in counts]


def fitting(plans: list[Plan], memory: float) -> Plan | None:
    """The fastest that fits; where that ran out of memory, one with half its rows at once."""
    first = next((plan for plan in plans if plan.bytes <= memory), None)
    if first is None or divisor() == 1:
        return first
    fewer = max(1, first.rows // divisor())
    return next(plan for plan in plans if plan.checkpointing == first.checkpointing and plan.rows <= fewer)


def tell_plan(shape: str, tokens: int, plan: Plan, machine: Machine) -> None:
    """What was found, and what was made of it."""
    kept = ", with gradient checkpointing" if plan.checkpointing else ""
    halved = ", halved after it ran out of memory" if divisor() > 1 else ""
    before = f", Python and torch {megabytes(machine.base):,.0f}" if machine.base else ""
    say(f"device: {machine.words()}")
    say(f"shape: {shape}")
    say(f"step: {tokens} tokens, {plan.accumulation} x {plan.rows} rows on each device{kept}{halved}")
    say(f"memory: {megabytes(plan.bytes + machine.base):,.0f} MB estimated ({plan.words()}{before}), "
        f"{megabytes(machine.memory + machine.base):,.0f} MB are there")  # fmt: skip
