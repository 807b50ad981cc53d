"""Who is connected. A session holds training runs and samplers, and what they hold in memory goes when it ends.

It ends when its client says so, or when nothing was heard of it for long. A client that was killed says nothing.
"""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING, Literal

import msgspec

from lab.core.errors import Corrupt
from lab.core.record import Record, encode, parse
from lab.tinker.local import disk
from lab.tinker.local.calls import Call, Refusal, Reply, answer, read

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_S = 600.0  # a client's heart beats every 10 s; it may sleep for minutes with its lid closed
RESTARTED = "the server was started anew"


class Session(Record, frozen=True, kw_only=True):
    """A file below `sessions/`. `ended`: why, empty while it goes on."""

    session_id: str
    created_at: float
    user_metadata: dict[str, object] = msgspec.field(default_factory=dict)
    tags: list[str] = msgspec.field(default_factory=list)
    project_id: str | None = None
    display_name: str | None = None
    sdk_version: str = ""
    ended: str = ""
    ended_at: float = 0.0


class _Create(msgspec.Struct):
    tags: list[str] = []
    user_metadata: dict[str, object] | None = None
    sdk_version: str = ""
    project_id: str | None = None
    display_name: str | None = None


class _Beat(msgspec.Struct):
    session_id: str


class _Reason(msgspec.Struct):
    type: Literal["success", "errored", "interrupted"] = "success"


class _Finish(msgspec.Struct):
    reason: _Reason = msgspec.field(default_factory=_Reason)
    detail: str | None = None


class Sessions:
    def __init__(self, folder: str, say: Callable[[str], None], *, idle_s: float = IDLE_S) -> None:
        self._folder = f"{folder}/sessions"
        self._say = say
        self._idle_s = idle_s
        self._lock = threading.RLock()
        self._heard_s: dict[str, float] = {}  # of those that go on
        self._all: dict[str, Session] = {}  # oldest first
        self.on_end: list[Callable[[str], None]] = []
        found = []
        for name in disk.files_in(self._folder) if "sessions" in disk.folders_in(folder) else ():
            try:
                found.append(parse(Session, disk.read(f"{self._folder}/{name}"), f"{self._folder}/{name}"))
            except (Corrupt, OSError) as error:
                say(f"a session is left aside: {error}")
        for session in sorted(found, key=lambda each: each.created_at):
            self._all[session.session_id] = session
            if not session.ended:
                self._note(msgspec.structs.replace(session, ended=RESTARTED, ended_at=time.time()))

    def create(self, call: Call) -> Reply:
        asked = read(_Create, call.body)
        session_id = str(uuid.uuid4())
        session = Session(
            session_id=session_id,
            created_at=time.time(),
            user_metadata=asked.user_metadata or {},
            tags=asked.tags,
            project_id=asked.project_id,
            display_name=asked.display_name,
            sdk_version=asked.sdk_version,
        )
        with self._lock:
            self._note(session)
            self._heard_s[session_id] = time.monotonic()
        return answer(type="create_session", session_id=session_id)

    def beat(self, call: Call) -> Reply:
        self.active(read(_Beat, call.body).session_id, ended_status=410)
        return answer(type="session_heartbeat")

    def finish(self, call: Call) -> Reply:
        """The first reason stands."""
        (session_id,) = call.arguments
        self._end(session_id, f"its client finished it: {read(_Finish, call.body).reason.type}")
        return answer()

    def active(self, session_id: str, *, ended_status: int = 409) -> Session:
        """The session, which was heard of just now. Refused once it ended."""
        with self._lock:
            session = self.known(session_id)
            if session.ended:
                raise Refusal(ended_status, f"session {session_id} has ended: {session.ended}")
            self._heard_s[session_id] = time.monotonic()
            return session

    def known(self, session_id: str) -> Session:
        with self._lock:
            session = self._all.get(session_id)
        if session is None:
            raise Refusal(404, f"there is no session {session_id}")
        return session

    def newest_first(self) -> list[Session]:
        with self._lock:
            return list(reversed(self._all.values()))

    def end_silent(self) -> None:
        """End those that nothing was heard of."""
        with self._lock:
            now_s = time.monotonic()
            silent = [each for each, heard_s in self._heard_s.items() if now_s - heard_s > self._idle_s]
        for session_id in silent:
            self._end(session_id, f"nothing was heard of its client for {self._idle_s:.0f} s")

    def prune(self, older_than_s: float, kept: set[str]) -> None:
        """Forget those that ended before, but for those to keep."""
        with self._lock:
            for session_id, each in list(self._all.items()):
                if each.ended and each.ended_at < older_than_s and session_id not in kept:
                    disk.forget(f"{self._folder}/{session_id}.json")
                    del self._all[session_id]

    def _end(self, session_id: str, why: str) -> None:
        with self._lock:
            session = self.known(session_id)
            if session.ended:
                return
            self._heard_s.pop(session_id, None)
            self._note(msgspec.structs.replace(session, ended=why, ended_at=time.time()))
        for told in self.on_end:
            told(session_id)

    def _note(self, session: Session) -> None:
        self._all[session.session_id] = session
        try:
            disk.write(f"{self._folder}/{session.session_id}.json", encode(session))
        except OSError as error:  # a full disk: it goes on, but will not be listed after a restart
            self._say(f"session {session.session_id} was not noted: {error}")
