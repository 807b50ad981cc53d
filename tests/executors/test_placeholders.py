"""Placeholders in commands: what is filled in, what passes, and that a value is never more than one argument."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.core.errors import BadInput
from lab.executors import placeholders
from lab.executors.placeholders import fill

NAMES = {"run_dir": "/runs/a b", "workspace": "/ws", "run_id": "RUN-1", "tier": "proxy", "iteration": "3"}
NASTY = [
    "a b",
    "it's",
    'say "x"',
    "$(touch pwned)",
    "`id`",
    "a\nb",
    "; rm -rf x",
    "*",
    "",
    "--flag",
    "\\",
    "$HOME",
    "é€",
]
SHOW = "import json,sys; print(json.dumps(sys.argv[1:]))"


def argv(command: str, *, shell: bool = False, params: dict[str, object] | None = None) -> tuple[str, ...]:
    return fill(command, shell=shell, params=params, names=NAMES)


def received(words: tuple[str, ...]) -> object:
    """What the program that these words start is handed."""
    done = subprocess.run(words, capture_output=True, check=False, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_command_is_split_as_a_posix_shell_would_but_read_by_none() -> None:
    assert argv("prog 'a b' c\\ d \"e f\" $HOME *") == ("prog", "a b", "c d", "e f", "$HOME", "*")


def test_each_placeholder_stays_inside_its_argument() -> None:
    assert argv("p --lr={params.lr} {run_dir}/x", params={"lr": 0.1}) == ("p", "--lr=0.1", "/runs/a b/x")
    assert argv("p {params.x}", params={"x": "a b"}) == ("p", "a b")
    assert argv("p '{params.my name}'", params={"my name": 1}) == ("p", "1")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"), (True, "true"), (False, "false"), (3, "3"), (0.1, "0.1"), (1e-30, "1e-30"), (None, "null"),
        ([1, "a b"], '[1,"a b"]'), ({"a": 1}, '{"a":1}'),
    ],
)  # fmt: skip
def test_a_value_is_written_plainly(value: object, text: str) -> None:
    assert argv("p {params.x}", params={"x": value}) == ("p", text)


@pytest.mark.parametrize(
    "word",
    [
        '{"a": 1}', '{"a":{"b":{}}}', "{print $1}", "{print}", "{}", "{a,b}", "${HOME}", "{{", "}}", "{{print}}",
        "{0}", "{x:.3f}", "{run}", "{time}", "f{i}{j}", "${run_dir}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("shell", [False, True])
def test_braces_that_are_not_ours_pass_unchanged(word: str, shell: bool) -> None:
    words = argv(f"p '{word}'", shell=shell, params={"x": 1})
    assert words == (("/bin/sh", "-c", f"p '{word}'") if shell else ("p", word))


def test_a_placeholder_inside_json_is_filled_in() -> None:
    assert argv("""p '{"a":{"lr":{params.lr}}}'""", params={"lr": 0.5}) == ("p", '{"a":{"lr":0.5}}')


@pytest.mark.parametrize("shell", [False, True])
def test_doubled_braces_pass_one_of_ours_as_it_stands(shell: bool) -> None:
    words = argv("p '{{run_dir}} {{params.lr}} {{rundir}}'", shell=shell)
    assert words[-1].endswith("{run_dir} {params.lr} {rundir}" + "'" * shell)


@pytest.mark.parametrize("shell", [False, True])
@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("p {params.lrr}", "did you mean {params.lr}"),
        ("p {params.zzz}", "the params of this run are: lr"),
        ("p {params}", "params.NAME"),
        ("p {rundir}", "did you mean {run_dir}"),
        ("p {Run-Dir}", "did you mean {run_dir}"),
        ("p {seed}", "the SPEC has no seed"),
        ("p ${params.lr}", "write {params.lr}"),
    ],
)
def test_a_placeholder_without_a_value_is_refused_with_words(command: str, says: str, shell: bool) -> None:
    with pytest.raises(BadInput) as caught:
        argv(command, shell=shell, params={"lr": 1})
    assert says in str(caught.value)


def test_a_run_without_params_says_so() -> None:
    with pytest.raises(BadInput, match="given no params"):
        argv("p {params.lr}")


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
@pytest.mark.parametrize("shell", [False, True])
def test_what_no_argument_can_hold_is_refused(value: str, shell: bool) -> None:
    with pytest.raises(BadInput, match=r"params\.x"):
        argv("p {params.x}", shell=shell, params={"x": value})


def test_an_open_quote_is_refused() -> None:
    with pytest.raises(BadInput, match="never closed"):
        argv("p 'x")


@pytest.mark.parametrize("value", NASTY)
def test_a_nasty_value_arrives_as_one_argument(value: str) -> None:
    words = argv(f"{sys.executable} -c '{SHOW}' --x={{params.x}} {{params.x}} '{{params.x}}'", params={"x": value})
    assert received(words) == [f"--x={value}", value, value]


@pytest.mark.parametrize("value", NASTY)
def test_a_nasty_value_arrives_as_one_argument_through_a_shell(value: str) -> None:
    command = f"""
        # it's a comment with a quote, and {{params.x}}
        set -- other words
        f() {{ {sys.executable} -c '{SHOW}' --x={{params.x}} "<{{params.x}}>" '<{{params.x}}>' "a # b" {{params.x}}; }}
        f one two
    """
    words = argv(command, shell=True, params={"x": value})  # noqa: S604
    assert words[:2] == ("/bin/sh", "-c")
    assert received(words) == [f"--x={value}", f"<{value}>", f"<{value}>", "a # b", value]


def test_a_shell_command_without_placeholders_is_handed_over_as_it_is() -> None:
    text = "for f in *.txt; do echo \"${f}\" '{x}'; done | sort > out"
    assert argv(text, shell=True) == ("/bin/sh", "-c", text)  # noqa: S604


@settings(max_examples=300, deadline=None)
@given(st.text(), st.booleans())
def test_whatever_the_command_it_is_filled_or_refused(command: str, shell: bool) -> None:
    try:
        words = argv(command, shell=shell, params={"x": "v"})
    except BadInput:
        return
    assert not any("\0" in word for word in words)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_whatever_the_value_it_is_one_argument(value: str) -> None:
    assert argv("p a{params.x}b c", params={"x": value}) == ("p", f"a{value}b", "c")


def test_every_name_can_be_filled_in() -> None:
    for name in placeholders.NAMES:
        assert fill(f"p {{{name}}}", shell=False, params=None, names={name: "v"}) == ("p", "v")
