"""What is allowed in a SPEC and would not run: told when it is validated or made, not by three failures at night."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, LabError
from lab.core.launch import Foreseen
from lab.core.spec_tuning import is_chain
from lab.executors import command, door, environment
from lab.scheduler import places
from lab.scheduler.loop import scripts
from lab.store import shipped
from lab.strategies import door as strategies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.store.root import Root

_PATCH = "patch-only"
_DIRECTION = "metric_direction"
NOT_RUN = "it would not run"
# What the doubts about a run go by. A key of a tier ends with one of them.
_GOES_BY = (
    "executor", "command", "agent_provider", "strategy", "strategies", "search_space", "workspace_root",
    "fidelity_tiers", "shell", "env", "tinker", "training", "lm_eval",
)  # fmt: skip
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


def undirected(spec: Spec, data: bytes) -> tuple[str, ...]:
    """Metrics of which only their being left alone says that more is better. They run: hermes-lab took them so too.

    Nothing is said of a name that is better the larger it is, and nothing of a metric without a name.
    """
    from lab.core import spec_text  # noqa: PLC0415  # the record of a SPEC does not know what was written
    from lab.core.direction import HIGHER, guessed  # noqa: PLC0415  # only of a SPEC that leaves it out
    from lab.core.spec_values import is_blank  # noqa: PLC0415  # as spec_text

    written, _ = spec_text.parse_text(data, "SPEC.yaml")
    found: list[str] = []
    for tier in spec.fidelity_tiers:
        metric, own = spec.for_tier(tier).metric, f"{tier}_{_DIRECTION}"
        if (
            any(not is_blank(written.get(name)) for name in (_DIRECTION, own))
            or not metric
            or guessed(metric) == HIGHER
        ):
            continue
        key = own if metric != spec.metric else _DIRECTION
        found.append(
            f"nothing says which {metric} is better, so the largest is taken for the best; write `{key}: minimize` "
            "if less is better, else `maximize`: once a run has a value it stays"
        )
    return tuple(dict.fromkeys(found))


class Lying(msgspec.Struct, frozen=True, kw_only=True):
    """Where what a SPEC is about lies: its workspace, empty where it names none, and the folders beside its SPEC.

    A template of ours names a workspace that nobody has; that of a SPEC that somebody `made` must be there.
    """

    folders: tuple[str, ...]
    workspace: str = ""
    made: bool = False


def lying(spec: Spec, folder: str) -> Lying:
    """Of a SPEC that is no experiment yet, and lies in a folder."""
    shipped_with_us = os.path.realpath(folder).startswith(os.path.realpath(shipped.template_folder()))
    return Lying(workspace=workspace_at(spec, folder), folders=(folder,), made=not shipped_with_us)


def lying_for(root: Root, spec: Spec, view: View) -> Lying:
    """Of an experiment: where they lay when it was made."""
    return Lying(workspace=places.workspace(root, spec, view), folders=places.folders(root, view), made=True)


def of_the_rest(data: bytes, origin: str, files: Callable[[Spec], Lying], environ: Mapping[str, str]) -> list[str]:
    """What would keep a run from being made beside what a SPEC is refused for.

    Nothing where what is wrong may be what a run goes by: a misspelt `executor_command` is no missing one.
    """
    from lab.core import spec_reading, spec_text  # noqa: PLC0415  # of a SPEC that is refused alone

    spec, unsure = spec_reading.apart(*spec_text.parse_text(data, origin))
    if any(key == each or key.endswith(f"_{each}") for key in unsure for each in _GOES_BY):
        return []
    return [each.removeprefix(f"{NOT_RUN}: ") for each in doubts(spec, files(spec), environ) if NOT_RUN in each]


def doubts(spec: Spec, files: Lying, environ: Mapping[str, str], *, away: bool = False) -> list[str]:
    """One line a doubt; none for a SPEC that may run as far as can be seen here.

    `away`: its runs happen on other machines, and what lies on this one says nothing of them.
    """
    found: list[str] = []
    over = {each.field for each in spec.overrides if each.value}
    runs_nothing = spec.executor == "command" and not any(getattr(spec, name) or name in over for name in _WORK)
    if runs_nothing:
        found.append(f"nothing would run: {', '.join(_WORK[:-1])} and {_WORK[-1]} are all blank")
    try:
        door.find(spec.executor)
    except BadInput as unknown:
        found.append(f"{NOT_RUN}: {_words(unknown)}")
    for tier in spec.fidelity_tiers:
        problem = command.doubts(spec.for_tier(tier)) if spec.executor in command.FILLED else ""
        if problem:
            found.append(f"{NOT_RUN}: {problem}")
    if any(each.setup_command and not scripts.is_loop(each) for each in map(spec.for_tier, spec.fidelity_tiers)):
        found.append("setup_command is for code loops: nothing runs it here; make what it makes beforehand")
    absent = () if away else _absent(spec, files, environ)
    found += [f"{NOT_RUN}: {each}" for each in (*_unsearched(spec, files), *absent)]
    return list(dict.fromkeys(found))


def _words(refusal: LabError) -> str:
    return refusal.what + (f"; {refusal.fix}" if refusal.fix else "")


def _unsearched(spec: Spec, files: Lying) -> Iterator[str]:
    """What the search would be refused for, or each of its runs: who proposes, and what the commands take from it."""
    for name in filter(None, dict.fromkeys((spec.strategy, *spec.strategies))):
        try:
            strategies.find(name)
        except LabError as unknown:
            yield _words(unknown)
    if is_chain(spec):
        return
    from lab.scheduler.search import spaces  # noqa: PLC0415  # the search and all

    try:
        space = spaces.at(spec, files.workspace, files.folders)
    except LabError as unfit:
        yield f"{unfit.what} (in {unfit.where})" if unfit.where else unfit.what
        return
    if space is not None:
        yield from spaces.at_odds(spec, space)
    elif spec.strategy:
        yield f"strategy {spec.strategy} has nothing to propose; write `search_space:`, or put search_space.json there"
    elif wanted := spaces.placeholders_of(spec):
        fix = "write `search_space:`, or take the placeholder out"
        yield f"{{params.{wanted[0]}}} has no value where nothing is searched; {fix}"


def require_programs(spec: Spec, files: Lying, environ: Mapping[str, str]) -> None:
    """Refuse a program or script of this tier that lies nowhere here."""
    here = scripts.renamed(spec)  # hermes-lab's door to the code loop is no script that must lie here
    if here.executor != "command" or not here.executor_command:
        return
    seen = environment.given(here, environ)
    command.Command().require_program(
        Foreseen(spec=here, workspace=files.workspace, folders=files.folders, environ=seen)
    )


def _absent(spec: Spec, files: Lying, environ: Mapping[str, str]) -> Iterator[str]:
    if files.made and files.workspace and not os.path.isdir(files.workspace):
        yield f"its workspace is not there: {files.workspace}; put it back, or correct workspace_root"
        return
    for tier in spec.fidelity_tiers:
        try:
            require_programs(spec.for_tier(tier), files, environ)
        except LabError as refusal:
            yield _words(refusal)
