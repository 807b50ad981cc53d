"""The calls under way and those that wait: each a process, started when there is room, and ended when it must be."""

from __future__ import annotations

import os
import select
import time

from lab.mcp import messages
from lab.mcp.call import CANCELLED, DEADLINE, LEAVING, NEVER, TOO_MUCH, Call, refused
from lab.mcp.messages import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lab.mcp.child import Child
    from lab.mcp.messages import Request

    Over = Callable[[Request, Mapping[str, object] | Refusal | None], None]

AT_ONCE = 4  # verbs that only look, or write a line
MOST_WAITING = 64


class Calls:
    """`over` is told what came of each: a result, a refusal, or nothing where nothing is to be said.

    Nothing here waits: `poll` wakes whoever owns it when a process speaks, and `due_s` says by when to look again.
    """

    def __init__(
        self,
        lab: str,
        *,
        program: Sequence[str],
        environ: Mapping[str, str],
        poll: select.poll,
        over: Over,
        tell: Callable[[object], None],
        say: Callable[[str], None],
    ) -> None:
        self._lab = lab
        self._program = list(program)
        self._environ = dict(environ)
        self._poll = poll
        self._over, self._tell, self._say = over, tell, say
        self._running: list[Call] = []
        self._waiting: list[Call] = []
        self._ends: dict[int, Call] = {}

    def names(self) -> list[str]:
        """The tools that are at work."""
        return [call.tool.name for call in self._running]

    def is_empty(self) -> bool:
        """Whether nothing is under way, and nothing waits."""
        return not self._running and not self._waiting

    def due_s(self) -> float:
        """When something has to be done next, if nothing happens before."""
        return min((call.due_s() for call in self._running), default=NEVER)

    def hindrance(self, call: Call) -> str:
        """Why this one cannot be taken now; empty when it can."""
        if call.tool.is_long and any(each.tool.is_long for each in self._running):
            return f"a {call.tool.name} is under way"
        return "too many calls wait already" if len(self._waiting) >= MOST_WAITING else ""

    def has(self, number: object) -> bool:
        """Whether a request with this id is not answered yet."""
        return any(call.request.id == number for call in [*self._running, *self._waiting])

    def add(self, call: Call) -> None:
        """Take one more, and start it if there is room."""
        self._waiting.append(call)
        self._start()

    def hear(self, end: int) -> None:
        """A process spoke, or closed this end."""
        call = self._ends[end]
        if not call.child or not call.child.read(end):
            self._poll.unregister(end)
            del self._ends[end]

    def settle(self) -> None:
        """What the time, or the end of a process, asks for."""
        for call in list(self._running):
            now_s = time.monotonic()
            if call.child is None:
                continue
            if call.child.is_over():
                if call.child.too_much:  # it ended by itself before it could be told to
                    call.why = call.why or TOO_MUCH
                self._finish(call, call.child)
            elif now_s >= call.kill_at_s:
                self._say(f"{call.tool.name} did not end; its group is killed")
                call.kill()
            elif call.child.too_much:
                call.stop(TOO_MUCH, now_s)
            elif now_s >= call.until_s:
                call.stop(DEADLINE, now_s)
            elif now_s >= call.next_word_s():
                call.told_s = now_s
                self._tell(messages.notice("notifications/progress", call.progress(now_s)))
        self._start()

    # -- ending what was begun -----------------------------------------------------------------------------------

    def cancel(self, number: object) -> None:
        """Stop what was asked for; what is over, or cannot be stopped half-way, is let be."""
        for call in [each for each in self._waiting if each.request.id == number]:
            self._waiting.remove(call)
            self._over(call.request, None)
        for call in self._running:
            if call.request.id == number and (call.tool.is_long or not call.tool.writes):
                call.stop(CANCELLED, time.monotonic())

    def leave(self, *, in_haste: bool) -> None:
        """Ask a turn to end; in haste also what only looks, and what has not begun. What writes a line finishes it."""
        if in_haste:
            self._waiting.clear()
        for call in self._running:
            if call.tool.is_long or (in_haste and not call.tool.writes):
                call.stop(LEAVING, time.monotonic())

    def kill(self) -> None:
        """End all of it, unasked."""
        for call in self._running:
            if call.child is not None:
                call.child.kill()

    # -- a process -----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Start what waits, in order, as far as there is room: a turn has a place of its own."""
        for call in list(self._waiting):
            quick = sum(not each.tool.is_long for each in self._running)
            if not call.tool.is_long and quick >= AT_ONCE:
                continue
            self._waiting.remove(call)
            self._launch(call)

    def _launch(self, call: Call) -> None:
        from lab.mcp import child as process  # noqa: PLC0415  # at the first call, not at the start

        command = [*self._program, *call.tool.words(call.given, self._lab)]
        # A verb that takes files too must find none: a name that is no experiment's could be a file of our folder.
        cwd = None if call.tool.is_long else self._lab if os.path.isdir(self._lab) else "/"
        try:
            child = process.Child(command, stdin=call.stdin, cwd=cwd, environ=self._environ, is_long=call.tool.is_long)
        except OSError as error:
            what = f"labctl cannot be started: {error.strerror}"
            self._over(call.request, refused("unavailable", what, "look at the server's machine"))
            return
        call.start(child, time.monotonic())
        self._running.append(call)
        for end in child.open_ends():
            self._ends[end] = call
            self._poll.register(end, select.POLLIN)

    def _finish(self, call: Call, child: Child) -> None:
        for end in child.open_ends():
            self._poll.unregister(end)
            del self._ends[end]
        code = child.close()
        self._running.remove(call)
        try:
            self._over(call.request, None if call.why == CANCELLED else call.outcome(child, code))
        except Refusal as refusal:
            self._over(call.request, refusal)
