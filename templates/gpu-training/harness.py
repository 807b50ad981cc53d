"""How a run is run, whatever it trains: flags, the budget's clock, checkpoints, running out of memory, the printed end.

Frozen, as prepare.py is: a train.py that kept its own clock could give itself steps for free. It knows nothing of
labctl; a lab is heard through the variables that every run of it has, and at a terminal none of them is there.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import gc
import hashlib
import json
import math
import os
import pickle
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

import machine  # isort: skip  # before torch: it sets what torch reads when it is loaded
import prepare
import torch
import torch.distributed as dist
from machine import HERE, Machine, Plan, divisor, say
from prepare import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

# --------------------------------------------------------------------------------------------------------------- flags


def knob(default: object, about: str, low: float = -math.inf, high: float = math.inf, *, computes: bool = True) -> Any:
    """One flag of a config. `computes`: it changes what is computed, so that a run can only go on with the same."""
    return field(default=default, metadata={"about": about, "low": low, "high": high, "computes": computes})


def way(default: object, about: str, low: float = -math.inf, high: float = math.inf) -> Any:
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
    return (
        (math.inf, value, math.inf)
        if unit == "s"
        else (math.inf, math.inf, value * 1000.0 ** (1 + "kmgtpe".index(unit[0])))
    )


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

    def hear(self, step: int, loss: float, size: int, share: float) -> None:
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
            bits_now = f"train bits per byte {self.smooth:.4f}"
            say(f"{percent:3d} %  step {step}  loss {loss:.4f}  {bits_now}  {pace:,.0f} tokens/s")


def lab_seconds_left() -> float:
    """Until the lab ends this run; at a terminal, for ever."""
    if os.environ.get("LAB_DEADLINE"):
        return (datetime.fromisoformat(os.environ["LAB_DEADLINE"]) - datetime.now(UTC)).total_seconds()
    if os.environ.get("LAB_TIME_BUDGET_SECONDS"):
        return float(os.environ["LAB_TIME_BUDGET_SECONDS"]) - (time.monotonic() - machine.STARTED)
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
        if os.path.exists(draft):
            os.unlink(draft)  # a full disk is not helped by half a checkpoint
        return
    say(f"saved in {path}")


def load(path: str) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """What a checkpoint says of itself, and its tensors. Nothing that is in it is run."""
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
        about = json.loads(held.pop("about"))
        known = about["format"] == FORMAT
    except OSError as error:
        raise Refused(
            f"{path}: {error.strerror or error}", fix="--resume takes a checkpoint that train.py saved"
        ) from None
    except (RuntimeError, ValueError, KeyError, EOFError, AttributeError, TypeError, pickle.UnpicklingError):
        raise Refused(
            f"{path} is no whole checkpoint", fix="--resume takes a file that train.py saved", code=4
        ) from None
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


# ---------------------------------------------------------------------------------------------------------------- a run


def limits(budget: str, step_flops: float, auto: tuple[float, float]) -> tuple[float, float]:
    """Steps and seconds that may be used, one of them without end. `auto`: what it is where nothing is said."""
    steps, seconds, flops = steps_seconds_flops(budget) if budget != "auto" else (math.inf, *auto)
    steps = min(steps, math.floor(flops / step_flops + 1e-9)) if flops < math.inf else steps
    if steps < 1 or seconds <= 0:
        raise Refused(f"--budget {budget} is too short: one step is {step_flops / 1e12:.3g} tflop",
                      fix="a larger --budget, or a smaller --batch-tokens, --depth or --width")  # fmt: skip
    return steps, seconds


def same_data(about: dict[str, Any], data: prepare.Data) -> None:
    if about["data"] != data.digest:
        raise Refused(f"the data {data.digest[:12]} is not the checkpoint's {about['data'][:12]}",
                      fix="the corpus it was trained on, or a new start without --resume")  # fmt: skip


class Run:
    """What moves in training, and how it is kept. A subclass makes the model, and knows what a step is."""

    config: Any
    plan: Plan
    model: torch.nn.Module
    optimizer: Any  # its `state` is a dictionary of tensors, its `updates` a count
    rows: prepare.Rows
    progress: Progress
    scale: float  # of the loss: fp16 has no small gradients

    def __init__(self, device: Machine, data: prepare.Data, bell: Bell) -> None:
        self.machine, self.data, self.bell = device, data, bell
        self.saved = time.monotonic()

    def step(self, share: float) -> tuple[Tensor, int]:
        raise NotImplementedError

    def deal(self, position: dict[str, object] | None = None) -> None:
        self.rows = prepare.Rows(self.data, "train", self.config.context, seed=self.config.seed, position=position)

    def train(self) -> None:
        """Steps until the budget is used. On CUDA a loss is looked at one step late, and nothing waits for it."""
        progress, late = self.progress, self.machine.kind == "cuda"
        held: list[tuple[int, Tensor, int]] = []
        progress.began = self.saved = time.monotonic()
        self.bell.waits = True
        evaluated = len(self.data.tokens("val"))
        share = progress.used(evaluated)
        while share < 1.0:
            began = time.perf_counter()
            held.append((progress.steps + 1, *self.step(share)))
            progress.steps += 1
            told = [(step, float(loss), size) for step, loss, size in held[: len(held) - late]]  # waits for the device
            del held[: len(told)]
            progress.seconds += time.perf_counter() - began
            share = progress.used(evaluated)
            for one in told:
                progress.hear(*one, share)
            if progress.steps == 1:
                gc.collect()
                gc.freeze()
                gc.disable()  # a collection within a step is a pause that the budget would pay for
            self.between_steps()
        began = time.perf_counter()
        self.machine.wait()
        progress.seconds += time.perf_counter() - began
        for step, loss, size in held:
            progress.hear(step, float(loss), size, 1.0)
        self.bell.waits = False

    def between_steps(self) -> None:
        """End where it was asked for, and save where it is time."""
        if self.progress.steps == 1 and self.progress.seconds > self.progress.most_seconds:
            raise Failed(f"--budget {self.config.budget} is too short: one step took {self.progress.seconds:.3f} s")
        if self.bell.rung or time.monotonic() - self.saved > self.config.checkpoint_every:
            self.save()
        if self.bell.rung:
            raise Stopped(self.bell.rung)

    def warm(self, steps: int) -> None:
        """Compile and settle, then put everything back to the bit: no step is for free."""
        kept = {
            kind: {name: one.to("cpu", copy=True) for name, one in of.items()} for kind, of in self.tensors().items()
        }
        before = self.position()
        for _ in range(steps):
            self.step(0.0)
        self.machine.wait()
        self.put_back(before, kept)

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state,
            "chance": {"cpu": torch.get_rng_state()},
        }

    def position(self) -> dict[str, Any]:
        return {"position": self.rows.position, "scale": self.scale, "updates": self.optimizer.updates}

    @torch.no_grad()
    def put_back(self, position: dict[str, Any], tensors: dict[str, dict[str, Tensor]]) -> None:
        self.model.load_state_dict(tensors["model"])
        for name, one in tensors["optimizer"].items():
            self.optimizer.state[name].copy_(one)
        torch.set_rng_state(tensors["chance"]["cpu"])
        self.scale, self.optimizer.updates = position["scale"], position["updates"]
        self.deal(position["position"])

    @property
    def path(self) -> str:
        return os.path.abspath(self.config.checkpoint or os.path.join(artifacts(), "checkpoint.pt"))

    def save(self) -> None:
        self.machine.wait()
        if self.machine.rank == 0:
            about = {"config": dataclasses.asdict(self.config), "data": self.data.digest, "torch": torch.__version__}
            about |= {"progress": self.progress.state(), **self.position()}
            save(self.path, about, self.tensors())
        self.saved = time.monotonic()

    def go_on(self, about: dict[str, Any], tensors: dict[str, dict[str, Tensor]]) -> None:
        """Take up what a checkpoint holds."""
        same_data(about, self.data)
        self.put_back(about, tensors)
        for name, value in about["progress"].items():
            setattr(self.progress, name, value)
        say(f"goes on after step {self.progress.steps}")


# ------------------------------------------------------------------------------------------------------------- the end


def sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


FILES = ("train", "prepare", "corpora", "harness", "machine", "kernels")
NO_MEASURES = {"commit", "seed", "data_digest", *(f"{name}_py" for name in FILES)}


def facts(run: Run) -> dict[str, object]:
    """What a number is worth nothing without."""
    device, progress = run.machine, run.progress
    git = ["git", "-C", HERE, "rev-parse", "--short=12", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "device_batch": run.plan.rows, "accumulation": run.plan.accumulation, "checkpointing": run.plan.checkpointing,
        "oom_halved": divisor() > 1, "budget": run.config.budget, "ended_by": progress.ended_by,
        "seed": run.config.seed,
        "device": device.name, "device_kind": device.kind, "devices": device.world, "threads": device.threads,
        "precision": device.precision, "attention": device.attention, "compiled": device.compiled,
        "torch": torch.__version__, "python": platform.python_version(), "commit": commit or "none",
        "data": run.data.name, "corpus": run.data.corpus, "data_digest": run.data.digest,
        **{f"{name}_py": sha256(os.path.join(HERE, f"{name}.py"))[:16] for name in FILES},
    }  # fmt: skip


def tell(numbers: Mapping[str, object]) -> None:
    """The block after `---`, and what of it is a measurement as METRIC lines."""
    print("---")
    for name, value in numbers.items():
        print(f"{name + ':':20} {str(value).lower() if isinstance(value, bool) else value}")
    for name, value in numbers.items():
        if re.fullmatch(r"-?\d+(\.\d+)?", str(value)) and name not in NO_MEASURES:
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
    if divisor() > 1:
        print(f"train.py: device out of memory, with half the device batch as well: {words}", file=sys.stderr)
        return 1
    print(f"train.py: device out of memory: {words}", file=sys.stderr)
    print(
        "starts anew with half the device batch and twice the accumulation; the total batch stays",
        file=sys.stderr,
        flush=True,
    )
    sys.stdout.flush()
    if "TORCHELASTIC_RUN_ID" in os.environ:
        with open(marker(), "w", encoding="ascii"):
            return 1
    os.environ |= HALVED
    return os.execv(sys.executable, sys.orig_argv)  # noqa: S606  # this very program


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
    finally:
        if "TORCHELASTIC_RESTART_COUNT" in os.environ and divisor() > 1 and os.path.exists(marker()):
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                os.unlink(marker())
