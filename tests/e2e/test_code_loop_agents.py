"""Code loops that agents drive, end to end, with a real model behind one; their logs are read by the peers' rules."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import peers
from tests.cli.labs import SHIM, process, tree
from tests.scheduler.loop.live import NAME, Live, a_loop, save, sound, trace

if TYPE_CHECKING:
    from tests.cli.labs import Said

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(120)]
CYCLES = 5
# An agent that asks a model what to do, and does something whatever the model says: this one is made of chance.
ADAPTER = """\
import json, os, sys, urllib.request
words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
told = open(words["--instruction-file"], encoding="utf-8").read()
assert "The next change of loop" in told and "You may change" in told, told
body = {"model": words["--model"], "max_tokens": 12, "messages": [{"role": "user", "content": told[:2000]}]}
url = words["--base-url"] + "/chat/completions"
request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
with urllib.request.urlopen(request, timeout=60) as response:
    answer = json.load(response)["choices"][0]["message"]["content"]
value = int(open("value").read())
open("value", "w").write(f"{value - 1 - len(answer) % 5}\\n")
print(f"less by one and by what the model said ({len(answer)} characters)")
"""
RECORDED = Path(__file__).resolve().parents[1] / "llm" / "agents" / "recorded"


def labctl(loop: Live, *words: str, path: str = "") -> Said:
    environ = {"PATH": f"{path}:{os.environ['PATH']}", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    return process(*words, root=loop.root.layout.root, env=environ)


def logs(loop: Live) -> tuple[list[peers.Row], list[peers.Row]]:
    """Both logs as their own readers see them."""
    said = [labctl(loop, "autoresearch", "export", NAME, "--format", each) for each in ("tsv", "jsonl")]
    assert [each.code for each in said] == [0, 0], said
    return peers.karpathys_reader(said[0].out)[1], peers.pis_reader(said[1].out).rows


def test_an_agent_that_asks_a_real_model_drives_five_cycles(tmp_path: Path, local_model: str) -> None:
    loop = a_loop(
        tmp_path,
        spec=f"agent_provider: tiny\nagent_model: tiny\nagent_base_url: {local_model}\nmutable_paths: [value]\n",
        files={"scripts/tiny_mutation_adapter.py": ADAPTER},
    )
    loop.edit("mutation_command", "")
    before = trace(loop.workspace)
    said = labctl(loop, "burst", NAME, "-n", str(CYCLES + 1))
    assert said.code == 0, said
    decided = [loop.decided(name) for name in loop.runs()]
    assert [each.verdict for each in decided] == ["keep"] * (CYCLES + 1), [each.reason for each in decided]
    assert all("the model said" in each.note for each in decided[1:])
    assert trace(loop.workspace) == before
    for rows in logs(loop):
        assert [row.status for row in rows] == ["keep"] * (CYCLES + 1)
        assert [row.metric for row in rows] == [each.candidate_value for each in decided]
    assert [row.asi is not None and "change" in row.asi for row in logs(loop)[1][1:]] == [True] * CYCLES
    sound(loop)


def test_an_agent_that_edits_in_a_tree_drives_five_cycles_by_exit_codes_and_json_alone(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec="checks_command: test ! -e broken\nmutable_paths: [value, broken]\n")
    loop.edit("mutation_command", "")
    before = trace(loop.workspace)
    plan = [("40", 0, "keep"), ("60", 0, "discard"), ("words", 1, "crash"), ("35", 0, "keep"), ("36", 0, "discard")]
    place = ""
    for number, (value, code, verdict) in enumerate(plan):
        if not place:
            begun = labctl(loop, "try", NAME, "--begin", "--json").data["begun"]
            assert isinstance(begun, dict)
            place = str(begun["tree"])
        Path(place, "value").write_text(f"{value}\n")
        notes = json.dumps({"hypothesis": f"idea {number}", "next_action_hint": "go lower"})
        said = labctl(loop, "try", NAME, "-d", f"the value is {value}", "--asi", notes, "--json")
        assert said.code == code, said
        told = said.envelope["data"]
        assert isinstance(told, dict)
        assert told["verdict"] == verdict
        assert told["next"]
        place = str(told["tree"])  # there still, where it is to be mended
        assert bool(place) == (verdict == "crash")
    assert trace(loop.workspace) == before
    statuses = ["keep", *(verdict for _, _, verdict in plan)]
    for rows in logs(loop):
        assert [row.status for row in rows] == statuses
        assert [row.description for row in rows][1:3] == ["the value is 40", "the value is 60"]
    assert [(row.asi or {}).get("hypothesis") for row in logs(loop)[1][1:]] == [f"idea {n}" for n in range(CYCLES)]
    sound(loop)


@pytest.mark.parametrize("strays", [False, True], ids=["within its paths", "beyond its paths"])
def test_an_agent_in_a_mutation_command_is_counted_and_one_wrong_path_refuses_all(
    tmp_path: Path, *, strays: bool
) -> None:
    loop = a_loop(
        tmp_path,
        spec=f"agent_provider: codex\nmutable_paths: [value]\nmutation_command: {sys.executable} {SHIM} mutate\n",
    )
    answer = RECORDED / "codex-answer.jsonl"
    wrong = "echo 'echo METRIC cost=0' > measure.sh" if strays else ":"
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "codex"
    asked = tmp_path / "asked"
    program.write_text(f'#!/bin/bash\ncat > {asked}; echo "$@" >> {asked}\necho 40 > value\n{wrong}\ncat {answer}\n')
    program.chmod(0o755)
    said = labctl(loop, "burst", NAME, "-n", "2", path=f"{tmp_path}/bin")
    assert said.code == 0, said
    made = loop.decided(loop.runs()[-1])
    assert made.verdict == ("checks_failed" if strays else "keep"), made
    assert made.candidate.tokens == 20_393 + 404
    assert "The next change of loop" in asked.read_text()
    if strays:
        assert "measure.sh" in made.reason
        assert made.candidate.values == ()
    sound(loop)


def test_an_agent_that_sends_files_goes_round_by_json_alone(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec="promotion_strategy: branch\nmutable_paths: [value]\n")
    loop.edit("mutation_command", "")
    (loop.workspace / "value").write_text("49\n")
    save(loop.workspace)
    before = tree(str(loop.workspace / ".git" / "refs" / "heads"))["main"]
    for value, verdict in ((40, "keep"), (45, "discard"), (30, "keep")):
        package = labctl(loop, "dispatch-agent-next", "--experiment", NAME, "--now", "--json").data
        assert isinstance(package["current_files"], dict)
        change = {"dispatch_id": package["dispatch_id"], "changes": {"value": f"{value}\n"}, "reasoning": f"to {value}"}
        (tmp_path / "change.json").write_text(json.dumps(change))
        told = labctl(loop, "dispatch-agent-submit", str(tmp_path / "change.json"), "--json").data
        assert (told["verdict"], told["ingested"]) == (verdict, True)
    assert [row.status for row in logs(loop)[0]] == ["keep", "keep", "discard", "keep"]
    assert loop.git("log", "--format=%s", "main..lab/loop").split("\n") == ["to 30", "to 40"]
    assert tree(str(loop.workspace / ".git" / "refs" / "heads"))["main"] == before
    sound(loop)
