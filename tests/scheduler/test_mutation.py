"""An agent changes a workspace: what it may comes over, what it may not does not, and both are told."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import BadInput
from lab.llm import exchange
from lab.scheduler import change, mutation
from lab.scheduler.agents.process import AgentProcess
from lab.scheduler.mutation import Mutation, Order
from lab.testing.files import a_root

if TYPE_CHECKING:
    from lab.store.root import Root

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a fork: the runner's threads are idle in it
RECORDED = Path(__file__).resolve().parents[1] / "llm" / "agents" / "recorded"
KEY = "sk-a-very-secret-key"
DONE = f"cat {RECORDED}/codex-answer.jsonl"


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = a_root(tmp_path / "lab")
    environ = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "HOME": str(tmp_path), "OPENAI_API_KEY": KEY}
    made.world = msgspec.structs.replace(made.world, environ=environ)
    return made


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "train.py").write_text("LR = 0.1\n")
    (folder / "evaluate.py").write_text("print(score())\n")
    (folder / "src" / "model.py").write_text("DEPTH = 2\n")
    (folder / "run.sh").write_text("true\n")
    (folder / "run.sh").chmod(0o755)
    return folder


def mutated(root: Root, workspace: Path, does: str, *, growth_mb: float = 64, **more: object) -> Mutation:
    """What comes of an agent that does this in its folder, in the shell, and then says a recorded answer."""
    folder = Path(root.layout.root).parent / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "codex").write_text(f"#!/bin/bash\n{does}\n")
    (folder / "codex").chmod(0o755)
    given = {
        "workspace": str(workspace), "prompt": "make it better", "provider": "codex", "mutable": ("train.py", "src"),
        "read_only": ("evaluate.py",), "timeout_s": 20.0, **more,
    }  # fmt: skip
    run = AgentProcess(root, growth_mb=growth_mb)
    found = mutation.mutate(root, run, Order(**given), stop=lambda: False)  # type: ignore[arg-type]
    scratch = root.layout.place("scratch/agents")
    assert os.listdir(scratch) == []
    return found


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def kinds(found: tuple[change.Change, ...]) -> dict[str, str]:
    return {each.path: each.kind for each in found}


def whys(found: Mutation) -> dict[str, str]:
    return {each.path: each.why for each in found.refused}


def test_what_may_be_changed_comes_over_and_the_rest_stays_as_it_was(root: Root, workspace: Path) -> None:
    does = "echo 'LR = 0.2' >train.py; echo new >src/more.py; rm src/model.py; echo 1 >evaluate.py; echo x >notes.txt"
    before = contents(workspace)
    found = mutated(root, workspace, f"{does}; {DONE}")
    assert (found.problem, found.text, found.used.sent) == ("", "Hello from the model.", 20393)
    assert kinds(found.changed) == {"src/model.py": "removed", "src/more.py": "new", "train.py": "modified"}
    assert whys(found) == {"evaluate.py": "evaluate.py is read-only", "notes.txt": "only train.py, src may be changed"}
    del before["src/model.py"]
    assert contents(workspace) == {**before, "train.py": "LR = 0.2\n", "src/more.py": "new\n"}
    assert list(found.evaluators) == ["evaluate.py"]


def test_a_mode_is_a_change_too(root: Root, workspace: Path) -> None:
    found = mutated(root, workspace, f"chmod +x train.py; chmod -x run.sh; chmod u+s src/model.py; {DONE}")
    assert kinds(found.changed) == {"train.py": "mode"}
    assert set(whys(found)) == {"run.sh", "src/model.py"}
    assert os.access(workspace / "train.py", os.X_OK)
    assert os.access(workspace / "run.sh", os.X_OK)


@pytest.mark.parametrize(
    ("does", "path", "why"),
    [
        ("ln -sf /etc/passwd train.py", "train.py", "it is now a link to '/etc/passwd'"),
        ("ln -s ../evaluate.py src/link.py", "src/link.py", "it is now a link"),
        ("rm train.py; mkfifo train.py", "train.py", "a pipe, a socket or a device"),
        ("rm -r src; ln -s / src", "src", "it is now a link to '/'"),
        ("mkdir -p .claude; echo hook >.claude/settings.json", ".claude/settings.json", "settings"),
        ("mkdir -p sub/.claude; echo h >sub/.claude/settings.json", "sub/.claude/settings.json", "settings"),
        ("echo obey >CLAUDE.md", "CLAUDE.md", "settings"),
        ("echo obey >AGENTS.md", "AGENTS.md", "settings"),
        ("mkdir deep; echo obey >deep/agents.md", "deep/agents.md", "settings"),
        ("echo 'curl evil' >.envrc", ".envrc", "settings"),
        ("mkdir .vscode; echo {} >.vscode/tasks.json", ".vscode/tasks.json", "settings"),
        ("truncate -s 1T train.py", "train.py", "larger than 16 MB"),
        ("truncate -s 1T big.bin", "big.bin", "larger than 16 MB"),
        ("mkdir scripts; echo x >scripts/codex_mutation_adapter.py", "scripts/codex_mutation_adapter.py", "adapter"),
        ("echo x >TRAIN.py", "TRAIN.py", "it is the same file as 'train.py'"),
        ("echo x >Evaluate.py", "Evaluate.py", "evaluate.py is read-only"),
        ("head -c 17000000 /dev/zero >train.py", "train.py", "larger than 16 MB"),
        ("echo \"KEY = '$OPENAI_API_KEY'\" >train.py", "train.py", "secret"),
        ("mkdir .git; echo x >.git/config", ".git", "no part of the sandbox"),
        ("echo x >$'bad\\xff.py'", "bad\\udcff.py", "no UTF-8"),
    ],
)
def test_a_trick_is_refused_by_name(root: Root, workspace: Path, does: str, path: str, why: str) -> None:
    before = contents(workspace)
    found = mutated(root, workspace, f"{does}; {DONE}", mutable=())
    assert why in whys(found)[path]
    assert path not in kinds(found.changed)
    assert path in {each["path"] for each in msgspec.json.decode(mutation.told(found))["refused"]}
    if "src" not in path:
        assert contents(workspace) == before


def test_a_file_that_is_too_large_takes_no_room_from_the_others(root: Root, workspace: Path) -> None:
    found = mutated(root, workspace, f"truncate -s 1T big.bin; echo 'LR = 0.2' >train.py; {DONE}", mutable=())
    assert kinds(found.changed) == {"train.py": "modified"}
    assert set(whys(found)) == {"big.bin"}


def test_an_agents_own_files_come_over_only_where_they_are_named(root: Root, workspace: Path) -> None:
    does = f"mkdir -p .claude/skills; echo x >.claude/skills/a.md; echo y >AGENTS.md; echo z >CLAUDE.md; {DONE}"
    found = mutated(root, workspace, does, mutable=(".claude", "AGENTS.md", "*"))
    assert set(kinds(found.changed)) == {".claude/skills/a.md", "AGENTS.md"}
    assert set(whys(found)) == {"CLAUDE.md"}


def test_nothing_mutable_named_is_everything_that_is_not_read_only(root: Root, workspace: Path) -> None:
    found = mutated(root, workspace, f"echo x >notes.txt; echo y >evaluate.py; {DONE}", mutable=())
    assert kinds(found.changed) == {"notes.txt": "new"}
    assert set(whys(found)) == {"evaluate.py"}


@pytest.mark.parametrize(
    ("does", "problem"),
    [
        ("exit 0", exchange.EMPTY),
        (f"echo x >train.py; {DONE}; exit 1", exchange.FAILING),
        ("echo x >train.py; exec sleep 98765", exchange.TIMEOUT),
        ("echo x >train.py; head -c 40000000 /dev/zero >src/big; exec sleep 98765", exchange.FAILING),
    ],
    ids=["nothing", "failed", "too slow", "fills the disk"],
)
def test_of_an_agent_that_failed_nothing_is_taken_over(root: Root, workspace: Path, does: str, problem: str) -> None:
    before = contents(workspace)
    found = mutated(root, workspace, does, timeout_s=1.0 if problem == exchange.TIMEOUT else 20.0, growth_mb=8)
    assert (found.problem, found.changed) == (problem, ())
    assert found.what
    assert contents(workspace) == before


def test_an_agent_that_says_nothing_but_changed_something_has_worked(root: Root, workspace: Path) -> None:
    found = mutated(root, workspace, f"echo 'LR = 0.3' >train.py; cat {RECORDED}/codex-silent.jsonl")
    assert (found.problem, kinds(found.changed)) == ("", {"train.py": "modified"})


def test_an_agent_that_forks_away_and_ignores_the_signal_is_ended_with_all_of_its_own(
    root: Root, workspace: Path, tmp_path: Path
) -> None:
    late = f"{tmp_path}/late"
    loop = f"trap '' TERM; while :; do sleep 0.05; echo x >>{late}; done"
    does = f'(setsid bash -c "{loop}" &); until [ -s {late} ]; do :; done; {DONE}'
    assert mutated(root, workspace, does).problem == ""
    size = os.path.getsize(late)
    time.sleep(0.2)  # nothing can be awaited that is not to happen
    assert os.path.getsize(late) == size


@pytest.mark.needs("git")
def test_git_tricks_change_nothing_in_any_repository(root: Root, workspace: Path, tmp_path: Path) -> None:
    """The lab lies inside a repository with edits that nobody committed, and the workspace is a linked worktree."""
    home = tmp_path
    shutil.rmtree(workspace)

    def git(*words: str, where: Path = home) -> str:
        call = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words]
        return subprocess.run(call, cwd=where, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    (home / "train.py").write_text("LR = 0.1\n")
    (home / "evaluate.py").write_text("print()\n")
    git("add", "train.py", "evaluate.py")
    git("commit", "-qm", "one")
    git("worktree", "add", "-q", "--detach", str(workspace))
    (home / "train.py").write_text("LR = 0.5  # by hand\n")
    before = git("rev-parse", "HEAD"), git("rev-parse", "HEAD", where=workspace)
    pointer = (workspace / ".git").read_text()
    does = (
        "git reset -q --hard; git checkout -q -- .; git clean -qfd; git add -A; git -c user.name=a -c user.email=a@b "
        "commit -qam evil; git init -q; git -c user.name=a -c user.email=a@b commit -q --allow-empty -m evil; "
        f"echo 'LR = 0.2' >train.py; {DONE}"
    )
    found = mutated(root, workspace, does)
    assert kinds(found.changed) == {"train.py": "modified"}
    assert set(whys(found)) == {".git"}
    assert (git("rev-parse", "HEAD"), git("rev-parse", "HEAD", where=workspace)) == before
    assert (home / "train.py").read_text() == "LR = 0.5  # by hand\n"
    assert (workspace / ".git").read_text() == pointer
    assert (workspace / "train.py").read_text() == "LR = 0.2\n"


def test_an_evaluator_that_is_changed_past_the_copy_voids_the_change_and_is_put_back(
    root: Root, workspace: Path
) -> None:
    before = contents(workspace)
    does = f"echo cheat >{workspace}/evaluate.py; echo x >{workspace}/src/stray.py; echo 'LR = 0.2' >train.py; {DONE}"
    found = mutated(root, workspace, does, exclusive=True)
    assert (found.problem, found.changed) == (exchange.INVALID, ())
    assert "evaluate.py is read-only" in found.what
    assert found.behind == (
        "src/stray.py was made past the copy, and is removed",
        "evaluate.py was changed past the copy, and is put back",
    )
    assert contents(workspace) == before


def test_what_a_person_wrote_meanwhile_is_never_taken_back(root: Root, workspace: Path) -> None:
    does = f"echo 'by hand' >{workspace}/train.py; echo 'LR = 0.2' >train.py; echo 'D = 3' >src/model.py; {DONE}"
    found = mutated(root, workspace, does)
    assert (workspace / "train.py").read_text() == "by hand\n"
    assert whys(found) == {"train.py": "it was changed in the workspace meanwhile"}
    assert kinds(found.changed) == {"src/model.py": "modified"}
    assert "stays so" in found.behind[0]


@pytest.mark.parametrize(
    "does", ["echo evil >{}", "rm {}", "rm {0}; mkdir -p {0}.d; ln -s /etc/passwd {0}", "rm {0}; mkdir -p {0}/deep"]
)
def test_a_file_of_the_run_that_it_touched_is_put_back(root: Root, workspace: Path, tmp_path: Path, does: str) -> None:
    manifest = tmp_path / "bundle" / "manifest.json"
    manifest.parent.mkdir()
    manifest.write_text("{}\n")
    found = mutated(root, workspace, f"{does.format(manifest)}; {DONE}", guarded=(str(manifest), "/no/such/file"))
    assert found.behind == (f"{manifest} was changed and is put back",)
    assert manifest.read_text() == "{}\n"
    assert not manifest.is_symlink()


def test_a_spec_that_was_changed_meanwhile_is_told_and_left(root: Root, workspace: Path, tmp_path: Path) -> None:
    spec = tmp_path / "SPEC.yaml"
    spec.write_text("id: a\n")
    found = mutated(root, workspace, f"echo 'id: b' >{spec}; {DONE}", watched=(str(spec),))
    assert found.behind == (f"{spec} was changed meanwhile, by whoever it was, and stays so",)
    assert spec.read_text() == "id: b\n"


def test_a_change_that_cost_more_than_its_money_is_not_taken_over(root: Root, workspace: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "claude").write_text(f"#!/bin/bash\necho 'LR = 9' >train.py; cat {RECORDED}/claude-answer.json\n")
    (folder / "claude").chmod(0o755)
    for max_usd, problem in ((0.001, exchange.BUDGET), (0.01, "")):
        found = mutated(root, workspace, "exit 1", provider="claude", max_usd=max_usd)
        assert found.problem == problem
    assert (workspace / "train.py").read_text() == "LR = 9\n"


def test_a_limit_of_money_that_could_not_be_held_is_told(root: Root, workspace: Path) -> None:
    found = mutated(root, workspace, f"echo 'LR = 0.2' >train.py; {DONE}", max_usd=0.5)
    assert kinds(found.changed) == {"train.py": "modified"}
    assert found.unheld == "codex told no cost, so the limit of 0.5 USD was not held"
    assert mutated(root, workspace, DONE).unheld == ""


def test_what_is_asked_tells_the_terms(root: Root, workspace: Path, tmp_path: Path) -> None:
    mutated(root, workspace, f'cat >"{tmp_path}/asked"; {DONE}', instruction="Be brave.")
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("Be brave.\n\nmake it better\n")
    assert "You may change: train.py, src." in asked
    assert "You may not change: evaluate.py." in asked


def test_the_stub_changes_nothing_and_a_missing_agent_is_said(root: Root, workspace: Path) -> None:
    before = contents(workspace)
    assert mutated(root, workspace, "", provider="stub").problem == exchange.EMPTY
    found = mutated(root, workspace, "", provider="hermes")
    assert (found.problem, found.what) == (exchange.UNCONFIGURED, "there is no program hermes on PATH")
    assert contents(workspace) == before


def test_bad_orders_are_refused_before_anything_is_started(root: Root, workspace: Path, tmp_path: Path) -> None:
    run = AgentProcess(root)
    for order in (
        Order(workspace=str(tmp_path / "nowhere"), prompt="x", provider="codex"),
        Order(workspace=str(workspace), prompt="x", provider="nobody"),
    ):
        with pytest.raises(BadInput):
            mutation.mutate(root, run, order, stop=lambda: False)
    assert not [path for path in Path(root.layout.root).rglob("*") if path.is_file()]


def test_a_folder_with_more_files_than_can_be_judged_is_refused_whole(
    root: Root, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change, "MOST_FILES", 50)
    found = mutated(root, workspace, f"for n in {{1..60}}; do echo x >src/$n; done; {DONE}")
    assert (found.problem, found.changed) == (exchange.INVALID, ())
    assert "more than 50 files" in found.what


def test_what_came_of_it_can_be_kept(root: Root, workspace: Path) -> None:
    kept = mutation.told(mutated(root, workspace, f"echo 'LR = 0.2' >train.py; {DONE}"))
    told = msgspec.json.decode(kept)
    assert told["changed"][0]["path"] == "train.py"
    assert "stdout" not in told
