"""The server: one thread that listens to its client and to the verbs under way, and never waits for one of them.

Every call of a tool is a process, so that a turn of an hour holds up neither a status nor its own cancellation, and
that nothing of a call is left when it is over. Nobody may write where the messages go but this module.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress

from lab.mcp import answers, messages, tools
from lab.mcp.call import NEVER, Call, faults, refused
from lab.mcp.calls import Calls
from lab.mcp.messages import INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR, Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

    from lab.mcp.messages import Request

MOST_UNSENT_BYTES = 16 << 20  # with so much unsent a client is not listened to
PARTING_S = 2.0  # after a signal, for a client that takes its last answers slowly, or not at all
_PIECE = 1 << 16


class Batch:
    """The answers to several messages of one line, which go out as one line when the last is there."""

    __slots__ = ("answers", "left")

    def __init__(self, left: int) -> None:
        self.left = left
        self.answers: list[object] = []


class Server:
    """`listen` and `speak` are descriptors; `program` is how `labctl` is started; `say` tells whoever reads the log."""

    def __init__(
        self,
        lab: str,
        *,
        program: Sequence[str],
        environ: Mapping[str, str],
        listen: int,
        speak: int,
        say: Callable[[str], None],
    ) -> None:
        self._lab = lab
        self._listen, self._speak = listen, speak
        self._say = say
        self._version = ""  # agreed on by `initialize`
        self._subscriptions: list[Request] = []
        self._batches: dict[int, Batch] = {}  # by the identity of a request
        self._lines = messages.Lines()
        self._unsent = bytearray()
        self._leaving = self._gone = False
        self._signal = ""
        self._parting_s = NEVER
        self._poll = select.poll()
        self._calls = Calls(
            lab, program=program, environ=environ, poll=self._poll, over=self._over, tell=self._put, say=say
        )

    # -- the loop ------------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Until the client closes its end or a signal comes; then until what it had begun is over."""
        woken, wakes = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wakes, False)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                signal.signal(number, self._note)
        signal.signal(signal.SIGCHLD, _wake)
        self._poll.register(woken, select.POLLIN)
        while not self._is_over():
            self._watch()
            for end, _ in self._poll.poll(self._patience_ms()):
                if end == woken:
                    with suppress(BlockingIOError):
                        os.read(woken, _PIECE)
                elif end == self._listen:
                    self._hear()
                elif end == self._speak:
                    self._send()
                else:
                    self._calls.hear(end)
            if self._signal:
                self._leave(self._signal)
            self._calls.settle()

    def _is_over(self) -> bool:
        if not self._leaving or not self._calls.is_empty():
            return False
        for request in self._subscriptions:
            meta = {messages.SUBSCRIPTION_KEY: request.id}
            self._answer(request, answers.complete({"_meta": meta}, request))
        self._subscriptions.clear()
        if self._signal and self._parting_s == NEVER:
            self._parting_s = time.monotonic() + PARTING_S
        return not self._unsent or time.monotonic() >= self._parting_s

    def _watch(self) -> None:
        """Listen only while there is somebody to answer, and be told when more can be sent."""
        for end, event, wanted in (
            (self._listen, select.POLLIN, not self._leaving and len(self._unsent) < MOST_UNSENT_BYTES),
            (self._speak, select.POLLOUT, bool(self._unsent)),
        ):
            if wanted:
                self._poll.register(end, event)
            else:
                with suppress(KeyError):
                    self._poll.unregister(end)

    def _patience_ms(self) -> int | None:
        """How long nothing has to be done but listen."""
        soonest = min(self._calls.due_s(), self._parting_s)
        return None if soonest == NEVER else max(0, int(1000 * (soonest - time.monotonic())) + 1)

    def _note(self, number: int, frame: FrameType | None) -> None:
        """A signal: everything is asked to end. The second one is not waited for."""
        del frame
        if self._signal:
            self._calls.kill()
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._signal = signal.Signals(number).name

    # -- the client ----------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        try:
            data = os.read(self._listen, _PIECE)
        except OSError:  # a terminal that was closed
            data = b""
        for line in self._lines.feed(data or b"\n"):  # the last line may lack its end
            if line is None:
                what = f"a message has at most {messages.MOST_LINE_BYTES:,} bytes; this one was passed over"
                self._put(messages.failure(None, Refusal(PARSE_ERROR, what)))
            elif line.strip():
                self._take_line(line)
        if not data:
            self._leave("the client closed its end")

    def _take_line(self, line: bytes) -> None:
        value: object = None
        try:
            value = messages.decode(line)
            if isinstance(value, list) and value and self._version == messages.BATCHES:
                batch = Batch(len(value))
                for each in value:
                    self._take_of(batch, each)
            else:
                self._take(messages.read(value), None)
        except Refusal as refusal:
            self._put(messages.failure(messages.id_of(value), refusal))

    def _take_of(self, batch: Batch, value: object) -> None:
        try:
            self._take(messages.read(value), batch)
        except Refusal as refusal:
            self._add(batch, messages.failure(messages.id_of(value), refusal))

    def _take(self, request: Request | None, batch: Batch | None) -> None:
        """Answer, or begin what will be answered later."""
        if request is None or request.id is None:
            if request is not None and request.method == "notifications/cancelled":
                self._cancel(request.params.get("requestId"))
            if batch is not None:
                self._add(batch, None)
            return
        if batch is not None:
            self._batches[id(request)] = batch
        try:
            body = self._begun(request)
        except Refusal as refusal:
            self._out(request, messages.failure(request.id, refusal))
            return
        if body is not None:
            self._answer(request, body)

    def _begun(self, request: Request) -> dict[str, object] | None:
        if request.modern:
            messages.check_version(request)
        elif request.method not in ("initialize", "ping") and not self._version:
            what = f"say initialize first; or, from {messages.MODERN[0]} on, {messages.VERSION_KEY} in each _meta"
            raise Refusal(INVALID_PARAMS, what)
        if request.method == "tools/call":
            return self._call(request)
        if request.method == "subscriptions/listen" and request.modern:
            meta = {messages.SUBSCRIPTION_KEY: request.id}  # nothing is announced here, so nothing is promised
            params = {"_meta": meta, "notifications": {}}
            self._put(messages.notice("notifications/subscriptions/acknowledged", params))
            self._subscriptions.append(request)
            return None
        body = answers.at_once(request, self._lab)
        self._version = str(body.get("protocolVersion", self._version))
        return body

    def _call(self, request: Request) -> dict[str, object] | None:
        """Begin a call; what stands in its way is its answer."""
        tool = tools.find(request.params.get("name"))
        given = request.params.get("arguments", {})
        if tool is None:
            known = ", ".join(each.name for each in tools.TOOLS)
            raise Refusal(INVALID_PARAMS, f"there is no tool {ascii(request.params.get('name'))[:80]}; known: {known}")
        if not isinstance(given, dict):
            raise Refusal(INVALID_PARAMS, "arguments is an object")
        if self._calls.has(request.id):
            raise Refusal(INVALID_REQUEST, "a call with this id is under way")
        fault = faults(tool, given)
        try:
            stdin = messages.encode(given[tool.stdin]) if tool.stdin and not fault else b""
        except Refusal as refusal:
            stdin, fault = b"", refusal.what
        if len(stdin) > tools.MOST_PARAMS_BYTES:
            fault = f"{tool.stdin} is longer than {tools.MOST_PARAMS_BYTES:,} bytes"
        if fault:
            return answers.complete(refused("bad-input", fault, "tools/list says what each tool takes"), request)
        call = Call(request, tool, given, stdin)
        hindrance = self._calls.hindrance(call)
        if hindrance:
            fix = "wait for what is under way, or cancel it"
            return answers.complete(refused("busy", hindrance, fix), request)
        self._calls.add(call)
        return None

    def _cancel(self, number: object) -> None:
        self._subscriptions = [each for each in self._subscriptions if each.id != number]
        self._calls.cancel(number)

    def _leave(self, why: str) -> None:
        """Take nothing more. What was asked is answered, but for a turn, which is asked to end.

        On a signal, and when nobody reads the answers, also what only looks is ended; what writes a line finishes it.
        """
        names = self._calls.names()
        if not self._leaving and names:
            self._say(f"{why}; waiting for {', '.join(names)}")
        self._leaving = True
        self._calls.leave(in_haste=bool(self._signal) or self._gone)

    # -- what goes out -------------------------------------------------------------------------------------------

    def _over(self, request: Request, found: Mapping[str, object] | Refusal | None) -> None:
        """What came of a call."""
        if isinstance(found, Refusal):
            self._out(request, messages.failure(request.id, found))
        elif found is None:
            self._out(request, None)
        else:
            self._answer(request, answers.complete(dict(found), request))

    def _answer(self, request: Request, body: Mapping[str, object]) -> None:
        self._out(request, messages.result(request.id, body))

    def _out(self, request: Request, message: object | None) -> None:
        """An answer, or that there will be none."""
        batch = self._batches.pop(id(request), None)
        if batch is not None:
            self._add(batch, message)
        elif message is not None:
            self._put(message)

    def _add(self, batch: Batch, message: object | None) -> None:
        batch.left -= 1
        if message is not None:
            batch.answers.append(message)
        if not batch.left and batch.answers:
            self._put(batch.answers)

    def _put(self, message: object) -> None:
        if self._gone:
            return
        try:
            self._unsent += messages.encode(message)
        except Refusal as refusal:
            self._unsent += messages.encode(messages.failure(messages.id_of(message), refusal))

    def _send(self) -> None:
        """Send as much as is taken without waiting: a client that does not read must not keep us from hearing it."""
        try:
            sent = os.write(self._speak, self._unsent[: select.PIPE_BUF])
        except OSError as error:
            self._gone = True
            self._unsent.clear()
            self._leave(f"the client reads no more ({error.strerror})")
        else:
            del self._unsent[:sent]


def _wake(number: int, frame: FrameType | None) -> None:
    """A child ended. Noted by the pipe that signals write to."""
    del number, frame
