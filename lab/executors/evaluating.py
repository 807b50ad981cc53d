"""The process that evaluates: `python -m lab.executors.evaluating ASKED`, started by the executor `lm_eval`.

It works in the folder of the tasks, where their relative data lie. What it makes on the way (a merged model, a copy of
the data as `datasets` keeps it) lies in a folder of its own under TMPDIR, which is gone at its end, also when it is
told to end; of one that was killed, when the next one begins. Data sets of tasks that name one at Hugging Face are read
where this machine keeps them already.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import tempfile
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import msgspec

from lab.core import evaluation, scores
from lab.core.errors import DONE, LabError, NotFound, Unavailable, nearest
from lab.core.evaluation import Asked
from lab.store import machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_STDOUT, _STDERR = 1, 2
_NAME_CHARS = 200  # of a folder; lm_eval makes one of the whole path of a model, and loses the results where it may not
_SCRATCH = re.compile(r"labctl-eval-([0-9a-f]+)-([0-9]+)-[^/]*")
_DATA = re.compile(r"^[ \t]*dataset_path:[ \t]*['\"]?([^\s'\"#]+)", re.MULTILINE)
_TASK = re.compile(r"^task:", re.MULTILINE)  # a SPEC may lie beside the tasks, and is none
_OWN_DATA = re.compile(r"^[ \t]*(class|custom_dataset):", re.MULTILINE)  # Python that may load anything
_BUILT_IN = frozenset({"arrow", "csv", "json", "parquet", "text", "xml"})  # builders of `datasets` that read files
_YAML = ".yaml"
_MOST_CHARS = 1 << 20
_SHOWN_CHARS = 300


def main(argv: list[str]) -> int:
    """Carry out what the first argument asks. What cannot be is the last line of the log, and the exit code."""
    signal.signal(signal.SIGTERM, _end)
    asked = msgspec.json.decode(argv[1], type=Asked)
    try:
        _keep(asked)
        with _scratch() as scratch:
            _evaluate(asked, scratch)
    except LabError as refusal:
        words = refusal.what + (f" ({refusal.where})" if refusal.where else "")
        _say(_STDERR, f"{evaluation.REFUSED}{words}" + (f"; {refusal.fix}" if refusal.fix else ""))
        return refusal.exit_code
    return DONE


def _end(number: int, frame: object) -> NoReturn:
    """Leave as an exception does: a merged model is as large as the model, and nobody else would delete it."""
    del frame
    raise SystemExit(128 + number)


def _scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder of its own, once those are gone whose process was killed: nobody else knows of them."""
    try:
        above = tempfile.gettempdir()
        for name in os.listdir(above):
            found, path = _SCRATCH.fullmatch(name), f"{above}/{name}"
            if found and machine.is_gone(found[1], int(found[2])):
                shutil.rmtree(path, ignore_errors=True)  # that of another user stays, and so does a link
        return tempfile.TemporaryDirectory(prefix=f"labctl-eval-{machine.here()}-{os.getpid()}-")
    except OSError as error:
        raise _refused(error, "look at TMPDIR") from error


def _evaluate(asked: Asked, scratch: str) -> None:
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", f"{scratch}/compiled")
    model = _merged(asked, scratch) if asked.adapter else asked.model
    if asked.tasks_dir:
        if _reads_files_only(asked.tasks_dir):
            os.environ["HF_DATASETS_CACHE"] = f"{scratch}/datasets"  # read when `datasets` is loaded
        os.chdir(asked.tasks_dir)
    harness = import_module("lm_eval")
    manager = _manager(asked)
    tracker = import_module("lm_eval.loggers").EvaluationTracker(output_path=asked.out)
    results = _results(asked, harness, manager, tracker, model)
    samples = results.pop("samples", None)
    named = tracker.general_config_tracker
    named.model_name = asked.adapter or asked.model  # not the folder that is gone when anybody reads it
    named.model_name_sanitized = _folder_name(named.model_name)
    tracker.save_results_aggregated(results=results, samples=samples)
    written = [name for _, _, names in os.walk(asked.out) for name in names if name.startswith("results_")]
    if not written:  # lm_eval says so in its log, and goes on
        raise Unavailable("lm_eval could not write its results", where=asked.out, fix="see whether the disk is full")
    for task, told in results["results"].items():
        for key, value in told.items():
            metric, comma, kind = key.partition(",")
            if comma and isinstance(value, float):
                _say(_STDOUT, f"METRIC {task}/{metric}{'' if kind == 'none' else f'/{kind}'}={value!r}")


def _keep(asked: Asked) -> None:
    """What was asked, and what it will be compared with: both may be changed or gone when it is read."""
    try:
        os.makedirs(asked.out, exist_ok=True)
        with open(f"{asked.out}/{evaluation.ASKED}", "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(asked), indent=1) + b"\n")
        if asked.baseline:
            with open(asked.baseline, "rb") as file:
                scores.parse(file.read(scores.MOST_BYTES + 1), asked.baseline)  # better now than after hours
            shutil.copyfile(asked.baseline, f"{asked.out}/{evaluation.BASELINE}")
    except OSError as error:
        raise _refused(error, "look at the disk, and at who may read and write there") from error


def _refused(error: OSError, fix: str) -> Unavailable:
    where = error.filename if isinstance(error.filename, str) else ""
    return Unavailable(f"the machine refused: {error.strerror or error}", where=where, fix=fix)


def _merged(asked: Asked, scratch: str) -> str:
    """A model of its own. Given both, lm_eval would cut the model to its tokenizer, and the adapter would not fit."""
    base, place = asked.model, f"{scratch}/model"
    if not os.path.isdir(base):
        try:
            base = import_module("huggingface_hub").snapshot_download(base, local_files_only=True)
        except (OSError, ValueError) as error:
            raise _model_away(base, error) from None
    import_module("lab.tinker.merging").merge(base, asked.adapter, place)
    return place


def _manager(asked: Asked) -> object:
    """What knows the tasks. Of a folder of one's own only those: to list all that come with lm_eval takes 20 s."""
    tasks = import_module("lm_eval.tasks")
    manager = tasks.TaskManager(include_path=asked.tasks_dir or None, include_defaults=not asked.tasks_dir)
    known: list[str] = list(manager.all_tasks)
    for name in asked.tasks:
        if name in known:
            continue
        near = nearest(name, tuple(known))
        hint = (
            f"did you mean {near}?"
            if near
            else f"known are {', '.join(known[:20]) or 'none: YAML that it cannot read is passed over'}"
        )
        raise NotFound(f"lm_eval has no task {name}", where=asked.tasks_dir, fix=hint)
    found: object = manager
    return found


def _results(
    asked: Asked, harness: ModuleType, manager: object, tracker: object, model: str
) -> dict[str, dict[str, dict[str, object]]]:
    """What lm_eval measures, or words for the ways in which that mostly fails."""
    torch = import_module("torch")
    if asked.device.startswith("cuda") and not torch.cuda.is_available():
        fix = "take `device` out: without it a GPU is taken where there is one"
        raise Unavailable(f"device is {asked.device}, and this torch sees no GPU", fix=fix)  # lm_eval would use the CPU
    try:
        found: dict[str, dict[str, dict[str, object]]] = harness.simple_evaluate(
            model="hf",
            model_args={"pretrained": model},
            tasks=list(asked.tasks),
            num_fewshot=asked.num_fewshot,
            limit=asked.limit,
            device=asked.device or None,
            batch_size=asked.batch_size,
            task_manager=manager,
            evaluation_tracker=tracker,
            log_samples=True,  # without them no task hash is made, and nothing could be compared
        )
    except (torch.OutOfMemoryError, MemoryError) as error:
        fix = f"batch_size is {asked.batch_size}: choose a smaller one, or auto; or a smaller model"
        raise Unavailable(f"out of memory: {_line(error)}", fix=fix) from None
    except FileNotFoundError as error:
        fix = "correct dataset_path and data_files in its YAML; relative ones are looked for in tasks_dir"
        raise NotFound(f"the data of a task are not there: {_line(error)}", where=asked.tasks_dir, fix=fix) from None
    except ConnectionError as error:
        fix = "a run fetches nothing: download it once, by hand, or use files of your own"
        raise Unavailable(f"a data set is not on this machine: {_line(error)}", fix=fix) from None
    except OSError as error:
        if os.path.isdir(model):
            raise
        raise _model_away(model, error) from None
    return found


def _model_away(model: str, error: Exception) -> Unavailable:
    fix = "a run fetches nothing: download the model once, by hand, or name its folder"
    return Unavailable(f"the model {model} is not on this machine: {_line(error)}", fix=fix)


def _reads_files_only(folder: str) -> bool:
    """Whether all tasks of a folder read files: then nothing of the machine's own store of data sets is wanted.

    One that does not say what it reads (its data are named in a file that it includes, or loaded by Python) may want
    that.
    """
    return not any(
        _OWN_DATA.search(text) or not _BUILT_IN.issuperset(named) or (_TASK.search(text) and not named)
        for text in _texts(folder)
        for named in (_DATA.findall(text),)
    )


def _texts(folder: str) -> Iterator[str]:
    for above, _, names in os.walk(folder):
        for name in names:
            if name.endswith(_YAML):
                with open(f"{above}/{name}", encoding="utf-8", errors="replace") as file:
                    yield file.read(_MOST_CHARS)


def _folder_name(model: str) -> str:
    """As lm_eval names the folder of a model; the end of it where that is too long for a folder."""
    name: str = import_module("lm_eval.utils").sanitize_model_name(model)
    while len(name.encode()) > _NAME_CHARS:
        name = name[1:]
    return name


def _line(error: BaseException) -> str:
    words = " ".join(str(error).split())
    return words[:_SHOWN_CHARS] or type(error).__name__


def _say(descriptor: int, words: str) -> None:
    os.write(descriptor, f"{words}\n".encode(errors="replace"))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
