"""A change as a patch, as lines, and as the idea that it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.repository.repository import Repository
    from tests.store.repository.conftest import Ground

TWO = "def f():\n    return 1\n\n\ndef g():\n    return 1\n"


@pytest.fixture
def repository(code: Ground) -> Repository:
    return code.open()


def idea(code: Ground, repository: Repository, **files: str) -> str:
    def edit(place: Path) -> None:
        for name, text in files.items():
            (place / name.replace("__", "/").replace("_py", ".py")).write_text(text)

    commit, base = code.candidate(repository, edit)
    return repository.normalised(base, commit)


def test_a_patch_applies_with_git_and_makes_the_same_tree(code: Ground, repository: Repository) -> None:
    def edit(place: Path) -> None:
        (place / "src/b.py").rename(place / "c.py")
        (place / "a.py").write_bytes(b"x = 1\r\nno end")
        (place / "m.bin").write_bytes(os.urandom(3000))
        (place / "run.sh").chmod(0o644)
        (place / "link").unlink()
        (place / "link").symlink_to("c.py")

    commit, base = code.candidate(repository, edit)
    patch = repository.patch(base, commit)
    code.git("apply", "--index", "-", given=patch)
    assert code.git("write-tree") == repository.tree_of(commit)
    assert "c.py" in repository.stat(base, commit)


def test_a_patch_that_is_too_long_is_refused_and_not_cut(code: Ground, repository: Repository) -> None:
    commit, base = code.candidate(repository, lambda place: (place / "m.bin").write_bytes(os.urandom(100_000)))
    with pytest.raises(BadInput, match="longer than 50000 bytes"):
        repository.patch(base, commit, limit_bytes=50_000)
    assert len(repository.patch(base, commit, limit_bytes=500_000)) > 100_000


def test_lines_that_look_like_headers_are_lines(code: Ground, repository: Repository) -> None:
    text = "-- a/x\n++ b/y\n@@ -1 +1 @@\ndiff --git a/q b/q\n"
    commit, base = code.candidate(repository, lambda place: (place / "n.sql").write_text(text))
    assert list(repository.lines(base, commit)) == [("n.sql", "+", line) for line in text.splitlines()]
    after, _ = code.candidate(repository, lambda place: (place / "n.sql").unlink(), commit)
    assert list(repository.lines(commit, after)) == [("n.sql", "-", line) for line in text.splitlines()]


def test_the_same_idea_has_the_same_digest(code: Ground, repository: Repository) -> None:
    first = idea(code, repository, a_py="x = 1\ny = 3\n")
    assert idea(code, repository, a_py="x = 1\n\n\ny = 3  \n") == first
    assert idea(code, repository, a_py="x = 1\n    y = 3\n") != first  # in Python, that is another program
    assert idea(code, repository, a_py="x = 1\ny = 4\n") != first
    assert idea(code, repository) == ""


def test_the_same_line_in_two_functions_is_two_ideas(code: Ground, repository: Repository) -> None:
    in_f = idea(code, repository, src__b_py="def f():\n    return 2\n\n\ndef g():\n    return 1\n")
    in_g = idea(code, repository, src__b_py="def f():\n    return 1\n\n\ndef g():\n    return 2\n")
    assert in_f != in_g


def test_the_same_idea_on_another_commit_has_the_same_digest(code: Ground, repository: Repository) -> None:
    first = idea(code, repository, src__b_py=TWO.replace("g():\n    return 1", "g():\n    return 2"))
    moved, _ = code.candidate(repository, lambda place: (place / "src/b.py").write_text("import os\n\n\n" + TWO))
    text = "import os\n\n\n" + TWO.replace("g():\n    return 1", "g():\n    return 2")
    again, _ = code.candidate(repository, lambda place: (place / "src/b.py").write_text(text), moved)
    assert repository.normalised(moved, again) == first


def test_binary_files_and_modes_are_part_of_the_idea(code: Ground, repository: Repository) -> None:
    def digest(data: bytes, mode: int) -> str:
        def edit(place: Path) -> None:
            (place / "m.bin").write_bytes(data)
            (place / "a.py").chmod(mode)

        commit, base = code.candidate(repository, edit)
        return repository.normalised(base, commit)

    assert len({digest(b"\0a", 0o644), digest(b"\0b", 0o644), digest(b"\0a", 0o755)}) == 3


def test_digests_of_a_commit_are_named_from_the_workspace(code: Ground) -> None:
    repository = code.open(code.work / "src")
    found = repository.digests(repository.head(), lambda path: not path.startswith("../"))
    assert list(found) == ["b.py"]
    assert found["b.py"].startswith("100644 ")
