"""Files are taken away with links that open one file of what was exported, for a while, and nothing else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import urlopen

import msgspec
import pytest

from lab.tinker.local.calls import Call, Refusal
from lab.tinker.local.checkpoints import Checkpoints
from lab.tinker.local.files import VALID_S, Files
from tests.tinker.local.stored import checkpoint, fill

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.tinker.local.asking import Asking, Run


def links(ask: Asking, run: Run, name: str = "e") -> Mapping[str, str]:
    saved = run.save(name, "save_weights_external")
    assert saved["path"] == f"tinker://{run.id}/external_weights/{name}"
    urls: Mapping[str, str] = ask.ok(
        "GET", f"/training_runs/{run.id}/checkpoints/external_weights/{name}/external_weights_urls"
    )["urls"]
    return urls


def test_each_file_has_a_link_that_needs_no_key(ask: Asking) -> None:
    run = ask.train()
    run.step()
    found = links(ask, run)
    assert sorted(found) == ["adapter_config.json", "adapter_model.safetensors"]
    with urlopen(found["adapter_model.safetensors"], timeout=20) as file:  # noqa: S310  # as the program `tinker` does
        data = file.read()
    assert int(file.headers["Content-Length"]) == len(data)
    assert b'"steps":1' in data


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.replace("adapter_config.json", "checkpoint.json"),
        lambda path: path.replace("adapter_config.json", "..%2F..%2Fe%2Fadapter_config.json"),
        lambda path: path.replace("external_weights", "weights"),
        lambda path: path.replace("/_files/", "/_files/9"),
        lambda path: path[:-1],
    ],
)
def test_a_link_that_was_changed_opens_nothing(ask: Asking, change: object) -> None:
    run = ask.train()
    run.save("e")
    path = urlsplit(links(ask, run)["adapter_config.json"]).path
    assert callable(change)
    assert ask.send("GET", path, headers={})[0] == 200
    assert ask.send("GET", change(path), headers={})[0] in (403, 404)


def test_a_link_expires(ask: Asking, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = Checkpoints(str(tmp_path_factory.mktemp("files")), print)
    store.save(checkpoint("e", kind="external_weights"), fill("x"))
    files = Files(store)
    call = Call(method="GET", path="", arguments=("r:train:0", "external_weights", "e"), headers={"host": "h"})
    url = msgspec.json.decode(files.urls(call).body)["urls"]["adapter"]
    parts = tuple(urlsplit(url).path.removeprefix("/api/v1/_files/").replace("%3A", ":").split("/"))
    assert files.download(Call(method="GET", path="", arguments=parts)).file.endswith("/e/adapter")
    later = time.time() + VALID_S + 1
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(Refusal, match="expired"):
        files.download(Call(method="GET", path="", arguments=parts))


def test_only_what_was_exported_can_be_taken_away(ask: Asking) -> None:
    run = ask.train()
    run.save("w")
    status, answer = ask.send("GET", f"/training_runs/{run.id}/checkpoints/weights/w/external_weights_urls")
    assert (status, "external_weights" in answer["detail"]) == (400, True)
