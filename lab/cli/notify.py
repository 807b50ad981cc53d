"""Show or try where notices go.

Channels stand in control/notify.json: a webhook, a command, or an address of apprise's. `show` tells what is configured
and how each channel did; `test` sends one notice through each. docs/how-to/steer.md has the file with all its fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import DONE, FAILED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.core.notice import Channel, Config, State
    from lab.store.root import Root

EXAMPLE = "labctl notify show\nlabctl notify test --channel phone"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Look or try."""
    parser.add_argument("action", nargs="?", choices=("show", "test"), default="show", help="look, or send a test")
    parser.add_argument("--channel", default="", metavar="NAME", help="test: this one alone")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Look, or send."""
    from lab.core.notice import Config
    from lab.scheduler.control import delivery

    root = session.root()
    config = delivery.configured(root)
    if args.action == "test":
        return _test(root, config or Config(), args.channel)
    state = delivery.remembered(root)
    rows = [_row(channel, state) for channel in config.channels] if config else []
    data = {
        "configured": config is not None,
        "path": root.layout.notify,
        "channels": rows,
        "always": list(config.always) if config else [],
        "sent_in_the_last_hour": _lately(root, state),
        "held_back": state.held,
    }
    return Answer(data, _text(root, rows, state), then=["labctl notify test"] if rows else [])


def _test(root: Root, config: Config, only: str) -> Answer:
    from lab.core.errors import BadInput
    from lab.scheduler.control import delivery

    if not config.channels:
        fix = "docs/how-to/steer.md shows what to write into it"
        raise BadInput("there is no channel to try", where=root.layout.notify, fix=fix)
    done = delivery.rehearse(root, config, only)
    rows = [{"channel": each.channel, "sent": bool(each.sent), "problem": each.problem} for each in done]
    text = [f"{each.channel}: {each.problem or 'sent'}" for each in done]
    return Answer({"channels": rows}, text, exit_code=FAILED if any(each.problem for each in done) else DONE)


def _row(channel: Channel, state: State) -> dict[str, object]:
    from lab.core.notice import Channelled, shown

    lately = state.channels.get(channel.name, Channelled())
    way = "webhook" if channel.webhook else "apprise" if channel.apprise else "command"
    to = channel.command[0] if channel.command else shown(channel.webhook or channel.apprise)
    return {
        "name": channel.name,
        "way": way,
        "to": to,
        "kinds": list(channel.kinds),
        "problem": lately.problem,
        "missed": lately.missed,
    }


def _lately(root: Root, state: State) -> int:
    from lab.core.notice import WINDOW_S

    now_s = root.world.now().timestamp()
    return sum(abs(now_s - at) < WINDOW_S for at in state.window)


def _text(root: Root, rows: list[dict[str, object]], state: State) -> Iterator[str]:
    if not rows:
        yield f"Nothing is configured in {root.layout.notify}"
    for row in rows:
        yield f"{row['name']}  {row['way']}  {row['to']}"
        if row["problem"]:
            yield f"  last problem: {row['problem']} (missed: {row['missed']})"
    if state.held:
        yield f"held back: {state.held}"
