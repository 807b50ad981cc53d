"""The two tables of an experiment, a line a run: metrics.jsonl for programs, results.tsv for people and plots.

A line is made from its run alone, so that appending it and writing the table anew give the same bytes.
"""

from collections.abc import Mapping, Sequence

import msgspec

from lab.core import candidate as candidates
from lab.core.candidate import Candidate  # msgspec resolves annotations
from lab.core.curve import Point  # msgspec resolves annotations
from lab.core.errors import Unavailable
from lab.core.origin import PROMOTED, Origin  # msgspec resolves annotations
from lab.core.run import FAILURES, STOPPED_EARLY, SUCCESS, Run, cut_off
from lab.projections import data, text

LINE_BYTES = 65_536
DESCRIPTION_CHARS = 300
_WHY_CHARS = 120  # of a reason, where something is said of what was tried too
# What a line says of its run in the lab's own words. A program that measures something by one of these names (`params`
# for how many parameters its model has) may not make the table unreadable: in the line it is `run.params`.
ALWAYS = ("run_id", "ts", "outcome", "value", "tier", "role", "iteration")
SOMETIMES = (
    "params", "origin", "verdict", "candidate", "report", "stopped_early", "cut_off", "left_out", "archived", "ran",
)  # fmt: skip
OURS = frozenset({*ALWAYS, *SOMETIMES, "metric"})  # the lab itself writes the name of the metric into metrics.json
_COLUMNS = ("run", "status", "tier", "role", "wall_s", "description")


class Ran(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """When and where a run ran, what it took, and a line of what is said of it; of one without a value, first why."""

    began: str = ""
    wall_s: float = 0.0
    cost: float = 0.0
    worker: str = ""
    said: str = ""
    tokens: int = 0  # of a remote training
    chunk: int = 0  # its place in a training of several runs


class Line(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A line of metrics.jsonl, less what the run itself measured. `outcome` is empty for a run that is under way."""

    run_id: str
    ts: str = ""
    outcome: str = ""
    value: float | None = None
    tier: str = "default"
    role: str = ""
    iteration: int = 0
    params: dict[str, object] | None = None
    origin: Origin | None = None
    verdict: str = ""
    candidate: Candidate | None = None
    cut_off: bool = False
    stopped_early: bool = False
    report: tuple[Point, ...] = ()
    ran: Ran = Ran()

    @property
    def scored(self) -> bool:
        return self.outcome == SUCCESS and self.value is not None

    @property
    def failed(self) -> bool:
        """Whether it came to grief: it crashed, ran too long, or its checks failed.

        A change that was discarded before anything was measured did not, though it is sealed as failed: it never ran.
        """
        if self.verdict == candidates.DISCARD:
            return False
        return self.outcome in FAILURES or self.verdict in (candidates.CRASHED, candidates.CHECKS_FAILED)

    @property
    def source(self) -> Origin:
        """Where its parameters came from; an empty one where nobody searched."""
        return self.origin or Origin()

    @property
    def maker(self) -> str:
        """Who chose the parameters, in a word; empty where nobody searched."""
        return self.source.maker or self.source.kind

    @property
    def arm(self) -> str:
        """In whose row it is counted: a baseline and a person are arms of their own."""
        return self.source.maker if self.source.kind in ("", PROMOTED) else self.source.kind

    @property
    def reported(self) -> float | None:
        """The last word of a run that was stopped early as hopeless; no value."""
        return self.report[-1][1] if self.stopped_early and self.report else None


_decoder = msgspec.json.Decoder(Line)


def parse_line(data: bytes, where: str) -> Line:
    """A line as `metrics_line` wrote it. Other damage than a rebuild can mend it cannot have: it is derived."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unavailable(f"the table of runs is damaged: {error}", where=where, fix="labctl refresh") from error


def metrics_line(
    run: Run, metrics: Mapping[str, object], params: Mapping[str, object] | None, report: Sequence[Point] = ()
) -> bytes:
    """One line of metrics.jsonl: our keys, then whatever else the executor wrote into metrics.json, by name.

    What has one of our names there is called `run.NAME`; what every line says anyway is left out.

    `value` is the sealed one. A run without a value has null there and under the name of its metric, whatever its
    program claimed: a crash that printed 0 would else be the best point of somebody's plot.
    """
    line: dict[str, object] = {
        "run_id": run.run_id,
        "ts": run.ended_at or run.started_at,
        "outcome": run.outcome,
        "value": run.value,
        "tier": run.tier,
        "role": run.role,
        "iteration": run.iteration,
    }
    if params is not None:
        line["params"] = dict(params)
    if run.origin is not None:
        line["origin"] = run.origin
    if run.candidate is not None:
        line["verdict"], line["candidate"] = run.verdict, run.candidate
    line["ran"] = _ran(run)
    if report:
        line["report"] = report
    if run.reason.startswith(STOPPED_EARLY):
        line["stopped_early"] = True
    if cut_off(run.outcome, run.reason, run.chunk):
        line["cut_off"] = True
    ours = len(line)
    measured = {_unlike_ours(name, metrics): name for name in metrics.keys() - ALWAYS}
    for shown, name in sorted(measured.items()):
        line[shown] = None if run.value is None and name == run.metric else metrics[name]
    written = data.encode(line)
    if len(written) > LINE_BYTES:
        written = _shortened(line, ours, len(written))
    return written + b"\n"


def _ran(run: Run) -> dict[str, object]:
    """What `Ran` reads. msgspec knows a default by identity, so a 0 would be left out or not by where it came from."""
    told: dict[str, object] = {
        "began": run.started_at,
        "wall_s": run.wall_s,
        "cost": run.cost,
        "worker": text.line(run.worker),
        "said": text.line(said(run)),
        "tokens": run.chunk.tokens if run.chunk is not None else 0,
        "chunk": run.chunk.number if run.chunk is not None else 0,
    }
    return {name: value for name, value in told.items() if value}


def said(run: Run) -> str:
    """What is said of a run. Of one without a value first why, then what was tried: every strategy notes something.

    The reason of a claim of another harness is only that it is one.
    """
    is_claim = run.candidate is not None and run.candidate.kind == candidates.IMPORTED
    if run.value is None and run.reason and run.note and not is_claim:
        return f"{text.line(run.reason, _WHY_CHARS)}; {run.note}"
    return run.note or run.reason


def _unlike_ours(name: str, metrics: Mapping[str, object]) -> str:
    """What a metric of the run's own is called in its line: as the run calls it, wherever that says nothing of ours."""
    shown = name
    while shown in SOMETIMES or (shown != name and shown in metrics):
        shown = f"run.{shown}"
    return shown


def _shortened(line: dict[str, object], ours: int, size: int) -> bytes:
    """A line that stays a line: readers load the whole table, and one run may not drown the others."""
    kept = dict(list(line.items())[:ours])
    kept["left_out"] = f"{size} bytes; all of it is in runs/{line['run_id']}"
    written = data.encode(kept)
    if len(written) > LINE_BYTES:
        kept.pop("params", None)
        written = data.encode(kept)
    return written


def results_header(metric: str, columns: Sequence[str] = _COLUMNS) -> bytes:
    """The first line of results.tsv; the second column is named after the metric."""
    name = text.cell(metric, text.LINE_CHARS)
    if name in (text.NONE, *columns):
        name = "value"
    return text.row((columns[0], name, *columns[1:]))


def results_line(run: Run) -> bytes:
    """One line of results.tsv. The status is the verdict of a code loop, else the outcome."""
    return text.row(
        (
            text.cell(run.run_id, text.LINE_CHARS),
            text.number(run.value),
            run.verdict or run.outcome,
            text.cell(run.tier, text.LINE_CHARS),
            text.cell(run.role, text.LINE_CHARS),
            repr(round(run.wall_s, 3)),
            text.cell(said(run), DESCRIPTION_CHARS),
        )
    )
