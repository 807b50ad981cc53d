"""Where the parameters of a run came from. Sealed with the run, so that a search can be read from its bundles alone."""

import msgspec

BASELINE, PROMOTED, REPLAY, PERSON, IMPORTED = "baseline", "promoted", "replay", "person", "imported"
REVIEWED, UNREVIEWED = "reviewed", "unreviewed"  # of a chunk: chosen by its reviewer; as before, for that one failed
# What a search did itself: its seed and its count are those of these.
SEARCHED = frozenset({"", BASELINE, PROMOTED, PERSON})


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Where the parameters of a run came from; sealed with the run.

    `seed` and `number` are the luck of the proposal, `seen` how many trials had ended when it was made: any process
    can make it again from them and the history. `kind` is one of the words above, empty for a strategy's own proposal.
    """

    strategy: str = ""
    arm: str = ""  # the arm of a portfolio that made it
    kind: str = ""
    seed: int = 0
    number: int = 0
    seen: int = 0
    parents: tuple[str, ...] = ()  # the runs it was made from
    tries: int = 0  # how many runs with this number ended with the lab before
    note: str = ""
    ask: str = ""  # the question to a model that it came of, or that failed before it was made
    base: float | None = None  # what a change was expected from, and what to, by whoever proposed it
    expected: float | None = None

    @property
    def searched(self) -> bool:
        """Whether a search chose it, or a person within one."""
        return bool(self.strategy) and self.kind in SEARCHED

    @property
    def place(self) -> str:
        """Which one it was, to people: of a search a trial, of a training a chunk."""
        return f"{'chunk' if self.kind in (REVIEWED, UNREVIEWED) else 'trial'} {self.number}"

    @property
    def maker(self) -> str:
        """The strategy that chose the parameters: the arm, where a portfolio handed it on."""
        return self.arm or self.strategy
