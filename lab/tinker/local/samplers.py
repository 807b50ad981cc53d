"""Sampling sessions: weights that stand still, of a base model, of a checkpoint, or of a training as it was.

Snapshots of a training are in memory alone. So that one per step, for days, fills neither it nor the disk, the oldest
that were not asked for go; a checkpoint is loaded again when it is.
"""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from lab.tinker.local.calls import Call, Refusal, Reply, answer, read
from lab.tinker.local.training import SampleRequest, UserError

if TYPE_CHECKING:
    from lab.tinker.local.checkpoints import Checkpoints
    from lab.tinker.local.futures import Futures
    from lab.tinker.local.sessions import Sessions
    from lab.tinker.local.training import Models, Sampler

IN_MEMORY = 64
MOST_SAMPLES = 4096


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
    ) -> None:
        self._models = models
        self._sessions = sessions
        self._checkpoints = checkpoints
        self._futures = futures
        self._most = in_memory
        self._lock = threading.RLock()
        self._all: dict[str, Sampling] = {}
        self._recent: OrderedDict[str, None] = OrderedDict()  # those in memory, the least used first
        sessions.on_end.append(self._end)

    def create(self, call: Call) -> Reply:
        asked = read(_Create, call.body)
        self._sessions.active(asked.session_id)
        base = self._base_of(asked.base_model, asked.model_path)
        sampler_id = sampler_name(asked.session_id, asked.sampling_session_seq_id)
        with self._lock:
            self._all.setdefault(sampler_id, Sampling(asked.session_id, base, asked.model_path))
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
            self._used(sampler_id)
        return sampler_id

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
        self._futures.submit(request_id, lambda: self._ready(sampler_id, sampling).sample(asked), droppable=True)
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
            raise UserError(f"the snapshot {sampler_id} was let go: {self._most} were used since; {fix}")
        if sampling.made is None:
            folder = None
            if sampling.path:
                try:
                    folder = self._checkpoints.folder_of(self._checkpoints.find(sampling.path))
                except Refusal as gone:
                    raise UserError(gone.detail) from gone
            sampling.made = self._models.sampler(sampling.base, folder)
        if sampler_id:
            self._used(sampler_id)
        return sampling.made

    def _used(self, sampler_id: str) -> None:
        with self._lock:
            self._recent[sampler_id] = None
            self._recent.move_to_end(sampler_id)
            while len(self._recent) > self._most:
                oldest, _ = self._recent.popitem(last=False)
                if oldest in self._all:
                    self._all[oldest].made = None

    def _end(self, session_id: str) -> None:
        with self._lock:
            for name in self.of_session(session_id):
                del self._all[name]
                self._recent.pop(name, None)


def sampler_name(session_id: str, seq: int) -> str:
    return f"{session_id}:sample:{seq}"
