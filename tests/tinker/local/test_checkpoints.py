"""What was saved is there whole or not at all, is found again after a restart, and goes when its time is over."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lab.tinker.local import disk
from lab.tinker.local.calls import Refusal
from lab.tinker.local.checkpoints import Checkpoints
from tests.tinker.local.asking import Asking, Run
from tests.tinker.local.stored import checkpoint, fill
from tests.tinker.served import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tinker.conftest import Fresh


def names(ask: Asking) -> list[str]:
    return [each["tinker_path"] for each in ask.ok("GET", "/checkpoints")["checkpoints"]]


def trained(ask: Asking, steps: int, **lora: object) -> Run:
    run = ask.train(**lora)  # type: ignore[arg-type]
    for _ in range(steps):
        run.step()
    return run


# -- saved and loaded ------------------------------------------------------------------------------------------------


def test_a_state_is_loaded_into_a_new_run_of_its_own(ask: Asking) -> None:
    first = trained(ask, 3)
    path = first.save("three")["path"]
    assert path == f"tinker://{first.id}/weights/three"
    second = ask.load(path)
    assert second.id != first.id
    assert second.step()["steps"] == 4
    assert first.step()["steps"] == 4


def test_a_saved_state_outlives_a_server_that_was_killed(fresh_server: Fresh) -> None:
    first = fresh_server(double=True)
    ask = Asking(first.url)
    run = trained(ask, 3)
    paths = [run.save("a")["path"], run.save("b", "save_weights_for_sampler")["path"]]
    first.kill()
    again = Asking(fresh_server(first.folder, double=True).url)
    assert names(again) == paths[::-1]
    assert [each["training_run_id"] for each in again.ok("GET", "/training_runs")["training_runs"]] == [run.id]
    assert ask.session in again.ok("GET", "/sessions")["sessions"]
    assert again.load(paths[0]).step()["steps"] == 4


def test_a_run_of_before_a_restart_says_how_to_go_on(fresh_server: Fresh) -> None:
    first = fresh_server(double=True)
    ask = Asking(first.url)
    run = trained(ask, 1)
    first.kill()
    again = Asking(fresh_server(first.folder, double=True).url)
    status, answer = again.send("POST", "/optim_step", {"model_id": run.id, "seq_id": 2, "adam_params": {}})
    assert (status, "last state that was saved" in answer["detail"]) == (404, True)
    assert again.send("POST", "/session_heartbeat", {"session_id": ask.session})[0] == 410


def test_a_name_that_is_taken_needs_overwrite(ask: Asking) -> None:
    run = trained(ask, 1)
    path = run.save("same")["path"]
    run.step()
    refused = run.save("same")
    assert (refused["category"], "overwrite" in refused["error"]) == ("user", True)
    assert ask.load(path).step()["steps"] == 2
    assert run.save("same", overwrite=True)["path"] == path
    assert ask.load(path).step()["steps"] == 3


def test_the_kinds_of_what_is_saved_do_not_take_each_other_s_names(ask: Asking) -> None:
    run = trained(ask, 1)
    verbs = ("save_weights", "save_weights_for_sampler", "save_weights_external")
    kinds = [run.save("same", verb)["path"].split("/")[3] for verb in verbs]
    assert kinds == ["weights", "sampler_weights", "external_weights"]


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", ".hidden", "a b", "ä", "a\n", "x" * 200, "a\0"])
def test_a_name_that_is_no_name_is_refused(ask: Asking, name: str) -> None:
    refused = trained(ask, 0).save(name)
    assert (refused["category"], "cannot be called" in refused["error"]) == ("user", True)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("tinker://{run}/weights/none", 404),
        ("tinker://{run}/sampler_weights/s", 400),
        ("tinker://{run}/external_weights/e", 400),
        ("tinker://{run}/optimizer/s", 400),
        ("tinker://{run}/weights", 400),
        ("tinker://../../etc/weights/passwd", 400),
        ("tinker://{run}/weights/..", 400),
        ("/etc/passwd", 400),
    ],
)
def test_a_training_goes_on_from_a_saved_state_and_nothing_else(ask: Asking, path: str, status: int) -> None:
    run = trained(ask, 1)
    run.save("s", "save_weights_for_sampler")
    run.save("e", "save_weights_external")
    asked = {"session_id": ask.session, "model_seq_id": 9, "path": path.format(run=run.id), "optimizer": False}
    got, answer = ask.send("POST", "/load_weights", asked)
    assert got == status
    assert answer["detail"]


def test_a_copy_is_a_checkpoint_of_its_own_and_made_once(ask: Asking) -> None:
    path = trained(ask, 2).save("two")["path"]
    asked = {"source_path": path, "destination_project_id": "mine"}
    headers = {"X-API-Key": "tml-test", "X-Idempotency-Key": "k1"}
    body = b'{"source_path":"%s"}' % path.encode()
    copies = {ask.send("POST", "/copy_weights", body, headers)[1]["tinker_path"] for _ in range(2)}
    assert len(copies) == 1
    assert ask.ok("POST", "/copy_weights", asked)["tinker_path"] not in {*copies, path}
    ask.ok("DELETE", "/training_runs/" + path.removeprefix("tinker://").replace("/weights", "/checkpoints/weights"))
    assert ask.load(copies.pop()).step()["steps"] == 3


# -- what is done to them later --------------------------------------------------------------------------------------


def below(path: str) -> str:
    run, kind, name = path.removeprefix("tinker://").split("/")
    return f"/training_runs/{run}/checkpoints/{kind}/{name}"


def test_what_is_deleted_is_gone_from_the_list_and_from_the_disk(fresh_server: Fresh) -> None:
    served = fresh_server(double=True)
    ask = Asking(served.url)
    run = trained(ask, 1)
    path = run.save("one")["path"]
    assert ask.send("DELETE", below(path)) == (204, b"")
    assert names(ask) == []
    assert not list(served.folder.rglob("adapter*"))
    assert ask.send("DELETE", below(path))[0] == 404
    assert run.save("one")["path"] == path


def test_a_mark_and_a_time_to_live_outlive_a_restart(fresh_server: Fresh) -> None:
    first = fresh_server(double=True)
    ask = Asking(first.url)
    run = trained(ask, 1)
    path = run.save("one", ttl_seconds=7200, user_metadata={"a": "b"})["path"]
    ask.ok("POST", below(path) + "/publish")
    first.kill()
    again = Asking(fresh_server(first.folder, double=True).url)
    (found,) = again.ok("GET", "/checkpoints")["checkpoints"]
    assert (found["public"], found["user_metadata"], bool(found["expires_at"])) == (True, {"a": "b"}, True)
    again.ok("PUT", below(path) + "/ttl", {"ttl_seconds": None})
    again.ok("DELETE", below(path) + "/publish")
    (found,) = again.ok("GET", "/checkpoints")["checkpoints"]
    assert (found["public"], found["expires_at"]) == (False, None)


@pytest.mark.parametrize("ttl_s", [0, -1, 10**12])
def test_a_time_to_live_that_is_none_is_refused(ask: Asking, ttl_s: int) -> None:
    run = trained(ask, 1)
    assert run.save("one", ttl_seconds=ttl_s)["category"] == "user"
    path = run.save("one")["path"]
    assert ask.send("PUT", below(path) + "/ttl", {"ttl_seconds": ttl_s})[0] == 400


# -- on the store itself ---------------------------------------------------------------------------------------------


def everything(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


def test_what_has_expired_is_gone_whether_or_not_somebody_looks(tmp_path: Path) -> None:
    now = [100.0]
    store = Checkpoints(str(tmp_path), print, now=lambda: now[0])
    store.save(checkpoint("short", store.expiry(10)), fill("s"))
    store.save(checkpoint("long", store.expiry(20)), fill("l"))
    now[0] = 110.0
    store.sweep()
    assert everything(tmp_path) == [
        "runs/r-train-0/weights/long/adapter",
        "runs/r-train-0/weights/long/checkpoint.json",
    ]
    now[0] = 120.0
    with pytest.raises(Refusal, match="has expired"):
        store.find("tinker://r:train:0/weights/long")
    assert everything(tmp_path) == []


def test_a_save_that_fails_leaves_nothing_and_the_old_one_stays(tmp_path: Path) -> None:
    store = Checkpoints(str(tmp_path), print)
    store.save(checkpoint(), fill("old"))

    def half(folder: str) -> None:
        fill("half")(folder)
        raise OSError(28, os.strerror(28))

    with pytest.raises(OSError, match="No space left") as failed:
        store.save(checkpoint(), half, overwrite=True)
    assert "was not saved, and nothing of it was left" in failed.value.__notes__[0]
    assert (tmp_path / "runs/r-train-0/weights/one/adapter").read_text() == "old"
    assert len(everything(tmp_path)) == 2


def test_what_the_disk_does_not_let_go_is_told_once_and_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, told, stuck = [100.0], list[str](), [True]
    store = Checkpoints(str(tmp_path), told.append, now=lambda: now[0])
    for name in ("stuck", "other"):
        store.save(checkpoint(name, store.expiry(10)), fill("s"))
    store.save(checkpoint("kept"), fill("k"))
    true = os.rename

    def failing(source: str, target: str) -> None:
        if stuck[0] and source.endswith("/stuck"):
            raise OSError(5, os.strerror(5))
        true(source, target)

    monkeypatch.setattr(os, "rename", failing)
    now[0] = 110.0
    assert [each.name for each in store.newest_first()] == ["kept"]
    with pytest.raises(Refusal, match="has expired"):
        store.find("tinker://r:train:0/weights/stuck")
    assert len(told) == 1
    assert "weights/stuck has expired" in told[0]
    assert {name.split("/")[3] for name in everything(tmp_path)} == {"stuck", "kept"}
    stuck[0] = False
    store.sweep()
    assert {name.split("/")[3] for name in everything(tmp_path)} == {"kept"}


def test_what_cannot_be_deleted_is_still_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Checkpoints(str(tmp_path), print)
    path = store.save(checkpoint(), fill("s")).path

    def failing(*_given: object) -> None:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="Input/output"):
        store.delete(path)
    assert [each.path for each in store.newest_first()] == [path]


@pytest.mark.parametrize("how", ["new", "overwrite"])
def test_a_process_that_is_killed_at_any_step_of_saving_leaves_the_old_one_or_the_new_one(
    tmp_path: Path, how: str
) -> None:
    program = CHECKOUT / "tests" / "tinker" / "local" / "killed.py"
    done = subprocess.run(
        [sys.executable, program, tmp_path, how], check=False, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert len(seen) > 15
    whole = ([], ["new"]) if how == "new" else (["old"], ["new"])
    for each in seen:
        assert each["adapters"] in whole, each
        assert (each["listed"], each["hidden"], each["complaints"]) == (len(each["adapters"]), [], []), each
    assert (seen[0]["adapters"], seen[-1]["adapters"], seen[-1]["stood"]) == (whole[0], ["new"], "")


def test_every_name_that_a_save_makes_is_on_the_disk_when_it_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, str]] = []
    true = {name: getattr(os, name) for name in ("mkdir", "rename", "fsync")}

    def noted(name: str) -> object:
        def step(*given: object, **more: object) -> object:
            where = (
                os.readlink(f"/proc/self/fd/{given[0]}")
                if name == "fsync"
                else str(given[-1 if name == "rename" else 0])
            )
            steps.append((name, where))
            return true[name](*given, **more)

        return step

    for name in true:
        monkeypatch.setattr(os, name, noted(name))
    Checkpoints(str(tmp_path / "far" / "away"), print).save(checkpoint(), fill("new"))
    named = [(at, where) for at, (name, where) in enumerate(steps) if name in ("mkdir", "rename")]
    assert {f"{tmp_path}/far", f"{tmp_path}/far/away", f"{tmp_path}/far/away/runs"} <= {where for _, where in named}
    for at, where in named:
        assert ("fsync", os.path.dirname(where)) in steps[at:], where
    last = max(at for at, (name, _) in enumerate(steps) if name == "rename")
    synced = {os.path.basename(where) for name, where in steps[:last] if name == "fsync"}
    assert "adapter" in synced
    assert any(each.endswith("checkpoint.json") for each in synced)


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_disk_that_fills_up_at_any_step_of_saving_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    store = Checkpoints(str(tmp_path), print)
    store.save(checkpoint(), fill("old"))
    true, left = getattr(os, call), [0]

    def failing(*given: object) -> object:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(28, os.strerror(28))
        return true(*given)

    monkeypatch.setattr(os, call, failing)
    for at in range(1, 20):
        left[0] = at
        try:
            store.save(checkpoint(), fill("new"), overwrite=True)
        except OSError:
            assert (tmp_path / "runs/r-train-0/weights/one/adapter").read_text() == "old"
            assert sum(name.endswith("adapter") for name in everything(tmp_path)) == 1
        else:
            break
    else:
        pytest.fail("it never came through")
    assert at > 1
    assert (tmp_path / "runs/r-train-0/weights/one/adapter").read_text() == "new"


def test_the_next_start_brings_back_what_was_being_replaced_and_clears_the_rest(tmp_path: Path) -> None:
    store = Checkpoints(str(tmp_path), print)
    store.save(checkpoint("kept"), fill("k"))
    store.save(checkpoint("torn"), fill("t"))
    kind = tmp_path / "runs/r-train-0/weights"
    (kind / "torn").rename(kind / f"{disk.OLD}torn")  # a power cut between the two renames of a replacement
    (kind / f"{disk.DRAFT}0-torn").mkdir()
    (kind / f"{disk.DRAFT}0-torn" / "adapter").write_text("half")
    (kind / f"{disk.GONE}0-x").mkdir()
    (tmp_path / f"{disk.DRAFT}0-file").write_text("half")
    disk.clear(str(tmp_path))
    assert sorted(each.name for each in kind.iterdir()) == ["kept", "torn"]
    assert len(Checkpoints(str(tmp_path), print).newest_first()) == 2


def test_a_checkpoint_that_does_not_say_what_it_is_is_told_and_left_aside(tmp_path: Path) -> None:
    store = Checkpoints(str(tmp_path), print)
    for name in ("good", "bad", "moved"):
        store.save(checkpoint(name), fill(name))
    kind = tmp_path / "runs/r-train-0/weights"
    (kind / "bad" / "checkpoint.json").write_text("{")
    (kind / "moved").rename(kind / "elsewhere")
    told: list[str] = []
    assert [each.name for each in Checkpoints(str(tmp_path), told.append).newest_first()] == ["good"]
    assert len(told) == 2
    assert (kind / "bad" / "adapter").exists()


# -- with a whole server ---------------------------------------------------------------------------------------------


def test_a_full_disk_fails_the_save_in_words_and_the_server_lives(fresh_server: Fresh) -> None:
    served = fresh_server(double=True, largest_file=20_000)
    ask = Asking(served.url)
    large, small = trained(ask, 1, rank=50_000), trained(ask, 1)
    failed = large.save("large")
    assert failed["category"] == "server"
    assert "too large" in failed["error"]
    assert "was not saved" in failed["error"]
    path = small.save("small")["path"]
    assert names(ask) == [path]
    assert not [each for each in served.folder.rglob("*") if "large" in each.name]
    assert large.step()["steps"] == 2


def test_a_server_that_is_killed_while_it_saves_leaves_no_half_checkpoint(fresh_server: Fresh, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    first = fresh_server(double=True)
    ask = Asking(first.url)
    run = trained(ask, 1, rank=13)  # the double waits at the gate in the middle of its save
    ask.ok("POST", "/save_weights", {"model_id": run.id, "seq_id": 2, "path": "torn"})
    with gate.open("wb"):
        first.kill()
    assert list(first.folder.rglob("adapter*"))
    again = Asking(fresh_server(first.folder, double=True).url)
    assert names(again) == []
    assert not list(first.folder.rglob("adapter*"))


def test_a_server_that_is_told_to_end_finishes_the_save_that_runs(fresh_server: Fresh, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    first = fresh_server(double=True)
    ask = Asking(first.url)
    run = trained(ask, 1, rank=13)
    ask.ok("POST", "/save_weights", {"model_id": run.id, "seq_id": 2, "path": "whole"})
    with gate.open("wb"):
        first.process.terminate()
        with contextlib.suppress(ConnectionError):
            while ask.send("GET", "/healthz"):  # until it takes nothing more
                pass
    assert first.process.wait(20) == 0
    again = Asking(fresh_server(first.folder, double=True).url)
    assert names(again) == [f"tinker://{run.id}/weights/whole"]
