"""The real SDK and the real `tinker` program against the server with real gradients behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.tinker.conftest import BASE
from tests.tinker.local.asking import Asking
from tests.tinker.served import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tinker.conftest import Fresh

PROGRAM = CHECKOUT / "tests" / "tinker" / "local" / "sdk.py"

pytestmark = pytest.mark.heavy


def surroundings(url: str) -> dict[str, str]:
    told = {"TINKER_BASE_URL": url, "TINKER_API_KEY": "tml-local", "TINKER_TELEMETRY": "0", "HF_HUB_OFFLINE": "1"}
    return {**os.environ, **told, "TINKER_PROJECT_ID": "mine", "OMP_NUM_THREADS": "1"}


def sdk(url: str, *given: str) -> Any:  # noqa: ANN401
    done = subprocess.run(
        [sys.executable, PROGRAM, *given],
        env=surroundings(url),
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {**json.loads(done.stdout), "log": done.stderr}


@pytest.fixture(scope="module")
def whole(server: str) -> Any:  # noqa: ANN401
    """A training of six steps in one go, on a good day."""
    return sdk(server, "train", "6")


def test_a_training_learns(whole: Any) -> None:  # noqa: ANN401
    assert len(whole["losses"]) == 6
    assert whole["losses"][-1] < whole["losses"][0]


def test_a_training_goes_on_after_the_server_was_killed_as_if_nothing_had_been(
    whole: Any,  # noqa: ANN401
    fresh_server: Fresh,
) -> None:
    first = fresh_server()
    begun = sdk(first.url, "train", "3")
    first.kill()
    ended = sdk(fresh_server(first.folder).url, "train", "3", begun["path"])
    assert begun["losses"] + ended["losses"] == whole["losses"]
    assert ended["path"].endswith("/weights/000006")
    assert ended["run"] != begun["run"]


def test_a_bad_day_changes_nothing_but_the_time_it_takes(whole: Any, server: str) -> None:  # noqa: ANN401
    ask = Asking(server)
    for fault in (
        {"path": "/forward_backward", "status": 429},
        {"path": "/forward_backward", "drop": "after"},
        {"path": "/optim_step", "status": 500},
        {"path": "/optim_step", "drop": "after"},
        {"path": "/retrieve_future", "status": 500, "times": 2},
        {"path": "/retrieve_future", "drop": "after"},
        {"path": "/retrieve_future", "drop": "before"},
        {"path": "/save_weights", "drop": "after"},
    ):
        ask.ok("POST", "/_fault", fault)
    assert sdk(server, "train", "6")["losses"] == whole["losses"]


def test_a_pause_for_billing_is_waited_for_and_told(whole: Any, server: str) -> None:  # noqa: ANN401
    Asking(server).ok("POST", "/_fault", {"path": "/optim_step", "status": 402})
    seen = sdk(server, "train", "6")
    assert seen["losses"] == whole["losses"]
    assert "paused due to billing status" in seen["log"]


def test_what_is_sampled_from_stands_still(server: str) -> None:
    seen = sdk(server, "sample")
    drawn = seen["drawn"]
    assert [each[0] for each in drawn["snapshot"]] == [each[0] for each in drawn["named"]]
    assert drawn["base"] != drawn["named"]
    assert all(len(tokens) == len(logprobs) == 6 for tokens, logprobs in drawn["named"])
    assert seen["logprobs"][0] is None
    assert all(each < 0 for each in seen["logprobs"][1:])


def test_a_state_that_does_not_fit_on_the_disk_fails_in_words_and_the_training_goes_on(
    whole: Any,  # noqa: ANN401
    fresh_server: Fresh,
) -> None:
    served = fresh_server(largest_file=60_000)  # the adapter fits, the optimizer does not
    seen = sdk(served.url, "cannot-save")
    assert "/weights/large was not saved, and nothing of it was left" in seen["failed"]
    assert seen["losses"] == whole["losses"][:2]
    listed = Asking(served.url).ok("GET", "/checkpoints")["checkpoints"]
    assert [each["tinker_path"] for each in listed] == [seen["small"]]
    assert not [each for each in served.folder.rglob("*") if "large" in each.name]


def test_requests_that_are_refused_hold_up_none_that_come_after_them(whole: Any, server: str) -> None:  # noqa: ANN401
    seen = sdk(server, "refused")
    said = ("learning_rate is None", "beta1 is 2", "there is no checkpoint", "no_such_loss", "what a name")
    assert [word in words for word, words in zip(said, seen["failed"], strict=True)] == [True] * 5, seen["failed"]
    assert seen["losses"] == whole["losses"][:2]


def test_a_refusal_that_a_bad_day_brings_holds_up_none_that_come_after_it(server: str) -> None:
    Asking(server).ok("POST", "/_fault", {"path": "/load_weights", "status": 400, "detail": "a bad day"})
    seen = sdk(server, "refused")
    assert "a bad day" in seen["failed"][2]
    assert len(seen["losses"]) == 2


def test_a_client_whose_server_was_restarted_is_told_so_at_once(fresh_server: Fresh) -> None:
    first = fresh_server()
    port = first.url.rpartition(":")[2]
    program = subprocess.Popen(
        [sys.executable, PROGRAM, "interrupted"], env=surroundings(first.url), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == "trained\n"
        first.kill()
        fresh_server(first.folder, port=int(port))
        out, _ = program.communicate("go on\n", timeout=40)
    seen = json.loads(out)
    assert seen["status"] == 404
    assert "last state that was saved" in seen["words"]


# -- the program `tinker` --------------------------------------------------------------------------------------------


def tinker(url: str, *lines: tuple[str, ...]) -> list[Any]:
    """What the program answers to these command lines."""
    program = CHECKOUT / "tests" / "tinker" / "local" / "program.py"
    done = subprocess.run(
        [sys.executable, program], input=json.dumps(lines), env=surroundings(url), capture_output=True, text=True,
        timeout=55, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    answers: list[Any] = json.loads(done.stdout)
    return answers


def test_the_program_is_started_as_a_person_does(server: str) -> None:
    program = os.path.join(os.path.dirname(sys.executable), "tinker")
    done = subprocess.run(
        [program, "-f", "json", "model", "list"], env=surroundings(server), capture_output=True, timeout=55, check=True
    )
    assert [each["model_name"] for each in json.loads(done.stdout)["models"]] == [BASE]


def test_the_program_lists_runs_and_checkpoints(whole: Any, server: str) -> None:  # noqa: ANN401
    runs, run, listed, status = tinker(
        server,
        ("run", "list"),
        ("run", "info", whole["run"]),
        ("checkpoint", "list", "--run-id", whole["run"]),
        ("auth", "status"),
    )
    assert whole["run"] in [each["training_run_id"] for each in runs["runs"]]
    assert run["last_checkpoint"]["tinker_path"] == whole["path"]
    assert {each["tinker_path"] for each in listed["checkpoints"]} == {whole["path"], whole["external"]}
    assert "Tinker accessible: yes" in status


def test_the_program_downloads_what_was_exported_and_what_was_saved(
    whole: Any,  # noqa: ANN401
    server: str,
    tmp_path: Path,
) -> None:
    lines = [("checkpoint", "download", whole[kind], "-o", str(tmp_path)) for kind in ("external", "path")]
    assert all(told["file_size_bytes"] > 0 for told in tinker(server, *lines))
    files = sorted(each.name for each in tmp_path.rglob("*") if each.is_file())
    assert files == sorted(["adapter_config.json", "adapter_model.safetensors"] * 2)
    exported, saved = (each.read_bytes() for each in tmp_path.rglob("adapter_model.safetensors"))
    assert exported == saved


def test_the_program_changes_and_deletes_a_checkpoint(server: str) -> None:
    path = sdk(server, "train", "1")["path"]
    _, _, changed, _, _, back, _, gone = tinker(
        server,
        ("checkpoint", "set-ttl", path, "--ttl", "7200"),
        ("checkpoint", "publish", path),
        ("checkpoint", "info", path),
        ("checkpoint", "set-ttl", path, "--remove"),
        ("checkpoint", "unpublish", path),
        ("checkpoint", "info", path),
        ("checkpoint", "delete", "-y", path),
        ("checkpoint", "info", path),
    )
    assert (changed["public"], bool(changed["expires_at"])) == (True, True)
    assert (back["public"], back["expires_at"]) == (False, None)
    assert "not found" in gone["refused"]
