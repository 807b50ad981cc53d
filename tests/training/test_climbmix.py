"""The download: resumed where it broke, compared with what the hub lists, and never half there. The hub is a double."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import corpora
import prepare
import pytest

from tests.training import hub as doubles
from tests.training import texts

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATE = Path(prepare.__file__).parent
FIRST, SECOND, LAST = "shard_00000.parquet", "shard_00001.parquet", "shard_06542.parquet"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("shards")
    names = (FIRST, SECOND, "shard_00002.parquet", LAST)
    return {name: doubles.shard(folder / name, seed) for seed, name in enumerate(names)}


@pytest.fixture
def hub(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[doubles.Hub]:
    with doubles.served(dict(files)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "127.0.0.1")
        monkeypatch.setenv("LAB_TRAINING_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(corpora, "WAITS_S", (0.0, 0.0))
        yield hub


@pytest.fixture
def said() -> list[str]:
    return []


def make(said: list[str], shards: int = 2) -> prepare.Data:
    request = corpora.Request(name="climbmix", shards=shards, vocab=300)
    return prepare.ready(request, said.append) or prepare.made(request, said.append)


def downloads() -> Path:
    return Path(corpora.cache_folder(), "downloads", "climbmix")


def test_the_shards_become_train_and_the_pinned_one_val_and_holdout(hub: doubles.Hub, said: list[str]) -> None:
    data = make(said)
    train = texts.documents(60, seed=0) + texts.documents(60, seed=1)
    last = texts.documents(60, seed=3)
    sizes = [sum(len(text.encode()) for text in some) for some in (train, last[:30], last[30:])]
    assert list(data.text_bytes.values()) == sizes
    assert data.context == 2048
    assert data.corpus == "karpathy/climbmix-400b-shuffle, 2 shard(s), val and holdout out of shard_06542.parquet"
    assert [hub.fetched(name) for name in (FIRST, SECOND, "shard_00002.parquet", LAST)] == [[""], [""], [], [""]]
    assert any(line.startswith("data: fetching 3 shard(s)") for line in said)


def test_with_all_shards_here_no_network_is_needed(hub: doubles.Hub, said: list[str]) -> None:
    digest = make(said).digest
    hub.asked.clear()
    assert make(said).digest == digest
    (Path(make(said).folder) / "train.tokens").unlink()
    assert make(said).digest == digest
    assert hub.asked == []
    assert any("train.tokens is missing; making it again" in line for line in said)


def test_more_shards_fetch_only_what_is_missing(hub: doubles.Hub, said: list[str]) -> None:
    one = make(said, shards=1)
    hub.asked.clear()
    assert make(said, shards=2).digest != one.digest
    assert [hub.fetched(name) for name in (FIRST, SECOND, LAST)] == [[], [""], []]
    assert prepare.ensure("climbmix", say=said.append).text_bytes == make(said, shards=2).text_bytes


def test_a_broken_line_goes_on_where_it_broke(hub: doubles.Hub, said: list[str]) -> None:
    hub.faults[FIRST] = [("cut", 1000), ("cut", 500), 503]
    make(said)
    assert hub.fetched(FIRST) == ["", "bytes=1000-", "bytes=1500-", "bytes=1500-"]
    assert f"data: {FIRST}: HTTP 503; again in 0 s" in said
    assert sum(f"data: {FIRST}: ended after" in line for line in said) == 2


def test_a_line_that_falls_silent_is_given_up_and_gone_on_with(
    hub: doubles.Hub, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "TIMEOUT_S", 0.3)
    hub.faults[FIRST] = [("stall", 1000)]
    make(said)
    assert hub.fetched(FIRST) == ["", "bytes=1000-"]
    assert f"data: {FIRST}: timed out; again in 0 s" in said


def test_a_line_that_breaks_again_and_again_but_brings_something_is_not_given_up(
    hub: doubles.Hub, said: list[str]
) -> None:
    hub.faults[FIRST] = [("cut", 100)] * 12
    make(said)
    assert len(hub.fetched(FIRST)) == 13


def test_a_server_without_ranges_sends_it_all_again(hub: doubles.Hub, said: list[str]) -> None:
    hub.ranges = False
    hub.faults[FIRST] = [("cut", 1000)]
    make(said)
    assert hub.fetched(FIRST) == ["", "bytes=1000-"]
    assert (downloads() / FIRST).read_bytes() == hub.files[FIRST]


def test_a_wrong_byte_is_found_and_the_shard_fetched_again(hub: doubles.Hub, said: list[str]) -> None:
    hub.faults[FIRST] = ["wrong byte"]
    make(said)
    assert f"data: {FIRST} came with other bytes than the hub lists; fetching it again" in said
    assert (downloads() / FIRST).read_bytes() == hub.files[FIRST]


def test_bytes_that_are_wrong_twice_are_refused(hub: doubles.Hub, said: list[str]) -> None:
    hub.faults[FIRST] = ["wrong byte", "wrong byte"]
    with pytest.raises(prepare.Refused, match=f"{FIRST} came twice with other bytes than the hub lists") as refused:
        make(said)
    assert refused.value.code == 5
    assert not (downloads() / FIRST).exists()
    assert make(said).name == "climbmix", "and the next try begins anew"


def test_a_shard_that_was_damaged_on_the_disk_is_named_and_fetched_again(hub: doubles.Hub, said: list[str]) -> None:
    make(said, shards=1)
    path = downloads() / FIRST
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    make(said, shards=2)
    assert f"data: damaged: {path} is not what the hub lists; fetching it again" in said
    assert path.read_bytes() == hub.files[FIRST]


@pytest.mark.parametrize("status", [404, 403])
def test_what_is_not_there_is_refused_at_once(hub: doubles.Hub, said: list[str], status: int) -> None:
    hub.faults[FIRST] = [status] * 9
    with pytest.raises(prepare.Refused, match=rf"{FIRST}: HTTP {status}$") as refused:
        make(said)
    assert refused.value.code == 5
    assert len(hub.fetched(FIRST)) == 1


def test_a_shard_that_the_hub_does_not_list_is_refused_before_anything_is_fetched(
    hub: doubles.Hub, said: list[str]
) -> None:
    with pytest.raises(prepare.Refused, match=r"has no shard_00003.parquet"):
        make(said, shards=4)
    assert hub.sent == 0


def test_no_network_is_refused_after_some_tries_with_what_to_do(
    hub: doubles.Hub, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # discard: nobody listens
    with pytest.raises(prepare.Refused, match=r"Connection refused.*, 3 times") as refused:
        make(said)
    assert refused.value.code == 5
    assert "HF_ENDPOINT" in refused.value.fix


def test_a_disk_without_room_is_told_before_anything_is_fetched(
    hub: doubles.Hub, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        free = 10

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Full)
    with pytest.raises(prepare.Refused, match="0 MB free, and the shards need 0 MB"):
        make(said)
    assert hub.sent == 0


def test_a_run_that_is_killed_goes_on_with_what_had_come(hub: doubles.Hub, said: list[str], tmp_path: Path) -> None:
    hub.faults[FIRST] = [("stall", 2000)]
    script = [sys.executable, str(TEMPLATE / "prepare.py"), "--dataset", "climbmix", "--shards", "1"]
    with subprocess.Popen(script, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as child:
        assert hub.stalled.wait(20)
        part = downloads() / f"{FIRST}.part"
        while not (part.exists() and part.stat().st_size == 2000):
            assert child.poll() is None
        child.kill()
    hub.go_on.set()
    make(said, shards=1)
    assert hub.fetched(FIRST) == ["", "bytes=2000-"]
    assert list(downloads().glob("*.part")) == []


def test_what_is_evaluated_is_bounded(hub: doubles.Hub, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = make(said).text_bytes
    monkeypatch.setattr(corpora, "EVALUATED", 500)
    request = corpora.Request(name="climbmix", shards=2, vocab=300, again=True)
    data = prepare.made(request, said.append)
    assert data.text_bytes["train"] == whole["train"]
    for split in ("val", "holdout"):
        starts = data.starts(split)
        assert starts[-2] < 500 <= starts[-1]
    assert prepare.fixed_rows(data, "val").shape[1] == 2049


def test_without_pyarrow_nothing_is_fetched(hub: doubles.Hub, tmp_path: Path) -> None:
    (tmp_path / "pyarrow.py").write_text("raise ModuleNotFoundError('No module named pyarrow')", encoding="utf-8")
    script = [sys.executable, str(TEMPLATE / "prepare.py"), "--dataset", "climbmix", "--shards", "1"]
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(script, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert "prepare.py: pyarrow is not installed\n  fix: pip install 'labctl[parquet]'" in done.stderr
    assert hub.asked == []


def test_progress_is_told_now_and_then() -> None:
    said: list[str] = []
    progress = corpora.Progress(said.append, "fetched", 3_000_000, every_s=0.0)
    progress.add(1_500_000)
    assert re.fullmatch(r"data: fetched 2 of 3 MB, [\d.]+ MB/s", said[0])


def test_the_hubs_own_client_understands_the_double(hub: doubles.Hub) -> None:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    hub.links_to = hub.url
    found = HfApi(endpoint=hub.url, token=False).list_repo_tree(corpora.REPOSITORY, repo_type="dataset")
    large = [entry for entry in found if isinstance(entry, RepoFile) and entry.lfs]
    assert {entry.path: (entry.size, entry.lfs.sha256) for entry in large if entry.lfs} == {
        name: (len(content), hub.sums[name]) for name, content in hub.files.items()
    }
