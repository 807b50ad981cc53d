"""Every relative link resolves, every template parses, and nothing in the repository knows one machine."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.cli import commands
from lab.core import spec, spec_text
from lab.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[2]
NOT_OURS = {"__pycache__", "build", "dist", "lab-data", "node_modules", "scratch", "venv"}
HIDDEN_BUT_OURS = {".ci", ".github"}
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
ELSEWHERE = re.compile(r"^([a-z][a-z0-9+.-]*:|#|//)")
ONE_MACHINE = re.compile(r"(?<![\w.}])/(?:work|root)/|/tmp/w\b|/opt/(?:pypi|wheels)|https?://(?:[\w-]+\.)*pypi\b")


def files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(n for n in folders if n not in NOT_OURS and (n[0] != "." or n in HIDDEN_BUT_OURS))
        yield from (Path(parent, name) for name in sorted(names) if not name.endswith((".pyc", ".lock")))


def broken_links(page: Path) -> list[str]:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = (target.partition("#")[0] for target in LINK.findall(text) if not ELSEWHERE.match(target))
    return [target for target in targets if not (page.parent / target).exists()]


def machine_paths(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if ONE_MACHINE.search(line)]


def test_every_relative_link_resolves() -> None:
    pages = [path for path in files(CHECKOUT) if path.suffix == ".md"]
    assert pages
    assert {str(page): broken for page in pages if (broken := broken_links(page))} == {}


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](page.md#x) [b](gone.md) [c](https://example.org) [d](#here)\n```\n[e](code.md)\n```\n")
    assert broken_links(page) == ["gone.md"]


def read_spec(data: bytes, where: str) -> None:
    mapping, lines = spec_text.parse_text(data, where)
    spec.parse(mapping, lines, where)


TASKS = (  # that lie beside a SPEC and are none
    "lm-eval/answers.yaml",  # of lm_eval; tests/tinker/evals asks them
    "research/modes.yaml",  # what a research project goes through; tests/research reads them
    "research/phases.yaml",
)
SPECS = sorted(
    path
    for path in (CHECKOUT / "templates").rglob("*.yaml")
    if path.relative_to(CHECKOUT / "templates").as_posix() not in TASKS
)


@pytest.mark.parametrize("template", SPECS, ids=lambda path: path.name)
def test_every_template_is_a_spec_that_the_lab_accepts(template: Path) -> None:
    read_spec(template.read_bytes(), template.name)


@pytest.mark.parametrize("text", ["", "- a list", "name: [", "no_such_field: 1"])
def test_a_template_that_is_no_spec_is_seen(text: str) -> None:
    with pytest.raises(BadInput):
        read_spec(text.encode(), "sample.yaml")


def test_nothing_in_the_repository_knows_one_machine() -> None:
    found = {}
    for path in files(CHECKOUT):
        try:
            lines = machine_paths(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            continue
        if lines and path != Path(__file__):
            found[str(path)] = lines
    assert found == {}


@pytest.mark.parametrize("text", ["cd /work/main", "/root/.cache", "index: https://pypi.org/simple", "at /tmp/w/venv"])
def test_a_machine_path_is_seen(text: str) -> None:
    assert machine_paths(text)


@pytest.mark.parametrize("text", ["experiments/work/root/x", "$ROOT/root/x", "{base}/work/x"])
def test_what_only_resembles_one_is_let_through(text: str) -> None:
    assert not machine_paths(text)


COMMAND = re.compile(r"(?:^|`|[(:;] )labctl (?:--?[a-z][a-z-]*(?: DIR)? )*([a-z][a-z-]+)", re.MULTILINE)
# Words after "labctl" where the sentence is about the program itself.
PROSE = {"added", "leaves", "never"}
TALKED_ABOUT = (".md", ".yaml", ".j2", ".py")


def unknown_verbs(text: str) -> set[str]:
    return {verb for verb in COMMAND.findall(text) if verb not in commands.words() and verb not in PROSE}


def test_every_verb_that_is_named_anywhere_exists() -> None:
    """A page that tells people to type what is not there costs more trust than a missing page."""
    pages = [path for path in files(CHECKOUT) if path.suffix in TALKED_ABOUT and "tests" not in path.parts]
    found = {str(page): verbs for page in pages if (verbs := unknown_verbs(page.read_text(encoding="utf-8")))}
    assert found == {}


def test_a_verb_that_does_not_exist_is_seen() -> None:
    assert unknown_verbs("type `labctl run-twice` or\nlabctl --json stats") == {"run-twice", "stats"}


def test_every_decision_is_in_the_list_of_decisions() -> None:
    folder = CHECKOUT / "docs/decisions"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    pages = sorted(page.name for page in folder.glob("0*.md"))
    assert [name for name in pages if f"| [{name[:4]}]({name}) |" not in listed] == []
