"""The executor of evaluations: what `lm_eval:` of the SPEC says, carried out by lm-evaluation-harness.

It runs in a Python that has it, without a network: a model and data sets that are named, and are no folders, must be
on this machine already. The value of a run is the score that `metric` names; all scores are its metrics. What a run
leaves is what lm_eval itself would: artifacts/MODEL/results_TIME.json.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import msgspec

from lab.core import crash, evaluation, layout, scores
from lab.core.errors import BadInput, NotFound
from lab.core.evaluation import Asked, Evaluation
from lab.core.launch import Program
from lab.core.layout import Layout
from lab.core.run import FAILED, SUCCESS
from lab.core.spec_evaluation import PLACE
from lab.executors import evaluated, outcome, placeholders, pythons, script
from lab.executors.metrics import Found
from lab.executors.told import is_name
from lab.store import bundles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.ended import Ended
    from lab.core.launch import Exit, Foreseen, Launch
    from lab.core.manifest import Manifest
    from lab.core.spec import Spec

NAME = "lm_eval"
INSTALL = "pip install 'labctl[eval]'"
_MODULES = ("lm_eval", "transformers", "torch", "lab")
_PROGRAM = "lab.executors.evaluating"
# A run that fetched something would measure what was there that day.
_OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
_CONFIG = "config.json"
_ADAPTER = "adapter_config.json"
_YAML = ".yaml"  # lm_eval looks at no other
_MOST_METRICS = 200
_TAIL_BYTES, _TAIL_LINES = 1 << 16, 400
_REASON_CHARS = 400


class LmEval:
    def prepare(self, launch: Launch) -> Program:
        """lm_eval with all that it is to ask, and every place absolute. A Python is asked what it has."""
        block = _block(launch.spec)
        filled = _filled(block, launch.params or {})
        folders = (launch.workspace, *launch.folders)
        if not filled.model:
            fix = "name it as `model` of lm_eval, or as a parameter of that name"
            raise BadInput("this run is given no model to evaluate", fix=fix)
        asked = msgspec.structs.replace(
            _placed(filled, folders),
            out=f"{launch.path}/{layout.ARTIFACTS}",
            baseline=_baseline(filled.baseline, launch.foreseen),
            baseline_name=filled.baseline,
        )
        python = pythons.find(_MODULES, launch.environ, INSTALL)
        words = msgspec.json.encode(asked).decode()
        return Program(
            argv=(python, "-P", "-m", _PROGRAM, words),
            cwd=launch.path,
            environ={**launch.environ, **_OFFLINE, **script.threads(launch.spec)},
            secrets=launch.secrets,
        )

    def require(self, foreseen: Foreseen) -> None:
        """Refuse what cannot be evaluated, before a run is claimed: no lm_eval, no model, no tasks, no baseline.

        What a parameter of the run fills in is looked at when the run begins.
        """
        script.require_workspace(foreseen)
        block = _block(foreseen.spec)
        varied = {name: "" for name in ("model", "adapter") if PLACE.search(getattr(block, name))}
        _placed(msgspec.structs.replace(block, **varied), (foreseen.workspace, *foreseen.folders))
        if not PLACE.search(block.baseline):
            _baseline(block.baseline, foreseen)
        self.require_python(foreseen.spec, foreseen.environ)

    def require_python(self, spec: Spec, environ: Mapping[str, str]) -> None:  # noqa: ARG002  # the door's signature
        """Refuse where no Python has lm_eval."""
        pythons.find(_MODULES, environ, INSTALL)

    def read(self, path: str, manifest: Manifest, ended: Exit) -> Ended:
        """Its scores, from the results that lie in its folder, and what they are beside those of the baseline."""
        how, why = outcome.trouble(manifest, ended)
        if how:
            why = _last_words(path, ended, why) if how == FAILED and not ended.stopped and ended.started else why
            return outcome.told(path, manifest, ended, Found(), (how, why))
        try:
            found = evaluated.read(path)
            counts = scores.find(found.scores, found.metric)
        except BadInput as unfit:
            return outcome.told(path, manifest, ended, Found(), (FAILED, f"{unfit.what}; {unfit.fix}"))
        remarks = (*found.remarks, *_odd(counts, manifest))
        plain = Found(value=counts.value, remarks=remarks, note=evaluated.note(found, counts))
        told = outcome.told(path, manifest, ended, plain, (SUCCESS, ""))
        return msgspec.structs.replace(
            told, metrics=_metrics(found.scores), result="\n".join((told.result, *evaluated.page(found), ""))
        )


def _block(spec: Spec) -> Evaluation:
    if spec.lm_eval is None:
        fix = "write `lm_eval:` with model, tasks and metric into SPEC.yaml; labctl create lm-eval has an example"
        raise BadInput(f"{spec.id} does not say what is to be evaluated", fix=fix)
    return spec.lm_eval


def _filled(block: Evaluation, params: Mapping[str, object]) -> Evaluation:
    """The same with the parameters of the run in their places, by the types that the fields have."""

    def value_of(name: str) -> str:
        if name not in params:
            raise BadInput(f"this run has no parameter {name}", fix="name one of the search space in {params.NAME}")
        return placeholders.plain(params[name], name)

    changes: dict[str, object] = {
        field: PLACE.sub(lambda match: value_of(match[1]), getattr(block, field)) for field in evaluation.FILLED
    }
    changes |= {name: params[name] for name in evaluation.OVERRIDES if params.get(name) is not None}
    if "batch_size" in params:
        changes["batch_size"] = placeholders.plain(params["batch_size"], "batch_size")
    try:
        return msgspec.convert({**msgspec.structs.asdict(block), **changes}, Evaluation)
    except msgspec.ValidationError as unfit:
        raise BadInput(f"a parameter of this run does not fit its field: {unfit}", fix="correct search_space") from None


def _placed(block: Evaluation, folders: tuple[str, ...]) -> Asked:
    """What is asked, with places made absolute. `NotFound` for a model, an adapter or tasks that are not there."""
    adapter, tasks = (_folder(given, folders) for given in (block.adapter, block.tasks_dir))
    if block.adapter and not os.path.isfile(f"{adapter}/{_ADAPTER}"):
        what = f"there is no adapter {block.adapter}" if not adapter else f"this folder holds no {_ADAPTER}"
        fix = "name the folder that peft, or `labctl tinker`, saved a LoRA adapter into"
        raise NotFound(what, where=adapter or _looked(folders), fix=fix)
    if block.tasks_dir and not _has_yaml(tasks):
        what = f"there is no folder {block.tasks_dir}" if not tasks else "this folder holds no task as YAML"
        raise NotFound(what, where=tasks or _looked(folders), fix="correct tasks_dir of lm_eval")
    return Asked(
        out="",
        model=_model(block, folders),
        adapter=adapter,
        tasks=block.tasks,
        tasks_dir=tasks,
        num_fewshot=block.num_fewshot,
        limit=block.limit,
        device=block.device,
        batch_size=block.batch_size,
        metric=block.metric,
        better_by=block.better_by,
    )


def _model(block: Evaluation, folders: tuple[str, ...]) -> str:
    """The folder of a model; or a name, which only lm_eval can look up."""
    if not block.model:
        return ""
    place = _folder(block.model, folders)
    if place and not os.path.isfile(f"{place}/{_CONFIG}"):
        hint = "; it holds an adapter: name it as `adapter`" if os.path.isfile(f"{place}/{_ADAPTER}") else ""
        fix = f"name the folder that a model was saved into{hint}"
        raise BadInput(f"this is no model: there is no {_CONFIG}", where=place, fix=fix)
    # NAME and OWNER/NAME are looked up at Hugging Face; all else was meant as a place.
    if not place and (block.model.startswith(("/", "./", "../", "~")) or block.model.count("/") > 1):
        where = next((f"{folder}/{block.model}" for folder in folders if folder), block.model)
        tiny = shlex.quote(os.path.normpath(os.path.expanduser(where)))
        fix = f"correct `model` below `lm_eval:` in the SPEC; labctl tinker make-tiny {tiny} makes a small one"
        raise NotFound(f"there is no model {block.model}", where=_looked(folders), fix=fix)
    return place or block.model


def _folder(given: str, folders: tuple[str, ...]) -> str:
    """A folder that is there, absolute; empty for none."""
    if not given:
        return ""
    path = os.path.expanduser(given)
    places = (path,) if os.path.isabs(path) else tuple(f"{folder}/{path}" for folder in folders if folder)
    return next((os.path.normpath(place) for place in places if os.path.isdir(place)), "")


def _looked(folders: tuple[str, ...]) -> str:
    return ", ".join(dict.fromkeys(folder for folder in folders if folder))


def _has_yaml(folder: str) -> bool:
    return bool(folder) and any(name.endswith(_YAML) for _, _, names in os.walk(folder) for name in names)


def _baseline(given: str, foreseen: Foreseen) -> str:
    """The results file that is meant: itself, or that of a run of this lab."""
    if not given:
        return ""
    if given.startswith("RUN-") and "/" not in given:
        return _results_of(given, foreseen)
    folders = (foreseen.workspace, *foreseen.folders)
    path = os.path.expanduser(given)
    places = (path,) if os.path.isabs(path) else tuple(f"{folder}/{path}" for folder in folders if folder)
    found = next((os.path.normpath(place) for place in places if os.path.isfile(place)), "")
    if not found:
        fix = "name a run of this lab, or a results_*.json that lm_eval wrote"
        raise NotFound(f"there are no results {given} to compare with", where=_looked(folders), fix=fix)
    return found


def _results_of(run_id: str, foreseen: Foreseen) -> str:
    lab = Layout(foreseen.data_root)
    try:
        names = sorted(os.listdir(lab.experiments))
    except OSError:
        names = []  # at work elsewhere: the lab is not on this machine
    for name in sorted(names, key=lambda each: each != foreseen.spec.id):
        path = lab.run(name, run_id)
        if os.path.isdir(path):
            return _sealed_results(path)
    fix = "labctl list ID shows the runs of an experiment; a run in an archive comes back by labctl prune --restore"
    raise NotFound(f"there is no run {run_id} here to compare with", fix=fix)


def _sealed_results(path: str) -> str:
    """What of a run may be believed: results that it was sealed with. One under way may still write others."""
    found = bundles.load_seal(path)
    if found is None or os.path.lexists(f"{path}/{layout.SUPERSEDED}"):
        fix = "wait until it is sealed, or name another run as baseline"
        raise BadInput("this run is not sealed, so it is no baseline yet", where=path, fix=fix)
    name = evaluated.newest(found[0].files)
    if not name:
        fix = "name a run of the executor lm_eval as baseline"
        raise NotFound("this run has no results of lm_eval to compare with", where=path, fix=fix)
    evaluated.sealed(path, name, found[0])
    return f"{path}/{name}"


def _odd(counts: scores.Score, manifest: Manifest) -> tuple[str, ...]:
    """That the SPEC looks for the worst: nothing would ever show it but the numbers."""
    if counts.higher is None or not manifest.metric_direction:
        return ()
    if counts.higher == (manifest.metric_direction == "maximize"):
        return ()
    better = "higher" if counts.higher else "lower"
    return (f"lm_eval says that a {better} {counts.metric} is better, and metric_direction says the contrary",)


def _metrics(found: scores.Scores) -> dict[str, object]:
    """The scores by names that a metric may have; the filter is left out where it is none."""
    told: dict[str, object] = {}
    for each in found.scores:
        name = f"{each.task}/{each.metric}" + ("" if each.filter == "none" else f"/{each.filter}")
        if is_name(name, "") and len(told) < _MOST_METRICS:
            told.setdefault(name, each.value)
    return told


def _last_words(path: str, ended: Exit, why: str) -> str:
    """What the program said of its failure; else the last error in its log; else only how it ended."""
    lines = outcome.tail(f"{path}/{layout.STDERR}", _TAIL_BYTES, _TAIL_LINES)
    if not lines:
        return why
    said = next((line for line in reversed(lines) if line.startswith(evaluation.REFUSED)), "")
    words = said.removeprefix(evaluation.REFUSED) or crash.what("\n".join(lines), ended.code, ended.signal)
    return f"{' '.join(words.split())[:_REASON_CHARS]} ({why.removeprefix('it ')})"
