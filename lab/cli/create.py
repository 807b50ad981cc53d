"""Make an experiment from a SPEC.

SPEC is a file, a folder with a SPEC.yaml in it, or the name of a shipped template. It is checked whole before anything
is written, and copied as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "labctl create autoresearch-generic --id my-first\nlabctl create ./my-spec.yaml --dry-run"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to make."""
    parser.add_argument("spec", metavar="SPEC", help="a SPEC file, its folder, or a template's name")
    parser.add_argument("--id", default="", dest="new_id", metavar="ID", help="another id than the SPEC's own")
    parser.add_argument("--dry-run", action="store_true", help="check it, and make nothing")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Make it, or say why not."""
    from lab.scheduler import create

    root = session.root()
    made = create.experiment(root, args.spec, new_id=args.new_id, actor=session.actor, dry_run=args.dry_run)
    data = {"experiment": made.name, "path": made.path, "dry_run": args.dry_run}
    if args.dry_run:
        return Answer(data, [f"would create experiment: {made.name}"])
    then = [f"labctl show {made.name}"]
    return Answer(data, [f"created experiment: {made.name}"], warnings=made.notes, then=then)
