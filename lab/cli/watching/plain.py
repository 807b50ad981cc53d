"""The news of a lab as lines, for a pipe, a file, or a terminal that can do no more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from lab.cli.signals import Signals
from lab.cli.watching import news
from lab.cli.watching.waking import Waker
from lab.core.errors import LabError
from lab.scheduler.results import happened

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.cli.session import Session
    from lab.cli.watching.ending import Ending
    from lab.scheduler.results.happened import Told
    from lab.store.root import Root

LOOK_S = 0.5
MOST_KEPT = 10_000  # for one JSON document; of more, the newest


class Gathered:
    """What was told, for whoever wants it in one piece at the end."""

    def __init__(self) -> None:
        self.events: list[Told] = []
        self.left_out = 0

    def add(self, told: Told) -> None:
        self.events.append(told)
        if len(self.events) > MOST_KEPT:
            cut = len(self.events) // 2
            self.left_out += cut
            del self.events[:cut]


def follow(session: Session, root: Root, only: str, ending: Ending, print_one: Callable[[Told], None]) -> None:
    """Tell what happens until something ends it. `Interrupted` where that was a signal."""
    signals = Signals()
    with Waker() as waker, signals:
        seen = news.News(root, only)
        print_one(_begun(root, seen, only))
        session.terminal.narrate("Ctrl-C ends it")
        ending.begin()
        trouble = ""
        while True:
            found: list[Told] = []
            try:
                found = seen.look()
                trouble = ""
            except (LabError, OSError) as error:  # a disk that is away comes back
                if trouble != str(error):
                    trouble = str(error)
                    session.terminal.say(f"the lab cannot be read now, and is looked at again: {error}")
            for told in found:
                print_one(told)
            if ending.is_reached(busy=bool(found or seen.under_way or seen.waits or trouble), came=signals.came()):
                return
            waker.wait(min(LOOK_S, ending.left_s()))


def as_line(session: Session) -> Callable[[Told], None]:
    """A line for people."""
    return lambda told: session.terminal.line(news.line(told))


def as_jsonl(session: Session) -> Callable[[Told], None]:
    """A line that is a JSON document, in ASCII: a terminal of any encoding carries it."""
    return lambda told: session.terminal.line(json.dumps(msgspec.to_builtins(told)))


def _begun(root: Root, seen: news.News, only: str) -> Told:
    """Since when is told, and what was under way then: nothing else is told of what was before."""
    runs = sum(map(len, seen.under_way.values()))
    return happened.Told(
        at=root.now(), what="watch_began", says=f"watched from now on; {runs} under way", experiment=only
    )
