"""What the fields of a SPEC must say together where a model is evaluated by lm-evaluation-harness."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.core.evaluation import FILLED, OVERRIDES
from lab.core.space import Space

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.spec_fields import Spec

LM_EVAL = "lm_eval"  # the executor, and the key of what it asks
PLACE = re.compile(r"\{params\.([^{}]*)\}")


def problems(spec: Spec) -> Iterator[tuple[str, str]]:
    """What cannot be, each with the key that says it. Asked of a SPEC whose fields are right one by one."""
    if spec.executor != LM_EVAL:
        return
    block = spec.lm_eval
    names = spec.search_space.names if isinstance(spec.search_space, Space) else ()
    may_vary = "model" in names or isinstance(spec.search_space, str)  # a file is read when a run begins
    if block is None or not (block.model or may_vary):
        yield LM_EVAL, "executor lm_eval asks a model; name it: `lm_eval:` / `  model: FOLDER`"
        return
    if not block.tasks:
        yield LM_EVAL, "executor lm_eval asks tasks; name some: `lm_eval:` / `  tasks: [addition]`"
    if not block.metric:
        yield LM_EVAL, "which score is the value of a run is not said; as in `  metric: addition/acc,none`"
    if spec.shell:
        yield "shell", "executor lm_eval starts lm-evaluation-harness, and no shell reads it; take `shell: true` out"
    if spec.executor_command:
        what = "executor lm_eval starts lm-evaluation-harness itself; take executor_command out"
        yield "executor_command", f"{what}, or use `executor: command`"
    if isinstance(spec.search_space, Space):
        placed = {name for field in FILLED for name in PLACE.findall(getattr(block, field))}
        for name in names:
            if name not in OVERRIDES and name not in placed:
                what = f"{name} would change nothing: a parameter of an evaluation is called {', '.join(OVERRIDES)}"
                yield "search_space", f"{what}, or stands as {{params.{name}}} in {', '.join(FILLED)}"
        for name in sorted(placed - set(names)):
            yield LM_EVAL, f"{{params.{name}}} is no parameter of the search space"
    if spec.search_space is None and any(PLACE.search(getattr(block, field)) for field in FILLED):
        yield LM_EVAL, "{params.NAME} stands for a parameter, and there is no search_space"
