"""One experiment of a lab."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.api import burst, given, markup, opened, table
from lab.api.run import Run
from lab.api.trial import Trial
from lab.core.errors import BadInput
from lab.core.run import OUTCOMES
from lab.scheduler import decisions, inspect, unread
from lab.scheduler.results import choosing, export
from lab.scheduler.results import table as results
from lab.scheduler.search.burst import MOST_RUNS, Order
from lab.scheduler.search.plan import Search, Wanted
from lab.store import experiments

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.api.burst import Burst
    from lab.api.table import Table
    from lab.scheduler.results.table import Table as Results
    from lab.store.root import Root

_TOP, _MOST = 10, 2**31


class Experiment:
    """One experiment of a lab: `Lab.create` makes it, and `lab.Lab()["its-id"]` finds it.

    It holds nothing of what the lab says: that is read anew each time.
    """

    def __init__(self, data_root: str, name: str) -> None:
        self._data_root = data_root
        self._name = experiments.require(opened.root(data_root), name)
        self._last: tuple[Wanted, dict[str, str], Search] | None = None

    @property
    def id(self) -> str:
        """Its name, and that of its folder."""
        return self._name

    @property
    def path(self) -> str:
        """Its folder. `SPEC.yaml` in it is yours to edit; nothing else there is."""
        return opened.root(self._data_root).layout.experiment(self._name)

    @property
    def phase(self) -> str:
        """`queued`, `active`, `awaiting-human`, `paused`, `completed` or `archived`."""
        return self._results().view.phase

    def status(self) -> dict[str, object]:
        """Where it stands, as `labctl show ID --json` has it."""
        return inspect.experiment(opened.root(self._data_root), self._name).data

    # -- making runs -----------------------------------------------------------------------------------------------

    def run(  # what `labctl burst` may be asked for
        self,
        runs: int = 10,
        *,
        strategy: str = "",
        jobs: int = 1,
        seed: int | None = None,
        engine: str = "",
        resume: bool = False,
        tell: Callable[[str], object] | None = None,
    ) -> Burst:
        """Make runs back to back, as `labctl burst` does, and wait for them.

        The search goes on where the last one stopped, in whatever process that was. `strategy` is the SPEC's unless
        another one is named, else portfolio; `jobs` runs are made at the same time. With `resume`, `runs` counts what
        the search has done already. `tell` is called with one line an event: `tell=print` shows how it gets on.

        A failed run ends nothing. What refuses all of them is raised before the first one. Ctrl-C, or the interrupt of
        a notebook, ends the run under way and seals it as cancelled; then KeyboardInterrupt is raised, and the next
        call tries its parameters again. From another thread than the main one it cannot be interrupted.
        """
        if tell is not None and not callable(tell):
            raise BadInput(f"tell must be a function, not {type(tell).__name__}", fix="tell=print")
        order = Order(
            experiment=self._name,
            runs=given.whole("runs", runs, least=1, most=MOST_RUNS, fix="run(10)"),
            jobs=given.whole("jobs", jobs, least=1, most=MOST_RUNS, fix="jobs=2"),
            engine=given.text("engine", engine),
            resume=bool(resume),
        )
        return burst.made(self._data_root, order, _wanted(strategy, seed), tell)

    def trial(self, *, strategy: str = "", seed: int | None = None) -> Trial:
        """One run that this program makes itself, for an experiment that was created without a command.

        `with experiment.trial() as trial:` claims it; `trial.params` are what the search chose, `trial.report(loss=x)`
        tells what came of it, and the end of the block seals it. `Busy` where others have it, or it is paused or at its
        end; `Exhausted` where every point was tried.
        """
        wanted = _wanted(strategy, seed)
        return Trial(self._data_root, self._name, lambda root: self._searching(root, wanted))

    def pause(self, reason: str = "") -> None:
        """Start no more runs until `resume`. A run that is under way goes on to its end."""
        given.text("reason", reason)
        decisions.pause(opened.root(self._data_root), self._name, reason=reason, actor=opened.actor(self._data_root))

    def resume(self, reason: str = "") -> None:
        """Let runs start again after a pause, after the end, or after it waited for a person."""
        given.text("reason", reason)
        root = opened.root(self._data_root)
        decisions.resume(root, self._name, reason=reason, actor=opened.actor(self._data_root))
        foreseen = decisions.foreseen(root, self._name)
        opened.warn(filter(None, [foreseen, unread.changed(root, self._name)]))

    # -- reading ---------------------------------------------------------------------------------------------------

    def best(self, tier: str = "") -> Run:
        """The run to take, as `labctl best` recommends it. `LabError` when no run has a value.

        Of a noisy metric that is the run with the best expected value, not the luckiest number: `top(1)` is that one.
        """
        given.text("tier", tier)
        found = self._results()
        chosen = choosing.choose(opened.root(self._data_root), found, tier)
        opened.warn((*found.warnings, *chosen.warnings))
        lines = zip(found.lines, found.raw, strict=True)
        raw = next(raw for line, raw in lines if line.run_id == chosen.line.run_id)
        return Run(self._data_root, self._name, chosen.line, raw)

    def top(self, count: int = 10, *, tier: str = "") -> list[Run]:
        """The runs with the best values of one tier, best first; fewer, or none, where there are not so many."""
        count = given.whole("count", count, least=1, most=_MOST, fix=f"top({_TOP})")
        given.text("tier", tier)
        found = self._results()
        opened.warn(found.warnings)
        raw = {line.run_id: each for line, each in zip(found.lines, found.raw, strict=True)}
        ranked = results.ranked(found, results.tier_of(found, tier))[:count]
        return [Run(self._data_root, self._name, line, raw[line.run_id]) for line in ranked]

    def runs(self, *, outcome: str = "", tier: str = "") -> list[Run]:
        """The runs that have ended, in the order of history; of one outcome or tier, where it is named."""
        given.one_of("outcome", outcome, ("", *OUTCOMES))
        given.text("tier", tier)
        found = self._results()
        opened.warn(found.warnings)
        chosen = export.choose(found, tier)
        pairs = zip(chosen.lines, chosen.raw, strict=True)
        return [
            Run(self._data_root, self._name, line, raw) for line, raw in pairs if outcome in ("", line.outcome)
        ]  # fmt: skip

    def table(self, tier: str = "") -> Table:
        """The same as rows: `pandas.DataFrame(experiment.table())`. The columns are those of `labctl export`."""
        given.text("tier", tier)
        found = self._results()
        opened.warn(found.warnings)
        return table.of(export.choose(found, tier))

    def report(self, path: str | os.PathLike[str], *, replace: bool = False) -> str:
        """Write its report into one file, NAME.html or NAME.json, as `labctl report` does. Returns where it is."""
        place = opened.plain(path)
        ending = os.path.splitext(place)[1].lower()
        if ending not in (".html", ".htm", ".json"):
            what = f"a report is NAME.html or NAME.json, and {place} is neither"
            raise BadInput(what, fix="report('report.html')")
        if not replace and os.path.lexists(place):
            raise BadInput("this file is there already", where=place, fix="name another one, or replace=True")
        place = export.require_room(place, yes=replace, example="report.html")
        from lab.web import published  # noqa: PLC0415  # all the drawing: only for a report

        root = opened.root(self._data_root)
        if ending == ".json":
            made = published.as_json(root, self._name)
        else:
            made = published.experiment(root, self._name, pages=None, interactive=False)
        export.write(root, place, made.data, yes=replace)
        opened.warn(made.warnings)
        return place

    def _searching(self, root: Root, wanted: Wanted) -> Search:
        """The search of the last trial, which has read the history already, where nothing about it is another now."""
        seen = dict(root.world.environ)
        if self._last is None or self._last[:2] != (wanted, seen):
            self._last = (wanted, seen, Search(root, self._name, wanted))
        return self._last[2]

    def _results(self) -> Results:
        return results.read(opened.root(self._data_root), self._name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Experiment) and (other._name, other._data_root) == (self._name, self._data_root)

    def __hash__(self) -> int:
        return hash((self._name, self._data_root))

    def __repr__(self) -> str:
        return f"<Experiment {self._name} in {self._data_root}>"

    def _repr_html_(self) -> str:
        found = self._results()
        tier = found.view.tier
        ranked = results.ranked(found, tier)
        rows = [
            {"value": line.value, "run": line.run_id, "by": line.maker, **(line.params or {})} for line in ranked[:_TOP]
        ]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        metric = found.metric(tier) or "value"
        about = f"{self._name}: {found.view.phase}, {len(found.lines)} runs, {metric} to {found.direction(tier)}"
        luck = "; the first is partly luck: .best() is the run to take" if results.partly_luck(found, ranked) else ""
        return markup.table(columns, rows, f"{about}; the best in the tier {tier}{luck}")


def _wanted(strategy: str, seed: int | None) -> Wanted:
    return Wanted(strategy=given.text("strategy", strategy), seed=given.seed(seed))
