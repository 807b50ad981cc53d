"""Every field of a SPEC: its type, bounds, default, meaning, and which part of the lab reads it.

The one place where a field is declared. The reader (`core.spec_reading`), the JSON Schema and the reference page follow
from it. A field that nothing reads may not be here: the nearest peer had five, and its users believed in them.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from msgspec import inspect as shapes

from lab.core.cadence import DEFAULT_TEXT, Cadence
from lab.core.cadence import parse as parse_cadence
from lab.core.errors import BadInput, nearest
from lab.core.evaluation import Evaluation
from lab.core.model import Model
from lab.core.space import Space
from lab.core.tuning import Tuning

Value = str | bool | int | float | tuple[str, ...]

RECORDS: Mapping[str, type[msgspec.Struct]] = {"llm": Model, "tinker": Tuning, "lm_eval": Evaluation}  # maps
MAX_BUDGET_S = 30 * 24 * 3600.0
MAX_COUNT = 1_000_000_000
ASHA = "asha"  # the promotion rule that is a race
PRIORITIES = ("urgent", "high", "normal", "low")
DEFAULT_ROLES = ("scout", "researcher", "critic", "synthesizer")
# What `<tier>_<field>` may override. `time_budget` stands beside its older form in minutes.
TIER_OVERRIDABLE_FIELDS = (
    "goal", "metric", "metric_direction", "priority", "cadence", "time_budget", "time_budget_minutes",
    "workspace_root", "setup_command", "baseline_command", "executor_command", "mutation_command",
    "validation_command", "checks_command", "holdout_command", "agent_provider", "agent_model", "agent_effort",
    "agent_instruction_file", "agent_base_url", "agent_background", "acceptance_rule", "promotion_strategy",
    "workspace_mode", "require_clean_workspace", "mutable_paths", "read_only_paths", "ingress_files", "egress_files",
    "artifacts_expected", "worker_roles", "constraints", "executor_class",
)  # fmt: skip


def about(read_by: str, description: str) -> Meta:
    """Return what the reference page says of a field: who reads it, and what it means."""
    return Meta(description=description, extra_json_schema={"x-read-by": read_by})


Count = Annotated[int, Meta(ge=1, le=MAX_COUNT)]
Positive = Annotated[float, Meta(gt=0)]


class StopConditions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When an experiment is finished before its iterations are used up. Each is unset, or stops it alone."""

    plateau_after_consecutive_low_signal_runs: Annotated[
        Count | None, Meta(description="This many runs in a row brought no new best.")
    ] = None
    hard_stop_after_days: Annotated[Positive | None, Meta(description="Days since the experiment was created.")] = None
    target: Annotated[float | None, Meta(description="A run reached this value of the metric, or better.")] = None
    budget_hours: Annotated[Positive | None, Meta(description="Hours of running time, all runs together.")] = None
    budget_cost: Annotated[
        Positive | None,
        Meta(
            description="Cost as the runs report it, all together. A run begins only if what one costs is left of it."
        ),
    ] = None
    budget_cost_per_day: Annotated[
        Positive | None, Meta(description="The same of one day (UTC); the next day it goes on.")
    ] = None
    cost_per_run: Annotated[
        Positive | None,
        Meta(description="Stops nothing: what one run may cost, set aside for it (else that of the tier's dearest)."),
    ] = None
    max_consecutive_failures: Annotated[Count | None, Meta(description="Failures in a row; chunks are paused.")] = None
    saturation: Annotated[
        Count | None,
        Meta(description="The last this many measured candidates of a code loop gained less than the noise."),
    ] = None
    budget_tokens: Annotated[Count | None, Meta(description="Tokens that proposers or chunks took, all together.")] = (
        None
    )


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """What `<tier>_<field>` said; `field` and `value` are those of `Spec`."""

    tier: str
    field: str
    value: Value


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An experiment as its SPEC.yaml describes it, every default filled in. Not promised: that any path exists."""

    id: Annotated[str, about("scheduler, pages", "Name of the experiment and of its folder.")]
    goal: Annotated[str, about("pages, code loop", "What the experiment is for, in a sentence or two.")] = ""
    mode: Annotated[str, about("pages", "What kind of work this is, such as autoresearch-loop; shown, not judged.")] = (
        ""
    )
    tags: Annotated[tuple[str, ...], about("pages", "Words to find and group experiments by.")] = ()
    parent_experiment: Annotated[str, about("pages", "Id of the experiment that this one grew from.")] = ""
    known_good_config: Annotated[str, about("pages", "Where a configuration lies that is known to work.")] = ""
    estimated_runtime_minutes: Annotated[
        Annotated[float, Meta(ge=0)], about("pages", "How long a run is expected to take; 0 is not known.")
    ] = 0.0

    metric: Annotated[
        str, about("policy, executor, pages", "Name of the number that is to get better; once a run has one, it stays.")
    ] = ""
    metric_direction: Annotated[
        Literal["maximize", "minimize"],
        about("policy, search", "Whether a larger or a smaller metric is better; it stays, as `metric` does."),
    ] = "maximize"
    acceptance_rule: Annotated[
        str,
        about(
            "code loop, pages",
            "When a change is kept: improve, improve-or-simpler or confirmed; blank finds out whether the measurement "
            "is noisy. Other words are for people, and decide nothing.",
        ),
    ] = ""
    min_effect: Annotated[
        Annotated[float, Meta(ge=0)],
        about("code loop", "The smallest gain that is worth a change, in units of the metric."),
    ] = 0.0
    session_alpha: Annotated[
        Annotated[float, Meta(gt=0, lt=1)],
        about("code loop", "How likely, in all of the session, noise alone may get a change kept."),
    ] = 0.05
    baseline_repeats: Annotated[
        Annotated[int, Meta(ge=1, le=100)],
        about("code loop", "How many times the unchanged code is measured, to know the noise."),
    ] = 3
    confirm_pairs: Annotated[
        Annotated[int, Meta(ge=2, le=100)],
        about("code loop", "How many times at most a better-looking change is measured beside what it is to beat."),
    ] = 10
    constraints: Annotated[tuple[str, ...], about("code loop, pages", "Rules in words that every run must keep.")] = ()

    priority: Annotated[
        Literal["urgent", "high", "normal", "low"], about("scheduler", "Which of several due experiments goes first.")
    ] = "normal"
    autonomous: Annotated[
        bool, about("policy", "Go on after each run without asking. If false, a person resumes it after each run.")
    ] = True
    cadence: Annotated[
        str,
        about("scheduler", "How often a run is due: minutes, 30s, 2h, hourly, every-10-minutes, or cron in UTC."),
    ] = DEFAULT_TEXT
    time_budget_s: Annotated[
        Annotated[float, Meta(gt=0, le=MAX_BUDGET_S)], about("executor, scheduler", "Wall-clock limit of one run.")
    ] = 600.0
    max_iterations_total: Annotated[
        Count, about("policy", "It is complete after so many runs, failed ones too; blank: twice its chunks, if more.")
    ] = 20
    max_iterations_per_run: Annotated[
        Count, about("executor", "How many steps one run may take; the run is told, and keeps to it itself.")
    ] = 1
    max_parallel: Annotated[
        Annotated[int, Meta(ge=1, le=1024)], about("scheduler", "How many runs may be under way at the same time.")
    ] = 1
    stop_conditions: Annotated[
        StopConditions, about("policy", "What else completes it: a plateau, days, a target, hours, cost, failures.")
    ] = StopConditions()
    escalate_when: Annotated[
        tuple[str, ...], about("policy", "Events that hand the experiment to a person: a new best, a regression, ...")
    ] = ()
    notify: Annotated[tuple[str, ...], about("scheduler", "Where notices go; silent is nowhere.")] = ("silent",)
    durability: Annotated[
        Literal["full", "fast"], about("scheduler", "full survives a power cut; fast leaves that to the file system.")
    ] = "full"

    executor: Annotated[
        str,
        about(
            "executor", "What runs it: command, stub, reference, training, tinker, lm_eval, research, in_process, ..."
        ),
    ] = "command"
    executor_command: Annotated[
        str, about("executor", "The program of one run and its arguments. No shell reads it unless `shell` is true.")
    ] = ""
    executor_class: Annotated[
        str,
        about("scheduler", "What kind of machine may run it; engines.yaml says which, and --executor-class chooses."),
    ] = "default"
    shell: Annotated[bool, about("executor", "Give the commands to a shell, so that |, > and && work.")] = False
    env: Annotated[
        tuple[str, ...], about("executor", "Names of variables that the run may see besides the lab's own.")
    ] = ()
    secrets: Annotated[
        tuple[str, ...],
        about("executor", "Names of variables that the run may see and whose values are blotted out of its logs."),
    ] = ()
    fenced: Annotated[
        bool, about("executor", "Let it write only to its own folder and `writable_paths`, where there is a fence.")
    ] = False
    kill_grace_s: Annotated[
        Annotated[float, Meta(ge=0, le=600)], about("executor", "Seconds between being told to end and being killed.")
    ] = 5.0
    output_limit_mb: Annotated[
        Annotated[float, Meta(gt=0, le=4096)],
        about("executor", "MiB kept of each log; of more, its beginning and its end are, and the rest is counted."),
    ] = 16.0
    memory_limit_mb: Annotated[Count | None, about("executor", "Memory that a run may use, in MiB.")] = None
    cpu_limit: Annotated[
        Annotated[float, Meta(gt=0, le=4096)] | None, about("executor", "Processor cores that a run may use.")
    ] = None
    worker_roles: Annotated[
        tuple[str, ...],
        about("scheduler, executor", "Roles that take turns, one a run; a role names the run's folder."),
    ] = DEFAULT_ROLES
    ingress_files: Annotated[
        tuple[str, ...], about("pages, executor", "What a worker should read before it starts.")
    ] = ()
    egress_files: Annotated[tuple[str, ...], about("pages, executor", "What a worker should leave behind.")] = ()
    artifacts_expected: Annotated[
        tuple[str, ...], about("pages, executor", "Files that a complete run has under artifacts/.")
    ] = ()
    outputs: Annotated[tuple[str, ...], about("pages", "Reports that the experiment is to yield.")] = ()

    workspace_root: Annotated[
        str,
        about(
            "executor, code loop",
            "Folder of the code that the experiment is about. A run works in a folder of its own; there this one is "
            "$LAB_WORKSPACE_ROOT.",
        ),
    ] = ""
    workspace_mode: Annotated[
        Literal["auto", "copy", "git-clone", "git-worktree"],
        about("code loop", "How a change gets a tree of its own; auto is a linked worktree under git, else a copy."),
    ] = "auto"
    require_clean_workspace: Annotated[
        bool, about("code loop", "Refuse to start while changes are not committed that the lab did not apply itself.")
    ] = False
    mutable_paths: Annotated[
        tuple[str, ...],
        about("code loop", "What a change may touch, relative to the workspace; nothing is everything."),
    ] = ()
    read_only_paths: Annotated[
        tuple[str, ...], about("code loop", "What no change may touch, relative to the workspace.")
    ] = ()
    setup_command: Annotated[str, about("code loop", "Prepares the copy of the workspace, once a run.")] = ""
    baseline_command: Annotated[
        str, about("code loop", "Measures the workspace as it is, when there is no best to compare with yet.")
    ] = ""
    mutation_command: Annotated[str, about("code loop", "Makes the change.")] = ""
    validation_command: Annotated[
        str, about("code loop, search", "Measures the result; its last line or its JSON `value` is the metric.")
    ] = ""
    checks_command: Annotated[
        str, about("code loop", "Must end well before a change is measured, such as the tests.")
    ] = ""
    holdout_command: Annotated[
        str,
        about(
            "code loop",
            "A hidden measurement like validation_command, taken at milestones. Where bwrap works, no command of a "
            "candidate can read what it names, the repository's commits, or the files of this experiment. Agents, and "
            "whoever is handed a tree, are not fenced so: keep the script outside of the repository.",
        ),
    ] = ""
    holdout_every: Annotated[
        Count, about("code loop", "The hidden measurement is taken at the baseline and after this many kept changes.")
    ] = 5
    writable_paths: Annotated[
        tuple[str, ...],
        about("code loop, executor", "Absolute folders that a candidate or a fenced run may write to besides its own."),
    ] = ()
    ideas_file: Annotated[
        str, about("code loop", "File in the workspace with a list of ideas; the next one not tried is proposed.")
    ] = ""
    loop_tag: Annotated[
        str, about("code loop", "What is kept is on the branch lab/<tag>; the id of the experiment, if blank.")
    ] = ""
    results_file: Annotated[
        str,
        about(
            "code loop",
            "Where `labctl autoresearch export` writes the table of runs, relative to the workspace; blank is nowhere.",
        ),
    ] = ""
    platform: Annotated[
        str, about("pages", "What the machine computes on, as `labctl autoresearch start` found it; shown, not judged.")
    ] = ""
    pause_after_unkept: Annotated[
        Count | None, about("code loop, policy", "Pause after this many candidates in a row that were not kept.")
    ] = None
    promotion_strategy: Annotated[
        Literal["patch-only", "apply-on-accept", "branch"],
        about("code loop", "What becomes of an accepted change: kept as a patch, applied, or put on a branch."),
    ] = "patch-only"
    agent_provider: Annotated[str, about("code loop", "Which agent proposes changes: stub, claude, openai, ...")] = ""
    agent_model: Annotated[str, about("code loop", "The agent's model, as its provider names it.")] = ""
    agent_effort: Annotated[str, about("code loop", "How hard the agent thinks, as its provider names it.")] = ""
    agent_instruction_file: Annotated[
        str, about("code loop", "File with the agent's instructions, in the workspace.")
    ] = ""
    agent_base_url: Annotated[str, about("code loop", "Address of the agent's service, where it is not the usual.")] = (
        ""
    )
    agent_background: Annotated[bool, about("code loop", "Let the agent's provider work in the background.")] = False

    strategy: Annotated[str, about("search", "What proposes: random, ...; else portfolio, if there is a space.")] = ""
    search_space: Annotated[
        str | Space | None, about("search", "The parameters that vary: written here, or the path of a JSON file.")
    ] = None
    seed: Annotated[
        Annotated[int, Meta(ge=0, le=2**63 - 1)] | None, about("search", "Makes the proposals repeat; unset draws one.")
    ] = None

    strategies: Annotated[tuple[str, ...], about("search", "The arms of a portfolio; blank lets it choose them.")] = ()
    noise: Annotated[
        bool | None,
        about("search", "Whether the metric differs between two runs of the same parameters; unset finds out."),
    ] = None
    early_stop: Annotated[
        Literal["none", "median", "asha"],
        about("search", "Which rule may end a run that reports steps through LAB_REPORT and is hopeless."),
    ] = "none"
    reduction_factor: Annotated[
        Annotated[float, Meta(gt=1, le=100)],
        about("search", "In a race, one in this many goes on: to the next tier, or past the next rung of steps."),
    ] = 4.0
    unstopped_share: Annotated[
        Annotated[float, Meta(ge=0, le=1)],
        about("search", "Share of the candidates that no race stops: a slow starter is found only among them."),
    ] = 0.1

    llm: Annotated[
        Model | None, about("search", "The model that the strategies llm and hybrid ask (section Models).")
    ] = None
    tinker: Annotated[
        Tuning | None,
        about("executor, policy", "What executor tinker trains, and in which chunks (section Remote training)."),
    ] = None
    lm_eval: Annotated[
        Evaluation | None, about("executor", "What executor lm_eval asks which model (section Evaluation).")
    ] = None

    fidelity_tiers: Annotated[
        tuple[str, ...], about("policy, executor", "Levels from cheap to costly; <tier>_<field> overrides a field.")
    ] = ("default",)
    initial_fidelity_tier: Annotated[str, about("policy", "The tier to begin in; the first, if blank.")] = "default"
    fidelity_promotion_rule: Annotated[
        Literal["manual", "after-success-streak", "asha", "when-finished"],
        about("policy", "What moves it to its next tier: a person, successes in a row, a race, a chain's end."),
    ] = "manual"
    promote_after_successes: Annotated[
        Count, about("policy", "Successes in a row in one tier before after-success-streak moves on.")
    ] = 1
    overrides: tuple[Override, ...] = ()

    @property
    def time_budget_minutes(self) -> float:
        """The budget as the older programs read it."""
        return self.time_budget_s / 60.0

    def schedule(self) -> Cadence:
        """When runs are due."""
        return parse_cadence(self.cadence)

    def for_tier(self, tier: str) -> "Spec":
        """The SPEC as it holds in `tier`: its overrides applied, and none left. Ask the SPEC that was read."""
        if tier not in self.fidelity_tiers:
            near = nearest(tier, self.fidelity_tiers)
            fix = f"did you mean {near}?" if near else f"the tiers are {', '.join(self.fidelity_tiers)}"
            raise BadInput(f"{self.id} has no tier {tier!r}", fix=fix)
        changes = {override.field: override.value for override in self.overrides if override.tier == tier}
        return msgspec.structs.replace(self, overrides=(), **changes)


@cache
def shapes_of(record: type[msgspec.Struct]) -> Mapping[str, shapes.Type]:
    """The type of each field with its bounds, read from the record: the schema cannot disagree with the reader."""
    told = shapes.type_info(record)
    declared = told.fields if isinstance(told, shapes.StructType) else ()
    return {
        field.name: field.type.type if isinstance(field.type, shapes.Metadata) else field.type for field in declared
    }


def without_none(shape: shapes.Type) -> shapes.Type:
    """What a field holds when it is set."""
    if not isinstance(shape, shapes.UnionType):
        return shape
    rest = tuple(each for each in shape.types if not isinstance(each, shapes.NoneType))
    return rest[0] if len(rest) == 1 else shapes.UnionType(rest)
