"""List experiments, or the runs of one.

Without an ID: one line an experiment (id, phase, tier, runs, best, goal), from LAB-INDEX.json. With an ID: one line a
run, newest last, from the experiment's metrics.jsonl. --last takes the last runs, or the experiments that something
happened to last. Columns are separated by tabs; nothing is cut.
"""

from __future__ import annotations

import json
import os

from lab.cli.index import read_index, warnings
from lab.cli.terminal import Answer
from lab.core.errors import BadInput, NotFound, Unavailable, nearest
from lab.core.layout import METRICS_LOG, Layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import TypedDict, TypeGuard

    from lab.cli.index import Row
    from lab.cli.session import Session

    class Line(TypedDict, total=False):
        """One run, as metrics.jsonl has it; the executor's own metrics stand beside these."""

        run_id: str
        outcome: str
        verdict: str  # of a code loop
        value: float | None
        tier: str
        role: str
        archived: bool  # said only of runs whose bundle is in an archive: `labctl show RUN` tells where


PHASES = ("queued", "active", "awaiting-human", "paused", "completed", "archived")
OUTCOMES = ("success", "failed", "timeout", "crash", "cancelled")
EXAMPLE = "labctl list\nlabctl list lr-sweep --outcome success --last 20"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to list."""
    parser.add_argument("experiment", nargs="?", default="", metavar="ID", help="list the runs of this experiment")
    parser.add_argument("--phase", default="", choices=PHASES, help="only experiments in this phase")
    parser.add_argument("--archived", action="store_true", help="archived experiments too")
    parser.add_argument("--outcome", default="", choices=OUTCOMES, help="with ID: only runs that ended so")
    parser.add_argument("--last", type=int, default=0, metavar="N", help="only the last N")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The list, as rows."""
    if args.last < 0:
        raise BadInput(f"--last {args.last} is below 0", fix="--last 20")
    if args.outcome and not args.experiment:
        fix = f"name the experiment: labctl list ID --outcome {args.outcome}"
        raise BadInput("--outcome chooses among runs", fix=fix)
    lab = read_index(session.path)
    rows = lab["experiments"]
    if args.experiment:
        known = tuple(row["id"] for row in rows)
        if args.experiment not in known:
            close = nearest(args.experiment, known)
            fix = f"did you mean {close}?" if close else "labctl list shows what there is"
            raise NotFound(f"there is no experiment {args.experiment}", fix=fix)
        runs = _runs(session.path, args.experiment, args.outcome, args.last)
        return Answer({"experiment": args.experiment, "runs": runs}, _run_lines(runs))
    if args.phase:
        rows = [row for row in rows if row["phase"] == args.phase]
    elif not args.archived:
        rows = [row for row in rows if row["phase"] != "archived"]
    then = [] if rows or args.phase else ["labctl create first-run"]
    shown = _last(rows, args.last) if args.last else rows
    left_out = len(rows) - len(shown)
    told = warnings(lab)
    told += [f"left out: {left_out} more, to which nothing has happened since"] if left_out else []
    return Answer({"experiments": shown, "left_out": left_out}, _lines(shown), warnings=told, then=then)


def _last(rows: list[Row], count: int) -> list[Row]:
    """Those to which something happened last, still in the order of their names."""
    chosen = {row["id"] for row in sorted(rows, key=lambda row: row.get("as_of", ""))[-count:]}
    return [row for row in rows if row["id"] in chosen]


def _runs(path: str, experiment: str, outcome: str, last: int) -> list[Line]:
    table = Layout(path).page(experiment, METRICS_LOG)
    where = os.path.relpath(table, path)
    if os.path.lexists(table) and not os.path.isfile(table):  # to open a pipe would keep us waiting
        raise Unavailable("the table of runs is no file", where=where, fix="labctl refresh")
    try:
        with open(table, "rb") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        raise Unavailable("the table of runs is missing", where=where, fix="labctl refresh") from None
    if last and not outcome:
        lines = lines[-last:]
    runs: list[Line] = []
    for line in lines:
        try:
            found: object = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not _is_run(found):
            raise Unavailable("the table of runs is damaged", where=where, fix="labctl refresh")
        runs.append(found)
    if outcome:
        runs = [run for run in runs if run.get("outcome") == outcome]
        runs = runs[-last:] if last else runs
    _mark_archived(path, experiment, runs)
    return runs


def _mark_archived(path: str, experiment: str, runs: list[Line]) -> None:
    """Say of each run whose bundle is not there any more that an archive has it. Most experiments have no archive."""
    layout = Layout(path)
    if not os.path.isdir(layout.archived(experiment)):
        return
    there = set(os.listdir(layout.runs(experiment)))
    for run in runs:
        if run["run_id"] not in there:
            run["archived"] = True


def _is_run(found: object) -> TypeGuard[Line]:
    return isinstance(found, dict) and isinstance(found.get("run_id"), str)


def _lines(rows: list[Row]) -> Iterator[str]:
    if not rows:
        yield "No experiments"
    for row in rows:
        best = row.get("best_value")
        yield "\t".join(
            (
                row["id"],
                row["phase"],
                f"tier={row.get('tier', 'default')}",
                f"class={row.get('executor_class', 'default')}",
                f"runs={row.get('run_count', 0)}",
                f"best={'-' if best is None else repr(best)}",
                row.get("goal", ""),
            )
        )


def _run_lines(runs: list[Line]) -> Iterator[str]:
    if not runs:
        yield "No runs"
    for run in runs:
        value = run.get("value")
        yield "\t".join(
            (
                run["run_id"],
                str(run.get("verdict") or run.get("outcome", "")),
                "-" if value is None else repr(value),
                f"tier={run.get('tier', 'default')}",
                f"role={run.get('role', '')}",
                *(("archived",) if run.get("archived") else ()),
            )
        )
