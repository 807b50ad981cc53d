"""What a picture is made from, read once. No clock, no chance: the same files give the same picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence  # msgspec resolves annotations

import msgspec

from lab.core.space import Space  # msgspec resolves annotations
from lab.core.spec import Spec  # msgspec resolves annotations
from lab.core.subject import Finding  # msgspec resolves annotations
from lab.core.view import View  # msgspec resolves annotations
from lab.projections import text
from lab.projections.tables import Line  # msgspec resolves annotations

RUNNING, WAITING, LOST = "running", "waiting", "lost"


class UnderWay(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run that is not sealed. `where` says what an engine tells of it; `state` is one of the words above.

    `began` is when it was claimed or handed over, until its body begins. A run that is lost has a holder that is gone.
    """

    run_id: str
    state: str = RUNNING
    began: str = ""
    worker: str = ""
    tier: str = ""
    where: str = ""


def lost(experiment: str, under_way: Iterable[UnderWay]) -> Iterator[Finding]:
    """What wants somebody where the holder of a run is gone. Pages do not tell of it: it follows from no event."""
    gone = [told.run_id for told in under_way if told.state == LOST]
    if gone:
        more = f" (and {text.count(len(gone) - 1, 'run')} more)" if len(gone) > 1 else ""
        yield Finding(
            what=f"the holder of {gone[0]} is gone, and nobody sealed it{more}",
            where=f"registry/locks/{experiment}",
            fix="labctl watchdog --repair (the next turn does it, too)",
        )


class AskTook(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one question to a model took; None is not known, which is not 0."""

    calls: int = 0
    tokens: int | None = None
    usd: float | None = None


class Weighed(msgspec.Struct, frozen=True, kw_only=True):
    """The run to take of a noisy search, which need not be the one with the best number. In the metric's own units."""

    run_id: str
    how: str  # by what it was chosen, in words
    expected: float  # what a run of the same parameters is expected to give
    sd: float  # how unsure that is
    noise: float  # of one measurement
    modelled: float | None = None  # that noise as the model alone has it


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment as it stands. `lines` are the ended runs of every tier, in the order of history."""

    view: View
    spec: Spec | None
    space: Space | None = None
    lines: Sequence[Line] = ()
    findings: tuple[Finding, ...] = ()
    under_way: tuple[UnderWay, ...] = ()
    asks: Mapping[str, AskTook] = {}  # by the name of the question
    diff: str = ""  # of a code loop: what the best changed, against the baseline
    diff_cut: bool = False
    take: Weighed | None = None  # None where nobody weighed the runs, or there is no noise to weigh them for
    warnings: tuple[str, ...] = ()
