"""Work that is asked for now and fetched later. One thread does all of it; the others only wait.

Each request is done once, however often it is sent, and those of one model strictly in the order of their numbers,
however they arrive. An answer is kept after it was fetched: the client may never have received it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping

import msgspec

from lab.tinker.local.calls import JSON, PROTOBUF, Call, Refusal, Reply, answer, complaint, pack, read, worded
from lab.tinker.local.training import UserError

Job = Callable[[], bytes | Mapping[str, object]]

LONG_POLL_S = 20.0  # less than half of what the SDK waits for an answer
KEPT_BYTES = 256 << 20  # of answers; the oldest that were fetched go first
KEPT = 50_000
WAITING_BYTES = 512 << 20  # of one model's requests that came before their turn
QUEUED_BYTES = 512 << 20  # of everybody's requests whose turn came, and that the one thread has not reached
OVERHEAD_BYTES = 2000  # what a request takes that has no bytes


class Future:
    """`droppable`: it changes nothing, so that nobody misses it when it is cancelled. `size_bytes`: of the request."""

    __slots__ = ("body", "cancelled", "done", "droppable", "fetched", "kind", "request_id", "size_bytes")

    def __init__(self, request_id: str, size_bytes: int, *, droppable: bool) -> None:
        self.request_id = request_id
        self.size_bytes = size_bytes + OVERHEAD_BYTES
        self.droppable = droppable
        self.done = threading.Event()
        self.body = b""
        self.kind = JSON
        self.fetched = False
        self.cancelled = False


class _Asked(msgspec.Struct):
    request_id: str


class Futures:
    def __init__(
        self, say: Callable[[str], None], *, kept_bytes: int = KEPT_BYTES, poll_s: float = LONG_POLL_S,
        debug: bool = False,
    ) -> None:  # fmt: skip
        self._say = say
        self._debug = debug
        self._kept_bytes = kept_bytes
        self._poll_s = poll_s
        self._lock = threading.Lock()
        self._known: dict[str, Future] = {}  # in the order of asking
        self._bytes = 0
        self._queued_bytes = 0
        self._work: queue.SimpleQueue[tuple[Future, Job] | None] = queue.SimpleQueue()
        self._worker = threading.Thread(target=self._labour, name="models", daemon=True)
        self._stopping = False
        self._worker.start()

    def announce(self, request_id: str, size_bytes: int = 0, *, droppable: bool = False) -> Future | None:
        """Make this request known, or None where it is already. Refused, for now, while too much is queued."""
        with self._lock:
            if request_id in self._known:
                return None
            if self._queued_bytes > QUEUED_BYTES:
                raise Refusal(429, "more is queued than this server keeps in memory; send it again in a while")
            future = self._known[request_id] = Future(request_id, size_bytes, droppable=droppable)
            return future

    def enqueue(self, future: Future, job: Job) -> None:
        with self._lock:
            self._queued_bytes += future.size_bytes
        self._work.put((future, job))

    def submit(self, request_id: str, job: Job, size_bytes: int = 0, *, droppable: bool = False) -> None:
        """Do this once, in its turn among everything the server was asked."""
        future = self.announce(request_id, size_bytes, droppable=droppable)
        if future is not None:
            self.enqueue(future, job)

    def close(self, within_s: float) -> None:
        """Finish the job that runs, leave the rest, and let go whoever waits."""
        self._stopping = True
        self._work.put(None)
        self._worker.join(within_s)
        with self._lock:
            waiting = list(self._known.values())
        for future in waiting:
            future.done.set()

    # -- what clients ask ----------------------------------------------------------------------------------------

    def retrieve(self, call: Call) -> Reply:
        request_id = read(_Asked, call.body).request_id
        with self._lock:
            future = self._known.get(request_id)
        if future is None:
            raise Refusal(410, f"{request_id} is not known here: the server was started anew, or it is long ago")
        if not future.done.wait(self._poll_s):
            return answer(type="try_again", request_id=request_id, queue_state="active")
        if not future.body:  # let go unfinished
            raise Refusal(503, "the server is stopping")
        future.fetched = True
        return Reply(body=future.body, kind=future.kind)

    def cancel(self, call: Call) -> Reply:
        """A sample that has not begun is not begun. Work of a training is part of its order, and always done."""
        with self._lock:
            future = self._known.get(read(_Asked, call.body).request_id)
        if future is not None:
            future.cancelled = future.droppable
        return answer()

    # -- the thread that works -----------------------------------------------------------------------------------

    def _labour(self) -> None:
        while (item := self._work.get()) is not None and not self._stopping:
            future, job = item
            if future.cancelled:
                outcome: bytes | Mapping[str, object] = {"error": "it was cancelled", "category": "user"}
            else:
                outcome = self._outcome(future, job)
            future.kind = PROTOBUF if isinstance(outcome, bytes) else JSON
            future.body = outcome if isinstance(outcome, bytes) else pack(outcome)
            del item, job  # or the last request would stay in memory until there is another one
            self._account(future)
            future.done.set()

    def _outcome(self, future: Future, job: Job) -> bytes | Mapping[str, object]:
        try:
            return job()
        except (UserError, Refusal) as error:
            return {"error": str(error), "category": "user"}
        except Exception as error:  # noqa: BLE001  # torch and the files of strangers raise whatever they like
            self._say(complaint(future.request_id, error, trace=self._debug))
            return {"error": worded(error), "category": "server"}

    def _account(self, done: Future) -> None:
        """Keep what answers take within bounds: the oldest fetched ones go, and then the oldest."""
        with self._lock:
            self._queued_bytes -= done.size_bytes
            self._bytes += len(done.body)
            for only_fetched in (True, False):
                if self._bytes <= self._kept_bytes * (1 if only_fetched else 2) and len(self._known) <= KEPT:
                    return
                for request_id, future in list(self._known.items()):
                    if self._bytes <= self._kept_bytes // 2 and len(self._known) <= KEPT // 2:
                        break
                    if future.done.is_set() and (future.fetched or not only_fetched):
                        self._bytes -= len(self._known.pop(request_id).body)


class Lane:
    """The requests of one model, from number 1."""

    def __init__(self, name: str, futures: Futures) -> None:
        self._name = name
        self._futures = futures
        self._lock = threading.Lock()
        self._next = 1
        self._early: dict[int, tuple[Future, Job]] = {}
        self._closed = False

    def submit(self, seq: int | None, job: Job, size_bytes: int = 0) -> str:
        """The id under which the answer is fetched. A number that was seen before changes nothing.

        A number that never comes holds up all that come after it for ever: what is wrong with a request is for its job
        to say. Refused here is what is sent again, and what has no number.
        """
        if seq is None or seq < 1:
            raise Refusal(422, "seq_id: each request of a model has a number, from 1")
        request_id = f"{self._name}:{seq}"
        with self._lock:
            if self._closed:
                raise Refusal(404, f"the session of {self._name} has ended")
            if seq < self._next or seq in self._early:
                return request_id
            if (
                seq > self._next
                and size_bytes + sum(each.size_bytes for each, _ in self._early.values()) > WAITING_BYTES
            ):
                raise Refusal(429, f"too much waits for request {self._next} of {self._name}, which never came")
            future = self._futures.announce(request_id, size_bytes)
            if future is not None:
                self._early[seq] = (future, job)
            while self._next in self._early:
                self._futures.enqueue(*self._early.pop(self._next))
                self._next += 1
        return request_id

    def close(self) -> None:
        """The turn of what came early will not come: it is done at once, and finds that its run is no more."""
        with self._lock:
            self._closed = True
            for seq in sorted(self._early):
                self._futures.enqueue(*self._early.pop(seq))
