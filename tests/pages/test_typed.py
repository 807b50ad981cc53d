"""Whether a page that is wrong is told: what types the pages is held to its word."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.pages import page as reading
from tests.pages import typed as typing
from tests.pages.judged import judge
from tests.pages.page import BadPage, Block

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where pages are written that are then read as if they were of the checkout."""
    monkeypatch.setattr(reading, "CHECKOUT", tmp_path)
    (tmp_path / "place").mkdir()
    return tmp_path


def of(folder: Path, text: str) -> list[Block]:
    (folder / "page.md").write_text(text)
    return reading.blocks(folder / "page.md")


def is_over(file: Path) -> bool:
    try:
        return typing._is_dead(int(file.read_text()))
    except FileNotFoundError:
        return not os.path.exists(f"/proc/{file.read_text().strip()}")


def refusal(folder: Path, text: str, *, limit_s: float = 60.0) -> str:
    with pytest.raises(BadPage) as found:
        typing.type_page(of(folder, text), folder / "place", limit_s=limit_s)
    return str(found.value)


def test_a_line_that_fails_is_told_with_its_number_and_what_it_said(typed: Path) -> None:
    said = refusal(typed, "# A\n\n```sh\necho before\necho why >&2; exit_code=3; (exit 3)\necho after\n```\n")
    assert said.startswith("page.md:5: echo why >&2; exit_code=3; (exit 3)\nended with 3")
    assert "why" in said
    assert "before" not in said
    assert "after" not in said


@pytest.mark.parametrize("line", ["false | cat", "cd nowhere", "labctl list --no-such-flag", "no-such-program"])
def test_what_fails_in_whatever_way_is_told(typed: Path, line: str) -> None:
    assert refusal(typed, f"# A\n\n```sh\n{line}\ntrue\n```\n").startswith(f"page.md:4: {line}\nended with ")


def test_what_is_not_bash_is_told(typed: Path) -> None:
    assert "syntax error" in refusal(typed, "# A\n\n```sh\nif true\n```\n")


def test_a_page_is_one_shell(typed: Path) -> None:
    first = "```sh\nmkdir in\ncd in\nexport SAID=yes\n```\n"
    text = f"# A\n\n{first}\n```sh\ntest $SAID = yes\ntest $(basename $PWD) = in\n```\n"
    typing.type_page(of(typed, text), typed / "place")


def test_the_last_line_may_be_meant_to_fail_and_then_has_to(typed: Path) -> None:
    typing.type_page(of(typed, "# A\n\n```sh exit 3\ntrue\n(exit 3)\n```\n\n```sh\ntrue\n```\n"), typed / "place")


@pytest.mark.parametrize("lines", ["true", "(exit 4)", "(exit 3)\ntrue"])
def test_another_end_than_the_one_that_is_meant_is_told(typed: Path, lines: str) -> None:
    assert "was to end with 3" in refusal(typed, f"# A\n\n```sh exit 3\n{lines}\n```\n\n```sh\ntrue\n```\n")


def test_files_of_the_page_are_there_for_its_commands(typed: Path) -> None:
    text = (
        "# A\n\n```yaml a/b.yaml\none: {two: 2}\n```\n\n```yaml into a/b.yaml\none: {three: 3}\n```\n\n"
        "```sh\ngrep 'two: 2' a/b.yaml\ngrep 'three: 3' a/b.yaml\n```\n\n```python\nassert open('a/b.yaml')\n```\n"
    )
    typing.type_page(of(typed, text), typed / "place")


def test_python_that_fails_is_told(typed: Path) -> None:
    assert "ZeroDivisionError" in refusal(typed, "# A\n\n```python\n1 / 0\n```\n")


def test_a_terminal_stays_open_and_ends_with_the_page(typed: Path) -> None:
    text = "# A\n\n```sh terminal\necho $$ > pid; echo ready; sleep 1000\n```\n\n```sh\nkill -0 $(cat pid)\n```\n"
    typing.type_page(of(typed, text), typed / "place")
    assert is_over(typed / "place/here/pid")


def test_what_was_left_in_the_background_is_ended_however_far_it_went(typed: Path) -> None:
    line = "setsid sh -c 'echo $$ > pid; sleep 1000' > /dev/null 2>&1 &"
    text = f"# A\n\n```sh\n{line}\nuntil test -s pid; do sleep 0.1; done\n```\n"
    typing.type_page(of(typed, text), typed / "place")
    assert is_over(typed / "place/here/pid")


def test_a_line_that_never_ends_is_told(typed: Path) -> None:
    said = refusal(typed, "# A\n\n```sh\ntrue\nsleep 1000\n```\n", limit_s=5)
    assert said.startswith("page.md:5: sleep 1000\nwas still running after 5 s")


def test_nothing_of_the_person_who_runs_the_tests_is_there(typed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_DATA_ROOT", "/home/me/lab")
    typing.type_page(
        of(typed, '# A\n\n```sh\ntest -z "$LAB_DATA_ROOT"\ntest -z "$(ls -A ~)$(ls -A)"\n```\n'), typed / "place"
    )


@pytest.mark.parametrize("fence", ["", "bash", "sh exit", "sh unrun: I do not want to", "yaml a b c", "console"])
def test_a_fence_that_says_nothing_is_refused(typed: Path, fence: str) -> None:
    (block,) = of(typed, f"```{fence}\n```\n")
    assert block.problem()


@pytest.mark.parametrize(
    "block",
    [
        "```text\nlabctl status\n```",
        "```sh unrun: a paid service\nlabctl status --no-such-flag\n```",
        "```sh unrun: a paid service\ntrue && labctl statsu\n```",
        "```yaml\nmetric_directon: minimize\n```",
        "```yaml of engines.yaml\ngpu: {engine: slurm, memory: 32}\n```",
        "```yaml of project.yaml\nrouting_: {}\n```",
        '```json search_space.json\n{"lr": {"low": 2, "high": 1}}\n```',
        "```json\n{,}\n```",
        "```python\nif\n```",
        "```toml\n=\n```",
    ],
)  # fmt: skip
def test_a_block_that_the_lab_would_refuse_is_refused(typed: Path, block: str) -> None:
    (found,) = of(typed, f"{block}\n")
    assert not found.problem()
    with pytest.raises(Exception):  # noqa: B017, PT011  # each notation has a refusal of its own
        judge(found)
