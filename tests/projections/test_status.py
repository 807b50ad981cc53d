"""STATUS.json, and the view that comes back from it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lab.core import canonical
from lab.projections import status
from tests.projections import subjects as make

if TYPE_CHECKING:
    from lab.core.subject import Subject

# The keys that hermes-lab wrote and its readers know, but for two that say what is under way now.
HERMES = {
    "schema_version",
    "id",
    "phase",
    "created_at",
    "created_by",
    "goal",
    "metric",
    "metric_direction",
    "priority",
    "autonomous",
    "fidelity_tiers",
    "current_fidelity_tier",
    "next_fidelity_tier",
    "executor_class",
    "run_count_by_tier",
    "success_streak_by_tier",
    "best_run_by_tier",
    "best_metric_by_tier",
    "run_count",
    "last_run",
    "last_run_at",
    "last_outcome",
    "failure_streak",
    "best_run",
    "best_metric_value",
    "next_due_at",
    "blocked_reason",
    "tags",
    "estimated_runtime_minutes",
    "notify",
    "parent_experiment",
    "known_good_config",
    "phase_changed_at",
}
SUBJECT = make.subject([make.run(1, value=0.5), make.run(2, "crash", reason="OOM")], best_params={"lr": 0.1})
PAGE = status.status_page(SUBJECT)


@given(make.subjects)
def test_the_view_comes_back_exactly(subject: Subject) -> None:
    told = status.fold_state(status.status_page(subject))
    assert told is not None
    assert (told.view, told.place, told.table_bytes) == (subject.view, subject.place, subject.table_bytes)
    assert told.findings == subject.findings


@given(make.subjects)
def test_the_page_is_json_whose_fold_is_canonical_and_checked(subject: Subject) -> None:
    fold = json.loads(status.status_page(subject))["fold"]
    check = fold.pop("check")
    line = msgspec.json.encode(fold, order="sorted")
    assert canonical.digest(line) == check
    assert fold["format"] == status.FOLD_FORMAT


@given(st.binary())
def test_garbage_is_no_state(data: bytes) -> None:
    assert status.fold_state(data) is None
    assert status.fold_state(PAGE[:100] + data) is None
    assert status.fold_state(data + PAGE) is None or not data


@given(st.integers(0, len(PAGE) - 1))
def test_a_torn_page_is_no_state(length: int) -> None:
    assert status.fold_state(PAGE[:length]) is None
    assert status.fold_state(PAGE[:length] + b"\0" * (len(PAGE) - length)) is None


@given(st.integers(PAGE.index(b'"fold"') + 8, len(PAGE) - 1), st.integers(0, 255))
def test_one_changed_byte_of_the_fold_is_seen(at: int, byte: int) -> None:
    changed = PAGE[:at] + bytes((byte,)) + PAGE[at + 1 :]
    assert changed == PAGE or status.fold_state(changed) is None


def test_a_page_that_a_program_laid_out_anew_is_no_state() -> None:
    assert status.fold_state(json.dumps(json.loads(PAGE), indent=2).encode()) is None


def test_another_format_is_no_state_even_when_its_check_holds() -> None:
    told = b'"format":%d' % status.FOLD_FORMAT
    body = PAGE.split(b'"fold": ')[1].rpartition(b',"check"')[0].replace(told, b'"format":99') + b"}"
    fold = body[:-1] + b',"check":"%s"}' % canonical.digest(body).encode()
    assert status.fold_state(PAGE.split(b'"fold": ')[0] + b'"fold": ' + fold + b"\n}\n") is None


def test_whoever_changes_what_is_folded_gives_the_fold_another_number() -> None:
    """Else a page of before is believed, and what it has no word of has never happened."""
    parts = msgspec.json.schema(status.State)["$defs"]
    names = {name: sorted(part.get("properties", ())) for name, part in parts.items()}
    shape = canonical.digest(msgspec.json.encode(names, order="sorted"))
    assert (status.FOLD_FORMAT, shape) == (16, "04b25c631963a7f4a3c395c2aeefe96446e1b218eeff725b2fca0838ec6646a2"), (
        "another number for FOLD_FORMAT, with a word about it, and then this digest"
    )


def test_a_text_that_cannot_be_written_costs_the_fold_and_not_the_page() -> None:
    page = status.status_page(make.subject([make.run(1, "crash", reason="\ud800")]))
    assert json.loads(page)["fold"] is None
    assert status.fold_state(page) is None


def test_the_keys_of_the_peer_are_kept_and_the_fold_is_last() -> None:
    keys = list(json.loads(PAGE))
    assert set(keys) >= HERMES
    assert keys[-1] == "fold"


def test_it_says_what_the_experiment_is_now() -> None:
    told = json.loads(PAGE)
    assert told["phase"] == "active"
    assert told["run_count"] == 2
    assert told["outcomes"] == {"success": 1, "crash": 1}
    assert told["best_metric_value"] == 0.5
    assert told["best_run"] == "RUN-20260102-030001-000000-scout"
    assert told["last_outcome"] == "crash"
    assert told["failure_streak"] == 0  # it ended with the lab
    assert told["next_due_at"] == "2026-01-02T04:30:02.000000Z"
    assert told["notify"] == "silent"


def test_without_a_spec_it_still_says_what_the_runs_say() -> None:
    told = json.loads(status.status_page(msgspec.structs.replace(SUBJECT, spec=None)))
    assert told["metric"] == "val_loss"
    assert told["best_metric_value"] == 0.5
    assert told["next_due_at"] is None
    assert told["attention"][0]["what"] == "the SPEC cannot be used"


def test_the_next_tier_is_the_one_after() -> None:
    tiers = make.spec(fidelity_tiers=("default", "final"))
    assert json.loads(status.status_page(make.subject(given=tiers)))["next_fidelity_tier"] == "final"
    last = make.subject([make.promoted("final")], given=tiers)
    assert json.loads(status.status_page(last))["next_fidelity_tier"] is None


def test_parameters_that_json_cannot_say_stop_nothing() -> None:
    for value in ("\ud800", float("inf"), 10**400, object()):
        params: dict[str, object] = {"a": value}
        json.loads(status.status_page(msgspec.structs.replace(SUBJECT, best_params=params)))
