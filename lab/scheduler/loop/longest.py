"""How many steps a candidate may take, as its SPEC says it: each of them has a budget of its own.

For who must say beforehand how long a run takes, such as an engine. A candidate that others overtake again and again,
or that crashes in more than one way that can be mended, may take more; that is rare, and a job would ask for days.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import verdict

if TYPE_CHECKING:
    from lab.core.spec import Spec

_STALE = 1  # the pair that is measured first where the best has not been measured for long


def steps_of(spec: Spec) -> int:
    """For the baseline or a candidate, whichever takes more. `spec` is a code loop's, with its tier applied."""
    setup = 1 if spec.setup_command else 0
    tree = setup + 1  # setup, and the checks or what warms it
    hidden = setup + 1 if spec.holdout_command else 0
    baseline = tree + 1 + spec.baseline_repeats + hidden
    made = setup + 1  # by a command or an agent
    mended = 1 + tree + 1  # made again after a crash, or measured with half the batch
    compared = setup + 1 + 2 * _pairs(spec)  # the tree of what is to be beaten, and both in turns
    overtaken = compared if spec.max_parallel > 1 else 0
    return max(baseline, made + tree + 1 + mended + compared + overtaken + hidden)


def _pairs(spec: Spec) -> int:
    terms = verdict.terms(spec)
    if terms.rule == verdict.IMPROVE:
        return 0
    return _STALE + verdict.STRIDE + max(terms.max_pairs, verdict.STRIDE)
