"""Each adapter: how it starts its program, and what it makes of recorded and broken output."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.core.errors import BadInput
from lab.llm import exchange
from lab.llm.agents import adapter
from lab.llm.agents.adapter import ASK, EDIT, Adapter, Answer, Task
from lab.llm.agents.command import Command
from lab.llm.agents.script import Script, place
from lab.llm.agents.table import BUILT_IN
from lab.llm.exchange import Tokens

RECORDED = Path(__file__).parent / "recorded"
HELLO = "Hello from the model."
TEXT_ARGUMENT = {"hermes"}  # it takes its prompt in no other way


def of(name: str) -> Adapter:
    module, _, attribute = BUILT_IN[name].partition(":")
    made: Adapter = getattr(import_module(module), attribute)()
    return made


def task(mode: str = ASK, **more: object) -> Task:
    return Task(**{"prompt": "Which next?", "mode": mode, "folder": "/w", "own": "/o", **more})  # type: ignore[arg-type]


def read(name: str, recorded: str, code: int | None = 0, files: dict[str, bytes] | None = None) -> Answer:
    return of(name).read((RECORDED / recorded).read_bytes(), b"", code, files or {})


@pytest.mark.parametrize(
    ("name", "recorded", "used", "model"),
    [
        ("claude", "claude-answer.json", Tokens(sent=157, answered=27, usd=0.0014465), "smollm2"),
        ("codex", "codex-answer.jsonl", Tokens(sent=20393, answered=404), ""),
        ("opencode", "opencode-answer.jsonl", Tokens(sent=9970, answered=200), ""),
        ("gemini", "gemini-answer.json", Tokens(sent=120, answered=20), "gemini-2.5-pro"),
    ],
)
def test_a_recorded_answer_is_read_with_what_it_used(name: str, recorded: str, used: Tokens, model: str) -> None:
    assert read(name, recorded) == Answer(text=HELLO, used=used, model=model)


def test_the_usage_of_hermes_comes_from_its_file_and_an_unknown_price_is_not_nothing() -> None:
    usage = (RECORDED / "hermes-usage.json").read_bytes()
    found = read("hermes", "hermes-answer.txt", files={"usage.json": usage})
    assert found == Answer(text=HELLO, used=Tokens(sent=11342, answered=1703, usd=None), model="tiny")
    failed = usage.replace(b'"completed": true', b'"completed": false')
    assert read("hermes", "hermes-answer.txt", files={"usage.json": failed}).problem == exchange.FAILING


def test_the_prose_of_aider_tells_its_tokens_and_a_refusal_of_its_model_is_no_answer() -> None:
    found = read("aider", "aider-answer.txt")
    assert (found.problem, found.used) == ("", Tokens(sent=1200, answered=31, usd=0.0021))
    assert read("aider", "aider-refused.txt").problem == exchange.FAILING


def test_a_structured_answer_of_claude_goes_before_its_words() -> None:
    assert read("claude", "claude-structured.json").text == '{"proposals":[]}'


@pytest.mark.parametrize(
    ("name", "recorded", "code", "problem", "words"),
    [
        ("claude", "claude-error.json", 1, exchange.LIMITED, "429 Too many requests"),
        ("claude", "claude-error.json", 0, exchange.LIMITED, "429 Too many requests"),
        ("claude", "claude-budget.json", 1, exchange.BUDGET, "error_max_budget_usd"),
        ("claude", "claude-length.json", 0, exchange.TRUNCATED, "cut off"),
        ("claude", "claude-exceeded.json", 1, exchange.TRUNCATED, "output token maximum"),
        ("claude", "claude-empty.json", 0, exchange.EMPTY, "no answer"),
        ("claude", "claude-answer.json", None, exchange.FAILING, "claude reports"),
        ("codex", "codex-silent.jsonl", 0, exchange.EMPTY, "no answer"),
        ("codex", "codex-failed.jsonl", 1, exchange.FAILING, "401 Unauthorized"),
        ("codex", "codex-failed.jsonl", 0, exchange.FAILING, "401 Unauthorized"),
        ("codex", "codex-unreachable.jsonl", None, exchange.UNREACHABLE, "waiting for network"),
        ("opencode", "opencode-silent.jsonl", 0, exchange.EMPTY, "no answer"),
        ("opencode", "opencode-length.jsonl", 0, exchange.TRUNCATED, "cut off"),
        ("opencode", "opencode-answer.jsonl", 1, exchange.FAILING, "ended with 1"),
        ("gemini", "gemini-error.json", 1, exchange.LIMITED, "quota exceeded"),
    ],
)
def test_a_failure_is_told_by_its_word_and_in_words(
    name: str, recorded: str, code: int | None, problem: str, words: str
) -> None:
    found = read(name, recorded, code)
    assert (found.text, found.problem) == ("", problem)
    assert words in found.what


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_exit_0_with_nothing_said_is_a_failure(name: str) -> None:
    found = of(name).read(b"", b"warning: no model\n", 0, {})
    assert (found.text, found.problem) == ("", exchange.EMPTY)


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - {"stub"}))
@pytest.mark.parametrize("code", [1, None])
def test_a_program_that_failed_has_not_answered_whatever_it_printed(name: str, code: int | None) -> None:
    found = of(name).read(b"Traceback\n", b"it broke\n", code, {})
    assert (found.text, found.problem) == ("", exchange.FAILING)
    assert "it broke" in found.what


@pytest.mark.parametrize("recorded", ["claude-answer.json", "codex-answer.jsonl", "opencode-answer.jsonl"])
def test_output_that_breaks_off_is_never_taken_for_a_whole_one(recorded: str) -> None:
    """At whichever byte: what is read of it is the whole answer or a failure, never half an answer."""
    whole = (RECORDED / recorded).read_bytes()
    agent = of(recorded.partition("-")[0])
    for at in range(len(whole)):
        found = agent.read(whole[:at], b"", 0, {})
        assert found.text == HELLO if not found.problem else not found.text


def test_a_remark_of_codex_in_a_good_turn_is_no_failure() -> None:
    assert b'"type": "error"' in (RECORDED / "codex-answer.jsonl").read_bytes()
    assert read("codex", "codex-answer.jsonl").problem == ""


@pytest.mark.parametrize("recorded", ["claude-answer.json", "codex-answer.jsonl", "opencode-answer.jsonl"])
def test_events_of_a_newer_release_and_lines_that_are_none_are_passed_over(recorded: str) -> None:
    more = b'Update available!\n{"type": "of.the.future", "item": 7, "part": []}\n\xff\xfe\n[1, 2]\n'
    more += b'{"x":"' + b"y" * (1 << 20) + b'"}\n'
    whole = (RECORDED / recorded).read_bytes()
    assert of(recorded.partition("-")[0]).read(more + whole, b"", 0, {}).text == HELLO


@pytest.mark.parametrize("name", sorted(BUILT_IN))
@given(stdout=st.binary(max_size=300), code=st.sampled_from([0, 1, 42, None]), deep=st.booleans())
@settings(max_examples=25, deadline=None)
def test_whatever_the_bytes_are_an_answer_comes(name: str, stdout: bytes, code: int | None, deep: bool) -> None:
    data = b'{"type":"result","usage":' + b"[" * 5000 + stdout if deep else stdout
    files = dict.fromkeys(("usage.json",), stdout)
    found = of(name).read(data, stdout, code, files)
    assert bool(found.text) != bool(found.problem)


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - {"stub", "command"}))
@pytest.mark.parametrize("mode", [ASK, EDIT])
def test_no_word_of_the_prompt_is_an_argument(name: str, mode: str) -> None:
    start = of(name).start(task(mode, prompt="the-question", instruction="the-instruction", model="m", effort="high"))
    assert start is not None
    seen = [word for word in start.argv if "the-question" in word or "the-instruction" in word]
    assert bool(seen) == (name in TEXT_ARGUMENT)
    told = start.stdin + "".join(start.files.values()) + "".join(seen)
    assert told.index("the-instruction") < told.index("the-question")
    assert "m" in start.argv or "labctl/m" in start.argv


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - {"stub"}))
def test_a_prompt_of_a_megabyte_does_not_make_an_argument_too_long_to_start(name: str) -> None:
    agent = Command("prog") if name == "command" else of(name)
    start = agent.start(task(EDIT, prompt="x" * (1 << 20)))
    assert start is not None
    assert max(map(len, start.argv)) < adapter.ARGUMENT_BYTES
    assert "x" * (1 << 20) in start.stdin + "".join(start.files.values())
    if name in TEXT_ARGUMENT:
        with pytest.raises(BadInput, match="too long"):
            agent.start(task(ASK, prompt="x" * (1 << 20)))


def words_of(name: str, mode: str, **more: object) -> str:
    start = of(name).start(task(mode, **more))
    assert start is not None
    return " ".join((*start.argv, *(f"{key}={value}" for key, value in start.environ.items()), *start.files.values()))


@pytest.mark.parametrize(
    ("name", "asking", "editing"),
    [
        ("claude", "--tools  ", "--permission-mode acceptEdits"),
        ("codex", "-s read-only", "-s workspace-write"),
        ("opencode", '"edit":"deny"', '"edit":"allow"'),
        ("gemini", "--approval-mode plan", "--approval-mode auto_edit"),
        ("hermes", "chat -q", "-z Which next?"),
        ("aider", "--chat-mode ask --dry-run", "--yes-always"),
    ],
)
def test_one_that_is_asked_may_change_nothing(name: str, asking: str, editing: str) -> None:
    assert asking in words_of(name, ASK)
    assert editing in words_of(name, EDIT)
    assert "dangerously" not in words_of(name, EDIT) + words_of(name, ASK)


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - {"stub", "command"}))
def test_an_address_of_ones_own_is_passed_on(name: str) -> None:
    assert "http://127.0.0.1:9" in words_of(name, ASK, model="m", base_url="http://127.0.0.1:9/v1")


def test_claude_is_told_its_budget_and_is_bare_only_where_it_has_a_key() -> None:
    schema = {"type": "object"}
    assert "--max-budget-usd 0.5" in words_of("claude", ASK, max_usd=0.5)
    assert '--json-schema {"type":"object"}' in words_of("claude", ASK, schema=schema)
    assert "--bare" in words_of("claude", ASK, given=frozenset({"ANTHROPIC_API_KEY"}))
    assert "--bare" not in words_of("claude", ASK)
    assert '"type":"object"' in words_of("codex", ASK, schema=schema)


def test_a_program_gets_its_question_as_json_and_may_answer_in_plain_words() -> None:
    start = Command("my-agent --fast 'two words'").start(task(model="m"))
    assert start is not None
    assert start.argv == ("my-agent", "--fast", "two words")
    question = json.loads(start.stdin)
    assert (question["schema"], question["prompt"], question["model"]) == ("labctl.question/1", "Which next?", "m")
    assert Command("x").read(b' {"proposals": []}\n', b"", 0, {}).text == '{"proposals": []}'


def test_a_program_may_tell_what_it_used_and_that_it_failed() -> None:
    told = {"schema": "labctl.answer/1", "value": {"a": 1}, "tokens_sent": 3, "tokens_answered": 4, "usd": 0.5}
    found = Command("x").read(json.dumps({**told, "model": "m"}).encode(), b"", 0, {})
    assert found == Answer(text='{"a":1}', used=Tokens(sent=3, answered=4, usd=0.5), model="m")
    failed = Command("x").read(json.dumps({**told, "error": "no credit"}).encode(), b"", 0, {})
    assert (failed.text, failed.problem, failed.used.usd) == ("", exchange.FAILING, 0.5)


@pytest.mark.parametrize("command", ["", "a 'b"])
def test_a_program_that_is_none_is_refused(command: str) -> None:
    with pytest.raises(BadInput):
        Command(command).start(task())


def test_an_adapter_of_the_project_gets_the_flags_it_had_in_hermes_lab() -> None:
    start = Script("/py", "/w/scripts/mine_mutation_adapter.py").start(
        task(EDIT, model="m", effort="low", base_url="http://x", background=True, extra_paths=("docs",))
    )
    assert start is not None
    assert start.argv[1:] == (
        "/w/scripts/mine_mutation_adapter.py", "--model", "m", "--effort", "low", "--instruction-file",
        "/o/instruction.md", "--base-url", "http://x", "--background", "--extra-path", "docs",
    )  # fmt: skip
    assert start.files == {"instruction.md": "Which next?"}
    assert start.environ["LAB_AGENT_MODEL"] == "m"


@pytest.mark.parametrize("provider", ["../x", "a/b", "", ".hidden", "A" * 100])
def test_a_provider_that_is_no_name_has_no_adapter(provider: str) -> None:
    assert place(provider) == ""


def test_every_agent_says_which_variables_it_needs() -> None:
    for name in BUILT_IN:
        assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", each) for each in of(name).passed)
        assert "PATH" not in of(name).passed


@pytest.mark.parametrize("recorded", ["codex-answer.jsonl", "opencode-answer.jsonl"])
def test_a_turn_whose_end_breaks_off_has_not_ended(recorded: str) -> None:
    whole = (RECORDED / recorded).read_bytes()
    found = of(recorded.partition("-")[0]).read(whole[:-20], b"", 0, {})
    assert (found.text, found.problem) == ("", exchange.MALFORMED)


def test_of_a_cut_off_answer_claude_still_tells_what_was_used() -> None:
    assert read("claude", "claude-length.json").used == Tokens(sent=605, answered=64, usd=0.001907)


def test_an_address_of_ones_own_reaches_hermes_by_settings_of_its_own() -> None:
    start = of("hermes").start(task(model="m", base_url="http://127.0.0.1:9/v1"))
    assert start is not None
    assert start.environ == {"HERMES_HOME": "/o"}
    assert json.loads(start.files["config.yaml"])["model"]["base_url"] == "http://127.0.0.1:9/v1"


def test_warnings_that_hermes_puts_above_its_answer_are_no_part_of_it() -> None:
    said = "  \N{WARNING SIGN} tirith security scanner enabled but not available\n\nHello.\n\N{WARNING SIGN} stays\n"
    assert of("hermes").read(said.encode(), b"", 0, {}).text == "Hello.\n\N{WARNING SIGN} stays"
    found = of("hermes").read(b"API call failed after 3 retries: Connection error.\n", b"session_id: 1\n", 1, {})
    assert found.what.endswith("Connection error.")


def test_a_line_of_digits_without_end_costs_aiders_reader_little() -> None:
    """Tried out from each digit it would take minutes, and run into the limit of the test."""
    said = b"Tokens: " + b"1" * 400_000 + b"\n" + b"Tokens: 1 sent," * 20_000 + b"9" * 400_000 + b"\n"
    assert of("aider").read(said, b"", 0, {}).used == Tokens()
