"""The environment of a run's program: what it may see of the surroundings, and all that the lab tells it. Pure.

Of the surroundings it sees an allow-list (PASSED, PASSED_PREFIXES) and what the SPEC names in `env` and `secrets`;
no other key, token or setting of the person or the cron line that started the lab. What a `module load` sets is among
them, and what says how the processes of a run talk to each other. PYTHONPATH is left out on purpose: it may lead into
the lab's own checkout. The proxies are too: their addresses may carry a password.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout, secret
from lab.core.errors import BadInput
from lab.core.layout import Layout
from lab.core.parameter import variable
from lab.core.world import stamp
from lab.executors.placeholders import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.manifest import Manifest
    from lab.core.run import Run
    from lab.core.spec import Spec

PASSED = frozenset({
    # who and where
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR",
    # the Python that is in use, and where libraries and their stores lie
    "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    "HF_HOME", "TORCH_HOME", "UV_CACHE_DIR", "PIP_CACHE_DIR",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    # what a module system keeps, and where what it loaded is found by compilers and at run time
    "MODULEPATH", "MODULESHOME", "LOADEDMODULES", "_LMFILES_", "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH",
    "LIBRARY_PATH", "PKG_CONFIG_PATH", "CMAKE_PREFIX_PATH", "CC", "CXX", "FC",
    # which accelerators it may use
    "ROCM_PATH", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ZE_AFFINITY_MASK",
    # settings of ours
    "LAB_EXECUTOR_PROFILE", "HERMES_LAB_EXECUTOR_PROFILE", "LAB_TRAINING_CACHE",
})  # fmt: skip
# A name that looks like a secret (NVIDIA_API_KEY, SLURM_JWT) does not pass by its prefix. SLURM_* is what a job is told
# of its place, without which a run that has several nodes could not use them (srun).
PASSED_PREFIXES = (
    "LC_", "XDG_", "SLURM_",
    "CUDA_", "CUDNN_", "NVIDIA_", "HSA_", "ROCM_",
    "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_",
    "NCCL_", "RCCL_", "UCX_", "FI_", "PMI_", "PMIX_", "OMPI_", "MPICH_", "I_MPI_", "GLOO_", "TORCH_NCCL_",
    "LMOD_", "EBROOT", "EBVERSION",
)  # fmt: skip
SCHEMA_VERSION = "1"
SHORTEST_SECRET = 4  # blotting out every `1` would leave no log and no metric
_SHORTEST_GUESS = 8  # of what merely looks like a secret; MAX_TOKENS=512 is none
_SECRET_WORDS = frozenset(f"{word}{end}".upper() for word in ("apikey", *secret.WORDS) for end in ("", "s"))
_LONGEST_PARAM = 32_768  # characters; the system refuses to start a program with a variable of 128 KiB


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where things lie, all absolute. `folder` is where the SPEC's own files are, for runs without a workspace."""

    data_root: str
    path: str  # where the run writes
    workspace: str = ""
    folder: str = ""
    package: str = ""  # the dispatch package that it runs in


def build(
    *,
    environ: Mapping[str, str],
    spec: Spec,
    manifest: Manifest,
    places: Places,
    params: Mapping[str, object] | None = None,
    best: Run | None = None,
    more: Mapping[str, str] | None = None,
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The child's whole environment, and the values that must not reach a log.

    `spec` is the one of the run's tier. `best` of another tier is not told: a proxy's 0.9 is not a final's 0.9.
    `more` comes last and wins. `BadInput` as `require` says it, and for params that no variable can hold.
    """
    require(spec, environ)
    child = {"PYTHONUNBUFFERED": "1", **given(spec, environ)}  # or who is killed takes the last lines with them
    child.update(_of_lab(spec, manifest, places))
    child.update(_of_run(spec, manifest, places, best))
    child.update(_of_spec(spec))
    if params is not None:
        child["LAB_PARAMS_PATH"] = f"{places.path}/{layout.PARAMS}"
        child.update(variables(params))
    child.update(more or {})
    for name, value in child.items():
        if "\0" in value:
            raise BadInput(f"{name} would hold a zero byte, which no program can be given", fix="take it out")
    return child, _secret_values(spec, _named(spec, environ))


def require(spec: Spec, environ: Mapping[str, str]) -> None:
    """Refuse a SPEC that names variables which are not set: without its key a run would waste its budget."""
    # What the lab tells every run may be named too; it need not be set out here.
    unset = [name for name in spec.env if name not in environ and not name.startswith("LAB_")]
    unset += [name for name in spec.secrets if not environ.get(name) and name not in unset]
    if unset:
        what = f"the SPEC names {', '.join(unset)}, which {'is' if len(unset) == 1 else 'are'} not set"
        fix = "set it where the lab is started (cron reads no shell profile; at an engine: in `setup`), or take the "
        fix += "name out of env and secrets"
        raise BadInput(what, where=f"experiments/{spec.id}/{layout.SPEC}", fix=fix)
    for name in spec.secrets:
        if len(environ[name]) < SHORTEST_SECRET:
            what = f"{name} has fewer than {SHORTEST_SECRET} characters: as a secret it would blot out half of the log"
            raise BadInput(what, where=f"experiments/{spec.id}/{layout.SPEC}", fix=f"name {name} in `env` instead")


def kept_secret(spec: Spec, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The values that the SPEC calls secrets: they may be in nothing that is kept."""
    return tuple(environ[name] for name in spec.secrets if environ.get(name))


def looks_secret(name: str) -> bool:
    """Whether a variable's name says that its value is a secret: one of its words is KEY, TOKEN and the like."""
    return not _SECRET_WORDS.isdisjoint(name.upper().split("_"))


def allowed(environ: Mapping[str, str]) -> dict[str, str]:
    """Of the surroundings what every program of the lab may see."""
    return {name: value for name, value in environ.items() if _passes(name)}


def given(spec: Spec, environ: Mapping[str, str]) -> dict[str, str]:
    """Of the surroundings what a run of this SPEC sees: what all may see, and what it names."""
    return {**allowed(environ), **_named(spec, environ)}


def is_secret(name: str, value: str) -> bool:
    """Whether a value is most likely a secret, by its name. What is short, or a number, is none."""
    return looks_secret(name) and len(value) >= _SHORTEST_GUESS and not value.isdecimal()


def _named(spec: Spec, environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[name] for name in (*spec.env, *spec.secrets) if name in environ}


def _passes(name: str) -> bool:
    return name in PASSED or (name.startswith(PASSED_PREFIXES) and not looks_secret(name))


def _secret_values(spec: Spec, named: Mapping[str, str]) -> tuple[str, ...]:
    """The longest first: one that is part of another must not leave the other half in the log."""
    values = {named[name] for name in spec.secrets}
    for name in spec.env:
        value = named.get(name, "")
        if is_secret(name, value):
            values.add(value)
    return tuple(sorted(values, key=lambda value: (-len(value), value)))


def _of_lab(spec: Spec, manifest: Manifest, places: Places) -> dict[str, str]:
    lab, experiment = Layout(places.data_root), manifest.experiment
    return {
        "LAB_SCHEMA_VERSION": SCHEMA_VERSION,
        "LAB_DATA_ROOT": lab.root,
        "HERMES_LAB_DATA_ROOT": lab.root,
        "LAB_REPO_ROOT": places.workspace or places.folder,
        "LAB_SPEC_PATH": lab.spec(experiment),
        "LAB_SUMMARY_PATH": lab.page(experiment, layout.SUMMARY),
        "LAB_NEXT_PATH": lab.page(experiment, layout.NEXT),
        "LAB_CONTEXT_PATH": lab.page(experiment, layout.CONTEXT),
        "LAB_PROGRAM_PATH": lab.place(layout.DOCUMENTS[0]),
        "LAB_WORKSPACE_ROOT": places.workspace,
        "LAB_EXECUTOR_CLASS": spec.executor_class,
        "LAB_DISPATCH_ID": manifest.package,
        "LAB_DISPATCH_DIR": places.package,
        "LAB_DISPATCH_STAGE": "running" if manifest.package else "",
    }


def _of_run(spec: Spec, manifest: Manifest, places: Places, best: Run | None) -> dict[str, str]:
    tiers, tier = spec.fidelity_tiers, manifest.fidelity_tier
    following = tiers[tiers.index(tier) + 1 :] if tier in tiers else ()
    best = best if best is not None and best.tier == tier and best.value is not None else None
    told = {
        "LAB_EXPERIMENT_ID": manifest.experiment,
        "LAB_RUN_ID": manifest.run_id,
        "LAB_RUN_DIR": places.path,
        "LAB_REPORT": f"{places.path}/{layout.REPORT}",
        "LAB_ROLE": manifest.role,
        "LAB_LEASE_ID": manifest.lease_id,
        "LAB_RUN_ITERATION": str(manifest.iteration),
        "LAB_MAX_ITERATIONS_PER_RUN": str(spec.max_iterations_per_run),
        "LAB_TIME_BUDGET_MINUTES": _number(manifest.time_budget_s / 60.0),
        "LAB_TIME_BUDGET_SECONDS": _number(manifest.time_budget_s),
        "LAB_DEADLINE": _deadline(manifest),
        "LAB_KILL_GRACE_SECONDS": _number(spec.kill_grace_s),
        "LAB_PRIMARY_METRIC": manifest.metric,
        "LAB_METRIC_DIRECTION": manifest.metric_direction,
        "LAB_FIDELITY_TIER": tier,
        "LAB_FIDELITY_TIERS": "\n".join(tiers),
        "LAB_NEXT_FIDELITY_TIER": following[0] if following else "",
        "LAB_BEST_RUN_ID": best.run_id if best else "",
        "LAB_BEST_METRIC_VALUE": repr(best.value) if best else "",
    }
    if spec.seed is not None:
        told["LAB_SEED"] = str(spec.seed)
    return told


def _of_spec(spec: Spec) -> dict[str, str]:
    return {
        "LAB_SETUP_COMMAND": spec.setup_command,
        "LAB_BASELINE_COMMAND": spec.baseline_command,
        "LAB_MUTATION_COMMAND": spec.mutation_command,
        "LAB_VALIDATION_COMMAND": spec.validation_command,
        "LAB_AGENT_PROVIDER": spec.agent_provider,
        "LAB_AGENT_MODEL": spec.agent_model,
        "LAB_AGENT_EFFORT": spec.agent_effort,
        "LAB_AGENT_INSTRUCTION_FILE": spec.agent_instruction_file,
        "LAB_AGENT_BASE_URL": spec.agent_base_url,
        "LAB_AGENT_BACKGROUND": plain(spec.agent_background),
        "LAB_ACCEPTANCE_RULE": spec.acceptance_rule,
        "LAB_PROMOTION_STRATEGY": spec.promotion_strategy,
        "LAB_WORKSPACE_MODE": spec.workspace_mode,
        "LAB_REQUIRE_CLEAN_WORKSPACE": plain(spec.require_clean_workspace),
        "LAB_MUTABLE_PATHS": "\n".join(spec.mutable_paths),
        "LAB_READ_ONLY_PATHS": "\n".join(spec.read_only_paths),
        "LAB_INGRESS_FILES": "\n".join(spec.ingress_files),
        "LAB_EGRESS_FILES": "\n".join(spec.egress_files),
        "LAB_ARTIFACTS_EXPECTED": "\n".join(spec.artifacts_expected),
    }


def variables(params: Mapping[str, object]) -> dict[str, str]:
    """`LAB_PARAM_<NAME>` for each. One that is too long for a variable is only in params.json."""
    told: dict[str, str] = {}
    meant: dict[str, str] = {}
    for name, value in params.items():
        called = variable(name)
        if called in meant:
            what = f"the params {meant[called]} and {name} would both be {called}"
            raise BadInput(what, fix="rename one of them in the search space")
        meant[called] = name
        text = plain(value, name)
        if len(text) <= _LONGEST_PARAM:
            told[called] = text
    return told


def _number(number: float) -> str:
    """A whole number as one: the older programs read the minutes with int()."""
    return str(int(number)) if number.is_integer() else repr(number)


def _deadline(manifest: Manifest) -> str:
    """When the budget is used up, by the clock of the machine that began the run; blank when that is not known."""
    try:
        return stamp(datetime.fromisoformat(manifest.started_at) + timedelta(seconds=manifest.time_budget_s))
    except (ValueError, OverflowError):
        return ""
