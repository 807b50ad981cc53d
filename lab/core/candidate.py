"""What one run of a code loop tried: where it began, what it changed, what was measured, and why it was kept or not."""

import msgspec

BASELINE = "baseline"  # the code as it is, measured several times: what the noise is, and what is to be beaten
DRAFT, IMPROVE, DEBUG, COMBINE, TRY = "draft", "improve", "debug", "combine", "try"
IMPORTED = "imported"  # what another harness says it tried: shown, and never compared with what was measured here
REPLAYED = "replayed"  # the commit of an earlier run, measured once more: shown, and decides nothing
KINDS = (BASELINE, DRAFT, IMPROVE, DEBUG, COMBINE, TRY, IMPORTED, REPLAYED)
APART = frozenset({IMPORTED, REPLAYED})  # neither stop a loop, nor are anything's best, nor tell of its noise
KEEP, DISCARD, CRASHED, CHECKS_FAILED = "keep", "discard", "crash", "checks_failed"
HOLDOUT_FAILED = "holdout_failed"  # what a run says of itself for `escalate_when`


class Candidate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A change to code and its measurements. It sits in the seal, so one file tells what the loop knows."""

    kind: str
    parent: str = ""  # the run whose commit it began at; empty for the baseline's
    base: str = ""  # the commit it began at
    commit: str = ""  # the commit that holds the change; empty when nothing was changed
    diff: str = ""  # digest of the change, less what does not matter: not tried twice. Empty where it was not judged
    idea: str = ""  # key of the idea that its proposer was given from the list; empty where it was given none
    added: int = 0
    removed: int = 0
    files: int = 0
    values: tuple[float, ...] = ()  # its own measurements, in the order in which they were taken
    against: tuple[float, ...] = ()  # the incumbent's, taken in between
    gain: float | None = None  # over the incumbent, by the measurements taken side by side; above 0 is better
    p: float | None = None  # how often noise alone would look as good
    alpha: float = 0.0  # what the test took of the session's alpha; 0 where nothing was tested
    rule: str = ""  # improve, improve-or-simpler, or confirmed
    why: str = ""  # of the verdict, in a few words
    confidence: float | None = None  # as the peers compute it, for those who are used to it
    crash: str = ""  # oom, syntax, import, timeout or other
    guard: str = ""  # what kept it from writing elsewhere, such as "landlock 7"; "digests" alone where nothing did
    evaluator: str = ""  # digest of the files that measure
    commands: str = ""  # digest of the commands that do
    holdout: float | None = None  # the hidden measurement, at milestones
    tokens: int = 0  # that its proposer took
    memory_mb: float | None = None  # the peak, for tables that have a column for it
    claimed: float | None = None  # the value that another harness wrote down; nobody here has measured it
    named: str = ""  # the commit as it names it, where this repository does not have it
    unit: str = ""  # of that value, where the other harness names one

    @property
    def lines(self) -> int:
        """By how many lines the code grew."""
        return self.added - self.removed
