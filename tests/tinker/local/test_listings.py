"""What there is, newest first and a page at a time; who is connected, and what becomes of those who fall silent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.tinker.local.calls import Call, Refusal
from lab.tinker.local.checkpoints import Checkpoints
from lab.tinker.local.futures import Futures
from lab.tinker.local.routing import Parts
from lab.tinker.local.runs import Runs
from lab.tinker.local.samplers import Samplers
from lab.tinker.local.sessions import Session, Sessions
from tests.tinker.local.asking import Asking
from tests.tinker.local.double import DoubleModels

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tinker.conftest import Fresh


def test_models_are_listed_with_what_can_be_done_with_them(ask: Asking) -> None:
    (model,) = ask.ok("GET", "/get_server_capabilities")["supported_models"]
    assert model == {"model_name": "double", "max_context_length": 64, "trainable": True, "sampleable": True}


def test_runs_come_newest_first_and_a_page_at_a_time(fresh_server: Fresh) -> None:
    ask = Asking(fresh_server(double=True).url)
    made = [ask.train().id for _ in range(5)][::-1]
    first = ask.ok("GET", "/training_runs?limit=2")
    assert [each["training_run_id"] for each in first["training_runs"]] == made[:2]
    assert first["cursor"] == {"offset": 0, "limit": 2, "total_count": 5}
    last = ask.ok("GET", "/training_runs?limit=2&offset=4")
    assert [each["training_run_id"] for each in last["training_runs"]] == made[4:]
    assert ask.ok("GET", "/training_runs?offset=9")["training_runs"] == []


@pytest.mark.parametrize("query", ["limit=x", "offset=1.5"])
def test_a_page_that_is_no_number_is_refused(ask: Asking, query: str) -> None:
    assert ask.send("GET", f"/training_runs?{query}")[0] == 422
    assert ask.send("GET", "/checkpoints?limit=-3")[1]["checkpoints"] == []


def test_a_run_tells_its_last_checkpoint_of_each_kind(ask: Asking) -> None:
    run = ask.train(rank=4)
    for name in ("a", "b"):
        run.save(name)
    run.save("c", "save_weights_for_sampler")
    told = ask.ok("GET", f"/training_runs/{run.id}")
    assert (told["base_model"], told["lora_rank"], told["is_lora"]) == ("double", 4, True)
    assert told["last_checkpoint"]["checkpoint_id"] == "weights/b"
    assert told["last_sampler_checkpoint"]["checkpoint_id"] == "sampler_weights/c"
    listed = ask.ok("GET", f"/training_runs/{run.id}/checkpoints")["checkpoints"]
    assert [each["checkpoint_type"] for each in listed] == ["sampler", "training", "training"]
    assert all(each["size_bytes"] > 0 for each in listed)
    assert ask.send("GET", "/training_runs/none:train:0")[0] == 404


def test_a_colon_in_a_path_may_be_escaped(ask: Asking) -> None:
    run = ask.train()
    assert ask.ok("GET", f"/training_runs/{run.id.replace(':', '%3A')}")["training_run_id"] == run.id


def test_the_weights_of_a_checkpoint_are_described(ask: Asking) -> None:
    path = ask.train(rank=2, train_mlp=False).save("w")["path"]
    told = ask.ok("POST", "/weights_info", {"tinker_path": path})
    assert (told["base_model"], told["lora_rank"], told["train_mlp"], told["train_attn"]) == ("double", 2, False, True)


def test_a_live_run_says_which_tokenizer_is_its(ask: Asking) -> None:
    told = ask.ok("POST", "/get_info", {"model_id": ask.train(rank=2).id})
    assert told["model_data"]["tokenizer_id"] == "/nowhere"
    assert told["lora_rank"] == 2


def test_whose_key_it_is(ask: Asking) -> None:
    assert ask.ok("GET", "/auth/apikey/me")["name"] == "local"


# -- sessions --------------------------------------------------------------------------------------------------------


def test_a_session_tells_its_runs_and_samplers(ask: Asking) -> None:
    run = ask.train()
    made = {"session_id": ask.session, "sampling_session_seq_id": 0, "base_model": "double"}
    sampler = ask.ok("POST", "/create_sampling_session", made)["sampling_session_id"]
    told = ask.ok("GET", f"/sessions/{ask.session}")
    assert (told["training_run_ids"], told["sampler_ids"]) == ([run.id], [sampler])
    assert told["user_metadata"] == {"who": "a test"}
    assert ask.ok("GET", "/sessions?limit=1")["sessions"] == [ask.session]


def test_a_session_that_was_finished_is_gone_and_so_are_its_runs(ask: Asking) -> None:
    run = ask.train()
    for reason in ("interrupted", "success"):  # the first one stands
        ask.ok("POST", f"/sessions/{ask.session}/finish", {"reason": {"type": reason}})
    status, answer = ask.send("POST", "/session_heartbeat", {"session_id": ask.session})
    assert (status, "interrupted" in answer["detail"]) == (410, True)
    assert ask.send("POST", "/optim_step", {"model_id": run.id, "seq_id": 1, "adam_params": {}})[0] == 404
    assert ask.ok("GET", f"/training_runs/{run.id}")["training_run_id"] == run.id
    made = {"session_id": ask.session, "model_seq_id": 5, "base_model": "double"}
    assert ask.send("POST", "/create_model", made)[0] == 409


def test_a_session_that_nobody_made_is_refused(ask: Asking) -> None:
    assert ask.send("POST", "/session_heartbeat", {"session_id": "none"})[0] == 404
    assert ask.send("POST", "/create_model", {"session_id": "x", "model_seq_id": 0, "base_model": "double"})[0] == 404
    assert ask.send("GET", "/sessions/..%2F..")[0] == 404


def beat(sessions: Sessions, session_id: str) -> int:
    try:
        return sessions.beat(Call(method="POST", path="", body=b'{"session_id":"%s"}' % session_id.encode())).status
    except Refusal as refusal:
        return refusal.status


def test_a_client_that_falls_silent_is_let_go(tmp_path: Path) -> None:
    sessions, ended = Sessions(str(tmp_path), print, idle_s=-1), list[str]()  # every silence is too long
    sessions.on_end.append(ended.append)
    sessions.create(Call(method="POST", path="", body=b"{}"))
    (session,) = sessions.newest_first()
    assert beat(sessions, session.session_id) == 200
    sessions.end_silent()
    assert beat(sessions, session.session_id) == 410
    sessions.end_silent()
    assert ended == [session.session_id]


def test_a_heart_that_beats_keeps_a_session(tmp_path: Path) -> None:
    sessions = Sessions(str(tmp_path), print, idle_s=1000)
    sessions.create(Call(method="POST", path="", body=b"{}"))
    sessions.end_silent()
    assert beat(sessions, sessions.newest_first()[0].session_id) == 200


class Racing(Sessions):
    """A session ends right after somebody made sure that it goes on."""

    def active(self, session_id: str, *, ended_status: int = 409) -> Session:
        found = super().active(session_id, ended_status=ended_status)
        self.finish(Call(method="POST", path="", arguments=(session_id,)))
        return found


def test_what_is_made_while_its_session_ends_is_let_go_with_it(tmp_path: Path) -> None:
    sessions, checkpoints, futures = Racing(str(tmp_path), print), Checkpoints(str(tmp_path), print), Futures(print)
    samplers = Samplers(DoubleModels(), sessions, checkpoints, futures)
    runs = Runs(str(tmp_path), DoubleModels(), sessions, checkpoints, futures, print)

    def asked(**fields: object) -> Call:
        sessions.create(Call(method="POST", path="", body=b"{}"))
        body = {"session_id": sessions.newest_first()[0].session_id, "base_model": "double", **fields}
        return Call(method="POST", path="", body=msgspec.json.encode(body))

    session = ""
    for make, call in (
        (samplers.create, asked(sampling_session_seq_id=0)),
        (runs.create, asked(model_seq_id=0)),
    ):
        with pytest.raises(Refusal, match="has ended"):
            make(call)
        session = msgspec.json.decode(call.body)["session_id"]
        assert samplers.of_session(session) == []
        with pytest.raises(Refusal, match=r"not known here|not in memory any more"):  # it may have been made by then
            runs.find(f"{session}:train:0")
    with pytest.raises(Refusal, match="has ended"):
        samplers.snapshot(session, 0, "double", DoubleModels().sampler("double", None))
    assert samplers.of_session(session) == []
    futures.close(5)


def test_what_ended_long_ago_and_left_nothing_is_forgotten(fresh_server: Fresh) -> None:
    first = fresh_server(double=True)
    left, kept = Asking(first.url), Asking(first.url)
    left.train()
    saved = kept.train()
    path = saved.save("one")["path"]
    for each in (left, kept):
        each.ok("POST", f"/sessions/{each.session}/finish", {"reason": {"type": "success"}})
    first.kill()
    parts = Parts(DoubleModels(), str(first.folder), print, session_idle_s=1e9)

    def listed(after_s: float) -> tuple[list[str], list[str]]:
        """What is there once this much time went by."""
        parts.tidy(time.time() + after_s)
        return [each.run_id for each in parts.runs.newest_first()], [
            each.session_id for each in parts.sessions.newest_first()
        ]

    try:
        assert len(listed(3600)[1]) == 2
        assert listed(3 * 86_400) == ([saved.id], [kept.session])
        parts.checkpoints.delete(path)
        assert listed(3 * 86_400) == ([], [])
        assert [each.name for each in first.folder.rglob("*") if each.is_file()] == [".lock"]
    finally:
        parts.close()


# -- samplers --------------------------------------------------------------------------------------------------------


def sample(sampler: str, seq: int = 0, text: str = "") -> dict[str, object]:
    prompt = {"chunks": [{"type": text or "encoded_text", "tokens": [1, 2]}]}
    return {"sampling_session_id": sampler, "seq_id": seq, "prompt": prompt, "sampling_params": {"max_tokens": 3}}


def test_a_snapshot_stands_still_while_its_training_goes_on(fresh_server: Fresh) -> None:
    served = fresh_server(double=True)
    ask = Asking(served.url)
    run = ask.train()
    run.step()
    sampler = run.save(None, "save_weights_for_sampler", sampling_session_seq_id=0)["sampling_session_id"]
    run.step()
    assert b'"steps":1' in ask.do("/asample", sample(sampler))
    assert b'"steps":1' in ask.do("/asample", sample(sampler, 1))
    assert not list(served.folder.rglob("adapter*")), "a snapshot of every step would fill the disk"
    assert ask.ok("GET", f"/samplers/{sampler}") == {"sampler_id": sampler, "base_model": "double", "model_path": None}


def test_a_checkpoint_is_sampled_from_until_it_is_deleted(ask: Asking) -> None:
    run = ask.train()
    run.step()
    path = run.save("s", "save_weights_for_sampler")["path"]
    made = {"session_id": ask.session, "model_path": path}
    first, second = (
        ask.ok("POST", "/create_sampling_session", {**made, "sampling_session_seq_id": seq})["sampling_session_id"]
        for seq in (0, 1)
    )
    assert b'"steps":1' in ask.do("/asample", sample(first))
    run_id, kind, name = path.removeprefix("tinker://").split("/")
    ask.ok("DELETE", f"/training_runs/{run_id}/checkpoints/{kind}/{name}")
    assert "was deleted" in ask.do("/asample", sample(second))["error"]
    assert ask.send("POST", "/create_sampling_session", {**made, "sampling_session_seq_id": 2})[0] == 404


def test_what_cannot_be_sampled_from_is_refused(ask: Asking) -> None:
    run = ask.train()
    external = run.save("e", "save_weights_external")["path"]
    made = {"session_id": ask.session, "sampling_session_seq_id": 0}
    assert ask.send("POST", "/create_sampling_session", {**made, "model_path": external})[0] == 400
    status, answer = ask.send("POST", "/create_sampling_session", {**made, "base_model": "none"})
    assert (status, "there is double" in answer["detail"]) == (400, True)
    assert ask.send("POST", "/asample", sample("none:sample:0"))[0] == 404
    refused = run.save(None, "save_weights_for_sampler", sampling_session_seq_id=1, kind="inflight")
    assert (refused["category"], "inflight" in refused["error"]) == ("user", True)


def test_snapshots_that_nobody_used_for_long_are_let_go_and_say_so(tmp_path: Path) -> None:
    sessions, futures = Sessions(str(tmp_path), print), Futures(print)
    sessions.create(Call(method="POST", path="", body=b"{}"))
    session = sessions.newest_first()[0].session_id
    samplers = Samplers(DoubleModels(), sessions, Checkpoints(str(tmp_path), print), futures, in_memory=2)
    made = DoubleModels().sampler("double", None)
    names = [samplers.snapshot(session, seq, "double", made) for seq in range(3)]

    def drawn(name: str) -> bytes:
        body = msgspec.json.encode(sample(name, len(name)))
        request_id = msgspec.json.decode(samplers.sample(Call(method="POST", path="", body=body)).body)["request_id"]
        asked = msgspec.json.encode({"request_id": request_id})
        return futures.retrieve(Call(method="POST", path="", body=asked)).body

    assert b"was let go" in drawn(names[0])
    assert b'"steps":0' in drawn(names[2])
    futures.close(5)


def test_snapshots_are_bounded_by_what_they_take_but_the_newest_stay(tmp_path: Path) -> None:
    sessions, futures = Sessions(str(tmp_path), print), Futures(print)
    sessions.create(Call(method="POST", path="", body=b"{}"))
    session = sessions.newest_first()[0].session_id
    made = DoubleModels().sampler("double", None)

    def kept(within_bytes: int) -> list[bool]:
        checkpoints = Checkpoints(str(tmp_path), print)
        samplers = Samplers(DoubleModels(), sessions, checkpoints, futures, in_memory_bytes=within_bytes)
        names = [samplers.snapshot(session, seq, "double", made) for seq in range(8)]
        return [samplers.find(name).made is not None for name in names]

    assert kept(6 * made.size_bytes) == [False] * 2 + [True] * 6
    assert kept(0) == [False] * 4 + [True] * 4
    futures.close(5)
