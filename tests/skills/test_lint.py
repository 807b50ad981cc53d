"""The rules for skills: each is seen to catch what it is for, and to leave alone what only resembles it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lab.core.skills import codes, lint, overlap, page
from tests.skills.followed import NAMES
from tests.skills.samples import GOOD, HEAD, put

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl

MODES = "- Mode A: by hand\n- Mode D: by night\n\n## Mode A\n\n```bash\nlabctl status\n```\n"
REVIEWED = "```bash\ngit status\ngit diff --stat\ngit add .\ngit push\n```\n"


def python(code: str) -> str:
    return f"{GOOD}\n```python\n{code}\n```\n"


def bash(code: str) -> str:
    return f"{GOOD}\n```bash\n{code}\n```\n"


def head(old: str, new: str) -> str:
    return GOOD.replace(old, new)


# code -> (a skill that has it, one that is near and has it not)
CASES: dict[str, tuple[str, str]] = {
    "SKILL_NO_FRONTMATTER": ("# A skill\n", GOOD),
    "SKILL_YAML": (head("description: Does", "description: a: b: Does"), GOOD),
    "SKILL_DESCRIPTION_MISSING": (head("description: Does one", "license: Does one"), GOOD),
    "SKILL_DESCRIPTION_LENGTH": (head("Does one", "Does " * 220 + "one"), head("Does one", "Does " * 190 + "one")),
    "SKILL_DESCRIPTION_WHEN": (head("Use when that thing is to be done.", "It is good."), GOOD),
    "SKILL_NAME_MISSING": (head("name: a-skill\n", ""), GOOD),
    "SKILL_NAME_CHARSET": (head("name: a-skill", "name: Load--Skill_a"), head("name: a-skill", "name: a-2-b")),
    "SKILL_NAME_LENGTH": (head("name: a-skill", f"name: {'a' * 65}"), head("name: a-skill", f"name: {'a' * 64}")),
    "SKILL_NAME_FOLDER": (head("name: a-skill", "name: another"), GOOD),
    "SKILL_NAME_RESERVED": (head("name: a-skill", "name: claude-skill"), GOOD),
    "SKILL_MARKUP": (head("Does one", "Does <b>one</b>"), head("Does one", "Does a < b and one")),
    "SKILL_FIELD_UNKNOWN": (head("metadata:", "author: me\nmetadata:"), head("metadata:", "license: MIT\nmetadata:")),
    "SKILL_FIELD_TYPE": (
        head("metadata:\n", "metadata:\n  version: 1.0\n"),
        head("metadata:\n", 'metadata:\n  v: "1"\n'),
    ),
    "SKILL_COMPATIBILITY_LENGTH": (head("metadata:", f"compatibility: {'x' * 501}\nmetadata:"), GOOD),
    "SKILL_FLOW_STYLE": (
        head("metadata:\n", "metadata:\n  hermes:\n    tags: [a, b]\n"),
        head("metadata:\n", "metadata:\n  hermes:\n    tags:\n      - a\n"),
    ),
    "SKILL_YAML_STRICT": (head("description: D", "description:\tD"), head("Does one", '"Does\tone"')),
    "SKILL_HERMES_DESCRIPTION": (head("short: Does one thing.", "short: Does one thing"), GOOD),
    "SKILL_HERMES_SECTIONS": (GOOD + "## Pitfalls\n\n## When to Use\n", GOOD + "## When to Use\n\n## Pitfalls\n"),
    "SKILL_CODEX_BUDGET": (head("Does one", "Does " * 90 + "one"), GOOD),
    "SKILL_LONG": (GOOD + "x\n" * 501, GOOD + "x\n" * 400),
    "SKILL_FENCE_OPEN": (GOOD + "```bash\nlabctl status\n", GOOD),
    "SKILL_FENCE_TRAILING": (GOOD + "\nHERMES_EOF\n", GOOD + "\nMind the EOF\n"),
    "SKILL_BLOCK_UNTAGGED": (GOOD + "```\nx\n```\n", GOOD + "```text\nx\n```\n"),
    "SKILL_PYTHON_SYNTAX": (python("for x in"), GOOD + "```text\nfor x in\n```\n"),
    "SKILL_PYTHON_NAME": (python("print(best_run)"), python("best_run = 1\nprint([x for x in [best_run]])")),
    "SKILL_DATA_SYNTAX": (GOOD + '```json\n{"a": }\n```\n', GOOD + '```json\n{"a": 1}\n```\n'),
    "SKILL_SHELL_SYNTAX": (bash("echo 'it\nlabctl status"), bash('echo "it\nis"\nlabctl status  # don\'t\n')),
    "SKILL_SHELL_INJECTION": (
        python("import os\nnote = 'x'\nos.system(f'git commit -m \"{note}\"')"),
        python("import os, shlex\nnote = 'x'\nos.system(f'git commit -m {shlex.quote(note)}')"),
    ),
    "SKILL_GIT_UNREVIEWED": (bash("git add ."), GOOD + REVIEWED),
    "SKILL_UNBOUNDED": (GOOD + "\nNEVER STOP. Repeat.\n", GOOD + "\nDo not loop forever.\n"),
    "SKILL_MODE_EXAMPLE": (GOOD + MODES, GOOD + MODES + "\nMode D:\n\n```bash\nlabctl run-once\n```\n"),
    "SKILL_NAME_UNRESOLVED": (
        head("metadata:\n", "metadata:\n  hermes:\n    related_skills:\n      - autoresearch-gone\n"),
        head("metadata:\n", "metadata:\n  hermes:\n    related_skills:\n      - labctl-operate\n"),
    ),
    "SKILL_LINK_BROKEN": (
        GOOD + "\nSee [it](references/b.md).\n",
        GOOD + "\nSee [it](references/a.md#top), `scripts`.\n",
    ),
    "SKILL_LINK_LEAVES": (GOOD + "\n[up](../other/SKILL.md)\n", GOOD + "\n[web](https://example.org/../x)\n"),
    "SKILL_COMMAND_UNKNOWN": (bash("labctl run-twice"), bash("labctl $VERB; labctl run-once --max-runs $N")),
    "SKILL_COMMAND_USAGE": (bash("labctl burst a --stategy random"), bash("labctl burst a --strategy random | tee x")),
}
BESIDE = {"SKILL_UNREADABLE", "SKILL_RESOURCE", "SKILL_OVERLAP", "SKILL_NAME_CLASH"}  # these need more than one text


def found(labctl: Labctl, folder: Path, *flags: str) -> list[dict[str, object]]:
    said = labctl("skills", "lint", str(folder), "--json", *flags)
    data = said.envelope["data"]
    assert isinstance(data, dict)
    return [issue for skill in data["skills"] for issue in skill["issues"]]


@pytest.mark.parametrize("code", CASES)
def test_a_rule_catches_what_it_is_for(code: str, labctl: Labctl, tmp_path: Path) -> None:
    bad, good = CASES[code]
    told = found(labctl, put(tmp_path / "bad" / "a-skill", bad))
    assert code in {issue["code"] for issue in told}
    assert all(issue["fix"] and issue["message"] for issue in told)
    near = put(tmp_path / "good" / "a-skill", good, references__a_md="# A\n")
    assert code not in {issue["code"] for issue in found(labctl, near)}


def test_every_code_has_a_case_and_says_how_to_mend_it() -> None:
    assert set(codes.MEANING) == set(CASES) | BESIDE
    for each in codes.MEANING.values():
        assert each.means
        assert each.mend
        assert each.code.isupper()


def test_the_good_skill_has_nothing_wrong(labctl: Labctl, tmp_path: Path) -> None:
    folder = put(tmp_path / "a-skill")
    assert found(labctl, folder, "--strict") == []
    assert labctl.done("skills", "lint", str(folder), "--strict").out == "1 skill: 0 errors, 0 warnings\n"


def test_a_warning_is_an_error_only_where_a_skill_is_published(labctl: Labctl, tmp_path: Path) -> None:
    folder = put(tmp_path / "a-skill", head("name: a-skill", "name: A_Skill"))
    said = labctl.done("skills", "lint", str(folder))
    assert "SKILL.md:2: warning SKILL_NAME_CHARSET [agentskills] 'A_Skill' is not a name" in said.out
    assert "\tfix: rename it to a-skill\n" in said.out
    assert labctl("skills", "lint", str(folder), "--strict").code == 1


def test_an_issue_says_on_which_line_it_is(labctl: Labctl, tmp_path: Path) -> None:
    text = python("import os\n\nprint(os.sep, nothing)")
    (issue,) = [each for each in found(labctl, put(tmp_path / "a-skill", text)) if each["severity"] == "error"]
    line = issue["line"]
    assert isinstance(line, int)
    assert "nothing" in text.splitlines()[line - 1]


@pytest.mark.parametrize(
    "code",
    [
        'for run in $(labctl list lr --last 1 | cut -f1); do labctl show "$run"; done',
        "LAB_DATA_ROOT=/x timeout 60 labctl run-once --max-runs 2 2>/dev/null || test $? -eq 1",
        "labctl propose lr --params - <<'EOF'\n{\"x\": 1} labctl nonsense\nEOF\nlabctl status",
        "labctl burst lr \\\n  --strategy random \\\n  -n 3 > out.txt 2>&1",
        'NOTE="$(labctl best lr --json)"',
        "labctl show <run-id>",
        "labctl --json status",
        'grep -q x <<< "$(labctl status)" && labctl verify',
    ],
)
def test_the_commands_of_a_shell_are_found_and_taken(code: str, labctl: Labctl, tmp_path: Path) -> None:
    told = found(labctl, put(tmp_path / "a-skill", bash(code)))
    assert [issue for issue in told if issue["severity"] == "error"] == []


@pytest.mark.parametrize(
    "code",
    [
        'NOTE="$(labctl best lr --jsn)"',
        "if ! labctl verfy; then echo; fi",
        "cat <<EOF\nx\nEOF\nlabctl list --phase nonsense",
        "labctl status && labctl compare only-one",
        "(cd x && labctl burst lr -n many)",
    ],
)
def test_a_command_that_labctl_would_refuse_is_found_wherever_it_hides(
    code: str, labctl: Labctl, tmp_path: Path
) -> None:
    told = found(labctl, put(tmp_path / "a-skill", bash(code)))
    assert {"SKILL_COMMAND_UNKNOWN", "SKILL_COMMAND_USAGE"} & {str(issue["code"]) for issue in told}


def test_a_command_in_a_sentence_is_held_to_its_verb_and_flags(labctl: Labctl, tmp_path: Path) -> None:
    text = GOOD + "\nType `labctl burst ID -n N`, `labctl best ID [--json]` or `labctl VERB --help`.\n"
    assert found(labctl, put(tmp_path / "good" / "a-skill", text), "--strict") == []
    told = found(labctl, put(tmp_path / "bad" / "a-skill", text + "Not `labctl best ID --all`, not `labctl bets`.\n"))
    assert [issue["code"] for issue in told] == ["SKILL_COMMAND_UNKNOWN", "SKILL_COMMAND_USAGE"]


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess\nidea = 'x'\nsubprocess.run(f'git commit -m \"experiment: {idea}\"', shell=True)",
        "import subprocess\nidea = 'x'\nsubprocess.run(f'labctl {idea}', shell=True, check=True)",
        "idea = 'x'\ncommand = f\"git commit -m '{idea}'\"",
    ],
)
def test_a_variable_in_a_shells_text_is_found(code: str, labctl: Labctl, tmp_path: Path) -> None:
    told = found(labctl, put(tmp_path / "a-skill", python(code)))
    assert "SKILL_SHELL_INJECTION" in {issue["code"] for issue in told}


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess\nidea = 'x'\nsubprocess.run(['git', 'commit', '-m', f'\"{idea}\"'], check=True)",
        "name = 'x'\nprint(f\"it's {name}\")",
    ],
)
def test_a_variable_that_no_shell_sees_is_let_through(code: str, labctl: Labctl, tmp_path: Path) -> None:
    assert found(labctl, put(tmp_path / "a-skill", python(code)), "--strict") == []


def test_git_in_a_programs_text_needs_a_look_too(labctl: Labctl, tmp_path: Path) -> None:
    told = found(labctl, put(tmp_path / "a-skill", python("import subprocess\nsubprocess.run(['git', 'add', '.'])")))
    assert [issue["code"] for issue in told] == ["SKILL_GIT_UNREVIEWED"]


def test_two_skills_that_say_the_same_are_told_once(labctl: Labctl, tmp_path: Path) -> None:
    long = "\n\n".join(f"Paragraph {n} has quite a few words of its own, all {n} of them." for n in range(9))
    for name in ("a-skill", "b-skill"):
        put(tmp_path / "all" / name, head("name: a-skill", f"name: {name}") + long)
    (issue,) = [each for each in found(labctl, tmp_path / "all") if each["code"] == "SKILL_OVERLAP"]
    assert "% of it and " in str(issue["message"])
    assert list(overlap.judge({"a": long, "b": "Another text altogether, with words of its own."})) == []


def test_the_skills_that_ship_have_nothing_wrong(labctl: Labctl) -> None:
    said = labctl.done("skills", "lint", *NAMES, "--strict", "--json")
    judged = said.data["skills"]
    assert isinstance(judged, list)
    assert [each["issues"] for each in judged] == [[]] * len(NAMES)  # not even what is only told
    assert len(NAMES) >= 5


def test_judging_never_raises_and_never_takes_long_whatever_the_text() -> None:
    long = (
        "[](" * 90_000, "[a" * 90_000, "# " + " " * 90_000 + "x", "`" * 90_000, "- " * 90_000, "\n" * 90_000,
        "```bash\n" + "'\n" * 30_001, "```bash\n" + "x '\\\n" * 30_001, f"```bash\ngit commit -{'a' * 90_000}!\n```",
        "```python\n" + "f" + "()" * 9_000 + "\n```", "```python\nf" + ".a" * 9_000 + "()\n```",
        f"```python\n{'1+' * 9_000}1\n```", "```python\n" + "(" * 9_000 + "\n```", "```json\n" + "[" * 90_000 + "\n```",
        "```python\nx = '" + "git commit -" + "a" * 90_000 + "'\n```", "```toml\na = " + "[" * 9_000 + "\n```",
        "```python\nimport os\nos.system(f'" + "{a}" * 90_000 + "')\n```", "`git add " * 90_000, "keep " * 90_000,
        "```python\nimport os\na = " + "a + " * 3_000 + "a\n" + "os.system(a)\n" * 2_000 + "```", "[a](<" * 90_000,
        "```bash\n" + "bash -c '" * 9_000 + "\n```", "```bash\necho " + "$(labctl 'x) " * 700 + "\n```",
    )  # fmt: skip
    short = ("---\n---\n", "---\n", "---\nname: a\n---", HEAD + "`labctl `\n```python\n\0\n```\n")
    heads = ("---\ndescription: " + "<a" * 60_000 + "\n---\n", "---\na:" + " :" * 60_000 + "\n---\n")
    for text in (*short, *heads, *(HEAD + each for each in long)):
        made = page.parse(text.encode())
        lint.judge(made, "a", files=frozenset(), known=frozenset(), attempt=lambda words, *, whole: None)


def test_lint_gives_a_program_the_counts(labctl: Labctl, tmp_path: Path) -> None:
    said = labctl("skills", "lint", str(put(tmp_path / "a-skill", bash("git push"))), "--json")
    assert said.code == 1
    assert said.envelope["ok"] is False
    data = json.loads(said.out)["data"]
    assert (data["errors"], data["warnings"], data["infos"]) == (1, 0, 0)
