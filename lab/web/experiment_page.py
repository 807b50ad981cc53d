"""The page of an experiment: how it stands, its drawings, its last runs; and the table of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.projections.picture.given import UnderWay  # msgspec resolves annotations
from lab.projections.picture.spending import Spending  # msgspec resolves annotations
from lab.projections.picture.whole import Head  # msgspec resolves annotations
from lab.scheduler.results import present, wanted
from lab.scheduler.results.wanted import Want  # msgspec resolves annotations
from lab.web import lists, shell
from lab.web.door import JSON, SVG, Reply, Route
from lab.web.live import AGAIN, LEAST_S
from lab.web.routing import nowhere

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.subject import Finding
    from lab.projections.picture.whole import Picture
    from lab.scheduler.results.present import Present
    from lab.web.door import Request
    from lab.web.live import Drawn
    from lab.web.site import Site

SECTIONS = (
    ("stairs", "Staircase"), ("best", "Best run"), ("arms", "Strategies"), ("cost", "Cost per improvement"),
    ("parameters", "Parameters"), ("lineage", "Lineage"), ("timeline", "Timeline"),
)  # fmt: skip
LAST_RUNS = 15
MOST_UNDER_WAY = 200


class Top(msgspec.Struct, frozen=True, kw_only=True):
    """What stands first, up to now: what it says of the runs as a whole is from the picture, a few seconds older."""

    head: Head
    wants: tuple[Want, ...]
    under_way: tuple[UnderWay, ...]
    spending: Spending


def answer(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """The page, or a part of it."""
    name, part = names["experiment"], request.query.get("part", "")
    around = shell.around(
        site, request, name, crumbs=((name, ""),), news=name,
    )  # fmt: skip
    at = present.read(site.root, name)
    drawn = (site.live.newest(name) if part == "top" else None) or site.live.picture(name)
    values: dict[str, object] = {"runs_href": shell.path("experiments", name, "runs")}
    if part != "drawings":
        values["top"] = _top(site, at, drawn.picture)
    if part != "top":
        values |= _drawings(site, at, drawn)
    template = {"top": "experiment_top", "drawings": "experiment_drawings"}.get(part, "experiment")
    return shell.reply(template, around, {**values, "link": run_link, "page_link": run_link})


def runs(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """All its runs: filtered, sorted, a hundred a page."""
    name = names["experiment"]
    here = shell.path("experiments", name)
    around = shell.around(
        site, request, f"Runs of {name}", crumbs=((name, here), ("runs", "")), news=name, is_wide=True
    )  # fmt: skip
    told = lists.answer(site.live, present.read(site.root, name), lists.question(request.query))
    template = "runs_list" if request.query.get("part") == "runs" else "runs"
    return shell.reply(template, around, {"told": told, "experiment": name, "runs_href": f"{here}/runs"})


def as_json(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """The picture itself, for a program."""
    from lab.projections.picture import whole  # noqa: PLC0415  # as in `live`

    del request
    return Reply(body=whole.encode(site.live.picture(names["experiment"]).picture), kind=JSON)


def drawing(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """One drawing that stands by itself."""
    from lab.web import single  # noqa: PLC0415  # draws in all the drawings

    del request
    if not names["drawing"].endswith(".svg"):
        raise nowhere()
    found = single.draw(site.live.picture(names["experiment"]).picture, names["drawing"].removesuffix(".svg"))
    if found is None:
        raise nowhere()
    return Reply(body=found.encode(errors="replace"), kind=SVG, headers=(("Content-Security-Policy", single.POLICY),))


def run_link(run_id: str) -> str:
    """Where a run has its page."""
    return shell.path("runs", run_id)


def _top(site: Site, at: Present, picture: Picture) -> Top:
    from lab.scheduler.results import pictured  # noqa: PLC0415  # as in `live`

    view, best = at.view, at.view.best
    head = msgspec.structs.replace(
        picture.head,
        phase=view.phase,
        phase_reason=view.phase_reason,
        tier=view.tier,
        as_of=view.as_of,
        runs=view.runs,
        outcomes=view.outcomes,
        best=best.value if best else None,
        best_run=best.run_id if best else "",
    )
    under_way, _ = pictured.unsealed(site.root, view.experiment)
    found: list[tuple[str, Finding]] = [(view.experiment, each) for each in at.wants]
    wants = wanted.wants(site.root, found, only=view.experiment)
    return Top(head=head, wants=tuple(wants), under_way=under_way[:MOST_UNDER_WAY], spending=picture.spending)


def _drawings(site: Site, at: Present, drawn: Drawn) -> dict[str, object]:
    from lab.web import report, single  # noqa: PLC0415  # as above

    picture = drawn.picture
    there = [(name, title) for name, title in SECTIONS if _has(picture, name)]
    total = picture.rows_sample.total  # each of them has a page here, and a row in the table
    last = lists.answer(site.live, at, lists.Question())
    last = msgspec.structs.replace(last, rows=last.rows[:LAST_RUNS], may_compare=False, heads=lists.plain_heads())
    return {
        "picture": picture,
        "drawn": drawn.drawings(run_link),
        "sections": [name for name, _ in there],
        "contents": [("numbers", "Where it stands"), *there, ("runs", "Last runs")],
        "last": last,
        "left_out": [each for each in report.left_out(picture, picture.rows, total) if each[0] != "Table of runs"],
        "drawings": single.names(picture),
        "wait_ms": round(1_000 * max(LEAST_S, AGAIN * drawn.took_s)),
    }


def _has(picture: Picture, section: str) -> bool:
    return getattr(picture, section, True) is not None


ROUTES = (
    Route(method="GET", path="/experiments/{experiment}", answer=answer),
    Route(method="GET", path="/experiments/{experiment}/runs", answer=runs),
    Route(method="GET", path="/experiments/{experiment}/picture.json", answer=as_json),
    Route(method="GET", path="/experiments/{experiment}/{drawing}", answer=drawing),
)
