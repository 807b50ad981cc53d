"""What a refusal looks like: what happened, where, what to do next, and an exit code a script can use."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from lab.cli.commands import COMMANDS
from lab.cli.main import main
from lab.scheduler import cycle
from lab.store import sections
from tests.cli.labs import TRACE, a_busy_lab, a_lab, foreign, runs_of, tree, whole_tree

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl

ON_ONE = {
    "show": ("ID",),
    "pause": ("ID",),
    "resume": ("ID",),
    "complete": ("ID",),
    "archive": ("ID",),
    "set-fidelity": ("ID", "final"),
    "propose": ("ID", "--tier", "final"),
    "verify": ("ID",),
    "list": ("ID",),
    "lease": ("show", "ID"),
}
OUTSIDE = ["../alpha", "/abs", "../../etc", "alpha/../beta", "alpha/", ".", "..", "", "a\nb", "a\0b", "CON", "x" * 65]


def words(verb: str, name: str) -> tuple[str, ...]:
    return tuple(name if word == "ID" else word for word in ON_ONE[verb])


def fails(verb: str, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verb with a fault in it."""

    def answer(args: object, session: object) -> object:
        raise error

    broken = ModuleType(f"lab.cli.{verb}", "A verb with a fault.")
    broken.arguments = lambda parser: None  # type: ignore[attr-defined]
    broken.answer = answer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, f"lab.cli.{verb}", broken)


def test_a_refusal_for_a_program_is_one_document_on_stdout_and_nothing_on_stderr(labctl: Labctl, place: Path) -> None:
    said = labctl("status", "--json")
    assert said.code == 5
    assert said.err == ""
    assert said.envelope == {
        "schema": "labctl.status/1",
        "ok": False,
        "error": {
            "kind": "unavailable",
            "exit_code": 5,
            "message": "there is no lab here",
            "where": str(place),
            "fix": said.error["fix"],
        },
    }
    assert "labctl init" in str(said.error["fix"])


def test_a_refusal_for_a_person_stands_on_stderr_with_its_place_and_its_fix(labctl: Labctl, place: Path) -> None:
    said = labctl("status")
    assert said.out == ""
    assert said.err.startswith(f"error[unavailable]: there is no lab here\n  in {place}\n  fix: labctl init")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_no_verb_but_init_makes_a_lab_where_none_is(
    command: object, labctl: Labctl, place: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    verb = request.node.callspec.id
    if verb in ("init", "completion", "validate", "space", "mcp", "skills", "schema", "explain", "doctor", "metrics"):
        return
    package = "DISPATCH-20261121-093000-000000-alpha"
    ruling = {"approve": ("alpha-1",), "reject": ("alpha-1", "--why", "no"), "cancel": ("alpha",), "steer": ("alpha",)}
    ruling |= {f"dispatch-{each}": (package,) for each in ("complete", "renew", "pack")}
    ruling |= {"dispatch-agent-submit": ("x.json",), "dispatch-unpack": ("x.tar",)}
    ruling |= {"serve": ("--port", "0", "--until-idle", "0"), "watch": ("--for", "0")}
    ruling |= {
        "research": ("status", "alpha"),
        "paper": ("verify", "alpha"),
        "tinker": ("runs",),
        "worker": ("--until-idle", "0"),
        "courier": ("post",),
    }
    ruling |= {"prune": ("--keep", "100"), "schedule": ("status",), "import": ("alpha", "journal.log")}
    run = "RUN-20260102-030405-000000-scout"
    ruling |= {"mutate": ("--provider", "stub"), "autoresearch": ("start", "--yes")}
    ruling |= {"exec": ("alpha", run), "replay": (run,), "params": (run,), "compare": (run, run), "evals": (run,)}
    ruling |= {"report": ("alpha", "-o", "-"), "plot": ("alpha", "-o", "-")}
    ruling |= dict.fromkeys(
        ("best", "top", "board", "export", "burst", "try", "guided", "swarm", "context", "tail"), ("alpha",)
    )
    more = {"create": ("autoresearch-generic",), "import-root": (".",), **ruling}.get(
        verb, words(verb, "alpha") if verb in ON_ONE else ()
    )
    for folder in (place, tmp_path / "project"):
        (tmp_path / "project").mkdir(exist_ok=True)
        (tmp_path / "project/train.py").write_text("x = 1\n")
        before = whole_tree(tmp_path)
        said = labctl(verb, *more, "--data-root", str(folder))
        assert (said.code, said.out) == (74 if verb == "exec" else 5, "")  # what an engine is told is a code of its own
        assert "fix: labctl init" in said.err
        assert whole_tree(tmp_path) == before


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("lsit", "list"),
        ("stauts", "status"),
        ("verfy", "verify"),
        ("set-fidelty", "set-fidelity"),
        ("addtask", "add-task"),
    ],
)
def test_an_unknown_verb_gets_the_nearest(typed: str, meant: str, labctl: Labctl) -> None:
    said = labctl(typed)
    assert said.code == 2
    assert f"labctl has no verb {typed}" in said.err
    assert f"did you mean: labctl {meant}\n" in said.err
    assert labctl("help", typed).code == 2


@pytest.mark.parametrize(
    ("typed", "instead"),
    [
        ("delete", "labctl archive ID"),
        ("remove", "labctl archive ID"),
        ("edit", "labctl validate ID"),
        ("runs", "labctl list ID"),
    ],
)
def test_a_verb_that_there_is_not_names_what_does_it(typed: str, instead: str, labctl: Labctl) -> None:
    said = labctl(typed, "alpha")
    assert said.code == 2
    assert said.err.rstrip().endswith(instead)
    assert labctl("help", instead.split()[1]).code == 0


def test_a_verb_that_resembles_none_gets_the_list(labctl: Labctl) -> None:
    assert "labctl --help lists the verbs" in labctl("xyzzy").err


@pytest.mark.parametrize("verb", ON_ONE)
def test_an_unknown_experiment_gets_the_nearest(verb: str, labctl: Labctl, place: Path) -> None:
    a_lab(place, "lr-sweep", "other")
    before = tree(str(place))
    said = labctl(verb, *words(verb, "lr-swep"))
    assert said.code == 2
    assert "there is no experiment lr-swep" in said.err
    assert "did you mean lr-sweep?" in said.err
    assert labctl(verb, *words(verb, "lr-swep"), "--json").error["kind"] == "not-found"
    assert tree(str(place)) == before


def test_an_unknown_template_gets_the_nearest_and_the_list(labctl: Labctl, place: Path) -> None:
    labctl.done("init")
    said = labctl("create", "multifidelity-autoreserch")
    assert said.code == 2
    assert "did you mean multifidelity-autoresearch?" in said.err
    assert "code-autoresearch" in said.err


def test_a_mistyped_flag_is_refused_with_the_usage(labctl: Labctl, place: Path) -> None:
    a_lab(place)
    said = labctl("list", "--archve")
    assert said.code == 2
    assert "--archve" in said.err
    assert "usage: labctl list" in said.err
    assert labctl("list", "--arch").code == 2  # a flag is written out: an abbreviation would change its meaning one day


def test_an_unknown_flag_gets_the_nearest(labctl: Labctl, place: Path) -> None:
    a_lab(place)
    assert "did you mean --archived" in labctl("list", "--archve").err


def test_help_may_be_asked_for_before_the_verb(labctl: Labctl) -> None:
    assert labctl("--help", "status").out.startswith("usage: labctl status")


@pytest.mark.parametrize("verb", [verb for verb in ON_ONE if verb != "list"])
@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_leads_out_of_the_lab_is_refused(
    verb: str, name: str, labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    a_lab(place, "alpha", "beta")
    before = whole_tree(tmp_path)
    said = labctl(verb, *words(verb, name))
    if (verb, name) != ("lease", ""):  # no experiment named: all of them
        assert said.code == 2, said
        assert "cannot be used" in said.err
    assert whole_tree(tmp_path) == before


@pytest.mark.parametrize("name", OUTSIDE[:-1])
def test_an_id_that_leads_out_of_the_lab_is_not_created(name: str, labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_lab(place)
    spec = tmp_path / "bad.yaml"
    quoted = name.replace("\n", "\\n").replace("\0", "\\0")
    spec.write_text(f'id: "{quoted}"\nmetric: loss\n')
    before = whole_tree(tmp_path)
    said = labctl("create", str(spec))
    assert said.code == 2
    assert "line 1" in said.err
    assert "id" in said.err
    if name:
        assert labctl("create", "autoresearch-generic", "--id", name).code in (1, 2)
    assert whole_tree(tmp_path) == before


@pytest.mark.parametrize("name", ["x # y", "a\ntags: [q]", '"q"'])
def test_an_id_on_the_command_line_is_an_id_and_no_yaml(name: str, labctl: Labctl, place: Path) -> None:
    a_lab(place)
    assert labctl("create", "autoresearch-generic", "--id", name).code == 2


@pytest.mark.parametrize("verb", ["show"])
@pytest.mark.parametrize(
    "name", ["RUN-../../x", "RUN-20260102-030405-000000-../x", "RUN-20269902-030405-000000-a", "RUN-"]
)
def test_a_run_id_that_is_none_is_refused(verb: str, name: str, labctl: Labctl, place: Path) -> None:
    a_lab(place, "alpha")
    said = labctl(verb, name)
    assert said.code == 2
    assert "cannot be used" in said.err


def test_a_run_that_is_not_there_is_said_so(labctl: Labctl, place: Path) -> None:
    a_lab(place, "alpha")
    said = labctl("show", "RUN-20260102-030405-000000-scout")
    assert said.code == 2
    assert "labctl list ID shows the runs" in said.err


def test_exit_code_1_where_labctl_itself_is_at_fault_and_the_trace_only_with_debug(
    labctl: Labctl, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails("pause", ValueError("a fault"), monkeypatch)
    said = labctl("pause")
    assert said.code == 1
    assert "labctl itself failed: ValueError: a fault" in said.err
    assert "--debug" in said.err
    assert labctl("pause", "--json").error["kind"] == "failed"
    with pytest.raises(ValueError, match="a fault"):
        main(["pause", "--debug"])


def test_a_refusal_has_no_trace_under_debug_either(labctl: Labctl, place: Path) -> None:
    assert TRACE not in labctl("status", "--debug").err


def test_exit_code_130_when_interrupted(labctl: Labctl, monkeypatch: pytest.MonkeyPatch) -> None:
    fails("pause", KeyboardInterrupt(), monkeypatch)
    said = labctl("pause")
    assert said.code == 130
    assert "what was sealed is safe" in said.err
    assert "labctl watchdog --repair" in said.err
    fails("list_", KeyboardInterrupt(), monkeypatch)
    assert labctl("list").err == "error[interrupted]: interrupted; no run was touched\n"


def test_exit_code_3_while_another_process_is_in_a_section(
    labctl: Labctl, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = a_lab(place, "alpha")
    monkeypatch.setattr(sections.hold.__wrapped__, "__kwdefaults__", {"wait_s": 0.1})  # type: ignore[attr-defined]
    with root.section("alpha"):
        said = labctl("pause", "alpha", "--json")
    assert said.code == 3
    assert said.error["kind"] == "busy"
    assert "fuser" in str(said.error["fix"])
    assert labctl.done("pause", "alpha").out == "paused: alpha\n"


def test_a_held_experiment_can_still_be_paused_and_looked_at(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    cycle.begin(root, "alpha", owner=foreign())
    for command in (
        ("status",),
        ("list",),
        ("show", "alpha"),
        ("verify",),
        ("refresh",),
        ("pause", "alpha"),
    ):
        labctl.done(*command)
    assert "1 run is under way: left alone" in labctl.done("recover").out


def test_exit_code_4_names_the_damaged_file(labctl: Labctl, place: Path) -> None:
    root = a_busy_lab(place)
    run = runs_of(root, "alpha")[0]
    seal = place / "experiments/alpha/runs" / run / "SEAL.json"
    seal.chmod(0o644)
    seal.write_bytes(seal.read_bytes()[:40])
    said = labctl("show", run, "--json")
    assert said.code == 4
    assert said.error["kind"] == "corrupt"
    assert str(said.error["where"]).endswith(f"{run}/SEAL.json")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("list", "--last", "-1"), "--last: must be a whole number, 0 or more, not '-1'"),
        (("list", "--last", "1e9"), "--last: must be a whole number, 0 or more, not '1e9'"),
        (("list", "--last", "many"), "--last: must be a whole number, 0 or more, not 'many'"),
        (("digest", "--date", "yesterday"), "2026-01-31"),
        (("digest", "--date", "../../x"), "2026-01-31"),
        (("digest", "--date", "2026-02-30"), "2026-01-31"),
        (("weekly-digest", "--week", "2026-W60"), "2026-W05"),
        (("weekly-digest", "--week", "../x"), "2026-W05"),
        (("completion", "cmd.exe"), "bash"),
        (("lease", "steal", "alpha"), "break"),
        (("pause",), "ID"),
        (("create",), "SPEC"),
        (("pause", "alpha", "beta"), "beta"),
        (("archive", "alpha", "--restore"), "not archived"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(
    command: tuple[str, ...], told: str, labctl: Labctl, place: Path
) -> None:
    a_lab(place, "alpha", "beta")
    before = tree(str(place))
    said = labctl(*command)
    assert said.code == 2
    assert told in said.err
    assert tree(str(place)) == before


@pytest.mark.parametrize(
    "command",
    [
        ("digest", "--date", "20260131"),
        ("digest", "--date", "2026-W05-1"),
        ("weekly-digest", "--week", "2026-W5"),
        ("weekly-digest", "--week", "2026-W 5"),
    ],
)
def test_a_day_has_one_spelling(command: tuple[str, ...], labctl: Labctl, place: Path) -> None:
    a_lab(place, "alpha")
    assert labctl(*command).code == 2


@pytest.mark.parametrize(
    "command",
    [("list", "--phase", "compelted"), ("list", "alpha", "--outcome", "sucess"), ("list", "--outcome", "success")],
)
def test_a_filter_that_can_match_nothing_is_refused(command: tuple[str, ...], labctl: Labctl, place: Path) -> None:
    a_lab(place, "alpha")
    assert labctl(*command).code == 2


@pytest.mark.parametrize("command", [("pause", "alpha", "--reason", "caf\udce9"), ("create", "caf\udce9/s.yaml")])
def test_arguments_that_are_not_utf8_are_refused_or_taken(
    command: tuple[str, ...], labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    a_lab(place, "alpha")
    (tmp_path / "caf\udce9").mkdir()
    (tmp_path / "caf\udce9/s.yaml").write_text("id: gamma\nmetric: loss\n")
    said = labctl(*command)
    assert said.code in (0, 2)
    assert (place / "experiments/gamma").exists() == ("gamma" in said.out)
