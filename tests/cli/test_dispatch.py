"""The dispatch verbs at the command line: what they print, and how they exit."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from lab.store import bundles
from tests.scheduler.labs import an_experiment

from .labs import Labctl, a_lab, process

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Root:
    made = a_lab(tmp_path / "lab", "alpha", more="executor: stub\n")
    monkeypatch.setenv("LAB_DATA_ROOT", made.layout.root)
    monkeypatch.chdir(tmp_path)
    return made


def claimed(labctl: Labctl, root: Root) -> str:
    labctl.done("dispatch-ready")
    name, _, path = labctl.done("dispatch-claim").out.strip().partition("\t")
    assert path == root.layout.package("running", f"{name}@dispatch-worker")
    return name


def fill(root: Root, name: str) -> None:
    run = f"{root.layout.package('running', f'{name}@dispatch-worker')}/run"
    for file, text in (("RESULT.md", "# Done\n"), ("metrics.json", '{"loss": 0.5}')):
        with open(f"{run}/{file}", "w", encoding="utf-8") as made:
            made.write(text)


def test_the_words_of_hermes_lab_are_said(labctl: Labctl, root: Root) -> None:
    said = labctl.done("dispatch-ready").out
    assert said.startswith("queued dispatch DISPATCH-")
    assert said.rstrip().endswith("for alpha [proxy]")
    name = labctl.done("dispatch-claim").out.split("\t")[0]
    assert labctl.done("dispatch-claim").out == "No ready dispatch packages\n"
    assert labctl.done("dispatch-ready").out == "No eligible experiments\n"
    fill(root, name)
    assert labctl.done("dispatch-complete", name).out == f"{name} -> complete\n"
    run_id = bundles.names(root, "alpha")[0]
    assert labctl.done("dispatch-ingest", name).out.startswith(f"ingested dispatch {name} into alpha/{run_id}")
    assert labctl.done("dispatch-ingest").out == "No complete dispatch packages\n"


def test_without_a_name_one_speaks_for_whoever_claimed_and_with_another_one_is_refused(
    labctl: Labctl, root: Root
) -> None:
    labctl.done("dispatch-ready")
    name = labctl.done("dispatch-claim", "--worker", "gpu-3").out.split("\t")[0]
    assert labctl("dispatch-renew", name, "--worker", "gpu-4").code == 2
    labctl.done("dispatch-renew", name)
    assert labctl("dispatch-complete", name, "--worker", "gpu-4", "--outcome", "failed").code == 2
    labctl.done("dispatch-complete", name, "--outcome", "failed", "--reason", "no GPU")


def test_a_worker_that_does_it_all_says_how_it_ended(labctl: Labctl, root: Root) -> None:
    labctl.done("dispatch-ready")
    said = labctl.done("dispatch-work", "--worker", "w9").out
    assert said.startswith("completed dispatch DISPATCH-")
    assert "(success 0.0)" in said
    labctl.done("dispatch-ingest")
    manifest = bundles.load_manifest(root.layout.run("alpha", bundles.names(root, "alpha")[0]))
    assert manifest is not None
    assert manifest.worker == "w9"


@pytest.mark.parametrize(
    "words",
    [
        ("dispatch-claim", "--worker", "../x"), ("dispatch-claim", "--worker", "a@b"),
        ("dispatch-claim", "--experiment", "omega"), ("dispatch-ready", "--executor-class", "gpuu"),
        ("dispatch-ready", "--max-runs", "-1"), ("dispatch-ready", "--now"),
        ("dispatch-complete", "nonsense"), ("dispatch-complete", "../../etc"), ("dispatch-ingest", "nonsense"),
        ("dispatch-renew", "DISPATCH-20261121-093000-000000-alpha"), ("dispatch-agent-submit", "none.json"),
        ("dispatch-unpack", "none.tar"), ("dispatch-pack", "nonsense"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_before_anything_is_written(labctl: Labctl, root: Root, words: tuple[str, ...]) -> None:
    before = sorted(os.listdir(root.layout.place("dispatch")))
    assert labctl(*words).code == 2
    assert sorted(os.listdir(root.layout.place("dispatch"))) == before


def test_a_package_that_was_refused_is_told_once_with_exit_code_1(labctl: Labctl, root: Root) -> None:
    name = claimed(labctl, root)
    fill(root, name)
    labctl.done("dispatch-complete", name)
    with open(
        f"{root.layout.package('complete', f'{name}@dispatch-worker')}/dispatch.json", "w", encoding="utf-8"
    ) as file:
        file.write("{")
    said = labctl("dispatch-ingest")
    assert said.code == 1
    assert name in said.err
    assert labctl("dispatch-ingest").code == 0


def test_a_lease_that_was_lost_is_exit_code_3(labctl: Labctl, root: Root) -> None:
    name = claimed(labctl, root)
    fill(root, name)
    labctl.done("lease", "break", "alpha", "--generation", "1", "--yes")
    assert labctl("dispatch-renew", name).code == 3
    assert labctl("dispatch-complete", name).code == 3


def test_an_agent_with_nothing_to_do_gets_an_empty_object_and_exit_code_3(labctl: Labctl, root: Root) -> None:
    said = labctl("dispatch-agent-next")
    assert (said.code, json.loads(said.out)) == (3, {})
    assert os.listdir(root.layout.stage("ready")) == []


def test_an_agent_goes_round(labctl: Labctl, root: Root, tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    workspace.mkdir()
    (workspace / "model.txt").write_text("5\n")
    more = (
        f"workspace_root: {workspace}\nvalidation_command: cat model.txt\nmutable_paths: [model.txt]\ntime_budget: 9s\n"
    )
    an_experiment(root, "loop", more)
    context = json.loads(labctl.done("dispatch-agent-next", "--experiment", "loop").out)
    assert context["current_files"] == {"model.txt": "5\n"}
    change = {"dispatch_id": context["dispatch_id"], "changes": {"model.txt": "3\n"}, "reasoning": "less is more"}
    (tmp_path / "bad.json").write_text(json.dumps({**change, "changes": {"../x": "1"}}))
    assert labctl("dispatch-agent-submit", "bad.json").code == 2
    (tmp_path / "change.json").write_text(json.dumps(change))
    said = labctl("--json", "dispatch-agent-submit", "change.json")
    assert said.code == 0, said
    told = said.data
    assert (told["accepted"], told["candidate_value"], told["changed_files"]) == (True, 3.0, ["model.txt"])
    assert told["ingested"] is True


def test_a_package_travels(labctl: Labctl, root: Root, tmp_path: Path) -> None:
    name = claimed(labctl, root)
    assert labctl.done("dispatch-pack", name).out == f"{tmp_path}/{name}.tar\n"
    far = tmp_path / "far"
    far.mkdir()
    os.rename(f"{name}.tar", far / f"{name}.tar")
    os.system(f"cd {far} && tar xf {name}.tar")  # noqa: S605  # what a person types there
    said = process("dispatch-work", "--package", name, root=far / "no-lab", cwd=far)
    assert said.code == 0, said
    assert labctl.done("dispatch-unpack", str(far / f"{name}.done.tar")).out == f"{name} -> complete (success)\n"
    labctl.done("dispatch-ingest")
