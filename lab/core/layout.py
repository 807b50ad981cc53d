"""Where everything lies in a data root. The only module that spells a file name.

Paths are plain strings with `/`: this module is on the path of `labctl status`, where pathlib alone would cost as
much as reading the index. Nothing here touches the disk, and every id is validated (`core.ids`) before it gets here.
"""

from __future__ import annotations

from functools import lru_cache

SPEC = "SPEC.yaml"
STATUS = "STATUS.json"
RUNBOOK = "RUNBOOK.md"
SUMMARY = "SUMMARY.md"
NEXT = "NEXT.md"
CONTEXT = "context.md"
BEST = "best.md"
STEERING = "steering.md"  # a person's words to the proposers of a code loop
METRICS_LOG = "metrics.jsonl"
RESULTS = "results.tsv"
PEERS_LOG = "autoresearch.jsonl"
LOOP_PROGRESS = "autoresearch-progress.md"
LOOP_SUMMARY = "autoresearch-summary.md"
LATEST_RUN = "checkpoints/latest-run.txt"
BEST_RUN = "checkpoints/best-run.txt"

MANIFEST = "manifest.json"
PLAN = "plan.md"
PARAMS = "params.json"
RESULT = "RESULT.md"
METRICS = "metrics.json"
REPORT = "lab-report.txt"  # LAB_REPORT: `step value` lines of the run's own
CURVE = "lab-report.json"  # what is kept of it
STDOUT = "stdout.log"
STDERR = "stderr.log"
ARTIFACTS = "artifacts"
LOOP_STEPS = "steps"  # in them: of a code loop, a folder for each program that a candidate was put through
ASI = f"{ARTIFACTS}/asi.json"  # what the proposer of a candidate noted for whoever comes next
SEAL = "SEAL.json"
SUPERSEDED = "SUPERSEDED.json"
LEFT_OUT = "LEFT-OUT.md"
EXIT = "exit.json"
DAMAGED_SEAL = "SEAL.damaged"
MODEL = "llm"
MODEL_REQUEST = f"{MODEL}/request.json"
MODEL_RESPONSE = f"{MODEL}/response.json"
MODEL_USAGE = f"{MODEL}/usage.json"

DRAFT_SUFFIX = ".draft"
PRUNED_SUFFIX = ".pruned.draft"  # a bundle that an archive has, on its way out
RESTORED_SUFFIX = ".restored.draft"  # a bundle on its way back
CLAIM_SUFFIX = ".claim"
RELEASED_SUFFIX = ".released"
SUPERSEDED_SUFFIX = ".superseded"
ABANDONED_SUFFIX = ".abandoned"
CANCEL_SUFFIX = ".cancel"
JOB_SUFFIX = ".job"  # what an engine was asked
STARTED_SUFFIX = ".started"  # the one body that was let in
OUTPUT_SUFFIX = ".out"  # what it printed
PRINTED_SUFFIX = ".printed"  # the same of one that could not seal its run
SEEN_SUFFIX = ".seen"  # how the last look found it
DOUBT_SUFFIX = ".doubt"  # of an engine
SILENCE_SUFFIX = ".silent"  # of an engine

# Derived files of one experiment.
EXPERIMENT_PAGES = (STATUS, RUNBOOK, SUMMARY, NEXT, CONTEXT, BEST, METRICS_LOG, RESULTS, LATEST_RUN, BEST_RUN)
# Those that a code loop has besides.
LOOP_PAGES = (PEERS_LOG, LOOP_PROGRESS, LOOP_SUMMARY)
# What only grows, in the order in which STATUS.json keeps their sizes; the last two are those of a code loop.
TABLES = (METRICS_LOG, RESULTS, PEERS_LOG, LOOP_PROGRESS)
# Derived files of the whole lab. PROGRAM.md and CHANGELOG.md are written by people and never rewritten.
AGENTS = "AGENTS.md"  # derived as long as it begins with our mark; a person's own is left alone
LAB_PAGES = ("README-FIRST.md", AGENTS, "LAB-STATUS.md", "LAB-INDEX.json")
DOCUMENTS = ("PROGRAM.md", "CHANGELOG.md")
ENGINES = "engines.yaml"  # by people too: which class of experiments runs where
FOLDERS = (
    "registry/locks",
    "experiments",
    "digests/daily",
    "digests/weekly",
    "control/inbox",
    "control/approvals",
    "control/outbox",
    "dispatch/ready",
    "dispatch/running",
    "dispatch/complete",
    "backups",
    "scratch",
)

# What a file is to history, by its place: README-FIRST.md and `core.inventory` are made from this table, and the law of
# DESIGN.md section 4 is tested by deleting what it calls derived. A line: which kind, a folder, the names in it (none:
# all below it), what they are. The first line that fits a file is its line.
CANONICAL, PEOPLES, PASSING, DERIVED = "canonical", "people's", "passing", "derived"
_EXPERIMENT = "experiments/<id>/"
PLACES: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    (CANONICAL, _EXPERIMENT, (SPEC,), "what the experiment is; edit it, then `labctl validate`"),
    (CANONICAL, f"{_EXPERIMENT}runs/", (), "bundles: once `SEAL.json` is in one, nothing in it changes"),
    (CANONICAL, f"{_EXPERIMENT}archived/", (), "what history needs of runs that `labctl prune` archived"),
    (CANONICAL, f"{_EXPERIMENT}asks/", (), "what models were asked and answered"),
    (CANONICAL, f"{_EXPERIMENT}code.git/", (), "the changes of a code loop whose workspace is under no git"),
    (CANONICAL, "backups/", (), "the archived bundles themselves; may be moved elsewhere"),
    (CANONICAL, "registry/", ("events.jsonl",), "every decision, each line chained to the one before"),
    (CANONICAL, "registry/ledgers/", (), "the same of labs that were taken over: their runs are proved by it"),
    (PASSING, "control/asking/", (), "what somebody is asked at a terminal, while they are"),
    (PEOPLES, "control/", ("notify.json",), "where notices go"),
    (CANONICAL, "control/", (), "the rest of it: commands and approvals by people, and what was answered"),
    (CANONICAL, "dispatch/", (), "packages for workers, and what came back"),
    (PEOPLES, "", (*DOCUMENTS, ENGINES), "what the lab is for, what was changed, which class runs where"),
    (PEOPLES, _EXPERIMENT, (STEERING,), "words to those who propose changes"),
    (PASSING, "registry/", (), "the rest of it, locks, claims, jobs, caches, logs: who is at work, and where"),
    (PASSING, "scratch/", (), "drafts, copies to work in, and what recovery set aside"),
    (DERIVED, "", LAB_PAGES, "the lab's pages"),
    (DERIVED, _EXPERIMENT, (*EXPERIMENT_PAGES, *LOOP_PAGES), "an experiment's pages and tables"),
    (DERIVED, "digests/", (), "what a day or a week brought"),
)


class Layout:
    """The places of one data root."""

    __slots__ = ("root",)

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/") or "/"

    def place(self, name: str) -> str:
        """A file or folder of the root by its relative name."""
        return f"{self.root}/{name}"

    @property
    def events(self) -> str:
        return f"{self.root}/registry/events.jsonl"

    @property
    def kept_ledgers(self) -> str:
        """Ledgers of labs whose runs were taken over, each named by its digest."""
        return f"{self.root}/registry/ledgers"

    def kept_ledger(self, sha256: str) -> str:
        return f"{self.root}/registry/ledgers/{sha256}.jsonl"

    @property
    def importing(self) -> str:
        return f"{self.root}/registry/locks/importing.section"

    @property
    def index(self) -> str:
        return f"{self.root}/LAB-INDEX.json"

    @property
    def lab_status(self) -> str:
        return f"{self.root}/LAB-STATUS.md"

    @property
    def readme(self) -> str:
        return f"{self.root}/README-FIRST.md"

    @property
    def experiments(self) -> str:
        return f"{self.root}/experiments"

    @property
    def locks(self) -> str:
        return f"{self.root}/registry/locks"

    @property
    def probe(self) -> str:
        return f"{self.root}/registry/locks/probe"

    @property
    def pages_section(self) -> str:
        return f"{self.root}/registry/locks/pages.section"

    @property
    def aside(self) -> str:
        """Where recovery moves what it cannot read. Nothing in it is ever counted, and nothing is ever deleted."""
        return f"{self.root}/scratch/aside"

    @property
    def heartbeat(self) -> str:
        """When the schedule last ran on some machine. No history: nothing is derived from it."""
        return f"{self.root}/registry/heartbeat.json"

    @property
    def schedule(self) -> str:
        """How this lab was last scheduled, and where the units went: so that `remove` takes those and no others."""
        return f"{self.root}/registry/schedule.json"

    @property
    def log(self) -> str:
        return f"{self.root}/registry/logs/run-once.log"

    @property
    def log_section(self) -> str:
        return f"{self.root}/registry/locks/log.section"

    def archive(self, name: str) -> str:
        """Whole bundles of old runs, in one tar file."""
        return f"{self.root}/backups/{name}"

    def archived(self, experiment: str) -> str:
        """The companions of its archives: what history needs of the runs in them."""
        return f"{self.root}/experiments/{experiment}/archived"

    def companion(self, experiment: str, archive: str) -> str:
        return f"{self.root}/experiments/{experiment}/archived/{archive}.jsonl"

    def spec_cache(self, digest: str, version: str) -> str:
        return f"{self.root}/registry/cache/spec-{version}-{digest[:32]}.json"

    def experiment(self, experiment: str) -> str:
        return f"{self.root}/experiments/{experiment}"

    def page(self, experiment: str, name: str) -> str:
        return f"{self.root}/experiments/{experiment}/{name}"

    def spec(self, experiment: str) -> str:
        return f"{self.root}/experiments/{experiment}/{SPEC}"

    def status(self, experiment: str) -> str:
        return f"{self.root}/experiments/{experiment}/{STATUS}"

    def runs(self, experiment: str) -> str:
        return f"{self.root}/experiments/{experiment}/runs"

    def run(self, experiment: str, run_id: str) -> str:
        return f"{self.root}/experiments/{experiment}/runs/{run_id}"

    def asks(self, experiment: str) -> str:
        """What was asked of models and what they answered, a file a question. Canonical: it cannot be had again."""
        return f"{self.root}/experiments/{experiment}/asks"

    def ask(self, experiment: str, name: str) -> str:
        return f"{self.root}/experiments/{experiment}/asks/{name}.json"

    def claims(self, experiment: str) -> str:
        return f"{self.root}/registry/locks/{experiment}"

    def claim(self, experiment: str, generation: int, suffix: str = CLAIM_SUFFIX) -> str:
        return f"{self.root}/registry/locks/{experiment}/{generation:08d}{suffix}"

    def section(self, experiment: str) -> str:
        return f"{self.root}/registry/locks/{experiment}/section"

    def settling(self, experiment: str) -> str:
        return f"{self.root}/registry/locks/{experiment}/settling"

    def placing(self, experiment: str) -> str:
        return f"{self.root}/registry/locks/{experiment}/placing"

    def engine(self, name: str) -> str:
        """What an engine of ours keeps of its jobs."""
        return f"{self.root}/registry/engines/{name}"

    def doubt(self, name: str) -> str:
        """That an engine may have a job which no claim tells of: beside its folder, for what is in there is its own."""
        return f"{self.root}/registry/engines/{name}{DOUBT_SUFFIX}"

    def silence(self, name: str) -> str:
        """That an engine cannot be asked, and people were told so."""
        return f"{self.root}/registry/engines/{name}{SILENCE_SUFFIX}"

    @property
    def identity(self) -> str:
        """Which lab this is, for engines."""
        return f"{self.root}/registry/lab.id"

    @property
    def engines(self) -> str:
        """The lab's own table of which class runs where."""
        return f"{self.root}/{ENGINES}"

    def pruning(self, experiment: str) -> str:
        return f"{self.root}/registry/locks/{experiment}/pruning"

    def digest(self, kind: str, name: str) -> str:
        return f"{self.root}/digests/{kind}/{name}.md"

    @property
    def inbox(self) -> str:
        return f"{self.root}/control/inbox"

    @property
    def inbox_section(self) -> str:
        return f"{self.root}/registry/locks/inbox.section"

    def answer(self, name: str) -> str:
        return f"{self.root}/control/outbox/{name}.json"

    def request(self, name: str) -> str:
        """Where a command goes once it was answered."""
        return f"{self.root}/control/outbox/requests/{name}.json"

    def day(self, date: str) -> str:
        return f"{self.root}/control/outbox/{date}.md"

    @property
    def approvals(self) -> str:
        return f"{self.root}/control/approvals"

    def proposal(self, proposal_id: str) -> str:
        return f"{self.root}/control/approvals/{proposal_id}.json"

    def ruling(self, proposal_id: str) -> str:
        """What was said to a proposal, while it is being carried out."""
        return f"{self.root}/control/approvals/{proposal_id}.ruling"

    def asking(self, experiment: str) -> str:
        """What somebody is asked at a terminal about an experiment, while they are."""
        return f"{self.root}/control/asking/{experiment}.json"

    def approved(self, experiment: str) -> str:
        """Runs of an experiment that were approved and wait to be started; `ID@RUN.json` was given to that run."""
        return f"{self.root}/control/approved/{experiment}"

    def ruled(self, proposal_id: str) -> str:
        return f"{self.root}/control/outbox/proposals/{proposal_id}.json"

    def ruled_on(self, proposal_id: str) -> str:
        """The proposal itself, beside what was said to it."""
        return f"{self.root}/control/outbox/proposals/{proposal_id}.proposal.json"

    @property
    def notify(self) -> str:
        return f"{self.root}/control/notify.json"

    @property
    def notices(self) -> str:
        return f"{self.root}/registry/notices.json"

    @property
    def notices_section(self) -> str:
        return f"{self.root}/registry/locks/notices.section"

    def stage(self, name: str) -> str:
        """The packages of one state: ready, running, complete, refused."""
        return f"{self.root}/dispatch/{name}"

    def package(self, stage: str, name: str) -> str:
        return f"{self.root}/dispatch/{stage}/{name}"

    def sandbox(self, name: str) -> str:
        """Where a change is tried out on a copy of its workspace; nothing is kept there."""
        return f"{self.root}/scratch/sandbox/{name}"


def kind_of(name: str) -> str:
    """What a file of a data root is to history, by its relative name. Empty for one that the lab has no place for."""
    parts = name.split("/")
    if parts[0] == "experiments" and len(parts) > 2:  # noqa: PLR2004  # a file or folder of one
        name = "/".join((*_EXPERIMENT.split("/")[:2], *parts[2:]))
    for kind, folder, names, _ in PLACES:
        if name.startswith(folder) and (name[len(folder) :] in names or not names):
            return kind
    return ""


@lru_cache(maxsize=8_192)  # the names beside a new run are those beside the last one, and may be thousands
def claim_file(name: str) -> tuple[int, str] | None:
    """`00000012.claim` as (12, ".claim"); None for any other file of a claims folder."""
    stem, dot, suffix = name.partition(".")
    if not (stem.isascii() and stem.isdigit() and len(stem) >= 8):  # noqa: PLR2004  # the width `claim` writes
        return None
    suffix = dot + suffix
    known = suffix in (CLAIM_SUFFIX, RELEASED_SUFFIX, SUPERSEDED_SUFFIX, ABANDONED_SUFFIX)
    return (int(stem), suffix) if known else None


def is_draft(name: str) -> bool:
    """Whether a file name is that of a file or bundle that was never published."""
    return name.startswith(".") and name.endswith(DRAFT_SUFFIX)


def draft_owner(name: str, place_chars: int) -> tuple[str, int] | None:
    """Which process made a draft: the place where its pid means something, and the pid. None when it does not say."""
    parts = name.removesuffix(DRAFT_SUFFIX).rpartition(".")[2].split("-")
    if len(parts) != 3 or not parts[1].isdecimal():  # noqa: PLR2004  # token, pid, count
        return None
    return parts[0][:place_chars], int(parts[1])
