"""`labctl paper verify`: 0 where everything holds, 9 where anything drifted, and which line it is."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.research.paper import bibliography, claim, figure, latex
from lab.research.paper import told as words
from tests.cli.labs import Labctl, Said
from tests.research.paper.papers import Told

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def labctl(told: Told, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Labctl:
    monkeypatch.setenv("LAB_DATA_ROOT", told.root.layout.root)
    return Labctl(capsys)


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy of the exported paper, to be spoilt."""
    place = tmp_path / "paper"
    shutil.copytree(exported, place)
    return place


def edit(place: Path, old: str, new: str, count: int = 1) -> None:
    before = place.read_text()
    assert old in before
    place.write_text(before.replace(old, new, count))


def drifted(labctl: Labctl, target: Path | str) -> list[dict[str, object]]:
    said = labctl("paper", "verify", str(target), "--json")
    assert said.code == 9
    assert said.envelope["data"]["holds"] is False
    found: list[dict[str, object]] = said.envelope["data"]["drifts"]
    assert found
    return found


def test_a_paper_that_nobody_touched_holds_and_each_claim_is_shown_with_its_run_file_and_digest(
    labctl: Labctl, told: Told
) -> None:
    said = labctl.done("paper", "verify", "proj")
    assert said.out.splitlines()[-1].startswith("all ")
    row = next(line for line in said.out.splitlines() if "evaluation.gain | fmt(+.4g)" in line)
    assert "+3.75" in row
    run, file, digest = row.split("\t")[4].split(" ")
    assert run.startswith("RUN-")
    assert file == "artifacts/evaluation.json/gain"
    assert len(digest) == 12
    assert labctl.done("paper", "verify", told.paper, "--json").data["drifts"] == []


def test_an_exported_paper_holds_with_its_lab_and_without_one_where_it_says_what_nobody_could_look_at(
    labctl: Labctl, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert labctl.done("paper", "verify", str(folder)).err == ""
    monkeypatch.setenv("LAB_DATA_ROOT", str(tmp_path / "nowhere"))
    said = labctl.done("paper", "verify", str(folder / "paper.md"))
    assert "only its ledger knows" in said.err
    shutil.rmtree(folder / "evidence")
    blind = labctl("paper", "verify", str(folder))
    assert blind.code == 5
    assert "the runs could not be looked at" in blind.out
    edit(folder / "paper.md", "+3.75", "+3.76")
    assert labctl("paper", "verify", str(folder)).code == 9


def test_one_number_edited_by_hand_is_drift_with_its_line_what_is_there_and_what_should_be(
    labctl: Labctl, folder: Path
) -> None:
    edit(folder / "paper.md", "is +3.75, between", "is +4.75, between")
    found = drifted(labctl, folder)
    line = 1 + (folder / "paper.md").read_text().split("\n").index(
        next(row for row in (folder / "paper.md").read_text().split("\n") if "+4.75" in row)
    )
    first = found[0]
    assert str(first["where"]).startswith(f"paper.md line {line} column ")
    assert (first["there"], first["should"]) == ("+4.75", "+3.75")
    assert {str(each["where"]).partition(" column")[0] for each in found} == {f"paper.md line {line}", "paper.tex"}


def test_a_number_that_was_made_longer_moves_no_other_claim_of_its_line(labctl: Labctl, folder: Path) -> None:
    edit(folder / "paper.md", "is +3.75, between", "is +13.7512, between")
    assert len([each for each in drifted(labctl, folder) if "claim" in each]) == 1


def _row(folder: Path, change: Callable[[dict[str, object]], None], expression: str) -> None:
    """Change the first row of claims.jsonl with this expression."""
    lines = (folder / claim.FILE).read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if json.loads(line)["expression"] == expression)
    row = json.loads(lines[at])
    change(row)
    lines[at] = json.dumps(row)
    (folder / claim.FILE).write_text("\n".join(lines) + "\n")


def _edit_both(folder: Path) -> None:
    _row(folder, lambda row: row.update(raw=9.75, text="+9.75"), GAIN)
    edit(folder / "paper.md", "+3.75", "+9.75")


GAIN = "evaluation.gain | fmt(+.4g)"
KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a claim's value": (lambda at: _row(at, lambda row: row.update(raw=9.75), GAIN), "is written +9.75"),
    "a claim's value and its text": (
        _edit_both,
        "is 3.75, and this row says 9.75",
    ),
    "a claim's form": (lambda at: _row(at, lambda row: row.update(form="fmt(.1f)"), GAIN), "this row says +3.75"),
    "a claim's file": (
        lambda at: _row(at, lambda row: row["of"][0].update(sha256="0" * 64), GAIN),  # type: ignore[index]
        "is another than the one that was quoted",
    ),
    "a claim's place": (
        lambda at: _row(at, lambda row: row["of"][0].update(pointer="/low"), GAIN),  # type: ignore[index]
        "and this row says 3.75",
    ),
    "a claim's run": (
        lambda at: _row(at, lambda row: row["of"][0].update(run="RUN-20260102-030405-000000-nobody"), GAIN),  # type: ignore[index]
        "there is no run RUN-20260102-030405-000000-nobody",
    ),
    "a claim that is gone": (
        lambda at: (at / claim.FILE).write_text("\n".join((at / claim.FILE).read_text().splitlines()[:-1]) + "\n"),
        "this row is not what the source gives",
    ),
    "a claim that is no row": (
        lambda at: (at / claim.FILE).write_text((at / claim.FILE).read_text() + "{}\n"), "not a claim",
    ),
    "no claims": (lambda at: (at / claim.FILE).write_text(""), "there are no claims"),
    "a number that is added": (
        lambda at: edit(at / "paper.md", "## Conclusion\n", "## Conclusion\n\nIt is 0.99 accurate.\n"),
        "the number 0.99 comes from no run",
    ),
    "words that are changed": (
        lambda at: edit(at / "paper.md", "The candidate is better", "The candidate is far better"),
        "this line is not what the source says",
    ),
    "a reference that is none of the sources": (
        lambda at: edit(at / "paper.md", "[@doe2017]", "[@fake-et-al]"), "[@fake-et-al] is none of the sources",
    ),
    "a reference that is added to the list": (
        lambda at: edit(at / claim.BIBTEX, "@article{doe2017,", "@misc{fake,\n  title = {F}\n}\n\n@article{doe2017,"),
        "it is not what the sources say",
    ),
    "a figure": (
        lambda at: edit(at / "figures/stairs.svg", "</svg>", "<!-- --></svg>"), "is not the figure that was drawn",
    ),
    "a figure that is gone": (lambda at: (at / "figures/stairs.svg").unlink(), "figures/stairs.svg is gone"),
    "the source": (
        lambda at: edit(at / claim.SOURCE, "## Results", "## Results\n\nIt is 0.99."),
        "the number 0.99 comes from no run",
    ),
    "the words of the project": (lambda at: edit(at / words.FILE, "Bowls", "Bells"), "is another than the one"),
    "the LaTeX": (lambda at: edit(at / claim.LATEX, "+3.75", "+4.75"), "it is not paper.md in LaTeX"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_changed_in_a_paper_is_drift_in_words(kind: str, labctl: Labctl, folder: Path) -> None:
    spoil, says = KINDS[kind]
    spoil(folder)
    assert any(says in str(each["what"]) for each in drifted(labctl, folder))


def test_without_a_lab_the_evidence_is_held_against_its_seals(
    folder: Path, labctl: Labctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LAB_DATA_ROOT", str(tmp_path / "nowhere"))
    place = next(folder.glob("evidence/*/artifacts/evaluation.json"))
    edit(place, "3.75", "9.75")
    assert any("is not as it was sealed" in str(each["what"]) for each in drifted(labctl, folder))


def _seal_another(folder: Path) -> None:
    place = next(folder.glob("evidence/*/SEAL.json"))
    place.write_bytes(place.read_bytes().replace(b'"generation": ', b'"generation": 1'))


BESIDE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file of it": (
        lambda at: edit(next(at.glob("evidence/*/artifacts/training.json")), "5.0", "9.0"), "is not as the lab has it",
    ),
    "what was measured": (
        lambda at: next(at.glob("evidence/*/metrics.json")).write_bytes(b"{}\n"), "is not as the lab has it",
    ),
    "a seal of it": (_seal_another, "SEAL.json is not as the lab has it"),
    "a run that is gone": (
        lambda at: shutil.rmtree(next(at.glob("evidence/*/artifacts/evaluation.json")).parent.parent),
        "is gone: without it nobody else",
    ),
    "a run of nobody": (
        lambda at: shutil.copytree(next(at.glob("evidence/*")), at / "evidence/RUN-20260102-030405-000000-nobody"),
        "is no file of a sealed run of this lab",
    ),
    "a link": (lambda at: (at / "evidence/more").symlink_to("/dev/zero"), "is no file of a sealed run"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BESIDE)
def test_the_evidence_beside_a_paper_is_looked_at_where_there_is_a_lab_too(
    kind: str, labctl: Labctl, folder: Path
) -> None:
    spoil, says = BESIDE[kind]
    spoil(folder)
    assert any(says in str(each["what"]) for each in drifted(labctl, folder))


def test_that_there_is_no_evidence_beside_a_paper_is_said_where_there_is_a_lab(labctl: Labctl, folder: Path) -> None:
    shutil.rmtree(folder / "evidence")
    assert "not looked at: evidence/, which is not beside the paper" in labctl.done("paper", "verify", str(folder)).err


def test_what_was_measured_goes_out_with_a_paper_and_is_held_against_its_seal_where_there_is_no_lab(
    told: Told, folder: Path, labctl: Labctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LAB_DATA_ROOT", str(tmp_path / "nowhere"))
    of = told.evaluated.candidate.made[0].run_id
    edit(folder / f"evidence/{of}/params.json", "0.1", "0.7")
    assert [each["where"] for each in drifted(labctl, folder)] == [f"params.json of {of}"]
    (folder / f"evidence/{of}/params.json").unlink()
    said = labctl.done("paper", "verify", str(folder))
    assert "1 file of runs, of which evidence/ has none" in said.err


class TestBundles:
    """What was changed in the lab itself."""

    @pytest.fixture
    def told(self, tmp_path: Path) -> Told:
        made = Told(tmp_path)
        made.paper = made.written()
        return made

    def test_a_bundle_that_was_edited_is_drift(self, told: Told, labctl: Labctl) -> None:
        place = told.artifact("evaluation", "evaluation.json")
        edit(place, '"gain": 3.75', '"gain": 3.99')
        assert any("is not as it was sealed" in str(each["what"]) for each in drifted(labctl, "proj"))

    def test_a_bundle_that_was_edited_and_sealed_again_is_drift(self, told: Told, labctl: Labctl) -> None:
        seal = Path(told.root.layout.run("proj-bowl", told.evaluated.candidate.of)) / "SEAL.json"
        seal.chmod(0o644)
        edit(seal, '"value": 1.25', '"value": 0.25')
        found = drifted(labctl, "proj")
        assert any("is not the one that the ledger tells of" in str(each["what"]) for each in found)
        assert any("its seal says something else" in str(each["what"]) for each in found)

    def test_a_run_that_is_gone_is_drift(self, told: Told, labctl: Labctl) -> None:
        shutil.rmtree(told.root.layout.run("proj-bowl", told.evaluated.candidate.made[0].run_id))
        found = drifted(labctl, "proj")
        assert any(f"there is no run {told.evaluated.candidate.made[0].run_id}" in str(each["what"]) for each in found)

    def test_what_was_given_to_a_run_and_measured_in_it_is_held_against_its_seal(
        self, told: Told, labctl: Labctl
    ) -> None:
        before = labctl.done("paper", "verify", "proj", "--json").data
        runs = {each.run_id for each in (*told.trained.made, *told.evaluated.baseline.made)}
        runs |= {each.run_id for each in told.evaluated.candidate.made}
        assert before["runs"] >= len(runs) + 6
        assert before["files"] >= 3 * len(runs)
        for run in runs:
            place = Path(told.root.layout.run("proj-bowl", run))
            (place / "metrics.json").unlink(missing_ok=True)
            (place / "params.json").chmod(0o644)
            edit(place / "params.json", '"x":', '"x": 1')
        found = {str(each["where"]) for each in drifted(labctl, "proj")}
        assert {f"params.json of {run}" for run in runs} <= found
        assert f"metrics.json of {told.trained.best}" in found

    def test_the_paper_in_its_own_bundle_is_held_against_its_seal(self, told: Told, labctl: Labctl) -> None:
        place = Path(told.root.layout.run("proj", told.paper)) / "artifacts/paper.md"
        edit(place, "No literature" if "No literature" in place.read_text() else "never saw", "often saw")
        assert any("this line is not what the source says" in str(each["what"]) for each in drifted(labctl, "proj"))


def test_what_is_no_paper_is_said_to_be_none(labctl: Labctl, tmp_path: Path) -> None:
    said = labctl("paper", "verify", "proj-bowl")
    assert said.code == 2
    assert "has no paper yet" in said.err
    said = labctl("paper", "verify", str(tmp_path))
    assert said.code == 2
    assert "there is no paper.md" in said.err
    assert labctl("paper", "verify", "nobody").code == 2


@pytest.mark.parametrize("kind", ["a pipe", "a link"])
def test_what_is_no_file_under_the_name_of_a_paper_is_said_and_waited_for_by_nobody(
    kind: str, labctl: Labctl, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "paper.md").unlink()
    if kind == "a pipe":
        os.mkfifo(folder / "paper.md")
    else:
        (folder / "paper.md").symlink_to("/dev/zero")
    monkeypatch.chdir(folder.parent)
    said = labctl("paper", "verify", folder.name)
    assert said.code == 2
    assert "paper.md is no file that can be read" in said.err


def test_hostile_words_of_an_edited_paper_do_not_speak_to_the_terminal(labctl: Labctl, folder: Path) -> None:
    edit(folder / "paper.md", "is +3.75, between", "is \x1b[31m9\x1b[0m, between")
    said: Said = labctl("paper", "verify", str(folder))
    assert said.code == 9
    assert "\x1b" not in said.out


def test_the_paper_of_an_older_labctl_that_would_word_it_otherwise_has_not_drifted(
    labctl: Labctl, told: Told, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figure, "drawn", lambda _: b"<svg>another look</svg>")
    monkeypatch.setattr(latex, "_SPECIAL", {})
    monkeypatch.setattr(bibliography, "_HEAD", "% another head\n")
    for target in (told.paper, str(folder)):
        said = labctl.done("paper", "verify", target)
        assert "this labctl would word the paper otherwise; it is as it was sealed" in said.err
    edit(folder / "figures/stairs.svg", "</svg>", " </svg>")
    assert any("figures/stairs.svg" in str(each["what"]) for each in drifted(labctl, folder))


def test_whatever_the_run_sealed_is_held_against_its_seal_also_where_it_was_exported(
    labctl: Labctl, folder: Path
) -> None:
    edit(folder / "paper.json", "Bowls", "Bowls ")
    assert any(each["where"] == "paper.json" for each in drifted(labctl, folder))


def test_the_action_of_research_writes_a_folder_that_verifies_and_nothing_over_what_is_there(
    labctl: Labctl, told: Told, tmp_path: Path
) -> None:
    place = tmp_path / "here/mine"
    said = labctl.done("research", "paper", told.paper, "-o", str(place), "--no-latex")
    assert said.out.startswith(f"paper: {place} (")
    assert not (place / claim.LATEX).exists()
    assert labctl.done("paper", "verify", str(place)).out.endswith(" claims hold\n")
    again = labctl("research", "paper", told.paper, "-o", str(place))
    assert again.code == 2
    assert "something is already there" in again.err
    inside = labctl("research", "paper", told.paper, "-o", f"{told.root.layout.root}/experiments/mine")
    assert inside.code == 2
