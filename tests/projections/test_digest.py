"""Digests, for a person who was away."""

from __future__ import annotations

from lab.core.subject import Finding
from lab.projections import digest, index
from tests.projections import markdown
from tests.projections import subjects as make

RUNS = (make.run(1, value=0.5), make.run(2, "crash", reason="OOM"), make.run(3, value=0.25))
STOPPED = make.moved("awaiting-human", "no progress | none", "policy")


def items(*happened: object, **changes: object) -> digest.DigestInput:
    subject = make.subject([*RUNS, *happened])
    decided = {"lr-sweep": tuple(subject.view.decisions)}
    filled: dict[str, object] = {"rows": (index.row(subject),), "runs": RUNS, "decisions": decided} | changes
    return digest.DigestInput(**filled)  # type: ignore[arg-type]


def test_decisions_that_are_needed_come_first() -> None:
    told = digest.daily("2026-01-02", items(STOPPED))
    assert markdown.headings(told)[:2] == ["# Digest of 2026-01-02", "## Decisions needed"]
    assert "- **lr-sweep**: waits for a person: no progress" in told.decode()


def test_a_new_best_is_a_headline_with_its_change() -> None:
    told = digest.daily("2026-01-02", items(before={"lr-sweep": {"default": 0.4}})).decode()
    line = "- **lr-sweep** (default): val_loss 0.25, -0.15 on 0.4, RUN-20260102-030003-000000-scout"
    assert f"New bests:\n\n{line}\n" in told


def test_a_best_is_told_in_the_metric_of_its_own_tier() -> None:
    runs = (*RUNS, make.run(4, value=0.9, tier="sft", metric="nll"))
    row = index.row(make.subject([*runs]))
    told = digest.daily("2026-01-02", digest.DigestInput(rows=(row,), runs=runs)).decode()
    assert "- **lr-sweep** (sft): nll 0.9" in told


def test_the_first_best_is_called_the_first() -> None:
    assert "val_loss 0.25, the first" in digest.daily("2026-01-02", items()).decode()


def test_an_old_best_is_no_news() -> None:
    told = digest.daily("2026-01-03", items(runs=(make.run(4, "failed"),), before={"lr-sweep": {"default": 0.25}}))
    assert "No new best this day." in told.decode()
    assert "| lr-sweep | 1 | 0 | 0.25 | as before | 12.5 s |" in told.decode()


def test_what_stopped_and_what_moved_is_told_with_its_reason() -> None:
    told = digest.daily("2026-01-03", items(make.promoted("final", "streak"), STOPPED)).decode()
    assert "- **lr-sweep** went to the tier final, by policy: streak\n" in told
    assert r"- **lr-sweep** is awaiting-human, by policy: no progress \| none" in told


def test_what_is_no_more_is_told_as_what_it_was() -> None:
    told = digest.daily("2026-01-03", items(STOPPED, make.moved("queued", "mended"))).decode()
    assert "was awaiting-human and is queued now, by policy: no progress" in told
    assert "is awaiting-human" not in told


def test_an_experiment_that_stopped_more_than_once_has_one_line_and_says_what_it_is() -> None:
    paused, done = make.moved("paused", "enough"), make.moved("completed", "done", "ann")
    told = digest.daily("2026-01-03", items(STOPPED, paused, done)).decode()
    assert told.count("- **lr-sweep** is") == 1
    assert "- **lr-sweep** is completed, the last of 3 stops, by ann: done\n" in told
    assert "paused" not in told


def test_what_went_on_after_the_day_is_not_told_as_it_was_then() -> None:
    """A digest may be written when the day is long over."""
    row = items(STOPPED, make.moved("queued", "mended")).rows
    of_the_day = items(STOPPED).decisions
    told = digest.daily("2026-01-02", items(rows=row, decisions=of_the_day)).decode()
    assert "was awaiting-human and is queued now" in told


def test_a_decision_is_understood_in_both_spellings() -> None:
    (decision,) = make.view([make.moved("paused", "enough")]).decisions[1:]
    for what in ("phase active -> paused", "paused"):
        told = digest.DigestInput(decisions={"a": (type(decision)(seq=1, ts="", type=decision.type, what=what),)})
        assert "- **a** is paused\n" in digest.daily("2026-01-02", told).decode()


def test_resuming_is_not_stopping() -> None:
    assert "Stopped:" not in digest.daily("2026-01-03", items(make.moved("queued", "go on"))).decode()


def test_what_ran_is_a_table_and_health_says_what_is_wrong() -> None:
    told = digest.daily("2026-01-02", items(alerts=(Finding(what="the ledger was damaged"),))).decode()
    assert "| lr-sweep | 3 | 2 | 0.25 | the first | 37.5 s |" in told
    assert "## Health\n\n- the ledger was damaged\n- Runs: 3 (2 success, 1 crash)\n" in told


def test_a_day_without_runs_says_so() -> None:
    told = digest.daily("2026-01-02", digest.DigestInput()).decode()
    assert "Nothing ran this day." in told
    assert "As of: before anything happened" in told


def test_a_week_points_at_its_days() -> None:
    told = digest.weekly("2026-W01", items(), days=("2026-01-02", "2026-01-01")).decode()
    first, second = "- [2026-01-01](../daily/2026-01-01.md)", "- [2026-01-02](../daily/2026-01-02.md)"
    assert f"## Days\n\n{first}\n{second}\n" in told


def test_it_is_bounded() -> None:
    decided = {f"e{number:03d}": tuple(make.view([STOPPED]).decisions) for number in range(500)}
    runs = tuple(make.run(1, experiment=f"e{number:03d}") for number in range(500))
    told = digest.daily("2026-01-02", digest.DigestInput(decisions=decided, runs=runs)).decode()
    assert "- and 451 more: labctl list" in told
    assert "And 450 experiments more." in told
    assert len(told.split("\n")) < 200


def test_hostile_text_stays_in_its_place_and_the_bytes_are_the_same() -> None:
    subject = make.hostile()
    told = digest.DigestInput(
        rows=(index.row(subject),),
        runs=tuple(subject.view.recent),
        decisions={"lr-sweep": tuple(subject.view.decisions)},
        alerts=(Finding(what=make.HOSTILE, where=make.HOSTILE),),
    )
    page = digest.weekly("2026-W01", told)
    markdown.assert_whole(page)
    assert page == digest.weekly("2026-W01", told)
    assert markdown.headings(page) == markdown.headings(digest.weekly("2026-W01", items(STOPPED)))
