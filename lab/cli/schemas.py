"""JSON Schemas (draft 2020-12) of all that labctl prints for programs and of every record that it keeps.

They are open: a later labctl may say more. They are made from the records, so that they cannot disagree with them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from lab.cli import contract
from lab.cli.commands import COMMANDS, find
from lab.cli.shapes import forms
from lab.cli.shapes.table import ANYTHING, SHAPES
from lab.core import (
    claim,
    curve,
    decided,
    event,
    launch,
    manifest,
    notice,
    order,
    package,
    proposal,
    seal,
    spec_page,
    submission,
)
from lab.core.errors import NotFound, nearest
from lab.projections import index, status, tables
from lab.projections.picture import whole
from lab.research import built, decision, evaluated, idea, project, source, trained
from lab.research.ideas import summary
from lab.research.paper import claim as claims
from lab.research.paper import told
from lab.research.release import manifest as releases
from lab.research.release import scanning
from lab.research.work import worked
from lab.scheduler import heartbeat
from lab.store import archives

if TYPE_CHECKING:
    from collections.abc import Sequence

Schema = dict[str, object]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
ENVELOPE = "envelope"
ALONE = "labctl"  # without a verb: the overview, the version, and what was no verb
_ANY = "anything"
# name -> the record, and what it is of. The names are those of the files, where a file holds one of them.
RECORDS: dict[str, tuple[tuple[object, ...], str]] = {
    "manifest": ((contract.LabManifest,), "LAB_MANIFEST.json: this contract"),
    "manifest.json": ((manifest.Manifest,), "what a run set out to do, and how it ended"),
    "SEAL.json": ((seal.Seal,), "the seal of a bundle"),
    "events.jsonl": ((event.Line,), "a line of the ledger"),
    "STATUS.json": ((status.Status,), "one experiment; its last key, `fold`, is for labctl alone"),
    "LAB-INDEX.json": ((index.Index,), "the whole lab, one row an experiment"),
    "metrics.jsonl": ((tables.Line,), "a run in a line; its own metrics stand beside these keys"),
    "picture.json": ((whole.Picture,), "what a report of one experiment is made from"),
    "exit.json": ((launch.Exit,), "how the program of a run ended"),
    "lab-report.json": ((curve.Curve,), "the curve of a run"),
    "decision.json": ((submission.Ruling, decided.Decided), "what became of a change, or follows from a round"),
    "submission": ((submission.Submission,), "what dispatch-agent-submit takes"),
    "proposal": ((proposal.Proposal,), "what waits in control/approvals"),
    "ruling": ((proposal.Ruling,), "what was decided on a proposal"),
    "reply": ((order.Reply,), "the answer to an order, in control/outbox"),
    "notify.json": ((notice.Config,), "control/notify.json: where notices go"),
    "notices.json": ((notice.State,), "which notices went out"),
    "claim": ((claim.Claim,), "a claim in registry/locks"),
    "dispatch.json": ((package.Offer,), "a package: what is to be run"),
    "claim.json": ((package.Taken,), "a package: which run it became"),
    "done.json": ((package.Done,), "a package: how it ended"),
    "archived": ((archives.Head, archives.Kept), "a line of an archive's companion"),
    "heartbeat.json": ((heartbeat.Beat,), "when the schedule last ran"),
    "schedule.json": ((heartbeat.Scheduled,), "what was scheduled"),
}
# The same of what lies below artifacts/ of a research project's runs, and in its folder. The contract leaves them out:
# it is read whole, and these are read by who does a phase.
OF_PROJECTS: dict[str, tuple[tuple[object, ...], str]] = {
    "project.yaml": ((project.Project,), "what a research project is about"),
    "idea": ((idea.Idea,), "a file of ideas/: what is expected, and what would prove it wrong"),
    "sources.jsonl": ((source.Source,), "a paper or a note, and how far anybody has seen to it"),
    "summary.json": ((summary.Summary,), "what was seen of the data"),
    "built.json": ((built.Built,), "the study, and what nobody may change of it"),
    "training.json": ((trained.Trained,), "the runs of a round"),
    "evaluation.json": ((evaluated.Evaluated,), "the candidate beside the baseline"),
    "decision.json": ((decision.Decision,), "what became of a change, or follows from a round"),
    "claims.jsonl": ((claims.Claim,), "a number of a paper, and the runs that it comes from"),
    "paper.json": ((told.Told,), "what a paper is made of"),
    "release.json": ((releases.Release,), "what would leave, and where to"),
    "scan.json": ((scanning.Scan,), "what was looked for in a release"),
    "receipt.json": ((releases.Receipt,), "what the other side took"),
    "research.json": ((worked.Worked,), "what a run of a project did"),
}
_BY_HAND = {
    "spec": (spec_page.json_schema, "SPEC.yaml"),
    "space": (forms.search_space, "search_space.json, and search_space in a SPEC"),
    "order": (forms.order, "an order in control/inbox"),
}


def known() -> dict[str, str]:
    """Every name that `named` takes, and what it is of. A verb whose name is a file's goes by labctl.VERB/1."""
    found = {name: about for name, (_, about) in (*_BY_HAND.items(), *OF_PROJECTS.items(), *RECORDS.items())}
    found[ENVELOPE] = "any document that --json prints"
    found[f"labctl.{ALONE}/1"] = "labctl --json, without a verb"
    return found | {f"labctl.{each.name}/1": f"labctl {each.name} --json" for each in COMMANDS}


def named(name: str) -> Schema:
    """The schema of that name, whole in itself."""
    name = {each.lower(): each for each in (*_BY_HAND, *RECORDS, *OF_PROJECTS)}.get(name.lower(), name)
    if name in _BY_HAND:
        made, about = _BY_HAND[name]
        return {"$schema": DRAFT, "title": about, **made()}
    held = [each[name] for each in (RECORDS, OF_PROJECTS) if name in each]
    if held:  # more than one where files of one name are two things
        return _whole(held[0][1], *shape([kind for kinds, _ in held for kind in kinds]))
    if name == ENVELOPE:
        return _whole("any labctl --json", *_document(r"^labctl\.[a-z-]+/1$", {}, {}))
    word = name.removeprefix("labctl.").removesuffix("/1")
    command = find(word)
    if command is None and word != ALONE:
        raise _unknown(name)
    verb = command.name if command else ALONE
    data, defs = shape(SHAPES.get(verb, ANYTHING))
    return _whole(
        f"labctl {verb} --json" if command else "labctl --json", *_document(rf"^labctl\.{verb}/1$", data, defs)
    )


def shape(kinds: Sequence[object]) -> tuple[Schema, dict[str, Schema]]:
    """What is one of these kinds, and the records that it refers to, by name."""
    schemas, defs = components(kinds)
    return one_of(schemas), defs


def one_of(schemas: list[Schema]) -> Schema:
    """The schema of what fits one of these."""
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def components(kinds: Sequence[object]) -> tuple[list[Schema], dict[str, Schema]]:
    """The schema of each, with all records apart under `#/$defs/`."""
    schemas, defs = msgspec.json.schema_components(kinds, schema_hook=_hook, ref_template="#/$defs/{name}")
    # Through JSON: defaults are tuples there, which is no JSON value for those who compare or validate it.
    listed: list[Schema] = json.loads(msgspec.json.encode([*schemas, *defs.values()]))
    plain = [_open(each) for each in listed]
    return plain[: len(schemas)], dict(zip(defs, plain[len(schemas) :], strict=True))


def _hook(kind: type) -> Schema:
    if kind is object:
        return {"description": _ANY}  # an empty one would be taken for none
    message = f"{kind} has no schema"
    raise NotImplementedError(message)


def _open(schema: Schema) -> Schema:
    """The same with `{}` for what may be anything, and texts without the ends of their lines."""
    found: Schema = {}
    for key, value in schema.items():
        if isinstance(value, dict):
            found[key] = {} if value == {"description": _ANY} else _open(value)
        elif isinstance(value, list):
            found[key] = [_open(each) if isinstance(each, dict) else each for each in value]
        else:
            found[key] = " ".join(value.split()) if key == "description" and isinstance(value, str) else value
    return found


def _document(schema: str, data: Schema, defs: dict[str, Schema]) -> tuple[Schema, dict[str, Schema]]:
    """The envelope: a success; what was done and did not succeed; a refusal."""
    (failure, error), errors = components((contract.Failure, contract.Error))
    texts = {"type": "array", "items": {"type": "string"}}
    keys = {
        "schema": {"type": "string", "pattern": schema},
        "data": data,
        "warnings": texts,
        "next": texts,
        "advice": texts,
    }
    done = {
        "type": "object",
        "required": ["schema", "ok", "data", "warnings", "next"],
        "properties": {**keys, "ok": {"const": True}},
    }
    unsuccessful = {
        "type": "object",
        "required": ["schema", "ok", "data", "warnings", "next", "error"],
        "properties": {**keys, "ok": {"const": False}, "error": error},
    }
    return {"oneOf": [done, unsuccessful, failure]}, {**defs, **errors}


def _whole(title: str, schema: Schema, defs: dict[str, Schema]) -> Schema:
    return {"$schema": DRAFT, "title": title, **schema, **({"$defs": defs} if defs else {})}


def _unknown(name: str) -> NotFound:
    names = tuple({**known(), **{each.name: "" for each in COMMANDS}})
    close = nearest(name, names)
    fix = f"did you mean {close}? labctl schema --list" if close else "labctl schema --list"
    return NotFound(f"there is no schema {name!r}", fix=fix)
