"""What a code loop knows, folded from its runs: the baseline, the noise, what is to be beaten, and what was spent.

Its size does not grow with history. Where a fact needs every run (has this change been tried?), the bundles are asked.
"""

import math

import msgspec

from lab.core.candidate import BASELINE, CHECKS_FAILED, CRASHED, DEBUG, DISCARD, KEEP, Candidate
from lab.core.noise import Noise, gain, joined, mean, pooled
from lab.core.run import MINIMIZE, Run

NODES = 12  # near misses that a later candidate may begin from, or be combined from
KEEPS = 20  # what was kept last, for pages and for going back
WILD = 16.0  # times the known variance: more does not count, of the repeats of what was discarded
SAMPLE = 100  # measured values that the peers' confidence is computed from: the newest ones
WINDOW = 8  # measurements of the incumbent that its level is the mean of, about
DEBUGS = 2  # repairs of repairs of a change that crashes
DRIFTED, TRUSTED = 4.0, 8  # sigmas of a mean, once the noise has so many degrees of freedom: chance rarely gets there
OUTRUN = 0.5  # the share of the gain that the hidden measurement does not show
METRIC_DRIFT, HOLDOUT_GAP = "metric_drift", "holdout_gap"
_SIMPLER = "improve-or-simpler"
_REPAIRED = frozenset({"", "syntax", "import", "other"})  # a time-out or a lack of memory is no slip of the pen


class Node(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A commit that a candidate may begin from."""

    run_id: str
    commit: str
    value: float | None = None
    gain: float | None = None  # over what was to be beaten then
    note: str = ""
    lines: int = 0  # against the baseline
    children: int = 0  # candidates that began here
    kept: bool = False
    crash: str = ""
    depth: int = 0  # how many repairs in a row it is


class Loop(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The state of one code loop in one tier."""

    base: Node | None = None  # the code as it was found
    best: Node | None = None  # what is to be beaten: the last that was kept
    peak: float | None = None  # the best confirmed value; what was kept for being simpler is held against it
    noise: Noise = Noise()
    evaluator: str = ""  # digest of the files that measure, as the baseline had them
    commands: str = ""  # and of the commands
    candidates: int = 0  # the baseline's runs apart
    kept: int = 0
    simpler: int = 0  # of those, for having fewer lines
    unconfirmed: int = 0  # of those, as better, and no test said so
    discarded: int = 0
    crashed: int = 0
    failed_checks: int = 0
    tests: int = 0  # how many times part of the session's alpha was spent
    alpha: float = 0.0  # how much of it is spent: by tests that confirmed nothing
    risk: float = 0.0  # alpha of all tests together: no more false keeps are to be expected
    unkept: int = 0  # candidates in a row that were not kept
    stale: int = 0  # measured candidates since the last confirmed gain
    unseen: int = 0  # measured candidates since the incumbent was last measured
    level: float | None = None  # what the incumbent measures lately
    seen: int = 0  # by how many measurements, WINDOW at most
    repeats: int = 0  # measurements that the best's value is the mean of
    tokens: int = 0
    drift: float | None = None  # by how much the incumbent's last measurements differ from its first, in sigmas
    held: float | None = None  # the hidden measurement of the baseline
    gap: float | None = None  # the share of the gain on the metric that the hidden measurement does not show
    nodes: tuple[Node, ...] = ()
    keeps: tuple[Node, ...] = ()  # since the baseline, the newest last
    sample: tuple[float, ...] = ()  # values since the baseline


def fold(before: Loop | None, run: Run, candidate: Candidate) -> Loop:
    """The state after this run too. The given state is left as it was."""
    loop = msgspec.structs.replace(before) if before is not None else Loop()
    loop.tokens += candidate.tokens
    _spend(loop, candidate)
    if candidate.kind == BASELINE:
        if run.verdict == KEEP and run.value is not None:
            _begin(loop, run, candidate)
        return loop
    if not run.verdict:  # cancelled, or ended with the lab: what it took is counted, and nothing was learned
        return loop
    loop.candidates += 1
    parent = _child(loop, candidate.parent)
    node = _node(loop, run, candidate, parent)
    if run.value is not None:
        loop.sample = (*loop.sample, run.value)[-SAMPLE:]
        loop.unseen += 1
        loop.stale += 1
    _measure(loop, run, candidate)
    loop.unkept = 0 if run.verdict == KEEP else loop.unkept + 1
    if run.verdict == KEEP:
        _keep(loop, run, candidate, node)
    elif run.verdict == DISCARD:
        loop.discarded += 1
        if candidate.gain is not None and candidate.gain > 0 and candidate.commit:
            loop.nodes = (*loop.nodes, node)[-NODES:]
    elif run.verdict == CHECKS_FAILED:
        loop.failed_checks += 1
    else:
        loop.crashed += 1
        if candidate.commit and candidate.crash in _REPAIRED and node.depth < DEBUGS:
            loop.nodes = (*loop.nodes, node)[-NODES:]
    return loop


def node_of(loop: Loop, run_id: str, commit: str) -> Node:
    """The commit of a run, with what is still known of it."""
    there = (loop.best, loop.base, *loop.keeps, *loop.nodes)
    found = next((node for node in there if node is not None and node.run_id == run_id), None)
    return found or Node(run_id=run_id, commit=commit)


def gained(run: Run) -> bool:
    """Whether it was kept for being better. What was kept for being simpler is no progress on the metric."""
    about = run.candidate
    return run.verdict == KEEP and about is not None and about.kind != BASELINE and about.rule != _SIMPLER


def alarms(loop: Loop) -> tuple[str, ...]:
    """What a person should look at, in the words of `escalate_when`."""
    found = []
    if loop.drift is not None and abs(loop.drift) > DRIFTED and loop.noise.df >= TRUSTED:
        found.append(METRIC_DRIFT)
    if loop.gap is not None and loop.gap > OUTRUN:
        found.append(HOLDOUT_GAP)
    return tuple(found)


def _begin(loop: Loop, run: Run, candidate: Candidate) -> None:
    """A baseline: what is compared with what was measured before it is gone; what was spent stays spent."""
    node = Node(run_id=run.run_id, commit=candidate.commit or candidate.base, value=run.value, kept=True)
    loop.base = loop.best = node
    loop.peak = loop.level = run.value
    loop.noise = pooled(Noise(), candidate.values)
    loop.seen = loop.repeats = max(len(candidate.values), 1)
    loop.seen = min(loop.seen, WINDOW)
    loop.evaluator, loop.commands, loop.held = candidate.evaluator, candidate.commands, candidate.holdout
    loop.unkept = loop.stale = loop.unseen = 0
    loop.drift = loop.gap = None
    loop.nodes = loop.keeps = ()
    loop.sample = () if run.value is None else (run.value,)


def _spend(loop: Loop, candidate: Candidate) -> None:
    """A test that confirmed a gain gives its alpha back: only those that did not can have been of nothing."""
    if not candidate.alpha:
        return
    loop.risk = round(loop.risk + candidate.alpha, 12)
    if candidate.p is None or candidate.p > candidate.alpha:
        loop.tests += 1
        loop.alpha = loop.alpha + candidate.alpha


def _child(loop: Loop, parent: str) -> Node | None:
    """The node that a candidate began at, one child richer; None where it is not remembered."""
    found = None

    def richer(node: Node) -> Node:
        nonlocal found
        if node.run_id != parent:
            return node
        found = msgspec.structs.replace(node, children=node.children + 1)
        return found

    loop.base = richer(loop.base) if loop.base else None
    loop.best = richer(loop.best) if loop.best else None
    loop.nodes = tuple(richer(node) for node in loop.nodes)
    loop.keeps = tuple(richer(node) for node in loop.keeps)
    return found


def _node(loop: Loop, run: Run, candidate: Candidate, parent: Node | None) -> Node:
    begun = parent or loop.best
    return Node(
        run_id=run.run_id,
        commit=candidate.commit,
        value=run.value,
        gain=candidate.gain,
        note=run.note,
        lines=candidate.lines + (begun.lines if begun else 0),
        kept=run.verdict == KEEP,
        crash=(candidate.crash or "other") if run.verdict == CRASHED else "",
        depth=(parent.depth + 1 if parent else 1) if candidate.kind == DEBUG else 0,
    )


def _measure(loop: Loop, run: Run, candidate: Candidate) -> None:
    """What its pairs say of the noise and of the incumbent, whatever became of it."""
    mine, theirs = candidate.values[1:], candidate.against
    best = loop.best
    if not theirs or best is None or best.value is None:
        return
    if loop.noise.none:  # also by what selected it: one that differs from its own repeats is how noise is first seen
        mine, theirs_too = candidate.values, (best.value, *theirs)
    else:
        theirs_too = theirs
    loop.noise = pooled(loop.noise, theirs_too)
    own, known = pooled(Noise(), mine), loop.noise
    if run.verdict != KEEP and known.ss > 0:  # one wild change that is gone again would hide every later gain
        own = Noise(df=own.df, ss=min(own.ss, WILD * own.df * known.ss / known.df))
    loop.noise = joined(known, own)
    sigma, count = loop.noise.sigma or 0.0, len(theirs)
    off = gain(theirs, (best.value,), minimize=run.direction == MINIMIZE)
    error = sigma * math.sqrt(1 / count + 1 / max(loop.repeats, 1))
    if error > 0:
        loop.drift = _finite(off / error)
    level = best.value if loop.level is None else loop.level
    share = count / (loop.seen + count)
    loop.level = level * (1 - share) + mean(theirs) * share  # in parts: a sum of large values could be infinite
    loop.seen = min(loop.seen + count, WINDOW)
    loop.unseen = 0


def _keep(loop: Loop, run: Run, candidate: Candidate, node: Node) -> None:
    loop.kept += 1
    loop.best = node
    loop.keeps = (*loop.keeps, node)[-KEEPS:]
    loop.level = run.value
    loop.repeats = max(len(candidate.values) - 1 if candidate.against else 1, 1)
    loop.seen, loop.unseen = min(loop.repeats, WINDOW), 0
    if gained(run):
        loop.peak, loop.stale = run.value, 0
        loop.unconfirmed += candidate.p is None
    else:
        loop.simpler += 1
    if candidate.holdout is not None:
        loop.gap = _gap(loop, run, candidate.holdout)


def _gap(loop: Loop, run: Run, holdout: float) -> float | None:
    """None while the gains differ by no more than the noise of such a difference."""
    if loop.base is None or loop.base.value is None or run.value is None or loop.held is None:
        return None
    minimize = run.direction == MINIMIZE
    seen = gain((run.value,), (loop.base.value,), minimize=minimize)
    hidden = gain((holdout,), (loop.held,), minimize=minimize)
    if seen <= 0 or seen - hidden <= 2 * math.sqrt(2) * (loop.noise.sigma or 0.0):
        return None
    return _finite((seen - hidden) / seen)


def _finite(number: float) -> float | None:
    """An infinite number could not be written into a page."""
    return number if math.isfinite(number) else None
