"""Each tool on a real lab: it does what its verb does, and nothing that a client sends becomes a flag."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from lab.cli import commands
from lab.mcp import arguments, pages, tools
from lab.scheduler import decisions
from tests.cli.labs import process, runs_of
from tests.mcp.wire import Server, a_lab_that_runs, envelope, refusal
from tests.scheduler.labs import one_run, tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.store.root import Root

SPACE = "search_space: {lr: {low: 0.0, high: 1.0}}\n"


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """A lab of one experiment with a search space and three runs, and one that runs."""
    root = a_lab_that_runs(tmp_path / "lab", spare="/bin/echo 0.5")
    with open(root.layout.spec("alpha"), "a", encoding="utf-8") as spec:
        spec.write(SPACE)
    for value in (0.5, None, 0.25):
        one_run(root, "alpha", value, "success" if value else "failed")
    return root


@pytest.fixture
def server(root: Root) -> Iterator[Server]:
    with Server(root.layout.root) as server:
        yield server.shake_hands()


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that is given nothing that it may do: at the end its lab is as it was."""
    root = a_lab_that_runs(tmp_path_factory.mktemp("untouched") / "lab")
    before = tree(root.layout.root)
    with Server(root.layout.root) as server:
        yield server.shake_hands()
    assert tree(root.layout.root) == before


def test_every_tool_is_a_verb_and_none_approves() -> None:
    assert [tool.name for tool in tools.TOOLS] == [
        "lab_status", "lab_list", "lab_context", "lab_get_run", "lab_compare", "lab_tail", "lab_search_space",
        "lab_trainings", "lab_research", "lab_propose", "lab_run_once", "lab_pause",
    ]  # fmt: skip
    for tool in tools.TOOLS:
        assert commands.find(tool.verb) is not None
        assert tool.verb not in ("approve", "resume", "complete", "cancel", "recover", "prune")
    asked = tools.find("lab_research")
    assert asked is not None
    assert asked.line({"experiment": "approve"}) == ([], ["status", "approve"])  # neither a gate, nor a release
    writers = {tool.name for tool in tools.TOOLS if tool.writes}
    assert writers == {"lab_propose", "lab_run_once", "lab_pause"}


def test_the_page_about_the_tools_names_each_with_its_verb_and_what_it_takes() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/how-to/mcp.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| `lab_")]
    told = [
        (name.strip(" `"), verb.strip(" `").split()[0], re.findall(r"`(\w+)`", takes)) for name, verb, takes in rows
    ]
    assert told == [(tool.name, tool.verb, list(tool.inputs)) for tool in tools.TOOLS]
    for uri in pages.LAB:
        assert f"`{uri}`" in page
    for name in pages.OF_ONE:
        assert f"`{name}`" in page


def test_the_list_says_what_each_tool_takes_gives_and_does(server: Server) -> None:
    listed = server.result("tools/list")["tools"]
    assert isinstance(listed, list)
    for told in listed:
        for schema in (told["inputSchema"], told["outputSchema"]):
            Draft202012Validator.check_schema(schema)
            assert schema["type"] == "object"
        assert told["inputSchema"]["additionalProperties"] is False
        assert all("description" in each for each in told["inputSchema"]["properties"].values())
        assert told["title"]
        assert len(told["description"]) > 30
    hints = {told["name"]: told["annotations"] for told in listed}
    assert hints["lab_status"]["readOnlyHint"]
    assert not hints["lab_status"]["openWorldHint"]
    assert not hints["lab_propose"]["readOnlyHint"]
    assert hints["lab_run_once"]["destructiveHint"]
    assert server.result("tools/list")["tools"] == listed


def test_each_tool_answers_as_it_said_it_would(server: Server, root: Root) -> None:
    first, _, last = runs_of(root, "alpha")
    calls: list[tuple[str, dict[str, object]]] = [
        ("lab_status", {}),
        ("lab_list", {}),
        ("lab_list", {"phase": "paused"}),
        ("lab_list", {"experiment": "alpha", "last": 2, "outcome": "success"}),
        ("lab_context", {"experiment": "alpha", "last": 1}),
        ("lab_get_run", {"run": first}),
        ("lab_compare", {"first": first, "second": last}),
        ("lab_tail", {"name": "alpha"}),
        ("lab_tail", {"name": first, "stream": "stderr", "lines": 5}),
        ("lab_search_space", {"experiment": "alpha"}),
        ("lab_trainings", {}),
        ("lab_research", {}),
        ("lab_propose", {"experiment": "alpha", "params": {"lr": 0.1}, "rationale": "lower"}),
        ("lab_run_once", {"experiment": "spare", "now": True}),
        ("lab_pause", {"experiment": "alpha", "reason": "enough"}),
    ]
    assert {name for name, _ in calls} == {tool.name for tool in tools.TOOLS}
    for name, given in calls:
        tool = tools.find(name)
        assert tool is not None
        Draft202012Validator(tool.schema).validate(given)
        found = server.call(name, **given)
        assert found["isError"] is False, found
        Draft202012Validator(tool.shown()["outputSchema"]).validate(envelope(found))
        assert envelope(found)["schema"] == f"labctl.{tool.verb}/1"


def test_what_the_tools_say_is_what_the_verbs_say(server: Server, root: Root) -> None:
    first = runs_of(root, "alpha")[0]
    for tool, given, words in (
        ("lab_get_run", {"run": first}, ("show", first)),
        ("lab_list", {"experiment": "alpha"}, ("list", "alpha")),
        ("lab_search_space", {"experiment": "alpha"}, ("space", "show", "alpha")),
        ("lab_trainings", {"experiment": "alpha", "steps": True}, ("tinker", "runs", "alpha", "--steps")),  # refused
    ):
        assert envelope(server.call(tool, **given)) == process(*words, "--json", root=root.layout.root).envelope


def test_a_refusal_says_what_where_and_how_to_mend_it(server: Server) -> None:
    found = server.call("lab_list", experiment="alfa")
    tool = tools.find("lab_list")
    assert tool is not None
    Draft202012Validator(tool.shown()["outputSchema"]).validate(envelope(found))
    assert refusal(found) == {
        "kind": "not-found",
        "exit_code": 2,
        "message": "there is no experiment alfa",
        "where": "",
        "fix": "did you mean alpha?",
    }


def test_a_run_that_fails_is_an_answer_and_no_error(tmp_path: Path) -> None:
    root = a_lab_that_runs(tmp_path / "lab", "/bin/false")
    with Server(root.layout.root) as server:
        found = server.shake_hands().call("lab_run_once", experiment="alpha", now=True)
    assert (found["isError"], envelope(found)["ok"]) == (False, False)
    data = envelope(found)["data"]
    assert isinstance(data, dict)
    assert data["steps"][0]["outcome"] == "failed"


def test_what_is_proposed_runs_after_a_person_has_approved_it_and_not_before(tmp_path: Path) -> None:
    root = a_lab_that_runs(tmp_path / "lab", "/bin/cat {params_path}")
    place = root.layout.root
    with open(root.layout.spec("alpha"), "a", encoding="utf-8") as spec:
        spec.write(SPACE)
    with Server(place) as server:
        server.shake_hands()
        asked = server.done("lab_propose", experiment="alpha", params={"lr": 0.125}, rationale="--yes, lower; $(x)")
        waiting = process("approvals", "--json", root=place).data["proposals"]
        assert isinstance(waiting, list)
        assert [each["id"] for each in waiting] == [asked["proposal"]]
        assert "agent by mcp" in json.dumps(waiting)
        assert "--yes, lower; $(x)" in json.dumps(waiting)
        assert runs_of(root, "alpha") == []
        assert process("approve", str(asked["proposal"]), root=place).code == 0
        ran = server.done("lab_run_once", experiment="alpha", now=True)
        steps = ran["steps"]
        assert isinstance(steps, list)
        run = str(steps[0]["run_id"])
        assert server.done("lab_get_run", run=run)["params"] == {"lr": 0.125}
        assert '"lr"' in json.dumps(server.done("lab_tail", name="alpha")["lines"]).replace('\\"', '"')


def test_a_second_proposal_is_not_answered_by_the_first(server: Server) -> None:
    def ask(rate: float) -> dict[str, object]:
        return {"experiment": "alpha", "params": {"lr": rate}, "rationale": "a guess"}

    first = server.done("lab_propose", **ask(0.1))
    assert server.done("lab_propose", **ask(0.1)) == {**first, "made": False}
    error = server.refusal("lab_propose", **ask(0.2))
    assert (error["kind"], error["message"]) == ("busy", "alpha-1 waits with other parameters; yours were not kept")
    tool = tools.find("lab_propose")
    assert tool is not None
    assert "refused as busy and not kept" in tool.about


@pytest.mark.parametrize(
    ("tool", "given", "said"),
    [
        ("lab_status", {"x": 1}, "no place for 'x'"),
        ("lab_get_run", {}, "lacks run"),
        ("lab_get_run", {"run": 7}, "run must be of the type string"),
        ("lab_get_run", {"run": "--yes"}, "cannot be used"),
        ("lab_get_run", {"run": "RUN-20261121-093000-000000-scout\n"}, "cannot be used"),
        ("lab_get_run", {"run": "../../etc/passwd"}, "cannot be used"),
        ("lab_pause", {"experiment": "--help"}, "cannot be used"),
        ("lab_pause", {"experiment": "-q"}, "cannot be used"),
        ("lab_pause", {"experiment": ""}, "cannot be used"),
        ("lab_pause", {"experiment": "alpha", "reason": "a\0b"}, "without NUL"),
        ("lab_pause", {"experiment": "alpha", "reason": "\ud800"}, "UTF-8"),
        ("lab_pause", {"experiment": "alpha", "reason": "x" * 2001}, "between 0 and 2000"),
        ("lab_search_space", {"experiment": "/etc/passwd"}, "cannot be used"),
        ("lab_tail", {"name": "alpha", "lines": 0}, "lines must be 1 or more"),
        ("lab_tail", {"name": "alpha", "lines": 10**9}, "lines must be 1000 or less"),
        ("lab_tail", {"name": "alpha", "lines": True}, "lines must be of the type integer"),
        ("lab_tail", {"name": "alpha", "lines": 1.5}, "lines must be of the type integer"),
        ("lab_tail", {"name": "alpha", "stream": "--stderr"}, "stream must be one of stdout, stderr"),
        ("lab_propose", {"experiment": "alpha", "params": {"lr": 0.1}}, "lacks rationale"),
        ("lab_propose", {"experiment": "alpha", "params": [1], "rationale": "x"}, "params must be of the type object"),
        ("lab_propose", {"experiment": "alpha", "params": {"x": "y" * 60_000}, "rationale": "x"}, "60,000 bytes"),
        ("lab_run_once", {"max_runs": 11}, "max_runs must be 10 or less"),
        ("lab_run_once", {"now": True}, "now wants an experiment"),
        ("lab_run_once", {"deadline_s": 3601}, "deadline_s must be 3600 or less"),
        ("lab_run_once", {"experiment": "--now"}, "cannot be used"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_started(
    tool: str, given: dict[str, object], said: str, untouched: Server
) -> None:
    error = untouched.refusal(tool, **given)
    assert error["kind"] == "bad-input"
    assert said in str(error["message"])


def test_a_tool_that_does_not_exist_and_arguments_that_are_none_are_errors_of_the_protocol(server: Server) -> None:
    for params in (
        {"name": "lab_approve", "arguments": {"proposal": "alpha-1"}},
        {"name": "run-once"},
        {"name": None},
        {"name": ["lab_status"]},
        {},
        {"name": "lab_status", "arguments": "x"},
        {"name": "lab_status", "arguments": None},
    ):
        assert server.error("tools/call", params)["code"] == -32602


@pytest.mark.parametrize(
    "params", ['{"lr": 1e400}', '{"lr": ' + "[" * 900 + "1" + "]" * 900 + "}"], ids=["inf", "deep"]
)
def test_parameters_that_json_cannot_hold_end_no_server(params: str, server: Server) -> None:
    given = '{"experiment": "alpha", "rationale": "x", "params": ' + params + "}"
    asked = '{"jsonrpc": "2.0", "id": "x", "method": "tools/call", "params": {"name": "lab_propose", "arguments": '
    server.raw(f"{asked}{given}}}}}\n".encode())
    result = server.answer("x")["result"]
    assert isinstance(result, dict)
    assert result["isError"] is True
    assert server.result("ping") == {}


def test_words_of_a_client_reach_the_verb_as_they_are(server: Server, root: Root) -> None:
    for number, reason in enumerate(("--json", "--data-root=/nowhere", "-- --yes", "a\nb\tc", "ünï ✓ \u2028", " ")):
        experiment = ("alpha", "spare")[number % 2]
        server.done("lab_pause", experiment=experiment, reason=reason)
        lines = Path(root.layout.events).read_text(encoding="utf-8").split("\n")
        assert json.loads(lines[-2])["event"]["reason"] == reason
        decisions.resume(root, experiment, reason="", actor="ann")


def test_a_file_in_the_folder_of_the_server_is_no_search_space(root: Root, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('{"parameters": {"token": {"choices": ["hunter2"]}}}')
    with Server(root.layout.root, cwd=tmp_path) as server:
        error = server.shake_hands().refusal("lab_search_space", experiment="secret.json")
    assert "hunter2" not in json.dumps(error)
    assert error["kind"] == "not-found"
    with Server(tmp_path / "none", cwd=tmp_path) as server:
        assert "hunter2" not in json.dumps(server.shake_hands().refusal("lab_search_space", experiment="secret.json"))


def test_a_log_that_a_run_replaced_by_a_link_is_not_followed(server: Server, root: Root, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    run = runs_of(root, "alpha")[0]
    log = f"{root.layout.run('alpha', run)}/stdout.log"
    if os.path.lexists(log):
        os.unlink(log)
    os.symlink(tmp_path / "secret", log)
    error = server.refusal("lab_tail", name=run)
    assert "hunter2" not in json.dumps(error)
    assert "no plain file" in str(error["message"])


def test_an_answer_that_is_too_large_is_refused(root: Root) -> None:
    table = Path(root.layout.page("alpha", "metrics.jsonl"))
    row = json.loads(table.read_text().splitlines()[0])
    table.write_text((json.dumps({**row, "note": "x" * 100_000}) + "\n") * 60)
    with Server(root.layout.root) as server:
        error = server.shake_hands().refusal("lab_list", experiment="alpha", last=60)
        assert (error["kind"], error["message"]) == ("too-large", "the answer of lab_list is larger than 4 MiB")
        assert server.done("lab_list", experiment="alpha", last=2)


def test_a_line_of_a_log_of_any_length_is_cut(server: Server, root: Root) -> None:
    run = runs_of(root, "alpha")[0]
    Path(root.layout.run("alpha", run), "stderr.log").write_bytes(b"x" * 300_000 + b"\n")
    told = server.done("lab_tail", name=run, stream="stderr", lines=1)
    assert (told["lines"], told["is_cut"]) == (["x" * tools.MOST_LINE_CHARS], True)


def test_a_lab_of_any_size_can_be_listed(root: Root) -> None:
    index = json.loads(Path(root.layout.index).read_text())
    row = {**index["experiments"][0], "goal": "x" * 100_000}
    names = [f"e-{number:02d}" for number in range(60)]
    for name in names:
        os.mkdir(root.layout.experiment(name))
    index["experiments"] = [{**row, "id": name, "as_of": f"2026-12-31T00:00:{name[-2:]}Z"} for name in names]
    Path(root.layout.index).write_text(json.dumps(index))
    with Server(root.layout.root) as server:
        error = server.shake_hands().refusal("lab_list")
        assert (error["kind"], "a smaller `last`" in str(error["fix"])) == ("too-large", True)
        told = server.done("lab_list", last=5)
    assert isinstance(told["experiments"], list)
    assert [each["id"] for each in told["experiments"]] == names[-5:]
    assert told["left_out"] == 55


def test_a_word_of_a_schema_that_the_check_does_not_know_fails_loudly() -> None:
    with pytest.raises(NotImplementedError, match="multipleOf"):
        arguments.fault({"type": "integer", "multipleOf": 2}, 4)
