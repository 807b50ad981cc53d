# ruff: noqa: E501  # an input or a row of a table stands on one line
"""What a run writes, whatever it is: metrics, logs, reports, rows of steps, results; and the config files it is given."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING

from lab.core import constant, crash, sameness, scores
from lab.executors import config_file, evaluated, metrics, placeholders, report, script, told
from lab.executors.capture import Blotter
from lab.executors.log import Log
from lab.scheduler import units
from lab.tinker import paths, rows, used
from scripts.trial.fuzzing import place
from scripts.trial.fuzzing.target import Target, chosen, each, promise

if TYPE_CHECKING:
    from lab.executors.metrics import Found

_METRIC = "val_loss"
_LOG = b"""\
METRIC val_loss=0.5
METRIC tokens=1.5e3
step 1 loss 0.2\r  50%\r 100%
---
val_loss: 0.25
lr:      0.001
note: words
0.125
"""
_METRICS = (
    b'{"value": 0.5, "val_loss": 0.5, "tokens": 12, "note": "a", "cost": 0.5, "signals": ["breakthrough_found"], "metrics": {"a": 1}}',
    b'{"val_loss": 1e308, "description": "d", "x": NaN, "y": Infinity, "z": null, "w": "0.5", "v": true}',
)
_STEP = b'{"step": 3, "run": "r", "at": 1.5, "step_s": 0.5, "trained": 10, "kl": 0.1, "loss": 2.5, "measured": {"acc": 0.5}}\n'
_STATE = (
    b'{"name": "000010", "next_step": 10, "state_path": "tinker://r/weights/000010", "sampler_path": '
    b'"tinker://r/sampler_weights/000010", "fixed": {"ref": "tinker://r/weights/ref"}, "model_run": "r"}\n'
)
_PAUSE = b'{"at": 1.5, "what": "capacity", "words": "wait", "over": 2.5}\n'
_RESULTS = (
    b'{"results": {"arc": {"alias": "arc", "acc,none": 0.5, "acc_stderr,none": 0.01, "acc_norm,none": "N/A"}},'
    b' "higher_is_better": {"arc": {"acc": true}}, "n-shot": {"arc": 5}, "versions": {"arc": 1.0},'
    b' "n-samples": {"arc": {"original": 10, "effective": 10}}, "task_hashes": {"arc": "x"}, "model_name": "m",'
    b' "group_subtasks": {"g": ["arc"]}}'
)
_ASKED = b'{"tasks": ["arc"], "out": "o", "model": "m", "metric": "arc/acc,none", "baseline": "RUN-1", "better_by": 2.0, "num_fewshot": 5}'


def _sound(found: Found) -> None:
    promise((found.value is None) == bool(found.problem), "neither a value nor a reason why there is none, or both")
    promise(found.value is None or math.isfinite(found.value), "the value is not finite")
    promise(all(map(math.isfinite, found.metrics.values())), "a metric is not finite")
    promise(math.isfinite(found.cost) and found.cost >= 0, "a cost that is none")
    promise(
        len(found.metrics) <= told.MOST_NAMES + 1 and len(found.note) <= told.NOTE_CHARS, "more was kept than is said"
    )
    promise(len(found.remarks) <= told.MOST_REMARKS, "more remarks than are shown")


def _metrics(data: bytes) -> None:
    """Whatever stands in metrics.json beside whatever was printed: a finite number, or why there is none."""
    at, rest = chosen(data, 3)
    run = place.fresh("run")
    place.file("run/metrics.json", rest)
    if at:
        place.file("run/stdout.log", _LOG if at == 1 else rest)
    _sound(metrics.read(run, _METRIC))


def _log(data: bytes) -> None:
    """A log says the same wherever it is cut."""
    whole, cut = Log(_METRIC), Log(_METRIC)
    whole.feed(data)
    for start in range(0, len(data), 7):
        cut.feed(data[start : start + 7])
    one, other = whole.end(), cut.end()
    promise(repr(one) == repr(other), "what a log tells depends on where it was cut")
    promise(
        all(told.is_name(name, _METRIC) or name == told.VALUE for name in one.metrics), "a metric has no name of one"
    )
    run = place.fresh("logged")
    place.file("logged/stdout.log", data)
    _sound(metrics.read(run, _METRIC))


def _report(data: bytes) -> None:
    """A curve grows, is finite, and is the same wherever the report was cut."""
    whole, cut = report.Report(), report.Report()
    whole.feed(data)
    for start in range(0, len(data), 5):
        cut.feed(data[start : start + 5])
    promise(whole.curve == cut.curve, "what a report tells depends on where it was cut")
    steps = [step for step, _ in whole.curve.points]
    promise(steps == sorted(set(steps)), "the steps of a curve do not grow")
    promise(all(math.isfinite(number) for point in whole.curve.points for number in point), "a point is not finite")


def _blotted(data: bytes) -> None:
    """No secret is left in a log, wherever a piece of it ends."""
    size, rest = chosen(data, 64)
    secret = b"sk-secret-0123456789"
    blotter = Blotter([secret.decode()])
    pieces = [blotter.pass_on(rest[start : start + size + 1]) for start in range(0, len(rest), size + 1)]
    promise(secret not in b"".join([*pieces, blotter.finish()]), "a secret went through")


def _rows(data: bytes) -> None:
    """Rows of a remote training: what is kept is finite, and a path in it is one."""
    at, rest = chosen(data, 4)
    lines = rest.split(b"\n")
    if at == 0:
        found = rows.steps_of(lines)
        numbers = [n for row in found.rows for n in (*row.metrics.values(), *row.measured.values(), row.at, row.step_s)]
        promise(all(map(math.isfinite, numbers)), "a number of a step is not finite")
        promise(all(row.step >= 0 for row in found.rows) and found.trained >= 0, "a step or a count below nothing")
        again = rows.steps_of([rows.encode(row)[:-1] for row in found.rows])
        promise(again.rows == found.rows, "parse(encode(row)) is another row")
    elif at == 1:
        last = rows.states_of(lines).last
        promise(last is None or paths.is_path(last.state_path), "a state has no path of one")
    elif at == 2:  # noqa: PLR2004  # the third of the choices
        total_s = rows.paused_s(rows.pauses_of(lines), 100.0)
        promise(total_s >= 0, "a pause below nothing")
    else:
        used.changed(rest, b'{"a": "b"}')
        words = rest.decode(errors="replace")
        promise(not paths.is_path(words) or paths.parse(words).path == words, "parse(path).path is another path")


def _results(data: bytes) -> None:
    """The results of lm_eval: every score finite; the run's folder read without following a thing out of it."""
    at, rest = chosen(data, 3)
    if at == 0:
        found = scores.parse(rest, "results.json")
        promise(all(math.isfinite(score.value) for score in found.scores), "a score is not finite")
        scores.compare(found, scores.parse(_RESULTS, "results.json"))
        return
    run = place.fresh("evaluated")
    place.file("evaluated/artifacts/results_2026.json", rest if at == 1 else _RESULTS)
    place.file("evaluated/artifacts/asked.json", _ASKED if at == 1 else rest)
    place.file("evaluated/artifacts/baseline.json", _RESULTS)
    list(evaluated.page(evaluated.read(run)))


def _config(data: bytes) -> None:
    """Parameters into a program's own config file, which says the same afterwards but for them."""
    at, rest = chosen(data, 3)
    name = ("c.json", "c.yaml", "c.toml")[at]
    made = config_file.merged(name, rest, {"optim.lr": 0.5, "seed": 3})
    again = config_file.merged(name, made, {"optim.lr": 0.5, "seed": 3})
    told_once, told_twice = (repr(config_file._read(name, each)) for each in (made, again))  # noqa: SLF001  # by what they say
    promise(told_once == told_twice, "the same parameters a second time give another file")
    config_file.spread({name: rest, "d.json": b"{}"}, {"lr": 0.5, "a.b.c": "x"})


def _command(data: bytes) -> None:
    """Commands of a SPEC: split and filled, or refused; no value of a parameter is ever read by a shell as its own."""
    at, rest = chosen(data, 3)
    words = rest.decode(errors="surrogateescape")
    value = '\'; $(touch x) `y` "z"'
    names = {"run_dir": "/r", "workspace": "/w", "params_path": "/p"}
    script.script_at(script.words(words))
    if at == 0:
        found = placeholders.fill(words, shell=False, params={"lr": value, "n": 3}, names=names)
        promise(all("\0" not in word for word in found), "a zero byte in an argument")
    elif at == 1:
        made = placeholders.in_shell(words, {"lr": value, "n": 3}, names)[2]
        promise(
            value not in made.replace(shlex.quote(value), "") or value in words,
            "a value lies bare in a shell's text",
        )
    else:
        placeholders.in_shell(words, None, {})


def _seeds(data: bytes) -> None:
    """Lines of a change: whether other seeds are all that is new, in a time that grows with their length."""
    text = data.decode(errors="surrogateescape")
    lines = [("a.py", sign, line) for line in text.split("\n") for sign in "-+"]
    sameness.seed_only(lines)
    sameness.cosmetic(lines)
    constant.end(text, 0)
    promise((constant.end_of_one(text, 0) or 0) <= len(text), "a constant ends behind its line")
    crash.kind(1, None, text)
    promise(len(crash.what(text, 1)) < 2_000, "what happened is told at more length than in a line")  # noqa: PLR2004  # a few


def _crontab(data: bytes) -> None:
    """Somebody's crontab with our lines in it: all else as it was, and once in is once in."""
    before = data.decode(errors="surrogateescape")
    block = "# >>> labctl-x: labctl run-once\n* * * * * true\n# <<< labctl-x <<<\n"
    made = units.crontab_with(before, block, "labctl-x")
    promise(made.count(block) == 1, "our lines are not in it once")
    promise(units.crontab_with(made, block, "labctl-x") == made, "a second time changes it")
    rest = units.crontab_without(made, "labctl-x")
    promise(
        rest.rstrip("\n") == units.crontab_without(before, "labctl-x").rstrip("\n"), "a line of somebody else is gone"
    )


TARGETS = (
    Target(
        name="metrics",
        what="metrics.json",
        read=_metrics,
        head=1,
        seeds=each(3, *_METRICS),
        words=("value", _METRIC, "cost", "signals", "note", "__proto__"),
        reads=("lab.executors.told", "lab.executors.metrics"),
    ),
    Target(
        name="log",
        what="METRIC lines, blocks and last lines of a log",
        read=_log,
        seeds=(_LOG, b"0.5\n", b"METRIC value=1\r\n", b"  \x1b[1mmetric val_loss: 0,5 %\x1b[0m\n"),
        words=("METRIC ", "METRIC\t", "---\n", "=", ": ", "value", _METRIC, "\r", "metric ", "\x1b[0m", "%", ","),
        reads=("lab.executors.log", "lab.executors.nearly", "lab.executors.told"),
    ),
    Target(
        name="report",
        what="`step value` lines of a report",
        read=_report,
        seeds=(b"1 0.5\n2 0.25\n3 nan\n2 9\n\n",),
        words=("\n", " ", "nan", "1e5 "),
        reads=("lab.executors.report", "lab.core.curve"),
    ),
    Target(
        name="secrets",
        what="what a program prints, on its way to the log",
        read=_blotted,
        head=1,
        seeds=(
            b"\x05a sk-secret-0123456789 b c2stc2VjcmV0LTAxMjM0NTY3ODk=",
            b"\x00sk-sk-secret-01234567",
            b"\x3fsk-secret-01234567890",
        ),
        words=("sk-secret-0123456789", "sk-", "0123456789"),
        reads=("lab.executors.capture", "lab.core.secret"),
    ),
    Target(
        name="steps",
        what="steps.jsonl, checkpoints.jsonl, pauses.jsonl, and paths in them",
        read=_rows,
        head=1,
        seeds=(
            b"\x00" + _STEP * 2,
            b"\x01" + _STATE,
            b"\x02" + _PAUSE * 2,
            b'\x03{"a": "b"}',
            b"\x03tinker://r/weights/1",
        ),
        words=("step", "unfinished", "kl", "tinker://", "over"),
        reads=("lab.tinker.rows", "lab.tinker.paths", "lab.tinker.used"),
    ),
    Target(
        name="results",
        what="results of lm_eval, and what was asked of it",
        read=_results,
        head=1,
        most=8192,
        seeds=(b"\x00" + _RESULTS, b"\x01" + _RESULTS, b"\x02" + _ASKED),
        words=("acc,none", "acc_stderr,none", "N/A", "results"),
        reads=("lab.core.scores", "lab.executors.evaluated"),
    ),
    Target(
        name="config",
        what="a program's own config file: JSON, YAML, TOML",
        read=_config,
        head=1,
        seeds=(
            b'\x00{"optim": {"lr": 1}, "x": [{"a": 1}]}',
            b"\x01optim: {lr: 1}\nd: 2020-01-01\ns: !!set {a}\n",
            b"\x02seed = 1\nd = 1979-05-27\n[optim]\nlr = 1 # c\n[[x]]\na = 1\n",
        ),
        words=(
            "!!int ''",
            "!!float ''",
            "!!bool x",
            "!!timestamp x",
            "&a",
            "*a",
            "<<",
            "[optim]",
            "1979-05-27T07:32:00Z",
        ),
        reads=("lab.executors.config_file",),
    ),
    Target(
        name="command",
        what="commands of a SPEC, their quotes and placeholders",
        read=_command,
        head=1,
        seeds=each(
            3,
            b"python train.py --lr {params.lr} '{run_dir}' \"$HOME {params.n}\" # {params.lr}",
            b"{{params.lr}} ${X} a{params.n}b",
        ),
        words=("{params.lr}", "{params.n}", "{{", "}}", "'", '"', "\\", "$", "#", "{workspace}"),
        reads=("lab.executors.placeholders", "lab.executors.script"),
    ),
    Target(
        name="change",
        what="lines of a change: seeds, constants, words of a crash",
        read=_seeds,
        seeds=(
            b"seed = 5\nset_seed(1 + 2)\nx = [1, 2]\nseeds = [1, 2,]\n--seed 5",
            b"Traceback (most recent call last):\nRuntimeError: CUDA out of memory\n  rand.seed('a' * 3)",
        ),
        words=("seed", "(", "[", "int(", "'a'", "1_0", "random.", "Error: ", "E   "),
        reads=("lab.core.sameness", "lab.core.constant", "lab.core.crash"),
    ),
    Target(
        name="crontab",
        what="a crontab that our lines go into",
        read=_crontab,
        seeds=(b"* * * * * x\n# >>> labctl-x: y\nours\n# <<< labctl-x <<<\n0 0 * * * z", b"MAILTO=a\n"),
        words=("# >>> labctl-x: ", "# <<< labctl-x <<<", "# >>> labctl-xy: "),
        reads=("lab.scheduler.units",),
    ),
)
