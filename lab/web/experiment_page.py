"""The page of an experiment: how it stands, its drawings, its last runs; and the table of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import LabError
from lab.scheduler.results import present
from lab.store.refusals import refused
from lab.web import lists, shell, templating
from lab.web.door import JSON, SVG, Reply, Route
from lab.web.live import AGAIN, LEAST_S
from lab.web.routing import nowhere

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.projections.picture.whole import Picture
    from lab.scheduler.results.present import Present
    from lab.web.door import Request
    from lab.web.live import LivePicture
    from lab.web.site import Site

LAST_RUNS = 15


def answer(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """The page, or a part of it. What stands first is sent before the drawings are made, which may take their time."""
    from lab.web import experiment_top  # noqa: PLC0415  # asks claims and engines: the first page of a lab does not

    name, part = names["experiment"], request.query.get("part", "")
    around = shell.around(
        site, request, name, crumbs=((name, ""),), news=name,
    )  # fmt: skip
    at = present.read(site.root, name)
    values: dict[str, object] = {
        "shell": around, "runs_href": shell.path("experiments", name, "runs"), "link": run_link, "page_link": run_link,
    }  # fmt: skip
    if part == "drawings":
        return shell.reply("experiment_drawings", around, {**values, **_drawings(site, at, site.live.picture(name))})
    known = site.live.newest(name)
    values |= {"contents": _contents(at, known.picture if known else None), "knows_picture": known is not None}
    if part == "contents":
        return shell.reply("experiment_contents", around, values)
    values["top"] = experiment_top.of(site.root, at, known.picture if known else None)
    if part == "top":
        return shell.reply("experiment_top", around, values)
    return shell.reply_in_two("experiment", around, values, lambda: _later(site, at, values))


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


def _later(site: Site, at: Present, values: dict[str, object]) -> str:
    """What follows what stands first. The page has begun, so that a refusal has to be a part of it."""
    try:
        drawn = site.live.picture(at.view.experiment)
        return templating.render("live/experiment_later.html", {**values, **_drawings(site, at, drawn)})
    except LabError as error:
        refusal = error
    except OSError as error:
        refusal = refused(error)
    return templating.render("live/experiment_refused.html", {"refusal": refusal})


def _contents(at: Present, picture: Picture | None) -> list[tuple[str, str]]:
    """What there is on the page, as far as it is known before the drawings are made."""
    there = {"best": at.view.best is not None, "parameters": False, "lineage": False}
    named = [
        each
        for each in templating.OF_A_PICTURE
        if (there.get(each[0], True) if picture is None else _has(picture, each[0]))
    ]
    return [("numbers", "Where it stands"), ("luck", "Luck"), *named, ("runs", "Last runs")]


def _drawings(site: Site, at: Present, drawn: LivePicture) -> dict[str, object]:
    from lab.web import report, single  # noqa: PLC0415  # as above

    picture = drawn.picture
    last = lists.answer(site.live, at, lists.Question())
    last = msgspec.structs.replace(last, rows=last.rows[:LAST_RUNS], may_compare=False, heads=lists.plain_heads())
    return {
        "picture": picture,
        "drawn": drawn.drawings(run_link),
        "sections": [name for name, _ in templating.OF_A_PICTURE if _has(picture, name)],
        "last": last,
        "left_out": report.thinned(picture),  # each run has a page here, and a row in the table
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
