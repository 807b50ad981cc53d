"""Beginning a code loop, opening it again, and making branches of what it kept."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from lab.core import spec as specs
from lab.core import spec_text
from lab.core.candidate import BASELINE
from tests.cli.labs import SHIM, TRACE, Labctl, whole_tree
from tests.scheduler.loop.loops import a_candidate, a_loop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.core.spec import Spec
    from lab.store.root import Root

pytestmark = pytest.mark.needs("git")
WHOLE = ("--edit", "src", "--metric", "seconds", "--direction", "lower", "--measure", "python3 bench.py", "--yes")


def git(folder: Path, *words: str) -> str:
    environ = {
        **os.environ,
        **{f"GIT_{role}_{part}": "me@home" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")},
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    done = subprocess.run(["git", *words], cwd=folder, env=environ, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def committed(folder: Path, title: str, **files: str | None) -> str:
    """Commit these files (`__` for a dot in a name); None removes one."""
    for name, text in files.items():
        place = folder / name.replace("__", ".")
        if text is None:
            place.unlink()
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", title)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def code(tmp_path: Path, labctl: Labctl) -> Path:
    """A lab, and a workspace with a program in it."""
    labctl.done("init")
    folder = tmp_path / "code"
    for name in ("src/a.py", "bench.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x = 1\n")
    return folder


def made(place: Path, name: str) -> Spec:
    mapping, lines = spec_text.parse_text((place / "experiments" / name / "SPEC.yaml").read_bytes(), "SPEC.yaml")
    return specs.parse(mapping, lines)


# -- start --------------------------------------------------------------------------------------------------------


def test_start_makes_a_spec_of_what_was_said_and_leaves_the_workspace_alone(
    labctl: Labctl, place: Path, code: Path
) -> None:
    before = whole_tree(code)
    more = (
        "--scope",
        "optimizer",
        "--tag",
        "fast",
        "--iterations",
        "7",
        "--budget",
        "90s",
        "--mutate",
        "python3 src/a.py",
    )
    said = labctl.done("autoresearch", "start", "--workspace", "code", *WHOLE, *more)
    assert said.out == "created experiment: fast\n"
    assert "this machine computes on " in said.err
    assert "next: labctl burst fast -n 5\n" in said.err
    spec = made(place, "fast")
    assert (spec.executor, spec.workspace_root, spec.loop_tag) == ("reference", str(code), "fast")
    assert (spec.metric, spec.metric_direction, spec.time_budget_s) == ("seconds", "minimize", 90.0)
    assert (spec.mutable_paths, spec.max_iterations_total) == (("src",), 7)
    assert any("optimizer" in each for each in spec.constraints)
    assert whole_tree(code) == before


def test_start_takes_over_what_another_harness_left(labctl: Labctl, place: Path, code: Path) -> None:
    (code / "autoresearch.sh").write_text('echo "METRIC total_ms=$(./run)"\n')
    (code / "autoresearch.checks.sh").write_text("true\n")
    (code / "autoresearch.md").write_text(
        "# Autoresearch\n\n## Objective\nMake the parser faster.\n\n## Files in Scope\n- `src/a.py` - the parser\n"
        "- `gone.py`\n\n## Off Limits\n- `bench.py`\n"
    )
    said = labctl.done("autoresearch", "start", "--workspace", "code", "--yes", "--json")
    assert said.data["seen"] == [
        "autoresearch.sh serves as it is",
        "autoresearch.checks.sh serves as it is",
        "autoresearch.md is read as the brief",
    ]
    spec = made(place, "code")
    assert (spec.validation_command, spec.checks_command) == ("bash autoresearch.sh", "bash autoresearch.checks.sh")
    assert (spec.metric, spec.metric_direction, spec.goal) == ("total_ms", "minimize", "Make the parser faster.")
    assert spec.mutable_paths == ("src/a.py",)
    assert {"autoresearch.sh", "autoresearch.checks.sh", "autoresearch.md", "bench.py"} <= set(spec.read_only_paths)


def test_start_reads_the_metric_from_a_log_that_is_there(labctl: Labctl, place: Path, code: Path) -> None:
    (code / ".auto").mkdir()
    (code / ".auto/measure.sh").write_text("./measure\n")
    (code / ".auto/log.jsonl").write_text('{"type":"config","metricName":"score","bestDirection":"higher"}\n')
    labctl.done("autoresearch", "start", "--workspace", "code", "--edit", "src", "--yes", "--id", "loop")
    spec = made(place, "loop")
    assert (spec.metric, spec.metric_direction) == ("score", "maximize")
    assert spec.validation_command == "bash .auto/measure.sh"


def test_start_names_all_that_is_missing_in_one_refusal(labctl: Labctl, place: Path, code: Path) -> None:
    before = whole_tree(place)
    said = labctl("autoresearch", "start", "--workspace", "code", "--tag", "x")
    assert said.code == 2
    for flag in ("--edit", "--budget", "--metric", "--direction", "--iterations", "--scope", "--results", "--measure"):
        assert f"\n  {flag}: " in said.err
    assert "(--yes takes 5m)" in said.err
    with_defaults = labctl("autoresearch", "start", "--workspace", "code", "--yes")
    assert with_defaults.code == 2
    assert "--budget" not in with_defaults.err.partition("fix:")[0]
    assert whole_tree(place) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--edit", "sorc"), "--edit sorc: there is nothing of this name"),
        (("--edit", "../code"), "--edit ../code: there is nothing of this name"),
        (("--read-only", "src"), "src cannot be edited and read-only at once"),
        (("--scope", "optimiser"), "did you mean optimizer?"),
        (("--direction", "down"), "'down' is none of lower, higher"),
        (("--mutate", "x", "--agent", "claude"), "both make the change"),
        (("--tag", "a b"), "tag"),
        (("--budget", "soon"), "time_budget"),
        (("--iterations", "-3"), "-3 is not above 0"),
        (("--workspace", "nowhere"), "there is no such folder"),
        (("--branches", "stacked"), "start does not take --branches"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    words: tuple[str, ...], told: str, labctl: Labctl, place: Path, code: Path
) -> None:
    before = whole_tree(place)
    said = labctl("autoresearch", "start", "--workspace", "code", *WHOLE, *words)
    assert said.code == 2
    assert told in said.err
    assert whole_tree(place) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--metric", "sec onds"), "'sec onds' is no name of a metric"),
        (("--measure", "python3 nothere.py"), "there is no nothere.py in the workspace"),
        (("--measure", "bash -e nothere.sh"), "there is no nothere.sh in the workspace"),
        (("--measure", "./nothere"), "there is no ./nothere in the workspace"),
        (("--checks", "no-such-program --all"), "there is no program no-such-program on PATH"),
        (("--agent", "foo"), "foo"),
        (("--iterations", "0"), "--iterations 0 is not above 0"),
        (("--results", "src"), "--results src: this is a folder"),
    ],
)
def test_what_could_not_run_is_refused_before_anything_is_written(
    words: tuple[str, ...], told: str, labctl: Labctl, place: Path, code: Path
) -> None:
    before = whole_tree(place)
    said = labctl("autoresearch", "start", "--workspace", "code", *WHOLE, *words)
    assert (said.code, told in said.err) == (2, True), said.err
    assert "SPEC.yaml" not in said.err
    assert whole_tree(place) == before


def test_what_the_setup_may_make_is_not_looked_for(labctl: Labctl, code: Path) -> None:
    labctl.done("autoresearch", "start", "--workspace", "code", *WHOLE, "--setup", "true", "--measure", "./built/it")


def test_a_direction_that_would_have_to_be_guessed_is_asked_for(labctl: Labctl, code: Path) -> None:
    words = [*WHOLE[:2], *WHOLE[6:], "--metric"]
    said = labctl("autoresearch", "start", "--workspace", "code", *words, "images_sec")
    assert (said.code, "--direction: which is better" in said.err) == (2, True)
    labctl.done("autoresearch", "start", "--workspace", "code", *words, "val_loss")


def test_export_writes_the_table_where_start_was_told_to(labctl: Labctl, place: Path, code: Path) -> None:
    before = whole_tree(code)
    labctl.done("autoresearch", "start", "--workspace", "code", *WHOLE, "--results", "results.tsv", "--id", "speed-up")
    assert made(place, "speed-up").results_file == "results.tsv"
    assert made(place, "speed-up").platform
    assert whole_tree(code) == before
    said = labctl.done("autoresearch", "export", "speed-up")
    assert f"into {code}/results.tsv" in said.out
    assert (code / "results.tsv").read_text().startswith("commit\tseconds\t")
    assert labctl("autoresearch", "export", "speed-up").code == 2
    assert labctl.done("autoresearch", "export", "speed-up", "-o", "-").out.startswith("commit\tseconds\t")
    assert labctl.done("autoresearch", "export", "speed-up", "--format", "summary").out.startswith("# speed-up")
    labctl.done("autoresearch", "export", "speed-up", "--yes")


def test_a_repository_in_which_no_loop_can_run_is_refused_at_once(labctl: Labctl, place: Path, code: Path) -> None:
    git(code, "init", "-q")
    before = whole_tree(place)
    said = labctl("autoresearch", "start", "--workspace", "code", *WHOLE)
    assert (said.code, "has no commits" in said.err) == (2, True)
    assert whole_tree(place) == before


def test_what_is_not_committed_is_named(labctl: Labctl, code: Path) -> None:
    git(code, "init", "-q")
    committed(code, "as it is")
    (code / "bench.py").write_text("x = 2\n")
    said = labctl.done("autoresearch", "start", "--workspace", "code", *WHOLE, "--results", "out/my results.tsv")
    assert "warning: not committed, and so no part of the loop: bench.py\n" in said.err
    assert "next: labctl autoresearch export code\n" in said.err


def test_an_id_that_is_taken_is_refused(labctl: Labctl, code: Path) -> None:
    labctl.done("autoresearch", "start", "--workspace", "code", *WHOLE)
    said = labctl("autoresearch", "start", "--workspace", "code", *WHOLE)
    assert (said.code, "fix: --id code-2" in said.err) == (2, True)


def test_a_dry_run_shows_the_spec_and_makes_nothing(labctl: Labctl, place: Path, code: Path) -> None:
    before = whole_tree(place)
    said = labctl.done("autoresearch", "start", "--workspace", "code", *WHOLE, "--dry-run")
    assert said.out.startswith("would create experiment: code\n")
    assert 'validation_command: "python3 bench.py"' in said.out
    assert whole_tree(place) == before


def at_a_terminal(*words: str, types: str, cwd: Path) -> tuple[int, str]:
    """A command of which somebody answers the questions; what was on the screen."""
    ours, theirs = pty.openpty()
    command = [sys.executable, SHIM, *words]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, start_new_session=True) as one:
        os.close(theirs)
        os.write(ours, types.encode())
        screen = b""
        with suppress(OSError):  # how a terminal says that nobody is there any more
            while said := os.read(ours, 65_536):
                screen += said
        code = one.wait(20)
    os.close(ours)
    assert TRACE.encode() not in screen
    return code, screen.decode()


def test_at_a_terminal_the_settings_are_asked_for_and_enter_takes_what_is_in_brackets(
    labctl: Labctl, place: Path, code: Path, tmp_path: Path
) -> None:
    (code / "autoresearch.sh").write_text('echo "METRIC total_ms=1"\n')
    answers = (
        "nothere", "src, bench.py", "", "soon", "90s", "sec onds", "", "sideways", "higher", "many", "9", "", "a b",
        "quick", "",
    )  # fmt: skip
    words = ("autoresearch", "start", "--workspace", "code")
    ended, screen = at_a_terminal(*words, types="".join(f"{each}\n" for each in answers), cwd=tmp_path)
    assert ended == 0, screen
    for question in ("script to edit", "read-only scripts", "budget of each step", "name of the metric [total_ms]"):
        assert question in screen
    assert "'sideways' is none of lower, higher" in screen
    assert "'many' is no number above 0" in screen
    assert "nothere: there is nothing of this name in the workspace\r\nscript to edit" in screen
    assert "'sec onds' is no name of a metric" in screen
    spec = made(place, "quick")
    assert spec.mutable_paths == ("src", "bench.py")
    assert (spec.metric, spec.metric_direction, spec.max_iterations_total) == ("total_ms", "maximize", 9)


def test_at_a_terminal_a_wrong_flag_is_refused_before_the_first_question(
    labctl: Labctl, code: Path, tmp_path: Path
) -> None:
    del labctl
    words = ("autoresearch", "start", "--workspace", "code", "--tag", "a b")
    ended, screen = at_a_terminal(*words, types="", cwd=tmp_path)
    assert (ended, "script to edit" in screen, "the tag" in screen or "--tag" in screen) == (2, False, True)


def test_when_the_input_ends_nothing_is_made(labctl: Labctl, place: Path, code: Path, tmp_path: Path) -> None:
    before = whole_tree(place)
    ended, screen = at_a_terminal("autoresearch", "start", "--workspace", "code", types="src\n\x04", cwd=tmp_path)
    assert (ended, "the input ended" in screen) == (2, True)
    assert whole_tree(place) == before


# -- resume and finalize ------------------------------------------------------------------------------------------


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Root]:
    """A loop that kept these commits, each with its files, on a line of its own; the user is on main."""
    folder = tmp_path / "code"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")

    def kept(*changes: dict[str, str | None]) -> Root:
        base = committed(folder, "as it is", a__py="1\n", b__py="1\n", c__py="1\n")
        root = a_loop(tmp_path)  # before its refs are there: they would be another lab's
        git(folder, "switch", "-q", "-c", "line")
        ids = [committed(folder, f"idea {number}", **each) for number, each in enumerate(changes, start=1)]
        git(folder, "switch", "-q", "main")
        git(folder, "update-ref", "refs/lab/speed-up/best", ids[-1] if ids else base)
        git(folder, "branch", "-q", "-D", "line")
        monkeypatch.setenv("LAB_DATA_ROOT", root.layout.root)
        a_candidate(root, "keep", kind=BASELINE, commit=base, value=10.0, values=(10.0, 10.0, 10.0))
        for number, commit in enumerate(ids, start=1):
            value = 10.0 - number
            a_candidate(root, "keep", commit=commit, value=value, values=(value,), gain=1.0, why="it is better")
        return root

    return kept


def unchanged(folder: Path) -> tuple[str, ...]:
    """What finalize may not touch."""
    return (
        git(folder, "status", "--porcelain=v2", "--branch"),
        git(folder, "rev-parse", "main"),
        git(folder, "rev-parse", "refs/lab/speed-up/best"),
        str((folder / ".git/index").read_bytes()),
        str((folder / ".git/HEAD").read_bytes()),
    )


def test_what_was_kept_becomes_branches_that_together_are_the_whole(
    labctl: Labctl, line: Callable[..., Root], tmp_path: Path
) -> None:
    line({"a__py": "2\n"}, {"b__py": "2\n", "new.d/x__py": "1\n"}, {"a__py": "3\n"}, {"c__py": None})
    code = tmp_path / "code"
    before = unchanged(code)
    said = labctl.done("autoresearch", "finalize", "speed-up", "--yes", "--json")
    assert said.data["made"] is True
    branches = said.data["branches"]
    assert isinstance(branches, list)
    names = [each["name"] for each in branches]
    assert names == [f"speed-up-final/0{number}-idea-{number}" for number in (1, 2, 3, 4)]
    assert [each["on"] for each in branches] == ["", "", names[0], ""]
    assert git(code, "rev-parse", f"{names[2]}^") == git(code, "rev-parse", names[0])
    assert git(code, "diff", "--name-only", "main", names[1]).split() == ["b.py", "new.d/x.py"]
    assert "Co-authored-by: me@home <me@home>" in git(code, "log", "-1", "--format=%B", names[0])
    assert unchanged(code) == before
    git(code, "switch", "-q", "-c", "all")
    git(code, "merge", "-q", "--no-edit", names[1], names[2], names[3])
    assert git(code, "rev-parse", "all^{tree}") == git(code, "rev-parse", "refs/lab/speed-up/best^{tree}")


def test_a_file_that_became_a_folder_arrives_as_one(labctl: Labctl, line: Callable[..., Root], tmp_path: Path) -> None:
    line({"a__py": None}, {"a.py/inside__py": "1\n"}, {"b__py": "2\n"})
    labctl.done("autoresearch", "finalize", "speed-up", "--yes")
    assert git(tmp_path / "code", "show", "speed-up-final/02-idea-2:a.py/inside.py") == "1"


def test_all_are_stacked_on_request(labctl: Labctl, line: Callable[..., Root], tmp_path: Path) -> None:
    line({"a__py": "2\n"}, {"b__py": "2\n"})
    labctl.done("autoresearch", "finalize", "speed-up", "--branches", "stacked", "--prefix", "mine", "--yes")
    code = tmp_path / "code"
    assert git(code, "rev-parse", "mine/02-idea-2^") == git(code, "rev-parse", "mine/01-idea-1")
    assert git(code, "rev-parse", "mine/02-idea-2^{tree}") == git(code, "rev-parse", "refs/lab/speed-up/best^{tree}")


def test_nothing_is_made_without_a_yes(labctl: Labctl, line: Callable[..., Root], tmp_path: Path) -> None:
    line({"a__py": "2\n"})
    code = tmp_path / "code"
    said = labctl("autoresearch", "finalize", "speed-up")
    assert (said.code, "nobody agreed" in said.err) == (2, True)
    dry = labctl.done("autoresearch", "finalize", "speed-up", "--dry-run")
    assert dry.out.startswith("would make 1 branch:\n  speed-up-final/01-idea-1 on ")
    assert git(code, "branch", "--list", "speed-up-final/*") == ""
    ended, screen = at_a_terminal("autoresearch", "finalize", "speed-up", types="y\n", cwd=tmp_path)
    assert (ended, "made 1 branch:" in screen) == (0, True), screen
    assert git(code, "branch", "--list", "speed-up-final/*") != ""


def test_a_branch_that_is_there_is_never_moved(labctl: Labctl, line: Callable[..., Root], tmp_path: Path) -> None:
    line({"a__py": "2\n"}, {"b__py": "2\n"})
    code = tmp_path / "code"
    git(code, "branch", "speed-up-final/02-idea-2", "main")
    before = git(code, "for-each-ref")
    said = labctl("autoresearch", "finalize", "speed-up", "--yes")
    assert said.code == 2
    assert "there is a branch speed-up-final/02-idea-2 already" in said.err
    assert git(code, "for-each-ref") == before


def test_a_name_under_which_no_branch_can_lie_makes_none_of_them(
    labctl: Labctl, line: Callable[..., Root], tmp_path: Path
) -> None:
    line({"a__py": "2\n"}, {"b__py": "2\n"})
    code = tmp_path / "code"
    git(code, "branch", "mine", "main")
    before = git(code, "for-each-ref")
    said = labctl("autoresearch", "finalize", "speed-up", "--prefix", "mine", "--yes")
    assert said.code in (2, 5)
    assert git(code, "for-each-ref") == before


def test_branches_that_do_not_fit_what_is_checked_out_now_are_named(
    labctl: Labctl, line: Callable[..., Root], tmp_path: Path
) -> None:
    line({"a__py": "2\n"}, {"b__py": "2\n"})
    committed(tmp_path / "code", "meanwhile", a__py="other\n")
    said = labctl.done("autoresearch", "finalize", "speed-up", "--yes")
    assert "conflicts with what is checked out now: a.py" in said.out


@pytest.mark.parametrize(
    ("prefix", "fix"), [("refs/heads/mine", "mine"), ("refs/heads/", "my-loop"), ("refs/tags/v1", "tags/v1")]
)
def test_a_prefix_that_is_a_ref_is_refused_with_the_name_that_was_meant(
    prefix: str, fix: str, labctl: Labctl, line: Callable[..., Root]
) -> None:
    line({"a__py": "2\n"})
    said = labctl("autoresearch", "finalize", "speed-up", "--prefix", prefix, "--yes")
    assert (said.code, f"fix: --prefix {fix}\n" in said.err) == (2, True), said.err


@pytest.mark.parametrize("prefix", ["-x", "a..b", "/a", "a/", "a b", "x.lock", "a~1"])
def test_a_prefix_that_no_branch_can_have_is_refused(prefix: str, labctl: Labctl, line: Callable[..., Root]) -> None:
    line({"a__py": "2\n"})
    said = labctl("autoresearch", "finalize", "speed-up", f"--prefix={prefix}", "--yes")
    assert (said.code, "cannot begin the name of a branch" in said.err) == (2, True)


def test_there_is_nothing_to_finish_where_nothing_was_kept(labctl: Labctl, line: Callable[..., Root]) -> None:
    line()
    said = labctl("autoresearch", "finalize", "speed-up", "--yes")
    assert (said.code, "nothing was kept" in said.err) == (2, True)


def test_resume_opens_a_loop_and_says_where_it_stands(labctl: Labctl, line: Callable[..., Root]) -> None:
    root = line({"a__py": "2\n"})
    a_candidate(root, "discard", value=11.0, why="it is no better")
    labctl.done("pause", "speed-up", "--reason", "to have a look")
    said = labctl.done("autoresearch", "resume", "speed-up")
    assert said.out.startswith("resumed: speed-up\nit was paused: to have a look\n")
    assert "10 to begin with, 9 now" in said.out
    assert "2 candidates: 1 kept, 1 discarded" in said.out
    assert "next: labctl burst speed-up -n 5\n" in said.err


def test_a_completed_loop_is_opened_only_on_a_yes(labctl: Labctl, line: Callable[..., Root]) -> None:
    line({"a__py": "2\n"})
    labctl.done("complete", "speed-up")
    said = labctl("autoresearch", "resume", "speed-up")
    assert (said.code, "stays completed" in said.err) == (2, True)
    assert labctl.done("autoresearch", "resume", "speed-up", "--yes", "--json").data["phase"] == "active"


def test_resume_of_what_is_no_loop_points_to_the_verb_that_is_meant(labctl: Labctl, place: Path) -> None:
    labctl.done("init")
    labctl.done("create", "first-run")
    said = labctl("autoresearch", "resume", "first-run")
    assert (said.code, "fix: labctl resume first-run" in said.err) == (2, True)
