"""What a run's program is told, and what of the surroundings it may see."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.core.errors import BadInput
from lab.core.run import SUCCESS, Run
from lab.core.spec import Spec
from lab.executors import environment
from lab.executors.environment import Places, build
from lab.testing.executors import RUN_ID, a_manifest

PLACES = Places(data_root="/lab", path="/lab/experiments/sweep/runs/" + RUN_ID, workspace="/ws", folder="/specs")
AROUND = {
    "PATH": "/usr/bin:/bin", "HOME": "/home/ann", "LANG": "C.UTF-8", "LC_TIME": "C", "CUDA_VISIBLE_DEVICES": "1",
    "OMP_NUM_THREADS": "4", "SLURM_JOB_ID": "7", "NCCL_DEBUG": "WARN", "UCX_TLS": "rc", "FI_PROVIDER": "efa",
    "LOADEDMODULES": "cuda/12", "MODULEPATH": "/modules", "EBROOTCUDA": "/sw/cuda", "CPATH": "/sw/cuda/include",
    "NCCL_AUTH_TOKEN": "nc-1234567", "SLURM_JWT": "ey",
    "NVIDIA_API_KEY": "nv-1234567", "OPENAI_API_KEY": "sk-1234567", "PYTHONPATH": "/labs/own",
    "EDITOR": "vi", "LAB_DATA_ROOT": "/elsewhere", "LAB_RUN_ID": "RUN-of-an-outer-run", "MAX_TOKENS": "512",
}  # fmt: skip
# HERMES-LAB.md 1.4, counted there at run time.
OLDER = """
SCHEMA_VERSION DATA_ROOT REPO_ROOT EXPERIMENT_ID RUN_ID RUN_DIR SPEC_PATH SUMMARY_PATH NEXT_PATH CONTEXT_PATH
PROGRAM_PATH ROLE LEASE_ID TIME_BUDGET_MINUTES RUN_ITERATION PRIMARY_METRIC METRIC_DIRECTION FIDELITY_TIER
FIDELITY_TIERS NEXT_FIDELITY_TIER EXECUTOR_CLASS WORKSPACE_ROOT SETUP_COMMAND BASELINE_COMMAND MUTATION_COMMAND
AGENT_PROVIDER AGENT_MODEL AGENT_EFFORT AGENT_INSTRUCTION_FILE AGENT_BASE_URL AGENT_BACKGROUND VALIDATION_COMMAND
ACCEPTANCE_RULE PROMOTION_STRATEGY WORKSPACE_MODE REQUIRE_CLEAN_WORKSPACE MUTABLE_PATHS READ_ONLY_PATHS INGRESS_FILES
EGRESS_FILES ARTIFACTS_EXPECTED BEST_RUN_ID BEST_METRIC_VALUE DISPATCH_ID DISPATCH_DIR DISPATCH_STAGE
""".split()  # noqa: SIM905


def spec(**fields: object) -> Spec:
    return Spec(id="sweep", **fields)  # type: ignore[arg-type]  # a table of cases


def told(
    fields: dict[str, object] | None = None,
    *,
    around: dict[str, str] | None = None,
    manifest: dict[str, object] | None = None,
    params: dict[str, object] | None = None,
    best: Run | None = None,
) -> dict[str, str]:
    child, _ = build(
        environ=AROUND if around is None else around,
        spec=spec(**(fields or {})),
        manifest=a_manifest(**(manifest or {})),
        places=PLACES,
        params=params,
        best=best,
    )
    return child


def secrets(around: dict[str, str], **fields: object) -> tuple[str, ...]:
    _, values = build(environ=around, spec=spec(**fields), manifest=a_manifest(), places=PLACES)
    return values


def test_every_variable_of_the_older_lab_is_set() -> None:
    assert len(OLDER) == 46
    assert {f"LAB_{name}" for name in OLDER} <= set(told())


def test_what_a_run_is_told_of_itself() -> None:
    fields: dict[str, object] = {
        "fidelity_tiers": ("proxy", "final"), "mutable_paths": ("a.py", "b c.py"), "seed": 7,
        "max_iterations_per_run": 5, "agent_background": True,
    }  # fmt: skip
    child = told(fields, manifest={"fidelity_tier": "proxy", "lease_id": "L1"})
    expected = {
        "LAB_DATA_ROOT": "/lab",
        "HERMES_LAB_DATA_ROOT": "/lab",
        "LAB_REPO_ROOT": "/ws",
        "LAB_EXPERIMENT_ID": "sweep",
        "LAB_RUN_ID": RUN_ID,
        "LAB_RUN_DIR": PLACES.path,
        "LAB_SPEC_PATH": "/lab/experiments/sweep/SPEC.yaml",
        "LAB_PROGRAM_PATH": "/lab/PROGRAM.md",
        "LAB_CONTEXT_PATH": "/lab/experiments/sweep/context.md",
        "LAB_RUN_ITERATION": "3",
        "LAB_MAX_ITERATIONS_PER_RUN": "5",
        "LAB_LEASE_ID": "L1",
        "LAB_FIDELITY_TIERS": "proxy\nfinal",
        "LAB_NEXT_FIDELITY_TIER": "final",
        "LAB_MUTABLE_PATHS": "a.py\nb c.py",
        "LAB_AGENT_BACKGROUND": "true",
        "LAB_REQUIRE_CLEAN_WORKSPACE": "false",
        "LAB_SEED": "7",
        "LAB_TIME_BUDGET_SECONDS": "90",
        "LAB_TIME_BUDGET_MINUTES": "1.5",
        "LAB_DEADLINE": "2026-01-02T03:05:35.000000Z",
        "LAB_KILL_GRACE_SECONDS": "5",
        "LAB_BEST_RUN_ID": "",
        "LAB_BEST_METRIC_VALUE": "",
        "PYTHONUNBUFFERED": "1",
    }
    assert {name: child.get(name) for name in expected} == expected


def test_a_whole_number_of_minutes_is_written_as_one() -> None:
    assert told(manifest={"time_budget_s": 600.0})["LAB_TIME_BUDGET_MINUTES"] == "10"
    assert told(manifest={"time_budget_s": 0.1})["LAB_TIME_BUDGET_SECONDS"] == "0.1"


def test_the_best_of_another_tier_is_not_told() -> None:
    best = Run(run_id="RUN-1", experiment="sweep", outcome=SUCCESS, value=0.9, tier="proxy")
    here = told(manifest={"fidelity_tier": "proxy"}, best=best)
    assert (here["LAB_BEST_RUN_ID"], here["LAB_BEST_METRIC_VALUE"]) == ("RUN-1", "0.9")
    assert told(manifest={"fidelity_tier": "final"}, best=best)["LAB_BEST_METRIC_VALUE"] == ""


def test_of_the_surroundings_only_what_is_listed_is_seen() -> None:
    child = told()
    seen = {name for name in AROUND if child.get(name) == AROUND[name]}
    assert seen == {
        "PATH", "HOME", "LANG", "LC_TIME", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "SLURM_JOB_ID", "NCCL_DEBUG",
        "UCX_TLS", "FI_PROVIDER", "LOADEDMODULES", "MODULEPATH", "EBROOTCUDA", "CPATH",
    }  # fmt: skip
    assert not any(AROUND[name] in child.values() for name in ("NVIDIA_API_KEY", "OPENAI_API_KEY"))


def test_what_the_spec_names_is_seen_and_secrets_are_told_apart() -> None:
    fields: dict[str, object] = {"env": ("EDITOR", "MAX_TOKENS"), "secrets": ("OPENAI_API_KEY",)}
    child = told(fields)
    assert (child["EDITOR"], child["OPENAI_API_KEY"]) == ("vi", "sk-1234567")
    assert secrets(AROUND, **fields) == ("sk-1234567",)


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("GPG_PASSPHRASE", "correct horse", True),
        ("HF_TOKEN", "hf_12345678", True), ("db_password", "correct horse", True), ("MY_KEY_FILE", "/home/a/key", True),
        ("MAX_TOKENS", "512", False), ("SEED_KEY", "123456789", False), ("TOKENIZERS_PARALLELISM", "falsefalse", False),
        ("MONKEY", "banana-banana", False),
    ],
)  # fmt: skip
def test_a_name_in_env_that_looks_like_a_secret_is_one(name: str, value: str, secret: bool) -> None:
    assert secrets({name: value}, env=(name,)) == ((value,) if secret else ())


def test_a_secret_that_holds_another_comes_first() -> None:
    assert secrets({"A": "hush", "B": "hush-hush"}, secrets=("A", "B")) == ("hush-hush", "hush")


@pytest.mark.parametrize(
    ("fields", "around"),
    [
        ({"env": ("WANDB",)}, {}),
        ({"secrets": ("WANDB",)}, {}),
        ({"secrets": ("WANDB",)}, {"WANDB": ""}),
        ({"secrets": ("WANDB",)}, {"WANDB": "1"}),
    ],
)
def test_a_run_without_what_its_spec_names_is_refused(fields: dict[str, object], around: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="WANDB") as caught:
        told(fields, around=around)
    assert caught.value.fix


def test_a_variable_that_is_set_to_nothing_is_set() -> None:
    assert told({"env": ("EMPTY",)}, around={"EMPTY": ""})["EMPTY"] == ""


def test_what_the_lab_tells_cannot_be_overruled_by_the_surroundings() -> None:
    child = told({"env": ("LAB_RUN_ID", "LAB_SEED")})
    assert child["LAB_RUN_ID"] == RUN_ID


def test_params_are_told_one_by_one() -> None:
    child = told(
        params={"lr": 0.1, "deep": True, "opt.name": "adam w", "sizes": [1, 2], "µ": None, "big": "x" * 99_999}
    )
    given = {name: value for name, value in child.items() if name.startswith("LAB_PARAM")}
    assert given == {
        "LAB_PARAMS_PATH": f"{PLACES.path}/params.json",
        "LAB_PARAM_LR": "0.1",
        "LAB_PARAM_DEEP": "true",
        "LAB_PARAM_OPT_NAME": "adam w",
        "LAB_PARAM_SIZES": "[1,2]",
        "LAB_PARAM__": "null",
    }
    assert not any(name.startswith("LAB_PARAM") for name in told())


def test_params_that_fall_together_are_refused() -> None:
    with pytest.raises(BadInput, match=r"a\.b and a-b would both be LAB_PARAM_A_B"):
        told(params={"a.b": 1, "a-b": 2})


def test_a_zero_byte_is_refused_before_anything_starts() -> None:
    with pytest.raises(BadInput, match="LAB_AGENT_MODEL"):
        told({"agent_model": "a\0b"})
    with pytest.raises(BadInput, match=r"params\.x"):
        told(params={"x": "a\0b"})


def test_a_dispatched_run_is_told_of_its_package_and_what_comes_with_it_wins() -> None:
    places = Places(data_root="/lab", path="/p/run", folder="/specs", package="/p")
    manifest = a_manifest(package="PKG-1")
    more = {"LAB_SPEC_PATH": "/p/SPEC.yaml"}
    child, _ = build(environ={}, spec=spec(), manifest=manifest, places=places, more=more)
    told_of = [child[f"LAB_DISPATCH_{name}"] for name in ("ID", "DIR", "STAGE")]
    assert told_of == ["PKG-1", "/p", "running"]
    assert (child["LAB_SPEC_PATH"], child["LAB_REPO_ROOT"]) == ("/p/SPEC.yaml", "/specs")


def test_the_same_arguments_give_the_same_environment_and_nothing_else_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = told()
    monkeypatch.setenv("CUDA_HOME", "/somewhere")
    assert told() == first
    source = Path(environment.__file__).read_text(encoding="utf-8")
    assert not re.search(r"^\s*(import os|from os)", source, re.MULTILINE)
