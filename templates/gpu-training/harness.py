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
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import machine  # isort: skip  # before torch: it sets what torch reads when it is loaded
import prepare
import torch
import torch.distributed as dist
from machine import HERE, STARTED, Machine, Plan, divisor, keep_pages, megabytes, say
from prepare import Refused, out_of_memory
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

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
            raise Refused(f"{flag} {text}: it has no such form", fix=f"{flag}: {about}")
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


class Uncompilable(Exception):
    """The compiler failed before the clock ran."""


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
            self.waits = True  # a second one must not break off what the first one has saved
            raise Stopped(number)


# What `auto` is. On a CPU it is 250 steps of the default shape on the builtin data; a larger shape has fewer of them.
AUTO_ON_CPU, AUTO = "1.7tflop", "300s"


def resolved(budget: str, kind: str) -> str:
    if budget != "auto":
        return budget
    return AUTO_ON_CPU if kind == "cpu" else AUTO


def steps_seconds_flops(budget: str) -> tuple[float, float, float]:
    """A budget as steps, seconds and floating-point operations; two of them are without end."""
    amount, unit = re.fullmatch(r"([\d.]*(?:e\+?\d+)?) *([a-z]*)", budget).groups("")  # type: ignore[union-attr]
    try:
        value = float(amount)
    except ValueError:
        raise Refused(f"--budget {budget}: it begins with no number", fix="such as 250steps, 300s or 2tflop") from None
    if not math.isfinite(value):
        raise Refused(f"--budget {budget} has no end", fix="such as 250steps, 300s or 2tflop")
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
        self.steps, self.seconds, self.smooth, self.told, self.ended_by = 0, 0.0, 0.0, again()["told"], "budget"
        self.control = dist.new_group(backend="gloo") if machine.world > 1 else None
        self.spoken = self.began = time.monotonic()
        self.since = time.perf_counter()

    def state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("steps", "seconds", "smooth", "told")}

    def start(self) -> None:
        self.began, self.since = time.monotonic(), time.perf_counter()

    def tick(self) -> None:
        """All time since the last tick counts, whoever spent it."""
        now = time.perf_counter()
        self.seconds, self.since = self.seconds + now - self.since, now

    @contextlib.contextmanager
    def standing(self) -> Iterator[None]:
        """The clock stands. The device is waited for first: it would go on for free."""
        self.machine.wait()
        self.tick()
        yield
        self.since = time.perf_counter()

    def used(self, reserve: float) -> float:
        """The share of the budget that is used: by its own measure, or by the lab's clock where that ends first.

        Of the lab's time 3 s and the `reserve`, which is for the evaluation, are set aside. All devices get the same
        answer, and hear the same bell.
        """
        share = max(self.steps / self.most_steps, self.seconds / self.most_seconds)
        left = lab_seconds_left()
        if left < math.inf:
            gone, left = time.monotonic() - self.began, left - 3.0 - reserve
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
        if percent > self.told:
            self.told = percent
            if os.environ.get("LAB_REPORT") and self.machine.rank == 0:
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
        try:
            ends = datetime.fromisoformat(os.environ["LAB_DEADLINE"]).astimezone(UTC)
        except ValueError:
            raise Refused(
                f"LAB_DEADLINE={os.environ['LAB_DEADLINE']}: no time", fix="as 2026-01-31T12:00:00Z"
            ) from None
        return (ends - datetime.now(UTC)).total_seconds()
    if os.environ.get("LAB_TIME_BUDGET_SECONDS"):
        return number_from("LAB_TIME_BUDGET_SECONDS") - (time.monotonic() - machine.STARTED)
    return math.inf


def number_from(variable: str) -> float:
    try:
        return float(os.environ[variable])
    except ValueError:
        raise Refused(f"{variable}={os.environ[variable]}: no number", fix=f"unset {variable}") from None


# ---------------------------------------------------------------------------------------------------------- operations


def attention_flops(width: int, context: int, windows: tuple[int, ...]) -> float:
    """Of a token in training: the products of queries, keys and values, for the keys that its windows leave it."""
    seen = sum((window * (window + 1) / 2 + (context - window) * window) / context for window in windows)
    return 12.0 * width * seen


class Unattended(TorchFunctionMode):
    """Attention without its products. How many of them a mask spares no counter knows; they are reckoned above."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.scaled_dot_product_attention:
            query, key, value = [*args, *(kwargs or {}).values()][:3]
            return query * (key.mean() + value.mean())
        return func(*args, **(kwargs or {}))


class Products(TorchDispatchMode):
    """Counts as torch's FlopCounterMode does, but loads no compiler for it, and sees what is added in place."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0.0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out, name = func(*args, **(kwargs or {})), func.overloadpacket
        if name in {torch.ops.aten.addmm_, torch.ops.aten.baddbmm_}:
            self.flops += 2.0 * args[1].numel() * args[2].size(-1)
        elif name in flop_registry:
            self.flops += flop_registry[name](*args, **(kwargs or {}), out_val=out)
        return out


def counted_flops(model: Any, context: int) -> float:
    """Of a token of one row, forward and backward, without those of attention."""
    tokens = torch.zeros(1, context, dtype=torch.int64, device=next(model.parameters()).device)
    with torch.random.fork_rng(devices=[]), Products() as counter, Unattended():
        model.loss(tokens, tokens).backward()
    model.zero_grad(set_to_none=True)
    return counter.flops / context


# --------------------------------------------------------------------------------------------------------- checkpoints

FORMAT = 1
THAT_ONE = "use the train.py that saved it, or start anew without --resume"


def artifacts() -> str:
    """Where a run of a lab keeps what it made; at a terminal, here."""
    return os.path.join(os.environ["LAB_RUN_DIR"], "artifacts") if os.environ.get("LAB_RUN_DIR") else os.getcwd()


def keep_source(path: str) -> None:
    """What ran must be kept. A code loop keeps it as a commit."""
    if os.environ.get("LAB_RUN_DIR") and not os.environ.get("LAB_STEP") and os.environ.get("RANK", "0") == "0":
        os.makedirs(artifacts(), exist_ok=True)
        shutil.copyfile(path, os.path.join(artifacts(), os.path.basename(path)))


def save(path: str, about: Mapping[str, object], tensors: Mapping[str, dict[str, Tensor]]) -> bool:
    """One file, there as a whole or as it was before."""
    draft = f"{path}.{os.getpid()}.draft"  # two runs may save in one folder
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(draft, "wb") as file:
            torch.save({"about": json.dumps({"format": FORMAT, **about}), **tensors}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except (OSError, RuntimeError) as error:  # torch says RuntimeError where a disk is full
        say(f"train.py: no checkpoint could be saved at {path}: {error}")
        return False
    finally:
        with contextlib.suppress(OSError):
            os.unlink(draft)  # a full disk is not helped by half a checkpoint
    say(f"saved in {path}")
    return True


def load(path: str) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """What a checkpoint says of itself, and its tensors. Nothing that is in it is run."""
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
        about = json.loads(held.pop("about"))
        known = about["format"] == FORMAT
        _ = known and [about[name] for name in ("config", "asked", "data", "progress", "position", "code")]
    except OSError as error:
        raise Refused(
            f"{path}: {error.strerror or error}", fix="--resume takes a checkpoint that train.py saved"
        ) from None
    except (RuntimeError, ValueError, LookupError, EOFError, AttributeError, TypeError, pickle.UnpicklingError):
        raise Refused(
            f"{path} is no whole checkpoint", fix="--resume takes a file that train.py saved", code=4
        ) from None
    if not known:
        raise Refused(f"{path}: its format, {about['format']}, is another one", fix="use the train.py that saved it")
    return about, held


def kept(config: type, about: dict[str, Any]) -> Any:
    """The config that a checkpoint was made with."""
    try:
        return config(**about["config"])
    except TypeError as error:
        raise Refused(f"the config of the checkpoint is another one: {error}", fix=THAT_ONE, code=4) from None


@torch.no_grad()
def fill(model: torch.nn.Module, tensors: Mapping[str, dict[str, Tensor]]) -> None:
    """The weights of a checkpoint into a model."""
    try:
        model.load_state_dict(tensors["model"])
    except (RuntimeError, LookupError, TypeError, AttributeError) as error:
        words = " ".join(str(error).split())[:300]
        raise Refused(f"the weights of the checkpoint are another model's: {words}", fix=THAT_ONE, code=4) from None


def resumed(config: type, flags: dict[str, object]) -> tuple[Any, dict[str, Any], dict[str, dict[str, Tensor]]]:
    """The config, and the checkpoint to go on from. What was not given is as the checkpoint says."""
    if not flags.get("resume"):
        return config(**flags), {}, {}
    about, held = load(str(flags["resume"]))
    computed = {one.name for one in dataclasses.fields(config) if one.metadata["computes"]}
    for name in computed & flags.keys():  # `asked`: what the flag was, where something was made of it
        if flags[name] not in (about["config"].get(name), about["asked"].get(name)):
            flag = f"--{name.replace('_', '-')}"
            raise Refused(f"{flag} {flags[name]}: the checkpoint was made with {about['config'].get(name)}",
                          fix=f"leave {flag} away, or start anew without --resume")  # fmt: skip
    before = {name: value for name, value in about["config"].items() if name in computed}
    return config(**{**flags, **before}), about, held


# ---------------------------------------------------------------------------------------------------------------- a run


def limits(budget: str, step_flops: float) -> tuple[float, float]:
    """Steps and seconds that may be used, one of them without end."""
    steps, seconds, flops = steps_seconds_flops(budget)
    steps = min(steps, math.floor(flops / step_flops + 1e-9)) if flops < math.inf else steps
    if steps < 1 or seconds <= 0:
        raise Refused(f"--budget {budget} is too short: one step is {step_flops / 1e12:.3g} tflop",
                      fix="a larger --budget, or a smaller --batch-tokens, --depth or --width")  # fmt: skip
    return steps, seconds


def same_data(about: dict[str, Any], data: prepare.Data) -> None:
    if about["data"] != data.digest:
        raise Refused(f"the data {data.digest[:12]} is not the checkpoint's {about['data'][:12]}",
                      fix="the corpus it was trained on, or a new start without --resume")  # fmt: skip


def evaluation(device: Machine, data: prepare.Data) -> dict[str, Any]:
    """How a model is evaluated: on so many rows at once that their logits stay small, in half of the memory."""
    keep_pages(1 << 17)
    most = device.memory / 2 / (24 * data.vocab_size)  # bytes of a logit, with what is made of it
    tokens = 1 << 11 if device.kind == "cpu" else min(1 << 15, int(most))
    return {"device": device.device, "batch_rows": max(1, tokens // data.context)}


class Run:
    """What moves in training, and how it is kept. A subclass makes the model, and knows what a step is."""

    now: ClassVar[Run | None] = None  # what this process trains
    shape: Any  # its `flops()` are of a token; `width`, `context` and `windows` are those of its attention
    plan: Plan
    model: Any  # a module; `logits` is what is evaluated
    optimizer: Any  # its `state` is a dictionary of tensors, its `updates` a count
    rows: prepare.Rows
    progress: Progress
    scale: float  # of the loss: fp16 has no small gradients

    def __init__(self, config: Any, device: Machine, data: prepare.Data, bell: Bell) -> None:
        self.asked: dict[str, Any] = dataclasses.asdict(config)
        self.config = dataclasses.replace(config, budget=resolved(config.budget, device.kind))
        self.machine, self.data, self.bell = device, data, bell
        self.saved, self.startup, self.reserve, self.resumed_code = time.monotonic(), 0.0, 0.0, "none"
        self.held: list[tuple[int, Tensor, int]] = []  # losses that nobody has looked at yet
        self.path = os.path.abspath(config.checkpoint or os.path.join(artifacts(), "checkpoint.pt"))
        # Its own folder in a lab, what it goes on from, or, later, what it has saved: it may write and remove that.
        self.own = bool(os.environ.get("LAB_RUN_DIR") and not config.checkpoint) or (
            bool(config.resume) and os.path.realpath(config.resume) == os.path.realpath(self.path)
        )
        torch.manual_seed(config.seed)
        Run.now = self

    def step(self, share: float) -> tuple[Tensor, int]:
        raise NotImplementedError

    def twin(self) -> Any:
        """The model once more, on the device `meta`, where it has no weights."""
        raise NotImplementedError

    def deal(self, position: dict[str, object] | None = None) -> None:
        self.rows = prepare.Rows(self.data, "train", self.config.context, seed=self.config.seed, position=position)

    def begin(self, about: dict[str, Any], tensors: dict[str, dict[str, Tensor]]) -> None:
        """What comes before the clock. What must end a run ends it here, not when its budget is spent."""
        if os.path.exists(self.path) and not self.own:
            raise Refused(f"{self.path} is there, and not this run's: it would be written over",
                          fix=f"--resume {self.path} goes on from it; another --checkpoint; or remove it")  # fmt: skip
        origin()
        self.count()
        keep_source(os.path.join(HERE, "train.py"))
        if about:
            self.go_on(about, tensors)
            tensors.clear()
        warm = 3 if self.machine.compiled or self.machine.kind != "cpu" else 0
        try:
            self.warm(warm if self.config.warmup_steps is None else self.config.warmup_steps)
            if lab_seconds_left() < math.inf and self.machine.rank == 0:
                self.reserve = self.price()
        except (Refused, Failed):
            raise
        except Exception as error:  # what a compiler raises is not ours to know; if it was not its fault it comes again
            if not self.machine.compiled or out_of_memory(error):
                raise
            raise Uncompilable(" ".join(f"{type(error).__name__}: {error}".split())[:300]) from error
        self.startup = time.monotonic() - STARTED

    def count(self) -> None:
        """A budget of operations buys what the shape says that a step costs: it must say all of it."""
        shape, told = self.shape, self.shape.flops()
        plain = self.machine.kind == "cpu" and not self.plan.checkpointing  # there a row costs less than to load `meta`
        model = self.model if plain else self.twin()
        true = counted_flops(model, shape.context) + attention_flops(shape.width, shape.context, shape.windows)
        if true > 1.02 * told:
            raise Refused(f"Shape.flops() tells of {told:,.0f} operations a token, and the model makes {true:,.0f}",
                          fix="count in Shape.flops() what was added to the model")  # fmt: skip

    def turns(self) -> Iterator[float]:
        """The share of the budget that is used, before each step, until all of it is.

        The clock runs from the first turn to the end of the last, whoever spends the time; it stands while a checkpoint
        is saved. A turn is one step, and is told to `hear`. On CUDA a loss is looked at one step late: nothing waits.
        """
        progress, late = self.progress, self.machine.kind == "cuda"
        self.bell.waits = True
        self.saved = time.monotonic()
        progress.start()
        share = progress.used(self.reserve)
        while share < 1.0:
            before = progress.steps
            yield share
            if progress.steps != before + 1:
                raise Failed(f"a turn is one step, and {progress.steps - before} were told to hear()")
            told = [(step, float(loss), size) for step, loss, size in self.held[: len(self.held) - late]]
            del self.held[: len(told)]
            progress.tick()
            share = progress.used(self.reserve)
            for one in told:
                progress.hear(*one, share)
            if gc.isenabled():
                gc.collect()
                gc.freeze()
                gc.disable()  # a collection within a step is a pause that the budget would pay for
            self.between_steps()
        self.machine.wait()
        progress.tick()
        for step, loss, size in self.held:
            progress.hear(step, float(loss), size, 1.0)
        self.held.clear()
        self.bell.waits = False
        if self.bell.rung:  # after the last look at it
            self.stop()
        if not progress.steps:
            raise Failed("the lab's time is too short for one step")

    def hear(self, loss: Tensor, size: int) -> None:
        """What a step gave: nats per token, and the bytes of its targets."""
        self.progress.steps += 1
        self.held.append((self.progress.steps, loss, size))

    def between_steps(self) -> None:
        """End where it was asked for, and save where it is time."""
        if self.progress.steps == 1 and self.progress.seconds > self.progress.most_seconds:
            raise Failed(f"--budget {self.config.budget} is too short: one step took {self.progress.seconds:.3f} s")
        if self.bell.rung:
            self.stop()
        if time.monotonic() - self.saved > self.config.checkpoint_every:
            with self.progress.standing():
                self.save()

    def stop(self) -> NoReturn:
        """It was asked to end."""
        self.bell.waits = True
        if self.config.save_at_stop:
            with self.progress.standing():
                self.save()
        raise Stopped(self.bell.rung)

    def warm(self, steps: int) -> None:
        """Compile and settle, then put everything back to the bit: no step is for free."""
        if not steps:
            return
        kept = {
            kind: {name: one.to("cpu", copy=True) for name, one in of.items()} for kind, of in self.tensors().items()
        }
        before = self.position()
        for _ in range(steps):
            self.step(0.0)
        self.machine.wait()
        self.put_back(before, kept)

    @cached_property
    def reader(self) -> Callable[[Tensor], Tensor]:
        """What gives the logits that are evaluated."""
        logits: Callable[[Tensor], Tensor] = self.model.logits
        return torch.compile(logits, dynamic=False) if self.machine.compiled else logits

    @torch.no_grad()
    def price(self) -> float:
        """Seconds that the evaluation will take, from one batch of it, and half as long again."""
        settings, rows = evaluation(self.machine, self.data), prepare.fixed_rows(self.data, "val")
        batch = torch.from_numpy(rows[: settings["batch_rows"]].astype("int64")).to(self.machine.device)
        logits, began = self.reader, 0.0
        self.model.eval()
        for _ in range(2):  # the first one settles, and compiles
            self.machine.wait()
            began = time.perf_counter()
            float(prepare.row_losses(logits(batch[:, :-1].contiguous()), batch[:, 1:]).sum())
        took = time.perf_counter() - began
        self.model.train()
        if self.machine.kind == "cuda":
            torch.cuda.reset_peak_memory_stats()
        keep_pages()
        return 1.5 * took * (2 + math.ceil(len(rows) / len(batch)))

    def score(self) -> prepare.Score | None:
        """Bits per byte of text that was not trained on, by one device, whatever their number; the others wait."""
        if self.machine.rank:
            return None
        try:
            return prepare.evaluate(self.reader, self.data, "val", **evaluation(self.machine, self.data))
        except Stopped:
            if self.config.save_at_stop:
                self.save()  # the training is done: --resume goes on to the evaluation
            raise
        except (RuntimeError, MemoryError):
            self.save()
            raise

    def end(self) -> None:
        """A run that ended well leaves no checkpoint, unless it was asked for one; of others' it removes none."""
        if self.machine.rank == 0 and self.config.keep_checkpoint:
            self.save()
        elif self.machine.rank == 0 and self.own and os.path.isfile(self.path):
            os.unlink(self.path)
        if self.machine.world > 1:
            dist.barrier(group=self.progress.control)
            dist.destroy_process_group()

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        chance = {"cpu": torch.get_rng_state()}
        if self.machine.kind != "cpu":
            chance[self.machine.kind] = getattr(torch, self.machine.kind).get_rng_state()
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state, "chance": chance}

    def position(self) -> dict[str, Any]:
        return {"position": self.rows.position, "scale": self.scale, "updates": self.optimizer.updates}

    @torch.no_grad()
    def put_back(self, position: dict[str, Any], tensors: dict[str, dict[str, Tensor]]) -> None:
        fill(self.model, tensors)
        try:
            for name, one in self.optimizer.state.items():
                one.copy_(tensors["optimizer"][name])
            torch.set_rng_state(tensors["chance"]["cpu"])
            if self.machine.kind in tensors["chance"] and self.machine.kind != "cpu":
                getattr(torch, self.machine.kind).set_rng_state(tensors["chance"][self.machine.kind])
            self.scale, self.optimizer.updates = position["scale"], position["updates"]
        except (RuntimeError, LookupError) as error:
            words = " ".join(str(error).split())[:300]
            raise Refused(f"the optimizer of the checkpoint is another one: {words}", fix=THAT_ONE, code=4) from None
        self.deal(position["position"])

    def save(self) -> None:
        self.machine.wait()
        if self.machine.rank == 0:
            if os.path.lexists(self.path) and not self.own:  # it was not there when this run began
                stem, ending = os.path.splitext(self.path)
                say(f"{self.path} is another run's by now")
                self.path = f"{stem}-{os.getpid()}{ending}"
            about = {"config": dataclasses.asdict(self.config), "asked": self.asked, "data": self.data.digest,
                     "torch": torch.__version__, "code": code(), "progress": self.progress.state()}  # fmt: skip
            self.own = save(self.path, {**about, **self.position()}, self.tensors()) or self.own
        else:
            self.own = True
        self.saved = time.monotonic()

    def go_on(self, about: dict[str, Any], tensors: dict[str, dict[str, Tensor]]) -> None:
        """Take up what a checkpoint holds."""
        same_data(about, self.data)
        if about["config"]["batch_tokens"] != self.config.batch_tokens:
            was = about["config"]["batch_tokens"]
            raise Refused(f"{was} tokens a step are no whole rows on {self.machine.world} devices",
                          fix="as many devices as before, or a new start without --resume")  # fmt: skip
        self.put_back(about, tensors)
        told = self.progress.told
        for name, value in about["progress"].items():
            setattr(self.progress, name, value)
        self.progress.told = max(told, self.progress.told)
        self.asked = about["asked"]
        others = [f"{name}.py" for name, digest in code().items() if about["code"].get(name) != digest]
        self.resumed_code = "other" if others else "same"
        if others:
            say(f"train.py: NOT the code that saved this checkpoint: {', '.join(others)} changed since")
        say(f"goes on after step {self.progress.steps}")


# ------------------------------------------------------------------------------------------------------------- the end


def sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


FILES = ("train", "prepare", "corpora", "harness", "machine", "kernels")
NO_MEASURES = {"commit", "seed", "data_digest", *(f"{name}_py" for name in FILES)}


@cache
def origin() -> dict[str, str]:
    """What was run, as it was at the start."""
    git = ["git", "-C", HERE, "rev-parse", "--short=12", "HEAD"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:  # no git
        commit = ""
    digests = {f"{name}_py": sha256(os.path.join(HERE, f"{name}.py"))[:16] for name in FILES}
    return {"commit": commit or "none", **digests}


def code() -> dict[str, str]:
    """The files that a step is made of."""
    return {name: origin()[f"{name}_py"] for name in ("train", "kernels")}


def facts(run: Run) -> dict[str, object]:
    """What a number is worth nothing without."""
    device, progress = run.machine, run.progress
    return {
        "device_batch": run.plan.rows, "accumulation": run.plan.accumulation, "checkpointing": run.plan.checkpointing,
        "oom_halved": run.plan.halved, "budget": run.asked["budget"], "budget_resolved": run.config.budget,
        "ended_by": progress.ended_by, "seed": run.config.seed, "resumed_code": run.resumed_code,
        "device": device.name, "device_kind": device.kind, "devices": device.world, "threads": device.threads,
        "precision": device.precision, "attention": device.attention, "compiled": device.compiled,
        "torch": torch.__version__, "python": platform.python_version(),
        "data": run.data.name, "corpus": run.data.corpus, "data_digest": run.data.digest, **origin(),
    }  # fmt: skip


def summary(run: Run, score: prepare.Score, peak: float) -> dict[str, object]:
    """The nine numbers that all of this kind tell, under their names, then ours."""
    device, shape, progress = run.machine, run.shape, run.progress
    tokens, parameters = progress.steps * progress.tokens, sum(one.numel() for one in run.model.parameters())
    flops, best = shape.flops() * tokens, prepare.peak_flops(device.name, device.products)
    mfu = f"{100 * flops / progress.seconds / (best * device.world):.2f}" if best else "unknown"
    return {
        "val_bpb": f"{score.bpb:.6f}", "training_seconds": f"{progress.seconds:.1f}",
        "total_seconds": f"{time.monotonic() - STARTED:.1f}", "peak_vram_mb": f"{megabytes(device.peak_bytes()):.1f}",
        "mfu_percent": mfu, "total_tokens_M": f"{tokens / 1e6:.3f}", "num_steps": progress.steps,
        "num_params_M": f"{parameters / 1e6:.3f}", "depth": shape.depth,
        "width": shape.width, "heads": shape.heads, "context": shape.context, "batch_tokens": progress.tokens,
        "train_bpb": f"{progress.smooth:.6f}", "tokens_per_second": f"{tokens / progress.seconds:.0f}",
        "tflop": f"{flops / 1e12:.6f}", "startup_seconds": f"{run.startup:.1f}",
        "estimate_mb": f"{megabytes(run.plan.bytes + device.base):.1f}", "peak_mb": f"{megabytes(peak):.1f}",
        "eval_rows": score.rows, "eval_tokens": score.tokens, "eval_bytes": score.bytes, **facts(run),
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


# ------------------------------------------------------------------------------------------------------- out of memory

HALVED = {"LAB_DEVICE_BATCH_DIVISOR": "2", "LAB_GRAD_ACCUM_FACTOR": "2"}
AGAIN = "TRAIN_AGAIN"  # JSON, for the program that is started anew: the checkpoint of the one before, and what it told


def again() -> dict[str, Any]:
    return json.loads(os.environ.get(AGAIN) or '{"resume": "", "told": 0}')


def marker() -> str:
    """Where the processes of a torchrun, which starts them anew, tell each other that it was for memory."""
    run_id = re.sub(r"\W", "-", os.environ.get("TORCHELASTIC_RUN_ID", ""))
    return os.path.join(tempfile.gettempdir(), f"labctl-train-{os.getuid()}-{os.getppid()}-{run_id}.oom")


def left_behind() -> str:
    """What the marker holds: JSON as in AGAIN, or nothing where there is none of this user's."""
    try:
        with open(marker(), encoding="ascii") as file:
            return file.read() if os.fstat(file.fileno()).st_uid == os.getuid() else ""
    except OSError:
        return ""


def halve(error: BaseException) -> int:
    """Start anew with half the rows at once, which frees all that the failed step held; but only once."""
    words = " ".join(str(error).split())[:300]
    if divisor() > 1:
        print(f"train.py: device out of memory, with half the device batch as well: {words}", file=sys.stderr)
        return 1
    print(f"train.py: device out of memory: {words}", file=sys.stderr)
    many = "TORCHELASTIC_RUN_ID" in os.environ
    if many and os.environ.get("TORCHELASTIC_MAX_RESTARTS") == "0":
        print("  fix: torchrun --max-restarts=1 starts it anew with half the rows at once", file=sys.stderr)
        return 1
    run = Run.now
    kept = run.path if run is not None and run.own and os.path.isfile(run.path) else ""
    where = f"goes on from {kept}" if kept else "starts anew"
    print(f"{where} with half the rows at once; the total batch stays", file=sys.stderr, flush=True)
    sys.stdout.flush()
    note = json.dumps({"resume": kept, "told": run.progress.told if run is not None else 0})
    if many:
        draft = f"{marker()}.{os.getpid()}"  # several may run out of memory at once
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(note)
        os.replace(draft, marker())
        return 1
    os.environ |= {**HALVED, AGAIN: note}
    return os.execv(sys.executable, sys.orig_argv)  # noqa: S606  # this very program


def plainly(error: Uncompilable) -> int:
    """Start anew without the compiler."""
    print(f"train.py: it cannot be compiled here ({error})", file=sys.stderr)
    if "TORCHELASTIC_RUN_ID" in os.environ:  # one of several, and the others wait for it
        print("  fix: --compile off", file=sys.stderr)
        return 1
    print("starts anew with --compile off", file=sys.stderr, flush=True)
    sys.stdout.flush()
    return os.execv(sys.executable, [*sys.orig_argv, "--compile", "off"])  # noqa: S606  # this very program


def main(program: Callable[[list[str]], int], arguments: list[str]) -> int:
    """Run it; whatever ends it becomes words and an exit code."""
    Run.now, restarted = None, os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"
    if restarted:
        note = left_behind()
        if not note:
            print("train.py: it failed, and not for memory: it is not run twice", file=sys.stderr)
            return 1
        os.environ |= {**HALVED, AGAIN: note}
    try:
        divisor()
        kept = again()["resume"]
        return program([*arguments, "--resume", kept] if kept else arguments)
    except Refused as refusal:
        print(f"train.py: {refusal.what}\n  fix: {refusal.fix}", file=sys.stderr)
        return refusal.code
    except Uncompilable as failure:
        return plainly(failure)
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
        if restarted:
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                os.unlink(marker())
