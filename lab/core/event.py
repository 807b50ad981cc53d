"""One line of the ledger.

Each line carries the digest of the line before, so an edit, a removal or a change of order anywhere is found. A line
that a crash tore is acknowledged by the next one (`torn`), so that damage by accident and damage by hand differ.
"""

import msgspec

from lab.core.record import Record

LAB_CREATED = "lab_created"
EXPERIMENT_CREATED = "experiment_created"
PHASE_CHANGED = "phase_changed"
TIER_CHANGED = "fidelity_tier_changed"
SPEC_EDITED = "spec_edited"
RUN_SEALED = "run_sealed"
RUN_SUPERSEDED = "run_superseded"
RUN_REFUSED = "run_refused"
LEASE_TAKEN_OVER = "lease_taken_over"
DIGEST_WRITTEN = "digest_written"
ROOT_IMPORTED = "root_imported"
LEDGER_MENDED = "ledger_mended"
LEDGER_CUT = "ledger_cut"
CANCEL_ASKED = "run_cancel_asked"
COMMAND_DONE = "command_done"
PROPOSAL_MADE = "proposal_made"
PROPOSAL_APPROVED = "proposal_approved"
PROPOSAL_REJECTED = "proposal_rejected"
RUNS_ARCHIVED = "runs_archived"
PACKAGE_READY = "dispatch_enqueued"
PACKAGE_CLAIMED = "dispatch_claimed"
PACKAGE_COMPLETED = "dispatch_completed"
PACKAGE_INGESTED = "dispatch_ingested"
MODEL_ASKED = "model_asked"
MODEL_ANSWERED = "model_answered"
LOOP_STEERED = "loop_steered"
CHUNK_DECIDED = "chunk_decided"
HYPOTHESIS_REGISTERED = "hypothesis_registered"
RESEARCH_STEERED = "research_steered"
RELEASE_APPROVED = "release_approved"
RELEASE_WITHDRAWN = "release_withdrawn"
TYPES = (
    LAB_CREATED,
    EXPERIMENT_CREATED,
    PHASE_CHANGED,
    TIER_CHANGED,
    SPEC_EDITED,
    RUN_SEALED,
    RUN_SUPERSEDED,
    RUN_REFUSED,
    LEASE_TAKEN_OVER,
    DIGEST_WRITTEN,
    ROOT_IMPORTED,
    LEDGER_MENDED,
    LEDGER_CUT,
    CANCEL_ASKED,
    COMMAND_DONE,
    PROPOSAL_MADE,
    PROPOSAL_APPROVED,
    PROPOSAL_REJECTED,
    RUNS_ARCHIVED,
    PACKAGE_READY,
    PACKAGE_CLAIMED,
    PACKAGE_COMPLETED,
    PACKAGE_INGESTED,
    MODEL_ASKED,
    MODEL_ANSWERED,
    LOOP_STEERED,
    CHUNK_DECIDED,
    HYPOTHESIS_REGISTERED,
    RESEARCH_STEERED,
    RELEASE_APPROVED,
    RELEASE_WITHDRAWN,
)

MEANING = {
    LAB_CREATED: "the data root was made",
    EXPERIMENT_CREATED: "an experiment was made from a SPEC",
    PHASE_CHANGED: "a person or the policy moved an experiment to another phase",
    TIER_CHANGED: "an experiment moved to another fidelity tier",
    SPEC_EDITED: "a changed SPEC.yaml was taken notice of",
    RUN_SEALED: "a bundle was sealed; carries the digest of its SEAL.json",
    RUN_SUPERSEDED: "a bundle lost its lease before its seal; it is kept and never counted",
    RUN_REFUSED: "a turn could begin no run, told once for each reason; without a reason: one was begun after all",
    LEASE_TAKEN_OVER: "a claim was taken from a holder that was dead or silent",
    DIGEST_WRITTEN: "a digest was written; it can be written again from the ledger up to this line",
    ROOT_IMPORTED: "another data root was read in; of a lab like this one it carries the digest of the ledger",
    LEDGER_MENDED: "a line that a crash had cut off was ended",
    LEDGER_CUT: "records that the pages had seen were gone; what they decided is lost",
    CANCEL_ASKED: "a person asked for a run to be ended",
    COMMAND_DONE: "a command from control/inbox was carried out, or refused, once",
    PROPOSAL_MADE: "something waits in control/approvals for a person's word; carries its digest",
    PROPOSAL_APPROVED: "a person approved a proposal; carries the digest of what was approved",
    PROPOSAL_REJECTED: "a person rejected a proposal, or it expired",
    RUNS_ARCHIVED: "old bundles were moved into an archive; carries its digest",
    PACKAGE_READY: "a run was packed for a worker",
    PACKAGE_CLAIMED: "a worker took a package",
    PACKAGE_COMPLETED: "a worker said that a package is done",
    PACKAGE_INGESTED: "the run of a package became a sealed bundle, or was refused",
    MODEL_ASKED: "calls to a model, and money at worst, were set aside before they were made",
    MODEL_ANSWERED: "a model answered or failed; carries the calls and the money that it took",
    LOOP_STEERED: "a person told the proposers of a code loop something, or took it back; the reason is the words",
    CHUNK_DECIDED: "the next chunk of a remote training was claimed; carries the numbers that it was decided by",
    HYPOTHESIS_REGISTERED: "an idea was written down before any run for it; carries its digest and what it predicts",
    RESEARCH_STEERED: "a person told a research project something, or what its iteration is to decide",
    RELEASE_APPROVED: "a person approved a release; its name is the hash of the manifest, and nothing else is sent",
    RELEASE_WITHDRAWN: "a person took the approval of a release back before it was sent",
}


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What happened. `facts` are the numbers that a decision used."""

    type: str
    ts: str
    experiment: str = ""
    actor: str = ""
    run_id: str = ""
    seal: str = ""
    generation: int = 0
    phase: str = ""
    tier: str = ""
    reason: str = ""
    spec: str = ""
    name: str = ""
    facts: dict[str, str | int | float | bool | None] = {}


class Line(Record, frozen=True, kw_only=True, gc=False):
    """An event in its place. `seq` counts whole records from 1; `prev` is the digest of the record before."""

    seq: int
    prev: str
    event: Event
    torn: str = ""


def mention(experiment: str) -> bytes:
    """The bytes by which every ledger line about an experiment can be found without parsing the others."""
    return b'"experiment":"%s"' % experiment.encode()
