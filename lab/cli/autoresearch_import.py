"""`labctl autoresearch import`: go on from the log of another harness, whose numbers stay claims."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import autoresearch_start
from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.scheduler.loop.imported import Brought

# The settings of the loop that goes on are those of `start`; the log says some of them.
SHARED = (
    "workspace", "new_id", "yes", "dry_run", "edit", "read_only", "budget", "metric", "direction", "iterations",
    "scope", "tag", "results", "measure", "checks", "setup", "mutate", "agent", "model", "goal",
)  # fmt: skip
TARGET = "a results.tsv, an autoresearch.jsonl, or the folder of one"


def arguments(parser: argparse._ArgumentGroup) -> None:
    """Nothing besides: it takes the flags of start."""


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Read the log whole, and only then write."""
    from msgspec import to_builtins
    from msgspec.structs import replace

    from lab.executors import platform
    from lab.scheduler.loop import imported

    root = session.root()
    source = imported.read(args.target, args.workspace)
    chosen = imported.settings(source, autoresearch_start.said_in(args))
    chosen = replace(chosen, platform=platform.detected(root.world.environ).words)
    progress = session.terminal.progress("import")
    done = imported.bring(root, source, chosen, actor=session.actor, dry_run=args.dry_run, progress=progress)
    data = {**to_builtins(done), "dry_run": args.dry_run}
    data.pop("warnings")
    then = [] if args.dry_run else [f"labctl run-once --experiment {done.experiment} --now"]
    return Answer(data, _lines(done, dry_run=args.dry_run), warnings=done.warnings, then=then)


def _lines(done: Brought, *, dry_run: bool) -> Iterator[str]:
    from lab.projections.text import count

    verb = "would import" if dry_run else "imported"
    yield f"{verb}: {count(done.runs, 'run')} ({done.kept} kept, as {done.form} says) into {done.experiment}"
    if done.known:
        yield f"here already: {done.known}"
    if done.commits_found or done.commits_missing:
        yield f"commits: {done.commits_found} are in the repository, {done.commits_missing} are not"
    yield "these numbers are claims: the unchanged code is measured before anything is compared"
