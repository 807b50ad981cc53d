"""`labctl skills list` and `show`: which skill a client would load, and that not a byte of it is lost."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest

from lab.store import skills as store
from tests.cli.labs import CHECKOUT, process
from tests.skills.followed import NAMES, SKILLS
from tests.skills.samples import GOOD, HEAD, put

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl

KEYS = ["schema", "kind", "frontmatter", "playbook", "summary", "resources", "digest", "source", "installed", "cost",
        "validation_issues"]  # fmt: skip
BODIES = {
    "placeholders": '\n```bash\ngit commit -m "experiment: <description>"\n```\n\na1b\t0.9\t<placeholder>\tkeep\t\n',
    "script": "\n</script><!-- --> & &amp; `code` ``two``\n",
    "carriage": "\r\n# A\r\n\r\ntext\r\n",
    "no newline": "\n# A",
    "blank": "\n\n\n  \n\t\n",
    "unicode": "\n\u2028 \x85 \x0c \u202e é 漢字 \U0001f9ea\n",
    "empty": "",
    "fences": "\n---\nname: not-this\n---\n~~~\n```\n~~~\n",
}


def shown(labctl: Labctl, name: str) -> dict[str, object]:
    return labctl.done("skills", "show", name, "--json").data


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_the_playbook_comes_back_byte_for_byte(body: str, labctl: Labctl, tmp_path: Path) -> None:
    head = HEAD.replace("\n", "\r\n") if "\r" in body else HEAD
    folder = put(tmp_path / "a-skill", (head + body).encode())
    assert shown(labctl, str(folder))["playbook"] == body


def test_bytes_survive_a_pipe_too(project: Path, tmp_path: Path) -> None:
    text = HEAD + "".join(BODIES.values())
    folder = put(tmp_path / "a-skill", text.encode())
    said = process("skills", "show", str(folder), "--json", cwd=project, env={"LC_ALL": "C"})
    assert HEAD + str(json.loads(said.out)["data"]["playbook"]) == text


def test_the_view_of_a_skill_has_the_agreed_shape(labctl: Labctl, project: Path) -> None:
    told = shown(labctl, "labctl-operate")
    data = (SKILLS / "labctl-operate" / "SKILL.md").read_bytes()
    assert list(told) == KEYS
    assert (told["schema"], told["kind"], told["validation_issues"]) == ("labctl.skill/1", "skill", [])
    summary = told["summary"]
    assert isinstance(summary, dict)
    assert summary["id"] == summary["title"] == "labctl-operate"
    assert summary["path"] == "templates/skills/labctl-operate/SKILL.md"
    source = told["source"]
    assert isinstance(source, dict)
    assert (source["scope"], source["trusted"], source["shadows"]) == ("bundled", True, [])
    cost = told["cost"]
    assert isinstance(cost, dict)
    assert cost["lines"] == data.count(b"\n")
    assert 20 < cost["always_on_tokens"] < 100 < cost["on_invoke_tokens"] < 5_000
    assert data.decode().endswith(str(told["playbook"]))
    places = told["installed"]
    assert isinstance(places, list)
    assert {each["client"] for each in places} == {"agents", "claude", "codex", "cursor", "opencode", "hermes"}
    assert {each["state"] for each in places} == {"missing"}


def test_resources_are_told_with_their_hashes(labctl: Labctl, tmp_path: Path) -> None:
    folder = put(tmp_path / "a-skill", references__codes_md="# Codes\n", scripts__go_sh="#!/bin/sh\n", NOTES_md="x")
    (folder / "scripts/go.sh").chmod(0o755)
    told = shown(labctl, str(folder))["resources"]
    assert isinstance(told, list)
    assert [(each["path"], each["kind"], each["bytes"], each["executable"]) for each in told] == [
        ("NOTES.md", "other", 1, False),
        ("references/codes.md", "reference", 8, False),
        ("scripts/go.sh", "script", 10, True),
    ]
    assert told[1]["sha256"] == hashlib.sha256(b"# Codes\n").hexdigest()


def test_the_digest_follows_every_byte_and_no_mode(labctl: Labctl, tmp_path: Path) -> None:
    folder = put(tmp_path / "a-skill", references__a_md="one")
    first = shown(labctl, str(folder))["digest"]
    (folder / "SKILL.md").chmod(0o600)
    assert shown(labctl, str(folder))["digest"] == first
    (folder / "references/a.md").write_text("two")
    assert shown(labctl, str(folder))["digest"] != first


def test_show_prints_the_file_and_nothing_that_speaks_to_the_terminal(labctl: Labctl, tmp_path: Path) -> None:
    folder = put(tmp_path / "a-skill", GOOD + "\x1b]0;owned\x07 red \x1b[31m\rover\n")
    said = labctl.done("skills", "show", str(folder))
    assert said.out.startswith(GOOD)
    assert not {"\x1b", "\x07", "\r"} & set(said.out)


def test_list_tells_the_skills_that_ship_and_those_of_the_project(labctl: Labctl, project: Path, home: Path) -> None:
    put(project / ".claude/skills/mine", GOOD.replace("a-skill", "mine"))
    put(home / ".agents/skills/theirs", GOOD.replace("a-skill", "theirs"))
    rows = labctl.done("skills", "list", "--json").data["skills"]
    assert isinstance(rows, list)
    assert [(row["name"], row["scope"]) for row in rows] == [
        *((name, "bundled") for name in NAMES),
        ("mine", "project"),
    ]
    assert rows[-1]["path"] == ".claude/skills/mine"
    assert "theirs\tuser\tDoes one thing." in labctl.done("skills", "list", "--all").out


def test_hermes_sorts_skills_into_folders_and_they_are_found(
    labctl: Labctl, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERMES_HOME", str(tmp_path / "hermes"))
    put(tmp_path / "hermes/skills/mlops/sorted-one", GOOD.replace("a-skill", "sorted-one"))
    assert "sorted-one\tuser\t" in labctl.done("skills", "list", "--all").out


def test_the_projects_skill_hides_the_users_and_it_is_told(labctl: Labctl, project: Path, home: Path) -> None:
    put(home / ".agents/skills/a-skill", GOOD)
    put(project / ".agents/skills/a-skill", GOOD + "more\n")
    told = shown(labctl, "a-skill")
    assert str(told["playbook"]).endswith("more\n")
    source = told["source"]
    assert isinstance(source, dict)
    assert (source["scope"], source["shadows"], source["trusted"]) == ("project", ["~/.agents/skills/a-skill"], False)
    assert "SKILL_NAME_CLASH" in labctl.done("skills", "show", "a-skill").err


def test_a_project_may_bring_a_skill_by_the_name_of_one_of_ours_and_it_is_told(labctl: Labctl, project: Path) -> None:
    put(project / ".agents/skills/labctl-operate", GOOD.replace("a-skill", "labctl-operate"))
    issues = shown(labctl, "labctl-operate")["validation_issues"]
    assert isinstance(issues, list)
    assert [each["code"] for each in issues] == ["SKILL_NAME_CLASH"]
    assert "templates/skills/labctl-operate" in issues[0]["message"]


def test_an_unknown_skill_gets_the_nearest(labctl: Labctl) -> None:
    said = labctl("skills", "show", "labctl-operat")
    assert said.code == 2
    assert "did you mean labctl-operate?" in said.err
    assert labctl("skills", "show", "./gone").code == 2
    assert labctl("skills", "lint", "no-such").code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("show",),
        ("show", "a", "b"),
        ("list", "a"),
        ("list", "--force"),
        ("show", "labctl-operate", "--claude"),
        ("lint", "--dry-run"),
        ("install", "--strict"),
        ("install", "--all"),
        ("forget",),
    ],
    ids=" ".join,
)
def test_words_that_do_not_fit_are_refused(words: tuple[str, ...], labctl: Labctl, project: Path) -> None:
    said = labctl("skills", *words)
    assert said.code == 2
    assert "fix:" in said.err
    assert list(project.iterdir()) == []


# What a stranger's folder may hold -> the code that tells of it.
def _huge(folder: Path) -> None:
    with (folder / "SKILL.md").open("ab") as file:
        file.truncate(1 << 31)


def _huge_beside(folder: Path) -> None:
    with (folder / "big.bin").open("wb") as file:
        file.truncate(1 << 33)


def _many(folder: Path) -> None:
    for number in range(store.MAX_FILES + 5):
        (folder / f"{number}.txt").touch()


def _deep(folder: Path) -> None:
    place = folder / "/".join("d" * 9)
    place.mkdir(parents=True)
    (place / "x").touch()


def _pipe(folder: Path) -> None:
    (folder / "SKILL.md").unlink()
    os.mkfifo(folder / "SKILL.md")


def _unreadable(folder: Path) -> None:
    (folder / "SKILL.md").unlink()
    (folder / "SKILL.md").mkdir()


HOSTILE = {
    "huge": (_huge, "SKILL_UNREADABLE"),
    "huge beside": (_huge_beside, "SKILL_RESOURCE"),
    "many": (_many, "SKILL_RESOURCE"),
    "deep": (_deep, "SKILL_RESOURCE"),
    "pipe": (_pipe, "SKILL_UNREADABLE"),
    "folder": (_unreadable, "SKILL_UNREADABLE"),
    "binary": (lambda folder: (folder / "SKILL.md").write_bytes(b"\x7fELF\0\0" * 9), "SKILL_UNREADABLE"),
    "latin": (lambda folder: (folder / "SKILL.md").write_bytes(HEAD.encode() + b"caf\xe9"), "SKILL_UNREADABLE"),
    "empty": (lambda folder: (folder / "SKILL.md").write_bytes(b""), "SKILL_NO_FRONTMATTER"),
    "unclosed": (lambda folder: (folder / "SKILL.md").write_text("---\nname: a-skill\n"), "SKILL_NO_FRONTMATTER"),
    "bomb": (
        lambda folder: (folder / "SKILL.md").write_text(
            "---\na: &a [x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9))
            + "---\n"
        ),
        "SKILL_YAML",
    ),
    "object": (
        lambda folder: (folder / "SKILL.md").write_text("---\nname: !!python/object/apply:os.system [id]\n---\n"),
        "SKILL_YAML",
    ),
    "link out": (lambda folder: (folder / "secret").symlink_to("/etc/hostname"), "SKILL_LINK_LEAVES"),
    "loop": (lambda folder: (folder / "again").symlink_to("."), "SKILL_RESOURCE"),
    "dangling": (lambda folder: (folder / "gone").symlink_to("nowhere"), "SKILL_RESOURCE"),
}


@pytest.mark.parametrize(("make", "code"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_folder_is_told_and_stops_no_other(make: object, code: str, labctl: Labctl, project: Path) -> None:
    folder = put(project / ".agents/skills/a-skill")
    assert callable(make)
    make(folder)
    issues = shown(labctl, "a-skill")["validation_issues"]
    assert isinstance(issues, list)
    assert code in {each["code"] for each in issues}
    assert labctl("skills", "lint").code in (0, 1)
    listed = labctl.done("skills", "list").out
    assert "a-skill\tproject\t" in listed
    assert all(name in listed for name in NAMES)


def test_a_page_that_is_a_link_out_of_its_folder_is_not_read(labctl: Labctl, project: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text(GOOD + "the key\n")
    folder = project / ".agents/skills/a-skill"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").symlink_to(tmp_path / "secret.md")
    told = shown(labctl, "a-skill")
    assert told["playbook"] == ""
    assert "the key" not in json.dumps(told)


def test_folders_that_go_in_circles_are_no_skills(labctl: Labctl, project: Path) -> None:
    root = project / ".agents/skills"
    root.mkdir(parents=True)
    (root / "loop").symlink_to("loop")
    (root / "up").symlink_to("..")
    put(root / "a-skill")
    (root / "nested/deeper/still").mkdir(parents=True)
    put(root / "nested/deeper/still/lost")
    said = labctl.done("skills", "list").out
    assert said.count("\tproject\t") == 1
    assert labctl("skills", "lint", str(root / "loop")).code == 2


def test_no_lab_is_needed_and_none_is_made(labctl: Labctl, tmp_path: Path) -> None:
    for words in (("list",), ("show", "labctl-operate"), ("lint", "labctl-operate"), ("install", "--dry-run")):
        labctl.done("skills", *words)
    assert not (tmp_path / "no-lab").exists()


def test_the_shipped_folder_holds_skills_and_nothing_else() -> None:
    assert sorted(path.name for path in (CHECKOUT / "templates/skills").iterdir()) == NAMES
