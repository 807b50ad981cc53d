"""labctl explain: no word of labctl's stays unexplained."""

from __future__ import annotations

import ast
import json
import re
import shlex
from typing import TYPE_CHECKING, Any, get_args

import pytest

from lab.cli import explained, placed, reference, terminal, tinker_checks
from lab.cli.commands import COMMANDS
from lab.cli.parser import EXIT_CODES
from lab.core import (
    candidate,
    chunk,
    crash,
    event,
    glossary,
    glossary_moves,
    job,
    launch,
    loop,
    notice,
    origin,
    package,
    proposal,
    spec_page,
)
from lab.core.errors import LabError, Superseded
from lab.core.run import OUTCOMES, VERDICTS
from lab.core.skills import codes
from lab.core.spec_fields import DEFAULT_ROLES, StopConditions
from lab.core.spec_rules import ESCALATIONS, RULES
from lab.core.view import PHASES
from lab.executors import platform, tree
from lab.llm import exchange
from lab.projections import autoresearch_summary
from lab.projections.picture import given, stairs, timeline
from lab.projections.picture import run as run_page
from lab.research import decision, declared, source
from lab.research import glossary as of_research
from lab.research.paper import claim
from lab.research.projects import overview
from lab.scheduler import checkup, step
from lab.scheduler.control import proposals
from lab.scheduler.dispatch import courier, offers
from lab.scheduler.results import choosing, foreseen, happened
from lab.store import skill_copies
from lab.tinker import monitor, paths, pauses
from tests.cli.labs import CHECKOUT, a_lab
from tests.cli.searches import SPACE, some_runs
from tests.scheduler.labs import an_experiment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.labs import Labctl

STOPPED = {
    launch.TIMEOUT, launch.MEMORY, launch.CANCELLED, launch.SUPERSEDED, launch.INTERRUPTED, launch.ORPHANED,
    launch.HOPELESS, launch.LIMIT,
}  # fmt: skip
MODEL = {value for value in vars(exchange).values() if isinstance(value, str) and value.startswith("model-")}
DAMAGE = set(re.findall(r'kind="([a-z-]+)"', (CHECKOUT / "lab/store/verify.py").read_text(encoding="utf-8")))
SAID = {
    glossary.EXIT: {str(code) for code, _ in EXIT_CODES},
    glossary.ERROR: {each.kind for each in reference.every_error()},
    glossary.OUTCOME: set(OUTCOMES),
    glossary.VERDICT: set(VERDICTS) - {""},
    glossary.PHASE: set(PHASES),
    glossary.EVENT: set(event.TYPES),
    glossary.DAMAGE: DAMAGE,
    glossary.NOTICE: {*notice.KINDS, notice.TEST, notice.MORE},
    glossary.MODEL: MODEL,
    explained.SKILL: set(codes.MEANING),
    of_research.DECISION: set(get_args(decision.Word)),
    of_research.REASON: set(get_args(decision.Reason)),
    of_research.SOURCE: {source.VERIFIED, source.MISMATCH, source.NOT_FOUND, source.UNVERIFIED},
    of_research.STATE: set(get_args(overview.State)),
    of_research.CLAIM: {*get_args(claim.Kind), *get_args(claim.Op)},
    of_research.PHASE: {each.name for each in declared.phases()},
    of_research.MODE: {each.name for each in declared.modes()},
}
WORDS = list(explained.words())
COMMON = json.loads(reference.manifest())
# What a field of that name says, whichever record it is in; below, where it says something else.
BY_NAME: dict[str, set[str]] = {
    "outcome": {*OUTCOMES},
    "last_outcome": {*OUTCOMES},
    "verdict": {*VERDICTS} - {""},
    "phase": {*PHASES},
    "standing": {*PHASES},
    "severity": {"error", "warning", "info"},
    "decision": set(get_args(decision.Word)),
}
NOUNS = (
    "lab", "experiment", "run", "bundle", "outcome", "trial", "proposal", "executor", "engine", "strategy", "claim",
    "generation", "lease", "view", "page", "package", "tier",
)  # fmt: skip
MARKS = {*stairs.KINDS, timeline.SEVERAL, timeline.UNKNOWN, given.RUNNING, given.WAITING, given.LOST}
PACKAGES = {package.READY, package.RUNNING, package.COMPLETE, package.REFUSED}
TRIED = {candidate.DRAFT, candidate.IMPROVE, candidate.DEBUG, candidate.COMBINE, candidate.TRY, *candidate.KINDS}
KEPT = {paths.WEIGHTS, paths.SAMPLER, paths.EXTERNAL}
CHECKED = {checkup.OK, checkup.WARNING, checkup.FAILED, checkup.NONE}
SAID_OF: dict[str, set[str]] = {
    "Agent.state": {"ok", "failed", "none"},
    "Check.state": CHECKED,
    "Look.state": {tinker_checks.OK, tinker_checks.WARNING, tinker_checks.FAILED, tinker_checks.ABSENT},
    "Approved.verdict": {proposal.APPROVED},
    "Rejected.verdict": {proposal.REJECTED},
    "lab.core.proposal.Ruling.verdict": {proposal.APPROVED, proposal.REJECTED, proposal.EXPIRED, proposal.MOOT},
    "lab.core.proposal.Ruling.kind": {*proposal.KINDS},
    "lab.core.view.Waiting.kind": {*proposal.KINDS},
    "Proposal.kind": {*proposal.KINDS},
    "ClaimShown.state": {"held", "lost", "abandoned", "superseded", "of a newer labctl", placed.QUEUED, placed.RUNNING,
                         placed.ENDED, "damaged.claim", "damaged.superseded", "damaged.abandoned"},
    "Complete.stage": PACKAGES,
    "Unpacked.stage": PACKAGES,
    "Chunk.halted": {chunk.IS_SPENT, chunk.IS_UNAVAILABLE},
    "Damage.kind": DAMAGE,
    "Exit.stopped": STOPPED,
    "Manifest.status": {"running", *OUTCOMES},
    "OpenRun.state": {"superseded, never counted", "under way", "not sealed; its holder is gone"},
    "SealedRun.state": {"sealed", "archived"},
    "RunPage.state": {run_page.SEALED, run_page.ARCHIVED, run_page.RUNNING, run_page.SUPERSEDED, run_page.LOST},
    "Origin.kind": {origin.BASELINE, origin.PROMOTED, origin.REPLAY, origin.PERSON, origin.IMPORTED, origin.REVIEWED,
                    origin.UNREVIEWED},
    "Problem.kind": {each.kind for each in reference.every_error()},
    "Recommended.chosen_by": {choosing.EXPECTED, choosing.AVERAGE, choosing.SEEN, choosing.KEPT, choosing.CHUNK},
    "ToTake.chosen_by": {choosing.EXPECTED, choosing.AVERAGE, choosing.SEEN, choosing.KEPT, choosing.CHUNK},
    "Weighed.how": {choosing.EXPECTED, choosing.AVERAGE},
    "Guess.by": {foreseen.RECIPE, foreseen.AVERAGE},
    "Machine.kind": {platform.CUDA, platform.ROCM, platform.MPS, platform.CPU},
    "Sight.pause": {pauses.BILLING, pauses.CAPACITY, pauses.RATE, pauses.ERRORS, pauses.AWAY},
    "SkillInstalled.was": set(get_args(skill_copies.State)),
    "SkillInstalled.done": set(get_args(skill_copies.Deed)),
    "SkillPlaced.state": set(get_args(skill_copies.State)),
    "Stored.kind": KEPT,
    "Person.kind": MARKS,
    "Spot.kind": MARKS,
    "Stretch.kind": MARKS,
    "lab.projections.picture.whole.RunRow.kind": MARKS,
    "UnderWay.state": {given.RUNNING, given.WAITING, given.LOST},
    "PhaseWorked.phase": {each.name for each in declared.phases()},
    "lab.research.projects.overview.Stage.phase": {each.name for each in declared.phases()},
    "Listed.mode": {each.name for each in declared.modes()},
    "Made.mode": {each.name for each in declared.modes()},
    "lab.research.projects.overview.Overview.mode": {each.name for each in declared.modes()},
    "lab.cli.shapes.steer.Waiting.state": {proposals.WAITING, proposals.CHANGED, proposals.DECIDED, proposals.UNKNOWN,
                                           proposals.UNREADABLE},
    "lab.core.candidate.Candidate.kind": TRIED,
    "lab.core.candidate.Candidate.rule": {*RULES},
    "lab.projections.loop_standing.Code.rule": {*RULES},
    "lab.scheduler.dispatch.offers.Said.kind": {
        offers.QUEUED, offers.CLAIMED, offers.DONE, offers.INGESTED, offers.SET_ASIDE, offers.PASSED, offers.PROBLEM,
        courier.PACKED, courier.LOST,
    },
    "lab.scheduler.placing.placed.State.state": {job.HELD, job.WAITING, job.RUNNING, job.OVER, job.ASKED, "queued",
                                                 "ended", job.UNKNOWN},
    "lab.scheduler.results.happened.Told.best": {happened.BEYOND, happened.WITHIN, happened.UNKNOWN, happened.FIRST,
                                                 happened.NOT_JUDGED},
    "lab.scheduler.results.happened.Told.what": {*event.TYPES, "run_started", "ledger_shrank", "watch_began"},
    "lab.scheduler.step.Step.kind": {
        step.RAN, step.MOVED, step.SETTLED, step.ANSWERED, step.HELD, step.PROBLEM, step.WAITING, step.NOTED,
        step.ASKING, step.ASKED, step.QUEUED,
    },
}  # fmt: skip
# Words that no schema names: they stand in reasons, in pages, or in a file that a run writes.
ELSEWHERE: dict[str, set[str]] = {
    "how a job is over": {job.DONE, job.FAILED, job.MEMORY, job.TIME, job.CANCELLED, job.LOST, job.UNKNOWN, job.REFUSED,
                          job.SUSPENDED},
    "how a change crashed": {*crash.KINDS},
    "fences": {*launch.FENCES},
    "how processes are held together": {tree.NAMESPACE, tree.SUBREAPER, tree.GROUP},
    "escalate_when": {*ESCALATIONS, loop.METRIC_DRIFT, loop.HOLDOUT_GAP, candidate.HOLDOUT_FAILED},
    "what to do with a branch": {
        autoresearch_summary.MERGE, autoresearch_summary.LOOK, autoresearch_summary.LEAVE, "likely real", "marginal",
        "noise",
    },
    "a look at a training": set(get_args(monitor.Sight.__annotations__["state"])) or {"connecting", "saving"},
    "claims of a paper": {*get_args(claim.Kind), *get_args(claim.Op)},
}  # fmt: skip
# A field of such a name, or with so few values, that is a setting or a text of somebody's, and no word of labctl's.
NO_WORD = {
    "Argument.type": "JSON's own", "Flag.type": "JSON's own", "LabManifest.name": "a name",
    "LabManifest.manifest_format": "a number", "Issue.target": "the name of an agent", "Known.format": "a file format",
    "Moved.phase": "in BY_NAME", "Parameter.kind": "docs/how-to/search-space.md", "Plotted.format": "a file format",
    "Recommended.direction": "the SPEC's", "Task.metric_direction": "the SPEC's", "Top.direction": "the SPEC's",
    "Burst.stopped": "a sentence", "Guided.stopped": "a sentence", "Swarm.stopped": "a sentence",
    "ProjectRan.stopped": "a sentence", "Chunk.trouble": "the recipe's words", "Link.trouble": "the recipe's words",
    "lab.tinker.rows.Row.trouble": "the recipe's words", "Importance.method": "a sentence", "Metric.how": "a sentence",
    "Sample.rule": "a sentence", "Digest.kind": "daily or weekly, as its verb", "Resource.kind": "the name of a folder",
    "SkillShown.kind": "always skill", "SkillSummary.kind": "always skill", "SkillRow.scope": "where it lies",
    "SkillPlaced.scope": "where it lies", "SkillSource.scope": "where it lies", "ProjectApproved.gate": "a phase",
    "lab.research.projects.overview.Overview.gate": "a phase",
    "lab.research.projects.overview.Stage.gate": "a setting of project.yaml", "Task.acceptance_rule": "the SPEC's",
    "lab.projections.picture.whole.RunRow.ended": "a time",
}  # fmt: skip
WORDY = re.compile(
    r"(?:state|status|kind|stage|verdict|outcome|phase|ended|stopped|halted|severity|scope|was|done|gate|mode|method"
    r"|trouble|rule|decision|how|chosen_by|standing|pause)$"
)


def fields() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each field of each record of the manifest: its place, its name, what it may be."""
    for record, schema in COMMON["$defs"].items():
        for name, found in schema.get("properties", {}).items():
            yield f"{record}.{name}", name, found


def of_text(schema: dict[str, Any]) -> bool:
    kinds = {each.get("type") for each in schema.get("anyOf", [schema])}
    return "string" in kinds


def enumerated(schema: dict[str, Any]) -> set[str]:
    return {str(word) for each in schema.get("anyOf", [schema]) for word in each.get("enum", ()) if word}


PLACES = sorted(
    place for place, name, schema in fields() if enumerated(schema) or (WORDY.search(name) and of_text(schema))
)


@pytest.mark.parametrize("place", PLACES)
def test_what_a_field_of_json_says_is_explained(place: str) -> None:
    """A new field of such a name fails here until this file says which words it has, or that it has none."""
    name, schema = next((name, schema) for at, name, schema in fields() if at == place)
    if place in NO_WORD:
        return
    said = SAID_OF.get(place) or enumerated(schema) or BY_NAME.get(name)
    assert said, f"say in SAID_OF which words {place} has, or in NO_WORD why it has none"
    for word in said:
        explained.find(word)


def test_what_is_said_of_fields_is_of_fields_that_are_there() -> None:
    there = {place for place, _, _ in fields()}
    assert set(SAID_OF) - there == {"RunPage.state"}  # of the page in a browser
    assert set(NO_WORD) - there == set()


@pytest.mark.parametrize("what", ELSEWHERE)
def test_words_outside_of_schemas_are_explained(what: str) -> None:
    assert ELSEWHERE[what]
    for word in ELSEWHERE[what]:
        explained.find(word)


@pytest.mark.parametrize("noun", NOUNS)
def test_a_noun_by_which_the_lab_talks_of_itself_is_explained(noun: str) -> None:
    """A newcomer asked for `trial`, and was asked back whether `marginal` was meant."""
    assert "noun" in {word.family for word in explained.find(noun)}


def test_the_roles_that_name_runs_are_explained() -> None:
    assert {word.code for word in WORDS if word.family == "role"} == {*DEFAULT_ROLES}


def reasons_of_the_policy() -> Iterator[str]:
    """Every reason that core.policy can give, with 7 for what it fills in."""
    for node in ast.walk(ast.parse((CHECKOUT / "lab/core/policy.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "reason" for to in node.targets):
            yield spoken(node.value)
        elif isinstance(node, ast.Call):
            for each in node.keywords:
                if each.arg == "reason" and isinstance(each.value, ast.Constant | ast.JoinedStr):
                    yield spoken(each.value)


def spoken(node: ast.expr) -> str:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in parts)


@pytest.mark.parametrize(
    "reason", sorted(set(reasons_of_the_policy()) - {"it is 77"})
)  # a phase and its reason: their own words
def test_why_an_experiment_moved_is_explained_as_it_is_printed(reason: str) -> None:
    assert {word.family for word in explained.find(reason)} == {explained.WHY}


def test_no_reason_is_explained_that_nothing_says() -> None:
    folder = CHECKOUT / "lab/core"
    said = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py") if "glossary" not in path.name)
    for code in glossary_moves.EVERY:
        assert re.sub(r"_?3_?", "", code.split(" (")[0])[:20] in re.sub(r"_?3_?", "", said), code


@pytest.mark.parametrize("family", SAID)
def test_every_word_that_labctl_says_is_explained_and_no_other(family: str) -> None:
    told = [word.code for word in WORDS if word.family == family]
    assert sorted(told) == sorted(SAID[family])


def test_every_way_in_which_a_run_is_stopped_is_explained() -> None:
    assert {word.code for word in WORDS} >= STOPPED


@pytest.mark.parametrize("word", WORDS, ids=lambda word: f"{word.family} {word.code}")
def test_an_explanation_says_what_why_and_what_to_do(word: glossary.Word) -> None:
    assert word.means
    assert word.why
    assert word.do
    assert word.example
    for text in (word.means, word.why, word.do):
        assert "\n" not in text
        assert not text.endswith(".")


def test_exit_codes_mean_the_same_everywhere() -> None:
    told = {word.code: word.means for word in WORDS if word.family == glossary.EXIT}
    assert told == {str(code): meaning for code, meaning in EXIT_CODES}


def test_a_word_is_explained_to_a_person(labctl: Labctl) -> None:
    assert labctl.done("explain", "exhausted").out.splitlines() == [
        "exhausted (error): the strategy has nothing left to propose",
        "  why: every point of the space was tried, or is being tried",
        "  do: widen the space, or labctl complete ID; labctl best ID says what was found",
        "  example: labctl space show lr-sweep",
    ]


def test_a_word_of_two_families_is_explained_in_both(labctl: Labctl) -> None:
    found = labctl.done("explain", "crash", "--json").data["codes"]
    assert isinstance(found, list)
    assert [each["family"] for each in found] == ["outcome", "verdict"]


@pytest.mark.parametrize("typed", ["BUSY", "run-sealed", "RUN_SEALED", " 3 ", "awaiting_human"])
def test_how_it_is_spelt_does_not_matter(typed: str, labctl: Labctl) -> None:
    labctl.done("explain", typed)


def test_every_field_of_a_spec_is_explained(labctl: Labctl) -> None:
    told = {word.code for word in WORDS if word.family == explained.FIELD}
    assert told >= {field.name for field in spec_page.fields()}
    assert told >= {f"stop_conditions.{name}" for name in StopConditions.__struct_fields__}
    assert labctl.done("explain", "max_consecutive_failures").out.splitlines() == [
        "stop_conditions.max_consecutive_failures (SPEC): Failures in a row; chunks are paused",
        "  why: whole number from 1 to 1,000,000,000, or left out",
        "  do: write `max_consecutive_failures:` into SPEC.yaml, below `stop_conditions:`",
        "  example: labctl validate lr-sweep",
    ]


@pytest.mark.parametrize(("typed", "meant"), [("bussy", "busy"), ("timout", "timeout"), ("run-seald", "run_sealed")])
def test_an_unknown_word_gets_the_nearest(typed: str, meant: str, labctl: Labctl) -> None:
    said = labctl("explain", typed)
    assert said.code == 2
    assert f"did you mean {meant}?" in said.err


def test_all_words_are_listed_a_line_each(labctl: Labctl) -> None:
    lines = labctl.done("explain", "--list").out.splitlines()
    assert [line.split("\t")[0] for line in lines] == [word.code for word in WORDS]


def test_the_kind_of_every_refusal_can_be_explained(labctl: Labctl) -> None:
    for words in (("show", "nothing"), ("status",), ("burst",), ("nope",)):
        kind = str(labctl(*words, "--json").error["kind"])
        assert f"{kind} (error)" in labctl.done("explain", kind).out


# What follows the name where it is a word of a sentence.
PROSE = {"itself", "made", "has", "needs", "worked", "was", "wrote", "says"}


def spelt(text: str) -> list[str]:
    """What is written as a command in an explanation."""
    return re.findall(r"labctl ([a-z][a-z-]+)", text)


@pytest.mark.parametrize("word", WORDS, ids=lambda word: f"{word.family} {word.code}")
def test_an_explanation_names_no_verb_that_is_not_there(word: glossary.Word) -> None:
    names = {name for each in COMMANDS for name in (each.name, *each.aliases)}
    for text in (word.means, word.why, word.do, word.example):
        for verb in spelt(text):
            assert verb in names or verb in PROSE, text


@pytest.fixture(scope="module")
def a_lab_to_ask(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("explained") / "lab"
    root = a_lab(place)
    an_experiment(root, "lr-sweep", f"{SPACE}executor: stub\n")
    some_runs(root, "lr-sweep")
    return place


@pytest.mark.parametrize("command", sorted({word.example for word in WORDS}))
def test_each_example_works(command: str, a_lab_to_ask: Path, labctl: Labctl) -> None:
    words = shlex.split(command.removesuffix("; echo $?"))
    assert words[0] == "labctl"
    if words[1:3] == ["paper", "verify"]:  # of a project, which this lab has not
        return
    said = labctl(*words[1:], "--data-root", str(a_lab_to_ask))
    assert said.code == 0, said


def test_a_reason_is_found_by_its_own_words_whatever_stands_in_between(labctl: Labctl) -> None:
    assert "plateau (why it moved)" in labctl.done("explain", "plateau in the tier proxy").out
    assert "metric_regression_3" in labctl.done("explain", "metric_regression_12_consecutive").out
    assert labctl("explain", "nothing that anybody says").code == 2


def test_a_refusal_that_says_nothing_to_do_says_where_its_kind_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    to = terminal.Terminal(as_json=False, quiet=True)
    to.refuse("show", Superseded("it lost its lease"))
    to.refuse("show", Superseded("it lost its lease", fix="wait"))
    to.refuse("show", LabError("it failed"))
    assert capsys.readouterr().err.splitlines() == [
        "error[superseded]: it lost its lease",
        "  more: labctl explain superseded",
        "error[superseded]: it lost its lease",
        "  fix: wait",
        "error[failed]: it failed",
    ]
