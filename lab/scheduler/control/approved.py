"""Approved runs: parameters that a person said yes to, each used by exactly one run.

The place is the state: `control/approved/<experiment>/ID.json` waits, `ID@RUN.json` was given to that run, and what is
over lies in `control/outbox/proposals/`. It is given *before* the run has a bundle, so that a crash can only leave it
given and unused, never used and still waiting; `next_run` sees that, and takes it back.

Both are called inside the experiment's section: `next_run` before the claim, `spend` after it, then the bundle.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core import canonical, event, layout
from lab.core.errors import Corrupt
from lab.core.proposal import Ruling
from lab.core.record import parse
from lab.scheduler import refresh
from lab.scheduler.control import proposals
from lab.scheduler.cycle import Errand
from lab.store import leases, ledger, reading

if TYPE_CHECKING:
    from lab.core.spec import Spec
    from lab.scheduler.search.plan import Search
    from lab.store.root import Root


def next_run(root: Root, experiment: str, only: str = "") -> Ruling | None:
    """The oldest approved run that waits; None, for one look at a folder, when there is none. Not yet its to use.

    With `only`, the one of that proposal and no other.

    One that was changed after the word on it is never used: it is put away, and the ledger says so.
    """
    heard: dict[str, proposals.Told] | None = None
    for file in proposals.approved(root, experiment):
        name, taken, run_id = file.removesuffix(proposals.SUFFIX).partition(proposals.TAKEN)
        path = f"{root.layout.approved(experiment)}/{file}"
        if only and name != only:
            continue
        if taken and not _taken_back(root, experiment, path, name, run_id):
            continue
        heard = proposals.told(root, experiment) if heard is None else heard
        path = _place(root, experiment, name)
        data = reading.read_head(path, proposals.MOST_BYTES) or b""
        known = heard.get(name)
        if known is not None and canonical.digest(data) == known.ruled:
            return parse(Ruling, data, path)
        _put_away(root, experiment, name, path)
    return None


def errand(root: Root, ruling: Ruling, search: Search | None, spec: Spec) -> Errand:
    """The run that was approved. As a search proposed it, it is that search's; edited or asked for, a person's."""
    origin = None if ruling.edited else proposals.origin_of(root, ruling)
    if origin is None and search is not None and search.is_one:
        origin = search.of_person(spec)
    return Errand(
        params=ruling.params,
        proposal=ruling.proposal_id,
        origin=origin,
        tier=ruling.tier if ruling.tier in spec.fidelity_tiers else "",  # the SPEC may have been edited since
        seed=None if origin is None else origin.seed,
    )


def spend(root: Root, approved: Ruling, run_id: str) -> None:
    """Give an approved run to the run that was just claimed, before its bundle is made."""
    path = _place(root, approved.experiment, approved.proposal_id)
    try:
        root.files.move(path, _place(root, approved.experiment, approved.proposal_id, run_id), durable=True)
    except FileNotFoundError:
        what = f"the approved run {approved.proposal_id} is not there any more"
        raise Corrupt(what, where=path, fix="labctl approvals lists what waits") from None


def _place(root: Root, experiment: str, name: str, run_id: str = "") -> str:
    given = f"{proposals.TAKEN}{run_id}" if run_id else ""
    return f"{root.layout.approved(experiment)}/{name}{given}{proposals.SUFFIX}"


def _taken_back(root: Root, experiment: str, path: str, name: str, run_id: str) -> bool:
    """Whether the run that it was given to came to nothing; then it waits again. A used one is filed away.

    One that its engine lost is marked as superseded and does not count: what a person said yes to has not been run.
    """
    seen = leases.survey(root, experiment)
    claims = [each.seen.claim for each in seen.held]
    claims += [each.seen.claim for each in seen.lost]
    claims += [each.claim for each in seen.unsettled]
    if any(claim.run_id == run_id for claim in claims):
        return False  # its holder may be about to make the bundle; or it is under way, and may yet be lost
    bundle = root.layout.run(experiment, run_id)
    is_there = reading.is_folder(bundle) or ledger.tells(root, event.RUN_SEALED, experiment, run_id)  # or is archived
    if is_there and not reading.is_file(f"{bundle}/{layout.SUPERSEDED}"):
        root.files.folder(os.path.dirname(root.layout.ruled(name)))
        root.files.move(path, root.layout.ruled(name))
        return False
    root.files.move(path, _place(root, experiment, name), durable=True)
    return True


def _put_away(root: Root, experiment: str, name: str, path: str) -> None:
    told = event.Event(
        type=event.PROPOSAL_REJECTED, ts=root.now(), experiment=experiment, name=name,
        reason="the file of the approved run was changed after it was approved",
    )  # fmt: skip
    ledger.append(root, told)
    refresh.catch_up(root, experiment)
    root.files.folder(os.path.dirname(root.layout.ruled(name)))
    root.files.move(path, f"{root.layout.ruled(name).removesuffix(proposals.SUFFIX)}.changed{proposals.SUFFIX}")
