"""A run as history sees it: what was tried, how it ended, and what it was worth."""

import math
from collections.abc import Mapping

import msgspec

from lab.core.candidate import Candidate  # msgspec resolves annotations
from lab.core.chunk import Chunk  # msgspec resolves annotations
from lab.core.origin import IMPORTED, Origin  # msgspec resolves annotations

SUCCESS = "success"
FAILED = "failed"
NOT_MEASURED = "not measured"  # what is sealed as failed of a change that was discarded before anything was run
CLAIMED = "claimed by another harness"  # an imported run, however it ended there: nobody here has measured it
TIMEOUT = "timeout"
CRASH = "crash"
CANCELLED = "cancelled"
OUTCOMES = (SUCCESS, FAILED, TIMEOUT, CRASH, CANCELLED)
# How the reason of a run begins that somebody's Ctrl-C or the end of the lab cut off: nothing was learned from it.
INTERRUPTED = "it was interrupted"
# How the reason of a run begins that was worse than others at the same step: that was learned from it.
STOPPED_EARLY = "it was stopped early"
# Outcomes that count towards the failure streak. A cancelled run is a person's wish, not a failure.
FAILURES = frozenset({FAILED, TIMEOUT, CRASH})
VERDICTS = ("", "keep", "discard", "crash", "checks_failed")
MINIMIZE = "minimize"
MAXIMIZE = "maximize"
DIRECTIONS = {"lower": MINIMIZE, "higher": MAXIMIZE, MINIMIZE: MINIMIZE, MAXIMIZE: MAXIMIZE}  # as people say it


class Run(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The part of a sealed bundle that is folded into pages. It sits in the seal, so one file tells history."""

    run_id: str
    experiment: str
    outcome: str
    value: float | None = None
    metric: str = ""
    direction: str = MAXIMIZE
    iteration: int = 0
    role: str = ""
    tier: str = "default"
    executor_class: str = "default"
    verdict: str = ""
    started_at: str = ""
    ended_at: str = ""
    wall_s: float = 0.0
    cost: float = 0.0  # money, as the run itself reported it
    signals: tuple[str, ...] = ()  # what the run says of itself for `escalate_when`, such as breakthrough_found
    reason: str = ""  # why it failed, or who cancelled it
    note: str = ""  # one line for tables: what was tried or found
    worker: str = ""  # the machine that it ran on; empty where none did, and in a bundle of an older labctl
    origin: Origin | None = None  # who chose its parameters; None where nobody searched
    candidate: Candidate | None = None  # what it changed and how that was judged; None outside of code loops
    # Left out where there is none, so that what other runs are sealed as stays what it was, byte for byte.
    trained: Chunk | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="chunk")

    def __post_init__(self) -> None:
        """Refuse what the peers let through: an unknown outcome, a failed run with a value, NaN."""
        if self.outcome not in OUTCOMES:
            message = f"outcome {self.outcome!r} is none of {', '.join(OUTCOMES)}"
            raise ValueError(message)
        if self.verdict not in VERDICTS:
            message = f"verdict {self.verdict!r} is none of {', '.join(VERDICTS[1:])}"
            raise ValueError(message)
        if self.direction not in (MINIMIZE, MAXIMIZE):
            message = f"direction {self.direction!r} is neither {MINIMIZE} nor {MAXIMIZE}"
            raise ValueError(message)
        if self.value is not None and (self.outcome != SUCCESS or not math.isfinite(self.value)):
            message = f"a run that ended as {self.outcome} cannot have the value {self.value}"
            raise ValueError(message)
        for name, number in (("wall_s", self.wall_s), ("cost", self.cost)):
            if not (math.isfinite(number) and number >= 0):
                message = f"{name} {number} cannot be"
                raise ValueError(message)

    @property
    def claimed(self) -> bool:
        """Whether another harness says how it ended and what it was worth, and nobody here measured it."""
        return self.origin is not None and self.origin.kind == IMPORTED

    @property
    def chunk(self) -> Chunk | None:
        """What it did of a remote training; None where it was no part of one."""
        return None if self.trained is msgspec.UNSET else self.trained


def cut_off(outcome: str, reason: str, chunk: Chunk | None = None) -> bool:
    """Whether a run ended with the lab, and not by its own doing or by a person's word: a search tries it again.

    So it does where a training had no service, or its share of a budget no room: nothing was learned of its parameters.
    """
    is_halted = chunk is not None and bool(chunk.halted)
    return is_halted or outcome == CRASH or (outcome == CANCELLED and reason.startswith(INTERRUPTED))


def better(value: float, than: float | None, direction: str) -> bool:
    """Strictly better; anything is better than nothing."""
    if than is None:
        return True
    return value < than if direction == MINIMIZE else value > than


def gain(value: float | None, over: float | None, direction: str) -> float | None:
    """By how much it is better: above 0 whichever way the metric goes. None where that is no number."""
    if value is None or over is None:
        return None
    found = over - value if direction == MINIMIZE else value - over
    return found if math.isfinite(found) else None


def failed(outcomes: Mapping[str, int], unmeasured: int = 0, claimed: Mapping[str, int] | None = None) -> int:
    """How many runs came to grief: not those that were cancelled, nor changes that were discarded before they were run.

    The latter are sealed as failed; who counted them says how many they are. Nor what another harness claims.
    """
    ours = came_to(outcomes, unmeasured, claimed)
    return sum(ours.get(name, 0) for name in FAILURES)


def came_to(
    outcomes: Mapping[str, int], unmeasured: int = 0, claimed: Mapping[str, int] | None = None
) -> dict[str, int]:
    """How many runs ended how, in the order of the design; those that were never run are told apart from the failed.

    `claimed` says how many of each outcome another harness claims: those are one number, whatever they ended as.
    """
    theirs = claimed or {}
    found = {name: outcomes.get(name, 0) - theirs.get(name, 0) for name in OUTCOMES}
    found[FAILED] -= unmeasured
    found |= {NOT_MEASURED: unmeasured, CLAIMED: sum(theirs.values())}
    return {name: number for name, number in found.items() if number > 0}
