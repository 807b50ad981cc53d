"""Training runs: made from a base model or from what was saved, listed, and let go with their session.

A run lives in memory while its session goes on, and is listed as long as something that it saved is there, or for a
day from its beginning. A new process never takes up a live run: it makes a new one from a saved state.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Corrupt
from lab.core.record import Record, encode, parse
from lab.tinker.local import disk
from lab.tinker.local.calls import Call, Refusal, Reply, address, answer, read
from lab.tinker.local.checkpoints import folder_name
from lab.tinker.local.futures import Lane
from lab.tinker.local.training import Lora, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.tinker.local.checkpoints import Checkpoint, Checkpoints
    from lab.tinker.local.futures import Futures
    from lab.tinker.local.sessions import Sessions
    from lab.tinker.local.training import Models, Trainer

RECORD = "run.json"


class Described(Record, frozen=True, kw_only=True):
    """`run.json`. `parent`: the path that it was loaded from."""

    run_id: str
    session_id: str
    base_model: str
    lora: Lora
    created_at: float
    parent: str = ""
    user_metadata: dict[str, str] | None = None


class Run:
    """One that lives. `trainer` comes with its first job, and goes with its session."""

    def __init__(self, session_id: str, run_id: str, futures: Futures) -> None:
        self.session_id = session_id
        self.run_id = run_id
        self.lane = Lane(run_id, futures)
        self.trainer: Trainer | None = None
        self.described: Described | None = None
        self.asked_at = time.time()

    def live(self) -> tuple[Trainer, Described]:
        """For a job: it comes after the one that made the run, which may have failed."""
        if self.trainer is None or self.described is None:
            raise UserError(f"training run {self.run_id} was not made, or its session has ended")
        return self.trainer, self.described


class Optimizer(msgspec.Struct):
    type: str = "adamw"


class _Create(msgspec.Struct, kw_only=True):
    session_id: str
    model_seq_id: int
    base_model: str
    user_metadata: dict[str, object] | None = None
    lora_config: Lora = Lora()
    optimizer_config: Optimizer | None = None


class _Made(msgspec.Struct):
    """What a request has that makes a run, and one to a run has not."""

    session_id: str | None = None
    model_seq_id: int | None = None


class _Load(msgspec.Struct, kw_only=True):
    path: str
    optimizer: bool = False
    base_model: str | None = None
    user_metadata: dict[str, object] | None = None
    optimizer_config: Optimizer | None = None


class Runs:
    def __init__(  # what a training touches
        self, folder: str, models: Models, sessions: Sessions, checkpoints: Checkpoints, futures: Futures,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._folder = f"{folder}/runs"
        self._models = models
        self._sessions = sessions
        self._checkpoints = checkpoints
        self._futures = futures
        self._lock = threading.RLock()
        self._live: dict[str, Run] = {}
        self._listed: dict[str, Described] = {}
        for name in disk.folders_in(self._folder):
            where = f"{self._folder}/{name}/{RECORD}"
            try:
                found = parse(Described, disk.read(where), where)
            except (Corrupt, OSError) as error:
                say(f"a training run is left aside: {error}")
            else:
                self._listed[found.run_id] = found
        sessions.on_end.append(self._end)

    # -- made ----------------------------------------------------------------------------------------------------

    def create(self, call: Call) -> Reply:
        asked = read(_Create, call.body)
        _only_adam(asked.optimizer_config)

        def make(run: Run) -> Mapping[str, object]:
            trainer = self._models.trainer(asked.base_model, asked.lora_config)
            self._take(run, trainer, asked.base_model, asked.lora_config, asked.user_metadata)
            return {"type": "create_model", "model_id": run.run_id}

        return self._begin(asked.session_id, asked.model_seq_id, make)

    def load(self, call: Call) -> Reply:
        """A new run from a saved state; or, as older clients do it, a state into a run that was just made."""
        made = read(_Made, call.body)
        if made.session_id is None or made.model_seq_id is None:
            return self.in_turn(call, lambda run: self._load_into(run, *self._to_load(call)))
        asked, saved = self._to_load(call)

        def make(run: Run) -> Mapping[str, object]:
            trainer = self._models.trainer(saved.base_model, saved.lora)
            trainer.load(self._checkpoints.folder_of(saved), optimizer=asked.optimizer)
            self._take(run, trainer, saved.base_model, saved.lora, asked.user_metadata, parent=asked.path)
            return {"type": "load_weights", "path": asked.path, "model_id": run.run_id}

        return self._begin(made.session_id, made.model_seq_id, make)

    def _to_load(self, call: Call) -> tuple[_Load, Checkpoint]:
        asked = read(_Load, call.body)
        _only_adam(asked.optimizer_config)
        saved = self._checkpoints.find(asked.path, ("weights",))
        if asked.base_model not in (None, saved.base_model):
            raise Refusal(400, f"{asked.path} belongs to {saved.base_model}, not to {asked.base_model}")
        return asked, saved

    def _load_into(self, run: Run, asked: _Load, saved: Checkpoint) -> Mapping[str, object]:
        run.live()[0].load(self._checkpoints.folder_of(saved), optimizer=asked.optimizer)
        return {"type": "load_weights", "path": asked.path}

    def _begin(self, session_id: str, seq: int, make: Callable[[Run], Mapping[str, object]]) -> Reply:
        self._sessions.active(session_id)
        run_id = f"{session_id}:train:{seq}"
        with self._lock:
            if run_id not in self._live:
                run = Run(session_id, run_id, self._futures)
                self._futures.submit(f"{run_id}:0", lambda: make(run))
                self._live[run_id] = run
        try:
            self._sessions.active(session_id)
        except Refusal:  # it ended in between, and whoever ended it did not see this run
            self._end(session_id)
            raise
        return answer(request_id=f"{run_id}:0", model_id=run_id)

    def _take(  # everything that is said of a run
        self, run: Run, trainer: Trainer, base: str, lora: Lora, metadata: dict[str, object] | None, *, parent: str = ""
    ) -> None:
        run.described = Described(
            run_id=run.run_id,
            session_id=run.session_id,
            base_model=base,
            lora=lora,
            created_at=time.time(),
            parent=parent,
            user_metadata=None if metadata is None else {key: str(value) for key, value in metadata.items()},
        )
        self.record(run.described)
        with self._lock:
            if self._live.get(run.run_id) is run:  # its session has not ended meanwhile
                run.trainer = trainer

    def record(self, described: Described) -> None:
        """List it from now on."""
        disk.write(f"{self._folder}/{folder_name(described.run_id)}/{RECORD}", encode(described))
        with self._lock:
            self._listed[described.run_id] = described

    # -- asked ---------------------------------------------------------------------------------------------------

    def in_turn(self, call: Call, job: Callable[[Run], bytes | Mapping[str, object]]) -> Reply:
        """Do it when its number comes. The job reads the request: what it refuses is told when the answer is fetched.

        Refused at once a number would never come, and the client's next request would wait for it for ever.
        """
        run_id, seq = address(call)
        run = self.find(run_id)
        return answer(request_id=run.lane.submit(seq, lambda: job(run), len(call.body)), model_id=run_id)

    def pass_over(self, call: Call, why: str) -> None:
        """Its client takes the refusal of this request as final: its number comes to nothing, and the next is due."""

        def refused(_run: Run) -> Mapping[str, object]:
            raise UserError(why)

        with suppress(Refusal):  # it has no number, or its run is gone
            self.in_turn(call, refused)

    # -- found ---------------------------------------------------------------------------------------------------

    def find(self, run_id: str) -> Run:
        """One that lives, whose session was heard of just now."""
        with self._lock:
            run = self._live.get(run_id)
        if run is None:
            known = "is not in memory any more" if run_id in self._listed else "is not known here"
            fix = "make a training client from the last state that was saved"
            raise Refusal(404, f"training run {run_id} {known}: its session ended, or the server was restarted; {fix}")
        self._sessions.active(run.session_id)
        run.asked_at = time.time()
        return run

    def listed(self, run_id: str) -> Described:
        with self._lock:
            described = self._listed.get(run_id)
        if described is None:
            raise Refusal(404, f"there is no training run {run_id}")
        return described

    def newest_first(self) -> list[Described]:
        with self._lock:
            return sorted(self._listed.values(), key=lambda each: (each.created_at, each.run_id), reverse=True)

    def asked_at(self, described: Described) -> float:
        """When it was last asked for anything, as far as this server knows."""
        with self._lock:
            run = self._live.get(described.run_id)
        return described.created_at if run is None else run.asked_at

    def prune(self, older_than_s: float) -> None:
        """Forget those that ended, that nothing is left of, and that were made before."""
        kept = {each.run_id for each in self._checkpoints.newest_first()}
        with self._lock:
            gone = [
                each for run_id, each in self._listed.items()
                if run_id not in kept and run_id not in self._live and each.created_at < older_than_s
            ]  # fmt: skip
            for each in gone:
                disk.forget(f"{self._folder}/{folder_name(each.run_id)}/{RECORD}")
                del self._listed[each.run_id]

    def _end(self, session_id: str) -> None:
        """Let go what the runs of a session hold in memory."""
        with self._lock:
            for run in [each for each in self._live.values() if each.session_id == session_id]:
                del self._live[run.run_id]
                run.trainer = None
                run.lane.close()


def _only_adam(given: Optimizer | None) -> None:
    if given is not None and given.type != "adamw":
        raise Refusal(400, f"the optimizer {given.type!r} is not here: only adamw is")
