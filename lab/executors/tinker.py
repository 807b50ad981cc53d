"""The executor of trainings through the Tinker API: `executor_command` is a recipe and its flags; blank is `recipe.py`.

The recipe is found as `training` finds its script, and runs in a Python that has tinker and lab. By `chunk.json` it is
told what to do (`LAB_CHUNK_PATH`), and by the rows that it writes below artifacts/ it tells what it did.

What it saved is saved and what it used is paid, however its run ended: that is read from the rows in any case. Exit 75
after a state is a success with more to do, 0 is the end of the training; anything else has failed. Of those, 5 says
that the service was not there, and 76 that the budget had no room for a step: neither is a failure of the training.
"""

from __future__ import annotations

import shlex
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from lab.core import chunk as words
from lab.core import crash, layout
from lab.core.chunk import MORE, Chunk, Order
from lab.core.errors import Corrupt
from lab.core.record import parse
from lab.core.run import FAILED, SUCCESS
from lab.core.tuning import LOCAL_KEY, Tuning
from lab.executors import metrics, outcome, pythons, script
from lab.executors.command import Command
from lab.executors.log import open_plain
from lab.tinker import credentials, rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.chunk import Checkpoint
    from lab.core.ended import Ended
    from lab.core.launch import Exit, Foreseen, Launch, Program
    from lab.core.manifest import Manifest
    from lab.core.spec import Spec
    from lab.executors.metrics import Found
    from lab.tinker.rows import States, Steps

NAME = "tinker"
SCRIPT = "recipe.py"
INSTALL = "pip install 'labctl[tinker]'"
_MODULES = ("tinker", "lab")
_WANTED = script.Wanted(kind="recipe", module="tinker", example="labctl create tinker-sl")
# What is told of a training stays between it and its service; models and tokenizers are on this machine, or nowhere.
_QUIET = {"TINKER_TELEMETRY": "0", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
_TAIL_BYTES, _TAIL_LINES = 1 << 16, 400
_REASON_CHARS = 400
_ORDER_BYTES = 1 << 20
_IN, _FIX = "  in ", "  fix: "  # how the lab words an error, below its first line


class Tinker:
    def prepare(self, launch: Launch) -> Program:
        """The recipe under the Python that has tinker and lab. Nothing is written; that Python is asked."""
        require(launch.foreseen)
        written = script.named(launch.spec.executor_command, SCRIPT)
        if script.is_bare(written):
            written = f"{shlex.quote(_python(launch.environ))} {written}"
        spec = msgspec.structs.replace(launch.spec, executor_command=written)
        program = Command().prepare(msgspec.structs.replace(launch, spec=spec))
        tuning = launch.spec.tinker or Tuning()
        told = {
            **program.environ, **_QUIET, "TINKER_BASE_URL": tuning.url,
            "LAB_CHUNK_PATH": f"{launch.path}/{words.ORDER}",
        }  # fmt: skip
        if tuning.is_local and not credentials.source(launch.environ):
            told[credentials.KEY] = LOCAL_KEY
        return msgspec.structs.replace(program, environ=told)

    def require(self, foreseen: Foreseen) -> None:
        """Refuse what cannot train, before a run is claimed."""
        require(foreseen)

    def require_python(self, spec: Spec, environ: Mapping[str, str]) -> None:
        """Refuse where no Python has tinker and lab, unless the SPEC names one itself."""
        if script.is_bare(script.named(spec.executor_command, SCRIPT)):
            _python(environ)

    def read(self, path: str, manifest: Manifest, ended: Exit) -> Ended:
        """What the chunk did, from its rows; and what became of its run, from its exit and its metric."""
        found = metrics.read(path, manifest.metric)
        order = _order(path, manifest)
        if order is None:
            why = f"{words.ORDER} is not there as it was written: what this run was to do is not known"
            how, told = outcome.trouble(manifest, ended)
            return outcome.told(path, manifest, ended, found, (how or FAILED, told or why))
        steps, states = rows.steps(path), rows.states(path)
        chunk = _chunk(order, steps, states, _paused_s(path, manifest, ended))
        chunk = msgspec.structs.replace(chunk, halted=_halted(ended))
        doubt = _unbelievable(order, states.last) if states.last is not None else ""
        how, why = _judged(manifest, ended, order, chunk, found, doubt)
        is_odd = ended.code not in (0, MORE) or (chunk.state_path and found.value is None)
        if how == FAILED and not ended.stopped and is_odd and ended.started:
            why = _last_words(path, ended, why)
        found = msgspec.structs.replace(found, note=found.note or _note(order, chunk), metrics=_with(found, chunk))
        told_of = outcome.told(path, manifest, ended, found, (how, why))
        usd = order.tuning.usd(chunk.trained, chunk.sampled, chunk.prefilled)
        return msgspec.structs.replace(told_of, chunk=chunk, cost=usd or found.cost)


def require(foreseen: Foreseen) -> None:
    """Refuse what cannot train, before a run is claimed: no workspace, no recipe, no Python with tinker and lab."""
    script.require_workspace(foreseen)
    if script.require(foreseen, script.named(foreseen.spec.executor_command, SCRIPT), _WANTED):
        _python(foreseen.environ)


def _python(environ: Mapping[str, str]) -> str:
    return pythons.find(_MODULES, environ, INSTALL)


def _order(path: str, manifest: Manifest) -> Order | None:
    """What the run was told to do; None where that file is gone, or is another's."""
    place = f"{path}/{words.ORDER}"
    descriptor = open_plain(place)
    if descriptor is None:
        return None
    with open(descriptor, "rb") as file:
        data = file.read(_ORDER_BYTES)
    try:
        order = parse(Order, data, place)
    except Corrupt:
        return None
    return order if order.run_id == manifest.run_id else None


def _chunk(order: Order, steps: Steps, states: States, paused_s: float) -> Chunk:
    """What is sealed of it. A state that holds no step of those that were ordered is not one that it saved.

    Where none was ordered, or the recipe found none left, the state is that of the order: the training is at its end.
    """
    last = states.last if states.last is not None and not _unbelievable(order, states.last) else None
    if last is not None and last.next_step == order.first_step:
        last = last if last.final and last.state_path == order.state_path else None
    of_state = {} if last is None else {
        "model_run": last.model_run, "state_path": last.state_path, "final": last.final,
        "sampler_path": last.sampler_path, "external_path": last.external_path,
    }  # fmt: skip
    return Chunk(
        number=order.number,
        first_step=order.first_step,
        next_step=order.first_step if last is None else last.next_step,
        parent=order.parent,
        fixed={**states.fixed, **order.fixed},
        base_model=order.tuning.base_model,
        seed=order.seed,
        params=order.params,
        trained=steps.trained,
        sampled=steps.sampled,
        prefilled=steps.prefilled,
        kl=steps.kl,
        trouble=steps.trouble,
        paused_s=round(paused_s, 3),
        **of_state,  # type: ignore[arg-type]  # a table of its fields
    )


def _halted(ended: Exit) -> str:
    """What kept it from its steps that is no failure of the training, by its exit code."""
    is_own_end = ended.started and not ended.stopped and not ended.signal and ended.code is not None
    return words.HALTS.get(ended.code, "") if is_own_end and ended.code else ""


def _unbelievable(order: Order, last: Checkpoint) -> str:
    """Why its record of a state cannot be of this chunk; else nothing. The chain would go on from there, and end."""
    most = min(order.first_step + order.steps, order.until)
    if order.first_step <= last.next_step <= most:
        return ""
    return f"{words.CHECKPOINTS} has a state of step {last.next_step:,}, and it was to do {order.first_step} to {most}"


def _paused_s(path: str, manifest: Manifest, ended: Exit) -> float:
    """Seconds that the service let it wait. A pause whose end nobody saw lasted until the run was over."""
    try:
        until_s = datetime.fromisoformat(manifest.started_at).timestamp() + ended.wall_s
    except (ValueError, OverflowError):
        until_s = 0.0
    found = rows.pauses(path)
    return rows.paused_s(found, max([until_s, *(pause.over or 0.0 for pause in found)]))


def _judged(  # all that it is told by
    manifest: Manifest, ended: Exit, order: Order, chunk: Chunk, found: Found, doubt: str
) -> tuple[str, str]:
    """The outcome, and why where it is no success. `doubt` says why a state that it told of is not believed."""
    how, why = outcome.trouble(manifest, ended)
    went_on = ended.code == MORE and ended.started and not ended.stopped and not ended.signal
    if how and not went_on:
        return how, why + _stands(order, ended, chunk)
    more = "".join(f"; {each}" for each in (doubt, chunk.trouble) if each)
    if went_on and not order.number:
        return FAILED, f"it ended with more to do (exit code {MORE}), and a run of a search is a whole training"
    if went_on and not chunk.state_path:
        return FAILED, f"it ended with exit code {MORE}, and saved no state after step {order.first_step}{more}"
    if not went_on and not chunk.final:
        return FAILED, f"it ended as if it were finished, and {words.CHECKPOINTS} has no last state{more}"
    if found.value is None:
        return FAILED, found.problem + more
    return SUCCESS, ""


def _stands(order: Order, ended: Exit, chunk: Chunk) -> str:
    """Where the training is after a run that came to no end of its own."""
    if not ended.started:
        return ""
    at_least = "; what it used after its last row is not in its tokens" if ended.code is None else ""
    if not order.number:
        return at_least
    if chunk.state_path:
        return f"; its state of step {chunk.next_step} is saved{at_least}"
    if not ended.stopped and not ended.signal:
        return ""
    return f"; it saved no step, and the training stands at step {order.first_step}{at_least}"


def _note(order: Order, chunk: Chunk) -> str:
    """Where it stands, in a line."""
    chunk_of = f"chunk {order.number}: " if order.number else ""
    if not chunk.state_path:
        return f"{chunk_of}no step saved, {order.until - chunk.first_step} of {order.until} are left"
    return f"{chunk_of}steps {chunk.first_step} to {chunk.next_step} of {order.until}"


def _with(found: Found, chunk: Chunk) -> dict[str, float]:
    """The metrics of a run, with what is counted of every chunk. What the recipe calls so itself stays its own."""
    counted = {
        "first_step": chunk.first_step, "next_step": chunk.next_step, "tokens": chunk.tokens,
        "tokens_trained": chunk.trained, "tokens_sampled": chunk.sampled, "tokens_prefilled": chunk.prefilled,
    }  # fmt: skip
    more = {words.KL: chunk.kl, "paused_s": chunk.paused_s or None}
    return {**counted, **{name: value for name, value in more.items() if value is not None}, **found.metrics}


def _last_words(path: str, ended: Exit, why: str) -> str:
    """What the recipe said of its failure; else the last error in its log; else only how it ended."""
    lines = outcome.tail(f"{path}/{layout.STDERR}", _TAIL_BYTES, _TAIL_LINES)
    if not lines:
        return why
    said = _complaint(lines, path) or crash.what("\n".join(lines), ended.code, ended.signal)
    return f"{' '.join(said.split())[:_REASON_CHARS]} ({why.removeprefix('it ')})"


def _complaint(lines: list[str], path: str) -> str:
    """An error as the lab words it: what happened, the file where that was (not the run's own), what to do about it.

    Nothing where the last words are none of those. Of many lines the first ones are told: what to do keeps its place.
    """
    at = max((number for number, line in enumerate(lines) if line[:1].strip()), default=len(lines))
    below = lines[at + 1 :]
    place = next((line.removeprefix(_IN) for line in below if line.startswith(_IN)), "")
    fix = next((f"; {line.strip()}" for line in below if line.startswith(_FIX)), "")
    if not place and not fix:
        return ""
    more = [line.strip() for line in below if line.strip() and not line.startswith((_IN, _FIX))]
    named = [f"in {place}"] if place.startswith("/") and not place.startswith(path) else []
    what = " ".join("; ".join([" ".join([lines[at], *named]), *more]).split())
    return what[: max(_REASON_CHARS - len(fix), _REASON_CHARS // 2)] + fix
