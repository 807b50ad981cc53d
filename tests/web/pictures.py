"""Pictures made by hand, for tests of what shows them."""

from __future__ import annotations

from lab.core.origin import Origin
from lab.core.subject import Finding
from lab.projections.picture.columns import Axis
from lab.projections.picture.given import UnderWay
from lab.projections.picture.importance import Importance, Weight
from lab.projections.picture.lineage import Lineage, Person
from lab.projections.picture.parameters import Parameters, Tried
from lab.projections.picture.run import Differs, Kept, Log, RunPage
from lab.projections.picture.spending import Arm, Improvement, Spending, Took
from lab.projections.picture.stairs import Band, Sample, Spot, Stairs, Step
from lab.projections.picture.timeline import Lane, Stretch, Timeline
from lab.projections.picture.whole import Best, Picture, PictureHead, RunRow

# A tag, a colour of terminals, a mark that turns the direction of writing, a NUL, quotes that could end an attribute.
HOSTILE = "<script>alert(1)</script>\x1b[31mred\x1b[0m \u202eevil\u202c \x00\"'><img src=x onerror=alert(2)>"
NUMBER_OF_RUNS = 40
_CRASHES = {7: "out of memory", 15: "out of memory", 23: "nan in the loss", 31: "no such file"}


def run_id(number: int) -> str:
    """The id of the run of that number."""
    return f"RUN-20260102-{3 + number // 60:02d}{number % 60:02d}00-000000-scout"


def value(number: int) -> float | None:
    return None if number in _CRASHES else round(1.0 / number + 0.01 * (number % 7), 6)


def spots(count: int, says: str) -> tuple[tuple[Spot, ...], tuple[Step, ...]]:
    """`count` runs, of which some improve."""
    found, steps, best = [], [], float("inf")
    for number in range(1, count + 1):
        here, kind = value(number), "discard"
        if here is None:
            kind = "crash"
        elif here < best:
            kind = "within" if best - here < 0.02 else "keep"
            words = says or f"lr {best:g} -> {here:g}"
            steps.append(Step(n=number, run_id=run_id(number), value=here, changed=words, within=kind == "within"))
            best = here
        found.append(
            Spot(n=number, run_id=run_id(number), kind=kind, value=here, says=says or _CRASHES.get(number, ""))
        )
    return tuple(found), tuple(steps)


def a_picture(count: int = NUMBER_OF_RUNS, *, says: str = "", experiment: str = "lr-sweep") -> Picture:
    """An experiment with so many runs. `says` stands wherever somebody else's words do."""
    marks, steps = spots(count, says)
    counts = {kind: sum(spot.kind == kind for spot in marks) for kind in ("keep", "within", "discard", "crash")}
    best = steps[-1] if steps else None
    whole = Sample(shown=count, total=count)
    words = says or "a learning rate that works"
    return Picture(
        head=PictureHead(
            experiment=experiment, goal=says or "find a learning rate", metric=says or "loss", direction="minimize",
            phase="active", phase_reason=says, tier="proxy", tiers=("proxy", "final"), strategy="portfolio",
            is_loop=False, as_of="2026-01-02T05:00:00.000000Z", runs=count,
            outcomes={"success": count - counts["crash"], "failed": counts["crash"]}, most_runs=100,
            baseline=1.0 if count else None, best=best.value if best else None, best_run=best.run_id if best else "",
            best_says=says, gain=0.5 if best else None, sigma=0.01,
            luck=(says or "2 improvements are within noise: luck alone would look as good",) if count else (),
        ),
        wants=(Finding(what=says or "waits for a person", where="experiments", fix="labctl approve lr-sweep-1"),)
        if count or says
        else (),
        under_way=(UnderWay(run_id=run_id(500), began="2026-01-02T04:59:00.000000Z", worker=says, tier="proxy"),)
        if count > 1
        else (),
        stairs=Stairs(
            experiment=experiment, tier="proxy", metric=says or "loss", direction="minimize", spots=marks, steps=steps,
            sample=whole, band=Band(sigma=0.01, width=0.02, source=says or "3 runs of the same") if count else None,
            counts=counts,
        ),
        other_tiers=(),
        best=Best(
            run_id=best.run_id, value=best.value, params={"lr": 0.003, says or "depth": says or 4}, says=words,
            diff=f"--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-lr = 0.1\n+lr = 0.003  # {words}\n",
        )
        if best
        else None,
        parameters=_parameters(count, says) if count > 1 else None,
        lineage=_lineage(count, whole, says) if count > 1 else None,
        timeline=_timeline(count, whole, says),
        spending=_spending(count, steps, says),
        arms=(_arm(says or "tpe", count, best), _arm("random", 0, None)) if count else (),
        rows=tuple(_row(spot, says) for spot in marks),
        rows_sample=whole,
        warnings=(says,) if says else (),
    )  # fmt: skip


def _row(spot: Spot, says: str) -> RunRow:
    return RunRow(
        n=spot.n, run_id=spot.run_id, kind=spot.kind, outcome="failed" if spot.kind == "crash" else "success",
        tier="proxy", value=spot.value, by=says or "tpe", began="2026-01-02T03:00:00.000000Z", wall_s=61.0,
        worker=says or "box", params=says or f"lr {spot.n / 1000:g}, depth 4", says=spot.says,
    )  # fmt: skip


def _parameters(count: int, says: str) -> Parameters:
    scored = [number for number in range(1, count + 1) if value(number) is not None]
    ranked = sorted(scored, key=lambda number: -(value(number) or 0.0))
    tried = tuple(
        Tried(
            run_id=run_id(number),
            value=value(number) or 0.0,
            at=(number / count, None if number % 5 == 0 else (number % 3) / 2),
            rank=ranked.index(number) / max(len(ranked) - 1, 1),
        )
        for number in scored
    )
    weights = (
        Weight(name="lr", share=0.7, low=0.5, high=0.8),
        Weight(name=says or "kind", share=0.1, low=0.0, high=0.2),
    )
    told = Importance(
        n=len(scored), weights=weights, method="a forest of trees", caveat=says or "it dwells near the best"
    )
    axes = (
        Axis(name="lr", low=0.0001, high=0.1, log=True),
        Axis(name=says or "kind", choices=("adam", says or "sgd", "lion")),
    )
    return Parameters(
        metric=says or "loss", direction="minimize", axes=axes, tried=tried,
        sample=Sample(shown=len(tried), total=len(tried)),
        best=run_id(ranked[-1]) if ranked else "", importance=told if len(scored) >= 20 else None,
        why_not="" if len(scored) >= 20 else "from 20 runs with a value",
    )  # fmt: skip


def _lineage(count: int, whole: Sample, says: str) -> Lineage:
    people = tuple(
        Person(
            run_id=run_id(number), kind="crash" if value(number) is None else "discard", n=number,
            parent=run_id(number // 2) if number > 1 else "", by=says or "evolution", value=value(number), says=says,
            delta=0.1, on_path=number in (1, 2, 4, 8, 17, 34),
        )
        for number in range(1, count + 1)
    )  # fmt: skip
    return Lineage(people=people, sample=whole, depth=6)


def _timeline(count: int, whole: Sample, says: str) -> Timeline:
    stretches = tuple(
        Stretch(
            run_id=run_id(number), kind="crash" if value(number) is None else "discard", start_s=90.0 * number,
            end_s=90.0 * number + 61.0, says=says,
        )
        for number in range(1, count + 1)
    )  # fmt: skip
    lanes = (Lane(worker=says or "box", stretches=stretches, busy_s=61.0 * count),) if count else ()
    began = "2026-01-02T03:00:00.000000Z" if count else ""
    return Timeline(began=began, length_s=90.0 * (count + 1), lanes=lanes, sample=whole, idle_s=29.0 * count)


def _spending(count: int, steps: tuple[Step, ...], says: str) -> Spending:
    took = Took(runs=4, hours=0.07, tokens=1200, usd=0.2)
    return Spending(
        total=Took(runs=count, hours=0.017 * count, tokens=None, usd=1.5 if count else None),
        improvements=tuple(
            Improvement(
                n=step.n, run_id=step.run_id, value=step.value, took=took, changed=step.changed,
                unsure="within noise" if step.within else "",
            )
            for step in steps
        ),
        since=Took(runs=2, hours=0.03),
        wasted=Took(runs=4, hours=0.06),
        remarks=(says or "what the tokens were is not known",),
    )  # fmt: skip


def _arm(name: str, runs: int, best: Step | None) -> Arm:
    return Arm(
        name=name, runs=runs, scored=runs, failed=0, improvements=3, best=best.value if best else None,
        best_run=best.run_id if best else "", took=Took(runs=runs, hours=0.5),
    )  # fmt: skip


def a_run_page(number: int, *, says: str = "", experiment: str = "lr-sweep") -> RunPage:
    """The page of that run."""
    here = value(number)
    return RunPage(
        run_id=run_id(number), experiment=experiment, state="sealed",
        outcome="success" if here is not None else "failed",
        value=here, metric=says or "loss", direction="minimize", tier="proxy", role="scout", iteration=number,
        started_at="2026-01-02T03:00:00.000000Z", ended_at="2026-01-02T03:01:01.000000Z", wall_s=61.0,
        worker=says or "box", reason=says or _CRASHES.get(number, ""), note=says, origin=Origin(strategy=says or "tpe"),
        params={"lr": 0.01, says or "kind": says or "adam"}, against=run_id(36),
        differs=(Differs(name="lr", here=0.01, there=0.003), Differs(name=says or "k", here=says, has=(True, False))),
        alike=3, plan=f"# Plan\n\n{says or 'try it'}\n", result=f"# Result\n\n{says or 'it went well'}\n",
        diff=f"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+2 {says}\n", metrics={says or "loss": here, "steps": 100},
        logs={"stdout": Log(size=2_000_000, lines=("step 1", f"step 2 {says}"), cut=True), "stderr": Log()},
        files=(
            Kept(name=says or "params.json", size=12, sha256="a" * 64), Kept(name="x", size=3000, sha256="b" * 64)
        ),
        files_left_out=2, generation=3, sealed_at="2026-01-02T03:01:02.000000Z", sealed_by=says or "box",
        seal_sha256="c" * 64, revision="abc1234", seed=7, problems=(says,) if says else (),
    )  # fmt: skip
