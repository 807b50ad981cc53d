"""What `show` and `status` say of an experiment's last run and its best value, to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.scheduler import cycle
from tests.cli.labs import a_lab, ended, me, one_run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl


def test_a_value_is_rounded_for_people_and_whole_for_programs(labctl: Labctl, place: Path) -> None:
    one_run(a_lab(place, "alpha"), "alpha", 0.29592892591477005)
    assert "  alpha  proxy  runs 1  loss 0.295929  last success\n" in labctl.done("status").out
    assert labctl.done("status", "--json").data["active"][0]["best_value"] == 0.29592892591477005


def test_the_last_run_of_an_experiment_says_why_it_failed_and_what_shows_more(labctl: Labctl, place: Path) -> None:
    """The note says what was tried, and that is no reason."""
    root = a_lab(place, "alpha")
    running = cycle.begin(root, "alpha", owner=me(), params={"lr": 1.0})
    failed = running.manifest.run_id
    cycle.finish(root, running, ended(None, "failed", reason="there is no file data.csv", note="a lower rate"))
    said = labctl.done("show", "alpha")
    assert f"- Last run: {failed} (failed, -): there is no file data.csv" in said.out
    assert "a lower rate" not in said.out
    assert f"labctl show {failed}" in said.all
    one_run(root, "alpha", 0.5)
    assert "labctl show RUN" not in labctl.done("show", "alpha").all
