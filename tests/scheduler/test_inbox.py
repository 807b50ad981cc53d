"""A file dropped into control/inbox is done once and answered, whatever it holds and wherever the machine stops."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from typing import TYPE_CHECKING

import pytest

from lab.core import event, order
from lab.core.errors import Busy
from lab.core.proposal import RESUME, RUN, Proposal
from lab.scheduler import cycle, decisions, refresh
from lab.scheduler.control import approvals, inbox, orders, proposals
from lab.store import ledger
from lab.store.sections import hold
from lab.testing.files import Crash, CrashingFiles, FullDisk
from tests.scheduler.labs import SPEC, a_copy, a_lab, listings, me, reopened, tree, write

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.view import View
    from lab.store.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_lab(tmp_path / "lab", "a", "b")


def view(root: Root, name: str = "a") -> View:
    with root.section(name):
        return refresh.catch_up(root, name).view


def drop(
    root: Root, file: str, found: object = None, *, raw: bytes | None = None, old: bool = True, **more: object
) -> str:
    path = f"{root.layout.inbox}/{file}"
    body = found if found is not None else more
    write(path, json.dumps(body).encode() if raw is None else raw)
    if old:
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def reply(root: Root, key: str) -> dict[str, object]:
    with open(root.layout.answer(order.place(key)), encoding="utf-8") as file:
        found = json.load(file)
    assert isinstance(found, dict)
    return found


def only_reply(root: Root) -> dict[str, object]:
    (name,) = [name for name in os.listdir(f"{root.layout.root}/control/outbox") if name.endswith(".json")]
    return reply(root, name.removesuffix(".json"))


def told(root: Root, kind: str) -> list[event.Event]:
    found = [entry.line.event for entry in ledger.entries(root) if entry.line is not None]
    return [each for each in found if each.type == kind]


def test_an_order_is_done_answered_and_put_beside_its_answer(root: Root) -> None:
    drop(root, "1.json", intent="pause", target="a", idempotency_key="k-1", actor="bot", parameters={"reason": "hot"})
    (done,) = inbox.answer(root)
    assert (done.file, done.state, done.intent, done.target) == ("1.json", "done", "pause", "a")
    assert (view(root).phase, view(root).phase_reason) == ("paused", "hot")
    said = reply(root, "k-1")
    assert (said["ok"], said["intent"], said["target"], said["error"]) == (True, "pause", "a", None)
    assert said["data"] == {"experiment": "a", "phase": "paused", "tier": "proxy", "changed": True}
    assert os.listdir(root.layout.inbox) == []
    assert os.path.isfile(root.layout.request("k-1"))
    assert told(root, event.PHASE_CHANGED)[-1].actor == "bot"
    (line,) = told(root, event.COMMAND_DONE)
    assert (line.name, line.facts) == ("k-1", {"intent": "pause", "target": "a", "ok": True})


def test_the_same_key_is_done_once_however_often_it_is_dropped(root: Root) -> None:
    for file in ("1.json", "2.json", "3.json"):
        drop(root, file, intent="pause", target="a", idempotency_key="k-1")
    assert [each.state for each in inbox.answer(root)] == ["done", "repeated", "repeated"]
    decisions.resume(root, "a", reason="", actor="ann")
    drop(root, "1.json", intent="pause", target="a", idempotency_key="k-1")
    assert [each.state for each in inbox.answer(root)] == ["repeated"]
    assert view(root).phase == "queued"
    assert len(told(root, event.COMMAND_DONE)) == 1
    assert len(os.listdir(os.path.dirname(root.layout.request("k-1")))) == 4


def test_without_a_key_the_digest_of_the_file_is_one(root: Root) -> None:
    drop(root, "1.json", intent="pause", target="a")
    inbox.answer(root)
    decisions.resume(root, "a", reason="", actor="ann")
    drop(root, "2.json", intent="pause", target="a")
    assert [each.state for each in inbox.answer(root)] == ["repeated"]
    drop(root, "3.json", intent="pause", target="a", command_id="another")
    assert [each.state for each in inbox.answer(root)] == ["done"]
    assert view(root).phase == "paused"


def test_orders_are_done_in_the_order_of_their_names(root: Root) -> None:
    drop(root, "3.json", intent="resume", target="a")
    drop(root, "1.json", intent="pause", target="a")
    drop(root, "2.json", intent="complete", target="a")
    assert [each.intent for each in inbox.answer(root)] == ["pause", "complete", "resume"]
    assert view(root).phase == "queued"


def test_another_proposal_is_refused_at_once_while_one_waits(root: Root) -> None:
    """Left in the inbox it would be told at each turn, and asked for days later."""
    for key, rate in (("1", 0.1), ("2", 0.1), ("3", 0.2)):
        drop(
            root, f"{key}.json", intent="propose", target="a", parameters={"params": {"lr": rate}}, idempotency_key=key
        )
    told = inbox.answer(root)
    assert [each.state for each in told] == ["done", "done", "refused"]
    assert "a-1 waits with other parameters" in told[2].what
    assert inbox.answer(root) == []


def test_every_intent_reaches_the_lab(root: Root) -> None:
    approvals.ask(root, Proposal(kind=RUN, experiment="a", params={"lr": 1}))
    approvals.ask(root, Proposal(kind=RESUME, experiment="b"))
    running = cycle.begin(root, "b", owner=me())
    given: list[dict[str, object]] = [
        {"intent": "pause", "target": "a"},
        {"intent": "archive", "target": "a"},
        {"intent": "restore", "target": "experiment:a"},
        {"intent": "resume", "target": "a"},
        {"intent": "set_fidelity", "target": "a", "parameters": {"fidelity_tier": "final"}},
        {"intent": "approve", "target": "a-1", "parameters": {"params": {"lr": 2}}},
        {"intent": "reject", "target": "b-1", "parameters": {"why": "no"}},
        {"intent": "propose", "target": "b", "parameters": {"tier": "final"}},
        {"intent": "cancel", "target": running.manifest.run_id, "parameters": {"reason": "stop"}},
        {"intent": "create", "parameters": {"spec": SPEC.format(id="c")}},
        {"intent": "create", "parameters": {"spec": "autoresearch-generic", "id": "d"}},
        {"intent": "create", "parameters": {"spec": SPEC.format(id="e") + "executor: reference\n"}},
        {"intent": "steer", "target": "e", "parameters": {"text": "leave the data alone", "for": 3}},
        {"intent": "digest", "target": "2026-01-02"},
        {"intent": "refresh"},
        {"intent": "complete", "target": "a"},
    ]
    assert {str(each["intent"]).replace("_", "-") for each in given} == set(order.INTENTS)
    for number, each in enumerate(given):
        drop(root, f"{number:02d}.json", each)
    assert [(each.state, each.what) for each in inbox.answer(root)] == [("done", "")] * len(given)
    assert (view(root).phase, view(root).tier, view(root, "b").phase) == ("completed", "final", "paused")
    assert [each.params for each in proposals.ready(root)] == [{"lr": 2}]
    assert (running.lease.cancel_asked(root) or "").endswith("stop")
    assert view(root, "c").phase == view(root, "d").phase == "queued"
    said = view(root, "e").steering
    assert said is not None
    assert (said.text, said.left) == ("leave the data alone", 3)
    assert os.path.isfile(root.layout.day("2026-01-02"))
    assert [name for name in os.listdir(root.layout.place("scratch")) if "inbox" in name] == []
    before = tree(root.layout.root)
    refresh.everything(root)
    assert tree(root.layout.root) == before


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe\x00binary", "not JSON"),
        (b"[1]", "an order is a JSON object"),
        (b'{"intent": "explode"}', "there is no intent"),
        (b'{"intent": "pause", "target": "nobody"}', "there is no experiment nobody"),
        (b'{"intent": "pause", "target": "a", "parameters": {"x": "y"}}', "no parameter"),
        (b'{"intent": "create", "parameters": {"spec": "../secret.yaml"}}', "neither a SPEC's text"),
        (b'{"intent": "create", "parameters": {"spec": "gpu-training"}}', "an order cannot copy"),
        (b'{"intent": "create", "parameters": {"spec": "id: [\\n"}}', "SPEC"),
        (b'{"intent": "approve", "target": "a-9"}', "there is no proposal"),
        (b'{"intent": "cancel", "target": "a"}', "no run of a is under way"),
        (b'{"intent": "steer", "target": "a", "parameters": {"text": "x"}}', "a is no code loop"),
        (b'{"intent": "steer", "target": "a"}', "either the parameter text or the parameter clear"),
        (b'{"intent": "steer", "target": "a", "parameters": {"text": "x", "for": "ever"}}', "no number of candidates"),
        (b'{"intent": "digest", "target": "yesterday"}', "is no date"),
        (b"x" * (order.MAX_BYTES + 1), "larger than"),
    ],
)
def test_a_file_that_cannot_be_done_is_answered_and_stops_no_other(root: Root, raw: bytes, words: str) -> None:
    drop(root, "1.json", raw=raw)
    drop(root, "2.json", intent="pause", target="b", idempotency_key="good")
    bad, good = inbox.answer(root)
    assert (bad.state, good.state) == ("refused", "done")
    assert words in bad.what
    os.unlink(root.layout.answer("good"))
    said = only_reply(root)
    assert said["ok"] is False
    assert isinstance(said["error"], dict)
    assert words in str(said["error"]["message"])
    assert said["error"]["kind"] in ("bad-input", "not-found")
    assert os.listdir(root.layout.inbox) == []
    assert view(root).phase == "queued"


def test_a_refusal_of_an_unknown_intent_lists_the_intents(root: Root) -> None:
    drop(root, "1.json", intent="launch", target="a")
    inbox.answer(root)
    error = only_reply(root)["error"]
    assert isinstance(error, dict)
    assert all(intent in str(error["fix"]) for intent in order.INTENTS)


def test_a_link_or_a_folder_is_not_followed(root: Root, tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere.json"
    secret.write_text('{"intent": "pause", "target": "a"}')
    os.symlink(secret, f"{root.layout.inbox}/1.json")
    os.mkdir(f"{root.layout.inbox}/2.json")
    os.mkfifo(f"{root.layout.inbox}/3.json")
    assert [each.state for each in inbox.answer(root)] == ["refused"] * 3
    assert view(root).phase == "queued"
    assert os.listdir(root.layout.inbox) == []
    assert secret.read_text()


def test_a_file_that_is_still_being_written_is_left_until_it_is_whole(root: Root) -> None:
    path = drop(root, "1.json", raw=b'{"intent": "pau', old=False)
    drop(root, "2.json", raw=b"", old=False)
    assert [each.state for each in inbox.answer(root)] == ["left", "left"]
    assert os.path.isfile(path)
    with open(path, "ab") as file:
        file.write(b'se", "target": "a"}')
    assert [each.state for each in inbox.answer(root)] == ["done", "left"]
    assert view(root).phase == "paused"
    os.utime(f"{root.layout.inbox}/2.json", (1_700_000_000, 1_700_000_000))
    assert [each.state for each in inbox.answer(root)] == ["refused"]


def test_what_is_busy_is_left_for_the_next_turn(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object, **__: object) -> dict[str, object]:
        message = "somebody holds it"
        raise Busy(message)

    drop(root, "1.json", intent="pause", target="a")
    drop(root, "2.json", intent="pause", target="b")
    with monkeypatch.context() as patched:
        patched.setitem(orders._ACTS, "pause", busy)
        assert [(each.state, each.what) for each in inbox.answer(root)] == [("left", "somebody holds it")] * 2
    assert [each.state for each in inbox.answer(root)] == ["done", "done"]


def test_a_full_disk_loses_no_order(tmp_path: Path) -> None:
    disk = FullDisk()
    root = a_lab(tmp_path / "lab", "a", files=disk)
    for at in range(1, 60):
        drop(root, "1.json", intent="pause" if at % 2 else "resume", target="a", idempotency_key=f"k{at}")
        disk.steps, disk.at = 0, at
        with contextlib.suppress(OSError):
            inbox.answer(root)
        whole = disk.steps < at
        disk.free()
        inbox.answer(root)
        assert view(root).phase == ("paused" if at % 2 else "queued"), at
        assert reply(root, f"k{at}")["ok"] is True, at
        assert os.listdir(root.layout.inbox) == [], at
        if whole:
            return
    pytest.fail("an order never got by with sixty writes")


def test_an_empty_inbox_costs_one_look_and_other_files_are_nobodys(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("README.md", ".1.json.tmp", ".hidden.json", "x.json~"):
        write(f"{root.layout.inbox}/{name}", b"{}")
    looked = listings(monkeypatch)
    assert inbox.answer(root) == []
    assert looked == [root.layout.inbox]
    os.rename(root.layout.inbox, f"{root.layout.inbox}-gone")
    assert inbox.answer(root) == []


def test_two_schedulers_at_once_do_each_order_once(root: Root) -> None:
    for number in range(20):
        drop(root, f"{number:02d}.json", intent="pause" if number % 2 else "resume", target="a", command_id=str(number))
    results: list[list[order.Answered]] = []
    workers = [threading.Thread(target=lambda: results.append(inbox.answer(reopened(root)))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(len(found) for found in results) == 20
    assert len(told(root, event.COMMAND_DONE)) == 20
    assert len(told(root, event.PHASE_CHANGED)) == 19  # the first resumes what was open
    with hold(root.layout.inbox_section):
        drop(root, "z.json", intent="pause", target="b")
        assert inbox.answer(root) == []
    assert len(inbox.answer(root)) == 1


@pytest.mark.parametrize("intent", ["pause", "approve", "create", "refuse", "cancel"])
def test_an_order_stopped_before_any_write_is_done_once(tmp_path: Path, intent: str) -> None:
    prepared = a_lab(tmp_path / "lab", "a")
    given: dict[str, object] = {
        "pause": {"intent": "pause", "target": "a"},
        "approve": {"intent": "approve", "target": "a-1"},
        "create": {"intent": "create", "parameters": {"spec": SPEC.format(id="c")}},
        "refuse": {"intent": "launch"},
        "cancel": {"intent": "cancel", "target": "a"},
    }[intent]  # type: ignore[assignment]
    if intent == "approve":
        approvals.ask(prepared, Proposal(kind=RUN, experiment="a", params={"lr": 1}))
    if intent == "cancel":
        cycle.begin(prepared, "a", owner=me())
    drop(prepared, "1.json", {**given, "idempotency_key": "k"})
    counted = CrashingFiles()
    inbox.answer(a_copy(prepared.layout.root, "dry", counted))
    for at in range(1, counted.steps + 1):
        stopped = a_copy(prepared.layout.root, str(at), CrashingFiles(at=at))
        with pytest.raises(Crash):
            inbox.answer(stopped)
        after, shown = reopened(stopped), f"{intent} stopped before {counted.log[at - 1]}"
        approvals.expire(after)
        inbox.answer(after)
        said = reply(after, "k")
        assert said["ok"] is (intent != "refuse"), (shown, said)
        assert os.listdir(after.layout.inbox) == [], shown
        assert len(told(after, event.COMMAND_DONE)) == 1, shown
        assert len(told(after, event.PHASE_CHANGED)) == (intent == "pause"), shown
        assert len(told(after, event.PROPOSAL_APPROVED)) == (intent == "approve"), shown
        assert len(told(after, event.EXPERIMENT_CREATED)) == 1 + (intent == "create"), shown
        assert inbox.answer(after) == [], shown
        approvals.expire(after)
        refresh.lab_pages(after)
        before = tree(after.layout.root)
        refresh.everything(after)
        assert tree(after.layout.root) == before, shown
