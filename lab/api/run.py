"""One run that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from lab.api import given, markup, opened
from lab.projections.tables import OURS
from lab.scheduler.results import located, tailed

if TYPE_CHECKING:
    from lab.projections.tables import Line

_MOST_LINES = 10_000


class Run:
    """One run that has ended, as its experiment's table tells of it. Its bundle is read only where that is said."""

    def __init__(self, data_root: str, experiment: str, line: Line, raw: bytes) -> None:
        self._data_root = data_root
        self._line = line
        self._raw = raw
        self._experiment = experiment

    @property
    def id(self) -> str:
        """Its name, such as `RUN-20261121-093000-000000-scout`."""
        return self._line.run_id

    @property
    def experiment(self) -> str:
        """The id of its experiment."""
        return self._experiment

    @property
    def outcome(self) -> str:
        """How it ended: `success`, `failed`, `timeout`, `crash` or `cancelled`."""
        return self._line.outcome

    @property
    def verdict(self) -> str:
        """Of a code loop: `keep`, `discard`, `crash` or `checks_failed`; else empty."""
        return self._line.verdict

    @property
    def value(self) -> float | None:
        """What it was worth. None unless it succeeded: never 0."""
        return self._line.value

    @property
    def tier(self) -> str:
        """The tier that it ran in. Values of two tiers are not to be compared."""
        return self._line.tier

    @property
    def params(self) -> dict[str, object]:
        """The parameters that it was given; empty where it was given none."""
        return dict(self._line.params or {})

    @property
    def metrics(self) -> dict[str, object]:
        """Everything that it measured, by name."""
        told = msgspec.json.decode(self._raw, type=dict[str, object])
        return {name: value for name, value in told.items() if name not in OURS}

    @property
    def wall_s(self) -> float:
        """How long it took, in seconds."""
        return self._line.ran.wall_s

    @property
    def note(self) -> str:
        """A line of what is said of it; of a run without a value, first why."""
        return self._line.ran.said

    @property
    def chosen_by(self) -> str:
        """Which strategy, or who else, chose its parameters; empty where nobody searched."""
        return self._line.maker

    @property
    def path(self) -> str:
        """The folder of its bundle, or the archive that has it. Looks for it on the disk."""
        return located.find(opened.root(self._data_root), self.id).path

    def log(self, stream: Literal["stdout", "stderr"] = "stdout", *, lines: int = 1000) -> str:
        """The last lines of what it wrote. Of a progress bar the last state is there.

        `LabError` when the run is in an archive: it says which command brings it back.
        """
        given.one_of("stream", stream, tailed.STREAMS)
        lines = given.whole("lines", lines, least=1, most=_MOST_LINES, fix="lines=1000")
        root = opened.root(self._data_root)
        return "\n".join(tailed.of(root, tailed.bundle(root, self.id), stream, lines).lines)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and (other.id, other._data_root) == (self.id, self._data_root)

    def __hash__(self) -> int:
        return hash((self.id, self._data_root))

    def __repr__(self) -> str:
        value = "no value" if self.value is None else repr(self.value)
        return f"<Run {self.id}: {self.verdict or self.outcome}, {value}>"

    def _repr_html_(self) -> str:
        told = [("experiment", self.experiment), ("outcome", self.outcome), ("value", self.value), ("note", self.note)]
        params = ((f"params.{name}", value) for name, value in self.params.items())
        return markup.pairs(self.id, [*told, *params])
