"""A person's word for a release: bound to the digest of its list, given by hand, and written into the ledger.

Nothing gives it in a person's place: no setting, no flag, no default and no tool of an agent. What is approved is
looked at once more: the same list, the same bytes, and no secret of whoever approves it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from lab.core import event, layout
from lab.core.errors import BadInput, LabError, NotFound
from lab.core.proposal import RESUME
from lab.core.record import parse
from lab.core.run import SUCCESS
from lab.core.view import ARCHIVED, AWAITING, COMPLETED, PAUSED
from lab.research import order
from lab.research.order import SEND
from lab.research.paper.evidence import InLab
from lab.research.project import PUBLISHING
from lab.research.projects import opened
from lab.research.release import approved, by_hand, bytes_of, gathered, manifest, targets, told
from lab.research.release.manifest import FILE, LISTING, RECEIPT, WORKER, Receipt, Release
from lab.research.release.scanning import Scanner
from lab.research.studies import sealed
from lab.research.walk.sequel import Look
from lab.scheduler import decisions, refresh
from lab.scheduler.control import approvals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.seal import Seal
    from lab.core.view import View
    from lab.research.projects.opened import Opened
    from lab.research.release.scanning import Scan
    from lab.store.root import Root

_HASH = re.compile(r"[0-9a-f]{64}")
_ARTIFACTS = layout.ARTIFACTS


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """The newest list of a project. `receipt` where it was sent."""

    experiment: str
    run_id: str
    sha256: str
    release: Release
    listing: str
    approved_by: str = ""
    approved_at: str = ""
    receipt: Receipt | None = None
    stale: str = ""  # why this is not what would be sent now
    anew: str = ""  # what to type so that it is listed anew
    doubt: str = ""  # why an approval that stands in the ledger does not hold


def show(root: Root, name: str) -> Shown:
    """What would be sent, or was. `NotFound` where nothing was listed yet.

    It is the list of the project as it is now; where there is none, the newest one, which says that it is stale.
    """
    found = opened.project(root, name)
    with root.section(name):
        view, _ = refresh.current(root, name)
    rows = list(_runs(root, name, ""))
    if not rows:
        raise NotFound(f"{name} has listed no release yet", fix=f"labctl research run {name} goes on to it")
    now, why = _now(root, view)
    run_id, made = next((each for each in rows if each[0] == now), rows[0])
    kept = InLab(root)
    data = kept.read(run_id, f"{_ARTIFACTS}/{FILE}")
    sha256 = manifest.digest(data)
    release = manifest.read(data, f"{FILE} of {run_id}")
    word = approved.word(root, name, sha256)
    known = view.pursuit.released if view.pursuit is not None else ()
    said = word.given if sha256 in known else None  # one of the two alone lets nothing go on
    return Shown(
        experiment=name,
        run_id=made.run.run_id,
        sha256=sha256,
        release=release,
        listing=kept.read(run_id, f"{_ARTIFACTS}/{LISTING}").decode(errors="replace"),
        approved_by=said.actor if said is not None else "",
        approved_at=said.ts if said is not None else "",
        receipt=_receipt(root, name, sha256),
        stale="" if run_id == now else _stale(found, release) or why,
        anew=f"labctl research {'resume' if view.phase in (AWAITING, COMPLETED, PAUSED) else 'run'} {name}",
        doubt=word.doubt,
    )


def _now(root: Root, view: View) -> tuple[str, str]:
    """The run that listed what would be sent now, or why there is none."""
    try:
        done = Look(root, view).walk().listed()
    except LabError as wrong:
        return "", wrong.what
    return ("", "what it is made of was edited since") if done is None else (done.run_id, "")


def _stale(found: Opened, release: Release) -> str:
    """Whether project.yaml names another place by now."""
    try:
        there = found.project.publish.to, targets.destination(found.project.publish, found.folder)
    except LabError as wrong:
        return wrong.what
    return "project.yaml names another destination by now" if there != (release.to, release.destination) else ""


def approve(root: Root, name: str, given: str, actor: str, *, at_terminal: bool = False, why: str = "") -> Shown:
    """Write down that exactly this may be sent, and let the project go on. `given` is the whole hash."""
    by_hand.require(root, name)
    shown = require(root, name, given)
    if shown.approved_at:
        go_on(root, shown, actor)
        return shown
    found = opened.project(root, name)
    made = f"{root.layout.run(name, shown.run_id)}/{_ARTIFACTS}"
    contents = bytes_of.every(root, shown.release, found.folder, made)
    values = told.secrets(found.spec, root.world.environ)
    scan = told.look(shown.release, shown.sha256, contents, Scanner(values, gathered.digests(root, name, contents)))
    if scan.findings:
        raise told.refusal(scan)
    with root.section(name):
        view, _ = refresh.current(root, name)
        if view.phase == ARCHIVED:
            raise BadInput(f"{name} is archived", fix=f"labctl archive {name} --restore")
        said = event.Event(
            type=event.RELEASE_APPROVED, ts=root.now(), experiment=name, actor=actor, run_id=shown.run_id, reason=why,
            name=shown.sha256, facts={
                "to": shown.release.to, "destination": shown.release.destination, "files": len(shown.release.files),
                "bytes": shown.release.size, "unverified": len(shown.release.unverified), "at_terminal": at_terminal,
            },
        )  # fmt: skip
        decisions.write_down(root, said)
    go_on(root, shown, actor)
    return msgspec.structs.replace(shown, approved_by=actor, approved_at=said.ts)


def withdraw(root: Root, name: str, given: str, actor: str, why: str = "") -> Shown:
    """Take an approval back, of any list. What was sent stays where it is: that is said, and nothing is written."""
    by_hand.require(root, name)
    if not _HASH.fullmatch(given):
        raise BadInput("an approval is taken back by the whole hash, 64 signs", fix=f"labctl research publish {name}")
    shown = show(root, name)
    receipt = _receipt(root, name, given)
    if receipt is not None:
        what = f"the release {given[: manifest.MARK_CHARS]} was sent on {receipt.at[:10]}: nothing takes it back"
        raise BadInput(what, where=receipt.destination, fix="delete it there")
    if approved.word(root, name, given).given is None:
        raise BadInput(f"no approval of {given[: manifest.MARK_CHARS]} holds, so none is taken back")
    with root.section(name):
        refresh.current(root, name)
        said = event.Event(
            type=event.RELEASE_WITHDRAWN, ts=root.now(), experiment=name, actor=actor, reason=why, name=given
        )
        decisions.write_down(root, said)
    is_shown = given == shown.sha256
    return msgspec.structs.replace(shown, approved_by="", approved_at="") if is_shown else shown


def own_secrets(root: Root, shown: Shown) -> Scan:
    """Whether secrets of whoever asks are in it: a run sees only those that its SPEC names."""
    found = opened.project(root, shown.experiment)
    made = f"{root.layout.run(shown.experiment, shown.run_id)}/{_ARTIFACTS}"
    contents = bytes_of.every(root, shown.release, found.folder, made)
    values = told.secrets(found.spec, root.world.environ)
    return told.look(shown.release, shown.sha256, contents, Scanner(values, only_values=True))


def require(root: Root, name: str, given: str) -> Shown:
    """The newest list, if that is what is meant; or why this hash opens nothing."""
    shown = show(root, name)
    fix = f"labctl research publish {name} shows what would be sent now"
    if not _HASH.fullmatch(given):
        raise BadInput("a release is approved by its whole hash, 64 signs", fix=fix)
    if given != shown.sha256:
        older = any(_listed(made) == given for _, made in _runs(root, name, ""))
        word = "of an earlier list, which is not what would be sent" if older else "of no release of this project"
        raise BadInput(f"the hash {given[:12]} is {word}", fix=fix)
    if shown.stale and not shown.receipt:
        fix = f"{shown.anew} lists it anew"
        raise BadInput(f"this list is not what would be sent now: {shown.stale}", fix=fix)
    if not shown.release.to:
        raise BadInput("this release has no destination, so nothing can be sent", fix="publish.to in project.yaml")
    return shown


def go_on(root: Root, shown: Shown, actor: str) -> None:
    """Let the project go on where it waited for this word."""
    with root.section(shown.experiment):
        view, _ = refresh.current(root, shown.experiment)
    if view.phase != AWAITING:
        return
    why = f"the release {shown.sha256[: manifest.MARK_CHARS]} is approved"
    waiting = next((each.proposal for each in view.waiting if each.kind == RESUME), "")
    if waiting:
        approvals.approve(root, waiting, actor=actor, reason=why)
    else:
        decisions.resume(root, shown.experiment, reason=why, actor=actor)


def _runs(root: Root, name: str, step: str) -> Iterator[tuple[str, Seal]]:
    """The sealed runs that listed a release, or sent one; the newest first."""
    for each in reversed(sealed.rows(root, name, PUBLISHING)):
        its = order.read(each.params) if each.run.outcome == SUCCESS else None
        if its is not None and (its.phase, its.worker, its.step) == (PUBLISHING, WORKER, step):
            yield each.run.run_id, each.seal


def _listed(made: Seal) -> str:
    kept = made.files.get(f"{_ARTIFACTS}/{FILE}")
    return kept.sha256 if kept is not None and not kept.link else ""


def _receipt(root: Root, name: str, sha256: str) -> Receipt | None:
    """Of the run that sent it, if one did."""
    for run_id, made in _runs(root, name, SEND):
        if _listed(made) == sha256:
            data = InLab(root).read(run_id, f"{_ARTIFACTS}/{RECEIPT}")
            return parse(Receipt, data, f"{RECEIPT} of {run_id}")
    return None
