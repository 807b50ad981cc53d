"""How a chunk is carried out: from its order to a saved state, once.

A state is saved when nothing is on its way to the service, and recorded as soon as the service said that it has it:
before anything is made of it, and before it is measured, so that what fails then loses no step. Killed at any moment,
the chunk is worth what was recorded: started again it does nothing twice if that was all of it, and begins again at the
order's state if not; its rows stay, for what they cost was paid.
"""

from __future__ import annotations

import math
import statistics
import time
import traceback
from typing import TYPE_CHECKING

import msgspec

from lab.core.chunk import MORE, Checkpoint
from lab.core.errors import BadInput, Interrupted, LabError
from lab.tinker import beforehand, paths, rows
from lab.tinker.data import Trouble
from lab.tinker.estimate import Purse, Spent, Tokens
from lab.tinker.job import Job
from lab.tinker.rows import Row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.core.chunk import Order
    from lab.tinker.place import Place, Stop
    from lab.tinker.rows import States
    from lab.tinker.session import Session
    from lab.tinker.telling import Telling
    from lab.tinker.training import Recipe

FINISHED, FAILED = 0, 1
SAVES_LIKE_OPENING = 3  # to save takes no longer, as a rule, than that many times what it took to open the model
LEAST_RESERVE_S = 3.0
MEASURES_LIKE_STEPS = 10  # how long `measure` takes is not known before


class Asked(Interrupted):
    """The chunk is to end, and has not begun anything that would have to be finished first."""


class Idle(BadInput):
    """A step trained nothing. The model is as it was before it."""


class Carrying:
    """One chunk under way."""

    def __init__(self, recipe: Recipe, place: Place, telling: Telling, stop: Stop) -> None:
        self.recipe, self.place, self.telling, self.stop = recipe, place, telling, stop
        self.order: Order = place.order
        told = rows.steps(place.folder)  # of an earlier start, where this run was begun before: it was paid
        self.purse = Purse(self.order, Tokens(trained=told.trained, sampled=told.sampled, prefilled=told.prefilled))
        self.job = Job(self.order, place.folders, self._opened, self._check)
        self.done: list[Row] = []
        self.session: Session | None = None
        self._opened_s = 0.0
        self._idle: Idle | None = None

    def run(self) -> int:
        """The exit code; raises what stopped it. However it ends, what was paid is written down."""
        trouble = ""
        try:
            return self._carried()
        except (Trouble, paths.Gone) as error:
            trouble = error.what
            raise
        finally:
            self._left_over(trouble)

    def _carried(self) -> int:
        saved = rows.states(self.place.folder)
        if saved.last is not None and saved.last.next_step > self.order.first_step:
            return self._already(saved.last)
        end = self.prepared()
        if end <= self.order.first_step:
            return self._only_measured(saved)
        beforehand.require(self.recipe, self.job, end, self.telling)
        self._opened()
        self._fix(saved)
        why = self._steps(end)
        self.job.enter(None)
        next_step = self.order.first_step + len(self.done)
        if not self.done:
            refused = beforehand.NoRoom if why == _SPENT else BadInput
            raise refused(f"no step was done: {why}", where=self.place.folder, fix=_MENDS.get(why, ""))
        final = next_step >= end
        state = self._saved(next_step, final=final)
        self.telling.say(f"steps {self.order.first_step} to {next_step}, saved as {state}; {why}")
        if self._idle is not None:
            raise self._idle
        self._metrics([row.metrics for row in self.done], {} if self._over() else self._measured())
        return FINISHED if final else MORE

    def prepared(self) -> int:
        """Where the training ends; what can be seen to be wrong is refused, and nobody is asked for it."""
        beforehand.refuse(self.recipe, self.place)
        self.recipe.prepare(self.job)
        return self._end()

    # -- before -------------------------------------------------------------------------------------------------

    def _already(self, last: Checkpoint) -> int:
        """This order was carried out by an earlier start of the same run."""
        told = rows.steps(self.place.folder).rows
        measured = next((row.measured for row in reversed(told) if row.measured), {})
        self._metrics([row.metrics for row in told], measured)
        self.telling.say(
            f"this chunk was already done, steps {self.order.first_step} to {last.next_step}; nothing is done twice"
        )
        return FINISHED if last.final else MORE

    def _end(self) -> int:
        length = self.recipe.length(self.job)
        end = self.order.until if length is None else min(self.order.until, length)
        if self.order.steps and (end < self.order.first_step or end < 1):
            what = f"there is no step {self.order.first_step}: the training has {end}"
            raise BadInput(what, where=self.place.folder, fix="give it more data, or more `steps`")
        self.job.end = end
        return end

    def _opened(self) -> Session:
        """The session with its model: made on the first call."""
        if self.session is not None:
            return self.session
        from lab.tinker import opening  # noqa: PLC0415  # loads the SDK: a second, and what is refused needs none

        begun_s = time.monotonic()
        session = opening.session(self.place, self.telling, self.purse, self._check)
        self.session = session
        order = self.order
        if order.first_step:
            session.load(order.state_path, optimizer=True)
        elif origin := order.state_path or self.recipe.origin(self.job):
            if paths.parse(origin, where="where the training begins").kind != paths.WEIGHTS:
                raise BadInput(f"{origin} is nothing that a training can begin from", fix="give a state_path")
            session.load(origin, optimizer=False)
        else:
            rank = self.job.whole("lora_rank", self.recipe.rank)
            session.begin(order.tuning.base_model, rank=rank, seed=order.seed)
        self._opened_s = time.monotonic() - begun_s
        return session

    def _fix(self, saved: States) -> None:
        """The models that stand still: those of the first chunk, whatever became of the policy since."""
        names = self.recipe.fixed
        if self.order.first_step:
            self.job.fixed = {name: self.order.fixed[name] for name in names}
            return
        given = {**self.order.fixed, **saved.fixed}
        if not all(name in given for name in names):
            given = dict(self.recipe.fix(self.job))
            wrong = [name for name in names if not paths.is_path(given.get(name, ""))]
            if wrong:
                raise BadInput(f"`fix` returned no path for {', '.join(wrong)}", fix="return one for each in `fixed`")
            given = {name: given[name] for name in names}
            if given:
                self.telling.checkpoint(
                    Checkpoint(name="fixed", next_step=0, model_run=self._opened().run, fixed=given)
                )
        self.job.fixed = {name: given[name] for name in names}

    # -- steps --------------------------------------------------------------------------------------------------

    def _steps(self, end: int) -> str:
        """Do them, and return why there are no more."""
        order = self.order
        for step in range(order.first_step, min(order.first_step + order.steps, end)):
            why = self._why_not(step)
            if why:
                return why
            try:
                self._step(step)
            except Asked as asked:
                return asked.what
            except Spent:
                return _SPENT
            except Idle as idle:
                if not self.done:
                    raise
                self._idle = idle
                return idle.what
            limit = order.tuning.kl_limit
            if limit is not None and (self.done[-1].kl or 0.0) > limit:
                return "its kl is above the limit of the SPEC"
        return (
            "all steps of the training are done" if order.first_step + len(self.done) >= end else "all that was asked"
        )

    def _step(self, step: int) -> None:
        session = self._opened()
        begun_s, waited_s = time.monotonic(), session.waiting.waited_s
        told = self._told(step)
        used = self.purse.since()  # of the first step with what fixing models took
        kl = told.pop("kl", None)
        row = Row(
            step=step,
            run=session.run,
            at=time.time(),
            step_s=round(time.monotonic() - begun_s, 6),
            wait_s=round(session.waiting.waited_s - waited_s, 6),
            trained=used.trained,
            sampled=used.sampled,
            prefilled=used.prefilled,
            kl=kl,
            metrics=self._numbers(told, step),
        )
        self.telling.row(row)
        self.telling.step(row)
        self._refuse_trouble(row)
        self.telling.report(step, row.metrics.get(self.recipe.metric, math.nan))
        self.purse.remember()
        self.done.append(row)

    def _told(self, step: int) -> dict[str, float]:
        """What the recipe's step says: one step of the optimizer is then in the model, and no more than one."""
        self.job.enter(step)
        self.purse.begin()
        try:
            told = dict(self.recipe.step(self.job, step))
        except Spent:
            if not self.job.has_trained:
                raise
            return {}  # it is in the model: what else it wanted to know is lost, and the step is not
        if not self.job.has_trained:
            fix = "call `job.train` in each; where nothing is to be learned, with data that pull at nothing (weight 0)"
            raise Idle(f"step {step} trained nothing, and would not be in the saved state", fix=fix)
        return told

    def _numbers(self, told: Mapping[str, float], step: int) -> dict[str, float]:
        numbers: dict[str, float] = {}
        for name, value in told.items():
            problem = rows.metric_problem(name)
            if problem:
                raise BadInput(f"a metric of step {step} cannot be called {name!r}: {problem}", fix="rename it")
            numbers[name] = float(value)
        return numbers

    @staticmethod
    def _refuse_trouble(row: Row) -> None:
        numbers = {**row.metrics, "kl": row.kl if row.kl is not None else 0.0}
        lost = [name for name, value in numbers.items() if not math.isfinite(value)]
        if lost:
            what = f"{', '.join(lost)} of step {row.step} {'is' if len(lost) == 1 else 'are'} not finite"
            raise Trouble(what)

    def _why_not(self, step: int) -> str:
        """Why the next step is not begun."""
        if self._over():
            return self._over()
        behind = beforehand.measured(self.recipe, self.job)
        if not self.purse.has_room(self.recipe.tokens(self.job, step), behind):
            return _SPENT
        ends_at = self.place.ends_at
        return _LATE if ends_at is not None and time.time() + self._needs_s() > ends_at else ""

    def _needs_s(self) -> float:
        """Another step, and all that comes behind the last one. Before the first, nothing is known of them."""
        if not self.done:
            return 0.0
        step_s = statistics.median(row.step_s for row in self.done)
        reserve_s = max(LEAST_RESERVE_S, SAVES_LIKE_OPENING * self._opened_s)
        return step_s * (1 + (MEASURES_LIKE_STEPS if self.recipe.measures else 0)) + reserve_s

    def _over(self) -> str:
        """Why the chunk is to end now, or an empty string."""
        if self.stop.is_asked:
            return _TOLD
        ends_at = self.place.ends_at
        return _UP if ends_at is not None and time.time() >= ends_at else ""

    def _check(self) -> None:
        """Called before anything new is asked of the service, and while it is waited for.

        A step that has trained is brought to its end: it cannot be left out of the state any more.
        """
        why = self._over()
        if why and not self.job.has_trained:
            raise Asked(why, where=self.place.folder, fix=_MENDS[why])

    def _left_over(self, trouble: str) -> None:
        """A row for what is in no other: what a step used that was not finished, or a measurement; and trouble."""
        used = self.purse.since()
        if not used.total and not trouble:
            return
        run = self.session.run if self.session is not None and used.total else ""
        step = self.order.first_step + len(self.done)
        self.telling.row(_more(Row(step=step, run=run, at=time.time(), trouble=trouble, unfinished=True), used))

    # -- after --------------------------------------------------------------------------------------------------

    def _saved(self, next_step: int, *, final: bool) -> str:
        """The path of the state. It is recorded before more is made of it, which is recorded in another row."""
        session = self._opened()
        name = paths.name_of(next_step)
        state = session.save_state(name, keep_s=None, about={"next_step": str(next_step)})
        record = Checkpoint(
            name=name, next_step=next_step, state_path=state, model_run=session.run, final=final,
            fixed=dict(self.job.fixed),
        )  # fmt: skip
        self.telling.checkpoint(record)
        if final:
            self.telling.checkpoint(msgspec.structs.replace(record, **self._made(session)))
        self._let_go(session)
        return state

    def _let_go(self, session: Session) -> None:
        """What two newer states follow ends by itself. Never the newest: a training that ended may be resumed."""
        try:
            if self.order.let_go and (days := self.order.tuning.keep_days):
                session.expire(self.order.let_go, days)
        except LabError as error:
            self.telling.complain(f"an earlier state is kept without an end: {error}")

    def _made(self, session: Session) -> dict[str, str]:
        """What the end of a training is for: a model to sample from, and files. Both can be made of the state later."""
        made: dict[str, str] = {}
        for field, save in (("sampler_path", session.save_sampler), ("external_path", session.save_external)):
            try:
                made[field] = save("final")
            except LabError as error:
                self.telling.complain(f"the last state is saved, and {field} is missing: {error}")
        return made

    def _measured(self) -> dict[str, float]:
        """What the chunk is worth. The state is saved: whatever goes wrong here costs this number, and no step."""
        try:
            measured = self._worth()
        except (Spent, Asked):
            return {}
        except LabError as error:
            self.telling.complain(f"the chunk is saved, and not measured: {error}")
            return {}
        except Exception:  # noqa: BLE001  # a recipe's own mistake: its trace is told, and what was paid is kept
            self.telling.complain(traceback.format_exc())
            return {}
        if measured:
            none = Row(step=self.order.first_step, run=self._opened().run, at=time.time(), unfinished=True)
            row = _more(self.done[-1] if self.done else none, self.purse.since())
            self.telling.row(msgspec.structs.replace(row, measured=measured))
        return rows.finite(measured)

    def _only_measured(self, saved: States) -> int:
        """What the end of a training is worth that has no step left: no step, and no new state."""
        step, path = self.order.first_step, self.order.state_path
        if self.recipe.measures:
            self._opened()
            self._fix(saved)
            self._metrics([], self._measured())
        else:
            what = "no step of the training is left, and the recipe has no `measure`"
            self.telling.complain(str(BadInput(what, fix="evaluate a download")))
        end = Checkpoint(name="end", next_step=step, state_path=path, model_run=paths.parse(path).run, final=True)
        self.telling.checkpoint(end)
        return FINISHED

    def _worth(self) -> dict[str, float]:
        told = self.recipe.measure(self.job)
        if told is None:
            return {}
        measured = self._numbers(told, self.order.first_step + len(self.done) - 1)
        if self.recipe.metric not in measured:
            fix = "return it, or make `measure` return None"
            raise BadInput(f"`measure` did not return the metric {self.recipe.metric}", fix=fix)
        return measured

    def _metrics(self, steps: Sequence[Mapping[str, float]], measured: Mapping[str, float]) -> None:
        """What the chunk is worth: as it was measured, or the mean of its last steps."""
        told = rows.means(steps)
        if self.recipe.measures and self.recipe.metric not in measured:
            told.pop(self.recipe.metric, None)  # it is told of data that was held out, or not at all
        for name, value in {**told, **measured}.items():
            self.telling.metric(name, value)


_TOLD, _UP = "it was told to end", "the run's time is up"
_SPENT, _LATE = "another step would pass the budget", "another step would pass the run's time"
_MENDS = {
    _UP: "raise time_budget",
    _SPENT: "raise budget_tokens or budget_cost, or make the steps smaller",
    _TOLD: "run it again",
    _LATE: "raise time_budget",
}


def _more(row: Row, used: Tokens) -> Row:
    """The same row with other tokens: a further row of a step adds to what was paid, and changes nothing else."""
    return msgspec.structs.replace(row, trained=used.trained, sampled=used.sampled, prefilled=used.prefilled)
