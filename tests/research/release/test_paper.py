"""A release with a paper: it goes with its evidence, or, where anything in it is in doubt, it does not go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import BadInput, LabError
from lab.core.record import page
from lab.research.literature import own, sourcing
from lab.research.order import Order
from lab.research.paper import found, verifying
from lab.research.phases.publishing import Release
from lab.research.project import Literature, Paper, Project, Publish
from lab.research.release import accepted, citations, gathered
from lab.research.source import Source
from tests.research import tasks
from tests.research.paper.papers import Told

if TYPE_CHECKING:
    from lab.research.release.gathered import Gathered
    from lab.research.worker import Task

BIBTEX = b"@misc{a,\n  title = {A}\n}\n@misc{b,\n  title = {B}\n}\n"


def _task(told: Told) -> Task:
    order = Order(phase="publishing", worker="release", given={"writing": told.paper})
    running = tasks.begun(told.root, order)
    project = Project(mode="A", paper=Paper(title="Bowls", authors=("Ann",)), literature=Literature(offline=True),
                      publish=Publish())  # fmt: skip
    return tasks.a_task(told.root, running, "publishing", files={}, project=project)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    made = Told(tmp_path_factory.mktemp("release"))
    rows = [
        row for row in made.files["literature/lit/sources.jsonl"][0].splitlines(keepends=True) if b"mis1999" not in row
    ]
    made.phase("literature", {"lit/sources.jsonl": b"".join(rows), "lit/review.md": b"x\n"})
    made.paper = made.written()
    return made


@pytest.fixture(scope="module")
def release(told: Told) -> Gathered:
    return gathered.gather(_task(told))


def test_the_paper_goes_with_all_that_its_claims_rest_on(release: Gathered, tmp_path: Path) -> None:
    for path, data in release.files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    verified = verifying.verify(None, found.in_folder(str(tmp_path)))
    assert verified.claims
    assert (verified.drifts, verified.is_blind) == ((), False)
    assert {"paper.md", "claims.jsonl", "references.bib", "README.md", "CITATION.cff"} <= set(release.files)
    assert any(path.endswith("/SEAL.json") for path in release.files)
    assert b"Use of AI" in release.files["README.md"]


def test_a_placeholder_is_told_in_the_release_and_is_none_about_the_topic(told: Told) -> None:
    data, run = told.files["implementation/built.json"]
    paper = told.paper
    try:
        told.phase("implementation", {"built.json": page(tasks.a_built(is_shipped=True, made_up_rows=360))})
        told.paper = told.written()
        task = _task(told)
        Release().work(task)
        assert "**Placeholder**" in (task.out.read("listing.md") or b"").decode()
        assert b"a small model on 360 made-up rows" in (task.out.read("made/README.md") or b"")
        asked = msgspec.structs.replace(task.project, topic="Bowls?")
        with pytest.raises(BadInput, match="its study is the placeholder"):
            gathered.gather(msgspec.structs.replace(task, project=asked))
    finally:
        told.files["implementation/built.json"], told.paper = (data, run), paper


def test_digests_of_the_evidence_are_no_secrets(told: Told) -> None:
    task = _task(told)
    assert Release().work(task)["files"] > 10
    assert not [*accepted.problems(task.order, task.out, task)]


def test_the_names_that_leave_in_sealed_files_are_told_before_anything_else(told: Told) -> None:
    task = _task(told)
    Release().work(task)
    page = (task.out.read("listing.md") or b"").decode()
    seals = [json.loads(data) for path, data in gathered.gather(task).files.items() if path.endswith("/SEAL.json")]
    workers = {each["run"]["worker"] for each in seals}
    assert workers
    first = page.partition("Hash of the manifest")[0]
    assert "**Names leave with it**" in first
    assert all(each in first for each in workers)


def test_a_paper_that_was_edited_is_not_published(told: Told) -> None:
    place = Path(told.root.layout.run(tasks.PROJECT, told.paper)) / "artifacts/paper.md"
    text = place.read_text()
    place.chmod(0o644)
    place.write_text(text.replace("1.2", "1.1", 1))
    with pytest.raises(LabError, match="does not verify"):
        gathered.gather(_task(told))
    place.write_text(text)
    assert gathered.gather(_task(told)).release.files


def test_what_another_worker_left_is_no_release(told: Told) -> None:
    task = _task(told)
    order = msgspec.structs.replace(task.order, worker="command")
    assert "release alone" in next(iter(accepted.problems(order, task.out, None)))


@pytest.mark.parametrize(
    ("status", "offline", "blocks", "unverified"),
    [
        ("verified", False, False, ()),
        ("unverified", True, False, ("b",)),
        ("unverified", False, True, ()),
        ("mismatch", True, True, ()),
        ("not_found", True, True, ()),
    ],
)
def test_what_nobody_has_seen_is_not_published(
    status: str, offline: bool, blocks: bool, unverified: tuple[str, ...]
) -> None:
    known = {
        "a": Source(key="a", title="A", origin="arxiv", status="verified"),
        "b": msgspec.convert({"key": "b", "title": "B", "origin": "user", "status": status}, Source),
        "c": Source(key="c", title="C", origin="user", status="not_found"),
    }
    cited = citations.judged(BIBTEX, known, offline=offline)
    assert (bool(cited.problems), cited.unverified) == (blocks, unverified)
    if blocks:
        with pytest.raises(LabError, match="b is cited"):
            citations.require(cited)


@pytest.mark.parametrize("body", ["# A note\n\nSome thoughts.\n", "---\ndoi: 10.1/x\n---\n\n# A paper\n"])
def test_a_note_of_ones_own_that_names_no_paper_is_told_of_and_no_reason_to_publish_nothing(body: str) -> None:
    theirs = own._of_note("b.md", body)
    row, _ = sourcing.of_own(theirs, None)
    cited = citations.judged(b"@misc{b,\n}\n", {"b": row}, offline=False)
    assert (bool(cited.problems), cited.unverified) == ((True, ()) if theirs.is_claim else (False, ("b",)))
    listed = msgspec.structs.replace(row, why="nobody was asked")
    assert citations.judged(b"@misc{b,\n}\n", {"b": listed}, offline=False).problems


def test_a_citation_of_nothing_is_not_published() -> None:
    assert citations.judged(BIBTEX, {}, offline=True).problems
