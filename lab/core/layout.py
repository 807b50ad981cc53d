"""Where everything lies in a data root. The only module that spells a file name.

Paths are plain strings with `/`: this module is on the path of `labctl status`, where pathlib alone would cost as
much as reading the index. Nothing here touches the disk, and every id is validated (`core.ids`) before it gets here.
"""

from __future__ import annotations

SPEC = "SPEC.yaml"
STATUS = "STATUS.json"
RUNBOOK = "RUNBOOK.md"
SUMMARY = "SUMMARY.md"
NEXT = "NEXT.md"
CONTEXT = "context.md"
BEST = "best.md"
METRICS_LOG = "metrics.jsonl"
RESULTS = "results.tsv"
LATEST_RUN = "checkpoints/latest-run.txt"
BEST_RUN = "checkpoints/best-run.txt"

MANIFEST = "manifest.json"
PLAN = "plan.md"
PARAMS = "params.json"
RESULT = "RESULT.md"
METRICS = "metrics.json"
STDOUT = "stdout.log"
STDERR = "stderr.log"
ARTIFACTS = "artifacts"
SEAL = "SEAL.json"
SUPERSEDED = "SUPERSEDED.json"
LEFT_OUT = "LEFT-OUT.md"
EXIT = "exit.json"

DRAFT_SUFFIX = ".draft"
CLAIM_SUFFIX = ".claim"
RELEASED_SUFFIX = ".released"
SUPERSEDED_SUFFIX = ".superseded"
ABANDONED_SUFFIX = ".abandoned"
CANCEL_SUFFIX = ".cancel"

# Derived files of one experiment: the law of DESIGN.md section 4 is tested by deleting exactly these.
EXPERIMENT_PAGES = (STATUS, RUNBOOK, SUMMARY, NEXT, CONTEXT, BEST, METRICS_LOG, RESULTS, LATEST_RUN, BEST_RUN)
# Derived files of the whole lab. PROGRAM.md and CHANGELOG.md are written by people and never rewritten.
LAB_PAGES = ("README-FIRST.md", "LAB-STATUS.md", "LAB-INDEX.json")
DOCUMENTS = ("PROGRAM.md", "CHANGELOG.md")
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

    def claims(self, experiment: str) -> str:
        return f"{self.root}/registry/locks/{experiment}"

    def claim(self, experiment: str, generation: int, suffix: str = CLAIM_SUFFIX) -> str:
        return f"{self.root}/registry/locks/{experiment}/{generation:08d}{suffix}"

    def section(self, experiment: str) -> str:
        return f"{self.root}/registry/locks/{experiment}/section"

    def settling(self, experiment: str) -> str:
        return f"{self.root}/registry/locks/{experiment}/settling"

    def digest(self, kind: str, name: str) -> str:
        return f"{self.root}/digests/{kind}/{name}.md"


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
