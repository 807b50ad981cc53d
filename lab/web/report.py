"""The report of an experiment: one file that needs nothing else, neither a script nor a network.

The same picture gives the same bytes. What the page may do stands in its policy: show its own style, and nothing more.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import msgspec

from lab.projections.drawing import named, pointed
from lab.projections.picture import stairs
from lab.web import assets, drawn, templating
from lab.web.room import FULL, MOST_BYTES, briefly, noted, shortened, steps, told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.projections.drawing.scene import Scene
    from lab.projections.picture.run import RunPage
    from lab.projections.picture.stairs import Sample
    from lab.projections.picture.whole import Picture, RunRow
    from lab.web.room import Room

RUN_PAGES = FULL.pages
_LAST = 3
_ALIKE_CHARS = 60  # failures whose reasons begin alike are of one kind
_SECTIONS = (
    ("wants", "What wants you"),
    ("numbers", "Where it stands"),
    *templating.OF_A_PICTURE,
    ("runs", "Runs"),
    ("run_pages", "Run pages"),
    ("left_out", "What is not on this page"),
)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The file, how many runs are in its table, and how many have a page."""

    data: bytes
    rows: int
    pages: int


def page(
    picture: Picture, runs: Sequence[RunPage], *, interactive: bool = False, index_link: str = "", fits: bool = True
) -> Report:
    """The report. `runs` are those that may get a page of their own: `chosen` names them.

    It is shortened until it is no larger than room.MOST_BYTES, unless `fits` is not asked for. The script and the data
    of an interactive one come on top.
    """
    scenes = named.pieces(picture, lambda run_id: run_id)
    elements = drawn.Elements()

    def made_with(room: Room, count: int) -> tuple[_Made, bytes]:
        made = _Made(picture, runs[:count], scenes, room)
        return made, made.page(index_link, elements)

    made, data = made_with(FULL, len(runs))
    if fits and not _fits(data):
        rooms = list(steps())
        at = bisect_left(rooms, 1, hi=len(rooms) - 1, key=lambda room: int(_fits(made_with(room, room.pages)[1])))
        made, data = made_with(rooms[at], rooms[at].pages)
    if interactive:
        data = made.page(index_link, elements, interactive=True)
    return Report(data=data, rows=len(made.rows), pages=len(made.runs))


def _fits(data: bytes) -> bool:
    return len(data) <= MOST_BYTES


class _Made:
    """One way to make it, with so much room."""

    def __init__(self, picture: Picture, runs: Sequence[RunPage], scenes: Mapping[str, Scene], room: Room) -> None:
        self.why = chosen(picture, max(len(runs), RUN_PAGES))
        place = {row.run_id: number for number, row in enumerate(picture.rows)}
        brief = (briefly(run, room) for run in runs)
        self.runs = sorted(brief, key=lambda run: (place.get(run.run_id, -1), run.run_id))
        self.rows = rows_of(picture, room.rows)
        self._picture, self._room = picture, room
        self._paged = {run.run_id for run in self.runs}
        self._listed = {row.run_id for row in self.rows}
        skipped = {f"{named.STAIRS}-{number}" for number in range(room.tiers + 1, len(picture.other_tiers) + 1)}
        if picture.parameters is not None:
            skipped |= {f"{named.SLICES}-{number}" for number in range(room.slices, len(picture.parameters.axes))}
        kept = {name: scene for name, scene in scenes.items() if name not in skipped}
        self._scenes = {name: pointed.at_most(scene, room.pointed, self.link) for name, scene in kept.items()}
        self._marks = (sum(map(pointed.count, self._scenes.values())), sum(map(pointed.count, kept.values())))

    def page_link(self, run_id: str) -> str:
        """To the page of a run."""
        return f"#run-{run_id}" if run_id in self._paged else ""

    def link(self, run_id: str) -> str:
        """To its page, or to its row."""
        return self.page_link(run_id) or (f"#{run_id}" if run_id in self._listed else "")

    def page(self, index_link: str, elements: drawn.Elements, *, interactive: bool = False) -> bytes:
        """The bytes."""
        picture, room = self._picture, self._room
        best = picture.best
        if best is not None:
            diff, left = shortened(best.diff, *room.best_diff)
            best = msgspec.structs.replace(best, diff=diff, diff_cut=best.diff_cut or left > 0)
        shown = msgspec.structs.replace(picture, best=best)
        parts = (("parameters", picture.parameters), ("lineage", picture.lineage), ("run_pages", self.runs))
        absent = {name for name, is_there in parts if not is_there}
        values: dict[str, object] = {
            "title": f"{picture.head.experiment}: report",
            "picture": shown,
            "drawn": drawn.arranged(picture, elements.of(self._scenes)),
            "runs": [(run, self.why.get(run.run_id, "")) for run in self.runs],
            "rows": noted(self.rows, room),
            "rows_rule": _rows_rule(picture, self.rows),
            "lines": room.log_lines,
            "left_out": self._left_out(),
            "link": self.link,
            "page_link": self.page_link,
            "index_link": index_link,
            "sections": [name for name, _ in _SECTIONS],
            "contents": [(name.replace("_", "-"), title) for name, title in _SECTIONS if name not in absent],
        }
        return _whole("report.html", values, picture if interactive else None)

    def _left_out(self) -> list[tuple[str, str]]:
        gave_way = told(self._room, self._picture, self.rows, self._marks, len(self.runs))
        return [*gave_way, *_left_out(self._picture, self.rows, len(self.runs))]


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


def rows_of(picture: Picture, most: int = FULL.rows) -> tuple[RunRow, ...]:
    """The rows of the table, at most so many of those that the picture has: what is linked to, and the last."""
    if len(picture.rows) <= most:
        return picture.rows
    named = {step.run_id for step in picture.stairs.steps} | set(chosen(picture))
    first = [row for row in picture.rows if row.run_id in named][-most:]
    names = {row.run_id for row in first}
    others = [row for row in picture.rows if row.run_id not in names]
    kept = names | {row.run_id for row in others[len(others) - (most - len(first)) :]}
    return tuple(row for row in picture.rows if row.run_id in kept)


def _rows_rule(picture: Picture, rows: Sequence[RunRow]) -> str:
    if len(rows) < len(picture.rows):
        return f"the best, the improvements, those with a page, and the last ones; {_command(picture)} has all"
    return f"{picture.rows_sample.rule}; {_command(picture)} has all"


def _command(picture: Picture) -> str:
    return f"labctl export {picture.head.experiment}"


def thinned(picture: Picture) -> list[tuple[str, str]]:
    """What the picture shows less of than there is, and by which rule."""
    samples: list[tuple[str, Sample | None]] = [
        ("Staircase", picture.stairs.sample),
        *((f"Staircase of {each.tier}", each.sample) for each in picture.other_tiers),
        ("Parameters", picture.parameters.sample if picture.parameters else None),
        ("Lineage", picture.lineage.sample if picture.lineage else None),
        ("Timeline", picture.timeline.sample),
    ]
    return [
        (name, f"{of.shown:,} of {of.total:,} runs{f': {of.rule}' if of.rule else ''}")
        for name, of in samples
        if of is not None and of.shown < of.total
    ]


def _left_out(picture: Picture, rows: Sequence[RunRow], pages: int) -> list[tuple[str, str]]:
    """What is not on the page, and by which rule."""
    told, total = thinned(picture), picture.rows_sample.total
    if len(rows) < total:
        told.append(("Table of runs", f"{len(rows):,} of {total:,} runs: {_rows_rule(picture, rows)}"))
    if pages < total:
        which = "the best, improvements, one of each kind of failure, the last; --runs N changes how many"
        told.append(("Run pages", f"{pages:,} of {total:,} runs: {which}"))
    return told
