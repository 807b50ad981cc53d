"""List experiments, or the runs of one.

Without an ID: one line an experiment (id, phase, tier, class, runs, best, goal), from LAB-INDEX.json; of a research
project, which has no best run, what it found; of one that is paused or waits for a person, also why, and by whom. With
an ID: one line a run, newest last, from the experiment's metrics.jsonl. --last takes the last runs, or the experiments
that something happened to last. Columns are separated by tabs; nothing is cut.
"""

from __future__ import annotations

import json
import os

from lab.cli.index import read_index, warnings
from lab.cli.parser import number
from lab.cli.terminal import Answer
from lab.core.errors import BadInput, NotFound, Unavailable, nearest
from lab.core.layout import METRICS_LOG, Layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO, TypedDict, TypeGuard

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
        ran: dict[str, object]
        candidate: dict[str, object]  # of a code loop: its change, or what another harness claims of it
        archived: bool  # said only of runs whose bundle is in an archive: `labctl show RUN` tells where


PHASES = ("queued", "active", "awaiting-human", "paused", "completed", "archived")
OUTCOMES = ("success", "failed", "timeout", "crash", "cancelled")
EXAMPLE = "labctl list\nlabctl list lr-sweep --outcome success --last 20"

_NONE = "-"
_BLOCK = 1 << 16  # of a table that is read from its end
_TOGETHER = 1_000  # lines that are parsed at once


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to list."""
    parser.add_argument("experiment", nargs="?", default="", metavar="ID", help="list the runs of this experiment")
    parser.add_argument("--phase", default="", choices=PHASES, help="only experiments in this phase")
    parser.add_argument("--archived", action="store_true", help="archived experiments too")
    parser.add_argument("--outcome", default="", choices=OUTCOMES, help="with ID: only runs that ended so")
    parser.add_argument("--last", type=number, default=0, metavar="N", help="only the last N")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The list, as rows."""
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
    told = warnings(lab, session.path)
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
            runs = _parsed(_tail(file, last) if last and not outcome else file)
    except FileNotFoundError:
        raise Unavailable("the table of runs is missing", where=where, fix="labctl refresh") from None
    except ValueError:
        raise Unavailable("the table of runs is damaged", where=where, fix="labctl refresh") from None
    if outcome:
        runs = [run for run in runs if run.get("outcome") == outcome]
        runs = runs[-last:] if last else runs
    _mark_archived(path, experiment, runs)
    return runs


def _tail(file: BinaryIO, last: int) -> list[bytes]:
    """The last lines, read from the end: what a table holds before them costs nothing."""
    begin, data, block = file.seek(0, os.SEEK_END), b"", _BLOCK
    while begin and data.count(b"\n") <= last:
        end, begin = begin, max(0, begin - block)
        file.seek(begin)
        data = file.read(end - begin) + data
        block *= 2
    return data.splitlines()[-last:]


def _parsed(lines: Iterable[bytes]) -> list[Line]:
    """`ValueError` where one is no run. Many at once: what is parsed together shares the names of its fields."""
    runs: list[Line] = []
    for some in _batches(lines):
        if not all(line.startswith(b"{") and line.endswith(b"}") for line in some):
            raise ValueError("a line is no object")
        try:
            found: list[object] = json.loads(b"[" + b",".join(some) + b"]")
        except (ValueError, RecursionError):  # no JSON, no UTF-8, or a nest without end
            raise ValueError("a line is no JSON") from None
        here = [each for each in found if _is_run(each)]
        if not len(here) == len(found) == len(some):
            raise ValueError("a line is no run")
        runs += here
    return runs


def _batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    some: list[bytes] = []
    for line in lines:
        some.append(line.strip())
        if len(some) == _TOGETHER:
            yield some
            some = []
    if some:
        yield some


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
        best, found = row.get("best_value"), row.get("found")
        luck = " (partly luck)" if best is not None and row.get("partly_luck") else ""
        stopped = _stopped(row)
        yield "\t".join(
            (
                row["id"],
                row["phase"],
                f"tier={row.get('tier', 'default')}",
                f"class={row.get('executor_class', 'default')}",
                f"runs={row.get('run_count', 0)}",
                f"found={found}" if found else f"best={'-' if best is None else repr(best)}{luck}",
                row.get("goal", ""),
                *((stopped,) if stopped else ()),
            )
        )


def _stopped(row: Row) -> str:
    """Why no run of it starts, and who says so; nothing of what may run, or was ended."""
    reason = row.get("phase_reason") if row["phase"] in ("paused", "awaiting-human") else ""
    by = row.get("phase_by")
    return f"because {' '.join(reason.split())}" + (f" (by {by})" if by else "") if reason else ""


def _run_lines(runs: list[Line]) -> Iterator[str]:
    if not runs:
        yield "No runs"
    for run in runs:
        value = run.get("value")
        yield "\t".join(
            (
                run["run_id"],
                str(run.get("verdict") or run.get("outcome", "")),
                _claimed(run) if value is None else repr(value),
                f"tier={run.get('tier', 'default')}",
                f"role={run.get('role', '')}",
                *(("archived",) if run.get("archived") else ()),
                *((_why(run),) if _why(run) and (run.get("outcome") != "success" or _claimed(run) != _NONE) else ()),
            )
        )


def _claimed(run: Line) -> str:
    """What another harness wrote down of a run that has no value here; a dash where nobody did."""
    made = run.get("candidate")
    claim = made.get("claimed") if isinstance(made, dict) else None
    return _NONE if claim is None else f"claimed {claim!r}"


def _why(run: Line) -> str:
    """Why a run has no value, as the table has it: one line."""
    ran = run.get("ran")
    return str(ran.get("said", "")) if isinstance(ran, dict) else ""
