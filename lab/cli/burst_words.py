"""What burst, guided and swarm share: their arguments, how they tell of a run, and how they end."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from lab.cli import afar_words, burst_doubts
from lab.cli.parser import count, seconds, seed
from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session
    from lab.cli.signals import Signals
    from lab.cli.terminal import Terminal
    from lab.core.view import View
    from lab.scheduler.search.afar import Afar
    from lab.scheduler.search.burst import Burst
    from lab.scheduler.search.plan import Wanted
    from lab.scheduler.step import Step

_BAR = 20
_SHOWN_PARAMS = 6
_MINUTE_S, _HOUR_S = 60, 3600


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of each of them."""
    parser.add_argument("experiment", metavar="ID", help="the experiment")
    parser.add_argument("-n", "--iterations", type=count, default=10, metavar="N", help="how many runs (default 10)")
    parser.add_argument("--seed", type=seed, default=None, metavar="S", help="the seed of the search (else the SPEC's)")
    parser.add_argument("--search-space", default="", metavar="FILE", help="a JSON or YAML file with the search space")
    parser.add_argument("--pause", type=seconds, default=0.0, metavar="SECONDS", help="wait so long between two runs")
    parser.add_argument(
        "--resume", action="store_true", help="N counts what this search has done already: go on to that many"
    )
    parser.add_argument("--worker", default="", metavar="NAME", help="who this is, in claims (default: the verb)")
    # hermes-lab had it, and its default went against the SPEC.
    parser.add_argument(
        "--direction", default="", choices=("minimize", "maximize"), help="the SPEC says it; another one is refused"
    )


def jobs(parser: argparse.ArgumentParser) -> None:
    """How many at a time, and how long to wait for others."""
    parser.add_argument(
        "--wait", type=seconds, default=None, metavar="SECONDS",
        help="wait so long for whoever is at work on it, 0 not at all; exit code 3 (default: until they are done)",
    )  # fmt: skip
    parser.add_argument("-j", "--jobs", type=count, default=1, metavar="J", help="up to J runs at the same time")


def wanted(args: argparse.Namespace, **more: object) -> Wanted:
    """What a search is asked for."""
    import os

    from msgspec.structs import replace

    from lab.scheduler.search.plan import Wanted

    space = os.path.abspath(os.path.expanduser(args.search_space)) if args.search_space else ""
    return replace(Wanted(seed=args.seed, space=space), **more)


def ended(
    burst: Burst,
    teller: Teller,
    signals: Signals,
    session: Session,
    *,
    typed: argparse.Namespace,
    afar: Afar | None = None,
    **more: object,
) -> Answer:
    """What came of it. Raises what stopped it from outside."""
    from msgspec import to_builtins

    from lab.cli.typed_again import typed_again
    from lab.core.errors import BUSY, DONE, FAILED, Busy, Unavailable
    from lab.scheduler.step import failure, remedy, rested

    burst.look_again()
    teller.finish()
    if teller.trouble is not None:
        raise teller.trouble
    if signals.came():
        again = typed_again(typed, teller.verb, teller.left)
        raise afar_words.interrupted(
            burst, afar, again=again, verb=teller.verb, ran=teller.ran, cut=teller.cut, came=signals.came()
        )  # fmt: skip
    if isinstance(burst.refusal, (Busy, Unavailable)) and not teller.ran:
        raise burst.refusal
    steps = burst.turn.steps
    new = teller.best
    best = new or teller.others(burst)
    data: dict[str, object] = {
        "experiment": burst.order.experiment,
        "asked": burst.order.runs,
        "ran": teller.ran,
        "succeeded": teller.good,
        "failed": teller.failed,
        "best": None if best is None else to_builtins(best),
        "new_best": None if new is None else to_builtins(new),
        "stopped": burst.stopped,
        "steps": [to_builtins(each) for each in steps],
        **more,
    }
    warnings = [*burst.turn.warnings, *_behind(burst, session)]
    if session.terminal.as_json:  # a person heard it before
        warnings += [*burst_doubts.outside(burst), *burst_doubts.edited(session, burst)]
    text = [teller.summary()]
    if burst.stopped:
        text.append(f"stopped: {burst.stopped}")
    name = burst.order.experiment
    then = [f"labctl best {name}", f"labctl top {name}"] if teller.good else []
    rests = rested(steps)  # asked for runs it made none: no success, as of run-once --now
    code, why = (FAILED, failure(steps)) if burst.failed else (BUSY if rests else DONE, rests)
    fix = remedy(steps) if burst.failed else ""
    return Answer(data, text, warnings=warnings, then=then, exit_code=code, why=why, fix=fix)


def _behind(burst: Burst, session: Session) -> tuple[str, ...]:
    """Of a code loop: that its branch is not where it is said to be."""
    from lab.scheduler.loop import scripts

    if burst.spec is None or not scripts.is_loop(burst.spec):
        return ()
    from lab.scheduler.loop import branches

    return branches.of_experiment(session.root(), burst.order.experiment)


class Teller:
    """A line a run; on a terminal one line that is drawn anew, with the best so far, the counts and the time left."""

    def __init__(self, terminal: Terminal, verb: str, name: str, *, draws: bool = True) -> None:
        self.verb = verb
        self.ran = 0
        self.good = 0
        self.failed = 0
        self.trouble: Exception | None = None
        self._terminal = terminal
        self._name = name
        self.cut = 0
        self._total = 0
        self._tiers: tuple[str, ...] = ()
        self._minimized: dict[str, bool] = {}
        self._values: dict[str, float] = {}  # the best of each tier, those of earlier runs too
        self._bests: dict[str, Step] = {}  # the runs of ours that reached them
        self._begun_s = time.monotonic()
        self._draws = draws and sys.stderr.isatty() and not (terminal.quiet or terminal.as_json)
        self._drawn = False
        self._out: set[str] = set()  # the runs that engines have
        self._luck = ""
        self._burst: Burst | None = None
        self._seen: View | None = None  # what the best values were last taken from
        self._front_before: float | None = None

    def begin(self, burst: Burst, total: int) -> None:
        """What is to come, and what was the best before."""
        from lab.core import race

        self._total = total
        self._begun_s = time.monotonic()
        self._burst = burst
        if burst.spec is not None and burst.view is not None:
            self._tiers = burst.spec.fidelity_tiers
            self._minimized = race.minimized(burst.spec)
            self._luck = "partly luck" if burst.view.noisy(declared=burst.spec.noise) else ""
        self._learn()
        self._front_before = self._front()
        self._draw()

    def _learn(self) -> None:
        """The best values as of the last look at the lab: others work on the same history."""
        view = None if self._burst is None else self._burst.view
        if view is None or view is self._seen:
            return
        self._seen = view
        self._values = {tier: run.value for tier, run in view.bests.items() if run.value is not None}
        ours = self._bests.items()
        self._bests = {
            tier: step for tier, step in ours if tier in view.bests and view.bests[tier].run_id == step.run_id
        }

    def tell(self, step: Step) -> None:
        """Say what happened, if there is still somebody to say it to."""
        from lab.cli.terminal import NoOutput

        if self.trouble is not None:
            return
        try:
            self._say(step)
        except (OSError, NoOutput) as error:
            self.trouble = error

    def _say(self, step: Step) -> None:
        self._learn()
        if step.kind == "queued":
            self._out.add(step.run_id)
        else:
            self._out.discard(step.run_id)
        if step.kind == "ran":
            self._count(step)
            if not self._draws and not self._terminal.quiet:
                self._terminal.line(self._line(step))
        else:
            self._clear()
            what = _one_line(step.what)
            fix = f" - {_one_line(step.fix)}" if step.fix else ""
            if step.kind == "asking":
                self._terminal.narrate(f"asking {what} ...")
            elif step.kind == "settling":
                self._terminal.narrate(f"settling {step.experiment}: {what}")
            elif step.kind == "queued":
                if not self._draws:  # else they are a number in the line that is drawn
                    self._terminal.say(f"queued {step.run_id} {what}")
            elif step.kind in ("busy", "waiting", "noted"):
                self._terminal.say(f"{step.kind} {step.experiment}: {what}{fix}")
            elif step.kind == "problem" or not self._terminal.quiet:
                self._terminal.line(f"{step.kind} {step.experiment}: {what}{fix}")
        self._draw()

    def _count(self, step: Step) -> None:
        from lab.core.run import INTERRUPTED

        self.ran += 1
        self.cut += step.outcome == "cancelled" and step.what.startswith(INTERRUPTED)
        if step.outcome != "success" and step.verdict != "discard":
            self.failed += step.outcome != "cancelled"  # stopped early, or by a person: neither failed
            return
        self.good += 1
        if step.value is None or step.verdict not in ("", "keep"):  # a discard may have been lucky
            return
        best, less = self._values.get(step.tier), self._minimized.get(step.tier, False)
        if step.verdict or best is None or (step.value < best if less else step.value > best):
            self._values[step.tier], self._bests[step.tier] = step.value, step

    @property
    def left(self) -> int:
        """How many of the runs that were asked for are still to come; what was cut off is made again."""
        return max(0, self._total - self.ran + self.cut)

    def others(self, burst: Burst) -> Step | None:
        """The best run of the highest tier that has one, where it is none of ours."""
        from lab.scheduler import step

        bests = burst.view.bests if burst.view is not None else {}
        found = next((bests[tier] for tier in reversed(self._tiers) if tier in bests), None)
        return None if found is None else step.ran(found)

    @property
    def best(self) -> Step | None:
        """The best run of ours in the highest tier that it was the best of."""
        return next((self._bests[tier] for tier in reversed(self._tiers) if tier in self._bests), None)

    def _front(self) -> float | None:
        """The best value of the highest tier that has one: those of two tiers are not compared."""
        return next((self._values[tier] for tier in reversed(self._tiers) if tier in self._values), None)

    def _line(self, step: Step) -> str:
        mark = "*" if step is self._bests.get(step.tier) else " "
        ended = step.verdict or step.outcome
        value = ended if step.value is None else f"{step.value:.6g}{f' {step.verdict}' if step.verdict else ''}"
        tier = f" [{step.tier}]" if step.tier not in ("", "default") else ""
        why = f": {_one_line(step.what)}" if step.what else ""
        if step.chunk:  # its parameters are those of the chunk before, and not what changes
            named = f"{short(step.metric)} {value}" if step.metric and step.value is not None else value
            told = ", ".join(filter(None, [step.chunk, named, by(step).strip()]))
            return f"[{self.ran}/{self._total}]{mark}{tier} {told} ({step.wall_s:.1f}s){why}"
        return f"[{self.ran}/{self._total}]{mark} {value}{tier} {by(step)}{params(step)} ({step.wall_s:.1f}s){why}"

    def _draw(self) -> None:
        if not self._draws:
            return
        filled = _BAR * self.ran // max(self._total, 1)
        front = self._front()
        best = "-" if front is None else f"{front:.6g}"
        left = ""
        if self.ran:
            spent_s = time.monotonic() - self._begun_s
            left = f", {length(spent_s / self.ran * max(0, self._total - self.ran))} left"
        out = f", {len(self._out)} out" if self._out else ""
        bar = f"[{'#' * filled}{'.' * (_BAR - filled)}]"
        sys.stderr.write(f"\r\x1b[K{self._name} {bar} {self.ran}/{self._total} best {best}, {self.tally()}{out}{left}")
        sys.stderr.flush()
        self._drawn = True

    def _clear(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False

    def finish(self) -> None:
        """Take the drawn line away, and learn how it stands now."""
        self._learn()
        self._clear()

    def tally(self) -> str:
        """How many ended how."""
        stopped = self.ran - self.good - self.failed
        return f"{self.good} ok, {self.failed} failed" + (f", {stopped} stopped" if stopped else "")

    def summary(self) -> str:
        """One line about all of it."""
        spent = length(time.monotonic() - self._begun_s)
        runs = "1 run" if self.ran == 1 else f"{self.ran} runs"
        told = f"{runs} in {spent}: {self.tally()}"
        best, front = self.best, self._front()
        if best is not None:
            tier = f" in {best.tier}" if len(self._tiers) > 1 else ""
            names = (self._luck if self.good > 1 else "", best.run_id, by(best).strip() or "no search")
            return f"{told}; new best{tier} {best.value!r} ({', '.join(filter(None, names))})"
        luck = f" ({self._luck})" if self._luck else ""
        how = "still" if front == self._front_before else "now, by another,"
        return f"{told}; best {'none yet' if front is None else f'{how} {front!r}{luck}'}"


def by(step: Step) -> str:
    """Who chose the parameters."""
    if step.origin is None:
        return ""
    kind = f" {step.origin.kind}" if step.origin.kind not in ("", step.origin.maker) else ""
    return f"{step.origin.maker}{kind} "


def params(step: Step) -> str:
    """The parameters, shortened for a line."""
    given = step.params or {}
    shown = [f"{short(name)}={short(value)}" for name, value in list(given.items())[:_SHOWN_PARAMS]]
    return " ".join(shown) + (" ..." if len(given) > _SHOWN_PARAMS else "")


def short(value: object) -> str:
    """A value as a line shows it: what would break the line, or hide in it, is spelled out."""
    shown = f"{value:.4g}" if isinstance(value, float) else str(value)
    return shown if shown.isprintable() else ascii(shown)


def _one_line(words: str) -> str:
    """What a program or a model wrote must not look like a line of ours."""
    return " ".join(words.split())


def length(seconds: float) -> str:
    """A length of time in one unit or two."""
    if seconds < _MINUTE_S:
        return f"{seconds:.1f}s" if seconds < 10 else f"{seconds:.0f}s"  # noqa: PLR2004  # a tenth says nothing there
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f}m{seconds % _MINUTE_S:02.0f}s"
    return f"{seconds // _HOUR_S:.0f}h{seconds % _HOUR_S // _MINUTE_S:02.0f}m"
