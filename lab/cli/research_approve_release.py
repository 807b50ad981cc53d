"""A release, approved by hand: who approves it types the beginning of its hash, or gives the whole of it.

No flag answers in a person's place. At a terminal it is typed; where there is none, the whole hash must be there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    from lab.cli.session import Session
    from lab.research.release.approval import Shown

_TYPED = 12


def approved(session: Session, name: str, given: str, why: str = "") -> Answer:
    """Show it, ask, and write it down."""
    from lab.research.release import approval

    root = session.root()
    shown = approval.show(root, name)
    at_terminal = session.terminal.can_ask()
    if not shown.approved_at and at_terminal and shown.sha256.startswith(given) and len(given) >= _TYPED:
        given = _typed(session, shown)
    shown = approval.approve(root, name, given, session.actor, at_terminal=at_terminal, why=why)
    where = f"{shown.release.destination} ({shown.release.endpoint or shown.release.to})"
    data = {"experiment": name, "gate": "", "release": shown.sha256}
    lines = [
        f"approved: {len(shown.release.files)} files may go to {where}, as {shown.sha256}",
        "the next run of the project sends it, whoever makes that run: cron too",
    ]
    return Answer(data, lines, then=[f"labctl research publish {name} --send"])


def withdrawn(session: Session, name: str, given: str, why: str = "") -> Answer:
    """Write down that it may not be sent after all."""
    from lab.research.release import approval

    shown = approval.withdraw(session.root(), name, given, session.actor, why)
    data = {"experiment": name, "gate": "", "release": given}
    lines = [f"withdrawn: {given[:_TYPED]} is not sent any more, unless it is approved again"]
    return Answer(data, lines, then=[f"labctl research status {shown.experiment}"])


def _typed(session: Session, shown: Shown) -> str:
    """The whole hash, if its beginning is typed."""
    terminal = session.terminal
    terminal.say(shown.listing)
    said = terminal.ask(f"Type the first {_TYPED} signs of the hash of release.json to approve exactly this: ")
    if said != shown.sha256[:_TYPED]:
        raise BadInput("nothing was approved: that is not how the hash begins", fix="read it off the list, and type it")
    return shown.sha256
