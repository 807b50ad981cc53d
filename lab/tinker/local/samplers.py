"""Sampling sessions: weights that stand still, of a base model, of a checkpoint, or of a training as it was.

Snapshots of a training are in memory alone. So that one per step, for days, fills neither it nor the disk, those that
nobody asked for the longest go, by their count and by their bytes; a checkpoint is loaded again when it is asked for.
"""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from lab.tinker.local.calls import Call, Refusal, Reply, answer, read
from lab.tinker.local.training import MOST_SAMPLES, SampleRequest, UserError

if TYPE_CHECKING:
    from lab.tinker.local.checkpoints import Checkpoints
    from lab.tinker.local.futures import Futures
    from lab.tinker.local.sessions import Sessions
    from lab.tinker.local.training import Models, Sampler

IN_MEMORY = 64
IN_MEMORY_BYTES = 1 << 30
ALWAYS = 4  # stay whatever they take: what a training samples from now, and what it is compared with


class Sampling:
    """`path`: the checkpoint, None for a base model or a snapshot. `made` is None while it is not in memory."""

    def __init__(self, session_id: str, base: str, path: str | None, made: Sampler | None = None) -> None:
        self.session_id = session_id
        self.base = base
        self.path = path
        self.made = made
        self.is_snapshot = made is not None
        self.clients = 1


class _Create(msgspec.Struct, kw_only=True):
    session_id: str
    sampling_session_seq_id: int
    base_model: str | None = None
    model_path: str | None = None


class _Join(msgspec.Struct):
    sampling_session_id: str


class Samplers:
    def __init__(
        self,
        models: Models,
        sessions: Sessions,
        checkpoints: Checkpoints,
        futures: Futures,
        *,
        in_memory: int = IN_MEMORY,
        in_memory_bytes: int = IN_MEMORY_BYTES,
    ) -> None:
        self._models = models
        self._sessions = sessions
        self._checkpoints = checkpoints
        self._futures = futures
        self._most = in_memory
        self._most_bytes = in_memory_bytes
        self._lock = threading.RLock()
        self._all: dict[str, Sampling] = {}
        self._recent: OrderedDict[str, int] = OrderedDict()  # those in memory and their bytes, the least used first
        sessions.on_end.append(self._end)

    def create(self, call: Call) -> Reply:
        asked = read(_Create, call.body)
        self._sessions.active(asked.session_id)
        base = self._base_of(asked.base_model, asked.model_path)
        sampler_id = sampler_name(asked.session_id, asked.sampling_session_seq_id)
        with self._lock:
            self._all.setdefault(sampler_id, Sampling(asked.session_id, base, asked.model_path))
        self._still(asked.session_id)
        return answer(type="create_sampling_session", sampling_session_id=sampler_id)

    def join(self, call: Call) -> Reply:
        found = self.find(read(_Join, call.body).sampling_session_id)
        with self._lock:
            counter = found.clients
            found.clients += 1
        return answer(type="join_sampling_session", client_counter=counter)

    def described(self, call: Call) -> Reply:
        (sampler_id,) = call.arguments
        found = self.find(sampler_id)
        return answer(sampler_id=sampler_id, base_model=found.base, model_path=found.path)

    def snapshot(self, session_id: str, seq: int, base: str, made: Sampler) -> str:
        """Keep the weights of a training as they are. From the thread that works."""
        sampler_id = sampler_name(session_id, seq)
        with self._lock:
            self._all[sampler_id] = Sampling(session_id, base, None, made)
            self._used(sampler_id, made)
        self._still(session_id)
        return sampler_id

    def _still(self, session_id: str) -> None:
        """Ask again after something was put in: a session that ended in between let go of what there was before."""
        try:
            self._sessions.active(session_id)
        except Refusal:
            self._end(session_id)
            raise

    def sample(self, call: Call) -> Reply:
        asked = read(SampleRequest, call.body)
        if not 1 <= asked.num_samples <= MOST_SAMPLES:
            raise Refusal(422, f"num_samples: {asked.num_samples} is not between 1 and {MOST_SAMPLES}")
        sampler_id = asked.sampling_session_id
        if sampler_id is None:  # addressed by the model itself
            sampler_id, sampling = "", Sampling("", self._base_of(asked.base_model, asked.model_path), asked.model_path)
            request_id = f"sample:{uuid.uuid4()}"
        else:
            sampling = self.find(sampler_id)
            if asked.seq_id is None:
                raise Refusal(422, "seq_id: each request of a sampling session has a number")
            request_id = f"{sampler_id}:{asked.seq_id}"
        self._futures.submit(
            request_id, lambda: self._ready(sampler_id, sampling).sample(asked), len(call.body), droppable=True
        )
        return answer(
            request_id=request_id, sample_sequence_ids=[f"{request_id}:{n}" for n in range(asked.num_samples)]
        )

    def find(self, sampler_id: str) -> Sampling:
        with self._lock:
            found = self._all.get(sampler_id)
        if found is None:
            why = "its session ended, or the server was restarted; make a new sampling client"
            raise Refusal(404, f"there is no sampling session {sampler_id}: {why}")
        self._sessions.active(found.session_id)
        return found

    def of_session(self, session_id: str) -> list[str]:
        with self._lock:
            return [name for name, each in self._all.items() if each.session_id == session_id]

    def _base_of(self, base: str | None, path: str | None) -> str:
        if path:
            base = self._checkpoints.find(path, ("weights", "sampler_weights")).base_model
        if base not in self._models.names:
            raise Refusal(400, f"the base model {base!r} is not here; there is {', '.join(self._models.names)}")
        return base

    def _ready(self, sampler_id: str, sampling: Sampling) -> Sampler:
        """Its weights, loaded where they are not in memory. From the thread that works."""
        if sampling.made is None and sampling.is_snapshot:
            fix = "save what is sampled from for long with save_weights_for_sampler"
            raise UserError(
                f"the snapshot {sampler_id} was let go: too many, or too large ones, were used since; {fix}"
            )
        if sampling.made is None:
            path = sampling.path
            folder = self._checkpoints.folder_of(self._checkpoints.find(path)) if path else None
            sampling.made = self._models.sampler(sampling.base, folder)
        made = sampling.made
        self._used(sampler_id, made)
        return made

    def _used(self, sampler_id: str, made: Sampler) -> None:
        with self._lock:
            if sampler_id not in self._all:  # of no session, or of one that has ended
                return
            self._recent[sampler_id] = made.size_bytes
            self._recent.move_to_end(sampler_id)
            while self._is_too_much():
                oldest, _ = self._recent.popitem(last=False)
                self._all[oldest].made = None

    def _is_too_much(self) -> bool:
        count = len(self._recent)
        return count > self._most or (count > ALWAYS and sum(self._recent.values()) > self._most_bytes)

    def _end(self, session_id: str) -> None:
        with self._lock:
            for name in self.of_session(session_id):
                del self._all[name]
                self._recent.pop(name, None)


def sampler_name(session_id: str, seq: int) -> str:
    return f"{session_id}:sample:{seq}"
