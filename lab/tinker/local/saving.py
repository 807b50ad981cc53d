"""What a training saves: a state to go on from, weights to sample from, files to take away, or a snapshot in memory."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

import msgspec

from lab.tinker.local import disk
from lab.tinker.local.calls import Call, Reply, answer, read
from lab.tinker.local.checkpoints import RECORD, Checkpoint
from lab.tinker.local.runs import Described
from lab.tinker.local.training import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.tinker.local.checkpoints import Checkpoints, Kind
    from lab.tinker.local.runs import Run, Runs
    from lab.tinker.local.samplers import Samplers
    from lab.tinker.local.sessions import Sessions


class _Save(msgspec.Struct, kw_only=True):
    path: str | None = None
    ttl_seconds: int | None = None
    overwrite: bool = False
    user_metadata: dict[str, str] | None = None
    sampling_session_seq_id: int | None = None
    kind: str = "snapshot"
    age_encryption_recipients: list[str] | None = None


class _Copy(msgspec.Struct, kw_only=True):
    source_path: str
    session_id: str | None = None
    model_seq_id: int | None = None
    ttl_seconds: int | None = None


class Saving:
    def __init__(self, runs: Runs, samplers: Samplers, checkpoints: Checkpoints, sessions: Sessions) -> None:
        self._runs = runs
        self._samplers = samplers
        self._checkpoints = checkpoints
        self._sessions = sessions
        self._copies: dict[str, str] = {}  # by the key that makes a repeated request the same one

    def state(self, call: Call) -> Reply:
        return self._later(call, "weights", "save_weights")

    def for_sampler(self, call: Call) -> Reply:
        return self._later(call, "sampler_weights", "save_weights_for_sampler")

    def external(self, call: Call) -> Reply:
        return self._later(call, "external_weights", "save_weights_external")

    def _later(self, call: Call, kind: Kind, word: str) -> Reply:
        def save(run: Run) -> Mapping[str, object]:
            asked = read(_Save, call.body)
            if asked.sampling_session_seq_id is not None and asked.path is None:
                return {"type": word, "sampling_session_id": self._snapshot(run, asked)}
            return {"type": word, "path": self._save(run, asked, kind).path}

        return self._runs.in_turn(call, save)

    def _snapshot(self, run: Run, asked: _Save) -> str:
        if asked.kind != "snapshot":
            raise UserError(f"a sampling client of the kind {asked.kind!r} is not here: only snapshot is")
        trainer, described = run.live()
        return self._samplers.snapshot(
            run.session_id, asked.sampling_session_seq_id or 0, described.base_model, trainer.sampler()
        )

    def _save(self, run: Run, asked: _Save, kind: Kind) -> Checkpoint:
        if asked.age_encryption_recipients:
            raise UserError("files are not encrypted here; save without age_encryption_recipients")
        trainer, described = run.live()
        with_optimizer = kind == "weights"
        checkpoint = Checkpoint(
            run_id=run.run_id,
            kind=kind,
            name=f"{trainer.steps:06d}" if asked.path is None else asked.path,
            base_model=described.base_model,
            lora=described.lora,
            steps=trainer.steps,
            saved_at=time.time(),
            user_metadata=asked.user_metadata,
            expires_at=self._checkpoints.expiry(asked.ttl_seconds),
        )
        return self._checkpoints.save(
            checkpoint, lambda folder: trainer.save(folder, optimizer=with_optimizer), overwrite=asked.overwrite
        )

    def copy(self, call: Call) -> Reply:
        """A copy of a checkpoint, under a run of its own. Sent again with the same key it is the same copy."""
        key = call.headers.get("x-idempotency-key", "")
        if key in self._copies:
            return answer(tinker_path=self._copies[key])
        asked = read(_Copy, call.body)
        source = self._checkpoints.find(asked.source_path)
        session_id = asked.session_id or str(uuid.uuid4())
        if asked.session_id is not None:
            self._sessions.active(session_id)
        run_id = f"{session_id}:train:{asked.model_seq_id or 0}"
        copy = msgspec.structs.replace(
            source,
            run_id=run_id,
            saved_at=time.time(),
            public=False,
            expires_at=self._checkpoints.expiry(asked.ttl_seconds),
        )
        self._runs.record(
            Described(
                run_id=run_id,
                session_id=session_id,
                base_model=source.base_model,
                lora=source.lora,
                created_at=copy.saved_at,
                parent=source.path,
            )
        )
        folder = self._checkpoints.folder_of(source)
        self._checkpoints.save(copy, lambda draft: disk.fill_from(folder, draft, leave_out=RECORD))
        if key:
            self._copies[key] = copy.path
        return answer(tinker_path=copy.path)
