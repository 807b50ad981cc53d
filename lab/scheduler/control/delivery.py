"""Sending notices: which of them go out, through which channel, and what to do about one that fails.

What was sent is written down before it is sent, so that a crash costs a notice and never sends one for ever. The state
is `registry/notices.json`; losing it costs a notice sent twice.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec

from lab.core import notice
from lab.core.errors import BadInput, Busy, Corrupt
from lab.core.notice import Channel, Config, Notice, State
from lab.core.record import page, parse
from lab.store import reading
from lab.store.sections import PAGES_WAIT_S, hold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lab.store.root import Root

LIMIT_S = 5.0
TRIES = 2
_MOST_BYTES = 1 << 20
_TAKEN_BELOW, _THEIR_FAULT = 300, 500
_UNKNOWN_ADDRESS = 3
_APPRISE = f"""
import json, sys
import apprise
told, sender = json.load(sys.stdin), apprise.Apprise()
if not sender.add(told["address"]):
    sys.exit({_UNKNOWN_ADDRESS})
sys.exit(0 if sender.notify(title=told["title"], body=told["body"]) else 1)
"""


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """How one channel did: how many it took, and why it took no more."""

    channel: str
    sent: int
    problem: str = ""


def configured(root: Root) -> Config | None:
    """control/notify.json, or None where there is none. `BadInput` for one that cannot be used."""
    data = reading.read_head(root.layout.notify, _MOST_BYTES)
    return None if data is None else notice.parse(data, root.layout.notify)


def remembered(root: Root) -> State:
    """What was sent. A file that cannot be read is as good as none."""
    data = reading.read(root.layout.notices)
    try:
        return State() if data is None else parse(State, data, root.layout.notices)
    except Corrupt:
        return State()


def tell(root: Root, news: Iterable[Notice]) -> tuple[str, ...]:
    """Send what is due of this. Never raises for a channel, a configuration or a disk: those become warnings."""
    try:
        config = configured(root)
        chosen = notice.wanted(config, news) if config is not None else []
        if config is None or not chosen:
            return ()
        out, state = _admitted(root, config, chosen)
    except BadInput as problem:
        return (f"no notice was sent: {problem.what} (in {problem.where})",)
    except Busy:
        return ("no notice was sent: another process is at it",)
    except OSError as error:
        return (f"no notice was sent: what was sent cannot be written down: {error.strerror}",)
    now_s = root.world.now().timestamp()
    done: list[Delivered] = []
    missed: dict[str, int] = {}
    for channel in config.channels:
        mine = notice.for_channel(config, channel, out)
        if mine and notice.rests(state, channel.name, now_s):
            missed[channel.name] = len(mine)
        elif mine:
            done.append(deliver(root, channel, mine))
            missed[channel.name] = len(mine) - done[-1].sent
    _remember(root, done, missed)
    return tuple(f"notices by {each.channel}: {each.problem}" for each in done if each.problem)


def rehearse(root: Root, config: Config, only: str = "") -> list[Delivered]:
    """Send one notice through each channel, or one of them. Nothing is held back, and nothing remembered."""
    names = tuple(channel.name for channel in config.channels)
    if only and only not in names:
        fix = f"the channels are: {', '.join(names)}" if names else "control/notify.json names none"
        raise BadInput(f"there is no channel {only[:60]}", where=root.layout.notify, fix=fix)
    told = Notice(kind=notice.TEST, what="a test: notices of this lab come here", key=notice.TEST)
    return [deliver(root, channel, [told]) for channel in config.channels if only in ("", channel.name)]


def deliver(root: Root, channel: Channel, notices: Iterable[Notice]) -> Delivered:
    """Send these through a channel until it fails, which it may do once more than once."""
    sent = 0
    for each in notices:
        body = notice.body(each, at=root.now(), lab=os.path.basename(root.layout.root))
        problem = ""
        for _ in range(TRIES):
            problem, again = _sent(root, channel, body)
            if not (problem and again):
                break
        if problem:
            return Delivered(channel=channel.name, sent=sent, problem=problem)
        sent += 1
    return Delivered(channel=channel.name, sent=sent)


def _admitted(root: Root, config: Config, chosen: list[Notice]) -> tuple[list[Notice], State]:
    with hold(root.layout.notices_section, wait_s=PAGES_WAIT_S):
        out, state = notice.admit(config, remembered(root), chosen, root.world.now().timestamp())
        if out:
            root.files.replace(root.layout.notices, page(state))
    return out, state


def _remember(root: Root, done: list[Delivered], missed: dict[str, int]) -> None:
    """How the channels did. Not remembered is no harm: it is tried again."""
    known = remembered(root).channels
    quiet = all(not each.problem and not known.get(each.channel) for each in done)
    if quiet and not any(missed.values()):
        return
    problems = {each.channel: each.problem for each in done}
    try:
        with hold(root.layout.notices_section, wait_s=PAGES_WAIT_S):
            state = remembered(root)
            now_s = root.world.now().timestamp()
            for name, count in missed.items():
                if name in problems:
                    state = notice.after_sending(state, name, problems[name], count, now_s)
                else:
                    state = notice.rested(state, name, count)
            root.files.replace(root.layout.notices, page(state))
    except (OSError, Busy):
        return


def _sent(root: Root, channel: Channel, body: dict[str, object]) -> tuple[str, bool]:
    """What went wrong, if anything, and whether trying again could help."""
    try:
        if channel.command:
            return _command(root, channel, body), False
        address = notice.value(channel.webhook or channel.apprise, root.world.environ)
        headers = {name: notice.value(text, root.world.environ) for name, text in channel.headers.items()}
    except BadInput as problem:
        return problem.what, False
    if channel.apprise:
        return _by_apprise(root, address, body)
    if not address.startswith(("https://", "http://")):
        return "its address begins with neither https:// nor http://", False
    return _bounded(lambda: _posted(address, headers, json.dumps(body).encode()), LIMIT_S)


def _command(root: Root, channel: Channel, body: dict[str, object]) -> str:
    """The notice on stdin of a program. No shell, and nothing of what it prints is kept: it may be anything."""
    done = root.world.run(channel.command, given=json.dumps(body) + "\n", limit_s=2 * LIMIT_S)
    if done.code == 0:
        return ""
    return f"{channel.command[0]} ended with {done.code}" if done.code is not None else done.problem


def _bounded(send: Callable[[], tuple[str, bool]], limit_s: float) -> tuple[str, bool]:
    """Wait no longer than this: a limit on a socket holds for each of its answers, and for no name server."""
    answers: list[tuple[str, bool]] = []
    thread = threading.Thread(target=lambda: answers.append(send()), daemon=True)
    thread.start()
    thread.join(limit_s)
    return answers[0] if answers else (f"no answer within {limit_s:g}s", True)


def _posted(address: str, headers: dict[str, str], data: bytes) -> tuple[str, bool]:
    """One POST. Where it would lead elsewhere it has failed: what is there was not meant to have it."""
    import http.client  # noqa: PLC0415  # 50 ms, wanted only where a webhook is called
    import urllib.error  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    wanted = {"Content-Type": "application/json", "User-Agent": "labctl", **headers}
    try:
        request = urllib.request.Request(address, data=data, headers=wanted, method="POST")  # noqa: S310  # judged above
        with urllib.request.build_opener(Stay).open(request, timeout=LIMIT_S) as answer:
            code = int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return f"it answered {refused.code}", refused.code >= _THEIR_FAULT
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = getattr(error, "reason", error)
        if isinstance(why, TimeoutError):
            return f"no answer within {LIMIT_S:g}s", True
        return f"it cannot be reached: {type(why).__name__}", True  # its text may quote the address, which is secret
    return ("" if code < _TAKEN_BELOW else f"it answered {code}"), False


def _by_apprise(root: Root, address: str, body: dict[str, object]) -> tuple[str, bool]:
    """In a process of its own: some hundred plug-ins, each by another hand, fail in their own ways and own time."""
    if find_spec("apprise") is None:
        return "apprise is not installed: pip install 'labctl[notify]'", False
    given = json.dumps({"address": address, "title": body["kind"], "body": body["text"]})  # no secret among arguments
    done = root.world.run([sys.executable, "-P", "-c", _APPRISE], given=given, limit_s=2 * LIMIT_S)
    if done.code is None:
        return f"no answer within {2 * LIMIT_S:g}s", True
    if done.code == _UNKNOWN_ADDRESS:
        return "apprise does not know this address", False
    return "" if done.code == 0 else "apprise could not send it", True
