"""Every file of a data root: whether history rests on it, what it says, who writes it, and in which format.

`<...>` stands for one name; a path that ends in `/` stands for all below it. The first line that fits a file is its
line. A test walks through a lab that was used and finds each of its files here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from lab.core import layout

Format = Literal["yaml", "json", "jsonl", "markdown", "tsv", "text", "tar", "lock", "any"]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A file. `schema` is the name by which `labctl schema` prints what is in it."""

    path: str
    canonical: bool
    about: str
    by: str
    format: Format
    schema: str = ""


def _line(path: str, fmt: Format, by: str, about: str, schema: str = "") -> Known:  # one line of the first table
    kept = layout.kind_of(path) in (layout.CANONICAL, layout.PEOPLES)
    return Known(path=path, canonical=kept, about=about, by=by, format=fmt, schema=schema)


def _page(path: str, fmt: Format, about: str, schema: str = "", by: str = "every run, and refresh") -> Known:
    return _line(path, fmt, by, about, schema)


_RUN = "experiments/<id>/runs/<run>"
_CANONICAL = (
    _line("PROGRAM.md", "markdown", "people", "what the lab is for; read it before planning a run"),
    _line("CHANGELOG.md", "markdown", "people", "one line a human decision"),
    _line("engines.yaml", "yaml", "init, then people", "which class of runs goes where, and what its jobs ask for"),
    _line("experiments/<id>/SPEC.yaml", "yaml", "create, then people", "what the experiment is", "spec"),
    _line("experiments/<id>/steering.md", "markdown", "people", "what they say to the proposers of a code loop"),
    _line(f"{_RUN}/manifest.json", "json", "the run's holder", "what the run set out to do, and how it ended",
          "manifest.json"),
    _line(f"{_RUN}/plan.md", "markdown", "the run's holder", "the same for people, before it began"),
    _line(f"{_RUN}/params.json", "json", "the run's holder", "its parameters, where it has any"),
    _line(f"{_RUN}/RESULT.md", "markdown", "the run, else its holder", "what it tried and found, and what comes next"),
    _line(f"{_RUN}/metrics.json", "json", "the run, then its holder", "its value, and whatever else it measured"),
    _line(f"{_RUN}/lab-report.txt", "text", "the run", "`step value` lines, as LAB_REPORT says"),
    _line(f"{_RUN}/lab-report.json", "json", "the run's holder", "what is kept of them", "lab-report.json"),
    _line(f"{_RUN}/stdout.log", "text", "the run", "what it printed; of very much, head and tail"),
    _line(f"{_RUN}/stderr.log", "text", "the run", "the same of its errors"),
    _line(f"{_RUN}/llm/", "json", "the run's holder", "what a model was asked, what it answered, and what it cost"),
    _line(f"{_RUN}/decision.json", "json", "dispatch-agent-submit", "what became of a change", "decision.json"),
    _line(f"{_RUN}/exit.json", "json", "the warden", "how its program ended, until the manifest says it", "exit.json"),
    _line(f"{_RUN}/SUPERSEDED.json", "json", "takeover", "its holder lost the lease: it is never counted"),
    _line(f"{_RUN}/LEFT-OUT.md", "markdown", "the seal", "what could not be kept in the bundle"),
    _line(f"{_RUN}/SEAL.json", "json", "the run's holder", "the digest of every file; made last", "SEAL.json"),
    _line(f"{_RUN}/", "any", "the run", "whatever else it left, sealed with it; artifacts/ is meant for it"),
    _line("experiments/<id>/archived/<archive>", "jsonl", "prune", "what history needs of runs that were archived",
          "archived"),
    _line("experiments/<id>/asks/<ask>.json", "json", "searches that ask a model", "one question and its answer"),
    _line("experiments/<id>/code.git/", "any", "code loops", "a repository for a workspace that is under no git"),
    _line("backups/<archive>", "tar", "prune", "whole bundles of old runs; may be moved elsewhere"),
    _line("registry/events.jsonl", "jsonl", "every decision", "the ledger: each line chained to the one before",
          "events.jsonl"),
    _line("registry/ledgers/<ledger>.jsonl", "jsonl", "import-root", "the ledger of a lab that was taken over",
          "events.jsonl"),
    _line("control/inbox/<name>", "json", "people and programs", "an order that waits", "order"),
    _line("control/notify.json", "json", "people", "where notices go", "notify.json"),
    _line("control/approvals/<proposal>.json", "json", "propose, guided, the policy", "what waits for a person's word",
          "proposal"),
    _line("control/approvals/<proposal>.ruling", "json", "approve and reject", "the word, while it is carried out",
          "ruling"),
    _line("control/approved/<id>/<proposal>.json", "json", "approve", "an approved run that no run has used", "ruling"),
    _line("control/outbox/proposals/<proposal>.proposal.json", "json", "approve and reject", "what was decided on",
          "proposal"),
    _line("control/outbox/proposals/<proposal>.json", "json", "approve and reject", "what was decided", "ruling"),
    _line("control/outbox/requests/<name>", "json", "the turn", "an order that was answered", "order"),
    _line("control/outbox/<key>.json", "json", "the turn", "the answer to an order", "reply"),
    _line("control/outbox/<date>.md", "markdown", "the turn", "the answers of a day, for people"),
    _line("dispatch/<state>/<package>/dispatch.json", "json", "dispatch-ready", "what is to be run", "dispatch.json"),
    _line("dispatch/<state>/<package>/claim.json", "json", "dispatch-claim", "which run it became", "claim.json"),
    _line("dispatch/<state>/<package>/done.json", "json", "dispatch-complete", "how it ended", "done.json"),
    _line("dispatch/<state>/<package>/REFUSED.md", "markdown", "dispatch-ingest", "why it was set aside"),
    _line("dispatch/<state>/<package>/input/", "any", "dispatch-ready", "copies for the worker to read"),
    _line("dispatch/<state>/<package>/", "any", "the worker", "run/: the bundle to be"),
)  # fmt: skip
_DERIVED = (
    _page("README-FIRST.md", "markdown", "how to read this folder", by="init and refresh"),
    _page("AGENTS.md", "markdown", "the same for agents", by="init and refresh"),
    _page("LAB-STATUS.md", "markdown", "the whole lab on a page; what wants a person first"),
    _page("LAB-INDEX.json", "json", "one line an experiment, for programs", "LAB-INDEX.json"),
    _page("experiments/<id>/STATUS.json", "json", "one experiment, for programs", "STATUS.json"),
    _page("experiments/<id>/RUNBOOK.md", "markdown", "what it is and how to work with it"),
    _page("experiments/<id>/SUMMARY.md", "markdown", "where it stands, on one screen"),
    _page("experiments/<id>/NEXT.md", "markdown", "what the last run hands to the next one"),
    _page("experiments/<id>/context.md", "markdown", "the last five runs, with what they wrote"),
    _page("experiments/<id>/best.md", "markdown", "the best number seen, its parameters; the run to take: labctl best"),
    _page("experiments/<id>/metrics.jsonl", "jsonl", "every run, a line each", "metrics.jsonl"),
    _page("experiments/<id>/results.tsv", "tsv", "every run, a line each, for plots"),
    _page("experiments/<id>/autoresearch.jsonl", "jsonl", "of a code loop: every run, as pi-autoresearch reads them"),
    _page("experiments/<id>/autoresearch-progress.md", "markdown", "of a code loop: where it stood every ten runs"),
    _page("experiments/<id>/autoresearch-summary.md", "markdown", "of a code loop: what came of it, and how sure"),
    _page("experiments/<id>/checkpoints/latest-run.txt", "text", "the id of the last run"),
    _page("experiments/<id>/checkpoints/best-run.txt", "text", "the id of the best run"),
    _page("digests/daily/<date>.md", "markdown", "what a day brought", by="digest"),
    _page("digests/weekly/<week>.md", "markdown", "what a week brought", by="weekly-digest"),
)
# Neither history nor pages: what is going on now, on which machine. Losing them loses no run.
_PASSING = (
    _page("registry/locks/<id>/<generation>.job", "json", "what an engine was asked to run, and how it ended",
          by="whoever asks it"),
    _page("registry/locks/<id>/<generation>.started", "json", "the one job that was let in", by="exec"),
    _page("registry/locks/<id>/<generation>.seen", "json", "how the last look found the job", by="run-once"),
    _page("registry/locks/<id>/<generation>.out", "text", "what the job itself printed", by="the engine"),
    _page("registry/locks/<id>/<generation>.printed", "text", "the same of a job whose body sealed no run",
          by="whoever settles it"),
    _page("registry/locks/<id>/<generation>.cancel", "text", "why somebody asked for the run to be ended", by="cancel"),
    _page("registry/lab.id", "text", "which lab this is; a copy is another", by="the first run for an engine"),
    _page("registry/engines/<engine>.doubt", "json", "that an engine may have a job which nobody waits for",
          by="whoever asks it"),
    _page("registry/engines/<engine>.silent", "json", "that an engine does not answer, and people were told so",
          by="whoever asks it"),
    _page("registry/engines/", "any", "what an engine of ours keeps of its jobs", by="engines"),
    _page("registry/locks/<id>/<generation>.<state>", "json", "a claim on the experiment; never delete one", "claim",
          by="whoever runs"),
    _page("registry/locks/", "lock", "empty files for flock", by="every command"),
    _page("registry/events.jsonl.section", "lock", "the same for the ledger", by="every command"),
    _page("control/asking/<id>.json", "json", "what somebody is asked at a terminal, while they are", by="guided"),
    _page("registry/heartbeat.json", "json", "when the schedule last ran", "heartbeat.json", by="the schedule"),
    _page("registry/schedule.json", "json", "what was scheduled, and where its units lie", "schedule.json",
          by="schedule"),
    _page("registry/notices.json", "json", "which notices went out; losing it costs one sent twice", "notices.json",
          by="notices"),
    _page("registry/logs/", "text", "the lines of scheduled turns", by="the schedule"),
    _page("registry/cache/", "json", "parsed SPECs; may be deleted at any time", by="every command"),
    _page("scratch/", "any", "drafts, sandboxes, and what recovery set aside", by="labctl"),
)  # fmt: skip

FILES = (*_CANONICAL, *_DERIVED, *_PASSING)
