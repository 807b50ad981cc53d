"""The executor of training scripts: `executor_command` is the script and flags of its own; blank is `train.py`.

The script is found as `command` finds one. What is left to the lab: the Python that has torch, what must be set before
torch is loaded, `torchrun` where a script may use several GPUs, and the parameters of the run, each as `--name=value`.
A parameter that a placeholder of the command names is not handed over twice, and one that is null is left out. One
that the command says itself is refused: which of the two counts would be the script's secret. A Python in front of the
script is taken as given.

A success has told its metric and taken a step. What a failed script said last is the reason of its failure.
"""

from __future__ import annotations

import os
import re
import shlex
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from lab.core import crash, layout
from lab.core.errors import BadInput
from lab.core.run import FAILED, SUCCESS
from lab.executors import interpreter, metrics, outcome, placeholders, platform, script
from lab.executors.command import Command

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lab.core.ended import Ended
    from lab.core.launch import Exit, Foreseen, Launch, Program
    from lab.core.manifest import Manifest
    from lab.core.spec import Spec
    from lab.executors.metrics import Found

NAME = "training"
METRIC = "val_bpb"
SCRIPT = "train.py"
_WANTED = script.Wanted(kind="training script", module="torch", example="labctl create gpu-training")
# Threads that wait by spinning take the processor from those that compute, most of all from another run's.
_WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "PYTHONUNBUFFERED": "1"}
_RESTARTS = "TORCHELASTIC_RESTART_COUNT"  # a script that reads it knows that it is started once more, and why
_TAIL_BYTES, _TAIL_LINES = 1 << 16, 400
_REASON_CHARS, _DIGEST_CHARS = 400, 8
_STEPS = ("num_steps", "steps", "step")
_IMPORT = re.compile(r"^(?:from|import) (\w+)", re.MULTILINE)
_AGAIN = "it is not run twice"  # the last word of a script that torchrun started again; why it failed stands above
_TRACEBACK, _TORCHRUN = "Traceback (most recent call last)", "ChildFailedError"
_DEVICE, _ONE = "--device", re.compile(r"cpu|mps|(?:[a-z]+:)?\d+")
_YES = ("1", "true", "yes")
_SAID = re.compile(r"[\w.-]+\.py: \S")


class Training:
    def prepare(self, launch: Launch) -> Program:
        """The script under the Python that has torch, its flags behind it. Nothing is written; that Python is asked."""
        written = command_of(launch.spec)
        require(launch.foreseen)
        torch = None
        if script.is_bare(written):
            torch = interpreter.find(launch.environ)
            written = f"{shlex.quote(torch.python)} {written}"
        spec = msgspec.structs.replace(launch.spec, executor_command=written)
        program = Command().prepare(msgspec.structs.replace(launch, spec=spec))
        whole = (*program.argv, *flags(launch.params, launch.spec.executor_command))
        argv = _started(whole, torch, launch)
        environ = {**_WAITING, **script.threads(launch.spec), **program.environ}
        return msgspec.structs.replace(program, argv=argv, environ=environ)

    def require(self, foreseen: Foreseen) -> None:
        """Refuse what cannot train, before a run is claimed."""
        require(foreseen)

    def require_python(self, spec: Spec, environ: Mapping[str, str]) -> None:
        """Refuse where no Python has torch."""
        require_torch(spec, environ)

    def read(self, path: str, manifest: Manifest, ended: Exit) -> Ended:
        """Its exit, its metrics and its last words, from the disk."""
        found = metrics.read(path, manifest.metric or METRIC)
        summary = _summary(path)
        how, why = outcome.trouble(manifest, ended)
        if how == FAILED and not ended.stopped and ended.started:
            why = _last_words(path, ended, why)
        if not how:
            how, why = _judged(found)
        note = found.note or (_note(summary) if how == SUCCESS else "")
        told = outcome.told(path, manifest, ended, msgspec.structs.replace(found, note=note), (how, why))
        peak_mb = found.metrics.get("peak_vram_mb", 0.0)
        if peak_mb <= 0 or told.usage.gpu_peak_memory_mb is not None or summary.get("device_kind") == platform.CPU:
            return told
        return msgspec.structs.replace(told, usage=msgspec.structs.replace(told.usage, gpu_peak_memory_mb=peak_mb))


def command_of(spec: Spec) -> str:
    """What a SPEC means: a script and its flags. Flags alone are those of train.py."""
    return script.named(spec.executor_command, SCRIPT)


def require(foreseen: Foreseen) -> None:
    """Refuse what cannot train, before a run is claimed: no workspace, no script, no torch, a knob said twice."""
    if foreseen.spec.shell:
        fix = "take `shell: true` out, or use `executor: command` and name the parameters in the command"
        raise BadInput(f"{foreseen.spec.id} trains by a script, and `shell: true` is for a shell's text", fix=fix)
    script.require_workspace(foreseen)
    require_single(foreseen.spec, foreseen.names)
    if script.require(foreseen, command_of(foreseen.spec), _WANTED):
        interpreter.find(foreseen.environ)


def require_single(spec: Spec, names: Collection[str]) -> None:
    """Refuse a parameter that is a flag of the command too: a script takes the last one, and says nothing."""
    words = script.words(command_of(spec))
    at = script.script_at(words)
    behind = words if at is None else words[at + 1 :]
    said = {_as_flag(word): word.partition("=")[0] for word in behind if word.startswith("--")}
    for name in names:
        flag = said.get(_as_flag(f"--{name}"))
        if flag and not _is_placed(name, spec.executor_command):
            what = f"{name} is said twice: executor_command of {spec.id} has {flag}, and its search space has {name}"
            fix = f'take {flag} out of the command and give the space one value, "{name}": {{"value": ...}}'
            raise BadInput(what, fix=f"{fix}; or take {name} out of the space")


def require_torch(spec: Spec, environ: Mapping[str, str]) -> None:
    """Refuse where no Python has torch, unless the SPEC names one itself."""
    if script.is_bare(command_of(spec)):
        interpreter.find(environ)


def flags(params: Mapping[str, object] | None, written: str = "") -> tuple[str, ...]:
    """The parameters as flags of the script, less those that a placeholder of its command hands over."""
    return tuple(
        f"--{name}={placeholders.plain(value, name)}"
        for name, value in (params or {}).items()
        if value is not None and not _is_placed(name, written)
    )


def _is_placed(name: str, written: str) -> bool:
    """Whether a placeholder of the command hands a parameter over."""
    return f"{{params.{name}}}" in written


def _as_flag(word: str) -> str:
    """A flag as it is compared: without its value, and `-` for `_`, as train.py and click read both."""
    return word.partition("=")[0].replace("_", "-")


def _started(argv: tuple[str, ...], torch: interpreter.Torch | None, launch: Launch) -> tuple[str, ...]:
    """The same, in one process for each GPU where there are several. A torch that knows no GPU has one process."""
    at = script.script_at(argv)
    count = platform.visible(launch.environ)
    if not at or count <= 1 or _names_one(argv[at + 1 :]):
        return argv
    if torch is None:
        try:
            torch = interpreter.of(argv[0], launch.environ)
        except LookupError:
            return argv
    if not torch.cuda and not torch.hip:
        return argv
    run = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}")
    # Started once more after any failure, a script that does not ask why would fail twice, at twice the price.
    once_more = ("--max-restarts=1",) if _reads_restarts(argv[at]) else ()
    # torchrun starts its own Python without the options of this one, so they go with the script.
    program = ("--no-python", *argv) if at > 1 else argv[1:]
    return (argv[0], *run, *once_more, *program)


def _names_one(words: Sequence[str]) -> bool:
    """Whether its flags name a single device. As many processes as there are GPUs would all go for that one."""
    named = ""
    for word, following in pairwise((*words, "")):
        flag, equals, value = word.partition("=")
        if flag == _DEVICE:
            named = value if equals else following
    return bool(_ONE.fullmatch(named))


def _reads_restarts(place: str) -> bool:
    """Whether a script, or a module of its folder that it imports, asks why it was started."""
    text = interpreter.text_of(place)
    folder = os.path.dirname(place)
    beside = (interpreter.text_of(f"{folder}/{name}.py") for name in dict.fromkeys(_IMPORT.findall(text)))
    return _RESTARTS in text or any(_RESTARTS in each for each in beside)


def _judged(found: Found) -> tuple[str, str]:
    """What becomes of a script that ended well: without a finite metric and a step it trained nothing."""
    if found.value is None:
        return FAILED, found.problem
    steps = next((found.metrics[name] for name in _STEPS if name in found.metrics), None)
    if steps is None:
        return FAILED, f"it told no number of steps: print `{_STEPS[0]}: 250` below a line `---`, or METRIC steps=250"
    if steps < 1:
        return FAILED, "it took no step, so its metric is that of a model which learned nothing"
    return SUCCESS, ""


def _last_words(path: str, ended: Exit, why: str) -> str:
    """What the script said of its failure; else the last error in its log; else only how it ended."""
    lines = _own(outcome.tail(f"{path}/{layout.STDERR}", _TAIL_BYTES, _TAIL_LINES))
    if not lines:
        return why
    said = max((at for at, line in enumerate(lines) if _SAID.match(line)), default=None)
    if said is None or any(line.startswith(_TRACEBACK) for line in lines[said:]):  # it got over what it said
        words = crash.what("\n".join(lines), ended.code, ended.signal)
    else:
        below = lines[said + 1].strip() if said + 1 < len(lines) else ""
        words = f"{lines[said]}; {below}" if below.startswith("fix: ") else lines[said]
    return f"{' '.join(words.split())[:_REASON_CHARS]} ({why.removeprefix('it ')})"


def _own(lines: list[str]) -> list[str]:
    """What the script itself said: not what torchrun says of it, and not that it was started again in vain."""
    last = max((at for at, line in enumerate(lines) if line.startswith(_TRACEBACK)), default=None)
    if last is not None and any(_TORCHRUN in line for line in lines[last:]):
        lines = lines[:last]
    return [line for line in lines if _AGAIN not in line]


def _summary(path: str) -> dict[str, str]:
    """The `name: value` lines below the last `---`: what of a summary is no number."""
    lines = outcome.tail(f"{path}/{layout.STDOUT}", _TAIL_BYTES, _TAIL_LINES)
    start = max((at for at, line in enumerate(lines) if line.strip() == "---"), default=len(lines))
    pairs = (line.partition(":") for line in lines[start + 1 :])
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}


def _note(summary: Mapping[str, str]) -> str:
    """Where, how large, how long and on what: what tells two values of one metric apart."""
    told = [summary.get("device", "")]
    for name, words in (("num_params_M", "{} M parameters"), ("num_steps", "{} steps")):
        told.append(words.format(summary[name]) if name in summary else "")
    corpus = summary.get("corpus") or summary.get("data", "")
    told.append(f"{corpus} {summary.get('data_digest', '')[:_DIGEST_CHARS]}".strip())
    if summary.get("oom_halved") in _YES:
        told.append("device batch halved after out of memory")
    return ", ".join(filter(None, told))
