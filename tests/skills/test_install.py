"""`labctl skills install`: where each client looks, what is never written over, and what a second time changes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core.skills import clients, page
from lab.store import skills
from tests.cli.labs import whole_tree
from tests.skills.followed import NAMES, SKILLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.labs import Labctl

ONE = "labctl-operate"
CENTRAL = f".agents/skills/{ONE}"


def states(labctl: Labctl, name: str = ONE) -> dict[tuple[str, str], str]:
    told = labctl.done("skills", "show", name, "--json").data["installed"]
    assert isinstance(told, list)
    return {(each["client"], each["scope"]): each["state"] for each in told if each["state"] != "missing"}


def body(name: str = ONE) -> bytes:
    return (SKILLS / name / "SKILL.md").read_bytes()


def test_without_a_client_the_shared_folder_gets_all_of_them(labctl: Labctl, project: Path, home: Path) -> None:
    said = labctl.done("skills", "install")
    assert sorted(os.listdir(project / ".agents/skills")) == NAMES
    assert all((project / ".agents/skills" / name / "SKILL.md").read_bytes() == body(name) for name in NAMES)
    assert f"created: {project / CENTRAL}\n" in said.out
    assert "read from there by codex, opencode" in said.out
    assert os.listdir(project) == [".agents"]
    assert os.listdir(home) == []


def test_clients_that_look_elsewhere_get_links_that_a_moved_project_keeps(
    labctl: Labctl, project: Path, tmp_path: Path
) -> None:
    labctl.done("skills", "install", ONE, "--claude", "--cursor", "--codex", "--opencode")
    for folder in (".claude", ".cursor"):
        assert os.readlink(project / folder / "skills" / ONE) == f"../../{CENTRAL}"
    assert sorted(os.listdir(project)) == [".agents", ".claude", ".cursor"]
    moved = project.rename(tmp_path / "moved")
    assert (moved / ".claude/skills" / ONE / "SKILL.md").read_bytes() == body()


def test_a_second_time_nothing_is_written(labctl: Labctl, project: Path) -> None:
    labctl.done("skills", "install", "--claude")
    before = whole_tree(project)
    said = labctl.done("skills", "install", "--claude")
    assert {line.split(":")[0] for line in said.out.splitlines()} == {"unchanged"}
    assert whole_tree(project) == before


def test_a_dry_run_says_the_same_and_writes_nothing(labctl: Labctl, project: Path, home: Path) -> None:
    said = labctl.done("skills", "install", ONE, "--claude", "--dry-run")
    assert said.out == f"would create: {project / CENTRAL}\nwould link: {project}/.claude/skills/{ONE}\n"
    assert os.listdir(project) == os.listdir(home) == []
    done = labctl.done("skills", "install", ONE, "--claude").out
    assert said.out.replace("would create", "created").replace("would link", "linked") == done


def test_what_a_person_changed_is_kept_and_the_rest_goes_on(labctl: Labctl, project: Path) -> None:
    labctl.done("skills", "install")
    mine = project / CENTRAL / "SKILL.md"
    mine.write_text(mine.read_text() + "\nAsk me first.\n")
    (project / ".agents/skills" / NAMES[0] / "SKILL.md").unlink()
    (project / ".agents/skills" / NAMES[0] / clients.MARKER).unlink()
    (project / ".agents/skills" / NAMES[0]).rmdir()
    said = labctl("skills", "install")
    assert said.code == 1
    assert f"kept: {project / CENTRAL}\n" in said.out
    assert "was changed by somebody, and stays as it is" in said.err
    assert f"next: labctl skills install {ONE} --force" in said.err
    assert mine.read_text().endswith("Ask me first.\n")
    assert (project / ".agents/skills" / NAMES[0] / "SKILL.md").is_file()
    assert states(labctl)[("agents", "project")] == "modified"


def test_force_moves_it_aside_and_keeps_it(labctl: Labctl, project: Path) -> None:
    labctl.done("skills", "install", ONE)
    (project / CENTRAL / "NOTES.md").write_text("mine\n")
    foretold = labctl.done("skills", "install", ONE, "--force", "--dry-run").out
    assert "would replace: " in foretold
    assert (project / CENTRAL / "NOTES.md").is_file()
    said = labctl.done("skills", "install", ONE, "--force", "--json")
    (row,) = json.loads(said.out)["data"]["skills"]
    assert (row["was"], row["done"]) == ("modified", "replaced")
    assert (Path(row["moved_aside_to"]) / "NOTES.md").read_text() == "mine\n"
    assert Path(row["moved_aside_to"]).parent == project / ".agents/skills.replaced"
    assert sorted(os.listdir(project / CENTRAL)) == [clients.MARKER, "SKILL.md"]
    assert states(labctl)[("agents", "project")] == "current"


OLD = b"---\nname: labctl-operate\ndescription: Older.\n---\nold\n"


@pytest.fixture
def old_copy(labctl: Labctl, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy and a link that an earlier labctl made, of a skill that said something else."""
    read = skills.read

    def as_before(place: skills.Place) -> skills.Skill:
        skill = read(place)
        if place.scope != "bundled":
            return skill
        return skills.Skill(place=place, page=page.parse(OLD), data=OLD, resources=())

    with monkeypatch.context() as earlier:
        earlier.setattr(skills, "read", as_before)
        labctl.done("skills", "install", ONE, "--claude")
    return project / CENTRAL


def test_an_old_copy_is_renewed_unasked(labctl: Labctl, project: Path, old_copy: Path) -> None:
    assert (old_copy / "SKILL.md").read_bytes() == OLD
    assert states(labctl) == dict.fromkeys(
        (("agents", "project"), ("claude", "project"), ("codex", "project"), ("opencode", "project")), "stale"
    )
    said = labctl.done("skills", "install", ONE, "--claude")
    assert said.out.startswith(f"updated: {project / CENTRAL}\n")
    assert (project / ".claude/skills" / ONE / "SKILL.md").read_bytes() == body()
    assert os.listdir(project / ".agents/skills") == [ONE]  # no draft, and nothing was kept aside of what was ours
    assert set(states(labctl).values()) == {"current"}


def _deep(folder: Path) -> Path:
    kept = folder / "a/b/c/d/e/f/g/h/notes.md"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine\n")
    return kept


def _link_out(folder: Path) -> Path:
    (folder / "host").symlink_to("/etc/hostname")
    return folder / "host"


def _beside_compiled(folder: Path) -> Path:
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/notes.md").write_text("mine\n")
    return folder / "__pycache__/notes.md"


@pytest.mark.parametrize("put_there", [_deep, _link_out, _beside_compiled])
def test_an_old_copy_with_something_of_a_person_in_it_is_kept(
    put_there: Callable[[Path], Path], labctl: Labctl, old_copy: Path
) -> None:
    mine = put_there(old_copy)
    said = labctl("skills", "install", ONE)
    assert said.code == 1
    assert said.out.startswith(f"kept: {old_copy}\n")
    assert os.path.lexists(mine)
    labctl.done("skills", "install", ONE, "--force")
    (aside,) = (old_copy.parents[1] / "skills.replaced").iterdir()
    assert os.path.lexists(aside / mine.relative_to(old_copy))


def test_what_python_compiled_beside_a_script_is_no_change_of_a_person(labctl: Labctl, old_copy: Path) -> None:
    (old_copy / "__pycache__").mkdir()
    (old_copy / "__pycache__/x.cpython-311.pyc").write_bytes(b"\0")
    assert f"updated: {old_copy}\n" in labctl.done("skills", "install", ONE).out


@pytest.mark.parametrize("left", [(), (clients.MARKER,)], ids=["nothing", "the marker"])
def test_what_is_left_of_a_copy_of_ours_is_nobodys_change(left: tuple[str, ...], labctl: Labctl, project: Path) -> None:
    labctl.done("skills", "install", ONE)
    for path in (project / CENTRAL).iterdir():
        if path.name not in left:
            path.unlink()
    labctl.done("skills", "install", ONE)
    assert (project / CENTRAL / "SKILL.md").read_bytes() == body()


def test_somebody_elses_link_or_file_is_not_followed(labctl: Labctl, project: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (project / ".claude/skills").mkdir(parents=True)
    (project / ".claude/skills" / ONE).symlink_to(tmp_path / "theirs")
    (project / ".agents/skills").mkdir(parents=True)
    (project / CENTRAL).write_text("a file\n")
    said = labctl("skills", "install", ONE, "--claude")
    assert said.code == 1
    assert said.out.count("kept: ") == 2
    labctl.done("skills", "install", ONE, "--claude", "--force")
    assert os.listdir(tmp_path / "theirs") == []
    assert (project / ".claude/skills" / ONE / "SKILL.md").read_bytes() == body()
    (aside,) = (project / ".agents/skills.replaced").iterdir()
    assert aside.read_text() == "a file\n"


def test_in_the_home_with_the_homes_of_clients_where_they_say(
    labctl: Labctl, project: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    monkeypatch.setenv("HERMES_HOME", str(tmp_path / "hermes"))
    labctl.done("skills", "install", ONE, "--global", "--claude", "--codex", "--hermes", "--opencode", "--cursor")
    assert (home / CENTRAL / "SKILL.md").read_bytes() == body()
    assert os.readlink(home / ".claude/skills" / ONE) == f"../../{CENTRAL}"
    assert (tmp_path / "codex/skills" / ONE).is_symlink()
    assert not (tmp_path / "hermes/skills/mlops" / ONE).is_symlink()
    assert os.listdir(project) == []
    assert set(states(labctl).values()) == {"current"}
    assert {client for client, scope in states(labctl)} == {"agents", *clients.CLIENTS} - {"gemini"}


def test_the_copy_for_hermes_has_a_short_description_and_else_every_byte(
    labctl: Labctl, home: Path, tmp_path: Path
) -> None:
    labctl.done("skills", "install", "--hermes", "--global")
    for name in NAMES:
        made = page.parse((home / ".hermes/skills/mlops" / name / "SKILL.md").read_bytes())
        ours = page.parse(body(name))
        assert len(made.said("description")) <= 60
        assert made.said("description").endswith(".")
        assert {**made.frontmatter, "description": ""} == {**ours.frontmatter, "description": ""}
        assert made.playbook == ours.playbook
    assert labctl.done("skills", "list", "--all", "--json").out.count('"name"') == len(NAMES)  # told as installed


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_description_of_several_lines_is_replaced_whole(end: str) -> None:
    text = "---\nname: a\ndescription: >-\n  One.\n\n  Two: three.\nmetadata:\n  short: 'It: does.'\n---\n# A\n"
    data = text.replace("\n", end).encode()
    made = page.parse(clients.for_hermes(data, page.parse(data)))
    assert made.said("description") == "It: does."
    assert list(made.frontmatter) == ["name", "description", "metadata"]
    assert made.playbook == f"# A{end}"


def test_hermes_has_no_project_and_nothing_is_written_then(labctl: Labctl, project: Path, home: Path) -> None:
    said = labctl("skills", "install", "--claude", "--hermes")
    assert said.code == 2
    assert "--hermes --global" in said.err
    assert os.listdir(project) == os.listdir(home) == []


def test_gemini_is_told_by_its_own_command(labctl: Labctl, project: Path) -> None:
    said = labctl.done("skills", "install", ONE, "--gemini")
    assert f"next: gemini skills link {project / CENTRAL}\n" in said.err


def test_a_place_of_ones_own_gets_plain_copies(labctl: Labctl, project: Path, tmp_path: Path) -> None:
    labctl.done("skills", "install", "--dest", str(tmp_path / "mine"))
    assert sorted(os.listdir(tmp_path / "mine")) == NAMES
    assert os.listdir(project) == []
    for more in ("--global", "--claude"):
        assert labctl("skills", "install", "--dest", "x", more).code == 2


def test_a_home_that_is_not_known_is_told(labctl: Labctl, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    said = labctl("skills", "install", "--global")
    assert said.code == 5
    assert "fix: export HOME" in said.err
    labctl.done("skills", "install")


def test_only_what_comes_with_labctl_is_installed(labctl: Labctl, project: Path) -> None:
    said = labctl("skills", "install", "labctl-opperate")
    assert said.code == 2
    assert "did you mean labctl-operate?" in said.err
    assert os.listdir(project) == []


def test_a_place_that_cannot_be_written_is_named(labctl: Labctl, project: Path) -> None:
    (project / ".agents").write_text("a file\n")
    said = labctl("skills", "install")
    assert said.code == 5
    assert f"in {project}/.agents/skills\n" in said.err
    assert "--dest DIR" in said.err
