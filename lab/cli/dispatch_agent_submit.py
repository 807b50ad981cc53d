"""Hand in an agent's change: it is tried on a copy of the workspace, measured, compared, and its run is sealed.

FILE is JSON: {"dispatch_id": "...", "changes": {"path": "whole new text"}, "reasoning": "why"}; `-` reads it from
stdin. Paths stay in the workspace, and read_only_paths and mutable_paths are kept. A change that is refused leaves the
package claimed, so that a better one can follow. A validation that fails is a failed run, and exit code 1.
In a code loop the copy is of the commit that the package names, the change is decided like any other candidate,
and "asi" may hold notes for whoever comes next.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lab.cli import dispatch_words as words
from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

JUDGED = ("keep", "discard")  # in a code loop also without a value, such as for the same change as before
EXAMPLE = "labctl dispatch-agent-submit change.json"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What, and by whom."""
    parser.add_argument("file", metavar="FILE", help="the submission as JSON; - is stdin")
    parser.add_argument("--dispatch-id", default="", metavar="DID", help="the package, if FILE does not name it")
    words.who(parser, "")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Try it."""
    from msgspec import structs, to_builtins

    from lab.cli.signals import Signals
    from lab.core.errors import BadInput
    from lab.core.run import SUCCESS
    from lab.core.submission import parse
    from lab.scheduler.dispatch import mend, submit

    root = session.root()
    words.checked(root, args)
    given = parse(_read(args.file))
    if args.dispatch_id and given.dispatch_id not in ("", args.dispatch_id):
        raise BadInput(f"the file is for {given.dispatch_id}", fix="leave --dispatch-id out")
    given = structs.replace(given, dispatch_id=given.dispatch_id or args.dispatch_id)
    mend.mend(root)
    signals = Signals()
    with signals:
        tried = submit.submit(root, args.worker, given, interrupted=signals.came)
    ruling = tried.ruling
    data = {**to_builtins(ruling), "ingested": tried.ingested}
    verdict = "accepted" if ruling.accepted else "not accepted"
    text = [f"{ruling.experiment} {ruling.run_id}: {ruling.verdict or ruling.outcome}, {verdict}"]
    if ruling.candidate_value is not None:
        text.append(
            f"{ruling.metric or 'value'}: {ruling.candidate_value!r} (best before: {ruling.previous_best_value})"
        )
    if ruling.reason:
        text.append(ruling.reason)
    failed = (ruling.outcome != SUCCESS and ruling.verdict not in JUDGED) or not tried.ingested
    return Answer(data, text, warnings=[*tried.warnings, *tried.troubles], exit_code=int(failed))


def _read(name: str) -> bytes:
    from lab.core.errors import NotFound
    from lab.core.submission import LARGEST_BYTES
    from lab.store import reading

    if name == "-":
        return sys.stdin.buffer.read(LARGEST_BYTES + 1)
    data = reading.read_given(name, LARGEST_BYTES + 1)
    if data is None:
        raise NotFound(f"there is no file {name}", fix="labctl dispatch-agent-submit FILE, or - for stdin")
    return data
