"""The codecs of an export: whatever a run was given comes back from CSV, and has a place in an Optuna study."""

from __future__ import annotations

import csv
import io
import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import assignment, space
from lab.core.trial import luck
from lab.projections.tables import Line
from lab.scheduler.results import export
from lab.scheduler.results.table import varying

NAMES = st.text(min_size=1, max_size=8).filter(str.isprintable)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=20),
)  # fmt: skip
PARAMS = st.dictionaries(NAMES, SCALARS, max_size=5)


def chosen(*points: dict[str, object]) -> export.Chosen:
    lines = tuple(
        Line(run_id=f"RUN-20260102-030405-{number:06d}-scout", outcome="success", value=1.0, params=point)
        for number, point in enumerate(points)
    )
    return export.Chosen(lines=lines, raw=tuple(msgspec.json.encode(line) for line in lines))


@given(st.lists(PARAMS, min_size=1, max_size=4))
def test_every_value_comes_back_from_csv_as_it_is_written(points: list[dict[str, object]]) -> None:
    text = "".join(f"{line}\n" for line in export.csv_lines(chosen(*points)))
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == len(points)
    for row, point in zip(rows, points, strict=True):
        for name, value in point.items():
            assert row[f"params.{name}"] == export._written(value)  # type: ignore[arg-type]
            if isinstance(value, float):
                assert float(row[f"params.{name}"]) == value


@given(st.lists(st.dictionaries(st.sampled_from("abc"), SCALARS, max_size=3), min_size=1, max_size=6))
def test_any_history_of_parameters_is_an_optuna_study(points: list[dict[str, object]]) -> None:
    pytest.importorskip("optuna")
    from lab.scheduler.results import optuna_journal

    runs = [(line, msgspec.json.encode(line)) for line in chosen(*points).lines]
    study = optuna_journal.Study(name="s", experiment="s", tier="t", minimize=True, metric="loss", runs=runs)
    data = optuna_journal.journal([study], space.Space(parameters=()))
    assert len([line for line in data.splitlines() if b'"params"' in line]) == len(points)


@given(
    st.floats(1e-6, 1e6), st.floats(1.0, 1e6), st.booleans(), st.one_of(st.none(), st.floats(0.01, 0.5)), st.booleans()
)
def test_any_number_of_a_space_is_within_its_distribution(
    low: float, wide: float, log: bool, step: float | None, whole: bool
) -> None:
    pytest.importorskip("optuna")
    from lab.scheduler.results import optuna_journal

    high = low * (1 + wide)
    written: dict[str, object] = {"low": low, "high": high, "type": "float", "log": log}
    if whole:
        written.update(low=math.ceil(low), high=math.ceil(high) + 2, type="int")
        written.update({"step": 2} if step else {})
    elif step is not None:
        written["step"] = (high - low) * step
    found = space.parse({"x": written})
    points: list[dict[str, object]] = [dict(assignment.draw(found, luck(0, number))) for number in range(5)]
    runs = [(line, msgspec.json.encode(line)) for line in chosen(*points).lines]
    study = optuna_journal.Study(name="s", experiment="s", tier="t", minimize=True, metric="", runs=runs)
    told = [json.loads(line) for line in optuna_journal.journal([study], found).splitlines()]
    assert [entry["params"]["x"] for entry in told if "params" in entry] == [point["x"] for point in points]


def test_one_and_true_differ_and_one_and_one_point_zero_do_not() -> None:
    lines = chosen({"a": 1, "b": True}, {"a": 1.0, "b": 1}).lines
    assert varying(lines) == ["b"]
    assert varying(lines[:1]) == ["a", "b"]
