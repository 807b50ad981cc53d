"""Every verb: what it says when it works, to a person and to a program."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from lab.cli.commands import COMMANDS
from lab.core import layout
from lab.core.proposal import RESUME, Proposal
from lab.scheduler import cycle
from lab.scheduler.control import approvals
from lab.scheduler.placing import placed
from lab.testing.files import a_root
from tests.cli.handed import handed
from tests.cli.hermes_root import a_hermes_root
from tests.cli.labs import a_busy_lab, a_lab, dead, foreign, me, one_run, runs_of, tree
from tests.research.paper import papers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl

# doctor runs a program in this process, whose other threads (the test runner's) are idle in the child.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

# verb -> (words on a lab with runs in it, what its text has, what its data has)
VERBS: dict[str, tuple[tuple[str, ...], str, set[str]]] = {
    "init": ((), "already a lab: ", {"data_root", "made"}),
    "create": (("autoresearch-generic", "--id", "third"), "created experiment: third\n", {"experiment", "path"}),
    "validate": (("alpha",), "valid: alpha (", {"id", "source", "tiers", "time_budget_s"}),
    "space": (("show", "alpha"), "lr    float  0.0 to 1.0  linear", {"where", "parameters", "points", "baseline"}),
    "import-root": (("old",), "imported: 2 experiments, ", {"source", "experiments", "runs", "false_values_dropped"}),
    "import": (("alpha", "journal.log"), "imported: 1 run (1 with a value)", {"experiment", "study", "runs", "known"}),
    "autoresearch": (
        ("start", "--id", "fourth", "--edit", "old", "--metric", "loss", "--measure", "true", "--yes"),
        "created experiment: fourth\n",
        {"experiment", "path", "workspace", "platform", "spec"},
    ),
    "run-once": (("--experiment", "alpha", "--now"), "ran alpha [", {"ran", "steps"}),
    "burst": (("alpha", "--strategy", "random", "-n", "2"), "2 runs in ", {"ran", "failed", "best", "stopped"}),
    "guided": (("alpha", "-n", "1", "--resume"), "0 runs in ", {"ran", "failed", "best", "skipped"}),
    "swarm": (("alpha", "--strategies", "random", "perturb", "-n", "2"), "2 runs in ", {"ran", "best", "arms"}),
    "try": (("alpha", "--list"), "no tree is handed out\n", {"trees"}),
    "mutate": (
        ("--provider", "stub", "--run-dir", "."),
        "nothing was changed: the stub",
        {"changed", "refused", "text"},
    ),
    "replay": (("FIRST",), "\nnow: RUN-", {"before", "after", "equal", "difference"}),
    "research": (("new", "mine", "--mode", "A", "--dry-run"), "would be made: ", {"name", "made", "folder", "phases"}),
    "paper": (("verify", "proj", "--data-root", "papers/lab"), " claims hold\n", {"claims", "drifts", "holds"}),
    "tinker": (("runs",), "No experiment trains remotely\n", {"chains"}),
    "status": ((), "experiments: 2\n", {"data_root", "experiments", "phases", "runs", "free_gb", "wants_you"}),
    "list": ((), "alpha\tactive\ttier=proxy\tclass=default\truns=3\tbest=0.25\t", {"experiments", "left_out"}),
    "show": (("alpha",), "alpha", {"id", "phase", "under_way"}),
    "context": (("alpha",), "# alpha: briefing\n", {"experiment", "goal", "left", "best", "last", "next"}),
    "watch": (
        ("alpha", "--for", "0"),
        " alpha: watched from now on; 0 under way\n",
        {"experiment", "ended", "events", "left_out"},
    ),
    "tail": (
        ("alpha",),
        " wrote nothing to its stdout\n",
        {"run_id", "experiment", "stream", "bytes", "lines", "is_cut"},
    ),
    "best": (("alpha",), "alpha, tier proxy: loss, minimize, 2 runs with a value\n", {"run", "params", "again"}),
    "top": (("alpha",), "alpha, tier proxy: loss, minimize\n", {"experiment", "tier", "runs", "varying"}),
    "params": (("FIRST",), '{\n  "lr": 0.25\n}\n', {"run", "experiment", "params"}),
    "compare": (
        ("FIRST", "LAST"),
        "-value: 0.25\n+value: 0.5\n",
        {"runs", "facts", "params", "only", "better", "metrics", "code"},
    ),
    "evals": (("results.json",), " addition/acc,none: 0.5 ± 0.1", {"first", "second", "comparison", "notes"}),
    "board": (("alpha",), "arm  trials  failed  new bests", {"experiment", "arms", "claims", "feed"}),
    "cost": (("alpha",), "alpha, tier proxy: loss, minimize\n", {"experiment", "tier", "best", "best_run", "spending"}),
    "metrics": (
        ("parse", "run.log", "--metric", "loss"),
        "loss\t0.5\n",
        {"metric", "value", "metrics", "refused", "problem"},
    ),
    "report": (("alpha", "-o", "-"), "<!doctype html>\n", {"experiment", "format", "bytes", "runs", "total", "pages"}),
    "plot": (("alpha", "-o", "-"), "<svg ", {"experiment", "what", "tier", "format", "bytes", "shown", "total"}),
    "export": (("alpha",), "run_id,ts,outcome,value,", {"experiment", "format", "runs", "rows"}),
    "serve": (("--port", "0", "--until-idle", "0"), "http://127.0.0.1:", {"url", "port", "pid", "private"}),
    "digest": (("--date", "2026-01-02"), "digest written: ", {"kind", "name", "path", "text"}),
    "weekly-digest": (("--week", "2026-W01"), "weekly digest written: ", {"kind", "name", "path", "text"}),
    "pause": (("alpha", "--reason", "no data"), "paused: alpha\n", {"experiment", "phase", "changed"}),
    "resume": (("alpha",), "alpha is active already\n", {"experiment", "phase", "changed"}),
    "complete": (("alpha",), "completed: alpha\n", {"experiment", "phase", "changed"}),
    "set-fidelity": (("alpha", "final"), "alpha -> fidelity tier final\n", {"experiment", "tier", "changed"}),
    "propose": (("alpha", "--tier", "final"), "proposed: alpha-", {"proposal", "experiment", "kind", "made"}),
    "approvals": ((), "alpha-1  waiting: resume alpha\n", {"proposals", "approved_runs"}),
    "approve": (("alpha-1",), "approved: alpha-1; alpha goes on\n", {"proposal", "experiment", "kind", "verdict"}),
    "reject": (("alpha-1", "--why", "no"), "rejected: alpha-1; alpha is paused\n", {"proposal", "verdict"}),
    "cancel": (("alpha",), "asked to end: RUN-", {"runs"}),
    "steer": (("alpha",), "alpha: nothing is said to its proposers\n", {"experiment", "steering", "changed"}),
    "notify": ((), "Nothing is configured in ", {"configured", "path", "channels", "held_back"}),
    "archive": (("beta",), "archived: beta\n", {"experiment", "phase", "changed"}),
    "exec": (("alpha", "WAITING"), "sealed RUN-", {"experiment", "run", "outcome", "value"}),
    "worker": (("--until-idle", "0"), "0 runs\n", {"worker", "inbox", "worked", "failed", "last"}),
    "courier": (("post",), "Nothing came, and nothing went\n", {"packed", "ingested", "lost", "refused", "others"}),
    "doctor": ((), "ok       python", {"checks", "agents", "failed"}),
    "watchdog": ((), "free_gb: ", {"free_gb", "live", "settled", "alerts"}),
    "recover": ((), "Nothing to mend. The lab is in order.\n", {"done", "left", "under_way", "findings"}),
    "verify": ((), "all as it was sealed: 6 runs, ", {"records", "runs", "files", "bytes", "damage"}),
    "refresh": ((), "refreshed: 2 experiments, 6 runs, ", {"experiments", "runs", "written", "findings"}),
    "lease": (("show",), "No claims\n", {"claims"}),
    "schedule": (("status",), "nothing is scheduled\n", {"scheduled", "in_place", "backend", "heartbeat"}),
    "prune": (("--keep", "100"), "nothing is old enough to go\n", {"dry_run", "experiments"}),
    "mcp": (("install", "cursor", "--print"), '"mcpServers": {', {"client", "path", "server", "text"}),
    "schema": (("SEAL.json",), '"title": "the seal of a bundle"', {"$schema", "title", "$defs"}),
    "explain": (("busy",), "busy (error): somebody alive holds it\n", {"codes"}),
    "skills": (("list",), "labctl-operate\tbundled\t", {"skills"}),
    "completion": (("bash",), "complete ", {"shell", "script"}),
}

# A study with one trial, as Optuna writes it.
JOURNAL = """\
{"op_code":0,"worker_id":"w","study_name":"s","directions":[1]}
{"op_code":4,"worker_id":"w","study_id":0,"datetime_start":"2026-01-02T03:04:05.000000+00:00","state":1,"value":0.125,\
"values":null,"datetime_complete":"2026-01-02T03:04:06.000000+00:00","distributions":{},"params":{},"user_attrs":{},\
"system_attrs":{},"intermediate_values":{}}
"""


@pytest.fixture
def lab(place: Path, labctl: Labctl, tmp_path: Path) -> Path:
    """A lab with six runs, an old data root beside it, and a second experiment that may be archived."""
    a_busy_lab(place)
    a_hermes_root(tmp_path / "old")
    return place


def prepare(verb: str, labctl: Labctl, lab: Path) -> None:
    """What a verb needs before it: something that may be archived, a question, a run under way."""
    if verb == "archive":
        labctl.done("pause", "beta")
    if verb in ("worker", "courier"):  # with nothing to do
        labctl.done("pause", "alpha")
        labctl.done("pause", "beta")
    if verb in ("approvals", "approve", "reject"):
        later = "2999-01-01T00:00:00.000000Z"  # the clock of this lab stands in January, that of the verb does not
        approvals.ask(a_root(lab), Proposal(kind=RESUME, experiment="alpha", expires_at=later))
    if verb in ("run-once", "replay", "burst", "guided", "swarm"):
        with (lab / "experiments/alpha/SPEC.yaml").open("a") as spec:
            spec.write("executor: stub\n")
    if verb in ("space", "burst", "guided", "swarm"):
        with (lab / "experiments/alpha/SPEC.yaml").open("a") as spec:
            spec.write("search_space: {lr: {low: 0, high: 1}}\n")
    if verb == "guided":  # with nothing left to do it asks nobody
        labctl.done("burst", "alpha", "-n", "1", "--strategy", "random")
    if verb == "import":
        (lab.parent / "journal.log").write_text(JOURNAL)
    if verb == "metrics":
        (lab.parent / "run.log").write_text("METRIC loss=0.5\n")
    if verb == "evals":
        told = '{"addition": {"acc,none": 0.5, "acc_stderr,none": 0.1}}'
        (lab.parent / "results.json").write_text(f'{{"results": {told}, "model_name": "tiny"}}')
    if verb == "exec":
        with (lab / "experiments/alpha/SPEC.yaml").open("a") as spec:
            spec.write("executor: stub\n")
        handed(a_root(lab), "alpha", number="7")
    if verb == "cancel":
        cycle.begin(a_root(lab), "alpha", owner=me())


@pytest.fixture
def _paper(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Beside the lab another one, in which a project has written its paper."""
    if request.node.callspec.id == "paper":
        papers.Told(tmp_path / "papers").written()


def words_of(verb: str, lab: Path) -> list[str]:
    """The words after the verb; FIRST and LAST are runs of alpha, WAITING is one that an engine has."""
    root = a_root(lab)
    runs = runs_of(root, "alpha")
    known = {"FIRST": runs[0], "LAST": runs[-1]}
    for claim in placed.held(root, ("alpha",)):
        known["WAITING"] = claim.run_id
    return [known.get(word, word) for word in VERBS[verb][0]]


def test_every_verb_is_tested_here() -> None:
    # Each dispatch verb needs the one before it: test_dispatch.py.
    assert list(VERBS) == [command.name for command in COMMANDS if not command.name.startswith("dispatch-")]


@pytest.mark.usefixtures("_paper")
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_works_says_so_to_a_person(verb: str, labctl: Labctl, lab: Path) -> None:
    prepare(verb, labctl, lab)
    _, text, _ = VERBS[verb]
    said = labctl.done(verb, *words_of(verb, lab))
    assert text in said.out
    assert said.out.endswith("\n")
    assert "warning" not in said.out


@pytest.mark.usefixtures("_paper")
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_works_gives_a_program_one_document(verb: str, labctl: Labctl, lab: Path) -> None:
    prepare(verb, labctl, lab)
    _, _, keys = VERBS[verb]
    said = labctl.done(verb, *words_of(verb, lab), "--json")
    assert [key for key in said.envelope if key != "advice"] == ["schema", "ok", "data", "warnings", "next"]
    assert said.envelope["schema"] == f"labctl.{verb}/1"
    assert said.envelope["ok"] is True
    assert keys <= set(said.data)
    assert isinstance(said.envelope["warnings"], list)
    assert isinstance(said.envelope["next"], list)
    assert said.err == ""


@pytest.mark.parametrize("verb", VERBS)
def test_the_document_says_the_same_whether_json_is_asked_for_before_or_after_the_verb_or_by_the_environment(
    verb: str, labctl: Labctl, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = labctl(verb, "nowhere", "--no-such-flag", "--json")
    before = labctl("--json", verb, "nowhere", "--no-such-flag")
    monkeypatch.setenv("LABCTL_OUTPUT", "json")
    environment = labctl(verb, "nowhere", "--no-such-flag")
    assert after == before == environment
    assert after.code == 2
    assert after.error["kind"] == "bad-input"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_help_of_every_verb_explains_it_and_has_an_example(
    command: object, labctl: Labctl, place: Path, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id
    help_page = labctl.done(name, "--help").out
    assert help_page.startswith(f"usage: labctl {name}")
    assert f"example:\n  {'export' if name == 'init' else 'labctl ' + name}" in help_page
    assert "--json" in help_page
    assert labctl.done("help", name).out == help_page
    assert not place.exists()


def test_help_and_version_need_no_lab(labctl: Labctl, place: Path) -> None:
    overview = labctl.done("--help").out
    assert labctl.done().out == labctl.done("-h").out == labctl.done("help").out == overview
    assert all(f"  {command.name} " in overview for command in COMMANDS)
    assert labctl.done("--version").out.startswith("labctl ")
    assert not place.exists()


def test_init_makes_a_lab_and_says_what_to_do_next(labctl: Labctl, place: Path) -> None:
    said = labctl.done("init")
    assert said.out == f"initialized: {place}\n"
    assert said.err == "next: labctl create first-run\n"
    assert sorted(tree(str(place))) == sorted(
        (*layout.LAB_PAGES, *layout.DOCUMENTS, layout.ENGINES, "registry/events.jsonl")
    )  # and nothing half done


def test_create_by_its_old_name(labctl: Labctl, place: Path) -> None:
    labctl.done("init")
    said = labctl.done("add-task", "autoresearch-generic", "--id", "mine", "--json")
    assert said.envelope["schema"] == "labctl.create/1"
    assert said.data["experiment"] == "mine"


def test_create_with_dry_run_writes_nothing(labctl: Labctl, place: Path) -> None:
    labctl.done("init")
    before = tree(str(place))
    assert labctl.done("create", "autoresearch-generic", "--id", "x", "--dry-run").out == (
        "would create experiment: x\n"
    )
    assert tree(str(place)) == before


def test_a_template_keeps_its_comments_under_another_id(labctl: Labctl, place: Path) -> None:
    labctl.done("init")
    labctl.done("create", "multifidelity-autoresearch", "--id", "tiers")
    text = (place / "experiments/tiers/SPEC.yaml").read_text()
    assert re.search(r'^id: "?tiers"?$', text, re.MULTILINE)
    assert "# from cheap to costly" in text


def test_pause_resume_complete_archive_restore(labctl: Labctl, place: Path) -> None:
    a_lab(place, "alpha")
    assert labctl.done("pause", "alpha").out == "paused: alpha\n"
    assert labctl.done("pause", "alpha").out == "alpha is paused already\n"
    assert labctl.done("resume", "alpha").out == "resumed: alpha\n"
    assert labctl.done("complete", "alpha", "--reason", "good enough").out == "completed: alpha\n"
    refused = labctl("pause", "alpha")
    assert refused.code == 2
    assert "labctl resume alpha opens it again" in refused.err
    assert labctl.done("archive", "alpha").out == "archived: alpha\n"
    assert labctl.done("list").out == "No experiments\n"
    assert "alpha\tarchived" in labctl.done("list", "--archived").out
    refused = labctl("resume", "alpha")
    assert refused.code == 2
    assert "labctl archive alpha --restore" in refused.err
    assert labctl.done("archive", "alpha", "--restore").out == "restored: alpha\n"
    assert "alpha\tpaused" in labctl.done("list").out


def test_an_experiment_that_goes_on_is_not_archived(labctl: Labctl, place: Path) -> None:
    one_run(a_lab(place, "alpha"), "alpha", 0.5)
    refused = labctl("archive", "alpha")
    assert refused.code == 2
    assert "labctl complete alpha" in refused.err


def test_a_tier_that_is_not_there_is_refused_with_those_that_are(labctl: Labctl, place: Path) -> None:
    a_lab(place, "alpha")
    refused = labctl("set-fidelity", "alpha", "finale")
    assert refused.code == 2
    assert "proxy, final" in refused.err
    assert labctl.done("set-fidelity", "alpha", "proxy").out == "alpha is already at fidelity tier proxy\n"


def test_a_reason_is_kept_with_the_decision(labctl: Labctl, place: Path) -> None:
    a_lab(place, "alpha")
    labctl.done("pause", "alpha", "--reason", "waiting for data")
    line = json.loads((place / "registry/events.jsonl").read_text().splitlines()[-1])
    assert (line["event"]["reason"], line["event"]["actor"]) == ("waiting for data", "ann")
    assert "waiting for data" in labctl.done("show", "alpha").out


def test_list_shows_the_runs_of_one_experiment(labctl: Labctl, place: Path) -> None:
    root = a_busy_lab(place)
    first, second, third = runs_of(root, "alpha")
    assert [line.split("\t")[:3] for line in labctl.done("list", "alpha").out.splitlines()] == [
        [first, "success", "0.25"],
        [second, "failed", "-"],
        [third, "success", "0.5"],
    ]
    assert labctl.done("list", "alpha", "--last", "1").out.startswith(third)
    assert labctl.done("list", "alpha", "--outcome", "failed").out.startswith(second)
    assert labctl.done("list", "alpha", "--outcome", "success", "--last", "1").out.startswith(third)
    runs = labctl.done("list", "alpha", "--json").data["runs"]
    assert isinstance(runs, list)
    assert [run["value"] for run in runs] == [0.25, None, 0.5]


def test_list_can_be_bounded_by_what_happened_last(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha", "beta", "gamma")
    one_run(root, "gamma", 0.5)
    one_run(root, "alpha", 0.5)
    said = labctl.done("list", "--last", "2")
    assert [line.split("\t")[0] for line in said.out.splitlines()] == ["alpha", "gamma"]
    assert "left out: 1 more" in said.err
    labctl.done("pause", "beta")
    told = labctl.done("list", "--last", "1", "--json").data
    assert isinstance(told["experiments"], list)
    assert ([row["id"] for row in told["experiments"]], told["left_out"]) == (["beta"], 2)
    assert labctl.done("list", "--last", "1", "--phase", "active").out.startswith("alpha\t")
    assert labctl.done("list", "--last", "3").err == ""


def test_show_tells_of_a_sealed_run_and_whether_it_is_intact(labctl: Labctl, place: Path) -> None:
    root = a_busy_lab(place)
    run = runs_of(root, "alpha")[0]
    told = labctl.done("show", run, "--json").data
    assert (told["state"], told["value"], told["intact"], told["params"]) == ("sealed", 0.25, True, {"lr": 0.25})
    path = place / "experiments/alpha/runs" / run / "metrics.json"
    path.chmod(0o644)
    path.write_text('{"value": 999}')
    said = labctl.done("show", run)
    assert "loss: 0.25" in said.out
    assert "metrics.json: a sealed file was changed" in said.err


def test_show_tells_of_a_run_that_is_under_way(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    running = cycle.begin(root, "alpha", owner=me())
    told = labctl.done("show", running.manifest.run_id, "--json").data
    assert told["state"] == "under way"
    assert f"under way: {running.manifest.run_id}" in labctl.done("show", "alpha").out


def test_watchdog_only_looks_unless_it_may_repair(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    run = cycle.begin(root, "alpha", owner=dead()).manifest.run_id
    looked = labctl("watchdog")
    assert looked.code == 1
    assert "alert: registry/locks/alpha: " in looked.out
    assert "fix: labctl watchdog --repair" in looked.out
    assert "not sealed; its holder is gone" in labctl.done("show", run).out
    mended = labctl.done("watchdog", "--repair")
    assert f"settled: alpha/{run}: " in mended.out
    assert "sealed as crash" in mended.out
    assert "alerts: none" in mended.out or "GB are free" in mended.out
    assert "\tcrash\t-\t" in labctl.done("list", "alpha").out
    assert labctl.done("verify").code == 0


def test_a_claim_of_another_machine_is_broken_only_with_agreement(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    cycle.begin(root, "alpha", owner=foreign())
    shown = labctl.done("lease", "show", "alpha").out
    assert "state=held" in shown
    assert "owner=far" in shown
    refused = labctl("lease", "break", "alpha", "--generation", "1")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert labctl("lease", "break", "alpha").code == 2
    assert labctl("lease", "break", "alpha", "--generation", "7", "--yes").code == 2
    assert labctl.done("lease", "break", "alpha", "--generation", "1", "--yes").out.startswith("broken: alpha")
    assert labctl.done("lease", "show").out == "No claims\n"


def test_recover_mends_what_a_dead_owner_left_and_then_finds_nothing(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    cycle.begin(root, "alpha", owner=dead())
    assert "done: alpha/RUN-" in labctl.done("recover").out
    assert labctl.done("recover").out == "Nothing to mend. The lab is in order.\n"


def test_validate_needs_no_lab_and_makes_none(labctl: Labctl, place: Path) -> None:
    assert labctl.done("validate", "research-sprint").out.startswith("valid: ")
    schema = json.loads(labctl.done("validate", "--schema").out)
    assert schema == labctl.done("validate", "--schema", "--json").data
    assert labctl("validate").code == 2
    assert not place.exists()


def test_verify_of_one_experiment_looks_at_no_other(labctl: Labctl, place: Path) -> None:
    root = a_busy_lab(place)
    path = place / "experiments/beta/runs" / runs_of(root, "beta")[0] / "plan.md"
    path.unlink()
    assert labctl.done("verify", "alpha").out.startswith("all as it was sealed: 3 runs")
    said = labctl("verify")
    assert said.code == 4
    assert "file-missing\texperiments/beta/runs/" in said.out
    machine = labctl("verify", "--json")
    assert machine.code == 4
    assert machine.envelope["ok"] is False
    assert machine.err == ""


def test_what_is_left_to_mend_is_exit_code_1_for_watchdog_and_recover(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    cycle.begin(root, "alpha", owner=me())
    said = labctl.done("recover", "--json")
    assert (said.data["left"], said.data["under_way"]) == ([], 1)  # it is no leftover
    in_words = "Nothing to mend. The lab is in order.\n1 run is under way: left alone\n"
    assert labctl.done("recover").out == in_words
    (place / "experiments/alpha/SPEC.yaml").write_text("nonsense: [\n")
    for verb in ("watchdog", "recover"):
        said = labctl(verb, "--json")
        assert said.code == 1
        assert said.envelope["ok"] is False
        assert {"data", "warnings", "next"} < set(said.envelope)


@pytest.mark.parametrize("typed", ["templates/research-sprint.yaml", "research-sprint.yaml", "research-sprint"])
def test_a_template_is_found_by_every_name_and_gives_its_own_as_the_id(typed: str, labctl: Labctl, place: Path) -> None:
    labctl.done("init")
    assert labctl.done("create", typed).out == "created experiment: research-sprint\n"
    again = labctl("create", typed)
    assert again.code == 2
    assert "--id research-sprint-2" in again.err


def test_a_file_is_taken_before_a_template_of_the_same_name_and_keeps_its_id(
    labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    labctl.done("init")
    (tmp_path / "research-sprint.yaml").write_text("id: mine\nmetric: loss\n")
    assert labctl.done("create", "research-sprint.yaml").out == "created experiment: mine\n"


def test_create_without_a_spec_shows_the_templates(labctl: Labctl, place: Path) -> None:
    said = labctl("create")
    assert said.code == 2
    listed = labctl.done("create", "--list").out
    assert "research-sprint" in listed
    assert "remembers what helped" in listed
    assert all(line in said.err for line in listed.splitlines())
    told = labctl.done("create", "--list", "--json").data["templates"]
    assert isinstance(told, list)
    assert all(each["name"] and each["about"] for each in told)
    assert not place.exists()


def test_validate_doubts_a_spec_that_would_do_nothing_and_a_goal_that_nobody_wrote(
    labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    said = labctl.done("validate", "autoresearch-generic", "--json")
    warnings = said.envelope["warnings"]
    assert isinstance(warnings, list)
    assert ["still the template's" in warnings[0], "nothing would run" in warnings[1]] == [True, True]
    (tmp_path / "mine.yaml").write_text(
        "id: mine\ngoal: less loss\nstrategy: random\nsearch_space: {x: {low: 0, high: 1}}\n"
    )
    assert labctl.done("validate", "mine.yaml").err == ""


@pytest.mark.parametrize("words", [(), ("--help",), ("help",), ("-h",)])
def test_the_overview_is_an_envelope_too(words: tuple[str, ...], labctl: Labctl, place: Path) -> None:
    for typed in (("--json", *words), (*words, "--json")):
        said = labctl.done(*typed)
        assert said.envelope["schema"] == "labctl.labctl/1"
        assert said.data["help"] == labctl.done("--help").out
        told = said.data["commands"]
        assert isinstance(told, list)
        assert [each["name"] for each in told] == [command.name for command in COMMANDS]
    for typed in (("--json", "--version"), ("--version", "--json")):
        assert list(labctl.done(*typed).data) == ["version"]


def test_a_labctl_root_is_taken_over(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    other = a_busy_lab(tmp_path / "ours")
    labctl.done("init")
    would = labctl.done("import-root", "ours", "--dry-run")
    assert would.out == f"would import: 2 experiments, 6 runs from {tmp_path}/ours\n"
    said = labctl.done("import-root", "ours")
    assert said.out.startswith(f"imported: 2 experiments, 6 runs from {tmp_path}/ours\nnote: its ledger is kept: ")
    assert labctl.done("verify").out.startswith("all as it was sealed: 6 runs")
    assert labctl.done("import-root", "ours").out == f"nothing new: all 6 runs of {tmp_path}/ours are here\n"
    assert labctl.done("import-root", "ours", "--json").data["known"] == 6
    run = runs_of(other, "alpha")[0]
    assert f"taken over from: {tmp_path}/ours\n" in labctl.done("show", run).out
    assert labctl.done("show", run, "--json").data["imported_from"] == f"{tmp_path}/ours"
    assert [row["run_count"] for row in labctl.done("list", "--json").data["experiments"]] == [3, 3]


def test_a_damaged_labctl_root_is_not_taken_over(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    other = a_busy_lab(tmp_path / "ours")
    events = tmp_path / "ours/registry/events.jsonl"
    events.write_bytes(events.read_bytes().replace(b"alpha", b"alphA", 1))
    labctl.done("init")
    said = labctl("import-root", "ours")
    assert said.code == 4
    assert f"labctl --data-root {tmp_path}/ours verify" in said.err
    assert labctl.done("list", "--json").data["experiments"] == []
    assert runs_of(other, "beta")


def test_the_overview_says_in_which_order_to_mend(labctl: Labctl, place: Path) -> None:
    told = labctl.done("--help").out
    assert "watchdog        first: " in told
    assert told.index("  watchdog ") < told.index("  recover         then")
