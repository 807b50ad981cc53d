"""LAB-STATUS.md: the whole lab, what wants a person first."""

from __future__ import annotations

import msgspec

from lab.core.subject import Finding, Place
from lab.projections import index, lab_status
from tests.projections import markdown
from tests.projections import subjects as make


def page(*rows: index.Row, alerts: tuple[Finding, ...] = ()) -> str:
    return lab_status.render(index.of(rows, ledger=Place(seq=7), alerts=alerts)).decode()


def row(name: str, *happened: object, **changes: object) -> index.Row:
    made = index.row(make.subject(happened))
    return msgspec.structs.replace(made, id=name, **changes)


def section(told: str, title: str) -> list[str]:
    _, _, after = told.partition(f"## {title}\n")
    return [line for line in after.partition("\n## ")[0].split("\n") if line]


def test_what_wants_you_is_the_first_section_with_the_command_to_type() -> None:
    told = page(
        row("fine", make.run(1, value=0.5)),
        row("stuck", make.moved("awaiting-human", "which tier next?")),
        alerts=(Finding(what="the ledger was damaged", fix="labctl verify"),),
    )
    assert markdown.headings(told.encode())[1] == "## What wants you"
    alert, waiting = section(told, "What wants you")
    assert alert == "- the ledger was damaged - next: labctl verify"
    assert waiting.startswith("- **stuck**: waits for a person: which tier next?")
    assert "labctl resume lr-sweep" in waiting


def test_a_quiet_lab_wants_nothing() -> None:
    assert section(page(row("fine", make.run(1, value=0.5))), "What wants you") == ["Nothing."]


def test_a_project_has_what_it_found_in_the_place_of_a_best() -> None:
    (line,) = section(page(row("mine", make.moved("paused"), found="8 of 8 runs")), "Paused (1)")
    assert ", tier default, 8 of 8 runs - " in line


def test_each_experiment_is_in_the_section_of_its_phase() -> None:
    told = page(
        row("a", make.run(1, value=0.5)),
        row("q"),
        row("p", make.moved("paused")),
        row("c", make.moved("completed")),
        row("gone", make.moved("archived")),
    )
    for name, title in (("a", "Active"), ("q", "Queued"), ("p", "Paused"), ("c", "Completed")):
        (line,) = section(told, f"{title} (1)")
        assert f"[{name}](experiments/{name}/SUMMARY.md)" in line
    assert section(told, "Archived") == ["1 experiment: labctl list --archived"]
    assert "**[gone]" not in told


def test_the_next_actions_are_the_five_due_first_and_the_urgent_among_equals() -> None:
    rows = [row(f"e{number}", make.run(number, value=0.5)) for number in range(9, 1, -1)]
    told = page(*rows, row("e0", make.run(2, value=0.5), priority="urgent"))
    names = [line.split()[1] for line in section(told, "Next actions")]
    assert names == ["e0", "e2", "e3", "e4", "e5"]


def test_a_section_is_bounded_and_says_what_it_left_out() -> None:
    told = page(*(row(f"e{number:03d}", make.moved("awaiting-human", "why")) for number in range(300)))
    assert len(section(told, "What wants you")) == lab_status.SECTION_LINES
    assert section(told, "What wants you")[-1] == "- and 251 more: labctl list"
    told = page(*(row(f"e{number:03d}") for number in range(300)))
    assert section(told, "Queued (300)")[-1] == "- and 251 more: labctl list"
    assert len(told.split("\n")) < 100


def test_a_lab_without_experiments_says_so() -> None:
    told = page()
    assert "As of: before anything happened" in told
    assert "- Experiments: 0" in told


def test_a_best_is_told_and_a_failed_run_is_none() -> None:
    assert "tier default, best val_loss 0.5 - find" in page(row("a", make.run(1, value=0.5)))
    assert "1 failure in a row, tier default, no best yet - find" in page(row("a", make.run(1, "failed")))


def test_hostile_text_stays_in_its_place() -> None:
    hostile = Finding(what=make.HOSTILE, where=make.HOSTILE, fix=make.HOSTILE)
    told = page(index.row(make.hostile()), alerts=(hostile,)).encode()
    markdown.assert_whole(told)
    assert markdown.headings(told) == markdown.headings(page(row("a", make.moved("awaiting-human"))).encode())
