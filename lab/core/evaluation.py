"""What a SPEC's `lm_eval:` names: a model, the tasks that it is asked, and which of the scores counts."""

from typing import Annotated

import msgspec
from msgspec import Meta

from lab.core.scores import BETTER_BY

Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `lm_eval:` in a SPEC says. Whether the model and the tasks are there is found out when a run begins."""

    model: Annotated[
        str,
        Meta(description="Folder of the model, or its name at Hugging Face where this machine has it already."),
    ] = ""
    adapter: Annotated[
        str, Meta(description="Folder of a LoRA adapter, which is merged into the model before it is asked.")
    ] = ""
    tasks: Annotated[tuple[str, ...], Meta(description="Names of the tasks, groups or tags that it is asked.")] = ()
    tasks_dir: Annotated[
        str,
        Meta(description="Folder of your own tasks as YAML, which are then the only ones; relative data lie in it."),
    ] = ""
    metric: Annotated[
        str, Meta(description="The score that is the value of a run, as `task/metric,filter`: addition/acc,none.")
    ] = ""
    num_fewshot: Annotated[
        Annotated[int, Meta(ge=0, le=1000)] | None,
        Meta(description="Examples in front of each question; blank is what the task says."),
    ] = None
    limit: Annotated[Count | None, Meta(description="Questions of each task, to try it out; blank is all.")] = None
    device: Annotated[str, Meta(description="cpu, cuda, cuda:0, mps; blank takes a GPU where there is one.")] = ""
    batch_size: Annotated[str, Meta(description="Questions asked at once: a number, or auto.")] = "1"
    better_by: Annotated[
        Annotated[float, Meta(ge=0, le=100)],
        Meta(description="A difference counts beyond this many times the two standard errors together."),
    ] = BETTER_BY
    baseline: Annotated[
        str, Meta(description="What a run is compared with: a run of this lab, or a results file of lm_eval.")
    ] = ""


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One evaluation, with every place absolute: what the process is told that carries it out."""

    out: str  # where the results go, in lm_eval's own layout
    model: str
    tasks: tuple[str, ...]
    adapter: str = ""
    tasks_dir: str = ""
    num_fewshot: int | None = None
    limit: int | None = None
    device: str = ""
    batch_size: str = "1"
    metric: str = ""
    better_by: float = BETTER_BY
    baseline: str = ""  # a results file, which is copied beside the results: what they are compared with stays known
    baseline_name: str = ""  # as it was named


# What a parameter of the search space may stand for by its name alone.
OVERRIDES = ("model", "adapter", "num_fewshot", "limit", "batch_size")
# Which fields may hold `{params.NAME}`.
FILLED = ("model", "adapter", "baseline")
BASELINE = "baseline.json"  # in the artifacts of a run: the results that it is compared with
ASKED = "asked.json"  # beside it: what was asked, as an `Asked`
REFUSED = "refused: "  # how the last line of a run begins that says why it could not be done
