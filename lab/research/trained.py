"""`training.json`: the runs of a round, as their seals tell them."""

from __future__ import annotations

import msgspec

from lab.core.record import Record

FILE = "training.json"
NOTHING_NEW = "what is sealed counts: nothing was measured anew"


class Made(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sealed run of the study. `seal` is the digest of its SEAL.json."""

    run_id: str
    outcome: str
    tier: str
    seal: str
    value: float | None = None
    wall_s: float = 0.0
    seed: int | None = None
    is_baseline: bool = False
    void: str = ""  # why it is not believed, though it says success: no time, no number

    @property
    def is_believable(self) -> bool:
        """Whether it may be compared with others, and be the best of them."""
        return self.value is not None and not self.void


class Trained(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Every run of the study in the tier that is chosen in, those of earlier rounds and those that failed too.

    `after` is the generation of the study's experiment after which this round's runs come.
    """

    experiment: str
    metric: str
    direction: str
    tier: str
    made: tuple[Made, ...]
    baseline: str = ""  # run
    best: str = ""  # run; the baseline where nothing was better
    gain: float | None = None  # of the best over the baseline, where what is better is above 0
    round: int = 1
    idea: str = ""
    after: int = 0
    runs: int = 0  # of them this round's
    wanted: int = 0  # how many it was to be
    stopped: str = ""  # why they are fewer, if they are
    min_run_s: float = 0.0  # what was asked of a run to be believed
    anew: int | None = None  # runs that the phase itself made; 0: what was sealed before was all that was wanted
    remarks: tuple[str, ...] = ()  # what whoever reads the numbers must know of how they were measured
    disowned: tuple[str, ...] = ()  # bundles that lay among its runs and are not the lab's: none of them is in `made`

    @property
    def believable(self) -> tuple[Made, ...]:
        return tuple(each for each in self.made if each.is_believable)
