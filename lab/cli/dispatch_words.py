"""How the dispatch verbs take their arguments and tell what they did: the same for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.parser import count
from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from lab.scheduler.dispatch.offers import Said
    from lab.store.root import Root

WORKER = "dispatch-worker"


def runs(count: int) -> str:
    """How many runs, in words."""
    return "1 run" if count == 1 else f"{count} runs"


def which(parser: argparse.ArgumentParser, *, max_runs: int, more: str = "at most N packages") -> None:
    """Which packages, and how many."""
    told = f"{more} (default {max_runs})" if max_runs else f"{more} (default all)"
    parser.add_argument("--max-runs", type=count, default=max_runs, metavar="N", help=told)
    parser.add_argument(
        "--executor-class", action="append", default=[], metavar="C", help="only experiments of this class; repeatable"
    )
    parser.add_argument("--experiment", action="append", default=[], metavar="ID", help="only this one; repeatable")


def who(parser: argparse.ArgumentParser, default: str = WORKER) -> None:
    """The worker that speaks."""
    told = f"default {default}" if default else "default: whoever claimed it"
    parser.add_argument("--worker", default=default, metavar="NAME", help=f"the worker's name ({told})")


def checked(root: Root, args: argparse.Namespace) -> None:
    """Refuse what cannot be meant, before anything is written."""
    from lab.core import ids
    from lab.store import experiments

    if getattr(args, "worker", ""):
        ids.worker(args.worker)
    for name in getattr(args, "experiment", None) or ():
        experiments.require(root, name)


def answer(said: Iterable[Said], kind: str, *, nothing: str = "", exit_code: int | None = None) -> Answer:
    """What was done, one line each. Exit code 1 when something was refused or went wrong."""
    from msgspec import to_builtins

    listed = list(said)
    done = [each for each in listed if each.kind == kind]
    bad = [each for each in listed if each.kind in ("refused", "problem")]
    lines = [line(each) for each in done]
    warnings = [line(each) for each in listed if each.kind != kind]
    if not done and nothing:
        lines.append(nothing)
    data = {kind: to_builtins(done), "others": to_builtins([each for each in listed if each.kind != kind])}
    code = (1 if bad else 0) if exit_code is None else exit_code
    return Answer(data, lines, warnings=warnings, exit_code=code)


def line(said: Said) -> str:
    """One thing as one line, in the words of hermes-lab where it had some."""
    role = f" as {said.role}" if said.role else ""
    name = f"dispatch {said.dispatch_id} for {said.experiment} [{said.tier}]{role}"
    value = "" if said.value is None else f" {said.value!r}"
    why = f": {said.what}" if said.what else ""
    match said.kind:
        case "queued":
            return f"queued {name}"
        case "claimed":
            return f"{said.dispatch_id}\t{said.path}"
        case "completed":
            return f"completed {name} ({said.verdict or said.outcome}{value}){why}"
        case "ingested":
            return f"ingested dispatch {said.dispatch_id} into {said.experiment}/{said.run_id} ({said.outcome}{value})"
    where = f"; it lies in {said.path}" if said.path else ""
    fix = f" - {said.fix}" if said.fix else ""
    whose = said.dispatch_id or said.experiment
    return f"{said.kind}{f' {whose}' if whose else ''}{why}{where}{fix}"
