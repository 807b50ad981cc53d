"""Words that several answers share."""

from __future__ import annotations

from typing import Literal

Outcome = Literal["success", "failed", "timeout", "crash", "cancelled"]
Phase = Literal["queued", "active", "awaiting-human", "paused", "completed", "archived"]
Direction = Literal["minimize", "maximize"]
Kind = Literal["run", "promote", "resume"]  # of a proposal
Params = dict[str, object]
