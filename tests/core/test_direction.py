"""Which way a metric is better is told from its name only where the name says it."""

from __future__ import annotations

import pytest

from lab.core.direction import guessed


@pytest.mark.parametrize(
    "name",
    [
        "val_bpb", "loss", "val_loss", "lossVal", "total_ms", "latency_p99", "seconds", "log_loss", "rmse",
        "top5_error", "parse_us", "peakBytes", "WER", "test/loss",
    ],
)  # fmt: skip
def test_lower_is_better(name: str) -> None:
    assert guessed(name) == "lower"


@pytest.mark.parametrize(
    "name",
    [
        "accuracy",
        "val_acc",
        "accuracy_top1",
        "section_recall",
        "tokens_per_s",
        "rows_per_second",
        "roc_auc",
        "throughput",
    ],
)
def test_higher_is_better(name: str) -> None:
    assert guessed(name) == "higher"


@pytest.mark.parametrize(
    "name",
    [
        "framework_pass", "images_sec", "interrater_agreement", "terrain_coverage", "accident_rate", "neg_loss",
        "error_free_rate", "accuracy_drop", "error_reduction", "errors_per_s", "loss_accuracy", "accuracy_loss",
        "time_to_failure", "score", "value", "", "hits", "x9", "negMeanSquaredError", "neg_mean_squared_error",
    ],
)  # fmt: skip
def test_what_has_to_be_guessed_is_asked_for(name: str) -> None:
    assert guessed(name) == ""
