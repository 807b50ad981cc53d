"""Draw an experiment into a PNG or SVG file: by default the staircase, the picture that one shows to others.

Each run stands where it was measured, the best so far is a line of steps with the noise around it, and runs without a
value are crosses on the floor. --what draws another thing: parameters, slices, importance, lineage, timeline or cost.
The ending of FILE decides what is written: PNG needs Pillow, SVG needs nothing, and `-o -` prints it. An SVG is light
or dark as its reader likes it, unless --dark is given. A file that is there is only replaced with --yes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session
    from lab.projections.drawing.named import Drawn

EXAMPLE = """labctl plot lr-sweep -o progress.png
labctl plot lr-sweep -o progress.svg --what importance
labctl plot lr-sweep -o final.png --tier final --dark --yes"""
WIDTH = 960
LEAST, MOST = 320, 2_400
LEAST_HEIGHT = 240
_TERMINAL = "-"
_PNG, _SVG = ".png", ".svg"
_PIXELS = 2  # for a unit of a drawing: sharp on a good screen


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of what, and where to."""
    from lab.projections.drawing.named import NAMES, STAIRS

    parser.add_argument("experiment", metavar="ID", help="the experiment")
    parser.add_argument(
        "-o", "--output", default="", metavar="FILE", help="where to: .png or .svg; - prints the SVG (default: ID.svg)"
    )
    parser.add_argument("--what", default=STAIRS, choices=NAMES, help=f"what to draw (default {STAIRS})")
    parser.add_argument("--tier", default="", metavar="T", help="of this tier; else of the one it is in")
    parser.add_argument("--width", type=int, default=WIDTH, metavar="N", help=f"how wide (default {WIDTH})")
    parser.add_argument("--height", type=int, default=0, metavar="N", help="how high, of what has no height of its own")
    parser.add_argument("--log", action="store_true", help="values of the staircase on a logarithmic scale")
    parser.add_argument("--dark", action="store_true", help="light on dark")
    parser.add_argument("--yes", action="store_true", help="replace FILE when it is there")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Read, draw, write."""
    from lab.projections.drawing import named
    from lab.projections.tier import every
    from lab.scheduler.results import export, pictured, table

    ending = _ending(args)
    _check_size(args)
    place = (
        "" if args.output == _TERMINAL else export.require_room(args.output, yes=args.yes, example=f"-o plot{ending}")
    )
    root = session.root()
    session.terminal.narrate(f"reading {args.experiment}")
    given = pictured.read(root, args.experiment, with_diff=False)
    tiers = every(given.view, given.spec, (line.tier for line in given.lines))
    tier = table.named(args.experiment, tiers, args.tier) or given.view.tier
    wish = named.Wish(
        name=args.what, tier=tier, width=float(args.width), height=float(args.height) or None, log=args.log
    )
    drawn = named.draw(given, wish)
    written = _rendered(drawn, ending, dark=args.dark)
    data = _data(args, tier, ending, drawn, len(written))
    warnings = [*given.warnings, *drawn.warnings]
    if args.height and args.what not in named.SIZED:
        warnings.append(f"--height changes nothing: {args.what} is as high as it needs to be")
    if not place:
        text = written.decode()
        return Answer({**data, "text": text}, text.splitlines(), warnings=warnings)
    export.write(root, place, written, yes=args.yes)
    said = f"plot: {place} ({len(written):,} bytes{_shown(drawn)})"
    return Answer({**data, "path": place}, [said], warnings=warnings)


def _ending(args: argparse.Namespace) -> str:
    """What is to be written. Looked at before anything is read."""
    about = f"labctl plot {args.experiment}"
    args.output = args.output or f"{args.experiment}.svg"
    if args.output == _TERMINAL:
        return _SVG
    ending = next((each for each in (_PNG, _SVG) if args.output.lower().endswith(each)), "")
    if not ending:
        raise BadInput(f"a picture is .png or .svg, and {args.output} is neither", fix=f"{about} -o progress.png")
    return ending


def _check_size(args: argparse.Namespace) -> None:
    from lab.projections.drawing.named import STAIRS

    if not LEAST <= args.width <= MOST:
        raise BadInput(f"--width {args.width} is not between {LEAST} and {MOST:,}", fix=f"--width {WIDTH}")
    if args.height and not LEAST_HEIGHT <= args.height <= MOST:
        raise BadInput(f"--height {args.height} is not between {LEAST_HEIGHT} and {MOST:,}", fix="--height 420")
    if args.log and args.what != STAIRS:
        raise BadInput(f"--log is for the staircase, and not for {args.what}", fix="leave it out")


def _rendered(drawn: Drawn, ending: str, *, dark: bool) -> bytes:
    if ending == _PNG:
        from lab.projections.drawing import png

        return png.render(drawn.scene, dark=dark, scale=_PIXELS)
    from lab.projections.drawing import svg

    return svg.render(drawn.scene, alone=True, dark=dark or None).encode()


def _data(args: argparse.Namespace, tier: str, ending: str, drawn: Drawn, size: int) -> dict[str, object]:
    data: dict[str, object] = {
        "experiment": args.experiment,
        "what": args.what,
        "tier": tier,
        "format": ending.removeprefix("."),
        "width": round(drawn.scene.width),
        "height": round(drawn.scene.height),
        "bytes": size,
    }
    if drawn.sample is not None:
        data.update(shown=drawn.sample.shown, total=drawn.sample.total)
    return data


def _shown(drawn: Drawn) -> str:
    """How much of it is there."""
    return "" if drawn.sample is None else f"; {drawn.sample.shown:,} of {drawn.sample.total:,} runs"
