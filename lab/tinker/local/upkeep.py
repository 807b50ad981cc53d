"""What may be done to a checkpoint after it was saved: deleted, given a time to live, marked as public."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.tinker.local.calls import NOTHING, Call, Reply, read

if TYPE_CHECKING:
    from lab.tinker.local.checkpoints import Checkpoints


class _Life(msgspec.Struct):
    ttl_seconds: int | None = None


class Upkeep:
    """`public` is recorded and nothing more: whoever reaches this server sees everything."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints

    def delete(self, call: Call) -> Reply:
        self._checkpoints.delete(_path(call))
        return NOTHING

    def set_life(self, call: Call) -> Reply:
        ends = self._checkpoints.expiry(read(_Life, call.body).ttl_seconds)
        self._checkpoints.change(_path(call), expires_at=ends)
        return NOTHING

    def publish(self, call: Call) -> Reply:
        self._checkpoints.change(_path(call), public=True)
        return NOTHING

    def unpublish(self, call: Call) -> Reply:
        self._checkpoints.change(_path(call), public=False)
        return NOTHING


def _path(call: Call) -> str:
    return "tinker://" + "/".join(call.arguments)
