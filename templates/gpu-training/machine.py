"""What a run stands on: the device that is here, what it can do, how much memory it has, and how a step is cut to fit.

Frozen, with harness.py. A lab is not known here.
"""

from __future__ import annotations

import ctypes
import math
import os
import platform
import re
import resource
import shutil
import sys
import time
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

# Before torch: a thread that waits must sleep. Spinning costs a busy machine seven times the CPU time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
if "PYTORCH_ALLOC_CONF" not in os.environ:  # its name from torch 2.9 on; what somebody set there is not overruled
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
    capability: int = 0  # of CUDA: 75 is 7.5; of several devices the least
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
        fp32 = self.kind == "cuda" and self.dtype == torch.float32 and torch.version.hip is None  # AMD has no tf32 here
        if fp32 and torch.cuda.get_device_capability(self.device)[0] >= 8:  # noqa: PLR2004  # Ampere
            return "tf32"
        return self.precision

    def suited(self, head_dim: int, length: int) -> Machine:
        """With an attention that can be had for heads of so many channels and rows of so many tokens."""
        much = head_dim > MOST_SHARED and self.capability not in {80, 90, 100, 103}  # shared memory of others is less
        if self.attention != "flex" or not (much or head_dim < LEAST_OF_FLEX or length > LONGEST_OF_FLEX):
            return self
        say(f"attention: sdpa, not flex, for heads of {head_dim} channels and rows of {length} tokens")
        return replace(self, attention="sdpa")

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
        if self.kind == "mps":  # it tells no peak; what its allocator took from the driver it keeps
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
    device = wanted_device(config.device, local, world)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = config.threads or whole_from("OMP_NUM_THREADS") or max(1, min(4, cores // world))
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # what is nearly 0 costs a CPU a hundred times what 0 does
    capability = 0
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.set_float32_matmul_precision("high")
        major, minor = torch.cuda.get_device_capability(device)
        memory, name, capability = free_on(device), str(torch.cuda.get_device_name(device)), 10 * major + minor
    elif device.type == "mps":
        memory, name = float(torch.mps.recommended_max_memory()) * 0.9, f"{platform.machine()} (Metal)"
    else:
        keep_pages()
        memory, name = (
            free_memory() * 0.9 / world,
            first_match("/proc/cpuinfo", r"model name\s*: (.*)") or platform.machine(),
        )
    base = resident() if device.type == "cpu" else 0.0
    if config.vram_gb:  # less than is there may be wished for, not more
        memory = min(memory, max(0.0, config.vram_gb * (1 << 30) * 0.94 - (base or CONTEXT)))
    no_compile, no_flash = (no_compiler(capability), no_flash_attn(capability)) if device.type == "cuda" else ("-", "-")
    if world > 1:  # before anything is chosen: each rank for itself would choose another model, type or scale
        meet("nccl" if device.type == "cuda" else "gloo", rank, world)
        memory, capability, can_compile, can_flash = least(device, memory, capability, not no_compile, not no_flash)
        no_compile = "" if can_compile else no_compile or "another of the devices has no compiler"
        no_flash = "" if can_flash else no_flash or "another of the devices has none"
    dtype = precision_of(config, capability)
    compiled = config.compile == "on" or (config.compile == "auto" and not no_compile)
    if device.type == "cuda" and no_compile and config.compile == "auto":
        say(f"compile: off, for {no_compile}")
    if compiled and device.type == "cpu":
        say("compile: on; what the compiler takes is no part of the estimate of memory")
    attention = attention_of(capability, dtype, compiled=compiled, flash=not no_flash)
    return Machine(device=device, name=name, dtype=dtype, compiled=compiled, attention=attention, memory=memory,
                   capability=capability, base=base, threads=threads, rank=rank, world=world)  # fmt: skip


AMPERE, VOLTA = 80, 70  # bf16, and kernels that FlexAttention and flash-attn have; what a compiler still knows
MOST_SHARED, LEAST_OF_FLEX, LONGEST_OF_FLEX = 128, 16, 1 << 15  # channels, channels, and tokens: its mask is made whole
CONTEXT = 600 << 20  # bytes that a CUDA context takes for itself


def free_on(device: torch.device) -> float:
    return float(torch.cuda.mem_get_info(device)[0]) * 0.94


def no_compiler(capability: int) -> str:
    """Why torch.compile would fail at the first step on a card; nothing where it would not."""
    if capability < VOLTA:
        return f"a capability of {capability / 10} is below the compiler's 7.0"
    if find_spec("triton") is None:
        return "triton is not installed"
    if not os.environ.get("CC") and not any(map(shutil.which, ("gcc", "clang", "cc"))):
        return "there is no C compiler: neither CC nor gcc nor clang"
    return ""


def no_flash_attn(capability: int) -> str:
    """Why flash-attn cannot be used. One that is installed for another torch is found, and fails when it is loaded."""
    if find_spec("flash_attn") is None:
        return "flash-attn is not installed"
    if capability < AMPERE:
        return f"a capability of {capability / 10} is below flash-attn's 8.0"
    try:
        from flash_attn import flash_attn_func  # noqa: F401, PLC0415  # only where it is installed
    except Exception as error:  # noqa: BLE001  # a stranger's build: what it raises is not ours to know
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        say(f"attention: flash-attn is installed and cannot be loaded ({why})")
        return "it cannot be loaded"
    return ""


def attention_of(capability: int, dtype: torch.dtype, *, compiled: bool, flash: bool) -> str:
    """The fastest that works: FlexAttention is broken below Ampere, in torch 2.5, and pointless uncompiled."""
    if capability < AMPERE:
        return "sdpa"
    if flash and dtype != torch.float32:
        return "flash"
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    return "flex" if compiled and version >= (2, 6) else "sdpa"


def least(device: torch.device, *own: float) -> list[int]:
    """Of each number the smallest that any process has."""
    numbers = torch.tensor([float(one) for one in own], dtype=torch.float64, device=device)
    dist.all_reduce(numbers, dist.ReduceOp.MIN)
    return [int(one) for one in numbers.tolist()]


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
    own = CONTEXT if kind == "cuda" else 0
    memory = max(0.0, config.vram_gb * (1 << 30) * 0.94 - own)
    attention = "flex" if kind == "cuda" else "sdpa"
    return Machine(device=torch.device(kind), name=f"a device with {config.vram_gb:g} GB", dtype=dtype,
                   compiled=kind == "cuda", attention=attention, memory=memory,
                   capability=AMPERE if kind == "cuda" else 0)  # fmt: skip


def wanted_device(wish: str, local_rank: int, world: int = 1) -> torch.device:
    """The device that was asked for, else the best that is here."""
    cuda, mps = torch.cuda.device_count() if torch.cuda.is_available() else 0, torch.backends.mps.is_available()
    here = ", ".join(["cpu", *["mps"] * mps, *[f"cuda:{at}" for at in range(cuda)]])
    kind, _, index = (
        ("cuda" if cuda else "mps" if mps else "cpu").partition(":") if wish == "auto" else wish.partition(":")
    )
    if world > 1 and (index or kind == "mps"):  # all of them would be put on one
        fix = (
            f"CUDA_VISIBLE_DEVICES={index} and one process, or --device cuda"
            if index
            else "one process, or --device cpu"
        )
        raise Refused(f"{world} processes would share one device, {kind}{index and ':'}{index}", fix=fix)
    if (kind == "cuda" and int(index or local_rank) >= cuda) or (kind == "mps" and not mps):
        raise Refused(f"--device {wish} is not here; here: {here}", fix="leave --device away, or name one that is here")
    return torch.device("cuda", int(index or local_rank)) if kind == "cuda" else torch.device(kind)


def precision_of(config: Any, capability: int) -> torch.dtype:  # the same
    """By what the device can: bf16 from Ampere on, fp16 with scaled losses on Volta and Turing, fp32 elsewhere."""
    if config.precision != "auto":
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[config.precision]
    return torch.bfloat16 if capability >= AMPERE else torch.float16 if capability >= VOLTA else torch.float32


def keep_pages(size: int = 1 << 30) -> None:
    """Let the allocator keep what was freed: to take the same pages from the kernel at each step costs time.

    Not in evaluation: there each small result would lie in the hole of a large one, and the heap would grow for ever.
    """
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        for option in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            if not ctypes.CDLL(None).mallopt(option, size):
                say(f"train.py: the allocator takes no {size} for {option}: steps may be slower")


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
    """Bytes that a program may still take, from the machine or from the control groups that it is in."""
    all_of_it = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = float(first_match("/proc/meminfo", r"MemAvailable: +(\d+) kB") or all_of_it / 1024) * 1024
    return min(free, *free_in_groups("/proc/self/cgroup", "/sys/fs/cgroup"))


def free_in_groups(groups: str, mount: str) -> list[float]:
    """What each control group around this process leaves of its memory; a container shows its own as the root."""
    left = [math.inf]
    for pattern, root, most_in, used_in in (
        (r"(?m)^0::(/.*)$", mount, "memory.max", "memory.current"),
        (r"(?m)^\d+:(?:\w+,)*memory(?:,\w+)*:(/.*)$", f"{mount}/memory",
         "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):  # fmt: skip
        own = first_match(groups, pattern).strip("/").split("/")
        for depth in range(len(own) + 1):
            folder = "/".join([root, *own[:depth]])
            most, used = (first_match(f"{folder}/{name}", r"^(\d+)$") for name in (most_in, used_in))
            left += [max(0.0, float(most) - float(used or 0))] if most else []
    return left


def whole_from(variable: str) -> int:
    """A whole number of the environment; 0 where there is none. OMP_NUM_THREADS may have one for each level."""
    text = os.environ.get(variable, "").partition(",")[0].strip()
    if text and not text.isdecimal():
        raise Refused(f"{variable}={os.environ[variable]}: no whole number", fix=f"unset {variable}")
    return int(text or 0)


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

    rows: int  # at once, on one device; the last of them may be fewer
    accumulation: int
    checkpointing: bool
    parts: dict[str, float]  # bytes, by what they are for
    instead: Plan | None = None  # what ran out of memory

    @property
    def halved(self) -> bool:
        return self.instead is not None and self.rows < self.instead.rows

    @property
    def bytes(self) -> float:
        return sum(self.parts.values())

    def words(self) -> str:
        return ", ".join(f"{name} {megabytes(size):,.0f}" for name, size in self.parts.items())


def divisor() -> int:
    """2 where it ran out of memory before, and is run with half the device batch."""
    return max(1, whole_from("LAB_DEVICE_BATCH_DIVISOR"))


def cut_up(rows: int, most: int, checkpointing: str, parts: Callable[[int, bool], dict[str, float]]) -> list[Plan]:
    """Ways to run a step of so many rows on a device, at most so many at once, the fastest first.

    The pieces are of one size, for a compiler takes each size anew; unless that would be less than half of what may be.
    """
    ways: Iterable[bool] = {"auto": (False, True), "on": (True,), "off": (False,)}[checkpointing]
    even = [count for count in range(rows, 0, -1) if rows % count == 0]
    pieces = {-(-rows // count): count for count in range(rows, 0, -1)}  # rows at once: in how few pieces
    counts = [
        count
        for count in sorted(pieces, reverse=True)
        if count <= most and (count in even or not any(count < 2 * one <= 2 * count for one in even))
    ]
    return [Plan(count, pieces[count], way, parts(count, way)) for way in ways for count in counts]


def fitting(plans: list[Plan], memory: float) -> Plan | None:
    """The fastest that fits; where that ran out of memory, one with half its rows at once, else with checkpointing."""
    first = next((plan for plan in plans if plan.bytes <= memory), None)
    if first is None or divisor() == 1:
        return first
    half = -(-first.rows // divisor())
    for plan in plans:
        fewer = plan.checkpointing == first.checkpointing and plan.rows <= half < first.rows
        if fewer or (first.rows == plan.rows == 1 and plan.checkpointing and not first.checkpointing):
            return replace(plan, instead=first)
    raise Refused("device out of memory with one row at once: there is no half of it",
                  fix="--checkpointing on, or a smaller --depth, --width or --context", code=1)  # fmt: skip


def tell_plan(shape: str, tokens: int, plan: Plan, machine: Machine, asked: int | None) -> None:
    """What was found, and what was made of it. `asked`: --device-batch."""
    kept = ", with gradient checkpointing" if plan.checkpointing else ""
    before = plan.instead
    smaller = f", after {before.accumulation} x {before.rows} ran out of memory" if before else ""
    rows = tokens // machine.world
    base = f", Python and torch {megabytes(machine.base):,.0f}" if machine.base else ""
    say(f"device: {machine.words()}")
    say(f"shape: {shape}")
    if asked and asked != plan.rows:
        say(f"--device-batch {asked}: {plan.rows} rows at once, of {rows:,} tokens on each device")
    say(f"step: {tokens} tokens, {plan.accumulation} x {plan.rows} rows on each device{kept}{smaller}")
    say(f"memory: {megabytes(plan.bytes + machine.base):,.0f} MB estimated ({plan.words()}{base}), "
        f"{megabytes(machine.memory + machine.base):,.0f} MB are there")  # fmt: skip
