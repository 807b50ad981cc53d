"""What lies in control/approvals, and what the ledger says of it. Only looks."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import msgspec

from lab.core import canonical, event, proposal
from lab.core.errors import BUSY, Corrupt, Decided, LabError, NotFound
from lab.core.origin import Origin
from lab.core.proposal import EXPIRED, MOOT, PROMOTE, REJECTED, RESUME, Proposal, Ruling
from lab.core.record import Record, parse
from lab.core.view import AWAITING
from lab.store import ledger, reading, refusals

if TYPE_CHECKING:
    from lab.core.event import Event
    from lab.store.root import Root

R = TypeVar("R", bound=Record)
SUFFIX = ".json"
ORIGIN = "origin"  # the fact of a proposal that says, as JSON, which search has its parameters from where
TAKEN = "@"  # ID@RUN.json is an approved run that was given to RUN
MOST_BYTES = 4 << 20
WAITING, CHANGED, DECIDED, UNKNOWN, UNREADABLE = "waiting", "changed", "decided", "unknown", "unreadable"


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A file in control/approvals. `state` is one of the words above, or expired, or moot."""

    proposal_id: str
    state: str
    sha256: str = ""
    proposal: Proposal | None = None
    problem: str = ""


class Told(msgspec.Struct, kw_only=True):
    """What the ledger says about one proposal."""

    kind: str = ""
    made: str = ""  # digest of the file
    ruled: str = ""  # digest of the ruling
    moved: bool = False  # somebody moved the experiment since


class AlreadyRuled(Decided):
    """Somebody was quicker. `ruling` is what they said."""

    def __init__(self, ruling: Ruling) -> None:
        who = f" by {ruling.ruled_by}" if ruling.ruled_by else ""
        what = f"{ruling.proposal_id} is {ruling.verdict} already{who}, at {ruling.ruled_at}"
        super().__init__(what, fix="labctl approvals lists what waits")
        self.ruling = ruling


class AnotherWaits(LabError):
    """One of its kind waits already, for something else. Not `Busy`: who left an order is answered now, not in days."""

    exit_code = BUSY
    kind = "busy"

    def __init__(self, proposal_id: str, wanted: Proposal) -> None:
        other, yours = ("another tier", "yours was") if wanted.tier else ("other parameters", "yours were")
        what = f"{proposal_id} waits with {other}; {yours} not kept"
        super().__init__(what, fix=f"ask again once a person has approved or rejected {proposal_id}: labctl approvals")


def names(root: Root) -> list[str]:
    """The ids of what lies there, in order. Drafts, rulings and other files are left out."""
    try:
        found = os.listdir(root.layout.approvals)
    except FileNotFoundError:
        return []
    return sorted(name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX) and not name.startswith("."))


def load(root: Root, proposal_id: str) -> tuple[Proposal, str] | LabError:
    """A proposal and the digest of its file, or what is wrong with it. `NotFound` when there is none."""
    path = root.layout.proposal(proposal_id)
    try:
        name, _ = proposal.owner(proposal_id)
        made, sha256 = _read(Proposal, path)
    except FileNotFoundError:
        return NotFound(f"there is no proposal {proposal_id}", where=path, fix="labctl approvals lists what waits")
    except OSError as error:
        return refusals.refused(error)
    except LabError as problem:
        return problem
    if (made.proposal_id, made.experiment) != (proposal_id, name) or made.kind not in proposal.KINDS:
        what = f"this proposal is not what its name says: {made.proposal_id!r} of {made.experiment!r}, {made.kind!r}"
        return Corrupt(what, where=path, fix=f"labctl reject {proposal_id} --why 'it cannot be read'")
    return made, sha256


def told(root: Root, experiment: str = "") -> dict[str, Told]:
    """What the ledger says about every proposal, or about those of one experiment. Reads all of it."""
    found: dict[str, Told] = {}
    lines = ledger.mentioning(root, 0, experiment) if experiment else ledger.entries(root)
    for entry in lines:
        if entry.line is not None:
            _hear(found, entry.line.event)
    return found


def _hear(found: dict[str, Told], said: Event) -> None:
    """Count in one line of the ledger."""
    if said.type == event.PROPOSAL_MADE:
        found[said.name] = Told(kind=str(said.facts.get("kind", "")), made=str(said.facts.get("sha256", "")))
    elif said.type in (event.PROPOSAL_APPROVED, event.PROPOSAL_REJECTED):
        known = found.setdefault(said.name, Told(kind=str(said.facts.get("kind", ""))))
        known.ruled, known.moved = str(said.facts.get("ruling", "")), False
    elif said.type in (event.PHASE_CHANGED, event.TIER_CHANGED):
        kind = RESUME if said.type == event.PHASE_CHANGED else PROMOTE
        for name, known in found.items():
            mine = known.kind == kind and name.rpartition("-")[0] == said.experiment
            if mine and (known.ruled or (kind == RESUME and said.phase != AWAITING)):
                known.moved = True


def listed(root: Root) -> list[Listed]:
    """What lies in control/approvals. Changes nothing; reads the ledger once if there is anything at all."""
    there = names(root)
    heard = told(root) if there else {}
    now = root.now()
    return [_listed(root, name, heard.get(name, Told()), now) for name in there]


def _listed(root: Root, name: str, heard: Told, now: str) -> Listed:
    found = load(root, name)
    if isinstance(found, LabError):
        return Listed(proposal_id=name, state=UNREADABLE, problem=found.what)
    made, sha256 = found
    if heard.ruled:
        state = DECIDED
    elif not heard.made:
        state = UNKNOWN
    elif heard.made != sha256:
        state = CHANGED
    elif heard.moved:
        state = MOOT
    else:
        state = EXPIRED if proposal.expired(made.expires_at, now) else WAITING
    return Listed(proposal_id=name, state=state, sha256=sha256, proposal=made)


def approved(root: Root, experiment: str) -> list[str]:
    """The files of the approved runs of an experiment, the oldest first."""
    try:
        found = os.listdir(root.layout.approved(experiment))
    except FileNotFoundError:
        return []
    return sorted((name for name in found if name.endswith(SUFFIX) and not name.startswith(".")), key=_number)


def ready(root: Root) -> list[Ruling]:
    """Approved runs that no run was given yet, of every experiment."""
    try:
        experiments = sorted(os.listdir(os.path.dirname(root.layout.approved("x"))))
    except FileNotFoundError:
        return []
    found: list[Ruling] = []
    for experiment in experiments:
        for file in approved(root, experiment):
            with suppress(Corrupt, OSError):
                if TAKEN not in file:
                    found.append(_read(Ruling, f"{root.layout.approved(experiment)}/{file}")[0])
    return found


def ruling_of(root: Root, proposal_id: str) -> Ruling | None:
    """What became of a proposal that is over, as far as it was carried out."""
    with suppress(Corrupt, OSError):
        return _read(Ruling, root.layout.ruled(proposal_id))[0]
    experiment, _ = proposal.owner(proposal_id)
    for file in approved(root, experiment):
        if file.removesuffix(SUFFIX).partition(TAKEN)[0] == proposal_id:
            with suppress(Corrupt, OSError):
                return _read(Ruling, f"{root.layout.approved(experiment)}/{file}")[0]
    return None


def origin_of(root: Root, ruling: Ruling) -> Origin | None:
    """Where a search says that it has the parameters from, in what it proposed. None where a person gave them."""
    data = reading.read_head(root.layout.ruled_on(ruling.proposal_id), MOST_BYTES)
    if data is None:  # whoever decided is about to put it away
        data = reading.read_head(root.layout.proposal(ruling.proposal_id), MOST_BYTES)
    if data is None or canonical.digest(data) != ruling.proposed:
        return None
    told = parse(Proposal, data, root.layout.ruled_on(ruling.proposal_id)).facts.get(ORIGIN)
    try:
        return msgspec.json.decode(told, type=Origin) if isinstance(told, str) else None
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def rejection(root: Root, experiment: str, number: int) -> Ruling | None:
    """What was said to a proposal that the ledger says was rejected; None where its file is gone or not to be read."""
    name = proposal.name(experiment, number)
    for place in (root.layout.ruled(name), root.layout.ruling(name)):  # the second until it is put away
        with suppress(Corrupt, OSError):
            ruling = _read(Ruling, place)[0]
            if ruling.verdict == REJECTED:
                return ruling
    return None


def _number(file: str) -> tuple[int, str]:
    number = file.removesuffix(SUFFIX).partition(TAKEN)[0].rpartition("-")[2]
    return (int(number) if number.isdecimal() else 0, file)


def _read(kind: type[R], path: str) -> tuple[R, str]:
    """A record and the digest of its bytes. A link is no record: what it points to could change unseen."""
    if not os.path.lexists(path):
        raise FileNotFoundError(path)
    data = reading.read_head(path, MOST_BYTES) if reading.is_file(path) else None
    if data is None:
        raise Corrupt("this is no plain file", where=path, fix="move it away")
    return parse(kind, data, path), canonical.digest(data)
