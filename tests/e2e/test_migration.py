"""What users of hermes-lab type, write and read: each line of what it offers is understood here, with its defaults.

What is different on purpose is in docs/how-to/come-from-hermes-lab.md, and named here as such.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from lab.cli import commands, parser
from lab.core import spec, variables
from lab.core.spec_fields import Spec

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = (CHECKOUT / "docs/how-to/come-from-hermes-lab.md").read_text(encoding="utf-8")
# Its command lines, each flag once, with what it defaults to where one leaves it out.
LINES: dict[str, dict[str, object]] = {
    "init": {},
    "create SPEC.yaml": {},
    "add-task SPEC.yaml": {},
    "status": {},
    "list": {},
    "run-once": {"max_runs": 3},
    "run-once --max-runs 5 --executor-class gpu --executor-class cpu": {"max_runs": 5},
    "dispatch-ready": {"max_runs": 3},
    "dispatch-ready --max-runs 5 --executor-class gpu": {"max_runs": 5},
    "dispatch-claim": {"max_runs": 1},
    "dispatch-claim --max-runs 2 --worker gpu-1 --executor-class gpu": {"max_runs": 2, "worker": "gpu-1"},
    "dispatch-work": {"max_runs": 1},
    "dispatch-work --max-runs 2 --worker gpu-1 --executor-class gpu": {"max_runs": 2, "worker": "gpu-1"},
    "dispatch-complete DISPATCH-20260320-100000-000000-reader": {"outcome": "success"},
    "dispatch-complete DISPATCH-20260320-100000-000000-reader --outcome failed --worker gpu-1": {"outcome": "failed"},
    "dispatch-ingest": {},
    "dispatch-ingest DISPATCH-20260320-100000-000000-reader --max-runs 3": {"max_runs": 3},
    "dispatch-agent-next": {},
    "dispatch-agent-next --worker agent --experiment reader --executor-class default": {"worker": "agent"},
    "dispatch-agent-submit answer.json": {},
    "dispatch-agent-submit answer.json --dispatch-id DISPATCH-20260320-100000-000000-reader --worker agent": {},
    "pause reader --reason lunch": {"reason": "lunch"},
    "resume reader": {},
    "complete reader": {},
    "set-fidelity reader final --reason ready": {"tier": "final"},
    "digest": {},
    "weekly-digest": {},
    "refresh": {},
    "watchdog --repair": {"repair": True},
    "recover": {},
    "burst reader": {},
    "burst reader -n 20 --strategy random --search-space space.json --worker me": {"strategy": "random"},
    "burst reader --pause 0.5 --direction minimize --seed 1": {"seed": 1, "pause": 0.5},
    "guided reader --iterations 3 --strategy tree": {"strategy": "tree"},
    "swarm reader --strategies random perturb bayesian": {"strategies": ["random", "perturb", "bayesian"]},
}  # fmt: skip
_GIVEN = """
    SCHEMA_VERSION DATA_ROOT REPO_ROOT EXPERIMENT_ID RUN_ID RUN_DIR SPEC_PATH SUMMARY_PATH NEXT_PATH
    CONTEXT_PATH PROGRAM_PATH ROLE LEASE_ID TIME_BUDGET_MINUTES RUN_ITERATION PRIMARY_METRIC METRIC_DIRECTION
    FIDELITY_TIER FIDELITY_TIERS NEXT_FIDELITY_TIER EXECUTOR_CLASS WORKSPACE_ROOT SETUP_COMMAND
    BASELINE_COMMAND MUTATION_COMMAND AGENT_PROVIDER AGENT_MODEL AGENT_EFFORT AGENT_INSTRUCTION_FILE
    AGENT_BASE_URL AGENT_BACKGROUND VALIDATION_COMMAND ACCEPTANCE_RULE PROMOTION_STRATEGY WORKSPACE_MODE
    REQUIRE_CLEAN_WORKSPACE MUTABLE_PATHS READ_ONLY_PATHS INGRESS_FILES EGRESS_FILES ARTIFACTS_EXPECTED
    BEST_RUN_ID BEST_METRIC_VALUE DISPATCH_ID DISPATCH_DIR DISPATCH_STAGE EFFECTIVE_WORKSPACE_ROOT
    ORIGINAL_WORKSPACE_ROOT RUN_ARTIFACTS_DIR
"""
GIVEN = _GIVEN.split()
FIELDS: dict[str, object] = {
    "goal": "words", "metric": "loss", "metric_direction": "minimize", "priority": "high", "autonomous": False,
    "cadence": "every-2-hours", "time_budget_minutes": 5, "max_iterations_total": 7, "executor_command": "true",
    "executor_class": "gpu", "worker_roles": ["scout"], "workspace_root": "/somewhere", "setup_command": "true",
    "baseline_command": "true", "mutation_command": "true", "validation_command": "true",
    "acceptance_rule": "keep what is strictly smaller", "promotion_strategy": "apply-on-accept",
    "workspace_mode": "git-clone", "require_clean_workspace": True, "mutable_paths": ["a"], "read_only_paths": ["b"],
    "ingress_files": ["c"], "egress_files": ["d"], "artifacts_expected": ["e"], "constraints": ["words"],
    "agent_provider": "stub", "agent_model": "m", "agent_effort": "medium", "agent_instruction_file": "x.md",
    "agent_base_url": "http://127.0.0.1:1", "agent_background": True, "initial_fidelity_tier": "final",
    "fidelity_promotion_rule": "after-success-streak", "promote_after_successes": 2, "tags": ["t"],
    "estimated_runtime_minutes": 3, "notify": "silent", "parent_experiment": "other", "known_good_config": "words",
    "mode": "code-autoresearch", "max_iterations_per_run": 3, "outputs": ["RESULT.md"],
    "stop_conditions": [{"plateau_after_consecutive_low_signal_runs": 3}],
    "escalate_when": ["blocked_on_external_access"],
}  # fmt: skip
_OF_A_TIER = """
    goal metric metric_direction priority cadence time_budget_minutes workspace_root setup_command
    baseline_command executor_command mutation_command validation_command agent_provider agent_model
    agent_effort agent_instruction_file agent_base_url agent_background acceptance_rule promotion_strategy
    workspace_mode require_clean_workspace mutable_paths read_only_paths ingress_files egress_files
    artifacts_expected worker_roles constraints executor_class
"""
OF_A_TIER = _OF_A_TIER.split()


@pytest.mark.parametrize("line", LINES)
def test_a_command_line_is_understood_with_its_defaults(line: str) -> None:
    word, *rest = line.split()
    command = commands.find(word)
    assert command is not None
    read = vars(parser.build(command).read(rest))
    assert {name: read[name] for name in LINES[line]} == LINES[line]


def test_a_burst_makes_ten_runs_where_nobody_says_how_many() -> None:
    for word in ("burst", "guided", "swarm"):
        command = commands.find(word)
        assert command is not None
        assert "(default 10)" in parser.build(command).format_help()


@pytest.mark.parametrize("name", GIVEN)
def test_a_run_is_given_each_variable_that_it_was(name: str) -> None:
    assert f"LAB_{name}" in variables.GIVEN


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_a_spec_means_something_here(field: str) -> None:
    plain: dict[str, object] = {"id": "old", "fidelity_tiers": ["proxy", "final"], "executor_command": "true"}
    parsed = spec.parse({**plain, field: FIELDS[field]}, where="old")
    assert msgspec.structs.asdict(parsed) != msgspec.structs.asdict(spec.parse(plain, where="old")) or field in ALIKE


ALIKE = {"executor_command", "agent_effort", "notify"}  # given as they are where nothing is said


@pytest.mark.parametrize("field", OF_A_TIER)
def test_a_field_may_be_said_of_one_tier(field: str) -> None:
    given = {
        "id": "old",
        "fidelity_tiers": ["proxy", "final"],
        "executor_command": "true",
        f"final_{field}": FIELDS[field],
    }
    parsed = spec.parse(given, where="old")
    if field not in ALIKE:
        assert parsed.for_tier("final") != parsed.for_tier("proxy")


def test_what_a_spec_leaves_out_is_what_it_was() -> None:
    found = spec.parse({"id": "old", "executor_command": "true"}, where="old")
    assert isinstance(found, Spec)
    assert (found.priority, found.autonomous, found.max_iterations_total) == ("normal", True, 20)
    assert (found.time_budget_s, found.cadence) == (600.0, Spec(id="x").cadence)
    assert "30" in str(found.cadence)
    assert (found.executor_class, found.worker_roles) == ("default", ("scout", "researcher", "critic", "synthesizer"))
    assert (found.promotion_strategy, found.workspace_mode, found.fidelity_promotion_rule) == (
        "patch-only",
        "auto",
        "manual",
    )


def test_the_guide_has_a_row_for_every_command() -> None:
    rows = " ".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    for line in LINES:
        assert re.search(rf"`{line.split()[0]}\b", rows), line
