"""The report of an experiment: one file that needs nothing else, neither a script nor a network.

The same picture gives the same bytes. What the page may do stands in its policy: show its own style, and nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.projections import text
from lab.projections.picture import stairs
from lab.web import assets, drawn, templating

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.projections.picture.run import Log, RunPage
    from lab.projections.picture.stairs import Sample
    from lab.projections.picture.whole import Picture, Row

RUN_PAGES = 12
ROWS = 250
LOG_LINES = 24  # of each log on a run page
RUN_CHARS = 60_000  # of all run pages together, where nobody said how many there should be
_LAST = 3
_ALIKE_CHARS = 60  # failures whose reasons begin alike are of one kind
_TEXT_CHARS, _TEXT_LINES = 2_000, 30  # of a plan and of a result
_DIFF_CHARS, _DIFF_LINES = 8_000, 120
_LOG_CHARS = 200
_FILES = 40
_FRAME_CHARS = 2_500  # of a run page without what the run wrote
_SECTIONS = (
    ("wants", "What wants you"),
    ("numbers", "Where it stands"),
    ("stairs", "Staircase"),
    ("best", "Best run"),
    ("arms", "Strategies"),
    ("cost", "Cost per improvement"),
    ("parameters", "Parameters"),
    ("lineage", "Lineage"),
    ("timeline", "Timeline"),
    ("runs", "Runs"),
    ("run_pages", "Run pages"),
    ("left_out", "What is not on this page"),
)


def page(picture: Picture, runs: Sequence[RunPage], *, interactive: bool = False, index_link: str = "") -> bytes:
    """The file. `runs` are those that get a page of their own: `chosen` names them."""
    why = chosen(picture, max(len(runs), RUN_PAGES))
    place = {row.run_id: number for number, row in enumerate(picture.rows)}
    runs = sorted(map(briefly, runs), key=lambda run: (place.get(run.run_id, -1), run.run_id))
    paged = {run.run_id for run in runs}
    rows = rows_of(picture)
    listed = {row.run_id for row in rows}

    def page_link(run_id: str) -> str:
        return f"#run-{run_id}" if run_id in paged else ""

    def link(run_id: str) -> str:
        return page_link(run_id) or (f"#{run_id}" if run_id in listed else "")

    absent = {
        name
        for name, is_there in (
            ("parameters", picture.parameters),
            ("lineage", picture.lineage),
            ("run_pages", runs),
        )
        if not is_there
    }
    values: dict[str, object] = {
        "title": f"{picture.head.experiment}: report",
        "picture": picture,
        "drawn": drawn.of(picture, link),
        "runs": [(run, why.get(run.run_id, "")) for run in runs],
        "rows": rows,
        "rows_rule": _rows_rule(picture, rows),
        "lines": LOG_LINES,
        "left_out": left_out(picture, rows, len(runs)),
        "link": link,
        "page_link": page_link,
        "index_link": index_link,
        "sections": [name for name, _ in _SECTIONS],
        "contents": [(name.replace("_", "-"), title) for name, title in _SECTIONS if name not in absent],
    }
    return _whole("report.html", values, picture if interactive else None)


def _whole(template: str, values: dict[str, object], zoomed: Picture | None) -> bytes:
    """The page with its style, its script where there is one, and the policy that lets in these and no others."""
    from lab.web import zoom  # noqa: PLC0415  # 53 kB of script, for those who ask for it

    style = assets.style()
    script = ""
    if zoomed is not None:
        style += assets.read("vendor/uPlot.min.css")
        script = zoom.script()
    policy = f"default-src 'none'; base-uri 'none'; form-action 'none'; style-src {assets.source_hash(style)}"
    if script:
        policy += f"; script-src {assets.source_hash(script)}"
    made = templating.render(
        template,
        {
            **values,
            "style": templating.trusted(style),
            "policy": policy,
            "interactive": zoom.element(zoomed, script) if zoomed is not None else "",
        },
    )
    return made.encode(errors="replace")


def chosen(picture: Picture, limit: int = RUN_PAGES) -> dict[str, str]:
    """The runs that get a page, those first that need one most, and why each does.

    The best, and the run to take where it is another; what improved on it, the newest first; one of each kind of
    failure; the last few. The rows are in the order of history; their numbers begin anew in each tier.
    """
    why: dict[str, str] = {}
    take = picture.head.take
    if take is not None and take.run_id != picture.head.best_run:
        why[take.run_id] = "the run to take"
    if picture.head.best_run:
        why[picture.head.best_run] = "the best number seen" if why else "the best"
    failures: dict[str, str] = {}
    for row in picture.rows:
        if row.kind == stairs.CRASH:
            failures[f"{row.outcome} {row.says[:_ALIKE_CHARS]}"] = row.run_id  # the newest of each
    reasons = [(run_id, "a failure of its kind, the newest") for run_id in reversed(failures.values())]
    steps = [(step.run_id, "an improvement") for step in reversed(picture.stairs.steps)]
    last = [(row.run_id, "one of the last") for row in reversed(picture.rows[-_LAST:])]
    third = max(limit // 3, 1)
    for run_id, word in (*last[:third], *reasons[:third], *steps, *reasons):
        why.setdefault(run_id, word)
    return dict(list(why.items())[: max(limit, 0)])


def briefly(run: RunPage) -> RunPage:
    """The run with as much of its texts as a report has room for; what is cut says so itself."""
    return msgspec.structs.replace(
        run,
        plan=text.block(run.plan, _TEXT_CHARS, _TEXT_LINES),
        result=text.block(run.result, _TEXT_CHARS, _TEXT_LINES),
        diff=text.block(run.diff, _DIFF_CHARS, _DIFF_LINES),
        diff_cut=run.diff_cut or len(run.diff) > _DIFF_CHARS or run.diff.count("\n") > _DIFF_LINES,
        files=run.files[:_FILES],
        files_left_out=run.files_left_out + max(len(run.files) - _FILES, 0),
        logs={name: _end_of(log) for name, log in run.logs.items()},
    )


def _end_of(log: Log) -> Log:
    lines = tuple(text.line(each, _LOG_CHARS) for each in log.lines[-LOG_LINES:])
    return msgspec.structs.replace(log, lines=lines)


def fitting(runs: Iterable[RunPage]) -> list[RunPage]:
    """The first of them that together are not too long for a page that is sent by mail; always one."""
    kept: list[RunPage] = []
    room = RUN_CHARS
    for run in runs:
        room -= _FRAME_CHARS + len(msgspec.json.encode(briefly(run)))
        if kept and room < 0:
            break
        kept.append(run)
    return kept


def rows_of(picture: Picture) -> tuple[Row, ...]:
    """The rows of the table, at most ROWS of those that the picture has: what is linked to, and the last."""
    if len(picture.rows) <= ROWS:
        return picture.rows
    named = {step.run_id for step in picture.stairs.steps} | set(chosen(picture))
    first = [row for row in picture.rows if row.run_id in named][-ROWS:]
    names = {row.run_id for row in first}
    others = [row for row in picture.rows if row.run_id not in names]
    kept = names | {row.run_id for row in others[len(others) - (ROWS - len(first)) :]}
    return tuple(row for row in picture.rows if row.run_id in kept)


def _rows_rule(picture: Picture, rows: Sequence[Row]) -> str:
    if len(rows) < len(picture.rows):
        return f"the best, the improvements, those with a page, and the last ones; {_command(picture)} has all"
    return f"{picture.rows_sample.rule}; {_command(picture)} has all"


def _command(picture: Picture) -> str:
    return f"labctl export {picture.head.experiment}"


def left_out(picture: Picture, rows: Sequence[Row], pages: int) -> list[tuple[str, str]]:
    """What is not on the page, and by which rule."""
    samples: list[tuple[str, Sample | None]] = [
        ("Staircase", picture.stairs.sample),
        *((f"Staircase of {each.tier}", each.sample) for each in picture.other_tiers),
        ("Parameters", picture.parameters.sample if picture.parameters else None),
        ("Lineage", picture.lineage.sample if picture.lineage else None),
        ("Timeline", picture.timeline.sample),
    ]
    told = [
        (name, f"{of.shown:,} of {of.total:,} runs{f': {of.rule}' if of.rule else ''}")
        for name, of in samples
        if of is not None and of.shown < of.total
    ]
    total = picture.rows_sample.total
    if len(rows) < total:
        told.append(("Table of runs", f"{len(rows):,} of {total:,} runs: {_rows_rule(picture, rows)}"))
    if pages < total:
        which = "the best, improvements, one of each kind of failure, the last; --runs N changes how many"
        told.append(("Run pages", f"{pages:,} of {total:,} runs: {which}"))
    return told
