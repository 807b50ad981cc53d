"""What a picture is made from, read from the pages, the claims, and the questions to models. Writes no page.

What is missing or damaged beside the pages is told in the picture, and keeps nobody from the rest of it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.errors import Corrupt, LabError, Unavailable
from lab.projections import index, status
from lab.projections.picture.given import LOST, RUNNING, WAITING, AskTook, Given, UnderWay, Weighed
from lab.scheduler.placing import placed
from lab.scheduler.results import choosing, table
from lab.scheduler.search import spaces
from lab.scheduler.search.asking import asks
from lab.store import bundles, leases, reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lab.core.claim import Claim
    from lab.core.loop import Loop
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.projections.index import Index
    from lab.projections.tables import Line
    from lab.scheduler.results.table import Table
    from lab.store.root import Root

DIFF_BYTES = 64 * 1024
MOST_ASKS = 2_000  # files that are read; of more questions, the newest
_WEIGHED_BY = {choosing.EXPECTED: "a model of all runs", choosing.AVERAGE: "the mean of its repeats"}
_PATCH = f"{layout.ARTIFACTS}/diff.patch"


def read(root: Root, name: str, *, with_diff: bool = True, with_take: bool = False) -> Given:
    """An experiment as it stands. `Unavailable` only where its pages have to be written again first.

    The diff of a code loop's best may ask git; who does not show it leaves it out. The run to take is asked of a model
    of all runs, as by `labctl best`: 0.1 s and more, and only where numpy is installed.
    """
    found = table.read(root, name)
    view, spec = found.view, found.spec
    state = status.fold_state(reading.read(root.layout.status(name)) or b"")
    space, trouble = spaces.shown(root, spec, view)
    asked, missing = _asked(root, view)
    diff, cut, doubt = _diff(root, spec, view, found.lines) if with_diff else ("", False, ())
    under_way, unsure = unsealed(root, name)
    return Given(
        view=view,
        spec=spec,
        space=space,
        lines=found.lines,
        findings=tuple(dict.fromkeys((*(state.findings if state else ()), *found.findings, *trouble))),
        under_way=under_way,
        asks=asked,
        diff=diff,
        diff_cut=cut,
        take=_weighed(root, found) if with_take else None,
        warnings=(*found.warnings, *missing, *doubt, *unsure),
    )


def lab(root: Root) -> Index:
    """The experiments of the lab, a row each. `Unavailable` where the index has to be written again first."""
    path = root.layout.index
    found = index.parse(reading.read(path) or b"")
    if found is None:
        what = "the index of the lab is damaged" if os.path.lexists(path) else "the index of the lab is missing"
        raise Unavailable(what, where=path, fix="labctl refresh writes it again")
    return found


def _weighed(root: Root, found: Table) -> Weighed | None:
    """The run to take, where the number alone does not say it. What it rests on is told to so many digits as it has."""
    if len(found.lines) > choosing.MOST_WEIGHED:
        return None
    try:
        chosen = choosing.choose(root, found)
    except LabError:  # no run has a value, or none of its tier
        return None
    how = _WEIGHED_BY.get(chosen.how)
    if how is None or chosen.mean is None or chosen.sd is None or chosen.noise is None:
        return None
    return Weighed(
        run_id=chosen.line.run_id,
        how=how,
        expected=_rounded(chosen.mean),
        sd=_rounded(chosen.sd),
        noise=_rounded(chosen.noise),
        modelled=None if chosen.measured.modelled is None else _rounded(chosen.measured.modelled),
    )


def _rounded(number: float) -> float:
    """The last digits are those of a machine's library, and no picture is to differ by them."""
    return float(f"{number:.4g}")


class _Took(msgspec.Struct, frozen=True, kw_only=True):
    """What an `Asked` of the store says of its cost; the exchange itself, which may be megabytes, is passed over."""

    calls: int = 0
    usd: float | None = None
    sent: int | None = None
    answered: int | None = None


_decoder = msgspec.json.Decoder(_Took)


def _asked(root: Root, view: View) -> tuple[dict[str, AskTook], tuple[str, ...]]:
    """What each question to a model took. No file is looked at where nobody asked."""
    highest = view.model.asks
    first = max(highest - MOST_ASKS, 0) + 1
    found: dict[str, AskTook] = {}
    damaged: list[str] = []
    for name in map(asks.name, range(first, highest + 1)):
        path = root.layout.ask(view.experiment, name)
        try:
            data = reading.read_head(path, asks.MOST_BYTES)
            if data is not None:  # else its asker has no answer yet, or died: what was set aside is in the view
                found[name] = _took(_decoder.decode(data))
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            damaged.append(name)
    warnings = []
    if first > 1:
        warnings.append(f"of {highest} questions to models, what the last {MOST_ASKS} took was read")
    if damaged:
        warnings.append(f"{_few(damaged)} cannot be read, and what was asked there is not counted: labctl verify")
    return found, tuple(warnings)


def _took(told: _Took) -> AskTook:
    tokens = None if told.sent is None and told.answered is None else (told.sent or 0) + (told.answered or 0)
    return AskTook(calls=told.calls, tokens=tokens, usd=told.usd)


def _few(names: list[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{', '.join(names[:shown])}{more}"


def unsealed(root: Root, name: str) -> tuple[tuple[UnderWay, ...], tuple[str, ...]]:
    """The runs that have a claim and no seal, in the order in which they were claimed."""
    try:
        survey = leases.survey(root, name)
    except (LabError, OSError) as trouble:
        return (), (f"it is not known what is under way: {trouble}",)
    found = [(held.seen.claim, RUNNING) for held in survey.held]
    found += [(lost.seen.claim, LOST) for lost in survey.lost]
    found += [(each.claim, LOST) for each in survey.unsettled]
    told = tuple(_out(root, found))
    unreadable = len(survey.damaged)
    return told, (f"claims that cannot be read: {unreadable}; labctl lease show {name}",) if unreadable else ()


def _out(root: Root, found: Iterable[tuple[Claim, str]]) -> Iterator[UnderWay]:
    for claim, state in sorted(found, key=lambda each: each[0].generation):
        if not claim.run_id or reading.is_file(f"{root.layout.run(claim.experiment, claim.run_id)}/{layout.SEAL}"):
            continue  # it is sealed, and its claim is about to go
        yield _of_engine(root, claim, state) if claim.engine else _here(root, claim, state)


def _here(root: Root, claim: Claim, state: str) -> UnderWay:
    began, worker, tier = claim.claimed_at, claim.owner.host.partition("/")[0], ""
    try:
        manifest = bundles.load_manifest(root.layout.run(claim.experiment, claim.run_id))
    except (Corrupt, OSError):
        manifest = None  # `labctl verify` names it
    if manifest is not None:
        began, tier = manifest.started_at or began, manifest.fidelity_tier
        worker = manifest.machine or worker
    return UnderWay(run_id=claim.run_id, state=state, began=began, worker=worker, tier=tier)


def _of_engine(root: Root, claim: Claim, state: str) -> UnderWay:
    told = _here(root, claim, state)
    try:
        at = placed.state(root, claim)
    except (LabError, OSError):
        return told  # a later labctl's
    waits = state == RUNNING and at.state == placed.WAITS
    return msgspec.structs.replace(
        told,
        state=WAITING if waits else state,
        began=at.since or told.began,
        worker="" if waits else told.worker or at.where,
        where=placed.line(at),
    )


def _diff(root: Root, spec: Spec | None, view: View, lines: Sequence[Line]) -> tuple[str, bool, tuple[str, ...]]:
    """What the best of a code loop changed against the baseline, whether that was cut, and what is not sure of it."""
    loop = view.loop
    if loop is None or loop.base is None or loop.best is None or loop.best.run_id == loop.base.run_id:
        return "", False, ()
    run_id, parent = loop.best.run_id, _parent(lines, loop.best.run_id)
    sealed = _sealed_patch(root, view.experiment, run_id)
    if sealed is not None and parent == loop.base.run_id:
        return *_text(sealed), ()
    seen, why = _from_git(root, spec, view, loop)
    if seen is not None:
        return *seen, ()
    if sealed is None:
        return "", False, (f"what the best changed cannot be shown: {run_id} has no patch as it was sealed, and {why}",)
    doubt = f"{why}: what {run_id} changed is shown against {parent or 'its parent'}, not against the baseline"
    return *_text(sealed), (doubt,)


def _parent(lines: Sequence[Line], run_id: str) -> str:
    """The run that this one began at; empty where that is not known."""
    line = next((line for line in reversed(lines) if line.run_id == run_id), None)
    return line.candidate.parent if line is not None and line.candidate is not None else ""


def _sealed_patch(root: Root, name: str, run_id: str) -> bytes | None:
    path = root.layout.run(name, run_id)
    try:
        found = bundles.load_seal(path)
    except (Corrupt, OSError):
        return None
    return None if found is None else bundles.sealed_bytes(path, _PATCH, found[0])


def _from_git(root: Root, spec: Spec | None, view: View, loop: Loop) -> tuple[tuple[str, bool] | None, str]:
    """The same from the repository, for a best that was made in several steps; None, and why, where it is not there."""
    base, best = loop.base, loop.best
    if spec is None or base is None or best is None or not (base.commit and best.commit):
        return None, "it is not known where its commits are"
    from lab.scheduler.results import coded  # noqa: PLC0415  # git: only where what is sealed does not tell

    found = coded.of(root, view.experiment, view, spec, base.commit, best.commit, limit_bytes=DIFF_BYTES)
    return (None, found) if isinstance(found, str) else ((found.data.decode(errors="replace"), found.cut), "")


def _text(patch: bytes) -> tuple[str, bool]:
    return patch[:DIFF_BYTES].decode(errors="replace"), len(patch) > DIFF_BYTES
