"""What a recipe says of its training.

A recipe file is this class with its own words, and one line:

    raise SystemExit(recipe.main(Sft()))

How it is cut into chunks, saved, resumed, counted and ended is none of its concern (`carrying`). What it must keep:
whatever depends on chance or on time follows from the step alone (`job.seed_of(step)`), or a training in chunks is
another one than the same in one go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.tinker.estimate import Tokens
    from lab.tinker.job import Job


class Recipe:
    """One kind of training."""

    metric: str = ""  # the name of the experiment's metric among what `step`, or `measure`, returns
    rank: int = 32  # of the LoRA, where the params have no `lora_rank`
    fixed: tuple[str, ...] = ()  # names of the models that stand still: what `fix` returns, and a resume must find

    def prepare(self, job: Job) -> None:
        """Load the data; called once in each chunk, before there is a model. Refuse what is wrong here: it is free."""

    def origin(self, job: Job) -> str:  # noqa: ARG002
        """Whose weights the training begins with: a path, such as `job.earlier["sft"].state_path`; "" is the base."""
        return ""

    def fix(self, job: Job) -> Mapping[str, str]:  # noqa: ARG002
        """The path of each model in `fixed`: called once in a training, before step 0.

        `job.snapshot("reference")` is the policy as it is now; `job.earlier["preference"].sampler_path` another one.
        """
        return {}

    def length(self, job: Job) -> int | None:  # noqa: ARG002
        """The steps of the whole training where it is shorter than what was ordered: data that comes to an end."""
        return None

    def tokens(self, job: Job, step: int) -> Tokens | None:  # noqa: ARG002
        """The most that a step uses, samples at their longest. No service may be asked for it.

        None: it is not known, and then a service that is paid for is not trained at.
        """
        return None

    def measured_tokens(self, job: Job) -> Tokens | None:  # noqa: ARG002
        """The most that `measure` uses, samples at their longest. None: not known, as with `tokens`."""
        return None

    def step(self, job: Job, step: int) -> Mapping[str, float]:
        """Do step `step`, counted from 0, with one `job.train`, no more and no less; return its metrics.

        `kl` is the one that the SPEC's kl_limit looks at. A number that is not finite ends the training.
        """
        raise NotImplementedError

    def measure(self, job: Job) -> Mapping[str, float] | None:  # noqa: ARG002
        """What the chunk is worth on data that was held out, `metric` among it. None: the mean of its last steps.

        Who writes this one writes `measured_tokens` as well.
        """
        return None

    @property
    def measures(self) -> bool:
        """Whether it has a `measure` of its own."""
        return type(self).measure is not Recipe.measure
