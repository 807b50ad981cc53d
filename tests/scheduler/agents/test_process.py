"""Agents as processes: doubles that print what real ones printed, under the real supervisor."""

from __future__ import annotations

import json
import os
import stat
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import BadInput, Unavailable
from lab.core.model import Model
from lab.core.spec import Spec
from lab.llm import door as models
from lab.llm import exchange
from lab.llm.agents import running, table
from lab.llm.agents.adapter import Task
from lab.llm.command import Command
from lab.llm.exchange import Ask, Attempt, Turn
from lab.scheduler.agents import door as agents
from lab.scheduler.agents.process import AgentProcess
from lab.testing.files import a_root

if TYPE_CHECKING:
    from lab.store.root import Root

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a fork: the runner's threads are idle in it
CHECKOUT = Path(__file__).resolve().parents[3]
RECORDED = CHECKOUT / "tests" / "llm" / "agents" / "recorded"
KEY = "sk-a-very-secret-key"
QUESTION = Ask(system="You choose.", turns=(Turn(role="user", text="Which next?"),))


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = a_root(tmp_path / "lab")
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    environ = {"PATH": path, "HOME": str(tmp_path), "OPENAI_API_KEY": KEY, "OTHER_TOKEN": "not-for-agents", "LANG": "C"}
    made.world = msgspec.structs.replace(made.world, environ=environ)
    return made


def a_double(tmp_path: Path, name: str, text: str) -> None:
    """A program of an agent's name that does what `text` says, in the shell."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/bash\n{text}\n")
    (folder / name).chmod(0o755)


def asked(
    root: Root, *, within_s: float = 20.0, spec: Spec | None = None, growth_mb: float = 64, **model: str
) -> Attempt:
    model = model or {"provider": "codex"}
    run = AgentProcess(root, spec, growth_mb=growth_mb)
    way = Command(Model(transport="command", **model), root.world.environ, run)  # type: ignore[arg-type]
    return way.send(QUESTION, until=time.monotonic() + within_s, stop=lambda: False)


def left(root: Root) -> list[str]:
    folder = root.layout.place("scratch/agents")
    return os.listdir(folder) if os.path.isdir(folder) else []


def alive(mark: str) -> list[str]:
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if mark.encode() in Path(f"/proc/{name}/cmdline").read_bytes():
                found.append(name)
        except OSError:
            continue
    return found


def test_an_agent_is_asked_and_its_recorded_answer_comes_back(root: Root, tmp_path: Path) -> None:
    a_double(
        tmp_path, "codex", f'cat >"{tmp_path}/question"; pwd >"{tmp_path}/where"; cat {RECORDED}/codex-answer.jsonl'
    )
    found = asked(root, provider="codex", model="tiny")
    assert (found.text, found.problem, found.status, found.used.sent) == ("Hello from the model.", "", 0, 20393)
    assert (tmp_path / "question").read_text() == "You choose.\n\nWhich next?"
    assert "Which next?" in found.request
    assert found.request.startswith('{"argv":["' + str(tmp_path))
    assert (tmp_path / "where").read_text().startswith(f"{root.layout.root}/scratch/agents/")
    assert left(root) == []


def test_the_last_message_of_a_file_is_read_and_what_it_used_is_kept(root: Root, tmp_path: Path) -> None:
    a_double(
        tmp_path, "codex", f'while [ "$1" != -o ]; do shift; done; echo whole >"$2"; cat {RECORDED}/codex-silent.jsonl'
    )
    found = asked(root)
    assert (found.text, found.used.answered) == ("whole", 404)


def test_an_agent_sees_what_it_needs_and_no_more_and_no_secret_is_kept(root: Root, tmp_path: Path) -> None:
    a_double(
        tmp_path,
        "codex",
        f'env >"{tmp_path}/seen"; echo "the key is $OPENAI_API_KEY"; echo "$OPENAI_API_KEY" >&2; exit 3',
    )
    found = asked(root)
    seen = dict(line.partition("=")[::2] for line in (tmp_path / "seen").read_text().splitlines())
    assert seen["OPENAI_API_KEY"] == KEY
    assert seen["HOME"] == str(tmp_path)
    assert "OTHER_TOKEN" not in seen
    assert not [name for name in seen if name.startswith("LAB_") and name != "LAB_RUN_DIR"]
    assert KEY not in str(found)
    assert "[redacted]" in found.response


def test_a_secret_that_an_agent_writes_in_the_escapes_of_json_is_hidden_too(root: Root, tmp_path: Path) -> None:
    """It is the key again once the answer is read, and would be kept with each candidate."""
    a_double(tmp_path, "hermes", r'printf "%s" "{\"hypothesis\": \"${OTHER_TOKEN//-/\\u002d}\"}"')
    found = asked(root, spec=Spec(id="a", secrets=("OTHER_TOKEN",)), provider="hermes")
    assert json.loads(found.text) == {"hypothesis": "[redacted]"}


def test_what_a_spec_names_is_passed_on_and_hidden(root: Root, tmp_path: Path) -> None:
    a_double(tmp_path, "codex", 'echo "$OTHER_TOKEN"; exit 1')
    found = asked(root, spec=Spec(id="a", secrets=("OTHER_TOKEN",)))
    assert "[redacted]" in found.response
    assert "not-for-agents" not in str(found)


def test_an_agent_that_waits_for_ever_is_ended_at_the_deadline_with_all_it_started(root: Root, tmp_path: Path) -> None:
    text = f"trap '' TERM; cat {RECORDED}/codex-unreachable.jsonl; (setsid sleep 987654 &) ; sleep 987654"
    a_double(tmp_path, "codex", text)
    found = asked(root, within_s=0.5, spec=Spec(id="a", kill_grace_s=0.2))
    assert found.problem == exchange.UNREACHABLE
    assert "waiting for network" in found.what
    assert alive("987654") == []
    a_double(tmp_path, "codex", "exec sleep 987654")
    assert asked(root, within_s=0.3).problem == exchange.TIMEOUT


def test_an_agent_that_says_nothing_and_ends_with_0_has_failed(root: Root, tmp_path: Path) -> None:
    a_double(tmp_path, "codex", "echo 'no network' >&2")
    found = asked(root)
    assert (found.problem, found.text) == (exchange.EMPTY, "")
    assert "no network" in found.what


def test_a_flood_of_output_is_bounded_and_is_no_answer(root: Root, tmp_path: Path) -> None:
    a_double(tmp_path, "codex", f"head -c 30000000 /dev/zero | tr '\\0' x; echo; cat {RECORDED}/codex-answer.jsonl")
    found = asked(root, spec=Spec(id="a", output_limit_mb=1.0))
    assert len(found.response) < 80_000
    assert found.text == "Hello from the model."  # its last lines are kept, the middle of the flood is not
    a_double(tmp_path, "mine", "head -c 30000000 /dev/zero | tr '\\0' x")
    found = asked(root, spec=Spec(id="a", output_limit_mb=1.0), command="mine")
    assert (found.text, found.problem) == ("", exchange.TOO_LARGE)


def test_an_agent_that_fills_the_disk_is_ended(root: Root, tmp_path: Path) -> None:
    a_double(tmp_path, "codex", "head -c 40000000 /dev/zero >big; exec sleep 987655")
    found = asked(root, growth_mb=8)
    assert found.problem == exchange.FAILING
    assert "more than its 8 MB" in found.what
    assert left(root) == []


def test_a_person_can_stop_it(root: Root, tmp_path: Path) -> None:
    a_double(tmp_path, "codex", "exec sleep 987656")
    way = Command(Model(transport="command", provider="codex"), root.world.environ, AgentProcess(root))
    found = way.send(QUESTION, until=time.monotonic() + 20, stop=lambda: True)
    assert found.problem == exchange.STOPPED


def test_what_a_killed_lab_left_is_removed_with_its_processes(root: Root, tmp_path: Path) -> None:
    from lab.store import machine

    gone = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(gone, 0)
    old = Path(root.layout.place("scratch/agents"), f"{machine.here()}-{gone}-0000")
    ours = old.with_name(f"{machine.here()}-{os.getpid()}-0000")
    elsewhere, forgotten = (old.with_name(f"{name}-1-0000") for name in ("abcdef01", "abcdef02"))
    for each in (old, ours, elsewhere, forgotten):
        (each / "own").mkdir(parents=True)
    os.utime(forgotten, (1, 1))
    a_double(tmp_path, "codex", f"cat {RECORDED}/codex-answer.jsonl")
    assert asked(root).problem == ""
    assert sorted(left(root)) == sorted([ours.name, elsewhere.name])


def test_any_program_can_be_the_model(root: Root, tmp_path: Path) -> None:
    a_double(tmp_path, "mine", 'read -r line; [[ $line == *labctl.question/1* ]] && echo "{\\"proposals\\": []}"')
    assert asked(root, command="mine").text == '{"proposals": []}'
    run = AgentProcess(root, folders=(str(tmp_path / "bin"),))
    way = Command(Model(transport="command", command="./mine"), root.world.environ, run)
    assert way.send(QUESTION, until=time.monotonic() + 20, stop=lambda: False).text == '{"proposals": []}'


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ({"provider": "codex"}, "no program codex on PATH"),
        ({"provider": "nobody"}, "there is no agent nobody"),
        ({"command": "no-such-program -x"}, "no program no-such-program on PATH"),
        ({"command": "a 'b"}, "never closed"),
        ({}, "one of llm.provider (an agent) and llm.command"),
        ({"provider": "claude", "command": "x"}, "one of llm.provider"),
        ({"provider": "command"}, "wants its program"),
    ],
)
def test_a_model_that_cannot_be_asked_is_told_before_anything_is_started(
    root: Root, tmp_path: Path, model: dict[str, str], problem: str
) -> None:
    environ = {"PATH": str(tmp_path)}
    root.world = msgspec.structs.replace(root.world, environ=environ)
    given = Model(transport="command", **model)  # type: ignore[arg-type]
    assert problem in "; ".join(models.problems(given, environ))
    with pytest.raises(Unavailable, match="cannot be asked"):
        models.transport(given, environ, AgentProcess(root))
    assert (
        Command(given, environ, AgentProcess(root))
        .send(QUESTION, until=time.monotonic() + 5, stop=lambda: False)
        .problem
        == exchange.UNCONFIGURED
    )


def test_the_stub_starts_nothing_and_answers_nothing(root: Root) -> None:
    assert asked(root, provider="stub").problem == exchange.EMPTY


def test_the_table_of_agents_is_what_the_package_declares() -> None:
    declared = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["entry-points"][table.GROUP]
    assert declared == dict(table.BUILT_IN)
    for name in table.BUILT_IN:
        assert callable(agents.find(name, "prog").start)


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = tmp_path / "mine-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[lab.agents]\necho = its_agent:Echo\nbroken = its_agent:Nothing\n")
    (tmp_path / "its_agent.py").write_text(
        "from lab.llm.agents.adapter import Start, plain\n"
        "class Echo:\n"
        "    program, passed = 'cat', ()\n"
        "    def start(self, task): return Start(argv=('cat',), stdin=task.words())\n"
        "    def read(self, stdout, stderr, code, files): return plain(stdout, stderr, code)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("plug_in")
def test_an_agent_of_an_installed_package_is_asked_like_a_built_in_one(root: Root) -> None:
    assert list(models.problems(Model(transport="command", provider="echo"), root.world.environ)) == []
    assert asked(root, provider="echo").text == "You choose.\n\nWhich next?"
    with pytest.raises(BadInput, match="broken"):
        agents.find("broken")
    assert [each.name for each in agents.problems()] == ["broken"]


def test_an_adapter_of_the_project_goes_before_a_built_in_one(root: Root, tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "claude_mutation_adapter.py").write_text(
        "import sys, os\nprint(sys.argv[1:], os.environ['LAB_AGENT_MODEL'])\n"
    )
    run = AgentProcess(root, folders=("", str(tmp_path)))
    agent = run.find("claude")
    task = Task(prompt="x", mode="edit", folder=str(tmp_path), own="", model="m")
    ran = run(agent, task, until=time.monotonic() + 20, stop=lambda: False)
    assert "['--model', 'm', '--instruction-file', " in running.answer_of(agent, ran).text


def test_a_prompt_lies_where_only_its_owner_reads_it(root: Root, tmp_path: Path) -> None:
    a_double(tmp_path, "codex", f'stat -L -c %a /proc/self/fd/0 >"{tmp_path}/mode"; cat {RECORDED}/codex-answer.jsonl')
    assert asked(root).problem == ""
    assert int((tmp_path / "mode").read_text(), 8) & (stat.S_IRWXG | stat.S_IRWXO) == 0
