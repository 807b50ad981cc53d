"""What is allowed in a SPEC and would not run: told when it is validated or made, not by three failures at night."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import BadInput
from lab.executors import command, door
from lab.scheduler.loop import scripts

if TYPE_CHECKING:
    from lab.core.spec import Spec

_PATCH = "patch-only"
_WORK = ("executor_command", "validation_command", "mutation_command", "agent_provider", "strategy")


def promised(spec: Spec) -> Spec:
    """The SPEC, or `BadInput` when it promises what nothing would do: only a code loop applies what it keeps."""
    for tier in spec.fidelity_tiers:
        here = spec.for_tier(tier)
        if here.promotion_strategy != _PATCH and not scripts.is_loop(here):
            what = f"promotion_strategy: {here.promotion_strategy} is for code loops, and executor is {here.executor}"
            fix = "set `executor: reference`, which keeps what helps; or `promotion_strategy: patch-only`"
            raise BadInput(what, fix=fix)
    return spec


def doubts(spec: Spec) -> list[str]:
    """One line a doubt; none for a SPEC that may run as far as its text can tell."""
    found: list[str] = []
    over = {each.field for each in spec.overrides if each.value}
    runs_nothing = spec.executor == "command" and not any(getattr(spec, name) or name in over for name in _WORK)
    if runs_nothing:
        found.append(f"nothing would run: {', '.join(_WORK[:-1])} and {_WORK[-1]} are all blank")
    try:
        door.find(spec.executor)
    except BadInput as unknown:
        found.append(f"it would not run: {unknown.what}" + (f"; {unknown.fix}" if unknown.fix else ""))
    for tier in spec.fidelity_tiers:
        problem = command.doubts(spec.for_tier(tier)) if spec.executor in ("command", "training") else ""
        if problem:
            found.append(f"it would not run: {problem}")
    return list(dict.fromkeys(found))
