"""Carrying out what was dropped into control/inbox: each order once, with an answer in control/outbox.

The answer is the mark that it was done: made once, under the order's key. What is done before it may be done again
after a crash, and every decision of the lab is such that doing it twice is doing it once. The order's file then goes
beside the answer. A file that cannot be an order is answered too, and stops no other.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, event, order, proposal
from lab.core.errors import BadInput, Busy, LabError, Unavailable
from lab.core.order import DONE, LEFT, REFUSED, REPEATED, Answered, Order, Problem, Reply
from lab.core.record import page
from lab.scheduler import create, decisions, digest, refresh, sources
from lab.scheduler.control import approvals, cancel, proposals, steering
from lab.store import experiments, leases, ledger, reading, refusals, shipped

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.scheduler.decisions import Decided
    from lab.store.root import Root


class _Read(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the inbox as it was found: an order, or the reason why it is none."""

    key: str
    sha256: str
    order: Order | None = None
    problem: LabError | None = None
    intent: str = ""
    target: str = ""


def carry_out(root: Root, file: str) -> Answered:
    """One file of the inbox, in its section. Whatever is wrong with it is in the answer, or waits for the next turn."""
    try:
        read = _read(root, file)
        if read is None:
            return Answered(file=file, state=LEFT, what="somebody still writes it")
        return _answered(root, file, read)
    except (Busy, Unavailable) as later:
        return Answered(file=file, state=LEFT, what=later.what)
    except FileNotFoundError:
        return Answered(file=file, state=LEFT, what="somebody took it away")
    except OSError as error:
        if not reading.is_local(error):
            raise  # a full disk is everybody's trouble: no further order is begun on it
        return Answered(file=file, state=LEFT, what=refusals.refused(error).what)


def _answered(root: Root, file: str, read: _Read) -> Answered:
    """Do it, answer, write it down, put the file away: each of these may be the last before a crash."""
    place = order.place(read.key)
    path = root.layout.answer(place)
    repeated = os.path.lexists(path)
    ok, what = True, ""
    if not repeated:
        made = _done(root, file, read)
        ok, what = made.ok, made.error.message if made.error else ""
        root.files.create(path, page(made))
    if not repeated or not _is_told(root, read.key):
        _tell(root, read, ok=ok)
    _put_away(root, file, place)
    state = REPEATED if repeated else DONE if ok else REFUSED
    return Answered(file=file, state=state, intent=read.intent, target=read.target, what=what)


def _read(root: Root, file: str) -> _Read | None:
    """The order in a file; None while it may still be being written, by the clock of whoever keeps the files."""
    path = f"{root.layout.inbox}/{file}"
    seen = os.lstat(path)
    named = canonical.digest(canonical.plain(file).encode())
    if not reading.is_file(path):
        fix = "put a copy of the file itself there"
        return _Read(key=named, sha256="", problem=BadInput("this is no plain file, so it is not followed", fix=fix))
    if seen.st_size > order.MAX_BYTES:
        what = f"an order of {seen.st_size} bytes is larger than {order.MAX_BYTES}"
        return _Read(key=named, sha256="", problem=BadInput(what, fix="an order is a small JSON object"))
    data = reading.read_head(path, order.MAX_BYTES + 1) or b""
    if order.half(data) and abs(leases.server_time(root) - os.stat(path).st_mtime) < order.YOUNG_S:
        return None
    sha256 = canonical.digest(data)
    try:
        found = order.fields(data)
    except BadInput as problem:
        return _Read(key=sha256, sha256=sha256, problem=problem)
    key = order.key(found, sha256)
    intent, target = (canonical.plain(str(found.get(name) or ""))[:200] for name in ("intent", "target"))
    try:
        return _Read(key=key, sha256=sha256, order=order.parse(found, key), intent=intent, target=target)
    except BadInput as problem:
        return _Read(key=key, sha256=sha256, problem=problem, intent=intent, target=target)


def _done(root: Root, file: str, read: _Read) -> Reply:
    """The answer to an order that was not answered yet. A refusal is an answer; what is busy is left for later."""
    data: dict[str, object] | None = None
    problem = read.problem
    if read.order is not None:
        try:
            data = _ACTS[read.order.intent](root, read.order)
        except (Busy, Unavailable):
            raise
        except LabError as refused:
            problem = refused
    error = Problem(kind=problem.kind, message=problem.what, where=problem.where, fix=problem.fix) if problem else None
    return Reply(
        ok=problem is None,
        idempotency_key=canonical.plain(read.key),
        answered_at=root.now(),
        intent=read.order.intent if read.order else read.intent,
        target=read.order.target if read.order else read.target,
        command_id=read.order.command_id if read.order else "",
        request=canonical.plain(file),
        sha256=read.sha256,
        data=data,
        error=error,
    )


def _is_told(root: Root, key: str) -> bool:
    """Whether the ledger has it: asked only of an order that was answered before, by another turn or another file."""
    return any(
        entry.line is not None
        and entry.line.event.type == event.COMMAND_DONE
        and entry.line.event.name == canonical.plain(key)
        for entry in ledger.entries(root)
    )


def _tell(root: Root, read: _Read, *, ok: bool) -> None:
    told = event.Event(
        type=event.COMMAND_DONE,
        ts=root.now(),
        name=canonical.plain(read.key),
        actor=read.order.actor if read.order else "",
        facts={"intent": read.intent, "target": read.target, "ok": ok},
    )
    ledger.append(root, told)


def _put_away(root: Root, file: str, place: str) -> None:
    """Beside the answer. An earlier request of the same key keeps its place."""
    number = 1
    target = root.layout.request(place)
    while os.path.lexists(target):
        number += 1
        target = root.layout.request(f"{place}.{number}")
    root.files.folder(os.path.dirname(target))
    root.files.move(f"{root.layout.inbox}/{file}", target, durable=True)


# -- what the intents do: the same functions as the verbs --------------------------------------------------------------


def _decided(made: Decided) -> dict[str, object]:
    return {"experiment": made.experiment, "phase": made.phase, "tier": made.tier, "changed": made.changed}


def _decision(decide: Callable[..., Decided]) -> Callable[[Root, Order], dict[str, object]]:
    def act(root: Root, given: Order) -> dict[str, object]:
        return _decided(decide(root, given.target, reason=given.text("reason"), actor=given.actor))

    return act


def _set_fidelity(root: Root, given: Order) -> dict[str, object]:
    tier, why = given.text("tier"), given.text("reason")
    return _decided(decisions.set_tier(root, given.target, tier, reason=why, actor=given.actor))


def _propose(root: Root, given: Order) -> dict[str, object]:
    params, tier = given.parameters.get("params"), given.text("tier")
    wanted = proposal.Proposal(
        kind=proposal.PROMOTE if tier else proposal.RUN,
        experiment=given.target,
        params=params if isinstance(params, dict) else None,
        tier=tier,
        reason=given.text("reason"),
        asked_by=given.actor,
    )
    asked = approvals.propose(root, wanted)
    return {"proposal": asked.proposal_id, "kind": wanted.kind, "changed": asked.made}


def _approve(root: Root, given: Order) -> dict[str, object]:
    edit = given.parameters.get("params")
    try:
        ruling = approvals.approve(
            root,
            given.target,
            actor=given.actor,
            reason=given.text("reason"),
            sha256=given.text("hash"),
            edit=edit if isinstance(edit, dict) else None,
        )
    except proposals.AlreadyRuled as over:
        return _again(over, given, "approved")
    return {"proposal": ruling.proposal_id, "verdict": ruling.verdict, "edited": ruling.edited}


def _reject(root: Root, given: Order) -> dict[str, object]:
    try:
        ruling = approvals.reject(root, given.target, why=given.text("why"), actor=given.actor)
    except proposals.AlreadyRuled as over:
        return _again(over, given, "rejected")
    return {"proposal": ruling.proposal_id, "verdict": ruling.verdict}


def _again(over: proposals.AlreadyRuled, given: Order, verdict: str) -> dict[str, object]:
    """The same word by the same person is this very order, stopped before its answer. Any other is too late."""
    if (over.ruling.verdict, over.ruling.ruled_by) != (verdict, given.actor):
        raise over
    return {"proposal": over.ruling.proposal_id, "verdict": verdict, "changed": False}


def _cancel(root: Root, given: Order) -> dict[str, object]:
    asked = cancel.cancel(root, given.target, reason=given.text("reason"), actor=given.actor)
    return {"runs": [each.run_id for each in asked]}


def _steer(root: Root, given: Order) -> dict[str, object]:
    words, clear = given.text("text"), given.text("clear")
    if bool(words.strip()) == bool(clear.strip()):
        raise BadInput("steer needs either the parameter text or the parameter clear", fix='{"text": "leave the lr"}')
    if clear:
        made = steering.take_back(root, given.target, actor=given.actor)
    else:
        made = steering.steer(
            root, given.target, words, candidates=steering.count(given.text("for")), actor=given.actor
        )
    return {"experiment": made.experiment, "steering": made.told(), "changed": made.changed}


def _create(root: Root, given: Order) -> dict[str, object]:
    """From a SPEC's text, a template's name, or an absolute path: a relative one would depend on who looks."""
    spec = given.text("spec")
    source = spec.strip()
    if "\n" in source:
        source = f"{root.layout.root}/scratch/inbox-{canonical.digest(spec.encode())[:16]}.yaml"
        root.files.replace(source, spec.encode())
    elif not (source.startswith("/") or sources.template(source)):
        what = f"{source[:200]!r} is neither a SPEC's text, nor a template, nor an absolute path"
        if shipped.find_folder(source):
            what = f"the template {source} is a folder, which an order cannot copy to where somebody works on it"
            raise BadInput(what, fix=f"at a terminal: labctl create {source}; or give the absolute path of a copy")
        raise BadInput(what, fix="give the text of the SPEC, with its lines, as parameters.spec")
    try:
        new_id = given.text("id") or sources.template(source)
        try:
            made = create.experiment(root, source, new_id=new_id, actor=given.actor)
        except BadInput:
            name = _made_before(root, source, new_id)
            if not name:
                raise
            return {"experiment": name, "changed": False}
    finally:
        if source.startswith(f"{root.layout.root}/scratch/"):
            root.files.discard(source)
    return {"experiment": made.name, "changed": True}


def _made_before(root: Root, source: str, new_id: str) -> str:
    """The experiment that this very SPEC became already: an order that was stopped before its answer comes again."""
    name = shipped.find(source) if "/" not in source else ""
    data = shipped.read_template(name) if name else reading.read_head(source, order.MAX_BYTES)
    try:
        wanted = experiments.parse_spec(data or b"", source)
        there = experiments.load(root, new_id or wanted.id).spec
    except BadInput:
        return ""
    same = there is not None and there == msgspec.structs.replace(wanted, id=there.id)
    return there.id if there is not None and same else ""


def _digest(root: Root, given: Order) -> dict[str, object]:
    name = given.target or root.world.now().date().isoformat()
    kind = digest.WEEKLY if "W" in name else digest.DAILY
    return {"path": os.path.relpath(digest.write(root, kind, name, actor=given.actor).path, root.layout.root)}


def _refresh(root: Root, given: Order) -> dict[str, object]:
    del given
    done = refresh.everything(root)
    return {"experiments": done.experiments, "runs": done.runs, "findings": len(done.findings)}


_ACTS: dict[str, Callable[[Root, Order], dict[str, object]]] = {
    "pause": _decision(decisions.pause),
    "resume": _decision(decisions.resume),
    "complete": _decision(decisions.complete),
    "archive": _decision(decisions.archive),
    "restore": _decision(decisions.restore),
    "set-fidelity": _set_fidelity,
    "approve": _approve,
    "propose": _propose,
    "reject": _reject,
    "cancel": _cancel,
    "steer": _steer,
    "create": _create,
    "digest": _digest,
    "refresh": _refresh,
}
