"""The watch of a run that reports: whether it is hopeless beside the earlier runs of its tier, as its SPEC rules.

The earlier runs are read from the end of metrics.jsonl, so what it costs does not grow with history, and only when
the run has come so far that it can be judged. What cannot be read stops no run. A run outside the search space as it is
now is no measure of those inside, and a difference that is within the noise is none.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment, layout, noise, race
from lab.core.curve import Point, Track
from lab.core.launch import HOPELESS, Stop
from lab.core.origin import BASELINE, PERSON, REPLAY, Origin
from lab.core.run import FAILURES, MINIMIZE, SUCCESS
from lab.executors.report import Following
from lab.scheduler.search import spaces
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.manifest import Manifest
    from lab.core.space import Space
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.scheduler.cycle import Running
    from lab.store.root import Root

_COHORT_BYTES = 1 << 20  # of the end of metrics.jsonl: some hundreds of runs
_READ_EVERY_S = 2.0
_WITNESSES = 2  # degrees of freedom; one pair may be alike, or far apart, by chance
# A person asked for these, to see how they end.
_WANTED = (BASELINE, PERSON, REPLAY)


class _Line(msgspec.Struct, frozen=True, gc=False):
    outcome: str
    tier: str = "default"
    origin: Origin = Origin()
    value: float | None = None
    params: dict[str, object] | None = None
    report: tuple[Point, ...] = ()


def stopper(root: Root, spec: Spec, running: Running, view: View, path: str) -> Callable[[], Stop | None] | None:
    """What to ask about a run while it goes on; None for one that is not to be stopped early.

    `spec` is the one of the run's tier, `path` where the run writes.
    """
    manifest = running.manifest
    if spec.early_stop == race.NONE:
        return None
    origin = manifest.origin or Origin(seed=spec.seed or 0, number=manifest.iteration)
    if origin.kind in _WANTED:
        return None
    if race.spared(origin.seed or spec.seed or 0, origin.number, spec.unstopped_share):
        return None
    space, _ = spaces.shown(root, running.spec, view)
    return _Stopper(spec, _Earlier(root, spec, manifest, space), path)


class _Stopper:
    def __init__(self, spec: Spec, earlier: _Earlier, path: str) -> None:
        self._earlier = earlier
        self._report = Following(path)
        steps = spec.max_iterations_per_run
        self._judge = race.Judge(
            spec.early_stop,
            minimize=spec.metric_direction == MINIMIZE,
            eta=spec.reduction_factor,
            longest=float(steps) if steps > 1 else 0.0,
        )

    def __call__(self) -> Stop | None:
        try:
            points = self._report.more()
        except OSError:
            return None  # a disk that hiccups is no reason to end a run
        for step, value in points:
            why = self._judge.told(step, value, self._earlier)
            if why:
                return Stop(how=HOPELESS, why=why)
        return None


class _Earlier:
    """The cohort of a run, read again when the table has grown."""

    def __init__(self, root: Root, spec: Spec, manifest: Manifest, space: Space | None) -> None:
        self._path = root.layout.page(manifest.experiment, layout.METRICS_LOG)
        self._tier = manifest.fidelity_tier
        self._minimize = spec.metric_direction == MINIMIZE
        self._space = space
        self._is_noisy = spec.noise is not False
        self._size = -1
        self._read_s = -_READ_EVERY_S
        self._found = race.Cohort()

    def __call__(self) -> race.Cohort:
        now = time.monotonic()
        if now - self._read_s < _READ_EVERY_S:
            return self._found
        self._read_s = now
        size = reading.size_of(self._path)
        if size != self._size:
            self._size = size
            self._found = self._read()
        return self._found

    def _read(self) -> race.Cohort:
        tracks, longest = [], 0.0
        repeats: dict[object, list[float]] = {}
        for line in self._lines():
            # A failed run may have reported what it did not have: its zeros would stop everybody else.
            if (
                line.tier != self._tier
                or line.outcome in FAILURES
                or line.origin.kind == REPLAY
                or self._is_outside(line)
            ):
                continue
            if line.outcome == SUCCESS and line.value is not None and line.params is not None:
                repeats.setdefault(assignment.key(line.params), []).append(line.value)
            if not line.report:
                continue
            track = Track(line.report, minimize=self._minimize)
            tracks.append(track)
            if line.outcome == SUCCESS:
                longest = max(longest, track.end)
        known = (
            noise.repeated([each for each in repeats.values() if len(each) > 1]) if self._is_noisy else noise.Noise()
        )
        sigma = known.sigma if known.sigma is not None and known.df >= _WITNESSES else 0.0
        return race.Cohort(tracks=tracks, longest=longest, sigma=sigma)

    def _is_outside(self, line: _Line) -> bool:
        """Whether it was given what no run is given any more: another model, say, that is better throughout."""
        return self._space is not None and assignment.brought_over(self._space, line.params or {}) is None

    def _lines(self) -> list[_Line]:
        start = max(0, reading.size_of(self._path) - _COHORT_BYTES)
        try:
            lines = reading.read_from(self._path, start).splitlines()
        except OSError:
            return []
        if start:
            lines = lines[1:]
        decoder = msgspec.json.Decoder(_Line)
        found = []
        for line in lines:
            try:
                found.append(decoder.decode(line))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue  # the line is not whole yet
        return found
