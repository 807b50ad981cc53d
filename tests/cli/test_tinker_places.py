"""`labctl tinker` where nothing is asked of a service: what was saved, what is refused, what is not installed."""

from __future__ import annotations

import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from lab.cli import tinker_checks, tinker_words
from tests.cli.labs import CHECKOUT, a_lab
from tests.cli.trainings import a_chunk, a_training

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl


def a_model(folder: Path) -> Path:
    """What looks like one."""
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    return folder


def test_what_is_made_of_a_template_that_trains_remotely_is_looked_at_first(labctl: Labctl, place: Path) -> None:
    labctl.done("init")
    assert labctl.done("create", "tinker-sl", "--json").envelope["next"][0] == "labctl tinker check tinker-sl"


def test_a_model_that_is_to_be_evaluated_and_is_not_there_can_be_made(labctl: Labctl, place: Path) -> None:
    labctl.done("init")
    (warning,) = labctl.done("create", "lm-eval", "--json").envelope["warnings"]
    assert "`model` below `lm_eval:`" in warning
    assert f"labctl tinker make-tiny {place.parent}/lm-eval/model" in warning


def test_what_was_saved_is_listed_with_what_it_is_good_for(labctl: Labctl, place: Path) -> None:
    root = a_training(place)
    runs = [a_chunk(root, 0.5).run.run_id, a_chunk(root, 0.4).run.run_id, a_chunk(root, 0.3).run.run_id]
    found = labctl.done("tinker", "checkpoints", "sft", "--json").data["saved"]
    assert [(each["use"], each["next_step"], each["run_id"], each["final"]) for each in found] == [
        ("state", 8, runs[0], False),
        ("state", 16, runs[1], False),
        ("state", 20, runs[2], True),
        ("sampler", 20, runs[2], True),
        ("external", 20, runs[2], True),
    ]
    assert all(each["in_chain"] for each in found)
    assert "tinker://run:3/external_weights/final" in labctl.done("tinker", "checkpoints", "sft").out


def test_an_end_that_is_to_be_measured_is_told_before_it_is(labctl: Labctl, place: Path) -> None:
    root = a_training(place)
    for value in (0.5, 0.4, None):
        a_chunk(root, value)
    assert "20 steps done, and the next run measures the end" in labctl.done("tinker", "estimate", "sft").out
    subject = tinker_checks.subject(root, "sft")
    assert (subject.is_over, subject.is_due) == (True, True)
    looks = tinker_checks.of_experiment(root, subject, limit_s=1, say=lambda _: None)
    assert "the training is at its end: the next run measures it" in [each.what for each in looks]
    a_chunk(root, 0.3)
    assert "20 steps done, and nothing is left" in labctl.done("tinker", "estimate", "sft").out
    subject = tinker_checks.subject(root, "sft")
    assert (subject.is_over, subject.is_due) == (True, False)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("tinker://run/final", "is no path of something saved"),
        ("tinker://run/sampler_weights/final", "can be sampled from, and holds no files"),
        ("tinker://run/external_weights/$(touch x)", "is no path of something saved"),
        ("tinker://run/external_weights/..", "is no path of something saved"),
        ("alpha", "alpha trains nothing remotely"),
        ("RUN-20260102-030405-000000-scout", "there is no run"),
    ],
)
def test_what_cannot_be_downloaded_is_refused_before_anybody_is_asked(
    target: str, told: str, labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    a_lab(place, "alpha")
    said = labctl("tinker", "download", target, "-o", "out")
    assert said.code == 2
    assert told in said.err
    assert not (tmp_path / "out").exists()


def test_a_run_that_saved_nothing_has_nothing_to_download(labctl: Labctl, place: Path) -> None:
    root = a_training(place)
    said = labctl("tinker", "download", "sft")
    assert said.code == 1
    assert "sft has saved nothing yet" in said.err
    run = a_chunk(root, None, saves=False).run.run_id
    said = labctl("tinker", "download", run)
    assert said.code == 2
    assert f"{run} saved nothing" in said.err


def test_weights_of_an_earlier_stage_are_not_taken_for_those_of_the_last(labctl: Labctl, place: Path) -> None:
    root = a_training(place)
    for value in (0.5, 0.4, 0.3):
        a_chunk(root, value)
    labctl.done("set-fidelity", "sft", "final")
    a_chunk(root, None, saves=False)
    said = labctl("tinker", "download", "sft")
    assert said.code == 1
    assert "sft has saved nothing yet in tier final" in said.err
    assert "fix: --tier proxy has some; " in said.err


def test_a_session_that_may_be_paid_for_is_begun_only_with_a_word(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    said = labctl("tinker", "download", "tinker://run/weights/000008", "--base-url", "https://tinker.example")
    assert said.code == 2
    assert "nothing was downloaded: nobody agreed" in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_never_written_over(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    said = labctl("tinker", "download", "tinker://run/external_weights/final", "-o", "out")
    assert said.code == 2
    assert "something is already there" in said.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "serve-local wants a model"),
        (("--base", "tiny"), "--base 'tiny' is not NAME=DIR"),
        (("--base", "a=model", "--base", "a=model"), "two models are called a"),
        (("--base", "a=nowhere"), "there is no such folder"),
        (("--base", "a=."), "this is no folder of a model: it has no config.json"),
        (("--base", "a=model", "--port", "70000"), "--port 70000 is no port"),
    ],
)
def test_a_server_of_what_is_no_model_is_refused_in_words(
    words: tuple[str, ...], told: str, labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    a_model(tmp_path / "model")
    said = labctl("tinker", "serve-local", *words)
    assert said.code == 2
    assert told in said.err


@pytest.mark.parametrize(
    ("module", "words", "extra"),
    [
        ("torch", ("serve-local", "--base", "a=model"), "tinker-local"),
        ("torch", ("make-tiny", "tiny"), "tinker-local"),
        ("tinker", ("check",), "tinker"),
        ("tinker", ("download", "tinker://run/external_weights/final"), "tinker"),
    ],
)
def test_an_extra_that_is_missing_is_named(
    module: str,
    words: tuple[str, ...],
    extra: str,
    labctl: Labctl,
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a_model(tmp_path / "model")
    monkeypatch.setitem(sys.modules, module, None)
    said = labctl("tinker", *words)
    assert said.code == 5, said
    assert f"pip install 'labctl[{extra}]'" in said.all
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


@pytest.mark.parametrize("words", [("serve-local", "--help"), ("--help", "serve-local"), ("serve-local", "-h")])
def test_the_help_of_a_server_of_this_machine_says_what_it_does_not_cover(
    words: tuple[str, ...], labctl: Labctl
) -> None:
    from lab.tinker.local.serve import NOT_COVERED  # what the page is held against

    told = " ".join(labctl.done("tinker", *words).out.split())
    assert all(" ".join(each.split()) in told for each in NOT_COVERED)
    assert not any(" ".join(each.split()) in labctl.done("tinker", "--help").out for each in NOT_COVERED)


@pytest.mark.parametrize(
    ("verb", "action", "own", "foreign"),
    [
        ("tinker", "check", ("--trial", "--tier", "TARGET"), ("--port", "--merge", "serve-local")),
        ("tinker", "make-tiny", ("a folder that is not there yet",), ("--tier", "--limit", "--trial")),
        ("autoresearch", "report", ("TARGET",), ("--workspace", "--direction")),
    ],
)
def test_the_help_of_an_action_has_its_own_flags_and_no_others(
    verb: str, action: str, own: tuple[str, ...], foreign: tuple[str, ...], labctl: Labctl
) -> None:
    told = labctl.done(verb, action, "--help").out
    assert told.startswith(f"usage: labctl {verb} {action} ")
    assert all(each in told for each in own)
    assert not any(each in told for each in foreign)
    assert "--json" in told


def test_a_look_at_the_surroundings_needs_no_lab(labctl: Labctl, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tinker", None)
    said = labctl("tinker", "check", "--json")
    assert [each["name"] for each in said.envelope["data"]["checks"]] == ["sdk", "local server", "key"]
    assert said.code == 5
    assert not place.exists()


def test_the_versions_of_the_sdk_that_are_tested_are_those_that_the_extra_asks_for() -> None:
    asked = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["tinker"]
    first, before = (".".join(map(str, each)) for each in (tinker_words.SDK_FROM, tinker_words.SDK_BEFORE))
    assert f"tinker>={first},<{before}" in asked


@pytest.mark.parametrize(
    ("amounts", "told"),
    [((0.0027, 0.005), ["0.0027", "0.0050"]), ((1.5, 1234.0), ["1.50", "1,234.00"]), ((0.0, 3.0), ["0.00", "3.00"])],
)
def test_sums_of_money_that_are_compared_have_the_same_digits_and_none_looks_like_nothing(
    amounts: tuple[float, ...], told: list[str]
) -> None:
    assert tinker_words.money(*amounts) == told
