"""What a real proposer is told, and what becomes of what it leaves behind."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from lab.core.candidate import CHECKS_FAILED, DISCARD, KEEP
from lab.core.world import World
from lab.scheduler.control import steering
from lab.scheduler.loop import brief, known
from lab.store import verify
from tests.scheduler.loop.live import NAME, a_loop, git, trace

LESS = "echo 40 > value"


def reads(words: str, then: str) -> str:
    return f'if grep -q {shlex.quote(words)} "$LAB_BRIEF_PATH"; then {then}; fi'


def test_a_proposer_reads_what_a_person_said_and_what_was_tried(tmp_path: Path) -> None:
    loop = a_loop(tmp_path)
    notes = json.dumps({"change": "a smaller number", "result": "a triumph"})
    first = loop.change(":", f"echo 60 > value; echo {shlex.quote(notes)} > $LAB_ASI_PATH")
    assert (first.verdict, first.note) == (DISCARD, "a smaller number")
    kept = json.loads((loop.path(first.run_id) / "artifacts/asi.json").read_text())
    assert kept["result"].startswith("discard")
    assert kept["claimed_result"] == "a triumph"
    steering.steer(loop.root, NAME, "go below fifty", candidates=1, actor="ann")
    second = loop.change(reads("a smaller number", reads("go below fifty", LESS)))
    assert second.verdict == KEEP
    assert "go below fifty" in (loop.path(second.run_id) / "artifacts/brief.md").read_text()
    assert loop.view().steering is None
    assert verify.verify(loop.root).damage == ()


def test_the_next_idea_is_given_once_and_the_list_stays_as_it_is(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, files={"autoresearch.ideas.md": "- [ ] forty\n- [ ] thirty\n"})
    before = trace(loop.workspace)
    step = 'case "$LAB_IDEA" in forty) echo 40 > value;; thirty) echo 30 > value;; esac'
    made = [loop.change(":"), *(loop.change(step) for _ in range(3))]
    assert [each.candidate_value for each in made[:3]] == [50, 40, 30]
    assert (made[3].reason, made[3].candidate.idea) == ("nothing was changed", "")
    assert known.tried(loop.root, NAME, [made[1].candidate.idea]) == {made[1].candidate.idea: made[1].run_id}
    assert trace(loop.workspace) == before


def test_the_notes_of_a_proposer_carry_no_secret_to_the_next_one(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec="secrets: [TOKEN]\n")
    world = loop.root.world
    environ = {**world.environ, "TOKEN": "s3cr3t-value"}
    loop.root.world = World(now=world.now, rng=world.rng, run=world.run, environ=environ)
    made = loop.change(":", LESS + '; printf \'{"change": "with %s"}\' "$TOKEN" > $LAB_ASI_PATH')
    assert made.verdict == KEEP
    assert json.loads((loop.path(made.run_id) / "artifacts/asi.json").read_text())["change"] == "with [redacted]"
    assert made.note == "with [redacted]"


def test_a_change_with_a_secret_in_it_is_kept_nowhere(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec="secrets: [TOKEN]\n")
    world = loop.root.world
    environ = {**world.environ, "TOKEN": "s3cr3t-value"}
    loop.root.world = World(now=world.now, rng=world.rng, run=world.run, environ=environ)
    leak = 'echo "$TOKEN" > a.py; printf \'{"change": "with %s"}\' "$TOKEN" > $LAB_ASI_PATH; echo 1 > a; '
    made = loop.change(":", leak + 'cp a.py "$LAB_RUN_ARTIFACTS_DIR"/copy')
    assert (made.verdict, made.candidate.commit) == (CHECKS_FAILED, "")
    assert "a.py: it holds the value of a secret" in made.reason
    assert any("artifacts/copy, asi.json" in remark for remark in made.remarks)
    assert loop.git("for-each-ref", f"refs/lab/loop/{made.run_id}") == ""
    leaked = git(loop.path(made.run_id), "hash-object", str(_written(tmp_path / "leaked", "s3cr3t-value\n")))
    assert leaked not in loop.git("cat-file", "--batch-all-objects", "--batch-check")
    files = [*Path(loop.root.layout.root).rglob("*"), *loop.workspace.rglob("*")]
    assert [file for file in files if file.is_file() and b"s3cr3t-value" in file.read_bytes()] == []
    there = a_loop(tmp_path / "two", spec="secrets: [TOKEN]\n", files={"old": "s3cr3t-value\n"})  # a person's doing
    there.root.world = World(now=world.now, rng=world.rng, run=world.run, environ=environ)
    assert there.change(":", f"touch old; {LESS}").verdict == KEEP


def _written(place: Path, text: str) -> Path:
    place.write_text(text)
    return place


def test_notes_that_cannot_be_kept_are_told_and_cost_no_candidate(tmp_path: Path) -> None:
    made = a_loop(tmp_path).change(":", LESS + "; echo '{' > $LAB_ASI_PATH")
    assert made.verdict == KEEP
    assert any("the notes of its proposer were not kept" in remark for remark in made.remarks)


def test_another_seed_beside_another_file_is_a_change(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, files={"conf.yaml": "seed: 1\n"})
    luck = loop.change(":", "echo 'seed: 2' > conf.yaml")
    assert luck.reason == "only seeds were changed, and luck is not kept"
    assert luck.candidate.values == ()
    for other in (r"printf '\000\001' > data.bin", "chmod +x value", "echo x > new"):
        made = loop.change(f"echo 'seed: 3' > conf.yaml; {other}")
        assert made.candidate.values != ()


def test_autoresearch_md_is_up_to_date_in_the_tree_of_the_change_and_no_part_of_it(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, files={brief.DOCUMENT: "# Mind the cache\n"})
    before = trace(loop.workspace)
    step = f"grep -q 'Where things stand' {brief.DOCUMENT} && grep -q 'Mind the cache' {brief.DOCUMENT} && {LESS}"
    made = loop.change(":", step)
    assert (made.verdict, made.changed_files) == (KEEP, ("value",))
    assert loop.git("show", f"{made.candidate.commit}:{brief.DOCUMENT}") == "# Mind the cache"
    assert trace(loop.workspace) == before
