"""Make an experiment from a SPEC.

SPEC is a file, a folder with a SPEC.yaml in it, or the name of a shipped template (`--list` shows them). It is checked
whole before anything is written, and copied as it is. The experiment has the id that its SPEC says; one that is made
from a template by name has the template's name, unless --id gives another.

A template that is a folder (`gpu-training`) is copied into the current folder first, for its files are there to be
edited. Nothing is ever overwritten: a folder of that name is taken as it lies, and two experiments that were made from
one folder share its files. Its SPEC.yaml is copied, and not read any more: the one that counts lies in the data root.
That one is a SPEC like any: `labctl create experiments/ID/SPEC.yaml --id NEW` makes another over the same files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "labctl create --list\nlabctl create sweep --id my-first\nlabctl create ./my-spec.yaml --dry-run"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to make."""
    parser.add_argument(
        "spec", nargs="?", default="", metavar="SPEC", help="a SPEC file, its folder, or a template's name"
    )
    parser.add_argument(
        "--id", default="", dest="new_id", metavar="ID", help="another id than the SPEC's or the template's own"
    )
    parser.add_argument("--list", action="store_true", dest="list_them", help="print the templates, and make nothing")
    parser.add_argument("--dry-run", action="store_true", help="check it, and make nothing")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Make it, or say why not."""
    from lab.core import layout
    from lab.scheduler import create, sources
    from lab.store import shipped

    if args.list_them:
        abouts = shipped.abouts()
        return Answer({"templates": [{"name": name, "about": about} for name, about in abouts.items()]}, _lines(abouts))
    if not args.spec:
        listed = "\n".join(f"    {line}" for line in _lines(shipped.abouts()))
        raise BadInput("create wants a SPEC", fix=f"name a file of yours, or a template:\n{listed}")
    root = session.root()
    new_id = args.new_id or sources.template(args.spec)
    made = create.experiment(root, args.spec, new_id=new_id, actor=session.actor, dry_run=args.dry_run)
    data = {"experiment": made.name, "path": made.path, "dry_run": args.dry_run, "copied": made.copied}
    if args.dry_run:
        copies = [f"would copy the template to: {made.copied}"] if made.copied else []
        return Answer(data, [*copies, f"would create experiment: {made.name}"])
    first = f"labctl burst {made.name}" if made.goes_on else f"labctl run-once --experiment {made.name}"
    then = [*filter(None, [made.before]), f"labctl show {made.name}", first]
    copies = [f"copied the template to: {made.copied}"] if made.copied else []
    if made.taken:
        whose = f"; its files are shared with {', '.join(made.shared)}" if made.shared else ""
        session.terminal.say(f"made from: {made.taken}, as it lies there{whose}")
    if made.copied or made.taken:
        session.terminal.say(
            f"its SPEC from now on: {made.path}/{layout.SPEC}; the one in that folder is not read any more"
        )
    return Answer(data, [*copies, f"created experiment: {made.name}"], warnings=made.notes, then=then)


def _lines(abouts: dict[str, str]) -> list[str]:
    width = max(map(len, abouts), default=0)
    return [f"{name:<{width}}  {about}" for name, about in abouts.items()]
