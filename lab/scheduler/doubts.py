"""What is allowed in a SPEC and would not run: told when it is validated or made, not by three failures at night."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core.errors import BadInput, LabError
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


def workspace_at(spec: Spec, folder: str) -> str:
    """The workspace of a SPEC that lies in a folder; empty where it names none."""
    given = os.path.expanduser(spec.workspace_root)
    return os.path.normpath(os.path.join(folder, given)) if given else ""


def doubts(spec: Spec, folder: str) -> list[str]:
    """One line a doubt; none for a SPEC that may run as far as its text can tell. `folder` is where it lies."""
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
        problem = command.doubts(spec.for_tier(tier)) if spec.executor in ("command", "training", "tinker") else ""
        if problem:
            found.append(f"it would not run: {problem}")
    found += [f"it would not run: {each}" for each in (_said_twice(spec, folder),) if each]
    return list(dict.fromkeys(found))


def _said_twice(spec: Spec, folder: str) -> str:
    """A knob that a training command and its search space both say, in words."""
    if spec.executor != "training":
        return ""
    from lab.executors import training  # noqa: PLC0415  # for those that train
    from lab.scheduler.search import spaces  # noqa: PLC0415  # the search and all

    try:
        names = spaces.names_at(spec, workspace_at(spec, folder), folder)
    except LabError:
        return ""  # a space that is not there is told by what reads it
    try:
        training.require_single(spec, names)
    except BadInput as refusal:
        return f"{refusal.what}; {refusal.fix}"
    return ""
