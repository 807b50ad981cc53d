"""What the fields of a SPEC must say together where a model is trained through the Tinker API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.space import Space
from lab.core.spec_fields import MAX_COUNT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.spec_fields import Spec

TINKER = "tinker"  # the executor, and the key of what it trains
DEFAULT_STRATEGY = "portfolio"  # of a space for which nobody named one
WHEN_FINISHED = "when-finished"
RANK = "lora_rank"  # a parameter that is read where an adapter is made
LIMITS = (
    "budget_tokens alone; or budget_cost, and under `tinker:` usd_per_mtok_train, usd_per_mtok_sample and "
    "usd_per_mtok_prefill"
)


def is_chain(spec: Spec) -> bool:
    """Whether the runs of an experiment are the chunks of one training. With a strategy each is a whole one."""
    return spec.executor == TINKER and not spec.strategy


def searched_by(spec: Spec, *, has_space: bool) -> str:
    """The strategy that chooses the parameters of its runs; empty where nothing is searched. `has_space`: wherever."""
    return spec.strategy or (DEFAULT_STRATEGY if has_space and not is_chain(spec) else "")


def problems(spec: Spec) -> Iterator[tuple[str, str]]:
    """What cannot be, each with the key that says it. Asked of a SPEC whose fields are right one by one."""
    if spec.fidelity_promotion_rule == WHEN_FINISHED and not is_chain(spec):
        yield "fidelity_promotion_rule", f"{WHEN_FINISHED} is for a training in chunks: executor tinker, no strategy"
    if spec.executor != TINKER:
        return
    tuning = spec.tinker
    if tuning is None or not tuning.base_model:
        yield TINKER, "executor tinker trains a model; name it: `tinker:` / `  base_model: NAME`"
        return
    if spec.shell:
        yield "shell", "executor tinker starts a recipe, and no shell reads it; take `shell: true` out"
    if not tuning.is_local and unfunded(spec):
        yield TINKER, f"{tuning.url} is paid for, and {unfunded(spec)}; in stop_conditions write {LIMITS}"
    if tuning.url.startswith("http://") and not tuning.is_local:
        why = "is on another machine, and a key would go there for everybody to read"
        yield TINKER, f"{tuning.url} {why}; write https://, or reach it through a tunnel that ends on 127.0.0.1"
    if tuning.review and (spec.llm is None or spec.strategy):
        why = "looks at chunks, and with a strategy there are none" if spec.strategy else "asks the model of `llm:`"
        yield TINKER, f"review {why}; take `review: true` out" + ("" if spec.strategy else ", or name the model")
    if is_chain(spec):
        yield from _of_chain(spec)


def runs_of(spec: Spec) -> int:
    """How many chunks a training has, each stage at its longest; 0 for what is none in chunks."""
    tuning = spec.tinker
    if tuning is None or not is_chain(spec):
        return 0
    return len(spec.fidelity_tiers) * -(-tuning.steps // tuning.chunk_steps)


def most_runs(spec: Spec) -> int:
    """What `max_iterations_total` is where nobody says: enough for a training whose every second chunk fails."""
    return min(max(spec.max_iterations_total, 2 * runs_of(spec)), MAX_COUNT)


def unfunded(spec: Spec) -> str:
    """Why a training may cost more than somebody said, in words; empty where each limit that was given holds."""
    stop, tuning = spec.stop_conditions, spec.tinker
    if stop.budget_cost is not None and (tuning is None or not tuning.is_priced):
        return "budget_cost cannot be held where a price is missing"
    return "" if (stop.budget_cost, stop.budget_tokens) != (None, None) else "nothing says how much may be spent"


def unheeded(space: Space) -> str:
    """What a reviewer would move in vain, in words: a chunk goes on with the adapter of the one before."""
    if all(each.kind == "fixed" for each in space.parameters if each.name == RANK):
        return ""
    return f"{RANK} stays as it is through all chunks of a training; write {RANK}: {{value: 16}}, or name a `strategy`"


def _of_chain(spec: Spec) -> Iterator[tuple[str, str]]:
    if spec.max_parallel > 1:
        yield "max_parallel", "a training in chunks has one run at a time; several need a `strategy`"
    if spec.max_iterations_total < runs_of(spec):
        what = f"{spec.max_iterations_total} runs end the training before its last step: it has up to {runs_of(spec)}"
        fix = f"take it out ({most_runs(spec)} then), write more, or raise chunk_steps"
        yield "max_iterations_total", f"{what} chunks; {fix}"
    if spec.fidelity_promotion_rule not in ("manual", WHEN_FINISHED):
        yield (
            "fidelity_promotion_rule",
            f"a training in chunks moves on when it is finished: {WHEN_FINISHED}, or manual",
        )
    if spec.early_stop != "none":
        yield "early_stop", "compares the runs of a search, and a training in chunks has none beside it"
    space = spec.search_space
    if not isinstance(space, Space):
        return
    if unheeded(space):
        yield "search_space", unheeded(space)
    from lab.core import assignment  # noqa: PLC0415  # only for a SPEC that was not read before

    if assignment.beginning(space) is None:
        yield "search_space", "a training in chunks begins at the defaults, and there are none that meet it; give them"
