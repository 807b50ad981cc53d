"""`evaluation.json`: the candidate beside the baseline, on what the search never saw, with seeds and noise."""

from __future__ import annotations

import msgspec

from lab.core.record import Record
from lab.research.trained import Made

FILE = "evaluation.json"


class Side(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The baseline or the candidate: `of` is the run whose parameters were measured again.

    `made` has the measurements that failed too; `mean` and `sd` are of the others.
    """

    of: str
    params: dict[str, object] = {}
    made: tuple[Made, ...] = ()
    mean: float | None = None
    sd: float | None = None

    @property
    def values(self) -> tuple[float, ...]:
        return tuple(each.value for each in self.made if each.value is not None and not each.void)


class Evaluated(Record, frozen=True, kw_only=True, omit_defaults=True):
    """`gain` is the difference of the means, where what is better is above 0; `low` to `high` hold it with 95 %.

    That is for all rounds together that the project may make: each of them looks at what is reported, so each interval
    is as wide as `sure` says. Where the baseline was the best there is no candidate, and nothing of these.
    """

    experiment: str
    metric: str
    direction: str
    tier: str
    selected_in: str  # the tier that the candidate was chosen in: another one
    baseline: Side
    candidate: Side
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    noise: float | None = None  # the spread of one measurement, pooled over both sides; 0: equal to the last digit
    is_better: bool = False  # low > 0; where nothing differs from itself, gain > 0; and by more than rounding is
    is_worse: bool = False  # high < 0, and the same
    round: int = 1
    idea: str = ""
    sure: float = 0.95
    min_run_s: float = 0.0
    why: str = ""  # in words, with the numbers
    anew: int | None = None  # measurements that the phase itself made; 0: all were sealed before
    remarks: tuple[str, ...] = ()  # what whoever reads the numbers must know of how they were measured
    among: tuple[Made, ...] = ()  # where no training tells of them: every run that the candidate was chosen from
