"""What an agent hands in for a package: the new text of some files, and why."""

from __future__ import annotations

import msgspec

from lab.core.errors import BadInput

LARGEST_BYTES = 64 << 20


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """`changes` are whole files by their path in the workspace; none of them measures the workspace as it is.

    `asi` are notes for whoever comes next in a code loop.
    """

    dispatch_id: str = ""
    changes: dict[str, str] = {}
    reasoning: str = ""
    asi: dict[str, object] = {}


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a change: `decision.json` of its run."""

    dispatch_id: str
    experiment: str
    run_id: str
    outcome: str
    accepted: bool
    candidate_value: float | None
    previous_best_value: float | None
    reference_source: str
    metric: str
    metric_direction: str
    changed_files: tuple[str, ...] = ()
    reason: str = ""
    verdict: str = ""  # keep, discard, crash or checks_failed


def parse(data: bytes) -> Submission:
    """The submission in these bytes, or `BadInput` with what is wrong with it."""
    fix = 'it looks like {"dispatch_id": "DISPATCH-...", "changes": {"train.py": "..."}, "reasoning": "why"}'
    if len(data) > LARGEST_BYTES:
        raise BadInput(f"the submission is larger than {LARGEST_BYTES >> 20} MiB", fix="hand in only what changes")
    try:
        return msgspec.json.decode(data, type=Submission)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"this is no submission: {error}", fix=fix) from error
