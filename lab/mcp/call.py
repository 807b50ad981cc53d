"""One call of a tool, from its arguments to what the client is told."""

from __future__ import annotations

from contextlib import suppress

from lab.core import json_text
from lab.core.errors import exit_code_of
from lab.mcp import arguments, messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.mcp.child import Child
    from lab.mcp.messages import Request
    from lab.mcp.tools import Tool

ENDING_S = 60.0  # between asking a turn to end and killing it: its run has a grace of its own, and must be sealed
PROGRESS_S = 5.0
NEVER = float("inf")
CANCELLED, DEADLINE, LEAVING, TOO_MUCH = "cancelled", "deadline", "leaving", "too-much"
_WHY = {
    DEADLINE: ("timeout", "{name} took longer than {s:g} s, and was told to end"),
    LEAVING: ("interrupted", "the server was told to end, and {name} with it"),
    TOO_MUCH: ("too-large", "the answer of {name} is larger than 4 MiB"),
}
_FIX = {
    DEADLINE: "lab_list shows what was run; give deadline_s more time, or ask for fewer runs",
    LEAVING: "start the server again; lab_list shows what was run",
    TOO_MUCH: "ask for less: a smaller `last`, or one experiment",
}


class Call:
    """A tool at work. `why` says why it was told to end; `kill_at_s` when it is not asked any more."""

    __slots__ = (
        "began_s", "child", "given", "kill_at_s", "request", "stdin", "told_s", "tool", "until_s", "was_killed", "why",
    )  # fmt: skip

    def __init__(self, request: Request, tool: Tool, given: Mapping[str, object], stdin: bytes) -> None:
        self.request = request
        self.tool = tool
        self.given = given
        self.stdin = stdin
        self.child: Child | None = None
        self.began_s = self.until_s = self.told_s = self.kill_at_s = NEVER
        self.why = ""
        self.was_killed = False

    def start(self, child: Child, now_s: float) -> None:
        """It runs from now on."""
        self.child = child
        self.began_s = now_s
        self.until_s = now_s + self.tool.deadline_s(self.given)

    def stop(self, why: str, now_s: float) -> None:
        """Ask it to end. The first reason is the one that is told."""
        if self.child is not None and not self.why:
            self.why = why
            self.child.terminate()
            self.until_s = NEVER  # a moment that has passed would be waited for again and again, without end
            self.kill_at_s = now_s + ENDING_S

    def kill(self) -> None:
        """End it, and all that is in its group."""
        if self.child is not None:
            self.child.kill()
            self.was_killed = True
        self.kill_at_s = NEVER

    def due_s(self) -> float:
        """When something has to be done about it, if it does nothing."""
        return min(self.until_s, self.kill_at_s, self.next_word_s())

    def next_word_s(self) -> float:
        """When its progress is to be told again."""
        if self.token is None or self.why:
            return NEVER
        return self.began_s if self.told_s == NEVER else self.told_s + PROGRESS_S

    @property
    def token(self) -> int | str | None:
        """What the client wants its progress told under; None when it does not."""
        found = self.request.meta.get("progressToken")
        return found if isinstance(found, int | str) and not isinstance(found, bool) else None

    def progress(self, now_s: float) -> dict[str, object]:
        """How far it is, in seconds of those that it may take."""
        spent, most = round(now_s - self.began_s, 1), self.tool.deadline_s(self.given)
        words = f"{self.tool.name}: {spent:g} s of at most {most:g} s"
        return {"progressToken": self.token, "progress": spent, "total": most, "message": words}

    def outcome(self, child: Child, code: int) -> dict[str, object]:
        """What came of it, once it is over."""
        found = _envelope(bytes(child.out))
        if self.why and (found is None or _is_refusal(found)):
            kind, what = _WHY[self.why]
            error = found.get("error") if found is not None else None
            said = f": {error.get('message')}" if isinstance(error, dict) else ""
            said = "; it had to be killed, and labctl watchdog --repair settles its run" if self.was_killed else said
            what = what.format(name=self.tool.name, s=self.tool.deadline_s(self.given))
            return refused(kind, what + said, _FIX[self.why])
        if found is None:
            said = bytes(child.err).decode(errors="replace").strip()
            what = f"labctl {self.tool.verb} ended with {code} and no answer: {said[-2000:] or 'it said nothing'}"
            return refused("failed", what, "try it at a terminal")
        return told(found)


def faults(tool: Tool, given: object) -> str:
    """What is wrong with the arguments of a call; empty when nothing is."""
    found = arguments.fault(tool.schema, given)
    if not found and isinstance(given, dict) and given.get("now") and "experiment" not in given:
        return "now wants an experiment"
    return found


def told(envelope: Mapping[str, object]) -> dict[str, object]:
    """The result that a client gets: the envelope, and the same as text. A run that failed is an answer, no error."""
    return {
        "content": [{"type": "text", "text": messages.write(envelope)}],
        "structuredContent": envelope,
        "isError": _is_refusal(envelope),
    }


def _is_refusal(envelope: Mapping[str, object]) -> bool:
    """What was done and did not succeed has an `error` too, and its `data`."""
    return "error" in envelope and "data" not in envelope


def refused(kind: str, what: str, fix: str) -> dict[str, object]:
    """An envelope of our own, for what no verb could say."""
    error = {"kind": kind, "exit_code": exit_code_of(kind), "message": what, "where": "", "fix": fix}
    return told({"schema": "labctl.mcp/1", "ok": False, "error": error})


def _envelope(out: bytes) -> dict[str, object] | None:
    with suppress(ValueError, RecursionError):
        found = json_text.parse(out.decode())
        if isinstance(found, dict) and isinstance(found.get("schema"), str) and isinstance(found.get("ok"), bool):
            return found
    return None
