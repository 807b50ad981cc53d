"""What every run stands on and no experiment changes: flags, the machine, the budget's clock, checkpoints, the printed end.

Frozen, as prepare.py is: a train.py that kept its own clock could give itself steps for free. It knows nothing of labctl;
a lab is heard through the variables that every run of it has, and at a terminal none of them is there.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import hashlib
import json
import math
import os
import pickle
import platform
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NoReturn

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

    import prepare
except ModuleNotFoundError as absent:
    print(f"train.py: {absent.name} is not installed for {sys.executable}", file=sys.stderr)
    print("  fix: pip install 'labctl[train]'", file=sys.stderr)
    raise SystemExit(5) from None
from prepare import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

# --------------------------------------------------------------------------------------------------------------- flags


def knob(default: object, about: str, low: float = -math.inf, high: float = math.inf, *, computes: bool = True) -> Any:  # noqa: ANN401  # as dataclasses.field
    """One flag of a config. `computes`: it changes what is computed, so that a run can only go on with the same."""
    return field(default=default, metadata={"about": about, "low": low, "high": high, "computes": computes})


def way(default: object, about: str, low: float = -math.inf, high: float = math.inf) -> Any:  # noqa: ANN401  # the same
    """A flag that says how it is run, or where."""
    return knob(default, about, low, high, computes=False)


FORMS = {
    "windows": r"[SL]+",
    "device": r"auto|cpu|mps|cuda(:\d+)?",
    "precision": r"auto|fp32|bf16|fp16",
    "checkpointing": r"auto|on|off",
    "compile": r"auto|on|off",
    "budget": r"auto|[\d.]*(e\+?\d+)? *(steps?|s|[kmgtpe]flop)",
}
SWITCH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


class Parser(argparse.ArgumentParser):
    """Refuses as the rest of the program does."""

    def error(self, message: str) -> NoReturn:
        raise Refused(message, fix="see: python train.py --help")


def given(config: type, arguments: list[str], doc: str) -> dict[str, object]:
    """What the flags say, and nothing else. In a flag `_` and `-` are the same."""
    about, _, examples = doc.partition("\n\n    ")
    parser = Parser(
        prog="train.py", description=about, epilog="examples:\n    " + examples, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter, argument_default=argparse.SUPPRESS,
    )  # fmt: skip
    fields = {one.name: one for one in dataclasses.fields(config)}
    for name, one in fields.items():
        now = "" if one.default in {None, ""} else f" (now {one.default})"
        flag, words = f"--{name.replace('_', '-')}", (one.metadata["about"] + now).replace("%", "%%")
        if one.type == "bool":
            parser.add_argument(flag, nargs="?", const="on", help=words, metavar="on|off")
        else:
            parser.add_argument(flag, help=words, metavar="X")
    dashed = [re.sub(r"^--[A-Za-z_-]+", lambda found: found[0].replace("_", "-"), word) for word in arguments]
    return {name: value_of(fields[name], text) for name, text in vars(parser.parse_args(dashed)).items()}


def value_of(one: dataclasses.Field[Any], text: str) -> object:
    """What a flag was given, as its field takes it."""
    kind, flag, about = str(one.type).removesuffix(" | None"), f"--{one.name.replace('_', '-')}", one.metadata["about"]
    if kind == "str":
        if one.name in FORMS and not re.fullmatch(FORMS[one.name], text):
            raise Refused(f"{flag} {text}: it takes {FORMS[one.name]}", fix=f"{flag}: {about}")
        return text
    if kind == "bool":
        if text.lower() not in SWITCH:
            raise Refused(f"{flag} {text}: it is on or off", fix=f"{flag} on, or {flag} off")
        return SWITCH[text.lower()]
    low, high = one.metadata["low"], one.metadata["high"]
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not low <= number <= high or math.isinf(number) or (kind == "int" and number != int(number)):
        whole = "a whole number" if kind == "int" else "a number"
        raise Refused(f"{flag} {text}: it is {whole} from {low:g} to {high:g}", fix=f"{flag}: {about}")
    return int(number) if kind == "int" else number


# --------------------------------------------------------------------------------------------------------- the machine


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
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024.0

    def words(self) -> str:
        compiled = "compiled" if self.compiled else "not compiled"
        many = f" x {self.world}" if self.world > 1 else ""
        return f"{self.name} ({self.kind}{many}), {self.precision}, attention {self.attention}, {compiled}, threads {self.threads}"


def detect(config: Any) -> Machine:  # noqa: ANN401  # the Config of whatever train.py it is
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
        memory, name = free_memory() * 0.9 / world, first_match("/proc/cpuinfo", r"model name\s*: (.*)") or platform.machine()
    base = resident() if device.type == "cpu" else 0.0
    if config.vram_gb:
        memory = max(0.0, config.vram_gb * (1 << 30) - (base or 600 << 20))  # a CUDA context takes 0.6 GB for itself
    if world > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    dtype, compiled = precision_of(config, device), config.compile == "on" or (config.compile, device.type) == ("auto", "cuda")
    flash = device.type == "cuda" and dtype != torch.float32 and find_spec("flash_attn") is not None
    attention = "flash" if flash else "flex" if compiled and device.type == "cuda" else "sdpa"
    return Machine(device=device, name=name, dtype=dtype, compiled=compiled, attention=attention, memory=memory, base=base,
                   threads=threads, rank=rank, world=world)  # fmt: skip


def elsewhere(config: Any) -> Machine:  # noqa: ANN401  # the same
    """A card to plan for: CUDA with bf16, unless something else was asked for."""
    kind = "cuda" if config.device == "auto" else config.device.partition(":")[0]
    named = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    dtype = named.get(config.precision, torch.bfloat16 if kind == "cuda" else torch.float32)
    own = 600 << 20 if kind == "cuda" else 0
    return Machine(device=torch.device(kind), name=f"a device with {config.vram_gb:g} GB", dtype=dtype, compiled=kind == "cuda",
                   attention="flex" if kind == "cuda" else "sdpa", memory=config.vram_gb * (1 << 30) * 0.94 - own)  # fmt: skip


def wanted_device(wish: str, local_rank: int) -> torch.device:
    """The device that was asked for, else the best that is here."""
    cuda, mps = torch.cuda.device_count() if torch.cuda.is_available() else 0, torch.backends.mps.is_available()
    here = ", ".join(["cpu", *["mps"] * mps, *[f"cuda:{at}" for at in range(cuda)]])
    kind, _, index = ("cuda" if cuda else "mps" if mps else "cpu").partition(":") if wish == "auto" else wish.partition(":")
    if (kind == "cuda" and int(index or local_rank) >= cuda) or (kind == "mps" and not mps):
        raise Refused(f"--device {wish} is not here; here: {here}", fix="leave --device away, or name one that is here")
    return torch.device("cuda", int(index or local_rank)) if kind == "cuda" else torch.device(kind)


def precision_of(config: Any, device: torch.device) -> torch.dtype:  # noqa: ANN401  # the same
    """By what the device can: bf16 from Ampere on, fp16 with scaled losses on Volta and Turing, fp32 elsewhere."""
    if config.precision != "auto":
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[config.precision]
    major = torch.cuda.get_device_capability(device)[0] if device.type == "cuda" else 0
    return torch.bfloat16 if major >= 8 else torch.float16 if major == 7 else torch.float32  # noqa: PLR2004  # as said


def keep_pages() -> None:
    """Let the allocator keep what was freed: to take the same pages from the kernel at each step is a part of its time."""
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        for option in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            ctypes.CDLL(None).mallopt(option, 1 << 30)


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


# -------------------------------------------------------------------------------------------- the budget and its clock


class Failed(Exception):
    """It ran, and there is no number."""


class Stopped(BaseException):
    """SIGTERM or SIGINT came. No `except Exception` may hold it up."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Bell:
    """Signals that ask it to end. While it `waits`, within a step, they are noted: what is saved is a whole step."""

    def __init__(self) -> None:
        self.rung, self.waits = 0, False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.ring)

    def ring(self, number: int, _: object) -> None:
        self.rung = number
        if not self.waits:
            raise Stopped(number)


def steps_seconds_flops(budget: str) -> tuple[float, float, float]:
    """A budget as steps, seconds and floating-point operations; two of them are without end."""
    amount, unit = re.fullmatch(r"([\d.]*(?:e\+?\d+)?) *([a-z]*)", budget).groups("")  # type: ignore[union-attr]
    try:
        value = float(amount)
    except ValueError:
        raise Refused(f"--budget {budget}: it begins with no number", fix="such as 250steps, 300s or 2tflop") from None
    if unit.startswith("step"):
        return math.floor(value), math.inf, math.inf
    return (math.inf, value, math.inf) if unit == "s" else (math.inf, math.inf, value * 1000.0 ** (1 + "kmgtpe".index(unit[0])))


class Progress:
    """How much of the budget is used, what the losses were, and who is told. Evaluation is no part of a budget."""

    def __init__(self, machine: Machine, bell: Bell, *, most_steps: float, most_seconds: float, tokens: int) -> None:
        self.machine, self.bell, self.tokens = machine, bell, tokens  # tokens of a step
        self.most_steps, self.most_seconds = most_steps, most_seconds
        self.steps, self.seconds, self.smooth, self.told, self.ended_by = 0, 0.0, 0.0, 0, "budget"
        self.control = dist.new_group(backend="gloo") if machine.world > 1 else None
        self.spoken = self.began = time.monotonic()

    def state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("steps", "seconds", "smooth", "told")}

    def used(self, evaluated_tokens: int) -> float:
        """The share of the budget that is used: by its own measure, or by the lab's clock where that ends first.

        Of the lab's time 3 s and what evaluation takes are set aside: half of what training on as many tokens takes.
        All devices get the same answer, and hear the same bell.
        """
        share = max(self.steps / self.most_steps, self.seconds / self.most_seconds)
        left = lab_seconds_left()
        if left < math.inf:
            pace = self.seconds / (self.steps * self.tokens) if self.steps else 0.0
            gone, left = time.monotonic() - self.began, left - 3.0 - 0.5 * pace * evaluated_tokens
            by_lab = gone / (gone + left) if left > 0 else 1.0
            if by_lab > share:
                share, self.ended_by = by_lab, "the lab's time" if by_lab >= 1 else self.ended_by
        if self.control is not None:
            agreed = torch.tensor([share, float(self.bell.rung)], dtype=torch.float64)
            dist.all_reduce(agreed, dist.ReduceOp.MAX, group=self.control)
            share, self.bell.rung = float(agreed[0]), int(agreed[1])
        return share

    def hear(self, step: int, share: float, loss: float, size: int) -> None:
        """Nats per token and bytes of a step: checked, smoothed, reported."""
        if not loss <= 100.0:  # noqa: PLR2004  # nan is not either
            raise Failed(f"the loss is {loss} at step {step}: training came apart, and there is no number")
        bits = loss * self.tokens / math.log(2) / size
        self.smooth += max(0.05, 1.0 / step) * (bits - self.smooth)
        percent = min(100, math.floor(share * 100 + 1e-9))
        if percent > self.told and self.machine.rank == 0:
            self.told = percent
            if os.environ.get("LAB_REPORT"):
                with open(os.environ["LAB_REPORT"], "a", encoding="ascii") as report:
                    report.write(f"{percent} {self.smooth:.6f}\n")
        if time.monotonic() - self.spoken >= 3 or share >= 1:  # noqa: PLR2004  # seconds
            self.spoken = time.monotonic()
            pace = self.tokens * self.steps / max(self.seconds, 1e-9)
            say(f"{percent:3d} %  step {step}  loss {loss:.4f}  train bits per byte {self.smooth:.4f}  {pace:,.0f} tokens/s")


def lab_seconds_left() -> float:
    """Until the lab ends this run; at a terminal, for ever."""
    if os.environ.get("LAB_DEADLINE"):
        return (datetime.fromisoformat(os.environ["LAB_DEADLINE"]) - datetime.now(UTC)).total_seconds()
    if os.environ.get("LAB_TIME_BUDGET_SECONDS"):
        return float(os.environ["LAB_TIME_BUDGET_SECONDS"]) - (time.monotonic() - STARTED)
    return math.inf


# --------------------------------------------------------------------------------------------------------- checkpoints

FORMAT = 1


def artifacts() -> str:
    """Where a run of a lab keeps what it made; at a terminal, here."""
    return os.path.join(os.environ["LAB_RUN_DIR"], "artifacts") if os.environ.get("LAB_RUN_DIR") else os.getcwd()


def keep_source(path: str) -> None:
    """What ran must be kept. A code loop keeps it as a commit."""
    if os.environ.get("LAB_RUN_DIR") and not os.environ.get("LAB_STEP") and os.environ.get("RANK", "0") == "0":
        os.makedirs(artifacts(), exist_ok=True)
        shutil.copyfile(path, os.path.join(artifacts(), os.path.basename(path)))


def save(path: str, about: Mapping[str, object], tensors: Mapping[str, dict[str, Tensor]]) -> None:
    """One file, there as a whole or as it was before."""
    draft = f"{path}.draft"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(draft, "wb") as file:
            torch.save({"about": json.dumps({"format": FORMAT, **about}), **tensors}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except (OSError, RuntimeError) as error:  # torch says RuntimeError where a disk is full
        say(f"train.py: no checkpoint could be saved at {path}: {error}")
        return
    say(f"saved in {path}")


def load(path: str) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """What a checkpoint says of itself, and its tensors. Nothing that is in it is run."""
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
        about = json.loads(held.pop("about"))
        known = about["format"] == FORMAT
    except OSError as error:
        raise Refused(f"{path}: {error.strerror or error}", fix="--resume takes a checkpoint that train.py saved") from None
    except (RuntimeError, ValueError, KeyError, EOFError, AttributeError, TypeError, pickle.UnpicklingError):
        raise Refused(f"{path} is no whole checkpoint", fix="--resume takes a file that train.py saved", code=4) from None
    if not known:
        raise Refused(f"{path}: its format, {about['format']}, is another one", fix="use the train.py that saved it")
    return about, held


def resumed(config: type, flags: dict[str, object]) -> tuple[Any, dict[str, Any], dict[str, dict[str, Tensor]]]:
    """The config, and the checkpoint to go on from. What was not given is as the checkpoint says."""
    if not flags.get("resume"):
        return config(**flags), {}, {}
    about, held = load(str(flags["resume"]))
    computed = {one.name for one in dataclasses.fields(config) if one.metadata["computes"]}
    for name in computed & flags.keys():
        if about["config"].get(name) != flags[name]:
            flag = f"--{name.replace('_', '-')}"
            raise Refused(f"{flag} {flags[name]}: the checkpoint was made with {about['config'].get(name)}",
                          fix=f"leave {flag} away, or start anew without --resume")  # fmt: skip
    before = {name: value for name, value in about["config"].items() if name in computed}
    return config(**{**before, **flags}), about, held


# ------------------------------------------------------------------------------------------------------------- the end


def sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tell(numbers: Mapping[str, object]) -> None:
    """The block after `---`, and what of it is a measurement as METRIC lines."""
    print("---")
    for name, value in numbers.items():
        print(f"{name + ':':20} {str(value).lower() if isinstance(value, bool) else value}")
    for name, value in numbers.items():
        if re.fullmatch(r"-?\d+(\.\d+)?", str(value)) and name not in {"commit", "seed", "train_py", "prepare_py", "data_digest"}:
            print(f"METRIC {name}={value}")
    sys.stdout.flush()


def out_of_memory(error: BaseException) -> bool:
    words = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(one in str(error) for one in words)


def marker() -> str:
    """Where the processes of a torchrun, which starts them anew, tell each other that it was for memory."""
    return os.path.join(tempfile.gettempdir(), f"labctl-train-{os.environ.get('TORCHELASTIC_RUN_ID', os.getpid())}.oom")


HALVED = {"LAB_DEVICE_BATCH_DIVISOR": "2", "LAB_GRAD_ACCUM_FACTOR": "2"}


def halve(error: BaseException) -> int:
    """Start anew with half the rows at once, which frees all that the failed step held; but only once."""
    words = " ".join(str(error).split())[:300]
    if os.environ.get("LAB_DEVICE_BATCH_DIVISOR", "1") != "1":
        print(f"train.py: device out of memory, with half the device batch as well: {words}", file=sys.stderr)
        return 1
    print(f"train.py: device out of memory: {words}", file=sys.stderr)
    print("starts anew with half the device batch and twice the accumulation; the total batch stays", file=sys.stderr, flush=True)
    sys.stdout.flush()
    if "TORCHELASTIC_RUN_ID" in os.environ:
        with open(marker(), "w", encoding="ascii"):
            return 1
    os.environ |= HALVED
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606  # this very program


def main(program: Callable[[list[str]], int], arguments: list[str]) -> int:
    """Run it; whatever ends it becomes words and an exit code."""
    if int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")):
        if not os.path.exists(marker()):
            print("train.py: it failed, and not for memory: it is not run twice", file=sys.stderr)
            return 1
        os.environ |= HALVED
    try:
        return program(arguments)
    except Refused as refusal:
        print(f"train.py: {refusal.what}\n  fix: {refusal.fix}", file=sys.stderr)
        return refusal.code
    except Failed as failure:
        print(f"train.py: {failure}", file=sys.stderr)
        return 1
    except Stopped as stop:
        say(f"train.py: stopped by {signal.Signals(stop.number).name}")
        return 128 + stop.number
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return halve(error)
