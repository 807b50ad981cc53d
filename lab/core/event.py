"""One line of the ledger.

Each line carries the digest of the line before, so an edit, a removal or a change of order anywhere is found. A line
that a crash tore is acknowledged by the next one (`torn`), so that damage by accident and damage by hand differ.
"""

from __future__ import annotations

import msgspec

from lab.core.record import Record

LAB_CREATED = "lab_created"
EXPERIMENT_CREATED = "experiment_created"
PHASE_CHANGED = "phase_changed"
TIER_CHANGED = "fidelity_tier_changed"
SPEC_EDITED = "spec_edited"
RUN_SEALED = "run_sealed"
RUN_SUPERSEDED = "run_superseded"
LEASE_TAKEN_OVER = "lease_taken_over"
DIGEST_WRITTEN = "digest_written"
ROOT_IMPORTED = "root_imported"
LEDGER_MENDED = "ledger_mended"
LEDGER_CUT = "ledger_cut"
TYPES = (
    LAB_CREATED,
    EXPERIMENT_CREATED,
    PHASE_CHANGED,
    TIER_CHANGED,
    SPEC_EDITED,
    RUN_SEALED,
    RUN_SUPERSEDED,
    LEASE_TAKEN_OVER,
    DIGEST_WRITTEN,
    ROOT_IMPORTED,
    LEDGER_MENDED,
    LEDGER_CUT,
)

MEANING = {
    LAB_CREATED: "the data root was made",
    EXPERIMENT_CREATED: "an experiment was made from a SPEC",
    PHASE_CHANGED: "a person or the policy moved an experiment to another phase",
    TIER_CHANGED: "an experiment moved to another fidelity tier",
    SPEC_EDITED: "a changed SPEC.yaml was taken notice of",
    RUN_SEALED: "a bundle was sealed; carries the digest of its SEAL.json",
    RUN_SUPERSEDED: "a bundle lost its lease before its seal; it is kept and never counted",
    LEASE_TAKEN_OVER: "a claim was taken from a holder that was dead or silent",
    DIGEST_WRITTEN: "a digest was written; it can be written again from the ledger up to this line",
    ROOT_IMPORTED: "a hermes-lab data root was read in",
    LEDGER_MENDED: "a line that a crash had cut off was ended",
    LEDGER_CUT: "records that the pages had seen were gone; what they decided is lost",
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
